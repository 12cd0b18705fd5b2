"""Bars and ranges: comparisons, intervals, shares, next tokens, reliability diagrams, long tables of a report."""

import math

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from minigpt.plots import curves, labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import DASHES, FLOOR_DASH, HATCHES, INK, PALE, PALETTE


@style.styled
def bars(
    groups: list,
    series: dict,
    *,
    chance: float | None = None,
    ceiling: float | None = None,
    references: dict | None = None,
    seeds: dict | None = None,
    title: str = "",
    y_label: str = "accuracy",
    digits: int = 2,
    guess=...,
    ceiling_label: str = "best possible",
) -> Figure:
    """Bar chart: values side by side, one bar for each series in every group.

    series: name -> values as long as groups, or (values, low, high) with the ends of the intervals. A value that is
    None or NaN leaves its place empty, an interval of NaN is not drawn. seeds: name of a series -> (n_seeds, groups), a
    dot for each seed. chance: a dotted line; ceiling: a dashed one; references: name -> number, more dotted lines.
    guess: the reader's own number, a grey line; ... is none.

    Errors: ValueError for a guess that is no number, or a series that is not as long as groups.
    """
    per_bar = min(1.1, 6.4 / (len(groups) * (len(series) + 0.6)))  # inches
    figure, axes = style.canvas(title, "", y_label, (max(6.0, 2.6 + per_bar * len(groups) * (len(series) + 0.6)), 4.8))
    width, upright = 0.8 / len(series), per_bar < 0.1 + labels.text_width("0." + "0" * digits, NOTE)
    for i, (name, values) in enumerate(series.items()):
        rows = np.array(values, float)
        if rows.shape not in ((len(groups),), (3, len(groups))):
            raise ValueError(f"{name!r}: expected {len(groups)} values, or (values, low, high), but got {rows.shape}")
        height, low, high = rows if rows.ndim == 2 else (rows, rows, rows)
        x = np.arange(len(groups)) + width * (i - (len(series) - 1) / 2)
        colour = PALETTE[i % 6]
        face = to_rgba(colour, 0.12 if HATCHES[i % 6] else 0.4)  # pale, so that error bars stand out from it
        axes.bar(x, height, 0.92 * width, color=face, edgecolor=colour, linewidth=1.5, hatch=HATCHES[i % 6], label=name)
        if rows.ndim == 2:
            errors = np.maximum(0, [height - low, high - height])
            axes.errorbar(x, height, yerr=errors, fmt="none", ecolor=INK, capsize=4, elinewidth=1.4)
        if name in (seeds or {}):
            style.draw_seeds(axes, x, seeds[name], i, 0.5 * width / max(1, len(seeds[name])))
            high = np.fmax(high, np.nanmax(seeds[name], axis=0))
        gap = 8 if name in (seeds or {}) else 6  # points: the number must not cover a dot
        above = "bottom" if upright and high is not height else "baseline"  # an upright baseline would reach into dots
        for place, value, end in zip(x, height, np.fmax(np.fmax(high, height), 0)):
            if not math.isnan(value):
                axes.annotate(
                    f"{value:.{digits}f}", (place, end), (0, gap), textcoords="offset points", ha="center", va=above,
                    size=NOTE, rotation=90 if upright else 0, zorder=5,
                    bbox={"facecolor": "white", "linewidth": 0, "pad": 0.5},
                )  # fmt: skip
    name_groups(axes, groups, per_bar * (len(series) + 0.6))
    axes.margins(y=0.25 if upright else 0.14)
    axes.axhline(0, color=INK, linewidth=1)
    labels.label_ends(axes, labels.reference_lines(axes, references, ceiling, chance, ceiling_label, guess))
    if len(series) > 1:
        labels.legend(figure, *axes.get_legend_handles_labels())
    return figure


def name_groups(axes, groups: list, room: float) -> None:
    """The names of groups of bars, wrapped to their room in inches, or aslant where a word is longer than that."""
    names = [labels.wrapped(group, room - 0.08) for group in groups]
    fits = max((labels.text_width(part) for name in names for part in name.split("\n")), default=0) <= room - 0.04
    if fits:
        axes.set_xticks(range(len(groups)), names, size=labels.TEXT)
    else:
        axes.set_xticks(range(len(groups)), groups, size=NOTE, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)


