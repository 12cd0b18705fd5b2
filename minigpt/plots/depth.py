"""Depth: where LayerNorm stands in a block, and what becomes of the gradient from block to block."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from minigpt.plots import architecture, labels, style
from minigpt.plots.labels import NOTE
from minigpt.plots.style import INK, PALETTE

FORMS = {
    "post": ("post-LN (GPT-1)", "x ← LN(x + f(x))"),
    "pre": ("pre-LN (GPT-2, GPT-3)", "x ← x + f(LN(x))"),
}


@style.styled
def block_orders(config, *, norms: tuple = ("post", "pre"), title: str = "") -> Figure:
    """Post-LN block and pre-LN block side by side, the residual stream as a thick line that the additions join.

    config: an object or a dict with n_vocab, n_layers, n_heads, d_model. norms: what is drawn, from left to right.
    Beneath each block: how many LayerNorms lie on the stream itself, from the embedding to the output layer.

    Errors: ValueError for a size that is missing or not a whole number, or norms that are not "post" or "pre".
    Source: Attention Is All You Need, section 3.1 (post-LN); GPT-2, section 2.3 (pre-LN). Differs: own drawing.
    """
    sizes = architecture.sizes_of(config, None)
    if not 1 <= len(norms) <= 2 or any(norm not in FORMS for norm in norms):
        raise ValueError(f"norms: expected one or two of 'post' and 'pre', but got {norms!r}")
    half = (style.WIDEST - 0.3) / 2
    figure, axes = style.paper(title, half * len(norms), 5.85)
    for place, norm in enumerate(norms):
        _draw_block(axes, sizes, norm, place * half)
    return figure


def _draw_block(axes, sizes: dict, norm: str, x: float) -> None:
    stream, left, wide, low = x + 0.68, x + 1.5, 2.45, -4.75
    name, formula = FORMS[norm]
    axes.text(x, -0.12, name, va="center", weight="bold")
    axes.text(x, -0.43, formula, va="center", size=NOTE)
    orange = PALETTE[1]
    axes.plot([stream, stream], [low, -0.95], color=orange, linewidth=7, solid_capstyle="butt", zorder=1)
    style.arrow(axes, (stream, -1.0), (stream, -0.62), color=orange, linewidth=7, mutation_scale=24)
    axes.text(stream + 0.25, low + 0.08, f"residual stream x   (T, {sizes['d_model']:,})", va="center", size=NOTE,
              color=labels.darker(orange))  # fmt: skip
    for start, step, kind in ((low + 0.28, "masked self-attention", "attention"), (low + 2.08, "MLP", "mlp")):
        boxes = ([("LayerNorm", "norm")] if norm == "pre" else []) + [(step, kind)]
        centre, y = left + wide / 2, start
        axes.plot([stream, centre], [y, y], color=INK, linewidth=1.5, zorder=2)
        for text, role in boxes:
            style.arrow(axes, (centre, y), (centre, y + 0.2))
            style.box(axes, left, y + 0.37, text, *architecture.KINDS[role], wide, height=0.34)
            y += 0.54
        plus = start + (1.3 if norm == "pre" else 0.8)
        axes.plot([centre, centre], [y, plus], color=INK, linewidth=1.5)
        style.arrow(axes, (centre, plus), (stream + 0.13, plus))
        axes.add_patch(Circle((stream, plus), 0.14, facecolor="white", edgecolor=INK, linewidth=1.5, zorder=4))
        axes.plot([stream - 0.08, stream + 0.08], [plus, plus], color=INK, linewidth=1.8, zorder=5)
        axes.plot([stream, stream], [plus - 0.08, plus + 0.08], color=INK, linewidth=1.8, zorder=5)
        if norm == "post":
            on = plus + 0.42
            style.box(axes, stream - 0.62, on, "LayerNorm", *architecture.KINDS["norm"], 1.24, height=0.34)
            axes.patches[-1].set_zorder(3)
    n = sizes["n_layers"]
    many = f"{n} block{'' if n == 1 else 's'}"
    words = (
        f"{many}: {2 * n} LayerNorms on the stream itself"
        if norm == "post"
        else f"{many}: no LayerNorm on the stream, one more after the last block"
    )
    axes.text(x, low - 0.28, labels.wrapped(words, 4.0, NOTE), va="top", size=NOTE, linespacing=1.25)


@style.styled
def gradient_profile(profiles: dict, *, title: str = "", y_label: str = "gradient norm", guess=...) -> Figure:
    """Gradient norm of every block, first to last, on a logarithmic axis: one line for each form of the model.

    profiles: form -> (n_blocks,) or (n_seeds, n_blocks), above 0; several seeds are small dots, the line is their
    geometric mean. guess: the reader's number, a grey line.

    Errors: ValueError for no forms, more than 6, a norm that is not above 0, or not one for each block.
    Source: Xiong et al. 2020, figure 3. Differs: own drawing.
    """
    drawn = {name: np.atleast_2d(np.asarray(norms, float)) for name, norms in profiles.items()}
    for name, norms in drawn.items():
        if norms.ndim != 2 or not norms.size or not (np.isfinite(norms) & (norms > 0)).all():
            raise ValueError(
                f"{name!r}: expected gradient norms above 0, (n_blocks,) or (n_seeds, n_blocks); got {norms}"
            )
    if not 1 <= len(drawn) <= 6:
        raise ValueError(f"expected 1 to 6 forms, but got {len(drawn)}")
    figure, axes = style.canvas(title, "block (1 is next to the embedding)", y_label, (9.0, 3.9))
    axes.set_yscale("log")
    ends = []
    for i, (name, norms) in enumerate(drawn.items()):
        blocks, mean = np.arange(1, norms.shape[1] + 1), np.exp(np.log(norms).mean(axis=0))
        axes.plot(blocks, mean, **style.line(i))
        if len(norms) > 1:
            style.draw_seeds(axes, blocks, norms, i)
        ends.append((mean[-1], name, PALETTE[i]))
    most = max(norms.shape[1] for norms in drawn.values())
    axes.set_xticks(range(1, most + 1, 1 + most // 13))
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.1, high * 1.1)
    if (value := labels.guessed(guess)) is not None:
        if value <= 0:
            raise ValueError(f"guess: expected a gradient norm above 0, but got {value:g}")
        axes.axhline(value, **labels.GUESS)
        ends.append((value, f"your guess {value:g}", labels.GUESS["color"]))
    labels.plain_log(axes.yaxis, axes.get_ylim())
    labels.label_ends(axes, ends)
    return figure
