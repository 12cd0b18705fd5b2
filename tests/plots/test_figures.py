"""Figures: what they say in words, that everything is inside the picture, and that they can be read without colour."""

import itertools
import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from minigpt import plots
from minigpt.plots.style import png

ROOT = Path(__file__).parents[2]
STEPS = np.arange(0, 400, 4)
LOSSES = 1.3 + 4 * np.exp(-STEPS / 60)
TOKENS = ["Once", " upon", " a", " time"]
CAUSAL = np.tril(np.ones((4, 4)))
START, DELIM, EXTRACT = ("start", "Start"), ("delim", "Delim"), ("extract", "Extract")
EXAMPLES = [
    ("Classification", [[START, ("text", "Mia found a star."), EXTRACT]], "single"),
    ("Similarity", [[START, ("text", a), DELIM, ("text", b), EXTRACT] for a, b in ("xy", "yx")], "add"),
    (
        "Multiple choice",
        [[START, ("text", "She"), DELIM, ("answer", a), EXTRACT] for a in ("ran", "sat", "lay")],
        "choice",
    ),
]


def around(values, width=0.04):
    return (np.array(values), np.array(values) - width, np.array(values) + width)


FIGURES = {
    "loss": lambda: plots.loss_curve(
        {"small": (STEPS, LOSSES + 0.2), "large": (STEPS, LOSSES)}, 1.29, {"unigram": 4.3, "bigram": 2.2}, title="T"
    ),
    "loss, crowded": lambda: plots.loss_curve(
        {f"model {i}": (STEPS, LOSSES + 0.002 * i) for i in range(5)}, 1.29, {"bigram": 1.4}, smooth=5
    ),
    "loss, log": lambda: plots.loss_curve({"GPT": (STEPS, LOSSES)}, 1.29, log_x=True, top=5),
    "bars": lambda: plots.bars(["a", "b"], {"x": around([0.5, 0.7]), "y": [0.4, None]}, chance=0.5, ceiling=0.9),
    "intervals": lambda: plots.intervals([1.0, 1.2, 0.9], [0.15, 0.15, 0.05], 1.1, title="T"),
    "attention": lambda: plots.attention_map(CAUSAL / CAUSAL.sum(1, keepdims=True), TOKENS, allowed=CAUSAL, title="T"),
    "arcs": lambda: plots.attention_arcs(["a", " red", " hat", ".", " The"], [0, 0.1, 0.8, 0.1, 0], title="T"),
    "next token": lambda: plots.next_token_bars(["x", " y", "z"], [0.5, 0.3, 0.2], [0.8, 0.2, 0.0], title="T"),
    "transforms": lambda: plots.transform_diagram(EXAMPLES, title="T"),
}
figures = pytest.mark.parametrize("figure", [pytest.param(make, id=name) for name, make in FIGURES.items()])


