"""Labelled tasks of the stories: balanced, and labelled as the words say."""

import math
import random
import re
from collections import Counter

import pytest
from reading import (
    ANIMALS,
    AT_HOME,
    AWAY,
    MOOD_OF_REACTION,
    MOODS_OF,
    PRONOUN,
    check_homecoming,
    check_mood,
    could_be,
    read_opening,
)
from scipy.stats import chisquare

from minigpt.worlds import grammar, story_tasks
from minigpt.worlds.lexicon import LEXICON


@pytest.fixture(scope="module")
def labelled():
    return {task: story_tasks.labelled(task, 1200, random.Random(f"labels {task}")) for task in story_tasks.TASKS}


@pytest.mark.parametrize(
    ("task", "n_parts", "n_labels"), [("entailment", 2, 3), ("similarity", 2, 2), ("multiple choice", 3, 2)]
)
def test_labels_are_balanced(labelled, task, n_parts, n_labels):
    assert {len(parts) for parts, _ in labelled[task]} == {n_parts}
    counts = Counter(label for _, label in labelled[task])
    assert set(counts) == set(range(n_labels)) and chisquare(list(counts.values())).pvalue > 1e-3


def test_moods_are_as_frequent_as_the_program_says(labelled):
    """Half of the walks lead home: P(happy) = (4/7 + 1/5.2) / 2, and the rest is shared equally."""
    happy = (4 / 7 + 1 / 5.2) / 2
    counts = Counter(label for _, label in labelled["classification"])
    expected = [1200 * p for p in (happy, *[(1 - happy) / 3] * 3)]
    assert chisquare([counts[label] for label in range(4)], expected).pvalue > 1e-3


def test_labels_of_moods(labelled):
    for (text,), label in labelled["classification"]:
        hero, animal = read_opening(text)
        check_homecoming(text, animal)
        she = PRONOUN[hero]
        told = re.search(
            rf"(?:{she.capitalize()} (?:was|felt)|All day {she} was) (\w+)(?: and (\w+))?\.$", text
        ).groups()
        assert all(LEXICON.moods[label].name in MOODS_OF[word] for word in told if word)


def test_labels_of_similarity(labelled):
    for parts, label in labelled["similarity"]:
        (first, adjective), (second, other) = (re.fullmatch(r"(\w+) was (\w+)\.", part).groups() for part in parts)
        assert first != second and adjective != other
        assert could_be(label == 1, MOODS_OF[adjective], MOODS_OF[other])


def test_labels_of_multiple_choice(labelled):
    for (context, *endings), label in labelled["multiple choice"]:
        hero, _ = read_opening(context)
        thing = re.search(r" The (\w+) was \w+\.", context).group(1)
        verbs = [
            re.fullmatch(rf" (?:In the end|At last) {hero} (\w+) and \w+ the {thing}\.", e).group(1) for e in endings
        ]
        right, wrong = MOOD_OF_REACTION[verbs[label]], MOOD_OF_REACTION[verbs[1 - label]]
        assert right != wrong
        assert check_mood(context + endings[label], hero) == {right}


def test_labels_of_entailment(labelled):
    met = Counter()
    for (premise, hypothesis), label in labelled["entailment"]:
        hero, animal = read_opening(premise)
        place, feeling = (
            re.search(pattern, premise) for pattern in (r"went to the (\w+)\.$", r"(?:She|He) was (\w+)\.$")
        )
        claims_home = [phrase in hypothesis for phrase in (*AT_HOME, *AWAY)]
        assert set(re.findall(r"\b(she|he)\b", (premise + hypothesis).lower())) <= {PRONOUN[hero]}
        if place and any(claims_home):
            true = any(claims_home[:3]) == (ANIMALS[animal].home == place.group(1))
            assert label == (0 if true else 1)
            met["place", label] += 1
        elif feeling and not any(claims_home):
            adjective = re.fullmatch(r" (?:She|He) was (\w+)\.", hypothesis).group(1)
            assert label < 2 and could_be(label == 0, MOODS_OF[feeling.group(1)], MOODS_OF[adjective])
            met["mood", label] += 1
        else:
            assert label == 2
            met["neutral", label] += 1
    assert len(met) == 5 and min(met.values()) > 100


def test_the_label_is_what_the_program_returns():
    for task, program in story_tasks.TASKS.items():
        for parts, label in story_tasks.labelled(task, 30, random.Random(8)):
            assert grammar.score(program, "\n".join(parts)).by_value.get(label, -math.inf) > -math.inf


def test_unknown_tasks():
    with pytest.raises(ValueError, match="among .*'entailment'.*got 'poetry'"):
        story_tasks.labelled("poetry", 1, random.Random(0))
