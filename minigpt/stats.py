"""Confidence intervals: Student's t over seeds, Wilson for shares."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


def wilson(wins: float, n: int) -> tuple[float, float]:
    """A 95 % interval for a win rate, from n games; wins may count draws as halves. Source: Wilson 1927."""
    if n < 1 or not 0 <= wins <= n:
        raise ValueError(f"expected 0 to n wins in n >= 1 games; got {wins} in {n}")
    z, p = 1.959964, wins / n
    middle, width = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - width) / (1 + z * z / n), (middle + width) / (1 + z * z / n)


Z95 = NormalDist().inv_cdf(0.975)  # a 95 % interval reaches 1.96 standard errors to each side


@dataclass(frozen=True)
class Estimate:
    """A mean over documents, and how far from the truth it may well be: a 95 % interval.

    >>> Estimate(0.625, 0.01)
    0.6250 ± 0.0100
    """

    mean: float
    half_width: float

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half_width

    def __repr__(self) -> str:
        return f"{self.mean:.4f} ± {self.half_width:.4f}"


def t95(dof: int) -> float:
    """The t for which Student's distribution has 95 % between -t and t, by halving the interval.

    Source: the finite sums for P(|T| <= t) in Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """

    def within(t: float) -> float:
        angle = math.atan(t / math.sqrt(dof))
        odd = dof % 2
        term = math.cos(angle) if odd else 1.0
        total = term if dof > 1 else 0.0
        for k in range(2 + odd, dof - 1, 2):
            term *= (k - 1) / k * math.cos(angle) ** 2
            total += term
        return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total

    low, high = 0.0, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 0.95 else (low, middle)
    return high


def share_interval(scores: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval for the mean of some scores between 0 and 1.

        all 0 or 1:  (p + z^2/2n ± z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n),  z = 1.96
        else:        mean ± z s / sqrt(n), within 0 and 1

    Errors: ValueError for no scores. Source: Wilson 1927, for right and wrong answers; it never leaves 0 to 1, and has
    a width even if every answer was right.

    >>> tuple(round(end, 3) for end in interval([1.0] * 10))
    (0.722, 1.0)
    """
    n, z = len(scores), 1.959963984540054
    if n == 0:
        raise ValueError("expected at least one score; got none")
    p = float(np.mean(scores))
    if set(scores) <= {0.0, 1.0}:
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    else:
        half = z * float(np.std(scores, ddof=1)) / math.sqrt(n) if n > 1 else 1.0
        low, high = p - half, p + half
    return max(0.0, low), min(1.0, high)


# Student's t for a 95 % interval of the mean of n seeds, n = 2 ... 10 (0.975 quantile, n - 1 degrees of freedom).
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def over_seeds(values: Iterable[float]) -> Estimate:
    """The mean of a few runs that differ only in their seed, with a 95 % interval by Student's t.

        mean ± t_{n-1} s / sqrt(n)        s: standard deviation of the n values

    Errors: fewer than 2 or more than 10 values are a ValueError.
    """
    values = np.array(list(values), dtype=np.float64)
    if len(values) not in T95:
        raise ValueError(f"expected the results of 2 to 10 seeds; got {len(values)}")
    return Estimate(float(values.mean()), float(T95[len(values)] * values.std(ddof=1) / np.sqrt(len(values))))


def intervals(
    quantities: Iterable[Iterable[float]], low: float = -np.inf, high: float = np.inf
) -> tuple[list[float], list[float], list[float]]:
    """(means, lower ends, upper ends) of several quantities, each measured with a few seeds: what a chart draws.

    low, high: what the quantity cannot leave, such as 0 and 1 for a share; the ends are cut there. Errors: as over_seeds.
    """
    found = [over_seeds(values) for values in quantities]
    return [e.mean for e in found], [max(low, e.low) for e in found], [min(high, e.high) for e in found]
