"""Checks for the exercises of the labs of chapter 03, GPT-3.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
"""

import math
import random
from collections.abc import Callable

from minigpt.exercises.judging import Problem, called, compare, exercise, is_near, line_through, parts, short


@exercise(
    "my_epochs",
    "The crawl is never finished once; a small clean source is read several times.",
    "The tokens read from a source are `weight / sum of all weights * total`; divide them by its size.",
)
def epochs(answer: Callable[[dict, dict, float], dict]) -> None:
    """How often each source of a mixture is read."""
    cases = (
        ({"crawl": 410.0, "web": 19.0, "books": 67.0, "wiki": 3.0}, {"crawl": 60, "web": 22, "books": 16, "wiki": 3}, 300.0),
        ({"a": 10.0, "b": 40.0}, {"a": 1, "b": 1}, 100.0),
    )  # fmt: skip
    for size, weight, total in cases:
        all_weights, all_sizes = sum(weight.values()), sum(size.values())
        right = {s: weight[s] / all_weights * total / size[s] for s in size}
        mistakes = (
            ({s: weight[s] / 100 * total / size[s] for s in size},
             "the weights need not add to 100 (the paper's add to 101): divide by their sum"),
            ({s: weight[s] * total / size[s] for s in size}, "divide the weights by their sum"),
            ({s: weight[s] / all_weights * total for s in size}, "those are tokens: divide by the size of the source"),
            ({s: total / all_sizes for s in size}, "that is without weights, when every token is read equally often"),
            ({s: size[s] / (weight[s] / all_weights * total) for s in size}, "upside down: epochs are tokens read / size"),
            ({s: weight[s] / all_weights for s in size}, "those are the shares of what is read, not epochs"),
        )  # fmt: skip
        got = called(answer, dict(size), dict(weight), total)
        where = f"for {total:g} tokens from sources of {list(size.values())}"
        if not isinstance(got, dict):
            raise Problem(f"expected a dict, got {type(got).__name__} {where}")
        if set(got) != set(size):
            raise Problem(f"expected a number for each of {list(size)}, got {short(got)} {where}")
        for name, value in right.items():
            compare(got[name], value, tuple((wrong[name], said) for wrong, said in mistakes), f"{where}, {name!r}:")


