"""Chapter 01, lab "transfer". The stored fine-tunings taken apart: layers, probes, auxiliary loss, zero-shot answers.

Nothing is measured here: the tables of gpt1/finetuning and gpt1/zero_shot as the lab draws them.
"""

from collections.abc import Sequence

import numpy as np

from minigpt.experiments import measured
from minigpt.experiments.gpt1 import finetuning

KEPT = {"nothing": -1, "embeddings": 0, "+ block 1": 1, "+ block 2": None}  # what is taken over: n_layers
COUNTS = (16, 64, 256, 1024)  # labels
N_SEEDS = len(finetuning.SEEDS)


def layers() -> dict[str, dict[str, np.ndarray]]:
    """Accuracy by what is taken over from pre-training: "task, labels" -> {part: one for each seed}."""
    return {
        f"{task}, {n}": {part: finetuning.seeds(task, n, n_layers=kept) for part, kept in KEPT.items()}
        for task, n in finetuning.ABLATION.items()
    }


def layer_gains() -> dict[str, np.ndarray]:
    """What each further part gains: "task: part" -> accuracy with it minus accuracy without, one for each seed."""
    found = {}
    for row, parts in layers().items():
        reached = list(parts.values())
        for part, before, after in zip(list(parts)[1:], reached, reached[1:]):
            found[f"{row.split(',')[0]}: {part}"] = after - before
    return found


def probe_gaps() -> dict[str, dict[int, np.ndarray]]:
    """Accuracy of fine-tuning minus that of a probe: task -> {labels: one for each seed}."""
    return {
        task: {n: finetuning.seeds(task, n) - finetuning.seeds(task, n, "probe") for n in COUNTS}
        for task in finetuning.CLASSES
    }


def auxiliary_gains() -> dict[str, np.ndarray]:
    """Accuracy with lambda = 0.5 minus that with 0: "task, labels" -> one for each seed."""
    return {
        f"{task}, {n} labels": finetuning.seeds(task, n, aux_weight=0.5) - finetuning.seeds(task, n)
        for task, n in finetuning.ABLATION.items()
    }


def snapshots() -> list[int]:
    """The steps of pre-training after which the models were asked."""
    return sorted({int(row["step"]) for row in measured.rows("gpt1/zero_shot")})


def answers(task: str) -> np.ndarray:
    """Zero-shot accuracy on a task: one row for each of `snapshots`, one column for each seed."""
    return np.array([measured.get("gpt1/zero_shot", task=task, step=step) for step in snapshots()])


def references() -> dict[str, dict[str, float]]:
    """Lines of a fine-tuning figure: task -> {"majority", "best possible" and, where the paper asks, "zero-shot"}.

    Zero-shot is the mean over the seeds after pre-training. Entailment has none: the paper has no question for it.
    """
    lines = finetuning.references("majority", "best possible")
    for task in lines.keys() - {"entailment"}:
        lines[task]["zero-shot"] = answers(task)[-1].mean()
    return lines


def by_seed(table: np.ndarray) -> dict[str, dict[int, list[float]]]:
    """A table of snapshots and seeds as thin lines of `plots.task_panels`: seed -> {step: [value]}."""
    return {
        f"seed {seed}": {step: [row[seed]] for step, row in zip(snapshots(), table, strict=True)}
        for seed in range(table.shape[1])
    }


def rise(values: Sequence[float], steps: Sequence[int], low: float = 0.6, high: float = 0.85) -> str:
    """How fast a curve rises: its last step below `low` and its first above `high`, in words."""
    below = [step for step, value in zip(steps, values, strict=True) if value < low]
    above = [step for step, value in zip(steps, values, strict=True) if value > high]
    start = f"{max(below):,}" if below else "the first"
    return f"{start} to {min(above):,}" if above else f"{start} to the end: {values[-1]:.2f}"
