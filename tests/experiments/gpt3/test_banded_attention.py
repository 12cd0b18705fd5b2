"""Banded attention: which block has the band, and how many pairs are compared."""

import pytest
import torch

from minigpt.experiments import canaries, dataset
from minigpt.experiments.gpt3 import banded_attention
from minigpt.model import GPT


def test_pairs_counted_one_by_one():
    n = dataset.N_CTX
    for band in (None, 4, 16):
        seen = sum(1 for i in range(n) for j in range(i + 1) if band is None or i - j < band)
        assert banded_attention.compared_pairs(band) == n * (n + 1) // 2 + seen


@pytest.mark.parametrize("band", [None, 4])
def test_only_the_second_block_of_the_model_trained_has_the_band(band):
    data = canaries.part(canaries.small_dataset(), 26)
    trained = canaries.training_of(lambda: banded_attention.pretrain_banded(data, band, 0))[0]
    assert isinstance(trained, GPT) and trained.config.band == band
    ids = torch.randint(trained.config.n_vocab, (1, 12), generator=torch.Generator().manual_seed(0))
    first, second = (maps[0] for maps in trained.eval().attention_maps(ids))
    far = torch.ones(12, 12).tril(-4).bool()  # four or more positions back
    assert (first[:, far] > 0).all()
    assert (second[:, far] > 0).all() if band is None else (second[:, far] == 0).all()
