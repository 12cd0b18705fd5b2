"""Chapter 04, section 6. Policy gradients in view, where all answers can be listed: what the lesson builds by hand.

The score functions of all answers, so that the exact gradient is one sum and an estimate a mean of some of its terms;
what the zero of the reward does to the end token; what `ppo.ppo` draws in its first iteration; and what it knows of
each token of an answer.
"""

import numpy as np
import torch
from torch import Tensor

from minigpt import ppo, responses
from minigpt.exact import optimal_policy
from minigpt.model import GPT
from minigpt.worlds.answer_tree import Answers


def score_functions(answers: Answers, token_logps: np.ndarray) -> np.ndarray:
    """Score function of every answer: the gradient of log pi(y) with respect to the logits of each prefix.

        d log pi(y) / d z(s, a) = sum over the tokens y_t written at prefix s of ([a = y_t] - pi(a | s))

    Shapes: token_logps (prefixes, n_words + 1); result (N, prefixes, n_words + 1).
    Errors: ValueError for another shape.
    """
    answers.logps(token_logps)  # checks the shape
    states, tokens, written = answers.path
    scores = np.zeros((len(answers.rows), *np.shape(token_logps)))
    number = np.broadcast_to(np.arange(len(scores))[:, None], states.shape)[written]
    np.add.at(scores, (number, states[written], tokens[written]), 1.0)
    passed = np.zeros(scores.shape[:2])
    np.add.at(passed, (number, states[written]), 1.0)
    return scores - passed[:, :, None] * np.exp(token_logps)


def scores_so_far(answers: Answers, rewards: np.ndarray) -> np.ndarray:
    """What a copy of the reward model says before each token: the reward of the text so far, if it ended there.

    Shapes: rewards (N,); result (N, longest), 0 where nothing is written. Before the first token the text is empty: it
    is read as the answer that ends at once.
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    if rewards.shape != (len(answers.rows),):
        raise ValueError(f"expected one reward for each of {len(answers.rows)} answers; got {rewards.shape}")
    states, _, written = answers.path
    number = {row: i for i, row in enumerate(answers.rows)}
    ended = np.array([rewards[number[(*prefix, answers.end)]] for prefix in answers.prefixes])
    return np.where(written, ended[states], 0.0)


def pull_on_ending(answers: Answers, token_logps: np.ndarray, rewards: np.ndarray, values: np.ndarray,
                   gae_lambda: float) -> float:  # fmt: skip
    """Expected policy gradient on the logit of ending at once, with GAE: all answers listed, nothing drawn.

    The policy is still the reference, so the KL penalty is 0. rewards: r(y) of each answer; values: V before each
    token. Shapes: token_logps (prefixes, n_words + 1), rewards (N,), values (N, longest).
    """
    states, tokens, written = answers.path
    last = written.sum(axis=1) - 1
    paid = np.zeros(written.shape)
    paid[np.arange(len(paid)), last] = rewards
    credit, _ = ppo.gae(torch.tensor(paid), torch.tensor(values, dtype=torch.float64), torch.tensor(written), 1.0,
                        gae_lambda)  # fmt: skip
    p = np.exp(answers.logps(token_logps))
    at_once = (states[:, 0] == 0) & (tokens[:, 0] == answers.end)
    first = p * credit[:, 0].numpy()
    return float(first[at_once].sum() - np.exp(token_logps[0, answers.end]) * first.sum())


def importance_estimates(logp_sft: np.ndarray, reward: np.ndarray, beta: float, n: int, generator: np.random.Generator,
                         times: int = 200) -> np.ndarray:  # fmt: skip
    """Importance sampling over and over: E_pi*[r] from n answers of pi_SFT, and their effective sample size.

    Shapes: logp_sft and reward (N,); result (times, 2). See `optimal_policy.tilted_mean`.
    """
    p = np.exp(logp_sft)
    found = []
    for _ in range(times):
        drawn = np.asarray(reward)[generator.choice(len(p), n, p=p / p.sum())]
        found.append(optimal_policy.tilted_mean(drawn, drawn, beta))
    return np.array(found)


@torch.no_grad()
def first_draw(policy: GPT, prompts: Tensor, config: ppo.PPOConfig, seed: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    """What `ppo.ppo` draws in its first iteration with torch.Generator().manual_seed(seed): prompts, answers, parts.

    Shapes: prompts asked (B, T); answers (B, N); parts: the numbers of the answers in each minibatch.
    Errors: ValueError for more than one pass over the batch.
    """
    if config.n_epochs != 1:
        raise ValueError(f"expected one pass over the batch; got n_epochs = {config.n_epochs}")
    own = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(seed)))
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([own, 0]).generate_state(1)[0]))
    n_rounds = -(-config.batch_size // len(prompts))
    order = torch.cat([torch.randperm(len(prompts), generator=generator) for _ in range(n_rounds)])
    asked = prompts[order[: config.batch_size]]
    answers = responses.rollout(policy, asked, config.longest, config.end_id, generator)
    return asked, answers, list(torch.randperm(config.batch_size, generator=generator).chunk(config.n_minibatches))


@torch.no_grad()
def token_by_token(agent: ppo.ActorCritic, reference: GPT, scores: Tensor, prompts: Tensor, answers: Tensor,
                   kl_coef: float, gae_lambda: float = 0.95) -> dict[str, Tensor]:  # fmt: skip
    """Every number that PPO has for each token of some answers: log pi, the log-ratio, R_t, V_t, delta_t and A_t.

    scores: the reward of each answer, (B,). Shapes: prompts (B, T), answers (B, N); each result (B, N), 0 where filled
    up. The advantages are not whitened.
    """
    mask = responses.answer_mask(answers)
    logp, logp_sft = (responses.answer_logps(policy, prompts, answers) for policy in (agent.policy, reference))
    values = agent.value.values(prompts, answers) * mask
    rewards = ppo.token_rewards(scores, logp, logp_sft, mask, kl_coef)
    advantages, _ = ppo.gae(rewards, values, mask, 1.0, gae_lambda)
    deltas, _ = ppo.gae(rewards, values, mask, 1.0, 0.0)  # lambda = 0 leaves the TD errors
    return {"log π": logp, "log π_SFT": logp_sft, "log-ratio": logp - logp_sft, "R_t": rewards, "V_t": values,
            "δ_t": deltas, "A_t": advantages}  # fmt: skip
