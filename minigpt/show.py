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
from matplotlib.figure import Figure

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
        bounds = [f"at least {lo:g}" if hi is None else f"at most {hi:g}" if lo is None else f"between {lo:g} and {hi:g}"]
        ok = (lo is None or value >= lo) and (hi is None or value <= hi) and not math.isnan(value)
        claim, found = f"{label} is {bounds[0]}", f"It was measured as {value:.6g}."
    else:
        raise ValueError(f"{label!r}: expected True, False, or a number with lo or hi or both, but got {value!r}")
    if not ok:
        raise AssertionError(f"{claim}: no. {found} What to try: {advice or _USUAL_ADVICE}")
    sys.stdout.write(f"check: {claim}: yes\n")


_USUAL_ADVICE = (
    "run the chapter again from the top in a fresh kernel, in case a cell was changed or skipped; then, in a terminal, "
    "`python3 start.py check`. If it still fails on unchanged code, you have found a mistake in the book: please report it."
)


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
        return repr(value) if digits is None else f"{value:.{digits}f}"
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
    themselves faintly behind it. top: where the loss axis ends. log_x leaves out step 0.

    Errors: ValueError for a curve whose steps and losses differ in length, or that has nothing to draw.
    """
    figure, axes = _canvas(title, x_label, y_label)
    labels, lowest = [], math.inf
    for i, (name, (x, y)) in enumerate(curves.items()):
        x, y = _pair(name, x, y, log_x)
        if smooth > 1:
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
    for value, name, dash in ((ceiling, ceiling_label, FLOOR_DASH), (chance, "chance", ":")):
        if value is not None:
            axes.axhline(value, color="#000000", linestyle=dash, linewidth=1.6)
            labels.append((value, f"{name} {value:.2f}", "#000000"))
    axes.margins(y=0.08)
    _label_ends(axes, labels)
    return figure


def _canvas(title: str, x_label: str, y_label: str, size: tuple = (8.4, 4.4)) -> tuple:
    """A figure outside pyplot, with one pair of axes."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title, loc="left")
    return figure, axes


def _pair(name: str, x, y, log_x: bool) -> tuple:
    """The points of a curve as two arrays."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"{name!r}: expected as many steps as losses, in two rows, but got {x.shape} and {y.shape}")
    keep = x > 0 if log_x else np.full(len(x), True)
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
    """Indices of about eight points for markers, evenly spaced as the eye sees them, shifted a little from line to line."""
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
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 1, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 0},
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
