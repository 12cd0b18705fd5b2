"""The figures of chapter 00 draw the numbers they are given, and the reader's guess only once there is one."""

import math

import numpy as np
import pytest

from minigpt import plots
from minigpt.plots import information, style

SIZES = [500, 1000, 2000]
FIGURES = {
    "cost_of_belief": lambda guess: plots.cost_of_belief(0.7, guess=guess, title="T"),
    "cost_of_belief, marked": lambda guess: plots.cost_of_belief(0.7, 0.2, guess=guess),
    "ruler": lambda guess: plots.ruler({"floor": 0.64, "knows nothing": 6.9}, guess=guess),
    "strips": lambda guess: plots.strips({"a": [2, 2, 3], "b": [1, 9, 30]}, x_label="words", guess=guess, right=20),
    "above_floor": lambda guess: plots.above_floor({"a": (SIZES, [3.0, 2.0, 1.0])}, 0.5, guess=guess),
    "next_word": lambda guess: plots.next_word("a", {" b": 0.5, " c": 0.5}, guess=guess),
}


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text")))


def grey(figure) -> list:
    return [line for line in figure.axes[0].lines if line.get_color() == information.GUESS["color"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_the_guess_is_drawn_in_grey_and_dots_draw_nothing(name):
    without, with_guess = FIGURES[name](...), FIGURES[name](0.4)
    assert "your guess" not in texts(without) and not grey(without)
    assert "your guess 0.4" in texts(with_guess) and grey(with_guess)
    assert style.png(without) != style.png(with_guess)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("guess", ["much", True, math.nan, [1], None])
def test_a_guess_that_is_no_number_is_told_so(name, guess):
    with pytest.raises(ValueError, match="guess: expected a number"):
        FIGURES[name](guess)


def test_the_cost_of_a_belief_is_the_cross_entropy_and_lowest_at_the_truth():
    figure = plots.cost_of_belief(0.7, 0.2)
    x, y = figure.axes[0].lines[0].get_data()
    assert np.allclose(y, [-(0.7 * math.log(q) + 0.3 * math.log(1 - q)) for q in x])
    assert abs(x[np.argmin(y)] - 0.7) < 0.005
    least = -(0.7 * math.log(0.7) + 0.3 * math.log(0.3))
    kl = -(0.7 * math.log(0.2) + 0.3 * math.log(0.8)) - least
    assert all(words in texts(figure) for words in (f"KL = {kl:.2f}", f"H(p) = {least:.2f}", "q = p = 0.7"))


@pytest.mark.parametrize("name", [name for name in FIGURES if name not in ("above_floor", "cost_of_belief, marked")])
@pytest.mark.parametrize("guess", [-1e9, 1e9])
def test_a_guess_far_off_the_axis_is_named_and_does_not_squeeze_the_figure(name, guess):
    without, figure = FIGURES[name](...), FIGURES[name](guess)
    assert figure.axes[0].get_xlim() == without.axes[0].get_xlim()
    assert ("▶" if guess > 0 else "◀") in texts(figure) and "your guess" in texts(figure)


def test_the_number_of_a_mean_covers_no_dot():
    figure = plots.strips({"a": [5] * 6 + [6] * 14, "b": [1]}, x_label="words")
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    (label,) = [text for text in figure.axes[0].texts if text.get_text() == "mean 5.7"]
    assert min(dots[0].get_ydata()) - label.xy[1] > 0.15  # the axis points down: all dots are below the number


def test_the_name_of_a_gap_stands_where_the_curve_is_not():
    for q in (0.05, 0.3, 0.5, 0.9):
        (label,) = [t for t in plots.cost_of_belief(0.7, q).axes[0].texts if t.get_text().startswith("KL")]
        assert (label.get_ha() == "left") == (q < 0.7) and label.get_va() == "bottom"


def test_a_ruler_has_its_smallest_score_as_the_floor():
    figure = plots.ruler({"large": 6.9, "small": 0.64})
    assert "small: 0.64" in texts(figure)
    assert any(np.allclose(line.get_xdata(), 0.64) and line.get_color() == "#000000" for line in figure.axes[0].lines)


def test_a_strip_has_a_dot_for_each_value_and_the_mean():
    figure = plots.strips({"a": [2, 2, 3, 50]}, x_label="words", right=20)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert sorted(dots[0].get_xdata()) == [2, 2, 3] and len(set(zip(*dots[0].get_data()))) == 3  # none covers another
    assert "mean 14.2" in texts(figure) and "1 beyond" in texts(figure)


def test_losses_are_drawn_as_given_with_their_ratio_to_the_floor_and_no_marker_is_cut():
    figure = plots.above_floor({"a": (SIZES, [3.0, 2.0, 1.0])}, 0.5)
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == SIZES and line.get_ydata().tolist() == [3, 2, 1] and not line.get_clip_on()
    assert "2.00 × floor" in texts(figure) and "floor 0.50" in texts(figure)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.cost_of_belief(1.0),
        lambda: plots.cost_of_belief(0.5, 0.0),
        lambda: plots.ruler({"a": 1.0}),
        lambda: plots.ruler({"a": 1.0, "b": -1.0}),
        lambda: plots.strips({}, x_label="x"),
        lambda: plots.strips({"a": []}, x_label="x"),
        lambda: plots.above_floor({"a": (SIZES, [3.0, 2.0])}, 0.5),
        lambda: plots.above_floor({"a": (SIZES, [3.0, 2.0, 1.0])}, 0.0),
    ],
)
def test_bad_input_is_told_what_was_expected(draw):
    with pytest.raises(ValueError, match="expected"):
        draw()
