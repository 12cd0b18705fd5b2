"""The families' probabilities and the Bayes learner, against brute force over every rule."""

import itertools
import math
import random
from collections import Counter
from dataclasses import replace

import pytest

from minigpt.worlds import grammar, in_context_lists
from minigpt.worlds.lexicon import LEXICON


def small(monkeypatch, n_groups=2):
    """A lexicon of three adjectives and two colours, so that every list can be written down."""
    monkeypatch.setattr(in_context_lists, "N_WORDS", 3)
    monkeypatch.setattr(in_context_lists, "N_SYMBOLS", n_groups)
    return replace(LEXICON, colours=LEXICON.colours[:2])


def test_made_up_lists_have_the_probability_of_drawing_a_rule_first_and_pairs_by_it(monkeypatch):
    lexicon = small(monkeypatch)
    words, colours = lexicon.traits[:3], [c.name for c in lexicon.colours]
    by_hand = Counter()
    for chosen in itertools.combinations(words, 2):
        for labels in itertools.product(colours, repeat=2):
            rule = dict(zip(chosen, labels))
            for asked in itertools.product(chosen, repeat=3):
                text = "Examples:" + "".join(f" {word} {rule[word]}" for word in asked)
                by_hand[text] += 1 / 3 / 4 / 8
    program = in_context_lists.program("symbols", 3, "any", lexicon)
    listed = Counter()
    for text, probability, _ in grammar.documents(program):
        listed[text] += probability
    assert set(listed) == set(by_hand)
    for text, probability in by_hand.items():
        assert listed[text] == pytest.approx(probability)


def test_words_of_a_home_share_its_colour_and_homes_are_drawn_evenly():
    rng = random.Random(0)
    home = {x.name: x.home for x in LEXICON.animals}
    seen = Counter()
    for _ in range(400):
        text, rule = grammar.sample(in_context_lists.program("category"), rng)
        parts = text.split()[1:]
        pairs = list(zip(parts[::2], parts[1::2]))
        assert len(pairs) == in_context_lists.N_EXAMPLES
        assert all(dict(rule)[home[animal]] == colour for animal, colour in pairs)
        assert len({home[animal] for animal, _ in pairs}) <= 3
        seen[home[pairs[-1][0]]] += 1
    assert len(seen) == len(LEXICON.places)
    assert max(seen.values()) < 400 / 8 + 5 * math.sqrt(400 / 8)


@pytest.mark.slow
@pytest.mark.parametrize("family", in_context_lists.MADE_UP)
def test_held_out_pairs_never_occur_in_training_and_only_they_occur_else(family):
    def pairs_of(which):
        rng, found = random.Random(1), set()
        for _ in range(800):
            text, rule = grammar.sample(in_context_lists.program(family, which=which), rng)
            found |= set(rule)
        return found

    training, held_out, either = pairs_of("training"), pairs_of("held out"), pairs_of("any")
    assert not training & held_out
    assert training | held_out == either
    assert len(training) == 7 * len(held_out)


@pytest.mark.parametrize("family", ["relation", "language", "number"])
def test_bayes_learner_of_listed_rules_by_hand(family):
    """P(rule | pairs) is proportional to the product of each pair's share under it."""
    rules, inputs = in_context_lists.LISTED[family](LEXICON)
    r = in_context_lists.RELIABILITY[family]
    for question in in_context_lists.questions(family, 3, 20, random.Random(5)):
        parts = question.text.split()[1:]
        weight = {}
        for rule in rules:
            weight[rule] = 1.0
            for word, answer in zip(parts[:-1:2], parts[1::2]):
                shares = [r if other == rule else (1 - r) / (len(rules) - 1) for other in rules]
                weight[rule] *= sum(s for s, o in zip(shares, rules) if rules[o](inputs[word]) == answer)
        expected = Counter()
        for rule, value in weight.items():
            expected[rules[rule](inputs[parts[-1]])] += value / sum(weight.values())
        assert question.bayes == pytest.approx(expected)
        assert question.ceiling == max(question.bayes.values())


@pytest.mark.parametrize("which", ["training", "held out"])
def test_bayes_learner_of_made_up_rules_knows_what_was_shown_and_nothing_else(which):
    for question in in_context_lists.questions("symbols", 6, 40, random.Random(6), which):
        parts = question.text.split()[1:]
        assert question.shown == (parts[-1] in parts[:-1:2])
        if question.shown:
            assert question.bayes == pytest.approx({question.answer: 1.0})
        else:
            n_labels = 8 if which == "held out" else 7
            assert question.bayes == pytest.approx(dict.fromkeys(question.bayes, 1 / n_labels))
            assert len(question.bayes) == n_labels


@pytest.mark.slow
@pytest.mark.parametrize("family", in_context_lists.FAMILIES)
def test_the_best_guess_is_right_as_often_as_the_ceiling_says(family):
    asked = in_context_lists.questions(family, 4, 600, random.Random(7))
    right = sum(max(q.bayes, key=q.bayes.get) == q.answer for q in asked)
    expected = sum(q.ceiling for q in asked)
    spread = math.sqrt(sum(q.ceiling * (1 - q.ceiling) for q in asked))
    assert abs(right - expected) < 4 * spread + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("family", in_context_lists.FAMILIES)
def test_more_examples_help_the_best_reader(family):
    asked = [in_context_lists.questions(family, k, 80, random.Random(8)) for k in (0, 4, 16)]
    ceilings = [sum(question.ceiling for question in each) / 80 for each in asked]
    assert ceilings[0] + 0.1 < ceilings[1] < ceilings[2] <= 1 + 1e-12
    assert ceilings[2] > 0.95


def test_questions_say_what_was_wrong():
    with pytest.raises(ValueError, match="expected a family of .*'colour'"):
        in_context_lists.program("colour")
    with pytest.raises(ValueError, match="expected a family of"):
        in_context_lists.program("symbols", which="test")
    with pytest.raises(ValueError, match="held-out pairs"):
        in_context_lists.questions("relation", 1, 1, random.Random(0), "held out")


def test_a_mixture_has_the_families_of_its_weights():
    rng = random.Random(9)
    program = in_context_lists.mixture({"symbols": 3.0, "number": 1.0})
    told = Counter(grammar.sample(program, rng)[1] for _ in range(400))
    assert set(told) == {"symbols", "number"}
    assert abs(told["symbols"] - 300) < 5 * math.sqrt(400 * 0.75 * 0.25)
