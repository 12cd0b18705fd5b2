"""Occlusion maps find what an answer depends on."""

import numpy as np
import pytest
from picture_readers import PICTURE, Says

from minigpt.experiments.gpt4 import occlusion
from minigpt.worlds import shapes

pytestmark = pytest.mark.slow


def colour_at(image, place):
    row, column = 8 * (place // 2), 8 * (place % 2)
    pixels = image[row : row + 8, column : column + 8].reshape(-1, 3)
    strong = pixels[pixels.max(axis=1) > 0.5]
    near = {name: np.abs(pixels.max(axis=0) - rgb).sum() for name, rgb in shapes.COLOURS.items()}
    return min(near, key=near.get) if len(strong) else "red"


def test_the_occlusion_map_is_large_where_the_answer_is_read_and_nought_elsewhere():
    model = Says(lambda image, text: colour_at(image, 3))
    for size, side in ((4, 4), (8, 2)):
        found = occlusion.occlusion_map(model, PICTURE, "what colour is the triangle", "yellow", size)
        assert found.shape == (side, side)
        assert occlusion.by_place(found)[:3] == pytest.approx(0)
    gone = np.log(0.9) - np.log(0.1 / (len(shapes.vocabulary()) - 1))
    assert found[1, 1] == pytest.approx(gone)  # without the triangle it says "red"


@pytest.mark.parametrize(("aside", "share"), [(0, 1.0), (1, 0.0)])
def test_the_table_says_how_often_the_largest_drop_is_at_the_thing_asked_for(monkeypatch, aside, share):
    asked = occlusion.pictures_of_four(6)
    assert len({p for p, *_ in asked}) > 1 and all(p.things[place][0] == answer for p, _, answer, place in asked)
    for one in asked:
        row, column = divmod((one[3] + aside) % 4, 2)  # an answer that is right as long as something is at this place

        def looks(image, text, answer=one[2], row=row, column=column):
            return answer if (image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] > 0.5).any() else "?"

        maps = np.full((2, 4, 4), 0.05)  # the first block attends to all places alike, the second to this one alone
        maps[1] = 0
        maps[1, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 0.1
        monkeypatch.setattr(occlusion, "attention_map", lambda *_, maps=maps: maps)
        monkeypatch.setattr(occlusion, "pictures_of_four", lambda n, one=one: [one])
        found = occlusion.numbers(Says(looks), 1)
        assert found["largest drop is at the thing asked for"] == share
        assert (found["drop of log p, at the thing asked for"] > 1) == bool(share)
        assert found["share of attention, block 1"] == pytest.approx(0.25)
        assert found["share of attention, block 2"] == pytest.approx(share)
        assert found["most attention is at the thing asked for, block 2"] == share


def test_places_are_summed_from_patches():
    squares = np.arange(16.0).reshape(4, 4)
    np.testing.assert_allclose(occlusion.by_place(squares), [10, 18, 42, 50])
