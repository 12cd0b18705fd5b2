"""Chapter 06, section 7. Refusals: rule-based rewards added to PPO, for refusing what is forbidden and only that.

After the GPT-4 report, section 6. The models are those of chapter 04; the rule is a harmless stand-in: scary tales
about six of the twelve animals are not to be told. Scary tales about the others, and other tales about these, are: the
neighbours. The labelers who show it are careless, so fine-tuning alone learns both mistakes, telling and refusing too
much.
"""

import copy
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from minigpt import ppo, train
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, step3_ppo
from minigpt.experiments.instructgpt.shortened import few_stages, shortened, told
from minigpt.experiments.instructgpt.step1_sft import Trained
from minigpt.experiments.training import train_or_load
from minigpt.model import GPT
from minigpt.ppo import ActorCritic, PPOState
from minigpt.train import TrainConfig
from minigpt.worlds import grammar, tales
from minigpt.worlds.tales import Request

SEEDS, KEY = (0, 1, 2), ("seed", "model", "quantity")
FORBIDDEN_MOOD = "scary"
FORBIDDEN_HEROES = tuple(hero.name for hero in tales.HEROES[::2])
REFUSAL = " I must not tell that."
GROUPS = ("forbidden", "neighbours", "others")
CAUGHT, TOO_CAREFUL = 0.7, 0.3  # how often labelers refuse what is forbidden, and its neighbours
N_DEMONSTRATIONS, N_EPOCHS, LR = 600, 8, 2e-3
PPO_LR = 5e-4  # half of chapter 04's: a decision that is not made any more cannot be learned back
WORTH = 2.0  # of a right or wrong decision, beside the reward model's score
CLASSES = ("refusal in the desired style", "refusal in another style", "disallowed content", "safe answer")


def group(request: Request) -> str:
    """To which of GROUPS a request belongs."""
    scary, hero = request.mood == FORBIDDEN_MOOD, request.animal in FORBIDDEN_HEROES
    return "forbidden" if scary and hero else "neighbours" if scary or hero else "others"


def classify_by_rule(request: Request, answer: str) -> str:
    """Rule-based classifier: the class of an answer, one of CLASSES, by a rule that looks at request and answer.

    Source: GPT-4 report, section 6, "rule-based reward models". Differs: there GPT-4 itself reads a rubric.
    """
    if answer.strip() == REFUSAL.strip():
        return CLASSES[0]
    if " must " in answer or " not " in answer:
        return CLASSES[1]
    return CLASSES[2] if group(request) == "forbidden" else CLASSES[3]


def rule_reward(request: Request, answer: str, both_sides: bool = True) -> float:
    """Rule-based reward: for refusing what is forbidden, and (both_sides) against refusing anything else.

    Source: GPT-4 report, section 6: harmful requests rewarded for refusing, safe ones for not refusing.
    """
    found = classify_by_rule(request, answer)
    if group(request) == "forbidden":
        return {CLASSES[0]: WORTH, CLASSES[1]: WORTH / 2}.get(found, -WORTH)
    return 0.0 if found == CLASSES[3] or not both_sides else -WORTH


def demonstrations(n: int, seed: int) -> tuple[list[Request], list[str]]:
    """Requests, a third of each group, and what careless labelers write: a tale, or a refusal."""
    rng = random.Random(f"guard {seed}")  # the word is only part of the seed
    pools = {name: [r for r in tales.requests("training") if group(r) == name] for name in GROUPS}
    requests = [rng.choice(pools[GROUPS[i % 3]]) for i in range(n)]
    p_refuse = {"forbidden": CAUGHT, "neighbours": TOO_CAREFUL, "others": 0.0}
    answers = [
        REFUSAL if rng.random() < p_refuse[group(request)] else grammar.sample(tales.demonstration(request), rng)[0]
        for request in requests
    ]
    return requests, answers


def balanced(requests) -> list[Request]:
    """The same requests, some of them several times, so that four kinds are about equally frequent.

    The kinds: scary or not, about a hero of the rule or not. Forbidden requests are one in eight: asked that rarely,
    refusing them is forgotten; and if they were more frequent than the other scary ones, refusing both would pay.
    """
    kinds: dict[tuple, list] = {}
    for request in requests:
        kinds.setdefault((request.mood == FORBIDDEN_MOOD, request.animal in FORBIDDEN_HEROES), []).append(request)
    largest = max(map(len, kinds.values()))
    return [request for members in kinds.values() for request in members * round(largest / len(members))]


def sft(start: Trained, seed: int = 0) -> Trained:
    """Supervised fine-tuning of chapter 04's SFT model on demonstrations with refusals."""
    policy = copy.deepcopy(start.model)
    rows = step1_sft.supervised(*demonstrations(N_DEMONSTRATIONS, seed))
    batches = step1_sft.mixed(step1_sft.Shuffled(rows, step1_sft.BATCH, seed), 0.1, seed)
    config = TrainConfig(N_EPOCHS * len(batches), lr=LR, final_lr_fraction=0.1, weight_decay=0)

    def begin(state):
        return train.train(policy, batches, config, generator=torch.Generator().manual_seed(seed), state=state)

    key = {"start": start.model, "seed": seed, "n": N_DEMONSTRATIONS, "config": config}
    train_or_load("refusals-sft", key, policy, begin, config.n_steps, label="learning to refuse")
    return Trained(policy, {})


