"""Confidence intervals (Student's t over seeds, Wilson for shares), and the verdict on a claim."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

Z95 = NormalDist().inv_cdf(0.975)  # a 95 % interval reaches 1.96 standard errors to each side


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval: mean ± half_width.

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
    """Student's t for a 95 % interval: the distribution has 95 % between -t and t. Found by halving the interval.

    Errors: degrees of freedom that are not a whole number of at least 1 are a ValueError.
    Source: the finite sums for P(|T| <= t) in Abramowitz and Stegun, 26.7.3 and 26.7.4.

    >>> round(t95(2), 3), round(t95(30), 3)
    (4.303, 2.042)
    """
    if not isinstance(dof, (int, np.integer)) or isinstance(dof, bool) or dof < 1:
        raise ValueError(f"expected degrees of freedom of at least 1; got {dof!r}")

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


def wilson(wins: float, n: int) -> tuple[float, float]:
    """Wilson interval: a 95 % interval for a share, from n answers or games; wins may count draws as halves.

        (p + z^2/2n ± z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n),    p = wins / n,  z = 1.96

    It never leaves 0 to 1, and has a width even if every game was won.
    Errors: ValueError for no games, or wins outside 0 ... n. Source: Wilson 1927.

    >>> tuple(round(end, 3) for end in wilson(10, 10))
    (0.722, 1.0)
    """
    if n < 1 or not 0 <= wins <= n:
        raise ValueError(f"expected 0 to n wins in n >= 1 games; got {wins} in {n}")
    p, zz = wins / n, Z95**2
    middle, half = p + zz / (2 * n), Z95 * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    return max(0.0, (middle - half) / (1 + zz / n)), min(1.0, (middle + half) / (1 + zz / n))


def share_interval(scores: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval for the mean of some scores between 0 and 1.

        all 0 or 1:  Wilson's
        else:        mean ± z s / sqrt(n), within 0 and 1;  z = 1.96

    Errors: ValueError for no scores, or one outside 0 ... 1.

    >>> tuple(round(end, 3) for end in share_interval([1.0] * 10))
    (0.722, 1.0)
    """
    n = len(scores)
    if n == 0:
        raise ValueError("expected at least one score; got none")
    if not all(0 <= score <= 1 for score in scores):
        raise ValueError(f"expected scores from 0 to 1; got {min(scores)} to {max(scores)}")
    if set(scores) <= {0.0, 1.0}:
        return wilson(float(np.sum(scores)), n)
    mean = float(np.mean(scores))
    half = Z95 * float(np.std(scores, ddof=1)) / math.sqrt(n) if n > 1 else 1.0
    return max(0.0, mean - half), min(1.0, mean + half)


def over_seeds(values: Iterable[float]) -> Estimate:
    """The mean of a few runs that differ only in their seed, with a 95 % interval by Student's t.

        mean ± t_{n-1} s / sqrt(n)        s: standard deviation of the n values

    Errors: fewer than 2 values, or one that is not a finite number, are a ValueError.

    >>> over_seeds([1.0, 2.0, 3.0])
    2.0000 ± 2.4841
    """
    values = np.array(list(values), dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"expected the results of 2 or more seeds, all finite; got {values.tolist()}")
    return Estimate(float(values.mean()), float(t95(len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))))


def intervals(
    quantities: Iterable[Iterable[float]], low: float = -np.inf, high: float = np.inf
) -> tuple[list[float], list[float], list[float]]:
    """(means, lower ends, upper ends) of several quantities, each measured with a few seeds: what a chart draws.

    low, high: what the quantity cannot leave, such as 0 and 1 for a share; the ends are cut there.
    Errors: as over_seeds.
    """
    found = [over_seeds(values) for values in quantities]
    return [e.mean for e in found], [max(low, e.low) for e in found], [min(high, e.high) for e in found]


NOT_TESTABLE = "not testable here"


def verdict(effects: Iterable[float], margin: float) -> str:
    """Verdict on a claim: "reproduced", "partly" or "not reproduced", by the share of cases in which it holds.

        effect >= margin in at least 80 % of the cases: reproduced; in at most 20 %: not reproduced; else partly

    effects: one number for each case, such as a seed, large where the claim holds; margin: what counts as an effect, in
    the same unit.
    Errors: ValueError for no effects, or a number that is not finite.

    >>> verdict([0.03, 0.01, 0.02, 0.04, 0.05], margin=0.02)
    'reproduced'
    >>> verdict([0.03, 0.01, 0.0, 0.0, 0.0], margin=0.02)
    'not reproduced'
    """
    effects = [float(effect) for effect in effects]
    if not effects or not all(math.isfinite(x) for x in (*effects, margin)):
        raise ValueError(f"expected at least one effect and a margin, all finite; got {effects} and {margin}")
    n, of = sum(effect >= margin for effect in effects), len(effects)
    if 5 * n >= 4 * of:  # whole numbers: 0.8 has no exact binary form
        return "reproduced"
    return "not reproduced" if 5 * n <= of else "partly"
