"""The benchmarks of the CPU run, with sizes of a second, and their page is what the stored results say."""

import importlib
import json
import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = str(ROOT / "benchmarks")


@pytest.fixture(scope="module")
def run():
    sys.path.insert(0, FOLDER)
    try:
        yield importlib.import_module("run")
    finally:
        sys.path.remove(FOLDER)


TINY = ["training_step", "time_to_quality", "book_to_floor", "writing", "tokens_speed", "start_up", "cost_by_size"]


@pytest.mark.parametrize("name", TINY)
def test_every_benchmark_runs_with_tiny_sizes(run, name):
    rows = run.measured([name], tiny=True)[name]["rows"]
    assert rows and all(row["value"] > 0 and math.isfinite(row["value"]) for row in rows)


@pytest.mark.slow
def test_two_processes_run(run):
    (row,) = run.measured(["two_processes"], tiny=True)["two_processes"]["rows"]
    assert row["value"] > 0


def test_the_median_of_the_ratios_and_their_quartiles(run):
    side_by_side = importlib.import_module("side_by_side")
    row = side_by_side.ratio("x", [2.0, 6.0, 4.0, 8.0, 10.0], [1.0, 2.0, 2.0, 2.0, 2.0], goal=3)
    assert (row.value, row.low, row.high, row.met) == (3.0, 2.0, 4.5, True)  # ratios 2, 3, 2, 4, 5
    assert not side_by_side.ratio("x", [1.0], [1.0], goal=3).met
    assert side_by_side.Row("import", 0.05, "s", goal=0.1).met  # of seconds less is better
    with pytest.raises(ValueError):
        side_by_side.ratio("x", [1.0], [1.0, 2.0])


def test_both_sides_of_the_training_benchmark_compute_the_same():
    """The plain GPT and the package's, with the same weights: logits and the gradient's length."""
    import torch

    sys.path.insert(0, FOLDER)
    try:
        plain_gpt, training_step = map(importlib.import_module, ("plain_gpt", "training_step"))
    finally:
        sys.path.remove(FOLDER)
    torch.manual_seed(0)
    plain = plain_gpt.PlainGPT(11, 8, 2, 2, 16)
    model = training_step.GPT(training_step.config(2, 16, 2, 8, 11), torch.Generator().manual_seed(0))
    training_step.same_weights(plain, model)
    ids = torch.randint(0, 11, (3, 8), generator=torch.Generator().manual_seed(1))
    assert torch.allclose(plain(ids), model(ids), atol=1e-6)


def test_ppo_is_compared_round_by_round(run, monkeypatch):
    ppo_speed = importlib.import_module("ppo_speed")
    answers = iter([(80.0, 300.0), (10.0, 600.0), (90.0, 300.0), (30.0, 500.0), (60.0, 300.0), (10.0, 400.0)])
    monkeypatch.setattr(ppo_speed, "asked", lambda python, which: next(answers))
    speed, memory = ppo_speed.measure(other="another python")
    assert (speed.value, speed.low, speed.high, memory.value) == (6.0, 3.0, 8.0, 0.6)  # ratios 8, 3, 6; .5, .6, .75
    assert ppo_speed.measure() == [] and not run.measured(["ppo_speed"])


def test_the_page_says_what_was_stored(run):
    page, results = run.PAGE.read_text(encoding="utf-8"), json.loads(run.RESULTS.read_text(encoding="utf-8"))
    assert run.written(page, results) == page
    assert set(results) <= set(run.NAMES) and len(results) >= 5
    with pytest.raises(ValueError, match="once each"):
        run.written("no marks", results)
