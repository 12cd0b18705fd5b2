"""Judging: named verdicts with signs and hints, numbered ones as one printed line, the score, and what graders get."""

import contextlib
import math
import sys
import types

import numpy as np
import pytest

from minigpt.exercises import judging
from minigpt.exercises.judging import NotAttempted, Problem, compare
from minigpt.notebook import display


def examine_double(answer):
    compare(judging.called(answer, 3), 6, ((9, "you took the square"),), "for 3")


double = judging.exercise("my_double", "Twice as much.", hint="Add it to itself.")(examine_double)


def half(answer):
    """Half."""
    compare(judging.called(answer, 6), 3, (), "for 6")


half = judging.exercise("my_half", "Half as much.")(half)


@pytest.fixture
def put(monkeypatch):
    bundles = []
    monkeypatch.setattr(display, "_put", lambda bundle, metadata=None: bundles.append(bundle))
    return bundles


def raising(error):
    def examine():
        raise error

    return examine


@pytest.mark.parametrize(("error", "words"), [
    (NotAttempted(), "not attempted yet"),
    (Problem("it is  too\nlong"), "not yet. It is too long."),
    (Problem("does it end with `return`?"), "not yet. Does it end with `return`?"),
    (KeyError(2), "not yet. Your answer has a form that cannot be judged; is it what was asked for? ('KeyError: 2')."),
])  # fmt: skip
def test_a_numbered_verdict_is_printed_and_a_named_one_begins_with_a_sign(error, words, put, capsys):
    judging.judge(3, raising(error), "Praise.", hint="A hint.")
    assert capsys.readouterr().out == f"exercise 3: {words}\n" and not put
    judging.judge("my_head", raising(error), "Praise.", hint="A hint.")
    sign = "○" if isinstance(error, NotAttempted) else "✗"
    assert put[0]["text/plain"] == f"{sign} my_head: {words}"
    assert ("A hint." in put[0]["text/html"]) == (sign == "✗")  # a hint for who has tried
    assert not capsys.readouterr().out


def test_a_correct_answer_is_praised_and_gets_no_hint(put, capsys):
    judging.judge(3, lambda: None, "Well done.", hint="A hint.")
    assert capsys.readouterr().out == "exercise 3: correct. Well done.\n"
    judging.judge("my_head", lambda: None, "Well done.", hint="A hint.")
    assert put[0]["text/plain"] == "✓ my_head: correct. Well done." and "A hint." not in put[0]["text/html"]


def test_outside_a_notebook_a_named_verdict_is_printed(capsys):
    double(lambda x: x * x)
    assert capsys.readouterr().out == "✗ my_double: not yet. You took the square (for 3 you have 9).\n"


def test_a_check_can_give_its_verdict_without_showing_it(put, capsys):
    assert double.verdict(lambda x: 2 * x) == ("correct", "Twice as much.")
    assert double.verdict(...) == ("not attempted yet", "")
    assert double.verdict(lambda x: x * x)[0] == "not yet"
    assert not put and not capsys.readouterr().out
    assert double.exercise == "my_double" and half.__doc__ == "Half." and half.__name__ == "half"


def test_the_score_judges_the_answers_of_this_notebook_again(put):
    chapter = types.SimpleNamespace(double=double, half=half, other=judging.exercise("my_other", "")(lambda a: None))
    judging.score({"my_double": lambda x: 2 * x, "my_half": ..., "my_head": 1, "x": 3}, chapter)
    assert put[0]["text/plain"] == "1 of 2 exercises solved\n✓ my_double\n○ my_half"  # in the notebook's order
    with pytest.raises(ValueError, match="my_double, my_half, my_other"):
        judging.score({"x": 3}, chapter)


@pytest.mark.parametrize("answer", [lambda x: x * x, ...])
def test_graders_can_have_an_answer_that_is_not_correct_raised(answer, monkeypatch):
    monkeypatch.setenv("MINIGPT_GRADE", "1")
    with pytest.raises(AssertionError, match=r"^[✗○] my_double: not"):
        double(answer)
    with pytest.raises(AssertionError, match="^exercise 1: not"):
        judging.judge(1, lambda: examine_double(answer), "")
    double(lambda x: 2 * x)  # what is right raises nothing


def test_in_a_notebook_the_verdict_is_html_with_a_plain_twin(monkeypatch):
    shown = []
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: object()))
    page = types.SimpleNamespace(display=lambda bundle, metadata, raw: shown.append(bundle))
    monkeypatch.setitem(sys.modules, "IPython.display", page)
    double(lambda x: 1)
    ((bundle,)) = shown
    assert set(bundle) == {"text/html", "text/plain"} and "<details><summary>Hint</summary>" in bundle["text/html"]


@pytest.mark.parametrize(("answer", "words"), [
    (..., None), (lambda x: ..., None), (lambda x: None, "returned nothing"), (3, "expected your function itself"),
    (lambda x: x / 0, "stopped with ZeroDivisionError"),
])  # fmt: skip
def test_an_answer_that_is_no_function_or_gives_nothing(answer, words):
    with pytest.raises(NotAttempted if words is None else Problem, match=words):
        judging.called(answer, 3)


@pytest.mark.parametrize(("got", "right", "passes"), [
    (6, 6, True), (np.array([6.0]), 6, True), (6 + 5e-6, 6, True), (6 + 7e-6, 6, False), (5e-7, 0, True),
    (5e-6, 0, False), (True, 1, False), ("6", 6, False), (np.array([6.0, 6.0]), 6, False), (math.nan, 6, False),
])  # fmt: skip
def test_a_number_must_agree_to_a_millionth_of_its_size(got, right, passes):
    with contextlib.nullcontext() if passes else pytest.raises(Problem):
        compare(got, right, (), "for 3")


def test_a_guess_must_agree_to_so_many_digits():
    compare(1000.04, 1000, (), "", tolerance=0.05)
    with pytest.raises(Problem, match="1000.0600 is not it"):
        compare(1000.06, 1000, (), "", tolerance=0.05)


def test_a_mistake_is_named_only_where_it_gives_another_number():
    with pytest.raises(Problem, match="a square .for 3 you have 9"):
        compare(9, 6, ((9, "a square"),), "for 3")
    with pytest.raises(Problem, match="for 2 it should be 4, and you have 5"):
        compare(5, 4, ((4, "a square"), (8, "a cube")), "for 2")
    with pytest.raises(Problem, match="it should be 4"):  # as near to the mistake as to what is right
        compare(4.00002, 4, ((4.00001, "nearly"),), "for 2", tolerance=1.5e-5 / 4)


@pytest.mark.parametrize(("got", "words"), [
    ([1, 2, 3.0000005], None), (np.array([1.0, 2.0, 3.0]), None), ((1, 2, 3), None), ([1, 2], "expected 3 numbers, and got 2"),
    ([1, 2, True], "expected a list of numbers"), ([1, 2, "3"], "expected a list of numbers"), (6, "expected a list"),
    ([3, 2, 1], "turned round"), ([1, 2, 3.001], "it should be .1.000, 2.000, 3.000., and you have"),
    ([1, 2, 4], "it should be"),
])  # fmt: skip
def test_lists_must_agree_number_by_number(got, words):
    with contextlib.nullcontext() if words is None else pytest.raises(Problem, match=words):
        judging.compare_lists(got, [1.0, 2.0, 3.0], (([3, 2, 1], "turned round"), (None, "nothing")), "for 3")
