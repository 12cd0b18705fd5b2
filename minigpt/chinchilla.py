"""Loss as a function of parameters and tokens, L(N, D), and the compute-optimal model size."""

import math
from dataclasses import dataclass

import numpy as np

from minigpt.scaling_laws import PowerLaw, fit_power_law


@dataclass(frozen=True)
class JointLaw:
    """Scaling law in size and data, L(N, D) = E + A / N^alpha + B / D^beta: what size lacks and what data lack, added.

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
        """Compute-optimal allocation: the size and the number of tokens with the lowest loss at 6 N D = C.

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
    """Fit of L(N, D) = E + A / N^alpha + B / D^beta: Huber loss of the errors of log L.

        minimise  sum over runs of Huber_delta(log L(N_i, D_i) - log L_i)

    From several starts; the best end is kept. E = e^e, A = e^a, B = e^b keep them above 0, as in the paper.

    Shapes: (n,) each, n >= 6. Units: parameters, tokens, nats per token.
    Errors: ValueError for fewer than 6 runs, a number that is not above 0, fewer than three different sizes or numbers
    of tokens, or a delta not above 0.
    Source: Hoffmann et al. 2022, section 3.3 (delta = 1e-3). Differs: damped, reweighted least squares instead of
    L-BFGS; a sum, not a mean, of the Huber terms, as Besiroglu et al. 2024 advise.
    """
    N, D, L = (np.asarray(each, float) for each in (n_params, n_tokens, loss))
    if N.ndim != 1 or not N.shape == D.shape == L.shape or len(N) < 6:
        raise ValueError(f"expected at least 6 runs, as three lists; got {N.shape}, {D.shape} and {L.shape}")
    if not all(np.isfinite(each).all() and (each > 0).all() for each in (N, D, L)):
        raise ValueError("expected sizes, tokens and losses above 0; one of them is not (a run that broke off?)")
    if len(np.unique(N)) < 3 or len(np.unique(D)) < 3:
        raise ValueError("expected at least three different sizes and three different numbers of tokens")
    if not 0 < delta < math.inf:
        raise ValueError(f"expected a delta above 0; got {delta}")
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


def isoflop_optimum(n_params, loss) -> tuple[float, float]:
    """IsoFLOP optimum: the best size among runs of one and the same compute, the lowest point of a parabola in log N.

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
    """Compute-optimal sizes by isoFLOP profiles: the best size at each compute, and the law N* = k C^a through them.

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
