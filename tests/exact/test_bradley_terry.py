"""bradley_terry: the floor by hand, fits against scipy, and errors that hold."""

import math
import statistics

import numpy as np
import pytest
from scipy import optimize as scipy_optimize
from scipy import special
from scipy import stats as scipy_stats

from minigpt.exact import bradley_terry


def test_the_floor_of_a_reward_model():
    assert bradley_terry.bradley_terry_floor([0.0, 0.0, 0.0]) == pytest.approx(math.log(2))
    assert bradley_terry.bradley_terry_floor([0.0, 1000.0]) == pytest.approx(0.0, abs=1e-12)
    u = np.array([0.0, 1.0, -0.5])
    p = special.expit(u[[0, 0, 1]] - u[[1, 2, 2]])
    assert bradley_terry.bradley_terry_floor(u) == pytest.approx(np.mean([scipy_stats.entropy([x, 1 - x]) for x in p]))


def test_the_floor_weighs_a_pair_by_both_answers():
    u, w = np.array([0.0, 1.0, -0.5]), np.array([3.0, 1.0, 2.0])
    total, weight = 0.0, 0.0
    for i, j in ((0, 1), (0, 2), (1, 2)):
        p = special.expit(u[i] - u[j])
        total, weight = total + w[i] * w[j] * scipy_stats.entropy([p, 1 - p]), weight + w[i] * w[j]
    assert bradley_terry.bradley_terry_floor(u, w) == pytest.approx(total / weight, abs=1e-12)


def test_the_worth_of_pairs_by_another_fit_and_another_variance():
    """Three repeats only, so that dividing the variance by n or by n - 1 is seen."""
    found = bradley_terry.worth_of_pairs(3, np.random.default_rng(5), n_prompts=20, n_repeats=3)
    rng, fitted, promised = np.random.default_rng(5), [], []
    for _ in range(3):
        x = rng.normal(size=(20, 3))
        seems = x + rng.gumbel(size=x.shape)
        ahead = [
            (row[a] - row[b]) * (1 if s[a] > s[b] else -1) for row, s in zip(x, seems) for a, b in ((0, 1), (0, 2), (1, 2))
        ]
        ahead = np.array(ahead)
        w = scipy_optimize.brentq(lambda v: (special.expit(-v * ahead) * ahead).sum(), -5, 20, xtol=1e-13)  # noqa: B023
        p = special.expit(w * ahead)
        fitted.append(w)
        promised.append(1 / (p * (1 - p) * ahead**2).sum())
    assert found == pytest.approx(3 * np.mean(promised) / statistics.variance(fitted), rel=1e-6)


def test_a_fitted_reward_model_is_where_scipy_puts_it():
    rng = np.random.default_rng(0)
    features, winners, losers = rng.normal(size=(40, 3)), rng.integers(0, 40, 200), rng.integers(0, 40, 200)
    w = bradley_terry.fit_bradley_terry(features, winners, losers, ridge=0.5)

    def loss(v):
        return np.logaddexp(0, -(features[winners] - features[losers]) @ v).sum() + 0.25 * v @ v

    assert w == pytest.approx(scipy_optimize.minimize(loss, np.zeros(3), tol=1e-10).x, abs=1e-5)


def test_one_pair_is_worth_one_and_many_pairs_of_one_ranking_less_than_they_are():
    rng = np.random.default_rng(1)
    assert bradley_terry.worth_of_pairs(2, rng) == pytest.approx(1, abs=0.3)
    four, nine = bradley_terry.worth_of_pairs(4, rng), bradley_terry.worth_of_pairs(9, rng)
    assert 2 < four < 6 * 0.9 and four < nine < 36 * 0.6


@pytest.mark.parametrize("n_answers", [4, 9])
def test_r3_the_errors_are_right_when_the_pairs_of_a_prompt_are_taken_together(n_answers):
    """Fitted to rankings again and again: errors that treat pairs as independent are too small, those of prompts are not."""
    rng, (first, second) = np.random.default_rng(n_answers), np.triu_indices(n_answers, 1)
    naive, together = [], []
    for _ in range(200):
        x = rng.normal(size=(150, n_answers))
        seems = x + rng.gumbel(size=x.shape)
        ahead = np.where(seems[:, first] > seems[:, second], 1, -1) * (x[:, first] - x[:, second])
        features = np.append(ahead.ravel(), 0.0)[:, None]
        (w,) = bradley_terry.fit_bradley_terry(features, np.arange(ahead.size), np.full(ahead.size, ahead.size), 0.0)
        p = special.expit(ahead * w)
        curvature = (p * (1 - p) * ahead**2).sum()
        slopes = ((1 - p) * ahead).sum(axis=1)  # of each prompt
        naive.append((w - 1) * math.sqrt(curvature))
        together.append((w - 1) * curvature / math.sqrt((slopes**2).sum()))
    assert np.std(naive) > {4: 1.1, 9: 1.4}[n_answers]  # measured: 1.2 and 1.7
    assert abs(np.mean(together)) < 0.5 and 0.8 < np.std(together) < 1.3
