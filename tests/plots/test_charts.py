"""The figures of chapters 02 and 03: they draw the numbers they are given, and their words can be read."""

import itertools
import re
import struct

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from minigpt import plots
from minigpt.plots import style

SHOTS = np.array([0, 1, 2, 4, 8, 16])
SIZES = np.array([21_000, 65_000, 148_000, 334_000])
STEPS = np.arange(0, 4000, 20)
CEILING = (SHOTS, 0.5 + 0.1 * np.log2(1 + SHOTS))
FAMILIES = ["relation", "language", "number", "symbols", "category"]
NAMES = ["Small", "Medium", "Large", "XL", "2.7B", "6.7B", "13B", "175B"]
PARAMETERS = np.array([125, 350, 760, 1300, 2700, 6700, 13000, 175000]) * 1e6
MIXTURE = {"Common Crawl": 60, "WebText2": 22, "Books1": 8, "Books2": 8, "Wikipedia": 3}
TOKENS = ["Examples:", " fox", " forest", ";", " crab", " sea", ";", " hen", " farm", ";"] * 2 + [" crab"]
WEIGHTS = np.where(np.arange(21) == 5, 0.61, 0.0195)
TRIANGLE = np.tri(24, dtype=bool)
PROMPT = "where do they live?\nthe fox lives in the forest\n\nthe owl lives in the"
ANSWERS = [(" forest", 0.71), (" sea", 0.2), (" mill", 0.09)]
COMPUTE = np.geomspace(1e-10, 1e-8, 30)


def shots(base):
    y = base * (1 + 0.12 * np.log2(1 + SHOTS))
    return SHOTS, y, y - 0.04, y + 0.04


SERIES = {f"d = {d}": shots(base) for d, base in ((16, 0.2), (32, 0.3), (64, 0.45), (96, 0.46))}
LAW = {f"{n // 1000}k": (COMPUTE * n, 0.1 * COMPUTE**-0.1 + n**-0.3) for n in SIZES}

BINS = ([0.3, np.nan, 0.8], [0.2, np.nan, 0.6], [10, 0, 90])
RANGES = {f"exam {i}": {"new": (10 * i, 10 * i + 8), "old": (5 * i, 5 * i)} for i in range(8)}
IMAGE = np.linspace(0, 1, 16 * 16 * 3).reshape(16, 16, 3)

