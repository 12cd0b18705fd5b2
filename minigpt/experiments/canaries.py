"""Shortened experiments for canaries: the code that makes a measured table, run for seconds instead of hours.

Each experiment's canary() returns numbers from its own code, made short with what stands here. The tables'
canaries are stored beside them (measured.keep_canary) and compared by  python -m minigpt.experiments --canary.
"""

import contextlib
import functools
import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
import torch

from minigpt import checkpoint, corpus, devices, train
from minigpt.batches import DocumentBatches
from minigpt.checkpoint import Checkpoint
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPT
from minigpt.worlds import grammar, in_context_lists

_TRAIN = train.train  # few_updates puts another function in its place


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """Inside, what the grammars are asked again and again with the same arguments is computed once.

    Nothing else changes: the functions are the same, and each is called the first time.
    """
    from minigpt.experiments.gpt2 import zero_shot_questions

    draw, asked = in_context_lists.questions, {}

    def questions(family, n_shots, n, rng, *others):
        key = family, n_shots, n, rng.getstate(), *others
        if key not in asked:
            asked[key] = draw(family, n_shots, n, rng, *others), rng.getstate()
        found, state = asked[key]
        rng.setstate(state)
        return list(found)

    with contextlib.ExitStack() as stack:
        for module, name, by in (
            (in_context_lists, "questions", questions),
            (grammar, "score", functools.cache(grammar.score)),
            (grammar, "predict", functools.cache(grammar.predict)),
            (zero_shot_questions, "questions", functools.cache(zero_shot_questions.questions)),
        ):
            stack.enter_context(mock.patch.object(module, name, by))
        yield


def first_losses(
    model, batches, config, loss_fn=train.next_token_loss, n: int = 5, seed: int = 0, n_rows: int = 8
) -> dict[str, float]:
    """The first n training losses on n_rows rows of the batches, the norm of the weights after them, a number for whole
    batches, and the sum of the whole schedule's rates."""
    records = train.train(model, FewRows(batches, n_rows), config, loss_fn, torch.Generator().manual_seed(seed))
    found = {f"loss {record.step}": record.loss for _, record in zip(range(n), records)}
    found["batches"] = number_of_batches(batches, config.n_steps)
    found["weights"] = sum(p.detach().double().norm().item() for p in model.parameters())
    found["sum of rates"] = sum(train.learning_rate(step, config) for step in range(1, config.n_steps + 1))
    model.eval()
    return found


@functools.cache
def small_dataset(n_documents: int = 300, n_held_out: int = 20):
    """A small story dataset, for the experiments that train on stories."""
    return dataset.story_dataset(n_documents, n_held_out)


def gpt1(n_steps: int = 12) -> GPT:
    """The book's GPT-1 after a few steps on the small story dataset, for what a trained model is asked afterwards.

    The same model for all who ask in one process, whatever they asked for before: each device has its own, and inside
    `few_updates` all n_steps are made.
    """
    return _gpt1(n_steps, devices.device())


@functools.cache
def _gpt1(n_steps: int, device: torch.device) -> GPT:
    gpt = GPT(sizes.GPT1, torch.Generator().manual_seed(0))
    batches = DocumentBatches(small_dataset().corpus, small_dataset().tokenizer, dataset.N_CTX, 512, 0)
    config = train.TrainConfig(n_steps=n_steps, lr=3e-3, warmup_steps=2, betas=(0.9, 0.98))
    for _ in _TRAIN(gpt, batches, config):
        pass
    return gpt.eval()


class FewRows:
    """The first rows of each batch: an update that takes a moment. (`batch_number` says what the others are.)"""

    def __init__(self, batches, n_rows: int):
        self.batches, self.n_rows = batches, n_rows

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple:
        return tuple(each[: self.n_rows] for each in self.batches[step])


def batch_number(batch) -> float:
    """A whole batch as one number: all that is in it, each times its place. It changes with any of them."""
    total = 0
    for place, each in enumerate(batch, 1):
        flat = np.asarray(each).astype(np.int64).ravel()
        total += place * len(each) + int(np.dot(flat, place + np.arange(len(flat)))) % 997
    return float(total % 997)


