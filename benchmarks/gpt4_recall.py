"""How sure is a model of what it never read? The widest model of each ladder, closed book, three seeds.

    python benchmarks/gpt4_recall.py              all seeds (ninety seconds each on one core)
    python benchmarks/gpt4_recall.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_recall.csv, a row for each seed and group of entries (by how often the run read them): the
mean confidence, how often the answer is right, and for answers only where the model is surest, the accuracy. Chapter 05
reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from minigpt import calibration, classroom, encyclopedia, ladder, recall

SEEDS = [0, 1, 2]
KEY = ("seed", "group", "quantity")
ALSO = (encyclopedia, ladder, recall)
SURE = 0.5  # answers only if the model is at least so sure


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    book = ladder.book()
    for seed in seeds:
        rung, model = ladder.large_run(seed)
        asked = recall.closed_book(model, book, recall.times_read(book, rung.d_model, seed), seed=seed)
        known, never = list(asked)[0], list(asked)[-1]
        rows = []
        for name, group in asked.items():
            sure = group.confidence >= SURE
            numbers = {
                "n": len(group.keys), "confidence": group.confidence.mean(), "right": group.right.mean(),
                "answered": sure.mean(), "right, if answered": group.right[sure].mean() if sure.any() else float("nan"),
                "error": calibration.reliability(group.confidence, group.right).error,
            }  # fmt: skip
            rows += [dict(zip(KEY, (seed, name, each)), value=f"{value:.4f}") for each, value in numbers.items()]
        n = min(len(asked[group].keys) for group in (known, never))
        both = [
            np.concatenate([getattr(asked[g], what)[:n] for g in (known, never)]) for what in ("confidence", "right")
        ]
        share, accuracy = calibration.abstaining(*both)
        rows += [
            dict(zip(KEY, (seed, "half of them never read", f"right, if {100 * part:.0f} % are answered")),
                 value=f"{np.interp(part, share, accuracy):.4f}")
            for part in (0.25, 0.5, 0.75, 1.0)
        ]  # fmt: skip
        classroom.keep_measured("gpt4_recall", rows, KEY, ALSO)
        for row in rows:
            print(*row.values(), flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
