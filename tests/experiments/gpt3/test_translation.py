"""Two languages in any balance: what is written, what never is, and what is asked."""

import math
import random
from collections import Counter, defaultdict

import pytest
import torch

from minigpt.experiments.gpt3 import translation
from minigpt.worlds import grammar


def draw(balance, typical, n=1500):
    rng = random.Random(2)
    return [grammar.sample(translation.program(translation.BALANCES[balance], typical), rng) for _ in range(n)]


@pytest.mark.parametrize("balance", translation.BALANCES)
def test_kinds_of_document_have_their_shares(balance):
    kinds = Counter(kind for _, kind in draw(balance, 0.9))
    for kind, share in zip(("words", "sentences", *translation.LANGUAGES), translation.BALANCES[balance]):
        assert abs(kinds[kind] - 1500 * share) < 5 * math.sqrt(1500 * share) + 1


@pytest.mark.slow
def test_new_animals_occur_alone_but_never_in_a_translated_sentence():
    names = {what.name for what in translation.NEW} | {what.french for what in translation.NEW}
    rng = random.Random(3)
    drawn = [grammar.sample(translation.program((0.2, 0.4, 0.2, 0.2), 0.5), rng) for _ in range(2000)]
    words_of = defaultdict(set)
    for text, kind in drawn:
        words_of[kind].update(text.replace("'", " ").split())
    assert not names & words_of["sentences"]
    assert names <= words_of["words"]
    assert {what.name for what in translation.NEW} <= words_of["English"]
    assert {what.french for what in translation.NEW} <= words_of["French"]


def test_sentences_by_hand():
    whale = next(animal for animal in translation.ANIMALS if animal.name == "whale")
    bee = next(animal for animal in translation.ANIMALS if animal.name == "bee")
    verb, thing = translation.usual_action(whale)
    assert translation.sentence("English", whale, verb, thing) == "the whale broke a bottle"
    assert translation.sentence("French", whale, verb, thing) == "la baleine a cassé une bouteille"
    assert translation.phrase("French", bee) == "l'abeille"


def test_what_is_a_sentence_and_what_is_none():
    assert translation.is_sentence("the owl saw a hat", "English")
    assert translation.is_sentence("l'ours a vu un chapeau", "French")
    for text in ("the owl saw", "le ours a vu un chapeau", "la hibou a vu un chapeau", "the owl a vu un chapeau", ""):
        assert not translation.is_sentence(text, "French")
        assert not translation.is_sentence(text, "English")


@pytest.mark.parametrize("typical", [0.0, 0.9])
def test_the_usual_action_has_the_probability_that_is_said(typical):
    fox = translation.ANIMALS[0]
    verb, thing = translation.usual_action(fox)
    probabilities, i = translation.probabilities(translation.VERBS, verb, typical), translation.VERBS.index(verb)
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities[i] == pytest.approx(typical + (1 - typical) / len(translation.VERBS))
    after = grammar.predict(translation.program((0, 0, 1, 0), typical), f"the {fox.name}").next_word
    assert after[f" {verb[0]}"] == pytest.approx(probabilities[i])


@pytest.mark.parametrize("into", translation.LANGUAGES)
def test_questions_are_about_new_animals_and_right_in_the_other_language(into):
    asked = translation.questions(into, 0.9, 40)
    source = translation.LANGUAGES[into == "English"]
    by_name = {translation.phrase(source, animal): animal for animal in translation.NEW}
    for prompt, answer in asked:
        assert translation.is_sentence(prompt.removesuffix(" ="), source)
        assert translation.is_sentence(answer[1:], into)
        animal = next(animal for name, animal in by_name.items() if prompt.startswith(name))
        assert answer[1:].startswith(translation.phrase(into, animal))
    assert asked == translation.questions(into, 0.9, 40)


def test_the_share_of_english_by_hand():
    documents = ["the fox = le renard\na book = un livre", "the fox saw a hat\nthe owl won a cup"]
    assert translation.share_of_english(documents) == pytest.approx(4 / 6)


def test_an_unknown_balance_is_named():
    with pytest.raises(ValueError, match="mostly English.*got 'Danish'"):
        translation.two_language_dataset("Danish", 0.9)


def test_scores_of_a_model_that_knows_and_of_one_that_does_not(monkeypatch):
    answers = dict(translation.questions("French", 0.9, 150))
    monkeypatch.setattr(translation.sample, "continuation_logps", lambda *_: torch.tensor([-2.0]))

    class Some:
        tokenizer = None

    answer = lambda gpt, tok, prompts, n: [answers[p] for p in prompts]  # noqa: E731
    monkeypatch.setattr(translation.zero_shot, "write_answers", answer)
    assert translation.translation_scores(None, Some(), "French", 0.9) == {"whole": 1.0, "nats": 2.0, "fluent": 1.0}
    answer = lambda gpt, tok, prompts, n: [" the owl saw a hat"] * len(prompts)  # noqa: E731
    monkeypatch.setattr(translation.zero_shot, "write_answers", answer)
    assert translation.translation_scores(None, Some(), "French", 0.9) == {"whole": 0.0, "nats": 2.0, "fluent": 0.0}


def test_the_shortcut_is_right_as_often_as_animals_do_what_they_usually_do():
    rng = random.Random(5)
    said = [
        grammar.sample(lambda d: translation._sentence(d, translation.NEW, "English", 0.9, ""), rng)[1]
        for _ in range(3000)
    ]
    usual = sum(told[1:] == translation.usual_action(told[0]) for told in said) / len(said)
    assert translation.shortcut(0.9) == pytest.approx(usual, abs=0.025)
