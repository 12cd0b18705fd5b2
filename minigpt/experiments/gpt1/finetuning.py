"""Chapter 01, sections 1, 7 and 8. Fine-tuning: one linear layer on a pre-trained GPT, with the auxiliary objective.

The table data/measured/gpt1/finetuning.csv has a row for each run: task, number of labels, where the model started,
lambda, layers transferred, learning rate, seed (of the pre-training, of the labels drawn and of the fine-tuning), and
accuracy on 500 test examples. About an hour on one core.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from minigpt import loss, train, transforms
from minigpt.exact import bayes
from minigpt.experiments import dataset, measured, pretraining, sizes
from minigpt.experiments.dataset import N_CTX, Dataset
from minigpt.model import GPT, TaskModel, draw_normal
from minigpt.train import TrainConfig
from minigpt.worlds import story_tasks

SEEDS = [0, 1, 2, 3, 4]
BATCH_SIZE = 16  # examples an update; GPT-1: 32
KEY = ("task", "n_labels", "start", "aux_weight", "n_layers", "lr", "seed")
CLASSES = {"classification": 4, "entailment": 3, "similarity": 2, "multiple choice": 1}  # outputs of W_y
CHANCE = {"classification": 1 / 4, "entailment": 1 / 3, "similarity": 1 / 2, "multiple choice": 1 / 2}  # by guessing


@dataclass(frozen=True)
class FineTuning:
    """How a labelled task is learned. `kind` says what is trained: everything, or W_y alone on frozen features."""

    task: str
    n_labels: int
    start: str = "pretrained"  # "pretrained", "scratch", or "probe": pretrained and frozen, only W_y is trained
    aux_weight: float = 0.0  # lambda of L3 = L2 + lambda L1; GPT-1: 0.5
    n_layers: int | None = None  # blocks kept from pre-training (None: all); -1: not even the embeddings
    lr: float = 1e-3

    @property
    def n_steps(self) -> int:
        """Updates of BATCH_SIZE examples: more labels, more updates, but fewer passes over each."""
        return {16: 80, 32: 100, 64: 140, 128: 180, 256: 240, 512: 320, 1024: 420}.get(self.n_labels, 200)


def test_examples(task: str, n_test: int = 500) -> list[transforms.Example]:
    """Test set: the labelled examples that every model is asked about, fine-tuned or not."""
    return story_tasks.labelled(task, n_test, random.Random(f"test {task}"))


def test_batches(data: Dataset, task: str, n_test: int = 500) -> list:
    """The test set as a fine-tuned model reads it."""
    return transforms.TaskBatches(task, test_examples(task, n_test), data.tokenizer, N_CTX).in_order()


def best_possible(task: str, n_test: int = 500) -> float:
    """Bayes accuracy on the test set: the share of right answers that a reader who knows the grammar would give."""
    return bayes.bayes_accuracy(story_tasks.TASKS[task], test_examples(task, n_test)).mean


def majority(task: str, n_test: int = 500) -> float:
    """Majority-class accuracy on the test set: that of always giving the label which is the commonest there.

    The moods are not equally common (0.42 of the test stories are happy), so that guessing, CHANCE, is not the
    accuracy to beat.
    """
    labels = Counter(label for _, label in test_examples(task, n_test))
    return max(labels.values()) / labels.total()


def references(*names: str) -> dict[str, dict[str, float]]:
    """Reference lines of a figure: task -> {name: accuracy}, for "chance", "majority" and "best possible".

    Errors: another name is a ValueError.
    """
    known = {"chance": CHANCE.get, "majority": majority, "best possible": best_possible}
    if unknown := sorted(set(names) - known.keys()):
        raise ValueError(f"expected names among {sorted(known)}; got {unknown}")
    return {task: {name: known[name](task) for name in names} for task in CLASSES}


def transfer(pretrained: GPT, n_layers: int | None, seed: int) -> GPT:
    """A new model that takes over the embeddings and the first n_layers blocks of a trained one, the rest fresh."""
    fresh = type(pretrained)(pretrained.config, torch.Generator().manual_seed(10_000 + seed))
    if n_layers is None:
        n_layers = pretrained.config.n_layers
    kept = ["W_e.", "W_p.", *(f"blocks.{i}." for i in range(n_layers))] if n_layers >= 0 else []
    state = {k: v for k, v in pretrained.state_dict().items() if k.startswith(tuple(kept))} if kept else {}
    fresh.load_state_dict(state, strict=False)
    return fresh


def fine_tune(pretrained: GPT, data: Dataset, how: FineTuning, seed: int = 0) -> TaskModel:
    """Fine-tune a copy of a model on a labelled task: L3 = L2 + lambda L1, or L2 alone when lambda is 0.

    Source: GPT-1, sections 3.2 and 4.1. Differs: batches of 16, a rate of 1e-3, hundreds of passes over small sets.
    """
    task_model, batches = starting_point(pretrained, data, how, seed)
    config = TrainConfig(
        n_steps=how.n_steps, lr=how.lr * (10 if how.start == "probe" else 1), warmup_steps=how.n_steps // 10,
        schedule="linear", betas=(0.9, 0.98),
    )  # fmt: skip
    for _ in train.train(task_model, batches, config, task_objective(how.aux_weight)):
        pass
    return task_model.eval()


def starting_point(
    pretrained: GPT, data: Dataset, how: FineTuning, seed: int = 0
) -> tuple[TaskModel, transforms.TaskBatches]:
    """What fine-tuning starts from: a copy of the model with W_y on top, and the labelled examples in batches of 16.

    The three special tokens get fresh random embeddings, as in the paper: pre-training has never shown them.
    Source: GPT-1, sections 3.2 and 3.3. Differs: nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    gpt = transfer(pretrained, -1 if how.start == "scratch" else how.n_layers, seed)
    tokenizer = data.tokenizer
    with torch.no_grad():
        for special in (tokenizer.start, tokenizer.delim, tokenizer.extract):
            draw_normal(gpt.W_e.weight[special], gpt.config.init_std, generator)
    task_model = TaskModel(gpt, CLASSES[how.task], transforms.COMBINE[how.task], generator)
    if how.start == "probe":
        for parameter in gpt.parameters():
            parameter.requires_grad_(False)
    examples = story_tasks.labelled(how.task, how.n_labels, random.Random(f"train {how.task} {how.n_labels} {seed}"))
    return task_model, transforms.TaskBatches(how.task, examples, tokenizer, N_CTX, BATCH_SIZE, seed)


