"""The checks of the exercises on predictable scaling know right from wrong, and say what is wrong."""

import numpy as np
import pytest
from exercising import grouped, named_checks
from scipy.optimize import least_squares

from minigpt.exercises import ch05_scaling
from minigpt.experiments.gpt4 import run_shop

pytestmark = pytest.mark.slow  # fits and bootstraps


def constants(C, L):
    """By a solver, from several starts: not as the check does it."""
    x = C / C.max()

    def misfit(p):
        return p[0] + np.exp(p[1]) * x ** -np.exp(p[2]) - L

    starts = [(share * L.min(), np.log(L.min() / 3), np.log(k)) for share in (0.3, 0.8) for k in (0.1, 0.3, 0.6)]
    ends = [least_squares(misfit, p, xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=4000) for p in starts]
    E, log_a, log_k = min(ends, key=lambda end: end.cost).x
    k = np.exp(log_k)
    return E, C.max() * np.exp(log_a / k), k


def grid(C, L, ks=np.linspace(0.02, 1, 300)):
    best = None
    for k in ks:
        X = np.stack([np.ones(len(C)), (C / C.max()) ** -k], axis=1)
        (E, a), *_ = np.linalg.lstsq(X, L, rcond=None)
        misfit = ((X @ [E, a] - L) ** 2).sum()
        if a > 0 and (best is None or misfit < best[0]):
            best = misfit, E, C.max() * a ** (1 / k), k
    return best[1:]


def predictions(C, samples, at, fit=grid):
    laws = [fit(C, L) for L in samples]
    return np.array([E + (C0 / at) ** k for E, C0, k in laws])


def quantiles(low, high):
    return lambda C, samples, at: tuple(np.quantile(predictions(C, samples, at), [low, high]))


def bare(C, L):
    b, log_a = np.polyfit(np.log(C), np.log(L), 1)
    return 0.0, np.exp(-log_a / b), -b


def as_prefactor(C, L):
    E, C0, k = grid(C, L)
    return E, C0**k, k


def around(factor, width):
    """A strategy that looks at one run and says a number near its loss."""

    def strategy(shop):
        loss = shop.buy(*shop.menu()[-1]).loss
        return factor * loss, (factor - width) * loss, (factor + width) * loss

    return strategy


def greedy(shop):
    for compute, d_model in shop.menu():
        shop.buy(compute, d_model)


RIGHT = {
    "fit": [constants, grid, lambda C, L: list(grid(C, L)), lambda C, L: np.array(grid(C, L))],
    "interval": [quantiles(0.05, 0.95), lambda C, s, at: np.quantile(predictions(C, s, at, constants), [0.05, 0.95])],
    "run_shop": [run_shop.best_widths, lambda shop: list(run_shop.best_widths(shop))],
}
WRONG = [
    ("fit", bare, "without a floor"),
    ("fit", as_prefactor, "k-th root"),
    ("fit", lambda C, L: (lambda E, C0, k: (E, k, C0))(*grid(C, L)), "the order"),
    ("fit", lambda C, L: (lambda E, C0, k: (E, C0, -k))(*grid(C, L)), "the sign of k"),
    ("fit", lambda C, L: (lambda E, C0, k: (E, C0 / C.max(), k))(*grid(C, L)), "the unit of C"),
    ("fit", lambda C, L: (lambda E, C0, k: (E, (C0 / C.max()) ** k, k))(*grid(C, L)), "multiply with C.max()"),
    ("fit", lambda C, L: grid(C, L, np.array([0.05, 0.18, 0.45, 0.9])), "closer together"),
    ("fit", lambda C, L: (L.min(), C.max() * 1e-3, 0.3), "below the lowest loss"),
    ("fit", lambda C, L: (1.0, 2.0), "three numbers"),
    ("interval", quantiles(0.025, 0.975), "95 % interval"),
    ("interval", quantiles(0.0, 1.0), "middle nine tenths"),
    ("interval", lambda C, s, at: np.quantile([grid(C, L)[0] for L in s], [0.05, 0.95]), "floor E"),
    ("interval", lambda C, s, at: [predictions(C, [s.mean(axis=0)], at)[0]] * 2, "not their mean"),
    ("interval", lambda C, s, at: np.quantile(predictions(C, s, at), [0.95, 0.05]), "the order"),
    ("run_shop", run_shop.last_run, "has more of everything"),
    ("run_shop", run_shop.straight_line, "intervals"),
    ("run_shop", lambda shop: (1.0, 0.9, 1.1), "bought nothing"),
    ("run_shop", around(0.95, -0.01), "low <= predicted"),
    ("run_shop", around(0.5, 0.49), "width alone"),
    ("run_shop", around(0.5, 0.01), "too low"),
    ("run_shop", greedy, "for at most"),
]
globals().update(named_checks(ch05_scaling, RIGHT, grouped(WRONG)))
