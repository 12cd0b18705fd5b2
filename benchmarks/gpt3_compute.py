"""How does the loss fall with compute? Reads the storybook once with seven widths of GPT-2, three seeds.

    python benchmarks/gpt3_compute.py              all seeds (a quarter of an hour on one core)
    python benchmarks/gpt3_compute.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_compute.csv, a row for each seed, width and moment of watching: tokens read, held-out loss.
Chapter 03 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt.experiments import canaries, dataset, measured
from minigpt.experiments.canaries import library as small_storybook
from minigpt.experiments.gpt3 import compute

SEEDS = [0, 1, 2]
KEY = ("seed", "d_model", "step")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    library = dataset.story_dataset()
    for seed in seeds:
        rows = []
        for d_model in compute.WIDTHS:
            run = compute.train_once(library, d_model, seed)
            for step, loss in zip(run.watched.tolist(), run.held_out.tolist()):
                tokens = int(run.tokens[step - 1])
                rows.append(dict(zip(KEY, (seed, d_model, step)), tokens=tokens, loss=f"{loss:.5f}"))
        measured.keep("gpt3_compute", rows, KEY)
        print(seed, [(row["d_model"], row["loss"]) for row in rows][9::10], flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    library = canaries.part(small_storybook(), 34)
    whole = canaries.part(small_storybook(), 36_000)
    found = {"written": canaries.checksum(canaries.asked_for(dataset.story_dataset)), "floor": library.floor.mean}
    for d_model in compute.WIDTHS:
        found |= canaries.under(str(d_model), canaries.trained(lambda d=d_model: compute.train_once(library, d, 0))[1])
        found[f"{d_model}, sum of rates"] = canaries.rates(lambda d=d_model: compute.train_once(whole, d, 0))
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
