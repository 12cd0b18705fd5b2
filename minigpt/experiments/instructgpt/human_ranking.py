"""Chapter 04, section 4. Human preference labels: the reader ranks answers, and a reward model learns from them.

The answers to be ranked come from the grammar, so they are the same on every computer. With so few rankings
only the reward model's last layer is learned; the network beneath it is the chapter's SFT model, as it is.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from minigpt.exact import bradley_terry
from minigpt.experiments.instructgpt import dialogue
from minigpt.model import GPT
from minigpt.responses import answer_lengths, readable
from minigpt.worlds import grammar, tales
from minigpt.worlds.tales import Request, utility

N_TASKS, N_ANSWERS = 15, 4
RIDGE = 3.0  # how reluctant the last layer is to believe anything, from so few pairs


@dataclass(frozen=True)
class Task:
    """A request, and answers to be ranked."""

    request: Request
    answers: tuple[str, ...]


def tasks(n: int = N_TASKS, seed: int = 0) -> list[Task]:
    """Requests with four different answers each: some obey, some do not."""
    rng, found = random.Random(f"labeling {seed}"), []
    for _ in range(n):
        request, answers = rng.choice(tales.requests("training")), {}
        while len(answers) < N_ANSWERS:
            answers[grammar.sample(tales.demonstration(request), rng)[0]] = None  # each once, in this order
        found.append(Task(request, tuple(answers)))
    return found


# What somebody may like, as a number for each answer. The recorded rankings are made with the first of them.
TASTES: dict[str, Callable[[Request, str], float]] = {
    "visitors": lambda request, answer: 2.0 * ("came by" in answer),
    "the chapter's own": lambda request, answer: utility(request, answer).total,
    "short tales": lambda request, answer: -0.15 * len(answer.split()),
    "rain and storms": lambda request, answer: 2.0 * ("day." in answer),
}


def recorded(todo: list[Task], taste: str = "visitors", noise: float = 0.5) -> list[tuple[int, ...]]:
    """Rankings by a stand-in who likes one thing, for when nobody clicks. Ranks: 1 is best, equal numbers are ties.

    Errors: an unknown taste is a ValueError.
    """
    if taste not in TASTES:
        raise ValueError(f"expected one of {sorted(TASTES)}; got {taste!r}")
    rng = random.Random(f"recorded {taste}")
    return [tales.ranking([TASTES[taste](t.request, a) for a in t.answers], noise, rng, 0.1) for t in todo]


@torch.no_grad()
def features(gpt: GPT, request: Request, answers) -> np.ndarray:
    """What the network knows after the last token of each answer. Shapes: result (K, d_model), float64."""
    prompts, ids = dialogue.prompt_ids([request] * len(answers)), dialogue.answer_ids(list(answers))
    h = gpt.hidden(readable(prompts, ids))
    return h.cpu()[torch.arange(len(h)), prompts.shape[1] + answer_lengths(ids) - 1].double().numpy()


def fit_reward(gpt: GPT, todo: list[Task], rankings: list[tuple[int, ...]]) -> np.ndarray:
    """The last layer of a reward model, from rankings of the first so many tasks. Shapes: result (d_model,).

    Errors: ValueError if a ranking does not fit its task, or if there is no pair in all of them.
    """
    rows, winners, losers = [], [], []
    for task, ranks in zip(todo, rankings):
        if len(ranks) != len(task.answers):
            raise ValueError(f"expected a rank for each of {len(task.answers)} answers; got {ranks}")
        first = len(rows)
        rows.extend(features(gpt, task.request, task.answers))
        pairs = [(w, l) for w in range(len(ranks)) for l in range(len(ranks)) if ranks[w] < ranks[l]]  # noqa: E741
        winners += [first + w for w, _ in pairs]
        losers += [first + l for _, l in pairs]  # noqa: E741
    return bradley_terry.fit_bradley_terry(np.array(rows).reshape(len(rows), -1), winners, losers, RIDGE)


CHANGES = {  # what is asked about: a tale, and the same tale with one thing changed
    "a visitor": lambda r, a: a.replace(" At last", " Then a cow came by. At last"),
    "the weather": lambda r, a: a.replace(" At last", " It was a sunny day. At last"),
    "a feeling": lambda r, a: a.replace(" At last", " It felt proud. At last"),
    "animal as asked": lambda r, a: a.replace(" pig ", f" {r.animal} "),
    "thing as asked": lambda r, a: a.replace(" drum.", f" {r.thing}."),
    "mood as asked": lambda r, a: a.replace("smiled", tales.REACTIONS[r.mood][0]).replace(
        "cheerful", tales.TRAITS[r.mood][0]
    ),
}
PLAIN = " Once a cheerful pig went to the river. It painted a red drum. At last it smiled."


def beliefs(gpt: GPT, w: np.ndarray, n: int = 24) -> dict[str, float]:
    """How much the score of a plain tale rises when one thing is changed, on average over requests."""
    wishes = [
        r
        for r in tales.requests("test")
        if r.animal not in ("pig", "cow") and r.thing != "drum" and r.mood != "merry"
    ]
    found = {}
    for name, change in CHANGES.items():
        rises = [np.diff(features(gpt, r, (PLAIN, change(r, PLAIN))) @ w)[0] for r in wishes[:n]]
        found[name] = float(np.mean(rises))
    return found
