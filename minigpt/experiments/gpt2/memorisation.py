"""Chapter 02, section 7. Memorisation: test documents planted in the training text 1, 4, 16 or 64 times.

A test document that also stands in the training text can be recited. Where the exact probability of each document is
known, reciting shows: the model is then *less* surprised than the best possible reader who has not seen it before.
The table data/measured/gpt2/memorisation.csv has a row for each seed and number of times (0: not planted): the model's
nats, the exact ones, the mean share of 8-grams that also stand in the training text, and the number of documents that
the model finds less surprising than that reader. Five minutes on one core.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from minigpt import contamination, corpus
from minigpt.batches import DocumentBatches
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPT

SEEDS = [0, 1, 2]
KEY = ("seed", "times")
TIMES = (1, 4, 16, 64)  # how often a planted document stands in the training text
N_EACH, N_BASE, N_TEST, N_PASSES = 10, 6_000, 200, 4


def planted(seed: int) -> tuple[Dataset, np.ndarray]:
    """Contaminated dataset: forty test documents also stand in its training text; and how often each does.

    Shapes: the second (N_TEST,): 0, or one of TIMES.
    """
    data = dataset.story_dataset(N_BASE, N_TEST)
    times = np.zeros(N_TEST, dtype=int)
    order = np.argsort(np.random.default_rng(seed).random(N_TEST))
    for i, n in enumerate(TIMES):
        times[order[i * N_EACH : (i + 1) * N_EACH]] = n
    documents = data.documents + [text for text, n in zip(data.held_out, times) for _ in range(n)]
    return replace(data, documents=documents, corpus=corpus.encode(documents, data.tokenizer)), times


def train_on_planted(data: Dataset, seed: int, d_model: int = 96) -> Pretrained:
    """Train a GPT-2 on such a dataset, four passes."""
    batches = DocumentBatches(data.corpus, data.tokenizer, dataset.N_CTX, dataset.TOKENS_PER_BATCH, seed)
    training = sizes.gpt2_training(d_model)
    return pretraining.pretrain(data, sizes.gpt2(d_model), seed, N_PASSES * len(batches), training=training)


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data, times = planted(seed)
    yield from measure(data, times, train_on_planted(data, seed).model, seed)


def measure(data: Dataset, times: np.ndarray, model: GPT, seed: int) -> Iterator[dict]:
    """A row for each number of times that a document may stand in the training text."""
    nats, exact, n_tokens = pretraining.held_out_nats(model, data), data.held_out_nats, data.held_out_tokens
    seen = contamination.known(data.documents)
    shares = np.array([contamination.share(text, seen) for text in data.held_out])
    for n in (0, *TIMES):
        here = times == n
        yield dict(zip(KEY, (seed, n)), documents=int(here.sum()), tokens=int(n_tokens[here].sum()),
                   nats=f"{nats[here].sum():.3f}", exact=f"{exact[here].sum():.3f}",
                   overlap=f"{shares[here].mean():.4f}", below=int((nats < exact)[here].sum()))  # fmt: skip


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from unittest import mock

    from minigpt.experiments.canaries import few_updates, stories

    asked = mock.Mock(return_value=stories(10, times=1))
    with few_updates() as found, mock.patch.object(dataset, "story_dataset", asked):
        data, times = planted(0)
        model = train_on_planted(data, 0).model
    found |= {f"documents asked for {i}": n for i, n in enumerate(asked.call_args.args)}
    found |= {"documents": len(data.documents), "planted": np.dot(times, np.arange(len(times)))}
    some = replace(data, documents=data.documents[:300])
    for row in measure(some, np.resize((0, *TIMES), 10), model, 0):
        found |= {f"{row['times']} times, {name}": float(row[name]) for name in list(row)[len(KEY) :]}
    return found
