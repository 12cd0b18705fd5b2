"""Depth: forms that differ in one thing, gradients and sameness against slow computations."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minigpt.experiments import dataset, measured
from minigpt.experiments.gpt2 import architecture, depth


def fields(form):
    config = depth.config(form)
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def test_the_two_changes_are_made_one_at_a_time():
    for a, b, changed in (
        ("post-LN", "pre-LN", "norm"), ("post-LN, scaled", "pre-LN, scaled", "norm"),
        ("post-LN", "post-LN, scaled", "init"), ("pre-LN", "pre-LN, scaled", "init"),
    ):  # fmt: skip
        assert [name for name in fields(a) if fields(a)[name] != fields(b)[name]] == [changed]
    for form, name in depth.NAMES.items():  # the numbers of gpt2/architecture are those of the same models
        assert depth.config(form, 5) == architecture.deep(name, 5)
    with pytest.raises(ValueError, match="a form among .*post-LN.*; got 'after'"):
        depth.config("after")


@pytest.mark.parametrize("form", ["post-LN", "pre-LN, scaled"])
def test_gradient_norms_by_a_small_step(form):
    """Along the gradient g of a block alone the loss changes by ||g|| per unit of length."""
    norms = depth.gradient_norms(form, 0, 2)
    gpt, ids = depth._untrained(form, 0, 2)
    gpt.double()

    def value():
        return F.cross_entropy(gpt(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    for place, block in enumerate(gpt.blocks):
        grads = torch.autograd.grad(value(), list(block.parameters()))
        length = math.sqrt(sum(g.square().sum().item() for g in grads))
        found = []
        for sign in (1, -1):
            with torch.no_grad():
                for p, g in zip(block.parameters(), grads):
                    p += sign * 1e-4 * g / length
                found.append(value().item())
                for p, g in zip(block.parameters(), grads):
                    p -= sign * 1e-4 * g / length
        assert norms[place] == pytest.approx((found[0] - found[1]) / 2e-4, rel=1e-3)


def test_sameness_against_a_slow_computation():
    found = depth.sameness("pre-LN", 1, 2)
    gpt, ids = depth._untrained("pre-LN", 1, 2)
    with torch.no_grad():
        h = gpt.W_e(ids[:, :-1]) + gpt.W_p(torch.arange(64))
        for place in range(3):
            x = h / h.norm(dim=-1, keepdim=True)
            cosines = [float(x[b, s] @ x[b, t]) for b in range(4) for s in range(0, 64, 1) for t in range(64) if s != t]
            assert found[place] == pytest.approx(np.mean(cosines), abs=1e-5)
            if place < 2:
                h = gpt.blocks[place](h)


def test_positions_become_the_same_in_deep_post_ln_and_not_when_its_steps_are_small():
    plain, scaled = depth.sameness("post-LN", 0), depth.sameness("post-LN, scaled", 0)
    assert plain[-1] > 0.95 > 0.5 > scaled[-1]
    assert depth.sameness("pre-LN", 0)[-1] < 0.85
    assert depth.sameness("post-LN", 0, 2)[-1] < 0.7


def test_gradients_of_post_ln_are_even_and_those_of_pre_ln_fall():
    post, pre = depth.gradient_norms("post-LN", 0), depth.gradient_norms("pre-LN", 0)
    assert post.max() < 2.5 * post.min() and pre[0] > 3 * pre[-1]


def test_a_short_run_is_that_of_the_architecture_experiment(monkeypatch):
    monkeypatch.setattr(architecture, "N_STEPS", 4)
    data = dataset.story_dataset(200, 5)
    here = depth.short_run(data, "pre-LN, scaled", 12, 3e-3, 0, 1)
    assert here == architecture.short_run(data, architecture.deep("before, first weights scaled"), 3e-3, 1)
    slower = depth.short_run(data, "pre-LN, scaled", 12, 3e-3, 3, 1)
    assert slower != here


def test_losses_are_those_of_both_tables_for_the_same_seeds():
    found = depth.losses("post-LN")
    assert list(found) == [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
    rows = {(row["seed"], float(row["x"])): float(row["value"]) for row in measured.rows("gpt2/architecture")
            if (row["experiment"], row["setting"]) == ("deep", "LayerNorm after")}  # fmt: skip
    for lr in architecture.RATES:
        assert found[lr].tolist() == [rows[str(seed), lr] for seed in depth.SEEDS]
    assert len(depth.best("post-LN")) == len(depth.SEEDS)
    assert depth.best("post-LN")[0] == min(values[0] for values in found.values())
    assert list(depth.losses("pre-LN", 12, depth.WARMUP)) == [3e-3, 1e-2]
    for (n_layers, warmup), forms in depth.MEASURED.items():
        assert all(np.isfinite(depth.best(form, n_layers, warmup)).all() for form in forms)
