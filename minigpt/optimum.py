"""What no policy can beat: a small world of answers that can be listed, and the best way to write in it.

An answer is a row of words that ends with the end token, or is cut off at the longest length. All answers are listed,
so everything about a policy is a sum: its value, its distance from where it began, its gradient, its wins. Lists are
float64 arrays over the answers, all logarithms natural. Floor 0 of the west wing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np


@dataclass(frozen=True)
class Answers:
    """All answers of at most `longest` tokens over `n_words` words; the end token has the id n_words.

    >>> Answers(2, 2).rows
    ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2,))
    """

    n_words: int
    longest: int

    def __post_init__(self):
        for name in ("n_words", "longest"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1; got {getattr(self, name)!r}")

    @property
    def end(self) -> int:
        """The id of the end token."""
        return self.n_words

    @cached_property
    def prefixes(self) -> tuple[tuple[int, ...], ...]:
        """Every beginning after which something is still to be written; the empty one first."""
        return tuple(p for n in range(self.longest) for p in product(range(self.n_words), repeat=n))

    @cached_property
    def rows(self) -> tuple[tuple[int, ...], ...]:
        """Every answer."""
        ended = [(*prefix, self.end) for prefix in self.prefixes]
        return tuple(sorted([*ended, *product(range(self.n_words), repeat=self.longest)]))

    @cached_property
    def path(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(which prefix, which token, whether it is written) for each answer and step. Shapes: (N, longest) each."""
        where = {prefix: i for i, prefix in enumerate(self.prefixes)}
        states = np.zeros((len(self.rows), self.longest), dtype=int)
        tokens, written = np.full_like(states, self.end), np.zeros(states.shape, dtype=bool)
        for i, row in enumerate(self.rows):
            for t, token in enumerate(row):
                states[i, t], tokens[i, t], written[i, t] = where[row[:t]], token, True
        return states, tokens, written

    def logps(self, token_logps: np.ndarray) -> np.ndarray:
        """log P(answer) from log P(token | prefix).

        Shapes: (prefixes, n_words + 1) -> (N,). Errors: another shape is a ValueError.
        """
        token_logps = np.asarray(token_logps, dtype=np.float64)
        expected = (len(self.prefixes), self.n_words + 1)
        if token_logps.shape != expected:
            raise ValueError(f"expected log-probabilities of shape {expected}; got {token_logps.shape}")
        states, tokens, written = self.path
        return np.where(written, token_logps[states, tokens], 0.0).sum(axis=1)


# --- the optimum -------------------------------------------------------------------------------------------------------


def tilt(logp_sft: np.ndarray, reward: np.ndarray, beta: float) -> tuple[np.ndarray, float]:
    """The best policy for reward minus beta KL, and its value.

        log pi*(y) = log pi_SFT(y) + r(y) / beta - log Z,      max J = beta log Z

    Errors: a beta that is not above 0, or lists that do not fit, are a ValueError. Source: not in InstructGPT; a
    standard result for its objective (section 3.5, equation 2) with gamma = 0.

    >>> logp, value = tilt(np.log([0.5, 0.5]), np.array([0.0, np.log(3.0)]), 1.0)
    >>> np.exp(logp).round(3).tolist(), round(value, 4)
    ([0.25, 0.75], 0.6931)
    """
    logp_sft, reward = _lists(logp_sft, reward)
    if not beta > 0:
        raise ValueError(f"expected a beta above 0 (at 0 the best policy is all on the best answer); got {beta!r}")
    scores = logp_sft + reward / beta
    log_z = _logsumexp(scores)
    return scores - log_z, beta * log_z


def soft_backup(answers: Answers, token_logps_sft: np.ndarray, reward: np.ndarray, beta: float):
    """The same best policy, token by token, from the end of the answers to their beginning.

        V(s) = beta log sum_a pi_SFT(a | s) exp(Q(s, a) / beta),    log pi*(a | s) = log pi_SFT(a | s) + (Q - V) / beta

    Q is the reward where the answer ends, and V of what comes next elsewhere. Shapes: token_logps_sft and the first
    result (prefixes, n_words + 1); the second result is V of the empty prefix.
    """
    by_row = dict(zip(answers.rows, np.asarray(reward, dtype=np.float64)))
    values, best = {}, np.zeros_like(np.asarray(token_logps_sft, dtype=np.float64))
    for i in range(len(answers.prefixes) - 1, -1, -1):
        prefix = answers.prefixes[i]
        nexts = [(*prefix, token) for token in range(answers.n_words + 1)]
        q = np.array([by_row[row] if row in by_row else values[row] for row in nexts])
        scores = token_logps_sft[i] + q / beta
        values[prefix] = beta * _logsumexp(scores)
        best[i] = scores - values[prefix] / beta
    return best, values[()]


