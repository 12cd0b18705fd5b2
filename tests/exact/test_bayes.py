"""bayes: the best possible reader of small tasks, by listing every example."""

import random
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from scipy import stats

from minigpt.exact import bayes
from minigpt.worlds import grammar, story_tasks
from minigpt.worlds.lexicon import LEXICON, Character, Mood

MOODS = (Mood("happy", ("glad", "calm", "wild"), ("sang",)), Mood("sad", ("glum", "calm"), ("wept",)))
FRIENDS = (Character("Lucy", "she"), Character("Tom", "he"))
SMALL = replace(LEXICON, characters=FRIENDS, moods=MOODS)
TASK = partial(story_tasks.similarity_task, lexicon=SMALL)


def all_examples():
    """{(parts, label): probability} of every example of the small task."""
    exact = Counter()
    for text, probability, label in grammar.documents(TASK):
        exact[tuple(text.split("\n")), label] += probability
    return exact


def test_the_best_reader_of_a_small_task():
    """The best accuracy, by listing: for each text the label that goes with it most often."""
    exact = all_examples()
    texts = {parts for parts, _ in exact}
    best = sum(max(exact[parts, label] for label in (0, 1)) for parts in texts)
    assert 0.5 < best < 1  # "calm" is in doubt
    drawn = story_tasks.labelled("similarity", 3000, random.Random(3), SMALL)
    estimate = bayes.bayes_accuracy(TASK, drawn)
    assert estimate.low <= best <= estimate.high and estimate.half_width < 0.02
    right = sum(bayes.bayes_label(TASK, example) == example[1] for example in drawn)
    assert stats.binomtest(right, len(drawn), best).pvalue > 1e-3


def test_the_best_label_of_every_example_by_listing():
    exact = all_examples()
    for parts, _ in exact:
        shares = [exact[parts, label] for label in (0, 1)]
        label = bayes.bayes_label(TASK, (parts, -1))  # the given label is not looked at
        assert shares[label] == pytest.approx(max(shares))
        if shares[0] == pytest.approx(shares[1]):
            assert label == 0


def test_labels_that_are_equal_but_for_rounding_are_a_tie(monkeypatch):
    monkeypatch.setattr(bayes, "_posterior", lambda task, example: {1: 0.1 + 0.2, 0: 0.3, 2: 0.3 - 1e-16})
    assert bayes.bayes_label(None, None) == 0


def test_no_label_of_the_full_tasks_is_impossible():
    for task, program in story_tasks.TASKS.items():
        examples = story_tasks.labelled(task, 20, random.Random(4))
        estimate = bayes.bayes_accuracy(program, examples)
        assert 1 / 2 < estimate.mean <= 1, task
        assert sum(bayes.bayes_label(program, example) == example[1] for example in examples) >= 15


def test_bad_examples():
    with pytest.raises(ValueError, match="can write; got 'Lucy was"):
        bayes.bayes_label(TASK, (("Lucy was blue.", "Tom was glad."), 0))
    with pytest.raises(ValueError, match="2 or more"):
        bayes.bayes_accuracy(TASK, story_tasks.labelled("similarity", 1, random.Random(0), SMALL))
