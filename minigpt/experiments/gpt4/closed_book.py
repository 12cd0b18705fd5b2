"""Chapter 06, section 6. Hallucination in closed-book question answering: confidence by how often an entry was read.

The models are the largest ones of scaling_runs.py. Which entries a run was trained on, and how often, is counted
exactly; so is how likely an answer is to be right. About an entry that was never read no model can know
more than chance.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from minigpt import calibration
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.model import GPT
from minigpt.worlds.facts import Encyclopedia

SEEDS, KEY = tuple(range(5)), ("seed", "group", "quantity")
SURE = 0.5  # an answer counts as given if the model is at least so sure
GROUPS = {"100 times or more": (100, None), "10 to 99 times": (10, 99), "1 to 9 times": (1, 9), "never": (0, 0)}


@dataclass(frozen=True)
class Recall:
    """Closed-book answers about entries that were read about equally often. Shapes: (n,) each."""

    keys: np.ndarray
    confidence: np.ndarray  # the probability that the model gives to its answer
    right: np.ndarray  # the probability that its answer is what stands there


def times_read(book: Encyclopedia, d_model: int, seed: int) -> np.ndarray:
    """Frequency of each entry in the training text of a run: the text is drawn once more, and counted.

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
    """Closed-book question answering: the values of up to n entries of each group, drawn at random.

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


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: for each group mean confidence, accuracy, calibration, and accuracy with abstention."""
    book, (run, model) = scaling_runs.book(), scaling_runs.large_run(seed)
    asked = closed_book(model, book, times_read(book, run.d_model, seed), seed=seed)
    for (name, each), value in numbers(asked).items():
        yield dict(zip(KEY, (seed, name, each)), value=f"{value:.4f}")


def numbers(asked: dict[str, Recall]) -> dict[tuple[str, str], float]:
    """What the table holds, by group and quantity."""
    known, never = list(asked)[0], list(asked)[-1]
    found = {}
    for name, group in asked.items():
        sure = group.confidence >= SURE
        found |= {
            (name, "n"): len(group.keys), (name, "confidence"): group.confidence.mean(),
            (name, "right"): group.right.mean(), (name, "answered"): sure.mean(),
            (name, "right, if answered"): group.right[sure].mean() if sure.any() else float("nan"),
            (name, "error"): calibration.reliability(group.confidence, group.right).error,
        }  # fmt: skip
    n = min(len(asked[group].keys) for group in (known, never))
    both = [np.concatenate([getattr(asked[g], what)[:n] for g in (known, never)]) for what in ("confidence", "right")]
    share, accuracy = calibration.abstaining(*both)
    for part in (0.25, 0.5, 0.75, 1.0):
        quantity = f"right, if {100 * part:.0f} % are answered"
        found["half of them never read", quantity] = np.interp(part, share, accuracy)
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The table's own numbers are those of a reader who remembers better what it read more often: a model that has hardly
    learned answers all alike, and has too many ties.
    """
    book, d_model, large, seed = scaling_runs.book(), scaling_runs.SMALL[0], scaling_runs.LARGE, SEEDS[1]
    n_rows, n_steps = scaling_runs.plan(large)
    found = {"floor": scaling_runs.floor(book), "rows": n_rows, "steps": n_steps}
    found["rate"] = scaling_runs.learning_rate(large)
    for width, n in ((large, 1), (d_model, 6)):
        model = scaling_runs.fresh_model(book, width, seed)
        records = itertools.islice(scaling_runs.train_run(book, model, seed), n)
        found |= {f"loss {i}, {width}": record.loss for i, record in enumerate(records)}
    counts = times_read(book, d_model, seed)
    found |= {f"read {least} to {most}": ((counts >= least) & (counts <= (most or counts.max()))).sum()
              for least, most in GROUPS.values()}  # fmt: skip
    [(run, model)] = scaling_runs.train_runs([(d_model, seed, {"tokens_per_param": 0.4})], book, "short")
    found["loss"] = run.loss
    for name, group in closed_book(model, book, counts, n=200, seed=seed).items():
        found[f"confidence, {name}"] = 1000 * group.confidence.mean()
        found[f"pass, {name}"] = np.log(scaling_runs.pass_rates(model, book, group.keys)).mean()
    asked = closed_book(_remembers(book, counts), book, counts, seed=seed)
    return found | {f"{name}: {each}": value for (name, each), value in numbers(asked).items()} | {"seeds": len(SEEDS)}


def _remembers(book: Encyclopedia, counts: np.ndarray):
    """A model that answers by how often it read an entry, and otherwise by the words of the question."""
    n = book.n_words + 1
    table = 2 * torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def model(ids):
        logits, keys = table[ids].sum(dim=1), ids[:, 1] * book.n_words + ids[:, 2]
        right, read = (torch.from_numpy(each)[keys] for each in (book.values, counts))
        logits[torch.arange(len(ids)), right] += 3 * read.log1p()
        return logits[:, None]

    return model
