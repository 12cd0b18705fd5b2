"""One example of each drawing, and what every figure must keep: words on the page, large enough, none over another."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from minigpt import plots

SIZES = {"n_vocab": 1024, "n_ctx": 256, "n_layers": 2, "n_heads": 6, "d_model": 96}
WORDS = ["Tom", " found", " a", " red", " hat"]


def task(low, high, spread, seed):
    """{x: five values}: a learning curve from low to high."""
    draws = np.random.default_rng(seed)
    means = np.linspace(low, high, 4)
    return {x: np.clip(mean + spread * draws.standard_normal(5), 0, 1) for x, mean in zip((16, 64, 256, 1024), means)}


def head():
    """A head of attention on five words: X, Q, K, scores, weights, V, out."""
    draws = np.random.default_rng(0)
    X = draws.standard_normal((5, 4)).round(2)
    Q, K, V = (X @ draws.standard_normal((4, 2)) / 2 for _ in range(3))
    scores = np.where(np.tri(5, dtype=bool), Q @ K.T / 2**0.5, -np.inf)
    weights = np.exp(scores)
    weights /= weights.sum(1, keepdims=True)
    return X, Q, K, scores, weights, V, weights @ V


def tasks():
    panels = {
        name: {"fine-tuned": task(a, b, 0.06, i), "from scratch": task(0.5 * a, b - 0.2, 0.03, i + 9)}
        for i, (name, a, b) in enumerate(
            [("classification", 0.8, 0.96), ("entailment", 0.5, 0.9), ("similarity", 0.5, 0.85), ("choice", 0.4, 0.9)]
        )
    }
    references = {name: {"chance": 0.5, "majority": 0.5 + 0.02 * i, "zero-shot": 0.55, "best possible": 0.97}
                  for i, name in enumerate(panels)}  # fmt: skip
    return panels, references


GALLERY = {
    "task_panels": lambda: plots.task_panels(*tasks(), title="Pre-training helps most with few labels", guess=0.7),
    "task_panels_three": lambda: plots.task_panels(
        {str(i): {"a": {2: [0.1, 0.2], 4: [0.3]}} for i in range(3)}, {"chance": 0.25}, n_columns=3
    ),
    "shifted_targets": lambda: plots.shifted_targets(
        ["Once", " upon", " a", " time", " a", " fox", " found", " a", ""], [3.2, 0.02, 0.01, 0.4, 2.1, 3.05, 0.9, 5.7],
        [3.0, 0.0, 0.0, 0.3, 2.0, 2.9, 0.9, 5.5], title="Every position has a target: the next token"),
    "shifted_targets_long": lambda: plots.shifted_targets(["something"] * 30, np.linspace(0, 2, 29)),
    "shifted_targets_plain": lambda: plots.shifted_targets(["a", "b"]),
    "head_steps": lambda: plots.head_steps(WORDS, *head(), title="One head: five words, two numbers each"),
    "stack": lambda: plots.transformer_stack(SIZES, 360_000, title="GPT-1 in this book: two blocks of width 96"),
    "stack_pre": lambda: plots.transformer_stack(SIZES, norm="pre", title="GPT-2: LayerNorm before each step"),
    "stacks": lambda: plots.transformer_stack(
        SIZES, (360_000, 360_192), beside="pre", title="Post-LN (GPT-1) and pre-LN (GPT-2)"
    ),
    "split_heads": lambda: plots.split_heads(96, 6, title="Six heads share 96 numbers"),
    "split_heads_many": lambda: plots.split_heads(768, 12),
}  # fmt: skip


def drawn(figure: Figure):
    """The figure's renderer, after everything has found its place."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def visible_texts(figure: Figure) -> list[Text]:
    """Every text that can be seen: no empty ones, no ticks outside the axes or in axes that are off."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = {id(tick) for tick in axis._update_ticks()} if axes.axison else set()
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if id(tick) not in shown:
                    hidden |= {id(tick.label1), id(tick.label2)}
    found = figure.findobj(Text)
    return [text for text in found if text.get_visible() and text.get_text().strip() and id(text) not in hidden]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in visible_texts(figure)]


def flaws(figure: Figure) -> list[str]:
    """What is wrong with the words of a figure: cut, too small, or over each other; and a page that is too large."""
    renderer, page, found, boxes = drawn(figure), figure.bbox, [], []
    width, height = figure.get_size_inches()
    if width > 9.001 or height > 6.6:
        found.append(f"{width:.1f} x {height:.1f} inches")
    for text in visible_texts(figure):
        box = Text.get_window_extent(text, renderer)
        if box.x0 < -1 or box.y0 < -1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1:
            found.append(f"cut: {text.get_text()!r}")
        if text.get_fontsize() < 12:
            found.append(f"small: {text.get_text()!r}")
        boxes.append((text.get_text(), box))
    found += [f"{a!r} over {b!r}" for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.overlaps(two)]
    return found
