"""Chapter 03, section 7. Locally banded attention: GPT-2 of width 64 whose second block sees only so many tokens back.

The table has a row for each seed and band (0: dense): the loss above the entropy floor, as a share of the floor, and
the pairs of positions that both blocks together compare in a full window. Three seeds take ten minutes on one core.
"""

from collections.abc import Iterator
from dataclasses import replace

from minigpt import scaling
from minigpt.experiments import canaries, dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt3 import compute
from minigpt.experiments.pretraining import Pretrained

SEEDS = (0, 1, 2)
KEY = ("seed", "band")
BANDS = (None, 32, 16, 8, 4)  # None: dense


def pretrain_banded(data: Dataset, band: int | None, seed: int) -> Pretrained:
    """A GPT-2 of width 64 whose second block sees only the last `band` positions; None: all of them.

    Source: GPT-3, section 2.1, which alternates dense and locally banded layers and does not print the band.
    """
    config = replace(sizes.gpt2(64), band=band)
    return pretraining.pretrain(data, config, seed, training=sizes.gpt2_training(64))


def compared_pairs(band: int | None) -> int:
    """How many pairs the two blocks, one dense and one in a band, compare in a full window."""
    return scaling.attention_pairs(dataset.N_CTX) + scaling.attention_pairs(dataset.N_CTX, band)


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed: a model for each band."""
    data = dataset.story_dataset()
    for band in BANDS:
        gap = compute.loss_above_floor(pretrain_banded(data, band, seed), data)
        yield {"seed": seed, "band": band or 0, "gap": f"{gap:.4f}", "pairs": compared_pairs(band)}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    data = canaries.part(canaries.small_dataset(), 26)
    whole = canaries.part(canaries.small_dataset(), 36_000)
    found = {"written": canaries.checksum(canaries.asked_for(dataset.story_dataset)), "floor": data.floor.mean}
    found["sum of rates"] = canaries.rates(lambda: pretrain_banded(whole, 8, 0))
    for band in BANDS:
        run, numbers = canaries.trained(lambda band=band: pretrain_banded(data, band, 0))
        found |= canaries.under(f"band {band}", numbers)
        found[f"band {band}, gap"] = compute.loss_above_floor(run, data)
        found[f"band {band}, pairs"] = compared_pairs(band)
    return found
