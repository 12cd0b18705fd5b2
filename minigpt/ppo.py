"""Proximal policy optimisation (PPO, PPO-ptx): one function for each equation, then one loop that yields what happened.

In the words of reinforcement learning: what was written so far is the state, the next token the action, an answer the
episode. Nothing here draws from torch's global generator, and dropout is off throughout.
"""

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from minigpt.io.checks import is_number, is_whole, use_python_numbers
from minigpt.loss import lm_loss, token_logps
from minigpt.responses import answer_logits, answer_logps, answer_mask, check_fit, check_prompts, per_answer, rollout
from minigpt.reward_model import RewardModel
from minigpt.train import TrainState


@dataclass(frozen=True)
class PPOConfig:
    """Hyperparameters of PPO: how long, how fast and how far from the reference.

    Errors: ValueError naming the field, what was expected and what came.
    Source: InstructGPT, appendix C.4. Differs: the learning rates and sizes are for small models.
    """

    n_iterations: int  # batches of answers; InstructGPT: 500
    end_id: int  # the token that ends an answer
    longest: int  # most tokens of an answer; InstructGPT: 1,000
    batch_size: int = 64  # episodes in an iteration; InstructGPT: 512
    n_minibatches: int = 2  # updates in one pass over the batch; InstructGPT: 8
    n_epochs: int = 1  # passes over each batch; InstructGPT: 1
    lr: float = 1e-3  # of the policy; InstructGPT: between 2.55e-6 and 2.55e-5, scanned
    value_lr: float = 1e-3  # of the value function; InstructGPT: 9e-6
    warmup_iterations: int = 0  # lr rises from a tenth of itself; InstructGPT: 10
    decay: bool = False  # True: lr falls in a straight line to 0 at the end; InstructGPT: constant
    kl_coef: float = 0.02  # beta: the price of each nat away from the reference; InstructGPT: 0.02
    kl_target: float | None = None  # adaptive beta: the distance to hold, nats per answer. InstructGPT: None
    kl_horizon: int = 10_000  # adaptive beta: episodes in which it may change by a factor of at most about e^0.2 = 1.22
    clip_range: float = 0.2  # epsilon: how far the ratio may go; InstructGPT: 0.2
    value_clip: float = 0.2  # how far a value may move in one iteration; InstructGPT: 0.2
    discount: float = 1.0  # gamma of PPO: 1, what comes later counts in full; InstructGPT: 1
    gae_lambda: float = 0.95  # how far an advantage looks before it trusts the value function; InstructGPT: not printed
    ptx_coef: float = 0.0  # gamma of PPO-ptx: weight of the pre-training loss; InstructGPT: 27.8
    clip_norm: float | None = 1.0  # longest gradient that is allowed through; InstructGPT: not printed
    betas: tuple[float, float] = (0.9, 0.95)  # Adam's memory; InstructGPT: 0.9 and 0.95
    average: float | None = None  # share of the past in the running mean of the weights; InstructGPT: 0.992

    def __post_init__(self):
        for names, right, expected in (
            ("n_iterations longest batch_size n_minibatches n_epochs kl_horizon",
             lambda x: is_whole(x, 1), "a whole number of at least 1"),
            ("end_id warmup_iterations", lambda x: is_whole(x, 0), "a whole number of at least 0"),
            ("batch_size", lambda x: x % self.n_minibatches == 0, f"a multiple of {self.n_minibatches} minibatches"),
            ("lr value_lr clip_range value_clip", lambda x: is_number(x) and x > 0, "a number above 0"),
            ("kl_coef ptx_coef", lambda x: is_number(x) and x >= 0, "a number of at least 0"),
            ("discount gae_lambda", lambda x: is_number(x) and 0 <= x <= 1, "a number from 0 to 1"),
            ("kl_target clip_norm", lambda x: x is None or is_number(x) and x > 0, "a number above 0, or None"),
            ("average", lambda x: x is None or is_number(x) and 0 <= x < 1, "a number in [0, 1), or None"),
            ("decay", lambda x: isinstance(x, bool), "True or False"),
            ("betas", lambda x: isinstance(x, (tuple, list)) and len(x) == 2
             and all(is_number(b) and 0 <= b < 1 for b in x), "two numbers in [0, 1)"),
        ):  # fmt: skip
            for name in names.split():
                if not right(getattr(self, name)):
                    raise ValueError(f"PPOConfig.{name} must be {expected}, but it is {getattr(self, name)!r}")
        use_python_numbers(self)


