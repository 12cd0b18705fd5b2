"""The transforms of GPT-1 by hand, on a tokenizer of bytes, where every id can be read off the text."""

from collections import Counter

import numpy as np
import pytest

from minigpt import tokenizer, transforms
from minigpt.transforms import TaskBatches, pad

BYTES = tokenizer.Tokenizer({bytes([byte]): byte for byte in range(256)})
EOT, START, DELIM, EXTRACT = 256, 257, 258, 259
A, B, C = ord("a"), ord("b"), ord("c")


def test_the_specials_are_where_this_file_thinks():
    assert (BYTES.endoftext, BYTES.start, BYTES.delim, BYTES.extract) == (EOT, START, DELIM, EXTRACT)


# --- transforms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "parts", "expected"),
    [
        ("classification", ["ab"], [[START, A, B, EXTRACT]]),
        ("entailment", ["ab", "c"], [[START, A, B, DELIM, C, EXTRACT]]),
        ("similarity", ["ab", "c"], [[START, A, B, DELIM, C, EXTRACT], [START, C, DELIM, A, B, EXTRACT]]),
        ("multiple choice", ["ab", "c", "a"], [[START, A, B, DELIM, C, EXTRACT], [START, A, B, DELIM, A, EXTRACT]]),
        ("multiple choice", list("abca"), [[START, A, DELIM, x, EXTRACT] for x in (B, C, A)]),
    ],
)
def test_transforms_by_hand(task, parts, expected):
    assert transforms.TRANSFORMS[task](parts, BYTES) == expected
    assert transforms.TRANSFORMS[task](tuple(parts), BYTES) == expected


def test_every_task_says_how_its_sequences_are_combined():
    assert set(transforms.COMBINE) == set(transforms.TRANSFORMS)
    n_sequences = {task: len(transforms.TRANSFORMS[task](["a"] * n, BYTES)) for task, n in
                   (("classification", 1), ("entailment", 2), ("similarity", 2), ("multiple choice", 4))}  # fmt: skip
    assert n_sequences == {"classification": 1, "entailment": 1, "similarity": 2, "multiple choice": 3}
    assert {task for task, how in transforms.COMBINE.items() if how == "single"} == {"classification", "entailment"}


@pytest.mark.parametrize("special", tokenizer.SPECIALS)
@pytest.mark.parametrize("task", transforms.TRANSFORMS)
def test_no_text_can_imitate_a_special_token(task, special):
    """A text may contain the name of a special token; it stays text."""
    n = {"classification": 1, "entailment": 2, "similarity": 2, "multiple choice": 3}[task]
    harmless = transforms.TRANSFORMS[task]([f"a{'x' * len(special)}b"] * n, BYTES)
    for row, other in zip(transforms.TRANSFORMS[task]([f"a{special}b"] * n, BYTES), harmless, strict=True):
        count, expected = Counter(row), Counter(other)
        assert [count[id] for id in (EOT, START, DELIM, EXTRACT)] == [
            expected[id] for id in (EOT, START, DELIM, EXTRACT)
        ]
        assert count[START] == count[EXTRACT] == 1 and count[EOT] == 0 and len(row) == len(other)
        assert special in BYTES.decode(row[1:-1])


@pytest.mark.parametrize(
    ("task", "parts", "message"),
    [
        ("classification", ["a", "b"], "classification needs 1 non-empty"),
        ("classification", [""], "classification needs 1 non-empty"),
        ("classification", [7], "non-empty texts; got"),
        ("entailment", ["a"], "entailment needs 2"),
        ("similarity", ["a", ""], "similarity needs 2"),
        ("similarity", ["a", "b", "c"], "similarity needs 2"),
        ("multiple choice", ["a", "b"], "at least 2 answers; got 2 parts"),
        ("entailment", "ab", "entailment needs 2"),
        ("multiple choice", "the fox", "multiple choice needs 7"),
        ("multiple choice", "", "multiple choice needs 3"),
        ("multiple choice", ["a", "b", ""], "multiple choice needs 3"),
    ],
)
def test_bad_parts(task, parts, message):
    with pytest.raises(ValueError, match=message):
        transforms.TRANSFORMS[task](parts, BYTES)


# --- rectangles -----------------------------------------------------------------------------------------------------


def test_pad_by_hand():
    ids, extract, labels, lm_targets = pad([([[1, 2, 3], [1, 3]], 1), ([[1, 3], [1, 2, 2, 3]], 0)], padding=9)
    assert ids.tolist() == [[[1, 2, 3, 9], [1, 3, 9, 9]], [[1, 3, 9, 9], [1, 2, 2, 3]]]  # (B, S, T) = (2, 2, 4)
    assert extract.tolist() == [[2, 1], [1, 3]]
    assert labels.tolist() == [1, 0]
    assert lm_targets.tolist() == [
        [[2, 3, -100, -100], [3, -100, -100, -100]],
        [[3, -100, -100, -100], [2, 2, 3, -100]],
    ]
    assert {array.dtype for array in (ids, extract, labels, lm_targets)} == {np.dtype(np.int64)}


def test_pad_of_real_transforms():
    """The extract token stands where `extract` says; behind it is only padding, and nothing is to be predicted."""
    examples = [(transforms.multiple_choice(parts, BYTES), 0) for parts in (["abc", "b", "cc"], ["a", "aaaa", "b"])]
    ids, extract, _, lm_targets = pad(examples, EOT)
    for b, (sequences, _) in enumerate(examples):
        for s, row in enumerate(sequences):
            end = extract[b, s]
            assert ids[b, s, end] == EXTRACT and ids[b, s, : end + 1].tolist() == row
            assert set(ids[b, s, end + 1 :].tolist()) <= {EOT}
            assert lm_targets[b, s, :end].tolist() == row[1:]
            assert set(lm_targets[b, s, end:].tolist()) == {-100}


