"""Chapter 02, section 7. Test-set contamination: loss by the overlap of each held-out document with the training text.

The table data/measured/gpt2/overlap.csv has a row for each seed and group of documents (the least share of their
8-grams that also stands in the training text): documents, tokens, the model's nats and the exact ones. A minute on one
core, if the models are in the cache.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from minigpt import contamination
from minigpt.experiments import dataset, pretraining
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import zero_shot

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "at_least")
BOUNDS = (0.0, 0.5, 0.75)  # each group begins at one of these and ends at the next


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    yield from measure(data, known_shares(data), seed)


def known_shares(data: Dataset) -> np.ndarray:
    """The share of each held-out document's 8-grams that also stands in the training text. Shapes: (n held out,)."""
    seen = contamination.known(data.documents)
    return np.array([contamination.share(text, seen) for text in data.held_out])


def measure(data: Dataset, shares: np.ndarray, seed: int) -> Iterator[dict]:
    """A row for each group of documents."""
    group = np.searchsorted(BOUNDS, shares, side="right") - 1
    nats = pretraining.held_out_nats(zero_shot.pretrain(data, seed=seed).model, data)
    for i, bound in enumerate(BOUNDS):
        here = group == i
        yield dict(zip(KEY, (seed, f"{bound:g}")), documents=int(here.sum()),
                   tokens=int(data.held_out_tokens[here].sum()), nats=f"{nats[here].sum():.3f}",
                   exact=f"{data.held_out_nats[here].sum():.3f}")  # fmt: skip


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    data = stories(6)
    half, whole = data.held_out[0][: len(data.held_out[0]) * 3 // 4], data.held_out[1]
    shares = known_shares(replace(data, documents=[*data.documents, half, whole]))
    with few_updates() as found:
        measured = list(measure(data, shares, 0))
    for row in measured:
        found |= {f"from {row['at_least']}, {name}": float(row[name]) for name in list(row)[len(KEY) :]}
    return found | {f"share {i}": share for i, share in enumerate(shares)}
