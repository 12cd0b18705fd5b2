"""Memory of large models: what training must keep, and three ways to divide one model over several cards."""

import math

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE
from minigpt.plots.style import INK, PALETTE


@style.styled
def model_memory(rows: dict, card: tuple, *, title: str = "") -> Figure:
    """Training memory of models, part by part, against the memory of one card; and how many cards hold that much.

    rows: model -> {part: bytes}, 1 to 4 models with the same 1 to 6 parts, such as `scaling.memory_parts`. card: (name,
    bytes) of one card, an upright dashed line.

    Errors: ValueError for no models or more than 4, other parts in one of them, or sizes that are not above 0.
    """
    parts = list(next(iter(rows.values()), {}))
    if not 1 <= len(rows) <= 4 or not 1 <= len(parts) <= 6 or any(list(row) != parts for row in rows.values()):
        raise ValueError(f"expected 1 to 4 models with the same 1 to 6 parts, but got {rows}")
    name, size = card
    every = [size, *(amount for row in rows.values() for amount in row.values())]
    if not all(math.isfinite(amount) and amount > 0 for amount in every):
        raise ValueError(f"expected sizes above 0, in bytes, but got {rows} and a card of {size!r}")
    totals = {model: sum(row.values()) for model, row in rows.items()}
    unit, letter = next(((value, word) for value, word in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"))
                         if max(totals.values()) >= value), (1e3, "kB"))  # fmt: skip
    figure, axes = style.canvas(title, f"memory ({letter})", "", (9.0, 2.3 + 0.95 * len(rows)))
    most = max(*totals.values(), size) / unit
    for place, (model, row) in enumerate(rows.items()):
        left = 0.0
        for i, (part, amount) in enumerate(row.items()):
            look = style.bar_style(i) | {"linewidth": 1.4}
            axes.barh(place, amount / unit, 0.5, left, label=part if place == 0 else None, **look)
            left += amount / unit
        cards = math.ceil(totals[model] / size)
        words = f"{model}: {_bytes(totals[model])} = {cards:,} card{'' if cards == 1 else 's'} of {_bytes(size)}"
        if cards == 1:
            words = f"{model}: {_bytes(totals[model])}, fits on one card of {_bytes(size)}"
        axes.text(0.006 * most, place - 0.42, words, va="center", size=NOTE, weight="bold", zorder=5,
                  bbox={"facecolor": "white", "linewidth": 0, "pad": 1})  # fmt: skip
    axes.axvline(size / unit, color="#000000", linestyle=style.FLOOR_DASH, linewidth=2, label=name)
    axes.set(ylim=(len(rows) - 0.6, -0.65), xlim=(0, 1.04 * most), yticks=[])
    handles, said = axes.get_legend_handles_labels()
    ordered = sorted(range(len(said)), key=lambda i: said[i] == name)
    labels.legend(figure, [handles[i] for i in ordered], [said[i] for i in ordered])
    return figure


def _bytes(amount: float) -> str:
    """A size in words: 2.79 TB."""
    for value, letter in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if amount >= value:
            return f"{float(f'{amount / value:.3g}'):g} {letter}"
    return f"{amount:g} bytes"


WAYS = (
    ("data parallelism", "every card: the whole model, its own texts", "sent: gradients, once a step"),
    ("tensor parallelism", "every card: a part of every matrix, the same texts", "sent: activations, in every block"),
    ("pipeline parallelism", "every card: some of the blocks", "sent: activations, from card to card"),
)


@style.styled
def model_parallelism(n_blocks: int = 4, n_cards: int = 4, *, title: str = "") -> Figure:
    """Three ways to divide a model over cards: data, tensor and pipeline parallelism; one colour for each card.

    n_blocks: blocks of the model, at most 6, a multiple of n_cards, so that a pipeline is cut evenly. n_cards: 2 to 4.

    Errors: ValueError for other numbers.
    Source: GPT-3, section 2.3, which mixes parallelism within each matrix product and across the layers. Differs: own
    drawing of the usual three schemes.
    """
    if not (isinstance(n_cards, int) and isinstance(n_blocks, int) and 2 <= n_cards <= 4 and 1 <= n_blocks <= 6
            and n_blocks % n_cards == 0):  # fmt: skip
        raise ValueError(
            f"expected 2 to 4 cards and up to 6 blocks, a multiple of the cards; got {n_cards}, {n_blocks}"
        )
    gap = 0.35
    wide, tall = (style.WIDEST - 0.3 - 2 * gap) / 3, 0.36
    body = n_blocks * (tall + 0.1)
    notes = [labels.wrapped(text, wide, NOTE) for _, holds, sent in WAYS for text in (holds, sent)]
    lines = [max(1 + note.count("\n") for note in notes[i::2]) for i in (0, 1)]
    figure, axes = style.paper(title, style.WIDEST - 0.3, 0.45 + body + 0.5 + 0.24 * sum(lines) + 0.2 + 0.4)
    for place, (name, *_) in enumerate(WAYS):
        x = place * (wide + gap)
        axes.text(x, -0.15, name, va="center", weight="bold")
        part = wide / n_cards
        for block in range(n_blocks):  # the first block is at the bottom
            y = -0.45 - (n_blocks - 1 - block) * (tall + 0.1) - tall / 2
            for card in range(n_cards):
                if place == 2 and card != block * n_cards // n_blocks:
                    continue
                left = x + card * part + (0.05 if place != 1 else 0.0)
                look = style.bar_style(card) | {"linewidth": 1.3}
                axes.add_patch(Rectangle((left, y - tall / 2), part - (0.1 if place != 1 else 0.0), tall, **look))
            if place == 1:
                axes.add_patch(Rectangle((x, y - tall / 2), wide, tall, fill=False, edgecolor=INK, linewidth=2))
            if place == 2 and block and (at := block * n_cards // n_blocks) != (block - 1) * n_cards // n_blocks:
                style.arrow(axes, (x + (at - 0.5) * part, y - tall / 2 - 0.1), (x + (at + 0.35) * part, y - tall / 2))
        y = -0.45 - body - 0.1
        for card in range(n_cards):
            axes.text(x + (card + 0.5) * part, y, f"{card + 1}", ha="center", va="center", size=NOTE, weight="bold",
                      color=labels.darker(PALETTE[card]))  # fmt: skip
        look = {"va": "top", "size": NOTE, "linespacing": 1.25}
        axes.text(x, y - 0.3, notes[2 * place], **look)
        axes.text(x, y - 0.4 - 0.24 * lines[0], notes[2 * place + 1], **look)
    words = f"{n_blocks} block{'' if n_blocks == 1 else 's'}, one above another; the numbers are the cards"
    axes.text(0, -0.45 - body - 0.5 - 0.24 * sum(lines) - 0.25, words, va="center", size=NOTE, color="#555555")
    return figure
