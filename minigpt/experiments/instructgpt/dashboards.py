"""Chapter 04, section 10. Dashboards: what PPO logs at each iteration when it is right, and with one mistake in it.

Every run is in the same small world, from the same SFT model; a seed draws the answers, so that the right runs of all
seeds show how much a curve may vary. Half a minute a seed on one core.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import torch

from minigpt import ppo
from minigpt.experiments import measured
from minigpt.experiments.instructgpt import enumerable_ppo, ppo_bugs

SEEDS = [0, 1, 2]
KEY = ("seed", "mistake", "step")
TABLE = "instructgpt/dashboards"
LOGGED = ("kl", "reward", "length", "clip_fraction", "entropy", "explained_variance", "p_end", "ratio_error")
TOO_FAST = 20  # times the right learning rate
MISTAKES = ("no KL", "KL with the wrong sign", "score at every token", "padding counts",
            "the end is forbidden at first", "dropout left on", "learning rate too high")  # fmt: skip
RUNS = dict(zip("ABCDEF", ("score at every token", "dropout left on", "no KL", "the end is forbidden at first",
                           "learning rate too high", "KL with the wrong sign")))  # the exercise's, without their names
CONFIG = dataclasses.replace(enumerable_ppo.PPO, n_iterations=40, batch_size=128, n_minibatches=4, lr=2e-3,
                             value_lr=2e-3, kl_coef=1.0)  # fmt: skip


def run(mistake: str | None, seed: int = 0, config: ppo.PPOConfig = CONFIG) -> list[ppo.Record]:
    """Records of one run, as far as it came: with one mistake, or with none (None)."""
    fast = mistake == "learning rate too high"
    if fast:
        config = dataclasses.replace(config, lr=TOO_FAST * config.lr, value_lr=TOO_FAST * config.value_lr)
    parts = ppo_bugs.equations(None if fast else mistake)
    world, reference = enumerable_ppo.small_world(0, dropout=0.2 if mistake == "dropout left on" else 0.0)
    generator, records = torch.Generator().manual_seed(seed), []
    with torch.random.fork_rng(devices=[]):  # a new layer and dropout draw from torch's own generator
        agent = enumerable_ppo.agent_of(reference)
        torch.default_generator.manual_seed(seed)
        try:
            records.extend(
                ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, generator, equations=parts)
            )
        except FloatingPointError:
            pass
    return records


def rows(seed: int) -> Iterator[dict]:
    """Measure one seed: a row for each iteration of each run."""
    for mistake in (None, *MISTAKES):
        for record in run(mistake, seed):
            logged = {name: f"{getattr(record, name):.4g}" for name in LOGGED}
            yield {"seed": seed, "mistake": mistake or "none", "step": record.step} | logged


def curves(mistake: str = "none") -> dict[str, np.ndarray]:
    """The stored curves of all seeds: quantity -> (seeds, iterations). Errors: ValueError for an unknown mistake."""
    found = [row for row in measured.rows(TABLE) if row["mistake"] == mistake]
    if not found:
        raise ValueError(f"expected one of {['none', *MISTAKES]}; got {mistake!r}")
    table = np.full((len(LOGGED), len(SEEDS), CONFIG.n_iterations), math.nan)
    for row in found:
        table[:, SEEDS.index(int(row["seed"])), int(row["step"]) - 1] = [float(row[name]) for name in LOGGED]
    return dict(zip(LOGGED, table))


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py): two iterations of few answers for each run."""
    found = {"sum of rates": sum(CONFIG.lr * ppo.learning_rate_factor(i, CONFIG) for i in range(CONFIG.n_iterations))}
    few = dataclasses.replace(CONFIG, batch_size=24, n_minibatches=3, n_iterations=2)
    for mistake in (None, *MISTAKES):
        last = run(mistake, 0, few)[-1]
        names = LOGGED if mistake == "dropout left on" else (name for name in LOGGED if name != "ratio_error")
        found |= {f"{mistake or 'none'}: {name}": getattr(last, name) for name in names}
    return found
