"""The checks of chapter 06 know right from wrong, and say what is wrong."""

import math

import numpy as np
import torch
from exercising import grouped, named_checks

from minigpt import calibration, vision
from minigpt.exact import confidence
from minigpt.exercises import ch06


def cut(image, size):
    return vision.patches(torch.from_numpy(np.asarray(image))[None], size)[0]


def blocks(image, size):
    H, W, C = image.shape
    return image.reshape(H // size, size, W // size, size, C)


def bins(sure, right, n_bins):
    found = calibration.reliability(sure, right, n_bins)
    rows = [(int(n), float(c), float(a)) for n, c, a in zip(found.counts, found.confidence, found.accuracy) if n]
    return rows, found.error


def with_rows(change):
    """bins, with each row changed."""
    return lambda s, r, k: ([change(*row) for row in bins(s, r, k)[0]], bins(s, r, k)[1])


def with_error(change):
    """bins, with another error: change([(count, accuracy - confidence), ...], n)."""
    return lambda s, r, k: (
        bins(s, r, k)[0], change([(n, a - c) for n, c, a in bins(s, r, k)[0]], len(s))
    )


def places(place):
    """bins, where an answer belongs to the bin place(confidence, n_bins)."""

    def rows(sure, right, n_bins):
        where = np.array([place(s, n_bins) for s in sure])
        found = []
        for m in np.unique(where):
            there = where == m
            found.append((int(there.sum()), float(np.mean(np.array(sure)[there])), float(np.mean(np.array(right)[there]))))
        return found, bins(sure, right, n_bins)[1]

    return rows


def with_empty(sure, right, n_bins):
    found = calibration.reliability(sure, right, n_bins)
    return list(zip(found.counts, np.nan_to_num(found.confidence), np.nan_to_num(found.accuracy))), found.error


STYLED, OTHER, TALE = ch06.KINDS


def reward(forbidden, kind, score, worth, refused_allowed=None, half=0.5, forbidden_tale=None):
    if forbidden:
        return {STYLED: worth, OTHER: half * worth, TALE: -worth if forbidden_tale is None else forbidden_tale}[kind]
    return score if kind == TALE else -worth if refused_allowed is None else refused_allowed


def surer(p, gain):
    return float(confidence.tilted([[p, 1 - p]], gain)[0, 0])


RIGHT = {
    "patches": [cut, lambda x, s: blocks(x, s).swapaxes(1, 2).reshape(-1, s * s * x.shape[2]), lambda x, s: cut(x, s).tolist()],
    "reliability": [bins, lambda s, r, k: list(bins(s, r, k))],
    "rule_reward": [reward],
    "overconfidence": [surer, lambda p, g: p * math.exp(g * p) / (p * math.exp(g * p) + (1 - p) * math.exp(g * (1 - p)))],
}
WRONG = [
    ("patches", lambda x, s: x.reshape(-1, s * s * x.shape[2]), "cut first"),
    ("patches", lambda x, s: blocks(x, s).transpose(2, 0, 1, 3, 4).reshape(-1, s * s * x.shape[2]), "row by row"),
    ("patches", lambda x, s: blocks(x, s).transpose(0, 2, 3, 1, 4).reshape(-1, s * s * x.shape[2]), "inside a patch"),
    ("patches", lambda x, s: blocks(x, s).transpose(2, 0, 3, 1, 4).reshape(-1, s * s * x.shape[2]), "by columns"),
    ("patches", lambda x, s: blocks(x, s).transpose(0, 2, 4, 1, 3).reshape(-1, s * s * x.shape[2]), "colour by colour"),
    ("patches", lambda x, s: blocks(x, s).mean(axis=(1, 3)).reshape(-1, x.shape[2]), "averages"),
    ("patches", lambda x, s: blocks(x, s).swapaxes(1, 2).reshape(-1, s, s, x.shape[2]), "flatten"),
    ("patches", lambda x, s: np.asarray(cut(x, s)).T, "not one column"),
    ("patches", lambda x, s: cut(x, s)[:, :-1], "numbers, got shape"),
    ("patches", lambda x, s: [list(pixel) for row in x for pixel in row], "not for each pixel"),
    ("patches", lambda x, s: [row.ravel() for row in x], "cut first"),
    ("patches", lambda x, s: x, "into patches first"),
    ("patches", lambda x, s: "patches", "array of numbers"),
    ("reliability", with_rows(lambda n, c, a: (n, a, c)), "the order"),
    ("reliability", with_rows(lambda n, c, a: (n, n * c, n * a)), "those are sums"),
    ("reliability", lambda s, r, k: with_rows(lambda n, c, a: (n, (min(int(c * k), k - 1) + 0.5) / k, a))(s, r, k), "middle of the bin"),
    ("reliability", lambda s, r, k: with_rows(lambda n, c, a: (n / len(s), c, a))(s, r, k), "not its share"),
    ("reliability", lambda s, r, k: (bins(s, r, k)[0][::-1], bins(s, r, k)[1]), "unsure to sure"),
    ("reliability", with_empty, "empty bins"),
    ("reliability", places(lambda s, k: max(0, math.ceil(s * k) - 1)), "edge"),
    ("reliability", places(lambda s, k: min(round(s * k), k - 1)), "not round"),
    ("reliability", lambda s, r, k: bins(s, r, k)[0], "the bins and the error"),
    ("reliability", lambda s, r, k: (7, 0.0), "expected bins"),
    ("reliability", with_error(lambda gaps, n: sum(abs(g) for _, g in gaps) / len(gaps)), "weigh each bin"),
    ("reliability", with_error(lambda gaps, n: abs(sum(c * g for c, g in gaps)) / n), "absolute value"),
    ("reliability", with_error(lambda gaps, n: sum(c * abs(g) for c, g in gaps)), "divide by the number"),
    ("reliability", with_error(lambda gaps, n: sum(c * g * g for c, g in gaps) / n), "not its square"),
    ("rule_reward", lambda f, k, s, w: reward(f, k, s, w, refused_allowed=0.0), "rule of one side"),
    ("rule_reward", lambda f, k, s, w: reward(f, k, s, w, half=1.0), "earns half"),
    ("rule_reward", lambda f, k, s, w: reward(f, k, s, w, forbidden_tale=s), "however good"),
    ("rule_reward", lambda f, k, s, w: reward(f, k, s, w) + s * (f or k != TALE), "for nothing else"),
    ("rule_reward", lambda f, k, s, w: -reward(f, k, s, w) if f else reward(f, k, s, w), "the sign"),
    ("rule_reward", lambda f, k, s, w: reward(True, k, s, w), "telling is right"),
    ("rule_reward", lambda f, k, s, w: reward(f, k, s, w) + w * (not f and k == TALE), "only the score"),
    ("overconfidence", lambda p, g: math.log(p / (1 - p)) + g * (2 * p - 1), "log-odds"),
    ("overconfidence", lambda p, g: 1 / (1 + (1 - p) / p * math.exp(-g)), "depends on p"),
    ("overconfidence", lambda p, g: 1 / (1 + (1 - p) / p * math.exp(-g * p)), "other choice"),
    ("overconfidence", lambda p, g: p * math.exp(g * p), "divide by the sum"),
    ("overconfidence", lambda p, g: 1 / (1 + math.exp(-g * (2 * p - 1))), "starts from p"),
    ("overconfidence", lambda p, g: float(confidence.at_temperature([[p, 1 - p]], 1 / (1 + g))[0, 0]), "temperature"),
    ("overconfidence", lambda p, g: 1 / (1 + (1 - p) / p * math.exp(g * (2 * p - 1))), "the sign"),
]  # fmt: skip


def test_a_confidence_of_one_belongs_to_the_last_bin(capsys):
    ch06.reliability(places(lambda s, k: int(s * k)))
    assert "last bin" in capsys.readouterr().out


globals().update(named_checks(ch06, RIGHT, grouped(WRONG)))
