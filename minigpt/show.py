"""Figures, tables and tokens for the eye, each with the same thing said in words.

The roof: handed plain numbers and strings (lists, NumPy arrays), it imports no room and keeps no state. A function
that draws returns a matplotlib Figure; `show(figure, alt)` puts it on the page. Nothing here depends on colour alone:
lines differ in marker and dash too, tokens are separated by signs, tables say yes and no in words.
"""

import ast
import base64
import html
import inspect
import io
import math
import numbers
import re
import sys
import textwrap

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
_styled = rc_context(STYLE)  # as a decorator: the reader's own matplotlib settings are untouched


# --- putting things on the page ----------------------------------------------------------------------------------


def show(figure: Figure, alt: str) -> None:
    """Put a figure on the page, with one sentence beneath it that says in words what it shows.

    The sentence is the picture's alternative text and its visible caption. nbval compares it, so it may hold only what
    is the same on every computer: what is drawn, and what the reader should see, but no measured digits.

    Errors: ValueError if the sentence is shorter than 20 characters.
    """
    if not isinstance(alt, str) or len(alt.strip()) < 20:
        raise ValueError(f"alt must say in a sentence of at least 20 characters what the figure shows, not {alt!r}")
    alt = " ".join(alt.split())
    picture = base64.b64encode(png(figure)).decode("ascii")
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)  # else a figure made with pyplot would appear a second time
    _put({"image/png": picture, "text/plain": alt}, {"image/png": {"alt": alt}})
    _put({"text/html": caption_html(alt), "text/plain": alt})


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file, which do not name the matplotlib that drew it."""
    stream = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def caption_html(alt: str) -> str:
    """The visible caption under a picture."""
    return f'<p style="max-width: 46em"><em>{html.escape(alt)}</em></p>'


def page(text: str, width: int = 96) -> None:
    """Print a page of text, its long lines cut between words; an indented line goes on with the line above it."""
    for line in text.split("\n"):
        sys.stdout.write(textwrap.fill(line, width, subsequent_indent="    ") + "\n")
    sys.stdout.write("\n")


def source(thing, docstring: bool = True) -> None:
    """Show the code of a function, class or module of this package: what is read here is what runs.

    docstring=False leaves all docstrings out, for code whose explanation stands in the chapter. The code is shown as
    Markdown, so that JupyterLab and GitHub colour it in the reader's own theme.

    Errors: ValueError if there is no Python source to show.
    """
    try:
        code = textwrap.dedent(inspect.getsource(thing)).rstrip()
    except (TypeError, OSError) as error:
        raise ValueError(f"there is no Python source for {thing!r}: pass a function, class or module") from error
    code = code if docstring else _without_docstrings(code)
    module = thing.__name__ if inspect.ismodule(thing) else thing.__module__
    place = "this notebook" if module == "__main__" else module.replace(".", "/") + ".py"
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall(r"`{3,}", code))])
    heading = f"`{place}`" if place.endswith(".py") else place
    _put({"text/markdown": f"From {heading}:\n\n{fence}python\n{code}\n{fence}", "text/plain": f"# {place}\n{code}"})


def _without_docstrings(code: str) -> str:
    """Source code without its docstrings and the blank line after each."""
    lines, drop = code.split("\n"), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node) is not None:
            first, last = node.body[0].lineno, node.body[0].end_lineno
            blank_after = last < len(lines) and not lines[last].strip()
            if len(node.body) > 1:  # else nothing would be left of it
                drop.update(range(first, last + 1 + blank_after))
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in drop).strip("\n")


def check(label: str, ok_or_value, lo: float | None = None, hi: float | None = None, advice: str = "") -> None:
    """Assert a claim and print only the claim, which is the same on every computer where it holds.

    A truth value is checked as it is; a number must lie in [lo, hi], of which one may be left out. NaN never does.

    Errors: AssertionError that tells the measured value, the bounds, and what to try (`advice`, or the usual steps).
    ValueError for a number without bounds or a truth value with them.
    """
    value = ok_or_value.item() if hasattr(ok_or_value, "item") else ok_or_value
    if isinstance(value, bool):
        if lo is not None or hi is not None:
            raise ValueError(f"{label!r}: a truth value has no bounds; pass the number itself, or leave lo and hi out")
        claim, ok, found = label, value, f"It is {value}."
    elif isinstance(value, numbers.Real) and (lo is not None or hi is not None):
        ok = (lo is None or value >= lo) and (hi is None or value <= hi) and not math.isnan(value)
        claim, found = f"{label} is {_range(lo, hi)}", f"It was measured as {value:.6g}."
    else:
        raise ValueError(f"{label!r}: expected True, False, or a number with lo or hi or both, but got {value!r}")
    if not ok:
        raise AssertionError(f"{claim}: no. {found} What to try: {advice or _USUAL_ADVICE}")
    sys.stdout.write(f"check: {claim}: yes\n")


_USUAL_ADVICE = (
    "run the chapter again from the top in a fresh kernel, in case a cell was changed or skipped; then, in a terminal, "
    "`python3 start.py check`. If it still fails on unchanged code, the book has a mistake: please report it."
)


def _range(lo: float | None, hi: float | None) -> str:
    if hi is None:
        return f"at least {lo:g}"
    return f"at most {hi:g}" if lo is None else f"between {lo:g} and {hi:g}"


def measured(label: str, x: float, digits: int = 2, unit: str = "") -> None:
    """Print a measured number with so few digits that another computer prints the same: `label ≈ x`.

    The sign ≈ says that the number is a measurement; a line with = says that it is exact. Let a check follow it.
    """
    sys.stdout.write(f"{label} ≈ {float(x):.{digits}f}{' ' + unit if unit else ''}\n")


def _put(bundle: dict, metadata: dict | None = None) -> None:
    """Display a bundle of mime types; where there is no IPython, write its plain text."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        from IPython.display import display

        display(bundle, metadata=metadata or {}, raw=True)
    else:
        sys.stdout.write(bundle["text/plain"] + "\n")


