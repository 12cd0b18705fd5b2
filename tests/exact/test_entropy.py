"""Entropies, n-grams and Bayes classifiers against scipy, by hand, by counting and by listing all documents."""

import math
import random
from collections import Counter
from functools import partial

import numpy as np
import pytest
from scipy import stats

from minigpt import corpus
from minigpt.corpus import Corpus
from minigpt.exact import bayes
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
from minigpt.exact.ngram import NGram
from minigpt.stats import Estimate
from minigpt.tokenizer import train_bpe
from minigpt.worlds import grammar, stories, story_tasks
from minigpt.worlds.lexicon import LEXICON, Character, Lexicon, Mood

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


# --- counting models ------------------------------------------------------------------------------------------------


def small_corpus(documents):
    ids = [id for document in documents for id in document]
    return Corpus(np.array(ids, dtype=np.uint16), np.cumsum([0, *map(len, documents)]))


DOCUMENTS = [[0, 1, 0, 2], [0, 1, 1], [3], [0, 1, 0, 1, 2, 2]]  # of 5 tokens; 4 ends a document


def by_counting(history, documents, n_vocab=5, eot=4):
    """P(w | history) by counting with dictionaries and the formula of the docstring; slow and plain."""
    n = len(history) + 1
    grams = Counter()
    for document in documents:
        text = [eot] * (n - 1) + document + [eot]
        grams.update(tuple(text[i - n + 1 : i + 1]) for i in range(n - 1, len(text)))
    counts = Counter(grams.values())
    D = counts[1] / (counts[1] + 2 * counts[2]) if counts[1] else 0.5
    shorter = by_counting(history[1:], documents, n_vocab, eot) if history else [1 / n_vocab] * n_vocab
    c_h = sum(c for gram, c in grams.items() if gram[:-1] == history)
    N_h = sum(1 for gram in grams if gram[:-1] == history)
    if c_h == 0:
        return shorter
    return [max(grams[(*history, w)] - D, 0) / c_h + D * N_h / c_h * shorter[w] for w in range(n_vocab)]


def test_a_unigram_by_hand():
    """5 zeros, 5 ones, 3 twos, 1 three, 4 ends of 18: one token seen once, none twice, so D = 1."""
    unigram = NGram(small_corpus(DOCUMENTS), 1, 5, endoftext=4)
    expected = [(c - 1) / 18 + 5 / 18 / 5 for c in (5, 5, 3, 1, 4)]
    assert unigram.probs([]) == pytest.approx(expected) and unigram.probs([0, 1]) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_n_grams_against_counting_with_dictionaries(n):
    model = NGram(small_corpus(DOCUMENTS), n, 5, endoftext=4)
    for context in ([], [0], [3], [0, 1], [2, 2], [3, 0], [1, 0, 1], [4, 4, 4], [0, 1, 0, 1, 2]):
        history = ([4] * (n - 1) + context)[len(context) :]
        assert model.probs(context) == pytest.approx(by_counting(tuple(history), DOCUMENTS))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_nats_are_the_product_of_the_probabilities(n):
    model = NGram(small_corpus(DOCUMENTS), n, 5, endoftext=4)
    unseen = [[3, 3], [2, 1, 0], [1]]
    nats = model.nats(small_corpus(unseen))
    for document, expected in zip(unseen, nats, strict=True):
        ends = [*document, 4]
        assert expected == pytest.approx(-sum(math.log(model.probs(document[:t])[w]) for t, w in enumerate(ends)))


@pytest.fixture(scope="module")
def counted():
    """1,500 documents to count, 300 others to predict, with their exact nats."""
    texts = list(stories.documents(1500, random.Random(11)))
    held_out = list(stories.documents(300, random.Random(12)))
    tokenizer = train_bpe(texts, 1000)
    exact = document_nats(held_out, stories.program())
    return tokenizer, corpus.encode(texts, tokenizer), corpus.encode(held_out, tokenizer), exact


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3])
def test_probabilities_sum_to_1_after_any_context(counted, n):
    tokenizer, texts, held_out, _ = counted
    model = NGram(texts, n, tokenizer.n_vocab, tokenizer.endoftext)
    rng = random.Random(n)
    contexts = [held_out.document(i)[: rng.randrange(20)].tolist() for i in range(60)]
    contexts += [[rng.randrange(tokenizer.n_vocab) for _ in range(3)] for _ in range(40)]
    for context in contexts:
        p = model.probs(context)
        assert p.shape == (tokenizer.n_vocab,) and p.min() > 0 and p.sum() == pytest.approx(1, abs=1e-12)


