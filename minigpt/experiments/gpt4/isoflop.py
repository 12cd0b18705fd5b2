"""Chapter 05, section 7. IsoFLOP profiles: model size against training tokens at one and the same compute.

After Hoffmann et al. 2022 ("Chinchilla"), section 3.2: four budgets, six widths each, from many tokens for each
parameter to about one. The chapter fits L(N, D) to all of them (minigpt/chinchilla.py).
"""

import itertools
from collections.abc import Iterator

import numpy as np

from minigpt import chinchilla, scaling
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.worlds.facts import Encyclopedia

SEEDS, KEY = (0, 1, 2), ("seed", "budget", "d_model")
BUDGETS = {  # floating-point operations -> widths
    1e10: (6, 8, 10, 12, 16, 24), 3e10: (8, 10, 12, 16, 24, 32), 1e11: (10, 12, 16, 24, 32, 48),
    3e11: (12, 16, 24, 32, 48, 64),
}  # fmt: skip


def runs(book: Encyclopedia) -> list[tuple[float, int, dict[str, float]]]:
    """Every budget with each of its widths, and how many tokens for each parameter the budget pays for."""
    found = []
    for budget, widths in BUDGETS.items():
        for d_model in widths:
            n_params = scaling.count_params(2, d_model, book.n_words + 1, 3 * scaling_runs.N_ENTRIES)
            found.append((budget, d_model, {"tokens_per_param": budget / (6 * n_params**2)}))
    return found


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: each budget and width, with parameters, tokens and held-out loss (nats per token)."""
    book = scaling_runs.book()
    for budget, d_model, more in runs(book):
        [(run, _)] = scaling_runs.train_runs([(d_model, seed, more)], book, f"{budget:g}: {d_model}")
        yield dict(zip(KEY, (seed, f"{budget:.0e}", d_model))) | {
            "n_params": run.n_params, "n_tokens": run.n_tokens, "loss": f"{run.loss:.5f}"
        }  # fmt: skip


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The two laws of chapter 05 are fitted to made-up losses.
    """
    book, seed = scaling_runs.book(), SEEDS[1]
    found = {"floor": scaling_runs.floor(book), "entropy": book.entropy, "seeds": len(SEEDS)}
    for budget, d_model, more in runs(book):
        n_rows, n_steps = scaling_runs.plan(d_model, book.n_words, **more)
        found |= {f"rows, {budget:.0e}, {d_model}": n_rows, f"steps, {budget:.0e}, {d_model}": n_steps}
    for budget, d_model, more in runs(book)[::8]:
        model = scaling_runs.fresh_model(book, d_model, seed)
        records = itertools.islice(scaling_runs.train_run(book, model, seed, **more), 4)
        found |= {f"loss {i}, {budget:.0e}, {d_model}": record.loss for i, record in enumerate(records)}
    [(run, _)] = scaling_runs.train_runs([(8, seed, {"tokens_per_param": 0.4})], book, "short")
    found |= {"params": run.n_params, "tokens": run.n_tokens, "compute": run.compute, "loss": run.loss}
    return found | _fitted(book)


def _fitted(book: Encyclopedia) -> dict[str, float]:
    """Both laws for losses that are made up for these very runs."""
    n_vocab, n_ctx = book.n_words + 1, 3 * scaling_runs.N_ENTRIES
    N = np.array([scaling.count_params(2, d, n_vocab, n_ctx) for _, d, _ in runs(book)], float)
    D = np.array([budget for budget, *_ in runs(book)]) / (6 * N)
    noise = np.random.default_rng(0).normal(0, 0.003, len(N))
    L = chinchilla.JointLaw(0.8, 300.0, 500.0, 0.75, 0.65)(N, D) * np.exp(noise)
    computes, best, law = chinchilla.best_sizes(N, D, L)
    joint = chinchilla.fit_joint_law(N, D, L)
    size, length = joint.optimum(1e12)
    found = {"k": law.a, "a": law.b, "a low": law.b_low, "a high": law.b_high, "a spread": law.spread}
    found |= {f"compute {i}": x for i, x in enumerate(computes)} | {f"best {i}": x for i, x in enumerate(best)}
    found |= {name: getattr(joint, name) for name in ("E", "A", "B", "alpha", "beta", "exponent")}
    return found | {"joint N": size, "joint D": length}
