"""The grid of runs: its profiles and the best sizes in it."""

import numpy as np
import pytest

from minigpt import scaling_laws
from minigpt.exact import zipf
from minigpt.experiments.gpt4 import run_grid


def test_the_best_size_grows_with_compute_and_least_for_the_steepest_zipf():
    exponents = []
    for s in run_grid.LANGUAGES:
        found = run_grid.minima(run_grid.profiles(s))
        assert len(found) >= 4
        for compute, (N, loss) in found.items():
            sizes, losses = run_grid.profiles(s)[compute]
            assert sizes[0] < N < sizes[-1] and loss <= losses.min() + 1e-9
        exponents.append(scaling_laws.fit_power_law(list(found), [N for N, _ in found.values()]).b)
    assert exponents[2] < min(exponents[:2]) - 0.04  # 1.3 and 1.6 cannot be told apart here
    derived = [zipf.exponents(s).a for s in run_grid.LANGUAGES]
    assert all(0 < found - truth < 0.1 for found, truth in zip(exponents, derived))  # short runs: too steep


def test_in_each_seed_the_exponent_falls_as_zipf_grows():
    for seed in run_grid.SEEDS:
        steep, usual, flat = (run_grid.best_size(s, seed).b for s in (2.0, 1.6, 1.3))
        assert steep < usual - 0.03 and usual < flat


def test_the_profiles_of_all_seeds_are_the_means_of_each():
    every, alone = run_grid.profiles(1.6), [run_grid.profiles(1.6, seed=seed) for seed in run_grid.SEEDS]
    for compute, (N, L) in every.items():
        assert all(list(each[compute][0]) == list(N) for each in alone)
        np.testing.assert_allclose(np.mean([each[compute][1] for each in alone], axis=0), L)
    with pytest.raises(ValueError, match="a seed out of"):
        run_grid.profiles(1.6, seed=3)


def test_profiles_may_leave_short_runs_out():
    every, long = run_grid.profiles(1.6), run_grid.profiles(1.6, least_tokens=100_000)
    assert sum(len(N) for N, _ in long.values()) < sum(len(N) for N, _ in every.values())
    with pytest.raises(ValueError, match="s out of"):
        run_grid.profiles(1.5)