@exercise(
    "my_attended_pairs",
    "It grows like T for a fixed band, and like the square of T without one.",
    "Position t, counted from 0, sees `min(t + 1, band)` positions: add them up.",
)
def attended_pairs(answer: Callable[[int, int], int]) -> None:
    """How many pairs a banded causal mask lets through."""
    for T, band in ((7, 3), (10, 4), (5, 1), (4, 9)):
        right = sum(min(t + 1, band) for t in range(T))
        mistakes = (
            (T * (T + 1) // 2, "that is the full causal mask: each position sees only `band` positions"),
            (T * band - band * (band - 1) // 2, "right as long as the band is no wider than the window: use min(band, T)"),
            (T * band, "the first positions have fewer than `band` to look at"),
            (sum(min(t, band) for t in range(T)), "a position sees itself, too"),
            (sum(min(t, band - 1) for t in range(T)), "a position sees itself, too: that is one more for each"),
            (sum(min(t + 1, band + 1) for t in range(T)), "one too many a row: the band includes the position itself"),
            (T * T, "that is without any mask"),
            (sum(min(T, t + band) - max(0, t - band + 1) for t in range(T)), "nobody looks ahead: the mask is causal"),
        )  # fmt: skip
        compare(called(answer, T, band), right, mistakes, f"for {T} positions and a band of {band}")


@exercise(
    "my_shortcut",
    "A score below this line shows no translating at all.",
    "The usual verb comes with `typical`, and also by chance among the rest; the same for the thing; both must be right.",
)
def shortcut(answer: Callable[[float, int, int], float]) -> None:
    """How often "say what this animal usually does" is a correct translation."""
    for typical, verbs, things in ((0.9, 11, 24), (0.5, 4, 10), (0.0, 5, 8)):
        verb, thing = (typical + (1 - typical) / n for n in (verbs, things))
        mistakes = (
            (typical**2, "an action drawn evenly can be the usual one, too: add (1 - typical) / n"),
            (typical, "verb and thing are drawn apart: both must be the usual ones"),
            (verb, "the thing must be right, too"),
            (thing, "the verb must be right, too"),
            ((verb + thing) / 2, "both must be right at once: multiply"),
            (typical**2 + (1 - typical) ** 2 / (verbs * things), "they are independent: first each one's probability, then the product"),
            (1 / (verbs * things), "that is guessing without knowing what is usual"),
        )  # fmt: skip
        where = f"for typical = {typical}, {verbs} verbs and {things} things"
        compare(called(answer, typical, verbs, things), verb * thing, mistakes, where)


@exercise(
    "my_log_odds_slope",
    "1: as planted; above 1: amplified; below 1: washed out.",
    "The log-odds of p are `log(p / (1 - p))`; the slope is sum of (x - mean x)(y - mean y) over sum of (x - mean x) squared.",
)
def log_odds_slope(answer: Callable[[list, list], float]) -> None:
    """The slope of a model's log-odds against the planted ones."""
    rng = random.Random(11)
    planted = [0.9, 0.75, 0.6, 0.4, 0.25, 0.1]

    def odds(p):
        return math.log(p / (1 - p))

    for stretch in (1.0, 1.8, 0.5):
        y = [stretch * odds(p) + 0.4 * (rng.random() - 0.5) for p in planted]
        said = [1 / (1 + math.exp(-v)) for v in y]
        x = [odds(p) for p in planted]
        right = line_through(x, y)[0]
        mistakes = (
            (line_through(planted, said)[0], "that is the slope of the probabilities: take the log-odds of both"),
            (line_through(*([math.log(p) for p in each] for each in (planted, said)))[0], "log(p) is not log(p / (1 - p))"),
            (line_through([p / (1 - p) for p in planted], [p / (1 - p) for p in said])[0], "those are the odds: take their logarithm"),
            (line_through(y, x)[0], "the model's log-odds are explained by the planted ones, not the other way round"),
            (sum(b / a for a, b in zip(x, y)) / len(x), "fit a line; a mean of ratios gives the small ones too much weight"),
            (line_through(x, y)[1], "that is where the line crosses 0: the slope was asked for"),
        )  # fmt: skip
        got = called(answer, list(planted), list(said))
        compare(got, right, mistakes, f"for planted {planted} and a model that says {short(said)}")


@exercise(
    "my_power_law",
    "A straight line on log-log axes: the slope is the exponent.",
    "`np.polyfit(np.log(N), np.log(y), 1)` gives b first, and then log a.",
)
def power_law(answer: Callable[[list, list], tuple]) -> None:
    """The two numbers of y = a N^b from points, by least squares through the logarithms."""
    rng = random.Random(6)
    for a, b in ((2.57, -0.048), (7.0, -0.3), (0.5, 0.25)):
        N = [10 ** (x / 2) for x in range(-6, 7, 2)]
        y = [a * n**b * math.exp(0.02 * (rng.random() - 0.5)) for n in N]
        got = parts(called(answer, list(N), list(y)), 2, "two numbers, a and b")
        log_n, log_y = [math.log(n) for n in N], [math.log(v) for v in y]
        slope, level = line_through(log_n, log_y)
        where = f"for points near y = {a:g} N^{b:g}"
        if is_near(got[0], slope) and (is_near(got[1], level) or is_near(got[1], math.exp(level))):
            words = "b first, and then log a" if is_near(got[1], level) else "b first"
            raise Problem(f"the order: first a, then b; you have {words} ({where})")
        mistakes = (
            (line_through(N, y)[0], "fit a line through the logarithms of both, N and y"),
            (line_through(log_n, y)[0], "take the logarithm of y, too"),
            (-slope, "the sign: y falls when b is negative, y = a N^b"),
            (line_through(log_y, log_n)[0], "you fitted N against y: y is what is explained"),
        )
        compare(got[1], slope, mistakes, where + ", b:")
        mistakes = (
            (level, "that is log a: take e to the power of it"),
            (10**level, "the logarithm was natural: take e to the power of it, not 10"),
            (y[0], "a is the value at N = 1, not at the smallest N"),
        )
        compare(got[0], math.exp(level), mistakes, where + ", a:")
