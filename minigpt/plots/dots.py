"""Dot plots: named scores side by side in lines, effects of many claims with their intervals."""

import numpy as np
from matplotlib.figure import Figure

from minigpt import stats
from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import FLOOR_DASH, INK, PALE, PALETTE


@style.styled
def score_dots(
    rows: dict,
    *,
    x_label: str,
    title: str = "",
    seeds: dict | None = None,
    references: dict | None = None,
    digits: int | None = None,
    guess=...,
) -> Figure:
    """Dot plot: one line for each data set, with a mark for every score, and grey from the least to the greatest.

    rows: name -> {score: value}; a score may be missing. seeds: name of a row -> {score: [a value for each seed]},
    small dots beneath. references: name of a row -> {name: value}, short upright bars such as "chance"; or name ->
    number, a line through all rows. digits: write the value of the last score at the right. guess: the reader's number,
    a grey line.

    Errors: ValueError for no scores, more than 6, a value that is not finite, or seeds or references of unknown rows.
    """
    names = list(dict.fromkeys(score for row in rows.values() for score in row))
    values = {(row, score): float(value) for row, scores in rows.items() for score, value in scores.items()}
    if (
        not 1 <= len(names) <= 6
        or any(not scores for scores in rows.values())
        or not np.isfinite([*values.values()]).all()
    ):
        raise ValueError(f"expected rows with 1 to 6 named, finite scores, but got {rows}")
    common = {name: value for name, value in (references or {}).items() if not isinstance(value, dict)}
    special = {name: value for name, value in (references or {}).items() if isinstance(value, dict)}
    unknown = [row for row in (*special, *(seeds or {})) if row not in rows]
    if unknown:
        raise ValueError(f"expected seeds and references of {list(rows)}, but got {unknown}")
    step = min(0.5 if seeds else 0.42, 4.0 / len(rows))
    figure, axes = style.canvas(title, x_label, "", (9.0, 1.8 + step * len(rows)))
    handles = {}
    for place, (row, scores) in enumerate(rows.items()):
        axes.axhline(place, color=PALE, linewidth=0.8, zorder=0)
        axes.plot([min(scores.values()), max(scores.values())], [place] * 2, color="#b0b0b0", linewidth=3, zorder=1)
        for score, value in scores.items():
            i = names.index(score)
            handles[score] = axes.plot([value], [place], marker=style.MARKERS[i], color=PALETTE[i], markersize=9,
                                       linestyle="none", zorder=3)[0]  # fmt: skip
        for score, dots in (seeds or {}).get(row, {}).items():
            if score not in names:
                raise ValueError(f"seeds: expected scores of {names}, but got {score!r} in {row!r}")
            axes.plot(
                np.asarray(dots, float).reshape(-1), np.full(np.size(dots), place + 0.22), linestyle="none", zorder=2.5,
                marker="o", markersize=5, markerfacecolor="white", markeredgecolor=PALETTE[names.index(score)],
            )  # fmt: skip
        for name, value in special.get(row, {}).items():
            handles[name] = axes.plot([value], [place], marker="|", markersize=17, markeredgewidth=2.5, color=INK,
                                      linestyle="none", zorder=2)[0]  # fmt: skip
    if digits is not None:
        last = names[-1]
        for place, scores in enumerate(rows.values()):
            if last in scores:
                look = {"va": "center", "size": NOTE, "color": labels.darker(PALETTE[len(names) - 1])}
                where = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
                axes.annotate(f"{scores[last]:.{digits}f}", (1.01, place), **where, **look)
    for name, value in common.items():
        handles[f"{name} {value:g}"] = axes.axvline(value, color="#000000", linestyle=labels.dash(name), linewidth=1.6)
    if (value := labels.guessed(guess)) is not None:
        handles[f"your guess {value:g}"] = axes.axvline(value, **labels.GUESS)
    _name_rows(axes, list(rows), labels.TEXT if step >= 0.3 else SMALL)
    axes.margins(x=0.05)
    ordered = [name for name in names if name in handles] + [name for name in handles if name not in names]
    labels.legend(figure, [handles[name] for name in ordered], ordered)
    return figure


