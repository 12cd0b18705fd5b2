"""Chapter 05. Forecasts from stored runs: residuals, errors as a share of the reducible loss, and fits that go wrong.

It trains nothing: the runs are those of gpt4/loss_prediction, gpt4/ladders, gpt4/isoflop and gpt4/inverse_scaling.
"""

import numpy as np

from minigpt import scaling_laws
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import ladder_game, ladders, loss_prediction, run_grid, scaling_runs

NAMES = {f"ladder {seed + 1}": seed for seed in ladders.SEEDS}  # of the ladders of ladders.py
ON_THE_LINE = (16, 24, 32, scaling_runs.LARGE)  # widths that the law of `residuals` is fitted to
OTHER_FITTED, OTHER_AT = (8, 12, 16, 24, 32), 64  # of the runs with one learning rate, and with a threshold


def runs(seed: int, widths, way: str = "tuned", quantity: str = "loss") -> tuple[np.ndarray, np.ndarray]:
    """Compute and a measured quantity of the runs of one seed in gpt4/loss_prediction, the smallest first.

    Errors: ValueError if there are none.
    """
    found = sorted(
        (6 * int(row["n_params"]) * int(row["n_tokens"]), float(row[quantity]))
        for row in measured.rows("gpt4/loss_prediction")
        if (row["way"], int(row["seed"])) == (way, seed) and int(row["d_model"]) in widths
    )
    if not found:
        raise ValueError(f"no runs of {way!r}, seed {seed}, widths {tuple(widths)}")
    return np.array([C for C, _ in found], float), np.array([x for _, x in found])


def residuals(floor: float) -> dict[int, list[float]]:
    """What a law with the true floor leaves unexplained, in per cent of the loss: width -> [a mean for each seed].

    The law, L = floor + (C_0 / C)^kappa, is fitted to the widths ON_THE_LINE of all seeds together.
    """
    everything = [runs(seed, ON_THE_LINE) for seed in loss_prediction.SEEDS]
    compute, loss = (np.concatenate(part) for part in zip(*everything))
    law, found = scaling_laws.fit_power_law(compute, loss - floor), {}
    for row in measured.rows("gpt4/loss_prediction"):
        if row["way"] == "tuned":
            expected = floor + law(6 * int(row["n_params"]) * int(row["n_tokens"]))
            seeds = found.setdefault(int(row["d_model"]), {})
            seeds.setdefault(int(row["seed"]), []).append(100 * (float(row["loss"]) / expected - 1))
    return {d: [float(np.mean(each)) for each in found[d].values()] for d in sorted(found)}


def judged(predictions: list, came, floor) -> dict[str, np.ndarray]:
    """Predictions beside results: error in nats, in % of the loss, as a share of the reducible loss; inside or not.

    Shapes: everything (n,); the errors are predicted less measured, the share is of came - floor.
    """
    came, value = np.asarray(came, float), np.array([each.value for each in predictions])
    inside = np.array([each.holds(x) for each, x in zip(predictions, came)])
    scores = [scaling_laws.interval_score(each.low, each.high, x) for each, x in zip(predictions, came)]
    error = value - came
    return {"nats": error, "percent": 100 * error / came, "share": error / (came - floor), "inside": inside,
            "score": np.array(scores)}  # fmt: skip


def errors(widths, floor: float, c: float | None = None, seeds=loss_prediction.SEEDS) -> dict[str, np.ndarray]:
    """Predictions of the large run from runs of these widths, for every seed: as `judged`. c: a floor that is given."""
    predictions, came = [], []
    for seed in seeds:
        (at,), (value,) = runs(seed, (scaling_runs.LARGE,))
        predictions.append(scaling_laws.predict(*runs(seed, widths), at, np.random.default_rng(0), c=c))
        came.append(value)
    return judged(predictions, came, floor)


def contest(intervals: dict) -> list[tuple]:
    """The reader's intervals beside those of the law: (ladder, interval, score, the law's, its score, the result).

    intervals: name of a ladder, such as "ladder 6", -> (low, high), or ... for none. Scores are in units of the
    reducible loss that is left, less is better.
    Errors: ValueError for an unknown ladder, or an interval that is none.
    """
    rows = []
    for name, given in intervals.items():
        if name not in NAMES:
            raise ValueError(f"expected one of {', '.join(NAMES)}; got {name!r}")
        if given is not ...:
            try:
                low, high = map(float, given)
            except (TypeError, ValueError):
                raise ValueError(f"{name}: expected an interval, (low, high); got {given!r}") from None
            ladder = ladder_game.ladder(NAMES[name])
            law = ladder_game.outcome(ladder, ladder_game.floor_law)
            mine = scaling_laws.interval_score(low, high, law.measured) / (law.measured - law.floor)
            rows.append((name, f"{low:.3f} to {high:.3f}", f"{mine:.2f}", f"{law.low:.3f} to {law.high:.3f}",
                         f"{law.score:.2f}", f"{law.measured:.3f}"))  # fmt: skip
    return rows


def practice() -> dict[str, tuple]:
    """The ladders as explorers.prediction_game takes them: name -> (compute, loss, at, result, floor)."""
    found = {name: ladder_game.ladder(seed) for name, seed in NAMES.items()}
    return {name: (each.compute, each.loss, each.at, each.measured, each.floor) for name, each in found.items()}


