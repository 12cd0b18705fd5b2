"""Is it memory? The book's GPT-2 on held-out documents by how much of them stands in the training text, five seeds.

    python benchmarks/gpt2_overlap.py              all seeds (a minute, if the models are in the cache)
    python benchmarks/gpt2_overlap.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt2_overlap.csv, a row for each seed and group of documents (the least share of their 8-grams that
was met in training): documents, tokens, the model's nats and the exact ones. Chapter 02 reads the file.
"""

import os
import sys
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from minigpt import contamination
from minigpt.experiments import dataset, measured, pretraining
from minigpt.experiments.gpt2 import zero_shot

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "at_least")
BOUNDS = (0.0, 0.5, 0.75)  # each group begins at one of these and ends at the next


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    library = dataset.story_dataset()
    shares = known_shares(library)
    for seed in seeds:
        rows = measure(library, shares, seed)
        measured.keep("gpt2_overlap", rows, KEY)
        print(*rows, sep="\n", flush=True)


def known_shares(library) -> np.ndarray:
    """For each held-out document, how much of it stands in the training text."""
    seen = contamination.known(library.documents)
    return np.array([contamination.share(text, seen) for text in library.held_out])


def measure(library, shares: np.ndarray, seed: int) -> list[dict]:
    """The rows of one seed: a row for each group of documents."""
    group = np.searchsorted(BOUNDS, shares, side="right") - 1
    nats = pretraining.held_out_nats(zero_shot.pretrain(library, seed=seed).model, library)
    rows = []
    for i, bound in enumerate(BOUNDS):
        here = group == i
        rows.append(dict(zip(KEY, (seed, f"{bound:g}")), documents=int(here.sum()),
                         tokens=int(library.held_out_tokens[here].sum()), nats=f"{nats[here].sum():.3f}",
                         exact=f"{library.held_out_nats[here].sum():.3f}"))  # fmt: skip
    return rows


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    library = stories(6)
    half, whole = library.held_out[0][: len(library.held_out[0]) * 3 // 4], library.held_out[1]
    shares = known_shares(replace(library, documents=[*library.documents, half, whole]))
    with few_updates() as found:
        rows = measure(library, shares, 0)
    for row in rows:
        found |= {f"from {row['at_least']}, {name}": float(row[name]) for name in list(row)[len(KEY) :]}
    return found | {f"share {i}": share for i, share in enumerate(shares)}


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
