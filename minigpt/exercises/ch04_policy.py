"""Checks for the exercises of chapter 04 on the policy: its gradient, advantages, one whole update of PPO, and DPO.

Their slips are computed, and what is right comes from the package: the exact gradient where all answers can be listed,
and the first iteration of `ppo.ppo`.
"""

import copy
import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from minigpt import ppo, responses
from minigpt.exact import optimal_policy
from minigpt.exercises.judging import Problem, called, compare, exercise, slips
from minigpt.exercises.tensors import check_far, compare_tensors, flat, same
from minigpt.experiments.instructgpt import enumerable_ppo, policy_gradients
from minigpt.model import GPT, GPTConfig
from minigpt.reward_model import RewardModel
from minigpt.worlds.answer_tree import Answers


@exercise("my_policy_gradient", "On average it is the exact gradient, and the baseline only changes how far it is off.",
          hint="`logits = logits.clone().requires_grad_()`; `logits.log_softmax(-1)[states, tokens]` is (M, N): times "
               "`written`, and the sum over the tokens, is log pi of each answer. The mean of (return - baseline) "
               "times that, `.backward()`, and return `logits.grad`.")  # fmt: skip
def policy_gradient(answer: Callable) -> None:
    """The score-function estimate, from answers that were drawn."""
    tree = Answers(n_words=2, longest=2)
    uniform = np.full((len(tree.prefixes), 3), -np.log(3))
    often = np.rint(9 * np.exp(tree.logps(uniform))).astype(int)  # of nine answers, each as often as it is likely
    reward, sft = np.linspace(-1, 2, len(often)) ** 2, tree.logps(_token_logps(tree, 1))
    returns = reward - 0.5 * (tree.logps(uniform) - sft)
    exact = optimal_policy.policy_gradient(tree, uniform, sft, reward, 0.5)
    where = "for 9 answers, each of them as often as it is likely"
    _check_estimate(answer, tree, uniform, np.repeat(np.arange(len(often)), often), returns, 0.0, exact, where)
    for seed in (2, 3):
        rng, logps = np.random.default_rng(seed), _token_logps(Answers(3, 3), seed)
        tree = Answers(n_words=3, longest=3)
        drawn, returns = rng.integers(len(tree.rows), size=6), rng.normal(1.5, 1, size=len(tree.rows))
        scores = policy_gradients.score_functions(tree, logps)[drawn]
        right = np.mean((returns[drawn] - 0.8)[:, None, None] * scores, axis=0)
        _check_estimate(answer, tree, logps, drawn, returns, 0.8, right, "for 6 answers and the baseline 0.8")


def _token_logps(tree: Answers, seed: int) -> np.ndarray:
    logits = np.random.default_rng([seed, 4]).normal(size=(len(tree.prefixes), tree.n_words + 1))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _check_estimate(answer, tree, logps, drawn, returns, baseline, right, where) -> None:
    # a constant added to the logits of a prefix changes no probability
    logits = torch.tensor(logps + np.linspace(0.5, 1.5, len(logps))[:, None])
    given = (logits, *(torch.tensor(part[drawn]) for part in tree.path), torch.tensor(returns[drawn]), baseline)
    got = called(answer, *(each.clone() if isinstance(each, Tensor) else each for each in given))
    wrong = slips(lambda **how: _estimate(*given, **how), _ESTIMATE_SLIPS)
    compare_tensors(got, torch.tensor(right), wrong, where)


_ESTIMATE_SLIPS = {
    "of": (
        ("probs", "the gradient of log pi, not of pi: take the logarithm of the softmax"),
        ("logits", "those are logits: log pi is their log-softmax, and its gradient has the minus pi(a | s)"),
    ),
    "padding": ((True, "what was not written does not count: multiply by `written`"),),
    "mean": (
        ("sum", "the mean over the answers, not their sum"),
        ("tokens", "divide by the number of answers, not by that of the tokens"),
    ),
    "weight": (
        ("raw", "the baseline is missing: weigh each answer by its return minus the baseline"),
        ("plus", "take the baseline away from the return; you added it"),
        ("none", "weigh each answer by its return: without it the mean is 0"),
    ),
    "sign": ((-1.0, "the sign: the gradient of the objective, which is to be made large"),),
}


