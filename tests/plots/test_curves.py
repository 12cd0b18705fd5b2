"""Curves: they go through their points, and panels share their axes and looks."""

import numpy as np
import pytest
from charts import CEILING, FAMILIES, FIGURES, LAW, SERIES, SHOTS, SIZES, words
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from minigpt import plots
from minigpt.plots import style


def test_curves_go_through_their_points_and_are_named_at_their_ends():
    figure = FIGURES["sizes"]()
    (axes,) = figure.axes
    assert axes.lines[0].get_xydata().tolist() == [[n, y] for n, y in zip(SIZES, [0.2, 0.4, 0.6, 0.9])]
    flat = {line.get_ydata()[0]: line.get_linestyle() for line in axes.lines[2:]}
    assert set(flat) == {0.97, 0.1, 0.3} and flat[0.97] == "--" and flat[0.1] == flat[0.3] == ":"
    assert {"a", "b", "best possible 0.97", "chance 0.10", "majority 0.30", "21k", "334k"} <= words(figure)
    assert axes.get_xscale() == "log" and axes.get_ylim() == (0, 1)


def test_intervals_are_where_they_were_given_and_inside_the_axes():
    (axes,) = FIGURES["shots"]().axes
    segments = [container[2][0].get_segments() for container in axes.containers]
    for (x, _, low, high), found in zip(SERIES.values(), segments):
        assert np.allclose([s[:, 0] for s in found], np.column_stack([x, x]))
        assert np.allclose([s[:, 1] for s in found], np.column_stack([low, high]))
    bottom, top = axes.get_ylim()
    assert bottom < 0.16 and top > CEILING[1].max()


def test_zero_shots_stand_to_the_left_and_doublings_are_equally_far():
    (axes,) = FIGURES["shots"]().axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "1", "2", "4", "8", "16"]
    places = axes.transData.transform(np.column_stack([SHOTS, SHOTS]))[:, 0]
    gaps = np.diff(places)
    assert gaps[0] > 20 and np.allclose(gaps[1:], gaps[1])


def test_a_ceiling_may_be_a_curve():
    figure = FIGURES["shots"]()
    dashed = [line for line in figure.axes[0].lines if line.get_color() == "#000000" and line.is_dashed()]
    assert [line.get_ydata().tolist() for line in dashed if len(line.get_xdata()) == 6] == [CEILING[1].tolist()]
    assert "best possible" in words(figure)


def test_bands_are_shaded_between_their_ends():
    (axes,) = FIGURES["bands"]().axes
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    at_1000 = sorted(corners[corners[:, 0] == 1000][:, 1])
    assert np.allclose(at_1000, [0.2, 0.3]) and not axes.containers


def test_a_gap_is_left_where_nothing_was_measured():
    (axes,) = plots.lines({"a": ([1, 2, 3], [1.0, np.nan, 2.0])}, x_label="x", y_label="y").axes
    assert np.isnan(axes.lines[0].get_ydata()[1])
    assert "1" in {text.get_text() for text in axes.get_xticklabels()}


def test_panels_share_axes_and_looks_and_have_one_legend():
    figure = FIGURES["panels"]()
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in panels] == FAMILIES
    assert len({axes.get_ylim() for axes in panels}) == 1 and panels[0].get_ylim()[1] > CEILING[1].max()
    for axes in panels:
        assert [to_hex(c[0].get_color()) for c in axes.containers] == style.PALETTE[:4]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*SERIES, "best possible", "chance"]
    named = [axes.get_title(loc="left") for axes in panels if axes.get_xlabel()]
    assert named == ["number", "symbols", "category"]  # the lowest of each column


def test_a_name_looks_the_same_in_every_panel_even_if_it_is_alone_there():
    figure = FIGURES["two panels"]()
    first, second = (axes.lines[0] for axes in figure.axes)
    assert (first.get_color(), second.get_color()) == tuple(style.PALETTE[:2])
    assert first.get_marker() != second.get_marker()


def test_the_frontier_has_two_logarithmic_axes_rings_and_a_straight_law():
    figure = FIGURES["frontier"]()
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log" and axes.get_ylim()[0] < 0.1
    for line, (x, y) in zip(axes.lines, LAW.values()):
        assert np.allclose(line.get_xydata(), np.column_stack([x, y]))
    (rings,) = [line for line in axes.lines if line.get_label() == "frontier"]
    assert rings.get_xydata().tolist() == [[1e-5, 1.0], [1e-4, 0.8]] and rings.get_markerfacecolor() == "none"
    (law,) = [line for line in axes.lines if "to the power" in line.get_label()]
    (x0, y0), (x1, y1) = law.get_xydata()
    assert np.log(y1 / y0) / np.log(x1 / x0) == pytest.approx(-0.08) and y0 == pytest.approx(0.4 * x0**-0.08)
    assert {*LAW, "frontier", "floor 0.10"} <= words(figure)


