"""Chapter 05. The run shop: a budget of compute buys runs of run_grid.py, from which a large run is to be predicted.

A strategy is a function: it gets a `Shop`, buys, and returns (predicted, low, high), a prediction of the large run's
loss with a 90 % interval. It sees no floor and no language. Nothing is trained here: the runs are read from the table.
Each language has a shop for every seed: its large run is that seed's, and of each run that seed's is sold first.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigpt.experiments import measured
from minigpt.experiments.gpt4 import ladder_game, run_grid
from minigpt.experiments.gpt4.ladder_game import Outcome

BUDGET = 1.01e11  # floating-point operations: about a fifth of the large run
NAMES = {"A": 1.6, "B": 2.0, "C": 1.3}  # language -> Zipf's s
WITHIN = 0.2  # a run that is asked for by its compute may cost so much more or less


@dataclass(frozen=True)
class Run:
    """A run: what it costs, its size, and its loss (nan for a run that has not been bought)."""

    compute: float
    d_model: int
    n_params: int
    n_tokens: int
    loss: float = math.nan  # nats per token


class Shop:
    """A shop that sells runs of one language for their compute.

    Errors: ValueError of `buy` for a run that is not on the menu, is sold out, or costs more than is left.
    """

    def __init__(self, runs: list[Run], large: Run, floor: float, budget: float = BUDGET):
        self._stock, self._large, self._floor, self.budget = list(runs), large, floor, budget
        self.bought: list[Run] = []

    @property
    def left(self) -> float:
        """What is left of the budget."""
        return self.budget - sum(run.compute for run in self.bought)

    @property
    def target(self) -> Run:
        """The run to be predicted, without its loss."""
        large = self._large
        return Run(large.compute, large.d_model, large.n_params, large.n_tokens)

    def menu(self) -> list[tuple[float, int]]:
        """What can still be bought with what is left: (compute, width), the cheapest first; a run per repeat."""
        return sorted((run.compute, run.d_model) for run in self._stock if run.compute <= self.left)

    def buy(self, compute: float, d_model: int) -> Run:
        """Buy a run of this compute (within 20 %) and width; if bought again, another repeat of it."""
        offers = [run for run in self._stock if run.d_model == d_model and _same_price(run.compute, compute)]
        if not offers:
            raise ValueError(f"expected a run that is on the menu; got {compute:.3g} operations and width {d_model!r}")
        price = offers[0].compute
        if price > self.left:
            raise ValueError(f"expected a run for at most {self.left:.3g} operations; this costs {price:.3g}")
        self._stock.remove(offers[0])
        self.bought.append(offers[0])
        return offers[0]

    def outcome(self, said: tuple[float, float, float]) -> Outcome:
        """What was predicted, beside the measured loss. Errors: ValueError if it is not (predicted, low, high)."""
        try:
            predicted, low, high = map(float, said)
        except (TypeError, ValueError):
            raise ValueError(f"expected (predicted, low, high), three numbers; got {said!r}") from None
        if not 0 < low <= predicted <= high < math.inf:
            raise ValueError(f"expected 0 < low <= predicted <= high; got {predicted}, {low}, {high}")
        return Outcome(predicted, low, high, self._large.loss, self._floor)


Strategy = Callable[[Shop], tuple[float, float, float]]


def shops(budget: float = BUDGET, seed: int = 0) -> dict[str, Shop]:
    """A new shop for each of the three languages, filled from the measured grid.

    The large run is that of the seed. Of a run that is there several times the seed's own is sold first, then the
    others as repeats. Errors: ValueError for a seed that is not in the table.
    """
    if seed not in run_grid.SEEDS:
        raise ValueError(f"expected a seed out of {run_grid.SEEDS}; got {seed!r}")
    rows = [row for row in measured.rows("gpt4/run_grid") if row["rate"] == "usual"]
    rows.sort(key=lambda row: (float(row["budget"]), int(row["d_model"]), int(row["seed"]) != seed, int(row["seed"])))
    found = {}
    for name, s in NAMES.items():
        mine = [row for row in rows if float(row["zipf"]) == s]
        runs = [_run(row) for row in mine]
        large = next(run for run in runs if _is_large(run))  # the seed's own is the first
        found[name] = Shop([run for run in runs if not _is_large(run)], large, float(mine[0]["floor"]), budget)
    return found


def _run(row: dict[str, str]) -> Run:
    N, D = int(row["n_params"]), int(row["n_tokens"])
    return Run(6.0 * N * D, int(row["d_model"]), N, D, float(row["loss"]))


def _is_large(run: Run) -> bool:
    compute, d_model = run_grid.LARGE
    return run.d_model == d_model and _same_price(run.compute, compute)


def _same_price(compute: float, wanted: float) -> bool:
    return abs(compute - wanted) < WITHIN * abs(wanted)


def play(strategy: Strategy, budget: float = BUDGET, seed: int = 0) -> dict[str, Outcome]:
    """A strategy in each of the three shops of a seed: language -> what came of it. Errors: those of Shop."""
    return {name: shop.outcome(strategy(shop)) for name, shop in shops(budget, seed).items()}


def outcomes(strategy: Strategy, budget: float = BUDGET) -> dict[str, list[Outcome]]:
    """A strategy in every shop there is: language -> what came of it, one for each seed. Errors: those of Shop."""
    every = [play(strategy, budget, seed) for seed in run_grid.SEEDS]
    return {name: [each[name] for each in every] for name in NAMES}


LINE = ((2.15e9, 10), (4.64e9, 10), (4.64e9, 12), (1e10, 12), (1e10, 16), (2.15e10, 16), (4.64e10, 24))
ONE_WIDTH = ((2.15e9, 12), (4.64e9, 12), (1e10, 12), (2.15e10, 12))
SURFACE = (
    (2.15e9, 12), (2.15e9, 16), (4.64e9, 12), (4.64e9, 16), (4.64e9, 24), (1e10, 12), (1e10, 16), (1e10, 24),
    (2.15e10, 16), (2.15e10, 32),
)  # fmt: skip


def last_run(shop: Shop) -> tuple[float, float, float]:
    """Baseline, no change: buy one run for the whole budget, and say that the large one is as good, within 2 %."""
    compute, d_model = min(shop.menu(), key=lambda run: (-round(run[0], -9), run[1]))
    loss = shop.buy(compute, d_model).loss
    return loss, 0.98 * loss, 1.02 * loss


def buy_all(shop: Shop, wanted) -> list[Run]:
    """Buy the runs of a shopping list, (compute, width) each, as far as they are there and the budget lasts."""
    for compute, d_model in wanted:
        if any(d == d_model and _same_price(C, compute) for C, d in shop.menu()):
            shop.buy(compute, d_model)
    return sorted(shop.bought, key=lambda run: run.compute)


def straight_line(shop: Shop) -> tuple[float, float, float]:
    """Baseline: runs near the best width of each price, and a power law without a floor."""
    return _line(shop, LINE, ladder_game.power_law)


def one_width(shop: Shop) -> tuple[float, float, float]:
    """Runs of width 12 at every price, and the law with a floor."""
    return _line(shop, ONE_WIDTH, ladder_game.floor_law)


def best_widths(shop: Shop) -> tuple[float, float, float]:
    """Runs near the best width of each price, and the law with a floor: ours, the one to beat."""
    return _line(shop, LINE, ladder_game.floor_law)


def rough_exponent(shop: Shop) -> tuple[float, float, float]:
    """The same runs, and the law with a floor whose exponent is known roughly."""
    return _line(shop, LINE, ladder_game.bounded_law)


def _line(shop: Shop, wanted, method: ladder_game.Method) -> tuple[float, float, float]:
    runs = buy_all(shop, wanted)
    compute, loss = [run.compute for run in runs], [run.loss for run in runs]
    said = method(compute, loss, shop.target.compute, np.random.default_rng(0))
    return said.value, said.low, said.high


def surface(shop: Shop) -> tuple[float, float, float]:
    """Runs over sizes and lengths, and the law L(N, D) = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022)."""
    runs = buy_all(shop, SURFACE)
    N, D, L = (np.array([getattr(run, name) for run in runs], float) for name in ("n_params", "n_tokens", "loss"))
    return joint_prediction(N, D, L, shop.target, np.random.default_rng(0))


def joint_prediction(N, D, L, target: Run, rng: np.random.Generator, n_samples: int = 200):
    """Prediction of L(N, D) with a 90 % interval, bootstrap: least squares over a grid of the two exponents."""
    alpha, beta = (each.ravel() for each in np.meshgrid(np.linspace(0.2, 1.2, 26), np.linspace(0.15, 0.7, 23)))
    n0, d0 = np.exp(np.log(N).mean()), np.exp(np.log(D).mean())
    X = np.stack([np.ones((len(alpha), len(N))), (N / n0) ** -alpha[:, None], (D / d0) ** -beta[:, None]], axis=2)
    solve = np.linalg.pinv(X)  # (G, 3, n)
    at = np.stack([np.ones_like(alpha), (target.n_params / n0) ** -alpha, (target.n_tokens / d0) ** -beta], axis=1)

    def best(y):  # the law with the least squares among those that fall with N and with D, to a floor above 0
        theta = solve @ y  # (G, 3)
        misfit = ((np.einsum("gni,gi->gn", X, theta) - y) ** 2).sum(axis=1)
        g = int(np.where((theta >= 0).all(axis=1), misfit, np.inf).argmin())
        return X[g] @ theta[g], float(at[g] @ theta[g])

    fitted, value = best(L)
    sigma = math.sqrt(((L - fitted) ** 2).sum() / max(1, len(L) - 5))
    drawn = [best(fitted + sigma * rng.normal(size=len(L)))[1] + sigma * rng.normal() for _ in range(n_samples)]
    low, high = np.quantile(drawn, [0.05, 0.95])
    return value, min(float(low), value), max(float(high), value)


STRATEGIES: dict[str, Strategy] = {
    "no change": last_run, "straight line": straight_line, "one width, with a floor": one_width,
    "best widths, with a floor": best_widths, "best widths, rough exponent": rough_exponent, "surface L(N, D)": surface,
}  # fmt: skip


def score_table(budget: float = BUDGET, strategies: dict[str, Strategy] | None = None) -> dict[str, dict[str, float]]:
    """Every strategy in five numbers, as ladder_game.summary gives them, over all languages and seeds.

    strategies: further ones, to be added to ours.
    """
    every = STRATEGIES | (strategies or {})
    return {name: ladder_game.summary(sum(outcomes(each, budget).values(), [])) for name, each in every.items()}
