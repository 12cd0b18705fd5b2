"""Refusing or answering: where the zero of the reward decides, in a world of one refusal and a few answers.

A refusal earns 0. An answer y earns r(y) + c: the offset c moves all of them and changes no comparison between
answers. With probability p the policy refuses; else it gives answer y with probability pi(y).

    at the start        dJ / d logit(p) = -p (1 - p) (E[r] + c)                          the mean decides
    at the optimum      logit(p*) = logit(p) - log E[exp((r + c) / beta)]                the best answers decide

Since beta log E[exp(r / beta)] >= E[r], there are offsets at which the optimum answers and the first step refuses.
"""

import numpy as np


def first_gradient(p_refuse: float, rewards, offset: float = 0.0, shares=None) -> float:
    """Policy gradient of the refusal's logit at the start, where the KL penalty has none. Above 0: refusing grows.

    Shapes: rewards (n,) of the answers, shares (n,) how often each is given (None: equally). Unit: of the reward.
    Errors: ValueError for a p_refuse outside (0, 1), no answers, or shares that do not add to 1.

    >>> first_gradient(0.5, [1.0, -2.0]), first_gradient(0.5, [1.0, -2.0], offset=0.5)
    (0.125, -0.0)
    """
    rewards, shares = _answers(p_refuse, rewards, shares)
    return float(-p_refuse * (1 - p_refuse) * (shares @ rewards + offset))


def best_refusal(p_refuse: float, rewards, beta: float, offset: float = 0.0, shares=None) -> float:
    """Probability of refusing under the KL-regularised optimal policy.

        p* = p / (p + (1 - p) E[exp((r + c) / beta)])

    Errors: ValueError as `first_gradient`, or for a beta that is not above 0.
    """
    rewards, shares = _answers(p_refuse, rewards, shares)
    if not 0 < beta < np.inf:
        raise ValueError(f"expected a beta above 0; got {beta!r}")
    scores = (rewards + offset) / beta
    log_mean = scores.max() + np.log(shares @ np.exp(scores - scores.max()))
    return float(1 / (1 + np.exp(np.clip(np.log1p(-p_refuse) - np.log(p_refuse) + log_mean, -700, 700))))


def turning_offsets(rewards, beta: float, shares=None) -> tuple[float, float]:
    """The two offsets at which refusing and answering are even: (for the optimum, for the first step).

        -beta log E[exp(r / beta)]  <=  -E[r]

    Between the two the best policy answers, and the first step goes towards refusing.
    Errors: ValueError for no answers, shares that do not add to 1, or a beta that is not above 0.
    """
    rewards, shares = _answers(0.5, rewards, shares)
    if not 0 < beta < np.inf:
        raise ValueError(f"expected a beta above 0; got {beta!r}")
    top = rewards.max()
    return float(-top - beta * np.log(shares @ np.exp((rewards - top) / beta))), float(-shares @ rewards)


def learn(
    p_refuse: float, rewards, offset: float, beta: float, rng: np.random.Generator, n_runs: int = 100,
    n_steps: int = 300, batch: int = 16, lr: float = 0.5,
) -> np.ndarray:  # fmt: skip
    """Policy gradient (REINFORCE) with sampled answers: the probability of refusing after each step, in many runs.

    Each step draws `batch` answers, whitens their rewards (minus beta times the log-ratio to the start), and follows
    the mean of advantage times grad log pi. What is no longer drawn can no longer be learned.
    Shapes: rewards (n,); result (n_runs, n_steps + 1). Errors: ValueError as `first_gradient`, or for a batch below 2.
    """
    rewards, shares = _answers(p_refuse, rewards, None)
    if batch < 2:
        raise ValueError(f"expected to draw at least 2 answers a step; got {batch!r}")
    worth = np.concatenate([[0.0], rewards + offset])
    start = np.log(np.concatenate([[p_refuse], (1 - p_refuse) * shares]))
    logits = np.tile(start, (n_runs, 1))
    found = np.empty((n_runs, n_steps + 1))
    for step in range(n_steps + 1):
        logits -= logits.max(axis=1, keepdims=True)
        logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        p = np.exp(logp)
        found[:, step] = p[:, 0]
        counts = rng.multinomial(batch, p / p.sum(axis=1, keepdims=True))  # (n_runs, 1 + n)
        gained = worth - beta * (logp - start)
        mean = (counts * gained).sum(axis=1, keepdims=True) / batch
        spread = np.sqrt((counts * (gained - mean) ** 2).sum(axis=1, keepdims=True) / batch)
        advantage = (gained - mean) / (spread + 1e-8)
        weights = counts * advantage / batch
        logits = logits + lr * (weights - p * weights.sum(axis=1, keepdims=True))
    return found


def _answers(p_refuse: float, rewards, shares) -> tuple[np.ndarray, np.ndarray]:
    if not 0 < p_refuse < 1:
        raise ValueError(f"expected a probability of refusing between 0 and 1; got {p_refuse!r}")
    rewards = np.asarray(rewards, float)
    shares = np.full(len(rewards), 1 / max(1, rewards.size)) if shares is None else np.asarray(shares, float)
    if rewards.ndim != 1 or not rewards.size or shares.shape != rewards.shape or not np.isclose(shares.sum(), 1):
        raise ValueError(f"expected rewards and shares of the same answers; got {rewards.shape} and {shares.shape}")
    return rewards, shares
