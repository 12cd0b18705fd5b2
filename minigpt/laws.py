"""Laws of loss: what runs that were made say about a run that was not made yet.

Floor 1 of the west wing (uses scaling). Two laws, fitted to measured runs: loss against compute, with a floor, as in the
GPT-4 report; and loss against parameters and tokens, as in the Chinchilla paper. Each comes with what it predicts, and
how far that can be trusted.
"""

import math
from dataclasses import dataclass

import numpy as np

from minigpt.scaling import PowerLaw, fit_power_law

# --- loss against compute, with a floor -------------------------------------------------------------------------------

_STEEPEST, _FLATTEST, _N_GRID = 3.0, 0.003, 800  # the exponents that are tried: -b from 0.003 to 3


@dataclass(frozen=True)
class FloorLaw:
    """L(C) = a C^b + c, b < 0: what compute buys, and what it cannot buy."""

    a: float
    b: float
    c: float  # nats per token: the irreducible loss

    def __call__(self, compute):
        """The loss at this compute."""
        return self.a * np.asarray(compute, float) ** self.b + self.c


def fit_floor_law(compute, loss, c: float | None = None) -> FloorLaw:
    """Fit L(C) = a C^b + c by least squares of the relative errors.

        minimise  sum over runs of (L(C_i) / L_i - 1)^2     over a > 0, b < 0, c >= 0

    For each b the best a and c follow from two linear equations; so only b has to be searched. A given `c` is kept.

    Shapes: compute and loss (n,), n >= 4. Units: floating-point operations, nats per token.
    Errors: ValueError for fewer than 4 runs or 3 different computes, a loss that is not above 0, a nan, or compute that
    falls along the list. Source: GPT-4 report, section 3.1, after Henighan et al. 2020; how they fitted is not printed.

    >>> law = fit_floor_law([1e3, 1e4, 1e5, 1e6], [3.0, 2.5, 2.25, 2.125])
    >>> round(law.c, 3), round(law.b, 3)
    (2.0, -0.301)
    """
    compute, loss = _runs(compute, loss)
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
        a, floors = (y_p * s_11 - y_1 * s_p) / det, (s_pp * y_1 - s_p * y_p) / det
        bare, zero = only(0.0)
        level, none = y_1 / s_11, np.zeros_like(a)
        a, floors = np.where(floors < 0, bare, a), np.where(floors < 0, zero, floors)
        a, floors = np.where(a < 0, none, a), np.where(a < 0, level, floors)
    errors = n + a**2 * s_pp + floors**2 * s_11 + 2 * (a * floors * s_p - a * y_p - floors * y_1)
    return errors, a, floors


