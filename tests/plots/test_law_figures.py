"""Figures of scaling laws: the final run at 1, areas that are equal, slopes that were derived."""

import numpy as np
import pytest
from gallery import GALLERY, words

from minigpt import plots
from minigpt.plots import laws

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
    assert laws.power(1e-10) == "10⁻¹⁰" and laws.power(1.0) == "1"


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
