"""Scaling exponents of a language of facts with Zipf frequencies, derived from the frequencies alone.

A text is a list of entries, drawn by their probabilities p. A model that knows the K most frequent entries still pays
for all others; so does a model that has read n entries for those it has not met. What is left to learn falls as a
power of K and of n, and with it the loss above the floor.
"""

from dataclasses import dataclass

import numpy as np


def beyond(p, K) -> np.ndarray:
    """Tail mass: the probability that the next entry is none of the K most frequent ones.

    Shapes: p (n_entries,), in any order; K a whole number or an array of them; result as K.
    Errors: ValueError for probabilities that do not add to 1, or a negative K.

    >>> beyond([0.5, 0.3, 0.2], [0, 1, 3]).round(3).tolist()
    [1.0, 0.5, 0.0]
    """
    p, K = _probabilities(p), np.asarray(K)
    if (K < 0).any():
        raise ValueError(f"expected numbers of entries of at least 0; got {K.min()}")
    known = np.concatenate([[0.0], np.cumsum(np.sort(p)[::-1])])
    return 1 - known[np.minimum(K.astype(int), len(p))]


def unread(p, n) -> np.ndarray:
    """Missing mass: the probability that the next entry has not occurred among n entries read before, on average.

        sum over k of p_k (1 - p_k)^n

    Shapes: p (n_entries,); n a number or an array of them; result as n.
    Errors: ValueError for probabilities that do not add to 1, or a negative n.
    Source: Good 1953: the share of entries that occur once among n + 1 has this mean.

    >>> unread([0.5, 0.5], [0, 1, 2]).tolist()
    [1.0, 0.5, 0.25]
    """
    p, n = _probabilities(p), np.asarray(n, float)
    if (n < 0).any():
        raise ValueError(f"expected numbers of entries of at least 0; got {n.min()}")
    return np.array([(p * (1 - p) ** each).sum() for each in n.ravel()]).reshape(n.shape)


@dataclass(frozen=True)
class Exponents:
    """Exponents of a scaling law L(N, D) = E + A / N^alpha + B / D^beta, and what follows from them."""

    alpha: float  # of the size
    beta: float  # of the tokens
    a: float  # the best size grows as C^a
    b: float  # the loss above the floor, with the best size, as C^b


def exponents(s: float) -> Exponents:
    """Derived exponents for Zipf's s > 1, if a model of N parameters can know a number of entries proportional to N.

        beyond(K) ~ K^-(s-1),   unread(n) ~ n^-(s-1)/s   =>   alpha = s - 1,  beta = (s - 1)/s,
        a = beta / (alpha + beta) = 1/(1 + s),   b = -alpha a = -(s - 1)/(s + 1)

    They hold far from both ends of the list: a list that is not endless has less in its tail, and steeper laws.
    Errors: ValueError for an s that is not above 1.
    Source: Hutter 2021 (tokens); Michaud et al. 2023 (size); the two joined as in Hoffmann et al. 2022, equation 4.

    >>> found = exponents(2.0)
    >>> found.alpha, found.beta, round(found.a, 3), round(found.b, 3)
    (1.0, 0.5, 0.333, -0.333)
    """
    if not s > 1:
        raise ValueError(f"expected Zipf's s above 1; got {s}")
    return Exponents(s - 1, (s - 1) / s, 1 / (1 + s), -(s - 1) / (s + 1))


def _probabilities(p) -> np.ndarray:
    p = np.asarray(p, float)
    if p.ndim != 1 or not len(p) or (p < 0).any() or not abs(p.sum() - 1) < 1e-6:
        raise ValueError(f"expected a list of probabilities that add to 1; got {p.shape}, sum {p.sum():g}")
    return p
