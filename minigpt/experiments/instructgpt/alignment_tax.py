"""Chapter 04, section 8. Alignment tax: what PPO forgets on text that it is not asked about, without and with PPO-ptx.

The enumerable environment with documents, everything exact: a row for each seed, beta and gamma has the mean reward and
the most possible at this beta, the distance from the reference where the policy is asked, and the tax,
KL(documents || policy), before and after. Three minutes a seed on one core.
"""

import dataclasses
from collections.abc import Iterator
from unittest import mock

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from minigpt import ppo
from minigpt.experiments.instructgpt import enumerable_ppo

SEEDS = [0, 1, 2]
KEY = ("seed", "beta", "gamma")
BETAS, GAMMAS = (0.3, 1.0, 3.0), (0.0, 1.0)


def run(world, documents, reference, config: ppo.PPOConfig, seed: int) -> tuple[dict[str, float], list[ppo.Record]]:
    """One run of PPO: what it came to, and what happened on the way."""
    agent, generator = enumerable_ppo.agent_of(reference), torch.Generator().manual_seed(seed)
    records = list(
        ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, generator, ptx_batches=documents)
    )
    end = enumerable_ppo.distance(world, agent.policy, reference, config.kl_coef)
    return {
        "reward": end.reward, "best_reward": end.best_reward, "kl": end.kl,
        "tax": documents.tax(agent.policy), "tax_before": documents.tax(reference),
    }, records  # fmt: skip


def rows(seed: int) -> Iterator[dict]:
    """Measure one seed: a row for each beta and gamma."""
    world, documents, reference = enumerable_ppo.document_world(seed)
    for beta in BETAS:
        for gamma in GAMMAS:
            config = dataclasses.replace(enumerable_ppo.PPO, kl_coef=beta, ptx_coef=gamma)
            found, _ = run(world, documents, reference, config, seed)
            yield dict(zip(KEY, (seed, beta, gamma))) | {name: f"{value:.4f}" for name, value in found.items()}


class Enough(Exception):
    """The network has learned from the documents for as many steps as the canary waits for."""


def begun(seed: int, n_steps: int):
    """As `enumerable_ppo.document_world`, but its network has learned for n_steps only; and the sum of its rates."""
    kept, rates = [], []

    def keep(*args, make=enumerable_ppo.Documents, **more):
        kept.append(make(*args, **more))
        return kept[0]

    def count(optimizer, *_):
        rates.append(optimizer.param_groups[0]["lr"])
        if len(rates) == n_steps:
            kept.append([p.detach().clone() for group in optimizer.param_groups for p in group["params"]])
            raise Enough

    hook = register_optimizer_step_post_hook(count)
    try:
        with mock.patch.object(enumerable_ppo, "Documents", keep):
            enumerable_ppo.document_world(seed)
    except Enough:
        pass
    finally:
        hook.remove()
    documents, weights = kept
    network = enumerable_ppo.small_world(seed)[1]
    with torch.no_grad():
        for p, learned in zip(network.parameters(), weights, strict=True):
            p.copy_(learned)
    return documents.world, documents, network.eval(), sum(rates)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    world, documents, reference, rates = begun(0, 8)
    found = {
        "rates of the documents": 1000 * rates,
        "documents": float(documents.logp @ range(len(documents.logp))) / 1000,
        "batch": float(documents[3][0].double().mean()),
        "documents in a batch": documents.batch_size,
        "sum of rates": sum(
            ppo.learning_rate_factor(i, enumerable_ppo.PPO) for i in range(enumerable_ppo.PPO.n_iterations)
        ),
    }
    documents = dataclasses.replace(documents, batch_size=16)
    few = dataclasses.replace(enumerable_ppo.PPO, n_iterations=2, batch_size=32, n_minibatches=4)
    for beta, gamma in ((BETAS[0], GAMMAS[0]), (BETAS[2], GAMMAS[1])):
        config = dataclasses.replace(few, kl_coef=beta, ptx_coef=gamma)
        end, records = run(world, documents, reference, config, 0)
        found |= {f"beta {beta} gamma {gamma}: {key}": value for key, value in end.items()}
        for key in ("reward", "kl", "policy_loss", "value_loss"):
            found[f"beta {beta} gamma {gamma}: last {key}"] = getattr(records[-1], key)
    bold = dataclasses.replace(few, n_epochs=2, lr=5e-3, value_lr=5e-3)
    _, records = run(world, documents, reference, bold, 1)  # far enough to be clipped
    return found | {f"bold steps: {key}": getattr(records[-1], key) for key in ("kl", "policy_loss", "value_loss")}
