"""What happens over time: kinds of text over training steps, a training run and its gap to the floor, a timeline."""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from minigpt.plots import curves, labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import FLOOR_DASH, INK, PALETTE


@style.styled
def stacked_shares(
    steps: list,
    shares: dict,
    *,
    x_label: str = "training steps",
    y_label: str = "share of the texts",
    log_x: bool = True,
    title: str = "",
) -> Figure:
    """Stacked areas: what share each kind has at every step, each named at the right.

    steps: at least two, rising. shares: kind -> a number of at least 0 for each step, at most 6 kinds, the first at the
    bottom. log_x: equal factors are equally far apart, and a step 0 is left out.

    Errors: ValueError for other lengths, negative numbers, more than 6 kinds, or steps that do not rise.
    """
    steps = np.asarray(steps, float)
    areas = {name: np.asarray(values, float) for name, values in shares.items()}
    if not 1 <= len(areas) <= 6 or any(
        values.shape != steps.shape or not (values >= 0).all() for values in areas.values()
    ):
        raise ValueError(f"expected 1 to 6 kinds with {len(steps)} numbers of at least 0 each, but got "
                         f"{ {name: values.tolist() for name, values in areas.items()} }")  # fmt: skip
    keep = steps > 0 if log_x else np.ones(len(steps), bool)
    if keep.sum() < 2 or not (np.diff(steps) > 0).all():
        raise ValueError(f"steps: expected at least two that rise{' above 0' * log_x}, but got {steps.tolist()}")
    x, bottom, ends = steps[keep], np.zeros(keep.sum()), []
    figure, axes = style.canvas(title, x_label, y_label, (9.0, 5.2))
    for i, (name, values) in enumerate(areas.items()):
        top = bottom + values[keep]
        look = style.bar_style(i) | {"edgecolor": to_rgba(PALETTE[i % 6], 0.45)}  # pale hatches: the area is large
        axes.fill_between(x, bottom, top, linewidth=0, **look)
        axes.plot(x, top, color=PALETTE[i % 6], linewidth=1.5)
        ends.append(((bottom[-1] + top[-1]) / 2, f"{name} {values[-1]:.2f}", PALETTE[i % 6]))
        bottom = top
    if log_x:
        axes.set_xscale("log")
        labels.plain_log(axes.xaxis, (x[0], x[-1]))
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set(xlim=(x[0], x[-1]), ylim=(0, 1 if 0.9 < bottom.max() <= 1.0001 else 1.05 * bottom.max() or 1))
    labels.label_ends(axes, ends)
    return figure


