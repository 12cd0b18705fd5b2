"""What does PPO forget where nobody asks, and what helps? The small world with documents, everything exact.

    python benchmarks/instructgpt_tax.py              all seeds (three minutes each on one core)
    python benchmarks/instructgpt_tax.py 0 2          only these seeds: several can run side by side

Writes data/measured/instructgpt_tax.csv, a row for each seed, beta and gamma: the mean reward and the most possible at
this beta, the distance from the reference where the policy is asked, and the tax, KL(documents || policy). Chapter 04
reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import dataclasses

import torch

from minigpt import classroom, optimum, ppo, reward, smallworld

SEEDS = [0, 1, 2]
KEY = ("seed", "beta", "gamma")
ALSO = (optimum, ppo, reward, smallworld)


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        world, documents, reference = smallworld.document_world(seed)
        for beta in (0.3, 1.0, 3.0):
            for gamma in (0.0, 1.0):
                agent = smallworld.agent_of(reference)
                config = dataclasses.replace(smallworld.PPO, kl_coef=beta, ptx_coef=gamma)
                generator = torch.Generator().manual_seed(seed)
                records = ppo.ppo(
                    agent, reference, world.reward_fn, world.prompts, config, generator, ptx_batches=documents
                )
                for _ in records:
                    pass
                end = smallworld.distance(world, agent.policy, reference, beta)
                found = {
                    "reward": end.reward, "best_reward": end.best_reward, "kl": end.kl,
                    "tax": documents.tax(agent.policy), "tax_before": documents.tax(reference),
                }  # fmt: skip
                row = dict(zip(KEY, (seed, beta, gamma))) | {name: f"{value:.4f}" for name, value in found.items()}
                classroom.keep_measured("instructgpt_tax", [row], KEY, ALSO)
                print(row, flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
