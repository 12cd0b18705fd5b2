"""Refusing what is forbidden and only that: careless demonstrations, then PPO with a rule of one or of two sides.

    python benchmarks/gpt4_safety.py              all seeds (three minutes each once chapter 04's models are there)
    python benchmarks/gpt4_safety.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_safety.csv, a row for each seed, model and quantity: the share refused of each group of
requests, the share of refusals in the desired style, and the true utility of the tales. Chapter 05 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import alignment, assistant, classroom, guard, ppo, reward

SEEDS = [0, 1, 2]
KEY = ("seed", "model", "quantity")
ALSO = (alignment, assistant, guard, ppo, reward)


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        base = alignment.base(seed)
        start = alignment.sft(base, seed)
        judge = alignment.reward_model(start, alignment.rankings(start, 3200, seed), seed)
        shown = guard.sft(start, seed)
        keep(seed, "before", start.model)
        keep(seed, "demonstrations", shown.model)
        keep(seed, "rule of two sides", guard.rlhf(shown, judge, seed).model)
        keep(seed, "rule of one side", guard.rlhf(shown, judge, seed, both_sides=False).model)


def keep(seed: int, name: str, policy) -> None:
    """Put what was found into the table, and say so."""
    seen = guard.conduct(policy)
    found = {f"refused, {each}": share for each, share in seen.refused.items()}
    found |= {"in style": seen.in_style, "utility": seen.utility}
    rows = [dict(zip(KEY, (seed, name, each)), value=f"{value:.4f}") for each, value in found.items()]
    classroom.keep_measured("gpt4_safety", rows, KEY, ALSO)
    print(seed, name, {each: round(value, 3) for each, value in found.items()}, seen.answers, flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
