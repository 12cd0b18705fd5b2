"""Attention maps and masks."""

import numpy as np
from matplotlib.colors import PowerNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL, TEXT
from minigpt.plots.style import INK, PALETTE


@style.styled
def attention_map(
    weights,
    tokens: list,
    *,
    allowed=None,
    title: str = "",
    numbers_up_to: int = 9,
    side: float = 6.2,
    faint: bool = False,
) -> Figure:
    """Attention map of one head: each row is a position that reads (query), each column one that is read (key).

    weights: (T, T), every row sums to 1. allowed: (T, T), True where a row may look; the rest is hatched, so that
    "may not look" differs from "does not look". Up to `numbers_up_to` tokens the weights are also written out.
    side: the most inches that the map may be wide and high. faint: the colour grows with the root of the weight, so
    that small weights can be seen too; the bar beside the map shows it.

    Errors: ValueError if weights or allowed are not (T, T) for T tokens.
    """
    weights = _square("weights", weights, len(tokens))
    figure, axes = _map_canvas(title, "looks at (key)", "position (query)", tokens, 1.3, side)
    image = _draw_map(axes, weights, tokens, allowed, side)
    if faint:
        image.set_norm(PowerNorm(0.5, 0, 1))
    if len(tokens) <= numbers_up_to:
        for i, j in np.ndindex(weights.shape):
            if allowed is None or np.asarray(allowed)[i, j]:
                axes.text(j, i, f"{weights[i, j]:.2f}", ha="center", va="center", size=SMALL,
                          color="white" if weights[i, j] > 0.7 else INK)  # fmt: skip
    bar = figure.colorbar(image, ax=axes, shrink=0.7, label="attention weight")
    if faint:
        bar.set_ticks([0, 0.05, 0.2, 0.5, 1], labels=["0", "0.05", "0.2", "0.5", "1"])
    return figure


EARLIER = "(earlier)"  # stands for all tokens before a window


def attention_window(weights, tokens: list, end: int, n: int = 24) -> tuple[np.ndarray, list, np.ndarray]:
    """The part of a causal attention map that ends at a position: (weights, tokens, allowed) for `attention_map`.

    weights: (T, T). end: the last position shown, from 0. n: how many tokens are shown at most. If some are cut off,
    the first one shown stands for all of them, and its column is what the rows pay to them: rows still add to 1.

    Errors: ValueError if weights are not (T, T) for T tokens, end is not one of them, or n is below 2.
    """
    weights = _square("weights", weights, len(tokens))
    if not 0 <= end < len(tokens) or n < 2:
        raise ValueError(f"expected a position from 0 to {len(tokens) - 1} and n of at least 2, but got {end} and {n}")
    start = max(0, end + 1 - n)
    if start == 0:
        return weights[: end + 1, : end + 1], list(tokens)[: end + 1], np.tri(end + 1, dtype=bool)
    first = start + 1  # the column before it stands for what is cut off
    part = np.zeros((n, n))
    part[1:, 0] = weights[first : end + 1, :first].sum(axis=1)
    part[1:, 1:] = weights[first : end + 1, first : end + 1]
    allowed = np.tri(n, dtype=bool)
    allowed[0] = False
    return part, [EARLIER, *list(tokens)[first : end + 1]], allowed


