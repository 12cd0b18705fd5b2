"""Pictures, the answers about them, where the model looked, and pictures as tokens: what is drawn is what was given."""

import numpy as np
import pytest
from charts import ANSWERS, IMAGE, words

from minigpt import plots


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


BLOCKS = np.kron(np.arange(48).reshape(4, 4, 3) / 47, np.ones((4, 4, 1)))
WORDS = ["what", "colour", "?"]


def test_an_image_is_cut_line_by_line_and_stands_before_its_words():
    figure = plots.image_and_words(BLOCKS, 4, WORDS, "red")
    pictures = [np.asarray(each.get_array()) for each in figure.axes[0].images]
    assert len(pictures) == 1 + 16 and all(np.allclose(part, part[0, 0]) for part in pictures[1:])
    assert [round(float(part[0, 0, 0] * 47)) for part in pictures[1:]] == [3 * i for i in range(16)]
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert places["16 patches"] < places["what"] < places["colour"] < places["?"]
    assert "4 × 4 × 3 = 48 numbers" in " ".join(words(figure))


def test_the_mask_is_causal_and_every_word_sees_every_patch():
    def cells(n_words):
        figure = plots.image_and_words(BLOCKS, 4, ["?"] * n_words)
        return sum(patch.get_alpha() in (0.35, 0.9) for patch in figure.axes[0].patches)

    assert cells(1) == 17 * 18 // 2 and cells(8) == 24 * 25 // 2


def test_an_occlusion_map_says_what_each_patch_is_worth():
    change = np.array([[0.0, 3.0], [-0.04, 0.26]])
    figure = plots.occlusion_maps([BLOCKS], [change], ["what? red"])
    picture, below, _ = figure.axes
    assert [text.get_text() for text in below.texts] == ["0.0", "3.0", "0.0", "0.3"]
    assert below.images[0].get_array().min() == 0 and picture.get_title() == "what? red"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.image_answers(IMAGE, [], []), "at least one answer"),
        (lambda: plots.image_answers(IMAGE, [np.ones((3, 4))], ANSWERS), "divide a picture"),
        (lambda: plots.pictures([], []), "got 0 and 0"),
        (lambda: plots.pictures([IMAGE], ["a", "b"]), "got 1 and 2"),
        (lambda: plots.image_and_words(IMAGE, 5, WORDS), "divide"),
        (lambda: plots.image_and_words(IMAGE, 2, WORDS), "at most 16 patches"),
        (lambda: plots.image_and_words(IMAGE, 4, []), "1 to 9 words"),
        (lambda: plots.occlusion_maps([IMAGE], [], []), "a map and a caption each"),
        (lambda: plots.occlusion_maps([IMAGE], [np.ones((3, 3))], [""]), "divide a picture"),
    ],
)
def test_bad_images_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
