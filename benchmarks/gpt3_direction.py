"""Which direction is easier to translate? GPT-2 of width 64 on corpora of three balances of English and French.

    python benchmarks/gpt3_direction.py              all seeds (ten minutes on one core)
    python benchmarks/gpt3_direction.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_direction.csv, a row for each seed, balance, target language and quantity (see
`studies.translate`). Chapter 03 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, studies, zeroshot

SEEDS = [0, 1, 2]
KEY = ("seed", "balance", "into", "quantity")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for balance in studies.BALANCES:
            library = studies.bilingual_library(balance)
            model, rows = studies.bilingual_model(library, seed).model, []
            for into in ("English", "French"):
                for name, value in studies.translate(model, library, into).items():
                    rows.append(dict(zip(KEY, (seed, balance, into, name)), value=f"{value:.4f}"))
            classroom.keep_measured("gpt3_direction", rows, KEY, also=(studies, zeroshot))
            print(seed, balance, [(row["into"], row["quantity"], row["value"]) for row in rows], flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