def token_rewards(scores: Tensor, logp: Tensor, logp_sft: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """Reward of each token: the KL penalty, and the score at the last token.

    Each token pays for leaving the reference; the last one earns the score.

        R_t = - beta log(pi(y_t | ...) / pi_SFT(y_t | ...)) + [t is the last token] r(x, y)

    Shapes: scores (B,); logp, logp_sft, mask and result (B, N). Nothing here has a gradient.
    Errors: ValueError if the shapes do not fit or a score is not a finite number.
    Source: InstructGPT, section 3.5, equation 2, and "a per-token KL penalty". Differs: nothing.

    >>> token_rewards(torch.tensor([1.0]), torch.tensor([[-1.0, -1.0, 0.0]]), torch.tensor([[-1.0, -2.0, 0.0]]),
    ...               torch.tensor([[True, True, False]]), kl_coef=0.5)
    tensor([[0.0000, 0.5000, 0.0000]])
    """
    check_fit(mask, logp=logp, logp_sft=logp_sft)
    scores = per_answer("scores", scores, len(mask))
    if not scores.isfinite().all():
        wrong = int((~scores.isfinite()).nonzero()[0])
        raise ValueError(f"each reward must be a finite number, but that of answer {wrong} is {scores[wrong].item()}")
    rewards = kl_coef * (logp_sft - logp).detach() * mask
    last = mask.sum(dim=1) - 1  # (B,)
    return rewards + scores.detach()[:, None] * (torch.arange(mask.shape[1], device=mask.device) == last[:, None])


def gae(rewards: Tensor, values: Tensor, mask: Tensor, discount: float = 1.0, gae_lambda: float = 0.95):
    """Generalised advantage estimation (GAE) and returns.

    How much better each token was than expected, and what should have been expected.

        delta_t = R_t + gamma V_{t+1} - V_t,   A_t = delta_t + gamma lambda A_{t+1},   return_t = A_t + V_t

    V is 0 behind the last token: then nothing is to come. Shapes: all (B, N); results advantages, returns.
    Errors: ValueError if the shapes differ, or if rewards or values are no floating-point numbers.
    Source: Schulman et al. 2016, equations 11 and 16. Differs: nothing. InstructGPT, appendix C.4: gamma = 1.

    >>> gae(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.25]]), torch.tensor([[True, True]]), 1.0, 1.0)
    (tensor([[0.5000, 0.7500]]), tensor([[1., 1.]]))
    """
    check_fit(mask, rewards=rewards, values=values)
    advantages = torch.zeros_like(rewards)
    following, value_after = torch.zeros_like(rewards[:, 0]), torch.zeros_like(rewards[:, 0])  # (B,)
    for t in reversed(range(rewards.shape[1])):
        there = mask[:, t]
        delta = rewards[:, t] + discount * value_after - values[:, t]
        following = torch.where(there, delta + discount * gae_lambda * following, 0.0)
        value_after = torch.where(there, values[:, t], 0.0)
        advantages[:, t] = following
    return advantages, (advantages + values) * mask


def whiten(x: Tensor, mask: Tensor) -> Tensor:
    """Whitened advantages: mean 0 and variance 1 over every real token of the whole batch, 0 where filled up.

    If all are equal there is nothing to prefer, and all become 0. Shapes: (B, N) -> (B, N). Errors: as `gae`.
    Source: not in the papers; usual since 2019.
    """
    check_fit(mask, x=x)
    real = x[mask]
    return (x - real.mean()) * (real.var(unbiased=False) + 1e-8).rsqrt() * mask


def policy_loss(logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, clip_range: float = 0.2) -> Tensor:
    """Clipped surrogate objective of PPO, as a loss.

    Makes good tokens likelier and bad ones less likely, but no more than a little at a time.

        ratio_t = pi(y_t | ...) / pi_old(y_t | ...)
        loss = - mean over tokens of min(ratio_t A_t, clip(ratio_t, 1 - epsilon, 1 + epsilon) A_t)

    Shapes: all (B, N); result one number. Errors: as `gae`.
    Source: Schulman et al. 2017, equation 7. Differs: a loss, not an objective.
    """
    check_fit(mask, logp=logp, old_logp=old_logp, advantages=advantages)
    ratio = (logp - old_logp).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip_range, 1 + clip_range) * advantages)
    return -(gain * mask).sum() / mask.sum()


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip_range: float = 0.2) -> Tensor:
    """Clipped loss of the value function: squared error, and each update may move a value only a little.

        loss = 1/2 mean over tokens of max((V_t - return_t)^2, (clip(V_t, V_old - eps, V_old + eps) - return_t)^2)

    Shapes: all (B, N); result one number. Errors: as `gae`.
    Source: the code of Ziegler et al. 2019; InstructGPT, appendix C.4 (0.2).
    """
    check_fit(mask, values=values, old_values=old_values, returns=returns)
    near = old_values + (values - old_values).clamp(-clip_range, clip_range)
    error = torch.maximum((values - returns) ** 2, (near - returns) ** 2)
    return 0.5 * (error * mask).sum() / mask.sum()


