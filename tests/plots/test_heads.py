"""One head as matrices, all heads as grids: the numbers are those given, and hidden cells hold none."""

import numpy as np
import pytest
from gallery import SHARES, SILENCED, WORDS, head, words

from minigpt import plots

NAMES = ("X", "Q", "K", "scores", "weights", "V", "out")


def test_every_number_of_the_seven_matrices_stands_once_and_hidden_cells_hold_none():
    matrices = dict(zip(NAMES, head()))
    expected = []
    for name, matrix in matrices.items():
        seen = np.tri(5, dtype=bool) if name in ("scores", "weights") else np.ones(matrix.shape, bool)
        expected += [f"{round(value, 2) + 0.0:.2f}" for value in matrix[seen]]
    written = [word for word in words(plots.head_steps(WORDS, *matrices.values())) if "." in word]
    assert sorted(written) == sorted(expected)


def test_hidden_cells_are_hatched_and_shapes_are_written():
    figure = plots.head_steps(WORDS, *head(), title="One head")
    assert sum(patch.get_hatch() is not None for patch in figure.axes[0].patches) == 2 * 10
    assert {"(5, 4)", "(5, 2)", "(5, 5)", "One head", "Q = X W_q", "Tom", "hat"} <= set(words(figure))
    assert "inf" not in " ".join(words(figure))


def test_a_mask_of_ones_hides_nothing():
    X, Q, K, _, _, V, _ = head()
    scores = Q @ K.T
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    figure = plots.head_steps(WORDS, X, Q, K, scores, weights, V, weights @ V, allowed=np.ones((5, 5)))
    assert not any(patch.get_hatch() for patch in figure.axes[0].patches)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("X", lambda m: m[:4], "X: expected"),
        ("Q", lambda m: m[:, :1], "K: expected"),
        ("scores", lambda m: m[:, :4], "scores: expected"),
        ("out", lambda m: m.T, "out: expected"),
        ("weights", lambda m: m * 1.2, "rows that add to 1"),
        ("weights", lambda m: np.full((5, 5), 0.2), "may not look"),
        ("V", lambda m: np.where(m > 0, np.nan, m), "finite"),
    ],
)
def test_matrices_that_do_not_fit_are_named(name, change, message):
    matrices = dict(zip(NAMES, head()))
    matrices[name] = change(matrices[name])
    with pytest.raises(ValueError, match=message):
        plots.head_steps(WORDS, *matrices.values())


def test_too_large_a_head_is_refused():
    X, Q, K, scores, weights, V, out = head()
    with pytest.raises(ValueError, match="fit on a page"):
        plots.head_steps(WORDS, np.ones((5, 30)), Q, K, scores, weights, V, out)


def test_the_grids_hold_every_number_and_frame_the_largest():
    figure = plots.head_grids(SHARES, SILENCED, title="One head")
    axes = figure.axes[0]
    said = words(figure)
    for grid in (SHARES, SILENCED):
        assert {f"{value + 0.0:.2f}" for value in grid.flat} <= set(said)
    assert sum("." in word for word in said) == SHARES.size + SILENCED.size
    frames = [patch for patch in axes.patches if not patch.get_fill()]
    for frame, largest in zip(frames, ("0.71", "4.83"), strict=True):
        x, y = frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2
        inside = [text.get_text() for text in axes.texts if np.allclose(text.get_position(), (x, y))]
        assert inside == [largest]
    assert {"layer 1", "layer 2", "share of the attention", "effect of silencing it (nats)", "One head"} <= set(said)


@pytest.mark.parametrize("grids", [(SHARES, SILENCED[:1]), (SHARES[0], SHARES[0]), (np.eye(9), np.eye(9)),
                                   (SHARES, SHARES * np.nan)])  # fmt: skip
def test_grids_that_differ_are_refused(grids):
    with pytest.raises(ValueError, match="two grids of the same shape"):
        plots.head_grids(*grids)
