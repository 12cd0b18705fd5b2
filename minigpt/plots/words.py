"""Words: next-word probabilities, surprisal, answers."""

import textwrap

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import style
from minigpt.plots.style import PALETTE


@style.styled
def next_word(before: str, probabilities: dict, actual: str | None = None, *, n: int = 8, title: str = "") -> Figure:
    """Draw what may come next after a text: the n most probable words, and the rest together in one bar.

    probabilities: word -> probability; "" is the end of the document. actual: the word that does come, which is marked,
    and always drawn.

    Errors: ValueError if `actual` is not among the words.
    """
    if actual is not None and actual not in probabilities:
        raise ValueError(f"{actual!r} is not among the {len(probabilities)} words that may come next")
    ordered = sorted(probabilities, key=lambda word: (-round(probabilities[word], 9), word))
    shown = ordered[:n] if len(ordered) <= n + 1 else ordered[: n - 1]
    if actual is not None and actual not in shown:
        shown = [*shown[:-1], actual] if len(ordered) > n else [*shown, actual]
    rest = [word for word in ordered if word not in shown]
    figure, axes = style.canvas("", "probability", "", (8.4, 1.9 + 0.34 * (n + 1)))
    shorter = before if len(before) <= 150 else "… " + before[-150:].split(" ", 1)[1]
    heading = textwrap.fill(shorter or "(the beginning)", 84)
    heading = (title + "\n" if title else "") + heading.replace("$", r"\$") + " ___"
    axes.set_title(heading, loc="left", fontsize=11, weight="normal")
    for place, word in enumerate(shown):
        note = "  ◀ this one comes" if word == actual else ""
        style.bar(axes, place, probabilities[word], 1 if word == actual else 0, note)
    names = [style.spoken(word) for word in shown]
    if rest:
        style.bar(axes, len(shown), sum(probabilities[word] for word in rest), 2, "")
        names.append(f"{len(rest)} other words" if len(rest) > 1 else style.spoken(rest[0]))
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(n + 0.6, -0.6)
    axes.set_xlim(0, 1.25)
    axes.set_xticks(np.linspace(0, 1, 6))
    return figure


@style.styled
def surprise(words: list, series: dict, *, width: float = 9.2, title: str = "") -> Figure:
    """Draw a text as running text, with the surprise of every word as a bar above it.

    series: name -> one value for each word, in nats; one or two names, drawn side by side. "" is the end of the
    document, a line's end breaks the line here too. Values of 0.05 and more are written above their bars. The title
    and, for two series, the legend have lines of their own at the top.

    Errors: ValueError for a series that is not as long as the words, or for more than two.
    """
    rows = {name: np.asarray(values, float) for name, values in series.items()}
    if not 1 <= len(rows) <= 2 or any(values.shape != (len(words),) for values in rows.values()):
        raise ValueError(f"expected one or two series of {len(words)} values, got {[len(v) for v in rows.values()]}")
    places = style.laid_out(words, width, 0.24 if len(rows) == 1 else 0.5)
    scale = 0.62 / max(1.0, *(values.max() for values in rows.values()))
    heights = np.zeros(places[-1][0] + 1)  # of the highest bar in each line, in inches
    for (line, _, _), highest in zip(places, np.max(list(rows.values()), axis=0)):
        heights[line] = max(heights[line], highest * scale)
    bases = -np.cumsum(heights + 0.55)
    titles = textwrap.wrap(title.replace("$", r"\$"), int(8.5 * width))
    legend = list(rows) if len(rows) > 1 else []
    head = 0.28 * len(titles) + 0.32 * bool(legend) - 0.3  # the numbers over the highest bars end just below -0.3
    figure = Figure(figsize=(width + 0.3, head + 0.35 - bases[-1]))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(-0.15, width + 0.15), ylim=(bases[-1] - 0.35, head))
    axes.set_axis_off()
    for i, text in enumerate(titles):
        axes.text(0, head - 0.08 - 0.28 * i, text, weight="bold", size=13, va="top")
    style.draw_legend(axes, legend, head - 0.28 * len(titles) - 0.2)
    for i, (word, (line, left, wide)) in enumerate(zip(words, places)):
        base = bases[line]
        axes.plot([left, left + wide], [base, base], color="#999999", linewidth=1)
        axes.text(left + wide / 2, base - 0.06, style.spoken(word), ha="center", va="top", size=11)
        for j, values in enumerate(rows.values()):
            x, step = left + j * wide / len(rows), wide / len(rows)
            axes.add_patch(Rectangle((x, base), step, values[i] * scale, **style.bar_style(j)))
            if values[i] >= 0.05:
                top = base + values[i] * scale + 0.02
                axes.text(x + step / 2, top, f"{values[i]:.1f}", ha="center", va="bottom", size=9)
    return figure


