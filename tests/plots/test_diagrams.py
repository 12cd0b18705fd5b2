"""Diagrams: the rows of a transform are the paper's, and data parallelism counts what a step reads."""

import pytest
from charts import FIGURES, words
from gallery import visible_texts

from minigpt import plots


def test_the_batch_is_the_product():
    assert any("64 workers × 6 micro-batches × 4 windows × 2,048 tokens = 3,145,728" in word
               for word in words(FIGURES["many workers"]()))  # fmt: skip
    shown = [text.get_text() for text in visible_texts(FIGURES["workers"]())]
    assert shown.count("sum") == 3 and shown.count("mean") == 1
    assert sorted(int(word) for word in shown if word.isdigit()) == [1, 2, 3, 4, 5, 6]  # no two read the same text
    assert any(
        "1 worker × 1 micro-batch × 1 window × 8 tokens = 8" in w for w in words(plots.data_parallel(1, 1, 1, 8))
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.data_parallel(2, 0, 1, 8), "'n_micro': 0"),
    ],
)
def test_bad_diagrams_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_rows_of_a_transform_are_those_of_the_paper():
    """GPT-1, section 3.3: both orders for similarity, a sequence for each answer, delimiters between the texts."""
    start, delim, extract = ("start", "start"), ("delim", "delim"), ("extract", "extract")
    a, b = ("text", "A one"), ("text", "B two")
    assert plots.transform_rows("classification", ["A one"]) == [[start, a, extract]]
    assert plots.transform_rows("entailment", ["A one", "B two"]) == [[start, a, delim, b, extract]]
    both = [[start, a, delim, b, extract], [start, b, delim, a, extract]]
    assert plots.transform_rows("similarity", ["A one", "B two"]) == both
    choice = plots.transform_rows("multiple choice", ["A one", "B two", "C three"])
    assert choice == [[start, a, delim, ("answer", text), extract] for text in ("B two", "C three")]
    ((_, (_, cut), _),) = plots.transform_rows("classification", [" one two three four five six"])
    assert cut == "one two ... five six"
    with pytest.raises(ValueError, match="got 'poetry'"):
        plots.transform_rows("poetry", ["A"])
