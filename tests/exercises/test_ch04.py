"""The checks of chapter 04 know right from wrong, and say what is wrong."""

import math

import numpy as np
from exercising import good_checks

from minigpt.exercises import ch04


def pairs(ranks):
    better = np.array(ranks)[:, None] < np.array(ranks)[None, :]
    return [(int(w), int(l)) for w, l in np.argwhere(better)]  # noqa: E741


def loss(scores, ranks):
    return float(np.mean([np.logaddexp(0, scores[l] - scores[w]) for w, l in pairs(ranks)]))  # noqa: E741


def tilt(p, r, beta):
    w = np.array(p) * np.exp(np.array(r) / beta)
    return w / w.sum()


def gae(rewards, values, lam):
    v = [*values, 0.0]
    delta = [r + v[t + 1] - v[t] for t, r in enumerate(rewards)]
    return [sum(lam ** (i - t) * delta[i] for i in range(t, len(delta))) for t in range(len(delta))]


def clip(logp, old, advantage, eps, choose=min):
    ratio = math.exp(logp - old)
    return choose(ratio * advantage, float(np.clip(ratio, 1 - eps, 1 + eps)) * advantage)


def others(rewards):
    r = np.array(rewards)
    return (r - (r.sum() - r) / (len(r) - 1)).tolist()


def dpo(w, l, sft_w, sft_l, beta):  # noqa: E741
    return float(np.logaddexp(0, -beta * (w - sft_w - l + sft_l)))


def adapt(beta, kl, target, n, horizon):
    return beta * (1 + float(np.clip(kl / target - 1, -0.2, 0.2)) * n / horizon)


RIGHT = {
    "pairs": [pairs, lambda r: pairs(r)[::-1]],
    "ranking_loss": [loss],
    "best_policy": [tilt, lambda p, r, b: tilt(p, r, b).tolist()],
    "advantages": [gae],
    "clipped": [clip],
    "leave_one_out": [others, lambda r: np.array(others(r))],
    "dpo_loss": [dpo],
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
    "ranking_loss": [
        (lambda s, r: loss(s, r) * len(pairs(r)), "number of pairs"),
        (lambda s, r: loss([-x for x in s], r), "winner's score"),
        (lambda s, r: -loss(s, r), "sign of the loss"),
        (lambda s, r: loss(s, r) / math.log(2), "nats"),
    ],
    "best_policy": [
        (lambda p, r, b: (np.array(p) * np.exp(np.array(r) / b)).tolist(), "divide by the sum"),
        (lambda p, r, b: tilt(p, r, 1 / b), "divide the reward by beta"),
        (lambda p, r, b: tilt(np.ones(4), r, b), "SFT model's probabilities"),
        (lambda p, r, b: tilt(p, -np.array(r), b), "sign"),
    ],
    "advantages": [
        (lambda r, v, lam: [a + b for a, b in zip(gae(r, v, lam), v)], "returns"),
        (lambda r, v, lam: gae(r, v, 1.0), "lam times less"),
        (lambda r, v, lam: gae([*r[:-1], r[-1] + v[-1]], v, lam), "nothing is to come"),
        (lambda r, v, lam: gae(r, v, lam)[::-1], "order"),
    ],
    "clipped": [
        (lambda *a: -clip(*a), "no minus"),
        (lambda *a: clip(*a, choose=max), "take the smaller of the two"),
        (lambda lp, old, a, eps: math.exp(lp - old) * a, "clip the ratio"),
        (lambda lp, old, a, eps: clip(old, lp, a, eps), "new over old"),
    ],
    "leave_one_out": [
        (lambda r: (np.array(r) - np.mean(r)).tolist(), "leave the answer itself out"),
        (lambda r: [-x for x in others(r)], "sign"),
        (lambda r: ((np.array(r) - np.mean(r)) / np.std(r)).tolist(), "GRPO"),
    ],
    "dpo_loss": [
        (lambda w, l, a, b, beta: dpo(l, w, b, a, beta), "not the other way"),  # noqa: E741
        (lambda w, l, a, b, beta: dpo(w, l, 0, 0, beta), "only the change counts"),  # noqa: E741
        (lambda w, l, a, b, beta: dpo(w, l, a, b, 1.0), "beta stands before"),  # noqa: E741
    ],
    "adaptive_beta": [
        (lambda b, kl, t, n, h: b * (1 + (kl / t - 1) * n / h), "cut the error"),
        (lambda b, kl, t, n, h: 2 * b - adapt(b, kl, t, n, h), "sign"),
        (lambda b, kl, t, n, h: b * (1 + float(np.clip(kl / t - 1, -0.2, 0.2))), "how much of the error"),
    ],
}  # fmt: skip
globals().update(good_checks(ch04, RIGHT, WRONG))
