"""The best policy of a calibrated model is over-confident, by exactly the formula, and one temperature mends it."""

import numpy as np
import pytest

from minigpt import calibration
from minigpt.exact import confidence, optimal_policy


@pytest.fixture
def p():
    return np.random.default_rng(0).dirichlet([1.0, 2.0, 0.5, 1.0], size=50)


def test_it_is_the_optimal_policy_for_the_reward_of_being_right(p):
    for gain, beta in ((0.0, 1.0), (1.3, 0.5), (40.0, 0.05)):
        for row, tilted in zip(p, confidence.tilted(p, gain)):
            logp, _ = optimal_policy.tilt(np.log(row), gain * beta * row, beta)
            np.testing.assert_allclose(tilted, np.exp(logp), atol=1e-12)


def test_no_other_policy_has_a_higher_objective():
    p, beta, u = np.array([0.7, 0.3]), 0.5, 1.0
    grid = np.linspace(1e-4, 1 - 1e-4, 100001)
    q = np.stack([grid, 1 - grid], axis=1)
    J = (q * (u * p - beta * np.log(q / p))).sum(axis=1)
    assert q[J.argmax(), 0] == pytest.approx(confidence.tilted([p], u / beta)[0, 0], abs=2e-5)


def test_for_two_choices_the_log_odds_grow_by_the_gain_times_two_p_minus_one():
    p = confidence.evenly_sure(200)
    odds = lambda q: np.log(q[:, 0] / q[:, 1])  # noqa: E731
    np.testing.assert_allclose(odds(confidence.tilted(p, 1.7)), odds(p) + 1.7 * (2 * p[:, 0] - 1), atol=1e-9)


def test_accuracy_stays_and_confidence_grows_with_the_gain(p):
    sure, right = confidence.confidence_and_accuracy(p, p)
    np.testing.assert_array_equal(sure, right)
    for gain in (0.5, 1.0, 5.0):
        surer, same = confidence.confidence_and_accuracy(p, confidence.tilted(p, gain))
        np.testing.assert_array_equal(same, right)
        assert (surer >= sure).all() and surer.mean() > sure.mean()
        sure = surer


@pytest.mark.parametrize(("gain", "error", "temperature"), [(0.5, 0.029, 1.2), (1, 0.053, 1.4), (2, 0.091, 1.8), (5, 0.153, 2.9)])
def test_errors_and_temperatures_where_confidence_is_spread_evenly(gain, error, temperature):
    p = confidence.evenly_sure()
    q = confidence.tilted(p, gain)
    assert confidence.confidence_and_accuracy(p, q)[1].mean() == pytest.approx(0.75)
    assert confidence.calibration_error(p, q) == pytest.approx(error, abs=5e-4)
    best = confidence.mending_temperature(p, q)
    assert best == pytest.approx(temperature, abs=0.05)
    mended = confidence.at_temperature(q, best)
    assert confidence.calibration_error(p, mended) < 0.15 * error


@pytest.mark.slow
def test_the_sampled_estimates_of_calibration_come_to_the_same():
    p = confidence.evenly_sure(4000)
    q = confidence.tilted(p, 2.0)
    rng = np.random.default_rng(1)
    p, q = np.tile(p, (10, 1)), np.tile(q, (10, 1))
    right = (rng.random(len(p)) > p[:, 0]).astype(int)
    found = calibration.reliability(q[:, 0], right == 0, 50)
    assert found.error == pytest.approx(confidence.calibration_error(p, q), abs=0.01)
    assert calibration.best_temperature(np.log(q), right) == pytest.approx(confidence.mending_temperature(p, q), rel=0.03)


def test_the_mending_temperature_has_the_lowest_cross_entropy(p):
    q = confidence.tilted(p, 3.0)
    best = confidence.mending_temperature(p, q)
    nats = lambda T: -(p * np.log(confidence.at_temperature(q, T))).sum()  # noqa: E731
    assert nats(best) < min(nats(best * 1.01), nats(best / 1.01))
    assert confidence.mending_temperature(p, p) == pytest.approx(1)
    assert confidence.mending_temperature(p, confidence.at_temperature(p, 0.4)) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: confidence.tilted([[0.5, 0.6]], 1), "adding to 1"),
        (lambda: confidence.tilted([0.5, 0.5], 1), "at least two choices"),
        (lambda: confidence.tilted([[0.5, 0.5]], -1), "gain u / beta of at least 0"),
        (lambda: confidence.at_temperature([[0.5, 0.5]], 0), "temperature above 0"),
        (lambda: confidence.calibration_error([[0.5, 0.5]], [[0.2, 0.3, 0.5]]), "same shape"),
        (lambda: confidence.mending_temperature([[0.5, 0.5]], [[1.0, 0.0]]), "above 0"),
    ],
)
def test_bad_input_is_told_what_was_expected(call, words):
    with pytest.raises(ValueError, match=words):
        call()
