"""Pictures: what is rendered is what stands there, answers are true, and a blind guess is worth what is claimed."""

from collections import Counter

import numpy as np
import pytest

from minigpt.worlds.shapes import (
    COLOURS,
    KINDS,
    LONGEST,
    NUMBERS,
    PLACES,
    SHAPES,
    Picture,
    _mask,
    batch,
    blind_guess,
    draw_picture,
    draw_question,
    encode,
    vocabulary,
)

ONE = Picture((None, ("red", "circle"), None, None))
FULL = Picture((("red", "circle"), ("green", "square"), ("blue", "cross"), ("yellow", "triangle")))


def test_pixels_are_where_and_what_they_should_be():
    image = ONE.pixels()
    assert image.shape == (16, 16, 3)
    assert image.dtype == np.float32
    lit = image[..., 0] > 0.5
    assert lit[:8, 8:].sum() == sum(row.count("#") for row in SHAPES["circle"])
    assert lit.sum() == lit[:8, 8:].sum()
    assert np.allclose(image[3, 12], COLOURS["red"])


def test_noise_comes_from_the_generator_and_stays_in_range():
    one, two = (FULL.pixels(np.random.default_rng(0)) for _ in range(2))
    assert (one == two).all()
    assert one.min() >= 0
    assert one.max() <= 1
    assert not (one == FULL.pixels()).all()


def test_the_four_shapes_look_different():
    masks = [_mask(shape) for shape in SHAPES]
    assert all((a != b).sum() >= 8 for i, a in enumerate(masks) for b in masks[:i])


def test_drawn_pictures_repeat_nothing_and_all_numbers_are_equally_likely():
    rng = np.random.default_rng(0)
    drawn = [draw_picture(rng) for _ in range(4000)]
    for picture in drawn:
        colours, shapes = zip(*picture.there)
        assert len(set(colours)) == len(set(shapes)) == len(picture.there)
    counts = Counter(len(picture.there) for picture in drawn)
    assert set(counts) == {1, 2, 3, 4}
    assert max(counts.values()) - min(counts.values()) < 4 * np.sqrt(4000 * 3 / 8)


def test_answers_are_true():
    rng = np.random.default_rng(0)
    for _ in range(300):
        picture = draw_picture(rng)
        by_shape = {
            shape: (colour, place) for place, thing in enumerate(picture.things) if thing for colour, shape in [thing]
        }
        for kind in KINDS:
            question = draw_question(kind, picture, rng)
            last = question.text.split()[-1]
            if kind == "colour":
                assert question.answer == by_shape[last][0]
            elif kind == "shape":
                assert by_shape[question.answer][0] == last
            elif kind == "count":
                assert NUMBERS.index(question.answer) == len(by_shape)
            elif kind == "place":
                assert PLACES[by_shape[last][1]] == question.answer
            else:
                colour, shape = question.text.split()[-2:]
                assert (question.answer == "yes") == ((colour, shape) in picture.there)


@pytest.mark.slow
def test_a_blind_guess_is_worth_what_is_claimed():
    """The best answer to each text of a question, learned from 20,000 and tried on 20,000 others."""
    rng = np.random.default_rng(0)

    def asked():
        return [draw_question(kind, draw_picture(rng), rng) for kind in KINDS for _ in range(4000)]

    seen = {}
    for question in asked():
        seen.setdefault(question.text, Counter())[question.answer] += 1
    right = {kind: [] for kind in KINDS}
    for question in asked():
        right[question.kind].append(seen[question.text].most_common(1)[0][0] == question.answer)
    for kind, chance in blind_guess().items():
        assert np.mean(right[kind]) == pytest.approx(chance, abs=0.035), kind


def test_a_batch_is_in_the_vocabulary_and_comes_from_its_generator():
    one, two = (batch(20, np.random.default_rng(5)) for _ in range(2))
    assert (one.images == two.images).all()
    assert one.images.shape == (20, 16, 16, 3)
    assert one.ids.shape == (20, LONGEST)
    words = vocabulary()
    for ids, answer, question in zip(one.ids, one.answers, one.questions):
        assert words[answer] == question.answer
        assert " ".join(words[i] for i in ids[1:] if i != 1) == question.text


def test_questions_may_be_typed_with_a_question_mark():
    assert encode("What colour is the circle?") == encode("what colour is the circle")


@pytest.mark.parametrize("call, match", [
    (lambda: encode("what colour is the elephant"), "elephant"),
    (lambda: encode("is there a red red red circle"), "at most 6 words"),
    (lambda: draw_question("smell", ONE, np.random.default_rng(0)), "a kind of question"),
])  # fmt: skip
def test_bad_questions(call, match):
    with pytest.raises(ValueError, match=match):
        call()
