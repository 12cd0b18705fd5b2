"""The checks of chapter 06 on reading a report know right from wrong, and say what is wrong."""

import math
from collections import Counter, defaultdict

import numpy as np
from exercising import grouped, named_checks

from minigpt.exercises import ch06_reading


def blind(pairs, scale=None):
    found = defaultdict(Counter)
    for question, right in pairs:
        found[question][right] += 1
    return sum(max(each.values()) for each in found.values()) / (scale or len(pairs))


def tempered(s, T):
    e = np.exp((np.array(s) - max(s)) / T)
    return e / e.sum()


def share(d, n, m=None):
    m = (n + 1) / 2 if m is None else m
    return 4 * m / (24 * d + 4 * m)


RIGHT = {
    "blind_score": [blind],
    "points": [lambda old, relative: old * (1 + relative / 100) - old],
    "temperature": [tempered, lambda s, T: tempered(s, T).tolist()],
    "attention_share": [share],
}

WRONG = [
    ("blind_score", lambda p: max(Counter(a for _, a in p).values()) / len(p), "which question it is"),
    ("blind_score", lambda p: len(p) * blind(p), "divide it by the number"),
    ("blind_score", lambda p: blind(p, 1.0), "divide it by the number"),
    ("blind_score", lambda p: 1 - blind(p), "share of wrong"),
    ("blind_score", lambda p: np.mean([1 / len({a for r, a in p if r == q}) for q in sorted({q for q, _ in p})]),
     "commoner"),
    ("points", lambda old, relative: relative, "relative to what"),
    ("points", lambda old, relative: old * (1 + relative / 100), "new rate"),
    ("points", lambda old, relative: -old * relative / 100, "sign"),
    ("points", lambda old, relative: (100 - old) * relative / 100, "not to the rest"),
    ("temperature", lambda s, T: tempered(s, 1 / T), "do not multiply"),
    ("temperature", lambda s, T: np.exp(np.array(s) / T), "divide by the sum"),
    ("temperature", lambda s, T: tempered(s, 1.0), "not used"),
    ("temperature", lambda s, T: [math.exp(x / T) / sum(math.exp(y / T) for y in s) for x in s], ""),  # zero by zero
    ("attention_share", lambda d, n: share(d, n, n), "(n + 1) / 2"),
    ("attention_share", lambda d, n: 1 - share(d, n), "part of the weights"),
    ("attention_share", lambda d, n: 100 * share(d, n), "not per cent"),
]  # fmt: skip

globals().update(named_checks(ch06_reading, RIGHT, grouped(WRONG)))