@style.styled
def answer_strip(tokens: list, logratios, rewards, *, width: float = 9.2, title: str = "") -> Figure:
    """Draw an answer token by token: how much likelier each became since the reference, and what it earned.

    logratios: log pi - log pi_SFT of each token, nats; the box is orange and has a plus if the token became likelier,
    blue and a minus if less likely, white if it is as before. rewards: R_t of each token, written beneath.

    Errors: ValueError if there are not as many numbers as tokens.
    """
    logratios, rewards = np.asarray(logratios, float), np.asarray(rewards, float)
    if logratios.shape != (len(tokens),) or rewards.shape != (len(tokens),) or not len(tokens):
        raise ValueError(f"expected {len(tokens)} numbers each, but got {logratios.shape} and {rewards.shape}")
    places = style.laid_out(tokens, width, 0.5)
    n_lines = places[-1][0] + 1
    head, tall = (0.4 if title else 0.1), 0.95
    figure = Figure(figsize=(width + 0.3, head + n_lines * tall + 0.5))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(-0.15, width + 0.15), ylim=(-n_lines * tall - 0.5, head))
    axes.set_axis_off()
    axes.text(0, head - 0.05, title, weight="bold", size=13, va="top")
    most = max(1.0, np.abs(logratios).max())
    for token, ratio, reward, (line, left, wide) in zip(tokens, logratios, rewards, places):
        top = -line * tall - 0.05
        colour = to_rgba(PALETTE[1] if ratio > 0 else PALETTE[0], min(0.85, abs(ratio) / most))
        axes.add_patch(Rectangle((left + 0.02, top - 0.3), wide - 0.04, 0.3, facecolor=colour, edgecolor="#999999"))
        axes.text(left + wide / 2, top - 0.15, style.spoken(token), ha="center", va="center", size=11)
        axes.text(left + wide / 2, top - 0.33, _signed(ratio), ha="center", va="top", size=9)
        axes.text(left + wide / 2, top - 0.52, _signed(reward), ha="center", va="top", size=9, weight="bold")
    key = "under each token: its log-ratio to the SFT model (nats), and in bold the reward it earned"
    axes.text(0, -n_lines * tall - 0.2, key, size=10, va="top")
    return figure


def _signed(value: float) -> str:
    """A number with its sign and one digit; 0 for almost nothing."""
    return "0" if abs(value) < 0.05 else f"{value:+.1f}"


@style.styled
def prompt_answers(
    prompt: str,
    answers: list,
    right: str | None = None,
    *,
    title: str = "",
    n: int = 8,
    n_lines: int | None = None,
    width: int = 88,
) -> Figure:
    """Draw a prompt as it is read, and beneath it how a model divides its belief among the answers.

    answers: (answer, probability), of which the n most probable are drawn. right: the right answer, which is marked,
    and always drawn. n_lines: lines of prompt there is room for; of a longer prompt the last are shown.

    Errors: ValueError for no answers, or a right answer that is not among them.
    """
    names = [name for name, _ in answers]
    if not answers or right is not None and right not in names:
        raise ValueError(f"expected at least one answer, and {right!r} among them; but got {names}")
    ordered = sorted(answers, key=lambda pair: -pair[1])[:n]
    if right is not None and right not in dict(ordered):
        ordered[-1] = (right, dict(answers)[right])
    lines = prompt_lines(prompt + " ___", width)
    n_lines = len(lines) if n_lines is None else n_lines
    if len(lines) > n_lines:
        lines = ["...", *lines[-(n_lines - 1) :]] if n_lines > 1 else lines[-1:]
    top, low = 0.5 if title else 0.15, 0.75 + 0.34 * len(ordered)
    text_height = 0.235 * n_lines + 0.2
    height = top + text_height + 0.15 + low
    figure = Figure(figsize=(9.2, height))
    figure.text(0.02, 1 - 0.15 / height, title, weight="bold", size=13, va="top") if title else None
    paper = figure.add_axes((0.02, (low + 0.15) / height, 0.96, text_height / height), xlim=(0, 1), ylim=(0, 1))
    paper.set(xticks=[], yticks=[], facecolor="#f7f7f7")
    paper.spines[:].set_visible(True)
    for i, line in enumerate(lines):
        place = 1 - (0.12 + 0.235 * i) / text_height
        paper.text(0.012, place, line.replace("$", r"\$"), va="top", size=11, family="DejaVu Sans Mono")
    axes = figure.add_axes(
        (0.24, 0.6 / height, 0.72, 0.34 * len(ordered) / height), xlim=(0, 1.25), xlabel="probability"
    )
    for place, (name, share) in enumerate(ordered):
        style.bar(axes, place, share, 1 if name == right else 0, "  ◀ right" if name == right else "")
    axes.set_yticks(
        range(len(ordered)), [textwrap.shorten(style.spoken(name), 22, placeholder="...") for name, _ in ordered]
    )
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(ordered) - 0.5, -0.5)
    axes.set_xticks(np.linspace(0, 1, 6))
    return figure


def prompt_lines(prompt: str, width: int = 88) -> list[str]:
    """A prompt in lines that fit, cut between words; a line that goes on is indented."""
    return [
        piece for line in prompt.split("\n") for piece in textwrap.wrap(line, width, subsequent_indent="    ") or [""]
    ]
