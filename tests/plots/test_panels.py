"""Panels: the dots are the seeds, the lines their means, the references where they were given."""

import numpy as np
import pytest
from gallery import words

from minigpt import plots
from minigpt.plots import style

SEEDS = {"tuned": {16: [0.5, 0.5, 0.8], 64: [0.9, 0.9, 0.9]}, "scratch": {16: [0.2, 0.3]}}


def test_a_dot_for_each_seed_and_a_line_through_the_means():
    axes = plots.task_panels({"mood": SEEDS}).axes[0]
    means, dots, lonely, two = axes.lines[:4]
    assert means.get_ydata().tolist() == pytest.approx([0.6, 0.9])
    assert dots.get_ydata().tolist() == [0.5, 0.5, 0.8, 0.9, 0.9, 0.9] and dots.get_linestyle() == "None"
    assert lonely.get_ydata().tolist() == [0.25] and two.get_ydata().tolist() == [0.2, 0.3]
    assert dots.get_marker() != two.get_marker()
    assert np.allclose(dots.get_xdata(), [16, 16, 16, 64, 64, 64], rtol=0.1) and axes.get_xscale() == "log"


def test_many_values_are_named_by_powers_of_ten_if_they_span_more_than_two_of_them():
    def ticks(*values):
        axes = plots.stacked_panels({"a": {"s": dict.fromkeys(values, [0.5])}}, x_label="x", title="t").axes[0]
        return [tick.get_text() for tick in axes.get_xticklabels()]

    assert ticks(8, 10, 12, 16, 24, 32, 48, 64, 96, 128) == "8 10 12 16 24 32 48 64 96 128".split()
    assert {"45", "720", "4,500"} < set(ticks(45, 90, 180, 360, 720, 1080, 1620, 2880, 4500)), "two to the last step"
    assert ticks(44, 90, 180, 360, 720, 1080, 1620, 2880, 4500) == ["100", "1,000"]


def test_all_panels_share_the_range_from_0_to_1_and_state_the_title():
    figure = plots.task_panels({name: SEEDS for name in "abcd"}, title="Few labels are enough")
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == 4 and {axes.get_ylim() for axes in panels} == {(-0.03, 1.03)}
    assert {"Few labels are enough", "a", "d", "tuned", "scratch", "accuracy", "16", "64"} <= set(words(figure))


def test_references_are_common_or_of_one_panel_and_equal_ones_are_one_line():
    figure = plots.task_panels({"a": SEEDS, "b": SEEDS}, {"best possible": 0.97, "b": {"chance": 0.5, "majority": 0.5}})
    first, second = ({line.get_ydata()[0]: line.get_linestyle() for line in axes.lines[4:]} for axes in figure.axes[:2])
    assert first == {0.97: "--"} and second == {0.97: "--", 0.5: ":"}
    assert words(figure).count("best possible 0.97") == 2 and words(figure).count("chance,\nmajority 0.50") == 1


def test_the_readers_guess_is_a_grey_line_and_three_dots_are_none():
    figure = plots.task_panels({"a": SEEDS}, guess=0.7)
    (line,) = [line for line in figure.axes[0].lines if line.get_color() == "#777777"]
    assert line.get_ydata()[0] == 0.7 and "your guess 0.7" in words(figure)
    assert not [word for word in words(plots.task_panels({"a": SEEDS}, guess=...)) if "guess" in word]


@pytest.mark.parametrize(
    ("panels", "options", "message"),
    [
        ({}, {}, "at least one panel"),
        ({"a": {}}, {}, "at least one panel"),
        ({"a": {"s": {}}}, {}, "a value for each seed"),
        ({"a": {"s": {0: [0.5]}}}, {}, "x above 0"),
        ({"a": {"s": {1: [1.5]}}}, {}, "from 0 to 1"),
        ({"a": SEEDS}, {"references": {"b": {"chance": 0.5}}}, r"panels of \['a'\], but got \['b'\]"),
        ({"a": SEEDS}, {"guess": "high"}, "a number, or ... for none"),
        ({"a": SEEDS}, {"guess": None}, "a number, or ... for none"),
        ({"a": SEEDS}, {"guess": float("nan")}, "a number, or ... for none"),
    ],
)
def test_bad_panels_are_named(panels, options, message):
    with pytest.raises(ValueError, match=message):
        plots.task_panels(panels, **options)