def task_objective(aux_weight: float) -> Callable:
    """The loss of fine-tuning for `train.train`: L2 if lambda is 0, else L3 = L2 + lambda L1 on the same texts."""

    def objective(task_model, ids, extract, labels, lm_targets):
        if aux_weight == 0:
            return loss.task_loss(task_model(ids, extract), labels)
        task_logits, lm_logits = task_model.task_and_lm(ids, extract)
        return loss.joint_loss(loss.task_loss(task_logits, labels), loss.lm_loss(lm_logits, lm_targets), aux_weight)

    return objective


@torch.no_grad()
def accuracy(task_model: TaskModel, batches: Iterable) -> float:
    """The share of examples whose highest score is the right one."""
    right = [
        task_model(torch.from_numpy(ids), torch.from_numpy(extract)).argmax(dim=1).cpu() == torch.from_numpy(labels)
        for ids, extract, labels, _ in batches
    ]
    return torch.cat(right).double().mean().item()


def scores(measured: list[dict], how: FineTuning) -> list[float]:
    """The measured accuracies of one way of fine-tuning, one for each seed, in the order of the seeds.

    Training from scratch was measured at two learning rates; it gets the one that is better on average, so that it is
    not beaten by a bad setting. Errors: a way that was not measured is a ValueError.
    """
    layers = "all" if how.n_layers is None else str(how.n_layers)
    wanted = (how.task, str(how.n_labels), how.start, str(how.aux_weight), layers)
    by_rate = {}
    for row in sorted(measured, key=lambda row: int(row["seed"])):
        if tuple(row[name] for name in ("task", "n_labels", "start", "aux_weight", "n_layers")) == wanted:
            by_rate.setdefault(row["lr"], []).append(float(row["accuracy"]))
    if not by_rate:
        raise ValueError(f"expected a way of fine-tuning that was measured; got {how}")
    return max(by_rate.values(), key=np.mean)


