"""Figures: what they say in words, that everything is inside the picture, and that they can be read without colour."""

import itertools
import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from minigpt import plots
from minigpt.notebook import display
from minigpt.plots import style
from minigpt.plots.labels import darker, spread
from minigpt.plots.style import PALETTE, png

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


def test_a_window_of_an_attention_map_keeps_rows_that_add_to_one():
    weights = np.tril(np.random.default_rng(0).random((6, 6)))
    weights /= weights.sum(axis=1, keepdims=True)
    part, tokens, allowed = plots.attention_window(weights, list("abcdef"), 4, 3)
    assert tokens == ["(earlier)", "d", "e"] and allowed.tolist() == [[False] * 3, [True, True, False], [True] * 3]
    np.testing.assert_allclose(part[1:].sum(axis=1), 1)
    np.testing.assert_allclose(part[2], [weights[4, :3].sum(), weights[4, 3], weights[4, 4]])
    whole, tokens, allowed = plots.attention_window(weights, list("abcdef"), 2, 3)
    assert tokens == list("abc") and np.array_equal(whole, weights[:3, :3]) and np.array_equal(allowed, np.tri(3))
    for end, n in ((6, 3), (-1, 3), (3, 1)):
        with pytest.raises(ValueError, match=f"expected a position from 0 to 5 .* got {end} and {n}"):
            plots.attention_window(weights, list("abcdef"), end, n)


def test_arcs_are_as_thick_as_the_weight_and_stand_at_their_words():
    figure = plots.attention_arcs(["a", " red", " hat", " The"], [0.02, 0.08, 0.7, 0.2], title="T")
    arcs = [patch for patch in figure.axes[0].patches if hasattr(patch, "get_path") and len(patch.get_path()) == 4]
    widths = [patch.get_linewidth() for patch in arcs]
    assert {"0.08", "0.70", "0.20"} <= words(figure) and "0.02" not in words(figure)
    assert len(widths) == 3 and widths[1] > widths[2] > widths[0]
    with pytest.raises(ValueError, match="4 weights"):
        plots.attention_arcs(list("abcd"), [1.0])
    with pytest.raises(ValueError, match="60 tokens do not fit"):
        plots.attention_arcs([" word"] * 60, [0.0] * 60)


def test_faint_weights_get_more_colour_and_the_bar_says_so():
    plain, faint = (plots.attention_map(np.eye(3), list("abc"), faint=faint) for faint in (False, True))
    shade = [figure.axes[0].images[0].norm(0.04) for figure in (plain, faint)]
    assert shade == pytest.approx([0.04, 0.2])
    assert [t.get_text() for t in faint.axes[1].get_yticklabels()] == ["0", "0.05", "0.2", "0.5", "1"]


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
    assert min(contrast(darker(colour)) for colour in PALETTE) >= 4.5  # as text


@pytest.mark.parametrize("eye", EYES)
def test_the_palette_stays_apart_for_every_eye(eye):
    distances = {(a, b): distance(a, b, eye) for a, b in itertools.combinations(PALETTE, 2)}
    assert min(distances.values()) >= 30, min(distances, key=distances.get)


def test_lines_differ_in_marker_and_dash_too():
    lines = [style.line(i) for i in range(6)]
    for key in ("color", "marker", "linestyle"):
        assert len({str(line[key]) for line in lines}) == 6
    assert str(style.FLOOR_DASH) not in {str(line["linestyle"]) for line in lines}
    assert len(set(style.HATCHES)) == 6
    looks = [tuple(map(str, (each["color"], each["marker"], each["linestyle"]))) for each in map(style.line, range(12))]
    assert len(set(looks)) == 12  # beyond six a colour comes again, but with another marker and dash


def test_words_in_boxes_can_be_read():
    backgrounds = [*display.TOKEN_COLOURS, *(face for face, _ in style.ROLES.values())]
    assert min(contrast("#111111", face) for face in backgrounds) >= 7
    assert min(contrast(edge, face) for face, edge in style.ROLES.values()) >= 3
    assert min(contrast("#444444", face) for face in display.TOKEN_COLOURS) >= 4.5  # ids


def test_numbers_on_the_attention_map_can_be_read():
    from matplotlib import colormaps

    for weight in np.linspace(0, 1, 101):
        ink = "#ffffff" if weight > 0.7 else style.INK
        assert contrast(ink, to_hex(colormaps["Blues"](weight))) >= 3.5


def test_the_rows_of_a_transform_are_those_of_the_paper():
    """GPT-1, section 3.3: both orders for similarity, a sequence for each answer, delimiters between the texts."""
    start, delim, extract = ("start", "start"), ("delim", "delim"), ("extract", "extract")
    a, b = ("text", "A one"), ("text", "B two")
    assert plots.transform_rows("classification", ["A one"]) == [[start, a, extract]]
    assert plots.transform_rows("entailment", ["A one", "B two"]) == [[start, a, delim, b, extract]]
    both = [[start, a, delim, b, extract], [start, b, delim, a, extract]]
    assert plots.transform_rows("similarity", ["A one", "B two"]) == both
    choice = plots.transform_rows("multiple choice", ["A one", "B two", "C three"])
    assert choice == [[start, a, delim, ("answer", text), extract] for text in ("B two", "C three")]
    ((_, (_, cut), _),) = plots.transform_rows("classification", [" one two three four five six"])
    assert cut == "one two ... five six"
    with pytest.raises(ValueError, match="got 'poetry'"):
        plots.transform_rows("poetry", ["A"])
