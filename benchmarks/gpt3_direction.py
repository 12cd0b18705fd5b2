"""Which direction is easier to translate? GPT-2 of width 64 on corpora of three balances of English and French.

    python benchmarks/gpt3_direction.py              all seeds (half an hour on one core)
    python benchmarks/gpt3_direction.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_direction.csv, a row for each seed, amount that can be guessed, balance, target language and
quantity (see `directions.translate`). Chapter 03 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, directions, zeroshot

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "typical", "balance", "into", "quantity")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for typical in directions.TYPICAL:
            for balance in directions.BALANCES:
                keep(seed, typical, balance)


def keep(seed: int, typical: float, balance: str) -> None:
    """Train one model, ask it in both directions, and put the answers into the table."""
    corpus_of = directions.library(balance, typical)
    model, rows = directions.read_twice(corpus_of, seed).model, []
    for into in directions.LANGUAGES:
        for name, value in directions.translate(model, corpus_of, into, typical).items():
            rows.append(dict(zip(KEY, (seed, f"{typical:g}", balance, into, name)), value=f"{value:.4f}"))
    classroom.keep_measured("gpt3_direction", rows, KEY, also=(directions, zeroshot))
    print(seed, typical, balance, [(row["into"], row["quantity"], row["value"]) for row in rows], flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
