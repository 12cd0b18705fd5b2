"""What is a small clean source worth beside a large noisy one? GPT-2 of width 64 on mixtures with five weights.

    python benchmarks/gpt3_mixture.py              all seeds (ten minutes on one core)
    python benchmarks/gpt3_mixture.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_mixture.csv, a row for each seed and weight of the clean source: its share among the documents
drawn, the epochs of both sources, and the loss on clean held-out documents above the floor, as a share of it.
Chapter 03 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, studies, zeroshot

SEEDS = [0, 1, 2]
KEY = ("seed", "clean_weight")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for weight in studies.CLEAN_WEIGHTS:
            library, order = studies.mixed(weight, seed)
            run = classroom.pretrain(library, zeroshot.gpt2(64), seed, training=zeroshot.training(64))
            gap = studies.loss_above_floor(run, library)
            row = dict(zip(KEY, (seed, weight)), gap=f"{gap:.4f}", share=f"{order.shares[1]:.4f}")
            row |= {f"{name}_epochs": f"{e:.3f}" for name, e in zip(("crawl", "clean"), order.epochs)}
            classroom.keep_measured("gpt3_mixture", [row], KEY, also=(studies, zeroshot))
            print(row, flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
