"""Diagrams: input transforms, data parallelism."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE
from minigpt.plots.style import INK, ROLES


@style.styled
def transform_diagram(examples: list, *, title: str = "") -> Figure:
    """Input transforms of GPT-1: how tasks become token sequences, and what becomes of them.

    examples: (task, sequences, combine). A sequence is a list of (role, text), the roles being start, text, delim,
    answer and extract. combine: "single" (one sequence, one linear layer), "add" (the vectors at the extract tokens
    are added before the linear layer) or "choice" (one number for each sequence, softmax across them).

    Errors: ValueError for an unknown role or combine, or a number of sequences that does not fit it.
    Source: GPT-1, section 3.3 and Figure 1, right. Differs: own drawing; the sequences hold your own texts.
    """
    for task, sequences, combine in examples:
        _check_example(task, sequences, combine)
    height = 0.66 * sum(len(sequences) + 1 for _, sequences, _ in examples) + 0.1
    rest = 3.4  # inches after the sequences: arrows, Transformer, Linear, softmax
    examples = [
        (task, [_cut(row, style.WIDEST - 0.3 - rest) for row in rows], how)
        for task, rows, how in examples
    ]
    right = max(sum(style.box_width(text) for _, text in row) for _, rows, _ in examples for row in rows)
    figure, axes = style.paper(title, right + rest, height)
    top = 0.0
    for task, sequences, combine in examples:
        axes.text(0, top - 0.3, task, weight="bold", va="center")
        rows = [top - 0.78 - 0.62 * i for i in range(len(sequences))]
        for y, sequence in zip(rows, sequences):
            x = 0.0
            for role, text in sequence:
                x = style.box(axes, x, y, text, *ROLES[role])
            style.arrow(axes, (x, y), (right + 0.25, y))
            style.box(axes, right + 0.25, y, "Transformer", "white", INK, 1.3)
        _draw_head(axes, rows, combine, right + 1.55)
        top -= 0.62 * (len(sequences) + 1)
    return figure


def transform_rows(task: str, parts: Sequence[str]) -> list:
    """The sequences of a labelled example as `transform_diagram` draws them: rows of (role, text), texts cut short.

    Errors: ValueError for an unknown task.
    """
    start, delim, extract = ("start", "start"), ("delim", "delim"), ("extract", "extract")
    texts = [("text", _ends(part)) for part in parts]
    if task == "similarity":
        return [[start, a, delim, b, extract] for a, b in (texts, texts[::-1])]
    if task == "multiple choice":
        return [[start, texts[0], delim, ("answer", answer), extract] for _, answer in texts[1:]]
    if task not in ("classification", "entailment"):
        raise ValueError(
            f"expected classification, entailment, similarity or multiple choice; got {task!r}"
        )
    return [[start, texts[0], *(each for text in texts[1:] for each in (delim, text)), extract]]


def _ends(text: str) -> str:
    """The beginning and the end of a text."""
    words = text.split()
    return text.strip() if len(words) < 6 else f"{' '.join(words[:2])} ... {' '.join(words[-2:])}"


def _cut(row: list, width: float) -> list:
    """A sequence that fits into a width in inches: words are left out of its longest text for as long as they must."""
    row = list(row)
    while sum(style.box_width(text) for _, text in row) > width:
        i = max(range(len(row)), key=lambda i: len(row[i][1]))
        if " " not in row[i][1].removesuffix(" …"):
            break
        row[i] = (row[i][0], row[i][1].removesuffix(" …").rsplit(" ", 1)[0].removesuffix(" ...") + " …")
    return row


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
        style.arrow(axes, (x, y), (x + 0.22, y))
        style.box(axes, x + 0.22, y, "Linear", "white", INK, 0.8)
    if combine == "choice":
        for y in rows:
            style.arrow(axes, (x + 1.02, y), (x + 1.26, y))
        axes.add_patch(
            Rectangle((x + 1.26, rows[-1] - 0.22), 0.46, rows[0] - rows[-1] + 0.44, facecolor="white", edgecolor=INK)
        )
        axes.text(x + 1.49, middle, "softmax", rotation=90, ha="center", va="center", size=NOTE)


@style.styled
def data_parallel(n_workers: int, n_micro: int, windows: int, n_ctx: int, *, title: str = "") -> Figure:
    """Data parallelism and gradient accumulation: workers side by side, each with micro-batches one after another.

    n_workers: copies of the model. n_micro: micro-batches that each reads before the step, adding up its gradients.
    windows: windows in a micro-batch. n_ctx: tokens in a window. At most 4 workers and 4 micro-batches are drawn; the
    micro-batches of the step are numbered, since each has its own text.

    Errors: ValueError for a number below 1.
    Source: GPT-3, section 2.3, which names a batch of 3.2 million tokens and model parallelism, but no layout.
    Differs: own drawing of the usual scheme.
    """
    numbers = {"n_workers": n_workers, "n_micro": n_micro, "windows": windows, "n_ctx": n_ctx}
    if min(numbers.values()) < 1:
        raise ValueError(f"expected whole numbers of at least 1, but got {numbers}")
    rows = list(range(1, n_workers + 1)) if n_workers <= 4 else [1, 2, None, n_workers]
    steps = list(range(1, n_micro + 1)) if n_micro <= 4 else [1, 2, None, n_micro]
    total = n_workers * n_micro * windows * n_ctx
    words = (
        f"{n_workers:,} {_many('worker', n_workers)} × {n_micro:,} {_many('micro-batch', n_micro)} × "
        f"{windows:,} {_many('window', windows)} × {n_ctx:,} tokens = {total:,} tokens a step; "
        "the numbers are the micro-batches"
    )
    words = labels.wrapped(words, 8.6, NOTE)
    head, row = 0.15 + 0.25 * (1 + words.count("\n")), 0.62
    figure, axes = style.paper(title, 8.7, head + row * len(rows) + 0.1)
    axes.text(0, -0.05, words, va="top", size=NOTE)
    middle = -head - row * (len(rows) - 1) / 2 - 0.3
    for place, worker in enumerate(rows):
        y = -head - 0.3 - row * place
        if worker is None:
            axes.text(0.9, y, "...", ha="center", va="center", size=14)
            continue
        x = style.box(axes, 0, y, f"worker {worker}", *style.ROLES["start"], 1.15)
        for step in steps:
            style.arrow(axes, (x, y), (x + 0.18, y))
            role = style.ROLES["text"] if step is not None else ("white", "white")
            number = None if step is None else f"{(worker - 1) * n_micro + step:,}"
            x = style.box(axes, x + 0.18, y, "..." if number is None else number, *role, 0.9)
        style.arrow(axes, (x, y), (x + 0.18, y))
        x = style.box(axes, x + 0.18, y, "sum", *style.ROLES["delim"], 0.6)
        style.arrow(axes, (x, y), (6.6, middle + 0.1 * np.sign(y - middle)))
    x = style.box(axes, 6.6, middle, "mean", *style.ROLES["extract"], 0.75)
    style.arrow(axes, (x, middle), (x + 0.2, middle))
    style.box(axes, x + 0.2, middle, "one step", *style.ROLES["answer"], 1.05)
    return figure


def _many(word: str, n: int) -> str:
    return word if n == 1 else word + ("es" if word.endswith("h") else "s")
