"""The checks of chapter 05 on laws know right from wrong, and say what is wrong."""

import math

import numpy as np
from exercising import grouped, named_checks
from scipy.optimize import minimize_scalar

from minigpt.exercises import ch05_laws


def tokens(C, N, each=6):
    return C / N / each


def law(C1, L1, C2, L2, E, C3):
    slope, level = np.polyfit(np.log([C1, C2]), np.log([L1 - E, L2 - E]), 1)
    return float(np.exp(level + slope * np.log(C3)) + E)


def cost(low, high, came, fine=20.0):
    return high - low + fine * abs(came - np.clip(came, low, high))


def size(A_N, A_D, alpha_N, alpha_D, C):
    def loss(x):
        return A_N * np.exp(-alpha_N * x) + A_D * (C / 6 / np.exp(x)) ** -alpha_D

    x = minimize_scalar(loss, bounds=(0, math.log(C / 6)), method="bounded", options={"xatol": 1e-12}).x
    slope = lambda x: -alpha_N * A_N * np.exp(-alpha_N * x) + alpha_D * A_D * (C / 6 * np.exp(-x)) ** -alpha_D  # noqa: E731
    for _ in range(20):  # Newton's method makes of the minimum, known to half of the digits, a zero known to all
        x -= slope(x) / ((slope(x + 1e-5) - slope(x - 1e-5)) / 2e-5)
    return float(np.exp(x))


def growth(C1, L1, C2, L2):
    return math.log(L2 / L1) / math.log(C2 / C1)


def factor(A_N, A_D, alpha_N, alpha_D):
    return (alpha_N * A_N / (alpha_D * A_D)) ** (1 / (alpha_N + alpha_D))


RIGHT = {"tokens": [tokens, lambda C, N: np.float64(C) / (6 * N)], "forecast": [law], "interval_score": [cost],
         "best_size": [size]}  # fmt: skip
WRONG = grouped([
    ("tokens", lambda C, N: tokens(C, N, 1), "divide by 6"),
    ("tokens", lambda C, N: tokens(C, N, 2), "forward pass only"),
    ("tokens", lambda C, N: tokens(C, N, 4), "backward pass only"),
    ("tokens", lambda C, N: tokens(C, N, 1 / 6), "divide by them"),
    ("tokens", lambda C, N: C / 6, "that is N D"),
    ("forecast", lambda C1, L1, C2, L2, E, C3: L1 * (C3 / C1) ** growth(C1, L1, C2, L2), "without a floor"),
    ("forecast", lambda *a: law(*a) - a[4], "add the floor again"),
    ("forecast", lambda C1, L1, C2, L2, E, C3: float(np.interp(C3, [C1, C3], [L1, L1 + (L2 - L1) / (C2 - C1) * (C3 - C1)])),
     "between the logarithms"),
    ("forecast", lambda C1, L1, C2, L2, E, C3: E + (L1 - E) * (C3 / C1) ** -growth(C1, L1 - E, C2, L2 - E), "sign of the"),
    ("interval_score", lambda low, high, came: high - low, "a miss costs twenty times"),
    ("interval_score", lambda low, high, came: cost(low, high, came, 1.0), "twenty times the distance"),
    ("interval_score", lambda low, high, came: cost(low, high, came, 10.0), "is 20"),
    ("interval_score", lambda low, high, came: high - low + 20 * max(0, came - high), "both sides"),
    ("interval_score", lambda low, high, came: cost(low, high, came) - high + low, "width is paid"),
    ("best_size", lambda A_N, A_D, n, d, C: C / 6 / size(A_N, A_D, n, d, C), "number of tokens"),
    ("best_size", lambda A_N, A_D, n, d, C: factor(A_N, A_D, n, d) * C ** (d / (n + d)), "divide the compute by 6"),
    ("best_size", lambda A_N, A_D, n, d, C: factor(A_N, A_D, n, d) * (C / 6) ** (n / (n + d)), "the exponent is"),
    ("best_size", lambda A_N, A_D, n, d, C: (C / 6) ** (d / (n + d)), "the factor G"),
])  # fmt: skip
globals().update(named_checks(ch05_laws, RIGHT, WRONG))
