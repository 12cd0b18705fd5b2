"""The checks of the labs of chapter 04 know right from wrong, and say what is wrong."""

import math

import numpy as np
import torch
from exercising import grouped, named_checks

from minigpt.exercises import labs04


def g(counts, p, base=math.e):
    n = sum(counts)
    return 2 * sum(c * math.log(c / (n * q), base) for c, q in zip(counts, p) if c)


def pearson(counts, p):
    expected = sum(counts) * np.array(p)
    return ((np.array(counts) - expected) ** 2 / expected).sum()


def others(r, n=1):
    return [x - (sum(r) - x) / (len(r) - n) for x in r]


def k3(logp, ref):
    return torch.expm1(ref - logp) - (ref - logp)


RIGHT = {
    "g_statistic": [g, lambda c, p: np.float64(g(c, p))],
    "leave_one_out": [others, lambda r: len(r) / (len(r) - 1) * (np.array(r) - np.mean(r))],
    "k3": [k3, lambda logp, ref: (ref - logp).double().expm1().sub((ref - logp).double()).float()],
}

WRONG = [
    ("g_statistic", lambda c, p: g(c, p) / 2, "take it twice"),
    ("g_statistic", lambda c, p: g(c, p) / sum(c), "not the shares"),
    ("g_statistic", lambda c, p: g(c, p) / 2 / sum(c), "KL divergence"),
    ("g_statistic", lambda c, p: 2 * sum(n * math.log(n / q) for n, q in zip(c, p) if n), "divide by n * p"),
    ("g_statistic", lambda c, p: -g(c, p), "the sign"),
    ("g_statistic", pearson, "Pearson"),
    ("g_statistic", lambda c, p: g(c, p, 2), "natural logarithm"),
    ("g_statistic", lambda c, p: 2 * sum(n * math.log(n / (sum(c) * q)) for n, q in zip(c, p)), "count 0"),
    ("g_statistic", lambda c, p: [1.0], "expected a number"),
    ("leave_one_out", lambda r: list(np.array(r) - np.mean(r)), "of the *others*"),
    ("leave_one_out", lambda r: others(r, 0), "K - 1"),
    ("leave_one_out", lambda r: [x - sum(r) / (len(r) - 1) for x in r], "own reward out"),
    ("leave_one_out", lambda r: [-x for x in others(r)], "the sign"),
    ("leave_one_out", lambda r: [x - y for x, y in zip(r, others(r))], "that is the baseline"),
    ("leave_one_out", lambda r: list((np.array(r) - np.mean(r)) / np.std(r)), "GRPO"),
    ("k3", lambda logp, ref: k3(ref, logp), "sign of d"),
    ("k3", lambda logp, ref: logp - ref, "that is k1"),
    ("k3", lambda logp, ref: ref - logp, "minus k1"),
    ("k3", lambda logp, ref: (ref - logp) ** 2 / 2, "that is k2"),
    ("k3", lambda logp, ref: (ref - logp).exp() - (ref - logp), "1 is missing"),
    ("k3", lambda logp, ref: -k3(logp, ref), "never below 0"),
    ("k3", lambda logp, ref: k3(logp, ref).sum(1), "each token"),
    ("k3", lambda logp, ref: (ref - logp).exp() - 1 - (ref - logp), "loses all digits"),
]

globals().update(named_checks(labs04, RIGHT, grouped(WRONG)))
