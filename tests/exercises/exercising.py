"""The four tests that every chapter's checks must pass, given right and wrong answers. No test file itself."""

import pytest


def good_checks(module, right: dict, wrong: dict) -> dict:
    """Tests of an exercise module, by name, for `globals().update`.

    right: check -> answers that are right; wrong: check -> (answer, words that the diagnosis must hold).
    """

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
        assert said(name, lambda *arguments: ..., capsys).endswith("not attempted yet")
        assert said(name, ..., capsys).endswith("not attempted yet")

    @pytest.mark.parametrize("name", right)
    @pytest.mark.parametrize("answer", [lambda *a: None, lambda *a: 1 / 0, lambda *a: "x", lambda *a: {}, 3])
    def test_no_answer_however_strange_stops_a_check(name, answer, capsys):
        assert "not yet." in said(name, answer, capsys)

    return {name: test for name, test in locals().items() if name.startswith("test_")}
