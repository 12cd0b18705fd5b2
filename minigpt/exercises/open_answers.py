"""Checks for the open exercises of chapters 02 and 03, whose answers are words: that they are there, never how good.

A prediction and a reason, or a critique, cannot be judged by a program. What these checks refuse is an answer that is
not one: no text, too few words, or the same words over and over.
"""

import math
import numbers
import re

from minigpt.exercises.judging import NotAttempted, Problem, exercise, scalar, short

LEAST = {"critique": 25, "reason": 10}  # words
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")  # or a letter of Chinese, Japanese
_SIGNS = ".,;:!?\"'()，。；：！？、（）“”"


@exercise("my_critique", "Nobody has judged it: compare it with the solution, or with a neighbour's.", done="written",
          hint="Three sentences: which row; what else would explain its numbers; what you would measure, over how "
               "many seeds, and which result would convince you.")  # fmt: skip
def critique(answer: str) -> None:
    """A few sentences on a row of the claims table."""
    _check_words(answer, LEAST["critique"], "your critique")


@exercise("my_experiment", "Nobody has judged your reason: which result would have shown that it is wrong?",
          done="written",
          hint='`{"predicted": 0.4, "found": 0.7, "because": "..."}`: two numbers and a sentence.')  # fmt: skip
def experiment(answer: dict) -> None:
    """A number predicted, the number found, and a reason."""
    if answer is ...:
        raise NotAttempted
    keys = ("predicted", "found", "because")
    if not isinstance(answer, dict) or set(answer) != set(keys):
        raise Problem(f"expected a dict with the keys {', '.join(keys)}; got {short(answer)}")
    if any(answer[key] is ... for key in keys):
        if answer["predicted"] is ... and answer["found"] is not ...:
            raise Problem("write down what you predict before you run it: a guess after the result is none")
        raise NotAttempted
    for key in ("predicted", "found"):
        value = scalar(answer[key])
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise Problem(f'"{key}" should be a number, and it is {short(answer[key])}')
    _check_words(answer["because"], LEAST["reason"], "your reason")


def _check_words(answer, least: int, what: str) -> None:
    if answer is ...:
        raise NotAttempted
    if not isinstance(answer, str):
        raise Problem(f"{what} should be a text in quotation marks, and it is {short(answer)}")
    words = [word.strip(_SIGNS) for word in _WORD.findall(answer.lower())]
    words = [word for word in words if word]
    if not words or words == ["..."]:
        raise NotAttempted
    if len(words) < least:
        raise Problem(f"{what} has {len(words)} word{'s' * (len(words) != 1)}: write at least {least}, in sentences")
    if len(set(words)) < least / 2:
        raise Problem(f"{what} has only {len(set(words))} different words")
