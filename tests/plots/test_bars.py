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


def test_an_upright_number_begins_above_the_dots_of_its_bar():
    seeds = {f"series {i}": np.array([[0.2, 0.5, 0.1], [0.4, 0.3, 0.1]]) for i in range(4)}
    figure = plots.bars(["a", "b", "c"], {name: x.mean(axis=0) for name, x in seeds.items()}, seeds=seeds)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    numbers = [text for text in axes.texts if text.get_rotation() == 90]
    assert len(numbers) == 12
    dot = axes.lines[0]
    radius = (dot.get_markersize() + dot.get_markeredgewidth()) / 2 * figure.dpi / 72
    for text in numbers:
        highest = axes.transData.transform((0, (0.4, 0.5, 0.1)[round(text.xy[0])]))[1]
        assert text.get_window_extent().y0 > highest + radius, text.get_text()


def test_bars_can_be_told_from_white():
    for bar in FIGURES["shares"]().axes[0].patches:
        assert sum(to_rgba(bar.get_edgecolor())[:3]) < 2.2 or bar.get_height() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.shares({}), "same 1 to 6 parts"),
        (lambda: plots.shares({"a": {"x": 1}, "b": {"y": 1}}), "same 1 to 6 parts"),
        (lambda: plots.shares({"a": {"x": 0}}), "'a': expected amounts"),
        (lambda: plots.reliability({"a": ([0.1], [0.2], [3, 4])}), "a count for each of 1 bins"),
        (lambda: plots.reliability({"a": ([0.1], [np.nan], [3])}), "nothing to draw"),
        (lambda: plots.grouped_ranges({}, x_label="x"), "expected rows"),
        (lambda: plots.grouped_ranges({"a": {"b": {"c": (2, 1)}}}, x_label="x"), "from low to high"),
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


ROWS = {"law": {"bar": {"old": 10, "new": (90, 95)}}, "maths": {"AMC 10": {"new": (6, 12)}, "AMC 12": {"new": 45}}}


def test_groups_are_divided_into_two_columns_and_every_range_begins_at_its_mark():
    figure = plots.grouped_ranges(ROWS, x_label="percentile", guess=40)
    left, right = figure.axes
    names = [[label.get_text() for label in axes.get_yticklabels()] for axes in (left, right)]
    assert names == [["law", "bar"], ["maths", "AMC 10", "AMC 12"]]
    ranges = [tuple(line.get_xdata()) for line in right.lines if line.get_linewidth() == 2.6]
    marks = [line.get_xdata()[0] for line in right.lines if line.get_marker() not in ("None", "", None)]
    assert ranges == [(6, 12), (45, 45)] and marks == [6, 45]
    assert "your guess 40" in " ".join(words(figure))
