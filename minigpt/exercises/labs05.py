"""Checks for the exercises of the labs of chapter 05, predictable scaling.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
"""

import math
from collections.abc import Callable

import numpy as np

from minigpt import chinchilla
from minigpt.exercises.judging import called, compare, exercise


@exercise("my_coverage", "A 90 % interval should give 0.9, over many worlds.",
          hint="An interval holds if low <= result <= high. Take the mean of yes (1) and no (0).")  # fmt: skip
def coverage(answer: Callable[[list, list, list], float]) -> None:
    """The share of intervals that hold their result."""
    for low, high, results in (
        ([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0], [1.5, 2.0, 4.5, 4.4]),
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.2, -0.1]),
        ([5.0] * 5, [6.0] * 5, [5.1, 5.2, 7.0, 5.3, 5.4]),
    ):
        held = [a <= x <= b for a, b, x in zip(low, high, results)]
        above = [x <= b for b, x in zip(high, results)]
        below = [a <= x for a, x in zip(low, results)]
        strict = [a < x < b for a, b, x in zip(low, high, results)]
        n = len(results)
        mistakes = (
            (sum(held), "a share from 0 to 1: divide by the number of intervals"),
            (100 * sum(held) / n, "a share from 0 to 1, not per cent"),
            (1 - sum(held) / n, "that is the share that missed"),
            (sum(above) / n, "a result can also miss below: compare it with `low`, too"),
            (sum(below) / n, "a result can also miss above: compare it with `high`, too"),
            (sum(strict) / n, "a result that lies on the end of its interval is in it"),
        )
        compare(called(answer, list(low), list(high), list(results)), sum(held) / n, mistakes,
                f"for {n} intervals and the results {results}")  # fmt: skip


@exercise("my_sign_chance", "Nine of ten on one side happens by chance in 2 % of such tables.",
          hint="`math.comb(n, k) / 2**n` is the chance of exactly k on one side. Add up the counts that are as extreme "
               "or more, on both sides.")  # fmt: skip
def sign_chance(answer: Callable[[int, int], float]) -> None:
    """The two-sided sign test: how probable so lopsided signs are, if each is a coin's."""
    for n, k in ((10, 9), (10, 10), (12, 8), (7, 6)):
        tail = sum(math.comb(n, j) for j in range(k, n + 1)) / 2**n
        right = min(1.0, 2 * tail)
        mistakes = (
            (tail, "nine below would have been as surprising: count both sides"),
            (math.comb(n, k) / 2**n, "count what is more extreme, too, and both sides"),
            (2 * math.comb(n, k) / 2**n, f"count what is more extreme than {k}, too"),
            (2 * (tail - math.comb(n, k) / 2**n), f"{k} itself counts, too"),
            (1 - right, "that is the chance of the opposite"),
            (0.5**n, "that is the chance of one particular order of signs"),
        )
        compare(called(answer, n, k), right, mistakes, f"for {k} of {n} on one side")


@exercise("my_valley", "The valley is flat: an error of 0.001 nats moves its bottom by far more than 0.1 %.",
          hint="`np.polyfit(np.log(N), L, 2)` gives the parabola in log N; its lowest point is at minus the second "
               "coefficient over twice the first, in log N.")  # fmt: skip
def valley(answer: Callable[[np.ndarray, np.ndarray], float]) -> None:
    """The best size of an isoFLOP profile: the lowest point of a parabola in log N."""
    rng = np.random.default_rng(5)
    for n, middle in ((5, 2e4), (6, 3e5), (4, 8e3)):
        N = np.round(middle * np.geomspace(0.3, 4.0, n))
        L = 1.2 + 0.03 * np.log(N / middle) ** 2 + 0.002 * rng.normal(size=n)
        right, lowest = chinchilla.isoflop_optimum(N, L)
        x = np.log(N)
        curvature, slope, _ = np.polyfit(x, L, 2)
        plain = np.polyfit(N, L, 2)
        mistakes = (
            (math.log(right), "that is log N*: return the size itself"),
            (lowest, "that is the loss at the best size: return the size"),
            (float(N[L.argmin()]), "that is the best of the sizes that were tried: fit a parabola through all of them"),
            (float(-plain[1] / (2 * plain[0])), "the parabola is one in log N, not in N"),
            (float(np.exp(-slope / curvature)), "the lowest point is at minus b over twice a"),
            (float(np.exp(slope / (2 * curvature))), "the lowest point is at minus b over twice a: the sign"),
            (float(10 ** (-slope / (2 * curvature))), "np.log is the natural logarithm: go back with np.exp"),
        )
        compare(called(answer, N.copy(), L.copy()), right, mistakes, f"for {n} sizes around {middle:g}")
