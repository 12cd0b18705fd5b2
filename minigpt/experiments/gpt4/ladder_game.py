"""Chapter 05. The ladders of ladders.py as a game: predict the large run from the small ones, and score predictions.

Nothing is trained here: the runs are read from the measured table. A method gets compute and loss of the small runs,
and the compute of the large one; it never sees the floor, the language or the large run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigpt import scaling_laws
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import ladders
from minigpt.scaling_laws import Prediction

Method = Callable[[np.ndarray, np.ndarray, float, np.random.Generator], Prediction]


@dataclass(frozen=True)
class Ladder:
    """One ladder: the runs to fit, and what is hidden."""

    seed: int
    compute: np.ndarray  # (n,) rising
    loss: np.ndarray  # (n,) nats per token
    d_model: np.ndarray  # (n,)
    at: float  # compute of the large run
    measured: float  # hidden: its loss
    floor: float  # hidden
    zipf: float  # hidden
    n_words: int  # hidden
    right: float  # hidden

    @property
    def times(self) -> float:
        """How far is extrapolated: the compute of the large run over that of the largest fitted one."""
        return float(self.at / self.compute[-1])


def ladder(seed: int, smallest: int = min(ladders.FITTED)) -> Ladder:
    """A measured ladder. smallest: the least width that is fitted; 8 lets the runs in that are off the line."""
    runs = [row for row in measured.rows("gpt4/ladders") if int(row["seed"]) == seed]
    if not runs:
        raise ValueError(f"expected a ladder from 0 to {ladders.SEEDS[-1]}; got {seed!r}")
    runs.sort(key=lambda row: (int(row["d_model"]), int(row["repeat"])))
    size = np.array([[float(row[name]) for name in ("n_params", "n_tokens", "loss", "d_model")] for row in runs])
    compute, fitted = 6 * size[:, 0] * size[:, 1], (size[:, 3] >= smallest) & (size[:, 3] < ladders.LARGE)
    language = (float(runs[0]["zipf"]), int(runs[0]["n_words"]), float(runs[0]["right"]))
    large = size[:, 3] == ladders.LARGE
    return Ladder(
        seed, compute[fitted], size[fitted, 2], size[fitted, 3].astype(int), float(compute[large][0]),
        float(size[large, 2][0]), float(runs[0]["floor"]), *language,
    )  # fmt: skip


def no_change(compute, loss, at: float, rng: np.random.Generator) -> Prediction:
    """Baseline: the large run is as good as the largest small ones. The interval is the spread of repeated runs."""
    compute, loss = np.asarray(compute, float), np.asarray(loss, float)
    same = [loss[compute == each] for each in np.unique(compute)]
    freedom = sum(len(each) - 1 for each in same)
    spread = math.sqrt(sum(np.sum((each / each.mean() - 1) ** 2) for each in same) / freedom) if freedom else 0.01
    value = float(same[-1].mean())
    half = 1.645 * spread * value
    return Prediction(value, value - half, value + half, 0.9, (math.nan, math.nan))


def power_law(compute, loss, at: float, rng: np.random.Generator) -> Prediction:
    """Baseline: a power law without a floor, L = a C^b."""
    return scaling_laws.predict(compute, loss, at, rng, c=0.0)


def floor_law(compute, loss, at: float, rng: np.random.Generator) -> Prediction:
    """The GPT-4 report's law, L = a C^b + c, all three constants fitted."""
    return scaling_laws.predict(compute, loss, at, rng)


def bounded_law(compute, loss, at: float, rng: np.random.Generator, exponents=(0.12, 0.35), n_samples: int = 2000):
    """The same law, by someone who knows which exponents languages of facts have: -b from 0.12 to 0.35, equally likely.

    That is Zipf's s from 1.3 to 2.1 (minigpt/exact/zipf.py). Bayes: each exponent is weighed by how well its best a and
    c fit (relative errors, Student's t), and the interval is the middle nine tenths of draws.
    Source: Gelman et al. 2013, section 14.2 (regression with a flat prior).
    """
    compute, loss = scaling_laws.checked_runs(compute, loss)
    unit, n = math.exp(np.log(compute).mean()), len(loss)
    grid = np.linspace(*exponents, 47)
    X = np.stack([(compute / unit) ** -grid[:, None], np.ones((len(grid), n))], axis=2) / loss[:, None]  # (G, n, 2)
    cov = np.linalg.inv(X.transpose(0, 2, 1) @ X)  # (G, 2, 2), in units of sigma^2
    best = cov @ X.sum(axis=1)[..., None]  # (G, 2, 1): a and c with the least relative errors
    misfit = ((X @ best - 1) ** 2).sum(axis=(1, 2))
    weight = np.where((best > 0).all(axis=(1, 2)), np.sqrt(np.linalg.det(cov)) * misfit ** (1 - n / 2), 0.0)
    g = rng.choice(len(grid), size=n_samples, p=weight / weight.sum())
    sigma = np.sqrt(misfit[g] / rng.chisquare(n - 2, n_samples))
    drawn = np.linalg.cholesky(cov[g]) @ rng.normal(size=(n_samples, 2, 1)) * sigma[:, None, None] + best[g]
    said = (drawn[:, 0, 0] * (at / unit) ** -grid[g] + drawn[:, 1, 0]) * (1 + sigma * rng.normal(size=n_samples))
    low, value, high = np.quantile(said, [0.05, 0.5, 0.95])
    floors = tuple(np.quantile(drawn[:, 1, 0], [0.05, 0.95]).tolist())
    return Prediction(float(value), float(low), float(high), 0.9, floors)


