"""How sure is a model of what it never read? The widest model of each ladder, closed book, three seeds.

    python benchmarks/gpt4_recall.py              all seeds (ninety seconds each on one core)
    python benchmarks/gpt4_recall.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_recall.csv, a row for each seed and group of entries (by how often the run read them): the
mean confidence, how often the answer is right, and for answers only where the model is surest, the accuracy. Chapter 05
reads the file.
"""

import itertools
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from minigpt import calibration
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import closed_book, scaling_runs
from minigpt.worlds import facts

SEEDS = [0, 1, 2]
KEY = ("seed", "group", "quantity")
SURE = 0.5  # answers only if the model is at least so sure


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    book = scaling_runs.book()
    for seed in seeds:
        rung, model = scaling_runs.large_run(seed)
        asked = closed_book.closed_book(model, book, closed_book.times_read(book, rung.d_model, seed), seed=seed)
        rows = [
            dict(zip(KEY, (seed, name, each)), value=f"{value:.4f}") for (name, each), value in numbers(asked).items()
        ]
        measured.keep("gpt4_recall", rows, KEY)
        for row in rows:
            print(*row.values(), flush=True)


def numbers(asked: dict[str, closed_book.Recall]) -> dict[tuple[str, str], float]:
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
    book, d_model, seed = scaling_runs.book(), scaling_runs.SMALL[0], SEEDS[1]
    rows, n_steps = scaling_runs.plan(scaling_runs.LARGE)
    found = {"floor": scaling_runs.floor(book), "rows": rows, "steps": n_steps, "rate": scaling_runs.learning_rate(scaling_runs.LARGE)}
    for width, n in ((scaling_runs.LARGE, 1), (d_model, 6)):
        records = itertools.islice(scaling_runs.train_run(book, scaling_runs.fresh_model(book, width, seed), seed), n)
        found |= {f"loss {i}, {width}": record.loss for i, record in enumerate(records)}
    counts = closed_book.times_read(book, d_model, seed)
    found |= {f"read {least} to {most}": ((counts >= least) & (counts <= (most or counts.max()))).sum()
              for least, most in closed_book.GROUPS.values()}  # fmt: skip
    [(run, model)] = scaling_runs.train_runs([(d_model, seed, {"tokens_per_param": 0.4})], book, "short")
    found["loss"] = run.loss
    for name, group in closed_book.closed_book(model, book, counts, n=200, seed=seed).items():
        found[f"confidence, {name}"] = 1000 * group.confidence.mean()
        found[f"pass, {name}"] = np.log(scaling_runs.pass_rates(model, book, group.keys)).mean()
    asked = closed_book.closed_book(remembers(book, counts), book, counts, seed=seed)
    return found | {f"{name}: {each}": value for (name, each), value in numbers(asked).items()} | {"seeds": len(SEEDS)}


def remembers(book: facts.Encyclopedia, counts: np.ndarray):
    """A model that answers by how often it read an entry, and otherwise by the words of the question."""
    n = book.n_words + 1
    table = 2 * torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def model(ids):
        logits, keys = table[ids].sum(dim=1), ids[:, 1] * book.n_words + ids[:, 2]
        right, read = (torch.from_numpy(each)[keys] for each in (book.values, counts))
        logits[torch.arange(len(ids)), right] += 3 * read.log1p()
        return logits[:, None]

    return model


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