FIGURES = {
    "shots": lambda: plots.lines(
        SERIES, x_label="examples, K", y_label="accuracy", title="T", ceiling=CEILING, chance=0.17, log_x=True
    ),
    "sizes": lambda: plots.lines(
        {"a": (SIZES, [0.2, 0.4, 0.6, 0.9]), "b": (SIZES, [0.1, 0.2, 0.22, 0.5])},
        x_label="parameters",
        y_label="accuracy",
        ceiling=0.97,
        chance=0.1,
        references={"majority": 0.3},
        log_x=True,
        y_limits=(0, 1),
    ),
    "bands": lambda: plots.lines(
        {"a": (STEPS, STEPS / 4e3, STEPS / 4e3 - 0.05, STEPS / 4e3 + 0.05), "b": (STEPS, 1 - STEPS / 4e3)},
        x_label="training steps",
        y_label="accuracy",
        bands=True,
    ),
    "both logarithmic": lambda: plots.lines(LAW, x_label="compute", y_label="loss", log_x=True, log_y=True),
    "panels": lambda: plots.small_multiples(
        dict.fromkeys(FAMILIES, SERIES),
        x_label="examples, K",
        y_label="accuracy",
        title="Five families",
        ceilings=dict.fromkeys(FAMILIES, CEILING),
        chances={"relation": 0.2},
        log_x=True,
    ),
    "two panels": lambda: plots.small_multiples(
        {"reading": {"GPT": (SIZES, [0.2, 0.4, 0.6, 0.9])}, "closed book": {"4-gram": (SIZES, [0.1, 0.2, 0.2, 0.3])}},
        x_label="parameters",
        y_label="accuracy",
        ceilings={"reading": 0.97},
        log_x=True,
    ),
    "frontier": lambda: plots.frontier_plot(LAW, ([1e-5, 1e-4], [1.0, 0.8]), (0.4, -0.08), title="T", floor=0.1),
    "identity": lambda: plots.scatter_identity(
        PARAMETERS, PARAMETERS * 1.02, NAMES, log=True, x_label="printed", y_label="recomputed", title="Table 2.1"
    ),
    "identity, near": lambda: plots.scatter_identity(
        [0.1, 0.2, 0.21, 0.5, 0.51], [0.12, 0.2, 0.21, 0.55, 0.5], list("abcde"), x_label="x", y_label="y"
    ),
    "shares": lambda: plots.shares({"weights": MIXTURE, "once": {**MIXTURE, "Common Crawl": 410}}, title="T"),
    "masks": lambda: plots.mask_picture(
        {"dense": TRIANGLE, "banded, width 6": TRIANGLE & ~np.tri(24, k=-6, dtype=bool)}, title="T"
    ),
    "large mask": lambda: plots.mask_picture({"dense": np.tri(128)}),
    "attention": lambda: plots.attention_text(TOKENS, WEIGHTS, title="A head that copies"),
    "prompt": lambda: plots.prompt_answers(PROMPT, ANSWERS, " mill", title="K = 3: 3 examples"),
    "long prompt": lambda: plots.prompt_answers("Examples: " + PROMPT.replace("\n", " ") * 9, ANSWERS, n_lines=6),
    "workers": lambda: plots.data_parallel(3, 2, 4, 128, title="One step"),
    "many workers": lambda: plots.data_parallel(64, 6, 4, 2048),
    "prediction": lambda: plots.prediction(
        (COMPUTE, 0.1 * COMPUTE**-0.1), (COMPUTE, 0.1 * COMPUTE**-0.1), (1e-6, 0.35, 0.45), (1e-6, 0.4), 0.3, title="T"
    ),
    "prediction, hidden": lambda: plots.prediction(([1e9, 3e9, 1e10], [1.4, 1.3, 1.2]), said=(1e12, 1.0, 1.1)),
    "reliability": lambda: plots.reliability({"a": BINS, "b": BINS, "c": BINS}, title="T"),
    "ranges": lambda: plots.ranges(RANGES, x_label="percentile", title="T", marks={"guessing": 25}),
    "image": lambda: plots.image_answers(IMAGE, [np.full((4, 4), 0.05)] * 2, ANSWERS, " mill", title="T"),
    "no image": lambda: plots.image_answers(None, [], ANSWERS),
    "pictures": lambda: plots.pictures([IMAGE] * 6, ["what colour is the square? red"] * 6, title="T"),
}
figures = pytest.mark.parametrize("figure", [pytest.param(make, id=name) for name, make in FIGURES.items()])


def drawn(figure: Figure):
    """The figure's renderer, after everything has found its place."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def visible_texts(figure: Figure) -> list[Text]:
    """Every text that can be seen: no empty ones, no ticks outside the axes or in axes that are off."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = {id(tick) for tick in axis._update_ticks()} if axes.axison else set()
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if id(tick) not in shown:
                    hidden |= {id(tick.label1), id(tick.label2)}
    found = figure.findobj(Text)
    return [text for text in found if text.get_visible() and text.get_text().strip() and id(text) not in hidden]


def words(figure: Figure) -> set[str]:
    return {text.get_text() for text in visible_texts(figure)}


@figures
def test_every_figure_is_a_picture_of_a_sensible_size(figure):
    picture = style.png(figure())
    width, height = struct.unpack(">II", picture[16:24])
    assert 500 <= width <= 9 * 170 and 300 <= height <= 1700 and b"Software" not in picture
    assert len(set(picture[200:])) > 50  # not one flat colour


