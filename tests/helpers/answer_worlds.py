"""Small worlds in which every answer can be listed, and three prompts with an answer to each."""

import dataclasses

import numpy as np
import torch
from scipy import special

from minigpt.experiments.instructgpt import enumerable_ppo
from minigpt.worlds.answer_tree import Answers

TREE = Answers(4, 4)


def world(seed, tree=TREE):
    """(token log-probabilities of pi_SFT, log P of each answer, a reward for each)."""
    rng = np.random.default_rng(seed)
    token_logps = special.log_softmax(rng.normal(size=(len(tree.prefixes), tree.n_words + 1)), axis=1)
    return token_logps, tree.logps(token_logps), rng.normal(size=len(tree.rows))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small(seed=0, **changes):
    """(world, reference, agent, configuration of a short run)."""
    world, reference = enumerable_ppo.small_world(seed)
    config = dataclasses.replace(enumerable_ppo.PPO, n_iterations=4, batch_size=48, n_minibatches=4, **changes)
    return world, reference, enumerable_ppo.agent_of(reference), config


PROMPTS = torch.tensor([[8, 1, 2], [8, 3, 4], [8, 5, 6]])
ANSWERS = torch.tensor([[1, 2, 3, 7], [7, -100, -100, -100], [4, 7, -100, -100]])
