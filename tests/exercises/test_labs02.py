"""The checks of the labs of chapter 02 know right from wrong, and say what is wrong."""

import math
import re

import numpy as np
from exercising import grouped, named_checks

from minigpt.exercises import labs02


def grams(text, n):
    words = re.sub(r"[^a-z0-9]+", " ", text.lower()).split()
    return list(zip(*(words[i:] for i in range(n))))


def overlap(train, test, n):
    known = set(grams(train, n))
    return float(np.mean([gram in known for gram in grams(test, n)] or [0.0]))


def blank_cut(train, test, n, lower=False):
    cut = [list(zip(*((text.lower() if lower else text).split()[i:] for i in range(n)))) for text in (train, test)]
    return np.mean([gram in cut[0] for gram in cut[1]] or [0.0])


def tv(p, q):
    return sum(max(0.0, p.get(w, 0.0) - q.get(w, 0.0)) for w in p)  # what p has too much


def min_p(probs, least, scale=True, top=max):
    probs = np.array(probs)
    kept = np.where(probs >= least * top(probs.tolist()), probs, 0.0)
    return kept / kept.sum() if scale else kept


RIGHT = {
    "overlap": [overlap],
    "total_variation": [tv],
    "min_p": [min_p, lambda probs, least: min_p(probs, least).tolist()],
    "residual_std": [lambda n: 0.02 / math.sqrt(2 * n), lambda n: 0.02 * (2 * n) ** -0.5],
    "word_perplexity": [lambda nats, n: math.exp(sum(nats) / n), lambda nats, n: np.exp(np.sum(nats) / n)],
}

WRONG = [
    ("overlap", lambda train, test, n: overlap(test, train, n), "the other way round"),
    ("overlap", lambda train, test, n: overlap(train, test, 1), "single words"),
    ("overlap", lambda train, test, n: 100 * overlap(train, test, n), "percent"),
    ("overlap", lambda train, test, n: float(sum(g in grams(train, n) for g in grams(test, n))), "divide by the number"),
    ("overlap", blank_cut, "lower-case first"),
    ("overlap", lambda train, test, n: blank_cut(train, test, n, lower=True), "punctuation"),
    ("overlap", lambda *a: sum(g in grams(a[0], a[2]) for g in grams(*a[1:])) / len(grams(*a[1:])), "too short"),
    ("overlap", lambda train, test, n: len(set(grams(test, n)) & set(grams(train, n))) / max(1, len(set(grams(test, n)))),
     "counts twice"),
    ("total_variation", lambda p, q: 2 * tv(p, q), "half of that"),
    ("total_variation", lambda p, q: sum(abs(p[w] - q[w]) for w in p if w in q) / 2, "only one of the two knows"),
    ("total_variation", lambda p, q: sum(abs(p[w] - q.get(w, 0)) for w in p) / 2, "only q knows"),
    ("total_variation", lambda p, q: max(abs(p.get(w, 0) - q.get(w, 0)) for w in p | q), "largest single difference"),
    ("total_variation", lambda p, q: math.dist(*[[d.get(w, 0) for w in p | q] for d in (p, q)]), "not squares"),
    ("total_variation", lambda p, q: 0.0, "absolute value"),
    ("min_p", lambda probs, least: min_p(probs, least, scale=False), "adds to 1"),
    ("min_p", lambda probs, least: min_p(probs, least, top=lambda p: 1) if max(probs) >= least else min_p(probs, least),
     "not a number of its own"),
    ("min_p", lambda probs, least: min_p(probs, least, top=lambda p: p[0]), "need not be the first"),
    ("min_p", lambda probs, least: sorted(min_p(probs, least), reverse=True), "stay at their places"),
    ("min_p", lambda probs, least: [(x < least * max(probs)) * x / (sum(y for y in probs if y < least * max(probs)) or 1)
                                    for x in probs], "above the bar"),
    ("min_p", lambda probs, least: probs[:-1], "numbers, and got"),
    ("min_p", lambda probs, least: list(probs), "it should be"),
    ("residual_std", lambda n: 0.02 / n**0.5, "twice"),
    ("residual_std", lambda n: 0.02 / (2 * n), "root of N"),
    ("residual_std", lambda n: 0.02 / n, "root of N"),
    ("residual_std", lambda n: 0.02 * (2 * n) ** 0.5, "divide"),
    ("residual_std", lambda n: (2 * n) ** -0.5, "multiply it by 0.02"),
    ("residual_std", lambda n: 0.02, "same for every depth"),
    ("word_perplexity", lambda nats, n: math.exp(sum(nats) / len(nats)), "per token"),
    ("word_perplexity", lambda nats, n: sum(nats) / n, "loss per word"),
    ("word_perplexity", lambda nats, n: math.exp(sum(nats)), "divide by the number of words"),
    ("word_perplexity", lambda nats, n: 2 ** (sum(nats) / n), "base is e"),
    ("word_perplexity", lambda nats, n: sum(map(math.exp, nats)) / n, "average first"),
    ("word_perplexity", lambda nats, n: math.exp(-sum(nats) / n), "sign"),
    ("word_perplexity", lambda nats, n: math.exp(n / sum(nats)), "upside down"),
]  # fmt: skip

globals().update(named_checks(labs02, RIGHT, grouped(WRONG)))
