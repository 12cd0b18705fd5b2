"""Attention heads: one head as matrices with numbers, all heads of a model as grids."""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import PALETTE

ROW = 0.29  # inches from one row of a matrix to the next


@style.styled
def head_steps(words: list, X, Q, K, scores, weights, V, out, *, allowed=None, title: str = "") -> Figure:
    """One attention head, step by step, as matrices with their numbers: X, Q, K, V; then scores, weights, out.

    allowed: (T, T), True where a position may look; None: causal. The other cells are hatched and hold no number.
    Shapes: X (T, d); Q, K (T, d_k); scores, weights (T, T); V, out (T, d_v).

    Errors: ValueError for other shapes, weights that do not add to 1 in each row or look where it is not allowed, or
    matrices too wide to be read.
    Source: Attention Is All You Need, equation 1. Differs: own drawing.
    """
    T = len(words)
    named = {"X": X, "Q": Q, "K": K, "V": V, "scores": scores, "weights": weights, "out": out}
    named = {name: np.asarray(matrix, float) for name, matrix in named.items()}
    allowed = np.tri(T, dtype=bool) if allowed is None else np.asarray(allowed, bool)
    _check_head(named, allowed, T)
    names = [labels.spoken(word) for word in words]
    left = 0.15 + max(labels.text_width(name, NOTE) for name in names)
    heads = {"X": "X", "Q": "Q = X W_q", "K": "K = X W_k", "V": "V = X W_v", "scores": "scores = Q Kᵀ / √d_k",
             "weights": "weights = softmax", "out": "out = weights V"}  # fmt: skip
    lines = [("X", "Q", "K", "V"), ("scores", "weights", "out")]
    numbers = [f"{value:.2f}" for matrix in named.values() for value in matrix[np.isfinite(matrix)]]
    cell = 0.08 + max(labels.text_width(number, SMALL) for number in numbers)
    room = style.WIDEST - 0.3 - left
    wide = {name: max(named[name].shape[1] * cell, 0.05 + labels.text_width(heads[name], NOTE, "bold"))
            for name in named}  # fmt: skip
    used = max(sum(wide[name] for name in line) + 0.25 * (len(line) - 1) for line in lines)
    if T > 8 or used > room:
        raise ValueError(f"expected matrices that fit on a page, at most 8 words and {room:.1f} inches; got {T} words, "
                         f"{used:.1f} inches")  # fmt: skip
    tall = 0.62 + ROW * T + 0.2
    figure, axes = style.paper(title, left + used, 2 * tall)
    for place, line in enumerate(lines):
        top = -tall * place
        gap = (used - sum(wide[name] for name in line)) / (len(line) - 1)
        for t, name in enumerate(names):
            axes.text(left - 0.1, top - 0.62 - ROW * (t + 0.5), name, ha="right", va="center", size=NOTE)
        x = left
        for name in line:
            axes.text(x, top - 0.12, heads[name], va="center", size=NOTE, weight="bold")
            axes.text(x, top - 0.4, f"({T}, {named[name].shape[1]})", va="center", size=SMALL, color="#555555")
            hidden = ~allowed if name in ("scores", "weights") else np.zeros(named[name].shape, bool)
            _draw_matrix(axes, named[name], hidden, x, top - 0.62, cell)
            x += wide[name] + gap
    return figure


def _check_head(named: dict, allowed: np.ndarray, T: int) -> None:
    d, d_k, d_v = (named[name].shape[1] if named[name].ndim == 2 else 1 for name in ("X", "Q", "V"))
    expected = {"X": (T, d), "Q": (T, d_k), "K": (T, d_k), "V": (T, d_v), "scores": (T, T), "weights": (T, T),
                "out": (T, d_v)}  # fmt: skip
    wrong = {name: matrix.shape for name, matrix in named.items() if matrix.shape != expected[name]}
    if wrong or T == 0 or allowed.shape != (T, T):
        name = next(iter(wrong), "allowed")
        raise ValueError(f"{name}: expected {expected.get(name, (T, T))} for {T} words, but got "
                         f"{wrong.get(name, allowed.shape)}")  # fmt: skip
    sums = named["weights"].sum(axis=1)
    if not np.allclose(sums, 1, atol=0.02) or np.abs(named["weights"][~allowed]).max(initial=0) > 1e-6:
        raise ValueError(f"weights: expected rows that add to 1 and 0 where a position may not look; sums {sums}")
    if not all(np.isfinite(matrix[allowed] if name == "scores" else matrix).all() for name, matrix in named.items()):
        raise ValueError("expected finite numbers wherever a position may look")


