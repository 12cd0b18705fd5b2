"""Chapter 04, sections 5, 6 and 8. Enumerable environment for PPO: so few answers that all of them can be listed.

`exact.optimal_policy` knows the best policy; `ppo` moves a network; here the network is asked for the probability of
every answer there is, so that the two can be compared.
"""

import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from minigpt.exact import bradley_terry, optimal_policy
from minigpt.loss import IGNORED, token_logps
from minigpt.model import GPT, GPTConfig
from minigpt.ppo import ActorCritic, PPOConfig
from minigpt.reward_model import RewardModel
from minigpt.worlds.answer_tree import Answers

TREE = Answers(n_words=4, longest=4)  # 341 answers
NETWORK = GPTConfig(n_vocab=5, n_ctx=6, n_layers=2, n_heads=4, d_model=32, norm="pre", init_std=0.1, init="width")
# One pass of eight minibatches over 512 answers, as InstructGPT; the decay to 0 is what takes PPO all the way.
PPO = PPOConfig(
    n_iterations=150, end_id=4, longest=4, batch_size=512, n_minibatches=8, lr=1e-3, value_lr=1e-3, decay=True,
    kl_coef=0.3, betas=(0.9, 0.999),
)  # fmt: skip


@dataclass(frozen=True)
class SmallWorld:
    """Environment: prompts, and the reward of each of the listed answers to each of them."""

    tree: Answers
    rewards: np.ndarray  # (prompts, N)

    @property
    def prompts(self) -> Tensor:
        """Each prompt is two tokens: the end token, then one word. Shapes: (prompts, 2)."""
        return torch.tensor([[self.tree.end, word] for word in range(len(self.rewards))])

    @cached_property
    def listed(self) -> Tensor:
        """All answers in the order of the tree. Shapes: (N, longest), -100 on the right."""
        rows = [[*row, *[IGNORED] * (self.tree.longest - len(row))] for row in self.tree.rows]
        return torch.tensor(rows)

    @cached_property
    def _number_of(self) -> dict[tuple[int, ...], int]:
        return {row: i for i, row in enumerate(self.tree.rows)}

    def which(self, answers: Tensor) -> np.ndarray:
        """The number of each answer in the list. Shapes: (B, N) -> (B,). Errors: ValueError if one is not in it."""
        rows = [tuple(t for t in row if t != IGNORED) for row in answers.tolist()]
        unknown = [row for row in rows if row not in self._number_of]
        if unknown:
            raise ValueError(f"expected answers of the tree, which end at {self.tree.end}; got {unknown[0]}")
        return np.array([self._number_of[row] for row in rows])

    def reward_fn(self, prompts: Tensor, answers: Tensor) -> Tensor:
        """The reward of each answer, for `ppo.ppo`. Shapes: (B, 2), (B, N) -> (B,)."""
        rewards = self.rewards[prompts[:, 1].cpu().numpy(), self.which(answers)]
        return torch.tensor(rewards, dtype=torch.float32, device=prompts.device)

    @torch.no_grad()
    def token_logps(self, policy: GPT, prompt: int) -> np.ndarray:
        """log P(token | prompt, prefix) for every prefix of the tree.

        Shapes: result (prefixes, n_words + 1), float64.
        """
        policy.eval()
        parts = []
        for length in range(self.tree.longest):
            prefixes = torch.tensor([p for p in self.tree.prefixes if len(p) == length], dtype=torch.int64)
            asked = torch.tensor([self.tree.end, prompt]).expand(len(prefixes), -1)
            logits = policy(torch.cat([asked, prefixes.view(len(prefixes), length)], dim=1))[:, -1]
            parts.append(logits.double().log_softmax(dim=-1))
        return torch.cat(parts).cpu().numpy()

    def logps(self, policy: GPT) -> np.ndarray:
        """log P(answer | prompt) of every answer. Shapes: result (prompts, N)."""
        return np.array([self.tree.logps(self.token_logps(policy, k)) for k in range(len(self.rewards))])


