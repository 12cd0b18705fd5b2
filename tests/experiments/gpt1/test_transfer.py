"""What the lab on transfer draws is what the tables hold."""

import numpy as np
import pytest

from minigpt.experiments import measured
from minigpt.experiments.gpt1 import finetuning, transfer, zero_shot


def test_layers_and_their_gains():
    layers, gains = transfer.layers(), transfer.layer_gains()
    assert len(layers) == 4 and len(gains) == 12
    wanted = {"task": "similarity", "n_labels": "512", "start": "pretrained", "aux_weight": "0.0", "seed": "1"}
    stored = [row for row in measured.rows("gpt1/finetuning") if wanted.items() <= row.items()]
    one = {row["n_layers"]: float(row["accuracy"]) for row in stored}
    found = {part: each[1] for part, each in layers["similarity, 512"].items()}
    assert list(found.values()) == [one["-1"], one["0"], one["1"], one["all"]]
    assert gains["similarity: + block 2"][1] == pytest.approx(one["all"] - one["1"])
    assert all(len(each) == transfer.N_SEEDS for each in gains.values())


def test_gaps_to_the_probe_and_the_gain_of_lambda_have_their_sign():
    gaps = transfer.probe_gaps()["classification"]
    assert list(gaps) == [16, 64, 256, 1024]
    assert (gaps[16] == finetuning.seeds("classification", 16) - finetuning.seeds("classification", 16, "probe")).all()
    few = transfer.auxiliary_gains()
    assert few["similarity, 512 labels"][1] == pytest.approx(0.324)  # the stuck run: 0.574, and 0.898 with lambda


def test_tables_of_snapshots_and_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path)
    rows = [{"task": "similarity", "step": step, "seed": seed, "value": f"0.{step}{seed}"}
            for step in (9, 45) for seed in (0, 1)]  # fmt: skip
    measured.keep("gpt1/zero_shot", rows, zero_shot.KEY)
    assert transfer.snapshots() == [9, 45]
    np.testing.assert_allclose(transfer.answers("similarity"), [[0.90, 0.91], [0.450, 0.451]])
    assert transfer.by_seed(transfer.answers("similarity")) == {
        "seed 0": {9: [0.9], 45: [0.45]}, "seed 1": {9: [0.91], 45: [0.451]},
    }  # fmt: skip


def test_how_fast_a_curve_rises():
    steps = [1, 10, 100, 1000]
    assert transfer.rise([0.5, 0.55, 0.7, 0.9], steps) == "10 to 1,000"
    assert transfer.rise([0.5, 0.7, 0.55, 0.8], steps) == "100 to the end: 0.80"
    assert transfer.rise([0.7, 0.9, 0.9, 0.9], steps) == "the first to 10"


def test_lines_of_a_fine_tuning_figure_are_those_of_the_table_and_none_for_entailment():
    lines = transfer.references()
    rows = [row for row in measured.rows("gpt1/zero_shot") if row["task"] == "similarity" and row["step"] == "4500"]
    assert len(rows) == transfer.N_SEEDS
    assert lines["similarity"]["zero-shot"] == pytest.approx(sum(float(row["value"]) for row in rows) / len(rows))
    assert set(lines["entailment"]) == {"majority", "best possible"}
    assert all(each["majority"] < each["zero-shot"] for task, each in lines.items() if task != "entailment")