def number_of_batches(batches, n_steps: int, n: int = 12) -> float:
    """n whole batches of a run as one number: the first, the last, and others between them."""
    steps = np.linspace(0, n_steps - 1, min(n, n_steps)).astype(int)
    return checksum(batch_number(batches[int(step)]) for step in steps) % 997


@contextlib.contextmanager
def few_updates(n: int = 2, n_rows: int = 8, n_snapshots: int | None = None) -> Iterator[dict[str, float]]:
    """Inside, every training makes n updates on n_rows rows of its batches, and lets the rest of its steps pass without
    any; nothing is cached.

    The callers of `train.train` notice nothing: warm-up, schedule and snapshots are those of the whole run (of the
    snapshots of pretraining.pretrain only the first and last, n_snapshots in all, if there is such a number). Gives a
    dictionary that fills with what each run did: its steps, its n losses, the sum of its learning rates, a number for
    whole batches, what AdamW remembers (which shows its betas and the clipping), and how far the matrices
    moved and how much of that was towards 0 (which shows weight decay), in thousandths of their length.
    """
    found, really, number = {}, train.train, itertools.count()

    def product(pairs) -> float:
        return sum((a * b).sum().item() for a, b in pairs)

    def short(model, batches, config, *args, **kwargs):
        run = f"run {next(number)}"
        matrices = [p for p in model.parameters() if p.ndim >= 2]  # some biases have a gradient of rounding errors only
        state = kwargs.setdefault("state", train.TrainState())
        before = [p.detach().double().clone() for p in matrices]
        found[f"{run}, batches"] = number_of_batches(batches, config.n_steps)
        for last in itertools.islice(really(model, FewRows(batches, n_rows), config, *args, **kwargs), n):
            found[f"{run}, loss {last.step}"] = last.loss
            yield last
        steps = range(config.n_steps)
        found[f"{run}, steps"], found[f"{run}, tokens"] = config.n_steps, last.n_tokens
        found[f"{run}, sum of rates"] = sum(train.learning_rate(step, config) for step in steps)
        moves, scale = [p.detach() - b for p, b in zip(matrices, before)], product(zip(before, before))
        found[f"{run}, moved"] = 1000 * (product(zip(moves, moves)) / scale) ** 0.5
        found[f"{run}, pulled"] = 1000 * product(zip(moves, before)) / scale
        for kind, unit in (("exp_avg", 1), ("exp_avg_sq", 1000)):
            found[f"{run}, {kind}"] = unit * sum(m[kind].double().norm().item() for m in state.moments.values())
        for step in steps[n:]:
            yield replace(last, step=step + 1)

    pretrain = pretraining.pretrain

    def with_few_snapshots(*args, **kwargs):
        trained = pretrain(*args, **kwargs)
        steps = sorted(trained.snapshots)
        found[f"run {next(number)}, snapshots"] = float(sum(steps))
        few = [*steps[: n_snapshots - 1], steps[-1]]
        return replace(trained, snapshots={step: trained.snapshots[step] for step in few})

    with contextlib.ExitStack() as stack:
        stack.enter_context(anew())
        stack.enter_context(mock.patch.object(train, "train", short))
        if n_snapshots is not None:
            stack.enter_context(mock.patch.object(pretraining, "pretrain", with_few_snapshots))
        yield found


def stories(n_held_out: int = 6, times: int = 120):
    """The small story dataset so many times over (120: as long as the real one), and its first held-out documents."""
    small = small_dataset()
    held_out, nats = small.held_out[:n_held_out], small.held_out_nats[:n_held_out]
    ids, lengths = np.tile(small.corpus.ids, times), np.tile(small.corpus.lengths, times)
    long = corpus.Corpus(ids, np.concatenate([[0], np.cumsum(lengths)]), small.corpus.tokenizer_fingerprint)
    held_out_corpus = corpus.encode(held_out, small.tokenizer)
    return replace(small, corpus=long, held_out=held_out, held_out_corpus=held_out_corpus, held_out_nats=nats)


def sum_of_tokens(texts: list[str]) -> float:
    """Texts as one number: their token ids, each times its place."""
    ids = small_dataset().tokenizer.encode("\n".join(texts))
    return float(np.dot(ids, np.arange(1, len(ids) + 1)))


