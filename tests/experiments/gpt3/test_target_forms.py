"""Forms of the target language: arbitrary, even, independent, and told by running text alone."""

import math
import random
from collections import Counter

import pytest
import torch

from minigpt.experiments import canaries
from minigpt.experiments.gpt3 import target_forms as forms
from minigpt.worlds import grammar


def test_each_form_has_six_things_and_the_other_language_tells_nothing():
    both = Counter((forms.form_of("English", thing), forms.form_of("French", thing)) for thing in forms.THINGS)
    for language, number in (("English", 0), ("French", 1)):
        each = Counter(forms.form_of(language, thing) for thing in forms.THINGS)
        assert set(each.values()) == {6} and len(each) == 4
        assert set(Counter(forms.form_of(language, thing) for thing in forms.NEW).values()) == {2}
    joint = sum(n * math.log(n * 24 / (a * b)) for n, a, b in (
        (n, *(sum(m for pair, m in both.items() if pair[i] == key[i]) for i in (0, 1))) for key, n in both.items()
    )) / 24  # fmt: skip
    assert joint < 0.06  # mutual information in nats
    assert max(both.values()) == 2


def test_a_new_thing_has_no_form_in_what_is_translated():
    rng = random.Random(0)
    texts = {"sentences": [], "words": [], "English": [], "French": []}
    for _ in range(800):
        text, kind = grammar.sample(forms.program((0.25, 0.25, 0.25, 0.25)), rng)
        texts[kind].append(text)
    for language in forms.LANGUAGES:
        for thing in forms.NEW:
            said = forms.thing_phrase(language, thing)
            assert not any(said in text for kind in ("sentences", "words") for text in texts[kind])
            assert any(said in text for text in texts[language])
    assert all(" of " not in text and " genre " not in text for text in texts["words"])


def test_sentences_are_scored_exactly():
    animal, verb, thing = forms.ANIMALS[0], forms.VERBS[1], forms.NEW[0]
    text = forms.sentence("English", animal, verb, thing)
    alone = grammar.score(forms.program((0, 0, 1, 0)), "\n".join([text] * 3))
    assert alone.logp == pytest.approx(-3 * math.log(24 * len(forms.VERBS) * 24))
    assert forms.sentence("English", animal, verb, thing, "a kind of").endswith(f"a kind of {thing.name}")


def test_scores_of_a_model_that_writes_what_it_should_but_for_the_form(monkeypatch):
    with canaries.short_writing(60, 6):
        data = forms.two_language_dataset("half and half")
    asked = forms.questions("French", 8)
    said = [f" {forms.sentence('French', *told, forms.FORMS['French'][0])}" for _, told in asked]
    said[0] = " rien"
    monkeypatch.setattr(forms.zero_shot, "write_answers", lambda *args: said)
    found = forms.scores(forms.GPT(forms.sizes.gpt2(64), torch.Generator().manual_seed(0)), data, "French", 8)
    first = [forms.form_of("French", told[2]) == forms.FORMS["French"][0] for _, told in asked[1:]]
    assert found["content"] == 7 / 8 and found["whole"] == sum(first) / 8 < 7 / 8


def test_an_unknown_balance_is_an_error():
    with pytest.raises(ValueError, match="expected a balance among"):
        forms.two_language_dataset("mostly Latin")