def _name_rows(axes, names: list, size: float) -> None:
    axes.set_yticks(range(len(names)), [labels.wrapped(name, 3.5, size) for name in names], size=size)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.45, -0.55)


@style.styled
def effects(
    rows: dict,
    *,
    x_label: str,
    margin: float | None = None,
    limits: tuple | None = None,
    title: str = "",
    digits: int = 2,
    dot: str = "a seed",
    guess=...,
) -> Figure:
    """Forest plot: one line for each claim or condition, a dot for each seed, the mean and its 95 % interval.

    rows: name -> [a number for each seed]. A solid line stands at 0, a dashed one at margin, the least effect that
    counts. limits: (low, high), the possible range, at which intervals are cut. The means are written at the right, to
    as many digits; a row of one value has no interval. dot: what a dot is, for the legend, where it is not a seed.
    guess: the reader's own number, a grey line.

    Errors: ValueError for no rows, values that are not finite or outside the limits.
    """
    drawn = {name: np.asarray(values, float).reshape(-1) for name, values in rows.items()}
    low, high = (-np.inf, np.inf) if limits is None else map(float, limits)
    for name, values in drawn.items():
        if not len(values) or not np.isfinite(values).all() or values.min() < low or values.max() > high:
            raise ValueError(
                f"{name!r}: expected finite numbers from {low:g} to {high:g}, one a seed, got {values.tolist()}"
            )
    if not drawn:
        raise ValueError("expected at least one row of effects")
    for size in (labels.TEXT, NOTE, SMALL):  # as large as the page allows
        lines = max(labels.wrapped(name, 3.5, size).count("\n") + 1 for name in drawn)
        step = max(min(0.5, 4.0 / len(drawn)), 1.25 * size / 72 * lines + 0.06)
        if step * len(drawn) <= 4.2:
            break
    figure, axes = style.canvas(title, x_label, "", (9.0, 1.8 + step * len(drawn)))
    for place, values in enumerate(drawn.values()):
        axes.axhline(place, color=PALE, linewidth=0.8, zorder=0)
        if len(values) > 1:
            (mean,), (start,), (end,) = stats.intervals([values], low, high)
            axes.plot(
                [start, end], [place] * 2, color=PALETTE[0], linewidth=3, alpha=0.55, zorder=2, solid_capstyle="butt"
            )
        aside = 0.11 * (np.arange(len(values)) % 2 * 2 - 1) if len(values) > 1 else np.zeros(1)
        axes.plot(values, place + aside, linestyle="none", marker="o", markersize=5.5, markerfacecolor="white",
                  markeredgecolor=PALETTE[0], markeredgewidth=1.4, zorder=3)  # fmt: skip
        axes.plot([values.mean()], [place], marker="D", markersize=9, color=PALETTE[1], zorder=4, linestyle="none")
        words = f"{values.mean():+.{digits}f}"
        words = (words if float(words) else words[1:]).replace("-", "−")
        axes.annotate(
            words, (1.01, place), xycoords=("axes fraction", "data"), va="center", size=NOTE, annotation_clip=False
        )
    axes.axvline(0, color=INK, linewidth=1.4, zorder=1)
    handles = {dot: axes.plot([], [], "o", markersize=5.5, markerfacecolor="white", markeredgecolor=PALETTE[0])[0],
               "mean": axes.plot([], [], "D", markersize=9, color=PALETTE[1])[0]}  # fmt: skip
    if any(len(values) > 1 for values in drawn.values()):
        handles["95 % interval"] = axes.plot([], [], color=PALETTE[0], linewidth=3, alpha=0.55)[0]
    if margin is not None:
        look = {"color": "#000000", "linestyle": FLOOR_DASH, "linewidth": 1.6}
        handles[f"margin {margin:g}"] = axes.axvline(margin, zorder=1, **look)
    if (value := labels.guessed(guess)) is not None:
        handles[f"your guess {value:g}"] = axes.axvline(value, **labels.GUESS)
    _name_rows(axes, list(drawn), size)
    axes.margins(x=0.05)
    labels.legend(figure, list(handles.values()), list(handles))
    return figure
