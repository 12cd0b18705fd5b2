"""Inputs, targets, masks, and the way from text to tasks: what is drawn is what was given."""

import numpy as np
import pytest
from gallery import words

from minigpt import plots

PIECES = ["Tom", " has", " a", ""]


def at(figure, word) -> list[tuple]:
    return [text.get_position() for text in figure.axes[0].texts if text.get_text() == word]


def test_each_target_stands_beneath_its_input_and_is_the_next_piece():
    figure = plots.shifted_targets(PIECES, [3.0, 0.5, 1.25])
    columns: dict = {}
    for word in ("Tom", "has", "a", "(end)"):
        for x, y in at(figure, word):
            columns.setdefault(round(x, 6), {})[y] = word
    pairs = [(column[max(column)], column[min(column)]) for _, column in sorted(columns.items())]
    assert pairs == [("Tom", "has"), ("has", "a"), ("a", "(end)")]


def test_the_loss_of_each_target_is_a_bar_as_long_as_its_number():
    figure = plots.shifted_targets(PIECES, [3.0, 0.5, 1.25], [1.5, 0.5, 1.25])
    lengths = [patch.get_height() for patch in figure.axes[0].patches][-3:]
    assert np.divide(lengths, lengths[0]) == pytest.approx([1, 0.5 / 3, 1.25 / 3])
    assert {"3.00", "0.50", "1.25", "▬ floor"} <= set(words(figure))
    mark = figure.axes[0].lines[0].get_ydata()[0]
    bar = figure.axes[0].patches[-3]
    assert mark == pytest.approx(bar.get_y() + bar.get_height() / 2)


def test_what_does_not_fit_is_left_out_and_said():
    figure = plots.shifted_targets(["something"] * 30, np.arange(29.0))
    assert words(figure).count("...") == 2 and words(figure).count("something") == 10
    assert "..." not in words(plots.shifted_targets(PIECES))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"],), "at least two pieces"),
        ((["a", "b", "c"], [1.0]), "losses: expected 2 numbers"),
        ((["a", "b"], [-1.0]), "losses: expected 1 numbers of at least 0"),
        ((["a", "b"], [1.0], [1.0, 2.0]), "floor: expected 1 numbers"),
        ((["a", "b"], None, [1.0]), "floor: expected losses too"),
    ],
)
def test_bad_targets_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.shifted_targets(*arguments)
