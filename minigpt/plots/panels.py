"""Panels: the same chart for several tasks, and maps of embeddings."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL, TEXT
from minigpt.plots.style import PALETTE


@style.styled
def task_panels(
    panels: dict,
    references: dict | None = None,
    *,
    y_label: str = "accuracy",
    x_label: str = "labelled examples",
    title: str = "",
    guess=...,
    n_columns: int = 2,
    zero: bool = False,
) -> Figure:
    """Small multiples of learning curves: one panel for each task, one dot for each seed, a line through the means.

    panels: heading -> {series: {x: [a value for each seed]}}; every panel has the same axes, y from 0 to 1.
    references: name -> number, a line in every panel; or heading -> {name: number}, lines of that panel. "best
    possible" is dashed (in a panel's own references it may be a curve {x: number}), others, such as "chance" or
    "majority", are dotted. guess: the reader's number, a grey line.
    zero: x may be 0, such as no demonstrations; it stands one step to the left of a break in the logarithmic axis.

    Errors: ValueError for no panels, no values, an x that is not above 0 (with zero: below 0), a value outside 0..1, or
    references of an unknown panel.
    """
    drawn = {heading: {name: _seeds(heading, name, points, zero) for name, points in series.items()}
             for heading, series in panels.items()}  # fmt: skip
    references, bounds = _without_curves(panels, references or {})
    lines = _lines_of_panels(panels, references)
    value, names = labels.guessed(guess), list(dict.fromkeys(name for series in panels.values() for name in series))
    if not names:
        raise ValueError("expected at least one panel with a series, but got none")
    ends = {heading: _reference_ends(lines[heading], value)
            + [(points[max(points)], f"{name} {points[max(points)]:.2f}", "#000000")
               for name, points in bounds[heading].items()] for heading in panels}  # fmt: skip
    beside = max([0.15, *(0.25 + labels.text_width(line, SMALL) for end in ends.values() for _, text, _ in end
                          for line in text.split("\n"))])  # fmt: skip
    n_columns = min(n_columns, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    rows = legend_rows(names, style.WIDEST - 0.3)
    head = -0.12 + (0.3 * (1 + labels.wrapped(title, 8.7, labels.TITLE, "bold").count("\n")) if title else 0.0)
    foot = 0.62 + 0.3 * len(rows)
    tall = min(2.6, (6.5 - head - foot) / n_rows - 0.62)
    wide = (style.WIDEST - 0.75) / n_columns - beside - 0.12
    figure = Figure(
        figsize=(style.WIDEST, head + foot + n_rows * (tall + 0.62))
    )  # 0.62 inches between panels: numbers, heading
    labels.set_title(figure, title)
    width, height = figure.get_size_inches()
    every = np.unique([x for series in drawn.values() for points in series.values() for x in points])
    for place, (heading, series) in enumerate(drawn.items()):
        row, column = divmod(place, n_columns)
        left, bottom = 0.75 + column * (wide + beside + 0.12), foot + (n_rows - 1 - row) * (tall + 0.62)
        axes = figure.add_axes((left / width, bottom / height, wide / width, tall / height))
        axes.set_title(heading, loc="left", size=TEXT, pad=8)
        _draw_task(axes, series, names, every, wide)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        axes.tick_params(labelleft=column == 0)
        if place + n_columns >= len(panels):
            axes.set_xlabel(x_label)
        for name, (at, _) in _merged(lines[heading]).items():
            axes.axhline(at, color="#000000", linestyle=labels.dash(name), linewidth=1.5, zorder=1.9)
        for name, points in bounds[heading].items():
            look = {"color": "#000000", "linestyle": labels.dash(name), "linewidth": 1.8, "zorder": 1.9}
            axes.plot(_places(list(points), every), list(points.values()), **look)
        if value is not None:
            axes.axhline(value, **labels.GUESS)
        labels.label_beside(axes, ends[heading], tall, SMALL)
    figure.text(
        0.12 / width, (foot + (height - foot - head) / 2) / height, y_label, rotation=90, va="center", size=TEXT
    )
    draw_rows(figure, rows, names)
    return figure


def _seeds(heading: str, name: str, points: dict, zero: bool = False, shares: bool = True) -> dict:
    """x -> array of one value for each seed."""
    found = {float(x): np.asarray(values, float).reshape(-1) for x, values in dict(points).items()}
    least = "of at least 0" if zero else "above 0"
    if not found or min(found) < 0 or min(found) == 0 and not zero or not all(map(len, found.values())):
        raise ValueError(
            f"{heading!r}, {name!r}: expected {{x {least}: [a value for each seed]}}, but got {points!r}"
        )
    if shares and not all(((values >= 0) & (values <= 1)).all() for values in found.values()):
        raise ValueError(f"{heading!r}, {name!r}: expected values from 0 to 1, but got {points!r}")
    return dict(sorted(found.items()))


def _lines_of_panels(panels: dict, references: dict | None) -> dict:
    """heading -> {name: number}."""
    references = references or {}
    common = {name: value for name, value in references.items() if not isinstance(value, dict)}
    unknown = [name for name, value in references.items() if isinstance(value, dict) and name not in panels]
    if unknown:
        raise ValueError(f"references: expected panels of {list(panels)}, but got {unknown}")
    return {heading: {name: float(value) for name, value in (common | references.get(heading, {})).items()
                      if value is not None} for heading in panels}  # fmt: skip


def _without_curves(panels: dict, references: dict) -> tuple:
    """(references that are numbers, heading -> {name: {x: number}}): curves stand among the references of a panel."""
    plain, curves = dict(references), {heading: {} for heading in panels}
    for heading, own in references.items():
        if isinstance(own, dict) and heading in panels:
            curves[heading] = {name: {float(x): float(y) for x, y in sorted(value.items())}
                               for name, value in own.items() if isinstance(value, dict)}  # fmt: skip
            plain[heading] = {name: value for name, value in own.items() if not isinstance(value, dict)}
    for heading, own in curves.items():
        if not all(points and all(0 <= y <= 1 for y in points.values()) for points in own.values()):
            raise ValueError(f"references: {heading!r}: expected curves {{x: number from 0 to 1}}, but got {own}")
    return plain, curves


def _merged(lines: dict) -> dict:
    """Reference lines that stand at the same height are one line: first name -> (height, label)."""
    groups: list[list] = []
    for name, value in sorted(lines.items(), key=lambda pair: -pair[1]):
        if groups and abs(groups[-1][1] - value) < 0.005:
            groups[-1][0].append(name)
        else:
            groups.append([[name], value])
    return {names[0]: (value, ",\n".join(names) + f" {value:.2f}") for names, value in groups}


def _reference_ends(lines: dict, guess: float | None) -> list:
    ends = [(value, text, "#000000") for value, text in _merged(lines).values()]
    return ends if guess is None else [*ends, (guess, f"your guess {guess:g}", labels.GUESS["color"])]


def _draw_task(axes, series: dict, names: list, every: np.ndarray, wide: float) -> None:
    axes.set(ylim=(-0.03, 1.03))
    _log_axis(axes, every, wide)
    _draw_seeds(axes, series, names, every)


def _log_axis(axes, every: np.ndarray, wide: float) -> None:
    """A logarithmic x axis with ticks at the values themselves; a 0 stands one step to the left, after a break."""
    placed = _places(every, every)
    axes.set_xscale("log")
    side = max(placed[-1] / placed[0], 2.0) ** 0.08
    axes.set(xlim=(placed[0] / side, placed[-1] * side))
    if every[0] == 0:
        style.break_mark(axes, math.sqrt(placed[0] * (placed[1] if len(placed) > 1 else 2 * placed[0])))
    named = every
    if len(every) > 8:  # too many values to name them all: powers of ten, if they span more than two
        positive = every[every > 0]
        low, high = np.log10(positive[[0, -1]])
        tens = 10.0 ** np.arange(math.ceil(low), math.floor(high) + 1)
        if len(tens) > 1 and positive[-1] > 100 * positive[0]:
            named = np.concatenate([every[every == 0], tens])
    kept, end = [], -9.0
    for value, x in zip(named, _places(named, every)):
        at = wide * math.log(x / axes.get_xlim()[0]) / math.log(axes.get_xlim()[1] / axes.get_xlim()[0])
        half = labels.text_width(labels.short(value), NOTE) / 2
        if at - half > end + 0.08:
            kept.append((x, labels.short(value)))
            end = at + half
    axes.set_xticks([x for x, _ in kept], [text for _, text in kept])
    axes.minorticks_off()


def _places(x, every: np.ndarray) -> np.ndarray:
    """Where x stands on a logarithmic axis of all these values: 0 as far before the least as the next is after it."""
    positive = every[every > 0]
    if not len(positive):
        return np.ones(len(x))
    step = max(2.0, positive[1] / positive[0]) if len(positive) > 1 else 2.0
    x = np.asarray(x, float)
    return np.where(x > 0, x, positive[0] / step)


def _draw_seeds(axes, series: dict, names: list, every: np.ndarray) -> None:
    """For each series a line through the means and a dot for each seed, series a little aside from each other."""
    placed = _places(every, every)
    step = max(placed[-1] / placed[0], 2.0) ** 0.018
    for aside, (name, points) in enumerate(series.items()):  # a series alone in its panel is where it belongs
        i = names.index(name)
        x = _places(list(points), every) * step ** (aside - (len(series) - 1) / 2)
        axes.plot(x, [values.mean() for values in points.values()], **style.line(i) | {"markersize": 0}, label=name)
        flat = np.concatenate([np.full(len(values), at) for at, values in zip(x, points.values())])
        axes.plot(flat, np.concatenate(list(points.values())), linestyle="none", marker=style.MARKERS[i % 6],
                  markersize=6, markerfacecolor="white", markeredgecolor=PALETTE[i % 6], markeredgewidth=1.4,
                  zorder=3.5, clip_on=False)  # fmt: skip


@style.styled
def stacked_panels(
    panels: dict,
    references: dict | None = None,
    *,
    x_label: str,
    log_x: bool = True,
    log_y: tuple = (),
    limits: dict | None = None,
    guess: dict | None = None,
    title: str = "",
) -> Figure:
    """Several measures of the same runs, one panel above another, on one x axis: such as loss and accuracy.

    panels: y label -> {series: {x: [a value for each seed]}}, 1 to 4 panels; a series looks the same in all of them.
    references: y label -> {name: number}, "best possible" and "floor" dashed, others dotted. log_x: equal factors are
    equally far apart, and a 0 stands one step to the left of a break. log_y: the y labels of panels with a logarithmic
    axis. limits: y label -> (low, high). guess: y label -> the reader's number, a grey line, or ... for none.

    Errors: ValueError for no panels or more than 4, values that are not finite, or not above 0 on a logarithmic axis,
    or references, limits, guesses or log_y of an unknown panel.
    """
    given = {"references": references or {}, "log_y": log_y, "limits": limits or {}, "guess": guess or {}}
    for name, keys in given.items():
        if unknown := [key for key in keys if key not in panels]:
            raise ValueError(f"{name}: expected panels of {list(panels)}, but got {unknown}")
    drawn = {heading: {name: _seeds(heading, name, points, not log_x or 0 in points, False)
                       for name, points in series.items()} for heading, series in panels.items()}  # fmt: skip
    names = list(dict.fromkeys(name for series in drawn.values() for name in series))
    if not 1 <= len(panels) <= 4 or not all(drawn.values()):
        raise ValueError(f"expected 1 to 4 panels with a series each, but got {len(panels)}")
    for heading, series in drawn.items():
        flat = np.concatenate([values for points in series.values() for values in points.values()])
        if not np.isfinite(flat).all() or heading in log_y and flat.min() <= 0:
            raise ValueError(f"{heading!r}: expected finite values{' above 0' * (heading in log_y)}, but got {flat}")
    lines = _lines_of_panels(panels, {heading: dict(each) for heading, each in given["references"].items()})
    guesses = {heading: labels.guessed(given["guess"].get(heading, ...)) for heading in panels}
    ends = {heading: _reference_ends(lines[heading], guesses[heading]) for heading in panels}
    beside = max([0.15, *(0.3 + labels.text_width(line, SMALL) for end in ends.values() for _, text, _ in end
                          for line in text.split("\n"))])  # fmt: skip
    rows = legend_rows(names, style.WIDEST - 0.3)
    head = (0.12 + 0.3 * (1 + labels.wrapped(title, 8.7, labels.TITLE, "bold").count("\n"))) if title else 0.1
    foot, tall, gap = 0.7 + 0.3 * len(rows), {1: 3.2, 2: 2.1, 3: 1.45, 4: 1.08}[len(panels)], 0.16
    wide = style.WIDEST - 1.25 - beside
    figure = Figure(figsize=(style.WIDEST, head + foot + (tall + gap) * len(panels)))
    labels.set_title(figure, title)
    width, height = figure.get_size_inches()
    every = np.unique([x for series in drawn.values() for points in series.values() for x in points])
    for place, (heading, series) in enumerate(drawn.items()):
        last = place == len(panels) - 1
        bottom = foot + (tall + gap) * (len(panels) - 1 - place)
        axes = figure.add_axes((1.1 / width, bottom / height, wide / width, tall / height))
        shown = [values for points in series.values() for values in points.values()]
        shown = np.concatenate([*shown, list(lines[heading].values())])
        if guesses[heading] is not None:
            shown = np.append(shown, guesses[heading])
        if heading in log_y:
            axes.set_yscale("log")
            if shown.min() <= 0:
                raise ValueError(f"{heading!r}: expected references and a guess above 0, but got {shown.min():g}")
            side = max(shown.max() / shown.min(), 1.3) ** 0.08
            axes.set_ylim(limits[heading] if heading in given["limits"] else (shown.min() / side, shown.max() * side))
            labels.plain_log(axes.yaxis, axes.get_ylim())
            if len(panels) > 2 and axes.get_ylim()[1] / axes.get_ylim()[0] < 30:
                ticks = [tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
                axes.set_yticks(ticks[:: 1 + len(ticks) // 4])
        else:
            side = 0.08 * max(np.ptp(shown), 1e-3)
            axes.set_ylim(given["limits"].get(heading, (shown.min() - side, shown.max() + side)))
            axes.yaxis.set_major_locator(MaxNLocator(5 if tall > 2 else 3))
        axes.set_ylabel(labels.wrapped(heading, tall + gap))
        axes.yaxis.set_label_coords(-0.72 / wide, 0.5)
        if log_x:
            _log_axis(axes, every, wide)
            _draw_seeds(axes, series, names, every)
        else:
            _draw_plain(axes, series, names, every)
        axes.tick_params(labelbottom=last)
        if last:
            axes.set_xlabel(x_label)
        for name, (at, _) in _merged(lines[heading]).items():
            axes.axhline(at, color="#000000", linestyle=labels.dash(name), linewidth=1.5, zorder=1.9)
        if guesses[heading] is not None:
            axes.axhline(guesses[heading], **labels.GUESS)
        labels.label_beside(axes, ends[heading], tall, SMALL)
    draw_rows(figure, rows, names)
    return figure


def _draw_plain(axes, series: dict, names: list, every: np.ndarray) -> None:
    """As `_draw_seeds`, on a linear axis."""
    side = 0.03 * max(np.ptp(every), 1e-9)
    axes.set_xlim(every[0] - side, every[-1] + side)
    axes.xaxis.set_major_formatter(lambda value, _: labels.short(round(value, 10)))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    for name, points in series.items():
        i, x = names.index(name), list(points)
        axes.plot(x, [values.mean() for values in points.values()], **style.line(i) | {"markersize": 0}, label=name)
        for at, values in points.items():
            axes.plot(np.full(len(values), at), values, linestyle="none", marker=style.MARKERS[i % 6], markersize=6,
                      markerfacecolor="white", markeredgecolor=PALETTE[i % 6], markeredgewidth=1.4,
                      zorder=3.5)  # fmt: skip


def legend_rows(names: list, width: float) -> list:
    """Names in lines that fit into a width in inches."""
    rows, used = [[]], 0.0
    for name in names:
        wide = 1.0 + labels.text_width(name, TEXT - 1)
        if rows[-1] and used + wide > width:
            rows.append([])
            used = 0.0
        rows[-1].append(name)
        used += wide
    return rows


def draw_rows(figure: Figure, rows: list, names: list, lines: bool = True) -> None:
    """The legend, at the lower edge of a figure without a layout: a line and a dot for each name."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, (0.3 * len(rows) + 0.08) / height), frameon=False)
    axes.set(xlim=(0, width), ylim=(0, 0.3 * len(rows) + 0.08))
    axes.set_axis_off()
    for place, row in enumerate(rows):
        wide = [1.0 + labels.text_width(name, TEXT - 1) for name in row]
        x, y = (width - sum(wide)) / 2, 0.08 + 0.3 * (len(rows) - 1 - place) + 0.14
        for name, room in zip(row, wide):
            i = names.index(name)
            look = {"markerfacecolor": "white"} if lines else {"linestyle": "none", "markersize": 8}
            axes.plot([x, x + 0.25, x + 0.5], [y] * 3, **style.line(i) | look, markevery=[1])
            axes.text(x + 0.62, y, name, va="center", size=TEXT - 1)
            x += room


