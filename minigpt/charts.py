"""The figures of the later chapters: curves with intervals, panels, frontiers, shares, masks, prompts, answers.

The roof: as in show, numbers and strings come in, a matplotlib Figure goes out, and nothing depends on colour alone.
"""

import math
import textwrap

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from minigpt import show
from minigpt.show import FLOOR_DASH, INK, PALETTE

# --- curves ------------------------------------------------------------------------------------------------------


@show._styled
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
    figure, axes = show._canvas(title, x_label, y_label)
    drawn = {name: _rows(name, values) for name, values in series.items()}
    _scale(axes, drawn, ceiling, log_x, log_y)
    labels = [
        (_last(rows), name, PALETTE[i % 6])
        for i, (name, rows) in enumerate(drawn.items())
        if _draw(axes, rows, i, len(drawn), bands, name)
    ]
    if ceiling is not None and not np.isscalar(ceiling):
        x, y, *_ = _rows(ceiling_label, ceiling)
        axes.plot(x, y, color="#000000", linestyle=FLOOR_DASH, linewidth=1.6)
        labels.append((y[-1], ceiling_label, "#000000"))
        ceiling = None
    labels += show._draw_bounds(axes, ceiling, chance, ceiling_label)
    for name, value in (references or {}).items():
        axes.axhline(value, color="#555555", linestyle=":", linewidth=1.6)
        labels.append((value, f"{name} {value:.2f}", "#555555"))
    if y_limits is None:
        axes.margins(y=0.08)
    else:
        axes.set_ylim(*y_limits)
    if log_y:
        _plain_log(axes.yaxis, axes.get_ylim())
    show._label_ends(axes, labels)
    return figure


