"""Small widths: what the arms take away, and what the table says about LayerNorm."""

import numpy as np
import pytest
import torch

from minigpt.experiments import measured
from minigpt.experiments.gpt4 import scaling_runs, small_widths


def test_each_arm_leaves_of_a_vector_what_its_name_says():
    x = 3 + 2 * torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    found = {arm: normalise(x, 0.0) for arm, (normalise, _) in small_widths.ARMS.items()}
    for arm, y in found.items():
        centred, scaled = y.mean(-1).abs().max() < 1e-5, (y.square().mean(-1) - 1).abs().max() < 1e-4
        keeps_mean, keeps_spread = arm in ("mean kept", "both kept"), arm in ("spread kept", "both kept")
        assert (bool(centred), bool(scaled)) == (not keeps_mean, not keeps_spread), arm
    assert torch.equal(found["both kept"], x) and torch.equal(found["usual"], found["one head"])


def test_the_usual_arm_has_the_losses_of_the_models_themselves():
    models = [scaling_runs.fresh_model(scaling_runs.book(), 8, seed).eval() for seed in range(2)]
    texts = scaling_runs.held_out(scaling_runs.book())[:150]
    found = small_widths.held_out_losses(models, texts, small_widths.standardise)
    alone = [-scaling_runs.logps(model, scaling_runs.book(), texts).mean() for model in models]
    np.testing.assert_allclose(found, alone, atol=1e-5)
    assert abs(small_widths.held_out_losses(models, texts, small_widths.keep_both) - alone).min() > 1e-3


def test_the_table_holds_every_run():
    n = len(small_widths.ARMS) * len(small_widths.WIDTHS) * len(small_widths.SEEDS) * small_widths.REPEATS
    assert len(measured.rows("gpt4/small_widths")) == n


def test_what_layer_norm_costs_shrinks_with_the_width_and_heads_do_not_explain_it():
    names = ("both kept", "mean kept", "spread kept", "one head")
    both, mean, spread, head = (small_widths.costs(arm) for arm in names)
    assert (both[8] > both[24]).all() and both[8].mean() > both[12].mean() > both[24].mean()
    for one in (mean, spread):
        assert one[8].mean() > one[24].mean() and 0 < one[8].mean() < both[8].mean()
    assert abs(head[8].mean() - head[24].mean()) < 0.5 * (both[8].mean() - both[24].mean())
    assert (small_widths.costs(small_widths.USUAL)[8] == 0).all()
    with pytest.raises(ValueError, match="expected one of usual, mean kept.* got 'none'"):
        small_widths.costs("none")
