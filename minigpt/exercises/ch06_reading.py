"""Checks for the exercises of chapter 06, GPT-4, on reading a report: baselines, changes, temperature, context.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
"""

import math
import random
from collections import Counter
from collections.abc import Callable

from minigpt.exercises.judging import called, compare, compare_lists, exercise


@exercise(
    "my_blind_score",
    "The best score that is possible without looking. A benchmark of images should print it beside every other score.",
    "For each question take the answer that comes most often; count how many questions that gets right, of all.",
)
def blind_score(answer: Callable[[list], float]) -> None:
    """The accuracy of the best reader who sees the questions without the pictures."""
    rng = random.Random(6)
    for n in (1, 9, 40):
        words = {"what colour is the square": ("red", "red", "red", "blue"), "how many": ("two", "one", "three"),
                 "is there a cross": ("yes", "no", "no")}  # fmt: skip
        pairs = [(q, rng.choice(words[q])) for q in rng.choices(sorted(words), (3, 1, 2), k=n)]
        by_question = {}
        for question, right in pairs:
            by_question.setdefault(question, []).append(right)
        hits = {question: Counter(each).most_common(1)[0][1] for question, each in by_question.items()}
        total = sum(hits.values())
        mistakes = (
            (max(Counter(right for _, right in pairs).values()) / n,
             "that is one answer for all questions: the reader sees which question it is"),
            (total, "that is a count: divide it by the number of questions"),
            (sum(h / len(by_question[q]) for q, h in hits.items()) / len(hits),
             "questions that are asked more often count more: add up the right answers, then divide once"),
            (sum(1 / len(set(each)) for each in by_question.values()) / len(hits),
             "one of the answers that occur is commoner than the others: name that one"),
            (sum(len(each) / len(set(each)) for each in by_question.values()) / n,
             "one of the answers that occur is commoner than the others: name that one"),
            (1 - total / n, "that is the share of wrong answers"),
        )  # fmt: skip
        compare(called(answer, list(pairs)), total / n, mistakes, f"for {n} question{'s' * (n > 1)}")


@exercise(
    "my_points",
    "The same 82 % fewer is 3.5 points from 4.3 %, and 0.01 points from 0.012 %.",
    "The change is a part of the old rate: `old * relative / 100`.",
)
def points(answer: Callable[[float, float], float]) -> None:
    """From a relative change in per cent to percentage points."""
    for old, relative in ((4.3, -82.0), (50.0, 29.0), (10.0, -100.0), (41.5, -42.0)):
        right = old * relative / 100
        mistakes = (
            (relative, "that is the relative change: relative to what?"),
            (old + right, "that is the new rate; the change in points is asked for"),
            (-right, "the sign: fewer is negative"),
            (old * relative, "per cent: divide by 100"),
            (old + relative, "relative: a part of the old rate"),
            ((100 - old) * relative / 100, "relative to the old rate, not to the rest"),
        )
        compare(called(answer, old, relative), right, mistakes, f"for {old:g} % and a change of {relative:+g} %")


@exercise(
    "my_temperature",
    "The order of the choices never changes; only the confidence does.",
    "Divide the log-probabilities by T, subtract the largest, take exp, divide by the sum.",
)
def temperature(answer: Callable[[list, float], list]) -> None:
    """Probabilities of choices at a temperature, without overflow."""
    rng = random.Random(5)
    for t in (0.5, 2.0, 1.0, 4.0):
        s = [-round(5 * rng.random(), 2) - 0.1 for _ in range(4)]
        mistakes = (
            (_softmax([x * t for x in s]), "divide by the temperature, do not multiply"),
            ([math.exp(x / t) for x in s], "divide by the sum, so that they add to 1"),
            ([p / t for p in _softmax(s)], "divide the log-probabilities, before the softmax"),
            (_softmax(s), "the temperature is not used"),
            ([x / t / sum(y / t for y in s) for x in s], "take exp first"),
        )
        where = f"for log-probabilities {s} and T = {t:g}"
        compare_lists(called(answer, list(s), t), _softmax([x / t for x in s]), mistakes, where)
    big = called(answer, [-2000.0, -2001.0], 1.0)
    compare_lists(big, _softmax([0.0, -1.0]), (), "for log-probabilities [-2000, -2001] (subtract the largest first)")


def _softmax(x: list) -> list:
    e = [math.exp(each - max(x)) for each in x]
    return [each / sum(e) for each in e]


@exercise(
    "my_attention_share",
    "Half of the work is attention at m = 6 d. A wide model reaches that late.",
    "Weights: 24 d^2 operations a token. Attention: 4 d m with m = (n + 1) / 2. Return the second over the sum.",
)
def attention_share(answer: Callable[[int, int], float]) -> None:
    """What part of a block's operations is spent on QK^T and AV."""
    for d, n in ((64, 127), (1024, 2047), (12288, 32767), (64, 1)):
        m = (n + 1) / 2
        weights, pairs = 24 * d * d, 4 * d * m
        mistakes = (
            (4 * d * n / (weights + 4 * d * n), "a position looks at (n + 1) / 2 others on average, not at all n"),
            (pairs / weights, "the share of the whole: divide by both together"),
            (2 * d * m / (weights + 2 * d * m),
             "a multiplication and an addition, for the scores and for the mean: 4 d m"),
            (pairs / (12 * d * d + pairs), "each weight costs a multiplication and an addition: 24 d^2"),
            (weights / (weights + pairs), "that is the part of the weights"),
            (100 * pairs / (weights + pairs), "a share from 0 to 1, not per cent"),
        )  # fmt: skip
        compare(called(answer, d, n), pairs / (weights + pairs), mistakes, f"for d = {d} and {n} tokens")
