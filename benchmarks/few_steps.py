"""The experiments' own calls of classroom.pretrain and classroom.write, cut short: for their canaries.

A canary must run the code that makes a table, and may neither take minutes nor load a model that was stored earlier.
"""

import contextlib
import os
import tempfile
from dataclasses import replace
from unittest import mock

import numpy as np

from minigpt import corpus, train
from minigpt.experiments import dataset, pretraining


def part(library: dataset.Dataset, n_documents: int, n_held_out: int = 6) -> dataset.Dataset:
    """A library with only the first documents, or with all of them over and over until there are so many."""
    held_out = _first(library.held_out_corpus, min(n_held_out, len(library.held_out)))
    return replace(
        library, corpus=_first(library.corpus, n_documents), held_out=library.held_out[: len(held_out)],
        held_out_corpus=held_out, held_out_nats=library.held_out_nats[: len(held_out)],
    )  # fmt: skip


def _first(documents: corpus.Corpus, n: int) -> corpus.Corpus:
    times = -(-n // len(documents))
    offsets = np.cumsum([0, *np.tile(documents.lengths, times)[:n]], dtype=np.int64)
    return corpus.Corpus(np.tile(documents.ids, times)[: offsets[-1]], offsets, documents.tokenizer_fingerprint)


@contextlib.contextmanager
def anew():
    """Inside, nothing that was stored is read, and nothing is stored: the cache is a folder that lasts as long."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, MINIGPT_CACHE=folder):
        yield


class _Reached(Exception):
    """What train.train was called with."""


def training_of(make) -> tuple:
    """(model, batches, config, loss_fn, generator) that make() hands to train.train; nothing is trained."""

    def reached(*arguments, **_):
        raise _Reached(*arguments)

    try:
        with anew(), mock.patch.object(train, "train", reached):
            make()
    except _Reached as call:
        return call.args
    raise ValueError("expected a call that trains a model; train.train was not reached")


def rates(make) -> float:
    """The sum of the learning rates over the whole schedule of make()."""
    config = training_of(make)[2]
    return sum(train.learning_rate(step, config) for step in range(config.n_steps))


def trained(make) -> tuple[pretraining.Pretrained, dict[str, float]]:
    """What make() trains, all steps of it, and numbers from the way: losses, held-out losses, weights, tokens."""
    with anew():
        run = make()
    found = {f"loss {step}": loss for step, loss in zip(run.steps[:5], run.losses)}
    found |= {f"held out {step}": loss for step, loss in zip(run.watched[-2:], run.held_out[-2:])}
    found["watched"] = float(run.watched.sum())
    found["tokens"] = float(run.tokens[-1])
    found["weights"] = sum(p.detach().double().norm().item() for p in run.model.parameters())
    return run, found


@contextlib.contextmanager
def short_writing(n_documents: int, n_held_out: int = 10):
    """Inside, classroom.write writes fewer documents. Gives a list of how many were asked for: (documents, held out)."""
    write, asked = dataset.build_dataset, []

    def shorter(program, n_wanted, n_wanted_held_out, *others):
        asked.append((n_wanted, n_wanted_held_out, *others))
        return write(program, min(n_documents, n_wanted), n_held_out, *others)

    with mock.patch.object(dataset, "build_dataset", shorter):
        yield asked


def asked_for(call) -> list[int]:
    """The sizes and seeds with which a call of classroom.write would write; nothing is written."""
    write = mock.patch.object(dataset, "build_dataset", lambda program, *numbers: list(numbers))
    with write:
        return call()


def under(name: str, numbers: dict[str, float]) -> dict[str, float]:
    """The same numbers with a name before theirs."""
    return {f"{name}, {key}": float(value) for key, value in numbers.items()}


def checksum(numbers) -> float:
    """One number for several: each multiplied by its place."""
    return float(sum(place * float(number) for place, number in enumerate(numbers, 1)))
