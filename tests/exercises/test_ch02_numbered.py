"""The checks of chapter 02 know right from wrong, and say what is wrong."""

import math
import re

import numpy as np
from exercising import good_checks

from minigpt.exercises import ch02_numbered as ch02


def pre_ln(h, attn, mlp, ln_1, ln_2):
    h = h + attn(ln_1(h))
    return h + mlp(ln_2(h))


def post_ln(h, attn, mlp, ln_1, ln_2):
    h = ln_1(h + attn(h))
    return ln_2(h + mlp(h))


def nucleus(probs, p, extra=0, scale=True):
    order = np.argsort(-np.array(probs), kind="stable")
    n = int(np.searchsorted(np.cumsum(np.array(probs)[order]), p - 1e-12)) + 1 + extra
    kept = np.zeros(len(probs))
    kept[order[:n]] = np.array(probs)[order[:n]]
    return (kept / kept.sum() if scale else kept).tolist()


def tv(p, q):
    return sum(max(0.0, p.get(w, 0.0) - q.get(w, 0.0)) for w in p)  # what p has too much


def grams(text, n):
    words = re.sub(r"[^a-z0-9]+", " ", text.lower()).split()
    return list(zip(*(words[i:] for i in range(n))))


def overlap(train, test, n):
    known = set(grams(train, n))
    return np.mean([gram in known for gram in grams(test, n)])


def cloze(logp, before, choices, rest):
    return max(choices, key=lambda c: logp(before, c + rest))


def in_two_steps(logp, before, choices, rest):
    return max(choices, key=lambda c: logp(before, c) + logp(before + c, rest))


RIGHT = {
    "pre_ln_block": [pre_ln],
    "residual_std": [lambda n: 0.02 / math.sqrt(2 * n), lambda n: 0.02 * (2 * n) ** -0.5],
    "word_perplexity": [lambda nats, n: math.exp(sum(nats) / n), lambda nats, n: np.exp(np.sum(nats) / n)],
    "top_p": [nucleus, lambda probs, p: np.array(nucleus(probs, p))],
    "total_variation": [tv],
    "overlap": [overlap],
    "cloze": [cloze, in_two_steps],
}

WRONG = {
    "pre_ln_block": [
        (post_ln, "GPT-1's block"),
        (lambda h, a, m, n1, n2: a(n1(h)) + m(n2(a(n1(h)))), "h itself is lost"),
        (lambda h, a, m, n1, n2: h + a(n1(h)) + m(n2(h)), "what attention has already added"),
        (lambda h, a, m, n1, n2: h + a(n1(h)), "the MLP is missing"),
        (lambda h, a, m, n1, n2: pre_ln(h, a, m, n1, n1), "a LayerNorm of its own"),
        (lambda h, a, m, n1, n2: pre_ln(h, a, m, n1, lambda x: x), "second LayerNorm is missing"),
        (lambda h, a, m, n1, n2: pre_ln(h, m, a, n2, n1), "attention comes first"),
        (lambda h, a, m, n1, n2: pre_ln(n1(h), a, m, lambda x: x, n2), "add to h"),
    ],
    "residual_std": [
        (lambda n: 0.02 / n**0.5, "twice"),
        (lambda n: 0.02 / (2 * n), "root of N"),
        (lambda n: 0.02 / n, "root of N"),
        (lambda n: 0.02 * (2 * n) ** 0.5, "divide"),
        (lambda n: (2 * n) ** -0.5, "multiply it by 0.02"),
        (lambda n: 0.02, "same for every depth"),
    ],
    "word_perplexity": [
        (lambda nats, n: math.exp(sum(nats) / len(nats)), "per token"),
        (lambda nats, n: sum(nats) / n, "loss per word"),
        (lambda nats, n: math.exp(sum(nats)), "divide by the number of words"),
        (lambda nats, n: 2 ** (sum(nats) / n), "base is e"),
        (lambda nats, n: sum(map(math.exp, nats)) / n, "average first"),
        (lambda nats, n: math.exp(-sum(nats) / n), "sign"),
        (lambda nats, n: math.exp(n / sum(nats)), "upside down"),
    ],
    "top_p": [
        (lambda probs, p: nucleus(probs, p, -1) if p > max(probs) else nucleus(probs, p), "one too few"),
        (lambda probs, p: nucleus(probs, p, 1), "one too many"),
        (lambda probs, p: nucleus(probs, p, scale=False), "adds to 1"),
        (lambda probs, p: sorted(nucleus(probs, p), reverse=True), "stay at their places"),
        (ch02._in_order, "begin with the most probable"),
        (lambda probs, p: [1.0], "expected 4 numbers"),
        (lambda probs, p: probs, "it should be"),
        (lambda probs, p: 0.3, "expected a list"),
    ],
    "total_variation": [
        (lambda p, q: 2 * tv(p, q), "half of that"),
        (lambda p, q: sum(abs(p[w] - q[w]) for w in p if w in q) / 2, "only one of the two knows"),
        (lambda p, q: sum(abs(p[w] - q.get(w, 0)) for w in p) / 2, "only q knows"),
        (lambda p, q: max(abs(p.get(w, 0) - q.get(w, 0)) for w in p | q), "largest single difference"),
        (lambda p, q: math.dist(*[[d.get(w, 0) for w in p | q] for d in (p, q)]), "not squares"),
        (lambda p, q: 0.0, "absolute value"),
    ],
    "overlap": [
        (lambda train, test, n: overlap(test, train, n), "the other way round"),
        (lambda train, test, n: overlap(train, test, 1), "single words"),
        (lambda train, test, n: 100 * overlap(train, test, n), "percent"),
        (lambda train, test, n: sum(g in grams(train, n) for g in grams(test, n)), "divide by the number"),
        (lambda train, test, n: len(set(grams(test, n)) & set(grams(train, n))) / len(set(grams(test, n))), "twice"),
    ],
    "cloze": [
        (lambda logp, before, choices, rest: max(choices, key=lambda c: logp(before, c)), "choices alone"),
        (lambda logp, before, choices, rest: max(choices, key=lambda c: logp(before + c, rest)), "rest alone"),
        (lambda logp, before, choices, rest: min(choices, key=lambda c: logp(before, c + rest)), "least likely"),
        (lambda logp, before, choices, rest: max(choices, key=lambda c: logp(before, rest + c)), "keep the order"),
        (lambda logp, before, choices, rest: choices.index(cloze(logp, before, choices, rest)), "one of the choices"),
    ],
}


globals().update(good_checks(ch02, RIGHT, WRONG))
