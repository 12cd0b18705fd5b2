"""Memory of large models: three ways to divide one model over several cards."""


from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE
from minigpt.plots.style import INK, PALETTE

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
