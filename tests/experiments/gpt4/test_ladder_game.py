"""The ladders as a game: intervals that hold, baselines, and outcomes in units of what is left."""

import numpy as np
import pytest

from minigpt import scaling_laws
from minigpt.experiments.gpt4 import ladder_game

COMPUTE = np.repeat(np.geomspace(5e9, 4e10, 4), 3)


def made_up(exponent, spread, seed):
    rng = np.random.default_rng(seed)
    law = scaling_laws.FloorLaw(0.25 * 5e9**exponent, -exponent, 1.0)
    return law(COMPUTE) * (1 + spread * rng.normal(size=len(COMPUTE))), float(law(8e11) * (1 + spread * rng.normal()))


@pytest.mark.slow
def test_the_interval_with_a_rough_exponent_holds_what_it_claims_and_is_narrower():
    held, widths = [], []
    for seed in range(200):
        exponent = float(np.random.default_rng([seed, 1]).uniform(0.12, 0.35))
        loss, came = made_up(exponent, 0.008, seed)
        said = ladder_game.bounded_law(COMPUTE, loss, 8e11, np.random.default_rng(seed))
        held.append(said.holds(came))
        free = ladder_game.floor_law(COMPUTE, loss, 8e11, np.random.default_rng(seed)) if seed < 20 else None
        widths += [(said.high - said.low) / (free.high - free.low)] if free else []
    assert 0.84 <= np.mean(held) <= 0.96 and np.mean(widths) < 0.8


@pytest.mark.parametrize("exponent", [0.15, 0.32])
def test_where_the_runs_tell_the_exponent_the_prediction_follows_them(exponent):
    loss, came = made_up(exponent, 1e-5, 3)
    said = ladder_game.bounded_law(COMPUTE, loss, 8e11, np.random.default_rng(0))
    assert said.value == pytest.approx(came, abs=1e-3) and said.high - said.low < 5e-3
    assert said.floors[0] < 1.0 < said.floors[1]


def test_the_baselines_say_what_they_are_called():
    loss, _ = made_up(0.25, 0.005, 0)
    same = ladder_game.no_change(COMPUTE, loss, 8e11, np.random.default_rng(0))
    assert same.value == pytest.approx(loss[-3:].mean()) and same.low < same.value < same.high
    bare = ladder_game.power_law(COMPUTE, loss, 8e11, np.random.default_rng(0))
    slope, level = np.polyfit(np.log(COMPUTE), np.log(loss), 1)
    assert bare.value == pytest.approx(np.exp(level + slope * np.log(8e11)), rel=0.005)


def test_an_outcome_is_told_in_units_of_what_is_left():
    found = ladder_game.Outcome(predicted=1.3, low=1.25, high=1.35, measured=1.2, floor=1.1)
    assert not found.holds and found.error == pytest.approx(1.0) and found.error_of_loss == pytest.approx(1 / 12)
    assert found.score == pytest.approx((0.1 + 20 * 0.05) / 0.1)
    table = ladder_game.summary([found, ladder_game.Outcome(1.2, 1.1, 1.3, 1.2, 1.1)])
    assert table["intervals that hold"] == 1 and table["width (reducible losses)"] == pytest.approx(1.5)