# --- tables and tokens -------------------------------------------------------------------------------------------


def table(rows: list, columns=None, caption: str = "", digits: int | None = None) -> None:
    """Show rows as a table: real HTML with headings, and plain text that lines up.

    rows: dictionaries (as papers.load gives them) or sequences. columns: the keys to show, or a dictionary from key to
    heading; for sequences, the headings. digits: decimals of every float; None prints each as short as it is exact.
    None and NaN are shown as a dash.

    Errors: ValueError for no rows, an unknown column or a row of another length.
    """
    cells, headings = _cells(list(rows), columns, digits)
    numeric = [all(re.fullmatch(r"[-+≈ ]*[\d.,]+ ?%?|–", row[i]) for row in cells) for i in range(len(headings))]
    head = "".join(f'<th scope="col"{_align(n)}>{html.escape(h)}</th>' for h, n in zip(headings, numeric))
    body = "\n".join(
        "<tr>" + "".join(f"<td{_align(n)}>{html.escape(cell)}</td>" for cell, n in zip(row, numeric)) + "</tr>"
        for row in cells
    )
    title = f"<caption>{html.escape(caption)}</caption>\n" if caption else ""
    markup = f"<table>\n{title}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    _put({"text/html": markup, "text/plain": _plain_table(cells, headings, numeric, caption)})


def claims_table(rows: list, caption: str = "What the paper says, and what we found") -> None:
    """Show a chapter's claims: what the paper says, where, what we measured, and whether it holds.

    rows: (claim, source, measured, holds), where holds is True, False or words such as "partly: 2 of 4 tasks". What is
    measured is compared by nbval, so give it in words or few digits.
    """
    rows = [[claim, where, found, _verdict(holds)] for claim, where, found, holds in rows]
    table(rows, ["the paper says", "source", "we measured", "holds?"], caption)


def _verdict(holds) -> str:
    return {True: "✓ yes", False: "✗ no"}.get(holds, holds) if isinstance(holds, (bool, np.bool_)) else str(holds)


def _cells(rows: list, columns, digits: int | None) -> tuple[list[list[str]], list[str]]:
    """(every cell as text, headings)."""
    if not rows:
        raise ValueError("a table needs at least one row")
    if isinstance(rows[0], dict):
        columns = list(rows[0]) if columns is None else columns
        unknown = [key for key in columns if key not in rows[0]]
        if unknown:
            raise ValueError(f"no such columns: {unknown}; the rows have {list(rows[0])}")
        headings = [str(heading) for heading in (columns.values() if isinstance(columns, dict) else columns)]
        rows = [[row[key] for key in columns] for row in rows]
    else:
        headings = [str(heading) for heading in columns or []]
        odd = [row for row in rows if len(row) != len(headings)]
        if odd:
            raise ValueError(f"{len(headings)} headings {headings}, but a row has {len(odd[0])} cells: {odd[0]}")
    return [[_cell(value, digits) for value in row] for row in rows], headings


