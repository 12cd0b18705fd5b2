"""What does a model know before it sees a label? Measures five pre-trained seeds, and BERT beside each of them.

    python benchmarks/gpt1_pretraining.py              all seeds (about a quarter of an hour on one core)
    python benchmarks/gpt1_pretraining.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt1_pretraining.csv, a row for each seed, step and quantity: "gap" (the loss above the floor, as
a share of it), the accuracy of the zero-shot heuristics on 200 examples at every snapshot, and the surprise at a
hidden word for readers of one side and of both. Chapter 01 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, truth

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "step", "quantity")
ZERO_SHOT = ("classification", "similarity", "multiple choice")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    library = classroom.storybook()
    for seed in seeds:
        trained = classroom.pretrain(library, seed=seed)
        last = int(trained.steps[-1])
        nats = classroom.held_out_nats(trained.model, library)
        gap = truth.gap(nats, library.held_out_nats, library.held_out_tokens)
        found = {(last, "gap"): gap.mean / library.floor.mean, (last, "gap, low end"): gap.low / library.floor.mean}
        for step in trained.snapshots:
            for task in ZERO_SHOT:
                found[step, f"zero-shot {task}"] = classroom.zero_shot(trained.at(step), library, task)
        bert = classroom.pretrain_masked(library, seed=seed).model
        for what in ("article", "place"):
            examples = classroom.hidden_examples(what, 100)
            for reader, surprise in classroom.hidden_word(trained.model, bert, library, examples).items():
                found[last, f"hidden {what}, {reader}"] = surprise
        rows = [dict(zip(KEY, (seed, *where)), value=f"{value:.4f}") for where, value in found.items()]
        classroom.keep_measured("gpt1_pretraining", rows, KEY)
        print(*(f"{name} {value:.3f}" for (step, name), value in found.items() if step == last), sep="; ", flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
