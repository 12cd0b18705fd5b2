"""Memory and its division: bars add up, cards are counted, every scheme gives every block to the right cards."""

import pytest
from gallery import words
from matplotlib.patches import Rectangle

from minigpt import plots, scaling


def test_the_parts_of_mixed_precision_are_sixteen_bytes_a_parameter():
    parts = scaling.memory_parts(1000)
    assert sum(parts.values()) == 16_000 == scaling.training_memory(1000)  # as much as all of it in 32 bits
    assert list(parts.values()) == [2000, 2000, 4000, 4000, 4000]
    with pytest.raises(ValueError, match="n_params must be a whole number"):
        scaling.memory_parts(0)


def test_the_bars_add_up_and_the_cards_are_counted():
    rows = {"large": scaling.memory_parts(10**11), "small": scaling.memory_parts(10**9)}
    figure = plots.model_memory(rows, ("one card", 40e9), title="Too large")
    axes = figure.axes[0]
    first = [bars.patches[0] for bars in axes.containers[:5]]
    assert sum(bar.get_width() for bar in first) == pytest.approx(1.6)
    assert [a.get_x() + a.get_width() for a in first[:-1]] == pytest.approx([b.get_x() for b in first[1:]])
    said = words(figure)
    assert "large: 1.6 TB = 40 cards of 40 GB" in said and "small: 16 GB, fits on one card of 40 GB" in said
    assert axes.lines[0].get_xdata()[0] == pytest.approx(0.04) and {"one card", "memory (TB)", "Too large"} <= set(said)


@pytest.mark.parametrize(
    ("rows", "card"),
    [({}, ("c", 1)), ({"a": {}}, ("c", 1)), ({"a": {"x": 1}, "b": {"y": 1}}, ("c", 1))],
)
def test_bad_parts_are_named(rows, card):
    with pytest.raises(ValueError, match="1 to 4 models with the same"):
        plots.model_memory(rows, card)


@pytest.mark.parametrize("wrong", [({"a": {"x": 0}}, 1), ({"a": {"x": 1}}, 0), ({"a": {"x": float("nan")}}, 1)])
def test_bad_sizes_are_named(wrong):
    with pytest.raises(ValueError, match="sizes above 0"):
        plots.model_memory(wrong[0], ("card", wrong[1]))


@pytest.mark.parametrize(("n_blocks", "n_cards"), [(4, 4), (6, 2), (6, 3)])
def test_every_scheme_gives_every_block_to_the_right_cards(n_blocks, n_cards):
    figure = plots.model_parallelism(n_blocks, n_cards, title="Three ways")
    boxes = [box for box in figure.axes[0].patches if isinstance(box, Rectangle) and box.get_fill()]
    half = [box.get_x() + box.get_width() / 2 for box in boxes]
    data, tensor, pipeline = ([box for box, x in zip(boxes, half) if k == int(x / 3.017)]
                              for k in range(3))  # fmt: skip
    assert len(data) == len(tensor) == n_blocks * n_cards and len(pipeline) == n_blocks
    lowest_first = sorted(pipeline, key=lambda box: box.get_y())
    colours = [box.get_edgecolor() for box in lowest_first]
    assert [colours.count(colour) for colour in dict.fromkeys(colours)] == [n_blocks // n_cards] * n_cards
    assert [box.get_x() for box in lowest_first] == sorted(box.get_x() for box in lowest_first)
    assert {"data parallelism", "tensor parallelism", "pipeline parallelism", "Three ways"} <= set(words(figure))


@pytest.mark.parametrize(("n_blocks", "n_cards"), [(5, 2), (8, 4), (4, 1), (6, 6), (4.0, 2)])
def test_bad_divisions_are_named(n_blocks, n_cards):
    with pytest.raises(ValueError, match="a multiple of the cards"):
        plots.model_parallelism(n_blocks, n_cards)
