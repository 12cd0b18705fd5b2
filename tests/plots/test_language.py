"""Text, tokens, continuations: the boxes hold what was given, and a page's probability is the product of its path."""

import pytest
from gallery import SPLIT, TREE, words

from minigpt import plots


def line(figure, y: float) -> list[str]:
    """The words at a height, from left to right."""
    found = [text for text in figure.axes[0].texts if text.get_position()[1] == y and text.get_ha() == "center"]
    return [text.get_text() for text in sorted(found, key=lambda text: text.get_position()[0])]


def test_words_become_characters_tokens_and_ids_one_beneath_the_other():
    figure = plots.text_to_tokens(SPLIT, title="Frequent words are one token")
    heights = sorted(
        {text.get_position()[1] for text in figure.axes[0].texts if text.get_ha() == "center"}, reverse=True
    )
    text, characters, tokens, ids = (line(figure, y) for y in heights)
    assert text == ["Tom", "␣was", "␣unhappy"] and "".join(characters) == "Tom␣was␣unhappy"
    assert tokens == ["Tom", "␣was", "␣un", "happ", "y"] and ids == ["812", "66", "301", "1,005", "89"]
    assert "15 characters → 5 tokens → 5 ids: the model sees only the ids" in words(figure)


def test_a_token_stands_beneath_its_characters_and_above_its_id():
    axes = plots.text_to_tokens(SPLIT).axes[0]
    place = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert place["happ"] == pytest.approx(place["1,005"]) and place["␣un"] == pytest.approx(place["301"])
    assert place["Tom"] == pytest.approx(place["812"])


def test_the_probability_of_a_page_is_the_product_along_its_path():
    figure = plots.continuation_tree(TREE, title="A page is a path")
    said = words(figure)
    assert said.count("0.5 × 0.6 × 0.5 = 0.15") == 2 and {"0.5 × 0.4 = 0.2", "0.3 × 1 = 0.3"} <= set(said)
    assert {"(beginning)", "Tom", "found", "a hat", "a key", "slept", "Mia", "sang", "others", "0.2"} <= set(said)
    assert "= " not in "".join(word for word in said if word.startswith("0.2"))


def test_a_likelier_branch_is_thicker_and_children_stand_right_of_their_parent():
    axes = plots.continuation_tree({"a": (0.75, {"c": (1.0, {})}), "b": (0.25, {})}).axes[0]
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths == sorted(widths, key=lambda w: {3.25: 0, 4.0: 1, 1.75: 2}[w])  # a, then c, then b
    place = {text.get_text(): text.get_position() for text in axes.texts}
    assert place["(beginning)"][0] < place["a"][0] < place["c"][0] and place["a"][1] > place["b"][1]
    assert "others" not in place


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.text_to_tokens([]), "one to about 30 characters"),
        (lambda: plots.text_to_tokens([("ab", ["a"], [1])]), "pieces that join to the word"),
        (lambda: plots.text_to_tokens([("ab", ["a", "b"], [1])]), "an id for each"),
        (lambda: plots.text_to_tokens([("a" * 60, ["a" * 60], [1])]), "fit on one line"),
        (lambda: plots.continuation_tree({}), "1 to 14 leaves"),
        (lambda: plots.continuation_tree({str(i): (0.05, {}) for i in range(15)}), "but got 16"),
        (lambda: plots.continuation_tree({"a": (0.7, {}), "b": (0.7, {})}), "add to at most 1"),
        (lambda: plots.continuation_tree({"a": (-0.1, {})}), "from 0 to 1"),
        (lambda: plots.continuation_tree({"long " * 12: (1.0, {"long " * 12: (1.0, {})})}), "fits on a page"),
    ],
)
def test_bad_texts_and_trees_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
