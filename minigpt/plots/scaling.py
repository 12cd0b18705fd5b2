"""Scaling figures: predicted against measured, forecasts with intervals."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from minigpt.plots import curves, labels, style
from minigpt.plots.style import FLOOR_DASH, INK, PALETTE


@style.styled
def scatter_identity(
    x,
    y,
    names: list | None = None,
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    log: bool = False,
    identity_label: str = "equal",
) -> Figure:
    """Identity plot: what was computed against what was printed (or any two of a kind); equal ones lie on the diagonal.

    names: a name for each point, written beside it. log: both axes logarithmic.

    Errors: ValueError if x, y and names differ in length, or for log, if a number is not above 0.
    """
    x, y, *_ = curves.rows("points", (x, y))
    if names is not None and len(names) != len(x):
        raise ValueError(f"expected as many names as points, but got {len(names)} and {len(x)}")
    both = np.concatenate([x, y])
    if log and both.min() <= 0:
        raise ValueError(f"a logarithmic axis needs numbers above 0, but there is {both.min():g}")
    figure, axes = style.canvas(title, x_label, y_label, (7.6, 6.6))
    if log:
        axes.set(xscale="log", yscale="log")
        room = (both.max() / both.min()) ** 0.08
        limits = (both.min() / room, both.max() * room)
    else:
        room = 0.08 * (np.ptp(both) or 1.0)
        limits = (both.min() - room, both.max() + room)
    axes.set(xlim=limits, ylim=limits)
    for axis in (axes.xaxis, axes.yaxis):
        if log:
            labels.plain_log(axis, limits)
        else:
            axis.set_major_formatter(FuncFormatter(lambda value, _: labels.short(round(value, 10))))
    axes.plot(limits, limits, color="#000000", linestyle=FLOOR_DASH, linewidth=1.6, label=identity_label)
    axes.plot(x, y, color=PALETTE[0], marker="o", linestyle="none", markersize=8, label="_points", zorder=3)
    labels.legend(figure, *axes.get_legend_handles_labels())
    _name_points(figure, axes, x, y, names or [])
    return figure


def _name_points(figure: Figure, axes, x, y, names: list) -> None:
    """Write each label beside its point, on the first side where it covers no point and no other label."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else figure._get_renderer()
    dots = axes.transData.transform(np.column_stack([x, y]))
    taken = []
    sides = [((10, -5), "left", "top"), ((-10, 5), "right", "bottom"), ((10, 5), "left", "bottom"),
             ((-10, -5), "right", "top"), ((16, -18), "left", "top"), ((-16, 18), "right", "bottom")]  # fmt: skip
    for place, name in zip(np.column_stack([x, y]), names):
        for offset, ha, va in sides:
            note = axes.annotate(name, place, offset, textcoords="offset points", ha=ha, va=va, size=labels.NOTE)
            box = note.get_window_extent(renderer).padded(1)
            free = not any(box.overlaps(other) for other in taken) and not any(box.contains(*dot) for dot in dots)
            if free and axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1:
                break
            note.remove() if (offset, ha, va) != sides[-1] else None
        taken.append(box)


@style.styled
def prediction(
    runs: tuple,
    law: tuple | None = None,
    said: tuple | None = None,
    came: tuple | None = None,
    floor: float | None = None,
    *,
    references: dict | None = None,
    x_label: str = "compute (floating-point operations)",
    y_label: str = "loss (nats per word)",
    title: str = "",
) -> Figure:
    """Extrapolation plot: runs that were made, the law through them, what it says about a run to come, and what came.

    runs: (x, y) of the runs that were fitted, dots. law: (x, y), a dashed curve. said: (x, low, high), an interval.
    came: (x, y), a star. floor, references: numbers, dotted. The x axis is logarithmic.

    Errors: ValueError for rows as in `lines`, or an x that is not above 0.
    """
    figure, axes = style.canvas(title, x_label, y_label)
    x, y, *_ = curves.rows("runs", runs)
    places = [x, *(np.ravel(one[0]) for one in (law, said, came) if one is not None)]
    if np.concatenate(places).min() <= 0:
        raise ValueError("a logarithmic axis needs x above 0")
    axes.set_xscale("log")
    axes.plot(x, y, "o", color=PALETTE[0], markersize=7, alpha=0.8, label="fitted runs")
    if law is not None:
        axes.plot(
            *curves.rows("law", law)[:2], color="#000000", linestyle=FLOOR_DASH, linewidth=1.6, label="law", zorder=1.5
        )
    if said is not None:
        at, low, high = said
        look = {"color": PALETTE[1], "linewidth": 5, "solid_capstyle": "butt", "alpha": 0.75}
        axes.plot([at, at], [low, high], label="predicted", **look)
    if came is not None:
        axes.plot(*came, "*", color=PALETTE[2], markersize=17, markeredgecolor=INK, linestyle="none", label="measured")
    axes.margins(x=0.06, y=0.1)
    labels.plain_log(axes.xaxis, axes.get_xlim())
    labels.label_ends(axes, labels.reference_lines(axes, {"floor": floor} | (references or {})))
    labels.legend(figure, *axes.get_legend_handles_labels())
    return figure
