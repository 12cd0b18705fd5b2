"""Chapter 05, sections 3 to 8. Loss prediction: the loss of a large run from small ones, ten times, and where it fails.

After the GPT-4 report, sections 3.1 and 3.2. The runs are those of scaling_runs.py, in three settings ("way" in the
table): "tuned" (ten seeds; every small width four times, the large one once); for five of the seeds also "tuned" at
further widths, beyond the large one too, "one rate" (the best rate of the narrowest model at every width), and "no
fame" (an encyclopedia of equally famous entries).
"""

import itertools
from collections.abc import Iterator

import numpy as np
import torch

from minigpt import scaling_laws
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.experiments.gpt4.scaling_runs import LARGE, SMALL
from minigpt.worlds.facts import Encyclopedia

SEEDS, KEY = tuple(range(10)), ("way", "seed", "d_model", "repeat")
MORE_SEEDS = tuple(range(5))
MORE_WIDTHS = (*scaling_runs.MIDDLE, 128)
OTHER_WAYS = (8, 12, 16, 24, 32, 48, 64)


def runs(seed: int) -> list[tuple[str, int, int]]:
    """Every run of a seed: way, width, repeat."""
    found = [("tuned", d_model, repeat) for d_model in SMALL for repeat in range(scaling_runs.REPEATS)]
    found.append(("tuned", LARGE, 0))
    if seed in MORE_SEEDS:
        found += [(way, d_model, 0) for d_model in OTHER_WAYS for way in ("one rate", "no fame")]
        found += [("tuned", d_model, 0) for d_model in MORE_WIDTHS]
    return found


def settings(way: str, seed: int, d_model: int, repeat: int = 0) -> tuple[Encyclopedia, int, dict]:
    """The text of a run, its seed, and its unusual settings, as scaling_runs.train_run takes them."""
    book = scaling_runs.book(0.0, 32) if way == "no fame" else scaling_runs.book()
    small = d_model in SMALL and way == "tuned"
    chance = scaling_runs.REPEATS * seed + repeat if small else seed
    return book, chance, {"lr": scaling_runs.learning_rate(SMALL[0])} if way == "one rate" else {}


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed, one for each run: its size, its held-out loss, and how the model answers."""
    for way, d_model, repeat in runs(seed):
        book, chance, more = settings(way, seed, d_model, repeat)
        [(run, _)] = scaling_runs.train_runs([(d_model, chance, more)], book, f"{way} {d_model}")
        found = {"n_params": run.n_params, "n_tokens": run.n_tokens, "loss": f"{run.loss:.5f}",
                 "surprise": f"{run.surprise:.4f}", "misprints": f"{run.misprints:.3f}"}  # fmt: skip
        found |= {f"pass {low}-{high}": f"{rate:.4f}" for (low, high), rate in zip(scaling_runs.BANDS, run.bands)}
        yield dict(zip(KEY, (way, seed, d_model, repeat))) | found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The law of chapter 05 is fitted to made-up losses.
    """
    book, seed = scaling_runs.book(), SEEDS[1]
    found = {"floor": scaling_runs.floor(book), "entropy": book.entropy}
    found["entropy, no fame"] = scaling_runs.book(0.0, 32).entropy
    found["runs"], found["chances"] = sum(len(runs(each)) for each in SEEDS), 0
    for way, d_model, repeat in runs(seed):
        its_book, chance, more = settings(way, seed, d_model, repeat)
        n_rows, n_steps = scaling_runs.plan(d_model, its_book.n_words)
        found |= {f"rows, {way}, {d_model}": n_rows, f"steps, {way}, {d_model}": n_steps}
        found[f"rate, {way}, {d_model}"] = more.get("lr", scaling_runs.learning_rate(d_model))
        found["chances"] += chance * d_model
    for way, d_model, n in (("tuned", 12, 4), ("one rate", 24, 4), ("no fame", 16, 4), ("tuned", LARGE, 1)):
        its_book, chance, more = settings(way, seed, d_model)
        model = scaling_runs.fresh_model(its_book, d_model, chance)
        records = itertools.islice(scaling_runs.train_run(its_book, model, chance, **more), n)
        found |= {f"loss {i}, {way}, {d_model}": record.loss for i, record in enumerate(records)}
    [(run, _)] = scaling_runs.train_runs([(SMALL[0], seed, {"tokens_per_param": 0.4})], book, "short")
    found |= {"params": run.n_params, "tokens": run.n_tokens, "compute": run.compute, "loss": run.loss}
    found["surprise"] = run.surprise
    found |= {f"pass {low}-{high}": 1000 * rate for (low, high), rate in zip(scaling_runs.BANDS, run.bands)}
    return found | {"misprints": scaling_runs.believes_correction(_guesses(book), book)} | _predicted(book)


def _guesses(book: Encyclopedia):
    """A model whose answers are a fixed matter of the words: one that has hardly learned has too many ties."""
    n = book.n_words + 1
    table = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return lambda ids: torch.cumsum(torch.cumsum(table[ids], dim=1), dim=1)


def _predicted(book: Encyclopedia) -> dict[str, float]:
    """The law with a floor, and its prediction, for losses that are made up for the small runs of one seed."""
    plans = {d_model: scaling_runs.plan(d_model) for d_model in (*SMALL, LARGE)}
    tokens = {d_model: 3 * scaling_runs.N_ENTRIES * n_rows * n_steps for d_model, (n_rows, n_steps) in plans.items()}
    compute = np.array([6 / scaling_runs.TOKENS_PER_PARAM * tokens[d] ** 2 for d in SMALL for _ in range(2)])
    rng, at = np.random.default_rng(0), 6 / scaling_runs.TOKENS_PER_PARAM * tokens[LARGE] ** 2
    loss = scaling_laws.FloorLaw(40.0, -0.2, 0.7)(compute) * np.exp(rng.normal(0, 0.01, len(compute)))
    found = {}
    for name, c in (("free", None), ("known", book.entropy)):
        law = scaling_laws.fit_floor_law(compute, loss, c)
        said = scaling_laws.predict(compute, loss, at, rng, n_samples=300, c=c)
        found |= {f"{key}, {name}": getattr(law, key) for key in ("a", "b", "c")}
        found |= {f"{key}, {name}": getattr(said, key) for key in ("value", "low", "high")}
        found |= {f"floor {end}, {name}": x for end, x in zip(("low", "high"), said.floors)}
        found[f"score, {name}"] = scaling_laws.interval_score(said.low, said.high, said.high + 0.01)
    return found
