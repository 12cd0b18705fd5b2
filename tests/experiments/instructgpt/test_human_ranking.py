"""A stand-in who likes one thing ranks a few answers; the reward model must find out what it was."""

import numpy as np
import pytest

from minigpt.experiments.instructgpt import human_ranking
from minigpt.worlds import tales


def test_the_tasks_are_the_same_everywhere():
    todo = human_ranking.tasks()
    assert len(todo) == human_ranking.N_TASKS and todo == human_ranking.tasks() and todo != human_ranking.tasks(seed=1)
    first = " Once a joyful frog went to the forest."
    assert todo[0].answers[0].startswith(first), todo[0].answers[0]  # whatever the order of sets
    for task in todo:
        assert len(set(task.answers)) == human_ranking.N_ANSWERS and all(a.startswith(" Once a") for a in task.answers)


def test_recorded_rankings_follow_their_taste():
    todo = human_ranking.tasks(200)
    for taste, likes in human_ranking.TASTES.items():
        right, n = 0.0, 0
        for task, ranks in zip(todo, human_ranking.recorded(todo, taste, noise=0.1)):
            worth = [likes(task.request, a) for a in task.answers]
            pairs = [(i, j) for i in range(4) for j in range(4) if worth[i] > worth[j] + 0.5]
            right, n = right + sum(ranks[i] < ranks[j] for i, j in pairs), n + len(pairs)
        assert n > 50 and right / n > 0.95, taste
    with pytest.raises(ValueError, match="visitors"):
        human_ranking.recorded(todo, "poetry")


def test_changes_change_one_thing_and_plain_is_a_tale():
    request = tales.requests("test")[0]
    for name, change in human_ranking.CHANGES.items():
        assert change(request, human_ranking.PLAIN) != human_ranking.PLAIN or name == "mood as asked"
    assert human_ranking.utility(request, human_ranking.PLAIN).well_formed


def test_the_last_layer_learns_what_a_network_can_see(gpt):
    """Even a network that was never trained knows whether an answer is long: rank by length, and ask."""
    todo = human_ranking.tasks(40)
    w = human_ranking.fit_reward(gpt, todo, human_ranking.recorded(todo, "short tales", noise=0.1))
    assert w.shape == (64,)
    found = human_ranking.beliefs(gpt, w, n=6)
    assert set(found) == set(human_ranking.CHANGES) and found["a visitor"] < 0 and found["a feeling"] < 0
    row = human_ranking.features(gpt, todo[0].request, todo[0].answers)
    assert row.shape == (4, 64) and row.dtype == np.float64


def test_bad_rankings_are_named(gpt):
    todo = human_ranking.tasks(2)
    with pytest.raises(ValueError, match="a rank for each"):
        human_ranking.fit_reward(gpt, todo, [(1, 2)])
    with pytest.raises(ValueError, match="winners"):
        human_ranking.fit_reward(gpt, todo, [(1, 1, 1, 1)])
