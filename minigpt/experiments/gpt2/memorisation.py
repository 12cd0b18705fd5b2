"""What a model learns by heart: documents planted in the training text so many times, and the proof that it knows them.

A test document that also stands in the training text can be recited. Where the exact probability of each document is
known, reciting shows: the model is then *less* surprised than the best possible reader who has not seen it before.
Both wings meet here: a room of the classroom floor.
"""

from dataclasses import replace

import numpy as np

from minigpt import corpus
from minigpt.batches import DocumentBatches
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.pretraining import Pretrained

TIMES = (1, 4, 16, 64)  # how often a planted document stands in the training text
N_EACH, N_BASE, N_TEST, N_PASSES = 10, 6_000, 200, 4


def planted(seed: int) -> tuple[Dataset, np.ndarray]:
    """A library into whose training text forty of its test documents have slipped, and how often each test document did.

    Shapes: the second (N_TEST,): 0, or one of TIMES.
    """
    library = dataset.story_dataset(N_BASE, N_TEST)
    times = np.zeros(N_TEST, dtype=int)
    order = np.argsort(np.random.default_rng(seed).random(N_TEST))
    for i, n in enumerate(TIMES):
        times[order[i * N_EACH : (i + 1) * N_EACH]] = n
    documents = library.documents + [text for text, n in zip(library.held_out, times) for _ in range(n)]
    return replace(
        library, documents=documents, corpus=corpus.encode(documents, library.tokenizer),
    ), times  # fmt: skip


def train_on_planted(library: Dataset, seed: int, d_model: int = 96) -> Pretrained:
    """A GPT-2 that reads such a library four times."""
    batches = DocumentBatches(
        library.corpus, library.tokenizer, dataset.N_CTX, dataset.TOKENS_PER_BATCH, seed
    )
    training = sizes.gpt2_training(d_model)
    return pretraining.pretrain(library, sizes.gpt2(d_model), seed, N_PASSES * len(batches), training=training)
