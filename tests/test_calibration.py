"""Calibration by hand, on answers whose probabilities are known because we drew them, and on bad input."""

import numpy as np
import pytest
from scipy import optimize, special, stats

from minigpt import calibration


def test_reliability_by_hand():
    found = calibration.reliability([0.05, 0.15, 0.19, 0.95, 1.0], [0, 1, 0, 1, 1])
    assert found.counts.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert found.accuracy[[0, 1, 9]].tolist() == [0, 0.5, 1]
    assert np.isnan(found.accuracy[5])
    assert found.confidence[1] == pytest.approx(0.17)
    assert found.error == pytest.approx((0.05 + 2 * 0.33 + 2 * 0.025) / 5)


def test_a_model_that_knows_its_doubts_has_only_the_error_of_chance():
    rng = np.random.default_rng(0)
    p = rng.random(2000)
    correct = rng.random(2000) < p
    error, low, high = calibration.calibration_error(p, correct, rng, n_samples=200)
    chance = calibration.chance_error(p, rng, n_samples=100)
    assert low == 0 < high < 0.05
    assert error < 2 * chance < 0.08
    assert calibration.reliability(p, p).error < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.95, 1.0), (0.68, 0.90, 0.98)])
def test_the_interval_holds_the_true_calibration_error(share, least, most):
    """500 samples of 400 answers that are right with probability p - share (p - 1/2): the true error is share / 4."""
    kept = 0
    for world in range(500):
        rng = np.random.default_rng(world)
        p = rng.random(400)
        right = rng.random(400) < p - share * (p - 0.5)
        _, low, high = calibration.calibration_error(p, right, rng, n_samples=200)
        kept += low <= share / 4 <= high
    assert least <= kept / 500 <= most


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_with_one_bin_the_interval_is_that_of_a_mean(level):
    rng = np.random.default_rng(0)
    sure, right = np.full(500, 0.9), rng.random(500) < 0.6
    error, low, high = calibration.calibration_error(sure, right, rng, 1, level, n_samples=20_000)
    theirs = stats.norm.interval(level, 0.9 - right.mean(), stats.sem(right))
    assert error == pytest.approx(0.9 - right.mean())
    assert (low, high) == pytest.approx(theirs, abs=2e-3)


def test_over_confidence_is_seen_and_one_temperature_mends_it():
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=(3000, 4))
    p = special.softmax(logits, axis=1)
    right = (p.cumsum(axis=1) > rng.random((3000, 1))).argmax(axis=1)
    sure = calibration.choice_probabilities(3 * logits)
    picked = sure.argmax(axis=1)
    assert calibration.reliability(sure.max(axis=1), picked == right).error > 0.1
    T = calibration.best_temperature(3 * logits, right)
    assert T == pytest.approx(3, rel=0.1)
    mended = calibration.choice_probabilities(3 * logits, T)
    assert calibration.reliability(mended.max(axis=1), picked == right).error < 0.03


def test_the_temperature_is_scipys():
    rng = np.random.default_rng(1)
    logits, right = rng.normal(size=(50, 4)), rng.integers(4, size=50)

    def surprise(log_t):
        return -special.log_softmax(logits / np.exp(log_t), axis=1)[np.arange(50), right].mean()

    theirs = optimize.minimize_scalar(surprise, bounds=(np.log(0.05), np.log(20)), method="bounded",
                                      options={"xatol": 1e-10}).x  # fmt: skip
    assert np.log(calibration.best_temperature(logits, right)) == pytest.approx(theirs, abs=1e-4)


def test_choices_are_the_softmax():
    s = np.random.default_rng(0).normal(size=(5, 4)) * 50
    assert calibration.choice_probabilities(s, 2.0) == pytest.approx(special.softmax(s / 2, axis=1))
    far = [[0.0, 1.0], [-2000.0, -2001.0], [-np.inf, 3.0]]  # each row by its own largest
    assert calibration.choice_probabilities(far) == pytest.approx(special.softmax(far, axis=1))
    assert calibration.choice_probabilities([[0.0, 1.0, 1.0]], 1e-310).tolist() == [[0, 0.5, 0.5]]


def test_abstaining_ends_at_the_accuracy_of_all():
    rng = np.random.default_rng(0)
    p = rng.random(500)
    correct = rng.random(500) < p
    answered, accuracy = calibration.abstaining(p, correct)
    assert answered[-1] == 1
    assert accuracy[-1] == correct.mean()
    assert accuracy[49] > accuracy[-1] + 0.3  # the surest tenth


def test_pass_rates_by_hand():
    assert calibration.mean_log_pass_rate([0.5, 0.5]) == pytest.approx(np.log(2))
    assert calibration.mean_log_pass_rate([1.0]) == 0
    assert calibration.mean_log_pass_rate([1.0, 0.25]) == pytest.approx(np.log(4) / 2)  # not minus the log of the mean


@pytest.mark.parametrize("call, match", [
    (lambda: calibration.mean_log_pass_rate([0.5, 0.0]), "never solved"),
    (lambda: calibration.mean_log_pass_rate([]), "above 0"),
    (lambda: calibration.reliability([], []), "each answer"),
    (lambda: calibration.reliability([0.5], [1, 0]), "each answer"),
    (lambda: calibration.reliability([1.5], [1]), "from 0 to 1"),
    (lambda: calibration.reliability([np.nan], [1]), "from 0 to 1"),
    (lambda: calibration.reliability([0.5], [1], 0), "one bin"),
    (lambda: calibration.choice_probabilities([[0.0, 1.0]], 0), "temperature"),
    (lambda: calibration.choice_probabilities([0.0, 1.0]), "two choices"),
    (lambda: calibration.choice_probabilities([[np.nan, 1.0]]), "nan at question 0"),
    (lambda: calibration.choice_probabilities([[-np.inf, -np.inf]]), "possible choice"),
    (lambda: calibration.choice_probabilities([[np.inf, 0.0]]), "below infinity"),
    (lambda: calibration.best_temperature([[0.0, 1.0], [2.0, 0.0], [2.0, 0.0]], [1]), "3 questions"),
    (lambda: calibration.best_temperature([[0.0, 1.0]], [0, 1, 2]), "1 questions"),
    (lambda: calibration.best_temperature([[0.0, 1.0]], [-1]), "0 to 1"),
    (lambda: calibration.best_temperature([[0.0, 1.0]], [2]), "0 to 1"),
    (lambda: calibration.best_temperature([[0.0, 1.0]], [0.5]), "float64"),
    (lambda: calibration.best_temperature([[0.0, 1.0]], [[1]]), "shape"),
    (lambda: calibration.calibration_error([0.5], [1], np.random.default_rng(0), level=1.0), "a level"),
])  # fmt: skip
def test_bad_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_a_nan_among_the_log_probabilities_is_named():
    with pytest.raises(ValueError, match="nan at question 1"):
        calibration.choice_probabilities([[0.0, -1.0], [0.0, float("nan")]])
