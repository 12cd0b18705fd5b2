"""Dashboards: every mistake is one function of PPO or its rate, and shows in the stored curves what its name says."""

import dataclasses

import numpy as np
import pytest
import torch

from minigpt.experiments.instructgpt import dashboards, ppo_bugs

FEW = dataclasses.replace(dashboards.CONFIG, batch_size=16, n_iterations=2)


def last(mistake, quantity, n=10):
    """The mean over the last n iterations, one number a seed."""
    return np.nanmean(dashboards.curves(mistake)[quantity][:, -n:], axis=1)


def test_every_mistake_but_the_rate_is_one_of_the_gallery():
    assert set(dashboards.MISTAKES) - {"learning rate too high"} < set(ppo_bugs.BUGS)
    assert set(dashboards.RUNS.values()) < set(dashboards.MISTAKES) and list(dashboards.RUNS) == list("ABCDEF")


def test_a_run_depends_on_its_seed_alone_and_dropout_leaves_the_readers_generator_as_it_was():
    torch.default_generator.manual_seed(5)
    before = torch.default_generator.get_state()
    first, again = (dashboards.run("dropout left on", 1, FEW) for _ in range(2))
    assert [r.ratio_error for r in first] == [r.ratio_error for r in again]
    assert torch.equal(torch.default_generator.get_state(), before) and first[0].ratio_error > 0.1


def test_a_rate_that_is_too_high_is_the_only_change_of_that_run():
    right, fast = dashboards.run(None, 0, FEW), dashboards.run("learning rate too high", 0, FEW)
    assert right[0].reward == fast[0].reward and right[1].reward != fast[1].reward  # the first answers are the same


def test_the_stored_curves_have_every_iteration_of_every_seed():
    for name in ("none", *dashboards.MISTAKES):
        found = dashboards.curves(name)
        assert set(found) == set(dashboards.LOGGED)
        for values in found.values():
            assert values.shape == (len(dashboards.SEEDS), dashboards.CONFIG.n_iterations) and np.isfinite(values).all()
    with pytest.raises(ValueError, match="expected one of"):
        dashboards.curves("bad luck")


def test_the_curves_show_what_the_exercise_says_of_each_mistake():
    """For every seed: what separates a run from the right ones of all seeds."""
    right = {name: last("none", name) for name in dashboards.LOGGED}
    assert last("no KL", "kl").min() > 3 * right["kl"].max() and last("no KL", "entropy").max() < 0.2
    assert last("no KL", "reward").min() > right["reward"].max() + 0.5
    sign = "KL with the wrong sign"
    assert last(sign, "kl").min() > 3 * right["kl"].max() and last(sign, "reward").max() < last("no KL", "reward").min()
    assert dashboards.curves(sign)["entropy"][:, 10].max() < 0.5 < dashboards.curves("none")["entropy"][:, 10].min()
    many = "score at every token"
    assert right["kl"].max() < last(many, "kl").min() and last(many, "entropy").min() > 0.3
    assert last(many, "explained_variance").max() < right["explained_variance"].min()
    assert (dashboards.curves("padding counts")["length"] == 4).all() and right["length"].max() < 3.9
    forbidden = dashboards.curves("the end is forbidden at first")
    assert forbidden["kl"][:, 10:].mean() < 0 and forbidden["length"].min() >= 3
    assert last("dropout left on", "clip_fraction").min() > 5 * right["clip_fraction"].max()
    fast = dashboards.curves("learning rate too high")
    assert fast["explained_variance"][:, 9].max() < dashboards.curves("none")["explained_variance"][:, 9].min()
