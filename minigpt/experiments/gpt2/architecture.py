"""Chapter 02, section 8. Architecture ablations from GPT-1 to GPT-2: LayerNorm, initialisation, vocabulary, context.

The table data/measured/gpt2/architecture.csv has a row for each seed, experiment and setting: "deep" (held-out loss
after a short training of twelve blocks without warm-up, for each form and learning rate), "window" (held-out loss for
each context) and "vocabulary" (nats a document). Half an hour on one core.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from minigpt import corpus, loss, train
from minigpt.batches import DocumentBatches, WindowBatches
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.model import GPT, GPTConfig
from minigpt.tokenizer import train_bpe
from minigpt.train import TrainConfig

SEEDS = [0, 1, 2]
KEY = ("seed", "experiment", "setting", "x")

# --- LayerNorm and the first weights of a deep model -----------------------------------------------------------------

DEPTH, N_STEPS = 12, 300
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
FORMS = {
    "LayerNorm after": {"norm": "post", "init": "gpt1"},
    "LayerNorm before": {"norm": "pre", "init": "gpt1"},
    "before, first weights scaled": {"norm": "pre", "init": "gpt2"},
}


def deep(form: str, n_layers: int = DEPTH) -> GPTConfig:
    """A narrow, deep model in one of three forms, which differ in nothing else."""
    return GPTConfig(
        n_vocab=dataset.N_VOCAB, n_ctx=dataset.N_CTX, n_layers=n_layers, n_heads=4, d_model=32,
        init_std=round(32**-0.5, 4), position_init="sinusoid", **FORMS[form],
    )  # fmt: skip


def short_run(data: Dataset, config: GPTConfig, lr: float, seed: int, warmup_steps: int = 0) -> float:
    """The held-out loss after a short training, nats per token; nan if the training broke down."""
    gpt = GPT(config, torch.Generator().manual_seed(seed))
    batches = DocumentBatches(data.corpus, data.tokenizer, dataset.N_CTX, dataset.TOKENS_PER_BATCH, seed)
    training = TrainConfig(
        n_steps=N_STEPS, lr=lr, warmup_steps=warmup_steps, final_lr_fraction=0.1, betas=(0.9, 0.98)
    )
    try:
        for _ in train.train(gpt, batches, training):
            pass
    except FloatingPointError:
        return float("nan")
    nats = pretraining.held_out_nats(gpt.eval(), data)
    return float(nats.sum() / data.held_out_tokens.sum())


@torch.no_grad()
def spread_by_depth(form: str, seed: int, n_layers: int = DEPTH) -> list[float]:
    """The standard deviation of the numbers on the residual path before any training: at the start, after each block.

    Source: GPT-2, section 2.3: "accumulation on the residual path with model depth" is what its scaling is for.
    """
    gpt = GPT(deep(form, n_layers), torch.Generator().manual_seed(seed)).eval()
    ids = torch.randint(dataset.N_VOCAB, (4, 64), generator=torch.Generator().manual_seed(seed))
    spreads = []
    hooks = [
        block.register_forward_pre_hook(lambda _, inputs: spreads.append(inputs[0].std().item()))
        for block in gpt.blocks
    ]
    hooks.append(gpt.blocks[-1].register_forward_hook(lambda _, inputs, out: spreads.append(out.std().item())))
    gpt.hidden(ids)
    for hook in hooks:
        hook.remove()
    return spreads


# --- bytes, and pieces of words ---------------------------------------------------------------------------------------

VOCABULARIES = (260, 512, 1024)  # 260: the 256 bytes and the four special tokens, no merge
N_DOCUMENTS = 5_000


def cut_by(n_vocab: int) -> Dataset:
    """The same few documents, cut into tokens by another vocabulary."""
    data = dataset.story_dataset(N_DOCUMENTS, 200)
    tokenizer = train_bpe(data.documents, n_vocab)
    return replace(
        data, tokenizer=tokenizer, corpus=corpus.encode(data.documents, tokenizer),
        held_out_corpus=corpus.encode(data.held_out, tokenizer),
    )  # fmt: skip


def train_on_cut_text(data: Dataset, seed: int) -> tuple[float, float, int]:
    """(nats a document, exact nats a document, tokens read) of a GPT-2 of width 64 that reads all documents twice.

    Documents, not tokens, so that vocabularies can be compared.
    """
    longest = int(max(data.corpus.lengths.max(), data.held_out_corpus.lengths.max()))
    config = replace(sizes.gpt2(64), n_vocab=data.tokenizer.n_vocab, n_ctx=longest + 1)
    batches = DocumentBatches(data.corpus, data.tokenizer, config.n_ctx, dataset.TOKENS_PER_BATCH, seed)
    trained = pretraining.pretrain(data, config, seed, 2 * len(batches), training=sizes.gpt2_training(64))
    nats = pretraining.held_out_nats(trained.model, data)
    return float(nats.mean()), float(data.held_out_nats.mean()), int(trained.tokens[-1])


# --- how far back -----------------------------------------------------------------------------------------------------

WINDOWS = (8, 16, 32, 64, 128)
N_WINDOW_STEPS = 2_000


def train_with_window(data: Dataset, n_ctx: int, seed: int) -> float:
    """Held-out loss of a model that never sees more than n_ctx tokens at once, nats per token.

    All documents stand in one row, an end-of-text token between them, and the model reads windows of n_ctx of it.
    Each held-out token is then predicted from exactly the n_ctx tokens before it.
    """
    stream = _stream(data.corpus, data)
    gpt = GPT(replace(sizes.gpt2(64), n_ctx=n_ctx), torch.Generator().manual_seed(seed))
    batches = WindowBatches(stream, n_ctx, dataset.TOKENS_PER_BATCH // n_ctx, seed)
    training = replace(sizes.gpt2_training(64), n_steps=N_WINDOW_STEPS, warmup_steps=60)
    for _ in train.train(gpt, batches, training):
        pass
    return _loss_through_window(gpt.eval(), _stream(data.held_out_corpus, data)[:6_000], n_ctx)


def _stream(read: corpus.Corpus, data: Dataset) -> np.ndarray:
    end = data.tokenizer.endoftext
    return np.concatenate([part for i in range(len(read)) for part in (read.document(i), [end])]).astype(np.int64)


@torch.no_grad()
def _loss_through_window(gpt: GPT, stream: np.ndarray, n_ctx: int) -> float:
    windows = np.lib.stride_tricks.sliding_window_view(stream, n_ctx + 1)
    rows = gpt.here(torch.from_numpy(windows[max(WINDOWS) - n_ctx :].copy()))  # the same tokens are predicted by all
    nats = [-loss.token_logps(gpt(some[:, :-1])[:, -1:], some[:, -1:]).sum().item() for some in rows.split(256)]
    return float(sum(nats) / len(rows))


def some_text(rng: random.Random, n: int) -> str:
    """n characters drawn from all of Unicode that can be written down: what no vocabulary of words has met."""
    found = []
    while len(found) < n:
        code = int(rng.random() * 0x110000)
        if not 0xD800 <= code < 0xE000:
            found.append(chr(code))
    return "".join(found)


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    for experiment, setting, x, value in _measure(dataset.story_dataset(), seed):
        yield dict(zip(KEY, (seed, experiment, setting, f"{x:g}")), value=f"{value:.4f}")


def _measure(data: Dataset, seed: int) -> Iterator[tuple[str, str, float, float]]:
    for form in FORMS:
        for lr in RATES:
            yield "deep", form, lr, short_run(data, deep(form), lr, seed)
    for n_ctx in WINDOWS:
        yield "window", "loss", n_ctx, train_with_window(data, n_ctx, seed)
    for n_vocab in VOCABULARIES:
        model, exact, n_tokens = train_on_cut_text(cut_by(n_vocab), seed)
        yield "vocabulary", "nats a document", n_vocab, model
        yield "vocabulary", "exact", n_vocab, exact
        yield "vocabulary", "tokens read", n_vocab, n_tokens


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from unittest import mock

    from minigpt.experiments.canaries import few_updates, stories

    data = stories(3, times=1)
    asked = mock.Mock(return_value=data)
    with few_updates(2) as found, mock.patch.object(dataset, "story_dataset", asked):
        for form, lr in zip(FORMS, RATES):
            found[f"{form}, {lr:g}"] = short_run(data, deep(form), lr, 0)
        for n_ctx in WINDOWS[::3]:
            found[f"window {n_ctx}"] = train_with_window(data, n_ctx, 0)
        for n_vocab in VOCABULARIES[::2]:
            cut = cut_by(n_vocab)
            found[f"vocabulary {n_vocab}, longest"] = cut.corpus.lengths.max()
            for name, value in zip(("model", "exact", "tokens"), train_on_cut_text(cut, 0)):
                found[f"vocabulary {n_vocab}, {name}"] = value
    found |= {f"documents asked for {i}": n for i, n in enumerate(asked.call_args.args)}
    for name, numbers in (("RATES", RATES), ("WINDOWS", WINDOWS), ("VOCABULARIES", VOCABULARIES)):
        found[name] = sum(i * x for i, x in enumerate(numbers, start=1))
    return found
