"""Checks for the exercises of the labs of chapter 06, GPT-4.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
"""

import math
import random
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


@exercise(
    "my_brier",
    "It punishes both: being wrong, and being unsure. Honest probabilities make it smallest on average.",
    "For each question add up `(p_i - right_i) ** 2` over the choices, where `right_i` is 1 for the right one; then the mean.",
)
def brier(answer: Callable[[list, list], float]) -> None:
    """The Brier score of probabilities over choices."""
    rng = random.Random(8)
    for n, choices in ((1, 3), (5, 4), (12, 3)):
        raw = [[rng.random() for _ in range(choices)] for _ in range(n)]
        p = [[x / sum(row) for x in row] for row in raw]
        right = [rng.randrange(choices) for _ in range(n)]
        each = [sum((x - (i == r)) ** 2 for i, x in enumerate(row)) for row, r in zip(p, right)]
        mistakes = (
            (sum(each), "the mean over the questions, not the sum"),
            (sum(each) / n / choices, "the sum over the choices, the mean over the questions only"),
            (sum((1 - row[r]) ** 2 for row, r in zip(p, right)) / n,
             "all choices count, not only the right one: probability on a wrong one is a mistake as well"),
            (sum(sum(abs(x - (i == r)) for i, x in enumerate(row)) for row, r in zip(p, right)) / n,
             "the squares of the differences"),
            (sum(-math.log(row[r]) for row, r in zip(p, right)) / n, "that is the cross-entropy"),
            (1 - sum(each) / n, "smaller is better here: do not subtract from 1"),
        )  # fmt: skip
        where = f"for {n} question{'s' * (n > 1)} with {choices} choices"
        compare(called(answer, [list(row) for row in p], list(right)), sum(each) / n, mistakes, where)


@exercise(
    "my_coverage",
    "Coverage at a fixed accuracy: what abstaining costs.",
    "Sort by confidence, the highest first; for each k take the accuracy of the first k; the largest k that keeps the target, over n.",
)
def coverage(answer: Callable[[list, list, float], float]) -> None:
    """The largest share of questions that can be answered, the surest first, with a target accuracy."""
    rng = random.Random(9)
    for n, target in ((10, 0.8), (30, 0.9), (12, 0.0), (20, 1.0)):
        sure = [round(x, 4) for x in rng.sample([i / 1000 for i in range(200, 999)], n)]
        correct = [int(rng.random() < s) for s in sure]
        order = sorted(range(n), key=lambda i: -sure[i])
        kept = [sum(correct[i] for i in order[: k + 1]) / (k + 1) for k in range(n)]
        good = [k + 1 for k in range(n) if kept[k] >= target]
        right = max(good, default=0) / n
        first = next((k for k in range(n) if kept[k] < target), n) / n
        turned = [sum(correct[i] for i in order[::-1][: k + 1]) / (k + 1) for k in range(n)]
        mistakes = (
            (first, "the accuracy can fall below the target and come back: take the largest k, not the first failure"),
            (max(good, default=0), "a share: divide by the number of questions"),
            (max((k + 1 for k in range(n) if turned[k] >= target), default=0) / n, "the surest answers come first"),
            (sum(s >= target for s in sure) / n, "that trusts the confidence itself: count right answers"),
            (1 - right, "that is the share on which it abstains"),
        )
        where = f"for {n} answers and a target of {target:g}"
        compare(called(answer, list(sure), list(correct), target), right, mistakes, where)
