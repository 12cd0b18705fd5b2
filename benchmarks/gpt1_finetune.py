"""Does pre-training help labelled tasks? Fine-tunes hundreds of models and writes data/measured/gpt1_finetune.csv.

    python benchmarks/gpt1_finetune.py              all seeds, one after another (about an hour on one core)
    python benchmarks/gpt1_finetune.py 0 2          only these seeds: several can run side by side

Each row is one run: task, number of labels, where the model started, lambda, layers transferred, learning rate, seed
(of the pre-training, the labels drawn and the fine-tuning), accuracy on 500 test examples. Finished rows are kept, so
an interrupted run goes on where it was. Chapter 01 reads the file and repeats some of its rows.
"""

import os
import sys
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from minigpt import loss
from minigpt.experiments import dataset, measured, pretraining, sizes
from minigpt.experiments.gpt1 import finetuning
from minigpt.experiments.gpt1.finetuning import FineTuning
from minigpt.model import GPT

FIELDS = ("task", "n_labels", "start", "aux_weight", "n_layers", "lr", "seed", "accuracy")
KEY = FIELDS[:7]
SEEDS = [0, 1, 2, 3, 4]
TASKS = list(finetuning.CLASSES)
ABLATION = {"classification": 32, "entailment": 128, "similarity": 512, "multiple choice": 256}  # labels


def plan() -> list[FineTuning]:
    """Every setting that is measured, the most wanted first."""
    starts = (("pretrained", 1e-3), ("scratch", 1e-3), ("scratch", 3e-3), ("probe", 1e-3))  # scratch may choose
    best = [FineTuning(task, n, start, lr=lr) for task, n in ABLATION.items() for start, lr in starts]
    aux = [FineTuning(task, n, aux_weight=0.5) for task, n in ABLATION.items()]
    layers = [FineTuning(task, n, n_layers=k) for task, n in ABLATION.items() for k in (-1, 0, 1)]
    main = [FineTuning(task, n, start, lr=lr) for n in (16, 64, 256, 1024) for task in TASKS for start, lr in starts]
    return list(dict.fromkeys(best + aux + layers + main))


def row_key(how: FineTuning, seed: int) -> tuple:
    """What makes a row: settings and seed, as text."""
    layers = "all" if how.n_layers is None else str(how.n_layers)
    return how.task, str(how.n_labels), how.start, str(how.aux_weight), layers, str(how.lr), str(seed)


def main(seeds: list[int]) -> None:
    """Measure what is not measured yet."""
    library = dataset.story_dataset()
    try:
        done = {tuple(row[f] for f in KEY) for row in measured.rows("gpt1_finetune")}
    except (FileNotFoundError, ValueError):
        done = set()
    tests = {task: finetuning.test_batches(library, task) for task in TASKS}
    models = {seed: pretraining.pretrain(library, seed=seed).model for seed in seeds}
    for how in plan():
        for seed in seeds:
            key = row_key(how, seed)
            if key in done:
                continue
            score = finetuning.accuracy(finetuning.fine_tune(models[seed], library, how, seed), tests[how.task])
            measured.keep("gpt1_finetune", [dict(zip(FIELDS, (*key, f"{score:.3f}")))], KEY)
            print(*key, f"{score:.3f}", flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, gpt1, library

    narrow = GPT(replace(sizes.GPT1, d_model=24), torch.Generator().manual_seed(0)).eval()
    runs = [how for how in plan() if how.n_labels == 16]
    runs += [replace(how, n_labels=16) for how in plan() if how.n_layers == 0 or how.aux_weight > 0]
    chosen = [(gpt1(), FineTuning("classification", 32)), *((narrow, how) for how in runs[::3])]
    with few_updates(3) as found:
        for i, (start, how) in enumerate(chosen):
            model, tests = finetuning.fine_tune(start, library(), how, 0), finetuning.test_batches(library(), how.task, 6)
            found[f"run {i}, accuracy"] = finetuning.accuracy(model, tests)
            with torch.no_grad():
                for ids, extract, labels, _ in tests:
                    logits = model(torch.from_numpy(ids), torch.from_numpy(extract))
                    found[f"run {i}, test loss"] = loss.task_loss(logits, torch.from_numpy(labels)).item()
    for task in TASKS:
        found[f"{task}, best possible"] = finetuning.best_possible(task, 4)
    found["settings"] = len(plan())
    found["sum of settings"] = sum(how.n_labels * (1 + how.lr + how.aux_weight) + how.n_steps for how in plan())
    found["sum of layers"] = sum(3 if how.n_layers is None else how.n_layers for how in plan())
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
