"""Does an image help, and what can be told without one? Three seeds, with the picture and blind.

    python benchmarks/gpt4_pictures.py              all seeds (two minutes each on one core)
    python benchmarks/gpt4_pictures.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_pictures.csv, a row for each seed, model and kind of question: the share of right answers to
1,000 new pictures, at the end of training. Chapter 05 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, pictures, seeing, vision

SEEDS = [0, 1, 2]
KEY = ("seed", "model", "kind")
ALSO = (pictures, seeing, vision)


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        rows = []
        for name, blind in (("sees", False), ("blind", True)):
            seer = seeing.train_seer(seed, blind)
            for kind, share in zip(pictures.KINDS, seer.accuracy[-1]):
                rows.append(dict(zip(KEY, (seed, name, kind))) | {"accuracy": f"{share:.4f}"})
        classroom.keep_measured("gpt4_pictures", rows, KEY, ALSO)
        print(seed, *(f"{r['model']} {r['kind']} {r['accuracy']}" for r in rows), sep="; ", flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
