"""Figures, tables and tokens: what they say in words, that they can be read without colour, and that nbval agrees."""

import ast
import base64
import importlib.util
import inspect
import itertools
import json
import math
import re
import struct
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from minigpt import plots
from minigpt.notebook import display
from minigpt.plots import style as style_module
from minigpt.plots.style import PALETTE, _darker, png, spread

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
    "learning": lambda: plots.learning_curve(
        [16, 64, 256, 1024],
        {"fine-tuned": around([0.6, 0.7, 0.8, 0.9]), "from scratch": around([0.4, 0.5, 0.6, 0.7])},
        0.95,
        1 / 3,
    ),
    "bars": lambda: plots.bars(["a", "b"], {"x": around([0.5, 0.7]), "y": [0.4, None]}, chance=0.5, ceiling=0.9),
    "intervals": lambda: plots.intervals([1.0, 1.2, 0.9], [0.15, 0.15, 0.05], 1.1, title="T"),
    "attention": lambda: plots.attention_map(CAUSAL / CAUSAL.sum(1, keepdims=True), TOKENS, allowed=CAUSAL, title="T"),
    "grid": lambda: plots.attention_grid([np.full((4, 4, 4), 0.25)] * 2, TOKENS, title="T"),
    "mask": lambda: plots.mask(CAUSAL, TOKENS, title="Causal"),
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


@figures
def test_every_figure_is_a_picture_of_a_sensible_size_that_does_not_name_its_maker(figure):
    picture = png(figure())
    width, height = struct.unpack(">II", picture[16:24])
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and 300 <= width <= 1000 and 150 <= height <= 900
    assert b"Software" not in picture and b"matplotlib" not in picture
    assert len(set(picture[200:])) > 50  # not one flat colour


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
        assert text.get_fontsize() >= 10, text


@pytest.mark.parametrize("name", ["loss", "loss, crowded", "loss, log", "learning", "bars", "mask", "attention"])
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


def test_the_learning_curve_doubles_to_the_right_and_shows_intervals_and_bounds():
    figure = FIGURES["learning"]()
    (axes,) = figure.axes
    assert axes.get_xscale() == "log" and axes.get_xticks().tolist() == [16, 64, 256, 1024]
    assert {"16", "1,024", "fine-tuned", "from scratch", "best possible 0.95", "chance 0.33"} <= words(figure)
    bars = [segment[:, 1].tolist() for container in axes.containers for segment in container[2][0].get_segments()]
    assert np.allclose(sorted(bars), sorted([[m - 0.04, m + 0.04] for m in (0.6, 0.7, 0.8, 0.9, 0.4, 0.5, 0.6, 0.7)]))


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
    assert {"␣upon", "looks at"} <= words(figure)
    assert figure.axes[0].images[0].get_array().tolist()[1] == [0.5, 0.5, 0, 0]


def test_the_mask_ticks_what_is_allowed():
    (axes,) = plots.mask([[True, False], [True, True]], ["a", "b"]).axes
    assert [text.get_position() for text in axes.texts if text.get_text() == "✓"] == [(0, 0), (0, 1), (1, 1)]
    assert len(axes.patches) == 1  # one hatched square


def test_next_tokens_are_sorted_and_say_which_can_never_be_drawn():
    (axes,) = plots.next_token_bars(["x", " y", "z"], [0.2, 0.5, 0.3], [0.0, 0.8, 0.2], n=3).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["␣y", "z", "x"]
    assert [text.get_text() for text in axes.texts] == ["0.80", "0.20", "✗ never drawn"]


