"""Images as tokens, occlusion maps, long tables in two columns, and a rule's rewards: what is drawn is what was given."""

import numpy as np
import pytest
from gallery import words

from minigpt import plots

IMAGE = np.kron(np.arange(48).reshape(4, 4, 3) / 47, np.ones((4, 4, 1)))
WORDS = ["what", "colour", "?"]


def test_an_image_is_cut_line_by_line_and_stands_before_its_words():
    figure = plots.image_and_words(IMAGE, 4, WORDS, "red")
    pictures = [np.asarray(each.get_array()) for each in figure.axes[0].images]
    assert len(pictures) == 1 + 16 and all(np.allclose(part, part[0, 0]) for part in pictures[1:])
    assert [round(float(part[0, 0, 0] * 47)) for part in pictures[1:]] == [3 * i for i in range(16)]
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert places["16 patches"] < places["what"] < places["colour"] < places["?"]
    assert "4 × 4 × 3 = 48 numbers" in " ".join(words(figure))


def test_the_mask_is_causal_and_every_word_sees_every_patch():
    def cells(n_words):
        figure = plots.image_and_words(IMAGE, 4, ["?"] * n_words)
        return sum(patch.get_alpha() in (0.35, 0.9) for patch in figure.axes[0].patches)

    assert cells(1) == 17 * 18 // 2 and cells(8) == 24 * 25 // 2


def test_an_occlusion_map_says_what_each_patch_is_worth():
    change = np.array([[0.0, 3.0], [-0.04, 0.26]])
    figure = plots.occlusion_maps([IMAGE], [change], ["what? red"])
    picture, below, _ = figure.axes
    assert [text.get_text() for text in below.texts] == ["0.0", "3.0", "0.0", "0.3"]
    assert below.images[0].get_array().min() == 0 and picture.get_title() == "what? red"


ROWS = {"law": {"bar": {"old": 10, "new": (90, 95)}}, "maths": {"AMC 10": {"new": (6, 12)}, "AMC 12": {"new": 45}}}


def test_groups_are_divided_into_two_columns_and_every_range_begins_at_its_mark():
    figure = plots.grouped_ranges(ROWS, x_label="percentile", guess=40)
    left, right = figure.axes
    names = [[label.get_text() for label in axes.get_yticklabels()] for axes in (left, right)]
    assert names == [["law", "bar"], ["maths", "AMC 10", "AMC 12"]]
    ranges = [tuple(line.get_xdata()) for line in right.lines if line.get_linewidth() == 2.6]
    marks = [line.get_xdata()[0] for line in right.lines if line.get_marker() not in ("None", "", None)]
    assert ranges == [(6, 12), (45, 45)] and marks == [6, 45]
    assert "your guess 40" in " ".join(words(figure))


def test_a_reward_that_cannot_occur_is_left_out():
    said = words(plots.rule_flow({"forbidden": {"refusal": 2, "safe": None}, "allowed": {"refusal": -2, "safe": 0}}))
    assert [text for text in said if text in ("+2", "−2", "0", "None")] == ["+2", "−2", "0"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.image_and_words(IMAGE, 5, WORDS), "divide"),
        (lambda: plots.image_and_words(IMAGE, 2, WORDS), "at most 16 patches"),
        (lambda: plots.image_and_words(IMAGE, 4, []), "1 to 9 words"),
        (lambda: plots.occlusion_maps([IMAGE], [], []), "a map and a caption each"),
        (lambda: plots.occlusion_maps([IMAGE], [np.ones((3, 3))], [""]), "divide a picture"),
        (lambda: plots.grouped_ranges({}, x_label="x"), "expected rows"),
        (lambda: plots.grouped_ranges({"a": {"b": {"c": (2, 1)}}}, x_label="x"), "from low to high"),
        (lambda: plots.rule_flow({}), "1 to 3 requests"),
        (lambda: plots.rule_flow({"a": {"x": 1}, "b": {"y": 1}}), "same 1 to 4 classes"),
    ],
)
def test_bad_figures_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