@style.styled
def embedding_map(
    before,
    after,
    names: list,
    groups: list,
    *,
    written: list | None = None,
    headings: tuple = ("before training", "after training"),
    title: str = "",
) -> Figure:
    """Embedding map: the same words as points in a plane, twice; groups differ by colour and marker.

    before, after: (n, 2), such as the first two principal components. groups: the group of each name, at most 6.
    written: the names to write beside their points; None: two of each group. A name that has no free place is left out.

    Errors: ValueError for other shapes, more than 6 groups, or a written name that is not among the names.
    """
    clouds = [np.asarray(cloud, float) for cloud in (before, after)]
    kinds = list(dict.fromkeys(groups))
    if any(cloud.shape != (len(names), 2) or not np.isfinite(cloud).all() for cloud in clouds) or not len(names):
        raise ValueError(f"expected ({len(names)}, 2) finite numbers, a point for each name, but got "
                         f"{[cloud.shape for cloud in clouds]}")  # fmt: skip
    if len(groups) != len(names) or len(kinds) > 6:
        raise ValueError(
            f"groups: expected one of at most 6 for each of {len(names)} names, but got {len(groups)}: {kinds}"
        )
    if written is None:
        written = [name for kind in kinds for name in [n for n, g in zip(names, groups) if g == kind][:2]]
    unknown = [name for name in written if name not in names]
    if unknown:
        raise ValueError(f"written: expected some of the names, but got {unknown}")
    rows = legend_rows(kinds, style.WIDEST - 0.3)
    head = 0.12 + (0.3 * (1 + labels.wrapped(title, 8.7, labels.TITLE, "bold").count("\n")) if title else 0.0)
    foot, side = 0.2 + 0.3 * len(rows), 4.25
    figure = Figure(figsize=(style.WIDEST, head + foot + side + 0.4))
    labels.set_title(figure, title)
    width, height = figure.get_size_inches()
    for i, (cloud, heading) in enumerate(zip(clouds, headings)):
        place = ((0.15 + i * (side + 0.2)) / width, foot / height, side / width, side / height)
        axes = figure.add_axes(place, xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color="#999999")
        axes.set_title(heading, loc="left")
        low, high = cloud.min(0), cloud.max(0)
        scale = (side - 0.9) / max(1e-9, (high - low).max())  # the same in both directions: distances are distances
        points = side / 2 + (cloud - (low + high) / 2) * scale
        axes.set(xlim=(0, side), ylim=(0, side))
        for k, kind in enumerate(kinds):
            chosen = [group == kind for group in groups]
            axes.plot(*points[chosen].T, linestyle="none", marker=style.MARKERS[k], markersize=8, color=PALETTE[k],
                      markeredgecolor="white", markeredgewidth=0.8)  # fmt: skip
        _write_names(axes, points, names, written, [PALETTE[kinds.index(group)] for group in groups], side)
    draw_rows(figure, rows, kinds, lines=False)
    return figure


def _write_names(axes, points: np.ndarray, names: list, written: list, colours: list, side: float) -> None:
    """Names beside their points, each at the first of sixteen places where it covers no point and no other name."""
    taken = [(x - 0.06, y - 0.06, x + 0.06, y + 0.06) for x, y in points]
    for name in written:
        i = names.index(name)
        x, y = points[i]
        place = labels.free_place((x, y), labels.spoken(name), NOTE, taken, (side, side), (0.1, 0.25))
        if place is None:
            continue
        (cx, cy), (dx, dy) = place
        if max(abs(dx), abs(dy)) > 0.2:
            axes.plot([x, x + dx], [y, y + dy], color="#888888", linewidth=0.8, zorder=1)
        axes.text(cx, cy, labels.spoken(name), ha="center", va="center", size=NOTE, color=labels.darker(colours[i]))
