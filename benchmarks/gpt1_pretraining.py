"""What does a model know before it sees a label? Measures five pre-trained seeds, and BERT beside each of them.

    python benchmarks/gpt1_pretraining.py              all seeds (about a quarter of an hour on one core)
    python benchmarks/gpt1_pretraining.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt1_pretraining.csv, a row for each seed, step and quantity: "gap" (the loss above the floor, as
a share of it), the accuracy of the zero-shot heuristics on 200 examples at every snapshot, and the surprise at a
hidden word for readers of one side and of both. Chapter 01 reads the file.
"""

import os
import random
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import sample
from minigpt.exact import entropy
from minigpt.experiments import dataset, pretraining
from minigpt.experiments.gpt1 import zero_shot
from minigpt.experiments.gpt1.bert import hidden_examples, hidden_word, pretrain_masked
from minigpt.experiments.measured import keep
from minigpt.worlds import story_tasks

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "step", "quantity")
ZERO_SHOT = ("classification", "similarity", "multiple choice")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    library = dataset.story_dataset()
    for seed in seeds:
        found = measure(library, seed)
        last = max(step for step, _ in found)
        rows = [dict(zip(KEY, (seed, *where)), value=f"{value:.4f}") for where, value in found.items()]
        keep("gpt1_pretraining", rows, KEY)
        print(*(f"{name} {value:.3f}" for (step, name), value in found.items() if step == last), sep="; ", flush=True)


def measure(library, seed: int, n_zero_shot: int = 200, n_hidden: int = 100, n_snapshots: int = 99) -> dict:
    """Everything that is measured of one seed: (step, quantity) -> value."""
    trained = pretraining.pretrain(library, seed=seed)
    last = int(trained.steps[-1])
    nats = pretraining.held_out_nats(trained.model, library)
    gap = entropy.gap(nats, library.held_out_nats, library.held_out_tokens)
    found = {(last, "gap"): gap.mean / library.floor.mean, (last, "gap, low end"): gap.low / library.floor.mean}
    for step in sorted(trained.snapshots)[:n_snapshots]:
        for task in ZERO_SHOT:
            found[step, f"zero-shot {task}"] = zero_shot.zero_shot(trained.at(step), library, task, n_zero_shot)
    bert = pretrain_masked(library, seed=seed).model
    for what in ("article", "place"):
        examples = hidden_examples(what, n_hidden)
        for reader, surprise in hidden_word(trained.model, bert, library, examples).items():
            found[last, f"hidden {what}, {reader}"] = surprise
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, gpt1, stories

    library = stories()
    with few_updates() as found:
        measured = measure(library, 0, n_zero_shot=4, n_hidden=1, n_snapshots=1)
    found |= {f"step {step}, {name}": value for (step, name), value in measured.items()}
    (parts, _), (pair, _) = (story_tasks.labelled(task, 1, random.Random(0))[0] for task in ("multiple choice", "similarity"))
    for i, ending in enumerate(parts[1:]):
        found[f"ending {i}"] = sample.continuation_nats(gpt1(), library.tokenizer, parts[0], ending)
    found["feelings"] = sample.next_logps(gpt1(), library.tokenizer, " ".join([*pair, "They"])).mean().item()
    return found | {"floor": library.floor.mean}


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
