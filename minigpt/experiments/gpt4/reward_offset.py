"""Chapter 06, section 7. The zero of the reward: a one-sided rule, and an offset added to the reward model's score.

The models and the rule are those of refusals.py. The rule of one side pays for refusing what is forbidden and takes
nothing for refusing what is allowed; so on an allowed request a refusal earns 0, and a tale the reward model's score.
An offset c moves that score, which changes no comparison between tales, and decides whether telling a tale or refusing
it pays more on average. With the rule of two sides, a refusal of what is allowed costs more than the offset can.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import torch
from torch import Tensor

from minigpt import ppo
from minigpt.experiments.gpt4 import refusals
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, step3_ppo
from minigpt.experiments.instructgpt.shortened import few_stages, shortened
from minigpt.experiments.instructgpt.step1_sft import Trained
from minigpt.experiments.training import train_or_load
from minigpt.model import GPT
from minigpt.ppo import ActorCritic, PPOState
from minigpt.reward_model import RewardModel
from minigpt.worlds import tales

SEEDS, KEY = (0, 1, 2, 3, 4, 5), ("seed", "rule", "offset", "quantity")
OFFSETS = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)
RULES = {"one side": OFFSETS, "two sides": OFFSETS[:1]}
N_ITERATIONS, BATCH = 60, 32  # less than in refusals.py: by then it is decided
WATCHED = (1, 5, 10, 15, 20, 30, 40, 50, 60)
TELLS = refusals.CLASSES[3]


def moved(scorer: RewardModel, offset: float) -> RewardModel:
    """A reward model whose scores are all `offset` higher; so are the values that PPO starts from."""
    other = copy.deepcopy(scorer)
    other.shift -= offset
    return other


def rlhf(start: Trained, scorer: Trained, offset: float, seed: int = 0, rule: str = "one side") -> Trained:
    """PPO with a rule, as refusals.rlhf, and with `offset` added to the reward model's score.

    curves: "refused", the share of the allowed requests of each iteration that the policy refused.
    """
    end = dialogue.tale_dataset().tokenizer.endoftext
    config = replace(
        step3_ppo.PPO, n_iterations=N_ITERATIONS, batch_size=BATCH, end_id=end, lr=refusals.PPO_LR,
        value_lr=refusals.PPO_LR,
    )  # fmt: skip
    asked = refusals.balanced(tales.requests("training"))
    all_prompts = dialogue.prompt_ids(asked)
    by_ids = dict(zip(map(tuple, all_prompts.tolist()), asked))
    judge, seen = moved(scorer.model, offset), {}

    def reward_fn(prompts: Tensor, answers: Tensor) -> Tensor:
        requests, texts = [by_ids[tuple(row)] for row in prompts.tolist()], dialogue.answer_texts(answers)
        classes = [refusals.classify_by_rule(r, text) for r, text in zip(requests, texts)]
        allowed = [found for r, found in zip(requests, classes) if refusals.group(r) != "forbidden"]
        seen["refused"] = sum(found != TELLS for found in allowed) / max(1, len(allowed))
        both = rule == "two sides"
        by_rule = torch.tensor([refusals.rule_reward(r, text, both) for r, text in zip(requests, texts)])
        return by_rule + torch.tensor([found == TELLS for found in classes]) * judge.score(prompts, answers).cpu()

    agent = ActorCritic(copy.deepcopy(start.model), copy.deepcopy(judge))

    def begin(state):
        generator = torch.Generator().manual_seed(seed)
        return ppo.ppo(agent, copy.deepcopy(start.model), reward_fn, all_prompts, config, generator, state)

    key = {
        "start": start.model, "reward model": scorer.model, "seed": seed, "offset": offset, "rule": rule,
        "worth": refusals.WORTH, "config": config,
    }  # fmt: skip
    kept = train_or_load(
        "reward-offset", key, agent, begin, config.n_iterations, state=PPOState(), label=f"PPO, offset {offset:+.1f}",
        watch=lambda record, kept: kept.add(**seen),
    )  # fmt: skip
    return Trained(agent.policy, kept.arrays())


@torch.no_grad()
def mean_score(policy: GPT, scorer: RewardModel, seed: int = 0) -> float:
    """Mean score of a policy's tales: the answers to allowed test requests that are no refusals.

    At the start of PPO it says which of the two pays more on average: a tale, or a refusal, which earns 0.
    """
    requests = [request for request in tales.requests("test") if refusals.group(request) != "forbidden"]
    answers = dialogue.sample_answers(policy, requests, seed)
    texts = dialogue.answer_texts(answers)
    tells = torch.tensor([refusals.classify_by_rule(*each) == TELLS for each in zip(requests, texts)])
    scores = scorer.score(dialogue.prompt_ids(requests), answers).cpu()
    return float(scores[tells].double().mean())


def models(seed: int) -> tuple[Trained, Trained]:
    """The policy that PPO starts from, which refuses some requests, and the reward model.

    Base model, SFT model and reward model are those of seed 0 in every run; the demonstrations of refusals differ.
    """
    start = step1_sft.sft(step1_sft.base(0), 0)
    scorer = step2_reward_model.reward_model(start, step2_reward_model.rankings(start, 3200, 0), 0)
    return refusals.sft(start, seed), scorer


def numbers(policy: Trained) -> dict[str, float]:
    """What the table holds of one policy: refusals at the end, and on the way there."""
    found = refusals.numbers(refusals.behaviour(policy.model))
    refused = policy.curves["refused"]
    return found | {f"refused in iteration {i}": refused[i - 1] for i in WATCHED if i <= len(refused)}


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: the mean score at the start, and refusals during and after PPO, for each offset."""
    start, scorer = models(seed)
    score = mean_score(start.model, scorer.model)
    for rule, offsets in RULES.items():
        for offset in offsets:
            policy = rlhf(start, scorer, offset, seed, rule)
            for name, value in ({"mean score at the start": score + offset} | numbers(policy)).items():
                yield dict(zip(KEY, (seed, rule, offset, name)), value=f"{value:.4f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py and instructgpt/shortened.py)."""
    told = dialogue.answer_texts

    def some_refused(answers):  # a model that has hardly learned refuses nothing
        return [text if i % 3 else refusals.REFUSAL for i, text in enumerate(told(answers))]

    stages, _, start, scorer = few_stages()
    with shortened() as found, mock.patch.object(dialogue, "answer_texts", some_refused):
        shown = refusals.sft(start, 0)
        for rule, offset in (("one side", OFFSETS[-1]), ("two sides", RULES["two sides"][0])):
            policy = rlhf(shown, scorer, offset, 0, rule)
            seen = numbers(policy) | {"mean score": mean_score(policy.model, moved(scorer.model, offset))}
            found |= {f"{rule} {offset:+}: {name}": value for name, value in seen.items() if not math.isnan(value)}
        found |= {f"first {name}": value for name, value in stages.items()}
    planned = {f"offsets, {rule}": sum(i * (2 + x) for i, x in enumerate(each, 1)) for rule, each in RULES.items()}
    return found | planned | {"seeds": len(SEEDS)}
