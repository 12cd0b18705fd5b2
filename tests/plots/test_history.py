"""What happens over time: areas are as high as their shares, gaps as large as they are, events in their years."""

import numpy as np
import pytest
from gallery import EVENTS, KINDS, MANY, WHEN, words
from matplotlib.colors import to_hex

from minigpt import plots
from minigpt.plots import style


def test_areas_are_stacked_in_order_and_each_is_as_high_as_its_share():
    figure = plots.stacked_shares(WHEN, KINDS, title="Sentences first")
    (axes,) = figure.axes
    below = np.zeros(len(WHEN) - 1)  # step 0 has no place on a logarithmic axis
    for area, line, (name, values) in zip(axes.collections, axes.lines, KINDS.items(), strict=True):
        below = below + values[1:]
        assert np.allclose(line.get_ydata(), below) and line.get_xdata().tolist() == WHEN[1:].tolist()
        corners = area.get_paths()[0].vertices
        assert corners[:, 1].max() == pytest.approx(below.max()) and f"{name} {values[-1]:.2f}" in words(figure)
    assert axes.get_ylim() == (0, 1) and axes.get_xscale() == "log" and "Sentences first" in words(figure)
    assert len({area.get_hatch() for area in axes.collections}) == len(KINDS)


def test_shares_that_do_not_add_to_one_keep_their_scale():
    (axes,) = plots.stacked_shares([0, 5], {"a": [1, 2], "b": [0.5, 1]}, log_x=False).axes
    assert axes.get_ylim() == (0, pytest.approx(3.15)) and axes.get_xlim() == (0, 5)


FALL = {"training": ([0, 1, 10, 100], [7.0, 3.0, 1.0, 0.6]), "held out": ([10, 100], [1.1, 0.55])}


def test_the_gap_is_the_loss_over_the_floor_less_one():
    figure = plots.training_panels(FALL, 0.5, {"unigram": 4.3}, n_vocab=1024, title="Near")
    upper, lower = figure.axes
    assert upper.lines[0].get_xydata().tolist() == [[1, 3.0], [10, 1.0], [100, 0.6]]
    assert np.allclose(lower.lines[0].get_ydata(), [5.0, 1.0, 0.2])
    assert upper.get_xlim() == lower.get_xlim() and upper.get_xscale() == lower.get_yscale() == "log"
    assert {"Near", "log V 6.93", "unigram 4.30", "floor 0.50", "training 0.60 = floor + 20 %", "training 20 %",
            "held out 0.55 = floor + 10 %", "held out 10 %"} <= set(words(figure))  # fmt: skip
    flat = {
        round(line.get_ydata()[0], 4): line.get_linestyle() for line in upper.lines if list(line.get_xdata()) == [0, 1]
    }
    assert flat == {6.9315: ":", 4.3: ":", 0.5: "--"}


def test_a_loss_below_the_floor_is_said_and_has_no_place_among_the_gaps():
    figure = plots.training_panels({"a": ([1, 2, 3], [1.0, 0.6, 0.45])}, 0.5)
    assert np.isnan(figure.axes[1].lines[0].get_ydata()[-1]) and "a 0.45 = floor − 10 %" in words(figure)


def test_noise_is_smoothed_by_the_mean_of_the_last_values_and_the_guess_is_grey():
    figure = plots.training_panels({"a": (np.arange(1, 7), [2.0, 1.0, 2.0, 1.0, 2.0, 1.0])}, 0.5, smooth=2, guess=0.8)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [2.0, 1.5, 1.5, 1.5, 1.5, 1.5]
    (line,) = [line for line in figure.axes[0].lines if line.get_color() == "#777777"]
    assert line.get_ydata()[0] == 0.8 and "your guess 0.8" in words(figure)


def test_events_stand_in_their_years_and_alternate():
    figure = plots.timeline(EVENTS, marked=("GPT-1",), title="Seven years")
    (axes,) = figure.axes
    said = words(figure)
    for _, name, text in EVENTS:
        assert name in {word.replace("\n", " ") for word in said}
        assert not text or text in {word.replace("\n", " ") for word in said}
    assert {"2017", "2024", "Seven years"} <= set(said)
    points = sorted(line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o")
    year = {text.get_text(): text.get_position()[0] for text in axes.texts if text.get_text().isdigit()}
    step = year["2018"] - year["2017"]
    dates = [
        2017 + 5 / 12,
        2018 + 5 / 12 + 10 / 365,
        2018.75,
        2019 + 1 / 12 + 13 / 365,
        2020.0,
        2020 + 4 / 12 + 27 / 365,
    ]
    assert np.allclose(points[:6], [year["2017"] + step * (date - 2017.5) for date in dates])
    line = next(line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o")
    names = {text.get_text(): text.get_position()[1] > line for text in axes.texts}
    assert [names[name] for name in ("Transformer", "GPT-1", "BERT", "GPT-2", "Scaling laws")] == [
        True, False, True, False, True,
    ]  # fmt: skip


def test_marked_events_have_a_colour_of_their_own_and_are_bold():
    axes = plots.timeline(EVENTS, marked=("GPT-1",)).axes[0]
    bold = [text.get_text() for text in axes.texts if text.get_weight() == "bold"]
    assert [word for word in bold if word] == ["GPT-1"]
    dots = [to_hex(line.get_color()) for line in axes.lines if line.get_marker() == "o"]
    assert dots.count(style.PALETTE[1]) == 1 and dots.count(style.PALETTE[0]) == len(EVENTS) - 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.stacked_shares([1, 2], {}), "1 to 6 kinds"),
        (lambda: plots.stacked_shares([1, 2], {"a": [1]}), "1 to 6 kinds with 2 numbers"),
        (lambda: plots.stacked_shares([1, 2], {"a": [1, -1]}), "at least 0"),
        (lambda: plots.stacked_shares([2, 1], {"a": [1, 1]}), "steps: expected at least two that rise"),
        (lambda: plots.stacked_shares([0, 1], {"a": [1, 1]}), "rise above 0"),
        (lambda: plots.training_panels(FALL, 0.0), "a floor above 0"),
        (lambda: plots.training_panels({}, 0.5), "at least one curve"),
        (lambda: plots.training_panels({"a": ([1, 2], [1.0])}, 0.5), "as many steps as losses"),
        (lambda: plots.training_panels(FALL, 0.5, guess="low"), "a number, or ... for none"),
        (lambda: plots.timeline([]), "at least one event"),
        (lambda: plots.timeline([("June", "x")]), "dates such as '2018-06'"),
        (lambda: plots.timeline([("2018-13", "x")]), "dates such as '2018-06'"),
        (lambda: plots.timeline([("2018",)]), r"\(date, name\)"),
        (lambda: plots.timeline([("2018", "x")], marked=("y",)), r"\['y'\] are not"),
        (lambda: plots.timeline(MANY * 3), "fewer events"),
    ],
)
def test_bad_histories_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
