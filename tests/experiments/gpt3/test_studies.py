"""The corpora of chapter 03's smaller experiments are what they say they are."""

import math
import random

import numpy as np
import pytest

from minigpt.experiments.gpt3 import compute, data_mixture, gender_bias
from minigpt.worlds import grammar, stories


def test_every_width_has_a_model_and_others_are_refused():
    for d in compute.WIDTHS:
        config = compute.gpt_of_width(d)
        assert config.d_model == d and config.norm == "pre" and config.init_std == pytest.approx(d**-0.5, abs=1e-4)
    with pytest.raises(ValueError, match="expected a width among .*; got 20"):
        compute.gpt_of_width(20)


def test_noise_exchanges_as_many_words_as_it_says_and_nothing_else():
    rng = random.Random(0)
    texts = list(stories.documents(60, random.Random(1), stories.STORYBOOK))
    changed = total = 0
    for text in texts:
        before, after = grammar.words(text), grammar.words(data_mixture.noisy(text, rng))
        assert len(before) == len(after)
        for a, b in zip(before, after):
            assert a == b or (a[0] == b[0] == " ")
            total += a[0] == " "
            changed += a != b
    expected = data_mixture.NOISE * total
    assert abs(changed - expected) < 5 * math.sqrt(expected) + 0.02 * expected  # now and then a word is drawn again
    assert data_mixture.noisy(texts[0], rng, 0.0) == texts[0]


def test_planted_probabilities_are_those_of_the_grammar():
    for name, p in gender_bias.PLANTED.items():
        next_word = grammar.predict(gender_bias.occupations, f"The {name} said that").next_word
        assert next_word == pytest.approx({" she": p, " he": 1 - p})
    start = grammar.predict(gender_bias.occupations, "The").next_word
    assert start[" nurse"] == pytest.approx(10 * start[" dancer"])


def test_the_slope_of_the_log_odds():
    odds = {n: math.log(p / (1 - p)) for n, p in gender_bias.PLANTED.items()}
    for slope in (0.5, 1.0, 2.0):
        found = {n: 1 / (1 + math.exp(-slope * x - 0.1)) for n, x in odds.items()}
        assert gender_bias.recovered(found) == pytest.approx(slope)
        assert gender_bias.recovered(found, gender_bias.RARE) == pytest.approx(slope)


def test_what_was_drawn_is_counted():
    library = gender_bias.bias_dataset("little text", 0)
    counted = gender_bias.counted(library)
    text = "\n".join(library.documents)
    she = sum(text.count(f"The nurse {verb} that she") for verb in ("said", "thought", "knew"))
    he = sum(text.count(f"The nurse {verb} that he") for verb in ("said", "thought", "knew"))
    assert counted["nurse"] == pytest.approx(she / (she + he))


def test_a_mixture_is_drawn_by_weight():
    library, order = data_mixture.mixed(0.6, 0)
    n = data_mixture.N_READ
    assert len(library.documents) == n
    assert abs(order.shares[1] - 0.6) < 5 * math.sqrt(0.24 / n)
    assert order.epochs == pytest.approx(
        [(1 - order.shares[1]) * n / data_mixture.N_CRAWL, order.shares[1] * n / data_mixture.N_CLEAN]
    )
    clean = sum(grammar.score(library.program, text).logp > -np.inf for text in library.documents[:150])
    assert abs(clean - 90) < 5 * 6  # noise spoils nearly every document of the crawl
