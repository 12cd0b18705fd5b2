"""Diagrams: input transforms, data parallelism."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import style
from minigpt.plots.style import INK, ROLES


@style.styled
def transform_diagram(examples: list, *, title: str = "") -> Figure:
    """Draw how tasks become token sequences, and what becomes of them: the input transforms of GPT-1.

    examples: (task, sequences, combine). A sequence is a list of (role, text), the roles being start, text, delim,
    answer and extract. combine: "single" (one sequence, one linear layer), "add" (the vectors at the extract tokens
    are added before the linear layer) or "choice" (one number for each sequence, softmax across them).

    Errors: ValueError for an unknown role or combine, or a number of sequences that does not fit it.
    Source: GPT-1, section 3.3 and Figure 1, right. Differs: own drawing; the sequences hold your own texts.
    """
    for task, sequences, combine in examples:
        _check_example(task, sequences, combine)
    height = 0.62 * sum(len(sequences) + 1 for _, sequences, _ in examples) + (0.45 if title else 0.1)
    right = 0.15 + max(sum(style.text_width(text) for _, text in row) for _, sequences, _ in examples for row in sequences)
    figure = Figure(figsize=(right + 5.15, height))  # one unit of the axes is one inch
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, right + 5.15), ylim=(-height, 0))
    axes.axis("off")
    axes.text(0.15, -0.25, title, size=13, weight="bold", va="center")
    top = -0.45 if title else -0.1
    for task, sequences, combine in examples:
        axes.text(0.15, top - 0.3, task, weight="bold", va="center")
        rows = [top - 0.75 - 0.62 * i for i in range(len(sequences))]
        for y, sequence in zip(rows, sequences):
            x = 0.15
            for role, text in sequence:
                x = style.box(axes, x, y, text, *ROLES[role])
            style.arrow(axes, (x, y), (right + 0.4, y))
            style.box(axes, right + 0.4, y, "Transformer", "white", INK, 1.2)
        _draw_head(axes, rows, combine, right + 1.6)
        top -= 0.62 * (len(sequences) + 1)
    return figure


def _check_example(task: str, sequences: list, combine: str) -> None:
    fits = {"single": len(sequences) == 1, "add": len(sequences) == 2, "choice": len(sequences) >= 2}
    if combine not in fits:
        raise ValueError(f"{task!r}: combine must be one of {list(fits)}, not {combine!r}")
    if not fits[combine]:
        raise ValueError(f"{task!r}: {combine!r} does not go with {len(sequences)} sequences")
    unknown = [role for sequence in sequences for role, _ in sequence if role not in ROLES]
    if unknown:
        raise ValueError(f"{task!r}: unknown roles {unknown}; there are {list(ROLES)}")


def _draw_head(axes, rows: list[float], combine: str, x: float) -> None:
    """What follows the Transformers whose right edges are at x: the linear layer, and how the sequences meet."""
    middle = (rows[0] + rows[-1]) / 2
    if combine == "add":
        for y in rows:
            style.arrow(axes, (x, y), (x + 0.42, middle + 0.09 * (1 if y > middle else -1)))
        axes.text(x + 0.52, middle, "+", size=15, weight="bold", ha="center", va="center",
                  bbox={"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": INK})  # fmt: skip
        x += 0.68
    for y in rows if combine == "choice" else [middle]:
        style.arrow(axes, (x, y), (x + 0.35, y))
        style.box(axes, x + 0.35, y, "Linear", "white", INK, 0.75)
    if combine == "choice":
        for y in rows:
            style.arrow(axes, (x + 1.1, y), (x + 1.45, y))
        axes.add_patch(
            Rectangle((x + 1.45, rows[-1] - 0.2), 1.45, rows[0] - rows[-1] + 0.4, facecolor="white", edgecolor=INK)
        )
        axes.text(x + 2.175, middle, "softmax across\nthe answers", ha="center", va="center", size=11)


@style.styled
def data_parallel(n_workers: int, n_micro: int, windows: int, n_ctx: int, *, title: str = "") -> Figure:
    """Draw how one large batch is read: some workers side by side, each reading micro-batches one after another.

    n_workers: copies of the model. n_micro: micro-batches that each reads before the step, adding up its gradients.
    windows: windows in a micro-batch. n_ctx: tokens in a window. At most 4 workers and 4 micro-batches are drawn.

    Errors: ValueError for a number below 1.
    Source: GPT-3, section 2.3, which names a batch of 3.2 million tokens and model parallelism, but no layout.
    Differs: own drawing of the usual scheme.
    """
    numbers = {"n_workers": n_workers, "n_micro": n_micro, "windows": windows, "n_ctx": n_ctx}
    if min(numbers.values()) < 1:
        raise ValueError(f"expected whole numbers of at least 1, but got {numbers}")
    rows = list(range(1, n_workers + 1)) if n_workers <= 4 else [1, 2, None, n_workers]
    steps = list(range(1, n_micro + 1)) if n_micro <= 4 else [1, 2, None, n_micro]
    head = 0.95 if title else 0.6
    height, row = head + 0.62 * len(rows) + 0.15, 0.62
    figure = Figure(figsize=(10.6, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 10.6), ylim=(-height, 0))
    axes.axis("off")
    axes.text(0.15, -0.25, title, size=13, weight="bold", va="center")
    total = n_workers * n_micro * windows * n_ctx
    words = (
        f"{n_workers:,} {_many('worker', n_workers)} × {n_micro:,} {_many('micro-batch', n_micro)} × "
        f"{windows:,} {_many('window', windows)} × {n_ctx:,} tokens = {total:,} tokens a step"
    )
    axes.text(0.15, -head + 0.25, words, va="center")
    middle = -head - row * (len(rows) - 1) / 2 - 0.3
    for place, worker in enumerate(rows):
        y = -head - 0.3 - row * place
        if worker is None:
            axes.text(1.2, y, "...", ha="center", va="center", size=14)
            continue
        x = style.box(axes, 0.15, y, f"worker {worker}, same weights", *style.ROLES["start"], 2.2)
        for step in steps:
            style.arrow(axes, (x, y), (x + 0.22, y))
            role = style.ROLES["text"] if step is not None else ("white", "white")
            x = style.box(axes, x + 0.22, y, f"batch {step}" if step is not None else "...", *role, 0.9)
        style.arrow(axes, (x, y), (x + 0.22, y))
        x = style.box(axes, x + 0.22, y, "sum", *style.ROLES["delim"], 0.6)
        style.arrow(axes, (x, y), (8.05, middle + 0.1 * np.sign(y - middle)))
    x = style.box(axes, 8.05, middle, "mean", *style.ROLES["extract"], 0.75)
    style.arrow(axes, (x, middle), (x + 0.25, middle))
    style.box(axes, x + 0.25, middle, "one step", *style.ROLES["answer"], 1.1)
    return figure


def _many(word: str, n: int) -> str:
    return word if n == 1 else word + ("es" if word.endswith("h") else "s")
