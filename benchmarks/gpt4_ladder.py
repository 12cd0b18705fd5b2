"""Is the loss of a large run known from small ones? The ladder of chapter 05, ten times, and what goes wrong elsewhere.

    python benchmarks/gpt4_ladder.py              all seeds (about an hour on one core)
    python benchmarks/gpt4_ladder.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_ladder.csv, a row for each way of climbing, seed, width and repeat: compute, held-out loss, and
how the model answers. Ways: "tuned" (ten seeds; every small width four times, the large one once); for three of the
seeds also "tuned" at further widths, beyond the large one too, "one rate" (the best rate of the narrowest model at every
width), and "no fame" (an encyclopedia of equally famous entries). Chapter 05 reads the file.
"""

import itertools
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from minigpt import scaling_laws
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.worlds import facts

SEEDS = list(range(10))
MORE_SEEDS = (0, 1, 2)
MORE_WIDTHS = (*scaling_runs.MIDDLE, 128)
OTHER_WAYS = (8, 12, 16, 24, 32, 48, 64)
KEY = ("way", "seed", "d_model", "repeat")

def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for way, d_model, repeat in runs(seed):
            measure(way, seed, d_model, repeat)


def runs(seed: int) -> list[tuple[str, int, int]]:
    """Every run of a seed: way, width, repeat."""
    found = [("tuned", d_model, repeat) for d_model in scaling_runs.SMALL for repeat in range(scaling_runs.REPEATS)]
    found.append(("tuned", scaling_runs.LARGE, 0))
    if seed in MORE_SEEDS:
        found += [(way, d_model, 0) for d_model in OTHER_WAYS for way in ("one rate", "no fame")]
        found += [("tuned", d_model, 0) for d_model in MORE_WIDTHS]
    return found


def settings(way: str, seed: int, d_model: int, repeat: int = 0) -> tuple[facts.Encyclopedia, int, dict]:
    """What a run reads, its chance, and what is unusual about it."""
    book = scaling_runs.book(0.0, 32) if way == "no fame" else scaling_runs.book()
    small = d_model in scaling_runs.SMALL and way == "tuned"
    chance = scaling_runs.REPEATS * seed + repeat if small else seed
    return book, chance, {"lr": scaling_runs.learning_rate(scaling_runs.SMALL[0])} if way == "one rate" else {}


def measure(way: str, seed: int, d_model: int, repeat: int = 0) -> None:
    """One run, one row."""
    book, chance, more = settings(way, seed, d_model, repeat)
    [(rung, _)] = scaling_runs.train_runs([(d_model, chance, more)], book, f"{way} {d_model}")
    found = {"n_params": rung.n_params, "n_tokens": rung.n_tokens, "loss": f"{rung.loss:.5f}",
             "surprise": f"{rung.surprise:.4f}", "misprints": f"{rung.misprints:.3f}"}  # fmt: skip
    found |= {f"pass {low}-{high}": f"{rate:.4f}" for (low, high), rate in zip(scaling_runs.BANDS, rung.bands)}
    row = dict(zip(KEY, (way, seed, d_model, repeat))) | found
    measured.keep("gpt4_ladder", [row], KEY)
    print(row, flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The law of chapter 05 is fitted to made-up losses.
    """
    book = scaling_runs.book()
    found = {"floor": scaling_runs.floor(book), "entropy": book.entropy, "entropy, no fame": scaling_runs.book(0.0, 32).entropy}
    found["runs"], found["chances"] = sum(len(runs(seed)) for seed in SEEDS), 0
    for way, d_model, repeat in runs(SEEDS[1]):
        its_book, chance, more = settings(way, SEEDS[1], d_model, repeat)
        rows, n_steps = scaling_runs.plan(d_model, its_book.n_words)
        found |= {f"rows, {way}, {d_model}": rows, f"steps, {way}, {d_model}": n_steps}
        found[f"rate, {way}, {d_model}"] = more.get("lr", scaling_runs.learning_rate(d_model))
        found["chances"] += chance * d_model
    for way, d_model, n in (("tuned", 12, 4), ("one rate", 24, 4), ("no fame", 16, 4), ("tuned", scaling_runs.LARGE, 1)):
        its_book, chance, more = settings(way, SEEDS[1], d_model)
        records = itertools.islice(scaling_runs.train_run(its_book, scaling_runs.fresh_model(its_book, d_model, chance), chance, **more), n)
        found |= {f"loss {i}, {way}, {d_model}": record.loss for i, record in enumerate(records)}
    [(rung, _)] = scaling_runs.train_runs([(scaling_runs.SMALL[0], SEEDS[1], {"tokens_per_param": 0.4})], book, "short")
    found |= {"params": rung.n_params, "tokens": rung.n_tokens, "compute": rung.compute, "loss": rung.loss}
    found["surprise"] = rung.surprise
    found |= {f"pass {low}-{high}": 1000 * rate for (low, high), rate in zip(scaling_runs.BANDS, rung.bands)}
    return found | {"misprints": scaling_runs.believes_correction(guesses(book), book)} | foretold(book)


def guesses(book: facts.Encyclopedia):
    """A model whose answers are a fixed matter of the words: one that has hardly learned has too many ties."""
    n = book.n_words + 1
    table = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return lambda ids: torch.cumsum(torch.cumsum(table[ids], dim=1), dim=1)


def foretold(book: facts.Encyclopedia) -> dict[str, float]:
    """The law with a floor, and its prediction, for losses that are made up for the small runs of one ladder."""
    plans = {d_model: scaling_runs.plan(d_model) for d_model in (*scaling_runs.SMALL, scaling_runs.LARGE)}
    tokens = {d_model: 3 * scaling_runs.N_ENTRIES * rows * n_steps for d_model, (rows, n_steps) in plans.items()}
    compute = np.array([6 / scaling_runs.TOKENS_PER_PARAM * tokens[d] ** 2 for d in scaling_runs.SMALL for _ in range(2)])
    rng, at = np.random.default_rng(0), 6 / scaling_runs.TOKENS_PER_PARAM * tokens[scaling_runs.LARGE] ** 2
    loss = scaling_laws.FloorLaw(40.0, -0.2, 0.7)(compute) * np.exp(rng.normal(0, 0.01, len(compute)))
    found = {}
    for name, c in (("free", None), ("known", book.entropy)):
        law, said = scaling_laws.fit_floor_law(compute, loss, c), scaling_laws.predict(compute, loss, at, rng, n_samples=300, c=c)
        found |= {f"{key}, {name}": getattr(law, key) for key in ("a", "b", "c")}
        found |= {f"{key}, {name}": getattr(said, key) for key in ("value", "low", "high")}
        found |= {f"floor {end}, {name}": x for end, x in zip(("low", "high"), said.floors)}
        found[f"score, {name}"] = scaling_laws.interval_score(said.low, said.high, said.high + 0.01)
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
