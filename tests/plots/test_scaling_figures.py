"""Figures of scaling: printed against recomputed, predicted against measured."""

import numpy as np
import pytest
from charts import FIGURES, NAMES, PARAMETERS, words

from minigpt import plots


def test_the_diagonal_is_the_diagonal():
    (axes,) = FIGURES["identity"]().axes
    diagonal, points = axes.lines
    assert np.array_equal(*diagonal.get_data()) and axes.get_xlim() == axes.get_ylim()
    assert points.get_xydata().tolist() == np.column_stack([PARAMETERS, PARAMETERS * 1.02]).tolist()
    assert set(NAMES) <= words(axes.figure)


def test_a_prediction_stands_where_it_was_said_and_what_came_is_a_star():
    (axes,) = FIGURES["prediction"]().axes
    bar, star = axes.lines[2], axes.lines[3]
    assert bar.get_xdata().tolist() == [1e-6] * 2 and bar.get_ydata().tolist() == [0.35, 0.45]
    assert star.get_marker() == "*" and (star.get_xdata()[0], star.get_ydata()[0]) == (1e-6, 0.4)
    assert axes.get_xscale() == "log" and "floor 0.30" in words(axes.figure)
    hidden = FIGURES["prediction, hidden"]().axes[0]
    assert all(line.get_marker() != "*" for line in hidden.lines) and "what came" not in words(hidden.figure)


L = {"x_label": "x", "y_label": "y"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.scatter_identity([1, 2], [1, 2], ["a"], **L), "as many names as points"),
        (lambda: plots.scatter_identity([0, 2], [1, 2], log=True, **L), "there is 0"),
        (lambda: plots.prediction(([0, 1], [1.0, 2.0])), "x above 0"),
        (lambda: plots.prediction(([1, 2], [1.0, 2.0]), said=(0, 1, 2)), "x above 0"),
        (lambda: plots.prediction(([1, 2], [1.0])), "'runs': expected"),
    ],
)
def test_bad_scaling_figures_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