@style.styled
def training_panels(
    losses: dict,
    floor: float,
    references: dict | None = None,
    *,
    n_vocab: int | None = None,
    smooth: int = 1,
    guess=...,
    title: str = "",
    x_label: str = "training steps",
) -> Figure:
    """Training curves twice: the loss above the floor, and beneath it the relative gap (loss - floor) / floor.

    losses: name -> (steps, losses), such as training and held out; step 0 is left out, because steps are logarithmic.
    references: name -> loss, such as the unigram's. n_vocab: draws log V, the loss of knowing nothing. smooth: the mean
    of the last so many values. guess: the reader's own last loss, a grey line. The gap has a logarithmic axis; points
    below the floor, which a noisy batch can reach, are not on it.

    Errors: ValueError for a floor that is not above 0, a guess that is no number, or a curve as in `loss_curve`.
    """
    if not floor > 0:
        raise ValueError(f"expected a floor above 0, but got {floor!r}")
    value = labels.guessed(guess)
    drawn = {}
    for name, (x, y) in losses.items():
        x, y = style.pair(name, x, y, True)
        drawn[name] = (x, curves.trailing_mean(y, smooth) if smooth > 1 and len(y) >= 2 * smooth else y)
    if not drawn:
        raise ValueError("expected at least one curve")
    lines = ({"log V": float(np.log(n_vocab))} if n_vocab else {}) | {
        k: float(v) for k, v in (references or {}).items()
    }
    last = {name: y[-1] for name, (_, y) in drawn.items()}
    ends = [(y, f"{name} {y:.2f} = floor {'+' if y >= floor else '−'} {abs(y / floor - 1):.0%}".replace("%", " %"))
            for name, y in last.items()]  # fmt: skip
    ends += [(height, f"{name} {height:.2f}") for name, height in lines.items()] + [(floor, f"floor {floor:.2f}")]
    colours = [PALETTE[i % 6] for i in range(len(drawn))] + ["#000000"] * (len(lines) + 1)
    if value is not None:
        ends, colours = [*ends, (value, f"your guess {value:g}")], [*colours, labels.GUESS["color"]]
    beside = 0.35 + max(labels.text_width(text, NOTE) for _, text in ends)
    head = 0.2 + (0.3 * (1 + labels.wrapped(title, 8.7, labels.TITLE, "bold").count("\n")) if title else 0.0)
    high, low, wide = 2.3, 2.5, style.WIDEST - 1.05 - beside  # inches: the two panels, one above the other
    figure = Figure(figsize=(style.WIDEST, head + high + low + 0.95))
    labels.set_title(figure, title)
    width, height = figure.get_size_inches()
    upper = figure.add_axes((1.05 / width, (0.95 + low) / height, wide / width, high / height))
    lower = figure.add_axes((1.05 / width, 0.7 / height, wide / width, low / height))
    start, stop = min(x[0] for x, _ in drawn.values()), max(x[-1] for x, _ in drawn.values())
    for i, (x, y) in enumerate(drawn.values()):
        look = style.line(i) | {"markevery": style.spaced(x, True, i), "linewidth": 2.2 if len(x) < 100 else 1.3}
        upper.plot(x, y, **look)
        gap = np.where(y > floor, y / floor - 1, np.nan)
        lower.plot(x, gap, **look)
    highest = max([*(y.max() for _, y in drawn.values()), *lines.values(), value or 0.0])
    for axes in (upper, lower):
        axes.set(xscale="log", xlim=(start, max(stop, 1.01 * start)))
    upper.set_ylim(0, 1.04 * highest)
    for height_ in lines.values():
        upper.axhline(height_, color="#000000", linestyle=":", linewidth=1.5, zorder=1.9)
    upper.axhspan(0, floor, facecolor="#f2f2f2", edgecolor="#c4c4c4", hatch="//", linewidth=0, zorder=0)
    upper.axhline(floor, color="#000000", linestyle=FLOOR_DASH, linewidth=2)
    if value is not None:
        upper.axhline(value, **labels.GUESS)
    upper.tick_params(labelbottom=False)
    lower.set_yscale("log")
    labels.plain_log(lower.xaxis, (start, stop))
    gaps = np.concatenate([y / floor - 1 for _, y in drawn.values()])
    least = max(0.005, 0.6 * np.quantile(gaps[gaps > 0], 0.1)) if (gaps > 0).any() else 0.005
    lower.set_ylim(least, max(1.3 * (max(y.max() for _, y in drawn.values()) / floor - 1), 2 * least))
    shown = [gap for gap in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30) if lower.get_ylim()[0] <= gap <= lower.get_ylim()[1]]
    lower.set_yticks(shown, [f"{100 * gap:,.0f} %" for gap in shown])
    lower.minorticks_off()
    lower.set_xlabel(x_label)
    for axes, label in ((upper, "loss (nats per token)"), (lower, "gap to the floor")):
        axes.set_ylabel(label)
        axes.yaxis.set_label_coords(-0.78 / wide, 0.5)
    labels.label_beside(upper, [(at, text, colour) for (at, text), colour in zip(ends, colours)], high, NOTE)
    last_gaps = [(y / floor - 1, f"{name} {100 * (y / floor - 1):.0f} %", PALETTE[i % 6])
            for i, (name, y) in enumerate(last.items()) if y > floor]  # fmt: skip
    labels.label_beside(lower, last_gaps, low, NOTE)
    return figure


