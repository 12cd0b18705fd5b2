"""The encyclopedia against sums over everything it can say, and against its own samples."""

import math

import numpy as np
import pytest

from minigpt.worlds import facts


@pytest.fixture(scope="module")
def tiny():
    return facts.draw_encyclopedia(4, zipf=1.0, right=0.8, seed=1)


def test_fame_follows_zipfs_law(tiny):
    ranked = tiny.fame[tiny.by_fame]
    assert ranked.sum() == pytest.approx(1)
    assert ranked[0] / ranked == pytest.approx(np.arange(1, 17))
    assert np.allclose(facts.draw_encyclopedia(4, zipf=0.0).fame, 1 / 16)


def test_probabilities_of_all_entries_add_to_one(tiny):
    entries = np.array([(a, b, v) for a in range(4) for b in range(4) for v in range(4)])
    logps = tiny.logps(entries)
    assert np.exp(logps.sum(axis=1)).sum() == pytest.approx(1)
    after_first = [np.exp(logps[entries[:, 0] == a, 1:].sum(axis=1)).sum() for a in range(4)]
    assert after_first == pytest.approx([1] * 4)


def test_the_entropy_is_that_of_the_list(tiny):
    entries = np.array([(a, b, v) for a in range(4) for b in range(4) for v in range(4)])
    logp = tiny.logps(entries).sum(axis=1)
    assert tiny.entropy == pytest.approx(-(np.exp(logp) * logp).sum() / 3)


def test_samples_have_the_probabilities_that_are_claimed(tiny):
    texts = tiny.draw(4000, 10, np.random.default_rng(0))
    assert -tiny.logps(texts).mean() == pytest.approx(tiny.entropy, abs=4 * tiny.logps(texts).std() / math.sqrt(40_000))
    a, b, v = np.moveaxis(texts.reshape(-1, 3), 1, 0)
    famous = tiny.by_fame[0]
    mine = a * 4 + b == famous
    assert mine.mean() == pytest.approx(tiny.fame[famous], abs=0.01)
    assert (v[mine] == tiny.values[famous]).mean() == pytest.approx(0.8 + 0.2 / 4, abs=0.02)


def test_without_errors_a_wrong_value_is_impossible():
    book = facts.draw_encyclopedia(4, right=1.0)
    entry = np.array([[0, 1, (book.values[1] + 1) % 4]])
    assert book.logps(entry)[0, 2] == -np.inf
    assert np.isfinite(book.entropy)
    assert np.isfinite(book.logps(book.draw(50, 3, np.random.default_rng(0)))).all()


def test_the_same_generator_draws_the_same_texts(tiny):
    one, two = (tiny.draw(5, 4, np.random.default_rng(3)) for _ in range(2))
    assert one.shape == (5, 12)
    assert (one == two).all()


def test_misprints_are_what_they_are_said_to_be():
    book = facts.draw_encyclopedia(256)
    keys = book.misprints(40)
    assert len(set(keys.tolist())) == 40
    usual = book.usual_value(keys)
    for key, value in zip(keys, usual):
        same = [k for k in range(256**2) if k % 256 == key % 256]
        source = max(same, key=lambda k: book.fame[k])
        assert value == book.values[source] != book.values[key]
        assert book.fame[source] >= 4 * book.fame[key]
    with pytest.raises(ValueError, match="could be misprinted"):
        book.misprints(5000)


def test_words_can_be_read_and_are_all_different(tiny):
    book = facts.draw_encyclopedia(256)
    names = [book.word(i) for i in range(256)]
    assert len(set(names)) == 256
    assert {len(name) for name in names} == {4}
    assert book.decode(np.array([0, 17, 1])) == "baba cece: bace"
    with pytest.raises(ValueError, match="from 0 to 255"):
        book.word(256)


@pytest.mark.parametrize("settings, match", [
    ({"n_words": 1}, "2 words"), ({"n_words": 2.5}, "2 words"), ({"zipf": -1}, "at least 0"),
    ({"zipf": float("nan")}, "at least 0"), ({"right": 0}, "above 0"), ({"right": 1.5}, "at most 1"),
])  # fmt: skip
def test_bad_settings(settings, match):
    with pytest.raises(ValueError, match=match):
        facts.draw_encyclopedia(**settings)


def test_half_an_entry_has_no_probability(tiny):
    with pytest.raises(ValueError, match="whole entries"):
        tiny.logps(np.zeros((1, 4), int))
