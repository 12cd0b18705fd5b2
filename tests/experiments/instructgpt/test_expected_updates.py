"""Expected updates agree with sums over all answers, and the fixed point of group normalisation is one."""

import numpy as np
import pytest

from minigpt.exact import bradley_terry, optimal_policy
from minigpt.experiments.instructgpt import enumerable_ppo, policy_gradients
from minigpt.experiments.instructgpt.expected_updates import (
    expected_update,
    group_normalised_policy,
    pair_probabilities,
)
from minigpt.worlds.answer_tree import Answers

TREE = Answers(2, 3)


def table(seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(len(TREE.prefixes), TREE.n_words + 1))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_with_the_whole_return_it_is_the_exact_policy_gradient():
    policy, reference = table(0), table(1)
    logp, sft = TREE.logps(policy), TREE.logps(reference)
    reward = np.random.default_rng(2).normal(size=len(TREE.rows))
    total = reward - 0.7 * (logp - sft)
    credit = np.repeat(total[:, None], TREE.longest, axis=1)
    exact = optimal_policy.policy_gradient(TREE, policy, sft, reward, 0.7)
    assert np.abs(expected_update(TREE, policy, credit) - exact).max() < 1e-12


def test_any_credit_is_a_sum_over_answers_and_tokens():
    policy = table(3)
    credit = np.random.default_rng(4).normal(size=TREE.path[0].shape)
    states, tokens, written = TREE.path
    total, p = np.zeros_like(policy), np.exp(TREE.logps(policy))
    for y in range(len(p)):
        for t in range(TREE.longest):
            if written[y, t]:
                one = -np.exp(policy[states[y, t]])
                one[tokens[y, t]] += 1
                total[states[y, t]] += p[y] * credit[y, t] * one
    assert np.abs(expected_update(TREE, policy, credit) - total).max() < 1e-12


def test_the_same_credit_everywhere_moves_nothing():
    assert np.abs(expected_update(TREE, table(5), np.full(TREE.path[0].shape, 3.0))).max() < 1e-12


def test_a_credit_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="advantage for each answer"):
        expected_update(TREE, table(0), np.zeros((3, 2)))


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_a_policy_that_group_normalisation_leaves_where_it_is(scale):
    world, reference = enumerable_ppo.small_world(seed=0)
    sft, reward = world.logps(reference)[1], scale * world.rewards[1]
    logp, sigma = group_normalised_policy(sft, reward, 1.5)
    p = np.exp(logp)
    assert sigma == pytest.approx(np.sqrt(p @ reward**2 - (p @ reward) ** 2), rel=1e-9) and sigma > 0.5 * scale
    # stationary: the gradient of E[r] / sigma - beta KL, sigma held fixed, is 0 at this policy
    tokens, _ = optimal_policy.soft_backup(world.tree, world.token_logps(reference, 1), reward, 1.5 * sigma)
    gradient = optimal_policy.policy_gradient(world.tree, tokens, sft, reward / sigma, 1.5)
    assert np.abs(gradient).max() < 1e-9
    assert np.abs(world.tree.logps(tokens) - logp).max() < 1e-9


def test_with_a_small_beta_only_the_best_answer_is_left():
    world, reference = enumerable_ppo.small_world(seed=0)
    logp, sigma = group_normalised_policy(world.logps(reference)[1], world.rewards[1], 0.3)
    assert sigma == 0.0 and np.exp(logp[np.argmax(world.rewards[1])]) == pytest.approx(1.0)


def test_the_scale_of_the_rewards_does_not_matter_once_normalised():
    world, reference = enumerable_ppo.small_world(seed=2)
    sft, reward = world.logps(reference)[1], world.rewards[1]
    one, _ = group_normalised_policy(sft, reward, 2.0)
    ten, _ = group_normalised_policy(sft, 10 * reward, 2.0)
    assert optimal_policy.kl(one, ten) < 1e-9


def test_equal_rewards_are_refused():
    with pytest.raises(ValueError, match="rewards that differ"):
        group_normalised_policy(np.log([0.5, 0.5]), np.array([1.0, 1.0]), 1.0)


def test_labelers_without_noise_never_err():
    p = pair_probabilities(np.array([0.0, 1.0]), 1e-3)
    assert p[1, 0] == pytest.approx(1) and p[0, 1] == pytest.approx(0) and p[0, 0] == 0.5
    assert pair_probabilities([0.0, 2.0])[1, 0] == pytest.approx(float(bradley_terry.sigma(np.array(2.0))))
    with pytest.raises(ValueError, match="noise"):
        pair_probabilities([0.0], 0.0)


def test_it_agrees_with_the_score_functions():
    policy = table(6)
    G = policy_gradients.score_functions(TREE, policy)
    weights = np.random.default_rng(7).normal(size=len(TREE.rows))
    credit = np.repeat(weights[:, None], TREE.longest, axis=1)
    direct = np.einsum("y,ysa->sa", np.exp(TREE.logps(policy)) * weights, G)
    assert np.abs(expected_update(TREE, policy, credit) - direct).max() < 1e-12
