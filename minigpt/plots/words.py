"""Words: next-word probabilities, surprisal, answers."""

import textwrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import information, labels, style
from minigpt.plots.labels import NOTE, SMALL


@style.styled
def next_word(
    before: str, probabilities: dict, actual: str | None = None, *, n: int = 8, guess=..., title: str = ""
) -> Figure:
    """Next-word distribution: the n most probable words after a text, and the rest together in one bar.

    probabilities: word -> probability; "" is the end of the document. actual: the word that does come, which is marked,
    and always drawn. guess: the reader's own probability, an upright grey line; ... is none.

    Errors: ValueError if `actual` is not among the words, or for a guess that is no number.
    """
    if actual is not None and actual not in probabilities:
        raise ValueError(f"{actual!r} is not among the {len(probabilities)} words that may come next")
    ordered = sorted(probabilities, key=lambda word: (-round(probabilities[word], 9), word))
    shown = ordered[:n] if len(ordered) <= n + 1 else ordered[: n - 1]
    if actual is not None and actual not in shown:
        shown = [*shown[:-1], actual] if len(ordered) > n else [*shown, actual]
    rest = [word for word in ordered if word not in shown]
    shorter = before if len(before) <= 150 else "… " + before[-150:].split(" ", 1)[1]
    heading = labels.wrapped((shorter or "(the beginning)") + " ___", style.WIDEST - 1.6)
    n_rows = n + 1 + (labels.guessed(guess) is not None)  # the guess has a line of its own for its name
    figure, axes = style.canvas(title, "probability", "", (9.0, 1.7 + 0.34 * n_rows + 0.27 * heading.count("\n")))
    axes.set_title(heading, loc="left", weight="normal")
    for place, word in enumerate(shown):
        note = "  ◀ this one comes" if word == actual else ""
        style.bar(axes, place, probabilities[word], 1 if word == actual else 0, note)
    names = [labels.spoken(word) for word in shown]
    if rest:
        style.bar(axes, len(shown), sum(probabilities[word] for word in rest), 2, "")
        names.append(f"{len(rest)} other words" if len(rest) > 1 else labels.spoken(rest[0]))
    style.probability_axis(axes, names, n_rows)
    information.mark_guess(axes, guess, 0.02)
    return figure


@style.styled
def surprise(words: list, series: dict, *, width: float = 8.7, title: str = "") -> Figure:
    """Surprisal of a text: running text, with the surprise of every word in nats as a bar above it.

    series: name -> one value for each word, in nats; one or two names, drawn side by side. "" is the end of the
    document, a line's end breaks the line here too. Values of 0.05 and more are written above their bars. The title
    and, for two series, the legend have lines of their own at the top.

    Errors: ValueError for a series that is not as long as the words, or for more than two.
    """
    rows = {name: np.asarray(values, float) for name, values in series.items()}
    if not 1 <= len(rows) <= 2 or any(values.shape != (len(words),) for values in rows.values()):
        raise ValueError(f"expected one or two series of {len(words)} values, got {[len(v) for v in rows.values()]}")
    places = labels.laid_out(words, width, 0.36 if len(rows) == 1 else 0.62)
    scale = (0.52 if len(rows) == 1 else 0.44) / max(1.0, *(values.max() for values in rows.values()))
    heights = np.zeros(places[-1][0] + 1)  # of the highest bar in each line, in inches
    for (line, _, _), highest in zip(places, np.max(list(rows.values()), axis=0)):
        heights[line] = max(heights[line], highest * scale)
    below = labels.legend_height(list(rows), width)
    bases = 0.2 - below - np.cumsum(heights + 0.58)  # the first line has no words above it
    figure, axes = style.paper(title, width, 0.4 - bases[-1])
    if below:
        labels.draw_legend(axes, list(rows), width, style.bar_style)
    for i, (word, (line, left, wide)) in enumerate(zip(words, places)):
        base = bases[line]
        axes.plot([left, left + wide], [base, base], color="#999999", linewidth=1)
        axes.text(left + wide / 2, base - 0.06, labels.spoken(word), ha="center", va="top")
        for j, values in enumerate(rows.values()):
            x, step = left + j * wide / len(rows), wide / len(rows)
            axes.add_patch(Rectangle((x, base), step, values[i] * scale, **style.bar_style(j)))
            if values[i] >= 0.05:
                top = base + values[i] * scale + 0.02
                axes.text(x + step / 2, top, f"{values[i]:.1f}", ha="center", va="bottom", size=SMALL)
    return figure