@dataclass(frozen=True)
class Distance:
    """Optimality gap: how far a policy is from the best one, as means over the prompts."""

    gap: float  # J(pi*) - J(pi)
    kl_to_best: float  # KL(pi || pi*), nats; the gap is beta times this
    reward: float  # E[r] of the policy
    kl: float  # KL(pi || pi_SFT), nats
    best_reward: float  # E[r] of pi*
    best_kl: float  # KL(pi* || pi_SFT), nats


def distance(world: SmallWorld, policy: GPT, reference: GPT, beta: float) -> Distance:
    """Optimality gap of a policy: all sums over all answers, nothing sampled."""
    rows = []
    for logp, sft, reward in zip(world.logps(policy), world.logps(reference), world.rewards):
        star, value = optimal_policy.tilt(sft, reward, beta)
        rows.append((
            value - optimal_policy.objective(logp, sft, reward, beta), optimal_policy.kl(logp, star),
            np.exp(logp) @ reward, optimal_policy.kl(logp, sft), np.exp(star) @ reward, optimal_policy.kl(star, sft),
        ))  # fmt: skip
    return Distance(*(float(mean) for mean in np.mean(rows, axis=0)))


def small_world(seed: int, n_prompts: int = 3, dropout: float = 0.0) -> tuple[SmallWorld, GPT]:
    """A world where words are worth something, and a random network that stands for the SFT model.

    The reward of an answer is the sum of what its words are worth, drawn anew for each prompt (the end token too), and
    a little of its own for each answer.
    """
    rng = np.random.default_rng(seed)
    worth = rng.normal(size=(n_prompts, TREE.n_words + 1))
    rewards = np.array([[worth[k, list(row)].sum() for row in TREE.rows] for k in range(n_prompts)])
    rewards += 0.1 * rng.normal(size=rewards.shape)
    return SmallWorld(TREE, rewards), GPT(replace(NETWORK, dropout=dropout), torch.Generator().manual_seed(seed))


def agent_of(reference: GPT) -> ActorCritic:
    """A policy that starts as the reference, and a value function of the same form that starts at 0 everywhere."""
    return ActorCritic(copy.deepcopy(reference), RewardModel(copy.deepcopy(reference)))


# --- a reward model that is nearly right ------------------------------------------------------------------------------


def praise(tree: Answers = TREE) -> np.ndarray:
    """A true utility with a trap: the first word pleases once, twice, and then no more. Shapes: result (N,).

    0, 1, 1.4, 0.3, -2 for its number in the answer; the second word is worth 0.3 each time, the third -0.4.
    """
    words = counts(tree)
    return np.array([0.0, 1.0, 1.4, 0.3, -2.0])[words[:, 0].astype(int)] + 0.3 * words[:, 1] - 0.4 * words[:, 2]


def counts(tree: Answers = TREE) -> np.ndarray:
    """How often each word, and the end, is in each answer. Shapes: (N, n_words + 1)."""
    return np.array([[row.count(word) for word in range(tree.n_words + 1)] for row in tree.rows], dtype=np.float64)


def pair_counts(tree: Answers = TREE) -> np.ndarray:
    """The same, and how often each two words stand side by side. Shapes: (N, (n_words + 1) (n_words + 2))."""
    tokens = range(tree.n_words + 1)
    pairs = [[sum(two == (a, b) for two in zip(row, row[1:])) for a in tokens for b in tokens] for row in tree.rows]
    return np.concatenate([counts(tree), np.array(pairs, dtype=np.float64)], axis=1)


@dataclass(frozen=True)
class Pursuit:
    """Reward over-optimisation: score and true utility as a fitted reward model is followed further and further."""

    agreement: float  # share of pairs of SFT answers that the reward model orders as the utility does
    kl: np.ndarray  # KL(pi || pi_SFT) for each beta, nats
    proxy: np.ndarray  # mean score of the reward model, above that of the SFT model
    gold: np.ndarray  # mean true utility, above that of the SFT model
    best: np.ndarray  # the same for whoever follows the utility itself, at its own kl
    best_kl: np.ndarray


