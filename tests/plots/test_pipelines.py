"""Inputs, targets, masks, and the way from text to tasks: what is drawn is what was given."""

import numpy as np
import pytest
from gallery import words

from minigpt import plots

PIECES = ["Tom", " has", " a", ""]


def at(figure, word) -> list[tuple]:
    return [text.get_position() for text in figure.axes[0].texts if text.get_text() == word]


def test_each_target_stands_beneath_its_input_and_is_the_next_piece():
    figure = plots.shifted_targets(PIECES, [3.0, 0.5, 1.25])
    columns: dict = {}
    for word in ("Tom", "has", "a", "(end)"):
        for x, y in at(figure, word):
            columns.setdefault(round(x, 6), {})[y] = word
    pairs = [(column[max(column)], column[min(column)]) for _, column in sorted(columns.items())]
    assert pairs == [("Tom", "has"), ("has", "a"), ("a", "(end)")]


def test_the_loss_of_each_target_is_a_bar_as_long_as_its_number():
    figure = plots.shifted_targets(PIECES, [3.0, 0.5, 1.25], [1.5, 0.5, 1.25])
    lengths = [patch.get_height() for patch in figure.axes[0].patches][-3:]
    assert np.divide(lengths, lengths[0]) == pytest.approx([1, 0.5 / 3, 1.25 / 3])
    assert {"3.00", "0.50", "1.25", "▬ floor"} <= set(words(figure))
    mark = figure.axes[0].lines[0].get_ydata()[0]
    bar = figure.axes[0].patches[-3]
    assert mark == pytest.approx(bar.get_y() + bar.get_height() / 2)


def test_what_does_not_fit_is_left_out_and_said():
    figure = plots.shifted_targets(["something"] * 30, np.arange(29.0))
    assert words(figure).count("...") == 2 and words(figure).count("something") == 10
    assert "..." not in words(plots.shifted_targets(PIECES))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"],), "at least two pieces"),
        ((["a", "b", "c"], [1.0]), "losses: expected 2 numbers"),
        ((["a", "b"], [-1.0]), "losses: expected 1 numbers of at least 0"),
        ((["a", "b"], [1.0], [1.0, 2.0]), "floor: expected 1 numbers"),
        ((["a", "b"], None, [1.0]), "floor: expected losses too"),
    ],
)
def test_bad_targets_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.shifted_targets(*arguments)


def test_gpt_sees_the_past_and_bert_sees_everything_but_the_masked_words():
    figure = plots.masks_and_inputs(["Tom", " found", " a", " red", " hat"], [1, 3])
    cells = [patch for patch in figure.axes[0].patches if patch.get_height() == pytest.approx(0.46)]
    first, second = cells[:25], cells[25:]
    assert (
        np.array([cell.get_hatch() is None for cell in first]).reshape(5, 5).tolist() == np.tri(5, dtype=bool).tolist()
    )
    assert not any(cell.get_hatch() for cell in second)
    said = words(figure)
    assert said.count("[MASK]") == 4  # two inputs, two columns
    assert said.count("no loss") == 1 + 3
    assert {"a loss at 4 of 5 positions", "a loss at 2 of 5 positions"} <= set(said)


def test_the_targets_are_the_next_word_for_gpt_and_the_hidden_word_for_bert():
    axes = plots.masks_and_inputs(["Tom", " found", " a", " hat"], [1]).axes[0]
    inputs = [axes.texts[i].get_position() for i, text in enumerate(axes.texts) if text.get_text() == "no loss"]
    right = inputs[0][0]
    targets = [
        (round(x, 3), -y, t.get_text()) for t in axes.texts for x, y in [t.get_position()] if t.get_ha() == "center"
    ]
    gpt = [word for x, y, word in sorted(targets, key=lambda item: item[1]) if right < x < right + 1.0]
    bert = [word for x, y, word in targets if x > inputs[-1][0]]
    assert gpt == ["found", "a", "hat"] and bert == ["found"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"],), "2 to 8 words"),
        ((list("abcdefghi"),), "2 to 8 words"),
        ((["a", "b"], []), "at least one"),
        ((["a", "b"], [2]), "from 0 to 1"),
        ((["incomprehensibilities and others"] * 3,), "short enough"),
    ],
)
def test_bad_masks_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.masks_and_inputs(*arguments)


def test_the_whole_of_gpt_1_in_one_picture():
    said = words(plots.pretrain_finetune({"text": "6,000 stories"}, tasks=("mood", "order"), title="Text first"))
    assert {"6,000 stories", "mood", "order", "pre-training", "fine-tuning", "copy all weights", "Text first"} <= set(
        said
    )
    assert said.count("1") == 1 and said.count("2") == 2 and "classification" not in said
    everything = " ".join(said).replace("\n", " ")
    assert "L₁: next token" in everything and "L₂ + λ L₁" in everything and "one linear layer" in everything


@pytest.mark.parametrize(
    "options", [{"sizes": {"texts": "1"}}, {"tasks": ()}, {"tasks": tuple("abcdef")}, {"problems": (("a", "b"),)}]
)
def test_a_bad_pipeline_is_named(options):
    with pytest.raises(ValueError, match="1 to 5 tasks and two problems"):
        plots.pretrain_finetune(**options)
