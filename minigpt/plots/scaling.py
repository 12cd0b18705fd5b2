"""Scaling laws drawn: GPT-4's Figure 1, C = 6 N D as areas, slopes, isoFLOP profiles, forecasts with intervals."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from minigpt.plots import curves, labels, style
from minigpt.plots.style import FLOOR_DASH, INK, PALETTE


@style.styled
def final_run(
    final: float,
    runs: tuple | None = None,
    law: tuple | None = None,
    interval: tuple | None = None,
    came: float | None = None,
    floor: float | None = None,
    *,
    span: tuple | None = None,
    others: dict | None = None,
    guess=...,
    y_limits: tuple | None = None,
    y_label: str = "loss (bits per word)",
    came_label: str = "the final run",
    title: str = "",
) -> Figure:
    """Final loss against compute in units of the final run's compute, as in the GPT-4 report: its Figure 1.

    final: compute of the final run, at 1 on the axis. runs: (compute, loss) of the runs that were fitted, dots. law:
    (compute, loss), a dashed curve. interval: (low, high) of the loss predicted for the final run, an upright bar.
    came: its loss, a star. floor: dotted. span: (from, to, words), a shaded range of compute. others: name -> (compute,
    loss), more runs. guess: the reader's own number, a grey line.

    Errors: ValueError for rows as in `lines`, a compute that is not above 0, or a guess that is no number.
    Source: GPT-4 report, Figure 1. Differs: own drawing.
    """
    figure, axes = style.canvas(title, "compute (final run = 1)", y_label)
    drawn = {name: curves.rows(name, values)[:2] for name, values in {"runs": runs, "law": law}.items() if values}
    drawn |= {name: curves.rows(name, values)[:2] for name, values in (others or {}).items()}
    places = np.concatenate([[final], *(x for x, _ in drawn.values()), *([span[:2]] if span else [])])
    if not places.min() > 0:
        raise ValueError(f"a logarithmic axis needs compute above 0, but there is {places.min():g}")
    axes.set_xscale("log")
    if span:
        axes.axvspan(span[0] / final, span[1] / final, color=PALETTE[0], alpha=0.13, linewidth=0, label=span[2])
        middle = {"xy": (span[1] / final, 0.5), "xytext": (1, 0.5), "xycoords": axes.get_xaxis_transform()}
        axes.annotate("", **middle, arrowprops={"arrowstyle": "<|-|>", "color": INK, "linewidth": 1.3})
        axes.annotate(f"{final / span[1]:,.0f} times the compute", (math.sqrt(span[1] / final), 0.5), (0, 7),
                      xycoords=axes.get_xaxis_transform(), textcoords="offset points", ha="center", size=labels.NOTE)  # fmt: skip
    if runs is not None:
        x, y = drawn.pop("runs")
        axes.plot(
            x / final, y, "o", color=PALETTE[0], markersize=7, alpha=0.8, label="runs that were fitted", zorder=3.5
        )
    if law is not None:
        x, y = drawn.pop("law")
        axes.plot(x / final, y, color="#000000", linestyle=FLOOR_DASH, linewidth=1.8, label="law", zorder=1.5)
    for i, (name, (x, y)) in enumerate(drawn.items(), 3):
        axes.plot(x / final, y, marker=style.MARKERS[i % 6], color=PALETTE[i % 6], markersize=8, linestyle="none",
                  label=name, zorder=3, alpha=0.8)  # fmt: skip
    if interval is not None:
        look = {"color": PALETTE[1], "linewidth": 6, "solid_capstyle": "butt", "alpha": 0.75}
        axes.plot([1, 1], list(interval), label="predicted (90 %)", **look)
    if came is not None:
        axes.plot([1], [came], "*", color=PALETTE[2], markersize=18, markeredgecolor=INK, linestyle="none",
                  label=came_label, zorder=4)  # fmt: skip
    low, high = places.min() / final, max(1.0, places.max() / final)
    side = (high / low) ** 0.05
    axes.set_xlim(low / side, high * side)
    _powers(axes.xaxis, *axes.get_xlim())
    axes.set_ylim(*y_limits) if y_limits else axes.margins(y=0.1)
    labels.label_ends(axes, labels.reference_lines(axes, {"floor": floor}, guess=guess))
    labels.legend(figure, *axes.get_legend_handles_labels())
    return figure


def _powers(axis, low: float, high: float) -> None:
    """Ticks at powers of ten, at most about seven, written with a raised exponent."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    axis.set_major_locator(FixedLocator([10.0**k for k in range(last, first - 1, -max(1, (last - first + 6) // 6))]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))


def power(value: float) -> str:
    """A power of ten with a raised exponent.

    >>> power(1e-4), power(1.0), power(1e11)
    ('10⁻⁴', '1', '10¹¹')
    """
    exponent = round(math.log10(value))
    return "1" if exponent == 0 else "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