def adaptive_kl(kl_coef: float, kl: float, kl_target: float, n_episodes: int, horizon: int) -> float:
    """Adaptive KL coefficient: higher when the policy went too far, lower when it stayed too near.

        e = clip(KL / target - 1, -0.2, 0.2),   beta <- beta (1 + e episodes / horizon)

    Errors: ValueError if the target or the horizon is not above 0, or the KL is not finite.
    Source: Ziegler et al. 2019, section 2.2. InstructGPT itself keeps beta fixed.
    Differs: as in their released code; the paper has a constant in place of episodes / horizon.

    >>> adaptive_kl(0.1, kl=12.0, kl_target=6.0, n_episodes=100, horizon=1000)
    0.10200000000000001
    """
    if not (kl_target > 0 and horizon > 0 and math.isfinite(kl)):
        raise ValueError(f"needs a target and a horizon above 0 and a finite KL; got {kl_target}, {horizon} and {kl}")
    error = min(0.2, max(-0.2, kl / kl_target - 1))
    return kl_coef * (1 + error * n_episodes / horizon)


def learning_rate_factor(iteration: int, config: PPOConfig) -> float:
    """Learning-rate schedule, as a factor: warm-up from a tenth, then constant, or in a straight line to 0."""
    rise = 0.1 + 0.9 * iteration / config.warmup_iterations if iteration < config.warmup_iterations else 1.0
    return rise * (1 - iteration / config.n_iterations if config.decay else 1.0)


def disable_dropout(*models: nn.Module) -> None:
    """Evaluation mode for every model: the same tokens have the same probability whenever they are read."""
    for model in models:
        model.eval()


@dataclass(frozen=True)
class Equations:
    """Functions that PPO is made of. An ablation exchanges one: ppo(..., equations=Equations(gae=another))."""

    rollout: Callable = rollout
    answer_mask: Callable = answer_mask
    token_rewards: Callable = token_rewards
    gae: Callable = gae
    whiten: Callable = whiten
    policy_loss: Callable = policy_loss
    value_loss: Callable = value_loss
    disable_dropout: Callable = disable_dropout


class ActorCritic(nn.Module):
    """Actor and critic: the two networks that PPO changes, the policy and the value function.

    Source: InstructGPT, appendix C.4: two separate networks; the value function starts as the reward model.
    """

    def __init__(self, policy: nn.Module, value: RewardModel):
        super().__init__()
        self.policy, self.value = policy, value