@dataclass(frozen=True)
class Prediction:
    """What a law says about a run that was not made, and between which numbers it should come out."""

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
    """Fit a law with a floor, and say what a run of another compute will reach, with an interval (residual bootstrap).

    The relative errors of the fit are drawn anew for each run, the law is fitted to the result, and the new run gets an
    error of its own. The middle `level` of what comes out is the interval. It knows of chance, not of a wrong law: if the
    true curve bends, it is too narrow.

    Shapes: compute and loss (n,). Errors: as fit_floor_law; ValueError for an `at` or `level` that makes no sense.
    Source: Efron and Tibshirani 1993, chapter 9. Differs: errors are enlarged by sqrt(n / (n - number of constants)).
    """
    if not (0 < level < 1 and at > 0):
        raise ValueError(f"expected a level between 0 and 1 and a compute above 0; got {level} and {at}")
    law = fit_floor_law(compute, loss, c)
    compute, loss = _runs(compute, loss)
    free = 3 if c is None else 2
    fitted = law(compute)
    errors = (loss / fitted - 1) * math.sqrt(len(loss) / (len(loss) - free))
    errors = errors - errors.mean()
    drawn = fitted * (1 + rng.choice(errors, size=(n_samples, len(loss))))
    unit = math.exp(np.log(compute).mean())
    exponents = -np.geomspace(_STEEPEST, _FLATTEST, _N_GRID // 2)
    misfit, a, floors = _best_linear(compute / unit, drawn, exponents, c)
    best = misfit.argmin(axis=1)[:, None]
    a, floors = np.take_along_axis(a, best, 1)[:, 0], np.take_along_axis(floors, best, 1)[:, 0]
    said = (a * (at / unit) ** exponents[best[:, 0]] + floors) * (1 + rng.choice(errors, size=n_samples))
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(said, tails)
    return Prediction(float(law(at)), float(low), float(high), level, tuple(np.quantile(floors, tails).tolist()))


def interval_score(low: float, high: float, came: float, level: float = 0.9) -> float:
    """What an interval costs: its width, and a fine for missing. Nobody gains by saying another interval than he believes.

        (high - low)  +  2 / (1 - level) times the distance from `came` to the interval

    Unit: that of the numbers; less is better. Errors: ValueError for an interval that runs backwards, or another level.
    Source: Gneiting and Raftery 2007, section 6.2. Differs: nothing.

    >>> interval_score(1.0, 2.0, 1.5), round(interval_score(1.0, 2.0, 2.25), 6)
    (1.0, 6.0)
    """
    if not (low <= high and 0 < level < 1):
        raise ValueError(f"expected low <= high and a level between 0 and 1; got {low} ... {high} and {level}")
    return float(high - low + 2 / (1 - level) * max(0.0, low - came, came - high))


# --- loss against parameters and tokens -------------------------------------------------------------------------------


@dataclass(frozen=True)
class JointLaw:
    """L(N, D) = E + A / N^alpha + B / D^beta: what size lacks and what data lack, added.

    Source: Hoffmann et al. 2022 ("Chinchilla"), equation 2.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def __call__(self, n_params, n_tokens):
        """The loss of a model of this size after so many tokens."""
        N, D = np.asarray(n_params, float), np.asarray(n_tokens, float)
        return self.E + self.A / N**self.alpha + self.B / D**self.beta

    @property
    def exponent(self) -> float:
        """a: the best size grows as C^a. Source: the same, equation 4."""
        return self.beta / (self.alpha + self.beta)

    def optimum(self, compute: float) -> tuple[float, float]:
        """The size and the number of tokens with the lowest loss at this compute, 6 N D = C.

            G = (alpha A / (beta B))^(1 / (alpha + beta)),   N* = G (C / 6)^a,   D* = (C / 6) / N*

        Source: the same, equation 4. E does not move it.

        >>> n, d = JointLaw(1.7, 400.0, 400.0, 0.3, 0.3).optimum(6e20)
        >>> round(n / 1e10, 6), round(d / 1e10, 6)
        (1.0, 1.0)
        """
        G = (self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta))
        n = G * (compute / 6) ** self.exponent
        return float(n), float(compute / 6 / n)


_STARTS = [  # (alpha, beta, share of the lowest loss that is E); A and B follow from the data
    (alpha, beta, share) for alpha in (0.1, 0.35, 0.8) for beta in (0.1, 0.35, 0.8) for share in (0.5, 0.9)
]


def fit_joint_law(n_params, n_tokens, loss, delta: float = 1e-3) -> JointLaw:
    """Fit L(N, D) = E + A / N^alpha + B / D^beta: errors of log L, and no single run may pull too hard.

        minimise  sum over runs of Huber_delta(log L(N_i, D_i) - log L_i)

    From several starts; the best end is kept. E = e^e, A = e^a, B = e^b keep them above 0, as in the paper.

    Shapes: (n,) each, n >= 6. Units: parameters, tokens, nats per token.
    Errors: ValueError for fewer than 6 runs, a number that is not above 0, or runs of one size or one length only.
    Source: Hoffmann et al. 2022, section 3.3 (delta = 1e-3). Differs: damped, reweighted least squares instead of L-BFGS;
    a sum, not a mean, of the Huber terms, as Besiroglu et al. 2024 advise.
    """
    N, D, L = (np.asarray(each, float) for each in (n_params, n_tokens, loss))
    if N.ndim != 1 or not N.shape == D.shape == L.shape or len(N) < 6:
        raise ValueError(f"expected at least 6 runs, as three lists; got {N.shape}, {D.shape} and {L.shape}")
    if not all(np.isfinite(each).all() and (each > 0).all() for each in (N, D, L)):
        raise ValueError("expected sizes, tokens and losses above 0; one of them is not (a run that broke off?)")
    if len(np.unique(N)) < 3 or len(np.unique(D)) < 3:
        raise ValueError("expected at least three different sizes and three different numbers of tokens")
    u, v, y = np.log(N), np.log(D), np.log(L)
    shift_u, shift_v = u.mean(), v.mean()
    ends = [_descend(u - shift_u, v - shift_v, y, start, delta) for start in _STARTS]
    e, a, b, alpha, beta = min(ends, key=lambda end: end[0])[1]
    return JointLaw(
        *(float(x) for x in (np.exp(e), np.exp(a + alpha * shift_u), np.exp(b + beta * shift_v), alpha, beta))
    )


def _descend(u, v, y, start, delta) -> tuple[float, np.ndarray]:
    """Levenberg and Marquardt's method with Huber's weights, from one start: the misfit, and (e, a, b, alpha, beta)."""
    alpha, beta, share = start
    rest = math.log(max(np.exp(y).mean() - share * np.exp(y).min(), 1e-3) / 2)
    p = np.array([math.log(share * np.exp(y).min()), rest, rest, alpha, beta])

    def parts(p):
        terms = np.stack([np.full_like(u, p[0]), p[1] - p[3] * u, p[2] - p[4] * v])  # logs of the three summands
        log_sum = np.logaddexp.reduce(terms, axis=0)
        shares = np.exp(terms - log_sum)
        return log_sum - y, np.stack([shares[0], shares[1], shares[2], -shares[1] * u, -shares[2] * v], axis=1)

    def huber(r):
        size = np.abs(r)
        return float(np.where(size <= delta, r**2 / 2, delta * (size - delta / 2)).sum())

    damping, (r, J) = 1e-2, parts(p)
    for _ in range(400):
        w = delta / np.maximum(np.abs(r), delta)  # Huber's weights: 1 for small errors
        H, g = J.T @ (w[:, None] * J), J.T @ (w * r)
        step = np.linalg.solve(H + damping * (np.diag(H.diagonal()) + 1e-12 * np.eye(5)), -g)
        tried = p + np.clip(step, -2, 2)
        r_new, J_new = parts(tried)
        if np.isfinite(r_new).all() and huber(r_new) < huber(r):
            gained = huber(r) - huber(r_new)
            p, r, J, damping = tried, r_new, J_new, max(damping / 3, 1e-12)
            if gained < 1e-13 * huber(r):
                break
        else:
            damping *= 4
            if damping > 1e12:
                break
    return huber(r), p


# --- one compute, many sizes ------------------------------------------------------------------------------------------


def isoflop_optimum(n_params, loss) -> tuple[float, float]:
    """The best size among runs of one and the same compute: the lowest point of a parabola in log N.

    Shapes: (n,) each, n >= 3. Result: N*, and the loss there.
    Errors: ValueError for fewer than 3 sizes, a number not above 0, or a valley whose lowest point is not inside.
    Source: Hoffmann et al. 2022, section 3.2 ("IsoFLOP profiles"). Differs: nothing.

    >>> n, low = isoflop_optimum([1e3, 1e4, 1e5], [3.0, 2.0, 3.0])
    >>> round(n), round(low, 6)
    (10000, 2.0)
    """
    N, L = np.asarray(n_params, float), np.asarray(loss, float)
    if N.ndim != 1 or N.shape != L.shape or len(np.unique(N)) < 3:
        raise ValueError(f"expected at least three different sizes, each with its loss; got {N.shape} and {L.shape}")
    if not (np.isfinite(N).all() and np.isfinite(L).all() and N.min() > 0 and L.min() > 0):
        raise ValueError("expected sizes and losses above 0")
    x = np.log(N)
    curvature, slope, level = np.polyfit(x - x.mean(), L, 2)
    lowest = -slope / (2 * curvature) if curvature > 0 else math.nan
    if not x.min() <= lowest + x.mean() <= x.max():
        raise ValueError(
            "expected the lowest loss between the smallest and the largest size; make runs of further sizes"
        )
    return float(np.exp(lowest + x.mean())), float(level - slope**2 / (4 * curvature))


def best_sizes(n_params, n_tokens, loss) -> tuple[np.ndarray, np.ndarray, PowerLaw]:
    """The best size at each compute, and the law N* = k C^a through them.

    Runs belong together if their compute 6 N D is the same within 20 %. Results: compute (k,), N* (k,), and the law.
    Errors: as isoflop_optimum and fit_power_law.
    """
    N, D, L = (np.asarray(each, float) for each in (n_params, n_tokens, loss))
    C = 6 * N * D
    order = np.argsort(C)
    groups = np.split(order, np.flatnonzero(np.diff(np.log(C[order])) > math.log(1.2)) + 1)
    computes = np.array([np.exp(np.log(C[group]).mean()) for group in groups])
    best = np.array([isoflop_optimum(N[group], L[group])[0] for group in groups])
    return computes, best, fit_power_law(computes, best)


def _runs(compute, loss) -> tuple[np.ndarray, np.ndarray]:
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
