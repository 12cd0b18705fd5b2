"""Chapter 03, section 8. Loss against compute in a language whose floor is zero: the answers of an encyclopedia.

The encyclopedia is that of chapter 05, except that no value is misprinted. So whoever knows the entry that two words
name knows the third word, its value, and the floor of these answers is exactly 0. There is always a rarer entry left to
learn, and theory says how fast the loss falls (minigpt.exact.zipf). The runs are made as in scaling_runs; the models
read whole texts, and the loss is that of the answers alone, on held-out texts.

The table has a row for each seed and width: parameters, tokens read, and the loss in nats per answer. Three seeds take
a quarter of an hour on one core.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minigpt import papers, scaling, scaling_laws, train
from minigpt.experiments import canaries, measured
from minigpt.experiments.gpt3 import compute
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.model import GPT
from minigpt.worlds import facts
from minigpt.worlds.facts import Encyclopedia

SEEDS, KEY = (0, 1, 2), ("seed", "d_model")
WIDTHS = (8, 12, 16, 24, 32, 48, 64)
ZIPF = 1.6


@functools.cache
def book() -> Encyclopedia:
    """The encyclopedia without misprints."""
    return facts.draw_encyclopedia(256, ZIPF, right=1.0)


def answer_loss(model: GPT, texts: np.ndarray) -> float:
    """Loss on the third word of each entry, whose floor is 0. Shapes: texts (B, 3 n_entries). Unit: nats per answer."""
    return -float(scaling_runs.logps(model, book(), texts)[:, 2::3].mean())


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed: the smallest model first."""
    for d_model in WIDTHS:
        yield measure(d_model, seed, scaling_runs.held_out(book()))


def measure(d_model: int, seed: int, texts: np.ndarray) -> dict:
    """Train the model of one width, and measure its loss on the answers of some texts: a row of the table."""
    model = scaling_runs.fresh_model(book(), d_model, seed)
    for record in scaling_runs.train_run(book(), model, seed, state=train.TrainState()):
        steps = record.step
    n_tokens = steps * scaling_runs.plan(d_model)[0] * 3 * scaling_runs.N_ENTRIES
    loss = answer_loss(model.eval(), texts)
    return dict(zip(KEY, (seed, d_model))) | {
        "n_params": model.n_params(), "n_tokens": n_tokens, "loss": f"{loss:.5f}"
    }  # fmt: skip


def points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute and loss of the runs of one seed, from the table, the cheapest first.

    Shapes: (n_widths,) both. Units: petaflop/s-days, nats per answer. Errors: ValueError for a seed not measured.
    """
    found = [row for row in measured.rows("gpt4/zero_floor") if row["seed"] == str(seed)]
    if not found:
        raise ValueError(f"expected a seed of {SEEDS}; got {seed!r}")
    spent = [scaling.flops_6nd(int(row["n_params"]), int(row["n_tokens"])) for row in found]
    runs = sorted((scaling.pf_days(flops), float(row["loss"])) for flops, row in zip(spent, found))
    return tuple(np.array(runs).T)


def same_plot(n: int = 12) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The same plot in three languages, loss against compute: name -> (compute, losses), the cheapest first.

    "stories": the lower envelope of gpt3/compute at n points; the floor is known. "encyclopedia": the table of this
    module; the floor is zero. "English": the eight sizes of GPT-3 on LAMBADA, zero-shot; nobody knows the floor.

    Shapes: compute (m,), losses (n_seeds, m). Units: petaflop/s-days; nats per token, per answer, per last word.
    Source: GPT-3, Tables D.1 and H.1 (perplexities, of which these are the logarithms). Differs: the first point of the
    stories differs by up to 3 % of the compute from seed to seed; the first seed's places are given.
    """
    stories = [scaling_laws.lower_envelope(compute.learning_curves(seed).values(), n) for seed in compute.SEEDS]
    answers = [points(seed) for seed in SEEDS]
    days = [row["pf_days"] for row in papers.load("compute_d1") if row["model"].startswith("GPT-3")]
    found = {(row["benchmark"], row["metric"]): row for row in papers.load("gpt3_table_h1")}
    perplexity = [value for name, value in found["LAMBADA", "ppl"].items() if name.startswith("zero_")]
    return {
        "stories": (stories[0][0], np.array([loss for _, loss in stories])),
        "encyclopedia": (answers[0][0], np.array([loss for _, loss in answers])),
        "English": (np.array(days, float), np.log([perplexity])),
    }


@dataclass(frozen=True)
class Fits:
    """What the points of one language say: a straight line, and a law with a floor."""

    line: scaling_laws.PowerLaw
    r2: float  # of the straight line, on two logarithmic axes
    law: scaling_laws.FloorLaw
    floors: tuple[float, float]  # 90 % interval of the law's floor: of the scatter, if the law is right


def fits() -> dict[str, Fits]:
    """Both laws, fitted to the mean over the seeds of each language of `same_plot`."""
    found = {}
    for name, (spent, losses) in same_plot().items():
        mean = losses.mean(axis=0)
        floors = scaling_laws.predict(spent, mean, spent[-1], np.random.default_rng(0)).floors
        r2 = scaling_laws.straightness(spent, mean)[1]
        found[name] = Fits(
            scaling_laws.fit_power_law(spent, mean), r2, scaling_laws.fit_floor_law(spent, mean), floors
        )
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    texts = scaling_runs.held_out(book())
    found = {"values": canaries.checksum(book().values[:500]), "held out": canaries.checksum(texts[:3].ravel())}
    found |= {"texts": len(texts), "chance": float(np.log(book().n_words))}
    found["plans"] = canaries.checksum(rows * n_steps for rows, n_steps in map(scaling_runs.plan, WIDTHS))
    for d_model in WIDTHS[::3]:
        with canaries.few_updates() as numbers:
            row = measure(d_model, 0, texts[:40])
        numbers |= {name: float(row[name]) for name in ("n_params", "n_tokens", "loss")}
        found |= canaries.under(str(d_model), numbers)
    return found
