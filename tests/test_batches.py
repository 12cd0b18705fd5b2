"""batches: by hand, by counting, and by a chi-square test: of documents, of windows, and in mixtures."""

import random

import numpy as np
import pytest
from letters import BYTES, SHARED
from scipy.stats import chisquare

from minigpt import corpus
from minigpt.batches import DocumentBatches, WindowBatches, evaluation_batches, mixture_order, windows
from minigpt.tokenizer import IGNORED, train_bpe


def rows_as_text(batch):
    """What a row says, read from its targets; and a check that its inputs are the targets moved by one."""
    for inputs, targets in zip(*batch, strict=True):
        said = targets[targets != IGNORED]
        assert said[-1] == BYTES.endoftext and inputs[0] == BYTES.endoftext
        assert inputs[1 : len(said)].tolist() == said[:-1].tolist()
        assert set(inputs[len(said) :].tolist()) <= {BYTES.endoftext}
        assert set(targets[len(said) :].tolist()) <= {IGNORED}
        yield BYTES.decode(said[:-1])


# --- batches of documents -------------------------------------------------------------------------------------------


def test_a_batch_by_hand():
    small = corpus.encode(["abc", "d"], BYTES)
    [(inputs, targets)] = evaluation_batches(small, BYTES, n_ctx=4)
    end = BYTES.endoftext
    assert inputs.tolist() == [[end, 97, 98, 99], [end, 100, end, end]]
    assert targets.tolist() == [[97, 98, 99, end], [100, end, -100, -100]]
    assert inputs.dtype == targets.dtype == np.int64


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_an_epoch_shows_every_document_once(documents, encoded, epoch):
    batches = DocumentBatches(encoded, BYTES, 40, tokens_per_batch=200)
    said = [text for step in range(len(batches)) for text in rows_as_text(batches[epoch * len(batches) + step])]
    assert sorted(said) == sorted(documents) and said != documents


def test_batches_have_about_the_size_asked_for(encoded):
    batches = DocumentBatches(encoded, BYTES, 40, tokens_per_batch=200)
    sizes = np.array([inputs.size for inputs, _ in batches])
    said = np.array([(targets != IGNORED).sum() for _, targets in batches])
    assert abs(said.mean() - 200) < 20  # tokens to predict
    assert len({len(inputs) for inputs, _ in batches}) <= 2  # as many documents in each; the last may hold the rest
    filled = sum((targets != IGNORED).sum() for _, targets in batches)
    assert filled / sizes.sum() > 0.85  # little padding: rows of a batch have similar lengths
    lengths = [inputs.shape[1] for inputs, _ in batches]
    assert len(set(lengths)) > 5  # and yet short and long documents take turns
    one_by_one = DocumentBatches(encoded, BYTES, 40, tokens_per_batch=1)
    assert len(one_by_one) == 300 and all(len(inputs) == 1 for inputs, _ in one_by_one)


