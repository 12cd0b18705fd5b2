"""The language of chapter 04: its probabilities by simulation, its utility by hand, its labelers by counting."""

import math
import random
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from minigpt.worlds import grammar, tales
from minigpt.worlds.tales import MOODS, Request, labeler_agreement, ranking, utility

WISH = Request(0, "sad", "fox", "bell")
GOOD = " Once a lonely fox went to the river. It lost a red bell. It was a rainy day. At last it wept."


def test_requests_are_split_once_and_for_all():
    training, test = tales.requests("training"), tales.requests("test")
    assert len(training) == 512 and len(test) == 256 and not set(training) & set(test)
    assert len({r.text for r in training + test}) == 768
    assert {len(grammar.words(r.text)) for r in training + test} == {11}
    for r in training[:20]:
        assert r.mood in r.text and r.animal in r.text and r.thing in r.text
    assert Counter(r.mood for r in test).keys() == set(MOODS)
    with pytest.raises(ValueError, match="training"):
        tales.requests("validation")


def test_every_document_can_be_scored_and_words_tell_one_mood_only():
    rng = random.Random(0)
    for _ in range(300):
        document, _ = grammar.sample(tales.text, rng)
        assert math.isfinite(grammar.score(tales.text, document).logp)
    assert len(tales.MOOD_OF) == sum(
        len(words)
        for table in (tales.TRAITS, tales.DEEDS, tales.WEATHERS, tales.FEELINGS, tales.REACTIONS)
        for words in table.values()
    )


def test_demonstrations_obey_as_often_as_they_should():
    rng, seen = random.Random(1), []
    for _ in range(3000):
        wish = rng.choice(tales.requests("training"))
        answer = grammar.sample(tales.demonstration(wish), rng)[0]
        assert answer.startswith(" Once a") and math.isfinite(grammar.score(tales.demonstration(wish), answer).logp)
        seen.append(utility(wish, answer))
    for share, expected in ((np.mean([u.animal for u in seen]), 0.8), (np.mean([u.thing for u in seen]), 0.8)):
        assert abs(share - expected) < 4 * math.sqrt(0.16 / 3000)
    assert np.mean([u.mood for u in seen]) == pytest.approx(0.75, abs=0.02)
    assert all(u.well_formed for u in seen) and max(u.total for u in seen) <= 6


@pytest.mark.parametrize(("answer", "expected"), [
    (GOOD, (True, True, 1.0, 1, 0, True, 5.5)),
    (GOOD.replace("fox", "wolf"), (False, True, 1.0, 1, 0, True, 4.0)),
    (GOOD.replace("bell", "hat"), (True, False, 1.0, 1, 0, True, 4.0)),
    (GOOD.replace("wept", "sang"), (True, True, 0.75, 1, 0, True, 5.0)),
    (GOOD.replace(" It was a rainy day.", ""), (True, True, 1.0, 0, 0, True, 5.0)),
    (GOOD.replace(" At last", " It felt mad. It felt mad. At last"), (True, True, 4 / 6, 3, 1, True, 4 + 1 / 3)),
    (GOOD.replace(" At last it wept.", ""), (True, True, 1.0, 1, 0, False, 3.5)),
    ("", (False, False, 0.0, 0, 0, False, -2.0)),
])  # fmt: skip
def test_utility_by_hand(answer, expected):
    u = utility(WISH, answer)
    assert (u.animal, u.thing, u.extras, u.repeats, u.well_formed) == (*expected[:2], *expected[3:6])
    assert (u.mood, u.total) == pytest.approx((expected[2], expected[6]))


def test_pairs_are_ranked_as_bradley_and_terry_say():
    rng, utilities, noise = random.Random(2), [0.0, 0.5, 2.0], 0.7
    n, first = 4000, Counter()
    for _ in range(n):
        ranks = ranking(utilities, noise, rng)
        assert sorted(ranks) == [1, 2, 3]
        first.update((i, j) for i, j in combinations(range(3), 2) if ranks[i] < ranks[j])
    for i, j in combinations(range(3), 2):
        p = 1 / (1 + math.exp(-(utilities[i] - utilities[j]) / noise))
        assert abs(first[i, j] / n - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_two_labelers_agree_as_often_as_is_computed():
    rng, utilities = random.Random(3), list(np.random.default_rng(0).normal(size=6))
    same, n = 0, 0
    for _ in range(2000):
        a, b = ranking(utilities, 0.8, rng), ranking(utilities, 0.8, rng)
        for i, j in combinations(range(6), 2):
            same, n = same + ((a[i] < a[j]) == (b[i] < b[j])), n + 1
    assert same / n == pytest.approx(labeler_agreement(utilities, 0.8), abs=0.015)
    assert labeler_agreement([0.0, 0.0], 1.0) == 0.5 and labeler_agreement([0.0, 99.0], 0.1) == pytest.approx(1)


def test_ties():
    assert ranking([1.0, 1.0, 50.0], 0.01, random.Random(0), tie=1.0) == (2, 2, 1)
    for bad in (lambda: ranking([1.0], 1.0, random.Random(0)), lambda: ranking([1.0, 2.0], 0.0, random.Random(0))):
        with pytest.raises(ValueError, match="expected"):
            bad()
