"""At one and the same compute: few tokens for a large model, or many for a small one? Four budgets, three seeds.

    python benchmarks/gpt4_isoflop.py              all seeds (two minutes each on one core)
    python benchmarks/gpt4_isoflop.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_isoflop.csv, a row for each seed, budget (floating-point operations) and width: parameters,
tokens and held-out loss, nats per token. Chapter 05 reads the file, and fits L(N, D) to all of them.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, encyclopedia, ladder, scaling

SEEDS = [0, 1, 2]
KEY = ("seed", "budget", "d_model")
ALSO = (encyclopedia, ladder)
BUDGETS = {  # floating-point operations -> widths, from many tokens for each parameter to about one
    1e10: (6, 8, 10, 12, 16, 24), 3e10: (8, 10, 12, 16, 24, 32), 1e11: (10, 12, 16, 24, 32, 48),
    3e11: (12, 16, 24, 32, 48, 64),
}  # fmt: skip


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    book = ladder.book()
    for seed in seeds:
        for budget, widths in BUDGETS.items():
            for d_model in widths:
                n_params = scaling.count_params(2, d_model, book.n_words + 1, 3 * ladder.N_ENTRIES)
                more = {"tokens_per_param": budget / (6 * n_params**2)}
                (ended,) = ladder.climb([(d_model, seed, more)], book, f"{budget:g}: {d_model}")
                rung = ended.rung
                row = dict(zip(KEY, (seed, f"{budget:.0e}", d_model))) | {
                    "n_params": rung.n_params, "n_tokens": rung.n_tokens, "loss": f"{rung.loss:.5f}"
                }  # fmt: skip
                classroom.keep_measured("gpt4_isoflop", [row], KEY, ALSO)
                print(row, flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
