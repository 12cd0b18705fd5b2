"""The reader's guess: a grey line where it was said, nothing for three dots, and a word about everything else."""

import numpy as np
import pytest
from gallery import FOLLOWING, words

from minigpt import plots

STEPS = np.array([1.0, 2.0, 3.0])
UP = {"a": (STEPS, STEPS / 4)}
CHARTS = {
    "loss_curve": lambda guess: plots.loss_curve(UP, guess=guess),
    "lines": lambda guess: plots.lines(UP, x_label="x", y_label="y", guess=guess),
    "bars": lambda guess: plots.bars(["g"], {"a": [0.5]}, guess=guess),
    "task_panels": lambda guess: plots.task_panels({"t": {"a": {1: [0.5]}}}, guess=guess),
    "next_word": lambda guess: plots.next_word("Tom has a", FOLLOWING, guess=guess),
    "score_dots": lambda guess: plots.score_dots({"t": {"a": 0.5, "b": 0.7}}, x_label="x", guess=guess),
    "effects": lambda guess: plots.effects({"t": [0.5, 0.7]}, x_label="x", guess=guess),
}
UPRIGHT = {"next_word", "score_dots", "effects"}
charts = pytest.mark.parametrize("name", CHARTS)


def grey(figure) -> list:
    return [line for axes in figure.axes for line in axes.lines if line.get_color() == "#777777"]


@charts
def test_a_number_is_a_grey_line_at_its_place_with_its_name(name):
    figure = CHARTS[name](0.62)
    (line,) = grey(figure)
    along, across = (line.get_xdata(), line.get_ydata()) if name in UPRIGHT else (line.get_ydata(), line.get_xdata())
    assert list(along) == [0.62, 0.62] and list(across) == [0, 1] and line.is_dashed()
    assert "your guess 0.62" in words(figure)
    low, high = figure.axes[0].get_xlim() if name in UPRIGHT else figure.axes[0].get_ylim()
    assert low < 0.62 < high


@charts
def test_three_dots_draw_nothing(name):
    figure = CHARTS[name](...)
    assert grey(figure) == [] and "guess" not in " ".join(words(figure))


@charts
@pytest.mark.parametrize("guess", [None, "0.6", True, [0.6], float("inf")])
def test_everything_else_is_refused(name, guess):
    with pytest.raises(ValueError, match=r"guess: expected a number, or \.\.\. for none"):
        CHARTS[name](guess)
