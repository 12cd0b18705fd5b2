"""One style for all figures: palette, canvas, labels, scales."""

import io

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

# Six colours that stay apart for colour-blind eyes and stand out from white by at least 3:1 (tests/test_show.py).
PALETTE = ["#1414b8", "#d9720f", "#1a885d", "#5b0068", "#9f86c2", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "X"]
DASHES = ["-", (0, (8, 1.5)), "-.", (0, (3, 1)), (0, (8, 1.5, 1, 1.5, 1, 1.5)), (0, (5, 1, 1, 1))]
HATCHES = ["", "///", "...", "xx", "\\\\\\", "++"]
FLOOR_DASH = (0, (4, 3))
INK, PALE = "#222222", "#e6e6e6"
DPI = 85
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 12, "axes.titlesize": 13, "axes.titleweight": "bold",
    "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False, "hatch.linewidth": 0.7,
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white", "lines.linewidth": 2.0,
}  # fmt: skip
styled = rc_context(STYLE)  # as a decorator: the reader's own matplotlib settings are untouched


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file, which do not name the matplotlib that drew it."""
    stream = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def draw_bounds(axes, ceiling: float | None, chance: float | None, ceiling_label: str) -> list[tuple]:
    """What no model can beat and what a guess gets, as lines on top of any bars; returns their labels."""
    labels = []
    for value, name, dash in ((ceiling, ceiling_label, FLOOR_DASH), (chance, "chance", ":")):
        if value is not None:
            axes.axhline(value, color="#000000", linestyle=dash, linewidth=1.6, zorder=1.9)
            labels.append((value, f"{name} {value:.2f}", "#000000"))
    return labels


def canvas(title: str, x_label: str, y_label: str, size: tuple = (8.4, 4.4)) -> tuple:
    """A figure outside pyplot, with one pair of axes."""
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title, loc="left")
    return figure, axes


def pair(name: str, x, y, log_x: bool) -> tuple:
    """The points of a curve that can be drawn, as two arrays."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"{name!r}: expected as many steps as losses, in two rows, but got {x.shape} and {y.shape}")
    keep = np.isfinite(y) & (x > 0 if log_x else True)
    if not keep.any():
        raise ValueError(f"{name!r} has nothing to draw{' beyond step 0' if log_x else ''}")
    return x[keep], y[keep]


def line(i: int) -> dict:
    """How the i-th line of a figure looks."""
    return {"color": PALETTE[i % 6], "marker": MARKERS[i % 6], "linestyle": DASHES[i % 6], "markersize": 6.5}


def spaced(x: np.ndarray, log_x: bool, i: int) -> list[int]:
    """Indices of about eight points for markers, evenly spaced to the eye, shifted a little from line to line."""
    seen = np.log(x) if log_x else x
    wanted = seen[0] + (seen[-1] - seen[0]) * (np.arange(8) + 0.3 + 0.15 * (i % 4)) / 8
    return sorted({int(np.abs(seen - position).argmin()) for position in wanted})


def draw_floor(axes, floor: float, lowest: float) -> None:
    """The floor: a dashed line, with hatching beneath it where no model can be."""
    top = axes.get_ylim()[1]
    axes.set_ylim(lowest - 0.07 * (top - lowest), top)
    axes.axhspan(axes.get_ylim()[0], floor, facecolor="#f2f2f2", edgecolor="#c4c4c4", hatch="//", linewidth=0, zorder=0)
    axes.axhline(floor, color="#000000", linestyle=FLOOR_DASH, linewidth=2)


