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
