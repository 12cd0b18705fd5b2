"""How a model is asked: an output layer for each task or text alone, examples in the prompt, induction."""

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE
from minigpt.plots.style import INK, PALETTE, ROLES

LINE = 1.3 * NOTE / 72  # inches from one line of small text to the next


@style.styled
def task_heads_and_text(tasks: list, d_model: int, *, title: str = "") -> Figure:
    """One output layer W_y for each task (GPT-1) beside text in, text out (GPT-2), the same tasks in the same order.

    tasks: (name, classes, prompt, answer), 1 to 5 of them. classes: how many numbers W_y gives; 1 for multiple choice,
    where each choice gets one number and the softmax goes over the choices. prompt, answer: GPT-2's text; a long prompt
    loses its beginning. d_model: how many numbers W_y reads.

    Errors: ValueError for no tasks or more than 5, a number that is not whole and above 0, or an empty text.
    Source: GPT-1, section 3.2; GPT-2, sections 1 and 2. Differs: own drawing; W_y is drawn as (d_model, classes).
    """
    if not 1 <= len(tasks) <= 5:
        raise ValueError(f"expected 1 to 5 tasks, but got {len(tasks)}")
    for task in tasks:
        if len(task) != 4 or not all(str(task[i]).strip() for i in (0, 2, 3)):
            raise ValueError(f"expected (name, classes, prompt, answer), none of them empty, but got {task!r}")
        _whole(f"{task[0]!r}: classes", task[1])
    _whole("d_model", d_model)
    lines = {n: 2 if n > 3 else 3 for n in range(1, 6)}[len(tasks)]
    tall = 0.16 + 0.24 + LINE * lines
    width, body = style.WIDEST - 0.3, tall * len(tasks)
    figure, axes = style.paper(title, width, 0.5 + body + 0.36)
    split, second = 3.35, 3.6
    answer = max(style.box_width(str(answer)) for *_, answer in tasks)
    gpt2 = width - answer - 0.25 - 0.5  # left edge of GPT-2's box
    axes.text(0, -0.15, "GPT-1: a layer for each task", va="center", weight="bold")
    axes.text(second, -0.15, "GPT-2: text in, text out", va="center", weight="bold")
    axes.plot([split + 0.05] * 2, [-0.02, -0.5 - body - 0.3], color="#999999", linewidth=1)
    for x, name in ((0.0, "GPT-1"), (gpt2, "GPT-2")):
        axes.add_patch(Rectangle((x, -0.45 - body), 0.5, body - 0.1, facecolor="white", edgecolor=INK, linewidth=1.5))
        axes.text(x + 0.25, -0.5 - body / 2, name, rotation=90, ha="center", va="center", weight="bold")
    for i, (name, classes, prompt, said) in enumerate(tasks):
        y = -0.5 - tall * (i + 0.5)
        axes.text(0.85, y + 0.3, name, va="center", size=NOTE, weight="bold")
        style.arrow(axes, (0.5, y - 0.05), (0.83, y - 0.05))
        end = style.box(axes, 0.85, y - 0.05, f"{d_model:,} × {classes}", *ROLES["extract"], height=0.36)
        style.arrow(axes, (end, y - 0.05), (end + 0.23, y - 0.05))
        over = "softmax" if classes > 1 else "per choice"
        axes.text(end + 0.28, y - 0.05, over, va="center", size=NOTE)
        shown = labels.wrapped(prompt.strip(), gpt2 - 0.2 - second - 0.2, NOTE).split("\n")
        shown = shown if len(shown) <= lines else ["… " + shown[-lines], *shown[1 - lines :]] if lines > 1 else shown
        high = 0.12 + LINE * len(shown)
        _text_box(axes, second, y + high / 2, gpt2 - 0.2 - second, "\n".join(shown), "text")
        style.arrow(axes, (gpt2 - 0.2, y), (gpt2 - 0.01, y))
        style.arrow(axes, (gpt2 + 0.5, y), (gpt2 + 0.74, y))
        style.box(axes, gpt2 + 0.75, y, str(said), *ROLES["answer"], answer)
    weights = sum(d_model * classes for _, classes, *_ in tasks)
    below = -0.5 - body - 0.17
    axes.text(0, below, f"{weights:,} new weights, from labels", va="center", size=NOTE)
    axes.text(second, below, "no new weights, no labels: the prompt says the task", va="center", size=NOTE)
    return figure


