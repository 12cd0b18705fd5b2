"""The run shop and the grid that it sells from; the ladders as a game."""

import numpy as np
import pytest

from minigpt import scaling_laws
from minigpt.chinchilla import JointLaw
from minigpt.exact import zipf
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import ladder_game, run_grid, run_shop
from minigpt.experiments.gpt4.run_shop import Run, Shop

LAW = JointLaw(1.1, 60.0, 30.0, 0.6, 0.4)


def run(compute, d_model, n_params):
    n_tokens = round(compute / 6 / n_params)
    return Run(6.0 * n_params * n_tokens, d_model, n_params, n_tokens, float(LAW(n_params, n_tokens)))


def shop(budget=1e11):
    """A shop whose runs obey a law exactly."""
    sizes = {8: 4056, 10: 5550, 12: 7236, 16: 11184, 24: 21384, 32: 34656, 48: 70416}
    runs = [run(C, d, n) for C in (2.15e9, 4.64e9, 1e10, 2.15e10, 4.64e10) for d, n in sizes.items()]
    return Shop(runs + runs[:3], run(4.64e11, 48, sizes[48]), LAW.E, budget)


def test_what_is_bought_is_paid_for_and_gone():
    here = shop(5e9)
    n = len(here.menu())
    assert max(compute for compute, _ in here.menu()) <= 5e9
    first = here.buy(2.15e9, 10)
    assert first.loss == pytest.approx(LAW(first.n_params, first.n_tokens)) and here.left == 5e9 - first.compute
    assert here.buy(2.15e9, 10) == first  # a repeat of it
    with pytest.raises(ValueError, match=r"on the menu; got 2\.15e\+09 operations and width 10"):
        here.buy(2.15e9, 10)
    with pytest.raises(ValueError, match=r"for at most 7e\+08 operations; this costs 4\.64e\+09"):
        here.buy(4.64e9, 12)
    assert len(here.menu()) == 0 < n


def test_the_target_hides_its_loss():
    here = shop()
    assert np.isnan(here.target.loss) and here.target.d_model == 48 and here.target.compute == pytest.approx(4.64e11)


@pytest.mark.parametrize("said", [(1.2, 1.3, 1.4), (1.2, 1.1, 1.15), (1.0, 0.0, 2.0), (1, 2), "x", None])
def test_what_is_no_prediction_is_refused(said):
    with pytest.raises(ValueError, match="expected"):
        shop().outcome(said)


def test_a_strategy_with_the_true_law_is_right_and_one_without_a_floor_is_too_low():
    right = shop()
    outcome = right.outcome(run_shop.surface(right))
    assert abs(outcome.error) < 0.02 and outcome.measured == pytest.approx(LAW(70416, right.target.n_tokens))
    other = shop()
    assert other.outcome(run_shop.straight_line(other)).error < -0.15


def test_every_strategy_keeps_to_its_budget_in_the_measured_shops():
    for name, here in run_shop.shops().items():
        assert here.budget == run_shop.BUDGET and len(here.menu()) > 15, name
    for strategy in run_shop.STRATEGIES.values():
        for here in run_shop.shops().values():
            low, high = strategy(here)[1:]
            assert here.bought and here.left >= 0 and low <= high


def test_the_right_widths_beat_one_width_and_both_baselines():
    table = run_shop.score_table()
    ours = table["best widths, with a floor"]
    assert ours["intervals that hold"] == 3 * len(run_grid.SEEDS)
    for name in ("no change", "straight line", "one width, with a floor"):
        assert ours["interval score"] < 0.5 * table[name]["interval score"]


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


def test_each_seed_has_its_own_large_run_and_sells_its_own_runs_first():
    for name, s in run_shop.NAMES.items():
        for seed in run_grid.SEEDS:
            here = run_shop.shops(seed=seed)[name]
            said = here.outcome((1.2, 1.1, 1.3)).measured
            where = {"zipf": s, "rate": "usual"}
            assert said == measured.get("gpt4/run_grid", "loss", budget=4.64e11, d_model=48, **where)[seed]
            repeats = [here.buy(1e10, 16).loss for _ in run_grid.SEEDS]
            stored = list(measured.get("gpt4/run_grid", "loss", budget=1e10, d_model=16, **where))
            assert repeats == [stored.pop(seed), *stored]
    with pytest.raises(ValueError, match="a seed out of .* got 3"):
        run_shop.shops(seed=3)


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


COMPUTE = np.repeat(np.geomspace(5e9, 4e10, 4), 3)


def made_up(exponent, spread, seed):
    rng = np.random.default_rng(seed)
    law = scaling_laws.FloorLaw(0.25 * 5e9**exponent, -exponent, 1.0)
    return law(COMPUTE) * (1 + spread * rng.normal(size=len(COMPUTE))), float(law(8e11) * (1 + spread * rng.normal()))


@pytest.mark.slow
def test_the_interval_with_a_rough_exponent_holds_what_it_claims_and_is_narrower():
    held, widths = [], []
    for seed in range(200):
        exponent = float(np.random.default_rng([seed, 1]).uniform(0.12, 0.35))
        loss, came = made_up(exponent, 0.008, seed)
        said = ladder_game.bounded_law(COMPUTE, loss, 8e11, np.random.default_rng(seed))
        held.append(said.holds(came))
        free = ladder_game.floor_law(COMPUTE, loss, 8e11, np.random.default_rng(seed)) if seed < 20 else None
        widths += [(said.high - said.low) / (free.high - free.low)] if free else []
    assert 0.84 <= np.mean(held) <= 0.96 and np.mean(widths) < 0.8


@pytest.mark.parametrize("exponent", [0.15, 0.32])
def test_where_the_runs_tell_the_exponent_the_prediction_follows_them(exponent):
    loss, came = made_up(exponent, 1e-5, 3)
    said = ladder_game.bounded_law(COMPUTE, loss, 8e11, np.random.default_rng(0))
    assert said.value == pytest.approx(came, abs=1e-3) and said.high - said.low < 5e-3
    assert said.floors[0] < 1.0 < said.floors[1]


def test_the_baselines_say_what_they_are_called():
    loss, _ = made_up(0.25, 0.005, 0)
    same = ladder_game.no_change(COMPUTE, loss, 8e11, np.random.default_rng(0))
    assert same.value == pytest.approx(loss[-3:].mean()) and same.low < same.value < same.high
    bare = ladder_game.power_law(COMPUTE, loss, 8e11, np.random.default_rng(0))
    slope, level = np.polyfit(np.log(COMPUTE), np.log(loss), 1)
    assert bare.value == pytest.approx(np.exp(level + slope * np.log(8e11)), rel=0.005)


def test_an_outcome_is_told_in_units_of_what_is_left():
    found = ladder_game.Outcome(predicted=1.3, low=1.25, high=1.35, measured=1.2, floor=1.1)
    assert not found.holds and found.error == pytest.approx(1.0) and found.error_of_loss == pytest.approx(1 / 12)
    assert found.score == pytest.approx((0.1 + 20 * 0.05) / 0.1)
    table = ladder_game.summary([found, ladder_game.Outcome(1.2, 1.1, 1.3, 1.2, 1.1)])
    assert table["intervals that hold"] == 1 and table["width (reducible losses)"] == pytest.approx(1.5)
