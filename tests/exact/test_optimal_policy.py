"""The optimum by two roads, identities that hold to the last digits, and brute force."""

import math
import statistics
from itertools import product

import numpy as np
import pytest
from scipy import optimize as scipy_optimize
from scipy import special
from scipy import stats as scipy_stats

from minigpt import stats
from minigpt.exact import bradley_terry, optimal_policy
from minigpt.worlds.answer_tree import Answers

TREE = Answers(4, 4)
HALVES = np.log([0.5, 0.5])


def world(seed, tree=TREE):
    """(token log-probabilities of pi_SFT, log P of each answer, a reward for each)."""
    rng = np.random.default_rng(seed)
    token_logps = special.log_softmax(rng.normal(size=(len(tree.prefixes), tree.n_words + 1)), axis=1)
    return token_logps, tree.logps(token_logps), rng.normal(size=len(tree.rows))


def policy(seed, tree=TREE):
    return world(seed + 1000, tree)[:2]


def test_the_answers_are_all_there():
    assert len(TREE.prefixes) == 85 and len(TREE.rows) == len(set(TREE.rows)) == 341
    for row in TREE.rows:
        assert (row[-1] == TREE.end) != (len(row) == 4 and TREE.end not in row)
        assert TREE.end not in row[:-1]
    _, logp, _ = world(0)
    assert np.exp(logp).sum() == pytest.approx(1, abs=1e-12)
    by_hand = {row: 0.0 for row in TREE.rows}
    token_logps = world(0)[0]
    for row in TREE.rows:
        for t, token in enumerate(row):
            by_hand[row] += token_logps[TREE.prefixes.index(row[:t]), token]
    assert logp == pytest.approx(list(by_hand.values()), abs=1e-12)


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
