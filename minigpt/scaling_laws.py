"""Scaling laws: power laws with and without an irreducible loss, and predictions with intervals."""

import math
from dataclasses import dataclass

import numpy as np

from minigpt import stats


def frontier(compute, loss) -> tuple[np.ndarray, np.ndarray]:
    """Compute-efficient frontier: the points with a lower loss than all that cost as much or less.

    compute, loss: the points of all runs together, one after the other, in any order.

    Shapes: (n,) and (n,) -> (m,) and (m,), m <= n, compute rising and loss falling.
    Errors: ValueError if they differ in length or hold a nan.
    Source: the lower envelope in GPT-3, figure 3.1. Differs: the measured points themselves; the figure draws a law.

    >>> frontier([1, 2, 2, 4], [5.0, 4.0, 3.0, 3.5])
    (array([1., 2.]), array([5., 3.]))
    """
    compute, loss = _points(compute, loss)
    order = np.lexsort((loss, compute))  # by compute; at the same compute the lower loss first
    compute, loss = compute[order], loss[order]
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(loss)[:-1]])
    return compute[loss < best_before], loss[loss < best_before]


def lower_envelope(runs, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Lower envelope of learning curves: at each compute the lowest loss of all runs that have a curve there.

    runs: one (compute, loss) for each run, its points in any order. Between two points of a run the curve is straight
    on two logarithmic axes; outside its points a run says nothing. n: points on the envelope, evenly spaced in the
    logarithm of the compute from the least to the most.

    Shapes: compute and loss of a run (m,), m its own; result (k,) and (k,), k <= n (fewer where no run has a curve).
    Errors: ValueError for no run, lengths that differ, a nan, or a number that is not above 0.
    Source: the envelope in GPT-3, figure 3.1; it is not printed how it was found.

    >>> compute, loss = lower_envelope([([1, 100], [4.0, 1.0]), ([10, 1000], [3.0, 0.5])], n=4)
    >>> [(round(c), round(l, 2)) for c, l in zip(compute.tolist(), loss.tolist())]
    [(1, 4.0), (10, 2.0), (100, 1.0), (1000, 0.5)]
    """
    curves = [_points(*run) for run in runs]
    if not curves or min(min(compute.min(), loss.min()) for compute, loss in curves) <= 0:
        raise ValueError("expected at least one run, and numbers above 0")
    every = np.concatenate([compute for compute, _ in curves])
    at = np.geomspace(every.min(), every.max(), n)
    at[[0, -1]] = every.min(), every.max()  # without rounding, so that both ends lie on a curve
    lowest = np.full(n, np.nan)
    for compute, loss in curves:
        order = np.argsort(compute)
        u, v = np.log(compute[order]), np.log(loss[order])
        lowest = np.fmin(lowest, np.exp(np.interp(np.log(at), u, v, left=np.nan, right=np.nan)))
    there = np.isfinite(lowest)
    return at[there], lowest[there]


def straightness(x, y) -> tuple[float, float]:
    """How straight y is on two logarithmic axes: the curvature of log y, and R^2 of the straight line.

        log y = a + b u + c u^2 + noise,  u = log x: the curvature is c;   R^2 = 1 - var(noise of the line) / var(log y)

    c = 0 and R^2 = 1 for a power law; c > 0 if it flattens. Both may be compared between quantities of different range.
    Errors: ValueError for fewer than three different x, lengths that differ, or a number that is not above 0.

    >>> straightness([1, 10, 100, 1000], [8.0, 4.0, 2.0, 1.0])
    (0.0, 1.0)
    """
    x, y = _points(x, y)
    if min(x.min(), y.min()) <= 0 or len(np.unique(x)) < 3:
        raise ValueError(f"expected numbers above 0, and three different x; got x from {x.min():g}, y from {y.min():g}")
    u, v = np.log(x) - np.log(x).mean(), np.log(y)
    left = v - np.polyval(np.polyfit(u, v, 1), u)
    return round(float(np.polyfit(u, v, 2)[0]), 10) + 0.0, round(float(1 - left.var() / v.var()), 10)


@dataclass(frozen=True)
class PowerLaw:
    """Power law y = a x^b, as it was fitted: a straight line of slope b on two logarithmic axes."""

    a: float  # y at x = 1
    b: float  # the exponent
    b_low: float  # 95 % interval of the exponent; nan if only two points were fitted
    b_high: float
    spread: float  # standard deviation of log y around the line; nan for two points
    n: int  # points fitted

    def __call__(self, x):
        """What the law says at x."""
        return self.a * np.asarray(x, float) ** self.b

    def factor(self, times: float = 10.0) -> float:
        """By what y is multiplied when x is multiplied by `times`: times^b.

        >>> round(PowerLaw(2.57, -0.048, -0.05, -0.046, 0.01, 9).factor(10), 3)
        0.895
        """
        return float(times**self.b)


def fit_power_law(x, y) -> PowerLaw:
    """Power-law fit: y = a x^b by least squares between the logarithms.

        log y = log a + b log x + noise,   b ± t_{n-2} s / sqrt(sum (log x - mean log x)^2)

    The interval is Student's and takes the points for independent. Points of one training run are not: take one from
    each run, or read the interval as too narrow. For a law with a floor c, fit y - c.

    Errors: ValueError for fewer than two different x, lengths that differ, or a number that is not above 0.
    Source: GPT-3, figure 3.1 (2.57 C^-0.048); it does not print how it was fitted.

    >>> law = fit_power_law([1, 10, 100], [2.0, 1.0, 0.5])
    >>> round(law.a, 3), round(law.b, 3)
    (2.0, -0.301)
    """
    x, y = _points(x, y)
    if x.min() <= 0 or y.min() <= 0:
        raise ValueError(f"a power law needs numbers above 0; got x from {x.min():g} and y from {y.min():g}")
    if len(np.unique(x)) < 2:
        raise ValueError(f"a power law needs at least two different x; got {np.unique(x)}")
    u, v, n = np.log(x), np.log(y), len(x)
    around = np.sum((u - u.mean()) ** 2)
    b = np.sum((u - u.mean()) * (v - v.mean())) / around
    log_a = v.mean() - b * u.mean()
    if n == 2:
        return PowerLaw(float(np.exp(log_a)), float(b), math.nan, math.nan, math.nan, n)
    s = math.sqrt(np.sum((v - log_a - b * u) ** 2) / (n - 2))
    half = stats.t95(n - 2) * s / math.sqrt(around)
    return PowerLaw(float(np.exp(log_a)), float(b), float(b - half), float(b + half), s, n)


def _points(x, y) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 1 or x.shape != y.shape or len(x) == 0:
        raise ValueError(f"expected two rows of the same length, at least one point; got {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("expected finite numbers, but there is a nan or an infinity: leave out runs that broke off")
    return x, y


_STEEPEST, _FLATTEST, _N_GRID = 3.0, 0.003, 800  # the exponents that are tried: -b from 0.003 to 3


@dataclass(frozen=True)
class FloorLaw:
    """Scaling law with an irreducible loss: L(C) = a C^b + c, b < 0."""

    a: float
    b: float
    c: float  # nats per token: the irreducible loss

    def __call__(self, compute):
        """The loss at this compute."""
        return self.a * np.asarray(compute, float) ** self.b + self.c


def fit_floor_law(compute, loss, c: float | None = None) -> FloorLaw:
    """Fit of a scaling law with an irreducible loss: L(C) = a C^b + c by least squares of the relative errors.

        minimise  sum over runs of (L(C_i) / L_i - 1)^2     over a > 0, b < 0, c >= 0

    For each b the best a and c follow from two linear equations; so only b has to be searched. A given `c` is kept.

    Shapes: compute and loss (n,), n >= 4. Units: floating-point operations, nats per token.
    Errors: ValueError for fewer than 4 runs or 3 different computes, a loss not above 0, a nan, compute that falls
    along the list, or a `c` that is not at least 0 and finite.
    Source: GPT-4 report, section 3.1, after Henighan et al. 2020; how they fitted is not printed.

    >>> law = fit_floor_law([1e3, 1e4, 1e5, 1e6], [3.0, 2.5, 2.25, 2.125])
    >>> round(law.c, 3), round(law.b, 3)
    (2.0, -0.301)
    """
    compute, loss = checked_runs(compute, loss)
    if c is not None and not 0 <= c < math.inf:
        raise ValueError(f"expected an irreducible loss c of at least 0; got {c}")
    unit = math.exp(np.log(compute).mean())
    exponents = -np.geomspace(_STEEPEST, _FLATTEST, _N_GRID)
    for _ in range(5):  # each time between the neighbours of the best one so far
        errors, a, floors = _best_linear(compute / unit, loss[None], exponents, c)
        best = int(errors[0].argmin())
        b, a, floor = float(exponents[best]), float(a[0, best]), float(floors[0, best])
        exponents = np.linspace(exponents[max(best - 1, 0)], exponents[min(best + 1, len(exponents) - 1)], 101)
    return FloorLaw(a * unit**-b, b, floor)


def _best_linear(x: np.ndarray, losses: np.ndarray, exponents: np.ndarray, c: float | None):
    """For each sample and exponent the best a >= 0 and c >= 0: sum of squared relative errors, a, c. Shapes: (S, G).

    x (n,), losses (S, n), exponents (G,).
    """
    power = x[:, None] ** exponents  # (n, G)
    w = 1 / losses  # (S, n)
    s_pp, s_p, s_11 = w**2 @ power**2, w**2 @ power, (w**2).sum(axis=1)[:, None]
    y_p, y_1, n = w @ power, w.sum(axis=1)[:, None], x.size

    def only(floor):  # the best a, if c is given
        a = np.maximum((y_p - floor * s_p) / s_pp, 0)
        return a, np.broadcast_to(floor, a.shape)

    if c is not None:
        a, floors = only(float(c))
    else:
        det = s_pp * s_11 - s_p**2
        with np.errstate(divide="ignore", invalid="ignore"):  # det is 0 where the power is the same for all runs
            a, floors = (y_p * s_11 - y_1 * s_p) / det, (s_pp * y_1 - s_p * y_p) / det
        bare, zero = only(0.0)
        level, none = y_1 / s_11, np.zeros_like(a)
        a, floors = np.where(floors < 0, bare, a), np.where(floors < 0, zero, floors)
        a, floors = np.where(a < 0, none, a), np.where(a < 0, level, floors)
    with np.errstate(invalid="ignore"):
        errors = n + a**2 * s_pp + floors**2 * s_11 + 2 * (a * floors * s_p - a * y_p - floors * y_1)
    return np.where(np.isnan(errors), np.inf, errors), a, floors


@dataclass(frozen=True)
class Prediction:
    """Prediction with its interval: what a law says about a run that was not made."""

    value: float
    low: float
    high: float
    level: float  # how sure the interval claims to be
    floors: tuple[float, float]  # the interval of the irreducible loss c, at the same level

    def holds(self, measured: float) -> bool:
        """Whether what came lies in the interval."""
        return self.low <= measured <= self.high


def predict(
    compute,
    loss,
    at: float,
    rng: np.random.Generator,
    level: float = 0.9,
    n_samples: int = 2000,
    c: float | None = None,
) -> Prediction:
    """Loss prediction: fit a law, and say what a run of another compute will reach, with an interval (bootstrap).

        s^2 = sum over runs of (L_i / L(C_i) - 1)^2 / k,        k = n - number of constants
        each sample:  sigma = s sqrt(k / chi^2_k),  L*_i = L(C_i) exp(sigma z_i),  z_i normal; the law is fitted to L*

    The new run gets an error of its own, and the middle `level` of the samples is the interval. How large the errors
    are is itself known from few runs only: hence the chi^2, which makes Student's t out of the normal distribution.
    The interval knows of chance, not of a wrong law: if the true curve bends, it is too narrow.
    Measured: of 500 made-up worlds each (3 laws, 1 % noise, one decade beyond), the 90 % interval held the truth in
    89.0 to 90.4 % with 6 runs and 88.0 to 89.4 % with 10.

    Shapes: compute and loss (n,). Errors: as fit_floor_law; ValueError for an `at` or `level` that makes no sense.
    Source: Efron and Tibshirani 1993, chapter 6 (parametric bootstrap); Gelman et al. 2013, section 14.2 (the chi^2).
    """
    if not (0 < level < 1 and 0 < at < math.inf and n_samples >= 1):
        raise ValueError(f"expected a level in 0 ... 1, a compute above 0, samples; got {level}, {at}, {n_samples}")
    law = fit_floor_law(compute, loss, c)
    compute, loss = checked_runs(compute, loss)
    free = 3 if c is None else 2
    fitted = law(compute)
    sigma = math.sqrt(np.sum((loss / fitted - 1) ** 2)) / np.sqrt(rng.chisquare(len(loss) - free, (n_samples, 1)))
    errors = np.clip(sigma * rng.normal(size=(n_samples, len(loss) + 1)), -9, 9)  # the last is that of the new run
    drawn = fitted * np.exp(errors[:, :-1])
    unit = math.exp(np.log(compute).mean())
    exponents = -np.geomspace(_STEEPEST, _FLATTEST, _N_GRID // 2)
    misfit, a, floors = _best_linear(compute / unit, drawn, exponents, c)
    best = misfit.argmin(axis=1)[:, None]
    a, floors = np.take_along_axis(a, best, 1)[:, 0], np.take_along_axis(floors, best, 1)[:, 0]
    said = (a * (at / unit) ** exponents[best[:, 0]] + floors) * np.exp(errors[:, -1])
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(said, tails)
    return Prediction(float(law(at)), float(low), float(high), level, tuple(np.quantile(floors, tails).tolist()))


def interval_score(low: float, high: float, came: float, level: float = 0.9) -> float:
    """Interval score, a proper scoring rule: the width, and a penalty for missing.

        (high - low)  +  2 / (1 - level) times the distance from `came` to the interval

    Unit: that of the numbers; less is better.
    Errors: ValueError for an interval that runs backwards, another level, or a nan.
    Source: Gneiting and Raftery 2007, section 6.2. Differs: nothing.

    >>> interval_score(1.0, 2.0, 1.5), round(interval_score(1.0, 2.0, 2.25), 6)
    (1.0, 6.0)
    """
    if not (low <= high and 0 < level < 1):
        raise ValueError(f"expected low <= high and a level between 0 and 1; got {low} ... {high} and {level}")
    if math.isnan(came):
        raise ValueError(f"expected a number that came; got {came}: a run that broke off has no score")
    return float(high - low + 2 / (1 - level) * max(0.0, low - came, came - high))


def local_exponents(x, y) -> np.ndarray:
    """Local exponents: the slope from each point to the next on two logarithmic axes; all equal for a power law.

    Give it the loss above the floor: where the exponents of the smallest runs differ, they are off the law.
    Shapes: (n,) and (n,) -> (n - 1,). Errors: ValueError for x that does not rise, or a number that is not above 0.

    >>> local_exponents([1, 10, 100], [4.0, 2.0, 1.0]).round(3).tolist()
    [-0.301, -0.301]
    """
    x, y = _points(x, y)
    if min(x.min(), y.min()) <= 0 or (np.diff(x) <= 0).any():
        raise ValueError(f"expected numbers above 0, x rising; got x = {x.tolist()}, y from {y.min():g}")
    return np.diff(np.log(y)) / np.diff(np.log(x))


def reducible_error(predicted: float, measured: float, floor: float) -> float:
    """Error of a prediction as a share of the reducible loss that is left: (predicted - measured) / (measured - floor).

    Most of a loss is floor, which nobody has to predict: an error of 2 % of the loss may be half of what was to be
    predicted. Above 0 if the prediction was too high. Errors: ValueError for a measured loss not above the floor.

    >>> round(reducible_error(1.10, 1.08, 1.04), 3)
    0.5
    """
    if not measured > floor:
        raise ValueError(f"expected a measured loss above the floor; got {measured} and {floor}")
    return float((predicted - measured) / (measured - floor))


def checked_runs(compute, loss) -> tuple[np.ndarray, np.ndarray]:
    """Compute and loss as arrays. Errors: ValueError for runs that no law can be fitted to."""
    compute, loss = np.asarray(compute, float), np.asarray(loss, float)
    if compute.ndim != 1 or compute.shape != loss.shape:
        raise ValueError(f"expected a compute and a loss for each run; got {compute.shape} and {loss.shape}")
    if len(loss) < 4:
        raise ValueError(f"a law with three constants needs at least 4 runs; got {len(loss)}")
    if not (np.isfinite(compute).all() and np.isfinite(loss).all()):
        raise ValueError("expected finite numbers; leave out runs that broke off (nan)")
    if compute.min() <= 0 or loss.min() <= 0:
        raise ValueError(f"expected compute and loss above 0; the smallest are {compute.min():g} and {loss.min():g}")
    if (np.diff(compute) < 0).any():
        raise ValueError("expected compute that grows along the list, so that no loss stands beside a wrong one")
    if len(np.unique(compute)) < 3:
        raise ValueError(f"expected at least three different computes; got {np.unique(compute)}")
    return compute, loss