@show._styled
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
        drawn = {name: _rows(f"{heading}, {name}", values) for name, values in series.items()}
        everything |= {(heading, name): rows for name, rows in drawn.items()}
        axes.set_title(heading, loc="left", size=12)
        for name, rows in drawn.items():
            handles[name] = _draw(axes, rows, names.index(name), len(names), bands, name)
        if heading in ceilings:
            bound = ceilings[heading]
            look = {"color": "#000000", "linestyle": FLOOR_DASH, "linewidth": 1.6}
            handles[ceiling_label] = (
                axes.axhline(bound, **look) if np.isscalar(bound)
                else axes.plot(*_rows(ceiling_label, bound)[:2], **look)[0]
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


def _rows(name: str, values) -> tuple:
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
    look = show._line(i)
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
    longest = max(len(_short(value)) for value in x)
    if len(x) <= most and far.min() > max(0.06, 0.017 * longest) * axes.bbox.width:
        axes.set_xticks(x, [_short(value) for value in x])
        axes.xaxis.set_minor_locator(NullLocator())
    elif not log_x:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_major_locator(MaxNLocator(min(7, most)))
    elif x[0] > 0:
        _plain_log(axes.xaxis, axes.get_xlim())
    if log_y:
        axes.set_yscale("log")


def _short(value: float) -> str:
    """A number for an axis: 334k for 334,000, 1.3B for 1,300,000,000."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= (1e4 if letter == "k" else size):
            return f"{float(f'{value / size:.3g}'):g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def _plain_log(axis, limits: tuple) -> None:
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
        axis.set_major_formatter(FuncFormatter(lambda value, _: _short(round(value, 10))))


# --- loss against compute ----------------------------------------------------------------------------------------


@show._styled
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
    figure, axes = show._canvas(title, x_label, y_label)
    axes.set(xscale="log", yscale="log")
    extent = []
    for i, (name, values) in enumerate(runs.items()):
        x, y, *_ = _rows(name, values)
        if min(x.min(), np.nanmin(y)) <= 0:
            raise ValueError(f"{name!r}: a logarithmic axis needs compute and loss above 0")
        every = show._spaced(x, True, i)
        axes.plot(x, y, label=name, markevery=every, alpha=0.85, **show._line(i))
        extent += [x.min(), x.max()]
    if envelope is not None:
        x, y, *_ = _rows("envelope", envelope)
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
    _plain_log(axes.yaxis, axes.get_ylim())
    _plain_log(axes.xaxis, axes.get_xlim())
    figure.legend(loc="outside right upper", frameon=False, handlelength=3.2)
    return figure


@show._styled
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
    x, y, *_ = _rows("points", (x, y))
    if labels is not None and len(labels) != len(x):
        raise ValueError(f"expected as many labels as points, but got {len(labels)} and {len(x)}")
    both = np.concatenate([x, y])
    if log and both.min() <= 0:
        raise ValueError(f"a logarithmic axis needs numbers above 0, but there is {both.min():g}")
    figure, axes = show._canvas(title, x_label, y_label, (7.2, 6.0))
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
            _plain_log(axis, limits)
        else:
            axis.set_major_formatter(FuncFormatter(lambda value, _: _short(round(value, 10))))
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


# --- shares, masks, prompts ----------------------------------------------------------------------------------------


@show._styled
def shares(rows: dict, *, title: str = "", x_label: str = "share of the whole (%)") -> Figure:
    """Draw wholes and their parts: one lying bar for each whole, cut in proportion, percentages written in it.

    rows: name -> {part: amount}; the amounts of a row are divided by their sum. At most 6 parts.

    Errors: ValueError for no rows, more than 6 parts, rows of different parts, negative amounts or a row of zeros.
    """
    parts = list(next(iter(rows.values()), ()))
    if not 1 <= len(parts) <= 6 or any(list(row) != parts for row in rows.values()):
        raise ValueError(f"expected rows with the same 1 to 6 parts, but got {[list(row) for row in rows.values()]}")
    figure, axes = show._canvas(title, x_label, "", (9.0, 1.9 + 0.75 * len(rows)))
    for place, (name, row) in enumerate(rows.items()):
        amounts = np.array([row[part] for part in parts], float)
        if not (amounts >= 0).all() or amounts.sum() <= 0:
            raise ValueError(f"{name!r}: expected amounts of at least 0 with a sum above 0, but got {row}")
        percent = 100 * amounts / amounts.sum()
        left = np.cumsum(percent) - percent
        for i, part in enumerate(parts):
            axes.barh(place, percent[i], 0.62, left[i], linewidth=1.4, label=part if place == 0 else None,
                      **show._bar_style(i))  # fmt: skip
            if percent[i] >= (2.5 if percent[i] < 9.5 else 5):
                axes.text(left[i] + percent[i] / 2, place, f"{percent[i]:.0f}", ha="center", va="center", size=11,
                          bbox={"facecolor": "white", "linewidth": 0, "pad": 1.0})  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    figure.legend(loc="outside lower center", ncols=min(len(parts), 3), frameon=False, handleheight=1.2)
    return figure


@show._styled
def mask_picture(masks: dict, *, title: str = "") -> Figure:
    """Draw masks side by side, too large for show.mask: a dark square where a row's position may look.

    masks: heading -> (T, T), True where it may look. Beneath each stands how many pairs it allows.

    Errors: ValueError for no masks, or one that is not square.
    """
    masks = {name: np.asarray(matrix, bool) for name, matrix in masks.items()}
    if not masks or any(matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] for matrix in masks.values()):
        raise ValueError(f"expected at least one square mask, but got shapes {[m.shape for m in masks.values()]}")
    figure = Figure(figsize=(0.4 + 3.4 * len(masks), 4.4 + 0.3 * bool(title)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    for i, (axes, (name, matrix)) in enumerate(zip(figure.subplots(1, len(masks), squeeze=False).flat, masks.items())):
        T = len(matrix)
        face = np.where(matrix[..., None], to_rgba(PALETTE[0], 0.8), to_rgba("#ffffff"))
        axes.imshow(face, extent=(0.5, T + 0.5, T + 0.5, 0.5), interpolation="nearest")
        if T <= 40:
            for edge in np.arange(1.5, T):
                axes.axhline(edge, color="#d5d5d5", linewidth=0.6)
                axes.axvline(edge, color="#d5d5d5", linewidth=0.6)
        axes.set_title(name, size=12)
        axes.set_xlabel(f"may look at position\n{matrix.sum():,} pairs")
        axes.set_ylabel("position" if i == 0 else "")
        ticks = [1, *range(T // 4, T + 1, max(1, T // 4))] if T >= 8 else range(1, T + 1)
        axes.set_xticks(ticks)
        axes.set_yticks(ticks)
        axes.spines[:].set_visible(True)
    figure.suptitle(title, weight="bold", size=13, x=0.01, ha="left") if title else None
    return figure


@show._styled
def attention_text(tokens: list, weights, *, width: float = 9.2, title: str = "") -> Figure:
    """Draw where one position looks as running text: over every token a bar as high as its weight.

    weights: one for each token, the row of an attention map; the last token is the one that looks, and is framed.
    Weights of 0.05 and more are written over their bars.

    Errors: ValueError if there are not as many weights as tokens.
    """
    weights = np.asarray(weights, float)
    if weights.shape != (len(tokens),):
        raise ValueError(f"expected {len(tokens)} weights, one for each token, but got shape {weights.shape}")
    places = show._laid_out(tokens, width, 0.34)
    tall = 0.7 / max(0.2, weights.max())
    heights = np.zeros(places[-1][0] + 1)  # of the highest bar in each line, in inches
    for weight, (line, _, _) in zip(weights, places):
        heights[line] = max(heights[line], weight * tall)
    bases = -np.cumsum(heights + 0.6)
    head = 0.3 if title else 0.0
    figure = Figure(figsize=(width + 0.3, head - bases[-1] + 0.35))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(-0.15, width + 0.15), ylim=(bases[-1] - 0.35, head))
    axes.set_axis_off()
    axes.text(0, head - 0.08, title, weight="bold", size=13, va="top")
    for token, weight, (line, left, wide) in zip(tokens, weights, places):
        base = bases[line]
        axes.plot([left, left + wide], [base, base], color="#999999", linewidth=1)
        axes.text(left + wide / 2, base - 0.06, show._spoken(token), ha="center", va="top", size=11)
        axes.add_patch(Rectangle((left + 0.02, base), wide - 0.04, weight * tall, **show._bar_style(0)))
        if weight >= 0.05:
            axes.text(left + wide / 2, base + weight * tall + 0.02, f"{weight:.2f}", ha="center", va="bottom", size=10)
    axes.add_patch(Rectangle((left - 0.02, base - 0.3), wide + 0.04, 0.28, fill=False, edgecolor=INK, linewidth=1.6))
    return figure


@show._styled
def data_parallel(n_workers: int, n_micro: int, windows: int, n_ctx: int, *, title: str = "") -> Figure:
    """Draw how one large batch is read: some workers side by side, each reading micro-batches one after another.

    n_workers: copies of the model. n_micro: micro-batches that each reads before the step, adding up its gradients.
    windows: windows in a micro-batch. n_ctx: tokens in a window. At most 4 workers and 4 micro-batches are drawn.

    Errors: ValueError for a number below 1.
    Source: GPT-3, section 2.3, which names a batch of 3.2 million tokens and model parallelism, but no layout.
    Differs: own drawing of the usual scheme.
    """
    numbers = {"n_workers": n_workers, "n_micro": n_micro, "windows": windows, "n_ctx": n_ctx}
    if min(numbers.values()) < 1:
        raise ValueError(f"expected whole numbers of at least 1, but got {numbers}")
    rows = list(range(1, n_workers + 1)) if n_workers <= 4 else [1, 2, None, n_workers]
    steps = list(range(1, n_micro + 1)) if n_micro <= 4 else [1, 2, None, n_micro]
    head = 0.95 if title else 0.6
    height, row = head + 0.62 * len(rows) + 0.15, 0.62
    figure = Figure(figsize=(10.6, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 10.6), ylim=(-height, 0))
    axes.axis("off")
    axes.text(0.15, -0.25, title, size=13, weight="bold", va="center")
    total = n_workers * n_micro * windows * n_ctx
    words = (
        f"{n_workers:,} {_many('worker', n_workers)} × {n_micro:,} {_many('micro-batch', n_micro)} × "
        f"{windows:,} {_many('window', windows)} × {n_ctx:,} tokens = {total:,} tokens a step"
    )
    axes.text(0.15, -head + 0.25, words, va="center")
    middle = -head - row * (len(rows) - 1) / 2 - 0.3
    for place, worker in enumerate(rows):
        y = -head - 0.3 - row * place
        if worker is None:
            axes.text(1.2, y, "...", ha="center", va="center", size=14)
            continue
        x = show._box(axes, 0.15, y, f"worker {worker}, same weights", *show.ROLES["start"], 2.2)
        for step in steps:
            show._arrow(axes, (x, y), (x + 0.22, y))
            role = show.ROLES["text"] if step is not None else ("white", "white")
            x = show._box(axes, x + 0.22, y, f"batch {step}" if step is not None else "...", *role, 0.9)
        show._arrow(axes, (x, y), (x + 0.22, y))
        x = show._box(axes, x + 0.22, y, "sum", *show.ROLES["delim"], 0.6)
        show._arrow(axes, (x, y), (8.05, middle + 0.1 * np.sign(y - middle)))
    x = show._box(axes, 8.05, middle, "mean", *show.ROLES["extract"], 0.75)
    show._arrow(axes, (x, middle), (x + 0.25, middle))
    show._box(axes, x + 0.25, middle, "one step", *show.ROLES["answer"], 1.1)
    return figure


def _many(word: str, n: int) -> str:
    return word if n == 1 else word + ("es" if word.endswith("h") else "s")


@show._styled
def answer_strip(tokens: list, logratios, rewards, *, width: float = 9.2, title: str = "") -> Figure:
    """Draw an answer token by token: how much likelier each became since the reference, and what it earned.

    logratios: log pi - log pi_SFT of each token, nats; the box is orange and has a plus if the token became likelier,
    blue and a minus if less likely, white if it is as before. rewards: R_t of each token, written beneath.

    Errors: ValueError if there are not as many numbers as tokens.
    """
    logratios, rewards = np.asarray(logratios, float), np.asarray(rewards, float)
    if logratios.shape != (len(tokens),) or rewards.shape != (len(tokens),) or not len(tokens):
        raise ValueError(f"expected {len(tokens)} numbers each, but got {logratios.shape} and {rewards.shape}")
    places = show._laid_out(tokens, width, 0.5)
    n_lines = places[-1][0] + 1
    head, tall = (0.4 if title else 0.1), 0.95
    figure = Figure(figsize=(width + 0.3, head + n_lines * tall + 0.5))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(-0.15, width + 0.15), ylim=(-n_lines * tall - 0.5, head))
    axes.set_axis_off()
    axes.text(0, head - 0.05, title, weight="bold", size=13, va="top")
    most = max(1.0, np.abs(logratios).max())
    for token, ratio, reward, (line, left, wide) in zip(tokens, logratios, rewards, places):
        top = -line * tall - 0.05
        colour = to_rgba(PALETTE[1] if ratio > 0 else PALETTE[0], min(0.85, abs(ratio) / most))
        axes.add_patch(Rectangle((left + 0.02, top - 0.3), wide - 0.04, 0.3, facecolor=colour, edgecolor="#999999"))
        axes.text(left + wide / 2, top - 0.15, show._spoken(token), ha="center", va="center", size=11)
        axes.text(left + wide / 2, top - 0.33, _signed(ratio), ha="center", va="top", size=9)
        axes.text(left + wide / 2, top - 0.52, _signed(reward), ha="center", va="top", size=9, weight="bold")
    key = "under each token: its log-ratio to the SFT model (nats), and in bold the reward it earned"
    axes.text(0, -n_lines * tall - 0.2, key, size=10, va="top")
    return figure


def _signed(value: float) -> str:
    """A number with its sign and one digit; 0 for almost nothing."""
    return "0" if abs(value) < 0.05 else f"{value:+.1f}"


@show._styled
def prompt_answers(
    prompt: str,
    answers: list,
    right: str | None = None,
    *,
    title: str = "",
    n: int = 8,
    n_lines: int | None = None,
    width: int = 88,
) -> Figure:
    """Draw a prompt as it is read, and beneath it how a model divides its belief among the answers.

    answers: (answer, probability), of which the n most probable are drawn. right: the right answer, which is marked,
    and always drawn. n_lines: lines of prompt there is room for; of a longer prompt the last are shown.

    Errors: ValueError for no answers, or a right answer that is not among them.
    """
    names = [name for name, _ in answers]
    if not answers or right is not None and right not in names:
        raise ValueError(f"expected at least one answer, and {right!r} among them; but got {names}")
    ordered = sorted(answers, key=lambda pair: -pair[1])[:n]
    if right is not None and right not in dict(ordered):
        ordered[-1] = (right, dict(answers)[right])
    lines = prompt_lines(prompt + " ___", width)
    n_lines = len(lines) if n_lines is None else n_lines
    if len(lines) > n_lines:
        lines = ["...", *lines[-(n_lines - 1) :]] if n_lines > 1 else lines[-1:]
    top, low = 0.5 if title else 0.15, 0.75 + 0.34 * len(ordered)
    text_height = 0.235 * n_lines + 0.2
    height = top + text_height + 0.15 + low
    figure = Figure(figsize=(9.2, height))
    figure.text(0.02, 1 - 0.15 / height, title, weight="bold", size=13, va="top") if title else None
    paper = figure.add_axes((0.02, (low + 0.15) / height, 0.96, text_height / height), xlim=(0, 1), ylim=(0, 1))
    paper.set(xticks=[], yticks=[], facecolor="#f7f7f7")
    paper.spines[:].set_visible(True)
    for i, line in enumerate(lines):
        place = 1 - (0.12 + 0.235 * i) / text_height
        paper.text(0.012, place, line.replace("$", r"\$"), va="top", size=11, family="DejaVu Sans Mono")
    axes = figure.add_axes(
        (0.24, 0.6 / height, 0.72, 0.34 * len(ordered) / height), xlim=(0, 1.25), xlabel="probability"
    )
    for place, (name, share) in enumerate(ordered):
        show._bar(axes, place, share, 1 if name == right else 0, "  ◀ right" if name == right else "")
    axes.set_yticks(
        range(len(ordered)), [textwrap.shorten(show._spoken(name), 22, placeholder="...") for name, _ in ordered]
    )
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(ordered) - 0.5, -0.5)
    axes.set_xticks(np.linspace(0, 1, 6))
    return figure


def prompt_lines(prompt: str, width: int = 88) -> list[str]:
    """A prompt in lines that fit, cut between words; a line that goes on is indented."""
    return [
        piece for line in prompt.split("\n") for piece in textwrap.wrap(line, width, subsequent_indent="    ") or [""]
    ]


# --- predictions, certainty, pictures --------------------------------------------------------------------------------


@show._styled
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
    figure, axes = show._canvas(title, x_label, y_label)
    x, y, *_ = _rows("runs", runs)
    places = [x, *(np.ravel(one[0]) for one in (law, said, came) if one is not None)]
    if np.concatenate(places).min() <= 0:
        raise ValueError("a logarithmic axis needs x above 0")
    axes.set_xscale("log")
    axes.plot(x, y, "o", color=PALETTE[0], markersize=7, alpha=0.8, label="runs that were fitted")
    if law is not None:
        axes.plot(
            *_rows("law", law)[:2], color="#000000", linestyle=FLOOR_DASH, linewidth=1.6, label="the law", zorder=1.5
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
        show._label_ends(axes, [(floor, f"floor {floor:.2f}", "#555555")])
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


@show._styled
def reliability(
    bins: dict, *, title: str = "", x_label: str = "how sure it is", y_label: str = "how often it is right"
) -> Figure:
    """Draw how often answers are right against how sure they were: on the dashed diagonal the two are equal.

    bins: name -> (confidence, accuracy, counts), one of each for every bin; empty bins may be nan. The larger a dot,
    the more answers lie in its bin.

    Errors: ValueError for rows of different lengths, or nothing to draw.
    Source: the form of the GPT-4 report's figure 8, after Guo et al. 2017. Differs: dots instead of bars.
    """
    figure, axes = show._canvas(title, x_label, y_label, (6.8, 5.4))
    axes.plot([0, 1], [0, 1], color="#000000", linestyle=FLOOR_DASH, linewidth=1.6, label="sure as it should be")
    for i, (name, rows) in enumerate(bins.items()):
        x, y, *_ = _rows(name, rows[:2])
        counts = np.asarray(rows[2], float)
        if counts.shape != x.shape:
            raise ValueError(f"{name!r}: expected a count for each of {len(x)} bins, but got {counts.shape}")
        there = np.isfinite(x) & np.isfinite(y)
        look = show._line(i) | {"markersize": 0}
        axes.plot(x[there], y[there], **look)
        sizes = 25 + 375 * counts[there] / counts.sum()
        axes.scatter(
            x[there], y[there], s=sizes, color=PALETTE[i % 6], marker=show.MARKERS[i % 6], zorder=3, alpha=0.85
        )
        axes.plot([], [], label=name, **(look | {"markersize": 7}))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.legend(loc="upper left", frameon=False)
    return figure


@show._styled
def ranges(rows: dict, *, x_label: str, title: str = "", limits: tuple = (0, 100), marks: dict | None = None) -> Figure:
    """Draw from where to where each thing reaches, one line for each, several series side by side.

    rows: name -> {series: (low, high)}; where both are equal, a point. A series may be missing. marks: name -> number,
    an upright dotted line.

    Errors: ValueError for no rows, or a range that runs backwards.
    """
    names = list(dict.fromkeys(series for row in rows.values() for series in row))
    if not names:
        raise ValueError("expected at least one row with a range")
    figure, axes = show._canvas(title, x_label, "", (9.2, 1.7 + 0.2 * len(rows) * (1 + 0.4 * len(names))))
    for place, row in enumerate(rows.values()):
        axes.axhline(place + 0.5, color=show.PALE, linewidth=0.8)
        for series, (low, high) in row.items():
            if not low <= high:
                raise ValueError(f"{series}: expected a range from low to high, but got {low} ... {high}")
            i = names.index(series)
            y = place + 0.56 * ((i + 0.5) / len(names) - 0.5)
            axes.plot([low, high], [y, y], color=PALETTE[i % 6], linewidth=3, solid_capstyle="butt", clip_on=False)
            axes.plot([low], [y], marker=show.MARKERS[i % 6], color=PALETTE[i % 6], markersize=7, clip_on=False,
                      label=series, linestyle="none")  # fmt: skip
    for name, value in (marks or {}).items():
        axes.axvline(value, color="#000000", linestyle=":", linewidth=1.6)
        axes.annotate(name, (value, -0.6), (4, 0), textcoords="offset points", size=10, va="center")
    axes.set_yticks(range(len(rows)), list(rows), size=11)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(rows) - 0.4, -1 if marks else -0.6), xlim=limits)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels())))
    figure.legend([handles[name] for name in names], names, loc="outside lower center", ncols=4, frameon=False)
    return figure


@show._styled
def image_answers(image, looks: list, answers: list, right: str | None = None, *, title: str = "") -> Figure:
    """Draw a picture, where the model looks at it, and how it divides its belief among the answers.

    image: (H, W, 3), 0 ... 1, or None if the model sees none. looks: for each block (rows, columns), the attention from
    the last word to each patch, written in per cent. answers: (answer, probability). right: marked among them.

    Errors: ValueError for no answers, or looks that do not divide the picture.
    """
    if not answers:
        raise ValueError("expected at least one answer")
    looks = [np.asarray(each, float) for each in (looks if image is not None else [])]
    for each in looks:
        if each.ndim != 2 or np.shape(image)[0] % each.shape[0] or np.shape(image)[1] % each.shape[1]:
            raise ValueError(f"expected looks that divide a picture of {np.shape(image)}, but got {each.shape}")
    figure = Figure(figsize=(11.0, 3.3 + 0.35 * bool(title)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.06)
    n_pictures = 1 + len(looks)
    grid = figure.subplots(1, n_pictures + 1, width_ratios=[*[1] * n_pictures, 1.15])
    headings = ["what it sees", *(f"where block {i} looks (%)" for i in range(1, n_pictures))]
    for axes, heading, weights in zip(grid, headings, [None, *looks]):
        axes.set_title(heading, size=12, weight="normal")
        _draw_image(axes, image, weights)
    ordered = sorted(answers, key=lambda pair: -pair[1])
    for place, (name, share) in enumerate(ordered):
        show._bar(grid[-1], place, share, 1 if name == right else 0, " ◀ right" if name == right else "")
    grid[-1].set_yticks(range(len(ordered)), [name for name, _ in ordered])
    grid[-1].tick_params(axis="y", length=0)
    grid[-1].set(ylim=(len(ordered) - 0.4, -0.6), xlim=(0, 1.45), xlabel="probability")
    grid[-1].set_xticks([0, 0.5, 1])
    figure.suptitle(title, weight="bold", size=13, x=0.01, ha="left") if title else None
    return figure


def _draw_image(axes, image, weights=None) -> None:
    """A picture, or a grey sheet; over it, for each patch, how much of the attention it gets, in per cent."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    if image is None:
        axes.set(facecolor="#e6e6e6", aspect="equal")
        axes.text(0.5, 0.5, "nothing", ha="center", va="center", transform=axes.transAxes)
        return
    image = np.asarray(image, float)
    if weights is not None:  # what it does not look at is washed out
        tall, wide = image.shape[0] // weights.shape[0], image.shape[1] // weights.shape[1]
        strong = np.kron(weights / max(weights.max(), 1e-9), np.ones((tall, wide)))[..., None]
        image = 1 - (0.12 + 0.88 * strong) * (1 - image)
    axes.imshow(image, interpolation="nearest", vmin=0, vmax=1)
    if weights is not None:
        for (row, column), weight in np.ndenumerate(weights):
            if weight >= 0.005:
                axes.text((column + 0.5) * wide - 0.5, (row + 0.5) * tall - 0.5, f"{100 * weight:.0f}", ha="center", va="center",
                          size=10, bbox={"facecolor": "white", "linewidth": 0, "pad": 0.8, "alpha": 0.85})  # fmt: skip


@show._styled
def pictures(images: list, captions: list, *, title: str = "", n_columns: int = 4) -> Figure:
    """Draw little pictures side by side, each with a line of text beneath it.

    images: (H, W, 3) each, 0 ... 1. Errors: ValueError for no pictures, or another number of captions.
    """
    if not len(images) or len(images) != len(captions):
        raise ValueError(f"expected pictures with a caption each, but got {len(images)} and {len(captions)}")
    n_columns = min(n_columns, len(images))
    n_rows = math.ceil(len(images) / n_columns)
    figure = Figure(figsize=(2.6 * n_columns, 2.9 * n_rows + 0.35 * bool(title)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    grid = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes, image, caption in zip(grid, images, captions):
        _draw_image(axes, image)
        axes.set_xlabel("\n".join(textwrap.wrap(caption, 26)), size=11)
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    figure.suptitle(title, weight="bold", size=13, x=0.01, ha="left") if title else None
    return figure