@figures
def test_the_readers_settings_do_not_matter(figure):
    import matplotlib

    picture = style.png(figure())
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9, "text.color": "red"}):
        assert style.png(figure()) == picture


@figures
def test_all_words_are_on_the_page_large_enough_and_do_not_overlap(figure):
    figure = figure()
    renderer = drawn(figure)
    boxes = {}
    for text in visible_texts(figure):
        box = Text.get_window_extent(text, renderer)
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, text
        assert text.get_fontsize() >= 12, text
        boxes[text] = box
    assert len(boxes) >= 6
    clashes = [(a, b) for a, b in itertools.combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]
    assert clashes == []


@figures
def test_axes_are_named(figure):
    figure = figure()
    drawn_axes = [axes for axes in figure.axes if axes.axison]
    named = words(figure) & {"examples, K", "parameters", "training steps", "compute", "printed", "x", "probability",
                             "training compute (PF-days)", "share of the whole (%)", "confidence", "percentile",
                             "compute (floating-point operations)"}  # fmt: skip
    assert (
        not drawn_axes
        or named
        or figure.axes[0].images
        or any("may look at" in word for word in words(figure))
    )


# --- curves ------------------------------------------------------------------------------------------------------


def test_curves_go_through_their_points_and_are_named_at_their_ends():
    figure = FIGURES["sizes"]()
    (axes,) = figure.axes
    assert axes.lines[0].get_xydata().tolist() == [[n, y] for n, y in zip(SIZES, [0.2, 0.4, 0.6, 0.9])]
    flat = {line.get_ydata()[0]: line.get_linestyle() for line in axes.lines[2:]}
    assert set(flat) == {0.97, 0.1, 0.3} and flat[0.97] == "--" and flat[0.1] == flat[0.3] == ":"
    assert {"a", "b", "best possible 0.97", "chance 0.10", "majority 0.30", "21k", "334k"} <= words(figure)
    assert axes.get_xscale() == "log" and axes.get_ylim() == (0, 1)


def test_intervals_are_where_they_were_given_and_inside_the_axes():
    (axes,) = FIGURES["shots"]().axes
    segments = [container[2][0].get_segments() for container in axes.containers]
    for (x, _, low, high), found in zip(SERIES.values(), segments):
        assert np.allclose([s[:, 0] for s in found], np.column_stack([x, x]))
        assert np.allclose([s[:, 1] for s in found], np.column_stack([low, high]))
    bottom, top = axes.get_ylim()
    assert bottom < 0.16 and top > CEILING[1].max()


def test_zero_shots_stand_to_the_left_and_doublings_are_equally_far():
    (axes,) = FIGURES["shots"]().axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "1", "2", "4", "8", "16"]
    places = axes.transData.transform(np.column_stack([SHOTS, SHOTS]))[:, 0]
    gaps = np.diff(places)
    assert gaps[0] > 20 and np.allclose(gaps[1:], gaps[1])


def test_a_ceiling_may_be_a_curve():
    figure = FIGURES["shots"]()
    dashed = [line for line in figure.axes[0].lines if line.get_color() == "#000000" and line.is_dashed()]
    assert [line.get_ydata().tolist() for line in dashed if len(line.get_xdata()) == 6] == [CEILING[1].tolist()]
    assert "best possible" in words(figure)


def test_bands_are_shaded_between_their_ends():
    (axes,) = FIGURES["bands"]().axes
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    at_1000 = sorted(corners[corners[:, 0] == 1000][:, 1])
    assert np.allclose(at_1000, [0.2, 0.3]) and not axes.containers


def test_a_gap_is_left_where_nothing_was_measured():
    (axes,) = plots.lines({"a": ([1, 2, 3], [1.0, np.nan, 2.0])}, x_label="x", y_label="y").axes
    assert np.isnan(axes.lines[0].get_ydata()[1])
    assert "1" in {text.get_text() for text in axes.get_xticklabels()}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (16, "16"),
        (1024, "1,024"),
        (334_656, "335k"),
        (124_439_808, "124M"),
        (1.75e11, "175B"),
    ],
)
def test_numbers_on_axes_are_short(value, written):
    assert plots.short(value) == written


