"""The tests that every chapter's checks must pass, given right and wrong answers. No test file itself."""

import math
import re

import numpy as np
import pytest
import torch


class Wordless:
    """An object that cannot say what it is, nor be compared."""

    def __repr__(self):
        raise RuntimeError("no words")

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = None


ODD = [
    True, 0, -1, 10**400, math.nan, math.inf, 1j, "", "0.5", b"x", [], [[]], [1, "a"], [None], (), (1,), (1, 2, 3), {1}, {"a": 1},
    [[1, 2], [3]], [math.nan] * 3, np.array([]), np.zeros(3), np.zeros((2, 2)), np.array(["a"]), np.array(0.5),
    np.array([None]), torch.zeros(3), torch.zeros(2, 2, 2), torch.tensor([]), torch.tensor(True), torch.zeros(3, 4).long(),
    range(3), iter([1]), object(), Wordless(), [Wordless()], (Wordless(), 1), type, len,
]  # fmt: skip


def grouped(triples: list) -> dict:
    """(check, wrong answer, words of the diagnosis) -> check -> (answer, words), as `good_checks` takes them."""
    wrong = {}
    for check, answer, words in triples:
        wrong.setdefault(check, []).append((answer, words))
    return wrong


def named_checks(module, right: dict, wrong: dict) -> dict:
    """Tests of a module whose exercises have names: those of `good_checks`, and that none is forgotten."""

    def test_every_exercise_is_tried_here_with_two_wrong_answers_or_more_and_has_the_name_of_its_check():
        ours = {name: x for name, x in vars(module).items() if getattr(x, "__module__", "").startswith(module.__name__)}
        checks = {name for name in ours if not name.startswith("_")}
        assert checks == set(right) == set(wrong)
        assert {name: getattr(module, name).exercise for name in checks} == {name: f"my_{name}" for name in checks}
        assert min(map(len, wrong.values())) >= 2

    return good_checks(module, right, wrong) | {
        name: test for name, test in locals().items() if name.startswith("test_")
    }


def good_checks(module, right: dict, wrong: dict) -> dict:
    """Tests of an exercise module, by name, for `globals().update`.

    right: check -> answers that are right; wrong: check -> (answer, words that the diagnosis must hold). An exercise
    whose answer is a number and no function is called with nothing.
    """
    functions = {name for name, answers in right.items() if callable(answers[0])}

    def said(name, answer, capsys):
        getattr(module, name)(answer)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1
        return lines[0]

    @pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, each in right.items() for answer in each])
    def test_right_answers_are_correct(name, answer, capsys):
        assert "correct." in said(name, answer, capsys)

    @pytest.mark.parametrize(("name", "answer", "hint"), [(n, a, h) for n, each in wrong.items() for a, h in each])
    def test_wrong_answers_are_told_what_is_wrong(name, answer, hint, capsys):
        line = said(name, answer, capsys)
        assert "not yet." in line
        assert hint.lower() in line.lower()

    @pytest.mark.parametrize("name", right)
    def test_an_empty_answer_is_not_a_mistake(name, capsys):
        if name in functions:
            assert said(name, lambda *arguments: ..., capsys).endswith("not attempted yet")
        assert said(name, ..., capsys).endswith("not attempted yet")

    @pytest.mark.parametrize("name", right)
    @pytest.mark.parametrize("answer", [lambda *a: None, lambda *a: 1 / 0, lambda *a: "x", lambda *a: {}, 3])
    def test_no_answer_however_strange_stops_a_check(name, answer, capsys):
        assert "not yet." in said(name, answer, capsys)

    @pytest.mark.parametrize("name", sorted(functions))
    def test_an_error_in_the_answer_is_explained(name, capsys):
        assert "not yet. Your function stopped with ZeroDivisionError" in said(name, lambda *a: 1 / 0, capsys)

    return odd_checks(module, right) | {name: test for name, test in locals().items() if name.startswith("test_")}


def odd_checks(module, right: dict) -> dict:
    """Tests that every odd answer gets one line from every check, and that a grader can have wrong ones raised."""

    @pytest.mark.slow
    @pytest.mark.parametrize("name", right)
    def test_every_odd_answer_gets_one_line(name, capsys):
        for odd in ODD:
            for answer in (odd, lambda *a, odd=odd: odd):
                getattr(module, name)(answer)
                lines = capsys.readouterr().out.splitlines()
                assert len(lines) == 1 and re.match(r"exercise \d|[✓✗○] my_\w+: ", lines[0]), lines

    @pytest.mark.parametrize("name", right)
    def test_a_grader_can_have_a_wrong_answer_raised(name, capsys, monkeypatch):
        monkeypatch.setenv("MINIGPT_GRADE", "1")
        with pytest.raises(AssertionError, match="^(exercise|✗ my_).*not yet"):
            getattr(module, name)(lambda *a: "x")
        getattr(module, name)(right[name][0])  # what is right raises nothing
        assert "correct." in capsys.readouterr().out

    return {name: test for name, test in locals().items() if name.startswith("test_")}
