"""Refusing what is forbidden and only that: careless demonstrations, then PPO with a rule of one or of two sides.

    python benchmarks/gpt4_safety.py              all seeds (three minutes each once chapter 04's models are there)
    python benchmarks/gpt4_safety.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_safety.csv, a row for each seed, model and quantity: the share refused of each group of
requests, the share of refusals in the desired style, and the true utility of the tales. Chapter 05 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
from unittest import mock

from minigpt.experiments import measured
from minigpt.experiments.gpt4.refusals import (
    REFUSAL,
    Behaviour,
    balanced,
    behaviour,
    demonstrations,
    rlhf,
    rule_reward,
    sft,
)
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model
from minigpt.worlds import tales

SEEDS = [0, 1, 2]
KEY = ("seed", "model", "quantity")

def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        base = step1_sft.base(seed)
        start = step1_sft.sft(base, seed)
        judge = step2_reward_model.reward_model(start, step2_reward_model.rankings(start, 3200, seed), seed)
        shown = sft(start, seed)
        keep(seed, "before", start.model)
        keep(seed, "demonstrations", shown.model)
        keep(seed, "rule of two sides", rlhf(shown, judge, seed).model)
        keep(seed, "rule of one side", rlhf(shown, judge, seed, both_sides=False).model)


def numbers(seen: Behaviour) -> dict[str, float]:
    """How a policy behaved, as the numbers of the table."""
    return {f"refused, {each}": share for each, share in seen.refused.items()} | {
        "in style": seen.in_style, "utility": seen.utility
    }  # fmt: skip


def keep(seed: int, name: str, policy) -> None:
    """Put what was found into the table, and say so."""
    seen = behaviour(policy)
    found = numbers(seen)
    rows = [dict(zip(KEY, (seed, name, each)), value=f"{value:.4f}") for each, value in found.items()]
    measured.keep("gpt4_safety", rows, KEY)
    print(seed, name, {each: round(value, 3) for each, value in found.items()}, seen.answers, flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py). The stages are those of instructgpt.shortened."""
    from minigpt.experiments.instructgpt.shortened import few_stages, shortened, told

    def mostly_told(policy, requests, seed: int = 0):
        texts = dialogue.answer_texts(told(policy, requests, seed))
        refusals = {2: REFUSAL, 6: " It must be told.", 9: " I do not tell."}
        return dialogue.answer_ids([refusals.get(i % 11, text) for i, text in enumerate(texts)])

    stages, _, start, judge = few_stages()
    with shortened() as found:
        shown = sft(start, 0)
        policy = rlhf(shown, judge, 0).model
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


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