def test_panels_share_axes_and_looks_and_have_one_legend():
    figure = FIGURES["panels"]()
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in panels] == FAMILIES
    assert len({axes.get_ylim() for axes in panels}) == 1 and panels[0].get_ylim()[1] > CEILING[1].max()
    for axes in panels:
        assert [to_hex(c[0].get_color()) for c in axes.containers] == style.PALETTE[:4]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*SERIES, "best possible", "chance"]
    named = [axes.get_title(loc="left") for axes in panels if axes.get_xlabel()]
    assert named == ["number", "symbols", "category"]  # the lowest of each column


def test_a_name_looks_the_same_in_every_panel_even_if_it_is_alone_there():
    figure = FIGURES["two panels"]()
    first, second = (axes.lines[0] for axes in figure.axes)
    assert (first.get_color(), second.get_color()) == tuple(style.PALETTE[:2])
    assert first.get_marker() != second.get_marker()


# --- compute, identity, shares, masks ------------------------------------------------------------------------------


def test_the_frontier_has_two_logarithmic_axes_rings_and_a_straight_law():
    figure = FIGURES["frontier"]()
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log" and axes.get_ylim()[0] < 0.1
    for line, (x, y) in zip(axes.lines, LAW.values()):
        assert np.allclose(line.get_xydata(), np.column_stack([x, y]))
    (rings,) = [line for line in axes.lines if line.get_label() == "frontier"]
    assert rings.get_xydata().tolist() == [[1e-5, 1.0], [1e-4, 0.8]] and rings.get_markerfacecolor() == "none"
    (law,) = [line for line in axes.lines if "to the power" in line.get_label()]
    (x0, y0), (x1, y1) = law.get_xydata()
    assert np.log(y1 / y0) / np.log(x1 / x0) == pytest.approx(-0.08) and y0 == pytest.approx(0.4 * x0**-0.08)
    assert {*LAW, "frontier", "floor 0.10"} <= words(figure)


def test_the_diagonal_is_the_diagonal():
    (axes,) = FIGURES["identity"]().axes
    diagonal, points = axes.lines
    assert np.array_equal(*diagonal.get_data()) and axes.get_xlim() == axes.get_ylim()
    assert points.get_xydata().tolist() == np.column_stack([PARAMETERS, PARAMETERS * 1.02]).tolist()
    assert set(NAMES) <= words(axes.figure)


def test_shares_are_as_wide_as_their_percentages():
    figure = plots.shares({"a": {"x": 1, "y": 3}, "b": {"x": 30, "y": 10}})
    (axes,) = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert np.allclose(bars, [(0, 25), (25, 75), (0, 75), (75, 25)])
    assert [text.get_text() for text in axes.texts] == ["25", "75", "75", "25"]
    assert len({bar.get_hatch() for bar in axes.patches}) == 2


def test_masks_are_dark_where_they_allow_and_count_their_pairs():
    figure = plots.mask_picture({"a": [[True, False], [True, True]]})
    (axes,) = figure.axes
    face = np.asarray(axes.images[0].get_array())
    dark = face.sum(axis=-1) < 4
    assert dark.tolist() == [[True, False], [True, True]]
    assert any("3 pairs" in word for word in words(figure))


def test_attention_bars_are_as_high_as_the_weights_and_the_reader_is_framed():
    figure = plots.attention_text(["a", " b", " c"], [0.7, 0.28, 0.02], title="T")
    (axes,) = figure.axes
    *bars, frame = axes.patches
    heights = np.array([bar.get_height() for bar in bars])
    assert np.allclose(heights / heights.sum(), [0.7, 0.28, 0.02])
    assert [text.get_text() for text in axes.texts] == ["T", "a", "0.70", "b", "0.28", "c"]
    assert frame.get_x() < bars[2].get_x() < frame.get_x() + frame.get_width() and not frame.get_fill()


