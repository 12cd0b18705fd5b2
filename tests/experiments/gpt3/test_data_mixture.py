"""A mixture of a noisy and a clean source: the noise, and how often each source is drawn."""

import math
import random
from unittest import mock

import numpy as np
import pytest

from minigpt.experiments.gpt3 import data_mixture
from minigpt.worlds import grammar, stories

pytestmark = pytest.mark.slow

N_CRAWL, N_CLEAN, N_DRAWN = 400, 50, 3000


@pytest.fixture(scope="module")
def mixture():
    with mock.patch.object(data_mixture, "N_HELD_OUT", 30):
        return data_mixture.mixed_dataset(0.6, 0, N_CRAWL, N_CLEAN, N_DRAWN)


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


def test_a_mixture_is_drawn_by_weight(mixture):
    data, order = mixture
    assert len(data.documents) == N_DRAWN
    assert abs(order.shares[1] - 0.6) < 5 * math.sqrt(0.24 / N_DRAWN)
    assert order.epochs == pytest.approx(
        [(1 - order.shares[1]) * N_DRAWN / N_CRAWL, order.shares[1] * N_DRAWN / N_CLEAN]
    )
    clean = sum(grammar.score(data.program, text).logp > -np.inf for text in data.documents[:150])
    assert abs(clean - 90) < 5 * 6  # noise spoils nearly every document of the crawl


def test_what_is_read_is_what_was_drawn_and_held_out_text_is_clean(mixture):
    data, _ = mixture
    assert [data.tokenizer.decode(data.corpus.document(i).tolist()) for i in range(20)] == data.documents[:20]
    assert not set(data.held_out) & set(data.documents)
    assert all(grammar.score(data.program, text).logp > -np.inf for text in data.held_out)


def test_at_full_size_the_first_weight_is_the_share_of_the_clean_source():
    share = data_mixture.N_CLEAN / (data_mixture.N_CLEAN + data_mixture.N_CRAWL)
    assert data_mixture.CLEAN_WEIGHTS[0] == round(share, 3) and data_mixture.N_DRAWN == data_mixture.N_CRAWL
