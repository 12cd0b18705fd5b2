"""Ladders of ten languages: the plan, the classes of problems, and a table that is what it says."""

import numpy as np
import pytest

from minigpt.exact import zipf
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import ladder_game, ladders, scaling_runs
from minigpt.experiments.gpt4.ladders import FITTED, LARGE, REPEATS

ROWS = measured.rows("gpt4/ladders")


def test_the_languages_are_ten_and_none_is_that_of_the_live_ladder():
    live = scaling_runs.book()
    assert len(set(ladders.LANGUAGES)) == 10 and (live.zipf, live.n_words, live.right) not in ladders.LANGUAGES
    assert len({ladders.book(seed).values[:50].tobytes() for seed in ladders.SEEDS}) == 10


def test_problems_are_kept_and_classed_by_the_fitted_runs_alone():
    keys = np.array([5, 5, 7, 9, 11, 13, 15])
    p = np.array([0.9, 0.9, 0.5, 0.2, 0.1, 0.05, 0.02])
    runs = {(d, r): p * (1 - 0.01 * r) for d, n in REPEATS.items() for r in range(n)}
    runs[FITTED[0], 0] = np.where(keys == 15, 0.004, p)  # one fitted run nearly always fails one problem
    runs[8, 0] = np.full(7, 1e-6)  # width 8 is not fitted, and decides nothing
    runs[LARGE, 0] = np.full(7, 0.5)
    found = ladders.surprises(keys, runs)
    assert {row["n_kept"] for row in found.values()} == {6} and {row["n_kept keys"] for row in found.values()} == {5}
    easiest_first = [float(found[24, 0][f"surprise, class {i}"]) for i in range(1, 6)]
    np.testing.assert_allclose(easiest_first, -np.log([0.9, 0.5, 0.2, 0.1, 0.05]), atol=1e-4)
    assert float(found[24, 0]["surprise, kept"]) == pytest.approx(-np.log(p[:6]).mean(), abs=1e-4)
    assert float(found[24, 0]["surprise, all problems"]) == pytest.approx(-np.log(p).mean(), abs=1e-4)
    assert {found[LARGE, 0][f"surprise, {name}"] for name in ladder_game.PROBLEMS} == {f"{np.log(2):.4f}"}


def test_the_table_holds_every_run_of_every_ladder():
    found = {(int(row["seed"]), int(row["d_model"]), int(row["repeat"])) for row in ROWS}
    assert found == {(s, d, r) for s in ladders.SEEDS for d, n in REPEATS.items() for r in range(n)}
    for row in ROWS:
        book = ladders.book(int(row["seed"]))
        assert (book.zipf, book.n_words, book.right) == (float(row["zipf"]), int(row["n_words"]), float(row["right"]))
        assert float(row["entropy"]) == pytest.approx(book.entropy, abs=1e-5)
        assert float(row["loss"]) > float(row["floor"])


def test_a_ladder_is_read_in_order_and_ends_far_below_the_large_run():
    for seed in ladders.SEEDS:
        one = ladder_game.ladder(seed)
        assert (np.diff(one.compute) >= 0).all() and sorted(set(one.d_model)) == list(FITTED)
        assert 15 < one.times < 30 and one.floor < one.measured < one.loss.min()
    assert min(ladder_game.ladder(3, smallest=8).d_model) == 8
    with pytest.raises(ValueError, match="from 0 to 9; got 10"):
        ladder_game.ladder(10)


def test_eight_intervals_of_ten_hold_and_the_baselines_are_beaten():
    table = {name: ladder_game.summary(ladder_game.outcomes(method)) for name, method in ladder_game.METHODS.items()}
    ours = table["floor, rough exponent"]
    assert ours["intervals that hold"] >= 8
    assert ours["interval score"] < table["with a floor"]["interval score"] < table["no change"]["interval score"]
    share = "error (share of the reducible loss)"
    assert ours[share] < 0.5 * min(table[name][share] for name in ("no change", "no floor"))


def test_width_8_is_off_the_line_and_the_exponents_are_near_those_of_the_language():
    off = np.array([list(ladder_game.residuals(seed).values()) for seed in ladders.SEEDS])
    assert list(ladder_game.residuals(0)) == [8, *FITTED, LARGE]
    assert np.abs(off[:, 1:].mean(axis=0)).max() < 0.1
    slopes, derived = [], []
    for seed in ladders.SEEDS:
        one = ladder_game.ladder(seed)
        first = (one.loss[one.d_model == 12] - one.floor).mean()
        at = one.compute[0]
        slopes.append(np.log((one.measured - one.floor) / first) / np.log(one.at / at))
        derived.append(zipf.exponents(one.zipf).b)
    assert np.corrcoef(slopes, derived)[0, 1] > 0.8


def test_the_capability_is_predicted_where_the_problems_are_many_and_missed_where_they_are_hard():
    def error(problems, how):
        found = [ladder_game.capability(seed, problems) for seed in ladders.SEEDS]
        return np.mean([abs(getattr(each, how) - each.measured) for each in found])

    assert error("kept", "known") < 0.03 and error("kept", "known") < 0.5 * error("kept", "bare")
    assert error("class 5", "known") > 3 * error("kept", "known")
    with pytest.raises(ValueError, match="out of"):
        ladder_game.capability(0, "class 6")
