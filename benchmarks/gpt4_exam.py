"""One exam in seven languages: the score against the share of the training text, five seeds.

    python benchmarks/gpt4_exam.py              all seeds (ten seconds each on one core)
    python benchmarks/gpt4_exam.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_exam.csv, a row for each seed and language: its share of the training text, its kinship with
the first language, and the share of right answers among four choices. Chapter 05 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, exam, tongues

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "language")
ALSO = (exam, tongues)


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        model, world = exam.student(seed)
        found = exam.scores(model, world)
        rows = [
            {
                "seed": seed,
                "language": each.name,
                "share": each.share,
                "kin": each.kin,
                "score": f"{found[each.name]:.4f}",
            }
            for each in world.languages
        ]
        classroom.keep_measured("gpt4_exam", rows, KEY, ALSO)
        print(seed, {name: round(score, 2) for name, score in found.items()}, flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
