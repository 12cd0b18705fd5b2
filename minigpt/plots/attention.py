"""Attention maps and masks."""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import style
from minigpt.plots.style import INK, PALETTE


@style.styled
def attention_map(weights, tokens: list, *, allowed=None, title: str = "", numbers_up_to: int = 9) -> Figure:
    """Draw one head's attention: each row is a position that reads, each column a position that is read.

    weights: (T, T), every row sums to 1. allowed: (T, T), True where a row may look; the rest is hatched, so that
    "may not look" differs from "does not look". Up to `numbers_up_to` tokens the weights are also written out.

    Errors: ValueError if weights or allowed are not (T, T) for T tokens.
    """
    weights = _square("weights", weights, len(tokens))
    size = min(9.0, max(4.2, 2.0 + 0.42 * len(tokens)))
    figure, axes = style.canvas(title, "looks at", "position", (size + 0.9, size))
    image = _draw_map(axes, weights, tokens, allowed)
    if len(tokens) <= numbers_up_to:
        for i, j in np.ndindex(weights.shape):
            if allowed is None or np.asarray(allowed)[i, j]:
                axes.text(j, i, f"{weights[i, j]:.2f}", ha="center", va="center", size=10,
                          color="white" if weights[i, j] > 0.7 else INK)  # fmt: skip
    figure.colorbar(image, ax=axes, shrink=0.7, label="attention weight")
    return figure


@style.styled
def attention_grid(maps: list, tokens: list, *, title: str = "") -> Figure:
    """Draw all heads at once, small: a row for each layer, a column for each head.

    maps: one (H, T, T) for each layer.

    Errors: ValueError if a layer's maps are not (H, T, T) for T tokens.
    """
    maps = [np.asarray(layer, float) for layer in maps]
    for number, layer in enumerate(maps, 1):
        if layer.shape != (maps[0].shape[0], len(tokens), len(tokens)):
            raise ValueError(f"layer {number}: expected (H, {len(tokens)}, {len(tokens)}), but got {layer.shape}")
    n_heads = maps[0].shape[0]
    figure = Figure(figsize=(1.2 + 1.9 * n_heads, 0.9 + 1.9 * len(maps)), layout="constrained")
    panels = figure.subplots(len(maps), n_heads, squeeze=False)
    for (i, h), axes in np.ndenumerate(panels):
        image = axes.imshow(maps[i][h], cmap="Blues", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        if i == 0:
            axes.set_title(f"head {h + 1}", size=12, weight="normal")
        if h == 0:
            axes.set_ylabel(f"layer {i + 1}")
    figure.colorbar(image, ax=panels, shrink=0.7, label="attention weight")
    figure.suptitle(title, weight="bold") if title else None
    return figure


@style.styled
def mask(matrix, labels: list, *, title: str = "") -> Figure:
    """Draw a mask: a filled square with a tick where a row's position may look, hatching where it may not.

    Errors: ValueError if the matrix is not (T, T) for T labels.
    """
    matrix = _square("matrix", matrix, len(labels)).astype(bool)
    size = min(9.0, max(3.8, 1.8 + 0.42 * len(labels)))
    figure, axes = style.canvas(title, "may look at", "position", (size, size))
    _draw_map(axes, 0.75 * matrix, labels, matrix)
    for i, j in np.argwhere(matrix):
        axes.text(j, i, "✓", ha="center", va="center", color="white")
    return figure


def _square(name: str, matrix, n: int) -> np.ndarray:
    matrix = np.asarray(matrix, float)
    if matrix.shape != (n, n):
        raise ValueError(f"{name}: expected ({n}, {n}) for {n} tokens, but got {matrix.shape}")
    return matrix


def _draw_map(axes, values: np.ndarray, tokens: list, allowed):
    """A square map with tokens along both sides, hatched where not allowed."""
    n = len(tokens)
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=1)
    if allowed is not None:
        allowed = _square("allowed", allowed, n).astype(bool)
        for i, j in np.argwhere(~allowed):
            axes.add_patch(
                Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor="#f2f2f2", edgecolor="#bbbbbb", hatch="///", lw=0)
            )
    names = [style.visible(token) for token in tokens]
    axes.set_xticks(range(n), names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(n), names)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#d5d5d5", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return image


