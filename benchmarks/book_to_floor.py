"""Pre-training of the book's GPT-1 with Muon: in as many seconds, does it come nearer to the floor than AdamW?

Everything is that of chapter 01 (data, model, first weights, batches, warm-up of 60 updates, fall along a cosine) but
for the matrices of the blocks, whose updates are made by Muon (Jordan 2024; in torch since 2.9) at a rate of their own.
An update with Muon takes longer, so its run is shorter; the first row says by how much longer, by the clock of the
process. The distance is the gap of the chapter: held-out loss above the entropy of the very same documents. AdamW's is
the one that is stored in data/measured/gpt1/pretraining.csv.

Muon's rate was chosen with another seed (100), in runs of half the length: 8.6 % above the floor with 5e-3, 11.5 % with
half of it, 12.8 % with twice as much, 11.2 % with twice AdamW's rate for the other weights; AdamW alone had 14.0 %.

    python benchmarks/book_to_floor.py
"""

import time
from dataclasses import replace

import torch
from side_by_side import Row, ratio
from torch import nn

from minigpt import train
from minigpt.batches import DocumentBatches
from minigpt.exact import entropy
from minigpt.experiments import dataset, measured, pretraining
from minigpt.experiments.sizes import GPT1, PRETRAINING
from minigpt.model import GPT

SEEDS = (0, 1, 2, 3, 4)
MATRICES_RATE, OTHERS_RATE = 5e-3, PRETRAINING.lr
SHARE = 0.78  # of the chapter's updates takes Muon as long: an update, 1.3 times
WARMUP = 60


def start(data: dataset.Dataset, seed: int) -> tuple[GPT, DocumentBatches]:
    """The fresh model of chapter 01, and its batches."""
    batches = DocumentBatches(data.corpus, data.tokenizer, GPT1.n_ctx, dataset.TOKENS_PER_BATCH, seed)
    return GPT(GPT1, torch.Generator().manual_seed(seed)), batches


def gap(model: GPT, data: dataset.Dataset) -> float:
    """Held-out loss above the floor, in per cent of it: as in the table gpt1/pretraining."""
    nats = pretraining.held_out_nats(model, data)
    return 100 * entropy.gap(nats, data.held_out_nats, data.held_out_tokens).mean / data.floor.mean


def with_adamw(data: dataset.Dataset, seed: int, n_steps: int, rate: float = PRETRAINING.lr) -> tuple[float, float]:
    """Seconds and gap of the book's own recipe (at another rate, if told so)."""
    model, batches = start(data, seed)
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
    data = dataset.story_dataset(400, 10) if tiny else dataset.story_dataset()
    n_steps = len(start(data, 0)[1])
    rounds, each, n_muon, seeds = (1, 2, 3, SEEDS[:1]) if tiny else (5, 100, round(SHARE * n_steps), SEEDS)
    sides = {"AdamW": lambda: with_adamw(data, 0, each), "Muon": lambda: with_muon(data, 0, each)}
    times = {name: [] for name in sides}
    for _ in range(rounds):
        for name, act in sides.items():
            times[name].append(act()[0])
    cost = ratio("an update with AdamW beside one with Muon", times["Muon"], times["AdamW"])
    last = max(int(row["step"]) for row in measured.rows("gpt1/pretraining"))  # of the stored runs
    usual = [100 * x for x in measured.get("gpt1/pretraining", step=last, quantity="gap")]
    muon = [with_muon(data, seed, n_muon)[1] for seed in seeds]
    nearer = sum(a < b for a, b in zip(muon, usual))
    said = [", ".join(f"{x:.1f}" for x in each) for each in (usual[: len(seeds)], muon)]
    note = (
        f"% above the floor, seed by seed: AdamW, {last:,} updates (stored) {said[0]}; Muon, {n_muon:,} updates "
        f"{said[1]}; Muon is nearer in {nearer} of {len(seeds)}"
    )
    what = "the distance to the floor in chapter 01, beside that with Muon"
    pairs = ratio(what, usual[: len(seeds)], muon, note=note)
    return [cost, pairs]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for row in measure():
        print(row)
