"""Chapter 04, sections 4 and 9. Does the smallest aligned model lose because its reward model ignores the request?

A row for each seed and number of ranked prompts; 2,000 are those of `figure1`. "gain_animal", "gain_thing" and
"gain_mood": how much higher the reward model scores a tale that has what was asked for than the same tale with another
animal, thing or mood, on average over requests. Then what PPO makes of the smallest SFT model of `figure1` against this
reward model: "win_prompted" against the largest GPT with a few-shot prompt, and the rest as in `figure1`. Two minutes
a seed on one core, after `figure1`.
"""

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch

from minigpt.experiments.instructgpt import figure1, three_steps
from minigpt.experiments.instructgpt.reward_models import PARTS, other, plain_tale
from minigpt.experiments.instructgpt.shortened import shortened, told_on_the_web
from minigpt.experiments.instructgpt.step3_ppo import win_rate
from minigpt.experiments.instructgpt.three_steps import MIDDLE, SIZES
from minigpt.reward_model import RewardModel
from minigpt.worlds import tales

SEEDS = [0, 1, 2]
KEY = ("seed", "n_prompts")
N_PROMPTS = (three_steps.N_RANKED, 5000)


def rows(seed: int) -> Iterator[dict]:
    """Measure one seed: a row for each number of ranked prompts."""
    small, large = min(SIZES), max(SIZES)
    sft = three_steps.sft(three_steps.base(small), seed)
    theirs = None
    for n in N_PROMPTS:
        scorer = figure1.reward_model(seed, n)
        if theirs is None:
            prompted, other_seed = three_steps.base(large).model, figure1.OPPONENT_SEED + seed
            theirs = figure1.look(prompted, scorer.model, other_seed, prompted=True).totals
        policy = three_steps.rlhf(sft, scorer, seed).model
        seen = figure1.look(policy, scorer.model, seed, reference=sft.model)
        found = gains(scorer.model) | {"win_prompted": win_rate(seen.totals, theirs).mean} | seen.numbers
        yield dict(zip(KEY, (seed, n))) | {name: f"{value:.4f}" for name, value in found.items()}


@torch.no_grad()
def gains(scorer: RewardModel) -> dict[str, float]:
    """How much higher the reward model scores a tale with what was asked for than one with something else, by part."""
    requests, found = tales.requests("test"), {}
    prompts = three_steps.prompt_ids(requests)

    def scores(texts) -> torch.Tensor:
        return scorer.score(prompts, three_steps.answer_ids(texts)).double()

    right = scores([plain_tale(request) for request in requests])
    for part in PARTS:
        wrong = scores([plain_tale(other(request, part)) for request in requests])
        found[f"gain_{part}"] = float((right - wrong).mean())
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    with shortened() as found, contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(three_steps, "sample_answers", told_on_the_web))
        stack.enter_context(mock.patch.dict(globals(), SIZES=(MIDDLE,), N_PROMPTS=(8,)))
        stack.enter_context(mock.patch.object(figure1, "SIZES", (MIDDLE,)))
        for row in rows(0):
            names = ("gain_animal", "gain_thing", "gain_mood", "win_prompted", "score", "kl")
            found |= {name: float(row[name]) for name in names}
    return found
