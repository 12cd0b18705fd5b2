"""Repetition within a text, by hand and to the end of the window."""

import pytest

from minigpt.experiments.gpt2 import decoding, repetition

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("remembering"), pytest.mark.xdist_group("library")]


def test_repetition_by_hand():
    assert repetition.repeated("a b c d e f g h") == 0.0
    assert repetition.repeated("one two") == 0.0
    assert repetition.repeated("x " * 40) == pytest.approx(36 / 37)
    assert repetition.repeated("a b c d x a b c d") == pytest.approx(1 / 6)  # 6 4-grams, one of them twice
    assert repetition.mean_repeated(["x " * 40, "a b c d e"]) == pytest.approx(18 / 37)


def test_texts_without_an_end_fill_the_window(library, untrained):
    openings = decoding.openings(library, 3)
    long = repetition.texts(untrained, library, openings, 0, "temperature 1", "no end")
    assert all(text.startswith(opening) for text, opening in zip(long, openings))
    assert long == repetition.texts(untrained, library, openings, 0, "temperature 1", "no end")
    with pytest.raises(ValueError, match="got 'loud', 'free'"):
        repetition.texts(untrained, library, openings, 0, "loud")
    found = repetition.measure(untrained, library, openings, 0)
    assert len(found) == 1 + 2 * len(repetition.SETTINGS)
    assert found["greedy", "no end"] >= found["greedy", "free"] or found["greedy", "no end"] > 0.3
