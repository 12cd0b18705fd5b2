"""The checks of chapter 05 know right from wrong, and say what is wrong."""

import math

import numpy as np
from exercising import good_checks
from scipy.optimize import minimize_scalar

from minigpt.exercises import ch05


def law(C1, L1, C2, L2, c, C3):
    b, log_a = np.polyfit(np.log([C1, C2]), np.log([L1 - c, L2 - c]), 1)
    return float(np.exp(log_a + b * np.log(C3)) + c)


def cost(low, high, came, fine=20.0):
    return high - low + fine * abs(came - np.clip(came, low, high))


def size(A, B, alpha, beta, C):
    def loss(x):
        return A * np.exp(-alpha * x) + B * (C / 6 / np.exp(x)) ** -beta

    x = minimize_scalar(loss, bounds=(0, math.log(C / 6)), method="bounded", options={"xatol": 1e-12}).x
    slope = lambda x: -alpha * A * np.exp(-alpha * x) + beta * B * (C / 6 * np.exp(-x)) ** -beta  # noqa: E731
    for _ in range(20):  # Newton's method makes of the minimum, known to half of the digits, a zero known to all
        x -= slope(x) / ((slope(x + 1e-5) - slope(x - 1e-5)) / 2e-5)
    return float(np.exp(x))


def ece(confidence, correct, n_bins, weigh=True):
    place = np.minimum((np.array(confidence) * n_bins).astype(int), n_bins - 1)
    total = 0.0
    for m in np.unique(place):
        there = place == m
        gap = abs(np.mean(np.array(correct)[there]) - np.mean(np.array(confidence)[there]))
        total += gap * (there.mean() if weigh else 1 / len(np.unique(place)))
    return float(total)


def tempered(s, T):
    z = np.array(s) / T
    return np.exp(z - np.logaddexp.reduce(z))


def cut(image, size):
    x = np.array(image)
    h, w = x.shape[0] // size, x.shape[1] // size
    return x.reshape(h, size, w, size).swapaxes(1, 2).reshape(h * w, size * size)


def share(d, n, pairs=None):
    comparing = 4 * d * (sum(range(1, n + 1)) / n if pairs is None else pairs)
    return comparing / (2 * 12 * d * d + comparing)


RIGHT = {
    "forecast": [law],
    "interval_score": [cost],
    "best_size": [size],
    "calibration_error": [ece],
    "with_temperature": [tempered, lambda s, T: tempered(s, T).tolist()],
    "patches": [cut, lambda image, size: cut(image, size).tolist()],
    "attention_share": [share],
    "in_points": [lambda old, relative: old * (1 + relative / 100) - old],
}
WRONG = {
    "forecast": [
        (lambda C1, L1, C2, L2, c, C3: law(C1, L1, C2, L2, 0.0, C3), "without a floor"),
        (lambda C1, L1, C2, L2, c, C3: law(C1, L1, C2, L2, c, C3) - c, "add the floor"),
        (lambda C1, L1, C2, L2, c, C3: L1 + (L2 - L1) / (C2 - C1) * (C3 - C1), "between the logarithms"),
    ],
    "interval_score": [
        (lambda a, b, x: b - a, "twenty times"),
        (lambda a, b, x: cost(a, b, x, 1.0), "twenty times the distance"),
        (lambda a, b, x: cost(a, b, x) - (b - a), "width is paid"),
        (lambda a, b, x: cost(a, b, max(a, x)), "both sides"),
    ],
    "best_size": [
        (lambda A, B, a, b, C: C / 6 / size(A, B, a, b, C), "number of words"),
        (lambda A, B, a, b, C: size(A, B, a, b, 6 * C), "divide the compute by 6"),
        (lambda A, B, a, b, C: (C / 6) ** (b / (a + b)), "factor G"),
    ],
    "calibration_error": [
        (lambda s, r, k: ece(s, r, k, weigh=False), "weigh each bin"),
        (lambda s, r, k: ece(s, r, k) * len(s), "divide by the number"),
        (lambda s, r, k: float(np.mean(np.abs(np.array(s) - r))), "bin by bin"),
    ],
    "with_temperature": [
        (lambda s, T: tempered(s, 1 / T), "do not multiply"),
        (lambda s, T: np.exp(np.array(s) / T), "divide by the sum"),
        (lambda s, T: tempered(s, 1.0), "not used"),
        (lambda s, T: [math.exp(x / T) / sum(math.exp(y / T) for y in s) for x in s], ""),  # divides zero by zero
    ],
    "patches": [
        (lambda image, size: cut(np.array(image).T, size), "row by row"),
        (lambda image, size: [list(np.array(square).reshape(size, size).T.ravel()) for square in cut(image, size)],
         "inside a square"),
        (lambda image, size: [[x] for row in image for x in row], "each square"),
        (lambda image, size: [1, 2], "list of lists"),
    ],
    "attention_share": [
        (lambda d, n: share(d, n, n), "(n + 1) / 2"),
        (lambda d, n: 1 - share(d, n), "part of the weights"),
        (lambda d, n: 100 * share(d, n), "not per cent"),
    ],
    "in_points": [
        (lambda old, relative: relative, "relative to what"),
        (lambda old, relative: old * (1 + relative / 100), "new rate"),
        (lambda old, relative: -old * relative / 100, "sign"),
    ],
}  # fmt: skip
globals().update(good_checks(ch05, RIGHT, WRONG))
