"""The checks of the labs of chapter 05 know right from wrong, and say what is wrong."""

import numpy as np
from exercising import grouped, named_checks
from scipy.stats import binomtest

from minigpt.exercises import labs05


def coverage(low, high, results):
    x = np.array(results)
    return float(((np.array(low) <= x) & (x <= np.array(high))).mean())


def sign_chance(n, k):
    return float(binomtest(k, n).pvalue)


def valley(N, L):
    a, b, _ = np.polyfit(np.log10(N), L, 2)
    return float(10 ** (-b / (2 * a)))


RIGHT = {"coverage": [coverage], "sign_chance": [sign_chance], "valley": [valley]}
WRONG = grouped([
    ("coverage", lambda low, high, x: coverage(low, high, x) * len(x), "divide by the number"),
    ("coverage", lambda low, high, x: 1 - coverage(low, high, x), "share that missed"),
    ("coverage", lambda low, high, x: float(np.mean(np.array(x) <= high)), "miss below"),
    ("coverage", lambda low, high, x: float(np.mean(np.array(x) >= low)), "miss above"),
    ("coverage", lambda low, high, x: float(np.mean((np.array(x) > low) & (np.array(x) < high))), "on the end"),
    ("sign_chance", lambda n, k: float(binomtest(k, n, alternative="greater").pvalue), "both sides"),
    ("sign_chance", lambda n, k: float(binomtest(k + 1, n, alternative="greater").pvalue) * 2 if k < n else 0.0, "itself counts"),
    ("sign_chance", lambda n, k: 0.5**n, "one particular order"),
    ("valley", lambda N, L: float(np.log(valley(N, L))), "that is log N"),
    ("valley", lambda N, L: float(N[L.argmin()]), "fit a parabola"),
    ("valley", lambda N, L: float(-np.polyfit(N, L, 2)[1] / (2 * np.polyfit(N, L, 2)[0])), "not in N"),
    ("valley", lambda N, L: float(np.exp(-np.polyfit(np.log(N), L, 2)[1] / np.polyfit(np.log(N), L, 2)[0])), "twice a"),
])  # fmt: skip
globals().update(named_checks(labs05, RIGHT, WRONG))
