"""Curves: loss and learning curves, lines with intervals, small multiples, frontiers."""

import math

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from minigpt.plots import style
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
    title: str = "",
    x_label: str = "training steps",
    y_label: str = "loss (nats per token)",
) -> Figure:
    """Draw losses against training steps, above the floor that no model can beat.

    curves: name -> (steps, losses). floor: the exact entropy, a dashed line. references: name -> loss, such as the
    unigram and bigram entropies, dotted lines. smooth: draw the mean of the last so many values, and the values
    themselves faintly behind it; a curve of fewer than twice as many points is drawn as it is. top: where the loss
    axis ends. log_x leaves out step 0.

    Errors: ValueError for a curve whose steps and losses differ in length, or that has nothing to draw.
    """
    figure, axes = style.canvas(title, x_label, y_label)
    labels, lowest = [], math.inf
    for i, (name, (x, y)) in enumerate(curves.items()):
        x, y = style.pair(name, x, y, log_x)
        if smooth > 1 and len(y) >= 2 * smooth:
            axes.plot(x, y, color=PALETTE[i % 6], alpha=0.25, linewidth=1)
            y = _trailing_mean(y, smooth)
        axes.plot(x, y, **style.line(i), markevery=style.spaced(x, log_x, i))
        labels.append((y[-1], name, PALETTE[i % 6]))
        lowest = min(lowest, np.min(y))
    for name, value in (references or {}).items():
        axes.axhline(value, color="#555555", linestyle=":", linewidth=1.6)
        labels.append((value, f"{name} {value:.2f}", "#555555"))
    if log_x:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}")
    axes.margins(x=0, y=0.06)
    axes.set_ylim(top=top)
    if floor is not None:
        style.draw_floor(axes, floor, min(lowest, floor))
        labels.append((floor, f"floor {floor:.2f}", "#000000"))
    style.label_ends(axes, labels)
    return figure


@style.styled
def learning_curve(
    counts: list,
    series: dict,
    ceiling: float | None = None,
    chance: float | None = None,
    *,
    title: str = "",
    x_label: str = "labelled examples",
    y_label: str = "accuracy",
    ceiling_label: str = "best possible",
) -> Figure:
    """Draw a score against the number of labelled examples, each doubling one step to the right.

    series: name -> (mean, low, high), each as long as counts; low and high end the interval. ceiling: the exact
    accuracy of the Bayes-optimal answer, dashed. chance: the accuracy of guessing, dotted.

    Errors: ValueError for a series that is not three rows as long as counts.
    """
    figure, axes = style.canvas(title, x_label, y_label)
    counts, labels = np.asarray(counts, float), []
    for i, (name, values) in enumerate(series.items()):
        values = np.asarray(values, float)
        if values.shape != (3, len(counts)):
            raise ValueError(f"{name!r}: expected (mean, low, high) of {len(counts)} values each, got {values.shape}")
        x = counts * 2 ** (0.07 * (i - (len(series) - 1) / 2))  # side by side, so that intervals do not hide each other
        errors = np.maximum(0, [values[0] - values[1], values[2] - values[0]])
        axes.errorbar(x, values[0], yerr=errors, capsize=4, elinewidth=1.4, **style.line(i))
        labels.append((values[0, -1], name, PALETTE[i % 6]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [f"{count:,.0f}" for count in counts])
    axes.minorticks_off()
    axes.set_xlim(counts[0] / 1.2, counts[-1] * 1.2)
    labels += style.draw_bounds(axes, ceiling, chance, ceiling_label)
    axes.margins(y=0.08)
    style.label_ends(axes, labels)
    return figure


def _trailing_mean(y: np.ndarray, n: int) -> np.ndarray:
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
    log_x: bool = False,
    log_y: bool = False,
    bands: bool = False,
    y_limits: tuple | None = None,
    ceiling_label: str = "best possible",
) -> Figure:
    """Draw curves with their intervals, each named at its right end.

    series: name -> (x, y), or (x, y, low, high) with the ends of the intervals; a y that is not finite leaves a gap.
    ceiling: a number or a curve (x, y), dashed. chance: a number, dotted. references: name -> number, dotted.
    log_x: equal factors are equally far apart; a 0 stands one step to the left. bands: shade the intervals instead of
    bars, for curves of many points.

    Errors: ValueError for a series that is not rows of the same length, or that has nothing to draw.
    """
    figure, axes = style.canvas(title, x_label, y_label)
    drawn = {name: rows(name, values) for name, values in series.items()}
    _scale(axes, drawn, ceiling, log_x, log_y)
    labels = [
        (_last(rows), name, PALETTE[i % 6])
        for i, (name, rows) in enumerate(drawn.items())
        if _draw(axes, rows, i, len(drawn), bands, name)
    ]
    if ceiling is not None and not np.isscalar(ceiling):
        x, y, *_ = rows(ceiling_label, ceiling)
        axes.plot(x, y, color="#000000", linestyle=FLOOR_DASH, linewidth=1.6)
        labels.append((y[-1], ceiling_label, "#000000"))
        ceiling = None
    labels += style.draw_bounds(axes, ceiling, chance, ceiling_label)
    for name, value in (references or {}).items():
        axes.axhline(value, color="#555555", linestyle=":", linewidth=1.6)
        labels.append((value, f"{name} {value:.2f}", "#555555"))
    if y_limits is None:
        axes.margins(y=0.08)
    else:
        axes.set_ylim(*y_limits)
    if log_y:
        plain_log(axes.yaxis, axes.get_ylim())
    style.label_ends(axes, labels)
    return figure


