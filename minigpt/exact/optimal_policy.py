"""KL-regularised optimal policy, its frontier, best-of-n and win rates, by enumeration."""

import math
from collections.abc import Sequence

import numpy as np

from minigpt.exact import bradley_terry
from minigpt.io.checks import is_whole
from minigpt.worlds.answer_tree import Answers


def tilt(logp_sft: np.ndarray, reward: np.ndarray, beta: float) -> tuple[np.ndarray, float]:
    """KL-regularised optimal policy: the best policy for reward minus beta KL, and its value.

        log pi*(y) = log pi_SFT(y) + r(y) / beta - log Z,      max J = beta log Z

    Errors: ValueError if beta is not above 0, or too small for rewards of this size; if the lists do not fit; if
    logp_sft are not log-probabilities that add to 1, or a reward is not finite. Source: not in InstructGPT; a standard
    result for its objective (section 3.5, equation 2) with gamma = 0.

    >>> logp, value = tilt(np.log([0.5, 0.5]), np.array([0.0, np.log(3.0)]), 1.0)
    >>> np.exp(logp).round(3).tolist(), round(value, 4)
    ([0.25, 0.75], 0.6931)
    """
    logp_sft, reward = _policies(reward, logp_sft)
    if not (0 < beta < math.inf and np.abs(reward).max() <= 1e300 * min(beta, 1)):
        raise ValueError(f"expected a beta above 0 (towards 0, all is on the best answer); got {beta!r}")
    scores = logp_sft + reward / beta
    log_z = _logsumexp(scores)
    return scores - log_z, beta * log_z


def soft_backup(answers: Answers, token_logps_sft: np.ndarray, reward: np.ndarray, beta: float):
    """Soft Bellman backup: the same best policy, token by token, from the end of the answers to their beginning.

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
    """Objective of PPO: J = E_pi[r] - beta KL(pi || pi_SFT). Source: InstructGPT, section 3.5, equation 2."""
    logp, logp_sft, reward = _policies(reward, logp, logp_sft)
    seen = logp > -np.inf  # as in `kl`, answers that the policy never gives do not count
    logp, logp_sft, reward = logp[seen], logp_sft[seen], reward[seen]
    return float(np.exp(logp) @ (reward - beta * (logp - logp_sft)))


def kl(logp: np.ndarray, logq: np.ndarray) -> float:
    """Kullback-Leibler divergence KL(p || q) over the answers, in nats; answers that p never gives do not count.

    Errors: ValueError if these are not log-probabilities of the same answers.

    >>> round(kl(np.log([0.5, 0.5]), np.log([0.9, 0.1])), 2)
    0.51
    """
    logp, logq, _ = _policies(np.zeros(np.shape(logp)), logp, logq)
    seen = logp > -np.inf
    return float(np.exp(logp[seen]) @ (logp[seen] - logq[seen]))


def policy_gradient(answers: Answers, token_logps: np.ndarray, logp_sft: np.ndarray, reward: np.ndarray, beta: float):
    """Policy gradient, exact: that of J with respect to the logits of each prefix.

        sum over y of pi(y) (r(y) - beta log(pi(y) / pi_SFT(y))) grad log pi(y)

    Shapes: token_logps and result (prefixes, n_words + 1).
    """
    logp = answers.logps(token_logps)
    logp, logp_sft, reward = _policies(reward, logp, logp_sft)
    weights = np.exp(logp) * (reward - beta * (logp - logp_sft))  # (N,)
    states, tokens, written = answers.path
    here = np.repeat(weights[:, None], answers.longest, axis=1)[written]
    gradient = np.zeros_like(token_logps)
    np.add.at(gradient, (states[written], tokens[written]), here)
    passing = np.zeros(len(token_logps))
    np.add.at(passing, states[written], here)
    return gradient - passing[:, None] * np.exp(token_logps)


def frontier(logp_sft: np.ndarray, reward: np.ndarray, betas: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Pareto frontier of reward against KL: (KL(pi* || pi_SFT), E[r]), one point for each beta."""
    points = []
    for beta in betas:
        logp, _ = tilt(logp_sft, reward, beta)
        points.append((kl(logp, logp_sft), float(np.exp(logp) @ reward)))
    distances, rewards = np.array(points).T
    return distances, rewards


def best_of_n(logp: np.ndarray, reward: np.ndarray, n: int) -> np.ndarray:
    """Best-of-n sampling: log P(answer) if n answers are drawn and the one of the highest reward is kept.

        P(y is kept) = (F(y)^n - F(y-)^n) pi(y) / P(reward is r(y)),  F(y) = P(reward <= r(y)), F(y-) = P(reward < r(y))

    Of answers that are equally good each is kept in proportion to its probability. Errors: as `tilt`, and for an n that
    is no whole number of at least 1.
    """
    logp, reward = _policies(reward, logp)
    if not is_whole(n, 1):
        raise ValueError(f"expected to draw at least 1 answer; got n = {n}")
    values, group = np.unique(reward, return_inverse=True)
    mass = np.bincount(group, weights=np.exp(logp), minlength=len(values))
    below = np.minimum(np.concatenate([[0.0], np.cumsum(mass)]), 1.0)  # a sum of rounded numbers may pass 1
    below[-1] = 1.0
    kept = below[1:] ** n - below[:-1] ** n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mass[group] > 0, np.log(kept[group]) + logp - np.log(mass[group]), -np.inf)


def win_rate(logp: np.ndarray, logp_other: np.ndarray, reward: np.ndarray, labelers: str = "truth") -> float:
    """Win rate: how often one policy's answer is preferred to the other's.

        truth: P(r(y) > r(y')) + P(r(y) = r(y')) / 2        noisy: E[sigma(r(y) - r(y'))], Bradley-Terry labelers

    Errors: as `tilt`, and for unknown labelers.
    """
    logp, logp_other, reward = _policies(reward, logp, logp_other)
    ahead = reward[:, None] - reward[None, :]
    if labelers == "truth":
        wins = (ahead > 0) + (ahead == 0) / 2
    elif labelers == "noisy":
        wins = bradley_terry.sigma(ahead)
    else:
        raise ValueError(f"expected labelers 'truth' or 'noisy'; got {labelers!r}")
    return float(np.exp(logp) @ wins @ np.exp(logp_other))


def tilted_mean(reward: np.ndarray, values: np.ndarray, beta: float) -> tuple[float, float]:
    """Importance sampling: mean of values under pi*, from answers of pi_SFT, and the effective sample size.

        w_i = exp(r_i / beta),   mean = sum w v / sum w,   effective sample size = (sum w)^2 / sum w^2

    Errors: as in `tilt`. With an effective size below a hundred or so the mean is not to be trusted.
    """
    reward, values = _lists(reward, values)
    logw, _ = tilt(np.full(len(reward), -math.log(len(reward))), reward, beta)
    w = np.exp(logw)
    return float(w @ values), float(1 / (w @ w))


def _policies(reward, *logps) -> list[np.ndarray]:
    """Policies as log-probabilities that add to 1, and finite rewards last, all over the same answers."""
    *logps, reward = _lists(*logps, reward)
    for logp in logps:
        if logp.max() > 1e-6 or abs(np.exp(logp).sum() - 1) > 1e-6:
            raise ValueError(f"expected log-probabilities whose exp adds to 1; got {logp[:3]} ...")
    if not np.isfinite(reward).all():
        raise ValueError(f"expected finite rewards; got {reward[~np.isfinite(reward)][0]}")
    return [*logps, reward]


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
