"""Labels and updates apart: what differs between the runs, and that asking on the way disturbs nothing."""

from dataclasses import replace

import pytest
import torch

from minigpt import train
from minigpt.experiments import dataset, measured, sizes
from minigpt.experiments.gpt1 import finetuning, updates
from minigpt.experiments.gpt1.finetuning import FineTuning
from minigpt.model import GPT


@pytest.fixture(scope="module")
def data():
    return dataset.story_dataset(n_documents=200, n_held_out=20)


@pytest.fixture(scope="module")
def narrow():
    return GPT(replace(sizes.GPT1, d_model=24), torch.Generator().manual_seed(0)).eval()


def test_asking_on_the_way_changes_nothing(data, narrow, monkeypatch):
    tests, how = finetuning.test_batches(data, "similarity", 20), FineTuning("similarity", 16)
    kept = []
    really = finetuning.accuracy

    def remember(model, batches):
        kept.append([p.detach().clone() for p in model.parameters()])
        return really(model, batches)

    monkeypatch.setattr(finetuning, "accuracy", remember)
    assert [n for n, _ in updates.along(narrow, data, how, 0, tests, (2, 10))] == [2, 10]
    assert [n for n, _ in updates.along(narrow, data, how, 0, tests, (10,))] == [10]
    asked, on_the_way, unasked = kept
    assert all(map(torch.equal, on_the_way, unasked)) and not all(map(torch.equal, asked, on_the_way))


def test_the_rate_stays_what_it_is_after_the_warm_up(data, narrow, monkeypatch):
    seen = []

    def spy(model, batches, config, loss_fn):
        seen.append([train.learning_rate(step, config) for step in range(config.n_steps)])
        return iter(())

    monkeypatch.setattr(train, "train", spy)
    assert list(updates.along(narrow, data, FineTuning("similarity", 16, lr=2e-3), 0, [], (5, 40))) == []
    (rates,) = seen
    assert len(rates) == 40 and rates[:2] == pytest.approx([0.25e-3, 0.5e-3]) and set(rates[8:]) == {2e-3}


def test_the_arms_of_each_comparison_differ_in_one_thing():
    plan = updates.plan()
    ways = {(how.task, how.n_labels, how.start) for how, _ in plan}
    assert len(ways) == len(plan) == 4 * len(updates.TASKS) and set(updates.TASKS) <= set(finetuning.CLASSES)
    for task in updates.TASKS:
        assert {(task, n, start) for n in (64, 1024) for start in ("pretrained", "scratch")} <= ways
    assert all(replace(how, task="entailment", n_labels=1, start="probe") == FineTuning("entailment", 1, "probe")
               for how, _ in plan)  # fmt: skip
    assert all(set(asked) >= {80, 240, 420, 1000} for _, asked in plan)
    assert all((3000 in asked) == (how.start == "scratch" and how.n_labels == 1024) for how, asked in plan)


def test_panels_hold_every_stored_number_once(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path)
    rows = [
        dict(zip(updates.KEY, (how.task, how.n_labels, how.start, n, seed)), accuracy=f"0.{i:02d}{k}{seed}")
        for i, (how, asked) in enumerate(updates.plan()) for k, n in enumerate(asked) for seed in (0, 1)
    ]  # fmt: skip
    measured.keep("gpt1/updates", rows, updates.KEY)
    panels = updates.panels()
    assert list(panels) == list(updates.TASKS) and list(updates.panels(["similarity"])) == ["similarity"]
    drawn = sorted(v for each in panels.values() for points in each.values() for two in points.values() for v in two)
    assert drawn == sorted(float(row["accuracy"]) for row in rows)
    scratch = panels["similarity"]["from scratch, 1,024 labels"]
    wanted = {"task": "similarity", "n_labels": 1024, "start": "scratch", "n_updates": 3000}
    assert scratch[3000].tolist() == measured.get("gpt1/updates", "accuracy", **wanted).tolist()
