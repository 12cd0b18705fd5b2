"""Policy gradients by hand: against autograd, against the exact gradient, and against what PPO itself draws."""

import dataclasses

import numpy as np
import pytest
import torch

from minigpt import ppo, responses
from minigpt.exact import optimal_policy
from minigpt.experiments.instructgpt import enumerable_ppo, policy_gradients
from minigpt.worlds.answer_tree import Answers

SMALL = Answers(n_words=2, longest=3)


def table(answers=SMALL, seed=0):
    logits = np.random.default_rng(seed).normal(size=(len(answers.prefixes), answers.n_words + 1))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_score_functions_are_what_autograd_gives():
    logps = table()
    states, tokens, written = (torch.tensor(part) for part in SMALL.path)
    found = policy_gradients.score_functions(SMALL, logps)
    for i in range(len(SMALL.rows)):
        logits = torch.tensor(logps, requires_grad=True)
        (logits.log_softmax(-1)[states[i], tokens[i]] * written[i]).sum().backward()
        np.testing.assert_allclose(found[i], logits.grad.numpy(), atol=1e-12)
    assert np.abs(np.einsum("n,nsa->sa", np.exp(SMALL.logps(logps)), found)).max() < 1e-12  # their mean is 0
    with pytest.raises(ValueError, match="shape"):
        policy_gradients.score_functions(SMALL, logps[:-1])


def test_weighted_by_the_returns_they_add_up_to_the_exact_gradient_whatever_the_baseline():
    logps, sft, rewards = table(), SMALL.logps(table(seed=1)), np.random.default_rng(2).normal(size=len(SMALL.rows))
    scores, logp = policy_gradients.score_functions(SMALL, logps), SMALL.logps(logps)
    returns = rewards - 0.3 * (logp - sft)
    exact = optimal_policy.policy_gradient(SMALL, logps, sft, rewards, 0.3)
    for baseline in (0.0, 2.5):
        found = np.einsum("n,nsa->sa", np.exp(logp) * (returns - baseline), scores)
        np.testing.assert_allclose(found, exact, atol=1e-12)


def test_a_copy_of_the_reward_model_reads_the_text_so_far():
    rewards = np.arange(len(SMALL.rows), dtype=float)
    found = policy_gradients.scores_so_far(SMALL, rewards)
    number = {row: i for i, row in enumerate(SMALL.rows)}
    i = number[(0, 1, 1)]
    assert found[i].tolist() == [rewards[number[(2,)]], rewards[number[(0, 2)]], rewards[number[(0, 1, 2)]]]
    assert found[number[(2,)]].tolist() == [rewards[number[(2,)]], 0.0, 0.0]
    with pytest.raises(ValueError, match="one reward for each"):
        policy_gradients.scores_so_far(SMALL, rewards[:-1])


def test_the_pull_on_ending_is_the_exact_gradient_at_lambda_one_and_a_shift_counts_only_without_a_value():
    logps = table()
    sft, rewards = SMALL.logps(logps), np.random.default_rng(3).normal(size=len(SMALL.rows))
    exact = optimal_policy.policy_gradient(SMALL, logps, sft, rewards, 0.3)[0, SMALL.end]
    written = SMALL.path[2]
    copy = policy_gradients.scores_so_far(SMALL, rewards)
    for shift in (-5.0, 0.0, 5.0):
        for values in (0 * copy, copy + shift * written):
            assert policy_gradients.pull_on_ending(SMALL, logps, rewards + shift, values, 1.0) == pytest.approx(exact)

    def pulls(of_values):
        return [policy_gradients.pull_on_ending(SMALL, logps, rewards + s, of_values(s), 0.9) for s in (-5.0, 5.0)]

    low, high = pulls(lambda s: 0 * copy)
    assert high - low > 0.1  # upwards: ending at once looks better
    low, high = pulls(lambda s: copy + s * written)
    assert low == pytest.approx(high, abs=1e-12)


def test_more_answers_bring_the_importance_estimate_to_the_truth_from_below():
    sft, rewards = SMALL.logps(table()), np.random.default_rng(3).normal(size=len(SMALL.rows))
    star, _ = optimal_policy.tilt(sft, rewards, 0.2)
    truth = float(np.exp(star) @ rewards)
    few, many = (
        policy_gradients.importance_estimates(sft, rewards, 0.2, n, np.random.default_rng(0)) for n in (8, 4000)
    )
    assert few.shape == (200, 2) and few[:, 0].mean() < truth - 0.05
    assert many[:, 0].mean() == pytest.approx(truth, abs=0.01) and (many[:, 1] > few[:, 1].max()).all()


def test_the_first_draw_is_that_of_ppo():
    world, reference = enumerable_ppo.small_world(0)
    config = dataclasses.replace(enumerable_ppo.PPO, batch_size=16, n_minibatches=4, n_iterations=1)
    seen = {"parts": []}

    def rollout(policy, prompts, *others):
        seen["asked"], seen["answers"] = prompts, ppo.rollout(policy, prompts, *others)
        return seen["answers"]

    def policy_loss(logp, old_logp, *others):
        seen["parts"].append(old_logp)
        return ppo.policy_loss(logp, old_logp, *others)

    parts = ppo.Equations(rollout=rollout, policy_loss=policy_loss)
    agent = enumerable_ppo.agent_of(reference)
    asked, answers, chosen = policy_gradients.first_draw(agent.policy, world.prompts, config, 7)
    old = ppo.answer_logps(reference, asked, answers)
    list(ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, torch.Generator().manual_seed(7),
                 equations=parts))  # fmt: skip
    assert torch.equal(asked, seen["asked"]) and torch.equal(answers, seen["answers"])
    for part, there in zip(chosen, seen["parts"], strict=True):
        torch.testing.assert_close(old[part], there)
    with pytest.raises(ValueError, match="one pass"):
        policy_gradients.first_draw(agent.policy, world.prompts, dataclasses.replace(config, n_epochs=2), 7)


def test_token_by_token_is_what_the_formulas_say():
    world, reference = enumerable_ppo.small_world(1)
    agent = enumerable_ppo.agent_of(enumerable_ppo.small_world(2)[1])
    torch.nn.init.normal_(agent.value.head.weight, generator=torch.Generator().manual_seed(0))
    prompts = world.prompts.repeat(3, 1)
    answers = responses.rollout(agent.policy, prompts, 4, 4, torch.Generator().manual_seed(1))
    scores = world.reward_fn(prompts, answers)
    found = policy_gradients.token_by_token(agent, reference, scores, prompts, answers, 0.4, 0.9)
    values = agent.value.values(prompts, answers)
    for i, n in enumerate(responses.answer_lengths(answers).tolist()):
        log_ratio = found["log π"][i, :n] - found["log π_SFT"][i, :n]
        torch.testing.assert_close(found["R_t"][i].sum(), scores[i] - 0.4 * log_ratio.sum())
        after = [*values[i, 1:n].tolist(), 0.0]
        delta = [found["R_t"][i, t].item() + after[t] - values[i, t].item() for t in range(n)]
        advantage = [sum(0.9 ** (j - t) * delta[j] for j in range(t, n)) for t in range(n)]
        np.testing.assert_allclose(found["δ_t"][i, :n], delta, atol=1e-5)
        np.testing.assert_allclose(found["A_t"][i, :n], advantage, atol=1e-5)
        assert all((each[i, n:] == 0).all() for each in found.values())
