"""Bradley-Terry model of rankings: its entropy floor, its fit, and what pairs are worth."""

import numpy as np


def bradley_terry_floor(utilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Entropy floor of the ranking loss: what a reward model loses that knows the labelers' utilities; nats per pair.

        mean over pairs of H(sigma(u_i - u_j)),   H the entropy of a coin

    weights: how often each answer is compared; all equally often if not given. Errors: ValueError if there are fewer
    than two utilities, if one is not finite, or if the weights do not fit.
    """
    u = np.asarray(utilities, dtype=np.float64)
    w = np.ones_like(u) if weights is None else np.asarray(weights, dtype=np.float64)
    if u.ndim != 1 or not np.isfinite(u).all():
        raise ValueError(f"expected a list of finite utilities; got {utilities!r}")
    if w.shape != u.shape or not (np.isfinite(w).all() and w.min(initial=0) >= 0):
        raise ValueError(f"expected a weight of at least 0 for each of {len(u)} answers; got {weights!r}")
    i, j = np.triu_indices(len(u), 1)
    if not len(i):
        raise ValueError(f"expected at least two answers to compare; got {len(u)}")
    if not (w[i] * w[j]).any():
        raise ValueError(f"expected weights above 0 for at least two answers; got {weights!r}")
    ahead = u[i] - u[j]
    surprise = np.logaddexp(0, -ahead), np.logaddexp(0, ahead)  # -log sigma(x), -log sigma(-x)
    entropy = sigma(ahead) * surprise[0] + sigma(-ahead) * surprise[1]
    return float(np.average(entropy, weights=w[i] * w[j]))


def fit_bradley_terry(features: np.ndarray, winners: np.ndarray, losers: np.ndarray, ridge: float = 1e-3) -> np.ndarray:
    """Bradley-Terry model with linear features, fitted to comparisons by Newton's method on the ranking loss.

        r(y) = features(y) . w,   w minimises sum over pairs of -log sigma(r(y_w) - r(y_l)) + ridge |w|^2 / 2

    Shapes: features (N, D); winners and losers (M,) numbers of answers; result (D,).
    Errors: ValueError if there is no pair, or a number that belongs to no answer.
    """
    if len(winners) != len(losers) or not len(winners):
        raise ValueError(f"expected as many winners as losers, at least one; got {len(winners)} and {len(losers)}")
    if min(np.min(winners), np.min(losers)) < 0 or max(np.max(winners), np.max(losers)) >= len(features):
        raise ValueError(f"expected numbers of answers from 0 to {len(features) - 1} as winners and losers")
    ahead = np.asarray(features, dtype=np.float64)[winners] - np.asarray(features, dtype=np.float64)[losers]  # (M, D)
    w = np.zeros(ahead.shape[1])
    for _ in range(50):
        p = sigma(ahead @ w)
        gradient = ahead.T @ (p - 1) + ridge * w
        curvature = (ahead * (p * (1 - p))[:, None]).T @ ahead + ridge * np.eye(len(w))
        step = np.linalg.solve(curvature, gradient)
        w -= step
        if np.abs(step).max() < 1e-12:
            break
    return w


def worth_of_pairs(n_answers: int, rng: np.random.Generator, n_prompts: int = 100, n_repeats: int = 300) -> float:
    """Effective sample size of a ranking: how many independent comparisons its K (K - 1) / 2 pairs are worth.

    Many times over, labelers rank K answers to each of some prompts (Plackett-Luce), and one weight is fitted to all
    pairs. Its spread from time to time, beside the spread that as many independent pairs would give:

        pairs x (standard error if all pairs were independent)^2 / (true variance)

    Errors: fewer than 2 answers are a ValueError. Source: InstructGPT, section 3.5 ("very correlated").
    """
    if n_answers < 2:
        raise ValueError(f"expected at least 2 answers to compare; got {n_answers}")
    first, second = np.triu_indices(n_answers, 1)
    fitted, promised = [], []
    for _ in range(n_repeats):
        x = rng.normal(size=(n_prompts, n_answers))  # the one feature; its true weight is 1
        seems = x + rng.gumbel(size=x.shape)
        sign = np.where(seems[:, first] > seems[:, second], 1.0, -1.0)
        ahead = sign * (x[:, first] - x[:, second])
        winners, losers = np.arange(ahead.size), np.full(ahead.size, ahead.size)
        (w,) = fit_bradley_terry(np.append(ahead.ravel(), 0.0)[:, None], winners, losers, ridge=0.0)
        p = sigma(ahead * w)
        fitted.append(w)
        promised.append(1 / np.sum(p * (1 - p) * ahead**2))
    return float(len(first) * np.mean(promised) / np.var(fitted, ddof=1))


def sigma(x: np.ndarray) -> np.ndarray:
    """Logistic function."""
    return (1 + np.tanh(x / 2)) / 2  # the same as 1 / (1 + exp(-x)), and never overflows