def test_legend_and_dots_have_the_same_marks():
    figure = plots.task_panels({"a": SEEDS})
    legend = figure.axes[-1].lines
    assert [line.get_marker() for line in legend] == style.MARKERS[:2]
    assert [line.get_color() for line in legend] == style.PALETTE[:2]


NAMES, GROUPS = ["fox", "owl", "Tom", "Mia"], ["animals", "animals", "names", "names"]
POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 2.0]])


def test_a_map_keeps_distances_and_tells_groups_apart_by_colour_and_marker():
    figure = plots.embedding_map(POINTS, 10 * POINTS + 5, NAMES, GROUPS, title="Sorted")
    for axes in figure.axes[:2]:
        drawn = [line for line in axes.lines if line.get_linestyle() == "None"]
        assert [len(line.get_xdata()) for line in drawn] == [2, 2]
        assert len({line.get_marker() for line in drawn}) == len({line.get_color() for line in drawn}) == 2
        places = np.concatenate([line.get_xydata() for line in drawn])
        ratios = [np.linalg.norm(places[i] - places[0]) / np.linalg.norm(POINTS[i] - POINTS[0]) for i in (1, 2, 3)]
        assert np.allclose(ratios, ratios[0])
    said = words(figure)
    assert {"Sorted", "before training", "after training", "animals", "names"} <= set(said) and said.count("fox") == 2


def test_names_are_written_where_asked_and_left_out_where_there_is_no_place():
    said = words(plots.embedding_map(POINTS, POINTS, NAMES, GROUPS, written=["Tom"]))
    assert said.count("Tom") == 2 and "Mia" not in said
    draws = np.random.default_rng(0)
    names = [f"word{i}" for i in range(300)]
    crowd = draws.standard_normal((300, 2))
    said = words(plots.embedding_map(crowd, crowd, names, ["all"] * 300, written=names))
    assert 2 < sum(word.startswith("word") for word in said) < 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((POINTS[:3], POINTS, NAMES, GROUPS), r"expected \(4, 2\) finite numbers"),
        ((POINTS, POINTS * np.nan, NAMES, GROUPS), "finite numbers"),
        ((POINTS, POINTS, NAMES, GROUPS[:3]), "one of at most 6 for each of 4 names"),
        ((np.zeros((7, 2)), np.zeros((7, 2)), list("abcdefg"), list("abcdefg")), "at most 6"),
    ],
)
def test_bad_maps_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.embedding_map(*arguments)
    with pytest.raises(ValueError, match="written: expected some of the names"):
        plots.embedding_map(POINTS, POINTS, NAMES, GROUPS, written=["cat"])


def test_no_demonstrations_have_a_place_of_their_own_before_a_break():
    figure = plots.task_panels({"cloze": {"a": {0: [0.2, 0.3], 10: [0.5], 100: [0.9]}}}, zero=True)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "10", "100"]
    places = axes.transData.transform([(x, 0) for x in axes.lines[-2].get_xdata()])[:, 0]
    assert axes.lines[-2].get_ydata() == pytest.approx([0.25, 0.5, 0.9])
    assert np.diff(places)[0] == pytest.approx(np.diff(places)[1])  # as far before 10 as 100 is after it
    broken = [line for line in axes.lines if line.get_markersize() == 13]
    assert len(broken) == 3 and all(1 < line.get_xdata()[0] < 10 for line in broken)
    whole = plots.task_panels({"cloze": {"a": {10: [0.5], 100: [0.9]}}}, zero=True).axes[0]
    assert not [line for line in whole.lines if line.get_markersize() == 13]
    with pytest.raises(ValueError, match="x of at least 0"):
        plots.task_panels({"a": {"s": {-1: [0.5]}}}, zero=True)


