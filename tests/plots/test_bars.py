"""Bars, shares, reliability and ranges: they are as long as their numbers."""

import numpy as np
import pytest
from charts import FIGURES, words
from matplotlib.colors import to_rgba

from minigpt import plots


def test_shares_are_as_wide_as_their_percentages():
    figure = plots.shares({"a": {"x": 1, "y": 3}, "b": {"x": 30, "y": 10}})
    (axes,) = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert np.allclose(bars, [(0, 25), (25, 75), (0, 75), (75, 25)])
    assert [text.get_text() for text in axes.texts] == ["25", "75", "75", "25"]
    assert len({bar.get_hatch() for bar in axes.patches}) == 2


def test_reliable_dots_grow_with_their_bins_and_empty_bins_are_left_out():
    (axes,) = FIGURES["reliability"]().axes
    dots = axes.collections[0]
    assert dots.get_offsets().tolist() == [[0.3, 0.2], [0.8, 0.6]] and np.diff(dots.get_sizes()) > 0
    assert list(axes.lines[0].get_xdata()) == [0, 1] == list(axes.lines[0].get_ydata())


def test_ranges_run_from_low_to_high():
    (axes,) = FIGURES["ranges"]().axes
    drawn = [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 3]
    assert drawn[:4] == [[0, 8], [0, 0], [10, 18], [5, 5]] and {"new", "old", "guessing"} <= words(axes.figure)


@pytest.mark.parametrize("figure", ["shares", "attention"])
def test_bars_can_be_told_from_white(figure):
    for bar in FIGURES[figure]().axes[0].patches:
        assert sum(to_rgba(bar.get_edgecolor())[:3]) < 2.2 or bar.get_height() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.shares({}), "same 1 to 6 parts"),
        (lambda: plots.shares({"a": {"x": 1}, "b": {"y": 1}}), "same 1 to 6 parts"),
        (lambda: plots.shares({"a": {"x": 0}}), "'a': expected amounts"),
        (lambda: plots.reliability({"a": ([0.1], [0.2], [3, 4])}), "a count for each of 1 bins"),
        (lambda: plots.reliability({"a": ([0.1], [np.nan], [3])}), "nothing to draw"),
        (lambda: plots.ranges({}, x_label="x"), "at least one row"),
        (lambda: plots.ranges({"a": {"s": (2, 1)}}, x_label="x"), "low to high, but got 2 ... 1"),
    ],
)
def test_bad_bars_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_next_tokens_have_the_truth_as_marks_and_an_axis_that_ends_after_the_longest_bar():
    before, after, truth = [0.3, 0.2, 0.5], [0.4, 0.0, 0.6], [0.1, 0.35, 0.55]
    axes = plots.next_token_bars(list("abc"), before, after, truth=truth, whole=False).axes[0]
    assert [line.get_xdata()[0] for line in axes.lines] == [0.55, 0.1, 0.35]  # the likeliest first: c, a, b
    assert axes.get_xlim() == pytest.approx((0, 0.75)) and axes.get_xticks()[-1] == pytest.approx(0.6)
    whole = plots.next_token_bars(list("abc"), before, after).axes[0]
    assert not whole.lines and whole.get_xlim() == (0, 1.25)
    with pytest.raises(ValueError, match="truth: expected 3"):
        plots.next_token_bars(list("abc"), before, after, truth=[1.0])
