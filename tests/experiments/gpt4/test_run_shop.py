"""The run shop and the grid that it sells from; the ladders as a game."""

import numpy as np
import pytest

from minigpt.chinchilla import JointLaw
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import run_grid, run_shop
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


def test_a_run_for_nothing_is_not_on_the_menu():
    with pytest.raises(ValueError, match="on the menu"):
        run_shop.shops()["A"].buy(0, 12)
