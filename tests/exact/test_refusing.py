"""The mean of the rewards decides the first step, the best answers decide the optimum, and between them is a race."""

import numpy as np
import pytest

from minigpt.exact import optimal_policy, refusing

REWARDS = np.array([1.2, -0.4, 0.3, -1.7, 0.1])
SHARES = np.array([0.1, 0.3, 0.2, 0.3, 0.1])


def objective(p, c, beta, p_sft, shares=SHARES, rewards=REWARDS):
    """J of a policy that refuses with probability p and answers with its first shares."""
    kl = p * np.log(p / p_sft) + (1 - p) * np.log((1 - p) / (1 - p_sft))
    return (1 - p) * (shares @ rewards + c) - beta * kl


@pytest.mark.parametrize(("p", "c"), [(0.2, 0.0), (0.2, 0.9), (0.7, 0.3)])
def test_the_first_gradient_is_that_of_the_objective(p, c):
    def at(logit):
        return objective(1 / (1 + np.exp(-logit)), c, 0.3, p)

    logit = np.log(p / (1 - p))
    numeric = (at(logit + 1e-5) - at(logit - 1e-5)) / 2e-5
    assert refusing.first_gradient(p, REWARDS, c, SHARES) == pytest.approx(numeric, abs=1e-8)


def test_the_sign_turns_where_the_mean_reward_is_nought():
    _, start = refusing.turning_offsets(REWARDS, 0.3, SHARES)
    assert start == pytest.approx(-SHARES @ REWARDS)
    assert refusing.first_gradient(0.3, REWARDS, start - 0.01, SHARES) > 0
    assert refusing.first_gradient(0.3, REWARDS, start + 0.01, SHARES) < 0


@pytest.mark.parametrize(("beta", "c"), [(0.05, -1.0), (0.5, 0.0), (2.0, 0.7), (0.001, -2.0), (0.001, 2.0)])
def test_the_best_refusal_is_that_of_the_optimal_policy(beta, c):
    logp_sft = np.log(np.concatenate([[0.2], 0.8 * SHARES]))
    logp, _ = optimal_policy.tilt(logp_sft, np.concatenate([[0.0], REWARDS + c]), beta)
    assert refusing.best_refusal(0.2, REWARDS, beta, c, SHARES) == pytest.approx(np.exp(logp[0]), abs=1e-9)


def test_at_the_turning_offset_the_optimum_refuses_as_often_as_before_and_it_lies_below_that_of_the_first_step():
    for beta in (0.05, 0.5, 5.0):
        optimum, start = refusing.turning_offsets(REWARDS, beta, SHARES)
        assert optimum < start
        assert refusing.best_refusal(0.2, REWARDS, beta, optimum, SHARES) == pytest.approx(0.2)
    assert refusing.turning_offsets(REWARDS, 1e4, SHARES)[0] == pytest.approx(start, abs=1e-3)


def test_learning_by_samples_refuses_always_never_or_as_luck_will_have_it():
    rewards = np.random.default_rng(0).normal(size=50) * 0.8
    rewards -= rewards.mean()

    def share(offset):
        runs = refusing.learn(0.2, rewards, offset, 0.05, np.random.default_rng(1), n_runs=60, lr=2.0)
        assert runs.shape == (60, 301) and runs[:, 0] == pytest.approx(0.2)
        return (runs[:, -1] > 0.9).mean()

    assert share(-2.0) == 1 and share(0.5) == 0
    optimum, _ = refusing.turning_offsets(rewards, 0.05)
    assert optimum < -0.75 and 0.05 < share(-0.75) < 0.95  # the best policy answers, and some runs never find out


def test_the_first_step_of_learning_follows_the_gradient_on_average():
    for offset in (-0.5, 0.5):
        after = refusing.learn(0.3, REWARDS, offset, 0.05, np.random.default_rng(2), n_runs=400, n_steps=1, batch=64, lr=0.1)
        grown = after[:, 1].mean() - 0.3
        assert np.sign(grown) == np.sign(refusing.first_gradient(0.3, REWARDS, offset)) and abs(grown) > 1e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: refusing.first_gradient(0.0, [1.0]), "between 0 and 1"),
        (lambda: refusing.first_gradient(0.5, []), "rewards and shares"),
        (lambda: refusing.first_gradient(0.5, [1.0, 2.0], 0.0, [0.5, 0.6]), "rewards and shares"),
        (lambda: refusing.best_refusal(0.5, [1.0], 0.0), "beta above 0"),
        (lambda: refusing.learn(0.5, [1.0], 0.0, 1.0, np.random.default_rng(0), batch=1), "at least 2 answers"),
    ],
)
def test_bad_input_is_told_what_was_expected(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan")])
def test_turning_offsets_need_a_beta_above_0(beta):
    with pytest.raises(ValueError, match="beta above 0"):
        refusing.turning_offsets([1.0, -2.0], beta)
