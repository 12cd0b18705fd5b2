"""Chapter 03. Locally banded attention in every second block."""

from dataclasses import replace

from minigpt.experiments import pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.pretraining import Pretrained

BANDS = (None, 32, 16, 8, 4)  # None: dense


def banded(library: Dataset, band: int | None, seed: int) -> Pretrained:
    """A GPT-2 of width 64 whose second block sees only the last `band` positions; None: all of them.

    Source: GPT-3, section 2.1, which alternates dense and locally banded layers and does not print the band.
    """
    config = replace(sizes.gpt2(64), band=band)
    return pretraining.pretrain(library, config, seed, training=sizes.gpt2_training(64))
