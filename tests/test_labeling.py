"""A stand-in who likes one thing ranks a few answers; the reward model must find out what it was."""

import numpy as np
import pytest
import torch

from minigpt import alignment, labeling
from minigpt.model import GPT


@pytest.fixture(scope="module")
def gpt():
    return GPT(alignment.BASE, torch.Generator().manual_seed(0)).eval()


def test_the_tasks_are_the_same_everywhere():
    todo = labeling.tasks()
    assert len(todo) == labeling.N_TASKS and todo == labeling.tasks() and todo != labeling.tasks(seed=1)
    first = " Once a joyful frog went to the forest."
    assert todo[0].answers[0].startswith(first), todo[0].answers[0]  # whatever the order of sets
    for task in todo:
        assert len(set(task.answers)) == labeling.N_ANSWERS and all(a.startswith(" Once a") for a in task.answers)


def test_recorded_rankings_follow_their_taste():
    todo = labeling.tasks(200)
    for taste, likes in labeling.TASTES.items():
        right, n = 0.0, 0
        for task, ranks in zip(todo, labeling.recorded(todo, taste, noise=0.1)):
            worth = [likes(task.request, a) for a in task.answers]
            pairs = [(i, j) for i in range(4) for j in range(4) if worth[i] > worth[j] + 0.5]
            right, n = right + sum(ranks[i] < ranks[j] for i, j in pairs), n + len(pairs)
        assert n > 50 and right / n > 0.95, taste
    with pytest.raises(ValueError, match="visitors"):
        labeling.recorded(todo, "poetry")


def test_changes_change_one_thing_and_plain_is_a_tale():
    request = alignment.assistant.requests("test")[0]
    for name, change in labeling.CHANGES.items():
        assert change(request, labeling.PLAIN) != labeling.PLAIN or name == "mood as asked"
    assert labeling.utility(request, labeling.PLAIN).well_formed


def test_the_last_layer_learns_what_a_network_can_see(gpt):
    """Even a network that was never trained knows whether an answer is long: rank by length, and ask."""
    todo = labeling.tasks(40)
    w = labeling.learn(gpt, todo, labeling.recorded(todo, "short tales", noise=0.1))
    assert w.shape == (64,)
    found = labeling.beliefs(gpt, w, n=6)
    assert set(found) == set(labeling.CHANGES) and found["a visitor"] < 0 and found["a feeling"] < 0
    row = labeling.features(gpt, todo[0].request, todo[0].answers)
    assert row.shape == (4, 64) and row.dtype == np.float64


def test_bad_rankings_are_named(gpt):
    todo = labeling.tasks(2)
    with pytest.raises(ValueError, match="a rank for each"):
        labeling.learn(gpt, todo, [(1, 2)])
    with pytest.raises(ValueError, match="winners"):
        labeling.learn(gpt, todo, [(1, 1, 1, 1)])