def test_lines_differ_in_marker_and_dash():
    (axes,) = FIGURES["shots"]().axes
    curves = [container[0] for container in axes.containers]
    assert (
        len({line.get_marker() for line in curves}) == len({str(line._unscaled_dash_pattern) for line in curves}) == 4
    )
    assert not any(isinstance(c, LineCollection) and c.get_linewidth()[0] < 1 for c in axes.collections)


L = {"x_label": "x", "y_label": "y"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.lines({"a": ([1, 2], [1.0])}, **L), "'a': expected \\(x, y\\) or"),
        (lambda: plots.lines({"a": ([1], [1.0], [0.5])}, **L), "'a': expected"),
        (lambda: plots.lines({"a": ([1], [np.nan])}, **L), "'a' has nothing to draw"),
        (lambda: plots.lines({"a": ([0], [1.0])}, log_x=True, **L), "nothing to draw beyond 0"),
        (lambda: plots.lines({"a": ([-1, 2], [1.0, 2])}, log_x=True, **L), "there is -1"),
        (lambda: plots.small_multiples({}, **L), "at least one panel"),
        (lambda: plots.small_multiples({"p": SERIES}, chances={"q": 1}, **L), "but got \\['q'\\]"),
        (lambda: plots.small_multiples({"p": {"a": ([1], [1, 2])}}, **L), "'p, a': expected"),
        (lambda: plots.frontier_plot({"a": ([0, 1], [1, 2])}), "above 0"),
    ],
)
def test_bad_curves_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_zero_on_a_logarithmic_axis_stands_before_a_break():
    figure = plots.lines({"a": ([0, 1, 2, 4], [0, 1, 2, 3])}, x_label="x", y_label="y", log_x=True)
    broken = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_markersize() == 13]
    assert broken == [0.5] * 3
    figure = plots.lines({"a": ([1, 2, 4], [1, 2, 3])}, x_label="x", y_label="y", log_x=True)
    assert not [line for line in figure.axes[0].lines if line.get_markersize() == 13]


def test_the_hero_is_black_and_thick_and_the_others_keep_other_colours():
    curves = {name: ([1, 2], [i, i]) for i, name in enumerate("abcdefg")}
    axes = plots.lines(curves, x_label="x", y_label="y", hero="c").axes[0]
    wide = {line.get_label(): (line.get_linewidth(), line.get_color()) for line in axes.lines}
    assert wide["c"] == (4, "#000000")
    assert all(width < 3 and colour != "#000000" for name, (width, colour) in wide.items() if name != "c")
    bands = {name: (x, y, y, y) for name, (x, y) in curves.items()}
    axes = plots.lines(bands, x_label="x", y_label="y", hero="a").axes[0]
    assert max(line.get_linewidth() for line in axes.lines) == 4
    with pytest.raises(ValueError, match="hero: expected one of"):
        plots.lines(curves, x_label="x", y_label="y", hero="z")


def test_small_multiples_show_each_seed_as_a_dot():
    panels = {"a": {"one": ([1, 2], [0.3, 0.6])}, "b": {"one": ([1, 2], [0.5, 0.5])}}
    seeds = {"a": {"one": np.array([[0.2, 0.5], [0.4, 0.7]])}}
    first, second = plots.small_multiples(panels, x_label="x", y_label="y", seeds=seeds).axes[:2]
    dots = [line for line in first.lines if line.get_linestyle() == "None"]
    assert sorted(np.concatenate([line.get_ydata().ravel() for line in dots])) == [0.2, 0.4, 0.5, 0.7]
    assert sorted(np.concatenate([line.get_xdata().ravel() for line in dots])) == [1, 1, 2, 2]
    assert not [line for line in second.lines if line.get_linestyle() == "None"]
    low, high = first.get_ylim()
    assert low < 0.2 and high > 0.7
    with pytest.raises(ValueError, match="of these only"):
        plots.small_multiples(panels, x_label="x", y_label="y", seeds={"c": {}})