def _draw_matrix(axes, matrix: np.ndarray, hidden: np.ndarray, x: float, top: float, cell: float) -> None:
    """A matrix of numbers on cells: blue above 0, orange below, hatched where hidden."""
    most = max(1e-9, np.abs(matrix[~hidden]).max(initial=0))
    for (i, j), value in np.ndenumerate(matrix):
        place = (x + j * cell, top - ROW * (i + 1))
        if hidden[i, j]:
            axes.add_patch(Rectangle(place, cell, ROW, **style.HIDDEN))
        else:
            colour = to_rgba(PALETTE[0 if value >= 0 else 1], 0.4 * abs(value) / most)
            axes.add_patch(Rectangle(place, cell, ROW, facecolor=colour, linewidth=0))
            axes.text(place[0] + cell / 2, place[1] + ROW / 2, f"{round(value, 2) + 0.0:.2f}", ha="center", va="center",
                      size=SMALL, color="#111111")  # fmt: skip
    rows, columns = matrix.shape
    axes.add_patch(
        Rectangle((x, top - ROW * rows), columns * cell, ROW * rows, fill=False, edgecolor="#666666", lw=1.2)
    )


@style.styled
def head_grids(
    shares,
    effects,
    *,
    headings: tuple = ("share of the attention", "effect of silencing it (nats)"),
    digits: tuple = (2, 2),
    title: str = "",
) -> Figure:
    """Two measures of every head, as grids side by side: a row for each layer, a column for each head.

    shares, effects: (n_layers, n_heads). The numbers are written in the cells, the darker the larger; the largest cell
    of each grid has a thick frame, so that one sees whether it is the same head. digits: after the point, in each grid.

    Errors: ValueError if the two are not of the same shape (layers, heads), or too many to be read: 8 by 8 at most.
    """
    grids = [np.asarray(grid, float) for grid in (shares, effects)]
    if (
        grids[0].ndim != 2
        or grids[0].shape != grids[1].shape
        or not np.isfinite(grids).all()
        or max(grids[0].shape) > 8
    ):
        raise ValueError(f"expected two grids of the same shape, at most (8, 8), all finite; got "
                         f"{grids[0].shape} and {grids[1].shape}")  # fmt: skip
    n_layers, n_heads = grids[0].shape
    left, gap = 0.95, 0.35
    side = (style.WIDEST - 0.3 - left - gap) / 2
    wide = side / n_heads
    heads = [labels.wrapped(heading, side, weight="bold") for heading in headings]
    top = 0.15 + labels.LINE * max(1 + head.count("\n") for head in heads) + 0.35
    tall = min(0.62, 4.8 / n_layers)
    figure, axes = style.paper(title, style.WIDEST - 0.3, top + tall * n_layers + 0.1)
    for i in range(n_layers):
        axes.text(0, -top - tall * (i + 0.5), f"layer {i + 1}", va="center")
    for place, (grid, head, after) in enumerate(zip(grids, heads, digits)):
        x = left + place * (side + gap)
        axes.text(x, -0.1, head, va="top", weight="bold", linespacing=1.2)
        low, span = min(0.0, grid.min()), max(1e-12, grid.max() - min(0.0, grid.min()))
        for j in range(n_heads):
            name = f"head {j + 1}" if wide > 0.62 else f"{j + 1}"
            axes.text(
                x + (j + 0.5) * wide, -top + 0.16, name, ha="center", va="center", size=SMALL if wide > 0.62 else NOTE
            )
        for (i, j), value in np.ndenumerate(grid):
            dark = (value - low) / span
            corner = (x + j * wide, -top - tall * (i + 1))
            look = {"facecolor": to_rgba(PALETTE[0], 0.8 * dark), "edgecolor": "#bbbbbb", "linewidth": 0.8}
            axes.add_patch(Rectangle(corner, wide, tall, **look))
            axes.text(corner[0] + wide / 2, corner[1] + tall / 2, f"{round(value, after) + 0.0:.{after}f}", ha="center",
                      va="center", size=NOTE, color="white" if dark > 0.6 else "#111111")  # fmt: skip
        i, j = np.unravel_index(grid.argmax(), grid.shape)
        corner = (x + j * wide, -top - tall * (i + 1))
        axes.add_patch(Rectangle(corner, wide, tall, fill=False, edgecolor=PALETTE[1], linewidth=4, zorder=4))
    return figure
