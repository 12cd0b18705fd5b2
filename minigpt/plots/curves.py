"""Curves: loss curves, lines with intervals, small multiples, frontiers."""

import math

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from minigpt.plots import labels, style
from minigpt.plots.labels import plain_log, short
from minigpt.plots.style import FLOOR_DASH, INK, PALETTE


@style.styled
def loss_curve(
    curves: dict,
    floor: float | None = None,
    references: dict | None = None,
    *,
    log_x: bool = False,
    smooth: int = 1,
    top: float | None = None,
    guess=...,
    title: str = "",
    x_label: str = "training steps",
    y_label: str = "loss (nats per token)",
    floor_label: str = "floor",
) -> Figure:
    """Training curves: losses against training steps, above the floor that no model can beat.

    curves: name -> (steps, losses). floor: the exact entropy, a dashed line. references: name -> loss, such as the
    unigram and bigram entropies, dotted lines. smooth: draw the mean of the last so many values, and the values
    themselves faintly behind it; a curve of fewer than twice as many points is drawn as it is. top: where the loss
    axis ends. log_x leaves out step 0. guess: the reader's own number, a grey line; ... is none. floor_label: the name
    at the dashed line, where the entropy is not that of the whole language.

    Errors: ValueError for a guess that is no number, a curve whose steps and losses differ in length, or that has
    nothing to draw.
    """
    figure, axes = style.canvas(title, x_label, y_label)
    ends, lowest = [], math.inf
    for i, (name, (x, y)) in enumerate(curves.items()):
        x, y = style.pair(name, x, y, log_x)
        if smooth > 1 and len(y) >= 2 * smooth:
            axes.plot(x, y, color=PALETTE[i % 6], alpha=0.25, linewidth=1)
            y = trailing_mean(y, smooth)
        axes.plot(x, y, **style.line(i), markevery=style.spaced(x, log_x, i))
        ends.append((y[-1], name, PALETTE[i % 6]))
        lowest = min(lowest, np.min(y))
    ends += labels.reference_lines(axes, references, guess=guess)
    if log_x:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}")
    axes.margins(x=0, y=0.06)
    if not log_x:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_ylim(top=top)
    if floor is not None:
        style.draw_floor(axes, floor, min(lowest, floor))
        ends.append((floor, f"{floor_label} {floor:.2f}", "#000000"))
    labels.label_ends(axes, ends)
    return figure


