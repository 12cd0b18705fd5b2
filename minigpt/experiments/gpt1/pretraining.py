"""Chapter 01, section 5. Pre-training over five seeds: distance to the floor, zero-shot behaviours.

The table data/measured/gpt1/pretraining.csv has a row for each seed, step and quantity: "gap" (the loss above the
floor, as a share of it) and the accuracy of the zero-shot heuristics on 200 examples at every snapshot. Ten minutes on
one core.
"""

import random
from collections.abc import Iterator

from minigpt import sample
from minigpt.exact import entropy
from minigpt.experiments import dataset, pretraining
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt1 import zero_shot
from minigpt.worlds import story_tasks

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "step", "quantity")
ZERO_SHOT = ("classification", "similarity", "multiple choice")


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    for where, value in measure(dataset.story_dataset(), seed).items():
        yield dict(zip(KEY, (seed, *where)), value=f"{value:.4f}")


def measure(data: Dataset, seed: int, n_zero_shot: int = 200, n_snapshots: int = 99) -> dict:
    """Everything that is measured of one seed: (step, quantity) -> value."""
    trained = pretraining.pretrain(data, seed=seed)
    last = int(trained.steps[-1])
    nats = pretraining.held_out_nats(trained.model, data)
    gap = entropy.gap(nats, data.held_out_nats, data.held_out_tokens)
    found = {(last, "gap"): gap.mean / data.floor.mean, (last, "gap, low end"): gap.low / data.floor.mean}
    for step in sorted(trained.snapshots)[:n_snapshots]:
        for task in ZERO_SHOT:
            found[step, f"zero-shot {task}"] = zero_shot.zero_shot(trained.at(step), data, task, n_zero_shot)
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, gpt1, stories

    data = stories()
    with few_updates() as found:
        measured = measure(data, 0, n_zero_shot=4, n_snapshots=1)
    found |= {f"step {step}, {name}": value for (step, name), value in measured.items()}
    tasks = ("multiple choice", "similarity")
    (parts, _), (pair, _) = (story_tasks.labelled(task, 1, random.Random(0))[0] for task in tasks)
    for i, ending in enumerate(parts[1:]):
        found[f"ending {i}"] = sample.continuation_nats(gpt1(), data.tokenizer, parts[0], ending)
    found["feelings"] = sample.next_logps(gpt1(), data.tokenizer, " ".join([*pair, "They"])).mean().item()
    return found | {"floor": data.floor.mean}
