"""Confidence intervals against scipy, by hand, and by how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from minigpt import stats


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 5, 6, 17, 30, 200])
def test_students_t(dof):
    assert stats.t95(dof) == pytest.approx(scipy_stats.t.ppf(0.975, dof), rel=1e-9)
    assert stats.t95(np.int64(dof)) == stats.t95(dof)


def test_z_is_the_limit_of_t():
    assert pytest.approx(scipy_stats.norm.ppf(0.975), abs=1e-12) == stats.Z95
    assert stats.t95(100_000) == pytest.approx(stats.Z95, abs=1e-4)


@pytest.mark.parametrize(("wins", "n"), [(0, 10), (7, 10), (253, 400), (400, 400)])
def test_wilson_against_scipy(wins, n):
    theirs = scipy_stats.binomtest(wins, n).proportion_ci(method="wilson")
    assert stats.wilson(wins, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert stats.share_interval([1.0] * wins + [0.0] * (n - wins)) == stats.wilson(wins, n)


def test_an_interval_for_scores_between_right_and_wrong_is_that_of_a_mean():
    scores = np.random.default_rng(0).random(50)
    theirs = scipy_stats.norm.interval(0.95, scores.mean(), scipy_stats.sem(scores))
    assert stats.share_interval(scores.tolist()) == pytest.approx(theirs)
    assert stats.share_interval([0.5]) == (0.0, 1.0)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 11, 40])
def test_over_seeds_against_scipy(n):
    values = np.random.default_rng(n).normal(3, 2, n)
    theirs = scipy_stats.t.interval(0.95, n - 1, values.mean(), scipy_stats.sem(values))
    found = stats.over_seeds(iter(values))
    assert (found.low, found.high) == pytest.approx(theirs) and found.mean == pytest.approx(values.mean())


def test_intervals_are_those_of_each_quantity_cut_at_their_limits():
    means, low, high = stats.intervals([[0.9, 1.0], [0.4, 0.5, 0.6]], 0, 1)
    assert means == pytest.approx([0.95, 0.5])
    assert (low[0], high[0]) == (pytest.approx(0.95 - 12.7062 * 0.05, abs=1e-4), 1)
    assert high[1] - 0.5 == pytest.approx(0.5 - low[1]) == pytest.approx(4.30265 * 0.1 / 3**0.5, abs=1e-5)


@pytest.mark.parametrize("call", [
    lambda: stats.wilson(11, 10), lambda: stats.wilson(0, 0), lambda: stats.wilson(float("nan"), 4),
    lambda: stats.share_interval([]), lambda: stats.share_interval([0.5, 1.5]),
    lambda: stats.over_seeds([1.0]), lambda: stats.over_seeds([1.0, float("nan")]),
    lambda: stats.verdict([], 0.1), lambda: stats.verdict([0.1, float("nan")], 0.1),
    lambda: stats.verdict([0.1], float("inf")), lambda: stats.t95(0), lambda: stats.t95(2.5), lambda: stats.t95(True),
])  # fmt: skip
def test_bad_input_is_named(call):
    with pytest.raises(ValueError, match="expected"):
        call()


@pytest.mark.parametrize(("n", "of", "words"), [
    (5, 5, "reproduced"), (4, 5, "reproduced"), (8, 10, "reproduced"), (12, 15, "reproduced"), (1, 1, "reproduced"),
    (3, 5, "partly"), (7, 10, "partly"), (2, 5, "partly"), (3, 10, "partly"), (1, 2, "partly"), (3, 4, "partly"), (1, 4, "partly"),
    (1, 5, "not reproduced"), (2, 10, "not reproduced"), (3, 15, "not reproduced"), (0, 1, "not reproduced"),
])  # fmt: skip
def test_the_verdict_counts_the_cases_with_at_least_the_margin(n, of, words):
    assert stats.verdict([0.5] * n + [0.25] * (of - n), 0.5) == words
    assert stats.verdict((x for x in [-0.5] * n + [-0.75] * (of - n)), -0.5) == words


def test_intervals_of_several_quantities_are_cut_where_shares_end():
    means, lows, highs = stats.intervals([[0.9, 1.0], [0.2, 0.4, 0.6]], 0, 1)
    assert means == pytest.approx([0.95, 0.4])
    assert highs[0] == 1 and lows[0] == stats.over_seeds([0.9, 1.0]).low
    assert (lows[1], highs[1]) == (0, stats.over_seeds([0.2, 0.4, 0.6]).high)
    assert stats.intervals([[5.0, 7.0]])[2][0] > 7
