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