def objective(logp: np.ndarray, logp_sft: np.ndarray, reward: np.ndarray, beta: float) -> float:
    """What PPO makes large: J = E_pi[r] - beta KL(pi || pi_SFT). Source: InstructGPT, section 3.5, equation 2."""
    logp, logp_sft, reward = _lists(logp, logp_sft, reward)
    return float(np.exp(logp) @ (reward - beta * (logp - logp_sft)))


def kl(logp: np.ndarray, logq: np.ndarray) -> float:
    """KL(p || q) over the answers, in nats; answers that p never gives do not count."""
    logp, logq = _lists(logp, logq)
    seen = logp > -np.inf
    return float(np.exp(logp[seen]) @ (logp[seen] - logq[seen]))


def policy_gradient(answers: Answers, token_logps: np.ndarray, logp_sft: np.ndarray, reward: np.ndarray, beta: float):
    """The exact gradient of J with respect to the logits of each prefix.

        sum over y of pi(y) (r(y) - beta log(pi(y) / pi_SFT(y))) grad log pi(y)

    Shapes: token_logps and result (prefixes, n_words + 1).
    """
    logp = answers.logps(token_logps)
    _, logp_sft, reward = _lists(logp, logp_sft, reward)
    weights = np.exp(logp) * (reward - beta * (logp - logp_sft))  # (N,)
    states, tokens, written = answers.path
    here = np.repeat(weights[:, None], answers.longest, axis=1)[written]
    gradient = np.zeros_like(token_logps)
    np.add.at(gradient, (states[written], tokens[written]), here)
    passing = np.zeros(len(token_logps))
    np.add.at(passing, states[written], here)
    return gradient - passing[:, None] * np.exp(token_logps)