def seeds(
    task: str, n_labels: int, start: str = "pretrained", aux_weight: float = 0.0, n_layers: int | None = None
) -> np.ndarray:
    """The stored accuracies of one way of fine-tuning, one for each seed, in the order of the seeds.

    Training from scratch was measured at two learning rates; it gets the one that is better on average, so that it is
    not beaten by a bad setting.
    Shapes: result (n_seeds,). Unit: share of the test set. Errors: a way that was not measured is a ValueError.
    """
    way = {"task": task, "n_labels": n_labels, "start": start, "aux_weight": aux_weight}
    way["n_layers"] = "all" if n_layers is None else n_layers
    rates = (1e-3, 3e-3) if start == "scratch" else (1e-3,)
    return max((measured.get("gpt1/finetuning", "accuracy", lr=lr, **way) for lr in rates), key=np.mean)


# --- the table --------------------------------------------------------------------------------------------------------

ABLATION = {"classification": 32, "entailment": 128, "similarity": 512, "multiple choice": 256}  # labels


def plan() -> list[FineTuning]:
    """Every setting that is measured."""
    starts = (("pretrained", 1e-3), ("scratch", 1e-3), ("scratch", 3e-3), ("probe", 1e-3))  # scratch may choose
    best = [FineTuning(task, n, start, lr=lr) for task, n in ABLATION.items() for start, lr in starts]
    aux = [FineTuning(task, n, aux_weight=0.5) for task, n in ABLATION.items()]
    layers = [FineTuning(task, n, n_layers=k) for task, n in ABLATION.items() for k in (-1, 0, 1)]
    main = [FineTuning(task, n, start, lr=lr) for n in (16, 64, 256, 1024) for task in CLASSES for start, lr in starts]
    return list(dict.fromkeys(best + aux + layers + main))


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed, one for each setting of the plan."""
    data = dataset.story_dataset()
    tests = {task: test_batches(data, task) for task in CLASSES}
    pretrained = pretraining.pretrain(data, seed=seed).model
    for how in plan():
        score = accuracy(fine_tune(pretrained, data, how, seed), tests[how.task])
        layers = "all" if how.n_layers is None else how.n_layers
        where = (how.task, how.n_labels, how.start, how.aux_weight, layers, how.lr, seed)
        yield dict(zip(KEY, where), accuracy=f"{score:.3f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, gpt1, small_dataset

    narrow = GPT(replace(sizes.GPT1, d_model=24), torch.Generator().manual_seed(0)).eval()
    runs = [how for how in plan() if how.n_labels == 16]
    runs += [replace(how, n_labels=16) for how in plan() if how.n_layers == 0 or how.aux_weight > 0]
    chosen = [(gpt1(), FineTuning("classification", 32)), *((narrow, how) for how in runs[::3])]
    with few_updates(3) as found:
        for i, (start, how) in enumerate(chosen):
            model, tests = fine_tune(start, small_dataset(), how, 0), test_batches(small_dataset(), how.task, 6)
            found[f"run {i}, accuracy"] = accuracy(model, tests)
            with torch.no_grad():
                for ids, extract, labels, _ in tests:
                    logits = model(torch.from_numpy(ids), torch.from_numpy(extract))
                    found[f"run {i}, test loss"] = loss.task_loss(logits, torch.from_numpy(labels)).item()
    for task in CLASSES:
        found[f"{task}, best possible"] = best_possible(task, 4)
    found["settings"] = len(plan())
    found["sum of settings"] = sum(how.n_labels * (1 + how.lr + how.aux_weight) + how.n_steps for how in plan())
    found["sum of layers"] = sum(3 if how.n_layers is None else how.n_layers for how in plan())
    return found
