"""Checks for the exercises of chapter 05 on fits: the law, its interval, and a strategy for the run shop.

Each takes the reader's own function, tries it on examples it has not seen, and shows one line: correct, or the likely
mistake. What is right is worked out here; never stored. The run shop's runs are measured ones.
"""

import math
from collections.abc import Callable

import numpy as np

from minigpt.exercises.judging import Problem, called, exercise, parts, scalar, short
from minigpt.experiments.gpt4 import run_shop as shop_of_runs


@exercise("my_fit", "For each exponent the rest is linear: so one loop is enough, and no starting point can be wrong.",
          hint="For each k of `np.linspace(0.02, 1, 300)`: `X = np.stack([np.ones(n), (C / C.max()) ** -k], axis=1)`, "
               "`np.linalg.lstsq(X, L)`; keep the k with the least squares. The other number is (C0 / C.max())^k.")
def fit(answer: Callable[[np.ndarray, np.ndarray], tuple]) -> None:
    """The three constants of L = E + (C0 / C)^k, by least squares."""
    rng = np.random.default_rng(5)
    worlds = ((1.0, 1e6, 0.25, 0.0), (0.4, 3e5, 0.14, 0.0), (1.6, 2e7, 0.33, 0.004), (2.2, 1e8, 0.5, 0.01))
    for E, C0, k, noise in worlds:
        C = np.repeat(np.geomspace(1e9, 5e10, 6), 1 + 2 * (noise > 0))
        L = E + (C0 / C) ** k + noise * rng.normal(size=len(C))
        got = _numbers(called(answer, C.copy(), L.copy()), 3, "three numbers, E, C0 and k")
        where = f"for runs near L = {E:g} + ({C0:.0e} / C)^{k:g}"
        if _rms(C, L, got) <= 1.02 * _rms(C, L, _least_squares(C, L)) + 2e-4:
            continue
        _name_the_slip(C, L, got, where)


def _least_squares(C, L, exponents=np.linspace(0.01, 1.2, 1200)) -> tuple[float, float, float]:
    """E, C0, k with the least squares: for each k a straight line in C^-k."""
    x = (C / C.max()) ** -exponents[:, None]  # (G, n)
    around = x - x.mean(axis=1, keepdims=True)
    slope = (around * (L - L.mean())).sum(axis=1) / (around**2).sum(axis=1)
    misfit = ((L - L.mean() - slope[:, None] * around) ** 2).sum(axis=1)
    best = int(np.where(slope > 0, misfit, np.inf).argmin())
    k = exponents[best]
    return float(L.mean() - slope[best] * x[best].mean()), float(C.max() * slope[best] ** (1 / k)), float(k)


def _rms(C, L, constants) -> float:
    E, C0, k = constants
    with np.errstate(all="ignore"):
        misfit = float(np.sqrt(np.mean((E + (C0 / C) ** k - L) ** 2)))
    return misfit if misfit >= 0 else math.inf  # nan: a root of a negative number


def _name_the_slip(C, L, got, where: str) -> None:
    E, C0, k = got
    good = 3 * _rms(C, L, _least_squares(C, L)) + 1e-3
    log = np.polyfit(np.log(C), np.log(L), 1)
    orders = ((E, k, C0), (C0, E, k), (C0, k, E), (k, E, C0), (k, C0, E))
    if abs(E) < 1e-9 or abs(k + log[0]) < 1e-3:
        raise Problem(f"that is a law without a floor: fit E as well ({where})")
    root = float(np.float64(max(C0, 0.0)) ** (1 / k)) if k else 0.0  # numpy's: too large a number is infinite
    for right_order in orders:
        if _rms(C, L, right_order) <= good:
            raise Problem(f"the order: return E, then C0, then k ({where})")
    if _rms(C, L, (E, C0, -k)) <= good:
        raise Problem(f"the sign of k: in (C0 / C)^k it is above 0 ({where})")
    if _rms(C, L, (E, root, k)) <= good:
        raise Problem(f"that is C0^k, the number in front of C^-k: return its k-th root ({where})")
    if _rms(C, L, (E, C.max() * C0, k)) <= good:
        raise Problem(f"C0 in the unit of C: if you divided C by the largest one, multiply again ({where})")
    if _rms(C, L, (E, C.max() * root, k)) <= good:
        raise Problem(f"that is (C0 / C.max())^k: take its k-th root, and multiply with C.max() ({where})")
    if abs(E - L.min()) < 1e-9:
        raise Problem(f"E lies below the lowest loss that was measured: it has to be fitted ({where})")
    ratio = _rms(C, L, got) / (_rms(C, L, _least_squares(C, L)) + 2e-4)
    if ratio < 8:
        raise Problem(f"nearly: the misfit is {ratio:.2g} times the least; try exponents closer together ({where})")
    should = ", ".join(f"{x:.3g}" for x in _least_squares(C, L))
    raise Problem(f"{where} least squares give E, C0, k = {should}; you have {E:.3g}, {C0:.3g}, {k:.3g}")