def _cell(value, digits: int | None) -> str:
    """One value as text."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or isinstance(value, float) and math.isnan(value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if digits is not None:
            return f"{value:.{digits}f}"
        short = f"{value:g}"  # 8.8e+13 instead of 88000000000000.0, if nothing is lost by it
        return short if "e+" in short and float(short) == value else repr(value)
    return str(value)


def _align(numeric: bool) -> str:
    return f' style="text-align: {"right" if numeric else "left"}"'


def _plain_table(cells: list, headings: list, numeric: list, caption: str) -> str:
    widths = [max(len(row[i]) for row in [headings, *cells]) for i in range(len(headings))]
    lines = []
    for row in [headings, ["-" * width for width in widths], *cells]:
        padded = [text.rjust(w) if n else text.ljust(w) for text, w, n in zip(row, widths, numeric)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join([caption] * bool(caption) + lines)


TOKEN_COLOURS = ["#cfe3ff", "#ffe3b8", "#cdeedd", "#ead5f2"]  # backgrounds, under dark ink


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


def token_strip(pieces: list, ids: list | None = None, label: str = "") -> None:
    """Show a text cut into tokens: boxes in alternating colours, `|` between them in plain text; ids beneath.

    Errors: ValueError if there are not as many ids as pieces.
    """
    if ids is not None and len(ids) != len(pieces):
        raise ValueError(f"{len(pieces)} pieces, but {len(ids)} ids")
    markup = f'<div style="line-height: 2.2">{html.escape(label + ": " if label else "")}{_strip(pieces, ids)}</div>'
    plain = (label + ": " if label else "") + "|".join(visible(piece) for piece in pieces)
    if ids is not None:
        plain += "\nids: " + " ".join(str(int(i)) for i in ids)
    _put({"text/html": markup, "text/plain": plain})


def merge_tree(steps: list) -> None:
    """Show how a word grows together: one row for each step, (label, pieces), from single bytes to whole tokens.

    Errors: ValueError if a step's pieces do not spell the same text as the first step's.
    """
    texts = [b"".join(p if isinstance(p, bytes) else p.encode("utf-8") for p in pieces) for _, pieces in steps]
    for (label, pieces), text in zip(steps, texts):
        if text != texts[0]:
            raise ValueError(f"step {label!r} spells {pieces}, which is not the text of the first step")
    rows = "\n".join(
        f'<tr><th scope="row" style="text-align: left">{html.escape(str(label))}</th>'
        f'<td style="text-align: left">{_strip(pieces)}</td></tr>'
        for label, pieces in steps
    )
    width = max((len(str(label)) for label, _ in steps), default=0)
    lines = [f"{str(label).ljust(width)}  {'|'.join(visible(piece) for piece in pieces)}" for label, pieces in steps]
    _put({"text/html": f"<table>\n<tbody>\n{rows}\n</tbody>\n</table>", "text/plain": "\n".join(lines)})


def _strip(pieces: list, ids: list | None = None) -> str:
    """Tokens as HTML spans with a border, so that they are apart without colour too."""
    spans = []
    for i, piece in enumerate(pieces):
        below = "" if ids is None else f'<sub style="color: #444444">&nbsp;{int(ids[i])}</sub>'
        style = f"background: {TOKEN_COLOURS[i % 4]}; color: #111111; border: 1px solid #555555; padding: 1px 3px"
        spans.append(f'<span style="{style}; border-radius: 3px">{html.escape(visible(piece))}{below}</span>')
    return "<wbr>".join(spans)


# --- figures -----------------------------------------------------------------------------------------------------


@_styled
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
    figure, axes = _canvas(title, x_label, y_label)
    labels, lowest = [], math.inf
    for i, (name, (x, y)) in enumerate(curves.items()):
        x, y = _pair(name, x, y, log_x)
        if smooth > 1 and len(y) >= 2 * smooth:
            axes.plot(x, y, color=PALETTE[i % 6], alpha=0.25, linewidth=1)
            y = _trailing_mean(y, smooth)
        axes.plot(x, y, **_line(i), markevery=_spaced(x, log_x, i))
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
        _draw_floor(axes, floor, min(lowest, floor))
        labels.append((floor, f"floor {floor:.2f}", "#000000"))
    _label_ends(axes, labels)
    return figure


@_styled
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
    figure, axes = _canvas(title, x_label, y_label)
    counts, labels = np.asarray(counts, float), []
    for i, (name, values) in enumerate(series.items()):
        values = np.asarray(values, float)
        if values.shape != (3, len(counts)):
            raise ValueError(f"{name!r}: expected (mean, low, high) of {len(counts)} values each, got {values.shape}")
        x = counts * 2 ** (0.07 * (i - (len(series) - 1) / 2))  # side by side, so that intervals do not hide each other
        errors = np.maximum(0, [values[0] - values[1], values[2] - values[0]])
        axes.errorbar(x, values[0], yerr=errors, capsize=4, elinewidth=1.4, **_line(i))
        labels.append((values[0, -1], name, PALETTE[i % 6]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [f"{count:,.0f}" for count in counts])
    axes.minorticks_off()
    axes.set_xlim(counts[0] / 1.2, counts[-1] * 1.2)
    labels += _draw_bounds(axes, ceiling, chance, ceiling_label)
    axes.margins(y=0.08)
    _label_ends(axes, labels)
    return figure


def _draw_bounds(axes, ceiling: float | None, chance: float | None, ceiling_label: str) -> list[tuple]:
    """What no model can beat and what a guess gets, as lines on top of any bars; returns their labels."""
    labels = []
    for value, name, dash in ((ceiling, ceiling_label, FLOOR_DASH), (chance, "chance", ":")):
        if value is not None:
            axes.axhline(value, color="#000000", linestyle=dash, linewidth=1.6, zorder=1.9)
            labels.append((value, f"{name} {value:.2f}", "#000000"))
    return labels


def _canvas(title: str, x_label: str, y_label: str, size: tuple = (8.4, 4.4)) -> tuple:
    """A figure outside pyplot, with one pair of axes."""
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title, loc="left")
    return figure, axes


def _pair(name: str, x, y, log_x: bool) -> tuple:
    """The points of a curve that can be drawn, as two arrays."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"{name!r}: expected as many steps as losses, in two rows, but got {x.shape} and {y.shape}")
    keep = np.isfinite(y) & (x > 0 if log_x else True)
    if not keep.any():
        raise ValueError(f"{name!r} has nothing to draw{' beyond step 0' if log_x else ''}")
    return x[keep], y[keep]


