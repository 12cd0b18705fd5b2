"""The checks of open exercises see whether an answer is there, and never judge it."""

import pytest
import torch
from exercising import odd_checks

from minigpt.exercises import judging, open_answers

LONG = "The row on memory: a document that is less surprising than the truth may be so by luck. I would count the "
LONG += "documents never planted, too, over ten seeds, and sign it if they are fewer in each."
FILLED = {
    "predicted": 0.4,
    "found": torch.tensor(0.7),
    "because": "a sharper distribution says what it has said, so more loops",
}
RIGHT = {"critique": [LONG], "experiment": [FILLED]}


@pytest.mark.parametrize(("name", "answer", "words"), [
    ("critique", "I would not sign the last row.", "has 7 words: write at least 25"),
    ("critique", "word " * 30, "only 1 different words"),
    ("critique", 3, "a text in quotation marks"),
    ("experiment", FILLED | {"predicted": ...}, "before you run it"),
    ("experiment", FILLED | {"predicted": "more"}, '"predicted" should be a number'),
    ("experiment", FILLED | {"found": float("nan")}, '"found" should be a number'),
    ("experiment", FILLED | {"because": "it did"}, "your reason has 2 words"),
    ("experiment", {"predicted": 1}, "expected a dict with the keys"),
])  # fmt: skip
def test_what_is_no_answer_is_told_so(name, answer, words):
    found, said = getattr(open_answers, name).verdict(answer)
    assert found == "not yet" and words.lower() in said.lower()


@pytest.mark.parametrize(("name", "answer"), [
    ("critique", ...), ("critique", ""), ("critique", "..."), ("experiment", ...),
    ("experiment", dict.fromkeys(FILLED, ...)), ("experiment", FILLED | {"found": ...}),
    ("experiment", FILLED | {"because": ...}),
])  # fmt: skip
def test_an_answer_that_is_not_there_is_no_mistake(name, answer):
    assert getattr(open_answers, name).verdict(answer) == ("not attempted yet", "")


@pytest.mark.parametrize("name", RIGHT)
def test_what_was_written_is_called_written_and_not_correct_and_counts(name, capsys):
    check, answer = getattr(open_answers, name), RIGHT[name][0]
    check(answer)
    assert capsys.readouterr().out.startswith(f"✓ my_{name}: written. Nobody has judged")
    judging.score({f"my_{name}": answer}, open_answers)
    assert capsys.readouterr().out.startswith("1 of 1 exercises solved")


globals().update({
    name: test for name, test in odd_checks(open_answers, RIGHT).items() if "grader" not in name
})  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_grader_has_what_is_missing_raised_and_what_is_written_not(name, monkeypatch):
    monkeypatch.setenv("MINIGPT_GRADE", "1")
    getattr(open_answers, name)(RIGHT[name][0])
    for answer in (..., "x"):
        with pytest.raises(AssertionError, match=f"my_{name}: not"):
            getattr(open_answers, name)(answer)


def test_words_without_blanks_between_them_are_counted():
    told = "第三行的结果只来自一个种子，所以差别可能是偶然；应当换五个种子重新训练，再看区间是否包含零。"
    assert open_answers.critique.verdict(told)[0] == "written"
    assert "has 4 words" in open_answers.critique.verdict("太短了。吧")[1]
    assert "has 1 word:" in open_answers.critique.verdict("Short.")[1]
