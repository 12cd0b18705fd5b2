"""Pre-training: a GPT on a dataset, with held-out loss and snapshots on the way."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from minigpt import loss, train
from minigpt.batches import DocumentBatches, evaluation_batches
from minigpt.experiments.dataset import TOKENS_PER_BATCH, Dataset
from minigpt.experiments.sizes import GPT1, PRETRAINING
from minigpt.experiments.training import train_or_load
from minigpt.model import GPT
from minigpt.train import TrainConfig
from minigpt.worlds import grammar


@dataclass(frozen=True)
class Pretrained:
    """A trained model and how it got there; `snapshots` are the weights on the way, by step."""

    model: nn.Module  # a GPT, unless `pretrain` was told to build something else
    steps: np.ndarray  # every step
    tokens: np.ndarray  # tokens seen after each step
    losses: np.ndarray  # training loss of each step, nats per token
    watched: np.ndarray  # steps at which the held-out documents were read
    held_out: np.ndarray  # held-out loss at those steps, nats per token
    snapshots: dict[int, dict]

    def at(self, step: int) -> nn.Module:
        """The model as it was after `step` steps."""
        earlier = copy.deepcopy(self.model)
        earlier.load_state_dict(self.snapshots[step])
        return earlier


def pretrain(
    dataset: Dataset,
    config=GPT1,
    seed: int = 0,
    n_steps: int | None = None,
    training: TrainConfig = PRETRAINING,
    loss_fn=train.next_token_loss,
    label: str = "pre-training",
    n_watched: int = 10,
    tokens_per_batch: int | None = None,
    warmup_steps: int = 60,
    prepare: Callable | None = None,
    build: Callable[..., nn.Module] = GPT,
) -> Pretrained:
    """Train a model on a dataset, or load it if this very model was trained before (same code, data and settings).

    `prepare` turns the batches of documents into those that loss_fn takes (None: they are left as they are).
    build(config, generator) makes the model; its config says n_ctx, and whether it is causal.
    Shows a progress bar with the time left and the distance to the floor.
    """
    tokens_per_batch = tokens_per_batch or TOKENS_PER_BATCH
    batches = DocumentBatches(dataset.corpus, dataset.tokenizer, config.n_ctx, tokens_per_batch, seed)
    batches = prepare(batches) if prepare else batches
    n_steps = n_steps or len(batches)
    training = replace(training, n_steps=n_steps, warmup_steps=min(warmup_steps, n_steps // 10))
    watched = sorted({round(n_steps * (i / n_watched) ** 2) for i in range(1, n_watched + 1)} - {0})
    reading = evaluation_batches(dataset.held_out_corpus, dataset.tokenizer, config.n_ctx, 4096)
    gpt = build(config, torch.Generator().manual_seed(seed))

    def start(state):
        return train.train(gpt, batches, training, loss_fn, torch.Generator().manual_seed(seed), state=state)

    def watch(record, kept):
        kept.add(tokens=record.n_tokens, losses=record.loss)
        if record.step in watched:
            loss = train.evaluate(gpt, reading).nats_per_token if config.causal else float("nan")
            kept.add(watched=record.step, held_out=loss)
            kept.snapshot(record.step, gpt)

    key = {
        "dataset": dataset, "model": config, "training": training, "seed": seed, "loss": loss_fn,
        "tokens per batch": tokens_per_batch, "watched": watched, "prepare": prepare, "build": build,
    }  # fmt: skip
    floor = dataset.floor.mean if config.causal else None
    kept = train_or_load(label.replace(" ", "-"), key, gpt, start, n_steps, watch=watch, label=label, floor=floor)
    curves = kept.arrays()
    curves |= {name: curves[name].astype(int) for name in ("tokens", "watched")}
    return Pretrained(gpt, np.arange(1, n_steps + 1), snapshots=kept.snapshots(), **curves)


def held_out_nats(gpt: nn.Module, dataset: Dataset) -> np.ndarray:
    """The model's own -log P of each held-out document, in nats: to be laid beside `dataset.held_out_nats`."""
    reading = evaluation_batches(dataset.held_out_corpus, dataset.tokenizer, gpt.config.n_ctx, 4096)
    return train.evaluate(gpt, reading).document_nats


@torch.no_grad()
def word_nats(gpt: GPT, dataset: Dataset, text: str) -> list[tuple[str, float]]:
    """A model's surprisal of each word of a document, and of its end "": the sum over the tokens of the word.

        -log P(word | words before it)

    To be laid beside `entropy.word_nats`, which says the same of a perfect reader. Unit: nats.
    Errors: ValueError for a document longer than the model's context.
    """
    pieces = [dataset.tokenizer.encode(word) for word in grammar.words(text)]
    end = dataset.tokenizer.endoftext
    ids = torch.tensor([end, *(i for piece in pieces for i in piece), end])
    tokens = -loss.token_logps(gpt(ids[None, :-1])[0], ids[1:]).double()  # (T,)
    sums = [each.sum().item() for each in tokens.split([*(len(piece) for piece in pieces), 1])]
    return list(zip([*grammar.words(text), ""], sums))
