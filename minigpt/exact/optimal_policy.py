"""KL-regularised optimal policy, its frontier, best-of-n and win rates, by enumeration."""

import math
from collections.abc import Sequence

import numpy as np

from minigpt.exact import bradley_terry
from minigpt.worlds.answer_tree import Answers


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
        wins = bradley_terry.sigma(ahead)
    else:
        raise ValueError(f"expected judge 'truth' or 'noisy'; got {judge!r}")
    return float(np.exp(logp) @ wins @ np.exp(logp_other))


def tilted_mean(reward: np.ndarray, values: np.ndarray, beta: float) -> tuple[float, float]:
    """The mean of some values under pi*, from answers that pi_SFT has drawn; and how many answers that is worth.

        w_i = exp(r_i / beta),   mean = sum w v / sum w,   effective sample size = (sum w)^2 / sum w^2

    Errors: as in `tilt`. With an effective size below a hundred or so the mean is not to be trusted.
    """
    reward, values = _lists(reward, values)
    logw, _ = tilt(np.full(len(reward), -math.log(len(reward))), reward, beta)
    w = np.exp(logw)
    return float(w @ values), float(1 / (w @ w))


def _lists(*lists) -> list[np.ndarray]:
    """Lists of numbers over the same answers, none of them nan."""
    lists = [np.asarray(each, dtype=np.float64) for each in lists]
    if len({each.shape for each in lists}) > 1 or lists[0].ndim != 1 or not len(lists[0]):
        raise ValueError(f"expected lists over the same answers; got shapes {[each.shape for each in lists]}")
    if any(np.isnan(each).any() for each in lists):
        raise ValueError("expected numbers; there is a nan")
    return lists


def _logsumexp(scores: np.ndarray) -> float:
    most = scores.max()
    return float(most + np.log(np.exp(scores - most).sum()))