def test_the_transforms_have_one_transformer_a_sequence_and_one_plus():
    figure = FIGURES["transforms"]()
    shown = [text.get_text() for text in texts(figure)]
    assert shown.count("Transformer") == 1 + 2 + 3 and shown.count("Linear") == 1 + 1 + 3
    assert shown.count("+") == 1 and shown.count("softmax across\nthe answers") == 1
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
        (lambda: plots.learning_curve([1, 2], {"a": [0.1, 0.2]}), "expected \\(mean, low, high\\) of 2 values"),
        (lambda: plots.bars(["a", "b"], {"x": [1.0]}), "expected 2 values"),
        (lambda: plots.intervals([1.0, 2.0], [0.1], 1.0), "as many half widths as means"),
        (lambda: plots.attention_map(np.eye(3), TOKENS), "expected \\(4, 4\\)"),
        (lambda: plots.attention_map(np.eye(4), TOKENS, allowed=np.eye(3)), "allowed: expected"),
        (lambda: plots.attention_grid([np.ones((1, 3, 3))], TOKENS), "layer 1: expected"),
        (lambda: plots.mask(np.eye(3), TOKENS), "matrix: expected"),
        (lambda: plots.next_token_bars(["a"], [1.0], [0.5, 0.5]), "1 tokens, but 1 probabilities before and 2"),
        (lambda: plots.transform_diagram([("t", [[START]], "sum")]), "combine must be one of"),
        (lambda: plots.transform_diagram([("t", [[START]], "add")]), "does not go with 1 sequences"),
        (lambda: plots.transform_diagram([("t", [[("end", "x")]], "single")]), "unknown roles \\['end'\\]"),
        (lambda: display.show(Figure(), "short"), "at least 20 characters"),
        (lambda: display.table([]), "at least one row"),
        (lambda: display.table([{"a": 1}], ["b"]), "no such columns: \\['b'\\]"),
        (lambda: display.table([[1, 2]], ["a"]), "a row has 2 cells"),
        (lambda: display.token_strip(["a"], [1, 2]), "1 pieces, but 2 ids"),
        (lambda: display.merge_tree([("0", ["a", "b"]), ("1", ["ac"])]), "not the text of the first step"),
        (lambda: display.source(3), "no Python source"),
        (lambda: display.source(len), "no Python source"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("seed", range(20))
def test_spread_keeps_order_and_gaps_and_moves_no_more_than_it_must(seed):
    rng = np.random.default_rng(seed)
    wanted = rng.random(6)
    placed = spread(wanted, 0.1)
    order = np.argsort(wanted)
    assert np.all(np.diff(placed[order]) >= 0.1 - 1e-9) and placed.min() >= 0 and placed.max() <= 1 + 1e-9
    far = np.arange(6) * 0.2
    assert np.allclose(spread(far, 0.1), far)
    scipy = pytest.importorskip("scipy.optimize")
    best = scipy.minimize(
        lambda y: np.sum((y - wanted) ** 2), placed,
        constraints=[{"type": "ineq", "fun": lambda y: np.diff(y[order]) - 0.1}], bounds=[(-9, 9)] * 6,
    )  # fmt: skip
    if best.x.min() >= 0 and best.x.max() <= 1:  # else the frame decides
        assert np.allclose(best.x, placed, atol=1e-4)


# --- colours -----------------------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB.
EYES = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # sRGB, D65


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str = "#ffffff") -> float:
    """WCAG contrast ratio."""
    light, dark = sorted((XYZ[1] @ linear(colour) for colour in (a, b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB."""
    t = XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(a: str, b: str, eye: str) -> float:
    """Euclidean distance in CIELAB as this eye sees the two colours; 2 is just noticeable side by side."""
    return float(np.linalg.norm(lab(EYES[eye] @ linear(a)) - lab(EYES[eye] @ linear(b))))


def test_the_measures_of_colour_know_what_is_known():
    assert contrast("#000000") == pytest.approx(21) and contrast("#777777") == pytest.approx(4.48, abs=0.01)
    assert lab(np.ones(3)) == pytest.approx([100, 0, 0], abs=0.05) and lab(linear("#ff0000"))[0] == pytest.approx(
        53.2, abs=0.1
    )
    red, green = "#d62728", "#2ca02c"
    assert distance(red, green, "usual") > 100 and distance(red, green, "deuteranopia") < 30


def test_the_palette_stands_out_from_the_page():
    assert min(contrast(colour) for colour in PALETTE) >= 3
    assert min(contrast(_darker(colour)) for colour in PALETTE) >= 4.5  # as text


@pytest.mark.parametrize("eye", EYES)
def test_the_palette_stays_apart_for_every_eye(eye):
    distances = {(a, b): distance(a, b, eye) for a, b in itertools.combinations(PALETTE, 2)}
    assert min(distances.values()) >= 30, min(distances, key=distances.get)


def test_lines_differ_in_marker_and_dash_too():
    lines = [style_module.line(i) for i in range(6)]
    for key in ("color", "marker", "linestyle"):
        assert len({str(line[key]) for line in lines}) == 6
    assert str(style_module.FLOOR_DASH) not in {str(line["linestyle"]) for line in lines}
    assert len(set(style_module.HATCHES)) == 6


def test_words_in_boxes_can_be_read():
    backgrounds = [*display.TOKEN_COLOURS, *(face for face, _ in style_module.ROLES.values())]
    assert min(contrast("#111111", face) for face in backgrounds) >= 7
    assert min(contrast(edge, face) for face, edge in style_module.ROLES.values()) >= 3
    assert min(contrast("#444444", face) for face in display.TOKEN_COLOURS) >= 4.5  # ids


def test_numbers_on_the_attention_map_can_be_read():
    from matplotlib import colormaps

    for weight in np.linspace(0, 1, 101):
        ink = "#ffffff" if weight > 0.7 else style_module.INK
        assert contrast(ink, to_hex(colormaps["Blues"](weight))) >= 3.5


# --- words -------------------------------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Tags and texts of HTML; fails on tags that do not match."""

    def __init__(self, markup: str):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []
        self.feed(markup)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("wbr", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def put(monkeypatch):
    """What was put on the page."""
    bundles = []
    monkeypatch.setattr(display, "_put", lambda bundle, metadata=None: bundles.append((bundle, metadata)))
    return bundles


def test_a_figure_is_shown_with_its_sentence_as_alt_and_as_caption(put):
    alt = "The loss falls fast, then slowly,\n   and stays above the <floor> & its hatching."
    sentence = "The loss falls fast, then slowly, and stays above the <floor> & its hatching."
    display.show(FIGURES["loss"](), alt)
    (picture, metadata), (caption, _) = put
    assert base64.b64decode(picture["image/png"])[:4] == b"\x89PNG" and "\n" not in picture["image/png"]
    assert picture["text/plain"] == caption["text/plain"] == sentence
    assert metadata == {"image/png": {"alt": sentence}}
    assert "".join(Outline(caption["text/html"]).texts) == sentence


def test_a_pyplot_figure_is_closed(put):
    import matplotlib.pyplot as plt

    figure = plt.figure()
    display.show(figure, "An empty figure, drawn with pyplot by a reader.")
    assert plt.get_fignums() == []


def test_outside_a_notebook_the_sentence_is_written(capsys):
    display.show(FIGURES["mask"](), "A causal mask: every position sees itself and the past.")
    assert capsys.readouterr().out == "A causal mask: every position sees itself and the past.\n" * 2


def example(x):
    """Say nothing.

    At length: ```
    """

    def inner():
        """Only this."""

    text = "not a docstring"
    return text, inner, x


def test_source_shows_the_code_that_runs(put):
    display.source(example)
    ((bundle, _),) = put
    code = inspect.getsource(example).rstrip()
    assert (
        bundle["text/markdown"] == f"From `test_display.py`:\n\n````python\n{code}\n````"
    )  # a longer fence than any inside
    assert bundle["text/plain"] == f"# test_display.py\n{code}"


def test_source_without_docstrings_is_the_same_program(put):
    display.source(example, docstring=False)
    code = put[0][0]["text/plain"].split("\n", 1)[1]
    assert (
        "Say nothing" not in code and 'text = "not a docstring"' in code and "Only this" in code
    )  # all that inner has
    assert not re.search(r":\n\s*\n", code)

    def without(tree):
        tree.body[0].body = tree.body[0].body[1:]
        return ast.dump(tree)

    assert ast.dump(ast.parse(code)) == without(ast.parse(inspect.getsource(example)))


def test_source_of_a_class_and_a_module(put):
    display.source(Outline, docstring=False)
    display.source(display, docstring=False)
    assert "class Outline(HTMLParser):\n    def __init__" in put[0][0]["text/plain"]
    assert put[1][0]["text/plain"].startswith("# minigpt/notebook/display.py\nimport ast\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("the model is above the floor", True), "the model is above the floor"),
        (("numpy's truth", np.bool_(True)), "numpy's truth"),
        (("the gap", 0.0523, 0, 0.1), "the gap 0.0523 (between 0 and 0.1)"),
        (("the gap", np.float32(0.0523), None, 0.1), "the gap 0.0523 (at most 0.1)"),
        (("accuracy", np.array(0.9), 0.5), "accuracy 0.9 (at least 0.5)"),
        (("seeds, out of 20, that won", 19, 17), "seeds, out of 20, that won 19 (at least 17)"),
        (("parameters", 124_439_808, 1e6), "parameters 124,439,808 (at least 1e+06)"),
        (("two roads to the optimum differ by", 2.2e-16, None, 1e-9), "two roads to the optimum differ by 2.2e-16 (at most 1e-09)"),
        (("the excess", -0.02, -0.05, 0.1), "the excess -0.02 (between -0.05 and 0.1)"),
        (("the share is larger by at least", 0.3, 0.05), "the share is larger by 0.3 (at least 0.05)"),
        (("the share is at most", 0.3, None, 0.5), "the share 0.3 (at most 0.5)"),
        (("utility gained by step 1", 6.2, 4), "utility gained by step 1: 6.2 (at least 4)"),
        (("the loss:", 1.2, None, 2), "the loss 1.2 (at most 2)"),
        (("for this the analysis", 1.2, None, 2), "for this the analysis 1.2 (at most 2)"),
    ],
)  # fmt: skip
def test_checks_print_the_claim_the_number_and_the_bound(arguments, line, capsys):
    display.check(*arguments)
    assert capsys.readouterr().out == f"check: {line}: yes\n"


@pytest.mark.parametrize(
    "arguments", [(False,), (0.2, 0, 0.1), (-0.1, 0, 0.1), (float("nan"), 0, 1), (float("nan"), 0), (2, None, 1)]
)
def test_failing_checks_tell_the_value_and_what_to_try(arguments, capsys):
    with pytest.raises(AssertionError) as caught:
        display.check("the claim", *arguments)
    message = str(caught.value)
    assert "the claim" in message and f"{arguments[0]}" in message and "start.py check" in message
    assert capsys.readouterr().out == ""
    with pytest.raises(AssertionError, match="What to try: train longer"):
        display.check("the claim", *arguments, advice="train longer")


@pytest.mark.parametrize("arguments", [(True, 0, 1), (0.5,), ("yes",), (None,), ([0.5], 0, 1)])
def test_unclear_checks_are_refused(arguments):
    with pytest.raises(ValueError, match="'the claim'"):
        display.check("the claim", *arguments)


def test_measured(capsys):
    display.measured("loss", 1.23456)
    display.measured("loss", np.float32(1.25), 1, "nats per token")
    assert capsys.readouterr().out == "loss ≈ 1.23\nloss ≈ 1.2 nats per token\n"


ROWS = [
    {"dataset": "RTE", "gpt1": 56.0, "delta": -5.7, "n": 2490, "best": False, "note": None},
    {
        "dataset": "a < b",
        "gpt1": np.float64(8.25),
        "delta": float("nan"),
        "n": np.int64(7),
        "best": np.bool_(True),
        "note": "x",
    },
]


def test_a_table_lines_up_and_says_everything_twice(put):
    display.table(
        ROWS,
        {"dataset": "data set", "gpt1": "GPT-1", "delta": "change", "n": "n", "best": "best?", "note": "note"},
        "Two rows",
    )
    ((bundle, _),) = put
    assert bundle["text/plain"].split("\n") == [
        "Two rows",
        "data set  GPT-1  change     n  best?  note",
        "--------  -----  ------  ----  -----  ----",
        "RTE        56.0    -5.7  2490  no     –",
        "a < b      8.25       –     7  yes    x",
    ]
    outline = Outline(bundle["text/html"])
    assert [t for t in outline.texts if t.strip()][:3] == ["Two rows", "data set", "GPT-1"] and "a < b" in outline.texts
    assert [tag for tag, _ in outline.seen].count("td") == 12
    assert all(attributes["scope"] == "col" for tag, attributes in outline.seen if tag == "th")
    assert ("td", {"style": "text-align: right"}) in outline.seen


def test_digits_are_for_floats_only(put):
    display.table([[1, 2.0, 0.125]], ["a", "b", "c"], digits=2)
    assert put[0][0]["text/plain"].split("\n")[-1].split() == ["1", "2.00", "0.12"]


def test_claims_say_yes_and_no_in_words(put):
    display.claims_table(
        [("c1", "sec. 1", "0.9 against 0.7", True), ("c2", "Table 5", "no gain", False), ("c3", "s", "m", "partly")]
    )
    lines = put[0][0]["text/plain"].split("\n")
    assert lines[1].split("  ")[0] == "the paper says" and [line.split()[-1] for line in lines[3:]] == [
        "yes",
        "no",
        "partly",
    ]


def test_tokens_are_apart_without_colour(put):
    display.token_strip([" the", "<b>", b"\xc3", b" \n"], [5, 6, 7, 8], label="Cut")
    ((bundle, _),) = put
    assert bundle["text/plain"] == "Cut: ␣the|<b>|⟨c3⟩|␣⏎\nids: 5 6 7 8"
    outline = Outline(bundle["text/html"])
    spans = [attributes["style"] for tag, attributes in outline.seen if tag == "span"]
    assert len(spans) == 4 and all("border: 1px solid" in style and "color: #111111" in style for style in spans)
    assert "<b>" in outline.texts and "\xa05" in outline.texts


def test_merges_are_shown_step_by_step(put):
    display.merge_tree([("bytes", [b"t", b"h", b"e"]), ("1: t + h", ["th", "e"]), ("2: th + e", ["the"])])
    ((bundle, _),) = put
    assert bundle["text/plain"] == "bytes      t|h|e\n1: t + h   th|e\n2: th + e  the"
    assert [tag for tag, _ in Outline(bundle["text/html"]).seen].count("span") == 6


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (8.8e13, "8.8e+13"),
        (2e8, "2e+08"),
        (123456789.5, "123456789.5"),
        (0.076, "0.076"),
        (2048.0, "2048.0"),
        (56.0, "56.0"),
    ],
)
def test_large_floats_are_short_if_nothing_is_lost(put, value, written):
    display.table([[value]], ["a"])
    assert put[-1][0]["text/plain"].split("\n")[-1].strip() == written