@contextlib.contextmanager
def reading_along(*functions: tuple[object, str]) -> Iterator[list[str]]:
    """Inside, all texts that these functions of modules write are kept: of a model that has hardly learned what is
    written says more than a score, which is 0."""
    kept = []

    def reader(write):
        def written(*args, **kwargs):
            texts = write(*args, **kwargs)
            kept.extend(texts)
            return texts

        return written

    with contextlib.ExitStack() as stack:
        for module, name in functions:
            stack.enter_context(mock.patch.object(module, name, reader(getattr(module, name))))
        yield kept


def part(data: Dataset, n_documents: int, n_held_out: int = 6) -> Dataset:
    """A dataset with only the first documents, or with all of them over and over until there are so many."""
    held_out = _first(data.held_out_corpus, min(n_held_out, len(data.held_out)))
    return replace(
        data, corpus=_first(data.corpus, n_documents), held_out=data.held_out[: len(held_out)],
        held_out_corpus=held_out, held_out_nats=data.held_out_nats[: len(held_out)],
    )  # fmt: skip


def _first(documents: corpus.Corpus, n: int) -> corpus.Corpus:
    times = -(-n // len(documents))
    offsets = np.cumsum([0, *np.tile(documents.lengths, times)[:n]], dtype=np.int64)
    return corpus.Corpus(np.tile(documents.ids, times)[: offsets[-1]], offsets, documents.tokenizer_fingerprint)


@contextlib.contextmanager
def anew():
    """Inside, nothing that was stored is read, and nothing is written: the cache lies in memory, and lasts as long."""
    kept = {}

    def save(folder, tensors, config=None, extra=None):
        kept[folder] = Checkpoint({name: t.detach().cpu().clone() for name, t in tensors.items()}, config, extra or {})

    def load(folder):
        if folder not in kept:
            raise FileNotFoundError(folder)
        return kept[folder]

    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, MINIGPT_CACHE=folder):
        with mock.patch.multiple(checkpoint, save=save, load=load):
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


def trained(make, n_rows: int = 8) -> tuple[Pretrained, dict[str, float]]:
    """What make() trains, all steps of it on n_rows rows of the batches, and numbers from the way: losses, held-out
    losses, weights, tokens, and a number for whole batches."""
    whole, really = [], train.train

    def narrow(model, batches, config, *args, **kwargs):
        whole.append(number_of_batches(batches, config.n_steps))
        return really(model, FewRows(batches, n_rows), config, *args, **kwargs)

    with anew(), mock.patch.object(train, "train", narrow):
        run = make()
    found = {"batches": sum(whole)} | {f"loss {step}": loss for step, loss in zip(run.steps[:5], run.losses)}
    found |= {f"held out {step}": loss for step, loss in zip(run.watched[-2:], run.held_out[-2:])}
    found["watched"] = float(run.watched.sum())
    found["tokens"] = float(run.tokens[-1])
    found["weights"] = sum(p.detach().double().norm().item() for p in run.model.parameters())
    return run, found


@contextlib.contextmanager
def short_writing(n_documents: int, n_held_out: int = 10):
    """Inside, dataset.build_dataset writes fewer documents. Gives a list of what it was asked for."""
    write, asked = dataset.build_dataset, []

    def shorter(program, n_wanted, n_wanted_held_out, *others):
        asked.append((n_wanted, n_wanted_held_out, *others))
        return write(program, min(n_documents, n_wanted), n_held_out, *others)

    with mock.patch.object(dataset, "build_dataset", shorter):
        yield asked


def asked_for(call) -> list[int]:
    """The sizes and seeds with which a call of dataset.build_dataset would write; nothing is written."""
    write = mock.patch.object(dataset, "build_dataset", lambda program, *numbers: list(numbers))
    with write:
        return call()


def under(name: str, numbers: dict[str, float]) -> dict[str, float]:
    """The same numbers with a name before theirs."""
    return {f"{name}, {key}": float(value) for key, value in numbers.items()}


def checksum(numbers) -> float:
    """One number for several: each multiplied by its place."""
    return float(sum(place * float(number) for place, number in enumerate(numbers, 1)))
