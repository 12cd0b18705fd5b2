"""Words in figures: how wide they are, how they are wrapped, and where they stand without covering anything."""

import functools
import math
import numbers
import textwrap
import unicodedata
import warnings

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

TITLE, TEXT, NOTE, SMALL = 16, 15, 13, 12  # points at the size shown; NOTE and SMALL for numbers in the picture
LINE = 1.3 * TEXT / 72  # inches from one line of text to the next
CJK_FONTS = [
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK TC", "Noto Sans CJK KR", "Noto Sans SC",
    "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback",
    "Microsoft YaHei", "SimHei", "SimSun", "PingFang SC", "PingFang HK", "Hiragino Sans GB", "Hiragino Sans",
    "Heiti TC", "Yu Gothic", "Meiryo",
    "MS Gothic", "Malgun Gothic", "Apple SD Gothic Neo", "NanumGothic", "Arial Unicode MS", "Unifont",
]  # fmt: skip


def families() -> list[str]:
    """Font families: the reader's own if one is set, DejaVu Sans, and one for Chinese, Japanese, Korean if present."""
    own = [name for name in rcParams["font.family"] if name != "sans-serif"] or rcParams["font.sans-serif"][:1]
    return list(dict.fromkeys([*own, "DejaVu Sans", *_cjk_fonts(len(fontManager.ttflist))]))


@functools.lru_cache(maxsize=4)
def _cjk_fonts(_n_fonts: int) -> tuple[str, ...]:
    present = {font.name for font in fontManager.ttflist}
    return tuple(name for name in CJK_FONTS if name in present)[:1]


def text_width(text: str, size: float = TEXT, weight: str = "normal") -> float:
    """Width of one line of text, in inches."""
    font = FontProperties(family=rcParams["font.family"], size=size, weight=weight)
    if not text.strip():
        return 0.05 * len(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that no font has are told of when the picture is made
        return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def wrapped(text: str, width: float, size: float = TEXT, weight: str = "normal") -> str:
    """Text wrapped to a width in inches, between words; its own line ends stay."""
    done = []
    for line in str(text).split("\n"):
        now = ""
        for word in line.split(" "):
            if now and text_width(f"{now} {word}", size, weight) > width:
                done.append(now)
                now = word
            else:
                now = f"{now} {word}" if now else word
        done.append(now)
    return "\n".join(done)


def set_title(figure: Figure, title: str) -> None:
    """A bold title at the left edge of the figure, wrapped to its width."""
    if title:
        words = wrapped(title, figure.get_figwidth() - 0.3, TITLE, "bold")
        figure.suptitle(words, weight="bold", size=TITLE, x=0.1 / figure.get_figwidth(), ha="left")


def legend(figure: Figure, handles: list, names: list) -> None:
    """A legend beneath the axes, in as many columns as fit, so that it covers nothing and is not cut."""
    room = figure.get_figwidth() - 0.4
    names = [wrapped(name, room - 1.0) for name in names]
    widest = 1.0 + max(text_width(line) for name in names for line in name.split("\n"))
    columns = max(1, min(len(names), 4, int(room / widest)))
    figure.set_figheight(figure.get_figheight() + LINE * (math.ceil(len(names) / columns) - 1))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.6,
                  handleheight=1.2, columnspacing=1.4)  # fmt: skip


GUESS = {"color": "#777777", "linestyle": (0, (7, 3)), "linewidth": 2.4, "zorder": 1.8}  # the reader's own line


def guessed(guess) -> float | None:
    """The reader's guess as a number; None for ..., which is what stands there before the reader has written one.

    Errors: ValueError for anything else.

    >>> guessed(0.7), guessed(...)
    (0.7, None)
    """
    if guess is ...:
        return None
    number = isinstance(guess, (int, float, np.integer, np.floating)) and not isinstance(guess, bool)
    if not number or not math.isfinite(guess):
        raise ValueError(f"guess: expected a number, or ... for none, but got {guess!r}")
    return float(guess)


def reference_lines(axes, references: dict | None, ceiling: float | None = None, chance: float | None = None,
                    ceiling_label: str = "best possible", guess=...) -> list[tuple]:  # fmt: skip
    """Reference lines: what no model can beat dashed, everything else (chance, majority, shortcut) dotted.

    guess: the reader's own number, a grey dashed line. Returns the labels, (height, text, colour), for `label_ends`.
    """
    everything = {ceiling_label: ceiling, "chance": chance} | (references or {})
    shown = {name: float(value) for name, value in everything.items() if value is not None}
    for name, value in shown.items():
        look = (0, (4, 3)) if name == ceiling_label else dash(name)
        axes.axhline(value, color="#000000", linestyle=look, linewidth=1.6, zorder=1.9)
    ends = [(value, f"{name} {value:.2f}" if abs(value) < 10 else f"{name} {value:g}", "#000000") for name, value in shown.items()]
    if (value := guessed(guess)) is not None:
        axes.axhline(value, **GUESS)
        ends.append((value, f"your guess {value:g}", GUESS["color"]))
    return ends


