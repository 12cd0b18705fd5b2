"""Masks and attention over running text: dark where one may look, high where one looks."""

import numpy as np
import pytest
from charts import words

from minigpt import plots


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.mask_picture({"a": np.ones((2, 3))}), "square mask"),
        (lambda: plots.attention_text(["a"], [0.5, 0.5]), "expected 1 weights"),
    ],
)
def test_bad_attention_figures_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
