"""Is the loss of a large run known from small ones? The ladder of chapter 05, ten times, and what goes wrong elsewhere.

    python benchmarks/gpt4_ladder.py              all seeds (about an hour on one core)
    python benchmarks/gpt4_ladder.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_ladder.csv, a row for each way of climbing, seed, width and repeat: compute, held-out loss, and
how the model answers. Ways: "tuned" (ten seeds; every small width four times, the large one once); for three of the
seeds also "tuned" at further widths, beyond the large one too, "one rate" (the best rate of the narrowest model at every
width), and "no fame" (an encyclopedia of equally famous entries). Chapter 05 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, encyclopedia, ladder

SEEDS = list(range(10))
MORE_SEEDS = (0, 1, 2)
MORE_WIDTHS = (*ladder.MIDDLE, 128)
OTHER_WAYS = (8, 12, 16, 24, 32, 48, 64)
KEY = ("way", "seed", "d_model", "repeat")
ALSO = (encyclopedia, ladder)


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for d_model in ladder.SMALL:
            for repeat in range(ladder.REPEATS):
                measure("tuned", seed, d_model, repeat)
        measure("tuned", seed, ladder.LARGE)
        if seed in MORE_SEEDS:
            for d_model in OTHER_WAYS:
                measure("one rate", seed, d_model, lr=ladder.learning_rate(ladder.SMALL[0]))
                measure("no fame", seed, d_model)
            for d_model in MORE_WIDTHS:
                measure("tuned", seed, d_model)


def measure(way: str, seed: int, d_model: int, repeat: int = 0, **more) -> None:
    """One run, one row."""
    book = ladder.book(0.0, 32) if way == "no fame" else ladder.book()
    small = d_model in ladder.SMALL and way == "tuned"
    chance = ladder.REPEATS * seed + repeat if small else seed
    (ended,) = ladder.climb([(d_model, chance, more)], book, f"{way} {d_model}")
    rung = ended.rung
    found = {"n_params": rung.n_params, "n_tokens": rung.n_tokens, "loss": f"{rung.loss:.5f}",
             "surprise": f"{rung.surprise:.4f}", "misprints": f"{rung.misprints:.3f}"}  # fmt: skip
    found |= {f"pass {low}-{high}": f"{rate:.4f}" for (low, high), rate in zip(ladder.BANDS, rung.bands)}
    row = dict(zip(KEY, (way, seed, d_model, repeat))) | found
    classroom.keep_measured("gpt4_ladder", [row], KEY, ALSO)
    print(row, flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
