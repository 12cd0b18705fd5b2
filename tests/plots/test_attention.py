"""Attention: maps, arcs and windows say the weights; masks are dark where one may look."""

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
