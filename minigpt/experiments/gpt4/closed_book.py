"""Chapter 05: closed-book questions about what was read often, rarely, or never, and how sure the model is of its answer.

Classroom: the encyclopedia and the models of `ladder`. Which entries a run has read, and how often, is counted exactly;
so is how likely an answer is to be right. About an entry that was never read nobody can know more than chance.
"""

from dataclasses import dataclass

import numpy as np

from minigpt.experiments.gpt4 import scaling_runs
from minigpt.model import GPT
from minigpt.worlds.facts import Encyclopedia

GROUPS = {"100 times or more": (100, None), "10 to 99 times": (10, 99), "1 to 9 times": (1, 9), "never": (0, 0)}


@dataclass(frozen=True)
class Recall:
    """Questions about entries that were read about equally often. Shapes: (n,) each."""

    keys: np.ndarray
    confidence: np.ndarray  # the probability that the model gives to its answer
    right: np.ndarray  # the probability that its answer is what stands there


def times_read(book: Encyclopedia, d_model: int, seed: int) -> np.ndarray:
    """How often a run of the ladder read each entry: its training text is drawn once more, and counted.

    Shapes: result (n_words^2,), by key.
    """
    rows, n_steps = scaling_runs.plan(d_model, book.n_words)
    counts = np.zeros(len(book.fame), dtype=int)
    texts = scaling_runs.FreshTexts(book, rows, n_steps, 1000 * seed + d_model)
    for step in range(n_steps):
        first, second, _ = texts[step][1].numpy().reshape(-1, 3).T
        np.add.at(counts, first * book.n_words + second, 1)
    return counts


def closed_book(model: GPT, book: Encyclopedia, counts: np.ndarray, n: int = 1000, seed: int = 0) -> dict[str, Recall]:
    """Ask for the values of up to n entries of each group, drawn from all that were read so often.

    Errors: ValueError if a group is empty.
    """
    rng, found = np.random.default_rng(seed), {}
    hit = book.right + (1 - book.right) / book.n_words
    for name, (least, most) in GROUPS.items():
        there = np.flatnonzero((counts >= least) & (counts <= (counts.max() if most is None else most)))
        if not len(there):
            raise ValueError(f"expected entries that were read {name}; there are none")
        keys = rng.permutation(there)[:n]
        p = scaling_runs.answers(model, book, keys)
        said = p.argmax(axis=1)
        right = np.where(said == book.values[keys], hit, (1 - book.right) / book.n_words)
        found[name] = Recall(keys, p.max(axis=1), right)
    return found
