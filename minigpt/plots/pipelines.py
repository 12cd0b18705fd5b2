"""How a model is fed: inputs and targets, masks of GPT and BERT, pre-training and fine-tuning."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import INK, ROLES

LABEL = 1.25  # inches at the left for the names of lines


@style.styled
def shifted_targets(pieces: list, losses=None, floor=None, *, title: str = "") -> Figure:
    """Inputs and targets of a language model: the same tokens, shifted by one, and the loss at each position.

    pieces: T + 1 tokens as text; the input is the first T, the target the last T. losses: T numbers in nats, drawn as
    bars beneath the targets. floor: T numbers, the surprisal of a perfect reader, a black mark across each bar.
    What does not fit into the width is left out, and "..." says so.

    Errors: ValueError for fewer than two pieces, or not one number for each target.
    Source: GPT-1, equation 1 (L1). Differs: own drawing.
    """
    pieces = [labels.spoken(piece) for piece in pieces]
    if len(pieces) < 2:
        raise ValueError(f"expected at least two pieces, one to read and one to predict, but got {pieces}")
    losses, floor = (_one_each(name, row, len(pieces) - 1) for name, row in (("losses", losses), ("floor", floor)))
    if floor is not None and losses is None:
        raise ValueError("floor: expected losses too, beneath which it is marked")
    wide = [max(0.52, style.box_width(a), style.box_width(b)) for a, b in zip(pieces, pieces[1:])]
    room = style.WIDEST - 0.3 - LABEL
    ends = np.cumsum(np.array(wide) + 0.12) - 0.12
    cut = ends[-1] > room
    n = max(1, int((ends <= room - 0.45 * cut).sum()))
    if losses is not None and cut:
        losses, floor = losses[:n], None if floor is None else floor[:n]
    left = LABEL + np.cumsum([0.0, *(np.array(wide[:n]) + 0.12)])
    right = left[-1] - 0.12
    bars = 0.0 if losses is None else 1.75
    figure, axes = style.paper(title, min(style.WIDEST - 0.3, right + 0.4 * cut + 0.05), 2.55 + bars)
    for y, name in ((-0.3, "input"), (-1.2, "model"), (-2.1, "target")):
        axes.text(0, y, name, va="center", weight="bold")
    style.box(axes, LABEL, -1.2, "GPT (position t sees inputs 1 ... t)" if right > 5 else "GPT", "white", INK,
              right - LABEL, height=0.5)  # fmt: skip
    for i in range(n):
        middle = left[i] + wide[i] / 2
        style.box(axes, left[i], -0.3, pieces[i], *ROLES["text"], wide[i])
        style.box(axes, left[i], -2.1, pieces[i + 1], *ROLES["answer"], wide[i])
        style.arrow(axes, (middle, -0.54), (middle, -0.93))
        style.arrow(axes, (middle, -1.47), (middle, -1.86))
    if cut:
        for y in (-0.3, -2.1):
            axes.text(right + 0.1, y, "...", va="center")
    if losses is not None:
        axes.text(0, -2.85, "loss\n(nats)", va="top", weight="bold", linespacing=1.2)
        _draw_losses(axes, left, wide, losses, floor)
    if floor is not None:
        axes.text(0, -3.5, "▬ floor", va="top", size=NOTE)
    return figure


def _one_each(name: str, row, n: int):
    if row is None:
        return None
    row = np.asarray(row, float)
    if row.shape != (n,) or not np.isfinite(row).all() or (row < 0).any():
        raise ValueError(f"{name}: expected {n} numbers of at least 0, one for each target, but got {row.tolist()}")
    return row


def _draw_losses(axes, left, wide: list, losses, floor) -> None:
    """Bars that hang from the targets, as long as the losses, with their numbers at the end."""
    scale = 1.3 / max(1.0, losses.max(), 0 if floor is None else floor.max())
    for i, loss in enumerate(losses):
        middle = left[i] + wide[i] / 2
        width = min(0.5, wide[i] - 0.06)
        axes.add_patch(Rectangle((middle - width / 2, -2.45 - loss * scale), width, loss * scale, **style.bar_style(0)))
        low = loss if floor is None else max(loss, floor[i])
        axes.text(middle, -2.5 - low * scale, f"{loss:.2f}", ha="center", va="top", size=SMALL)
        if floor is not None:
            at = -2.45 - floor[i] * scale
            axes.plot([middle - width / 2 - 0.05, middle + width / 2 + 0.05], [at, at], color="#000000", linewidth=3)
