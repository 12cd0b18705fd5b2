"""Chapter 01. The auxiliary objective on a larger data set: L3 = L2 + lambda L1 with 4,096 labels.

The table data/measured/gpt1/auxiliary_loss.csv has a row for each task, lambda, number of updates and seed: the
accuracy on the 500 test examples of gpt1/finetuning. GPT-1 says that larger data sets gain from the auxiliary
objective and smaller ones do not; gpt1/finetuning has the small ones. About four minutes a seed on one core.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.gpt1 import finetuning, updates
from minigpt.experiments.gpt1.finetuning import FineTuning
from minigpt.model import GPT

SEEDS = [0, 1, 2, 3, 4]
KEY = ("task", "aux_weight", "n_updates", "seed")
N_LABELS, UPDATES, WEIGHTS = 4096, (80, 240, 420, 1000), (0.0, 0.5)


def plan() -> list[FineTuning]:
    """Every run."""
    return [FineTuning(task, N_LABELS, aux_weight=weight) for task in finetuning.CLASSES for weight in WEIGHTS]


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    tests = {task: finetuning.test_batches(data, task) for task in finetuning.CLASSES}
    pretrained = pretraining.pretrain(data, seed=seed).model
    for how in plan():
        for n_updates, score in updates.along(pretrained, data, how, seed, tests[how.task], UPDATES):
            yield dict(zip(KEY, (how.task, how.aux_weight, n_updates, seed)), accuracy=f"{score:.3f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, library

    narrow = GPT(replace(sizes.GPT1, d_model=24), torch.Generator().manual_seed(0)).eval()
    with few_updates(2) as found:
        for how in plan():
            tests = finetuning.test_batches(library(), how.task, 6)
            for n_updates, score in updates.along(narrow, library(), replace(how, n_labels=16), 0, tests, UPDATES):
                found[f"{how.task}, {how.aux_weight}, accuracy after {n_updates}"] = score
    found["sum of labels"] = sum(how.n_labels * (1 + how.lr + how.aux_weight) for how in plan())
    return found
