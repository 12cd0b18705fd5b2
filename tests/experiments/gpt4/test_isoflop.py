"""Isoflop profiles that were measured: the best size lies within them."""

import numpy as np
import pytest

from minigpt import chinchilla
from minigpt.experiments import measured

pytestmark = pytest.mark.slow


def test_the_best_size_lies_between_few_tokens_and_many():
    rows = measured.rows("gpt4/isoflop")
    for seed in range(3):
        mine = [r for r in rows if int(r["seed"]) == seed]
        N, D, L = (np.array([float(r[name]) for r in mine]) for name in ("n_params", "n_tokens", "loss"))
        compute, best, law = chinchilla.best_sizes(N, D, L)
        assert len(compute) == 4
        tokens_per_param = compute / (6 * best**2)
        assert (5 < tokens_per_param).all()
        assert (tokens_per_param < 50).all()
        assert 0.25 < law.b < 0.6
