"""Chapter 04, section 3. SFT for sixteen epochs: held-out loss of asked and of free words, reward score, utility.

A row for each seed, dropout, number of demonstrations n and epoch; the four arms differ in dropout or in n, and so in
the number of updates (the epochs are the same), and in nothing else. "asked" and "free" are parts of the loss on unseen demonstrations, in nats per demonstration: of what the
request decides (the animal, the thing, and whether a word has the right mood), and of everything else. "score" is the
mean score of one fixed reward model, the one of `figure1`; "utility" is the true utility. Both are of whole answers,
also where the base model goes on to further requests: `figure1` reads their first line alone. Two minutes a seed on
one core, after `figure1`.
"""

import contextlib
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from minigpt import devices
from minigpt.experiments import measured
from minigpt.experiments.instructgpt import figure1, three_steps
from minigpt.experiments.instructgpt.shortened import shortened, told_on_the_web
from minigpt.experiments.instructgpt.three_steps import MIDDLE
from minigpt.loss import IGNORED
from minigpt.model import GPT
from minigpt.responses import answer_logits
from minigpt.reward_model import RewardModel
from minigpt.worlds import tales

SEEDS = [0, 1, 2]
KEY = ("seed", "dropout", "n", "epoch")
DROPOUTS, NUMBERS = (0.0, 0.2), (300, 600)
N_EPOCHS, N_HELD_OUT = 16, 300
WATCHED = ("asked", "free", "score", "utility")


def rows(seed: int) -> Iterator[dict]:
    """Measure one seed: a row for each arm and epoch; epoch 0 is the base model."""
    scorer = figure1.reward_model(seed, figure1.N_RANKED).model
    for dropout in DROPOUTS:
        for n in NUMBERS:
            found = curves(scorer, seed, dropout, n)
            for epoch, numbers in enumerate(zip(*(found[name] for name in WATCHED))):
                values = {name: f"{value:.4f}" for name, value in zip(WATCHED, numbers)}
                yield dict(zip(KEY, (seed, dropout, n, epoch))) | values


def curves(scorer: RewardModel, seed: int, dropout: float, n: int, n_epochs: int = N_EPOCHS) -> dict[str, np.ndarray]:
    """One arm: the watched numbers before the first and after each epoch."""
    watch = functools.partial(look, scorer=scorer)
    start = three_steps.base(MIDDLE)
    return three_steps.sft(start, seed, n, n_epochs, dropout, text_rows=0, watch=watch).curves


@torch.no_grad()
def look(policy: GPT, scorer: RewardModel) -> dict[str, float]:
    """The watched numbers of one model."""
    was_training = policy.training
    policy.eval()
    held_out = unseen()
    asked, free = split_loss(policy, held_out)
    requests = tales.requests("test")
    answers = three_steps.sample_answers(policy, requests)
    seen = three_steps.worths(requests, three_steps.answer_texts(answers))
    score = scorer.score(three_steps.prompt_ids(requests), answers).double().mean().item()
    policy.train(was_training)
    return {"asked": asked, "free": free, "score": score, "utility": np.mean([each.total for each in seen])}


@dataclass(frozen=True)
class Unseen:
    """Demonstrations that no model learned from, and which of their words the request decides."""

    prompts: Tensor  # (B, T)
    answers: Tensor  # (B, N)
    decided: Tensor  # (B, N): the animal that the tale is about, and the thing
    mood: Tensor  # (B, N): the number of the mood that a word tells, -1 if none


@functools.cache
def unseen(n: int = N_HELD_OUT) -> Unseen:
    """Demonstrations for the test requests, the same for every seed."""
    requests, texts = three_steps.demonstrations(n, 0, "test")
    answers, tokenizer = three_steps.answer_ids(texts), three_steps.web_dataset().tokenizer
    heroes, things = ({tokenizer.encode(f" {x}")[0] for x in names} for names in
                      ([hero.name for hero in tales.HEROES], tales.THINGS))  # fmt: skip
    decided = torch.zeros_like(answers, dtype=torch.bool)
    for row, ids in enumerate(answers.tolist()):
        decided[row, next(i for i, token in enumerate(ids) if token in heroes)] = True
        decided[row, next(i for i, token in enumerate(ids) if token in things)] = True
    return Unseen(
        three_steps.prompt_ids(requests),
        answers,
        decided,
        mood_numbers()[answers.clamp(min=0)].where(answers != IGNORED, -1),
    )


def mood_numbers() -> Tensor:
    """The mood that each token tells, as a number, -1 for none. Shapes: (V,)."""
    tokenizer = three_steps.web_dataset().tokenizer
    found = torch.full((tokenizer.n_vocab,), -1)
    for word, mood in tales.MOOD_OF.items():
        found[tokenizer.encode(f" {word}")[0]] = tales.MOODS.index(mood)
    return found


@torch.no_grad()
def split_loss(policy: GPT, held_out: Unseen) -> tuple[float, float]:
    """Loss of the asked and of the free part of demonstrations, nats per demonstration. Their sum is the whole loss.

    A word that tells a mood is split by the chain rule: which mood it tells is asked, which word of this mood is free.

        -log P(word) = -log P(a word of its mood) - log P(word | a word of its mood)
    """
    read = held_out.prompts, held_out.answers, held_out.decided, held_out.mood, mood_numbers()
    prompts, answers, decided, mood, moods = (each.to(devices.of(policy)) for each in read)
    logps = answer_logits(policy, prompts, answers).double().log_softmax(dim=-1)  # (B, N, V)
    there = answers != IGNORED
    total = -logps.gather(2, answers.clamp(min=0)[..., None])[..., 0] * there  # (B, N)
    of_mood = -logps.masked_fill(moods != mood[..., None], -torch.inf).logsumexp(dim=-1)
    asked = torch.where(decided, total, torch.where(there & (mood >= 0), of_mood, 0.0))
    return asked.sum(dim=1).mean().item(), (total - asked).sum(dim=1).mean().item()


def gained_after_lowest_loss(column: str = "utility") -> np.ndarray:
    """What was gained from the epoch of the lowest held-out loss to the last: a number for each arm and seed."""
    gained = []
    for dropout, n in itertools.product(DROPOUTS, NUMBERS):
        asked, free, gain = (
            np.stack([
                measured.get("instructgpt/sft_epochs", name, dropout=dropout, n=n, epoch=epoch)
                for epoch in range(1, N_EPOCHS + 1)
            ])
            for name in ("asked", "free", column)
        )  # (epochs, seeds) each
        lowest = (asked + free).argmin(axis=0)
        gained.append(gain[-1] - gain[lowest, np.arange(len(lowest))])
    return np.concatenate(gained)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    with shortened() as found, contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(three_steps, "sample_answers", told_on_the_web))
        stack.enter_context(mock.patch.object(figure1, "SIZES", (MIDDLE,)))
        scorer, held_out = figure1.reward_model(0, 8).model, unseen.__wrapped__()
        stack.enter_context(mock.patch.dict(globals(), unseen=lambda: held_out))
        for name, numbers in curves(scorer, 0, DROPOUTS[1], NUMBERS[1], 1).items():
            found[f"before: {name}"] = float(numbers[0])
        start = three_steps.base(MIDDLE)
        after = three_steps.sft(start, 0, 40, 2, DROPOUTS[1], text_rows=0)
        found |= {f"after: {name}": float(value) for name, value in look(after.model, scorer).items()}
        found["words that the request decides"] = float(held_out.decided.sum())
        found["words that tell a mood"] = float((held_out.mood >= 0).sum())
    return found
