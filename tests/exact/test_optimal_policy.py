"""The optimum by two roads, identities that hold to the last digits, and brute force."""

import math
from itertools import product

import numpy as np
import pytest
from answer_worlds import TREE, world
from scipy import special
from scipy import stats as scipy_stats

from minigpt import stats
from minigpt.exact import bradley_terry, optimal_policy
from minigpt.worlds.answer_tree import Answers

HALVES = np.log([0.5, 0.5])


def policy(seed, tree=TREE):
    return world(seed + 1000, tree)[:2]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("beta", [0.1, 0.3, 1.0, 5.0])
def test_two_roads_to_the_optimum(seed, beta):
    token_logps, logp_sft, reward = world(seed)
    logp_star, value = optimal_policy.tilt(logp_sft, reward, beta)
    token_star, root = optimal_policy.soft_backup(TREE, token_logps, reward, beta)
    assert TREE.logps(token_star) == pytest.approx(logp_star, abs=1e-12)
    assert root == pytest.approx(value, abs=1e-12)
    assert np.exp(token_star).sum(axis=1) == pytest.approx(np.ones(85), abs=1e-12)
    assert optimal_policy.objective(logp_star, logp_sft, reward, beta) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_what_any_policy_lacks_is_beta_times_its_distance_from_the_optimum(seed):
    _, logp_sft, reward = world(seed)
    _, logp = policy(seed)
    for beta in (0.2, 1.0):
        logp_star, value = optimal_policy.tilt(logp_sft, reward, beta)
        found = optimal_policy.objective(logp, logp_sft, reward, beta)
        assert found == pytest.approx(value - beta * optimal_policy.kl(logp, logp_star), abs=1e-12)
        assert found < value
    assert optimal_policy.kl(logp, logp_sft) == pytest.approx(scipy_stats.entropy(np.exp(logp), np.exp(logp_sft)), abs=1e-12)


def test_the_gradient_is_that_of_the_objective():
    _, logp_sft, reward = world(0)
    token_logps, _ = policy(0)
    gradient = optimal_policy.policy_gradient(TREE, token_logps, logp_sft, reward, 0.3)
    rng = np.random.default_rng(1)
    for _ in range(5):
        way = rng.normal(size=token_logps.shape)
        ends = []
        for step in (1e-5, -1e-5):
            logp = TREE.logps(special.log_softmax(token_logps + step * way, axis=1))
            ends.append(optimal_policy.objective(logp, logp_sft, reward, 0.3))
        assert (gradient * way).sum() == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)
    star, _ = optimal_policy.soft_backup(TREE, world(0)[0], reward, 0.3)
    assert np.abs(optimal_policy.policy_gradient(TREE, star, logp_sft, reward, 0.3)).max() < 1e-12


def test_nobody_is_above_the_frontier():
    _, logp_sft, reward = world(2)
    distances, rewards = optimal_policy.frontier(logp_sft, reward, np.geomspace(0.05, 20, 200)[::-1])
    assert np.all(np.diff(distances) > 0) and np.all(np.diff(rewards) > 0)
    for seed in range(20):
        for share in (0.1, 0.5):
            q = (1 - share) * np.exp(logp_sft) + share * np.exp(policy(seed)[1])
            at = optimal_policy.kl(np.log(q), logp_sft)
            assert q @ reward < np.interp(at, distances, rewards) + 1e-6


@pytest.mark.parametrize("ties", [False, True])
def test_best_of_n_by_listing_all_draws(ties):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(6))
    reward = np.array([0.0, 1, 1, 2, 2, 2]) if ties else rng.normal(size=6)
    for n in (1, 2, 3):
        kept = np.zeros(6)
        for draws in product(range(6), repeat=n):
            best = [i for i in draws if reward[i] == max(reward[j] for j in draws)]
            for i in best:  # one of the drawn ones, each draw equally often
                kept[i] += np.prod(p[list(draws)]) / len(best)
        assert np.exp(optimal_policy.best_of_n(np.log(p), reward, n)) == pytest.approx(kept, abs=1e-12)
    distance = optimal_policy.kl(optimal_policy.best_of_n(np.log(p), reward, 4), np.log(p))
    assert 0 < distance <= math.log(4) - 3 / 4 + 1e-12


def test_win_rates_by_hand_and_turned_round():
    _, a, reward = world(0)
    _, b = policy(0)
    for labelers in ("truth", "noisy"):
        there, back = optimal_policy.win_rate(a, b, reward, labelers), optimal_policy.win_rate(b, a, reward, labelers)
        assert there + back == pytest.approx(1, abs=1e-12)
        assert optimal_policy.win_rate(a, a, reward, labelers) == pytest.approx(0.5, abs=1e-12)
    p, r = np.log([0.5, 0.5]), np.array([0.0, 1.0])
    assert optimal_policy.win_rate(np.log([1e-300, 1.0]), p, r) == pytest.approx(0.75)
    assert optimal_policy.win_rate(np.log([1e-300, 1.0]), p, r, "noisy") == pytest.approx((0.5 + special.expit(1)) / 2)