def pursue(features: np.ndarray, n_rankings: int, betas, seed: int = 0, n_answers: int = 4) -> Pursuit:
    """Fit a reward model to rankings of SFT answers, and take the best policy for it at each beta. Nothing is trained.

    features: what the reward model can see of each answer, (N, D). Source: Gao et al. 2022, whose gold is a large
    reward model; here it is known.
    """
    rng = np.random.default_rng(seed)
    table = rng.normal(scale=0.15, size=(len(TREE.prefixes), TREE.n_words + 1))
    sft = TREE.logps(table - np.log(np.exp(table).sum(axis=1, keepdims=True)))
    rng = np.random.default_rng([seed, n_rankings])
    gold, first, second = praise(), *np.triu_indices(n_answers, 1)
    drawn = rng.choice(len(sft), size=(n_rankings, n_answers), p=np.exp(sft))
    seems = gold[drawn] + rng.gumbel(size=drawn.shape)
    ahead = seems[:, first] > seems[:, second]
    winners = np.where(ahead, drawn[:, first], drawn[:, second]).ravel()
    losers = np.where(ahead, drawn[:, second], drawn[:, first]).ravel()
    proxy = features @ bradley_terry.fit_bradley_terry(features, winners, losers)
    a, b = rng.choice(len(sft), size=(2, 4000), p=np.exp(sft))
    told = gold[a] != gold[b]
    same = np.mean(((proxy[a] > proxy[b]) == (gold[a] > gold[b]))[told])
    policies = [optimal_policy.tilt(sft, proxy, beta)[0] for beta in betas]
    best_kl, best = optimal_policy.frontier(sft, gold, betas)
    start = np.exp(sft)
    return Pursuit(
        float(same), np.array([optimal_policy.kl(logp, sft) for logp in policies]),
        np.array([np.exp(logp) @ proxy for logp in policies]) - start @ proxy,
        np.array([np.exp(logp) @ gold for logp in policies]) - start @ gold, best - start @ gold, best_kl,
    )  # fmt: skip


# --- the alignment tax ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Documents:
    """Pre-training text: rows of the same listed answers, with known probabilities, after a prompt of their own."""

    world: SmallWorld
    logp: np.ndarray  # (N,) log P of each document
    prompt: int = 2  # documents begin with the end token and this word; no request does
    batch_size: int = 256
    seed: int = 0

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        """Batch number i, for `ppo.ppo`. Shapes: inputs and targets (batch_size, longest + 1)."""
        drawn = np.random.default_rng([self.seed, i]).choice(len(self.logp), self.batch_size, p=np.exp(self.logp))
        return self.rows(torch.from_numpy(drawn))

    def rows(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Some documents as inputs and targets."""
        words = self.world.listed[chosen]
        begin = torch.tensor([[self.world.tree.end, self.prompt]]).expand(len(words), -1)
        inputs = torch.cat([begin, words[:, :-1].clamp(min=0)], dim=1)
        return inputs, torch.cat([torch.full((len(words), 1), IGNORED), words], dim=1)

    def tax(self, policy: GPT) -> float:
        """What the policy has forgotten: KL(documents || policy), nats per document. Exact."""
        return optimal_policy.kl(self.logp, self.world.tree.logps(self.world.token_logps(policy, self.prompt)))


def document_world(seed: int) -> tuple[SmallWorld, Documents, GPT]:
    """Two prompts with rewards, documents behind a third, and a network that was trained on the documents until it
    knows their probabilities."""
    world, network = small_world(seed, n_prompts=2)
    rng = np.random.default_rng([seed, 1])
    table = rng.normal(size=(len(TREE.prefixes), TREE.n_words + 1))
    table -= np.log(np.exp(table).sum(axis=1, keepdims=True))
    documents = Documents(world, TREE.logps(table), seed=seed)
    inputs, targets = map(network.here, documents.rows(torch.arange(len(TREE.rows))))
    weights = network.here(torch.tensor(np.exp(documents.logp), dtype=torch.float32))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    n_steps = 500
    for step in range(n_steps):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / n_steps)
        optimizer.zero_grad()
        logps = token_logps(network(inputs), targets).sum(dim=1)
        (-(weights * logps).sum()).backward()
        optimizer.step()
    return world, documents, network.eval()
