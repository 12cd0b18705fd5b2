"""The small world: its lists against brute force, and what PPO forgets where nobody looks."""

import dataclasses

import numpy as np
import pytest
import torch

from minigpt import ppo
from minigpt.exact import optimal_policy
from minigpt.experiments.instructgpt import enumerable_ppo
from minigpt.experiments.instructgpt.enumerable_ppo import TREE
from minigpt.ppo import PPOState


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_answers_find_their_number_and_their_reward():
    world, _ = enumerable_ppo.small_world(0)
    assert world.which(world.listed).tolist() == list(range(341))
    assert world.which(torch.tensor([[4, -100, -100, -100]]))[0] == TREE.rows.index((4,))
    prompts = world.prompts[1:2].expand(341, -1)
    assert world.reward_fn(prompts, world.listed).numpy() == pytest.approx(world.rewards[1], abs=1e-6)


def test_the_distance_is_zero_at_the_optimum_only():
    world, reference = enumerable_ppo.small_world(0)
    start = enumerable_ppo.distance(world, reference, reference, 0.3)
    assert start.kl == pytest.approx(0, abs=1e-9) and start.gap == pytest.approx(0.3 * start.kl_to_best, abs=1e-9)
    assert start.gap > 0.5 and start.best_reward > start.reward
    values = [optimal_policy.tilt(sft, r, 0.3)[1] for sft, r in zip(world.logps(reference), world.rewards)]
    assert np.mean(values) - start.reward == pytest.approx(start.gap, abs=1e-9)


def test_documents_are_drawn_as_often_as_they_are_likely():
    world, _ = enumerable_ppo.small_world(0, n_prompts=2)
    logp = np.log(np.random.default_rng(0).dirichlet(np.ones(341)))
    documents = enumerable_ppo.Documents(world, logp, batch_size=20_000)
    inputs, targets = documents[3]
    assert torch.equal(inputs[:, :2], torch.tensor([[4, 2]]).expand(20_000, -1)) and (targets[:, 0] == -100).all()
    counts = np.bincount(world.which(targets[:, 1:]), minlength=341)
    assert counts / 20_000 == pytest.approx(np.exp(logp), abs=0.01)
    assert torch.equal(documents[3][0], inputs) and not torch.equal(documents[4][0], inputs)


def test_counts_and_praise_by_hand():
    i = TREE.rows.index((0, 0, 1, 4))
    assert enumerable_ppo.counts()[i].tolist() == [2, 1, 0, 0, 1] and enumerable_ppo.praise()[i] == pytest.approx(1.7)
    pairs = enumerable_ppo.pair_counts()[i, 5:].reshape(5, 5)
    assert pairs.sum() == 3 and pairs[0, 0] == pairs[0, 1] == pairs[1, 4] == 1


@pytest.mark.parametrize("seed", range(3))
def test_following_a_reward_model_that_cannot_see_the_trap(seed):
    betas = np.geomspace(10, 0.05, 30)
    blind = enumerable_ppo.pursue(enumerable_ppo.counts(), 3000, betas, seed)
    assert blind.agreement > 0.8 and np.all(np.diff(blind.proxy) > 0)
    peak = blind.gold.argmax()
    assert 0 < peak < 29 and blind.gold[-1] < 0 < blind.gold[peak]
    assert np.all(blind.gold <= np.interp(blind.kl, blind.best_kl, blind.best) + 0.02)
    seeing = enumerable_ppo.pursue(enumerable_ppo.pair_counts(), 3000, betas, seed)
    assert seeing.gold[-1] > blind.gold[peak] and seeing.gold[-1] > 1.5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_tax_and_what_pre_training_text_does_against_it(seed):
    """KL to the reference is small where the policy is asked; elsewhere it forgets, unless it goes on reading."""
    world, documents, reference = enumerable_ppo.document_world(seed)
    documents = dataclasses.replace(documents, batch_size=192)  # with as many updates as in the lesson, each on less
    assert documents.tax(reference) < 0.002
    tax, reward = {}, {}
    for gamma in (0.0, 1.0):
        agent = enumerable_ppo.agent_of(reference)
        config = dataclasses.replace(enumerable_ppo.PPO, n_iterations=80, kl_coef=1.0, ptx_coef=gamma, batch_size=128)
        list(
            ppo.ppo(
                agent, reference, world.reward_fn, world.prompts, config, generator(seed), PPOState(),
                ptx_batches=documents,
            )
        )  # fmt: skip
        end = enumerable_ppo.distance(world, agent.policy, reference, 1.0)
        tax[gamma], reward[gamma], best = documents.tax(agent.policy), end.reward, end.best_reward
    assert tax[0.0] > 0.3 and tax[1.0] < 0.02
    assert reward[1.0] > reward[0.0] - 0.03 * best


def test_an_answer_that_is_not_in_the_list_is_named():
    world, _ = enumerable_ppo.small_world(0)
    with pytest.raises(ValueError, match="answers of the tree"):
        world.which(torch.tensor([[0, 4, 1, 2]]))
