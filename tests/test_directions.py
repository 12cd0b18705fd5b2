"""Two languages in any balance: what is written, what never is, and what is asked."""

import math
import random
from collections import Counter

import pytest
import torch

from minigpt import directions as d
from minigpt import grammar


def draw(balance, typical, n=1500):
    rng = random.Random(2)
    return [grammar.sample(d.program(d.BALANCES[balance], typical), rng) for _ in range(n)]


@pytest.mark.parametrize("balance", d.BALANCES)
def test_kinds_of_document_have_their_shares(balance):
    kinds = Counter(kind for _, kind in draw(balance, 0.9))
    for kind, share in zip(("words", "sentences", *d.LANGUAGES), d.BALANCES[balance]):
        assert abs(kinds[kind] - 1500 * share) < 5 * math.sqrt(1500 * share) + 1


def test_new_animals_occur_alone_but_never_in_a_translated_sentence():
    names = {what.name for what in d.NEW} | {what.french for what in d.NEW}
    rng = random.Random(3)
    drawn = [grammar.sample(d.program((0.2, 0.4, 0.2, 0.2), 0.5), rng) for _ in range(2000)]
    told = {kind: {w for text, k in drawn if k == kind for w in text.replace("'", " ").split()} for _, kind in drawn}
    assert not names & told["sentences"]
    assert names <= told["words"]
    assert {what.name for what in d.NEW} <= told["English"]
    assert {what.french for what in d.NEW} <= told["French"]


def test_sentences_by_hand():
    whale = next(animal for animal in d.ANIMALS if animal.name == "whale")
    bee = next(animal for animal in d.ANIMALS if animal.name == "bee")
    verb, thing = d.usual(whale)
    assert d.sentence("English", whale, verb, thing) == "the whale broke a bottle"
    assert d.sentence("French", whale, verb, thing) == "la baleine a cassé une bouteille"
    assert d.words("French", bee) == "l'abeille"


def test_what_is_a_sentence_and_what_is_none():
    assert d.is_sentence("the owl saw a hat", "English")
    assert d.is_sentence("l'ours a vu un chapeau", "French")
    for text in ("the owl saw", "le ours a vu un chapeau", "la hibou a vu un chapeau", "the owl a vu un chapeau", ""):
        assert not d.is_sentence(text, "French")
        assert not d.is_sentence(text, "English")


@pytest.mark.parametrize("typical", [0.0, 0.9])
def test_the_usual_deed_has_the_probability_that_is_said(typical):
    fox = d.ANIMALS[0]
    verb, thing = d.usual(fox)
    probabilities = d.weights(d.VERBS, verb, typical)
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities[d.VERBS.index(verb)] == pytest.approx(typical + (1 - typical) / len(d.VERBS))
    after = grammar.predict(d.program((0, 0, 1, 0), typical), f"the {fox.name}").next_word
    assert after[f" {verb[0]}"] == pytest.approx(probabilities[d.VERBS.index(verb)])


@pytest.mark.parametrize("into", d.LANGUAGES)
def test_questions_are_about_new_animals_and_right_in_the_other_language(into):
    asked = d.questions(into, 0.9, 40)
    source = d.LANGUAGES[into == "English"]
    by_name = {d.words(source, animal): animal for animal in d.NEW}
    for prompt, answer in asked:
        assert d.is_sentence(prompt.removesuffix(" ="), source)
        assert d.is_sentence(answer[1:], into)
        animal = next(animal for name, animal in by_name.items() if prompt.startswith(name))
        assert answer[1:].startswith(d.words(into, animal))
    assert asked == d.questions(into, 0.9, 40)


def test_the_share_of_english_by_hand():
    documents = ["the fox = le renard\na book = un livre", "the fox saw a hat\nthe owl won a cup"]
    assert d.english(documents) == pytest.approx(4 / 6)


def test_an_unknown_balance_is_named():
    with pytest.raises(ValueError, match="mostly English.*got 'Danish'"):
        d.library("Danish", 0.9)


class Echo:
    """Stands for a model that always says the same."""


def test_scores_of_a_model_that_knows_and_of_one_that_does_not(monkeypatch):
    answers = dict(d.questions("French", 0.9, 150))
    monkeypatch.setattr(d.classroom, "continuation_logps", lambda *_: torch.tensor([-2.0]))

    class Some:
        tokenizer = None

    monkeypatch.setattr(d.zeroshot, "write_answers", lambda gpt, tok, prompts, n: [answers[p] for p in prompts])
    assert d.translate(Echo(), Some(), "French", 0.9) == {"whole": 1.0, "nats": 2.0, "fluent": 1.0}
    monkeypatch.setattr(d.zeroshot, "write_answers", lambda gpt, tok, prompts, n: [" the owl saw a hat"] * len(prompts))
    assert d.translate(Echo(), Some(), "French", 0.9) == {"whole": 0.0, "nats": 2.0, "fluent": 0.0}