def frontier(logp_sft: np.ndarray, reward: np.ndarray, betas: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The most reward that can be had at each distance: (KL(pi* || pi_SFT), E[r]), one point for each beta."""
    points = []
    for beta in betas:
        logp, _ = tilt(logp_sft, reward, beta)
        points.append((kl(logp, logp_sft), float(np.exp(logp) @ reward)))
    distances, rewards = np.array(points).T
    return distances, rewards


# --- other ways to be better -------------------------------------------------------------------------------------------


def best_of_n(logp: np.ndarray, reward: np.ndarray, n: int) -> np.ndarray:
    """log P(answer) of whoever draws n answers and keeps the one of the highest reward.

        P(y is kept) = (F(y)^n - F(y-)^n) pi(y) / P(reward is r(y)),    F(y) = P(reward <= r(y)), F(y-) = P(reward < r(y))

    Of answers that are equally good each is kept in proportion to its probability. Errors: n below 1 is a ValueError.
    """
    logp, reward = _lists(logp, reward)
    if n < 1:
        raise ValueError(f"expected to draw at least 1 answer; got n = {n}")
    values, group = np.unique(reward, return_inverse=True)
    mass = np.bincount(group, weights=np.exp(logp), minlength=len(values))
    below = np.concatenate([[0.0], np.cumsum(mass)])
    below[-1] = 1.0
    kept = below[1:] ** n - below[:-1] ** n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mass[group] > 0, np.log(kept[group]) + logp - np.log(mass[group]), -np.inf)


def win_rate(logp: np.ndarray, logp_other: np.ndarray, reward: np.ndarray, judge: str = "truth") -> float:
    """How often one policy's answer is preferred to the other's.

        truth: P(r(y) > r(y')) + P(r(y) = r(y')) / 2        noisy: E[sigma(r(y) - r(y'))], a Bradley-Terry judge

    Errors: an unknown judge is a ValueError.
    """
    logp, logp_other, reward = _lists(logp, logp_other, reward)
    ahead = reward[:, None] - reward[None, :]
    if judge == "truth":
        wins = (ahead > 0) + (ahead == 0) / 2
    elif judge == "noisy":
        wins = _sigma(ahead)
    else:
        raise ValueError(f"expected judge 'truth' or 'noisy'; got {judge!r}")
    return float(np.exp(logp) @ wins @ np.exp(logp_other))


def wilson(wins: float, n: int) -> tuple[float, float]:
    """A 95 % interval for a win rate, from n games; wins may count draws as halves. Source: Wilson 1927."""
    if n < 1 or not 0 <= wins <= n:
        raise ValueError(f"expected 0 to n wins in n >= 1 games; got {wins} in {n}")
    z, p = 1.959964, wins / n
    middle, width = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - width) / (1 + z * z / n), (middle + width) / (1 + z * z / n)


# --- where the answers are too many to list ----------------------------------------------------------------------------


def tilted_mean(reward: np.ndarray, values: np.ndarray, beta: float) -> tuple[float, float]:
    """The mean of some values under pi*, from answers that pi_SFT has drawn; and how many answers that is worth.

        w_i = exp(r_i / beta),   mean = sum w v / sum w,   effective sample size = (sum w)^2 / sum w^2

    Errors: as in `tilt`. With an effective size below a hundred or so the mean is not to be trusted.
    """
    reward, values = _lists(reward, values)
    logw, _ = tilt(np.full(len(reward), -math.log(len(reward))), reward, beta)
    w = np.exp(logw)
    return float(w @ values), float(1 / (w @ w))


def bradley_terry_floor(utilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The loss of a reward model that knows the labelers' utilities exactly: what no reward model can beat, nats a pair.

        mean over pairs of H(sigma(u_i - u_j)),   H the entropy of a coin

    weights: how often each answer is compared; all equally often if not given.
    """
    u = np.asarray(utilities, dtype=np.float64)
    w = np.ones_like(u) if weights is None else np.asarray(weights, dtype=np.float64)
    i, j = np.triu_indices(len(u), 1)
    if not len(i):
        raise ValueError(f"expected at least two answers to compare; got {len(u)}")
    ahead = u[i] - u[j]
    surprise = np.logaddexp(0, -ahead), np.logaddexp(0, ahead)  # -log sigma(x), -log sigma(-x)
    entropy = _sigma(ahead) * surprise[0] + _sigma(-ahead) * surprise[1]
    return float(np.average(entropy, weights=w[i] * w[j]))


def fit_bradley_terry(features: np.ndarray, winners: np.ndarray, losers: np.ndarray, ridge: float = 1e-3) -> np.ndarray:
    """A reward model that adds up features, fitted to comparisons: Newton's method on the ranking loss.

        r(y) = features(y) . w,   w minimises sum over pairs of -log sigma(r(y_w) - r(y_l)) + ridge |w|^2 / 2

    Shapes: features (N, D); winners and losers (M,) numbers of answers; result (D,). Errors: no pair is a ValueError.
    """
    if len(winners) != len(losers) or not len(winners):
        raise ValueError(f"expected as many winners as losers, at least one; got {len(winners)} and {len(losers)}")
    ahead = np.asarray(features, dtype=np.float64)[winners] - np.asarray(features, dtype=np.float64)[losers]  # (M, D)
    w = np.zeros(ahead.shape[1])
    for _ in range(50):
        p = _sigma(ahead @ w)
        gradient = ahead.T @ (p - 1) + ridge * w
        curvature = (ahead * (p * (1 - p))[:, None]).T @ ahead + ridge * np.eye(len(w))
        step = np.linalg.solve(curvature, gradient)
        w -= step
        if np.abs(step).max() < 1e-12:
            break
    return w


def worth_of_pairs(n_answers: int, rng: np.random.Generator, n_prompts: int = 100, n_repeats: int = 300) -> float:
    """How many independent comparisons the K (K - 1) / 2 pairs of one ranking are worth.

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
        p = _sigma(ahead * w)
        fitted.append(w)
        promised.append(1 / np.sum(p * (1 - p) * ahead**2))
    return float(len(first) * np.mean(promised) / np.var(fitted, ddof=1))


def _lists(*lists) -> list[np.ndarray]:
    """Lists of numbers over the same answers, none of them nan."""
    lists = [np.asarray(each, dtype=np.float64) for each in lists]
    if len({each.shape for each in lists}) > 1 or lists[0].ndim != 1 or not len(lists[0]):
        raise ValueError(f"expected lists over the same answers; got shapes {[each.shape for each in lists]}")
    if any(np.isnan(each).any() for each in lists):
        raise ValueError("expected numbers; there is a nan")
    return lists


def _sigma(x: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(x / 2)) / 2  # the same as 1 / (1 + exp(-x)), and never overflows


def _logsumexp(scores: np.ndarray) -> float:
    most = scores.max()
    return float(most + np.log(np.exp(scores - most).sum()))
