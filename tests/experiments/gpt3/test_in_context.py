"""The best possible learner and the shortcut, on questions set by hand."""

import numpy as np
import pytest

from minigpt.experiments.gpt3 import in_context
from minigpt.worlds.in_context_lists import Question


def asked(text, answer, **bayes):
    return Question("symbols", f"Examples: {text}", answer, bayes, len(text.split()) // 2, False)


def test_the_best_possible_learner_scores_what_its_likeliest_answer_is_worth():
    questions = [
        asked("brave red calm", "red", red=0.6, blue=0.4),
        asked("brave red calm", "blue", red=0.6, blue=0.4),
        asked("brave red calm", "blue", red=0.4, blue=0.4, green=0.2),
    ]
    np.testing.assert_allclose(in_context.best_possible(questions), [1, 0, 0.5])


def test_the_shortcut_names_the_commonest_colour():
    questions = [
        asked("brave red calm blue sad red calm", "red"),
        asked("brave red calm blue sad red calm", "blue"),
        asked("brave red calm blue sad", "blue"),
        asked("calm", "blue"),
    ]
    np.testing.assert_allclose(in_context.shortcut(questions), [1, 0, 0.5, 0])


@pytest.mark.parametrize("family", in_context.LEARNED)
def test_the_best_possible_learner_is_right_as_often_as_it_expects(family):
    questions = in_context.questions(family, 4)
    expected, spread = in_context.ceiling(questions), 0.5 / len(questions) ** 0.5
    assert in_context.best_possible(questions).mean() == pytest.approx(expected, abs=3 * spread)
    assert in_context.shortcut(questions).mean() < expected - 0.2


def test_gains_are_differences_of_the_table():
    by_hand = in_context.measured.get(
        "gpt3/in_context", model="post 16", family="language", n_shots=8, which="training", step=3215
    ) - in_context.measured.get(
        "gpt3/in_context", model="post 16", family="language", n_shots=0, which="training", step=3215
    )
    np.testing.assert_allclose(in_context.gains("post 16", "language"), by_hand)


@pytest.mark.slow
def test_panels_hold_the_model_the_shortcut_and_the_best_possible_learner():
    panels, ceilings = in_context.k_shot_panels(model="post 16", step=3215)
    for family in in_context.LEARNED:
        (shots, mean, low, high), (_, trick) = panels[family].values()
        where = {"model": "post 16", "step": 3215, "which": "training", "family": family}
        assert shots == in_context.SHOTS and low[5] <= mean[5] <= high[5]
        assert mean[5] == pytest.approx(in_context.measured.get("gpt3/in_context", n_shots=16, **where).mean())
        assert trick[5] == pytest.approx(in_context.shortcut(in_context.questions(family, 16)).mean())
        assert in_context.references(family, 16) == {"best possible": ceilings[family][1][5], "shortcut": trick[5]}


@pytest.mark.slow
def test_panels_of_pairs_never_met_have_a_best_possible_learner_of_their_own():
    panels, ceilings = in_context.k_shot_panels(which="held out", model="post 64", step=3215)
    assert list(panels) == ["symbols", "category"]
    for family, (_, best) in ceilings.items():
        asked = in_context.questions(family, 8, which="held out")
        assert best[4] == pytest.approx(in_context.best_possible(asked).mean())
        assert best[4] != in_context.references(family, 8)["best possible"]