def _whole(name: str, value) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: expected a whole number of at least 1, but got {value!r}")


def _text_box(axes, x: float, top: float, wide: float, text: str, role: str, weight: str = "normal") -> float:
    """A box with text at its left edge, whose upper edge is at top; returns its lower edge."""
    high = 0.12 + LINE * (1 + text.count("\n"))
    face, edge = ROLES[role]
    axes.add_patch(Rectangle((x, top - high), wide, high, facecolor=face, edgecolor=edge, linewidth=1.3))
    axes.text(x + 0.1, top - high / 2, text, va="center", size=NOTE, linespacing=1.3, color="#111111", weight=weight)
    return top - high


@style.styled
def shots(
    pairs: list, question: str, answer: str, *, instruction: str, n: int = 3, written: str = "{} : {}", title: str = ""
) -> Figure:
    """Zero-shot, one-shot and few-shot prompts beside fine-tuning: what is read, and what changes the weights.

    pairs: examples (input, output), at least n and 2; the same stand in the prompts and in fine-tuning. question: the
    input that is asked about; answer: its right output. instruction: the description of the task. n: examples of the
    few-shot prompt, at most 5. written: how a pair is written.

    Errors: ValueError for too few pairs, n outside 2..5, or texts that are empty.
    Source: GPT-3, figure 2.1. Differs: own drawing, the reader's own prompts.
    """
    pairs = [tuple(pair) for pair in pairs]
    if not (isinstance(n, int) and 2 <= n <= 5 and len(pairs) >= n and all(len(pair) == 2 for pair in pairs)):
        raise ValueError(f"expected n from 2 to 5 and as many pairs (input, output); got n = {n!r} and {pairs!r}")
    if not all(str(text).strip() for text in (question, answer, instruction)):
        raise ValueError("expected a question, an answer and an instruction, none of them empty")
    gap = 0.22
    wide = (style.WIDEST - 0.3 - 3 * gap) / 4
    room = wide - 0.2
    said = labels.wrapped(instruction, room, NOTE)
    examples = [labels.wrapped(written.format(*pair), room, NOTE) for pair in pairs]
    asked = labels.wrapped(written.format(question, "").rstrip(), room, NOTE)
    columns = {
        name: [("start", said), *(("text", text) for text in examples[:k]), ("delim", asked)]
        for name, k in (("zero-shot", 0), ("one-shot", 1), (f"few-shot, K = {n}", n))
    }
    tuned = [part for text in examples[:2] for part in (("text", text), ("update", "gradient update"))]
    columns["fine-tuning"] = [*tuned, ("dots", "..."), ("delim", asked)]

    def length(parts: list) -> float:
        return sum({"dots": 0.22, "update": 0.46}.get(role, 0.12 + LINE * (1 + text.count("\n"))) + 0.05
                   for role, text in parts)  # fmt: skip

    body = max(length(parts) for parts in columns.values())
    figure, axes = style.paper(title, style.WIDEST - 0.3, 0.38 + body + 1.35)
    for place, (name, parts) in enumerate(columns.items()):
        x, y = place * (wide + gap), -0.38
        axes.text(x, -0.15, name, va="center", weight="bold")
        for role, text in parts:
            if role == "dots":
                axes.text(x + wide / 2, y - 0.08, text, ha="center", va="center")
                y -= 0.22
            elif role == "update":
                style.arrow(axes, (x + 0.25, y + 0.05), (x + 0.25, y - 0.44), linewidth=2.4, color=PALETTE[1])
                axes.text(x + 0.42, y - 0.2, text, va="center", size=NOTE, weight="bold",
                          color=labels.darker(PALETTE[1]))  # fmt: skip
                y -= 0.46
            else:
                y = _text_box(axes, x, y, wide, text, role)
            y -= 0.05
        foot = -0.38 - body
        style.arrow(axes, (x + 0.25, y + 0.05), (x + 0.25, foot - 0.28))
        _text_box(axes, x, foot - 0.28, wide, labels.wrapped(answer, room, NOTE), "answer")
    y = -0.38 - body - 0.85
    for start, end, colour, words in (
        (0, 3 * wide + 2 * gap, PALETTE[0], "the weights stay as they are: examples are only read"),
        (3 * (wide + gap), 4 * wide + 3 * gap, PALETTE[1], "weights change"),
    ):
        axes.plot([start, start, end, end], [y + 0.1, y, y, y + 0.1], color=colour, linewidth=2)
        axes.text((start + end) / 2, y - 0.2, words, ha="center", va="center", size=NOTE, weight="bold",
                  color=labels.darker(colour))  # fmt: skip
    return figure


