"""An offset moves every score and every value alike, and what is asked is what the rule is about."""

import numpy as np
import torch

from minigpt.experiments.gpt4 import refusal_texts, refusals, reward_offset
from minigpt.model import GPT, GPTConfig
from minigpt.reward_model import RewardModel


def test_an_offset_moves_scores_and_values_and_leaves_the_reward_model_as_it_was():
    scorer = RewardModel(GPT(GPTConfig(20, 12, 1, 2, 8), torch.Generator().manual_seed(0)))
    torch.nn.init.normal_(scorer.head.weight, generator=torch.Generator().manual_seed(1))
    prompts, answers = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[7, 8, 9], [3, 9, -100]])
    before = scorer.score(prompts, answers)
    other = reward_offset.moved(scorer, 0.75)
    torch.testing.assert_close(other.score(prompts, answers), before + 0.75)
    torch.testing.assert_close(other.values(prompts, answers), scorer.values(prompts, answers) + 0.75)
    torch.testing.assert_close(scorer.score(prompts, answers), before)


def test_the_rules_and_offsets_hold_what_the_chapter_compares():
    assert {-1, -0.5, 0, 0.5, 1} <= set(reward_offset.RULES["one side"]) and -1 in reward_offset.RULES["two sides"]
    assert refusals.WORTH > max(map(abs, reward_offset.OFFSETS)), "two sides: a refusal must cost more than the offset"


def test_one_request_of_each_group_is_asked():
    requests = refusal_texts.asked()
    assert list(requests) == list(refusals.GROUPS)
    assert all(refusals.group(request) == name for name, request in requests.items())


def test_refusals_on_the_way_are_those_of_the_iterations(monkeypatch):
    policy = type("Policy", (), {"curves": {"refused": np.arange(60) / 60}, "model": None})
    seen = refusals.Behaviour({name: 0.5 for name in refusals.GROUPS}, 1.0, 4.0, {})
    monkeypatch.setattr(refusals, "behaviour", lambda model: seen)
    found = reward_offset.numbers(policy)
    assert found["refused in iteration 1"] == 0 and found["refused in iteration 20"] == 19 / 60
    assert found["refused, others"] == 0.5
