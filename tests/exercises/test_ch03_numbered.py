"""The checks of chapter 03 know right from wrong, and say what is wrong."""

import math

import numpy as np
from exercising import good_checks

from minigpt.exercises import ch03_numbered as ch03


def fit(lengths, n_ctx, rest):
    ends = rest + np.cumsum(lengths)
    return int((ends <= n_ctx).sum())


def choose(logp, n_tokens, alone, how):
    value = {
        "plain": logp,
        "per token": {c: logp[c] / n_tokens[c] for c in logp},
        "unconditional": {c: logp[c] - alone[c] for c in logp},
    }[how]
    return max(value, key=value.get)


def bayes(rules, pairs, asked, share, scale=True, combine=math.prod):
    weight = {rule: combine([share(rule, word, said) for word, said in pairs]) if pairs else 1.0 for rule in rules}
    total = sum(weight.values()) if scale else 1.0
    out = dict.fromkeys(["a", "b", "c"], 0.0)
    for rule in rules:
        out[rules[rule][asked]] += weight[rule] / total
    return out


def posterior(rules, pairs, asked, share):
    weight = {rule: math.prod(share(rule, *pair) for pair in pairs) for rule in rules}
    return {rule: w / sum(weight.values()) for rule, w in weight.items()}


def one_rule(rules, pairs, asked, share):
    known = posterior(rules, pairs, asked, share)
    return {rules[max(known, key=known.get)][asked]: 1.0}


def epochs(size, weight, total):
    return {s: weight[s] * total / sum(weight.values()) / size[s] for s in size}


def pairs(T, band):
    t, s = np.indices((T, T))
    return int(((s <= t) & (t - s < band)).sum())


def law(C, L):
    slope, level = np.polyfit(np.log(C), np.log(L), 1)
    return math.exp(level), slope


def weighted(losses, n_tokens):
    return np.average(losses, weights=n_tokens)


RIGHT = {
    "shots_that_fit": [fit],
    "choose": [choose],
    "bayes_learner": [bayes],
    "epochs": [epochs],
    "attended_pairs": [pairs],
    "power_law": [law, lambda C, L: list(law(C, L))],
    "accumulated_mean": [weighted],
}

WRONG = {
    "shots_that_fit": [
        (lambda lengths, n_ctx, rest: fit(lengths, n_ctx, 0), "need room in the window"),
        (lambda lengths, n_ctx, rest: fit(lengths, n_ctx - 1, rest), "still fits"),
        (lambda lengths, n_ctx, rest: len(lengths), "not all"),
        (lambda lengths, n_ctx, rest: rest + sum(lengths[: fit(lengths, n_ctx, rest)]), "number of tokens"),
        (lambda lengths, n_ctx, rest: sum(x <= n_ctx - rest for x in lengths), ""),
        (lambda lengths, n_ctx, rest: (n_ctx - rest) // max(lengths), "differ in length"),
    ],
    "choose": [
        (lambda logp, n, alone, how: choose(logp, n, alone, "plain"), "divide each log-probability"),
        (lambda logp, n, alone, how: choose(logp, n, alone, "per token"), "plain means"),
        (
            lambda logp, n, alone, how: choose(logp, n, alone, "plain" if how == "unconditional" else how),
            "take log P(completion | answer context) away",
        ),
        (
            lambda logp, n, alone, how: (
                max(logp, key=lambda c: logp[c] + alone[c]) if how == "unconditional" else choose(logp, n, alone, how)
            ),
            "difference of logarithms",
        ),
        (lambda logp, n, alone, how: min(logp, key=logp.get), "largest"),
        (lambda logp, n, alone, how: 0, "expected one of"),
    ],
    "bayes_learner": [
        (lambda rules, pairs, asked, share: bayes(rules, [], asked, share), "not used"),
        (one_rule, "do not bet"),
        (posterior, "posterior of the rules"),
        (lambda rules, pairs, asked, share: bayes(rules, pairs[-1:], asked, share), "only the last"),
        (lambda rules, pairs, asked, share: bayes(rules, pairs, asked, share, combine=sum), "you added"),
        (lambda rules, pairs, asked, share: bayes(rules, pairs, asked, share, scale=False), "divide by the sum"),
        (lambda rules, pairs, asked, share: "b", "expected a dict"),
    ],
    "epochs": [
        (lambda size, weight, total: {s: weight[s] / 100 * total / size[s] for s in size}, "add to 101"),
        (lambda size, weight, total: {s: weight[s] * total / size[s] for s in size}, "divide the weights"),
        (
            lambda size, weight, total: {s: e * size[s] for s, e in epochs(size, weight, total).items()},
            "those are tokens",
        ),
        (lambda size, weight, total: dict.fromkeys(size, total / sum(size.values())), "without weights"),
        (lambda size, weight, total: {s: 1 / e for s, e in epochs(size, weight, total).items()}, "upside down"),
        (lambda size, weight, total: {s: w / sum(weight.values()) for s, w in weight.items()}, "shares of the batch"),
    ],
    "attended_pairs": [
        (lambda T, band: T * (T + 1) // 2, "full causal mask"),
        (lambda T, band: T * band, "first positions"),
        (lambda T, band: pairs(T, band) - T, "it should be"),
        (lambda T, band: sum(min(t, band) for t in range(T)), "itself, too"),
        (lambda T, band: pairs(T, band + 1), "one too many"),
        (lambda T, band: T * T, "without any mask"),
        (lambda T, band: sum(abs(t - s) < band for t in range(T) for s in range(T)), "nobody looks ahead"),
    ],
    "power_law": [
        (lambda C, L: (1.0, np.polyfit(C, L, 1)[0]), "logarithms of both"),
        (lambda C, L: (1.0, np.polyfit(np.log(C), L, 1)[0]), "logarithm of L"),
        (lambda C, L: (law(C, L)[0], -law(C, L)[1]), "the sign"),
        (lambda C, L: law(C, L)[::-1], "the order"),
        (lambda C, L: (math.log(law(C, L)[0]), law(C, L)[1]), "log a"),
        (lambda C, L: law(C, L)[1], "expected two numbers"),
    ],
    "accumulated_mean": [
        (lambda losses, n: np.mean(losses), "counts more"),
        (lambda losses, n: sum(losses), "sum of the means"),
        (lambda losses, n: np.dot(losses, n), "divide by the number of tokens of all"),
        (lambda losses, n: np.dot(losses, n) / len(n), "not of parts"),
        (lambda losses, n: losses[-1], "last part"),
    ],
}


globals().update(good_checks(ch03, RIGHT, WRONG))
