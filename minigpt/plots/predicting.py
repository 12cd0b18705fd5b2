"""Figures of predictions: isoFLOP profiles with their minima, and many intervals beside what was measured."""

import numpy as np
from matplotlib.figure import Figure

from minigpt.plots import labels, style
from minigpt.plots.style import FLOOR_DASH, INK, PALETTE


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
        left.annotate(_power(C), (np.max(N), np.asarray(L)[order][-1]), (7, 0), textcoords="offset points", va="center",
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


def _power(C: float) -> str:
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