@style.styled
def small_multiples(
    panels: dict,
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    ceilings: dict | None = None,
    chances: dict | None = None,
    log_x: bool = False,
    bands: bool = False,
    y_limits: tuple | None = None,
    n_columns: int = 3,
    ceiling_label: str = "best possible",
) -> Figure:
    """Draw the same curves for several things side by side, on the same axes, with one legend for all.

    panels: heading -> series as in `lines`; a name has the same colour, marker and dash in every panel.
    ceilings: heading -> number or curve (x, y), dashed. chances: heading -> number, dotted.

    Errors: ValueError for no panels, a ceiling or chance of an unknown panel, or a series as in `lines`.
    """
    ceilings, chances = ceilings or {}, chances or {}
    unknown = sorted({*ceilings, *chances} - set(panels))
    if not panels or unknown:
        raise ValueError(f"expected at least one panel, and bounds of these only: {list(panels)}; but got {unknown}")
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    n_columns = min(n_columns, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    figure = Figure(figsize=(min(10.8, 1.0 + 3.2 * n_columns), 1.5 + 2.6 * n_rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    grid = list(figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True).flat)
    handles = {}
    everything = {}
    for axes, (heading, series) in zip(grid, panels.items()):
        drawn = {name: rows(f"{heading}, {name}", values) for name, values in series.items()}
        everything |= {(heading, name): rows for name, rows in drawn.items()}
        axes.set_title(heading, loc="left", size=12)
        for name, rows in drawn.items():
            handles[name] = _draw(axes, rows, names.index(name), len(names), bands, name)
        if heading in ceilings:
            bound = ceilings[heading]
            look = {"color": "#000000", "linestyle": FLOOR_DASH, "linewidth": 1.6}
            handles[ceiling_label] = (
                axes.axhline(bound, **look) if np.isscalar(bound)
                else axes.plot(*rows(ceiling_label, bound)[:2], **look)[0]
            )  # fmt: skip
        if heading in chances:
            handles["chance"] = axes.axhline(chances[heading], color="#000000", linestyle=":", linewidth=1.6)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    shown = grid[: len(panels)]
    _scale(shown[0], everything, None, log_x, False, 6)
    shown[0].set_ylim(*y_limits) if y_limits else shown[0].margins(y=0.08)
    for axes in shown[-n_columns:]:  # with an empty place in the last row, the axis above it is the lowest
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(x_label)
    figure.supylabel(y_label, size=12)
    figure.suptitle(title, weight="bold", size=13, x=0.01, ha="left") if title else None
    order = [*names, *(name for name in (ceiling_label, "chance") if name in handles)]
    figure.legend([handles[name] for name in order], order, loc="outside lower center",
                  ncols=min(4, len(order)), frameon=False, handlelength=3.2)  # fmt: skip
    return figure


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


def _last(rows: tuple) -> float:
    return rows[1][np.isfinite(rows[1])][-1]


def _draw(axes, rows: tuple, i: int, n: int, bands: bool, name: str):
    """The i-th of n curves with its intervals; returns what stands for it in a legend."""
    x, y, low, high = rows
    look = style.line(i)
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


def _scale(axes, drawn: dict, ceiling, log_x: bool, log_y: bool, most: int = 9) -> None:
    """The scales of both axes, and ticks at the x values themselves where these are few."""
    every = [rows[0][np.isfinite(rows[1])] for rows in drawn.values()]
    if ceiling is not None and not np.isscalar(ceiling):
        every.append(np.asarray(ceiling[0], float))
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
        else:
            axes.set_xscale("log")
            side = max(x[-1] / x[0], 1.5) ** 0.03
            axes.set_xlim(x[0] / side, x[-1] * side)
    else:
        side = 0.03 * max(x[-1] - x[0], 1e-9)
        axes.set_xlim(x[0] - side, x[-1] + side)
    far = np.diff(axes.transData.transform(np.column_stack([x, x]))[:, 0]) if len(x) > 1 else np.array([99.0])
    longest = max(len(short(value)) for value in x)
    if len(x) <= most and far.min() > max(0.06, 0.017 * longest) * axes.bbox.width:
        axes.set_xticks(x, [short(value) for value in x])
        axes.xaxis.set_minor_locator(NullLocator())
    elif not log_x:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.xaxis.set_major_locator(MaxNLocator(min(7, most)))
    elif x[0] > 0:
        plain_log(axes.xaxis, axes.get_xlim())
    if log_y:
        axes.set_yscale("log")


def short(value: float) -> str:
    """A number for an axis: 334k for 334,000, 1.3B for 1,300,000,000."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= (1e4 if letter == "k" else size):
            return f"{float(f'{value / size:.3g}'):g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def plain_log(axis, limits: tuple) -> None:
    """Ticks of a logarithmic axis: at round numbers if it spans little, else at powers of ten."""
    low, high = sorted(limits)
    axis.set_minor_formatter(NullFormatter())
    if high / low < 30:
        fine = np.arange(1, 10, 0.25 if high / low > 1.4 else 0.1)
        steps = (1, 1.5, 2, 3, 4, 5, 7) if high / low > 2.5 else fine
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        wanted = [step * 10.0**decade for decade in decades for step in steps]
        axis.set_ticks([value for value in wanted if low <= value <= high])
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(round(value, 10))))


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
) -> Figure:
    """Draw runs of several sizes as loss against compute, both axes logarithmic, with the frontier beneath them.

    runs: name -> (compute, loss) as the run goes on. envelope: (compute, loss) of the points that no other run beats,
    rings. law: (a, b) of L = a C^b, a straight dashed line. floor: the exact entropy, a dotted line.

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
        words = law_label or rf"$L = {a:.3g}\,C^{{{b:.3g}}}$"
        bottom_to_top = axes.get_ylim()
        axes.plot(x, a * x**b, color="#000000", linestyle=FLOOR_DASH, label=words, zorder=3.5)
        axes.set_ylim(min(bottom_to_top[0], (a * x**b).min() / 1.02), bottom_to_top[1])
    if floor is not None:
        axes.axhline(floor, color="#555555", linestyle=":", linewidth=1.6, label=f"floor {floor:.2f}")
        axes.set_ylim(min(axes.get_ylim()[0], floor / 1.03), axes.get_ylim()[1])
    plain_log(axes.yaxis, axes.get_ylim())
    plain_log(axes.xaxis, axes.get_xlim())
    figure.legend(loc="outside right upper", frameon=False, handlelength=3.2)
    return figure
