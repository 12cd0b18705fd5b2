"""The two figures of words and their probabilities: what is drawn is what was given, and nothing overlaps."""

import math
from itertools import pairwise

import pytest
from charts import ANSWERS, PROMPT
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from minigpt import plots
from minigpt.notebook import display
from minigpt.plots import style

PLACES = {" forest": 0.5, " sea": 0.3, " farm": 0.15, " river": 0.04, "": 0.01}


def lengths(figure) -> list[float]:
    """The lengths of the lying bars, from top to bottom."""
    return [bar.get_width() for bar in figure.axes[0].patches]


def names(figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def written(figure) -> str:
    return " | ".join(text.get_text() for text in figure.axes[0].texts)


def test_the_most_probable_words_come_first_and_the_rest_is_one_bar():
    figure = plots.next_word("She went to the", PLACES, n=3)
    assert names(figure) == ["forest", "sea", "3 other words"]
    assert lengths(figure) == pytest.approx([0.5, 0.3, 0.2])


def test_a_single_word_too_many_is_drawn_too():
    assert names(plots.next_word("", PLACES, n=4)) == ["forest", "sea", "farm", "river", "(end)"]


@pytest.mark.parametrize("actual", list(PLACES))
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_the_word_that_comes_is_always_there_and_marked_once(actual, n):
    figure = plots.next_word("x", PLACES, actual, n=n)
    assert style.visible(actual).replace("␣", "") in names(figure) or actual == "" and "(end)" in names(figure)
    assert written(figure).count("this one comes") == 1
    assert sum(lengths(figure)) == pytest.approx(1.0)


def test_a_word_that_cannot_come_is_refused():
    with pytest.raises(ValueError, match="moon"):
        plots.next_word("x", PLACES, " moon")


def test_a_long_beginning_is_cut_between_words_and_dollars_are_no_formulas():
    figure = plots.next_word("Alas! " * 40 + "It cost $5 and $6 for the", {" hat": 1.0}, " hat")
    title = figure.axes[0].get_title(loc="left")
    assert title.startswith("… Alas!") and "$5 and $6" in title.replace("\n", " ")
    style.png(figure)


STORY = ["Lucy", " saw", " a", " fox", ".", "\n", "End", "."]


def test_surprise_bars_have_the_heights_they_are_given():
    values = [3.0, 1.5, 0.0, 3.0, 0.0, 0.7, 0.0, 0.04]
    figure = plots.surprise(STORY, {"world": values})
    bars = figure.axes[0].patches
    assert [bar.get_height() / bars[0].get_height() for bar in bars] == pytest.approx([v / 3 for v in values])
    assert written(figure).count("3.0") == 2 and "0.0" not in written(figure)


def test_words_stand_in_reading_order_and_never_overlap():
    values = [math.sin(i) ** 2 for i in range(len(STORY) * 9)]
    figure = plots.surprise(STORY * 9, {"one": values, "two": values[::-1]}, width=5.0)
    boxes = [bar.get_bbox() for bar in figure.axes[0].patches][: 2 * len(values)]
    for a, b in pairwise(boxes):
        assert b.x0 >= a.x1 - 1e-9 or b.y0 < a.y0 - 0.3, "to the right of the word before, or on the next line"
    assert max(box.x1 for box in boxes) <= 5.0
    assert "one" in written(figure) and "two" in written(figure)


@pytest.mark.parametrize("names", [["the truth", "our model"], ["a much longer name than usual", "4-gram"]])
@pytest.mark.parametrize("title", ["", "Word by word", "A title wider than the figure, word by word, for $5 and $6"])
def test_title_and_legend_never_lie_over_anything(names, title):
    values = [3.0] * len(STORY)
    figure = plots.surprise(STORY, dict.fromkeys(names, values), title=title, width=5.0)
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    drawn = [*axes.texts, *axes.artists, *axes.patches]
    boxes = [thing.get_window_extent(renderer) for thing in drawn if getattr(thing, "_text", "x")]
    heading = [i for i, thing in enumerate(axes.texts) if thing.get_weight() == "bold" or thing.get_text() in names]
    assert len(heading) >= 2 + bool(title)
    for i in heading:
        assert boxes[i].x0 >= 0 and boxes[i].x1 <= figure.bbox.width and boxes[i].y1 <= figure.bbox.height
        assert not any(boxes[i].overlaps(box) for j, box in enumerate(boxes) if j != i)


@pytest.mark.parametrize("series", [{}, {"a": [1.0]}, {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]}])
def test_surprise_refuses_what_it_cannot_draw(series):
    with pytest.raises(ValueError, match="expected one or two series of 2"):
        plots.surprise(["a", " b"], series)


def test_a_page_is_cut_between_words_and_nothing_is_lost(capsys):
    text = "one two three four five six\n" + "x" * 30 + "\n\nend"
    display.page(text, width=12)
    printed = capsys.readouterr().out
    assert printed.startswith("one two\n    three\n    four\n    five six\n") and printed.endswith("\n\nend\n\n")
    assert "".join(printed.split()) == "".join(text.split())


def test_a_prompt_is_shown_as_it_is_read_with_its_answers_sorted_and_the_right_one_marked():
    figure = plots.prompt_answers(PROMPT, ANSWERS[::-1], " mill")
    paper, axes = figure.axes
    read = [text.get_text() for text in paper.texts]
    assert read == ["where do they live?", "the fox lives in the forest", "", "the owl lives in the ___"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["forest", "sea", "mill"]
    assert [bar.get_width() for bar in axes.patches] == [0.71, 0.2, 0.09]
    assert [text.get_text() for text in axes.texts] == ["0.710", "0.200", "0.090  ◀ right"]


def test_a_long_prompt_shows_its_end_and_the_right_answer_is_always_drawn():
    figure = plots.prompt_answers("one\ntwo\nthree\nfour $5", ANSWERS, " mill", n=2, n_lines=3)
    assert [text.get_text() for text in figure.axes[0].texts] == ["...", "three", "four $5 ___"]
    assert not any(text.get_parse_math() for text in figure.findobj(Text))  # a $ is drawn as a dollar
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["forest", "mill"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.prompt_answers("x", []), "at least one answer"),
        (lambda: plots.prompt_answers("x", ANSWERS, " pond"), "' pond' among them"),
        *((lambda width=width: plots.prompt_lines("x y", width), "a width in letters") for width in (float("nan"), 4, True)),
    ],
)
def test_bad_prompts_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_best_possible_learner_is_an_outline_at_every_answer_also_at_one_the_model_does_not_give():
    given = [(" barn", 0.6), (" sea", 0.3)]
    axes = plots.prompt_answers("fox forest owl", given, " barn", best=[(" barn", 0.9), (" cave", 0.4)]).axes[1]
    widths = [bars.patches[0].get_width() for bars in axes.containers]
    assert widths == [0.6, 0.9, 0.0, 0.4, 0.3, 0.0]  # barn, cave, sea: the model, then the learner
    assert [bars.patches[0].get_facecolor()[3] for bars in axes.containers][1::2] == [0, 0, 0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["barn", "cave", "sea"]
    assert [text.get_text() for text in axes.texts][0] == "0.60 (best 0.90)  ◀ right"