@style.styled
def prompt_answers(
    prompt: str,
    answers: list,
    right: str | None = None,
    *,
    title: str = "",
    n: int = 8,
    n_lines: int | None = None,
    width: int = 66,
    best: list | None = None,
) -> Figure:
    """Prompt and answer distribution: a prompt as it is read, and beneath it the probabilities of the answers.

    answers: (answer, probability), of which the n most probable are drawn. right: the right answer, which is marked,
    and always drawn. n_lines: lines of prompt there is room for; of a longer prompt the last are shown. best: (answer,
    probability) of the Bayes-optimal learner, a dashed outline at each answer; both together give the n most probable.

    Errors: ValueError for no answers, or a right answer that is not among them.
    """
    names = [name for name, _ in answers]
    if not answers or right is not None and right not in names:
        raise ValueError(f"expected at least one answer, and {right!r} among them; but got {names}")
    ideal = dict(best or [])
    everything = {name: 0.0 for name in ideal} | dict(answers)
    ordered = sorted(everything.items(), key=lambda pair: -max(pair[1], ideal.get(pair[0], 0.0)))[:n]
    if right is not None and right not in dict(ordered):
        ordered[-1] = (right, everything[right])
    lines = labels.prompt_lines(prompt + " ___", width)
    n_lines = len(lines) if n_lines is None else n_lines
    if len(lines) > n_lines:
        lines = ["...", *lines[-(n_lines - 1) :]] if n_lines > 1 else lines[-1:]
    text_height, low = 0.27 * n_lines + 0.2, 1.1 + 0.36 * len(ordered)
    low += 0.4 * bool(ideal)
    figure = style.sheet(title, style.WIDEST, 0.5 * bool(title) + text_height + low)
    paper, axes = figure.subplots(2, 1, height_ratios=[text_height, low - 0.6])
    paper.set(xticks=[], yticks=[], facecolor="#f7f7f7", xlim=(0, 1), ylim=(0, 1))
    paper.spines[:].set_visible(True)
    mono = ["DejaVu Sans Mono", *labels.families()]
    for i, line in enumerate(lines):
        paper.text(0.012, 1 - (0.12 + 0.27 * i) / text_height, line, va="top", size=NOTE, family=mono)
    for place, (name, share) in enumerate(ordered):
        note = "  ◀ right" if name == right else ""
        if not ideal:
            style.bar(axes, place, share, 1 if name == right else 0, note)
            continue
        axes.barh(place, share, 0.7, linewidth=1.5, **style.bar_style(1 if name == right else 0))
        look = {"facecolor": "none", "edgecolor": "#000000", "linewidth": 2.2, "linestyle": (0, (4, 2))}
        axes.barh(place, ideal.get(name, 0.0), 0.7, **look)
        words = f"{share:.2f} (best {ideal.get(name, 0.0):.2f}){note}"
        axes.annotate(words, (max(share, ideal.get(name, 0.0)), place), (6, 0), textcoords="offset points",
                      va="center", size=NOTE)  # fmt: skip
    if ideal:
        handles = [Rectangle((0, 0), 1, 1, **style.bar_style(0)), Rectangle((0, 0), 1, 1, **look)]
        labels.legend(figure, handles, ["model", "best possible learner"])
    names = [textwrap.shorten(labels.spoken(name), 22, placeholder="...") for name, _ in ordered]
    style.probability_axis(axes, names, len(ordered), 1.5 if ideal else 1.3)
    return figure
