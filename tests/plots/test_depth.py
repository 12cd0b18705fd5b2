"""Depth: LayerNorm on the stream or beside it; gradients as they were given."""

import numpy as np
import pytest
from gallery import SIZES, words
from matplotlib.patches import Rectangle

from minigpt import plots
from minigpt.plots import style


def stream_and_norms(figure) -> tuple:
    """(x of the residual streams, the boxes in the grey of LayerNorm)."""
    axes = figure.axes[0]
    streams = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 7]
    grey = [
        box
        for box in axes.patches
        if isinstance(box, Rectangle) and box.get_edgecolor()[0] == pytest.approx(0x44 / 255)
    ]
    return streams, grey


@pytest.mark.parametrize(("norm", "on_the_stream"), [("post", 2), ("pre", 0)])
def test_layernorm_lies_on_the_stream_after_the_addition_or_beside_it_before_the_step(norm, on_the_stream):
    figure = plots.block_orders(SIZES, norms=(norm,))
    (stream,), norms = stream_and_norms(figure)
    assert sum(box.get_x() < stream < box.get_x() + box.get_width() for box in norms) == on_the_stream
    assert len(norms) == 2
    heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    places = sorted(box.get_y() for box in norms)
    below = [place < heights[name] - 0.2 for place, name in zip(places, ("masked self-attention", "MLP"))]
    assert below == [norm == "pre"] * 2


def test_two_orders_have_one_stream_each_and_count_their_layernorms():
    figure = plots.block_orders(SIZES | {"n_layers": 12}, title="Pre-LN leaves the stream alone")
    said = " ".join(words(figure)).replace("\n", " ")
    assert "12 blocks: 24 LayerNorms on the stream itself" in said and "no LayerNorm on the stream" in said
    assert "x ← LN(x + f(x))" in said and "x ← x + f(LN(x))" in said and said.count("(T, 96)") == 2
    assert len(stream_and_norms(figure)[0]) == 2


@pytest.mark.parametrize("norms", [(), ("pre", "post", "pre"), ("middle",)])
def test_bad_orders_are_named(norms):
    with pytest.raises(ValueError, match="one or two of 'post' and 'pre'"):
        plots.block_orders(SIZES, norms=norms)
    with pytest.raises(ValueError, match="config.n_heads"):
        plots.block_orders(SIZES | {"n_heads": 0})


def test_gradients_are_geometric_means_on_a_logarithmic_axis():
    figure = plots.gradient_profile({"post": [[0.01, 0.1, 1.0], [0.04, 0.4, 4.0]], "pre": [0.3, 0.2, 0.1]})
    axes = figure.axes[0]
    assert axes.get_yscale() == "log" and {"post", "pre", "gradient norm"} <= set(words(figure))
    means = axes.lines[0]
    assert means.get_ydata() == pytest.approx([0.02, 0.2, 2.0]) and means.get_xdata().tolist() == [1, 2, 3]
    dots = sorted(y for line in axes.lines if line.get_linestyle() == "None" for y in line.get_ydata())
    assert dots == [0.01, 0.04, 0.1, 0.4, 1.0, 4.0]
    (pre,) = [line for line in axes.lines if line.get_color() == style.PALETTE[1]]
    assert np.allclose(pre.get_ydata(), [0.3, 0.2, 0.1])


@pytest.mark.parametrize(
    ("profiles", "message"),
    [({}, "1 to 6 forms"), ({"a": [0.0, 1.0]}, "'a': expected gradient norms above 0"), ({"a": []}, "'a'"),
     ({str(i): [1.0] for i in range(7)}, "but got 7")],
)  # fmt: skip
def test_bad_gradients_are_named(profiles, message):
    with pytest.raises(ValueError, match=message):
        plots.gradient_profile(profiles)


def test_a_guess_is_a_line_and_must_have_a_place_on_the_axis():
    assert "your guess 0.3" in words(plots.gradient_profile({"a": [0.1, 1.0]}, guess=0.3))
    with pytest.raises(ValueError, match="above 0"):
        plots.gradient_profile({"a": [0.1, 1.0]}, guess=0)