@style.styled
def induction_steps(words: list, *, heads: tuple | None = None, title: str = "") -> Figure:
    """Induction in two steps: ... A B ... A, and the head that looks back predicts B.

    Step 1: a previous-token head writes into each position which token came before it. Step 2: the induction head looks
    from the last A to the position that says "after A", which is B, and copies B. Arrows show where information goes.

    words: 4 to 12 tokens; the last one, A, came before, with B after it. heads: where
    the two heads are, such as ("layer 1, head 3", "layer 2, head 1").

    Errors: ValueError for other lengths, a last word that has not come before, or words too long for the page.
    Source: Elhage et al. 2021; Olsson et al. 2022, section "Induction heads". Differs: own drawing.
    """
    words = [labels.spoken(word) for word in words]
    T = len(words)
    if not 4 <= T <= 12:
        raise ValueError(f"expected 4 to 12 words, but got {T}: {words}")
    if heads is not None and len(heads) != 2:
        raise ValueError(f"heads: expected two places, but got {heads!r}")
    earlier = [t for t in range(T - 2) if words[t] == words[-1]]
    if not earlier:
        raise ValueError(f"expected a last word that came before, with another after it, but got {words}")
    a = earlier[-1]
    first, second = words[a], words[a + 1]
    answer = style.box_width(second)
    wide = [max(0.45, style.box_width(word)) for word in words]
    gap = min(0.22, (style.WIDEST - 0.3 - sum(wide) - answer - 0.35) / (T - 1))
    if gap < 0.05:
        raise ValueError(f"expected words that fit on one line, but got {words}")
    left = [sum(wide[:t]) + gap * t for t in range(T)]
    middle = [x + w / 2 for x, w in zip(left, wide)]
    figure, axes = style.paper(title, style.WIDEST - 0.3, 4.55)
    bright = PALETTE[1]
    note = f"after {first}"

    def arc(y: float, start: float, end: float, high: float, **look) -> None:
        look = {"connectionstyle": f"arc3,rad={-2 * high / abs(end - start)}"} | look
        style.arrow(axes, (start, y), (end, y), **look)

    def tokens(y: float) -> None:
        for t, word in enumerate(words):
            role = "text" if t in (a, T - 1) else "answer" if t == a + 1 else "start"
            style.box(axes, left[t], y, word, *ROLES[role], wide[t])

    names = ["previous-token head", "induction head"]
    names = names if heads is None else [f"{name}: {where}" for name, where in zip(names, heads, strict=True)]
    for y, head, sentence in (
        (-1.2, names[0], f"every token notes which token came before it: {second} notes “{note}”"),
        (-3.4, names[1], f"{first} looks for “{note}”, finds {second} there, and copies {second}"),
    ):
        number = "1" if y > -2 else "2"
        axes.text(0, y + 1.1, f"{number}  {head}", va="center", weight="bold")
        axes.text(0, y - 0.75, labels.wrapped(sentence, style.WIDEST - 0.3, NOTE), va="center", size=NOTE)
        tokens(y)
        axes.text(middle[a + 1], y - 0.4, note, ha="center", va="center", size=NOTE, weight="bold",
                  color=labels.darker(bright))  # fmt: skip
    for t in range(1, T):
        look = {"color": bright, "linewidth": 3, "zorder": 5} if t == a + 1 else {"color": "#8a8a8a", "linewidth": 1.3}
        arc(-1.2 + 0.22, middle[t - 1], middle[t], 0.22, **look)
    arc(-3.4 + 0.22, middle[a + 1], middle[-1], 0.55, color=bright, linewidth=3)
    end = left[-1] + wide[-1]
    style.arrow(axes, (end, -3.4), (end + 0.33, -3.4), linewidth=2)
    style.box(axes, end + 0.35, -3.4, second, *ROLES["answer"], answer, weight="bold")
    axes.text(end + 0.35 + answer / 2, -3.8, "predicted", ha="center", va="center", size=NOTE)
    return figure