def _trailing_mean(y: np.ndarray, n: int) -> np.ndarray:
    """The mean of the last n values at every point; of as many as there are at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(y)])
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(0, ends - n)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _line(i: int) -> dict:
    """How the i-th line of a figure looks."""
    return {"color": PALETTE[i % 6], "marker": MARKERS[i % 6], "linestyle": DASHES[i % 6], "markersize": 6.5}


def _spaced(x: np.ndarray, log_x: bool, i: int) -> list[int]:
    """Indices of about eight points for markers, evenly spaced to the eye, shifted a little from line to line."""
    seen = np.log(x) if log_x else x
    wanted = seen[0] + (seen[-1] - seen[0]) * (np.arange(8) + 0.3 + 0.15 * (i % 4)) / 8
    return sorted({int(np.abs(seen - position).argmin()) for position in wanted})


def _draw_floor(axes, floor: float, lowest: float) -> None:
    """The floor: a dashed line, with hatching beneath it where no model can be."""
    top = axes.get_ylim()[1]
    axes.set_ylim(lowest - 0.07 * (top - lowest), top)
    axes.axhspan(axes.get_ylim()[0], floor, facecolor="#f2f2f2", edgecolor="#c4c4c4", hatch="//", linewidth=0, zorder=0)
    axes.axhline(floor, color="#000000", linestyle=FLOOR_DASH, linewidth=2)


def _label_ends(axes, labels: list[tuple]) -> None:
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


@_styled
def bars(
    groups: list,
    series: dict,
    *,
    chance: float | None = None,
    ceiling: float | None = None,
    title: str = "",
    y_label: str = "accuracy",
    digits: int = 2,
    ceiling_label: str = "best possible",
) -> Figure:
    """Draw values side by side, one bar for each series in every group.

    series: name -> values as long as groups, or (values, low, high) with the ends of the intervals. A value that is
    None or NaN leaves its place empty. chance: a dotted line; ceiling: a dashed one.

    Errors: ValueError for a series that is not as long as groups.
    """
    figure, axes = _canvas(title, "", y_label, (max(6.0, 2.2 + 0.62 * len(groups) * (len(series) + 0.6)), 4.4))
    width = 0.8 / len(series)
    for i, (name, values) in enumerate(series.items()):
        rows = np.array(values, float)
        if rows.shape not in ((len(groups),), (3, len(groups))):
            raise ValueError(f"{name!r}: expected {len(groups)} values, or (values, low, high), but got {rows.shape}")
        height, low, high = rows if rows.ndim == 2 else (rows, rows, rows)
        x = np.arange(len(groups)) + width * (i - (len(series) - 1) / 2)
        colour = PALETTE[i % 6]
        face = to_rgba(colour, 0.12 if HATCHES[i % 6] else 0.4)  # pale, so that error bars stand out from it
        axes.bar(x, height, 0.92 * width, color=face, edgecolor=colour, linewidth=1.5, hatch=HATCHES[i % 6], label=name)
        if rows.ndim == 2:
            errors = np.maximum(0, [height - low, high - height])
            axes.errorbar(x, height, yerr=errors, fmt="none", ecolor=INK, capsize=4, elinewidth=1.4)
        for place, value, end in zip(x, height, np.maximum(high, 0)):
            if not math.isnan(value):
                axes.annotate(
                    f"{value:.{digits}f}", (place, end), (0, 5), textcoords="offset points", ha="center", size=10,
                    zorder=5, bbox={"facecolor": "white", "linewidth": 0, "pad": 0.5},
                )  # fmt: skip
    axes.set_xticks(range(len(groups)), groups)
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.12)
    axes.axhline(0, color=INK, linewidth=1)
    _label_ends(axes, _draw_bounds(axes, ceiling, chance, ceiling_label))
    if len(series) > 1:
        figure.legend(
            *axes.get_legend_handles_labels(), loc="outside lower left", ncols=4, frameon=False, handleheight=1.2
        )
    return figure


@_styled
def intervals(means, half_widths, truth: float, *, title: str = "", x_label: str = "", y_label: str = "") -> Figure:
    """Draw repeated measurements side by side, each with its interval, and the truth as a dashed line.

    means, half_widths: one for each measurement; or two rows of half widths, how far down and how far up. An interval
    that misses the truth is dashed, with a cross at its mean.

    Errors: ValueError if there are not as many half widths as means.
    """
    means, half_widths = np.asarray(means, float), np.asarray(half_widths, float)
    if half_widths.shape not in (means.shape, (2, *means.shape)) or means.ndim != 1:
        raise ValueError(f"expected as many half widths as means, but got {half_widths.shape} and {means.shape}")
    figure, axes = _canvas(title, x_label, y_label)
    places = np.arange(1, len(means) + 1)
    down, up = half_widths if half_widths.ndim == 2 else (half_widths, half_widths)
    missed = (means - down > truth) | (means + up < truth)
    for i, chosen in enumerate((~missed, missed)):
        look = {"color": PALETTE[i], "linewidth": 1.8, "linestyle": DASHES[(0, 3)[i]]}
        axes.vlines(places[chosen], (means - down)[chosen], (means + up)[chosen], **look)
        axes.plot(places[chosen], means[chosen], color=PALETTE[i], marker="oX"[i], linestyle="none", markersize=5 + 4 * i)
    axes.axhline(truth, color="#000000", linestyle=FLOOR_DASH, linewidth=2, zorder=1)
    axes.margins(x=max(0.02, 0.5 / len(means)))
    _label_ends(axes, [(truth, f"truth {truth:.2f}", "#000000")])
    return figure


@_styled
def attention_map(weights, tokens: list, *, allowed=None, title: str = "", numbers_up_to: int = 9) -> Figure:
    """Draw one head's attention: each row is a position that reads, each column a position that is read.

    weights: (T, T), every row sums to 1. allowed: (T, T), True where a row may look; the rest is hatched, so that
    "may not look" differs from "does not look". Up to `numbers_up_to` tokens the weights are also written out.

    Errors: ValueError if weights or allowed are not (T, T) for T tokens.
    """
    weights = _square("weights", weights, len(tokens))
    size = min(9.0, max(4.2, 2.0 + 0.42 * len(tokens)))
    figure, axes = _canvas(title, "looks at", "position", (size + 0.9, size))
    image = _draw_map(axes, weights, tokens, allowed)
    if len(tokens) <= numbers_up_to:
        for i, j in np.ndindex(weights.shape):
            if allowed is None or np.asarray(allowed)[i, j]:
                axes.text(j, i, f"{weights[i, j]:.2f}", ha="center", va="center", size=10,
                          color="white" if weights[i, j] > 0.7 else INK)  # fmt: skip
    figure.colorbar(image, ax=axes, shrink=0.7, label="attention weight")
    return figure


@_styled
def attention_grid(maps: list, tokens: list, *, title: str = "") -> Figure:
    """Draw all heads at once, small: a row for each layer, a column for each head.

    maps: one (H, T, T) for each layer.

    Errors: ValueError if a layer's maps are not (H, T, T) for T tokens.
    """
    maps = [np.asarray(layer, float) for layer in maps]
    for number, layer in enumerate(maps, 1):
        if layer.shape != (maps[0].shape[0], len(tokens), len(tokens)):
            raise ValueError(f"layer {number}: expected (H, {len(tokens)}, {len(tokens)}), but got {layer.shape}")
    n_heads = maps[0].shape[0]
    figure = Figure(figsize=(1.2 + 1.9 * n_heads, 0.9 + 1.9 * len(maps)), layout="constrained")
    panels = figure.subplots(len(maps), n_heads, squeeze=False)
    for (i, h), axes in np.ndenumerate(panels):
        image = axes.imshow(maps[i][h], cmap="Blues", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        if i == 0:
            axes.set_title(f"head {h + 1}", size=12, weight="normal")
        if h == 0:
            axes.set_ylabel(f"layer {i + 1}")
    figure.colorbar(image, ax=panels, shrink=0.7, label="attention weight")
    figure.suptitle(title, weight="bold") if title else None
    return figure


@_styled
def mask(matrix, labels: list, *, title: str = "") -> Figure:
    """Draw a mask: a filled square with a tick where a row's position may look, hatching where it may not.

    Errors: ValueError if the matrix is not (T, T) for T labels.
    """
    matrix = _square("matrix", matrix, len(labels)).astype(bool)
    size = min(9.0, max(3.8, 1.8 + 0.42 * len(labels)))
    figure, axes = _canvas(title, "may look at", "position", (size, size))
    _draw_map(axes, 0.75 * matrix, labels, matrix)
    for i, j in np.argwhere(matrix):
        axes.text(j, i, "✓", ha="center", va="center", color="white")
    return figure


def _square(name: str, matrix, n: int) -> np.ndarray:
    matrix = np.asarray(matrix, float)
    if matrix.shape != (n, n):
        raise ValueError(f"{name}: expected ({n}, {n}) for {n} tokens, but got {matrix.shape}")
    return matrix


def _draw_map(axes, values: np.ndarray, tokens: list, allowed):
    """A square map with tokens along both sides, hatched where not allowed."""
    n = len(tokens)
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=1)
    if allowed is not None:
        allowed = _square("allowed", allowed, n).astype(bool)
        for i, j in np.argwhere(~allowed):
            axes.add_patch(
                Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor="#f2f2f2", edgecolor="#bbbbbb", hatch="///", lw=0)
            )
    names = [visible(token) for token in tokens]
    axes.set_xticks(range(n), names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(n), names)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#d5d5d5", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return image


@_styled
def next_token_bars(tokens: list, before, after, *, n: int = 12, title: str = "") -> Figure:
    """Draw the probabilities of the next token, as the model gives them and as they are sampled from.

    tokens: names of all the tokens. before: (V,) the model's probabilities. after: (V,) the same after temperature,
    top-k or top-p; a token that can no longer be drawn is marked with a cross. The n most probable are shown.

    Errors: ValueError if the three differ in length.
    """
    before, after = np.asarray(before, float), np.asarray(after, float)
    if not len(tokens) == len(before) == len(after):
        raise ValueError(f"{len(tokens)} tokens, but {len(before)} probabilities before and {len(after)} after")
    order = np.argsort(-before, kind="stable")[:n]
    figure, axes = _canvas(title, "probability", "", (8.0, 1.5 + 0.36 * len(order)))
    y = np.arange(len(order))
    axes.barh(y, after[order], 0.72, color=PALETTE[0], label="sampled from")
    axes.barh(
        y,
        before[order],
        0.72,
        facecolor="none",
        edgecolor=PALETTE[1],
        linewidth=2,
        linestyle="--",
        label="the model's own",
    )
    for place, i in zip(y, order):
        end = max(before[i], after[i])
        note = f"{after[i]:.2f}" if after[i] > 0 else "✗ never drawn"
        axes.annotate(note, (end, place), (5, 0), textcoords="offset points", va="center", size=11)
    axes.set_yticks(y, [visible(tokens[i]) for i in order])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.14)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.legend(loc="lower right", frameon=False)
    return figure


ROLES = {  # of a box in transform_diagram: (background, edge)
    "start": ("#e3e3e3", "#444444"),
    "text": ("#cfe3ff", "#1414b8"),
    "delim": ("#ffe3b8", "#9c5208"),
    "answer": ("#ead5f2", "#5b0068"),
    "extract": ("#cdeedd", "#1a885d"),
}


@_styled
def transform_diagram(examples: list, *, title: str = "") -> Figure:
    """Draw how tasks become token sequences, and what becomes of them: the input transforms of GPT-1.

    examples: (task, sequences, combine). A sequence is a list of (role, text), the roles being start, text, delim,
    answer and extract. combine: "single" (one sequence, one linear layer), "add" (the vectors at the extract tokens
    are added before the linear layer) or "choice" (one number for each sequence, softmax across them).

    Errors: ValueError for an unknown role or combine, or a number of sequences that does not fit it.
    Source: GPT-1, section 3.3 and Figure 1, right. Differs: own drawing; the sequences hold your own texts.
    """
    for task, sequences, combine in examples:
        _check_example(task, sequences, combine)
    height = 0.62 * sum(len(sequences) + 1 for _, sequences, _ in examples) + (0.45 if title else 0.1)
    right = 0.15 + max(sum(_width(text) for _, text in row) for _, sequences, _ in examples for row in sequences)
    figure = Figure(figsize=(right + 5.15, height))  # one unit of the axes is one inch
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, right + 5.15), ylim=(-height, 0))
    axes.axis("off")
    axes.text(0.15, -0.25, title, size=13, weight="bold", va="center")
    top = -0.45 if title else -0.1
    for task, sequences, combine in examples:
        axes.text(0.15, top - 0.3, task, weight="bold", va="center")
        rows = [top - 0.75 - 0.62 * i for i in range(len(sequences))]
        for y, sequence in zip(rows, sequences):
            x = 0.15
            for role, text in sequence:
                x = _box(axes, x, y, text, *ROLES[role])
            _arrow(axes, (x, y), (right + 0.4, y))
            _box(axes, right + 0.4, y, "Transformer", "white", INK, 1.2)
        _draw_head(axes, rows, combine, right + 1.6)
        top -= 0.62 * (len(sequences) + 1)
    return figure


def _check_example(task: str, sequences: list, combine: str) -> None:
    fits = {"single": len(sequences) == 1, "add": len(sequences) == 2, "choice": len(sequences) >= 2}
    if combine not in fits:
        raise ValueError(f"{task!r}: combine must be one of {list(fits)}, not {combine!r}")
    if not fits[combine]:
        raise ValueError(f"{task!r}: {combine!r} does not go with {len(sequences)} sequences")
    unknown = [role for sequence in sequences for role, _ in sequence if role not in ROLES]
    if unknown:
        raise ValueError(f"{task!r}: unknown roles {unknown}; there are {list(ROLES)}")


def _draw_head(axes, rows: list[float], combine: str, x: float) -> None:
    """What follows the Transformers whose right edges are at x: the linear layer, and how the sequences meet."""
    middle = (rows[0] + rows[-1]) / 2
    if combine == "add":
        for y in rows:
            _arrow(axes, (x, y), (x + 0.42, middle + 0.09 * (1 if y > middle else -1)))
        axes.text(x + 0.52, middle, "+", size=15, weight="bold", ha="center", va="center",
                  bbox={"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": INK})  # fmt: skip
        x += 0.68
    for y in rows if combine == "choice" else [middle]:
        _arrow(axes, (x, y), (x + 0.35, y))
        _box(axes, x + 0.35, y, "Linear", "white", INK, 0.75)
    if combine == "choice":
        for y in rows:
            _arrow(axes, (x + 1.1, y), (x + 1.45, y))
        axes.add_patch(
            Rectangle((x + 1.45, rows[-1] - 0.2), 1.45, rows[0] - rows[-1] + 0.4, facecolor="white", edgecolor=INK)
        )
        axes.text(x + 2.175, middle, "softmax across\nthe answers", ha="center", va="center", size=11)


def _width(text: str) -> float:
    """How wide a box for this text must be, in inches."""
    return 0.24 + TextPath((0, 0), text, size=11, prop=FontProperties("DejaVu Sans")).get_extents().width / 72


def _box(axes, x: float, y: float, text: str, face: str, edge: str, width: float | None = None) -> float:
    """A box whose left edge is at x and whose middle is at y; returns its right edge."""
    width = _width(text) if width is None else width
    axes.add_patch(Rectangle((x, y - 0.2), width, 0.4, facecolor=face, edgecolor=edge, linewidth=1.3))
    axes.text(x + width / 2, y, text, ha="center", va="center", size=11, color="#111111")
    return x + width


def _arrow(axes, start: tuple, end: tuple) -> None:
    arrow = {"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.3}
    axes.annotate("", end, start, arrowprops=arrow)


# --- words and their probabilities ---------------------------------------------------------------------------------


@_styled
def next_word(before: str, probabilities: dict, actual: str | None = None, *, n: int = 8, title: str = "") -> Figure:
    """Draw what may come next after a text: the n most probable words, and the rest together in one bar.

    probabilities: word -> probability; "" is the end of the document. actual: the word that does come, which is marked,
    and always drawn.

    Errors: ValueError if `actual` is not among the words.
    """
    if actual is not None and actual not in probabilities:
        raise ValueError(f"{actual!r} is not among the {len(probabilities)} words that may come next")
    ordered = sorted(probabilities, key=lambda word: (-round(probabilities[word], 9), word))
    shown = ordered[:n] if len(ordered) <= n + 1 else ordered[: n - 1]
    if actual is not None and actual not in shown:
        shown = [*shown[:-1], actual] if len(ordered) > n else [*shown, actual]
    rest = [word for word in ordered if word not in shown]
    figure, axes = _canvas("", "probability", "", (8.4, 1.9 + 0.34 * (n + 1)))
    shorter = before if len(before) <= 150 else "… " + before[-150:].split(" ", 1)[1]
    heading = textwrap.fill(shorter or "(the beginning)", 84)
    heading = (title + "\n" if title else "") + heading.replace("$", r"\$") + " ___"
    axes.set_title(heading, loc="left", fontsize=11, weight="normal")
    for place, word in enumerate(shown):
        note = "  ◀ this one comes" if word == actual else ""
        _bar(axes, place, probabilities[word], 1 if word == actual else 0, note)
    names = [_spoken(word) for word in shown]
    if rest:
        _bar(axes, len(shown), sum(probabilities[word] for word in rest), 2, "")
        names.append(f"{len(rest)} other words" if len(rest) > 1 else _spoken(rest[0]))
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(n + 0.6, -0.6)
    axes.set_xlim(0, 1.25)
    axes.set_xticks(np.linspace(0, 1, 6))
    return figure


def _bar(axes, place: float, value: float, style: int, note: str) -> None:
    """One lying bar with its number at the end."""
    axes.barh(place, value, 0.7, linewidth=1.5, **_bar_style(style))
    axes.annotate(f"{value:.3f}{note}", (value, place), (6, 0), textcoords="offset points", va="center", size=11)


def _spoken(word: str) -> str:
    return visible(word).replace("␣", "") if word else "(end)"


@_styled
def surprise(words: list, series: dict, *, width: float = 9.2, title: str = "") -> Figure:
    """Draw a text as running text, with the surprise of every word as a bar above it.

    series: name -> one value for each word, in nats; one or two names, drawn side by side. "" is the end of the
    document, a line's end breaks the line here too. Values of 0.05 and more are written above their bars. The title
    and, for two series, the legend have lines of their own at the top.

    Errors: ValueError for a series that is not as long as the words, or for more than two.
    """
    rows = {name: np.asarray(values, float) for name, values in series.items()}
    if not 1 <= len(rows) <= 2 or any(values.shape != (len(words),) for values in rows.values()):
        raise ValueError(f"expected one or two series of {len(words)} values, got {[len(v) for v in rows.values()]}")
    places = _laid_out(words, width, 0.24 if len(rows) == 1 else 0.5)
    scale = 0.62 / max(1.0, *(values.max() for values in rows.values()))
    heights = np.zeros(places[-1][0] + 1)  # of the highest bar in each line, in inches
    for (line, _, _), highest in zip(places, np.max(list(rows.values()), axis=0)):
        heights[line] = max(heights[line], highest * scale)
    bases = -np.cumsum(heights + 0.55)
    titles = textwrap.wrap(title.replace("$", r"\$"), int(8.5 * width))
    legend = list(rows) if len(rows) > 1 else []
    head = 0.28 * len(titles) + 0.32 * bool(legend) - 0.3  # the numbers over the highest bars end just below -0.3
    figure = Figure(figsize=(width + 0.3, head + 0.35 - bases[-1]))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(-0.15, width + 0.15), ylim=(bases[-1] - 0.35, head))
    axes.set_axis_off()
    for i, text in enumerate(titles):
        axes.text(0, head - 0.08 - 0.28 * i, text, weight="bold", size=13, va="top")
    _draw_legend(axes, legend, head - 0.28 * len(titles) - 0.2)
    for i, (word, (line, left, wide)) in enumerate(zip(words, places)):
        base = bases[line]
        axes.plot([left, left + wide], [base, base], color="#999999", linewidth=1)
        axes.text(left + wide / 2, base - 0.06, _spoken(word), ha="center", va="top", size=11)
        for j, values in enumerate(rows.values()):
            x, step = left + j * wide / len(rows), wide / len(rows)
            axes.add_patch(Rectangle((x, base), step, values[i] * scale, **_bar_style(j)))
            if values[i] >= 0.05:
                top = base + values[i] * scale + 0.02
                axes.text(x + step / 2, top, f"{values[i]:.1f}", ha="center", va="bottom", size=9)
    return figure


def _draw_legend(axes, names: list, y: float) -> None:
    """The names of the kinds of bar, from the left, around the height y; the axes are in inches."""
    x = 0.0
    for j, name in enumerate(names):
        axes.add_artist(Rectangle((x, y - 0.08), 0.25, 0.16, **_bar_style(j)))
        axes.text(x + 0.33, y, name, va="center", size=11)
        x += 0.33 + _width(name) + 0.2


def _bar_style(i: int) -> dict:
    """The i-th kind of bar: pale where it is hatched, so that the hatching can be seen."""
    colour = PALETTE[i]
    return {"facecolor": to_rgba(colour, 0.15 if HATCHES[i] else 0.5), "edgecolor": colour, "hatch": HATCHES[i]}


def _laid_out(words: list, width: float, narrowest: float) -> list[tuple]:
    """Running text in inches: for each word its line, left edge and width."""
    line, left, places = 0, 0.0, []
    for word in words:
        wide = max(narrowest, _width(_spoken(word)) - 0.14)
        if left + wide > width:
            line, left = line + 1, 0.0
        places.append((line, left, wide))
        left += wide + 0.05
        if word == "\n":
            line, left = line + 1, 0.0
    return places
