"""Closed-book questions: what was read is counted again by hand, and readers who know everything, or one value only."""

import numpy as np
import pytest
import torch

from minigpt.experiments.gpt4 import closed_book, scaling_runs
from minigpt.worlds import facts


@pytest.fixture(scope="module")
def book():
    return facts.draw_encyclopedia(16, right=0.9)


class Reader(torch.nn.Module):
    """Gives the values of what it knows the logit `sure`, and knows no other entry."""

    def __init__(self, book, knows, sure):
        super().__init__()
        self.book, self.knows, self.sure = book, knows, sure

    def forward(self, ids):
        keys = (ids[:, 1] * self.book.n_words + ids[:, 2]).numpy()
        logits = torch.zeros(*ids.shape, self.book.n_words + 1)
        logits[torch.arange(len(ids)), -1, torch.from_numpy(self.book.values[keys])] = torch.from_numpy(
            np.where(self.knows[keys], self.sure, 0.0).astype(np.float32)
        )
        return logits


def test_what_a_run_has_read_is_what_its_batches_hold(book):
    counts = closed_book.times_read(book, 8, seed=3)
    rows, n_steps = scaling_runs.plan(8, 16)
    texts = scaling_runs.FreshTexts(book, rows, n_steps, 3008)
    by_hand = {}
    for step in range(n_steps):
        for text in texts[step][1].tolist():
            for first, second in zip(text[::3], text[1::3]):
                by_hand[16 * first + second] = by_hand.get(16 * first + second, 0) + 1
    assert counts.sum() == rows * n_steps * scaling_runs.N_ENTRIES
    assert {key: n for key, n in enumerate(counts.tolist()) if n} == by_hand


def test_who_knows_what_was_read_is_right_there_and_guesses_elsewhere(book):
    counts = np.array([200] * 60 + [50] * 60 + [5] * 60 + [0] * 76)
    asked = closed_book.closed_book(Reader(book, counts > 0, 9.0), book, counts, n=40)
    assert list(asked) == list(closed_book.GROUPS)
    hit = 0.9 + 0.1 / 16
    for name in list(asked)[:3]:
        assert np.allclose(asked[name].right, hit) and asked[name].confidence.min() > 0.99
        low, high = closed_book.GROUPS[name]
        assert (counts[asked[name].keys] >= low).all() and (high is None or (counts[asked[name].keys] <= high).all())
    never = asked["never"]
    assert np.allclose(never.confidence, 1 / 16) and len(never.keys) == 40 == len(set(never.keys.tolist()))
    says_first = book.values[never.keys] == 0  # of equal logits the first is taken
    assert np.allclose(never.right, np.where(says_first, hit, 0.1 / 16))


def test_an_empty_group_is_an_error(book):
    with pytest.raises(ValueError, match="read never; there are none"):
        closed_book.closed_book(Reader(book, np.ones(256, bool), 1.0), book, np.array([200, 50, 5, 5] * 64))