def _numbers(got, n: int, what: str) -> list[float]:
    found = [scalar(each) for each in parts(got, n, what)]
    if all(isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) < 1e300 for x in found):
        return [float(x) for x in found]
    raise Problem(f"expected {what}; got {short(got)}")


@exercise("my_interval", "The bootstrap: what would have been predicted, had chance fallen otherwise.",
          hint="For each sample fit E, C0 and k and compute E + (C0 / at)^k; `np.quantile` of all of these at 0.05 and "
               "0.95.")  # fmt: skip
def interval(answer: Callable[[np.ndarray, np.ndarray, float], tuple]) -> None:
    """The 90 % interval of a prediction, from samples of the losses: (low, high)."""
    rng = np.random.default_rng(6)
    for E, C0, k, times in ((1.0, 1e6, 0.25, 20.0), (1.6, 2e7, 0.33, 100.0)):
        C = np.repeat(np.geomspace(1e9, 5e10, 5), 3)
        samples = E + (C0 / C) ** k + 0.004 * rng.normal(size=(40, len(C)))
        at = times * float(C.max())
        got = _numbers(called(answer, C.copy(), samples.copy(), at), 2, "two numbers, low and high")
        where = f"for {times:g} times the largest compute"
        laws = [_least_squares(C, L, np.linspace(0.01, 1.2, 240)) for L in samples]
        said = np.array([e + (c / at) ** q for e, c, q in laws])
        low, high = np.quantile(said, [0.05, 0.95])
        if np.allclose(got, (low, high), atol=0.04 * (high - low), rtol=0):
            continue
        if np.allclose(got[::-1], (low, high), atol=0.04 * (high - low), rtol=0):
            raise Problem(f"the order: first the lower end, then the upper one ({where})")
        floors, mean = np.array([e for e, _, _ in laws]), _least_squares(C, samples.mean(axis=0))
        cut = "cut a twentieth off at each end"
        mistakes = (
            ((said.min(), said.max()), f"the middle nine tenths, not all of them: {cut}"),
            (np.quantile(said, [0.025, 0.975]), f"that is a 95 % interval: {cut}"),
            (np.quantile(said, [0.1, 0.9]), f"that is an 80 % interval: {cut}"),
            (np.quantile(said, [0.25, 0.75]), f"that is the middle half: {cut}"),
            (np.quantile(floors, [0.05, 0.95]), "that is the interval of the floor E: predict the loss at `at`"),
            ([mean[0] + (mean[1] / at) ** mean[2]] * 2, "fit each sample by itself, not their mean"),
            (np.quantile(samples.min(axis=1), [0.05, 0.95]), "that is a measured loss: fit, and go on to `at`"),
        )
        wrong, sentence = min(mistakes, key=lambda each: np.abs(np.subtract(got, each[0])).max())
        if np.abs(np.subtract(got, wrong)).max() <= 0.12 * (high - low):
            raise Problem(f"{sentence} ({where})")
        raise Problem(f"{where} it should be {low:.3f} to {high:.3f}, and you have {got[0]:.3f} to {got[1]:.3f}")


@exercise("my_run_shop", "Its interval score is below that of both baselines; the table compares it with ours.",
          hint="Buy runs near the best width at several prices (`shop.menu()`), fit a law with a floor "
               "(`scaling_laws.predict`), and widen the interval until you would bet nine to one on it.")  # fmt: skip
def run_shop(answer: Callable[[shop_of_runs.Shop], tuple[float, float, float]]) -> None:
    """A strategy: what it buys, and what it predicts, in three languages."""
    found = {}
    for name, shop in shop_of_runs.shops().items():
        said = called(answer, shop, advice="what is on the menu, and `shop.left`, change with every run you buy")
        said = _numbers(said, 3, "three numbers: the predicted loss, and the low and high end of the interval")
        if not shop.bought:
            raise Problem("your strategy bought nothing: `shop.buy(compute, d_model)` gives a run with its loss")
        try:
            found[name] = shop.outcome(tuple(said))
        except ValueError as error:
            raise Problem(str(error)) from None
        last = min(run.loss for run in shop.bought)
        if said[0] >= last:
            raise Problem(f"in language {name} you predict {said[0]:.3f}, and a run you bought has {last:.3f} already: "
                          "the large run has more of everything")  # fmt: skip
    if not any(each.holds for each in found.values()):
        sides = {each.measured > each.high for each in found.values()}
        side = {(True,): "low", (False,): "high"}.get(tuple(sides), "narrow")
        raise Problem(f"none of your three intervals holds what was measured: they are too {side}")
    score = np.mean([each.score for each in found.values()])
    for name in ("no change", "straight line"):
        theirs = np.mean([each.score for each in shop_of_runs.play(shop_of_runs.STRATEGIES[name]).values()])
        if score >= theirs:
            wide = np.mean([(x.high - x.low) / (x.measured - x.floor) for x in found.values()])
            why = "the width alone is too large" if wide >= theirs else "a miss is charged twenty times"
            raise Problem(f"your mean interval score is {score:.2f}, and the baseline '{name}' has {theirs:.2f}: {why}")
