"""Pre-training of the book's GPT-1 with Muon: how soon is it as near to the floor as AdamW at the end of its run?

Everything is that of chapter 01 (data, model, first weights, batches, warm-up of 60 updates, fall along a cosine) but
for the matrices of the blocks, whose updates are made by Muon (Jordan 2024; in torch since 2.9), and the two rates.
"Near" is the gap of the chapter: held-out loss above the entropy of the very same documents, in per cent of it.
Seconds are those of training, by the clock of the process.

The rates were chosen with another seed than those that are measured here; so was how much shorter the run with Muon is.

    python benchmarks/book_to_floor.py
"""

import statistics
import time
from dataclasses import replace

import torch
from side_by_side import Row, ratio
from torch import nn

from minigpt import train
from minigpt.batches import DocumentBatches
from minigpt.experiments import dataset, pretraining
from minigpt.experiments.sizes import GPT1, PRETRAINING
from minigpt.model import GPT

SEEDS = (0, 1, 2, 3, 4)
MATRICES_RATE, OTHERS_RATE = 1e-2, 3e-3
SHARE = 0.5  # of the updates of the chapter
ADAMW_RATE = 2 * PRETRAINING.lr  # what AdamW needs most in as few updates
WARMUP = 60


def start(data: dataset.Dataset, seed: int) -> tuple[GPT, DocumentBatches]:
    """The fresh model of chapter 01, and its batches."""
    batches = DocumentBatches(data.corpus, data.tokenizer, GPT1.n_ctx, dataset.TOKENS_PER_BATCH, seed)
    return GPT(GPT1, torch.Generator().manual_seed(seed)), batches


def gap(model: GPT, data: dataset.Dataset) -> float:
    """Held-out loss above the floor, in per cent of it."""
    nats, n = pretraining.held_out_nats(model, data).sum(), data.held_out_tokens.sum()
    return 100 * float(nats / n / data.floor.mean - 1)


def with_adamw(
    data: dataset.Dataset, seed: int, n_steps: int | None = None, rate: float = PRETRAINING.lr
) -> tuple[float, float]:
    """Seconds and gap of the book's own recipe (at another rate, if told so)."""
    model, batches = start(data, seed)
    n_steps = n_steps or len(batches)
    training = replace(PRETRAINING, n_steps=n_steps, warmup_steps=min(WARMUP, n_steps // 10), lr=rate)
    begin = time.process_time()
    for _ in train.train(model, batches, training):
        pass
    return time.process_time() - begin, gap(model, data)


def with_muon(
    data: dataset.Dataset, seed: int, n_steps: int, matrices: float = MATRICES_RATE, others: float = OTHERS_RATE
) -> tuple[float, float]:
    """Seconds and gap with Muon for the matrices of the blocks, and AdamW for all other weights."""
    model, batches = start(data, seed)
    training = replace(PRETRAINING, n_steps=n_steps, warmup_steps=min(WARMUP, n_steps // 10), lr=1.0)
    inner = [p for name, p in model.named_parameters() if name.startswith("blocks") and p.ndim == 2]
    known = {id(p) for p in inner}
    outer = [{**group, "params": [p for p in group["params"] if id(p) not in known]}
             for group in train.parameter_groups(model, training.weight_decay)]  # fmt: skip
    decay = training.weight_decay
    optimizers = [
        (torch.optim.Muon(inner, matrices, weight_decay=decay, adjust_lr_fn="match_rms_adamw"), matrices),
        (torch.optim.AdamW(outer, others, training.betas, training.eps, fused=True), others),
    ]
    begin = time.process_time()
    model.train()
    for step in range(n_steps):
        inputs, targets = map(torch.as_tensor, batches[step])
        train.next_token_loss(model, inputs, targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * train.learning_rate(step, training)
            optimizer.step()
            optimizer.zero_grad()
    return time.process_time() - begin, gap(model, data)


def measure(tiny: bool = False) -> list[Row]:
    if tiny:
        data, seeds, n_steps = dataset.story_dataset(400, 10), (0,), 3
    else:
        data, seeds = dataset.story_dataset(), SEEDS
        n_steps = len(start(data, 0)[1])
    shorter = max(1, round(SHARE * n_steps))
    usual, muon, fewer = [], [], []
    for seed in seeds:  # in turn: whatever else the computer does disturbs all alike
        usual.append(with_adamw(data, seed, n_steps))
        muon.append(with_muon(data, seed, shorter))
        fewer.append(with_adamw(data, seed, shorter, ADAMW_RATE))
    (seconds, gaps), (muon_seconds, muon_gaps), (_, fewer_gaps) = (zip(*each) for each in (usual, muon, fewer))
    near = sum(a <= b for a, b in zip(muon_gaps, gaps))
    also = sum(a <= b for a, b in zip(fewer_gaps, gaps))
    said = [", ".join(f"{x:.1f}" for x in each) for each in (gaps, muon_gaps, fewer_gaps)]
    note = (
        f"% above the floor with AdamW, {n_steps:,} updates: {said[0]}; with Muon, {shorter:,} updates: {said[1]} "
        f"({near} of {len(seeds)} as near or nearer); with AdamW at {ADAMW_RATE / PRETRAINING.lr:g} times the rate, "
        f"{shorter:,} updates: {said[2]} ({also} of {len(seeds)})"
    )
    step = [a / n_steps / (b / shorter) for a, b in zip(seconds, muon_seconds)]
    return [
        ratio("pre-training of chapter 01 with Muon, beside its AdamW", seconds, muon_seconds, note=note),
        Row("an update with Muon, in updates with AdamW", 1 / statistics.median(step), unit="times as long"),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for row in measure():
        print(row)
