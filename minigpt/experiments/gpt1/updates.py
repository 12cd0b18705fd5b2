"""Chapter 01, lab "transfer". Labels or updates: accuracy along a long fine-tuning, with few labels and with many.

The table data/measured/gpt1/updates.csv has a row for each task, number of labels, start, number of updates and seed:
the accuracy on the 500 test examples of gpt1/finetuning. There more labels also mean more updates; here the two are
varied apart. The rate is 1e-3, with 1,024 labels the better one (or as good) for every task from scratch; after the
warm-up it stays constant, so that one run can be asked on the way. Two minutes a seed on one core.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from minigpt import train
from minigpt.experiments import dataset, measured, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt1 import finetuning
from minigpt.experiments.gpt1.finetuning import FineTuning
from minigpt.model import GPT
from minigpt.train import TrainConfig

SEEDS = [0, 1, 2, 3, 4]
KEY = ("task", "n_labels", "start", "n_updates", "seed")
UPDATES = (80, 240, 420, 1000, 3000)
FEW, MANY = 64, 1024  # labels
TASKS = ("similarity",)  # where the question is open: moods from scratch need 80 updates with 1,024 labels


def plan() -> list[tuple[FineTuning, tuple[int, ...]]]:
    """Every run, with the numbers of updates after which it is asked: 3,000 where the question is open."""
    each = [(MANY, "scratch", UPDATES), (MANY, "pretrained", UPDATES[:4])]
    each += [(FEW, "scratch", UPDATES[:4]), (FEW, "pretrained", UPDATES[:4])]
    return [(FineTuning(task, n, start), updates) for n, start, updates in each for task in TASKS]


def along(
    pretrained: GPT, data: Dataset, how: FineTuning, seed: int, tests: list, updates: Sequence[int] = UPDATES
) -> Iterator[tuple[int, float]]:
    """Fine-tune at a constant rate and ask on the way: (number of updates, accuracy) for each of `updates`.

    Source: GPT-1, section 4.1. Differs: the rate does not fall; batches of 16, a rate of 1e-3.
    """
    task_model, batches = finetuning.starting_point(pretrained, data, how, seed)
    config = TrainConfig(
        n_steps=max(updates), lr=how.lr, warmup_steps=8, schedule="linear", final_lr_fraction=1.0, betas=(0.9, 0.98)
    )
    for record in train.train(task_model, batches, config, finetuning.task_objective(how.aux_weight)):
        if record.step in updates:
            yield record.step, finetuning.accuracy(task_model.eval(), tests)


def panels(tasks: Sequence[str] = TASKS) -> dict[str, dict[str, dict[int, np.ndarray]]]:
    """The stored accuracies for `plots.task_panels`: task -> {start and labels: {updates: [one for each seed]}}."""
    found, names = {}, {"pretrained": "pre-trained", "scratch": "from scratch"}
    for how, asked in plan():
        if how.task in tasks:
            where = {"task": how.task, "n_labels": how.n_labels, "start": how.start}
            points = {n: measured.get("gpt1/updates", "accuracy", n_updates=n, **where) for n in asked}
            found.setdefault(how.task, {})[f"{names[how.start]}, {how.n_labels:,} labels"] = points
    return {task: found[task] for task in tasks}


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    tests = {task: finetuning.test_batches(data, task) for task in TASKS}
    pretrained = pretraining.pretrain(data, seed=seed).model
    for how, updates in plan():
        for n_updates, score in along(pretrained, data, how, seed, tests[how.task], updates):
            yield dict(zip(KEY, (how.task, how.n_labels, how.start, n_updates, seed)), accuracy=f"{score:.3f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, small_dataset

    narrow = GPT(replace(sizes.GPT1, d_model=24), torch.Generator().manual_seed(0)).eval()
    with few_updates(2) as found:
        for i, (how, updates) in enumerate(plan()[::3]):
            tests = finetuning.test_batches(small_dataset(), how.task, 6)
            for n_updates, score in along(narrow, small_dataset(), replace(how, n_labels=16), 0, tests, updates):
                found[f"run {i}, accuracy after {n_updates}"] = score
    found["runs"] = len(plan())
    found["sum of labels"] = sum(how.n_labels * (1 + how.lr + how.aux_weight) for how, _ in plan())
    found["sum of updates"] = sum(sum(updates) for _, updates in plan())
    return found
