"""How a model is asked: what is drawn is what was given, and what changes the weights is said."""

import pytest
from gallery import ASKED, PAIRS, words
from matplotlib.colors import to_rgba
from matplotlib.text import Annotation

from minigpt import plots
from minigpt.plots import style


def arrows(figure, colour: str) -> list[tuple]:
    """(start x, end x) of the arrows of one colour, from left to right."""
    found = [text for text in figure.axes[0].texts if isinstance(text, Annotation) and not text.get_text()]
    ends = [(text.xyann[0], text.xy[0]) for text in found if text.arrow_patch.get_edgecolor() == to_rgba(colour)]
    return sorted(ends)


def middles(figure, word: str) -> list[float]:
    return [text.get_position()[0] for text in figure.axes[0].texts if text.get_text() == word]


def test_every_task_has_a_layer_at_the_left_and_a_prompt_at_the_right():
    figure = plots.task_heads_and_text(ASKED, 96, title="The task moves")
    said = words(figure)
    assert {"96 × 4", "96 × 3", "96 × 2", "96 × 1", "sad", "true", "no", "door", "The task moves"} <= set(said)
    assert f"{96 * (4 + 3 + 2 + 1):,} new weights, from labels" in said
    assert said.count("softmax") == 3 and said.count("per choice") == 1
    rows = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    for (name, classes, _, answer), other in zip(ASKED, ASKED[1:]):
        assert rows[answer] == pytest.approx(rows[f"96 × {classes}"] + 0.05)
        assert rows[name] > rows[answer] > rows[other[0]]
    assert any(word.startswith("… ") and word.endswith("Answer:") for word in said)  # a long prompt keeps its end


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 96), "1 to 5 tasks, but got 0"),
        ((ASKED * 2, 96), "but got 8"),
        (([("a", 2, "b", "")], 96), "none of them empty"),
        (([("a", 0, "b", "c")], 96), "'a': classes: expected a whole number"),
        (([("a", 2, "b", "c")], 9.5), "d_model: expected a whole number"),
    ],
)
def test_bad_tasks_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.task_heads_and_text(*arguments)


def test_the_prompts_hold_no_one_and_n_examples_and_only_fine_tuning_has_updates():
    figure = plots.shots(PAIRS, "owl", "barn", instruction="Each animal and where it lives.")
    said = words(figure)
    assert (said.count("goat : meadow"), said.count("fox : forest"), said.count("crab : beach")) == (3, 2, 1)
    assert said.count("owl :") == said.count("barn") == 4 and said.count("Each animal and\nwhere it lives.") == 3
    assert said.count("gradient update") == 2 and "few-shot, K = 3" in said
    (first, second), (last,) = middles(figure, "fox : forest"), middles(figure, "crab : beach")
    assert first == last and min(middles(figure, "gradient update")) > second > first
    assert "the weights stay as they are: examples are only read" in said and "weights change" in said
    assert "the owl lives in the" in words(
        plots.shots(PAIRS, "owl", "barn", instruction="x", n=2, written="the {} lives in the {}")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 1}, "n from 2 to 5"),
        ({"n": 4}, "as many pairs"),
        ({"pairs": [("a", "b", "c")] * 3}, "pairs"),
        ({"instruction": " "}, "none of them empty"),
    ],
)
def test_bad_prompts_are_named(options, message):
    given = {"pairs": PAIRS, "question": "owl", "answer": "barn", "instruction": "x"} | options
    with pytest.raises(ValueError, match=message):
        plots.shots(**given)


TEXT = ["goat", " meadow", " fox", " forest", " owl", " barn", " fox"]


def test_the_first_head_writes_into_b_and_the_second_goes_from_b_to_the_last_a():
    figure = plots.induction_steps(TEXT, heads=("layer 1, head 3", "layer 2, head 1"))
    said = words(figure)
    assert {"1  previous-token head: layer 1, head 3", "2  induction head: layer 2, head 1", "predicted"} <= set(said)
    a, last = middles(figure, "fox")[:2]
    b = middles(figure, "forest")[0]
    assert arrows(figure, style.PALETTE[1]) == [(a, b), (b, last)]
    assert len(arrows(figure, "#8a8a8a")) == len(TEXT) - 2  # every other token hears of the one before it, too
    assert said.count("after fox") == 2 and set(middles(figure, "after fox")) == {b}
    assert said.count("forest") == 3 and middles(figure, "forest")[-1] > last  # predicted at the end


def test_of_several_earlier_places_the_last_one_counts_and_names_are_not_needed():
    said = words(plots.induction_steps(["A", "B", "A", "C", "A"]))
    assert said.count("C") == 3 and "1  previous-token head" in said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((["A", "B", "A"],), "4 to 12 words"),
        ((["A", "B", "C", "D"],), "a last word that came before"),
        ((["A", "B", "C", "C"],), "a last word that came before"),
        ((["elephant number"] * 12,), "fit on one line"),
    ],
)
def test_bad_sequences_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        plots.induction_steps(*given)
    with pytest.raises(ValueError, match="two places"):
        plots.induction_steps(TEXT, heads=("one",))
