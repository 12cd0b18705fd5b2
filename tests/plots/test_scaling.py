"""Figures of scaling laws: the final run at 1, equal areas, derived slopes, minima in their places, what holds told apart."""

import numpy as np
import pytest
from gallery import GALLERY, ISOFLOPS, PREDICTED, words

from minigpt import plots
from minigpt.plots import scaling

C = np.geomspace(1e9, 1e11, 6)
L = 1.5 + 0.6 * (C / 1e9) ** -0.25


def test_the_final_run_is_at_one_and_all_others_in_its_units():
    figure = plots.final_run(
        1e12, (C, L), (C, L), (1.5, 1.6), 1.55, 1.5, others={"left out": ([1e8], [2.5])}, guess=1.7
    )
    (axes,) = figure.axes
    by_label = {line.get_label(): line for line in axes.lines}
    assert by_label["runs that were fitted"].get_xdata() == pytest.approx(C / 1e12)
    assert by_label["left out"].get_xdata() == pytest.approx([1e-4])
    assert by_label["predicted (90 %)"].get_xydata().tolist() == [[1, 1.5], [1, 1.6]]
    star = by_label["the final run"]
    assert star.get_marker() == "*" and star.get_xydata().tolist() == [[1, 1.55]]
    assert axes.get_xscale() == "log" and {"floor 1.50", "your guess 1.7", "10⁻²", "1"} <= set(words(figure))


def test_without_a_final_loss_there_is_no_star_and_a_span_says_how_far_it_is():
    hidden = plots.final_run(1e12, (C, L))
    assert all(line.get_marker() != "*" for line in hidden.axes[0].lines)
    report = GALLERY["final_run_report"]()
    assert {"10,000 times the compute", "10⁻¹⁰"} <= set(words(report))
    (low, high) = report.axes[0].get_ylim()
    assert (low, high) == (1, 6)


def test_the_areas_are_equal_and_their_corners_on_the_hyperbola():
    (axes,) = GALLERY["equal_areas"]().axes
    sizes = [(patch.get_width(), patch.get_height()) for patch in axes.patches]
    assert sizes == [(10, 8), (20, 4), (80, 1)]
    (curve,) = [line for line in axes.lines if line.get_label() == "N × D = C / 6"]
    x, y = curve.get_data()
    assert x * y == pytest.approx(np.full(len(x), 80.0))


def test_a_derived_slope_goes_through_the_middle_of_its_dots():
    figure = plots.slopes({"a": (C, L - 1.5), "b": (C, (L - 1.5) ** 2)}, {"a": -0.25})
    (axes,) = figure.axes
    dots, line, others = axes.lines
    x, y = np.log(line.get_data())
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(-0.25)
    middle = np.log(C).mean(), np.log(L - 1.5).mean()
    assert np.interp(middle[0], x, y) == pytest.approx(middle[1])
    assert others.get_label() == "b" and "derived: slope -0.25" in words(figure)


def test_powers_are_written_with_raised_exponents():
    assert scaling.power(1e-10) == "10⁻¹⁰" and scaling.power(1.0) == "1"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.final_run(0.0, (C, L)), "compute above 0"),
        (lambda: plots.final_run(1.0, (C, L[:2])), "'runs': expected"),
        (lambda: plots.final_run(1.0, (C, L), guess="1"), "guess: expected a number"),
        (lambda: plots.equal_areas({"a": (1, 2)}), "2 to 5 runs"),
        (lambda: plots.equal_areas({"a": (1, 2), "b": (2, 2)}), "one compute"),
        (lambda: plots.slopes({"a": (C, L)}, {"b": 1.0}), "only, but got"),
        (lambda: plots.slopes({"a": (C, L - 1.8)}, {}), "above 0"),
    ],
)
def test_bad_law_figures_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_profile_is_a_line_and_every_minimum_a_star_in_both_panels():
    left, right = GALLERY["isoflop_profiles"]().axes
    drawn = [line.get_xydata().tolist() for line in left.lines[: len(ISOFLOPS)]]
    assert drawn == [np.column_stack(ISOFLOPS[C]).tolist() for C in sorted(ISOFLOPS)]
    stars = right.lines[0].get_xydata()
    assert stars.tolist() == [[C, ISOFLOPS[C][0][1]] for C in sorted(ISOFLOPS)]
    dashed = right.lines[2].get_xydata()
    assert np.diff(np.log(dashed[:, 1])) / np.diff(np.log(dashed[:, 0])) == pytest.approx(0.385)


def test_intervals_that_miss_are_counted_and_look_otherwise():
    figure = plots.interval_ranks({"mine": PREDICTED}, [str(i) for i in range(10)])
    (axes,) = figure.axes
    holds = [low <= came <= high for _, low, high, came, _ in PREDICTED]
    bars = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 4]
    assert [line.get_linestyle() == "-" for line in bars] == holds and 0 < sum(holds) < 10
    assert any(f"{sum(holds)} of 10 hold" in text for text in words(figure))
    unit = PREDICTED[0][3] - PREDICTED[0][4]
    assert bars[2].get_xdata() == pytest.approx([(1.36 - 1.3) / unit, (1.58 - 1.3) / unit])
    assert bars[2].get_ydata()[0] == 7  # the first at the top


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.isoflop_profiles({1e9: ([1, 2], [1, 2])}, {}), "at least two profiles"),
        (lambda: plots.isoflop_profiles({1e9: ([1, 2], [1, 0]), 2e9: ([1, 2], [1, 1])}, {}), "above 0"),
        (lambda: plots.interval_ranks({"a": PREDICTED}, ["one"]), "expected 1 predictions of each"),
        (lambda: plots.interval_ranks({"a": [(1, 1, 1, 1, 1)]}, ["one"]), "above their floors"),
        (lambda: plots.interval_ranks({"a": PREDICTED[:1]}, ["one"], guess="1"), "guess"),
    ],
)
def test_bad_figures_of_predictions_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