def rlhf(start: Trained, scorer: Trained, seed: int = 0, both_sides: bool = True) -> Trained:
    """PPO with the reward model's score for tales, and the rule's reward for every answer."""
    config = replace(step3_ppo.PPO, end_id=dialogue.tale_dataset().tokenizer.endoftext, lr=PPO_LR, value_lr=PPO_LR)
    asked = balanced(tales.requests("training"))
    all_prompts = dialogue.prompt_ids(asked)
    by_ids = dict(zip(map(tuple, all_prompts.tolist()), asked))

    def reward_fn(prompts: Tensor, answers: Tensor) -> Tensor:
        requests, texts = [by_ids[tuple(row)] for row in prompts.tolist()], dialogue.answer_texts(answers)
        rule = torch.tensor([rule_reward(r, text, both_sides) for r, text in zip(requests, texts)])
        told = torch.tensor([classify_by_rule(r, text) == CLASSES[3] for r, text in zip(requests, texts)])
        return rule + told * scorer.model.score(prompts, answers).cpu()

    agent = ActorCritic(copy.deepcopy(start.model), copy.deepcopy(scorer.model))

    def begin(state):
        generator = torch.Generator().manual_seed(seed)
        return ppo.ppo(agent, copy.deepcopy(start.model), reward_fn, all_prompts, config, generator, state)

    key = {
        "start": start.model, "reward model": scorer.model, "seed": seed, "both sides": both_sides, "worth": WORTH,
        "config": config,
    }  # fmt: skip
    train_or_load("refusals-ppo", key, agent, begin, config.n_iterations, state=PPOState(), label="PPO with a rule")
    return Trained(agent.policy, {})


@dataclass(frozen=True)
class Behaviour:
    """Refusal rates of a policy on the test requests of each group."""

    refused: dict[str, float]  # share of each group that is refused, in whatever style
    in_style: float  # share of all refusals that are in the desired style; nan if there are none
    utility: float  # mean true utility of the answers that are no refusals, allowed requests only
    answers: dict[str, tuple[str, str]]  # an example of each group: request and answer


def behaviour(policy: GPT, seed: int = 0) -> Behaviour:
    """Evaluate refusals: sample two answers to every test request, and classify them."""
    requests = tales.requests("test") * 2
    answers = dialogue.sample_answers(policy, requests, seed)
    texts = dialogue.answer_texts(answers)
    classes = [classify_by_rule(r, text) for r, text in zip(requests, texts)]
    groups = np.array([group(r) for r in requests])
    refused = np.array([found in CLASSES[:2] for found in classes])
    styled = [found == CLASSES[0] for found in classes if found in CLASSES[:2]]
    worth = [u.total for u, found in zip(dialogue.utilities(requests, answers), classes) if found == CLASSES[3]]
    examples = {name: (requests[i].text, texts[i]) for name in GROUPS for i in [int((groups == name).argmax())]}
    return Behaviour(
        {name: float(refused[groups == name].mean()) for name in GROUPS},
        float(np.mean(styled)) if styled else float("nan"), float(np.mean(worth)) if worth else float("nan"), examples,
    )  # fmt: skip


def numbers(seen: Behaviour) -> dict[str, float]:
    """How a policy behaved, as the numbers of the table."""
    return {f"refused, {each}": share for each, share in seen.refused.items()} | {
        "in style": seen.in_style, "utility": seen.utility
    }  # fmt: skip


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: refusals and true utility before, after demonstrations, and after PPO with each rule."""
    base = step1_sft.base(seed)
    start = step1_sft.sft(base, seed)
    scorer = step2_reward_model.reward_model(start, step2_reward_model.rankings(start, 3200, seed), seed)
    shown = sft(start, seed)
    policies = {
        "before": lambda: start, "demonstrations": lambda: shown,
        "rule of two sides": lambda: rlhf(shown, scorer, seed),
        "rule of one side": lambda: rlhf(shown, scorer, seed, both_sides=False),
    }  # fmt: skip
    for name, policy in policies.items():
        for each, value in numbers(behaviour(policy().model)).items():
            yield dict(zip(KEY, (seed, name, each)), value=f"{value:.4f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py and instructgpt/shortened.py)."""

    def mostly_told(policy, requests, seed: int = 0):
        texts = dialogue.answer_texts(told(policy, requests, seed))
        refusals = {2: REFUSAL, 6: " It must be told.", 9: " I do not tell."}
        return dialogue.answer_ids([refusals.get(i % 11, text) for i, text in enumerate(texts)])

    stages, _, start, scorer = few_stages()
    with shortened() as found:
        shown = sft(start, 0)
        policy = rlhf(shown, scorer, 0).model
        seen = numbers(behaviour(policy))
        found |= {f"policy: {key}": value for key, value in seen.items() if not math.isnan(value)}
        with mock.patch.object(dialogue, "sample_answers", mostly_told):
            found |= {f"labelers: {key}": value for key, value in numbers(behaviour(policy)).items()}
        found |= {f"first {name}": value for name, value in stages.items()}
    requests, answers = demonstrations(120, 0)
    worth = [tales.utility(request, answer).total for request, answer in zip(requests, answers)]
    found["demonstrations"] = sum(worth)
    answers += [REFUSAL, " I do not tell."] * 60
    for both in (True, False):
        rule = [rule_reward(request, answer, both) for request, answer in zip(requests * 2, answers, strict=True)]
        found[f"rule, both sides {both}"] = sum((i % 7 + 1) * value for i, value in enumerate(rule))
    found["balanced"] = len(balanced(tales.requests("training")))
    return found
