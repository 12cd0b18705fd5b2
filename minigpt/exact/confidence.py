"""Confidence of the KL-regularised optimal policy: why preference training makes a calibrated model over-confident.

Several choices, one of them right; a calibrated model gives each the probability p_i that it is the right one. Labelers
prefer right answers: the reward of choice i is u if it is right, so u p_i on average. The policy that is best for this
reward minus beta KL then is

    pi*_i  proportional to  p_i exp(u p_i / beta),        for two choices   logit pi* = logit p + (u / beta) (2 p - 1)

The order of the choices, and with it the accuracy, stays; the confidence grows with the gain u / beta.
"""

import numpy as np


def tilted(p, gain: float) -> np.ndarray:
    """KL-regularised optimal policy over choices, where labelers prefer the right one; gain is u / beta.

        pi*_i = p_i exp(gain p_i) / sum over j of p_j exp(gain p_j)

    Shapes: p (n, choices), calibrated probabilities; result the same.
    Errors: ValueError for probabilities that do not add to 1, or a gain below 0.
    Source: `optimal_policy.tilt` with the reward u p_i.

    >>> tilted([[0.75, 0.25]], 2.0).round(3).tolist()
    [[0.891, 0.109]]
    """
    p = _probabilities(p)
    if not 0 <= gain < np.inf:
        raise ValueError(f"expected a gain u / beta of at least 0; got {gain!r}")
    tilted = p * np.exp(gain * (p - p.max(axis=1, keepdims=True)))
    return tilted / tilted.sum(axis=1, keepdims=True)


def at_temperature(q, temperature: float) -> np.ndarray:
    """Temperature scaling of probabilities: proportional to q^(1 / T). Shapes: (n, choices) -> the same.

    Errors: ValueError as `tilted`, or for a temperature that is not above 0.

    >>> at_temperature([[0.9, 0.1]], 2.0).round(3).tolist()
    [[0.75, 0.25]]
    """
    q = _probabilities(q)
    if not 0 < temperature < np.inf:
        raise ValueError(f"expected a temperature above 0; got {temperature!r}")
    powers = (q / q.max(axis=1, keepdims=True)) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def confidence_and_accuracy(p, q) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and accuracy of the likeliest choice of q, question by question, where p is how likely each is right.

    Shapes: p and q (n, choices); results (n,) each. Errors: ValueError for different shapes, or as `tilted`.
    """
    p, q = _both(p, q)
    picked = q.argmax(axis=1)
    return q.max(axis=1), p[np.arange(len(p)), picked]


def calibration_error(p, q) -> float:
    """Expected calibration error, exact: the mean of |accuracy - confidence| over questions, each a bin of its own.

    This is the limit of many questions and narrow bins where the confidence decides the accuracy, as with two choices
    and a q that `tilted` makes of p; elsewhere it is an upper bound, since a bin mixes questions of one confidence and
    several accuracies.
    Errors: as `confidence_and_accuracy`.
    """
    sure, right = confidence_and_accuracy(p, q)
    return float(np.abs(sure - right).mean())


def mending_temperature(p, q) -> float:
    """Temperature that mends over-confidence best: the lowest cross-entropy -E_p[log q^(1/T) / Z]. Exact.

    The derivative with respect to 1 / T is E[sum over i of (q_i^(1/T) / Z - p_i) log q_i], which rises with 1 / T, so
    its zero is found by bisection.
    Shapes: p and q (n, choices), q above 0. Searched between 0.01 and 1000.
    Errors: as `confidence_and_accuracy`; ValueError for a q with a zero.
    """
    p, q = _both(p, q)
    if not (q > 0).all():
        raise ValueError("expected probabilities q above 0: the logarithm of each is needed")
    s = np.log(q)
    low, high = np.log(1e-3), np.log(1e2)
    for _ in range(100):
        middle = (low + high) / 2
        scaled = at_temperature(q, np.exp(-middle))
        low, high = (middle, high) if ((scaled - p) * s).sum() < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


def evenly_sure(n: int = 1000) -> np.ndarray:
    """Two choices, of which the likelier is right with probabilities spread evenly over (1/2, 1). Shapes: (n, 2)."""
    p = 1 / 2 + (np.arange(n) + 1 / 2) / (2 * n)
    return np.stack([p, 1 - p], axis=1)


def _both(p, q) -> tuple[np.ndarray, np.ndarray]:
    p, q = _probabilities(p), _probabilities(q)
    if p.shape != q.shape:
        raise ValueError(f"expected two lists of probabilities of the same shape; got {p.shape} and {q.shape}")
    return p, q


def _probabilities(p) -> np.ndarray:
    p = np.asarray(p, float)
    if p.ndim != 2 or p.shape[1] < 2 or not (p >= 0).all() or not np.allclose(p.sum(axis=1), 1):
        raise ValueError(f"expected the probabilities of at least two choices, adding to 1; got shape {p.shape}")
    return p