@style.styled
def attention_arcs(tokens: list, weights, *, title: str = "", least: float = 0.03) -> Figure:
    """Attention of the last position as arcs over the text: the thicker an arc, the more it looks there.

    weights: one for each token, the last row of an attention map. Weights of `least` and more get an arc and a number;
    the last token, which looks, is framed. One line of text: about 16 tokens.

    Errors: ValueError if there are not as many weights as tokens, or the tokens do not fit in a line.
    """
    weights = np.asarray(weights, float)
    if weights.shape != (len(tokens),):
        raise ValueError(f"expected {len(tokens)} weights, one for each token, but got shape {weights.shape}")
    width = style.WIDEST - 0.3
    places = labels.laid_out(tokens, width, 0.3)
    if places[-1][0]:
        raise ValueError(f"{len(tokens)} tokens do not fit in one line; show fewer (attention_window cuts some off)")
    centres = [left + wide / 2 for _, left, wide in places]
    seen = [i for i in range(len(tokens)) if weights[i] >= least]
    highest = 0.45 + 0.22 * (centres[-1] - centres[min(seen, default=len(tokens) - 1)])
    figure, axes = style.paper(title, width, highest + 0.75)
    base = -highest - 0.3
    for i in range(len(tokens)):
        look = {"weight": "bold"} if i in seen or i == len(tokens) - 1 else {"color": "#555555"}
        axes.text(centres[i], base, labels.spoken(tokens[i]), ha="center", va="top", **look)
    for i in seen:
        apart = centres[-1] - centres[i]
        tall = (0.45 + 0.22 * apart) if apart else 0.4  # of its own accord: a small loop
        left = centres[i] if apart else centres[i] - 0.12
        right = centres[-1] if apart else centres[i] + 0.12
        foot, top = base + 0.05, base + 4 / 3 * tall
        corners = [(left, foot), (left, top), (right, top), (right, foot)]
        curve = Path(corners, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
        axes.add_patch(PathPatch(curve, fill=False, edgecolor=PALETTE[0], linewidth=1 + 7 * weights[i], alpha=0.8))
        axes.text((left + right) / 2, base + tall + 0.12, f"{weights[i]:.2f}", ha="center", va="bottom", size=NOTE)
    _, left, wide = places[-1]
    axes.add_patch(Rectangle((left - 0.02, base - 0.25), wide + 0.04, 0.3, fill=False, edgecolor=INK, linewidth=1.6))
    return figure


def _square(name: str, matrix, n: int) -> np.ndarray:
    matrix = np.asarray(matrix, float)
    if matrix.shape != (n, n):
        raise ValueError(f"{name}: expected ({n}, {n}) for {n} tokens, but got {matrix.shape}")
    return matrix


def _map_canvas(title: str, x_label: str, y_label: str, tokens: list, bar: float, most: float = 6.2) -> tuple:
    """A canvas with room for a square map of these tokens; bar: inches for a colour bar; most: inches of a side."""
    beside = 0.8 + max((labels.text_width(style.visible(token)) for token in tokens), default=0)
    cell = min(0.56, (style.WIDEST - beside - bar) / max(1, len(tokens)), most / max(1, len(tokens)))
    cell = max(min(0.27, most / 24), cell)
    side = beside + max(2.2, cell * len(tokens))
    return style.canvas(title, x_label, y_label, (side + bar, side + 0.35 * bool(title)))


def _draw_map(axes, values: np.ndarray, tokens: list, allowed, side: float = 6.2):
    """A square map with tokens along both sides, hatched where not allowed."""
    n = len(tokens)
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=1)
    if allowed is not None:
        allowed = _square("allowed", allowed, n).astype(bool)
        square = Path.unit_rectangle()  # one path for all squares: hatching each by itself takes seconds
        paths = [Path(square.vertices + (j - 0.5, i - 0.5), square.codes) for i, j in np.argwhere(~allowed)]
        if paths:
            look = {"facecolor": "#f2f2f2", "edgecolor": "#bbbbbb", "hatch": "///", "lw": 0}
            axes.add_patch(PathPatch(Path.make_compound_path(*paths), **look))
    names = [style.visible(token) for token in tokens]
    size = min(TEXT, 72 * 0.95 * side / n)
    axes.set_xticks(range(n), names, rotation=90 if max(map(len, names)) > 2 else 0, size=size)
    axes.set_yticks(range(n), names, size=size)
    edges = np.arange(n + 1) - 0.5
    for draw_lines in (axes.hlines, axes.vlines):  # two artists; a grid of minor ticks is as many as there are lines
        draw_lines(edges, -0.5, n - 0.5, color="#d5d5d5", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5))
    return image


@style.styled
def mask_picture(masks: dict, *, title: str = "") -> Figure:
    """Attention masks side by side, of any size: a dark square where a row's position may look.

    masks: heading -> (T, T), True where it may look. Beneath each stands how many pairs it allows.

    Errors: ValueError for no masks, or one that is not square.
    """
    masks = {name: np.asarray(matrix, bool) for name, matrix in masks.items()}
    if not masks or any(matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] for matrix in masks.values()):
        raise ValueError(f"expected at least one square mask, but got shapes {[m.shape for m in masks.values()]}")
    side = min(3.6, (style.WIDEST - 0.5) / len(masks))
    figure = style.sheet(title, 0.5 + side * len(masks), side + 1.3 + 0.35 * bool(title))
    for i, (axes, (name, matrix)) in enumerate(zip(figure.subplots(1, len(masks), squeeze=False).flat, masks.items())):
        T = len(matrix)
        face = np.where(matrix[..., None], to_rgba(PALETTE[0], 0.8), to_rgba("#ffffff"))
        axes.imshow(face, extent=(0.5, T + 0.5, T + 0.5, 0.5), interpolation="nearest")
        if T <= 40:
            for edge in np.arange(1.5, T):
                axes.axhline(edge, color="#d5d5d5", linewidth=0.6)
                axes.axvline(edge, color="#d5d5d5", linewidth=0.6)
        axes.set_title(labels.wrapped(name, side - 0.6, weight="bold"))
        axes.set_xlabel(f"may look at\n{matrix.sum():,} pairs")
        axes.set_ylabel("position" if i == 0 else "")
        ticks = [1, *range(T // 4, T + 1, max(1, T // 4))] if T >= 8 else range(1, T + 1)
        axes.set_xticks(ticks)
        axes.set_yticks(ticks)
        axes.spines[:].set_visible(True)
    return figure