def label_ends(axes, labels: list[tuple]) -> None:
    """Write (height, text, colour) at the right edge of the axes, moved apart where they would overlap."""
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [to_axes.transform((axes.get_xlim()[1], height))[1] for height, _, _ in labels]
    heights = np.clip(heights, 0, 1)
    for height, place, (_, text, colour) in zip(heights, spread(heights, 0.075), labels):
        axes.annotate(
            text, (1.0, height), (1.035, place), xycoords="axes fraction", textcoords="axes fraction", va="center",
            color=_darker(colour), annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 1, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip


def spread(positions, gap: float, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Move positions apart by as little as possible (least squares), so that neighbours are at least a gap apart.

    Without the gaps the order must not change: that is isotonic regression, done by pooling adjacent violators.

    >>> spread([0.5, 0.52, 0.9], 0.1).round(2).tolist()
    [0.46, 0.56, 0.9]
    """
    order = np.argsort(positions, kind="stable")
    blocks = []  # [mean, count]
    for rank, i in enumerate(order):
        blocks.append([positions[i] - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, n), (last, m) = blocks[-2], blocks.pop()
            blocks[-1] = [(mean * n + last * m) / (n + m), n + m]
    pooled = np.repeat([mean for mean, _ in blocks], [n for _, n in blocks])
    pooled = np.clip(pooled, low, max(low, high - (len(order) - 1) * gap))
    placed = np.empty(len(order))
    placed[order] = pooled + gap * np.arange(len(order))
    return placed


def _darker(colour: str) -> str:
    """A colour for text: so dark that small letters can be read on white."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"#{red * 2 // 3:02x}{green * 2 // 3:02x}{blue * 2 // 3:02x}"


ROLES = {  # of a box in transform_diagram: (background, edge)
    "start": ("#e3e3e3", "#444444"),
    "text": ("#cfe3ff", "#1414b8"),
    "delim": ("#ffe3b8", "#9c5208"),
    "answer": ("#ead5f2", "#5b0068"),
    "extract": ("#cdeedd", "#1a885d"),
}


def text_width(text: str) -> float:
    """How wide a box for this text must be, in inches."""
    return 0.24 + TextPath((0, 0), text, size=11, prop=FontProperties("DejaVu Sans")).get_extents().width / 72


def box(axes, x: float, y: float, text: str, face: str, edge: str, width: float | None = None) -> float:
    """A box whose left edge is at x and whose middle is at y; returns its right edge."""
    width = text_width(text) if width is None else width
    axes.add_patch(Rectangle((x, y - 0.2), width, 0.4, facecolor=face, edgecolor=edge, linewidth=1.3))
    axes.text(x + width / 2, y, text, ha="center", va="center", size=11, color="#111111")
    return x + width


def arrow(axes, start: tuple, end: tuple) -> None:
    arrow = {"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.3}
    axes.annotate("", end, start, arrowprops=arrow)


def bar(axes, place: float, value: float, style: int, note: str) -> None:
    """One lying bar with its number at the end."""
    axes.barh(place, value, 0.7, linewidth=1.5, **bar_style(style))
    axes.annotate(f"{value:.3f}{note}", (value, place), (6, 0), textcoords="offset points", va="center", size=11)


def spoken(word: str) -> str:
    return visible(word).replace("␣", "") if word else "(end)"


def draw_legend(axes, names: list, y: float) -> None:
    """The names of the kinds of bar, from the left, around the height y; the axes are in inches."""
    x = 0.0
    for j, name in enumerate(names):
        axes.add_artist(Rectangle((x, y - 0.08), 0.25, 0.16, **bar_style(j)))
        axes.text(x + 0.33, y, name, va="center", size=11)
        x += 0.33 + text_width(name) + 0.2


def bar_style(i: int) -> dict:
    """The i-th kind of bar: pale where it is hatched, so that the hatching can be seen."""
    colour = PALETTE[i]
    return {"facecolor": to_rgba(colour, 0.15 if HATCHES[i] else 0.5), "edgecolor": colour, "hatch": HATCHES[i]}


def laid_out(words: list, width: float, narrowest: float) -> list[tuple]:
    """Running text in inches: for each word its line, left edge and width."""
    line, left, places = 0, 0.0, []
    for word in words:
        wide = max(narrowest, text_width(spoken(word)) - 0.14)
        if left + wide > width:
            line, left = line + 1, 0.0
        places.append((line, left, wide))
        left += wide + 0.05
        if word == "\n":
            line, left = line + 1, 0.0
    return places


def visible(piece: str | bytes) -> str:
    """A token as one can see it: ␣ for a space, ⏎ for a line's end, bytes that are no whole letter in hexadecimal.

    >>> visible(" the"), visible("\\n"), visible(b"\\xc3")
    ('␣the', '⏎', '⟨c3⟩')
    """
    if isinstance(piece, bytes):
        try:
            piece = piece.decode("utf-8")
        except UnicodeDecodeError:
            return f"⟨{piece.hex(' ')}⟩"
    return piece.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
