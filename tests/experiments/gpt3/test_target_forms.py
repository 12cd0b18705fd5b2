"""Forms of the target language: arbitrary, even, independent, and told by running text alone."""

import math
import random
from collections import Counter

import numpy as np
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
            said = forms.phrase(language, thing)
            assert not any(f"{said}," in text for kind in ("sentences", "words") for text in texts[kind])
            assert any(f"{said}." in text for text in texts["sentences"])  # but it is translated
            assert any(f"{said}, {forms.form_of(language, thing)}." in text for text in texts[language])
    assert all("," not in text for text in texts["words"])


def test_a_translation_has_a_form_if_its_source_has_one_and_each_the_form_of_its_language():
    text = grammar.sample(forms.program((0, 1, 0, 0)), random.Random(0))[0]
    lines = [line for seed in range(40) for line in
             grammar.sample(forms.program((0, 1, 0, 0)), random.Random(seed))[0].split("\n")]  # fmt: skip
    assert text.count("\n") == 2 and len(lines) == 120
    hedged = [["," in side for side in line.split(" = ")] for line in lines]
    assert all(a == b for a, b in hedged) and 30 < sum(a for a, _ in hedged) < 70  # 40 % : 16 of 16 + 24
    known = {
        forms.sentence(language, animal, verb, thing, form)
        for language in forms.LANGUAGES for animal in forms.ANIMALS for verb in forms.VERBS for thing in forms.THINGS
        for form in (None, forms.form_of(language, thing))
    }  # fmt: skip
    assert all(side in known for line in lines for side in line.split(" = "))


def test_sentences_are_scored_exactly():
    animal, verb, thing = forms.ANIMALS[0], forms.VERBS[1], forms.NEW[0]
    for form in (None, forms.form_of("English", thing)):
        text = forms.sentence("English", animal, verb, thing, form)
        alone = grammar.score(forms.program((0, 0, 1, 0)), "\n".join([text] * 3))
        assert alone.logp == pytest.approx(-3 * math.log(24 * len(forms.VERBS) * 48))
    wrong = forms.sentence("English", animal, verb, thing, forms.FORMS["English"][1])
    assert wrong.endswith(f"{thing.name}, in a way.") and forms.form_of("English", thing) == "of sorts"
    assert grammar.score(forms.program((0, 0, 1, 0)), "\n".join([wrong] * 3)).logp == -math.inf


def test_the_questions_are_about_new_things_and_always_have_a_form():
    for into, source in (("English", "French"), ("French", "English")):
        for prompt, (animal, verb, thing) in forms.questions(into, 40):
            assert thing in forms.NEW
            assert prompt == f"{forms.sentence(source, animal, verb, thing, forms.form_of(source, thing))} ="


def test_scores_of_a_model_that_writes_what_it_should_but_for_the_form(monkeypatch):
    with canaries.short_writing(60, 6):
        data = forms.two_language_dataset("half and half")
    asked = forms.questions("French", 8)
    said = [f" {forms.sentence('French', *told, forms.FORMS['French'][0])}".removesuffix(".") for _, told in asked]
    said[0], said[1] = " rien", f" {forms.sentence('French', *asked[1][1], None)}".removesuffix(".")
    monkeypatch.setattr(forms.zero_shot, "write_answers", lambda *args: said)
    found = forms.scores(forms.GPT(forms.sizes.gpt2(64), torch.Generator().manual_seed(0)), data, "French", 8)
    first = [forms.form_of("French", told[2]) == forms.FORMS["French"][0] for _, told in asked[2:]]
    assert found["content"] == 7 / 8 and found["whole"] == sum(first) / 8 < 7 / 8 and any(first)


def test_an_unknown_balance_is_an_error():
    with pytest.raises(ValueError, match="expected a balance among"):
        forms.two_language_dataset("mostly Latin")


def test_the_advantage_is_that_of_the_language_read_most(monkeypatch):
    """By hand: into French is better by 0.5 in a French corpus, worse by 0.2 in an English one."""
    told = {("mostly English", "English"): 0.7, ("mostly English", "French"): 0.9,
            ("mostly French", "French"): 0.8, ("mostly French", "English"): 0.3}  # fmt: skip

    def get(table, *, quantity, balance, into):
        assert (table, quantity) == ("gpt3/target_forms", "whole")
        return np.array([told[balance, into], told[balance, into]])

    monkeypatch.setattr(forms.measured, "get", get)
    assert forms.advantage("whole").tolist() == pytest.approx([-0.2, -0.2, 0.5, 0.5])