@style.styled
def mask_picture(masks: dict, *, title: str = "") -> Figure:
    """Draw masks side by side, too large for show.mask: a dark square where a row's position may look.

    masks: heading -> (T, T), True where it may look. Beneath each stands how many pairs it allows.

    Errors: ValueError for no masks, or one that is not square.
    """
    masks = {name: np.asarray(matrix, bool) for name, matrix in masks.items()}
    if not masks or any(matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] for matrix in masks.values()):
        raise ValueError(f"expected at least one square mask, but got shapes {[m.shape for m in masks.values()]}")
    figure = Figure(figsize=(0.4 + 3.4 * len(masks), 4.4 + 0.3 * bool(title)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    for i, (axes, (name, matrix)) in enumerate(zip(figure.subplots(1, len(masks), squeeze=False).flat, masks.items())):
        T = len(matrix)
        face = np.where(matrix[..., None], to_rgba(PALETTE[0], 0.8), to_rgba("#ffffff"))
        axes.imshow(face, extent=(0.5, T + 0.5, T + 0.5, 0.5), interpolation="nearest")
        if T <= 40:
            for edge in np.arange(1.5, T):
                axes.axhline(edge, color="#d5d5d5", linewidth=0.6)
                axes.axvline(edge, color="#d5d5d5", linewidth=0.6)
        axes.set_title(name, size=12)
        axes.set_xlabel(f"may look at position\n{matrix.sum():,} pairs")
        axes.set_ylabel("position" if i == 0 else "")
        ticks = [1, *range(T // 4, T + 1, max(1, T // 4))] if T >= 8 else range(1, T + 1)
        axes.set_xticks(ticks)
        axes.set_yticks(ticks)
        axes.spines[:].set_visible(True)
    figure.suptitle(title, weight="bold", size=13, x=0.01, ha="left") if title else None
    return figure


@style.styled
def attention_text(tokens: list, weights, *, width: float = 9.2, title: str = "") -> Figure:
    """Draw where one position looks as running text: over every token a bar as high as its weight.

    weights: one for each token, the row of an attention map; the last token is the one that looks, and is framed.
    Weights of 0.05 and more are written over their bars.

    Errors: ValueError if there are not as many weights as tokens.
    """
    weights = np.asarray(weights, float)
    if weights.shape != (len(tokens),):
        raise ValueError(f"expected {len(tokens)} weights, one for each token, but got shape {weights.shape}")
    places = style.laid_out(tokens, width, 0.34)
    tall = 0.7 / max(0.2, weights.max())
    heights = np.zeros(places[-1][0] + 1)  # of the highest bar in each line, in inches
    for weight, (line, _, _) in zip(weights, places):
        heights[line] = max(heights[line], weight * tall)
    bases = -np.cumsum(heights + 0.6)
    head = 0.3 if title else 0.0
    figure = Figure(figsize=(width + 0.3, head - bases[-1] + 0.35))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(-0.15, width + 0.15), ylim=(bases[-1] - 0.35, head))
    axes.set_axis_off()
    axes.text(0, head - 0.08, title, weight="bold", size=13, va="top")
    for token, weight, (line, left, wide) in zip(tokens, weights, places):
        base = bases[line]
        axes.plot([left, left + wide], [base, base], color="#999999", linewidth=1)
        axes.text(left + wide / 2, base - 0.06, style.spoken(token), ha="center", va="top", size=11)
        axes.add_patch(Rectangle((left + 0.02, base), wide - 0.04, weight * tall, **style.bar_style(0)))
        if weight >= 0.05:
            axes.text(left + wide / 2, base + weight * tall + 0.02, f"{weight:.2f}", ha="center", va="bottom", size=10)
    axes.add_patch(Rectangle((left - 0.02, base - 0.3), wide + 0.04, 0.28, fill=False, edgecolor=INK, linewidth=1.6))
    return figure