def test_unigram_bigram_trigram_and_the_floor(counted):
    """Each context helps, and none comes below the grammar's own surprise, by far more than the intervals."""
    tokenizer, texts, held_out, exact = counted
    n_each = held_out.lengths + 1
    nats = [NGram(texts, n, tokenizer.n_vocab, tokenizer.endoftext).nats(held_out) for n in (1, 2, 3)]
    for more, less in zip(nats, [*nats[1:], exact], strict=True):
        assert gap(more, less, n_each).low > 0
    assert gap(exact, nats[2], n_each).high < 0  # turned round, the mistake would be seen


@pytest.mark.parametrize(
    ("n", "n_vocab", "endoftext", "message"),
    [(0, 5, 4, "n = 0"), (2, 5, 5, "endoftext = 5"), (2, 3, 2, "below n_vocab = 3; got 3"), (9, 1000, 4, "2.63")],
)
def test_bad_n_grams(n, n_vocab, endoftext, message):
    with pytest.raises(ValueError, match=message):
        NGram(small_corpus(DOCUMENTS), n, n_vocab, endoftext)


@pytest.mark.parametrize(("n", "n_vocab", "endoftext"), [(2, 5, 1.5), (True, 5, 4), (2, 5.0, 4)])
def test_n_grams_need_whole_numbers(n, n_vocab, endoftext):
    with pytest.raises(ValueError, match="whole numbers"):
        NGram(small_corpus(DOCUMENTS), n, n_vocab, endoftext)


def test_bad_contexts_and_documents():
    model = NGram(small_corpus(DOCUMENTS), 2, 5, endoftext=4)
    for wrong in ([5], [-1], [0, 9, 1]):
        with pytest.raises(ValueError, match="ids from 0 to 4"):
            model.probs(wrong)
    with pytest.raises(ValueError, match="below n_vocab = 5; got 7"):
        model.nats(small_corpus([[7]]))


# --- the best possible classifier -----------------------------------------------------------------------------------

MOODS = (Mood("happy", ("glad", "calm", "wild"), ("sang",)), Mood("sad", ("glum", "calm"), ("wept",)))
FRIENDS = (Character("Lucy", "she"), Character("Tom", "he"))
SMALL = Lexicon(**{**vars(LEXICON), "characters": FRIENDS, "moods": MOODS})
TASK = partial(story_tasks.similarity_task, lexicon=SMALL)


def all_examples():
    """{(parts, label): probability} of every example of the small task."""
    exact = Counter()
    for text, probability, label in grammar.documents(TASK):
        exact[tuple(text.split("\n")), label] += probability
    return exact


def test_the_best_reader_of_a_small_task():
    """The best accuracy, by listing: for each text the label that goes with it most often."""
    exact = all_examples()
    texts = {parts for parts, _ in exact}
    best = sum(max(exact[parts, label] for label in (0, 1)) for parts in texts)
    assert 0.5 < best < 1  # "calm" is in doubt
    drawn = story_tasks.labelled("similarity", 3000, random.Random(3), SMALL)
    estimate = bayes.bayes_accuracy(TASK, drawn)
    assert estimate.low <= best <= estimate.high and estimate.half_width < 0.02
    right = sum(bayes.bayes_label(TASK, example) == example[1] for example in drawn)
    assert stats.binomtest(right, len(drawn), best).pvalue > 1e-3


def test_the_best_label_of_every_example_by_listing():
    exact = all_examples()
    for parts, _ in exact:
        shares = [exact[parts, label] for label in (0, 1)]
        label = bayes.bayes_label(TASK, (parts, -1))  # the given label is not looked at
        assert shares[label] == pytest.approx(max(shares))
        if shares[0] == pytest.approx(shares[1]):
            assert label == 0


def test_labels_that_are_equal_but_for_rounding_are_a_tie(monkeypatch):
    monkeypatch.setattr(bayes, "_posterior", lambda task, example: {1: 0.1 + 0.2, 0: 0.3, 2: 0.3 - 1e-16})
    assert bayes.bayes_label(None, None) == 0


def test_no_label_of_the_full_tasks_is_impossible():
    for task, program in story_tasks.TASKS.items():
        examples = story_tasks.labelled(task, 20, random.Random(4))
        estimate = bayes.bayes_accuracy(program, examples)
        assert 1 / 2 < estimate.mean <= 1, task
        assert sum(bayes.bayes_label(program, example) == example[1] for example in examples) >= 15


def test_bad_examples():
    with pytest.raises(ValueError, match="can write; got 'Lucy was"):
        bayes.bayes_label(TASK, (("Lucy was blue.", "Tom was glad."), 0))
    with pytest.raises(ValueError, match="2 or more"):
        bayes.bayes_accuracy(TASK, story_tasks.labelled("similarity", 1, random.Random(0), SMALL))
