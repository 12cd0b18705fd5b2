"""What does each mistake of the museum cost? PPO in the small world with one mistake at a time, over three seeds.

    python benchmarks/instructgpt_museum.py              all seeds (three minutes each on one core)
    python benchmarks/instructgpt_museum.py 0 2          only these seeds: several can run side by side

Writes data/measured/instructgpt_museum.csv, a row for each seed and mistake ("none": the right algorithm): the gap to
the best policy after 100 iterations, and what else would have shown it. Chapter 04 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import dataclasses
import inspect
from unittest import mock

import torch

from minigpt import ppo
from minigpt.experiments import measured
from minigpt.experiments.instructgpt import enumerable_ppo, ppo_bugs

SEEDS = [0, 1, 2]
KEY = ("seed", "mistake")

def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for name in (None, *ppo_bugs.BUGS):
            exhibit = ppo_bugs.run(name, seed)
            found = {key: value if key == "broke" else f"{value:.4f}" for key, value in vars(exhibit).items()}
            measured.keep(
                "instructgpt_museum", [{"seed": seed, "mistake": name or "none"} | found], KEY
            )
            print(seed, name, dataclasses.asdict(exhibit), flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    Every mistake for two iterations of few answers. One of the mistakes leaves
    dropout on, which draws from torch's global generator: it is set here, and put back.
    """
    n_iterations = inspect.signature(ppo_bugs.run).parameters["n_iterations"].default
    whole = dataclasses.replace(enumerable_ppo.PPO, n_iterations=n_iterations)
    found = {"sum of rates": sum(whole.lr * ppo.learning_rate_factor(i, whole) for i in range(n_iterations))}
    few = dataclasses.replace(enumerable_ppo.PPO, batch_size=32, n_minibatches=4)
    with mock.patch.object(enumerable_ppo, "PPO", few), torch.random.fork_rng(devices=[]):
        for name in (None, *ppo_bugs.BUGS):
            torch.default_generator.manual_seed(0)
            exhibit = ppo_bugs.run(name, 0, 3 if name == "a value behind the end" else 2)
            keys = ("gap", "kl", "p_end", "ratio_error", "broke") if name else vars(exhibit)
            found |= {f"{name or 'none'}: {key}": getattr(exhibit, key) for key in keys}
    world, reference = enumerable_ppo.small_world(1)
    bold = dataclasses.replace(few, n_iterations=2, n_epochs=2, lr=5e-3, value_lr=5e-3)  # far enough to be clipped
    agent, generator = enumerable_ppo.agent_of(reference), torch.Generator().manual_seed(1)
    for record in ppo.ppo(agent, reference, world.reward_fn, world.prompts, bold, generator):
        for key in ("reward", "kl", "entropy", "policy_loss", "value_loss"):
            found[f"bold steps: {key} {record.step}"] = getattr(record, key)
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