@style.styled
def equal_areas(
    sizes: dict, *, x_label: str = "parameters N (thousands)", y_label: str = "tokens D (millions)", title: str = ""
) -> Figure:
    """C = 6 N D as areas: runs of one and the same compute are rectangles of the same area, N wide and D high.

    sizes: name -> (N, D), in the units of the axes, 2 to 5 runs. The corners lie on one hyperbola, N D = C / 6.

    Errors: ValueError for fewer or more runs, a number not above 0, or areas that differ by more than a hundredth.
    """
    places = np.array(list(sizes.values()), float)
    if places.ndim != 2 or places.shape[1] != 2 or not 2 <= len(places) <= 5 or not (places > 0).all():
        raise ValueError(f"expected (N, D) above 0 of 2 to 5 runs, but got {sizes}")
    area = places.prod(axis=1)
    if area.max() > 1.01 * area.min():
        raise ValueError(f"expected runs of one compute, but N D is {', '.join(f'{each:g}' for each in area)}")
    figure, axes = style.canvas(title, x_label, y_label, (8.4, 4.8))
    right, top = 1.25 * places.max(axis=0)
    for i, (name, (N, D)) in enumerate(sizes.items()):
        axes.add_patch(Rectangle((0, 0), N, D, linewidth=2, zorder=2, **style.bar_style(i) | {"alpha": 0.45}))
        axes.plot([N], [D], marker=style.MARKERS[i], color=PALETTE[i], markersize=9, zorder=4)
        axes.annotate(name, (N, D), (9, 7), textcoords="offset points", size=labels.NOTE, zorder=5)
    x = np.geomspace(area.mean() / top, right, 120)
    axes.plot(x, area.mean() / x, color="#000000", linestyle=FLOOR_DASH, linewidth=1.6, label="N × D = C / 6", zorder=3)
    axes.set(xlim=(0, right), ylim=(0, top))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: labels.short(round(value, 10))))
    labels.legend(figure, *axes.get_legend_handles_labels())
    return figure


@style.styled
def slopes(
    series: dict,
    exponents: dict,
    *,
    x_label: str = "compute (FLOP)",
    y_label: str = "loss above the floor (nats)",
    law_label: str = "derived",
    title: str = "",
) -> Figure:
    """Power laws on two logarithmic axes, each beside the slope that was derived for it.

    series: name -> (x, y), dots. exponents: name -> exponent b of y = k x^b, a dashed line of this slope in the same
    colour, laid through the middle of the dots (their geometric mean); the names may be fewer than the series.

    Errors: ValueError for rows as in `lines`, a number that is not above 0, or an exponent of an unknown series.
    """
    if unknown := sorted(set(exponents) - set(series)):
        raise ValueError(f"expected exponents of {list(series)} only, but got {unknown}")
    figure, axes = style.canvas(title, x_label, y_label)
    axes.set(xscale="log", yscale="log")
    for i, (name, values) in enumerate(series.items()):
        x, y, *_ = curves.rows(name, values)
        if min(x.min(), y.min()) <= 0:
            raise ValueError(f"{name!r}: logarithmic axes need numbers above 0")
        axes.plot(x, y, marker=style.MARKERS[i % 6], color=PALETTE[i % 6], linestyle="none", markersize=7, label=name)
        if name in exponents:
            middle = np.exp(np.log(x).mean()), np.exp(np.log(y).mean())
            ends = np.array([x.min() / 1.3, x.max() * 1.3])
            axes.plot(ends, middle[1] * (ends / middle[0]) ** exponents[name], color=PALETTE[i % 6], linewidth=1.8,
                      linestyle=FLOOR_DASH, zorder=1.5, label=f"{law_label}: slope {exponents[name]:+.2f}")  # fmt: skip
    labels.plain_log(axes.yaxis, axes.get_ylim())
    _powers(axes.xaxis, *axes.get_xlim())
    labels.legend(figure, *axes.get_legend_handles_labels())
    return figure


