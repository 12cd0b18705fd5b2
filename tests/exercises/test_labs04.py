"""The checks of the labs of chapter 04 know right from wrong, and say what is wrong."""

import math

import numpy as np
import torch
from exercising import grouped, named_checks

from minigpt.exact import bradley_terry, optimal_policy
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


def chances(u, scale=1.0):
    u = np.array(u)
    i, j = np.triu_indices(len(u), 1)
    return 1 / (1 + np.exp(-(u[i] - u[j]) * scale))


def agree(u, noise):
    p = chances(u, 1 / noise)
    return float(np.mean(p**2 + (1 - p) ** 2)), float(np.mean(np.maximum(p, 1 - p)))


def entropy(u, log=np.log):
    p = chances(u)
    return float(np.mean(-p * log(p) - (1 - p) * log(1 - p)))


def gao(d, R, second=lambda d: d**2, constant=False):
    d = np.array(d)
    columns = [d, second(d), *([np.ones_like(d)] if constant else [])]
    a, b, *_ = np.linalg.lstsq(np.stack(columns, axis=1), np.array(R), rcond=None)[0]
    return a, -b


def kept(p, r, n):
    order = np.argsort(r)
    F = np.concatenate([[0.0], np.cumsum(np.array(p)[order])])
    found = np.zeros(len(p))
    found[order] = F[1:] ** n - F[:-1] ** n
    return found


def batch(Ks):
    return sum(math.comb(K, 2) for K in Ks), sum(Ks)


RIGHT = {
    "g_statistic": [g, lambda c, p: np.float64(g(c, p))],
    "leave_one_out": [others, lambda r: len(r) / (len(r) - 1) * (np.array(r) - np.mean(r))],
    "k3": [k3, lambda logp, ref: (ref - logp).double().expm1().sub((ref - logp).double()).float()],
    "agreement": [agree, lambda u, noise: np.array(agree(u, noise))],
    "ranking_floor": [entropy, lambda u: bradley_terry.bradley_terry_floor(np.array(u))],
    "batch_of_rankings": [batch],
    "updates": [lambda n, b, m, e: (n // b, n * e // m), lambda n, b, m, e: np.array([n / b, n / m * e])],
    "gao_fit": [gao, lambda d, R: np.array(gao(d, R))],
    "best_of_n": [kept, lambda p, r, n: list(np.exp(optimal_policy.best_of_n(np.log(p), np.array(r), n)))],
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
    ("agreement", lambda u, n: agree(u, 1), "divide the difference by the noise"),
    ("agreement", lambda u, n: agree(u, 1 / n), "do not multiply"),
    ("agreement", lambda u, n: agree(u, n)[::-1], "the order"),
    ("agreement", lambda u, n: (agree(u, n)[1], agree(u, n)[1]), "that is the best model"),
    ("agreement", lambda u, n: (agree(u, n)[0], agree(u, n)[0]), "two labelers again"),
    ("agreement", lambda u, n: (agree(u, n)[0], 1.0), "nobody agrees"),
    ("agreement", lambda u, n: (1 - agree(u, n)[0], agree(u, n)[1]), "disagree"),
    ("agreement", lambda u, n: agree(u, n)[0], "expected two numbers"),
    ("ranking_floor", lambda u: entropy(u) * len(u) * (len(u) - 1) / 2, "number of pairs"),
    ("ranking_floor", lambda u: entropy(u, np.log2), "in nats"),
    ("ranking_floor", lambda u: -entropy(u), "positive"),
    ("ranking_floor", lambda u: np.mean(-np.log(np.maximum(chances(u), 1 - chances(u)))), "labelers err"),
    ("ranking_floor", lambda u: np.mean(1 - np.maximum(chances(u), 1 - chances(u))), "not its loss"),
    ("batch_of_rankings", lambda Ks: batch(Ks)[::-1], "the order"),
    ("batch_of_rankings", lambda Ks: (2 * batch(Ks)[0], sum(Ks)), "counts once"),
    ("batch_of_rankings", lambda Ks: (sum(K - 1 for K in Ks), sum(Ks)), "only neighbours"),
    ("batch_of_rankings", lambda Ks: (math.comb(sum(Ks), 2), sum(Ks)), "different prompts"),
    ("batch_of_rankings", lambda Ks: (batch(Ks)[0], 2 * batch(Ks)[0]), "once is enough"),
    ("batch_of_rankings", lambda Ks: (batch(Ks)[0], len(Ks)), "not for each prompt"),
    ("batch_of_rankings", sum, "expected two numbers"),
    ("updates", lambda n, b, m, e: (n * e // m, n // b), "the order"),
    ("updates", lambda n, b, m, e: (n * e // b, n * e // m), "nothing is drawn again"),
    ("updates", lambda n, b, m, e: (n // b, n // m), "once more"),
    ("updates", lambda n, b, m, e: (n // b, n // b * e), "not for each batch"),
    ("updates", lambda n, b, m, e: (n // b, b // m * e), "one iteration's"),
    ("updates", lambda n, b, m, e: (n // m, n // m * e), "a whole batch"),
    ("gao_fit", lambda d, R: gao(d, R)[::-1], "the order"),
    ("gao_fit", lambda d, R: gao(d, R, constant=True), "no constant"),
    ("gao_fit", lambda d, R: gao(d, R, lambda d: d * np.log(d)), "log d"),
    ("gao_fit", lambda d, R: (gao(d, R)[0], -gao(d, R)[1]), "the sign"),
    ("gao_fit", lambda d, R: np.polyfit(d, np.array(R) / np.array(d), 1)[::-1] * [1, -1], "too much weight"),
    ("gao_fit", lambda d, R: gao(d, R)[0], "expected two numbers"),
    ("best_of_n", lambda p, r, n: [q**n for q in p], "all n are this answer"),
    ("best_of_n", lambda p, r, n: [1 - (1 - q) ** n for q in p], "drawn at all"),
    ("best_of_n", lambda p, r, n: kept(p, [-x for x in r], n), "worst of n"),
    ("best_of_n", lambda p, r, n: [float(x == max(r)) for x in r], "may not be among"),
    ("best_of_n", lambda p, r, n: [sum(q for q, s in zip(p, r) if s <= x) ** n for x in r], "at most this good"),
]

globals().update(named_checks(labs04, RIGHT, grouped(WRONG)))


def test_k3_that_is_cut_off_at_0_has_lost_all_digits_too():
    found, words = labs04.k3.verdict(lambda logp, ref: ((ref - logp).exp() - 1 - (ref - logp)).clamp(min=0))
    assert found == "not yet" and "loses all digits" in words
