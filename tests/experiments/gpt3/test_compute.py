"""Loss against compute: the seven widths, and the gap above the entropy floor."""

from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.experiments import pretraining
from minigpt.experiments.gpt3 import compute
from minigpt.stats import Estimate


def test_every_width_has_a_model_and_others_are_refused():
    for d in compute.WIDTHS:
        config = compute.gpt_of_width(d)
        assert config.d_model == d and config.norm == "pre" and config.init_std == pytest.approx(d**-0.5, abs=1e-4)
    with pytest.raises(ValueError, match="expected a width among .*; got 20"):
        compute.gpt_of_width(20)


def test_the_gap_is_a_share_of_the_floor_by_hand(monkeypatch):
    """30 nats in 10 tokens where 20 are the least: 1 nat a token above a floor of 2, which is half of it."""
    monkeypatch.setattr(pretraining, "held_out_nats", lambda model, data: np.array([12.0, 18.0]))
    data = SimpleNamespace(
        held_out_nats=np.array([8.0, 12.0]), held_out_tokens=np.array([4, 6]), floor=Estimate(2.0, 0.1)
    )
    assert compute.loss_above_floor(SimpleNamespace(model=None), data) == pytest.approx(0.5)


def test_learning_curves_leave_the_warm_up_out_and_no_width():
    for seed in compute.SEEDS:
        curves, every = compute.learning_curves(seed), compute.learning_curves(seed, 0)
        assert tuple(curves) == tuple(every) == compute.WIDTHS
        for d, (spent, loss) in curves.items():
            assert len(spent) == len(every[d][0]) - 2 and (np.diff(spent) > 0).all()
            assert spent[-1] == every[d][0][-1] and loss[-1] == every[d][1][-1]
            assert spent[0] * 8.64e19 >= 6 * compute.WARM_UP * 12 * 2 * d**2  # more than the matrices alone
    with pytest.raises(ValueError, match="expected a seed of"):
        compute.learning_curves(7)


def test_compute_by_hand():
    """d = 8: two blocks of 12 d^2 weights, 13 d biases and gains, and a last LayerNorm of 2 d, without embeddings."""
    n = 2 * (12 * 64 + 13 * 8) + 2 * 8
    assert compute.spent(8, 1000) == pytest.approx(6 * n * 1000 / 8.64e19)


def test_a_power_law_above_a_floor_is_straight_only_if_the_floor_is_taken_off():
    x = np.geomspace(1, 1e3, 12)
    curves = {d: (x[i : i + 7], 2 + 3 * x[i : i + 7] ** -0.4) for i, d in enumerate((8, 16, 24, 32, 48, 96))}
    plain, above = compute.LossAgainstCompute(curves), compute.LossAgainstCompute(curves, 2.0)
    assert above.straightness == pytest.approx((0, 1), abs=1e-6) and above.law.b == pytest.approx(-0.4)
    assert plain.straightness[0] > 0.01 and plain.straightness[1] < 0.99
    predicted, last = above.predicted(96)
    assert predicted == pytest.approx(last) == pytest.approx(2 + 3 * 1e3**-0.4)
    assert plain.predicted(96)[0] < last


def test_what_the_chapter_says_of_the_measured_curves():
    for seed in compute.SEEDS:
        curves = compute.learning_curves(seed)
        plain, above = (compute.LossAgainstCompute(curves, floor) for floor in (0.0, 0.64056))
        assert plain.straightness[0] > 0.015 and abs(above.straightness[0]) < 0.01
        assert plain.straightness[1] < 0.94 and above.straightness[1] > 0.98
