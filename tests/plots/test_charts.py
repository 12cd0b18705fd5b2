"""What every chart keeps: words on the page, no reader's settings, seeds and reference lines as one option, legends."""

import itertools
import re
import struct

import numpy as np
import pytest
from charts import FIGURES, words
from gallery import drawn, visible_texts
from matplotlib.text import Text

from minigpt import plots
from minigpt.plots import style

figures = pytest.mark.parametrize("figure", [pytest.param(make, id=name) for name, make in FIGURES.items()])


@pytest.mark.slow
@figures
def test_every_figure_is_a_picture_of_a_sensible_size(figure):
    picture = style.png(figure())
    width, height = struct.unpack(">II", picture[16:24])
    assert 500 <= width <= 9 * 170 and 300 <= height <= 1700 and b"Software" not in picture
    assert len(set(picture[200:])) > 50  # not one flat colour


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_every_public_chart_says_its_errors():
    for name, thing in vars(plots).items():
        if callable(thing) and name not in {"prompt_lines", "rows", "short", "plain_log"}:
            assert re.search(r"Errors: ", thing.__doc__), name


def test_seeds_are_dots_and_reference_lines_are_one_option_everywhere():
    seeds, wanted = {"a": [[0.4, 0.5], [0.6, 0.9]]}, {"majority": 0.3, "shortcut": 0.35}
    with_seeds = [
        plots.bars(["x", "y"], {"a": [0.5, 0.7]}, seeds=seeds, references=wanted),
        plots.lines({"a": ([1, 2], [0.5, 0.7])}, seeds=seeds, references=wanted, x_label="x", y_label="y"),
    ]
    for figure in with_seeds:
        dots = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
        assert np.sort(np.concatenate([line.get_ydata() for line in dots]).ravel()).tolist() == [0.4, 0.5, 0.6, 0.9]
        assert {"majority 0.30", "shortcut 0.35"} <= words(figure)
    others = [
        plots.loss_curve({"a": ([1, 2], [0.5, 0.7])}, references=wanted),
        plots.frontier_plot({"a": ([1, 2], [0.5, 0.7])}, references=wanted),
        plots.small_multiples({"p": {"a": ([1, 2], [0.5, 0.7])}}, references=wanted, x_label="x", y_label="y"),
    ]
    for figure in others:
        flat = {line.get_ydata()[0] for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1}
        assert {0.3, 0.35} <= flat and any("majority" in word for word in words(figure))
    with pytest.raises(ValueError, match="one number a seed for each place"):
        plots.bars(["x", "y"], {"a": [0.5, 0.7]}, seeds={"a": [[0.4]]})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "draw",
    [
        lambda value: plots.loss_curve({"a": ([1, 2], [0.5, 0.7])}, value),
        lambda value: plots.loss_curve({"a": ([1, 2], [0.5, 0.7])}, references={"bigram": value}),
        lambda value: plots.lines({"a": ([1, 2], [0.5, 0.7])}, x_label="x", y_label="y", chance=value),
        lambda value: plots.lines({"a": ([1, 2], [0.5, 0.7])}, x_label="x", y_label="y", ceiling=value),
        lambda value: plots.bars(["x"], {"a": [0.5]}, chance=value),
        lambda value: plots.task_panels({"t": {"a": {1: [0.5]}}}, {"chance": value}),
        lambda value: plots.final_run(1e9, ([1e6, 1e7], [2.0, 1.0]), floor=value),
    ],
)
def test_a_floor_or_a_reference_that_is_no_number_is_named(draw, value):
    with pytest.raises(ValueError, match="expected a (line at a finite height|finite floor)"):
        draw(value)


@pytest.mark.slow
def test_legends_cover_no_data():
    for name, make in FIGURES.items():
        figure = make()
        renderer = drawn(figure)
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