def test_batches_depend_on_seed_and_step_alone(encoded):
    first, again, other = (DocumentBatches(encoded, BYTES, 40, 200, seed) for seed in (1, 1, 2))
    steps = [70, 3, 0, 70, 500, 3]
    for step in steps:
        np.testing.assert_array_equal(first[step], again[step])
    for step in reversed(steps):
        np.testing.assert_array_equal(first[step], again[step])
    assert any(first.documents(step).tolist() != other.documents(step).tolist() for step in range(3))
    n = len(first)
    orders = [np.concatenate([first.documents(epoch * n + step) for step in range(n)]).tolist() for epoch in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert len(list(first)) == n


def test_the_shuffle_is_the_same_on_every_machine():
    """Raw numbers of PCG64 are promised never to change; these were drawn when this test was written."""
    same = corpus.encode([f"{i:02d}" for i in range(12)], BYTES)
    batches = DocumentBatches(same, BYTES, 8, tokens_per_batch=12, seed=5)
    assert [batches.documents(step).tolist() for step in range(3)] == [[7, 8, 4, 11], [10, 0, 1, 9], [3, 5, 6, 2]]
    assert WindowBatches(np.arange(1000), 2, 4, seed=5)[3][0][:, 0].tolist() == [167, 456, 818, 103]


def test_documents_of_one_length_meet_in_every_combination():
    """Who comes first in an epoch is uniform over the documents."""
    same = corpus.encode(["a", "b", "c", "d", "e", "f"], BYTES)
    batches = DocumentBatches(same, BYTES, 4, tokens_per_batch=2)
    firsts = [batches.documents(6 * epoch)[0] for epoch in range(1200)]
    assert chisquare(np.bincount(firsts, minlength=6)).pvalue > 1e-3


def test_evaluation_batches_keep_the_order(documents, encoded):
    batches = evaluation_batches(encoded, BYTES, 40, tokens_per_batch=200)
    assert [text for batch in batches for text in rows_as_text(batch)] == documents
    assert max(inputs.size for inputs, _ in batches) <= 200


def test_a_batch_that_is_exactly_full_is_one_batch():
    small = corpus.encode(["abc", "def", "ghi", "jkl", "m"], BYTES)
    sizes = [len(inputs) for inputs, _ in evaluation_batches(small, BYTES, 8, tokens_per_batch=8)]
    assert sizes == [2, 2, 1]


def test_only_documents_of_a_pool_are_sorted_by_length():
    """Sorted over the whole corpus, batches of one length would come from one kind of document."""
    rng = random.Random(3)
    texts = ["x" * rng.randrange(1, 30) for _ in range(2000)]
    batches = DocumentBatches(corpus.encode(texts, BYTES), BYTES, 40, tokens_per_batch=160)
    lengths = batches.corpus.lengths
    order = np.argsort(batches._shuffle(0)[1])  # batch -> its place in the epoch
    numbers = np.concatenate([np.append(batches.documents(int(place)), []) for place in order]).astype(int)
    pool = batches.POOL * batches.n_rows
    pools = [lengths[numbers[i : i + pool]] for i in range(0, len(numbers) - pool + 1, pool)]
    assert len(pools) > 10 and all((np.diff(one) >= 0).all() for one in pools)
    means = np.array([one.mean() for one in pools])
    assert abs(means - lengths.mean()).max() < 5 * lengths.std() / pool**0.5


def test_a_draw_at_the_very_border_belongs_to_the_next_source():
    class Border:
        def random(self, n):
            return np.full(n, 0.5)

    assert mixture_order([3, 3], [1, 1], 4, Border()).sources.tolist() == [1, 1, 1, 1]


def test_numpy_sizes_are_welcome_and_ids_must_fit():
    ids = np.arange(10, dtype=np.uint16)
    assert [targets.tolist() for _, targets in windows(ids, np.uint16(3), np.int8(9))] == [
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    ]
    assert WindowBatches(ids, np.uint8(3), np.int64(2))[np.int32(1)][0].shape == (2, 3)
    with pytest.raises(ValueError, match="at most 65535 in a corpus of uint16, got 70000"):
        corpus.encode(["ab"], BYTES).packed(70_000)


def test_a_document_longer_than_the_context(encoded):
    longest = int(np.argmax(encoded.lengths))
    n = int(encoded.lengths[longest])
    assert DocumentBatches(encoded, BYTES, n_ctx=n + 1)
    for use in (DocumentBatches, evaluation_batches):
        with pytest.raises(
            ValueError, match=f"document {longest} has {n} tokens, but at n_ctx = {n} at most {n - 1} fit"
        ):
            use(encoded, BYTES, n_ctx=n)


@pytest.mark.parametrize("bad", [{"n_ctx": -1}, {"n_ctx": 0}, {"n_ctx": 40.0}, {"tokens_per_batch": 0}, {"seed": -1}])
def test_bad_sizes_of_document_batches(encoded, bad):
    with pytest.raises(ValueError, match=f"expected {next(iter(bad))} to be a whole number"):
        DocumentBatches(encoded, BYTES, **{"n_ctx": 40, **bad})


def test_bad_steps(encoded):
    for batches in (DocumentBatches(encoded, BYTES, 40), WindowBatches(encoded.ids, 8, 2)):
        for step in (-1, 1.5, True, None):
            with pytest.raises(ValueError, match="expected step"):
                batches[step]


# --- batches of windows ---------------------------------------------------------------------------------------------


def test_windows_of_a_long_text():
    batches = WindowBatches(np.arange(1000), n_ctx=10, batch_size=4, seed=3)
    assert len(batches) == 999 // 40
    starts = []
    for step in range(3000):
        inputs, targets = batches[step]
        assert inputs.shape == targets.shape == (4, 10) and inputs.dtype == targets.dtype == np.int64
        assert np.all(np.diff(inputs) == 1) and np.all(targets == inputs + 1)
        starts.extend(inputs[:, 0].tolist())
    assert min(starts) == 0 and max(starts) == 989  # the last window ends with the last token
    assert chisquare(np.bincount(starts, minlength=990)).pvalue > 1e-3
    np.testing.assert_array_equal(batches[7], WindowBatches(list(range(1000)), 10, 4, seed=3)[7])


def test_the_shortest_text():
    inputs, targets = WindowBatches([5, 6, 7], n_ctx=2, batch_size=3)[0]
    assert inputs.tolist() == [[5, 6]] * 3 and targets.tolist() == [[6, 7]] * 3
    for use in (lambda ids: WindowBatches(ids, 3, 1), lambda ids: windows(ids, 3)):
        for ids in ([5, 6, 7], []):
            with pytest.raises(ValueError, match=rf"n_ctx \+ 1 = 4 tokens, got {len(ids)}"):
                use(ids)


@pytest.mark.parametrize("n", [9, 10, 11, 12, 13, 100])
def test_windows_side_by_side_predict_every_token_once(n):
    ids = np.arange(7, 7 + n, dtype=np.uint16)
    batches = windows(ids, n_ctx=4, batch_size=2)
    assert all(inputs.shape[1] == 4 and len(inputs) <= 2 for inputs, _ in batches)
    inputs, targets = (np.concatenate(part) for part in zip(*batches, strict=True))
    said = targets != IGNORED
    assert targets[said].tolist() == ids[1:].tolist()
    assert inputs[said].tolist() == ids[:-1].tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2, 3], -2, 1), "n_ctx"),
        (([1, 2, 3], 2, 0), "batch_size"),
        (([1, 2, -3], 2, 1), "at least 0, got -3"),
        (([1.0, 2.0, 3.0], 2, 1), "float64"),
        (([[1, 2, 3]] * 4, 2, 1), "1-dimensional"),
    ],
)
def test_bad_windows(arguments, message):
    with pytest.raises(ValueError, match=message):
        WindowBatches(*arguments)
    with pytest.raises(ValueError, match=message):
        windows(*arguments)


