"""How much of a planted association does a model pick up? Small GPT-2s on sentences about twelve occupations.

    python benchmarks/gpt3_bias.py              all seeds (two minutes on one core)
    python benchmarks/gpt3_bias.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_bias.csv, a row for each seed, amount of text, width and occupation: the planted P(she), the
share in the corpus as it was drawn, and the model's. Chapter 03 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, studies, zeroshot

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "amount", "d_model", "occupation")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for amount in studies.BIAS_DOCUMENTS:
            library = studies.bias_library(amount, seed)
            counted = studies.counted(library)
            for d_model in (16, 32):
                found = studies.p_she(studies.bias_model(library, d_model, seed).model, library)
                rows = [
                    dict(zip(KEY, (seed, amount, d_model, name)), planted=p, counted=f"{counted[name]:.4f}",
                         model=f"{found[name]:.4f}")
                    for name, p in studies.PLANTED.items()
                ]  # fmt: skip
                classroom.keep_measured("gpt3_bias", rows, KEY, also=(studies, zeroshot))
                print(seed, amount, d_model, f"slope {studies.recovered(found):.2f}", flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
