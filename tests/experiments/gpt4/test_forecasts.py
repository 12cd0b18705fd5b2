"""Forecasts from stored runs: shares of the reducible loss, residuals and mistakes, recomputed by other means."""

import math

import numpy as np
import pytest

from minigpt import scaling_laws
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import forecasts, ladder_game, ladders, loss_prediction, scaling_runs

FLOOR = scaling_runs.floor(scaling_runs.book())  # nats per token
WIDTHS = scaling_runs.SMALL


def test_runs_are_those_of_the_table_in_order_of_compute():
    C, L = forecasts.runs(3, WIDTHS)
    assert len(C) == 4 * len(WIDTHS) and (np.diff(C) >= 0).all()
    large = measured.get("gpt4/loss_prediction", "loss", way="tuned", d_model=96, seed=3)
    assert forecasts.runs(3, (96,))[1].tolist() == large.tolist()
    with pytest.raises(ValueError, match="no runs of 'untuned'"):
        forecasts.runs(0, WIDTHS, way="untuned")


def test_residuals_are_those_of_a_straight_line_between_the_logarithms():
    found = forecasts.residuals(FLOOR)
    assert {8, 10, 96, 128} < set(found) and all(len(found[d]) == 10 for d in WIDTHS)
    rows = [row for row in measured.rows("gpt4/loss_prediction") if row["way"] == "tuned"]
    size = np.array([[float(row[k]) for k in ("n_params", "n_tokens", "loss", "d_model", "seed")] for row in rows])
    x, y = np.log(6 * size[:, 0] * size[:, 1]), np.log(size[:, 2] - FLOOR)
    chosen = np.isin(size[:, 3], (16, 24, 32, 96))
    slope, level = np.polyfit(x[chosen], y[chosen], 1)
    off = 100 * (size[:, 2] / (FLOOR + np.exp(level + slope * x)) - 1)
    for d in (8, 32, 96):
        one = off[(size[:, 3] == d) & (size[:, 4] == 2)].mean()
        assert found[d][2] == pytest.approx(one, abs=1e-9)
    assert np.mean(found[8]) > 0.5 > abs(np.mean(found[16]))


def test_errors_are_shares_of_what_is_left_to_learn():
    found = forecasts.errors(WIDTHS, FLOOR, seeds=(0, 4))
    for i, seed in enumerate((0, 4)):
        (at,), (came,) = forecasts.runs(seed, (96,))
        said = scaling_laws.predict(*forecasts.runs(seed, WIDTHS), at, np.random.default_rng(0))
        assert found["share"][i] == pytest.approx(scaling_laws.reducible_error(said.value, came, FLOOR))
        assert found["percent"][i] == pytest.approx(100 * (said.value / came - 1))
        assert found["inside"][i] == (said.low <= came <= said.high)
    known = forecasts.errors(WIDTHS, FLOOR, FLOOR, seeds=(0, 4))
    assert np.abs(known["share"]).max() < 0.2 < found["share"].max()


def test_the_readers_intervals_are_scored_in_units_of_the_reducible_loss():
    seed = forecasts.NAMES["ladder 3"]
    runs = ladder_game.ladder(seed)
    left = runs.measured - runs.floor
    given = {"ladder 1": ..., "ladder 3": (runs.measured - 0.3 * left, runs.measured + 0.2 * left)}
    ((name, _, score, _, theirs, came),) = forecasts.contest(given)
    assert (name, score, came) == ("ladder 3", "0.50", f"{runs.measured:.3f}")
    assert float(theirs) == pytest.approx(ladder_game.outcome(runs, ladder_game.floor_law).score, abs=0.006)
    assert forecasts.contest({}) == []
    with pytest.raises(ValueError, match="ladder 1.*got 'ladder 0'"):
        forecasts.contest({"ladder 0": (1.0, 2.0)})
    with pytest.raises(ValueError, match="low <= high"):
        forecasts.contest({"ladder 1": (2.0, 1.0)})


def test_the_practice_ladders_hide_their_results_behind_larger_computes():
    practice = forecasts.practice()
    assert list(practice) == [f"ladder {i}" for i in range(1, len(ladders.SEEDS) + 1)]
    for compute, loss, at, came, floor in practice.values():
        assert at > 10 * compute.max() and floor < came < loss.min()


def test_exponents_are_those_of_straight_lines():
    found = forecasts.kappas()
    assert list(found) == sorted({zipf for zipf, _, _ in ladders.LANGUAGES})
    runs = ladder_game.ladder(0)
    x, y = np.log(np.append(runs.compute, runs.at)), np.log(np.append(runs.loss, runs.measured) - runs.floor)
    assert found[runs.zipf][0] == pytest.approx(-np.polyfit(x, y, 1)[0])


@pytest.mark.slow
def test_mistakes_are_told_beside_the_usual_way():
    rows = forecasts.mistakes(FLOOR)
    assert [row[0].split(":")[0] for row in rows] == [
        "none", "too few points", "no floor", "one learning rate", "a threshold"
    ]  # fmt: skip
    error = {row[0].split(":")[0]: float(row[2]) for row in rows}
    assert error["none"] == pytest.approx(100 * forecasts.errors(WIDTHS, FLOOR)["share"].mean(), abs=0.5)
    assert error["no floor"] < -100 < error["none"] < 100 < error["a threshold"]
    half = [float(row[3].strip("± ")) for row in rows[:2]]
    assert half[1] > 2 * half[0] and rows[4][4] == "0 of 5"


def test_what_lies_beyond_is_the_last_run_of_the_same_way():
    at, (C, L), came, said = forecasts.beyond("one rate", 1)
    assert at > C.max() and len(L) == len(forecasts.OTHER_FITTED) and said.low < said.value < said.high
    row = measured.get("gpt4/loss_prediction", "loss", way="one rate", seed=1, d_model=64)
    assert [came] == row.tolist()


def test_surprises_and_misled_answers_are_grouped_by_width():
    found = forecasts.surprise(0, "class 5")
    assert list(found) == sorted(ladders.REPEATS) and [len(x) for _, x in found.values()] == [
        ladders.REPEATS[d] for d in sorted(ladders.REPEATS)
    ]
    misled = forecasts.misled()
    assert list(misled) == sorted(misled) and {2, 4, 6, 8, 96} < set(misled)
    both = [measured.get("gpt4/inverse_scaling", "misprints", d_model=2, seed=1, repeat=i)[0] for i in (0, 1)]
    assert misled[2][1] == pytest.approx(np.mean(both))
    assert np.mean(misled[2]) < np.mean(misled[12]) > np.mean(misled[96])
    assert len(misled[12]) == len(loss_prediction.SEEDS)


def test_the_best_size_with_larger_batches_grows_with_compute():
    law = forecasts.larger_batches()
    assert law.n == 4 and 0 < law.b < 1 and math.isfinite(law.b_low)


@pytest.mark.parametrize("given", [1.5, (1.2,), ("a", "b"), None])
def test_an_interval_that_is_none_is_refused_in_words(given):
    with pytest.raises(ValueError, match=r"ladder 1: expected an interval, \(low, high\)"):
        forecasts.contest({"ladder 1": given})