def drawn(figure: Figure):
    """The figure's renderer, after everything has found its place."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def words(figure: Figure) -> set[str]:
    return {text.get_text() for text in texts(figure)}


# --- pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@figures
def test_every_figure_is_a_picture_of_a_sensible_size_that_does_not_name_its_maker(figure):
    picture = png(figure())
    width, height = struct.unpack(">II", picture[16:24])
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and 500 <= width <= 9 * 170 and 300 <= height <= 1700
    assert b"Software" not in picture and b"matplotlib" not in picture
    assert len(set(picture[1200:])) > 50  # not one flat colour


@pytest.mark.slow
@figures
def test_the_same_numbers_give_the_same_picture_whatever_the_readers_settings(figure):
    import matplotlib

    picture = png(figure())
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9, "text.color": "red"}):
        assert png(figure()) == picture


@figures
def test_all_words_are_inside_the_picture_and_large_enough_for_a_projector(figure):
    figure = figure()
    renderer = drawn(figure)
    page = figure.bbox
    for text in texts(figure):
        box = text.get_window_extent(renderer)
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        hidden_tick = text.get_text() in {
            t.get_text() for axes in figure.axes for t in axes.get_xticklabels() + axes.get_yticklabels()
        }
        assert inside or hidden_tick, text
        assert text.get_fontsize() >= 12, text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["loss", "loss, crowded", "loss, log", "bars", "attention"])
def test_no_two_labels_overlap(name):
    figure = FIGURES[name]()
    renderer = drawn(figure)
    (axes, *_) = figure.axes
    boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]  # of the words, without their leader lines
    assert len(boxes) >= 2
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


@figures
def test_no_figure_is_left_in_pyplot(figure):
    figure()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_the_loss_curve_draws_the_floor_dashed_and_named_at_its_height():
    figure = FIGURES["loss"]()
    (axes,) = figure.axes
    flat = {line.get_ydata()[0]: line for line in axes.lines if len(set(line.get_ydata())) == 1}
    assert set(flat) == {1.29, 4.3, 2.2} and flat[1.29].is_dashed() and flat[2.2].get_linestyle() == ":"
    assert {"floor 1.29", "unigram 4.30", "bigram 2.20", "small", "large", "loss (nats per token)"} <= words(figure)
    assert axes.get_ylim()[0] < 1.29  # one can see under the floor


def test_a_curve_of_few_points_is_not_smoothed_away():
    curves = {"each step": (np.arange(100), np.linspace(4, 1, 100)), "now and then": ([0, 50, 99], [4.0, 2.0, 1.0])}
    (axes,) = plots.loss_curve(curves, smooth=20).axes
    drawn = [list(line.get_ydata()) for line in axes.lines]
    assert [4.0, 2.0, 1.0] in drawn and [4.0, 3.0, 7 / 3] not in drawn


def test_a_curve_is_drawn_through_its_points_and_smoothing_is_a_trailing_mean():
    (axes,) = plots.loss_curve({"a": ([0, 1, 2, 3], [4.0, 2.0, 3.0, 1.0])}).axes
    assert axes.lines[0].get_xydata().tolist() == [[0, 4], [1, 2], [2, 3], [3, 1]]
    (axes,) = plots.loss_curve({"a": ([0, 1, 2, 3], [4.0, 2.0, 3.0, 1.0])}, smooth=2).axes
    assert axes.lines[1].get_ydata().tolist() == [4.0, 3.0, 2.5, 2.0]
    (axes,) = plots.loss_curve({"a": ([0, 1, 2, 3], [4.0, 2.0, 3.0, math.nan])}).axes
    assert axes.lines[0].get_ydata().tolist() == [4.0, 2.0, 3.0]  # a run that broke off
    (axes,) = plots.loss_curve({"a": ([0, 1, 2, 3], [4.0, 2.0, 3.0, 1.0])}, log_x=True).axes
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3] and axes.get_xscale() == "log"


def test_bars_are_as_high_as_their_values():
    (axes,) = FIGURES["bars"]().axes
    heights = [bar.get_height() for bar in axes.patches]
    assert np.allclose(heights, [0.5, 0.7, 0.4, np.nan], equal_nan=True)
    assert {"0.50", "0.70", "0.40", "chance 0.50"} <= words(axes.figure) and "nan" not in words(axes.figure)


def test_intervals_that_miss_the_truth_are_set_apart_by_dash_and_mark():
    figure = FIGURES["intervals"]()
    hit, missed = figure.axes[0].collections
    assert np.allclose([segment[:, 1] for segment in hit.get_segments()], [[0.85, 1.15], [1.05, 1.35]])
    assert [segment[:, 0].tolist() for segment in missed.get_segments()] == [[3, 3]]
    assert hit.get_linestyle() != missed.get_linestyle()
    assert [line.get_marker() for line in figure.axes[0].lines[:2]] == ["o", "X"] and "truth 1.10" in words(figure)


def test_the_attention_map_writes_weights_only_where_one_may_look():
    figure = FIGURES["attention"]()
    numbers = [text.get_text() for text in figure.axes[0].texts]
    assert numbers == ["1.00"] + ["0.50"] * 2 + ["0.33"] * 3 + ["0.25"] * 4
    assert {"␣upon", "looks at (key)"} <= words(figure)
    assert figure.axes[0].images[0].get_array().tolist()[1] == [0.5, 0.5, 0, 0]


def test_next_tokens_are_sorted_and_say_which_can_never_be_drawn():
    (axes,) = plots.next_token_bars(["x", " y", "z"], [0.2, 0.5, 0.3], [0.0, 0.8, 0.2], n=3).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["␣y", "z", "x"]
    assert [text.get_text() for text in axes.texts] == ["0.80", "0.20", "✗ never drawn"]


def test_the_transforms_have_one_transformer_a_sequence_and_one_plus():
    figure = FIGURES["transforms"]()
    shown = [text.get_text() for text in texts(figure)]
    assert shown.count("Transformer") == 1 + 2 + 3 and shown.count("Linear") == 1 + 1 + 3
    assert shown.count("+") == 1 and shown.count("softmax") == 1
    assert shown.count("Start") == shown.count("Extract") == 6 and shown.count("Delim") == 5


def test_boxes_hold_their_words():
    figure = FIGURES["transforms"]()
    renderer = drawn(figure)
    (axes,) = figure.axes
    boxes = [patch.get_window_extent(renderer) for patch in axes.patches]
    for text in texts(figure):
        if text.get_text() not in {"T", "+", *(task for task, _, _ in EXAMPLES)}:
            extent = text.get_window_extent(renderer)
            assert any(
                b.x0 <= extent.x0 and extent.x1 <= b.x1 and b.y0 <= extent.y0 and extent.y1 <= b.y1 for b in boxes
            )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.loss_curve({"a": ([1, 2], [1.0])}), "as many steps as losses"),
        (lambda: plots.loss_curve({"a": ([0], [1.0])}, log_x=True), "nothing to draw beyond step 0"),
        (lambda: plots.loss_curve({"a": ([1, 2], [math.nan, math.inf])}), "'a' has nothing to draw"),
        (lambda: plots.bars(["a", "b"], {"x": [1.0]}), "expected 2 values"),
        (lambda: plots.intervals([1.0, 2.0], [0.1], 1.0), "as many half widths as means"),
        (lambda: plots.attention_map(np.eye(3), TOKENS), "expected \\(4, 4\\)"),
        (lambda: plots.attention_map(np.eye(4), TOKENS, allowed=np.eye(3)), "allowed: expected"),
        (lambda: plots.next_token_bars(["a"], [1.0], [0.5, 0.5]), "1 tokens, but 1 probabilities before and 2"),
        (lambda: plots.transform_diagram([("t", [[START]], "sum")]), "combine must be one of"),
        (lambda: plots.transform_diagram([("t", [[START]], "add")]), "does not go with 1 sequences"),
        (lambda: plots.transform_diagram([("t", [[("end", "x")]], "single")]), "unknown roles \\['end'\\]"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