@pytest.mark.parametrize(("wins", "n"), [(0, 10), (7, 10), (253, 400), (400, 400)])
def test_wilson_against_scipy(wins, n):
    theirs = scipy_stats.binomtest(wins, n).proportion_ci(method="wilson")
    assert stats.wilson(wins, n) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_means_under_the_optimum_from_samples_of_sft():
    _, logp_sft, reward = world(3)
    rng = np.random.default_rng(0)
    drawn = rng.choice(len(logp_sft), size=20_000, p=np.exp(logp_sft))
    logp_star, _ = optimal_policy.tilt(logp_sft, reward, 0.5)
    mean, effective = optimal_policy.tilted_mean(reward[drawn], reward[drawn], 0.5)
    assert mean == pytest.approx(np.exp(logp_star) @ reward, abs=4 * reward.std() / math.sqrt(effective))
    assert 100 < effective < 20_000
    assert optimal_policy.tilted_mean(np.zeros(5), np.arange(5.0), 1.0) == pytest.approx((2.0, 5.0))


def test_best_of_very_many_is_the_best():
    """Seven sevenths add to 3e-16 less than 1; of 10^15 answers the best is among them all the same."""
    sevenths = np.log(np.full(7, 1 / 7))
    assert np.cumsum(np.exp(sevenths))[-1] < 1
    kept = optimal_policy.best_of_n(sevenths, np.arange(7.0), 10**15)
    assert kept[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("call", [
    lambda p: optimal_policy.kl(p, np.log([0.9, 0.1])),
    lambda p: optimal_policy.kl(np.log([0.9, 0.1]), p),
    lambda p: optimal_policy.tilt(p, [0.0, 1.0], 1.0),
    lambda p: optimal_policy.objective(np.log([0.9, 0.1]), p, [0.0, 1.0], 1.0),
    lambda p: optimal_policy.win_rate(p, np.log([0.9, 0.1]), [0.0, 1.0]),
    lambda p: optimal_policy.best_of_n(p, [0.0, 1.0], 2),
    lambda p: optimal_policy.frontier(p, [0.0, 1.0], [1.0]),
])  # fmt: skip
def test_probabilities_in_place_of_log_probabilities_are_refused(call):
    call(np.log([0.5, 0.5]))
    for wrong in ([0.5, 0.5], np.log([0.5, 0.4])):
        with pytest.raises(ValueError, match="log-probabilities whose exp adds to 1"):
            call(wrong)


@pytest.mark.parametrize("call", [
    lambda: bradley_terry.fit_bradley_terry(np.zeros((2, 1)), [], []),
    lambda: bradley_terry.worth_of_pairs(1, np.random.default_rng(0)),
    lambda: optimal_policy.tilt(HALVES, np.zeros(2), 0.0),
    lambda: optimal_policy.tilt(HALVES, np.zeros(2), math.inf),
    lambda: optimal_policy.tilt(HALVES, np.ones(2), 4e-310),
    lambda: optimal_policy.tilt(HALVES, np.zeros(3), 1.0),
    lambda: optimal_policy.tilt(HALVES, np.array([0.0, np.nan]), 1.0),
    lambda: optimal_policy.tilt(HALVES, np.array([0.0, np.inf]), 1.0),
    lambda: optimal_policy.best_of_n(HALVES, np.zeros(2), 0),
    lambda: optimal_policy.best_of_n(HALVES, np.zeros(2), 1.5),
    lambda: optimal_policy.win_rate(HALVES, HALVES, np.zeros(2), "my taste"),
    lambda: bradley_terry.bradley_terry_floor([0.0, np.nan]),
    lambda: bradley_terry.bradley_terry_floor([0.0, 1.0], [1.0, 1.0, 1.0]),
    lambda: bradley_terry.fit_bradley_terry(np.zeros((2, 1)), [-1], [0]),
    lambda: bradley_terry.fit_bradley_terry(np.zeros((2, 1)), [0], [2]),
    lambda: stats.wilson(11, 10),
    lambda: bradley_terry.bradley_terry_floor([1.0]),
    lambda: Answers(0, 3),
    lambda: TREE.logps(np.zeros((3, 3))),
])  # fmt: skip
def test_bad_input_is_named(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_best_of_n_with_a_best_answer_that_is_very_rare():
    rng = np.random.default_rng(0)
    for _ in range(100):
        p = np.append(rng.dirichlet(np.ones(7)), 1e-17)
        kept = optimal_policy.best_of_n(np.log(p), np.arange(8.0), 4)
        assert not np.isnan(kept).any()
        assert np.exp(kept[-1]) == pytest.approx(4e-17, abs=1e-12) and np.exp(kept).sum() == pytest.approx(1, abs=1e-12)


def test_the_objective_of_a_policy_that_never_gives_an_answer():
    with np.errstate(divide="ignore"):
        greedy = np.log([1.0, 0.0])
    found = optimal_policy.objective(greedy, np.log([0.5, 0.5]), np.array([1.0, 0.0]), 0.1)
    assert found == pytest.approx(1 - 0.1 * math.log(2), abs=1e-12)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, 0.0]])
def test_weights_that_leave_no_pair_of_answers(weights):
    with pytest.raises(ValueError, match="at least two answers"):
        bradley_terry.bradley_terry_floor([1.0, 2.0], weights)