METHODS: dict[str, Method] = {
    "no change": no_change, "no floor": power_law, "with a floor": floor_law, "floor, rough exponent": bounded_law,
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """A prediction beside what was measured."""

    predicted: float
    low: float
    high: float
    measured: float
    floor: float

    @property
    def holds(self) -> bool:
        """Whether the measured loss lies in the interval."""
        return self.low <= self.measured <= self.high

    @property
    def error(self) -> float:
        """Error as a share of the reducible loss that is left."""
        return scaling_laws.reducible_error(self.predicted, self.measured, self.floor)

    @property
    def error_of_loss(self) -> float:
        """Error as a share of the whole loss: the number that flatters."""
        return self.predicted / self.measured - 1

    @property
    def score(self) -> float:
        """Interval score for 90 %, in units of the reducible loss that is left; less is better."""
        score = scaling_laws.interval_score(self.low, self.high, self.measured)
        return score / (self.measured - self.floor)


def outcome(ladder: Ladder, method: Method, seed: int = 0) -> Outcome:
    """What a method says of one ladder, beside what was measured. seed: of the generator that the method draws from."""
    rng = np.random.default_rng([seed, ladder.seed])
    said = method(ladder.compute, ladder.loss, ladder.at, rng)
    return Outcome(said.value, said.low, said.high, ladder.measured, ladder.floor)


def outcomes(method: Method, smallest: int = min(ladders.FITTED)) -> list[Outcome]:
    """What a method says of every ladder."""
    return [outcome(ladder(seed, smallest), method) for seed in ladders.SEEDS]


def summary(found: list[Outcome]) -> dict[str, float]:
    """Several outcomes in five numbers: intervals that hold, mean errors both ways, mean width and interval score."""
    return {
        "intervals that hold": sum(each.holds for each in found),
        "error (share of the loss)": float(np.mean([abs(each.error_of_loss) for each in found])),
        "error (share of the reducible loss)": float(np.mean([abs(each.error) for each in found])),
        "width (reducible losses)": float(np.mean([(x.high - x.low) / (x.measured - x.floor) for x in found])),
        "interval score": float(np.mean([each.score for each in found])),
    }


def residuals(seed: int) -> dict[int, float]:
    """How far each width is off the line: mean log(loss above the floor) less that of the power law from width 12 on.

    The law is fitted to all runs from width 12 on, the large one too; above 0: worse than the law says.
    """
    below, runs = ladder(seed, smallest=0), ladder(seed)
    law = scaling_laws.fit_power_law([*runs.compute, runs.at], [*(runs.loss - runs.floor), runs.measured - runs.floor])
    compute, gap = np.append(below.compute, runs.at), np.append(below.loss, runs.measured) - runs.floor
    widths, off = np.append(below.d_model, ladders.LARGE), np.log(gap) - np.log(law(compute))
    return {int(d): float(off[widths == d].mean()) for d in np.unique(widths)}


PROBLEMS = ("all problems", "kept", *(f"class {i}" for i in range(1, ladders.N_CLASSES + 1)))


@dataclass(frozen=True)
class Capability:
    """A capability predicted: pass rates, each exp of the mean of log(pass rate) over the problems."""

    before: float  # at the largest fitted width
    known: float  # predicted by a power law above the floor that the misprints set
    bare: float  # predicted by a power law without a floor, as the report does
    measured: float
    best: float  # what no model can beat


def capability(seed: int, problems: str = "kept") -> Capability:
    """Capability prediction: what the large run of a ladder will solve, from how the small ones answer.

        y = -mean log(pass rate),   y = a C^b  (bare)   or   y - h = a C^b,  h = -log P(an entry is printed right)

    problems: "all problems", drawn as the text; "kept", those that every fitted run solves at least once in 200 times;
    "class 1" (easiest) to "class 5" of the kept ones. Errors: ValueError for others.
    Source: GPT-4 report, section 3.2. Differs: the share of misprints is known here.
    """
    if problems not in PROBLEMS:
        raise ValueError(f"expected problems out of {PROBLEMS}; got {problems!r}")
    runs = [row for row in measured.rows("gpt4/ladders") if int(row["seed"]) == seed]
    runs = [row for row in runs if int(row["d_model"]) >= min(ladders.FITTED)]
    runs.sort(key=lambda row: int(row["d_model"]))
    C = np.array([6 * float(row["n_params"]) * float(row["n_tokens"]) for row in runs])
    y = np.array([float(row[f"surprise, {problems}"]) for row in runs])
    right, n_words = float(runs[0]["right"]), int(runs[0]["n_words"])
    best = right + (1 - right) / n_words
    small = C < C[-1]
    above = np.maximum(y[small] + math.log(best), 1e-3)  # a run of few tokens may be a hair too sure
    known = float(scaling_laws.fit_power_law(C[small], above)(C[-1])) - math.log(best)
    bare = float(scaling_laws.fit_power_law(C[small], y[small])(C[-1]))
    last = float(y[small][C[small] == C[small].max()].mean())
    return Capability(*(math.exp(-each) for each in (last, known, bare, float(y[-1]))), best)
