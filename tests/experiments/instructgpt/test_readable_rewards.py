"""A reward model of readable features: the utility is a sum of them, and labelers' weights are found."""

import numpy as np
import pytest

from minigpt.experiments.instructgpt import human_ranking, readable_rewards
from minigpt.experiments.instructgpt.readable_rewards import FEATURES, UTILITY
from minigpt.worlds.tales import utility

TODO = human_ranking.tasks(60, seed=3)
WEIGHTS = np.array([UTILITY[name] for name in FEATURES])


def test_the_utility_is_a_weighted_sum_of_the_features():
    for task in TODO:
        for answer in task.answers:
            assert readable_rewards.features(task.request, answer) @ WEIGHTS == pytest.approx(
                utility(task.request, answer).total
            )


def test_a_tie_is_no_pair_and_the_winner_comes_first():
    (pairs,) = readable_rewards.comparisons(TODO[:1], [(1, 2, 2, 3)])
    x = [readable_rewards.features(TODO[0].request, a) for a in TODO[0].answers]
    expected = [x[0] - x[1], x[0] - x[2], x[0] - x[3], x[1] - x[3], x[2] - x[3]]
    assert np.array_equal(pairs, np.array(expected))


def test_many_rankings_show_the_true_weights_and_honest_errors():
    todo = human_ranking.tasks(800, seed=5)
    pairs = readable_rewards.comparisons(todo, readable_rewards.rankings(todo, 0, 0.65))
    weights, errors = readable_rewards.fit(pairs, 60)
    z = (weights - WEIGHTS / 0.65) / errors
    assert np.abs(z).max() < 4.5 and 0.3 < np.sqrt((z**2).mean()) < 2.2


def test_one_ranking_alone_tells_nothing_of_its_error():
    """Drawing again from one ranking draws the same one: an error of 0 would say that the weights are exact."""
    one = readable_rewards.comparisons(TODO[:1], [(1, 2, 3, 4)])
    weights, errors = readable_rewards.fit(one)
    assert np.abs(weights).max() > 0.1 and np.isnan(errors).all()
    assert readable_rewards.fit(readable_rewards.comparisons(TODO[:2], [(1, 2, 3, 4)] * 2))[1].max() > 0


def test_the_loss_comes_down_to_the_floor_and_never_far_below_it():
    todo, fresh = human_ranking.tasks(400, seed=6), human_ranking.tasks(400, seed=7)
    pairs = readable_rewards.comparisons(todo, readable_rewards.rankings(todo, 1, 0.65))
    weights, _ = readable_rewards.fit(pairs, 2)
    held_out = readable_rewards.comparisons(fresh, readable_rewards.rankings(fresh, 2, 0.65))
    least = readable_rewards.floor(fresh, 0.65)
    assert abs(readable_rewards.loss(weights, held_out) - least) < 0.04
    assert readable_rewards.loss(0 * weights, held_out) == pytest.approx(np.log(2))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a rank for each"):
        readable_rewards.comparisons(TODO[:1], [(1, 2)])
    with pytest.raises(ValueError, match="winners as losers"):
        readable_rewards.fit([])