def dash(name: str):
    """The dash of a reference line: long for what no model can beat, dotted for everything else."""
    return (0, (4, 3)) if name in ("best possible", "floor") else ":"


def label_beside(axes, labels: list[tuple], tall: float, size: float) -> None:
    """As `label_ends`, for a panel that is `tall` inches high and stays so; labels wrap at their own line ends only."""
    _check_heights(labels)
    if not labels:
        return
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = np.clip([to_axes.transform((axes.get_xlim()[1], height))[1] for height, _, _ in labels], 0, 1)
    beside = 1 + min(0.06, 0.2 / (axes.get_position().width * axes.figure.get_figwidth()))  # 0.2 inches at most
    gaps = np.array([(0.02 + 1.25 * size / 72 * (1 + text.count("\n"))) / tall for _, text, _ in labels])
    for height, place, (_, text, colour) in zip(heights, spread(heights, gaps), labels):
        axes.annotate(
            text, (1.0, height), (beside, place), xycoords="axes fraction", textcoords="axes fraction", va="center",
            color=darker(colour), annotation_clip=False, size=size,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 1, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip


def label_ends(axes, labels: list[tuple]) -> None:
    """Write (height, text, colour) at the right edge of the axes, moved apart where they would overlap.

    Errors: ValueError for a height that is not finite, such as a floor of nan: there is no place for its name.
    """
    _check_heights(labels)
    if not labels:
        return
    figure = axes.figure
    texts = [wrapped(text, 0.3 * figure.get_figwidth()) for _, text, _ in labels]
    tall = np.array([0.06 + LINE * (1 + text.count("\n")) for text in texts])  # inches
    inside = figure.get_figheight() - 1.5 - (0.3 if figure.get_suptitle() else 0.0)  # of the axes, about
    if tall.sum() > inside:
        figure.set_figheight(figure.get_figheight() + tall.sum() - inside)
        inside = tall.sum()
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = np.clip([to_axes.transform((axes.get_xlim()[1], height))[1] for height, _, _ in labels], 0, 1)
    for height, place, text, (_, _, colour) in zip(heights, spread(heights, tall / inside), texts, labels):
        axes.annotate(
            text, (1.0, height), (1.035, place), xycoords="axes fraction", textcoords="axes fraction", va="center",
            color=darker(colour), annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 1, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip


def _check_heights(labels: list[tuple]) -> None:
    for height, text, _ in labels:
        if not math.isfinite(height):
            raise ValueError(f"expected a line at a finite height, but got {text!r}")


def spread(positions, gap, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Isotonic regression: move positions apart by as little as possible (least squares) until none overlap.

    gap: the least distance of neighbours, or one height for each, of which neighbours keep half the sum.
    Without the gaps the order must not change: that is isotonic regression, done by pooling adjacent violators.

    >>> spread([0.5, 0.52, 0.9], 0.1).round(2).tolist()
    [0.46, 0.56, 0.9]
    """
    order = np.argsort(positions, kind="stable")
    heights = np.broadcast_to(gap, len(order))[order]
    offsets = np.concatenate([[0.0], np.cumsum((heights[1:] + heights[:-1]) / 2)])
    blocks = []  # [mean, count]
    for rank, i in enumerate(order):
        blocks.append([positions[i] - offsets[rank], 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, n), (last, m) = blocks[-2], blocks.pop()
            blocks[-1] = [(mean * n + last * m) / (n + m), n + m]
    pooled = np.repeat([mean for mean, _ in blocks], [n for _, n in blocks])
    pooled = np.clip(pooled, low, max(low, high - offsets[-1]))
    placed = np.empty(len(order))
    placed[order] = pooled + offsets
    return placed


def meet(a: tuple, b: tuple) -> bool:
    """Do two rectangles (left, bottom, right, top) cover each other in part?"""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def free_place(point: tuple, text: str, size: float, taken: list, page: tuple, distances: tuple) -> tuple | None:
    """A place for a text beside its point where it covers nothing: (its middle, the step from the point), or None.

    All in inches. taken: rectangles (left, bottom, right, top), to which the text's own is added; page: (width, height).
    At each distance in turn, eight directions are tried.

    >>> free_place((1, 1), "fox", 13, [(1, 0.9, 2, 1.1)], (3, 3), (0.1,))[1]  # no place at the right: so at the left
    (-0.1, 0.0)
    """
    (x, y), wide, tall = point, 0.02 + text_width(text, size), 1.1 * size / 72
    for away in distances:
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            cx, cy = x + dx * (away + wide / 2), y + dy * (away + tall / 2)
            box = (cx - wide / 2, cy - tall / 2, cx + wide / 2, cy + tall / 2)
            inside = min(box) >= 0.02 and box[2] <= page[0] - 0.02 and box[3] <= page[1] - 0.02
            if inside and not any(meet(box, other) for other in taken):
                taken.append(box)
                return (cx, cy), (away * dx, float(away * dy))
    return None


def darker(colour: str) -> str:
    """A colour for text: so dark that small letters can be read on white."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"#{red * 2 // 3:02x}{green * 2 // 3:02x}{blue * 2 // 3:02x}"


def laid_out(words: list, width: float, narrowest: float) -> list[tuple]:
    """Running text in inches: for each word its line, left edge and width."""
    line, left, places = 0, 0.0, []
    for word in words:
        wide = min(width, max(narrowest, text_width(spoken(word)) + 0.1))
        if left + wide > width:
            line, left = line + 1, 0.0
        places.append((line, left, wide))
        left += wide + 0.05
        if word == "\n":
            line, left = line + 1, 0.0
    return places


def visible(piece: str | bytes) -> str:
    """Visible form of a token: ␣ for a space, ⏎ for a line's end, bytes that are no whole letter in hexadecimal.

    Letters without a picture of their own (control and zero-width characters) are shown by their number.

    >>> visible(" the"), visible("\\n"), visible(b"\\xc3"), visible("a\\u200b")
    ('␣the', '⏎', '⟨c3⟩', 'a⟨200b⟩')
    """
    if isinstance(piece, bytes):
        try:
            piece = piece.decode("utf-8")
        except UnicodeDecodeError:
            return f"⟨{piece.hex(' ')}⟩"
    piece = piece.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
    return "".join(f"⟨{ord(c):x}⟩" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in piece)


def spoken(word: str) -> str:
    """A word without the mark of its space; the end of a document in words."""
    return visible(word).replace("␣", "") if word else "(end)"


def prompt_lines(prompt: str, width: int = 66) -> list[str]:
    """A prompt in lines that fit, cut between words; a line that goes on is indented.

    Errors: ValueError for a width, in letters, that is no whole number of at least 5.
    """
    if isinstance(width, bool) or not isinstance(width, numbers.Integral) or width < 5:
        raise ValueError(f"expected a width in letters, a whole number of at least 5, but got {width!r}")
    return [
        piece for line in prompt.split("\n") for piece in textwrap.wrap(line, width, subsequent_indent="    ") or [""]
    ]


def legend_height(names: list, width: float) -> float:
    """How high `draw_legend` is, in inches: nothing for one name, a line for each if they do not fit side by side."""
    if len(names) < 2:
        return 0.0
    return 0.36 if sum(0.78 + text_width(name) for name in names) - 0.4 <= width else 0.06 + 0.3 * len(names)


def draw_legend(axes, names: list, width: float, bar_style) -> None:
    """The names of the kinds of bar, beneath y = 0, side by side if the width allows; the axes are in inches."""
    x, y, beneath = 0.0, -0.2, legend_height(names, width) > 0.36
    for j, name in enumerate(names):
        axes.add_artist(Rectangle((x, y - 0.09), 0.3, 0.18, **bar_style(j)))
        axes.text(x + 0.38, y, name, va="center")
        x, y = (0.0, y - 0.3) if beneath else (x + 0.78 + text_width(name), y)


def short(value: float) -> str:
    """A number for an axis: 334k for 334,000, 1.3B for 1,300,000,000, 10⁻⁵ for 0.00001.

    >>> short(334_000), short(1.3e9), short(1e-5), short(0.25)
    ('334k', '1.3B', '10⁻⁵', '0.25')
    """
    if value and not 1e-4 < abs(value) < 1e15:
        power = math.floor(math.log10(abs(value)) + 1e-9)
        digits, raised = f"{value / 10.0**power:.3g}", str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{raised}" if digits == "1" else f"{digits}·10{raised}"
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= (1e4 if letter == "k" else size):
            return f"{float(f'{value / size:.3g}'):g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def plain_log(axis, limits: tuple) -> None:
    """Ticks of a logarithmic axis: at round numbers if it spans little, else at powers of ten."""
    low, high = sorted(limits)
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(float(f"{value:.10g}"))))
    if high / low < 30:
        fine = np.arange(1, 10, 0.25 if high / low > 1.4 else 0.1)
        steps = (1, 1.5, 2, 3, 5, 7) if high / low > 2.5 else fine
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        wanted = [step * 10.0**decade for decade in decades for step in steps]
        axis.set_ticks([value for value in wanted if low <= value <= high])
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(LogLocator(10, numticks=12))
