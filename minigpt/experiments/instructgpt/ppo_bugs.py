"""Chapter 04, section 10. PPO bugs: fourteen mistakes, each one function of PPO replaced by a version a little wrong.

Each is trained in the enumerable environment, where the best policy is known: what a mistake costs is then a number,
the gap to the optimum. Some cost a lot, some nothing, and two leave every curve looking well. Three minutes a seed.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

import torch

from minigpt import ppo
from minigpt.experiments.instructgpt import enumerable_ppo
from minigpt.loss import IGNORED
from minigpt.sample import generate

SEEDS = [0, 1, 2]
KEY = ("seed", "mistake")


@dataclass(frozen=True)
class Bug:
    """A bug: which of ppo.Equations is replaced, by what, and what its author was thinking."""

    replaces: str
    by: Callable
    thought: str


def no_kl(scores, logp, logp_sft, mask, kl_coef):
    """The price of leaving the reference is forgotten."""
    return ppo.token_rewards(scores, logp, logp_sft, mask, 0.0)


def kl_sign(scores, logp, logp_sft, mask, kl_coef):
    """The policy is paid for leaving the reference."""
    return ppo.token_rewards(scores, logp_sft, logp, mask, kl_coef)


def k3_in_reward(scores, logp, logp_sft, mask, kl_coef):
    """A better estimate of the value of the KL in place of the log-ratio, whose gradient is another."""
    d = logp_sft - logp
    return ppo.token_rewards(scores, logp, logp, mask, kl_coef) - kl_coef * (torch.expm1(d) - d) * mask


def score_everywhere(scores, logp, logp_sft, mask, kl_coef):
    """The score is paid at every token, so long answers earn it many times."""
    return ppo.token_rewards(scores * 0, logp, logp_sft, mask, kl_coef) + scores[:, None] * mask


def score_too_early(scores, logp, logp_sft, mask, kl_coef):
    """The score stands at the token before the last: the choice to end earns nothing."""
    rewards = ppo.token_rewards(scores * 0, logp, logp_sft, mask, kl_coef)
    place = (mask.sum(dim=1) - 2).clamp(min=0)
    return rewards + scores[:, None] * (torch.arange(mask.shape[1], device=mask.device) == place[:, None])


def padding_counts(answers):
    """What fills up an answer is taken for tokens that the policy chose."""
    return torch.ones_like(answers, dtype=torch.bool)


def end_does_not_count(answers):
    """The padding has the id of the end token, and the mask throws out both."""
    mask = ppo.answer_mask(answers) & (answers != enumerable_ppo.TREE.end)
    mask[:, 0] = True  # or an empty answer would have no token at all
    return mask


def end_forbidden(policy, prompts, longest, end_id, generator):
    """No answer may end before its third token, but the scores do not know that."""
    return _rollout(policy, prompts, longest, end_id, generator, n_open=2)


def top_k(policy, prompts, longest, end_id, generator):
    """Answers are drawn from the three likeliest tokens; scored with all of them."""
    return _rollout(policy, prompts, longest, end_id, generator, top_k=3)


def colder(policy, prompts, longest, end_id, generator):
    """Answers are drawn at temperature 0.8; scored at 1."""
    return _rollout(policy, prompts, longest, end_id, generator, temperature=0.8)


def dropout_stays_on(*models):
    """Dropout was not switched off."""
    for each in models:
        each.train()


def no_whitening(x, mask):
    """Advantages are used as they come."""
    return x * mask


def one_more_value(rewards, values, mask, discount=1.0, gae_lambda=0.95):
    """Behind the last token the value function is still believed, as if something were to come."""
    return ppo.gae(rewards, values, torch.ones_like(mask), discount, gae_lambda)


def no_clipping(logp, old_logp, advantages, mask, clip_range=0.2):
    """The ratio may go anywhere."""
    return ppo.policy_loss(logp, old_logp, advantages, mask, 1e9)


BUGS = {
    "no KL": Bug("token_rewards", no_kl, "the reward will do"),
    "KL with the wrong sign": Bug("token_rewards", kl_sign, "log-probabilities are negative anyway"),
    "k3 in the reward": Bug("token_rewards", k3_in_reward, "it has less variance and is never negative"),
    "score at every token": Bug("token_rewards", score_everywhere, "then every token knows what it is good for"),
    "score one token early": Bug("token_rewards", score_too_early, "the end token is not part of the text"),
    "padding counts": Bug("answer_mask", padding_counts, "they are only a few"),
    "the end does not count": Bug("answer_mask", end_does_not_count, "pad and end may share an id"),
    "the end is forbidden at first": Bug("rollout", end_forbidden, "short answers are dull"),
    "top-k 3 sampling": Bug("rollout", top_k, "it samples cleaner text"),
    "sampled at 0.8, scored at 1": Bug("rollout", colder, "0.8 is the library's default"),
    "dropout left on": Bug("disable_dropout", dropout_stays_on, "it is training, after all"),
    "no whitening": Bug("whiten", no_whitening, "the scale does not matter to Adam"),
    "a value after the end": Bug("gae", one_more_value, "a longer sum is no worse"),
    "no clipping": Bug("policy_loss", no_clipping, "the steps are small"),
}


def equations(name: str | None) -> ppo.Equations:
    """The functions of PPO with one bug among them; None: without. Errors: an unknown name is a ValueError."""
    if name is None:
        return ppo.Equations()
    if name not in BUGS:
        raise ValueError(f"expected one of {sorted(BUGS)}; got {name!r}")
    return ppo.Equations(**{BUGS[name].replaces: BUGS[name].by})


@dataclass(frozen=True)
class BugRun:
    """The result of one run."""

    gap: float  # to the best policy: J(pi*) - J(pi); infinite if the run broke down
    kl: float  # KL(pi || pi_SFT), nats
    best_kl: float  # of the best policy
    reward: float
    best_reward: float
    p_end: float  # probability of ending, mean over the tokens of the last batch
    ratio_error: float  # largest |ratio - 1| before the first update of an iteration, over the run
    broke: bool  # a loss was not finite, or a model would not run


def run(name: str | None, seed: int = 0, n_iterations: int = 100, beta: float = 1.0) -> BugRun:
    """Train with one bug (None: with none) in the enumerable environment, and measure the gap to the best policy."""
    config = dataclasses.replace(enumerable_ppo.PPO, n_iterations=n_iterations, kl_coef=beta)
    records, broke = [], False
    with torch.random.fork_rng(devices=[]):  # dropout draws from torch's own generator
        torch.default_generator.manual_seed(seed)
        world, reference = enumerable_ppo.small_world(seed, dropout=0.2 if name == "dropout left on" else 0.0)
        agent, generator, parts = enumerable_ppo.agent_of(reference), torch.Generator().manual_seed(seed), equations(name)
        try:
            for record in ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, generator, equations=parts):
                records.append(record)
        except FloatingPointError:
            broke = True
    end = enumerable_ppo.distance(world, agent.policy, reference, beta)
    return BugRun(
        end.gap, end.kl, end.best_kl, end.reward, end.best_reward, records[-1].p_end if records else float("nan"),
        max((r.ratio_error for r in records), default=float("nan")), broke,
    )  # fmt: skip


def _rollout(policy, prompts, longest, end_id, generator, n_open=0, **settings):
    """Answers drawn in another way than they are scored."""
    begun = _without_end(policy, prompts, n_open, end_id, generator)
    drawn = generate(policy, begun, longest - n_open, generator, stop_id=end_id, **settings)[:, prompts.shape[1] :]
    ended = (drawn == end_id).cumsum(dim=1) - (drawn == end_id).int()
    return drawn.masked_fill(ended > 0, IGNORED)


def _without_end(policy, prompts, n_open, end_id, generator):
    """The first tokens of answers, with the end token taken out of the draw."""
    ids = prompts
    for _ in range(n_open):
        logits = policy(ids)[:, -1].double().cpu()
        logits[:, end_id] = -float("inf")
        drawn = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)
        ids = torch.cat([ids, drawn.to(ids.device)], dim=1)
    return ids


def rows(seed: int) -> Iterator[dict]:
    """Measure one seed: a row for the right algorithm, and one for each bug."""
    for name in (None, *BUGS):
        found = {key: value if key == "broke" else f"{value:.4f}" for key, value in vars(run(name, seed)).items()}
        yield {"seed": seed, "mistake": name or "none"} | found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py): every bug for an iteration of few answers, or as
    many as it takes until it matters: the KL is 0 in the first one, and the values are until the third.
    """
    n_iterations = inspect.signature(run).parameters["n_iterations"].default
    whole = dataclasses.replace(enumerable_ppo.PPO, n_iterations=n_iterations)
    found = {"sum of rates": sum(whole.lr * ppo.learning_rate_factor(i, whole) for i in range(n_iterations))}
    few = dataclasses.replace(enumerable_ppo.PPO, batch_size=24, n_minibatches=3)
    more = dataclasses.replace(enumerable_ppo.PPO, batch_size=32, n_minibatches=4)
    longer = {None: 2, "no KL": 2, "KL with the wrong sign": 2, "k3 in the reward": 2, "a value after the end": 3}
    for name in (None, *BUGS):
        with mock.patch.object(enumerable_ppo, "PPO", more if longer.get(name) == 3 else few):
            done = run(name, 0, longer.get(name, 1))
        keys = ("gap", "kl", "p_end", "ratio_error", "broke") if name else vars(done)
        found |= {f"{name or 'none'}: {key}": getattr(done, key) for key in keys}
    world, reference = enumerable_ppo.small_world(1)
    bold = dataclasses.replace(few, n_iterations=2, n_epochs=2, lr=5e-3, value_lr=5e-3)  # far enough to be clipped
    agent, generator = enumerable_ppo.agent_of(reference), torch.Generator().manual_seed(1)
    for record in ppo.ppo(agent, reference, world.reward_fn, world.prompts, bold, generator):
        for key in ("reward", "kl", "entropy", "policy_loss", "value_loss"):
            found[f"bold steps: {key} {record.step}"] = getattr(record, key)
    return found