@style.styled
def isoflop_profiles(
    profiles: dict, minima: dict, law=None, truth: float | None = None, *, slopes: dict | None = None,
    title: str = "", y_label: str = "loss above the floor (nats)",
) -> Figure:  # fmt: skip
    """IsoFLOP profiles: left the loss against the size at each compute, right the best size against the compute.

    profiles: compute -> (sizes, losses). minima: compute -> (size, loss), a star in both panels. law: a function of
    the compute, the fitted line on the right. truth: a derived exponent, drawn dashed through the middle of the stars.
    slopes: name -> exponent, further lines through the middle, such as those of papers.

    Errors: ValueError for a number that is not above 0, or fewer than two profiles.
    """
    if len(profiles) < 2 or any(np.min(each) <= 0 for pair in profiles.values() for each in pair):
        raise ValueError(f"expected at least two profiles of numbers above 0; got {len(profiles)}")
    figure = style.sheet(title, style.WIDEST, 5.2)
    left, right = figure.subplots(1, 2, width_ratios=(1.45, 1))
    left.set(xscale="log", yscale="log", xlabel="parameters N", ylabel=labels.wrapped(y_label, 3.6))
    for i, (C, (N, L)) in enumerate(sorted(profiles.items())):
        order = np.argsort(N)
        look = style.line(i)
        left.plot(np.asarray(N)[order], np.asarray(L)[order], **look | {"linewidth": 1.6, "markersize": 5.5})
        left.annotate(_scientific(C), (np.max(N), np.asarray(L)[order][-1]), (7, 0), textcoords="offset points", va="center",
                      size=labels.NOTE, color=labels.darker(look["color"]))  # fmt: skip
    if minima:
        C = np.array(sorted(minima))
        N, L = np.array([minima[c] for c in C]).T
        star = {"marker": "*", "markersize": 14, "color": PALETTE[1], "markeredgecolor": INK}
        left.plot(N, L, linestyle=":", linewidth=1.4, **star, zorder=4)
        right.plot(C, N, linestyle="none", label="minimum", **star, zorder=4)
        along = np.geomspace(C[0] / 1.5, C[-1] * 1.5, 20)
        if law is not None:
            right.plot(along, law(along), color=PALETTE[0], linewidth=1.8, label="fitted")
        lines = ({} if truth is None else {"derived": truth}) | (slopes or {})
        middle, height = np.exp(np.log(C).mean()), np.exp(np.log(N).mean())
        for i, (name, slope) in enumerate(lines.items()):
            dash = FLOOR_DASH if name == "derived" and truth is not None else (":", "-.", (0, (1, 3)))[i % 3]
            right.plot(along, height * (along / middle) ** slope, color=INK, linestyle=dash, linewidth=1.8,
                       label=f"{name}, slope {slope:.2f}", zorder=1.5)  # fmt: skip
        labels.legend(figure, *right.get_legend_handles_labels())
    right.set(xscale="log", yscale="log", xlabel="compute C (FLOP)", ylabel="best size N*")
    left.set_xlim(right=left.get_xlim()[1] * 1.7)
    for axis in (left.xaxis, left.yaxis, right.xaxis, right.yaxis):
        labels.plain_log(axis, axis.get_view_interval())
    return figure


def _scientific(C: float) -> str:
    digits = f"{C:.1e}".split("e")
    return f"{float(digits[0]):g}e{int(digits[1])}"


@style.styled
def interval_ranks(
    rows: dict, names: list, *, title: str = "", limits: tuple = (-0.9, 2.9), guess=...,
    x_label: str = "loss above the floor, in units of what was measured",
) -> Figure:  # fmt: skip
    """Predictions beside what was measured: one panel a method, one line a ladder; 0 the floor, 1 the measured loss.

    rows: method -> a list of (predicted, low, high, measured, floor), one for each of names. Intervals that miss are
    orange and dashed. limits: of the x axis; what lies outside is cut. guess: a number, drawn into every panel.

    Errors: ValueError for lists of other lengths than names, or a measured loss that is not above the floor.
    """
    if any(len(each) != len(names) for each in rows.values()) or not rows:
        raise ValueError(f"expected {len(names)} predictions of each method; got {[len(x) for x in rows.values()]}")
    if any(measured <= floor for each in rows.values() for *_, measured, floor in each):
        raise ValueError("expected measured losses above their floors")
    guess = labels.guessed(guess)
    figure = style.sheet(title, style.WIDEST, 1.7 + 0.3 * len(names))
    every = np.atleast_1d(figure.subplots(1, len(rows), sharey=True))
    places = np.arange(len(names))[::-1]
    for axes, (method, predictions) in zip(every, rows.items()):
        table = np.array(predictions, float)
        said = (table[:, :3] - table[:, 4:]) / (table[:, 3:4] - table[:, 4:])
        hits = 0
        for y, (value, low, high) in zip(places, said):
            holds = low <= 1 <= high
            hits += holds
            look = {"color": PALETTE[0 if holds else 1], "linestyle": "-" if holds else (0, (1.2, 0.6))}
            axes.plot([low, high], [y, y], linewidth=4, solid_capstyle="butt", alpha=0.75, **look)
            axes.plot([value], [y], marker="o" if holds else "X", color=look["color"], markersize=7, linestyle="none")
        axes.axvline(1, color=INK, linewidth=1.6)
        axes.axvspan(limits[0], 0, facecolor="#f2f2f2", edgecolor="#c4c4c4", hatch="//", linewidth=0, zorder=0)
        if guess is not None:
            axes.axvline(guess, color=PALETTE[3], linestyle=":", linewidth=2)
        axes.set(xlim=limits, ylim=(-0.6, len(names) - 0.4))
        wrapped = labels.wrapped(method, 7.6 / len(rows) - 0.2, labels.NOTE + 1, "bold")
        axes.set_title(f"{wrapped}\n{hits} of {len(names)} hold", size=labels.NOTE + 1)
        axes.set_xticks([0, 1, 2])
        axes.tick_params(axis="y", length=0)
    every[0].set_yticks(places, names)
    figure.supxlabel(x_label, size=labels.TEXT)
    return figure
