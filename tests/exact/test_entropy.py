"""Entropies, n-grams and Bayes classifiers against scipy, by hand, by counting and by listing all documents."""

import math
import random
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from minigpt.exact.entropy import (
    bits,
    bits_per_byte,
    cross_entropy,
    document_nats,
    entropy,
    floor,
    gap,
    kl_divergence,
    perplexity,
    word_nats,
)
from minigpt.stats import Estimate
from minigpt.worlds import grammar, stories

pytestmark = pytest.mark.xdist_group("entropy")  # slow tests and others predict the same documents


def rows(n=20, size=6):
    """Pairs of random distributions, some with zeros in p."""
    rng = np.random.default_rng(7)
    for number in range(n):
        p, q = rng.dirichlet(np.full(size, 0.7), 2)
        if number % 3 == 0:
            p = np.where(np.arange(size) < 2, 0.0, p)
            p /= p.sum()
        yield p, q


# --- measures of surprise -------------------------------------------------------------------------------------------


def test_entropies_against_scipy():
    for p, q in rows():
        assert entropy(p) == pytest.approx(stats.entropy(p), abs=1e-12)
        assert kl_divergence(p, q) == pytest.approx(stats.entropy(p, q), abs=1e-12)
        assert cross_entropy(p, q) == pytest.approx(stats.entropy(p) + stats.entropy(p, q), abs=1e-12)
        assert kl_divergence(p, q) > 0 and kl_divergence(p, p) == 0


def test_dictionaries_and_sequences_say_the_same():
    for p, q in rows(6):
        names = list("abcdef")
        shuffled = dict(random.Random(0).sample(list(zip(names, q, strict=True)), len(q)))
        as_dictionary = dict(zip(names, p, strict=True))
        assert cross_entropy(as_dictionary, shuffled) == pytest.approx(cross_entropy(p, q))
        assert kl_divergence(list(p), tuple(q)) == pytest.approx(kl_divergence(p, q))
    assert cross_entropy({"sun": 1.0}, {"rain": 0.5, "sun": 0.5}) == pytest.approx(math.log(2))


def test_something_happens_that_was_ruled_out():
    assert cross_entropy([0.5, 0.5], [1.0, 0.0]) == kl_divergence([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert cross_entropy({"snow": 1.0}, {"sun": 1.0}) == math.inf
    assert cross_entropy([1.0, 0.0], [1.0, 0.0]) == kl_divergence([1.0, 0.0], [1.0, 0.0]) == 0.0
    assert math.copysign(1, entropy([1.0])) == 1  # 0.0, not -0.0


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([0.5, 0.4], [0.5, 0.5], "sum 0.9"),
        ([1.5, -0.5], [0.5, 0.5], "smallest -0.5"),
        ([0.5, 0.5], [0.5, float("nan")], "one row of probabilities"),
        ([[0.5, 0.5]], [[0.5, 0.5]], r"shape \(1, 2\)"),
        ([0.5, 0.5], [0.2, 0.3, 0.5], "got 2 and 3"),
        ({"a": 1.0}, [1.0], "one of each"),
        ([], [], "sum 0"),
        ([0.5, 0.501], [0.5, 0.5], "sum 1.001"),
        ([9e307, 9e307], [0.5, 0.5], "sum inf"),
    ],
)
def test_bad_distributions(p, q, message):
    for measure in (cross_entropy, kl_divergence):
        with pytest.raises(ValueError, match=message):
            measure(p, q)


def test_units():
    assert perplexity(1000.0) == math.inf
    assert perplexity(entropy([1 / 7] * 7)) == pytest.approx(7)
    assert bits(entropy([1 / 16] * 16)) == pytest.approx(4)
    assert bits_per_byte(entropy([1 / 256] * 256), 1) == pytest.approx(8)  # one byte of noise
    text = "une chèvre"  # 10 letters, 11 bytes
    assert bits_per_byte(22 * math.log(2), len(text.encode("utf-8"))) == pytest.approx(2)
    for wrong in (0, -3):
        with pytest.raises(ValueError, match=f"bytes of text; got {wrong}"):
            bits_per_byte(1.0, wrong)


# --- estimates from documents ---------------------------------------------------------------------------------------


def documents_of(n, seed):
    """Nats and tokens of n made-up documents: the longer ones are a little less surprising per token."""
    rng = np.random.default_rng(seed)
    tokens_each = rng.integers(4, 60, n)
    return rng.gamma(2.0, 0.3 * tokens_each**0.9), tokens_each


def test_floor_by_hand():
    nats, n_tokens = [3.0, 5.0, 10.0], [4, 6, 8]
    estimate = floor(nats, n_tokens)
    ratio = 18 / 18
    squares = (3 - 4) ** 2 + (5 - 6) ** 2 + (10 - 8) ** 2
    assert estimate.mean == pytest.approx(ratio)
    assert estimate.half_width == pytest.approx(1.959964 * math.sqrt(3 / 2 * squares) / 18, rel=1e-6)
    assert estimate.low == estimate.mean - estimate.half_width and estimate.high == estimate.mean + estimate.half_width
    assert repr(Estimate(0.62504, 0.0123)) == "0.6250 ± 0.0123"


def test_with_documents_of_one_length_the_interval_is_that_of_a_mean():
    nats, _ = documents_of(200, 1)
    estimate = floor(nats, [5] * 200)
    expected = stats.norm.interval(0.95, loc=np.mean(nats / 5), scale=stats.sem(nats / 5))
    assert (estimate.low, estimate.high) == pytest.approx(expected)


