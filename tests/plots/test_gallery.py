"""Drawings of the machine and panels of results: nothing is cut, small or covered, whatever is drawn."""

import struct

import matplotlib
import pytest
from gallery import GALLERY, drawn, flaws
from matplotlib.figure import Figure

from minigpt.plots import style

everything = pytest.mark.parametrize("name", GALLERY)


@pytest.mark.slow
@everything
def test_no_word_is_cut_or_small_or_covered_and_the_page_fits_a_screen(name):
    assert flaws(GALLERY[name]()) == []


@pytest.mark.slow
@everything
def test_every_drawing_is_a_picture_that_the_readers_settings_do_not_change(name):
    picture = style.png(GALLERY[name]())
    width, height = struct.unpack(">II", picture[16:24])
    assert 300 <= width <= 9 * 170 and 200 <= height <= 6.6 * 170 and len(set(picture[200:])) > 50
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9, "text.color": "red"}):
        assert style.png(GALLERY[name]()) == picture


def test_the_measure_finds_what_is_cut_small_or_covered():
    figure = Figure(figsize=(4, 3))
    figure.text(0.9, 0.5, "a long word", size=15)
    figure.text(0.1, 0.1, "one", size=9)
    figure.text(0.1, 0.8, "below", size=15)
    figure.text(0.12, 0.8, "above", size=15)
    drawn(figure)
    found = flaws(figure)
    assert [line.split(":")[0].split(" ")[0] for line in found] == ["cut", "small", "'below'"]
    assert flaws(Figure(figsize=(9.5, 7))) == ["9.5 x 7.0 inches"]
