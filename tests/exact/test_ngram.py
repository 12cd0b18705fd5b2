"""ngram: counting models by hand, against counting with dictionaries, and above the floor."""

import math
import random
from collections import Counter

import numpy as np
import pytest

from minigpt import corpus
from minigpt.corpus import Corpus
from minigpt.exact.entropy import (
    document_nats,
    gap,
)
from minigpt.exact.ngram import NGram
from minigpt.tokenizer import train_bpe
from minigpt.worlds import stories

pytestmark = pytest.mark.xdist_group("entropy")  # slow tests and others predict the same documents


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
