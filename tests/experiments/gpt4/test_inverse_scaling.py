"""Inverse scaling at the narrow end: the table, and the hump together with the wider models."""

import numpy as np

from minigpt.experiments import measured
from minigpt.experiments.gpt4 import inverse_scaling


def by_width(table: str, **where) -> dict[int, list[float]]:
    found = {}
    for row in measured.rows(table):
        if all(row[name] == value for name, value in where.items()):
            found.setdefault(int(row["d_model"]), []).append(float(row["misprints"]))
    return found


def test_the_table_holds_every_width_and_repeat():
    narrow = by_width("gpt4/inverse_scaling")
    n = len(inverse_scaling.SEEDS) * inverse_scaling.REPEATS
    assert {d: len(each) for d, each in narrow.items()} == dict.fromkeys(inverse_scaling.WIDTHS, n)
    for row in measured.rows("gpt4/inverse_scaling"):
        assert 0 < float(row["own"]) < 1 and 0 < float(row["usual"]) < 1


def test_the_answers_get_worse_before_they_get_better():
    widths = by_width("gpt4/inverse_scaling") | by_width("gpt4/loss_prediction", way="tuned")
    mean = {d: np.mean(each) for d, each in widths.items()}
    assert mean[2] < mean[6] < mean[12] - 0.02 and mean[128] < 0.1