@style.styled
def intervals(means, half_widths, truth: float, *, title: str = "", x_label: str = "", y_label: str = "",
              truth_label: str = "truth") -> Figure:  # fmt: skip
    """Confidence intervals of repeated measurements, side by side, and the truth as a dashed line.

    means, half_widths: one for each measurement; or two rows of half widths, how far down and how far up. An interval
    that misses the truth is dashed, with a cross at its mean. truth_label: the name at the dashed line, for a
    reference that is not the truth itself.

    Errors: ValueError if there are not as many half widths as means.
    """
    means, half_widths = np.asarray(means, float), np.asarray(half_widths, float)
    if half_widths.shape not in (means.shape, (2, *means.shape)) or means.ndim != 1:
        raise ValueError(f"expected as many half widths as means, but got {half_widths.shape} and {means.shape}")
    figure, axes = style.canvas(title, x_label, y_label)
    places = np.arange(1, len(means) + 1)
    down, up = half_widths if half_widths.ndim == 2 else (half_widths, half_widths)
    missed = (means - down > truth) | (means + up < truth)
    for i, chosen in enumerate((~missed, missed)):
        look = {"color": PALETTE[i], "linewidth": 1.8, "linestyle": DASHES[(0, 3)[i]]}
        axes.vlines(places[chosen], (means - down)[chosen], (means + up)[chosen], **look)
        look |= {"marker": "oX"[i], "linestyle": "none", "markersize": 5 + 4 * i}
        axes.plot(places[chosen], means[chosen], **look)
    axes.axhline(truth, color="#000000", linestyle=FLOOR_DASH, linewidth=2, zorder=1)
    axes.margins(x=max(0.02, 0.5 / len(means)))
    labels.label_ends(axes, [(truth, f"{truth_label} {truth:.2f}", "#000000")])
    return figure