def test_the_interval_agrees_with_the_bootstrap():
    nats, n_tokens = documents_of(400, 2)
    draws = np.random.default_rng(3).integers(0, 400, (4000, 400))
    ratios = nats[draws].sum(axis=1) / n_tokens[draws].sum(axis=1)
    estimate = floor(nats, n_tokens)
    assert estimate.half_width == pytest.approx(1.96 * ratios.std(), rel=0.05)
    assert (estimate.low, estimate.high) == pytest.approx(np.quantile(ratios, [0.025, 0.975]), abs=0.006)


def test_the_interval_contains_the_truth_19_times_in_20():
    nats, n_tokens = documents_of(100_000, 4)
    true = nats.sum() / n_tokens.sum()
    draws = np.random.default_rng(5).integers(0, len(nats), (1000, 150))
    estimates = [floor(nats[draw], n_tokens[draw]) for draw in draws]
    covered = sum(estimate.low <= true <= estimate.high for estimate in estimates)
    assert 920 <= covered <= 970


def test_a_gap_is_narrower_than_the_floors_it_lies_between():
    nats, n_tokens = documents_of(300, 6)
    model = nats + 0.1 * n_tokens + np.random.default_rng(7).normal(0, 0.5, 300)
    estimate = gap(model, nats, n_tokens)
    assert abs(estimate.mean - 0.1) < 2 * estimate.half_width
    assert estimate.mean == pytest.approx(floor(model, n_tokens).mean - floor(nats, n_tokens).mean)
    assert estimate.half_width < floor(nats, n_tokens).half_width / 10
    assert gap(nats, nats, n_tokens) == Estimate(0.0, 0.0)


@pytest.mark.parametrize(
    ("nats", "n_tokens", "message"),
    [
        ([1.0], [1], "2 or more documents"),
        ([1.0, 2.0], [1, 2, 3], r"\(2,\) and \(3,\)"),
        ([[1.0, 2.0]], [[1, 2]], "same 2 or more documents"),
        ([1.0, math.inf], [1, 2], "finite nats"),
        ([1.0, 2.0], [1, 0], "at least one token"),
    ],
)
def test_bad_estimates(nats, n_tokens, message):
    with pytest.raises(ValueError, match=message):
        floor(nats, n_tokens)
    with pytest.raises(ValueError, match=message):
        gap(nats, np.zeros_like(nats), n_tokens)


def test_gap_of_different_documents():
    with pytest.raises(ValueError, match=r"same documents; got \(2,\) and \(3,\)"):
        gap([1.0, 2.0], [1.0, 2.0, 3.0], [1, 1])


# --- documents of the world -----------------------------------------------------------------------------------------


def two_lines(d):
    for number in range(d.hidden((1, 2), (3, 1))):
        d.pick(("\na fox" if number else "a fox", "\nan owl" if number else "an owl"), (2, 1))


def test_document_nats_by_hand_and_word_by_word():
    documents = ["a fox", "an owl", "a fox\nan owl"]
    by_hand = [3 / 4 * 2 / 3, 3 / 4 * 1 / 3, 1 / 4 * 2 / 3 * 1 / 3]
    nats = document_nats(documents, two_lines)
    assert nats == pytest.approx(-np.log(by_hand)) and nats.dtype == np.float64
    for text, expected in zip(documents, nats, strict=True):
        told = word_nats(two_lines, text)
        assert "".join(word for word, _ in told) == text and told[-1][0] == grammar.END
        assert sum(surprise for _, surprise in told) == pytest.approx(expected)
    assert dict(word_nats(two_lines, "a fox"))[grammar.END] == pytest.approx(-math.log(3 / 4))


@pytest.mark.slow
def test_the_surprise_of_the_words_adds_up_to_that_of_the_document():
    program = stories.program(stories.EVERYTHING)
    for kind in stories.KINDS:
        [text] = stories.documents(1, random.Random(9), {kind: 1.0})
        [expected] = document_nats([text], program)
        told = word_nats(program, text)
        assert [word for word, _ in told] == [*grammar.words(text), ""]
        assert min(surprise for _, surprise in told) >= 0
        assert sum(surprise for _, surprise in told) == pytest.approx(expected)


def test_the_mean_surprise_is_the_entropy_of_a_small_grammar():
    """The entropy by listing every document; the mean surprise of drawn ones must agree."""
    exact = Counter()
    for text, probability, _ in grammar.documents(two_lines):
        exact[text] += probability
    rng = random.Random(1)
    drawn = document_nats([grammar.sample(two_lines, rng)[0] for _ in range(4000)], two_lines)
    assert stats.ttest_1samp(drawn, entropy(exact)).pvalue > 1e-3
    assert stats.ttest_1samp(drawn, 1.05 * entropy(exact)).pvalue < 1e-3  # and the test can tell 5 percent


@pytest.mark.parametrize(
    ("documents", "message"),
    [("a fox", r"\[text\]"), (["a fox", "a hen"], "not document 1: 'a hen'"), ([""], "not document 0")],
)
def test_documents_of_another_grammar(documents, message):
    with pytest.raises(ValueError, match=message):
        document_nats(documents, two_lines)


def test_word_nats_name_the_first_impossible_word():
    with pytest.raises(ValueError, match="' hen' cannot follow 'a'"):
        word_nats(two_lines, "a hen")
    with pytest.raises(ValueError, match="'' cannot follow 'a'"):
        word_nats(two_lines, "a")