def test_the_batch_is_the_product():
    assert any("64 workers × 6 micro-batches × 4 windows × 2,048 tokens = 3,145,728" in word
               for word in words(FIGURES["many workers"]()))  # fmt: skip
    shown = [text.get_text() for text in visible_texts(FIGURES["workers"]())]
    assert shown.count("sum") == 3 and shown.count("mean") == 1 and shown.count("batch 2") == 3
    assert any(
        "1 worker × 1 micro-batch × 1 window × 8 tokens = 8" in w for w in words(plots.data_parallel(1, 1, 1, 8))
    )


def test_a_prompt_is_shown_as_it_is_read_with_its_answers_sorted_and_the_right_one_marked():
    figure = plots.prompt_answers(PROMPT, ANSWERS[::-1], " mill")
    paper, axes = figure.axes
    read = [text.get_text() for text in paper.texts]
    assert read == ["where do they live?", "the fox lives in the forest", "", "the owl lives in the ___"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["forest", "sea", "mill"]
    assert [bar.get_width() for bar in axes.patches] == [0.71, 0.2, 0.09]
    assert [text.get_text() for text in axes.texts] == ["0.710", "0.200", "0.090  ◀ right"]


def test_a_long_prompt_shows_its_end_and_the_right_answer_is_always_drawn():
    figure = plots.prompt_answers("one\ntwo\nthree\nfour $5", ANSWERS, " mill", n=2, n_lines=3)
    assert [text.get_text() for text in figure.axes[0].texts] == ["...", "three", "four $5 ___"]
    assert not any(text.get_parse_math() for text in figure.findobj(Text))  # a $ is drawn as a dollar
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["forest", "mill"]


@pytest.mark.parametrize("figure", ["shares", "attention"])
def test_bars_can_be_told_from_white(figure):
    for bar in FIGURES[figure]().axes[0].patches:
        assert sum(to_rgba(bar.get_edgecolor())[:3]) < 2.2 or bar.get_height() == 0


def test_lines_differ_in_marker_and_dash():
    (axes,) = FIGURES["shots"]().axes
    curves = [container[0] for container in axes.containers]
    assert (
        len({line.get_marker() for line in curves}) == len({str(line._unscaled_dash_pattern) for line in curves}) == 4
    )
    assert not any(isinstance(c, LineCollection) and c.get_linewidth()[0] < 1 for c in axes.collections)


L = {"x_label": "x", "y_label": "y"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.lines({"a": ([1, 2], [1.0])}, **L), "'a': expected \\(x, y\\) or"),
        (lambda: plots.lines({"a": ([1], [1.0], [0.5])}, **L), "'a': expected"),
        (lambda: plots.lines({"a": ([1], [np.nan])}, **L), "'a' has nothing to draw"),
        (lambda: plots.lines({"a": ([0], [1.0])}, log_x=True, **L), "nothing to draw beyond 0"),
        (lambda: plots.lines({"a": ([-1, 2], [1.0, 2])}, log_x=True, **L), "there is -1"),
        (lambda: plots.small_multiples({}, **L), "at least one panel"),
        (lambda: plots.small_multiples({"p": SERIES}, chances={"q": 1}, **L), "but got \\['q'\\]"),
        (lambda: plots.small_multiples({"p": {"a": ([1], [1, 2])}}, **L), "'p, a': expected"),
        (lambda: plots.frontier_plot({"a": ([0, 1], [1, 2])}), "above 0"),
        (lambda: plots.scatter_identity([1, 2], [1, 2], ["a"], **L), "as many names as points"),
        (lambda: plots.scatter_identity([0, 2], [1, 2], log=True, **L), "there is 0"),
        (lambda: plots.shares({}), "same 1 to 6 parts"),
        (lambda: plots.shares({"a": {"x": 1}, "b": {"y": 1}}), "same 1 to 6 parts"),
        (lambda: plots.shares({"a": {"x": 0}}), "'a': expected amounts"),
        (lambda: plots.mask_picture({"a": np.ones((2, 3))}), "square mask"),
        (lambda: plots.attention_text(["a"], [0.5, 0.5]), "expected 1 weights"),
        (lambda: plots.prompt_answers("x", []), "at least one answer"),
        (lambda: plots.prompt_answers("x", ANSWERS, " pond"), "' pond' among them"),
        (lambda: plots.data_parallel(2, 0, 1, 8), "'n_micro': 0"),
        (lambda: plots.prediction(([0, 1], [1.0, 2.0])), "x above 0"),
        (lambda: plots.prediction(([1, 2], [1.0, 2.0]), said=(0, 1, 2)), "x above 0"),
        (lambda: plots.prediction(([1, 2], [1.0])), "'runs': expected"),
        (lambda: plots.reliability({"a": ([0.1], [0.2], [3, 4])}), "a count for each of 1 bins"),
        (lambda: plots.reliability({"a": ([0.1], [np.nan], [3])}), "nothing to draw"),
        (lambda: plots.ranges({}, x_label="x"), "at least one row"),
        (lambda: plots.ranges({"a": {"s": (2, 1)}}, x_label="x"), "low to high, but got 2 ... 1"),
        (lambda: plots.image_answers(IMAGE, [], []), "at least one answer"),
        (lambda: plots.image_answers(IMAGE, [np.ones((3, 4))], ANSWERS), "divide a picture"),
        (lambda: plots.pictures([], []), "got 0 and 0"),
        (lambda: plots.pictures([IMAGE], ["a", "b"]), "got 1 and 2"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_public_chart_says_its_errors():
    for name, thing in vars(plots).items():
        if callable(thing) and name not in {"prompt_lines", "rows", "short", "plain_log"}:
            assert re.search(r"Errors: ", thing.__doc__), name


def test_an_answer_token_by_token():
    figure = plots.answer_strip([" Once", " a", " fox", "."], [0.0, 1.5, -2.0, 0.01], [0.0, -0.1, 0.1, 2.0], title="t")
    words = [text.get_text() for text in figure.axes[0].texts]
    assert "+1.5" in words and "-2.0" in words and "+2.0" in words and words.count("0") >= 2
    faces = [patch.get_facecolor() for patch in figure.axes[0].patches]
    assert faces[0][3] == 0 and faces[1][:3] != faces[2][:3]
    for wrong in ([0.0], [0.0] * 5):
        with pytest.raises(ValueError, match="numbers each"):
            plots.answer_strip(["a", "b"], wrong, [0.0, 0.0])


def test_a_prediction_stands_where_it_was_said_and_what_came_is_a_star():
    (axes,) = FIGURES["prediction"]().axes
    bar, star = axes.lines[2], axes.lines[3]
    assert bar.get_xdata().tolist() == [1e-6] * 2 and bar.get_ydata().tolist() == [0.35, 0.45]
    assert star.get_marker() == "*" and (star.get_xdata()[0], star.get_ydata()[0]) == (1e-6, 0.4)
    assert axes.get_xscale() == "log" and "floor 0.30" in words(axes.figure)
    hidden = FIGURES["prediction, hidden"]().axes[0]
    assert all(line.get_marker() != "*" for line in hidden.lines) and "what came" not in words(hidden.figure)


def test_reliable_dots_grow_with_their_bins_and_empty_bins_are_left_out():
    (axes,) = FIGURES["reliability"]().axes
    dots = axes.collections[0]
    assert dots.get_offsets().tolist() == [[0.3, 0.2], [0.8, 0.6]] and np.diff(dots.get_sizes()) > 0
    assert list(axes.lines[0].get_xdata()) == [0, 1] == list(axes.lines[0].get_ydata())


def test_ranges_run_from_low_to_high():
    (axes,) = FIGURES["ranges"]().axes
    drawn = [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 3]
    assert drawn[:4] == [[0, 8], [0, 0], [10, 18], [5, 5]] and {"new", "old", "guessing"} <= words(axes.figure)


def test_where_a_model_looks_is_written_in_per_cent_and_the_rest_washed_out():
    weights = np.zeros((4, 4))
    weights[1, 2], weights[0, 0] = 0.4, 0.1
    figure = plots.image_answers(np.zeros((16, 16, 3)), [weights], ANSWERS, " forest")
    seen, looked, bars = figure.axes
    assert {text.get_text() for text in looked.texts} == {"40", "10"} and not seen.texts
    shown = looked.images[0].get_array()
    assert shown[4, 8].max() < 0.01 and shown[15, 15].min() > 0.8
    assert [tick.get_text() for tick in bars.get_yticklabels()] == [" forest", " sea", " mill"]
    assert "nothing" in words(plots.image_answers(None, [], ANSWERS))


def test_seeds_are_dots_and_reference_lines_are_one_option_everywhere():
    seeds, wanted = {"a": [[0.4, 0.5], [0.6, 0.9]]}, {"majority": 0.3, "shortcut": 0.35}
    with_seeds = [
        plots.bars(["x", "y"], {"a": [0.5, 0.7]}, seeds=seeds, references=wanted),
        plots.lines({"a": ([1, 2], [0.5, 0.7])}, seeds=seeds, references=wanted, x_label="x", y_label="y"),
        plots.learning_curve([1, 2], {"a": [[0.5, 0.7], [0.4, 0.6], [0.6, 0.8]]}, seeds=seeds, references=wanted),
    ]
    for figure in with_seeds:
        dots = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
        assert np.sort(np.concatenate([line.get_ydata() for line in dots]).ravel()).tolist() == [0.4, 0.5, 0.6, 0.9]
        assert {"majority 0.30", "shortcut 0.35"} <= words(figure)
    others = [
        plots.loss_curve({"a": ([1, 2], [0.5, 0.7])}, references=wanted),
        plots.prediction(([1, 2], [0.5, 0.7]), references=wanted),
        plots.frontier_plot({"a": ([1, 2], [0.5, 0.7])}, references=wanted),
        plots.small_multiples({"p": {"a": ([1, 2], [0.5, 0.7])}}, references=wanted, x_label="x", y_label="y"),
    ]
    for figure in others:
        flat = {line.get_ydata()[0] for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1}
        assert {0.3, 0.35} <= flat and any("majority" in word for word in words(figure))
    with pytest.raises(ValueError, match="one number a seed for each place"):
        plots.bars(["x", "y"], {"a": [0.5, 0.7]}, seeds={"a": [[0.4]]})


def test_legends_cover_no_data():
    for name, make in FIGURES.items():
        figure = make()
        renderer = drawn(figure) if "drawn" in globals() else FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        for legend in figure.legends:
            box = legend.get_window_extent(renderer)
            assert not any(box.overlaps(axes.get_window_extent(renderer)) for axes in figure.axes), name
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 + 1 and box.y0 >= -1, name


def test_letters_that_no_font_has_are_said_once_and_zero_width_ones_are_visible(recwarn):
    figure = plots.attention_map(np.eye(3), ["\u200b", "\ue123\ue124", "$x_1$"])
    style.png(figure)
    (told,) = [str(each.message) for each in recwarn]
    assert "drawn as boxes" in told and "\ue123" in told and "Noto Sans CJK" in told
    assert {"⟨200b⟩", "$x_1$"} <= words(figure)


def test_the_readers_own_font_is_used():
    import matplotlib

    with matplotlib.rc_context({"font.family": ["DejaVu Serif"], "text.usetex": True, "savefig.transparent": True}):
        figure = plots.bars(["a"], {"x": [1]}, title="T")
        picture = style.png(figure)
    assert figure.axes[0].yaxis.label.get_fontfamily()[0] == "DejaVu Serif"
    from io import BytesIO

    from PIL import Image

    assert Image.open(BytesIO(picture)).convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
