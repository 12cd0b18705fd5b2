"""The checks of chapter 04's short exercises know right from wrong, and say what is wrong."""

import math

import numpy as np
from exercising import named_checks

from minigpt.exercises import ch04


def pairs(ranks):
    better = np.array(ranks)[:, None] < np.array(ranks)[None, :]
    return [(int(w), int(l)) for w, l in np.argwhere(better)]  # noqa: E741


def tilt(p, r, beta):
    w = np.array(p) * np.exp(np.array(r) / beta)
    return w / w.sum()


def clip(logp, old, advantage, eps, choose=min):
    ratio = math.exp(logp - old)
    return choose(ratio * advantage, float(np.clip(ratio, 1 - eps, 1 + eps)) * advantage)


def adapt(beta, kl, target, n, horizon):
    return beta * (1 + float(np.clip(kl / target - 1, -0.2, 0.2)) * n / horizon)


RIGHT = {
    "pairs": [pairs, lambda r: pairs(r)[::-1]],
    "best_policy": [tilt, lambda p, r, b: tilt(p, r, b).tolist()],
    "clipped": [clip],
    "adaptive_beta": [adapt],
}
WRONG = {
    "pairs": [
        (lambda r: [(l, w) for w, l in pairs(r)], "winner comes first"),  # noqa: E741
        (lambda r: [(i, j) for i in range(len(r)) for j in range(len(r)) if r[i] < r[j] or r[i] == r[j] and i < j],
         "tie gives no pair"),
        (lambda r: [(i, j) for i, j in pairs(r) if r[j] == r[i] + 1], "all pairs count"),
        (lambda r: [1, 2], "list of pairs"),
    ],
    "best_policy": [
        (lambda p, r, b: (np.array(p) * np.exp(np.array(r) / b)).tolist(), "divide by the sum"),
        (lambda p, r, b: tilt(p, r, 1 / b), "divide the reward by beta"),
        (lambda p, r, b: tilt(np.ones(4), r, b), "SFT model's probabilities"),
        (lambda p, r, b: tilt(p, -np.array(r), b), "sign"),
    ],
    "clipped": [
        (lambda *a: -clip(*a), "no minus"),
        (lambda *a: clip(*a, choose=max), "take the smaller of the two"),
        (lambda lp, old, a, eps: math.exp(lp - old) * a, "clip the ratio"),
        (lambda lp, old, a, eps: clip(old, lp, a, eps), "new over old"),
    ],
    "adaptive_beta": [
        (lambda b, kl, t, n, h: b * (1 + (kl / t - 1) * n / h), "cut the error"),
        (lambda b, kl, t, n, h: 2 * b - adapt(b, kl, t, n, h), "sign"),
        (lambda b, kl, t, n, h: b * (1 + float(np.clip(kl / t - 1, -0.2, 0.2))), "how much of the error"),
    ],
}  # fmt: skip
globals().update(named_checks(ch04, RIGHT, WRONG))


def test_the_open_exercises_belong_to_the_chapter():
    assert ch04.critique.exercise == "my_critique" and ch04.experiment.exercise == "my_experiment"
