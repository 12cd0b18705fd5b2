"""One style for all figures: fonts, sizes, palette, canvas, and the picture that is put on the page."""

import functools
import io
import re
import warnings

import numpy as np
from matplotlib import rc_context, rcParamsDefault
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from minigpt.plots import labels
from minigpt.plots.labels import NOTE, TEXT, TITLE
from minigpt.plots.labels import visible as visible

# Six colours that stay apart for colour-blind eyes and stand out from white by at least 3:1.
PALETTE = ["#1414b8", "#d9720f", "#1a885d", "#5b0068", "#9f86c2", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "X"]
DASHES = ["-", (0, (8, 1.5)), "-.", (0, (3, 1)), (0, (8, 1.5, 1, 1.5, 1, 1.5)), (0, (5, 1, 1, 1))]
HATCHES = ["", "///", "...", "xx", "\\\\\\", "++"]
FLOOR_DASH = (0, (4, 3))
INK, PALE = "#222222", "#e6e6e6"
ROLES = {  # of a box in transform_diagram: (background, edge)
    "start": ("#e3e3e3", "#444444"),
    "text": ("#cfe3ff", "#1414b8"),
    "delim": ("#ffe3b8", "#9c5208"),
    "answer": ("#ead5f2", "#5b0068"),
    "extract": ("#cdeedd", "#1a885d"),
}
HIDDEN = {"facecolor": "#eeeeee", "edgecolor": "#999999", "hatch": "////", "linewidth": 0}  # a cell that is masked
WIDEST = 9.0  # inches at the size shown
DPI, SHOWN_DPI = 170, 96  # pixels an inch in the file, and on the page: an inch of CSS
STYLE = {
    "font.size": TEXT, "axes.titlesize": TEXT, "axes.titleweight": "bold", "figure.titlesize": TITLE,
    "axes.labelsize": TEXT, "xtick.labelsize": NOTE, "ytick.labelsize": NOTE, "legend.fontsize": TEXT - 1,
    "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False, "hatch.linewidth": 0.7,
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white", "lines.linewidth": 2.2,
    "text.parse_math": False, "text.usetex": False, "savefig.transparent": False,  # a $ in a text is a dollar
}  # fmt: skip
_OWN = re.compile(r"backend|interactive|toolbar|timezone|webagg|keymap|tk|docstring|date|figure\.(hooks|raise)|font\.")


def settings():
    """A context with this book's settings: nothing of the reader's own matters, except for the choice of fonts."""
    fixed = {key: value for key, value in rcParamsDefault.items() if not _OWN.match(key)}
    return rc_context(fixed | STYLE | {"font.family": labels.families()})


def styled(function):
    """Decorator of a figure function: it draws with this book's settings."""

    @functools.wraps(function)
    def drawn(*arguments, **options):
        with settings(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_MISSING.pattern)  # said once, when the picture is made
            return function(*arguments, **options)

    return drawn


_MISSING = re.compile(r"Glyph (\d+) .*missing from")


def png(figure: Figure) -> bytes:
    """PNG file of a figure, 170 dots an inch; it does not name the matplotlib that drew it.

    Letters that no font here can draw become boxes, and one UserWarning says which and what helps.
    """
    canvas, shown = FigureCanvasAgg(figure), (figure.dpi, figure.get_facecolor())
    with settings(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.set(dpi=DPI, facecolor="white")
        canvas.draw()  # not savefig, which draws everything twice
        figure.set(dpi=shown[0], facecolor=shown[1])
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    small = io.BytesIO()
    few = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)  # a third of the bytes
    palette, paper = few.getpalette(), 3 * few.getpixel((0, 0))
    palette[paper : paper + 3] = picture.getpixel((0, 0))  # the page stays as white as it was
    few.putpalette(palette)
    few.save(small, "png")
    for each in caught:
        if not _MISSING.match(str(each.message)):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    letters = sorted({chr(int(found[1])) for each in caught if (found := _MISSING.match(str(each.message)))})
    if letters:
        warnings.warn(
            f"These letters are drawn as boxes, because no font on this computer has them: {' '.join(letters[:12])}. "
            "Install a font that does (for Chinese, Japanese and Korean: Noto Sans CJK) and start the kernel again.",
            stacklevel=2,
        )
    return small.getvalue()


def canvas(title: str, x_label: str, y_label: str, size: tuple = (WIDEST, 4.8)) -> tuple:
    """A figure outside pyplot, with one pair of axes."""
    figure = sheet(title, min(WIDEST, size[0]), size[1])
    axes = figure.add_subplot()
    axes.set_xlabel(labels.wrapped(x_label, size[0] - 1.2))
    axes.set_ylabel(labels.wrapped(y_label, size[1] - 1.2))
    return figure, axes


