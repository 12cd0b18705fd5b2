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

from minigpt import classroom, museum, optimum, ppo, reward, smallworld

SEEDS = [0, 1, 2]
KEY = ("seed", "mistake")
ALSO = (museum, optimum, ppo, reward, smallworld)


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for name in (None, *museum.MISTAKES):
            exhibit = museum.run(name, seed)
            found = {key: value if key == "broke" else f"{value:.4f}" for key, value in vars(exhibit).items()}
            classroom.keep_measured(
                "instructgpt_museum", [{"seed": seed, "mistake": name or "none"} | found], KEY, ALSO
            )
            print(seed, name, dataclasses.asdict(exhibit), flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
