"""Chapter 04, labs. Expected updates of policy-gradient methods, where all answers can be listed: nothing is drawn.

Whatever a method takes for the advantage of a token, its update is on average a sum over all answers. So a mistake in
the rewards, or a KL penalty in another place, can be compared with the exact gradient to rounding.
"""

import math

import numpy as np

from minigpt.exact import bradley_terry, optimal_policy
from minigpt.worlds.answer_tree import Answers


def expected_update(answers: Answers, token_logps: np.ndarray, credit: np.ndarray) -> np.ndarray:
    """Expected policy gradient for any advantages, with respect to the logits of each prefix.

        sum over y of pi(y) sum over t of A_t(y) grad log pi(y_t | y_1 ... y_{t-1})

    credit: A_t of each answer and token. Shapes: token_logps and result (prefixes, n_words + 1); credit (N, longest).
    Errors: ValueError for other shapes.
    """
    logp = answers.logps(token_logps)  # checks the shape
    states, tokens, written = answers.path
    credit = np.asarray(credit, dtype=np.float64)
    if credit.shape != states.shape:
        raise ValueError(f"expected an advantage for each answer and token, {states.shape}; got {credit.shape}")
    here = (np.exp(logp)[:, None] * credit)[written]
    update, passing = np.zeros(np.shape(token_logps)), np.zeros(len(token_logps))
    np.add.at(update, (states[written], tokens[written]), here)
    np.add.at(passing, states[written], here)
    return update - passing[:, None] * np.exp(token_logps)


def group_normalised_policy(logp_sft: np.ndarray, reward: np.ndarray, beta: float, n_rounds: int = 2000):
    """Fixed point of GRPO's group normalisation: where dividing by the standard deviation of the rewards leads.

        pi(y) = pi_SFT(y) exp(r(y) / (beta sigma)) / Z,   sigma: the standard deviation of r under this very policy

    Found by going there from the SFT model's sigma. Where no such policy is left, sigma goes to 0, and the policy to the
    single best answer. Results: log pi (N,), and sigma.
    Errors: as `optimal_policy.tilt`; ValueError if all rewards are equal, or where the rounds do not settle.
    Source: GRPO (Shao et al. 2024), for groups so large that their mean and spread are exact.
    Differs: the exact KL is the penalty; there it is the k3 estimate.
    """
    reward = np.asarray(reward, dtype=np.float64)

    def spread(logp: np.ndarray) -> float:
        p = np.exp(logp)
        return float(np.sqrt(p @ (reward - p @ reward) ** 2))

    first = sigma = spread(np.asarray(logp_sft, dtype=np.float64))
    if not first > 0:
        raise ValueError("expected rewards that differ: the spread of equal rewards is 0, and nothing is divided by it")
    for _ in range(n_rounds):
        logp, _ = optimal_policy.tilt(logp_sft, reward, beta * sigma)
        found = spread(logp)
        if abs(found - sigma) < 1e-12 * first or found < 1e-6 * first:
            return logp, (0.0 if found < 1e-6 * first else sigma)
        sigma = math.sqrt(sigma * found)  # half way, on the scale of factors
    raise ValueError(f"the spread did not settle in {n_rounds} rounds; it is near {sigma:g}. Try another beta")


def pair_probabilities(reward: np.ndarray, noise: float = 1.0) -> np.ndarray:
    """Bradley-Terry labelers: the probability that answer i is preferred to answer j. Shapes: (N,) -> (N, N).

    noise: the labelers' spread; towards 0 they never err. Errors: ValueError unless it is above 0.
    """
    if not noise > 0:
        raise ValueError(f"expected a noise above 0; got {noise!r}")
    reward = np.asarray(reward, dtype=np.float64)
    return bradley_terry.sigma((reward[:, None] - reward[None, :]) / noise)
