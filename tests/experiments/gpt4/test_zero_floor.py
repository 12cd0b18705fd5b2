"""Encyclopedia without misprints: the floor of its answers is zero, and the loss is that of the answers alone."""

import numpy as np
import pytest

from minigpt.exact.zipf import exponents
from minigpt.experiments import measured
from minigpt.experiments.gpt3 import compute
from minigpt.experiments.gpt4 import scaling_runs, zero_floor
from minigpt.scaling_laws import fit_floor_law, straightness


def test_whoever_knows_the_entry_knows_the_answer():
    texts = zero_floor.book().draw(200, 10, np.random.default_rng(5))
    exact = zero_floor.book().logps(texts)
    assert np.all(exact[:, 2::3] == 0) and np.all(exact[:, 0::3] < 0)
    usual = scaling_runs.book()
    np.testing.assert_array_equal(zero_floor.book().fame, usual.fame)
    np.testing.assert_array_equal(zero_floor.book().values, usual.values)


def test_the_loss_is_that_of_every_third_word(monkeypatch):
    """-log P: 1 and 2 for the words of the key, 5 and 7 for the answers."""
    logps = -np.array([[1.0, 2.0, 5.0, 1.0, 2.0, 7.0]])
    monkeypatch.setattr(scaling_runs, "logps", lambda model, book, texts: logps)
    assert zero_floor.answer_loss(None, np.zeros((1, 6), int)) == 6.0


def test_an_untrained_model_guesses_among_all_words():
    model = scaling_runs.fresh_model(zero_floor.book(), 16, 0).eval()
    loss = zero_floor.answer_loss(model, scaling_runs.held_out(zero_floor.book())[:50])
    assert loss == pytest.approx(np.log(257), abs=0.4)


def test_a_row_says_what_was_trained(monkeypatch):
    """Width 8: as many tokens as the plan has, 15 for each parameter or nearly so."""
    monkeypatch.setattr(scaling_runs, "N_STEPS", 4)
    row = zero_floor.measure(8, 1, scaling_runs.held_out(zero_floor.book())[:20])
    batch, steps = scaling_runs.plan(8)
    assert row["n_tokens"] == batch * steps * 30 and row["n_tokens"] == pytest.approx(15 * row["n_params"], rel=0.01)
    assert (row["seed"], row["d_model"]) == (1, 8) and 0 < float(row["loss"]) < 7


def test_points_are_the_table_as_compute():
    for seed in zero_floor.SEEDS:
        spent, loss = zero_floor.points(seed)
        assert len(spent) == len(zero_floor.WIDTHS) and (np.diff(spent) > 0).all()
        widest = {"seed": str(seed), "d_model": str(max(zero_floor.WIDTHS))}
        [row] = [row for row in measured.rows("gpt4/zero_floor") if widest.items() <= row.items()]
        assert spent[-1] == pytest.approx(6 * int(row["n_params"]) * int(row["n_tokens"]) / 8.64e19)
        assert loss[-1] == float(row["loss"])
    with pytest.raises(ValueError, match="expected a seed of"):
        zero_floor.points(9)


def test_the_same_plot_has_the_papers_numbers_and_ours():
    found = zero_floor.same_plot()
    days, losses = found["English"]
    assert days.tolist() == [2.6, 7.42, 15.8, 27.5, 55.2, 139.0, 268.0, 3640.0]  # Table D.1
    assert np.exp(losses[0]).round(2).tolist() == [18.6, 9.09, 6.53, 5.44, 4.6, 4.0, 3.56, 3.0]  # Table H.1
    spent, losses = found["stories"]
    assert losses.shape == (3, 12) and losses.min() > 0.64056 and (np.diff(spent) > 0).all()
    for seed in compute.SEEDS:  # no run of a seed is below its envelope, at either end
        curves = compute.learning_curves(seed).values()
        assert losses[seed, -1] == pytest.approx(min(loss[-1] for spent_, loss in curves if spent_[-1] == spent[-1]))
    spent, losses = found["encyclopedia"]
    for seed in zero_floor.SEEDS:
        np.testing.assert_array_equal(losses[seed], zero_floor.points(seed)[1])


def test_what_the_chapter_says_of_the_three_languages():
    """Straight only where the floor is zero; a law with a floor finds the two that are known."""
    laws = zero_floor.fits()
    for name, (spent, losses) in zero_floor.same_plot().items():
        mean = losses.mean(axis=0)
        assert laws[name].r2 == straightness(spent, mean)[1] and laws[name].law == fit_floor_law(spent, mean)
        assert (laws[name].r2 > 0.98) == (name == "encyclopedia") and (laws[name].r2 < 0.94) == (name != "encyclopedia")
        assert laws[name].floors[0] <= laws[name].law.c <= laws[name].floors[1]
    assert laws["encyclopedia"].line.b == pytest.approx(exponents(zero_floor.ZIPF).b, abs=0.01)
    assert laws["stories"].law.c == pytest.approx(0.64056, abs=0.01) and laws["encyclopedia"].law.c < 0.03
