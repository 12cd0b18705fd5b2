"""Encyclopedia without misprints: the floor of its answers is zero, and the loss is that of the answers alone."""

import numpy as np
import pytest

from minigpt.experiments.gpt4 import scaling_runs, zero_floor


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
