"""At one and the same compute: few tokens for a large model, or many for a small one? Four budgets, three seeds.

    python benchmarks/gpt4_isoflop.py              all seeds (two minutes each on one core)
    python benchmarks/gpt4_isoflop.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_isoflop.csv, a row for each seed, budget (floating-point operations) and width: parameters,
tokens and held-out loss, nats per token. Chapter 05 reads the file, and fits L(N, D) to all of them.
"""

import itertools
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from minigpt import chinchilla, scaling
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.worlds import facts

SEEDS = [0, 1, 2]
KEY = ("seed", "budget", "d_model")
BUDGETS = {  # floating-point operations -> widths, from many tokens for each parameter to about one
    1e10: (6, 8, 10, 12, 16, 24), 3e10: (8, 10, 12, 16, 24, 32), 1e11: (10, 12, 16, 24, 32, 48),
    3e11: (12, 16, 24, 32, 48, 64),
}  # fmt: skip


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    book = scaling_runs.book()
    for seed in seeds:
        for budget, d_model, more in runs(book):
            [(rung, _)] = scaling_runs.train_runs([(d_model, seed, more)], book, f"{budget:g}: {d_model}")
            row = dict(zip(KEY, (seed, f"{budget:.0e}", d_model))) | {
                "n_params": rung.n_params, "n_tokens": rung.n_tokens, "loss": f"{rung.loss:.5f}"
            }  # fmt: skip
            measured.keep("gpt4_isoflop", [row], KEY)
            print(row, flush=True)


def runs(book: facts.Encyclopedia) -> list[tuple[float, int, dict[str, float]]]:
    """Every budget with each of its widths, and how many tokens for each parameter the budget pays for."""
    found = []
    for budget, widths in BUDGETS.items():
        for d_model in widths:
            n_params = scaling.count_params(2, d_model, book.n_words + 1, 3 * scaling_runs.N_ENTRIES)
            found.append((budget, d_model, {"tokens_per_param": budget / (6 * n_params**2)}))
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The two laws of chapter 05 are fitted to made-up losses.
    """
    book = scaling_runs.book()
    found = {"floor": scaling_runs.floor(book), "entropy": book.entropy, "seeds": len(SEEDS)}
    for budget, d_model, more in runs(book):
        rows, n_steps = scaling_runs.plan(d_model, book.n_words, **more)
        found |= {f"rows, {budget:.0e}, {d_model}": rows, f"steps, {budget:.0e}, {d_model}": n_steps}
    for budget, d_model, more in runs(book)[::8]:
        records = itertools.islice(scaling_runs.train_run(book, scaling_runs.fresh_model(book, d_model, SEEDS[1]), SEEDS[1], **more), 4)
        found |= {f"loss {i}, {budget:.0e}, {d_model}": record.loss for i, record in enumerate(records)}
    [(rung, _)] = scaling_runs.train_runs([(8, SEEDS[1], {"tokens_per_param": 0.4})], book, "short")
    found |= {"params": rung.n_params, "tokens": rung.n_tokens, "compute": rung.compute, "loss": rung.loss}
    return found | fitted(book)


def fitted(book: facts.Encyclopedia) -> dict[str, float]:
    """Both laws for losses that are made up for these very runs."""
    N = np.array([scaling.count_params(2, d, book.n_words + 1, 3 * scaling_runs.N_ENTRIES) for _, d, _ in runs(book)], float)
    D = np.array([budget for budget, *_ in runs(book)]) / (6 * N)
    L = chinchilla.JointLaw(0.8, 300.0, 500.0, 0.75, 0.65)(N, D) * np.exp(np.random.default_rng(0).normal(0, 0.003, len(N)))
    computes, best, law = chinchilla.best_sizes(N, D, L)
    joint = chinchilla.fit_joint_law(N, D, L)
    size, length = joint.optimum(1e12)
    found = {"k": law.a, "a": law.b, "a low": law.b_low, "a high": law.b_high, "a spread": law.spread}
    found |= {f"compute {i}": x for i, x in enumerate(computes)} | {f"best {i}": x for i, x in enumerate(best)}
    found |= {name: getattr(joint, name) for name in ("E", "A", "B", "alpha", "beta", "exponent")}
    return found | {"joint N": size, "joint D": length}


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
