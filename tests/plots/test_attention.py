"""Masks: dark where one may look."""

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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.mask_picture({"a": np.ones((2, 3))}), "square mask"),
    ],
)
def test_bad_attention_figures_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
