"""The checks of the labs of chapter 06 know right from wrong, and say what is wrong."""

import re

import numpy as np
from exercising import grouped, named_checks

from minigpt.exercises import labs06


def more(old, fewer):
    comply = 100 - old
    return 100 * (old * fewer / 100) / comply


def ends(text):
    found = [int(x) for x in re.findall(r"\d+", text)]
    return (0, found[0]) if text.startswith("below") else (found[0], found[-1])


def squares(p, right, choices=None):
    p = np.array(p, float)
    return ((p - np.eye(p.shape[1])[right]) ** 2)[:, choices or slice(None)].sum(axis=1).mean()


def kept(sure, correct, target, sign=-1):
    order = np.argsort(sign * np.array(sure))
    share = np.cumsum(np.array(correct)[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share >= target)
    return 0.0 if not len(good) else (good[-1] + 1) / len(order)


def until_first_failure(sure, correct, target):
    order = np.argsort(-np.array(sure))
    share = np.cumsum(np.array(correct)[order]) / np.arange(1, len(order) + 1)
    return float(np.cumprod(share >= target).sum() / len(order))


RIGHT = {
    "old_rate": [lambda points, relative: points / (relative / 100)],
    "compliance": [more],
    "ends": [ends, lambda text: list(ends(text))],
    "brier": [squares],
    "coverage": [kept],
}

WRONG = [
    ("old_rate", lambda p, r: 100 * p / r + p, "new rate"),
    ("old_rate", lambda p, r: p / r, "times 100"),
    ("old_rate", lambda p, r: p * r / 100, "divide instead"),
    ("old_rate", lambda p, r: r / p, "upside down"),
    ("compliance", lambda old, fewer: fewer, "per cent of what"),
    ("compliance", lambda old, fewer: old * fewer / 100, "in points"),
    ("compliance", lambda old, fewer: more(old, fewer) / 100, "times 100"),
    ("compliance", lambda old, fewer: 100 - old * (1 - fewer / 100), "new share"),
    ("ends", lambda text: ends(text)[::-1], "first the lower"),
    ("ends", lambda text: (ends(text)[0], ends(text)[0]), "two ends"),
    ("ends", lambda text: (ends(text)[1], ends(text)[1]) if "below" in text else ends(text), "lower end is 0"),
    ("ends", lambda text: ends(text)[0], "two numbers"),
    ("brier", lambda p, r: len(r) * squares(p, r), "not the sum"),
    ("brier", lambda p, r: squares(p, r) / len(p[0]), "sum over the choices"),
    ("brier", lambda p, r: np.mean([(1 - row[i]) ** 2 for row, i in zip(p, r)]), "all choices count"),
    ("brier", lambda p, r: np.mean([-np.log(row[i]) for row, i in zip(p, r)]), "cross-entropy"),
    ("coverage", until_first_failure, "first failure"),
    ("coverage", lambda s, c, t: len(s) * kept(s, c, t), "a share"),
    ("coverage", lambda s, c, t: 1 - kept(s, c, t), "abstains"),
    ("coverage", lambda s, c, t: np.mean(np.array(s) >= t), "trusts the confidence"),
]

globals().update(named_checks(labs06, RIGHT, grouped(WRONG)))
