"""Figures of predictions: what holds is told from what does not, and the minima are where they were said."""

import numpy as np
import pytest
from gallery import GALLERY, ISOFLOPS, PREDICTED, words

from minigpt import plots


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
