"""What does attention in bands cost? A GPT-2 of width 64 whose second block sees only so many tokens back.

    python benchmarks/gpt3_banded.py              all seeds (ten minutes on one core)
    python benchmarks/gpt3_banded.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_banded.csv, a row for each seed and band (0: dense): the loss above the floor, as a share of
it, and the pairs that both blocks together compare in a full window. Chapter 03 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import scaling
from minigpt.experiments import canaries, dataset, measured
from minigpt.experiments.canaries import library as small_storybook
from minigpt.experiments.gpt3 import banded_attention, compute

SEEDS = [0, 1, 2]
KEY = ("seed", "band")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    library = dataset.story_dataset()
    for seed in seeds:
        for band in banded_attention.BANDS:
            gap = compute.loss_above_floor(banded_attention.banded(library, band, seed), library)
            rows = [{"seed": seed, "band": band or 0, "gap": f"{gap:.4f}", "pairs": pairs(band)}]
            measured.keep("gpt3_banded", rows, KEY)
            print(seed, band, round(gap, 4), flush=True)


def pairs(band: int | None) -> int:
    """How many pairs the two blocks, one dense and one in a band, compare in a full window."""
    return scaling.attention_pairs(dataset.N_CTX) + scaling.attention_pairs(dataset.N_CTX, band)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    library = canaries.part(small_storybook(), 26)
    whole = canaries.part(small_storybook(), 36_000)
    found = {"written": canaries.checksum(canaries.asked_for(dataset.story_dataset)), "floor": library.floor.mean}
    found["sum of rates"] = canaries.rates(lambda: banded_attention.banded(whole, 8, 0))
    for band in banded_attention.BANDS:
        run, numbers = canaries.trained(lambda band=band: banded_attention.banded(library, band, 0))
        found |= canaries.under(f"band {band}", numbers)
        found[f"band {band}, gap"] = compute.loss_above_floor(run, library)
        found[f"band {band}, pairs"] = pairs(band)
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