MEASURES = {
    "loss − floor": {"small": {1: [0.4, 0.5], 10: [0.2, 0.1]}, "large": {1: [0.3], 10: [0.05]}},
    "accuracy": {"large": {1: [0.2], 10: [0.9]}},
}


def test_measures_share_the_x_axis_and_a_series_looks_the_same_in_each():
    figure = plots.stacked_panels(
        MEASURES, {"accuracy": {"chance": 0.25}}, x_label="training tokens", log_y=("loss − floor",),
        guess={"accuracy": 0.5, "loss − floor": ...}, title="Smooth and sudden",
    )  # fmt: skip
    upper, lower = figure.axes[:2]
    assert (upper.get_yscale(), lower.get_yscale()) == ("log", "linear") and upper.get_xlim() == lower.get_xlim()
    assert upper.get_position().y0 > lower.get_position().y1
    said = words(figure)
    assert {"loss − floor", "accuracy", "training tokens", "chance 0.25", "your guess 0.5"} <= set(said)
    assert "Smooth and sudden" in said
    assert said.count("10") == 1  # only the lowest panel has numbers on its x axis
    means, dots = upper.lines[:2]
    assert means.get_ydata() == pytest.approx([0.45, 0.15]) and dots.get_ydata().tolist() == [0.4, 0.5, 0.2, 0.1]
    assert lower.lines[0].get_color() == upper.lines[2].get_color() == style.PALETTE[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"panels": {}}, "1 to 4 panels"),
        ({"panels": {"a": {}}}, "1 to 4 panels"),
        ({"log_y": ("loss",)}, r"log_y: expected panels of \['loss − floor', 'accuracy'\], but got \['loss'\]"),
        ({"references": {"b": {}}}, "references: expected panels"),
        ({"guess": {"accuracy": "high"}}, "a number, or ... for none"),
        ({"panels": {"a": {"s": {1: [0.0]}}}, "log_y": ("a",)}, "'a': expected finite values above 0"),
        ({"panels": {"a": {"s": {1: [np.nan]}}}}, "finite values"),
        ({"panels": {"a": {"s": {-1: [1.0]}}}}, "x above 0"),
        ({"log_y": ("accuracy",), "references": {"accuracy": {"chance": 0}}}, "references and a guess above 0"),
    ],
)
def test_bad_measures_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        plots.stacked_panels(**{"panels": MEASURES, "x_label": "x"} | options)


def test_a_linear_axis_and_limits_are_kept():
    runs = {"a": {"s": {0: [1, 2], 8: [3]}}}
    axes = plots.stacked_panels(runs, x_label="x", log_x=False, limits={"a": (0, 4)}).axes[0]
    assert axes.get_xscale() == "linear" and axes.get_ylim() == (0, 4)
    assert list(axes.lines[0].get_xdata()) == [0, 8] and list(axes.lines[0].get_ydata()) == pytest.approx([1.5, 3])


def test_the_best_possible_may_be_a_curve_of_one_panel():
    runs = {"a": {"s": {0: [0.5], 1: [0.6], 8: [0.8]}}, "b": {"s": {0: [0.5], 8: [0.8]}}}
    references = {"chance": 0.25, "a": {"best possible": {0: 0.55, 1: 0.7, 8: 0.95}}}
    figure = plots.task_panels(runs, references, zero=True)
    (curve,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "--" and len(line.get_xdata()) == 3]
    assert list(curve.get_ydata()) == [0.55, 0.7, 0.95] and list(curve.get_xdata()) == list(
        figure.axes[0].lines[3].get_xdata()
    )
    assert words(figure).count("best possible 0.95") == 1 and words(figure).count("chance 0.25") == 2
    with pytest.raises(ValueError, match="curves"):
        plots.task_panels(runs, {"a": {"best possible": {0: 1.5}}}, zero=True)
