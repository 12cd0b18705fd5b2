"""Scaling figures: predicted against measured, forecasts with intervals."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from minigpt.plots import curves, style
from minigpt.plots.style import FLOOR_DASH, INK, PALETTE


@style.styled
def scatter_identity(
    x,
    y,
    labels: list | None = None,
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    log: bool = False,
    identity_label: str = "equal",
) -> Figure:
    """Draw what was computed against what was printed (or any two of a kind): equal ones lie on the dashed diagonal.

    labels: a name for each point, written beside it. log: both axes logarithmic.

    Errors: ValueError if x, y and labels differ in length, or for log, if a number is not above 0.
    """
    x, y, *_ = curves.rows("points", (x, y))
    if labels is not None and len(labels) != len(x):
        raise ValueError(f"expected as many labels as points, but got {len(labels)} and {len(x)}")
    both = np.concatenate([x, y])
    if log and both.min() <= 0:
        raise ValueError(f"a logarithmic axis needs numbers above 0, but there is {both.min():g}")
    figure, axes = style.canvas(title, x_label, y_label, (7.2, 6.0))
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
            curves.plain_log(axis, limits)
        else:
            axis.set_major_formatter(FuncFormatter(lambda value, _: curves.short(round(value, 10))))
    axes.plot(limits, limits, color="#000000", linestyle=FLOOR_DASH, linewidth=1.6, label=identity_label)
    axes.plot(x, y, color=PALETTE[0], marker="o", linestyle="none", markersize=8, label="_points")
    axes.legend(loc="upper left", frameon=False)
    _name_points(figure, axes, x, y, labels or [])
    return figure


def _name_points(figure: Figure, axes, x, y, labels: list) -> None:
    """Write each label beside its point, on the first side where it covers no point and no other label."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else figure._get_renderer()
    dots = axes.transData.transform(np.column_stack([x, y]))
    taken = [axes.get_legend().get_window_extent(renderer)]
    sides = [((10, -5), "left", "top"), ((-10, 5), "right", "bottom"), ((10, 5), "left", "bottom"),
             ((-10, -5), "right", "top"), ((16, -18), "left", "top"), ((-16, 18), "right", "bottom")]  # fmt: skip
    for place, label in zip(np.column_stack([x, y]), labels):
        for offset, ha, va in sides:
            note = axes.annotate(label, place, offset, textcoords="offset points", ha=ha, va=va, size=11)
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
    x_label: str = "compute (floating-point operations)",
    y_label: str = "loss (nats per word)",
    title: str = "",
) -> Figure:
    """Draw runs that were made, the law through them, what it says about a run to come, and what came.

    runs: (x, y) of the runs that were fitted, dots. law: (x, y), a dashed curve. said: (x, low, high), an interval.
    came: (x, y), a star. floor: a number, dotted. The x axis is logarithmic.

    Errors: ValueError for rows as in `lines`, or an x that is not above 0.
    """
    figure, axes = style.canvas(title, x_label, y_label)
    x, y, *_ = curves.rows("runs", runs)
    places = [x, *(np.ravel(one[0]) for one in (law, said, came) if one is not None)]
    if np.concatenate(places).min() <= 0:
        raise ValueError("a logarithmic axis needs x above 0")
    axes.set_xscale("log")
    axes.plot(x, y, "o", color=PALETTE[0], markersize=7, alpha=0.8, label="runs that were fitted")
    if law is not None:
        axes.plot(
            *curves.rows("law", law)[:2], color="#000000", linestyle=FLOOR_DASH, linewidth=1.6, label="the law", zorder=1.5
        )
    if said is not None:
        at, low, high = said
        axes.plot(
            [at, at],
            [low, high],
            color=PALETTE[1],
            linewidth=5,
            solid_capstyle="butt",
            label="what is said",
            alpha=0.75,
        )
    if came is not None:
        axes.plot(*came, "*", color=PALETTE[2], markersize=17, markeredgecolor=INK, linestyle="none", label="what came")
    if floor is not None:
        axes.axhline(floor, color="#555555", linestyle=":", linewidth=1.6)
    axes.margins(x=0.06, y=0.1)
    if floor is not None:
        style.label_ends(axes, [(floor, f"floor {floor:.2f}", "#555555")])
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure
