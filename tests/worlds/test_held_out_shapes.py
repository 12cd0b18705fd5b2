"""Held-out pictures: no layout and no pair of the tests is ever shown, or asked for, in training."""

import itertools

import numpy as np
import pytest

from minigpt.worlds import held_out_shapes as held_out
from minigpt.worlds import shapes
from minigpt.worlds.shapes import Picture


def test_the_splits_are_all_layouts_once():
    every = [picture for which in held_out.SPLITS for of_size in held_out.layouts(which) for picture in of_size]
    assert len(every) == len(set(every)) == 64 + 864 + 2304 + 576
    for which in held_out.SPLITS:
        for n, of_size in enumerate(held_out.layouts(which), start=1):
            assert of_size and {len(p.there) for p in of_size} == {n}
            assert {held_out.split(p) for p in of_size} == {which}
    n_training, n_layout, n_pair = (sum(map(len, held_out.layouts(which))) for which in held_out.SPLITS)
    assert 0.18 < n_layout / (n_layout + n_training) < 0.23
    pairs = [pair for pair in itertools.product(shapes.COLOURS, shapes.SHAPES)]
    with_pair = [p for p in every if any(pair in held_out.UNSEEN_PAIRS for pair in p.there)]
    assert n_pair == len(with_pair) and all(pair in pairs for pair in held_out.UNSEEN_PAIRS)


def test_training_neither_shows_nor_names_what_is_held_out():
    rng = np.random.default_rng(0)
    allowed = {p for of_size in held_out.layouts("training") for p in of_size}
    for _ in range(3000):
        picture = held_out.draw_picture("training", rng)
        question = held_out.draw_question("yes or no", picture, rng)
        assert picture in allowed
        assert not any(" ".join(pair) in question.text for pair in held_out.UNSEEN_PAIRS)


def test_half_of_the_yes_or_no_questions_are_answered_by_yes_in_every_split():
    for which in held_out.SPLITS[:2]:
        asked = held_out.batch(which, 2000, np.random.default_rng(1), ("yes or no",)).questions
        assert np.mean([q.answer == "yes" for q in asked]) == pytest.approx(0.5, abs=0.04)
    asked = held_out.batch("unseen pair", 2000, np.random.default_rng(1), ("yes or no",)).questions
    assert 0.4 < np.mean([q.answer == "yes" for q in asked]) < 0.75


def test_questions_about_an_unseen_pair_are_about_it_and_answered_by_the_picture():
    rng = np.random.default_rng(2)
    picture = Picture((("green", "square"), ("red", "circle"), None, ("yellow", "triangle")))
    assert held_out.split(picture) == "unseen pair"
    asked = {kind: {held_out.draw_question(kind, picture, rng) for _ in range(30)} for kind in shapes.KINDS}
    told = {kind: {(q.text, q.answer) for q in questions} for kind, questions in asked.items()}
    assert told["colour"] == {("what colour is the circle", "red")}
    assert told["shape"] == {("what shape is red", "circle")}
    assert told["place"] == {("where is the circle", "northeast")}
    assert told["count"] == {("how many things are there", "three")}
    assert told["yes or no"] == {("is there a red circle", "yes"), ("is there a blue cross", "no")}


def test_a_split_is_asked_for_by_its_name():
    with pytest.raises(ValueError, match="expected a split among"):
        held_out.layouts("test")


@pytest.mark.slow
def test_the_blind_guess_is_what_a_counter_of_questions_reaches():
    drawn = held_out.batch("training", 60000, np.random.default_rng(3))
    seen: dict = {}
    for q in drawn.questions[:50000]:
        answers = seen.setdefault(q.text, {})
        answers[q.answer] = answers.get(q.answer, 0) + 1
    guesses = {text: max(answers, key=answers.get) for text, answers in seen.items()}
    exact = held_out.blind_guess()
    for kind in shapes.KINDS:
        tried = [q for q in drawn.questions[50000:] if q.kind == kind]
        assert np.mean([guesses[q.text] == q.answer for q in tried]) == pytest.approx(exact[kind], abs=0.035)
    assert exact["count"] == pytest.approx(1 / 4) and 1 / 4 < exact["colour"] < 1 / 3 + 0.01


def test_without_the_word_one_picks_among_the_things_there():
    drawn = held_out.batch("unseen layout", 3000, np.random.default_rng(4))
    exact = held_out.wordless_guess(drawn)
    assert exact["count"] == 1 and exact["yes or no"] == 0.5
    assert exact["colour"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, abs=0.04)


def test_the_pictures_of_a_batch_can_be_drawn_again():
    shown = held_out.batch("unseen pair", 20, np.random.default_rng(5))
    again = held_out.draw_pictures("unseen pair", 20, np.random.default_rng(5))
    for image, picture in zip(shown.images, again):
        assert np.abs(image - picture.pixels()).mean() < 0.05
