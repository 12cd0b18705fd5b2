"""What was measured of predicted losses: intervals that hold, a reversal that was planted, and a threshold."""

import numpy as np
import pytest

from minigpt import scaling_laws
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import scaling_runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table():
    return measured.rows("gpt4/loss_prediction")


def runs_of(table, way, seed, widths):
    """(compute, loss) of the runs of one seed, compute rising."""
    rows = [r for r in table if (r["way"], int(r["seed"])) == (way, seed) and int(r["d_model"]) in widths]
    points = sorted((6 * float(r["n_params"]) * float(r["n_tokens"]), float(r["loss"])) for r in rows)
    return tuple(np.array(points).T)


def test_the_large_run_lies_in_the_interval_that_the_small_ones_gave(table):
    floor, hits, off, off_knowing = scaling_runs.floor(scaling_runs.book()), 0, [], []
    for seed in range(10):
        compute, loss = runs_of(table, "tuned", seed, scaling_runs.SMALL)
        assert len(loss) == len(scaling_runs.SMALL) * scaling_runs.REPEATS
        (at,), (came,) = runs_of(table, "tuned", seed, (scaling_runs.LARGE,))
        said = scaling_laws.predict(compute, loss, at, np.random.default_rng(seed))
        hits += said.holds(came)
        off.append(abs(said.value / came - 1))
        off_knowing.append(abs(scaling_laws.fit_floor_law(compute, loss, c=floor)(at) / came - 1))
    assert hits >= 8
    assert sum(np.array(off) < 0.03) >= 8
    assert max(off_knowing) < 0.01  # who knows the floor knows the rest


def test_a_task_whose_trend_reverses_was_planted_and_is_found(table):
    for seed in range(10):
        share = {}
        for row in table:
            if (row["way"], int(row["seed"])) == ("tuned", seed):
                share.setdefault(int(row["d_model"]), []).append(float(row["misprints"]))
        share = {d_model: np.mean(values) for d_model, values in share.items()}
        assert share[12] > share[8]  # the small ones get better with size
        assert share[scaling_runs.LARGE] < 0.1 < 0.9 < share[12]  # and then it turns round


def test_without_fame_there_is_a_threshold_and_no_power_law(table):
    for seed in range(3):
        _, loss = runs_of(table, "no fame", seed, (8, 12, 16, 24, 32, 48, 64))
        assert loss[0] - loss[2] < 0.02  # nothing happens for a factor of twenty in compute
        assert loss[2] - loss[-1] > 0.5  # and then very much
