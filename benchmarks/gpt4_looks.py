"""Does a model look at what it is asked about? The three models of gpt4_pictures, attention block by block.

    python benchmarks/gpt4_looks.py              all seeds (seconds each once the models are there)
    python benchmarks/gpt4_looks.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_looks.csv, a row for each seed and block: how much of the last word's attention to the picture
goes to the thing that is asked for, in pictures of four things (chance: 0.25). Chapter 05 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import train
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import visual_questions

SEEDS = [0, 1, 2]
KEY = ("seed", "block")

def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        shares = visual_questions.looks_at_what_is_asked(visual_questions.train_vqa(seed).model)
        rows = [{"seed": seed, "block": block, "share": f"{share:.4f}"} for block, share in enumerate(shares, start=1)]
        measured.keep("gpt4_looks", rows, KEY)
        print(seed, *(row["share"] for row in rows), flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from gpt4_pictures import barely_trained

    model, found = barely_trained(SEEDS[1])
    shares = visual_questions.looks_at_what_is_asked(model, n=60)
    found["sum of rates"] = sum(train.learning_rate(step, visual_questions.TRAINING) for step in range(visual_questions.N_STEPS))
    return found | {f"share {block}": share for block, share in enumerate(shares, start=1)} | {"seeds": len(SEEDS)}


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
