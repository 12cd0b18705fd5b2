"""Long tables of a report as charts that fit a screen, and what a rule-based reward sees."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import PALE, PALETTE, ROLES


@style.styled
def grouped_ranges(groups: dict, *, x_label: str, title: str = "", limits: tuple = (0, 100),
                   references: dict | None = None, guess=...) -> Figure:  # fmt: skip
    """Range chart in two columns: many rows in named groups, several series side by side in every row.

    groups: group -> {row: {series: value or (low, high)}}; a range is drawn from its lower end, where the mark is. A
    series may be missing. references: name -> number, dotted lines in both columns. guess: the reader's number.

    Errors: ValueError for no rows, a range that runs backwards, or more than 6 series.
    """
    rows = [(group, row, marks) for group, members in groups.items() for row, marks in members.items()]
    names = list(dict.fromkeys(series for *_, marks in rows for series in marks))
    if not rows or not 1 <= len(names) <= 6:
        raise ValueError(f"expected rows with 1 to 6 series; got {len(rows)} rows and {names}")
    columns = _two_columns(groups)
    n_lines = max(sum(1 + len(members) for members in column.values()) for column in columns)
    figure = style.sheet(title, style.WIDEST, 1.55 + 0.275 * n_lines)
    handles, found = {}, figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, column in zip(found, columns):
        lines = []
        for group, members in column.items():
            lines.append((group, None))
            lines += list(members.items())
        for place, (_, marks) in enumerate(lines):
            axes.axhline(place + 0.5, color=PALE, linewidth=0.8, zorder=0)
            for series, value in (marks or {}).items():
                low, high = (value, value) if np.ndim(value) == 0 else value
                if not low <= high:
                    raise ValueError(f"{series}: expected a range from low to high, but got {low} ... {high}")
                i = names.index(series)
                y = place + (0.5 * ((i + 0.5) / len(names) - 0.5) if len(names) > 1 else 0)
                look = {"color": PALETTE[i], "clip_on": False, "zorder": 3}
                axes.plot([low, high], [y, y], linewidth=2.6, solid_capstyle="butt", **look)
                handles[series] = axes.plot([low], [y], marker=style.MARKERS[i], markersize=7, linestyle="none",
                                            markerfacecolor=PALETTE[i] if i != 1 else "white", markeredgewidth=1.5,
                                            **look)[0]  # fmt: skip
        for name, value in (references or {}).items():
            handles[f"{name} {value:g}"] = axes.axvline(
                value, color="#000000", linestyle=labels.dash(name), linewidth=1.4
            )
        if (value := labels.guessed(guess)) is not None:
            handles[f"your guess {value:g}"] = axes.axvline(value, **labels.GUESS)
        axes.set_yticks(range(len(lines)), [name for name, _ in lines], size=SMALL)
        for (_, marks), text in zip(lines, axes.get_yticklabels()):
            text.set_weight("bold" if marks is None else "normal")
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=SMALL)
        axes.set(ylim=(n_lines - 0.5, -0.5), xlim=limits)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(labels.wrapped(x_label, 2.6, NOTE), size=NOTE)
    ordered = [name for name in names if name in handles] + [name for name in handles if name not in names]
    labels.legend(figure, [handles[name] for name in ordered], ordered)
    return figure


def _two_columns(groups: dict) -> list[dict]:
    """The groups in their order, cut where the longer of two columns is shortest; one group is one column."""
    names, lengths = list(groups), [1 + len(members) for members in groups.values()]
    if len(names) == 1:
        return [groups]
    cut = min(range(1, len(names)), key=lambda i: max(sum(lengths[:i]), sum(lengths[i:])))
    return [{name: groups[name] for name in part} for part in (names[:cut], names[cut:])]


@style.styled
def rule_flow(rewards: dict, *, title: str = "") -> Figure:
    """What a rule-based reward model sees and gives: request, answer and rubric in, a class out, and its reward.

    rewards: request -> {class: reward, or None where the class cannot occur}, the same classes for each request; at most
    4 classes and 3 requests.

    Errors: ValueError for no rewards, other classes for one request, or too many of them.
    Source: GPT-4 report, section 6 ("rule-based reward models"). Differs: own drawing.
    """
    requests = list(rewards)
    classes = list(rewards[requests[0]]) if requests else []
    if not 1 <= len(requests) <= 3 or not 1 <= len(classes) <= 4 or any(list(r) != classes for r in rewards.values()):
        raise ValueError(f"expected 1 to 3 requests with the same 1 to 4 classes; got {rewards}")
    wide = style.WIDEST - 0.3
    figure, axes = style.paper(title, wide, 1.75 + 0.48 * (1 + len(classes)))
    left = 1.75
    for y, text, role in ((-0.3, "request x", "text"), (-0.85, "answer y", "delim"), (-1.4, "written rubric", "start")):
        style.box(axes, 0, y, text, *ROLES[role], left)
        style.arrow(axes, (left, y), (left + 0.44, -0.85 + 0.3 * (y + 0.85)))
    middle = left + 0.45
    face, edge = ROLES["extract"]
    axes.add_patch(Rectangle((middle, -1.3), 1.75, 0.9, facecolor=face, edgecolor=edge, linewidth=1.4))
    axes.text(
        middle + 0.875, -0.85, "a classifier\nreads all three", ha="center", va="center", size=NOTE, linespacing=1.3
    )
    style.arrow(axes, (middle + 1.75, -0.85), (middle + 2.15, -0.85))
    style.box(axes, middle + 2.16, -0.85, "a class", *ROLES["answer"], 1.05)
    style.arrow(axes, (middle + 3.21, -0.85), (middle + 3.6, -0.85))
    words = "its reward, added to\nthe reward model's\nscore, for PPO"
    axes.add_patch(Rectangle((middle + 3.61, -1.4), wide - middle - 3.61, 1.1, facecolor=ROLES["text"][0],
                             edgecolor=ROLES["text"][1], linewidth=1.4))  # fmt: skip
    axes.text((middle + 3.61 + wide) / 2, -0.85, words, ha="center", va="center", size=NOTE, linespacing=1.3)
    first, step = 3.6, (wide - 3.6) / len(requests)
    y = -2.0
    axes.text(0, y, "class", va="center", size=NOTE, weight="bold")
    for i, request in enumerate(requests):
        axes.text(first + (i + 0.5) * step, y, request, ha="center", va="center", size=NOTE, weight="bold")
    for row, name in enumerate(classes):
        y -= 0.46
        axes.plot([0, wide], [y + 0.23] * 2, color=PALE, linewidth=1)
        axes.text(0, y, name, va="center", size=NOTE)
        for i, request in enumerate(requests):
            value = rewards[request][name]
            if value is None:  # this class cannot come up
                continue
            kind = "#1a885d" if value > 0 else "#b3261e" if value < 0 else "#555555"
            text = f"{value:+g}".replace("-", "−") if value else "0"
            axes.text(
                first + (i + 0.5) * step, y, text, ha="center", va="center", size=labels.TEXT, color=kind, weight="bold"
            )
    return figure