@style.styled
def timeline(events: list, *, marked: tuple = (), title: str = "") -> Figure:
    """Timeline: events on a line of years, their names above and beneath it, none over another.

    events: (date, name) or (date, name, text); a date is "2018", "2018-06" or "2018-06-11", the text such as a size.
    marked: the names to print in colour, such as this chapter's paper.

    Errors: ValueError for no events, a date that is none, a marked name that is not among them, or too many to place.
    """
    found = sorted((_year(event), str(event[1]), str(event[2]) if len(event) > 2 else "") for event in events)
    unknown = [name for name in marked if name not in [name for _, name, _ in found]]
    if not found or unknown:
        raise ValueError(f"expected at least one event, and marked names among them; but {unknown} are not")
    first, last, wide = int(found[0][0]), int(found[-1][0]) + 1, style.WIDEST - 0.3
    step = (wide - 0.3) / (last - first)
    sides = [_columns(found[half::2], first, step, wide) for half in (0, 1)]
    up, down = (max([0.3, *(0.62 + tall for *_, tall in side)]) for side in sides)
    figure, axes = style.paper(title, wide, up + down + 0.1)
    line = -up - 0.02
    axes.plot([0, wide], [line, line], color=INK, linewidth=2.5, zorder=2)
    for year in range(first, last + 1):
        x = 0.15 + step * (year - first)
        axes.plot([x, x], [line - 0.08, line + 0.08], color=INK, linewidth=2, zorder=2)
        if year < last:
            axes.text(x + step / 2, line - 0.15, str(year), ha="center", va="center", size=SMALL, color="#555555",
                      bbox={"facecolor": "white", "linewidth": 0, "pad": 0.5}, zorder=2)  # fmt: skip
    for way, side in zip((1, -1), sides):
        for (x, name, words, text), centre, tall in side:
            colour, bold = (PALETTE[1], "bold") if name in marked else (PALETTE[0], "normal")
            axes.plot(
                [x, x, centre], [line, line + 0.1 * way, line + 0.56 * way], color=colour, linewidth=1.4, zorder=1
            )
            axes.plot([x], [line], marker="o", markersize=8, color=colour, zorder=3)
            top = line + 0.6 + tall if way > 0 else line - 0.6
            look = {"ha": "center", "va": "top", "linespacing": 1.15}
            axes.text(centre, top, words, size=NOTE, weight=bold, color=labels.darker(colour), **look)
            if text:
                axes.text(
                    centre, top - 0.03 - NAME * (1 + words.count("\n")), text, size=SMALL, color="#444444", **look
                )
    return figure


NAME, UNDER = 0.222, 0.2  # inches from one line of an event's name, or of its text, to the next


def _columns(events: list, first: int, step: float, wide: float) -> list:
    """Events on one side of the line: ((x, name, wrapped name, wrapped text), centre, height), side by side."""
    columns = []
    for room in (1.6, 1.4, 1.2, 1.0, 0.8):
        columns = []
        for year, name, text in events:
            words, under = labels.wrapped(name, room, NOTE, "bold"), labels.wrapped(text, room, SMALL)
            widths = [labels.text_width(line, NOTE, "bold") for line in words.split("\n")]
            widths += [labels.text_width(line, SMALL) for line in under.split("\n")]
            tall = NAME * (1 + words.count("\n")) + (UNDER * (1 + under.count("\n")) if text else 0)
            columns.append(((0.15 + step * (year - first), name, words, under), 0.12 + max(widths), tall))
        if sum(width for _, width, _ in columns) <= wide:
            break
    else:
        raise ValueError(f"expected fewer events, which have room side by side, but got {2 * len(events)}")
    if not columns:
        return []
    widths = np.array([width for _, width, _ in columns])
    shifted = np.array([event[0] for event, _, _ in columns])
    centres = labels.spread(shifted, widths, widths[0] / 2, wide - widths[-1] / 2)
    return [(event, centre, tall) for (event, _, tall), centre in zip(columns, centres)]


def _year(event: tuple) -> float:
    """2018.5 for "2018-07"."""
    try:
        parts = [int(part) for part in str(event[0]).split("-")]
        year, month, day = parts + [7, 1][len(parts) - 1 :]
        right = 1 <= month <= 12 and 1 <= day <= 31 and len(event) in (2, 3)
    except (ValueError, TypeError, IndexError):
        right = False
    if not right:
        raise ValueError(f"expected (date, name) or (date, name, text), dates such as '2018-06', but got {event!r}")
    return year + (month - 1) / 12 + (day - 1) / 365
