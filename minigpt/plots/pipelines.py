"""How a model is fed: inputs and targets, masks of GPT and BERT, pre-training and fine-tuning."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL, TEXT
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


@style.styled
def masks_and_inputs(words: list, masked: list | None = None, *, title: str = "") -> Figure:
    """GPT and BERT side by side: for each position its input, what it may see, its target, and whether it has a loss.

    words: the tokens of a text. masked: indices of the words that BERT sees as [MASK] and must restore; None: one in
    the middle. GPT predicts at every position but the last, whose target is not among the words.

    Errors: ValueError for fewer than 2 or more than 8 words, or masked positions that are not among them.
    Source: GPT-1, section 3.1; BERT, section 3.1. Differs: own drawing; BERT's [MASK] only, not its random words.
    """
    words = [labels.spoken(word) for word in words]
    T = len(words)
    if not 2 <= T <= 8:
        raise ValueError(f"expected 2 to 8 words, but got {T}: {words}")
    masked = [T // 2] if masked is None else list(masked)
    if not masked or not set(masked) <= set(range(T)):
        raise ValueError(f"masked: expected positions from 0 to {T - 1}, at least one, but got {masked}")
    seen = ["[MASK]" if t in masked else word for t, word in enumerate(words)]
    models = [
        ("GPT: reads from left to right", words, np.tri(T, dtype=bool), [*words[1:], None]),
        (
            "BERT: sees both sides",
            seen,
            np.ones((T, T), bool),
            [w if t in masked else None for t, w in enumerate(words)],
        ),
    ]
    box = max(style.box_width(word) for word in (*seen, *words))
    half = (style.WIDEST - 0.6) / 2
    cell = min(0.4, (half - 2 * box - 0.5) / T)
    if cell < 0.16:
        raise ValueError(f"expected words short enough for the page, but got {words}")
    top = 0.95 + max(labels.text_width(word, NOTE) for word in (*seen, *words))
    figure, axes = style.paper(title, style.WIDEST - 0.3, top + 0.46 * T + 0.5)
    for place, (name, inputs, allowed, targets) in enumerate(models):
        x = place * (half + 0.3)
        left, right = x + box + 0.12, x + box + 0.12 + cell * T
        axes.text(x, -0.15, name, va="center", weight="bold")
        axes.text(x, -top + 0.2, "input", va="center", size=NOTE)
        axes.text(left, -0.5, "may see", va="center", size=NOTE)
        axes.text(right + 0.35, -top + 0.2, "target", va="center", size=NOTE)
        for s, word in enumerate(inputs):
            axes.text(left + (s + 0.5) * cell, -top + 0.08, word, rotation=90, ha="center", va="bottom", size=NOTE)
        for t in range(T):
            y = -top - 0.46 * (t + 0.5)
            style.box(axes, x, y, inputs[t], *ROLES["delim" if inputs[t] == "[MASK]" else "text"], box, height=0.38)
            for s in range(T):
                look = {"facecolor": "#7d7dd8", "edgecolor": "white", "linewidth": 1} if allowed[t, s] else style.HIDDEN
                axes.add_patch(Rectangle((left + s * cell, y - 0.23), cell, 0.46, **look))
            if targets[t] is None:
                axes.text(right + 0.35, y, "no loss", va="center", size=NOTE, color="#666666")
            else:
                style.arrow(axes, (right + 0.06, y), (right + 0.33, y))
                style.box(axes, right + 0.35, y, targets[t], *ROLES["answer"], box, height=0.38)
        count = sum(target is not None for target in targets)
        axes.text(
            x, -top - 0.46 * T - 0.25, f"a loss at {count} of {T} positions", va="center", size=NOTE, weight="bold"
        )
    return figure


PROBLEMS = (
    ("Which objective teaches the most?", "predict the next token"),
    ("How does every task use what was learnt?", "write each input as one sequence, add one linear layer"),
)
TASKS = ("classification", "entailment", "similarity", "multiple choice")


@style.styled
def pretrain_finetune(
    sizes: dict | None = None, *, tasks: tuple = TASKS, problems: tuple = PROBLEMS, title: str = ""
) -> Figure:
    """The whole of GPT-1: pre-train on text, copy the weights, fine-tune on few labels; and its two problems.

    sizes: what to write beneath "text", "labels", "pre-training" and "fine-tuning", such as {"text": "6,000 stories"}.
    tasks: at most 5 names. problems: two pairs (question, GPT-1's answer), marked 1 and 2 where they arise.

    Errors: ValueError for an unknown key of sizes, no tasks or more than 5, or not two problems.
    Source: GPT-1, sections 1 and 3. Differs: own drawing.
    """
    written = {"text": "no labels", "labels": "few", "pre-training": "", "fine-tuning": "one new linear layer W_y"}
    unknown = sorted(set(sizes or {}) - set(written))
    if unknown or not 1 <= len(tasks) <= 5 or len(problems) != 2:
        raise ValueError(f"expected sizes for {list(written)}, 1 to 5 tasks and two problems (question, answer); "
                         f"but got sizes for {unknown}, {len(tasks)} tasks, {len(problems)} problems")  # fmt: skip
    written |= {name: str(text) for name, text in (sizes or {}).items()}
    figure, axes = style.paper(title, style.WIDEST - 0.3, 4.4)
    upper, lower, tall = -0.75, -2.75, 1.25

    def block(x: float, y: float, wide: float, role: str, head: str, text: str) -> None:
        axes.add_patch(
            Rectangle((x, y - tall / 2), wide, tall, facecolor=ROLES[role][0], edgecolor=ROLES[role][1], lw=1.5)
        )
        words = labels.wrapped(text, wide - 0.2, NOTE) if text else ""
        whole = 0.26 + 0.235 * (1 + words.count("\n")) * bool(words)
        axes.text(x + wide / 2, y + whole / 2, head, ha="center", va="top", weight="bold", size=TEXT)
        if words:
            axes.text(x + wide / 2, y + whole / 2 - 0.3, words, ha="center", va="top", size=NOTE, linespacing=1.2)

    block(0, upper, 1.95, "text", "much text", written["text"])
    block(
        2.45,
        upper,
        2.6,
        "extract",
        "pre-training",
        "\n".join(filter(None, ["L₁: next token", written["pre-training"]])),
    )
    block(0, lower, 1.95, "answer", "labels", written["labels"])
    tuning = "\n".join(filter(None, ["L₂ + λ L₁", written["fine-tuning"]]))
    block(2.45, lower, 2.6, "extract", "fine-tuning", tuning)
    for y in (upper, lower):
        style.arrow(axes, (1.97, y), (2.43, y), linewidth=2)
    style.arrow(axes, (3.75, upper - tall / 2), (3.75, lower + tall / 2 + 0.02), linewidth=2)
    axes.text(3.9, (upper + lower) / 2, "copy all weights", va="center", size=NOTE)
    wide = max(style.box_width(task) for task in tasks)
    step = min(0.5, 2.1 / len(tasks))
    for i, task in enumerate(tasks):
        y = lower + step * ((len(tasks) - 1) / 2 - i)
        style.arrow(axes, (5.07, lower), (6.18, y), linewidth=1.5)
        style.box(axes, 6.2, y, task, "white", INK, wide, height=0.36)
    for place, (question, answer) in zip(((5.45, upper + 0.45), (0.25, -3.85)), problems):
        room = style.WIDEST - 0.3 - place[0] - 0.35
        question, answer = labels.wrapped(question, room, NOTE, "bold"), labels.wrapped(f"GPT-1: {answer}", room, NOTE)
        axes.text(place[0] + 0.3, place[1] + 0.12, question, va="top", size=NOTE, weight="bold", linespacing=1.2)
        below = place[1] + 0.12 - 0.235 * (1 + question.count("\n")) - 0.05
        axes.text(place[0] + 0.3, below, answer, va="top", size=NOTE, linespacing=1.2)
    _mark(axes, 5.45, upper + 0.45, "1")
    for place in ((5.4, lower + 0.45), (0.25, -3.85)):
        _mark(axes, *place, "2")
    return figure


def _mark(axes, x: float, y: float, text: str) -> None:
    """A number in a dark circle."""
    look = {"boxstyle": "circle,pad=0.25", "facecolor": "#9c5208", "edgecolor": "white", "linewidth": 1.5}
    axes.text(x, y, text, ha="center", va="center", size=NOTE, weight="bold", color="white", bbox=look, zorder=6)
