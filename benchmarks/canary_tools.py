"""What the canaries of chapters 01 and 02 share: whole experiments in a second, by leaving out most of the training."""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
from canary import library

from minigpt import corpus, train


@contextlib.contextmanager
def few_updates(n: int = 3) -> Iterator[dict[str, float]]:
    """Inside, every training makes n updates and lets the rest of its steps pass without any; nothing is cached.

    The callers of `train.train` notice nothing: warm-up, schedule and snapshots are those of the whole run. Gives a
    dictionary that fills with what each run did: its steps, its n losses, the sum of its learning rates, what AdamW
    remembers (which shows its betas and the clipping), and how far the matrices moved and how much of that was towards
    0 (which shows weight decay), in thousandths of their length.
    """
    found, really, number = {}, train.train, itertools.count()

    def product(pairs) -> float:
        return sum((a * b).sum().item() for a, b in pairs)

    def short(model, batches, config, *args, **kwargs):
        run = f"run {next(number)}"
        matrices = [p for p in model.parameters() if p.ndim >= 2]  # some biases have a gradient of rounding errors only
        state = kwargs.setdefault("state", train.TrainState())
        before = [p.detach().double().clone() for p in matrices]
        for last in itertools.islice(really(model, batches, config, *args, **kwargs), n):
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

    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, MINIGPT_CACHE=folder):
        with mock.patch.object(train, "train", short):
            yield found


def stories(n_held_out: int = 6, times: int = 120):
    """The small storybook so many times over (120: as long as the real one), and its first held-out documents."""
    small = library()
    held_out, nats = small.held_out[:n_held_out], small.held_out_nats[:n_held_out]
    ids, lengths = np.tile(small.corpus.ids, times), np.tile(small.corpus.lengths, times)
    long = corpus.Corpus(ids, np.concatenate([[0], np.cumsum(lengths)]), small.corpus.tokenizer_fingerprint)
    held_out_corpus = corpus.encode(held_out, small.tokenizer)
    return replace(small, corpus=long, held_out=held_out, held_out_corpus=held_out_corpus, held_out_nats=nats)


def sum_of_tokens(texts: list[str]) -> float:
    """Texts as one number: their token ids, each times its place."""
    ids = library().tokenizer.encode("\n".join(texts))
    return float(np.dot(ids, np.arange(1, len(ids) + 1)))