@dataclass(frozen=True)
class Record:
    """What one iteration did; everything but the last four was measured on its answers, before its updates."""

    step: int  # iterations finished, this one included
    reward: float  # mean score of the answers
    utility: float  # mean true utility of the answers; nan if nobody told
    kl: float  # mean over answers of log pi(y | x) - log pi_SFT(y | x); nats per answer
    entropy: float  # of the next token, mean over the tokens written; nats
    p_end: float  # probability of ending, mean over the tokens written
    length: float  # mean tokens of an answer, the end token included
    explained_variance: float  # 1 - var(return - V) / var(return): 1 if the value function expects what comes
    kl_coef: float  # beta of this iteration
    ratio_error: float  # largest |ratio - 1| before the first update: 0 up to rounding, or something is wrong
    clip_fraction: float  # share of tokens whose ratio was outside 1 +- epsilon, each just before its own update
    policy_loss: float  # mean over the updates
    value_loss: float  # mean over the updates
    tax: float  # what the caller's tax_fn measured after the updates; nan if there is none


@dataclass
class PPOState(TrainState):
    """Everything besides the weights that the next iteration depends on; ppo() keeps it up to date in place."""

    averages: dict[str, Tensor] = field(default_factory=dict)  # running means of the policy's weights
    kl_coef: float | None = None  # beta of the next iteration

    def info(self) -> dict:
        """All but the tensors, ready for JSON, which has no nan."""
        history = [[None if x != x else x for x in dataclasses.astuple(record)] for record in self.history]
        return {"seed": self.seed, "kl_coef": self.kl_coef, "history": history}

    def tensors(self) -> dict[str, Tensor]:
        """Adam's memory and the running means as one flat dictionary."""
        return super().tensors() | {f"{name}/average": t for name, t in self.averages.items()}

    def restore(self, tensors: dict[str, Tensor], info: dict) -> None:
        """Become the state that tensors() and info() came from."""
        means = {name for name in tensors if name.endswith("/average")}
        super().restore({name: t for name, t in tensors.items() if name not in means}, info | {"history": []})
        self.averages = {name.removesuffix("/average"): tensors[name].clone() for name in sorted(means)}
        self.kl_coef = info["kl_coef"]
        self.history = [Record(*(math.nan if x is None else x for x in row)) for row in info["history"]]


def ppo(
    agent: ActorCritic,
    reference: nn.Module,
    reward_fn: Callable[[Tensor, Tensor], Tensor],
    prompts: Tensor,
    config: PPOConfig,
    generator: torch.Generator | None = None,
    state: PPOState | None = None,
    ptx_batches=None,
    utility_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
    tax_fn: Callable[[nn.Module], float] | None = None,
    equations: Equations = Equations(),
) -> Iterator[Record]:
    """Train a policy and its value function with PPO; yields one Record per iteration.

    Each iteration answers prompts, scores the answers, and makes the better ones likelier.

        objective = E[r(x, y) - beta log(pi_RL(y | x) / pi_SFT(y | x))] + gamma E_pretraining[log pi_RL(x)]

    reward_fn and utility_fn get (prompts (B, T), answers (B, N)) and give (B,), as tensor, array or list; only the
    reward is learned from. ptx_batches[i] is a pair (inputs, targets) of pre-training text, one for each update.
    tax_fn(policy) is called after each iteration. Nothing happens until the records are asked for; `agent` is changed
    in place. Stopping: an iteration is done wholly or not at all. Call ppo again with the same agent and state to go
    on, bit for bit as if it had never stopped.

    Shapes: prompts (P, T), all of the same length; each iteration takes every prompt equally often, as far as it can.
    Errors: ValueError if the reference has another vocabulary, if something does not fit, or if a reward is not a
    number; FloatingPointError if a loss is not finite. Source: InstructGPT, section 3.5, equation 2, and appendix C.4.
    Differs: the pre-training loss is a mean over tokens (as in code everywhere; the paper writes log pi(x)).
    """
    prompts = _check(agent, reference, prompts, config, ptx_batches)
    state = PPOState() if state is None else state
    if state.seed is None:
        if generator is None:
            raise ValueError("ppo draws answers: it needs a torch.Generator, or a state that was given one")
        state.seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    state.kl_coef = config.kl_coef if state.kl_coef is None else state.kl_coef
    optimizer = _adam(agent, config, state)
    while state.step < config.n_iterations:
        kept = copy.deepcopy((agent.state_dict(), state.moments, state.averages))
        try:
            equations.disable_dropout(agent, reference)
            generator = torch.Generator()  # this iteration's own
            generator.manual_seed(int(np.random.SeedSequence([state.seed, state.step]).generate_state(1)[0]))
            batch, seen = experience(
                agent, reference, reward_fn, utility_fn, prompts, config, state.kl_coef, generator, equations
            )
            done = _update(agent, optimizer, batch, config, state, generator, ptx_batches, equations)
            tax = math.nan if tax_fn is None else float(tax_fn(agent.policy))
        except BaseException:
            weights, state.moments, state.averages = kept
            agent.load_state_dict(weights)
            raise
        state.history.append(Record(step=state.step + 1, kl_coef=state.kl_coef, tax=tax, **seen, **done))
        if config.kl_target is not None:
            state.kl_coef = adaptive_kl(state.kl_coef, seen["kl"], config.kl_target, len(batch.mask), config.kl_horizon)
        yield state.history[-1]


