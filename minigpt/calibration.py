"""Calibration: does a model that is 70 % sure get 70 % right? And what to make of many probabilities at once.

Floor 0 of the west wing: arithmetic on numbers that a model gave, in float64.
"""

from dataclasses import dataclass

import numpy as np


def choice_probabilities(logps, temperature: float = 1.0) -> np.ndarray:
    """The probability of each choice, given that one of them is chosen.

        p_i = exp(s_i / T) / sum over j of exp(s_j / T)

    Shapes: logps (n, choices), the log-probabilities s of each choice; result the same. T above 1 makes a model less sure.
    Errors: ValueError for a temperature that is not above 0, other shapes, or a nan.

    >>> choice_probabilities([[0.0, np.log(3.0)]]).round(3).tolist()
    [[0.25, 0.75]]
    """
    s = np.asarray(logps, float)
    if s.ndim != 2 or s.shape[1] < 2 or np.isnan(s).any():
        raise ValueError(
            f"expected the log-probabilities of at least two choices for each question; got shape {s.shape}"
        )
    if not 0 < temperature < np.inf:
        raise ValueError(f"expected a temperature above 0; got {temperature!r}")
    s = s / temperature
    p = np.exp(s - s.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def best_temperature(logps, right) -> float:
    """The temperature at which the right choices are least surprising: one number that mends over-confidence.

    Shapes: logps (n, choices), right (n,) the number of the right choice. Searched between 0.05 and 20.
    Source: Guo et al. 2017, section 4.2 ("temperature scaling"). Differs: golden-section search.
    """
    right = np.asarray(right)
    rows = np.arange(len(right))

    def surprise(log_t: float) -> float:
        return -np.log(choice_probabilities(logps, np.exp(log_t))[rows, right] + 1e-300).mean()

    low, high, golden = np.log(0.05), np.log(20.0), (np.sqrt(5) - 1) / 2
    for _ in range(80):
        one, two = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, two) if surprise(one) < surprise(two) else (one, high)
    return float(np.exp((low + high) / 2))


@dataclass(frozen=True)
class Reliability:
    """How sure, and how often right, bin by bin. Shapes: (n_bins,) each; nan where a bin is empty."""

    counts: np.ndarray
    confidence: np.ndarray  # mean probability that was given to the answer
    accuracy: np.ndarray  # share of right answers

    @property
    def error(self) -> float:
        """ECE = sum over bins of (count / n) |accuracy - confidence|. Source: Guo et al. 2017, equation 3."""
        there = self.counts > 0
        gaps = np.abs(self.accuracy[there] - self.confidence[there])
        return float((self.counts[there] * gaps).sum() / self.counts.sum())


def reliability(confidence, correct, n_bins: int = 10) -> Reliability:
    """Sort answers by how sure the model was, in bins of equal width from 0 to 1.

    Shapes: confidence (n,) from 0 to 1, correct (n,) 0 or 1 (or the probability of being right, where it is known).
    Errors: ValueError for no answers, different lengths, or numbers outside 0 ... 1.

    >>> reliability([0.95, 0.95, 0.15, 0.15], [1, 0, 0, 0]).error.__round__(3)
    0.3
    """
    confidence, correct = _answers(confidence, correct)
    if not isinstance(n_bins, int) or n_bins < 1:
        raise ValueError(f"expected at least one bin; got {n_bins!r}")
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    counts = np.bincount(place, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, weights=x, minlength=n_bins) / counts for x in (confidence, correct)]
    return Reliability(counts, *means)


def calibration_error(
    confidence, correct, rng: np.random.Generator, n_bins: int = 10, level: float = 0.95, n_samples: int = 1000
) -> tuple[float, float, float]:
    """The expected calibration error, and its interval: questions are drawn anew, with replacement.

    A model that is calibrated to perfection does not reach 0 with finitely many questions; `chance_error` says what it
    would reach. Result: (ECE, low, high). Errors: as reliability.
    """
    confidence, correct = _answers(confidence, correct)
    drawn = rng.integers(len(correct), size=(n_samples, len(correct)))
    errors = [reliability(confidence[rows], correct[rows], n_bins).error for rows in drawn]
    low, high = np.quantile(errors, [(1 - level) / 2, (1 + level) / 2])
    return reliability(confidence, correct, n_bins).error, float(low), float(high)


def chance_error(confidence, rng: np.random.Generator, n_bins: int = 10, n_samples: int = 300) -> float:
    """The ECE that this many answers would show on average if every confidence were exactly right."""
    confidence, _ = _answers(confidence, np.zeros(len(confidence)))
    correct = rng.random((n_samples, len(confidence))) < confidence
    return float(np.mean([reliability(confidence, row, n_bins).error for row in correct]))


def mean_log_pass_rate(rates) -> float:
    """-E[log pass_rate]: a score of many problems that falls smoothly while a model gets better. Unit: nats.

    A problem that was never solved makes it infinite, so the paper left such problems out: here it is an error.
    Errors: ValueError for no problems, or a rate outside (0, 1]. Source: GPT-4 report, section 3.2.

    >>> round(mean_log_pass_rate([1.0, 0.25]), 4)
    0.6931
    """
    rates = np.asarray(rates, float)
    if not rates.size or not ((rates > 0) & (rates <= 1)).all():
        raise ValueError("expected pass rates above 0 and at most 1: leave out problems that were never solved")
    return float(-np.log(rates).mean())


def abstaining(confidence, correct) -> tuple[np.ndarray, np.ndarray]:
    """What becomes of the accuracy if a model answers only where it is surest.

    Results: the share of questions answered, 1/n ... 1, and the accuracy among those. Shapes: (n,) each.

    >>> answered, accuracy = abstaining([0.9, 0.2, 0.6], [1, 0, 1])
    >>> accuracy.round(3).tolist()
    [1.0, 1.0, 0.667]
    """
    confidence, correct = _answers(confidence, correct)
    order = np.argsort(-confidence, kind="stable")
    n = np.arange(1, len(order) + 1)
    return n / len(order), np.cumsum(correct[order]) / n


def _answers(confidence, correct) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    if confidence.ndim != 1 or confidence.shape != correct.shape or not len(confidence):
        raise ValueError(f"expected a confidence and a result for each answer; got {confidence.shape}, {correct.shape}")
    if not all(((x >= 0) & (x <= 1)).all() for x in (confidence, correct)):
        raise ValueError("expected confidences and results from 0 to 1")
    return confidence, correct