def kappas() -> dict[float, list[float]]:
    """The exponent of the reducible loss of every ladder, its floor known: Zipf's exponent -> [one a language]."""
    found = {}
    for seed in ladders.SEEDS:
        each = ladder_game.ladder(seed)
        compute, loss = np.append(each.compute, each.at), np.append(each.loss, each.measured)
        found.setdefault(each.zipf, []).append(-float(scaling_laws.fit_power_law(compute, loss - each.floor).b))
    return {zeta: found[zeta] for zeta in sorted(found)}


def beyond(way: str, seed: int = 0) -> tuple:
    """A ladder of another way, such as "one rate": compute of its last run, what is fitted, its loss, the prediction.

    Result: (at, (compute, loss) of the widths OTHER_FITTED, the loss at width OTHER_AT, Prediction).
    """
    fitted = runs(seed, OTHER_FITTED, way)
    (at,), (came,) = runs(seed, (OTHER_AT,), way)
    return float(at), fitted, float(came), scaling_laws.predict(*fitted, at, np.random.default_rng(0))


def mistakes(floor: float) -> list[tuple]:
    """Four ways to predict badly, beside the usual one: mean error and half width of the interval, how often it held.

    Rows: (mistake, seeds, error and half width in per cent of the reducible loss, "n of m"). floor: of the usual text.
    """
    seeds, large = loss_prediction.SEEDS, (scaling_runs.LARGE,)
    found = []
    for name, widths in (("none", scaling_runs.SMALL), ("too few points", scaling_runs.SMALL[:4])):
        said = [scaling_laws.predict(*runs(s, widths), runs(s, large)[0][0], np.random.default_rng(0)) for s in seeds]
        name = f"{name}: widths {widths[0]} to {widths[-1]}"
        found.append((name, said, [runs(s, large)[1][0] for s in seeds], floor))
    bare = [scaling_laws.fit_power_law(*runs(s, scaling_runs.SMALL))(runs(s, large)[0][0]) for s in seeds]
    came = np.array([runs(s, large)[1][0] for s in seeds])
    others = {"one learning rate": ("one rate", floor), "a threshold": ("no fame", scaling_runs.book(0.0, 32).entropy)}
    for name, (way, its_floor) in others.items():
        each = [beyond(way, s) for s in loss_prediction.MORE_SEEDS]
        found.append((name, [said for *_, said in each], [result for _, _, result, _ in each], its_floor))
    rows = []
    for name, said, result, its_floor in found:
        result = np.array(result)
        share = judged(said, result, its_floor)["share"]
        half = np.array([(each.high - each.low) / 2 for each in said]) / (result - its_floor)
        held = sum(each.holds(x) for each, x in zip(said, result))
        rows.append(
            (name, len(said), f"{100 * share.mean():+.0f}", f"± {100 * half.mean():.0f}", f"{held} of {len(said)}")
        )
    rows.insert(2, ("no floor", len(bare), f"{100 * np.mean((bare - came) / (came - floor)):+.0f}", "–", "–"))
    return rows


def surprise(seed: int, problems: str) -> dict[int, tuple[float, list[float]]]:
    """Mean of -log(pass rate) on problems of one ladder: width -> (compute, [one for each run]).

    problems: one of ladder_game.PROBLEMS.
    """
    found = {}
    for row in measured.rows("gpt4/ladders"):
        if int(row["seed"]) == seed:
            compute = 6.0 * int(row["n_params"]) * int(row["n_tokens"])
            found.setdefault(int(row["d_model"]), (compute, []))[1].append(float(row[f"surprise, {problems}"]))
    return dict(sorted(found.items()))


def misled() -> dict[int, list[float]]:
    """How often a frequent entry's value is believed in place of a rare one's: width -> [a mean for each seed].

    Widths below 8 are from gpt4/inverse_scaling, the others from gpt4/loss_prediction.
    """
    found = {}
    tuned = [row for row in measured.rows("gpt4/loss_prediction") if row["way"] == "tuned"]
    for row in (*measured.rows("gpt4/inverse_scaling"), *tuned):
        seeds = found.setdefault(int(row["d_model"]), {})
        seeds.setdefault(int(row["seed"]), []).append(float(row["misprints"]))
    return {d: [float(np.mean(each)) for each in found[d].values()] for d in sorted(found)}


def growing_batches() -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """IsoFLOP profiles of gpt4/isoflop, where every run makes 500 updates and the batch grows: as run_grid.profiles.

    compute -> (parameters, loss above the floor), both rising in N; means over the seeds.
    """
    profiles, floor = {}, scaling_runs.floor(scaling_runs.book())
    for row in measured.rows("gpt4/isoflop"):
        column = profiles.setdefault(float(row["budget"]), {})
        column.setdefault(int(row["n_params"]), []).append(float(row["loss"]) - floor)
    return {C: (np.array(sorted(each), float), np.array([np.mean(each[N]) for N in sorted(each)]))
            for C, each in profiles.items()}  # fmt: skip


def larger_batches() -> scaling_laws.PowerLaw:
    """The best size against compute where the batch grows, N* = k C^a; the best sizes as in run_grid.minima."""
    minima = run_grid.minima(growing_batches())
    return scaling_laws.fit_power_law(list(minima), [N for N, _ in minima.values()])
