"""Counting on: named rules, their questions, and corpora that differ as they say."""

import random
import re
from collections import Counter

import numpy as np
import pytest

from minigpt.experiments.gpt3 import counting, in_context
from minigpt.worlds import grammar, in_context_lists


def test_a_named_list_says_its_rule_and_follows_it_as_often_as_it_should():
    rng, followed = random.Random(0), []
    for _ in range(200):
        text, rule = grammar.sample(in_context_lists.program("number", named=True), rng)
        n = int(re.fullmatch(r"count on by (\d): [\d ]+", text).group(1))
        digits = [int(word) for word in text.split(": ")[1].split()]
        assert rule == f"count on by {n}" and len(digits) == 34
        followed += [(x + n) % 10 == y for x, y in zip(digits[::2], digits[1::2])]
    assert np.mean(followed) == pytest.approx(0.8, abs=0.02)


def test_naming_the_rule_costs_its_choice_and_then_tells_it():
    text = "count on by 3: 1 4 2 5 9 2"
    named = grammar.score(in_context_lists.program("number", 3, named=True), text)
    assert named.logp == pytest.approx(np.log(1 / 9) + 3 * np.log(0.1) + 3 * np.log(0.8))
    assert named.posterior() == {"count on by 3": pytest.approx(1)}
    with pytest.raises(ValueError, match="whose rules have names"):
        in_context_lists.program("symbols", named=True)


def test_the_corpora_hold_what_their_names_say():
    for corpus, weights in counting.CORPORA.items():
        rng = random.Random(1)
        kinds = Counter(grammar.sample(counting.program(corpus), rng)[1] for _ in range(600))
        for kind, weight in zip(("number", "named", "symbols"), weights):
            assert kinds[kind] / 600 == pytest.approx(weight / sum(weights), abs=0.06)
    with pytest.raises(ValueError, match="expected a corpus among"):
        counting.program("digits")


def test_a_question_with_a_named_rule_has_one_right_answer():
    for question in counting.questions("named", 2, 40):
        n, *digits = (int(digit) for digit in re.findall(r"\d", question.text))
        assert len(digits) == 5 and question.answer == str((digits[-1] + n) % 10) and question.ceiling == 1
    assert counting.questions("silent", 2, 5) == in_context.questions("number", 2, 5)
    with pytest.raises(ValueError, match="expected a kind of question"):
        counting.questions("loud", 2)