def sheet(title: str, width: float, height: float) -> Figure:
    """A figure outside pyplot with a title and no axes yet."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    labels.set_title(figure, title)
    figure.set_figheight(height + 0.3 * figure.get_suptitle().count("\n"))
    return figure


def paper(title: str, width: float, height: float) -> tuple:
    """A figure for running text, measured in inches: (0, 0) is the left end beneath the title, down is negative."""
    titles = labels.wrapped(title, width, TITLE, "bold") if title else ""
    head = 0.12 + (0.29 * (1 + titles.count("\n")) if title else 0.0)
    figure = Figure(figsize=(width + 0.3, height + head))  # one unit of the axes is one inch
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(-0.15, width + 0.15), ylim=(-height, head))
    axes.set_axis_off()
    axes.text(0, head - 0.08, titles, weight="bold", size=TITLE, va="top")
    return figure, axes


def line(i: int) -> dict:
    """How the i-th line of a figure looks. After six the colours begin again, with other markers and dashes."""
    look = (i + i // 6) % 6
    return {"color": PALETTE[i % 6], "marker": MARKERS[look], "linestyle": DASHES[look], "markersize": 7}


def pair(name: str, x, y, log_x: bool) -> tuple:
    """The points of a curve that can be drawn, as two arrays."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"{name!r}: expected as many steps as losses, in two rows, but got {x.shape} and {y.shape}")
    keep = np.isfinite(y) & (x > 0 if log_x else True)
    if not keep.any():
        raise ValueError(f"{name!r} has nothing to draw{' beyond step 0' if log_x else ''}")
    return x[keep], y[keep]


def spaced(x: np.ndarray, log_x: bool, i: int) -> list[int]:
    """Indices of about eight points for markers, evenly spaced to the eye, shifted a little from line to line."""
    seen = np.log(x) if log_x else x
    wanted = seen[0] + (seen[-1] - seen[0]) * (np.arange(8) + 0.3 + 0.15 * (i % 4)) / 8
    return sorted({int(np.abs(seen - position).argmin()) for position in wanted})


def draw_seeds(axes, x, seeds, i: int, step: float = 0.0) -> None:
    """Strip plot: one small dot a seed at every x. seeds: (n_seeds, len(x)); step: how far apart equal seeds stand."""
    x, rows = np.asarray(x, float), np.atleast_2d(np.asarray(seeds, float))
    if rows.ndim != 2 or rows.shape[1] != len(x):
        raise ValueError(f"seeds: expected (seeds, {len(x)}), one number a seed for each place, but got {rows.shape}")
    aside = step * (np.arange(len(rows)) - (len(rows) - 1) / 2)
    axes.plot(x + aside[:, None], rows, linestyle="none", marker="o", markersize=5.5, markerfacecolor="white",
              markeredgecolor=PALETTE[i % 6], markeredgewidth=1.4, zorder=3.5)  # fmt: skip


def draw_floor(axes, floor: float, lowest: float) -> None:
    """The floor: a dashed line, with hatching beneath it where no model can be. Errors: ValueError if not finite."""
    if not np.isfinite(floor):
        raise ValueError(f"expected a finite floor, but got {floor}")
    top = axes.get_ylim()[1]
    axes.set_ylim(lowest - 0.07 * (top - lowest), top)
    axes.axhspan(axes.get_ylim()[0], floor, facecolor="#f2f2f2", edgecolor="#c4c4c4", hatch="//", linewidth=0, zorder=0)
    axes.axhline(floor, color="#000000", linestyle=FLOOR_DASH, linewidth=2)


def break_mark(axes, x: float) -> None:
    """Two slanting strokes across the lower edge of the axes at x: the axis is broken here, what is left of it is 0."""
    look = {"transform": axes.get_xaxis_transform(), "clip_on": False, "linestyle": "none", "markersize": 13}
    axes.plot([x], [0], marker=[(-0.3, -1), (0.3, -1), (0.7, 1), (0.1, 1)], color="white", zorder=5, **look)
    for aside in (-0.22, 0.22):
        stroke = [(aside - 0.2, -1), (aside + 0.2, 1)]
        axes.plot([x], [0], marker=stroke, markeredgecolor=INK, markeredgewidth=1.6, zorder=6, **look)


def bar_style(i: int) -> dict:
    """The i-th kind of bar: pale where it is hatched, so that the hatching can be seen."""
    colour = PALETTE[i % 6]
    return {"facecolor": to_rgba(colour, 0.15 if HATCHES[i % 6] else 0.5), "edgecolor": colour, "hatch": HATCHES[i % 6]}


def bar(axes, place: float, value: float, kind: int, note: str) -> None:
    """One lying bar with its number at the end."""
    axes.barh(place, value, 0.7, linewidth=1.5, **bar_style(kind))
    axes.annotate(f"{value:.3f}{note}", (value, place), (6, 0), textcoords="offset points", va="center", size=NOTE)


def probability_axis(axes, names: list, room: int, right: float = 1.45) -> None:
    """Axes for lying bars of probabilities: names at the left, the first at the top, place for notes at the right."""
    axes.set_yticks(range(len(names)), names, size=TEXT)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(room - 0.4, -0.6), xlim=(0, right), xlabel="probability")
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.spines["bottom"].set_bounds(0, 1)
    axes.xaxis.label.set_x(0.5 / right)


def box_width(text: str) -> float:
    """How wide a box for this text must be, in inches."""
    return 0.24 + labels.text_width(text, NOTE)


def box(axes, x: float, y: float, text: str, face: str, edge: str, width: float | None = None, *,
        height: float = 0.44, size: float = NOTE, weight: str = "normal") -> float:  # fmt: skip
    """A box whose left edge is at x and whose middle is at y; returns its right edge."""
    width = box_width(text) if width is None else width
    look = {"facecolor": face, "edgecolor": edge, "linewidth": 1.3}
    axes.add_patch(Rectangle((x, y - height / 2), width, height, **look))
    axes.text(x + width / 2, y, text, ha="center", va="center", size=size, color="#111111", weight=weight)
    return x + width


def arrow(axes, start: tuple, end: tuple, **look) -> None:
    """An arrow between two points."""
    look = {"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.3} | look
    axes.annotate("", end, start, arrowprops=look)
