"""The experiments' own calls of classroom.pretrain and classroom.write, cut short: for their canaries.

A canary must run the code that makes a table, and may neither take minutes nor load a model that was stored earlier.
"""

import contextlib
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import numpy as np

from minigpt import checkpoint, classroom, corpus, train


def part(library: classroom.Library, n_documents: int, n_held_out: int = 6) -> classroom.Library:
    """A library with only the first documents, or with all of them over and over until there are so many."""
    held_out = _first(library.held_out_corpus, min(n_held_out, len(library.held_out)))
    return replace(
        library, corpus=_first(library.corpus, n_documents), held_out=library.held_out[: len(held_out)],
        held_out_corpus=held_out, held_out_nats=library.held_out_nats[: len(held_out)],
    )  # fmt: skip


def _first(documents: corpus.Corpus, n: int) -> corpus.Corpus:
    times = -(-n // len(documents))
    offsets = np.cumsum([0, *np.tile(documents.lengths, times)[:n]], dtype=np.int64)
    return corpus.Corpus(np.tile(documents.ids, times)[: offsets[-1]], offsets, documents.fingerprint)


@contextlib.contextmanager
def anew():
    """Inside, classroom.pretrain trains: it looks for no stored model, stores none and shows no bar."""
    cached = mock.patch.object(checkpoint, "cached", lambda name, key, build: SimpleNamespace(tensors=build()[0]))
    unread = mock.patch.object(checkpoint, "code_fingerprint", lambda *sources: "")
    with cached, unread, mock.patch.object(classroom, "progress", lambda records, *_, **__: records):
        yield


class _Reached(Exception):
    """What train.train was called with."""


def training_of(make) -> tuple:
    """(model, batches, config, loss_fn, generator) that make() hands to train.train; nothing is trained."""

    def reached(*arguments):
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


def trained(make) -> tuple[classroom.Pretrained, dict[str, float]]:
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
    write, asked = classroom.write, []

    def shorter(program, recipe, n_wanted, n_wanted_held_out, *others):
        asked.append((n_wanted, n_wanted_held_out, *others))
        return write(program, recipe, min(n_documents, n_wanted), n_held_out, *others)

    with mock.patch.object(classroom, "write", shorter):
        yield asked


def asked_for(call) -> list[int]:
    """The sizes and seeds with which a call of classroom.write would write; nothing is written."""
    write = mock.patch.object(classroom, "write", lambda program, recipe, *numbers: list(numbers))
    with write, mock.patch.object(checkpoint, "code_fingerprint", lambda *sources: ""):
        return call()


def under(name: str, numbers: dict[str, float]) -> dict[str, float]:
    """The same numbers with a name before theirs."""
    return {f"{name}, {key}": float(value) for key, value in numbers.items()}


def checksum(numbers) -> float:
    """One number for several: each multiplied by its place."""
    return float(sum(place * float(number) for place, number in enumerate(numbers, 1)))