def _estimate(logits, states, tokens, written, returns, baseline, of="logps", padding=False, mean="answers",
              weight="minus", sign=1.0) -> Tensor:  # fmt: skip
    """The score-function estimate, with slips."""
    logits = logits.clone().requires_grad_()
    each = {"logps": logits.log_softmax(-1), "probs": logits.softmax(-1), "logits": logits}[of][states, tokens]
    logp = (each if padding else each * written).sum(dim=1)
    weights = {"minus": returns - baseline, "raw": returns, "plus": returns + baseline, "none": returns * 0 + 1}[weight]
    n = {"answers": len(returns), "sum": 1, "tokens": int(written.sum())}[mean]
    return torch.autograd.grad(sign * (weights * logp).sum() / n, logits)[0]


@exercise("my_gae", "Each token is credited with the surprises that follow it, the near ones more than the far ones.",
          hint="Go through the tokens from the last column to the first, with two tensors of shape (B,): the "
               "advantage and the value of the token after. Where the mask is False, both are 0.")  # fmt: skip
def gae(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Generalised advantage estimation for a batch of answers of several lengths."""
    for seed, lam in ((0, 0.95), (1, 0.5)):
        generator = torch.Generator().manual_seed(seed)
        rewards, values = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)
        mask = torch.arange(5) < torch.tensor([5, 3, 1, 4])[:, None]
        rewards = rewards * mask
        right = ppo.gae(rewards, values, mask, 1.0, lam)[0]
        given = rewards, values, mask, lam
        got = called(answer, *(each.clone() for each in given[:3]), lam)
        wrong = slips(lambda given=given, **how: _gae(*given, **how), _GAE_SLIPS)
        others = (
            (_gae(*given, after="none", expected=False, lam=1.0),
             "those are the rewards to go: take away V_t, what was expected"),
            (right.flip(1), "go from the last token to the first, and return the advantages in the order of the text"),
        )  # fmt: skip
        compare_tensors(got, right, (*others, *wrong), f"for 4 answers of 1 to 5 tokens and lambda = {lam}")


_GAE_SLIPS = {
    "after": (
        ("padding", "after the last token nothing is to come: V is 0 there, not the value of the padding"),
        ("own", "after the last token nothing is to come: V is 0 there, not the value of that token once more"),
        ("lam", "lambda weighs the TD errors that follow, not V_{t+1}: gamma is 1"),
        ("none", "V_{t+1} is missing: delta_t = R_t + V_{t+1} - V_t"),
    ),
    "sign": ((-1.0, "the sign: R_t + V_{t+1} - V_t, what comes minus what was expected"),),
    "lam": (
        (0.0, "those are the TD errors delta_t alone: add lambda times the advantage of the next token"),
        (1.0, "each later TD error counts lambda times less"),
    ),
    "expected": ((False, "V_t is missing: what was expected is taken away"),),
    "gives": (
        ("returns", "those are the returns A_t + V_t: give the advantages"),
        ("everywhere", "where the mask is False the advantage is 0"),
    ),
    "order": ((False, "from the last token to the first: A_t needs A_{t+1}"),),
}


def _gae(rewards, values, mask, lam_, after="next", sign=1.0, lam=None, expected=True, gives="advantages",
         order=True) -> Tensor:  # fmt: skip
    """GAE, with slips."""
    lam = lam_ if lam is None else lam
    out, following, value_after = torch.zeros_like(rewards), rewards[:, 0] * 0, rewards[:, 0] * 0
    steps = range(rewards.shape[1])
    for t in reversed(steps) if order else steps:
        there = mask[:, t] | (gives == "everywhere")
        last = ~mask[:, t + 1] if t + 1 < rewards.shape[1] else mask[:, t]
        to_come = {"lam": lam_, "none": 0.0}.get(after, 1.0) * value_after
        to_come = torch.where(last, values[:, t], to_come) if after == "own" else to_come
        delta = rewards[:, t] + sign * (to_come - values[:, t] * expected)
        following = torch.where(there, delta + lam * following, 0.0)
        value_after = torch.where(there | (after == "padding"), values[:, t], 0.0)
        out[:, t] = following
    return (out + values) * mask if gives == "returns" else out


@exercise("my_ppo_update", "After it your policy and your value function have the weights of the package's.",
          hint="First, under `torch.no_grad()`: mask, log pi of the policy and of the reference, values, rewards, "
               "advantages, returns, whitening. Then for each part: new log pi and values, the two clipped losses, "
               "`zero_grad`, `backward`, the gradient norm of each network clipped by itself, `step`.")  # fmt: skip
def ppo_update(answer: Callable) -> None:
    """One whole iteration of PPO, from answers that are drawn already to the weights after it."""
    config = dataclasses.replace(enumerable_ppo.PPO, batch_size=12, n_minibatches=3, n_iterations=1)
    world, reference = enumerable_ppo.small_world(3)
    for seed, fast in ((0, True), (1, False)):
        agent = _small_agent(seed)
        if fast:  # large plain steps, so that clipping shows, and with it every slip
            drawn = policy_gradients.first_draw(agent.policy, world.prompts, config, seed)
            right, losses = _after(_update, agent, reference, world, drawn, config, fast)
        else:
            right = copy.deepcopy(agent)
            record = next(
                ppo.ppo(right, reference.double(), world.reward_fn, world.prompts, config,
                        torch.Generator().manual_seed(seed))
            )  # fmt: skip
            drawn = policy_gradients.first_draw(agent.policy, world.prompts, config, seed)
            losses = (record.policy_loss, record.value_loss)
        where = f"for 12 answers in 3 parts{'' if fast else ', beside ppo.ppo'}"
        got, returned = _after(answer, agent, reference, world, drawn, config, fast)
        if not same(flat(got), flat(right)):
            _explain_update(got, right, agent, reference, world, drawn, config, fast, where)
        _compare_losses(returned, losses, where)


class _Agent(ppo.ActorCritic):
    """An agent that says what it is in one word, where a message names what a function was given."""

    def __repr__(self) -> str:
        return "agent"


def _small_agent(seed: int) -> _Agent:
    """Policy and value function, both random, the value's last layer too, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    shape = GPTConfig(n_vocab=5, n_ctx=6, n_layers=1, n_heads=2, d_model=8, norm="pre", init_std=0.4, init="width")
    agent = _Agent(GPT(shape, generator), RewardModel(GPT(shape, generator)))
    with torch.no_grad():
        agent.value.head.weight.copy_(0.7 * torch.randn(agent.value.head.weight.shape, generator=generator))
    return agent.double().eval()


class _Quiet:
    """A thing under a short name, so that a message stays short."""

    def __init__(self, name: str, thing):
        self._name, self._thing = name, thing

    def __getattr__(self, name):
        return getattr(self._thing, name)

    def __repr__(self) -> str:
        return self._name


def _after(update: Callable, agent, reference, world, drawn, config, fast: bool) -> tuple:
    """(a copy of the agent after an update, what the update returned)."""
    agent, reference = copy.deepcopy(agent), copy.deepcopy(reference).double().eval()
    groups = [{"params": list(net.parameters())} for net in (agent.policy, agent.value)]
    optimizer = torch.optim.SGD(groups, lr=2.0) if fast else torch.optim.Adam(groups, lr=config.lr, betas=config.betas)
    asked, answers, parts = drawn
    scores = world.reward_fn(asked, answers).double()
    given = (agent, reference, asked.clone(), answers.clone(), scores, [part.clone() for part in parts])
    if update is _update or isinstance(update, _Slipped):
        return agent, update(*given, optimizer, config)
    return agent, called(update, *given, optimizer, config)


class _Slipped:
    """An update with one slip."""

    def __init__(self, how: dict):
        self.how = how

    def __call__(self, *given):
        return _update(*given, **self.how)


def _explain_update(got, right, agent, reference, world, drawn, config, fast, where) -> None:
    """Raise the Problem that explains the weights."""
    if same(flat(got), flat(agent)):
        raise Problem(f"no weight has moved: for each part, zero_grad, backward and optimizer.step() ({where})")
    for how, sentence in _UPDATE_SLIPS:
        if same(flat(got), flat(_after(_Slipped(how), agent, reference, world, drawn, config, fast)[0])):
            raise Problem(f"{sentence} ({where})")
    for name in ("policy", "value"):
        if same(flat(getattr(got, name)), flat(getattr(right, name))):
            other = {"policy": "value function", "value": "policy"}[name]
            raise Problem(f"the {name if name == 'policy' else 'value function'} is right, and the {other} is not: "
                          f"look at its loss ({where})")  # fmt: skip
    raise Problem(f"the weights moved, but not as in the package's update ({where})")


def _compare_losses(returned, losses, where: str) -> None:
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise Problem("the weights are right; return the mean policy loss and the mean value loss of the parts, a pair")
    swapped = "first the policy loss, then the value loss"
    for name, value, right, other in zip(("policy", "value"), returned, losses, losses[::-1]):
        compare(value, right, ((-right, f"the sign of the {name} loss"), (other, swapped),
                               (3 * right, "the mean over the parts, not the sum")),
                f"for the {name} loss {where}", tolerance=1e-5)  # fmt: skip


_UPDATE_SLIPS = (
    ({"kl": "sign"}, "the KL penalty has the wrong sign: R_t = -beta (log pi - log pi_SFT), and the score at the end"),
    ({"kl": "none"}, "the KL penalty is missing from the rewards"),
    ({"score": "everywhere"}, "the score is paid once, at the last token of the answer, not at every token"),
    ({"score": "column"}, "the score belongs to the last real token, mask.sum(1) - 1, not to the last column"),
    ({"score": "none"}, "the score is missing: it is added to the reward of the last token"),
    ({"lam": 1.0}, "use config.gae_lambda in the advantages"),
    ({"whiten": "none"}, "the advantages are not whitened: mean 0 and variance 1 over the real tokens of the batch"),
    ({"whiten": "first"}, "the returns are made before whitening: A_t + V_t with the advantages as they came"),
    ({"whiten": "padding"}, "whiten over the real tokens only: the padding counts in your mean and variance"),
    ({"whiten": "part"}, "whiten over the whole batch, once, not in each part"),
    ({"ratio": "inverse"}, "the ratio is new over old: exp(log pi - log pi_old)"),
    ({"ratio": "fresh"}, "that is REINFORCE: the ratio to the policy that wrote the answers is missing, or pi_old was "
                         "worked out anew in each part, so that the ratio is always 1"),
    ({"clip": "none"}, "the ratio is not clipped to 1 - eps ... 1 + eps"),
    ({"clip": "alone"}, "take the smaller of the unclipped and the clipped term, not the clipped one alone"),
    ({"clip": "max"}, "take the smaller of the two terms, not the larger"),
    ({"sign": 1.0}, "the policy walks downhill: the loss is minus the clipped objective"),
    ({"mean": "padding"}, "the mean goes over the real tokens: divide by mask.sum(), not by all places"),
    ({"mean": "sum"}, "the losses are means over the tokens, not sums"),
    ({"value": "none"}, "the value loss is missing"),
    ({"value": "unclipped"}, "the value is not clipped: at most config.value_clip away from the old value"),
    ({"value": "min"}, "of the two squared errors of the value take the larger"),
    ({"value": "whole"}, "the value loss is half the squared error"),
    ({"value": "rewards"}, "V_t learns the return A_t + V_t, what was still to come, not the reward of its token"),
    ({"norm": "none"}, "clip the length of the gradient to config.clip_norm before the step"),
    ({"norm": "joint"}, "clip the gradient of each network by itself, not of both together"),
    ({"zero": False}, "the gradients of the part before are still there: call optimizer.zero_grad() in each part"),
    ({"which": "whole"}, "one update for each part, not one for the whole batch"),
    ({"which": "first"}, "all parts count, not the first one only"),
)


def _update(agent, reference, asked, answers, scores, parts, optimizer, config, kl="", score="", lam=None, whiten="",
            ratio="", clip="", sign=-1.0, mean="", value="", norm="", zero=True,
            which="") -> tuple[float, float]:  # fmt: skip
    """One iteration of PPO, with slips; result: the mean losses."""
    mask, eps = answers != -100, config.clip_range
    with torch.no_grad():
        old, sft = (responses.answer_logps(net, asked, answers) for net in (agent.policy, reference))
        old_values = agent.value.values(asked, answers)
        rewards = {"": -1.0, "sign": 1.0, "none": 0.0}[kl] * config.kl_coef * (old - sft) * mask
        last = torch.full_like(scores, mask.shape[1] - 1).long() if score == "column" else mask.sum(dim=1) - 1
        if score == "everywhere":
            rewards = rewards + scores[:, None] * mask
        elif score != "none":
            rewards[torch.arange(len(mask)), last] += scores
        advantages, returns = ppo.gae(rewards, old_values, mask, 1.0, config.gae_lambda if lam is None else lam)
        white = ppo.whiten(advantages, torch.ones_like(mask) if whiten == "padding" else mask)
        returns = (white + old_values) * mask if whiten == "first" else rewards if value == "rewards" else returns
        advantages = advantages if whiten in ("none", "part") else white
    parts = {"whole": [torch.cat(list(parts))], "first": parts[:1]}.get(which, parts)
    losses = []
    for part in parts:
        m, A = mask[part], advantages[part]
        A = ppo.whiten(A, m) if whiten == "part" else A
        logp = responses.answer_logps(agent.policy, asked[part], answers[part])
        before = logp.detach() if ratio == "fresh" else old[part]
        q = (before - logp if ratio == "inverse" else logp - before).exp()
        near = q.clamp(1 - eps, 1 + eps)
        gain = {"none": q * A, "alone": near * A, "max": torch.maximum(q * A, near * A)}
        gain = gain.get(clip, torch.minimum(q * A, near * A))
        V, old_V, R = agent.value.values(asked[part], answers[part]), old_values[part], returns[part]
        apart, near_apart = (V - R) ** 2, (old_V + (V - old_V).clamp(-config.value_clip, config.value_clip) - R) ** 2
        error = {"unclipped": apart, "min": torch.minimum(apart, near_apart)}
        error = error.get(value, torch.maximum(apart, near_apart))
        n = {"": m.sum(), "padding": m.numel(), "sum": 1}[mean]
        of_policy = sign * (gain * m).sum() / n
        of_value = {"none": 0.0, "whole": 1.0}.get(value, 0.5) * (error * m).sum() / n
        if zero:
            optimizer.zero_grad()
        (of_policy + of_value).backward()
        nets = {"none": [], "joint": [agent]}.get(norm, [agent.policy, agent.value])
        for net in nets:
            nn.utils.clip_grad_norm_(net.parameters(), config.clip_norm)
        optimizer.step()
        losses.append((of_policy.item(), of_value.item()))
    return tuple(float(mean) for mean in np.mean(losses, axis=0))


@exercise("my_dpo_loss", "It is smallest at the very policy that PPO is after, and no answer had to be sampled.",
          hint="`ahead = beta * ((logp_w - sft_w) - (logp_l - sft_l))`, and minus its `F.logsigmoid`, which does not "
               "overflow.")  # fmt: skip
def dpo_loss(answer: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """DPO's loss of each pair; its gradient is 0 at the best policy, and it is finite for scores far apart."""
    generator = torch.Generator().manual_seed(5)
    for beta in (0.1, 0.5, 2.0):
        w, lost, sft_w, sft_l = -6 * torch.rand(4, 5, generator=generator) - 1
        got = called(answer, w.clone(), lost.clone(), sft_w.clone(), sft_l.clone(), beta)
        right = _dpo(w - lost - sft_w + sft_l, beta)
        if isinstance(got, Tensor) and got.shape == () and same(got, right.mean()):
            raise Problem(f"give the loss of each pair, (B,), not their mean (for 5 pairs and beta = {beta})")
        ahead = w - lost - sft_w + sft_l
        mistakes = (
            (_dpo(-ahead, beta), "the winner's log-ratio minus the loser's, not the other way round"),
            (_dpo(w - lost, beta), "take the SFT model's log-probabilities away: only the change counts"),
            (_dpo(w - lost + sft_w - sft_l, beta), "take the SFT model's log-probabilities away; you added them"),
            (_dpo(ahead, 1.0), "beta stands before both log-ratios"),
            (_dpo(ahead, 1 / beta), "multiply by beta, do not divide"),
            (_dpo(w - sft_w, beta), "the loser is missing: its log-ratio is taken away"),
            (-right, "a loss is positive: minus the logarithm of the sigmoid"),
            ((beta * ahead).sigmoid(), "take minus the logarithm of the sigmoid"),
            (-beta * ahead, "put the difference into minus log sigmoid"),
        )
        compare_tensors(got, right, mistakes, f"for 5 pairs and beta = {beta}")
    ahead = torch.tensor([1000.0, -1000.0, 0.0])
    got = called(answer, ahead.clone(), 0 * ahead, 0 * ahead, 0 * ahead, 1.0)
    _check_far_pairs(got, _dpo(ahead, 1.0))
    _check_optimum(answer)


def _dpo(ahead: Tensor, beta: float) -> Tensor:
    return -nn.functional.logsigmoid(beta * ahead)


def _check_far_pairs(got, right: Tensor) -> None:
    """Differences of 1,000 leave a loss finite and right."""
    where = "for differences of 1,000, -1,000 and 0"
    if isinstance(got, Tensor) and got.shape == right.shape:
        for mine, theirs in zip(got, right):
            check_far(mine, theirs.item(), where)
    compare_tensors(got, right, (), where)


def _check_optimum(answer: Callable) -> None:
    """All pairs of some answers, judged by Bradley-Terry labelers: the gradient at pi* is 0."""
    generator = torch.Generator().manual_seed(6)
    sft = torch.randn(9, generator=generator, dtype=torch.float64).log_softmax(0)
    r, beta = torch.randn(9, generator=generator, dtype=torch.float64), 0.4
    star = (sft + r / beta).log_softmax(0).requires_grad_()
    w, lost = (index.flatten() for index in torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij"))
    logp = star.log_softmax(0)
    losses = called(answer, logp[w], logp[lost], sft[w], sft[lost], beta)
    if not isinstance(losses, Tensor) or not losses.requires_grad:
        raise Problem("no gradient comes through: stay with torch's functions, without .item(), .detach() or numpy")
    total = (torch.sigmoid(r[w] - r[lost]) * losses).mean()
    gradient = torch.autograd.grad(total, star)[0]
    if gradient.abs().max() > 1e-8:
        raise Problem("the numbers are right, but the gradient at pi* is not 0: it must flow through both the winner's "
                      "and the loser's log-probability")  # fmt: skip
