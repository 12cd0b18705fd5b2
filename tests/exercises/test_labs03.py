"""The checks of the labs of chapter 03 know right from wrong, and say what is wrong."""

import math

import numpy as np
from exercising import grouped, named_checks

from minigpt.exercises import labs03


def epochs(size, weight, total, over=None):
    over = over or sum(weight.values())
    return {name: weight[name] * total / over / size[name] for name in size}


def pairs(T, band):
    return int(np.tril(np.triu(np.ones((T, T)), 1 - band)).sum())


def trick(typical, verbs, things):
    return (typical + (1 - typical) / verbs) * (typical + (1 - typical) / things)


def odds(p):
    return np.log(np.array(p) / (1 - np.array(p)))


def slope(planted, said, scale=odds):
    return np.polyfit(scale(planted), scale(said), 1)[0]


def law(N, y):
    b, level = np.polyfit(np.log(N), np.log(y), 1)
    return math.exp(level), b


RIGHT = {
    "epochs": [epochs],
    "attended_pairs": [pairs, lambda T, band: sum(min(t, band) for t in range(1, T + 1))],
    "shortcut": [trick],
    "log_odds_slope": [slope],
    "power_law": [law, lambda N, y: np.array(law(N, y))],
}

WRONG = [
    ("epochs", lambda s, w, t: epochs(s, w, t, 100), "divide by their sum"),
    ("epochs", lambda s, w, t: epochs(s, w, t, 1), "divide the weights"),
    ("epochs", lambda s, w, t: {n: epochs(s, w, t)[n] * s[n] for n in s}, "those are tokens"),
    ("epochs", lambda s, w, t: {n: t / sum(s.values()) for n in s}, "without weights"),
    ("epochs", lambda s, w, t: {n: 1 / x for n, x in epochs(s, w, t).items()}, "upside down"),
    ("epochs", lambda s, w, t: {n: w[n] / sum(w.values()) for n in s}, "shares"),
    ("epochs", lambda s, w, t: list(epochs(s, w, t).values()), "expected a dict"),
    ("epochs", lambda s, w, t: dict(list(epochs(s, w, t).items())[1:]), "a number for each"),
    ("attended_pairs", lambda T, band: T * (T + 1) // 2, "full causal mask"),
    ("attended_pairs", lambda T, band: T * band - band * (band - 1) // 2, "min(band, T)"),
    ("attended_pairs", lambda T, band: T * band, "first positions"),
    ("attended_pairs", lambda T, band: pairs(T, band) - T, "itself"),
    ("attended_pairs", lambda T, band: pairs(T, band + 1), "one too many"),
    ("attended_pairs", lambda T, band: T * T, "without any mask"),
    ("shortcut", lambda t, v, n: t * t, "drawn evenly"),
    ("shortcut", lambda t, v, n: t, "drawn apart"),
    ("shortcut", lambda t, v, n: t + (1 - t) / v, "thing must be right"),
    ("shortcut", lambda t, v, n: t + (1 - t) / n, "verb must be right"),
    ("shortcut", lambda t, v, n: 1 / (v * n), "without knowing"),
    ("log_odds_slope", lambda p, q: slope(p, q, np.array), "slope of the probabilities"),
    ("log_odds_slope", lambda p, q: slope(p, q, np.log), "is not log"),
    ("log_odds_slope", lambda p, q: slope(p, q, lambda x: np.exp(odds(x))), "take their logarithm"),
    ("log_odds_slope", lambda p, q: slope(q, p), "other way round"),
    ("log_odds_slope", lambda p, q: np.polyfit(odds(p), odds(q), 1)[1], "crosses 0"),
    ("log_odds_slope", lambda p, q: float(np.mean(odds(q) / odds(p))), "mean of ratios"),
    ("power_law", lambda N, y: np.polyfit(np.log(N), np.log(y), 1), "b first, and then log a"),
    ("power_law", lambda N, y: law(N, y)[::-1], "first a, then b"),
    ("power_law", lambda N, y: (math.log(law(N, y)[0]), law(N, y)[1]), "that is log a"),
    ("power_law", lambda N, y: (law(N, y)[0], np.polyfit(N, y, 1)[0]), "logarithms of both"),
    ("power_law", lambda N, y: (law(N, y)[0], -law(N, y)[1]), "the sign"),
    ("power_law", lambda N, y: (law(N, y)[0], np.polyfit(np.log(y), np.log(N), 1)[0]), "explained"),
    ("power_law", lambda N, y: law(N, y)[0], "expected two numbers"),
]

globals().update(named_checks(labs03, RIGHT, grouped(WRONG)))