def test_pad_refuses_a_mixture():
    with pytest.raises(ValueError, match=r"same number of sequences; got \[1, 2\]"):
        pad([([[1]], 0), ([[1], [2]], 0)], 9)
    with pytest.raises(ValueError, match="same number of sequences"):
        pad([], 9)


@pytest.mark.parametrize(
    ("example", "padding", "message"),
    [
        (([[1.5]], 0), 0, "each id to be a whole number"),
        (([[-1]], 0), 0, "each id to be a whole number"),
        (([[1]], 1.7), 0, "each label to be a whole number"),
        (([[1]], -1), 0, "each label to be a whole number"),
        (([[1]], True), 0, "each label to be a whole number"),
        (([[1]], 0), 1.5, "padding to be a whole number"),
        (([[]], 0), 0, "at least one id"),
        (([], 0), 0, "at least one id"),
    ],
)
def test_pad_cuts_nothing_to_a_whole_number(example, padding, message):
    with pytest.raises(ValueError, match=message):
        pad([example], padding)
    assert pad([([[np.int32(1)]], np.int64(2))], np.uint8(0))[2].tolist() == [2]


def test_a_loop_over_the_batches_is_one_epoch():
    batches = TaskBatches("classification", examples(10), BYTES, n_ctx=10, batch_size=4)
    assert len(list(batches)) == 2
    for step in (-1, 1.5, True):
        with pytest.raises(ValueError, match="expected step"):
            batches[step]


# --- batches --------------------------------------------------------------------------------------------------------


def examples(n):
    """n texts of different letters and lengths; the label says which."""
    return [((chr(ord("a") + i) * (i % 5 + 1),), i) for i in range(n)]


def said(batches, steps):
    """Labels of some batches, after checking that each row is the text of its label."""
    labels = []
    for step in steps:
        ids, extract, some, _ = batches[step]
        for row, end, label in zip(ids[:, 0], extract[:, 0], some, strict=True):
            assert BYTES.decode(row[1:end]) == examples(26)[label][0][0]
        labels.append(some.tolist())
    return labels


@pytest.mark.parametrize(("n", "batch_size", "n_batches"), [(24, 8, 3), (20, 5, 4), (7, 7, 1), (3, 16, 1)])
def test_an_epoch_shows_every_example_once(n, batch_size, n_batches):
    batches = TaskBatches("classification", examples(n), BYTES, n_ctx=10, batch_size=batch_size)
    assert len(batches) == n_batches
    epochs = [said(batches, range(e * n_batches, (e + 1) * n_batches)) for e in range(4)]
    for epoch in epochs:
        assert sorted(label for batch in epoch for label in batch) == list(range(n))
    assert len({str(epoch) for epoch in epochs}) > 1  # in another order


def test_what_is_left_over_is_shown_in_another_epoch():
    batches = TaskBatches("classification", examples(10), BYTES, n_ctx=10, batch_size=4)
    assert len(batches) == 2
    seen = Counter(label for batch in said(batches, range(200)) for label in batch)
    assert sum(seen.values()) == 800 and set(seen) == set(range(10)) and min(seen.values()) > 60
    for epoch in range(5):
        labels = [label for batch in said(batches, (2 * epoch, 2 * epoch + 1)) for label in batch]
        assert len(set(labels)) == 8


def test_a_batch_is_a_function_of_seed_and_step():
    first, again, other = (TaskBatches("classification", examples(20), BYTES, 10, 4, seed) for seed in (0, 0, 1))
    forwards, backwards = said(first, range(12)), said(again, reversed(range(12)))
    assert forwards == backwards[::-1]
    assert forwards != said(other, range(12))
    for array, expected in zip(first[7], again[7], strict=True):
        np.testing.assert_array_equal(array, expected)


def test_in_order():
    batches = TaskBatches("classification", examples(10), BYTES, n_ctx=10, batch_size=4)
    cut = batches.in_order(batch_size=4)
    assert [labels.tolist() for _, _, labels, _ in cut] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [ids.shape for ids, *_ in cut] == [(4, 1, 6), (4, 1, 7), (2, 1, 7)]


@pytest.mark.parametrize(
    ("task", "texts", "n_ctx", "batch_size", "message"),
    [
        ("poetry", [(("a",), 0)], 9, 1, "task among .*'entailment'.*got 'poetry'"),
        ("classification", [], 9, 1, "at least one example"),
        ("classification", [(("a",), 0)], 9, 0, "batch_size to be a whole number"),
        ("classification", [(("a",), 0), (("abcdef",), 0)], 7, 1, "at most n_ctx = 7 tokens; the longest has 8"),
        ("entailment", [(("a",), 0)], 9, 1, "entailment needs 2"),
    ],
)
def test_bad_batches(task, texts, n_ctx, batch_size, message):
    with pytest.raises(ValueError, match=message):
        TaskBatches(task, texts, BYTES, n_ctx, batch_size)


def test_the_longest_example_may_fill_the_context():
    [(ids, *_)] = TaskBatches("classification", [(("abcdef",), 0)], BYTES, n_ctx=8).in_order()
    assert ids.shape == (1, 1, 8)


def test_each_task_combines_its_sequences_as_in_figure_1_of_gpt_1():
    """One sequence; two orders of a pair, whose ends are added; one sequence a choice, which are compared."""
    assert transforms.COMBINE == {
        "classification": "single", "entailment": "single", "similarity": "add", "multiple choice": "choice"
    }  # fmt: skip
