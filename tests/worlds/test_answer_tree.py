"""answer_tree: every answer once, and its probability token by token."""

import numpy as np
import pytest
from answer_worlds import TREE, world


def test_the_answers_are_all_there():
    assert len(TREE.prefixes) == 85 and len(TREE.rows) == len(set(TREE.rows)) == 341
    for row in TREE.rows:
        assert (row[-1] == TREE.end) != (len(row) == 4 and TREE.end not in row)
        assert TREE.end not in row[:-1]
    _, logp, _ = world(0)
    assert np.exp(logp).sum() == pytest.approx(1, abs=1e-12)
    by_hand = {row: 0.0 for row in TREE.rows}
    token_logps = world(0)[0]
    for row in TREE.rows:
        for t, token in enumerate(row):
            by_hand[row] += token_logps[TREE.prefixes.index(row[:t]), token]
    assert logp == pytest.approx(list(by_hand.values()), abs=1e-12)