@pytest.mark.skipif(not SHARED.exists(), reason="tinyshakespeare.txt lies beside the checkout on some machines only")
def test_the_readers_own_text_in_few_lines():
    [text] = corpus.read_text(SHARED)
    tokenizer = train_bpe([text[:100_000]], 300)
    inputs, targets = WindowBatches(corpus.encode([text], tokenizer).ids, n_ctx=64, batch_size=4)[0]
    assert all(tokenizer.decode(row) in text for row in inputs) and inputs[0, 1:].tolist() == targets[0, :-1].tolist()


# --- mixtures -------------------------------------------------------------------------------------------------------


def test_a_mixture_follows_its_weights():
    weights = [60, 22, 8, 8, 3]  # GPT-3, table 2.2, in percent (they sum to 101 as printed)
    mixture = mixture_order([4000, 200, 120, 550, 30], weights, 30_000, np.random.default_rng(0))
    counts = np.bincount(mixture.sources, minlength=5)
    assert chisquare(counts, np.array(weights) / sum(weights) * 30_000).pvalue > 1e-3
    np.testing.assert_allclose(mixture.shares, counts / 30_000)
    np.testing.assert_allclose(mixture.epochs, counts / [4000, 200, 120, 550, 30])
    pairs = mixture.sources[:-1] * 5 + mixture.sources[1:]  # one draw says nothing about the next
    shares = np.array(weights) / sum(weights)
    assert chisquare(np.bincount(pairs, minlength=25), np.outer(shares, shares).ravel() * 29_999).pvalue > 1e-3


def test_every_item_comes_once_before_any_comes_again():
    mixture = mixture_order([7, 40], [3, 1], 500, np.random.default_rng(1))
    for source, size in enumerate([7, 40]):
        items = mixture.items[mixture.sources == source]
        rounds = [items[i : i + size].tolist() for i in range(0, len(items) - size + 1, size)]
        assert len(rounds) > 1 and all(sorted(one) == list(range(size)) for one in rounds)
        assert len({tuple(one) for one in rounds}) > 1
        assert len(set(items[len(rounds) * size :].tolist())) == len(items) % size


def test_a_source_of_weight_0_never_comes():
    for weights in ([1, 0], [0, 1]):
        mixture = mixture_order([3, 3], weights, 2000, np.random.default_rng(2))
        assert mixture.shares.tolist() == [float(weight) for weight in weights]


def test_the_order_comes_from_the_generator():
    draw = [mixture_order([9, 9], [1, 1], 50, np.random.default_rng(seed)).items.tolist() for seed in (1, 1, 2)]
    assert draw[0] == draw[1] != draw[2]


@pytest.mark.parametrize(
    ("sizes", "weights", "n_draws", "message"),
    [
        ([1, 2], [1], 5, "one weight for each source"),
        ([], [], 5, "one weight for each source"),
        ([1, 2], [1, -1], 5, "not negative"),
        ([1, 2], [0, 0], 5, "not all 0"),
        ([1, 2], [1, float("nan")], 5, "not negative"),
        ([1, 0], [1, 1], 5, "n_per_source"),
        ([1, 2], [1, 1], -5, "n_draws"),
    ],
)
def test_bad_mixtures(sizes, weights, n_draws, message):
    with pytest.raises(ValueError, match=message):
        mixture_order(sizes, weights, n_draws, np.random.default_rng(0))