def trailing_mean(y: np.ndarray, n: int) -> np.ndarray:
    """The mean of the last n values at every point; of as many as there are at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(y)])
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(0, ends - n)
    return (sums[ends] - sums[starts]) / (ends - starts)


@style.styled
def lines(
    series: dict,
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    ceiling=None,
    chance: float | None = None,
    references: dict | None = None,
    seeds: dict | None = None,
    log_x: bool = False,
    log_y: bool = False,
    bands: bool = False,
    y_limits: tuple | None = None,
    guess=...,
    ceiling_label: str = "best possible",
    hero: str | None = None,
) -> Figure:
    """Line chart: curves with their intervals, each named at its right end.

    series: name -> (x, y), or (x, y, low, high) with the ends of the intervals; a y that is not finite leaves a gap.
    seeds: name of a series -> (n_seeds, len(x)), a dot for each seed instead of the interval. ceiling: a number or a
    curve (x, y), dashed. chance: a number, dotted. references: name -> number, dotted.
    log_x: equal factors are equally far apart; a 0 stands one step to the left of a break. bands: shade the intervals
    instead of bars, for curves of many points. hero: the series that matters, thick and in front. guess: the reader's
    own number, a grey line; ... is none.

    Errors: ValueError for a guess that is no number, a hero that is no series, a series that is not rows of the same
    length, or that has nothing to draw.
    """
    figure, axes = style.canvas(title, x_label, y_label)
    drawn, curve = {name: rows(name, values) for name, values in series.items()}, None
    if ceiling is not None and not np.isscalar(ceiling):
        curve, ceiling = rows(ceiling_label, ceiling), None
    if hero is not None and hero not in drawn:
        raise ValueError(f"hero: expected one of {list(drawn)}, but got {hero!r}")
    _scale([axes], drawn, curve, log_x, log_y)
    ends, places = [], [name for name in drawn if name != hero]
    for name, points in drawn.items():
        i = HERO if name == hero else places.index(name) % (6 if hero is None else HERO)
        line = _draw(axes, points, i, len(drawn), bands, name, (seeds or {}).get(name))
        if name == hero:
            (line[0] if isinstance(line, tuple) else line).set(zorder=4, linewidth=4, linestyle="-")
        ends.append((points[1][np.isfinite(points[1])][-1], name, PALETTE[i % 6]))
    if curve is not None:
        axes.plot(*curve[:2], **BOUND)
        ends.append((curve[1][-1], ceiling_label, "#000000"))
    ends += labels.reference_lines(axes, references, ceiling, chance, ceiling_label, guess)
    if y_limits is None:
        axes.margins(y=0.08)
    else:
        axes.set_ylim(*y_limits)
    if log_y:
        plain_log(axes.yaxis, axes.get_ylim())
    labels.label_ends(axes, ends)
    return figure


HERO = 5  # black, of the six looks
BOUND = {"color": "#000000", "linestyle": FLOOR_DASH, "linewidth": 1.6}


@style.styled
def small_multiples(
    panels: dict,
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    ceilings: dict | None = None,
    chances: dict | None = None,
    references: dict | None = None,
    log_x: bool = False,
    bands: bool = False,
    y_limits: tuple | None = None,
    n_columns: int = 3,
    ceiling_label: str = "best possible",
    seeds: dict | None = None,
) -> Figure:
    """Small multiples: the same curves for several things side by side, on the same axes, with one legend for all.

    panels: heading -> series as in `lines`; a name has the same colour, marker and dash in every panel.
    ceilings: heading -> number or curve (x, y), dashed. chances: heading -> number, dotted. references: name -> number,
    a dotted line in every panel. seeds: heading -> name -> (seeds, places), a dot each instead of an interval.

    Errors: ValueError for no panels, a ceiling, chance or seeds of an unknown panel, or a series as in `lines`.
    """
    ceilings, chances, seeds = ceilings or {}, chances or {}, seeds or {}
    unknown = sorted({*ceilings, *chances, *seeds} - set(panels))
    if not panels or unknown:
        raise ValueError(f"expected at least one panel, and bounds of these only: {list(panels)}; but got {unknown}")
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    figure, grid = _grid(title, len(panels), n_columns)
    handles, everything = dict.fromkeys(names), {}
    for axes, (heading, series) in zip(grid, panels.items()):
        axes.set_title(labels.wrapped(heading, axes.bbox.width / figure.dpi, weight="bold"), loc="left")
        for name, values in series.items():
            everything[heading, name] = points = rows(f"{heading}, {name}", values)
            dots = seeds.get(heading, {}).get(name)
            handles[name] = _draw(axes, points, names.index(name), len(names), bands, name, dots)
        if heading in ceilings:
            handles[ceiling_label] = _draw_bound(axes, ceilings[heading])
        dotted = ({"chance": chances[heading]} if heading in chances else {}) | (references or {})
        for dash, (name, value) in zip((":", "-.", (0, (1, 3)), (0, (6, 2, 1, 2))) * 9, dotted.items()):
            handles[name] = axes.axhline(value, color="#000000", linestyle=dash, linewidth=1.6)
    _scale(grid, everything, None, log_x, False, 5)
    grid[0].set_ylim(*y_limits) if y_limits else grid[0].margins(y=0.08)
    for axes in grid[-min(n_columns, len(grid)) :]:
        axes.set_xlabel(labels.wrapped(x_label, axes.bbox.width / figure.dpi))
    figure.supylabel(y_label, size=labels.TEXT)
    labels.legend(figure, list(handles.values()), list(handles))
    return figure


def _grid(title: str, n: int, n_columns: int) -> tuple:
    """(figure, n axes) that share both axes; those with nothing beneath them have numbers."""
    n_columns = min(n_columns, n)
    n_rows = math.ceil(n / n_columns)
    figure = style.sheet(title, min(style.WIDEST, 1.4 + 3.4 * n_columns), 1.9 + 2.6 * n_rows)
    grid = list(figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True).flat)
    for axes in grid[n:]:
        axes.set_axis_off()
    for axes in grid[max(0, n - n_columns) : n]:
        axes.tick_params(labelbottom=True)
    return figure, grid[:n]


def _draw_bound(axes, bound):
    """A bound that is a number or a curve (x, y), dashed."""
    return axes.axhline(bound, **BOUND) if np.isscalar(bound) else axes.plot(*rows("bound", bound)[:2], **BOUND)[0]


def rows(name: str, values) -> tuple:
    """(x, y, low, high) as arrays; low and high are None where no interval was given."""
    rows = [np.asarray(row, float) for row in values]
    if len(rows) not in (2, 4) or any(row.ndim != 1 or row.shape != rows[0].shape for row in rows):
        raise ValueError(
            f"{name!r}: expected (x, y) or (x, y, low, high), all of the same length, "
            f"but got shapes {[row.shape for row in rows]}"
        )
    if not np.isfinite(rows[1]).any():
        raise ValueError(f"{name!r} has nothing to draw")
    x, y, low, high = rows if len(rows) == 4 else (*rows, None, None)
    return x, y, low, high


def _draw(axes, rows: tuple, i: int, n: int, bands: bool, name: str, seeds=None):
    """The i-th of n curves with its intervals or seeds; returns what stands for it in a legend."""
    x, y, low, high = rows
    look = style.line(i)
    if seeds is not None:
        style.draw_seeds(axes, x, seeds, i)
        low = None
    if bands and low is not None:
        axes.fill_between(x, low, high, color=to_rgba(PALETTE[i % 6], 0.18), linewidth=0)
    if len(x) > 12:
        look["markevery"] = (i * len(x) // (8 * n), max(1, len(x) // 8))
    if bands or low is None:
        return axes.plot(x, y, label=name, **look)[0]
    # side by side, so that intervals do not hide each other
    aside = ScaledTranslation((i - (n - 1) / 2) * min(3.5, 14 / n) / 72, 0, axes.figure.dpi_scale_trans)
    look["transform"] = axes.transData + aside
    line = axes.errorbar(x, y, yerr=np.maximum(0, [y - low, high - y]), capsize=3, elinewidth=1.4, label=name, **look)
    seen = np.isfinite(y)
    axes.update_datalim(np.column_stack([np.tile(x[seen], 3), np.concatenate([y[seen], low[seen], high[seen]])]))
    return line


def _scale(grid: list, drawn: dict, curve, log_x: bool, log_y: bool, most: int = 9) -> None:
    """The scales of both axes, which the grid shares, and ticks at the x values themselves where these are few."""
    axes = grid[0]
    every = [points[0][np.isfinite(points[1])] for points in drawn.values()] + ([curve[0]] if curve else [])
    x = np.unique(np.concatenate(every))
    if log_x:
        if x[0] < 0:
            raise ValueError(f"log_x needs x of at least 0, but there is {x[0]:g}")
        positive = x[x > 0]
        if len(positive) == 0:
            raise ValueError("log_x has nothing to draw beyond 0")
        if x[0] == 0:
            axes.set_xscale("symlog", base=2, linthresh=positive[0], linscale=1)
            axes.set_xlim(-0.3 * positive[0], x[-1] * 1.3)
            for each in grid:
                style.break_mark(each, 0.5 * positive[0])
        else:
            axes.set_xscale("log")
            side = max(x[-1] / x[0], 1.5) ** 0.03
            axes.set_xlim(x[0] / side, x[-1] * side)
    else:
        side = 0.03 * max(x[-1] - x[0], 1e-9)
        axes.set_xlim(x[0] - side, x[-1] + side)
    places = axes.transData.transform(np.column_stack([x, x]))[:, 0] / axes.figure.dpi  # inches
    shrunk = 0.62 if len(grid) == 1 else 0.8  # the part of its width that is left when labels have found their room
    wide = [labels.text_width(short(value), labels.NOTE) for value in x]
    free = [shrunk * (b - a) > 0.5 * (v + w) + 0.08 for a, b, v, w in zip(places, places[1:], wide, wide[1:])]
    if len(x) <= most + 3 and all(free):
        axes.set_xticks(x, [short(value) for value in x])
        axes.xaxis.set_minor_locator(NullLocator())
    elif not log_x:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(round(value, 10))))
        axes.xaxis.set_major_locator(MaxNLocator(min(6, most), integer=bool((x == np.round(x)).all())))
    elif x[0] > 0:
        plain_log(axes.xaxis, axes.get_xlim())
    else:
        kept = _thinned(x, [shrunk * place for place in places], wide)
        axes.set_xticks(kept, [short(value) for value in kept])
        axes.xaxis.set_minor_locator(NullLocator())
    if log_y:
        axes.set_yscale("log")


def _thinned(x, places: list, wide: list) -> list:
    """As many of the values as have room for their labels, from the left."""
    kept, end = [], -9.0
    for value, place, width in zip(x, places, wide):
        if place - width / 2 > end + 0.08:
            kept.append(value)
            end = place + width / 2
    return kept


@style.styled
def frontier_plot(
    runs: dict,
    envelope=None,
    law: tuple | None = None,
    *,
    title: str = "",
    x_label: str = "training compute (PF-days)",
    y_label: str = "loss (nats per token)",
    law_label: str = "",
    floor: float | None = None,
    references: dict | None = None,
) -> Figure:
    """Compute frontier: runs of several sizes as loss against compute, both axes logarithmic, and the frontier.

    runs: name -> (compute, loss) as the run goes on. envelope: (compute, loss) of the points that no other run beats,
    rings. law: (a, b) of L = a C^b, a straight dashed line. floor: the exact entropy, a dotted line; references:
    name -> number, more of them.

    Errors: ValueError for a run as in `lines`, or a compute or loss that is not above 0.
    Source: GPT-3, figure 3.1, which has one curve for each model and a dashed law. Differs: own drawing.
    """
    figure, axes = style.canvas(title, x_label, y_label)
    axes.set(xscale="log", yscale="log")
    extent = []
    for i, (name, values) in enumerate(runs.items()):
        x, y, *_ = rows(name, values)
        if min(x.min(), np.nanmin(y)) <= 0:
            raise ValueError(f"{name!r}: a logarithmic axis needs compute and loss above 0")
        every = style.spaced(x, True, i)
        axes.plot(x, y, label=name, markevery=every, alpha=0.85, **style.line(i))
        extent += [x.min(), x.max()]
    if envelope is not None:
        x, y, *_ = rows("envelope", envelope)
        axes.plot(x, y, "o", markersize=11, markerfacecolor="none", markeredgecolor=INK, label="frontier", zorder=4)
    if law is not None:
        a, b = law
        x = np.array([min(extent), max(extent)])
        words = law_label or f"L = {a:.3g} × C to the power {b:.3g}"
        bottom_to_top = axes.get_ylim()
        axes.plot(x, a * x**b, color="#000000", linestyle=FLOOR_DASH, label=words, zorder=3.5)
        axes.set_ylim(min(bottom_to_top[0], (a * x**b).min() / 1.02), bottom_to_top[1])
    lines = ({} if floor is None else {"floor": floor}) | (references or {})
    for name, value in lines.items():
        axes.axhline(value, color="#555555", linestyle=":", linewidth=1.6, label=f"{name} {value:.2f}")
        axes.set_ylim(min(axes.get_ylim()[0], value / 1.03), axes.get_ylim()[1])
    plain_log(axes.yaxis, axes.get_ylim())
    plain_log(axes.xaxis, axes.get_xlim())
    labels.legend(figure, *axes.get_legend_handles_labels())
    return figure