@style.styled
def next_token_bars(
    tokens: list, before, after, *, n: int = 12, title: str = "", truth=None, whole: bool = True
) -> Figure:
    """Next-token distribution: the probabilities that the model gives, and those that are sampled from.

    tokens: names of all the tokens. before: (V,) the model's probabilities. after: (V,) the same after temperature,
    top-k or top-p; a token that can no longer be drawn is marked with a cross. The n most probable are shown. truth:
    (V,), black marks. whole: the axis ends at 1; else after the longest bar.

    Errors: ValueError if they differ in length.
    """
    before, after = np.asarray(before, float), np.asarray(after, float)
    if truth is not None and np.shape(truth) != (len(tokens),):
        raise ValueError(f"truth: expected {len(tokens)} probabilities, but got {np.shape(truth)}")
    if not len(tokens) == len(before) == len(after):
        raise ValueError(f"{len(tokens)} tokens, but {len(before)} probabilities before and {len(after)} after")
    order = np.argsort(-before, kind="stable")[:n]
    figure, axes = style.canvas(title, "", "", (8.4, 1.9 + 0.34 * len(order)))
    y = np.arange(len(order))
    axes.barh(y, after[order], 0.72, color=PALETTE[0], label="sampled from")
    outline = {"facecolor": "none", "edgecolor": PALETTE[1], "linewidth": 2, "linestyle": "--"}
    axes.barh(y, before[order], 0.72, label="the model's own", **outline)
    truth = None if truth is None else np.asarray(truth, float)
    for place, i in zip(y, order):
        end = max(before[i], after[i], 0.0 if truth is None else truth[i])
        if truth is not None:
            axes.plot([truth[i]] * 2, [place - 0.42, place + 0.42], color="#000000", linewidth=4, zorder=3,
                      solid_capstyle="butt", label="truth" if place == 0 else None)  # fmt: skip
        note = f"{after[i]:.2f}" if after[i] > 0 else "✗ never drawn"
        axes.annotate(note, (end, place), (6, 0), textcoords="offset points", va="center", size=NOTE)
    style.probability_axis(axes, [style.visible(tokens[i]) for i in order], len(order), 1.25)
    if not whole:
        longest = max([before.max(), after.max(), *([] if truth is None else [truth.max()])])
        most = next(end for end in (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if longest <= end + 1e-9)
        axes.set(xlim=(0, 1.25 * most), xticks=np.linspace(0, most, 5 if most == 0.8 or most < 0.5 else 4))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        axes.spines["bottom"].set_bounds(0, most)
    labels.legend(figure, *axes.get_legend_handles_labels())
    return figure


@style.styled
def shares(rows: dict, *, title: str = "", x_label: str = "share of the whole (%)") -> Figure:
    """Stacked bar chart of proportions: one lying bar for each whole, with the percentages written in it.

    rows: name -> {part: amount}; the amounts of a row are divided by their sum. At most 6 parts.

    Errors: ValueError for no rows, more than 6 parts, rows of different parts, negative amounts or a row of zeros.
    """
    parts = list(next(iter(rows.values()), ()))
    if not 1 <= len(parts) <= 6 or any(list(row) != parts for row in rows.values()):
        raise ValueError(f"expected rows with the same 1 to 6 parts, but got {[list(row) for row in rows.values()]}")
    figure, axes = style.canvas(title, x_label, "", (9.0, 2.3 + 0.75 * len(rows)))
    for place, (name, row) in enumerate(rows.items()):
        amounts = np.array([row[part] for part in parts], float)
        if not (amounts >= 0).all() or amounts.sum() <= 0:
            raise ValueError(f"{name!r}: expected amounts of at least 0 with a sum above 0, but got {row}")
        percent = 100 * amounts / amounts.sum()
        left = np.cumsum(percent) - percent
        for i, part in enumerate(parts):
            axes.barh(place, percent[i], 0.62, left[i], linewidth=1.4, label=part if place == 0 else None,
                      **style.bar_style(i))  # fmt: skip
            if percent[i] >= (3 if percent[i] < 9.5 else 5):
                axes.text(left[i] + percent[i] / 2, place, f"{percent[i]:.0f}", ha="center", va="center", size=NOTE,
                          bbox={"facecolor": "white", "linewidth": 0, "pad": 1.0})  # fmt: skip
    axes.set_yticks(range(len(rows)), [labels.wrapped(name, 2.2) for name in rows], size=labels.TEXT)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    labels.legend(figure, *axes.get_legend_handles_labels())
    return figure


@style.styled
def reliability(bins: dict, *, title: str = "", x_label: str = "confidence", y_label: str = "accuracy") -> Figure:
    """Reliability diagram: how often answers are right against how sure they were; on the diagonal the two are equal.

    bins: name -> (confidence, accuracy, counts), one of each for every bin; empty bins may be nan. The larger a dot,
    the more answers lie in its bin.

    Errors: ValueError for rows of different lengths, or nothing to draw.
    Source: the form of the GPT-4 report's figure 8, after Guo et al. 2017. Differs: dots instead of bars.
    """
    figure, axes = style.canvas(title, x_label, y_label, (6.8, 6.2))
    axes.plot([0, 1], [0, 1], color="#000000", linestyle=FLOOR_DASH, linewidth=1.6, label="calibrated")
    for i, (name, rows) in enumerate(bins.items()):
        x, y, *_ = curves.rows(name, rows[:2])
        counts = np.asarray(rows[2], float)
        if counts.shape != x.shape:
            raise ValueError(f"{name!r}: expected a count for each of {len(x)} bins, but got {counts.shape}")
        there = np.isfinite(x) & np.isfinite(y)
        look = style.line(i) | {"markersize": 0}
        axes.plot(x[there], y[there], **look)
        sizes = 30 + 400 * counts[there] / counts.sum()
        axes.scatter(
            x[there], y[there], s=sizes, color=PALETTE[i % 6], marker=style.MARKERS[i % 6], zorder=3, alpha=0.85
        )
        axes.plot([], [], label=name, **(look | {"markersize": 7}))
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    labels.legend(figure, *axes.get_legend_handles_labels())
    return figure


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
