"""Chapter 05. A grid of runs, compute by width, the batch held fixed: isoFLOP profiles, and what the run shop sells.

Three languages that differ in Zipf's s alone. Every run of one column of the grid costs the same compute C = 6 N D; a
narrow model makes many updates, a wide one few, always of 8 texts. So nothing but N and D changes along a column: in
isoflop.py the batch grew with the tokens. Beside the grid there is a large run of each language, to be predicted, and
some runs at half and at double the learning rate. Every run is made with every seed.
"""

import contextlib
import functools
from collections.abc import Iterator
from unittest import mock

import numpy as np

from minigpt import chinchilla, scaling, scaling_laws
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.experiments.gpt4.scaling_runs import FreshTexts
from minigpt.experiments.gpt4.side_by_side import train_side_by_side
from minigpt.worlds import facts
from minigpt.worlds.facts import Encyclopedia

SEEDS, KEY = (0, 1, 2), ("zipf", "budget", "d_model", "rate", "seed")
LANGUAGES, N_WORDS = (1.3, 1.6, 2.0), 256  # Zipf's s; words of each
GRID = {  # floating-point operations -> widths
    2.15e9: (8, 10, 12, 16), 4.64e9: (8, 10, 12, 16, 24), 1e10: (8, 10, 12, 16, 24, 32),
    2.15e10: (12, 16, 24, 32, 48), 4.64e10: (12, 16, 24, 32, 48, 64), 1e11: (20, 32, 48, 64),
}  # fmt: skip
LARGE = (4.64e11, 48)  # operations and width of the run to be predicted
BATCH, N_TEXTS = 8, 1000  # texts in every batch; held-out texts
RATES = {"half": 0.5, "usual": 1.0, "double": 2.0}
OTHER_RATES = ((4.64e9, 12), (1e10, 24), (2.15e10, 48))  # operations, width


@functools.cache
def book(zipf: float) -> Encyclopedia:
    """The encyclopedia of one of the three languages."""
    return facts.draw_encyclopedia(N_WORDS, zipf, 0.95, seed=20)


def n_updates(budget: float, d_model: int) -> int:
    """How many updates of BATCH texts a compute pays for: C / (6 N) tokens."""
    n_params = scaling.count_params(2, d_model, N_WORDS + 1, 3 * scaling_runs.N_ENTRIES)
    return max(1, round(budget / (6 * n_params * 3 * scaling_runs.N_ENTRIES * BATCH)))


def runs() -> list[tuple[float, int, str]]:
    """Every run of a seed: compute, width, and the name of its learning rate; the grid first, the cheapest first."""
    grid = [(C, d, "usual") for C, widths in GRID.items() for d in widths]
    return [*grid, (*LARGE, "usual"), *((C, d, rate) for C, d in OTHER_RATES for rate in ("half", "double"))]


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: parameters, tokens and held-out loss of every run, and the floor on the same text.

    Unit: nats per token. The three languages are trained side by side.
    """
    for budget, d_model, rate in runs():
        chance, n_steps = 100 + seed, n_updates(budget, d_model)
        models = [scaling_runs.fresh_model(book(zipf), d_model, chance) for zipf in LANGUAGES]
        batches = [FreshTexts(book(zipf), BATCH, n_steps, 1000 * chance + d_model) for zipf in LANGUAGES]
        lr = RATES[rate] * scaling_runs.learning_rate(d_model)
        train_side_by_side(models, batches, scaling_runs.training_config(d_model, n_steps, lr))
        for zipf, model in zip(LANGUAGES, models):
            texts = scaling_runs.held_out(book(zipf))[:N_TEXTS]
            loss = -scaling_runs.logps(model.eval(), book(zipf), texts).mean()
            floor = -book(zipf).logps(texts).mean()
            yield dict(zip(KEY, (zipf, f"{budget:.2e}", d_model, rate, seed))) | {
                "n_params": model.n_params(), "n_tokens": n_steps * BATCH * texts.shape[1],
                "loss": f"{loss:.5f}", "floor": f"{floor:.5f}",
            }  # fmt: skip


def profiles(zipf: float, least_tokens: int = 0, seed: int | None = None) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """IsoFLOP profiles of a language, from the table: compute -> (parameters, loss above the floor), both rising in N.

    least_tokens: leave out runs that read fewer. seed: the runs of one seed; None: means over all of them.
    Errors: ValueError for a language or a seed that is not in the table.
    """
    if seed not in (None, *SEEDS):
        raise ValueError(f"expected a seed out of {SEEDS}, or None for all; got {seed!r}")
    runs = [row for row in measured.rows("gpt4/run_grid") if float(row["zipf"]) == zipf and row["rate"] == "usual"]
    if not runs:
        raise ValueError(f"expected Zipf's s out of {LANGUAGES}; got {zipf!r}")
    runs = [row for row in runs if seed in (None, int(row["seed"]))]
    found = {}
    for budget in GRID:
        column = {}
        for row in runs:
            if abs(float(row["budget"]) / budget - 1) < 0.01 and int(row["n_tokens"]) >= least_tokens:
                column.setdefault(int(row["n_params"]), []).append(float(row["loss"]) - float(row["floor"]))
        if column:
            N = sorted(column)
            found[budget] = np.array(N, float), np.array([np.mean(column[n]) for n in N])
    return found


def minima(profiles: dict[float, tuple[np.ndarray, np.ndarray]]) -> dict[float, tuple[float, float]]:
    """The minimum of each profile: a parabola through its lowest point and the two beside it. compute -> (N*, loss).

    A parabola through all points would be pulled to one side: the profiles rise more slowly towards few parameters
    than towards many. A profile that is lowest at its edge is left out, unless the parabola turns inside.
    """
    found = {}
    for compute, (N, L) in profiles.items():
        first = min(max(int(np.argmin(L)) - 1, 0), len(N) - 3)
        with contextlib.suppress(ValueError):
            found[compute] = chinchilla.isoflop_optimum(N[first : first + 3], L[first : first + 3])
    return found


def best_size(zipf: float, seed: int | None = None) -> scaling_laws.PowerLaw:
    """The best size against compute, N* = k C^a, through the minima of the profiles. seed: as in `profiles`."""
    best = minima(profiles(zipf, seed=seed))
    return scaling_laws.fit_power_law(list(best), [N for N, _ in best.values()])


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The plan of every run; a grid of very short runs.
    """
    found = {f"entropy, {zipf}": book(zipf).entropy for zipf in LANGUAGES}
    found["seeds"], found["runs"] = len(SEEDS), len(runs())
    found["updates"] = float(sum(n_updates(budget, d_model) * d_model * RATES[rate] for budget, d_model, rate in runs()))
    few = {"GRID": {4e7: (8,)}, "LARGE": (2e8, 24), "OTHER_RATES": ((4e7, 8),), "N_TEXTS": 100}
    with mock.patch.dict(globals(), few):
        for row in rows(SEEDS[0]):
            run = ", ".join(str(row[name]) for name in KEY[:-1])
            found |= {f"{name}, {run}": float(row[name]) for name in ("n_params", "n_tokens", "loss", "floor")}
    return found
