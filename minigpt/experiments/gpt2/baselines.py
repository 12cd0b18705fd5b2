"""Chapter 02, section 1. What a zero-shot score is compared with: chance, a shortcut, and the best possible reader.

The table data/measured/gpt2/baselines.csv has a row for each task and quantity: "chance", "shortcut" and "best
possible", the last two over the same 100 questions that the models are asked. Nothing is trained, and there is one set
of questions: the table has the single seed 0. Five minutes on one core, for the best possible reader.
"""

from collections.abc import Iterator

import numpy as np

from minigpt.experiments import measured
from minigpt.experiments.gpt2 import zero_shot, zero_shot_questions

SEEDS = [0]
KEY = ("seed", "task", "quantity")
QUANTITIES = ("chance", "shortcut", "best possible")
WIDEST, LAST_STEP = 96, 4500  # the model of gpt2/zero_shot that the chapter asks


def rows(seed: int) -> Iterator[dict]:
    """The rows of the only seed."""
    for task in zero_shot_questions.TASKS:
        for quantity, value in measure(task).items():
            yield dict(zip(KEY, (seed, task, quantity)), value=f"{value:.4f}")


def measure(task: str, n: int = 100) -> dict[str, float]:
    """Chance, shortcut and best possible accuracy at a task, over n questions.

    A summary that nobody asked for has the ceiling of one that was asked for: the story tells all of its slots.
    """
    asked = zero_shot_questions.questions(task.removesuffix(", no hint") if task.startswith("summary") else task, n)
    ceiling = float(np.mean([zero_shot.ceiling(q) for q in asked]))
    return dict(zip(QUANTITIES, (zero_shot.chance(task), zero_shot.shortcut(task, n), ceiling)))


# --- what a lesson draws ----------------------------------------------------------------------------------------------


def of(task: str) -> dict[str, float]:
    """Chance, shortcut and best possible accuracy at a task, from the table."""
    return {name: float(measured.get("gpt2/baselines", task=task, quantity=name)[0]) for name in QUANTITIES}


def score(quantity: str, d_model: int = WIDEST, step: int = LAST_STEP) -> np.ndarray:
    """A measured quantity of the models of gpt2/zero_shot, such as the accuracy at a task: one number a seed."""
    return measured.get("gpt2/zero_shot", quantity=quantity, d_model=d_model, step=step)


def above(task: str) -> np.ndarray:
    """Accuracy above the higher of chance and shortcut, one number a seed: what only understanding can explain."""
    beside = of(task)
    return score(task) - max(beside["chance"], beside["shortcut"])


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    Of the translations only the two shortest: the others ask the same reader, for longer.
    """
    found = {"model asked": WIDEST + LAST_STEP}
    longest = {"sentence to French", "phrase from French", "sentence from French"}
    for task in (task for task in zero_shot_questions.TASKS if task not in longest):
        found |= {f"{task}, {name}": value for name, value in measure(task, n=1).items()}
    return found
