"""Dot plots: every mark stands at its number, intervals are those of Student's t and end where the range ends."""

import numpy as np
import pytest
from gallery import EFFECTS, GLUE, words

from minigpt import plots, stats
from minigpt.plots import style


def marks(figure, marker: str) -> list:
    """(x, y) of all points with a marker, in the order drawn; the legend's own are empty."""
    return [tuple(point) for line in figure.axes[0].lines if line.get_marker() == marker for point in line.get_xydata()]


def test_every_score_is_a_mark_in_the_line_of_its_data_set():
    figure = plots.score_dots(GLUE, x_label="score", title="BERT is ahead")
    for marker, name in zip(style.MARKERS, ("GPT-1", "BERT base", "BERT large")):
        assert marks(figure, marker) == [(scores[name], place) for place, scores in enumerate(GLUE.values())]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(GLUE)
    assert {"GPT-1", "BERT base", "BERT large", "score", "BERT is ahead"} <= set(words(figure))
    low, high = figure.axes[0].get_ylim()
    assert low > high  # the first is at the top


def test_a_grey_line_runs_from_the_least_to_the_greatest():
    figure = plots.score_dots({"a": {"x": 3.0, "y": 1.0, "z": 2.0}, "b": {"y": 5.0}}, x_label="score")
    spans = [line.get_xdata() for line in figure.axes[0].lines if line.get_color() == "#b0b0b0"]
    assert np.array_equal(spans, [[1.0, 3.0], [5.0, 5.0]])


def test_seeds_references_and_numbers_belong_to_their_line():
    figure = plots.score_dots(
        {"a": {"x": 0.5}, "b": {"x": 0.75}}, x_label="score", seeds={"b": {"x": [0.7, 0.8]}},
        references={"b": {"chance": 0.25}, "best possible": 0.9}, digits=2,
    )  # fmt: skip
    dots = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata().tolist() for line in dots] == [[0.7, 0.8]] and (0.5 < dots[0].get_ydata()).all()
    assert marks(figure, "|") == [(0.25, 1)]
    assert {"0.50", "0.75", "chance", "best possible 0.9"} <= set(words(figure))


def test_effects_are_dots_with_their_mean_and_interval():
    figure = plots.effects(EFFECTS, x_label="difference", margin=0.05)
    lines = figure.axes[0].lines
    dots = [line for line in lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in dots] == list(EFFECTS.values())
    assert [x for x, _ in marks(figure, "D")] == pytest.approx([np.mean(values) for values in EFFECTS.values()])
    spans = [line.get_xdata() for line in lines if line.get_alpha() == 0.55 and len(line.get_xdata())]
    exact = [stats.over_seeds(values) for values in EFFECTS.values() if len(values) > 1]
    assert np.allclose(spans, [(e.low, e.high) for e in exact])
    upright = {line.get_xdata()[0]: line.get_linestyle() for line in lines if list(line.get_ydata()) == [0, 1] and
               line.get_xdata()[0] == line.get_xdata()[1]}  # fmt: skip
    assert upright == {0: "-", 0.05: "--"}
    assert {"+0.25", "+0.10", "+0.01", "margin 0.05", "95 % interval"} <= set(words(figure))


def test_the_means_have_as_many_digits_and_the_dots_the_name_that_are_asked_for():
    figure = plots.effects({"a": [37.5, 38.7], "b": [-0.2, -0.4]}, x_label="%", digits=0, dot="a language")
    assert {"+38", "0", "a language"} <= set(words(figure))
    assert not {"a seed", "-0", "+0", "−0"} & set(words(figure))


def test_intervals_end_where_the_possible_range_ends():
    figure = plots.effects({"a": [0.1, 0.9]}, x_label="share", limits=(0, 1))
    (span,) = [line.get_xdata() for line in figure.axes[0].lines if line.get_alpha() == 0.55 and len(line.get_xdata())]
    assert list(span) == [0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.score_dots({}, x_label="x"), "1 to 6 named, finite scores"),
        (lambda: plots.score_dots({"a": {}, "b": {"x": 1}}, x_label="x"), "1 to 6 named, finite scores"),
        (lambda: plots.score_dots({"a": {"x": np.nan}}, x_label="x"), "finite scores"),
        (lambda: plots.score_dots({"a": {"x": 1}}, x_label="x", seeds={"b": {"x": [1]}}), r"but got \['b'\]"),
        (lambda: plots.score_dots({"a": {"x": 1}}, x_label="x", seeds={"a": {"y": [1]}}), "but got 'y' in 'a'"),
        (lambda: plots.score_dots({"a": {"x": 1}}, x_label="x", references={"b": {"c": 1}}), r"but got \['b'\]"),
        (lambda: plots.effects({}, x_label="x"), "at least one row"),
        (lambda: plots.effects({"a": []}, x_label="x"), "'a': expected finite numbers"),
        (lambda: plots.effects({"a": [np.inf]}, x_label="x"), "'a': expected finite numbers"),
        (lambda: plots.effects({"a": [1.5]}, x_label="x", limits=(0, 1)), "from 0 to 1"),
    ],
)
def test_bad_dots_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
