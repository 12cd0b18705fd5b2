"""Checks for the exercises of the labs of chapter 06, GPT-4.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
"""

import re
from collections.abc import Callable

from minigpt.exercises.judging import Problem, called, compare, exercise, short


@exercise(
    "my_old_rate",
    "Two ways of telling one result give the rate that neither of them tells.",
    "`points` is the part `relative / 100` of the old rate: divide.",
)
def old_rate(answer: Callable[[float, float], float]) -> None:
    """The old rate, from one change told in points and in per cent."""
    for points, relative in ((19.0, 40.0), (-3.5, -82.0), (5.0, 100.0)):
        right = 100 * points / relative
        mistakes = (
            (right + points, "that is the new rate: the old one was asked for"),
            (points / relative, "per cent: times 100"),
            (points * relative / 100, "that would be a part of the points: divide instead"),
            (relative / points, "upside down: points / relative"),
            (100 * relative / points, "upside down: points / relative"),
            (points / (1 + relative / 100), "the change is relative to the old rate, not to the new one"),
        )
        compare(called(answer, points, relative), right, mistakes, f"for {points:+g} points, or {relative:+g} %")


@exercise(
    "my_compliance",
    "The same step looks small or large: it depends on which side is counted.",
    "Old and new share that comply are `100 - old` and `100 - old (1 - fewer / 100)`; the answer is their ratio less 1, in %.",
)
def compliance(answer: Callable[[float, float], float]) -> None:
    """From "so many per cent fewer violations" to "so many per cent more answers that comply"."""
    for old, fewer in ((41.5, 42.0), (4.3, 82.0), (50.0, 50.0), (80.0, 10.0)):
        new = old * (1 - fewer / 100)
        right = 100 * ((100 - new) / (100 - old) - 1)
        mistakes = (
            (fewer, "per cent of what? The violations became fewer; the others were more to begin with"),
            (old - new, "that is the change in points: relative to the share that complied before"),
            (100 * (old - new) / (100 - new), "relative to the share that complied *before*"),
            (right / 100, "in per cent: times 100"),
            (100 * (100 - new) / (100 - old), "how much *more*: less 100 %"),
            (100 - new, "that is the new share that complies; how much more often than before?"),
        )
        compare(called(answer, old, fewer), right, mistakes, f"for {old:g} % violations and {fewer:g} % fewer")


@exercise(
    "my_ends",
    "A bound is no measurement: say which end a figure shows.",
    "Take the digits with `re.findall`; one number is both ends, and `below 5` starts at 0.",
)
def ends(answer: Callable[[str], tuple]) -> None:
    """Both ends of a percentile as the report prints it."""
    for text in ("~90", "86-100", "below 5", "0-7", "99-100", "~54"):
        found = [float(x) for x in re.findall(r"\d+", text)]
        low, high = (0.0, found[0]) if "below" in text else (found[0], found[-1])
        got = called(answer, text)
        try:
            got_low, got_high = (float(each) for each in got)
        except (TypeError, ValueError):
            raise Problem(f"expected two numbers, (low, high), for {text!r}, and got {short(got)}") from None
        if (got_low, got_high) == (high, low) and low != high:
            raise Problem(f"first the lower end, then the upper one (for {text!r})")
        where = f"for {text!r}, the"
        compare(
            got_low,
            low,
            ((high, "a bound from above: the lower end is 0"),) if "below" in text else (),
            f"{where} lower end:",
        )
        compare(got_high, high, ((low, "a range has two ends"),), f"{where} upper end:")