@dataclass(frozen=True)
class Batch:
    """Answers, and everything about them that stays fixed while the policy learns from them. Shapes: (B, N)."""

    prompts: Tensor  # (B, T)
    answers: Tensor
    mask: Tensor
    old_logp: Tensor
    old_values: Tensor
    rewards: Tensor
    advantages: Tensor
    returns: Tensor

    def rows(self, chosen: Tensor) -> "Batch":
        """Some of the answers."""
        return Batch(*(getattr(self, each.name)[chosen] for each in dataclasses.fields(self)))


@torch.no_grad()
def experience(
    agent, reference, reward_fn, utility_fn, prompts, config, kl_coef, generator, equations=Equations()
) -> tuple[Batch, dict]:
    """Experience: one batch of answers, scored, with advantages; and what is reported of it (fields of Record)."""
    n_rounds = -(-config.batch_size // len(prompts))
    order = torch.cat([torch.randperm(len(prompts), generator=generator) for _ in range(n_rounds)])
    asked = prompts[order[: config.batch_size].to(prompts.device)]  # (B, T)
    answers = equations.rollout(agent.policy, asked, config.longest, config.end_id, generator)  # (B, N)
    mask = equations.answer_mask(answers)
    logits = answer_logits(agent.policy, asked, answers)  # (B, N, V)
    logp, logp_sft = token_logps(logits, answers), answer_logps(reference, asked, answers)
    values = agent.value.values(asked, answers)
    scores = per_answer("reward_fn", reward_fn(asked, answers), len(asked)).to(asked.device)
    utility = None if utility_fn is None else per_answer("utility_fn", utility_fn(asked, answers), len(asked))
    rewards = equations.token_rewards(scores, logp, logp_sft, mask, kl_coef)
    advantages, returns = equations.gae(rewards, values, mask, config.discount, config.gae_lambda)
    all_logps, unexplained, spread = logits.log_softmax(dim=-1), (returns - values)[mask].var(), returns[mask].var()
    seen = {
        "reward": scores.mean(),
        "utility": math.nan if utility is None else utility.double().mean(),
        "kl": ((logp - logp_sft) * mask).sum(dim=1).mean(),
        "entropy": -(all_logps.exp() * all_logps).sum(dim=-1)[mask].mean(),
        "p_end": all_logps[..., config.end_id].exp()[mask].mean(),
        "length": mask.sum(dim=1).double().mean(),
        "explained_variance": 1 - unexplained / spread if spread > 0 else math.nan,
    }
    batch = Batch(asked, answers, mask, logp, values, rewards, equations.whiten(advantages, mask), returns)
    return batch, {name: float(number) for name, number in seen.items()}


def _update(agent, optimizer, batch, config, state, generator, ptx_batches, equations) -> dict:
    """Learn from one batch, minibatch by minibatch; the fields of Record that this fills."""
    policy_losses, value_losses, clipped, n_tokens, ratio_error = [], [], 0, 0, None
    per_iteration = config.n_epochs * config.n_minibatches
    for update in range(per_iteration):
        if update % config.n_minibatches == 0:
            order = torch.randperm(config.batch_size, generator=generator).to(batch.mask.device)
        chosen = order.chunk(config.n_minibatches)[update % config.n_minibatches]
        part = batch.rows(chosen)
        logp = answer_logps(agent.policy, part.prompts, part.answers)
        values = agent.value.values(part.prompts, part.answers)
        of_policy = equations.policy_loss(logp, part.old_logp, part.advantages, part.mask, config.clip_range)
        of_value = equations.value_loss(values, part.old_values, part.returns, part.mask, config.value_clip)
        total = of_policy + of_value  # they share no weights: each has the gradient of its own loss
        if config.ptx_coef > 0:
            texts = ptx_batches[state.step * per_iteration + update]
            inputs, targets = (torch.as_tensor(np.asarray(each), device=part.mask.device) for each in texts)
            total = total + config.ptx_coef * lm_loss(agent.policy(inputs), targets)
        if not total.isfinite():
            raise FloatingPointError(
                f"the loss of iteration {state.step + 1} is not finite (policy {of_policy.item()}, value "
                f"{of_value.item()}); nothing was changed. Try a smaller lr than {config.lr}"
            )
        optimizer.zero_grad()
        total.backward()
        for group, lr in zip(optimizer.param_groups, (config.lr, config.value_lr)):
            nn.utils.clip_grad_norm_(group["params"], config.clip_norm or math.inf)
            group["lr"] = lr * learning_rate_factor(state.step, config)
        optimizer.step()
        off = ((logp.detach() - part.old_logp).exp() - 1).abs()[part.mask]
        ratio_error = float(off.max()) if ratio_error is None else ratio_error
        clipped, n_tokens = clipped + int((off > config.clip_range).sum()), n_tokens + len(off)
        policy_losses.append(of_policy.item())
        value_losses.append(of_value.item())
    if config.average is not None:
        average_weights(state.averages, agent.policy, config.average)
    return {
        "policy_loss": float(np.mean(policy_losses)), "value_loss": float(np.mean(value_losses)),
        "clip_fraction": clipped / n_tokens, "ratio_error": ratio_error,
    }  # fmt: skip


@torch.no_grad()
def average_weights(averages: dict[str, Tensor], policy: nn.Module, share: float) -> None:
    """Exponential moving average of weights: mean <- share mean + (1 - share) weights. InstructGPT, appendix C.4."""
    for name, p in policy.named_parameters():
        known = averages.get(name, p.detach().clone()).to(p.device)
        averages[name] = known.lerp(p.detach(), 1 - share) if name in averages else known


def _adam(agent: ActorCritic, config: PPOConfig, state: PPOState) -> torch.optim.Adam:
    """torch's Adam, one group of parameters for each network, whose memory is the state's own tensors."""
    groups = [{"params": list(net.parameters()), "lr": config.lr} for net in (agent.policy, agent.value)]
    optimizer = torch.optim.Adam(groups, betas=config.betas, foreach=True)  # the same numbers, in half the time
    for name, p in agent.named_parameters():
        zeros = {"step": torch.tensor(0.0), "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        moments = optimizer.state[p] = state.moments.setdefault(name, zeros)
        moments |= {kind: t.to(p.device) for kind, t in moments.items() if kind != "step"}
        if optimizer.state[p]["exp_avg"].shape != p.shape:
            raise ValueError(f"this PPOState belongs to another agent: {name} has another shape there")
    return optimizer


def _check(agent, reference, prompts, config, ptx_batches) -> Tensor:
    """Errors, or the prompts as a tensor."""
    ours, theirs = agent.policy.config.n_vocab, reference.config.n_vocab
    if ours != theirs:
        raise ValueError(f"policy and reference need the same vocabulary, but they know {ours} and {theirs} tokens")
    if reference is agent.policy:
        raise ValueError("the reference must be a copy that stays as it is, but it is the policy itself")
    if config.end_id >= ours:
        raise ValueError(f"end_id must be a token from 0 to {ours - 1}, but it is {config.end_id}")
    if config.ptx_coef > 0 and ptx_batches is None:
        raise ValueError(f"ptx_coef = {config.ptx_coef} needs ptx_batches: pre-training text to stay good at")
    return check_prompts(prompts).to(next(agent.parameters()).device)
