"""Display: figures with descriptions, tables, checks, source code and tokens on the page."""

import ast
import base64
import html
import inspect
import math
import numbers
import re
import sys
import textwrap
from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure

from minigpt import stats
from minigpt.plots import labels, style
from minigpt.plots.style import png


def claim(says: str, source: str, effect: Iterable[float], unit: str, held: Iterable[bool], how: str = "") -> tuple:
    """A row of `claims_table`: an effect with its interval over the seeds, and in how many cases the claim holds.

    effect: one number a seed, in `unit`. held: whether the claim holds, for each case; `how` says what a case is. The
    verdict is True if it holds in all, False if in none, else in words. Errors: as over_seeds; no cases are a ValueError.

    >>> claim("it helps", "Table 1", [0.25, 0.75], "points", [True, False], "seeds")
    ('it helps', 'Table 1', '0.50 ± 3.18 points; 1 of 2 seeds', 'partly: 1 of 2')
    """
    mean, held = stats.over_seeds(effect), list(held)
    n, of = int(np.sum(held)), len(held)
    if not of:
        raise ValueError(f"expected at least one case of {says!r}; got none")
    centre = round(mean.mean, 2) + 0.0  # never "-0.00"
    found = f"{centre:.2f} ± {mean.half_width:.2f} {unit}; {n} of {of} {how}".rstrip()
    return says, source, found, n == of if n in (0, of) else f"partly: {n} of {of}"


def show(figure: Figure, alt: str) -> None:
    """Figure with a caption: put a figure on the page, with a sentence beneath it that says what it shows.

    The sentence is the picture's alternative text and its visible caption. nbval compares it, so it may hold only what
    is the same on every computer: what is drawn, and what the reader should see, but no measured digits.

    Errors: ValueError if the sentence is shorter than 20 characters.
    """
    if not isinstance(alt, str) or len(alt.strip()) < 20:
        raise ValueError(f"alt must say in a sentence of at least 20 characters what the figure shows, not {alt!r}")
    alt = " ".join(alt.split())
    picture = png(figure)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)  # else a figure made with pyplot would appear a second time
    _put({"text/html": figure_html(picture, alt), "text/plain": alt})


def figure_html(picture: bytes, alt: str, caption: str | None = None) -> str:
    """HTML figure: a PNG picture on a white card, with its description for screen readers and its visible caption.

    The description survives in JupyterLab and in exported HTML; the card can be read in a dark theme too.
    """
    width = int.from_bytes(picture[16:20], "big") * style.SHOWN_DPI // style.DPI  # a PNG holds its width there
    card = "background: #ffffff; padding: 8px; border-radius: 4px; max-width: 100%; height: auto; box-sizing: border-box"
    data = base64.b64encode(picture).decode("ascii")
    return (
        f'<figure style="margin: 0.5em 0"><img alt="{html.escape(alt)}" width="{width + 16}" style="{card}" '
        f'src="data:image/png;base64,{data}"><figcaption style="max-width: 46em"><em>'
        f"{html.escape(alt if caption is None else caption)}</em></figcaption></figure>"
    )


def page(text: str, width: int = 96) -> None:
    """Print a page of text, its long lines cut between words; an indented line goes on with the line above it.

    Errors: ValueError for a width, in letters, that is no whole number of at least 5.
    """
    sys.stdout.write("\n".join(labels.prompt_lines(text, width)) + "\n\n")


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
    """Assertion: test a claim, and print it with the number that was measured and the bound it had to keep.

    A truth value is checked as it is; a number must lie in [lo, hi], of which one may be left out. NaN never does.
    `label` names what is measured; the number and the bound follow it. nbval compares these lines with the measured
    number left out (tests/nbval_sanitize.cfg), so that another computer may measure another one within the bound.

    Errors: AssertionError that tells the measured value, the bounds, and what to try (`advice`, or the usual steps).
    ValueError for a number without bounds or a truth value with them.

    >>> check("accuracy on endings", 0.9375, lo=0.9)
    check: accuracy on endings 0.938 (at least 0.9): yes
    >>> check("the two are equal", 1 + 1 == 2)
    check: the two are equal: yes
    """
    value = ok_or_value.item() if hasattr(ok_or_value, "item") else ok_or_value
    if isinstance(value, bool):
        if lo is not None or hi is not None:
            raise ValueError(f"{label!r}: a truth value has no bounds; pass the number itself, or leave lo and hi out")
        ok, claim, exact = value, label, f"{label}: no. It is {value}."
    elif isinstance(value, numbers.Real) and (lo is not None or hi is not None):
        ok = (lo is None or value >= lo) and (hi is None or value <= hi)  # a nan is never in
        subject, bound = _subject(label), _range(lo, hi)
        claim, exact = f"{subject} {_short(value)} ({bound})", f"{subject} {value:.6g} ({bound}): no."
    else:
        raise ValueError(f"{label!r}: expected True, False, or a number with lo or hi or both, but got {value!r}")
    if not ok:
        raise AssertionError(f"{exact} What to try: {advice or _USUAL_ADVICE}")
    sys.stdout.write(f"check: {claim}: yes\n")


def _subject(label: str) -> str:
    """A label that a number can follow: no comparison at its end, and a colon if it ends in a number itself."""
    label = re.sub(r"[\s:=≈]*(\b(is|are))?(\s*\b(at least|at most|more than|less than|between))?\s*$", "", label)
    return label + ":" if label[-1:].isdigit() else label


def _short(value: float) -> str:
    """Three digits, or all digits of a whole number, however large."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.3g}"


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


def claims(rows: list, rule: str | None = None) -> None:
    """Show a chapter's claims: what the paper says, what we measured, and a verdict by a rule that stands above them.

    rows: (claim, source, effects, unit, margin), with one effect for each case (a seed, or a task and seed), made such
    that the claim says it is large; or (claim, source, why) for a claim that cannot be tested here. The effect is shown
    as the mean of its cases with a 95 % interval by Student's t, as if the cases were independent; the verdict is
    that of `stats.verdict`. rule: the sentence above the table, if the usual one does not say it all.
    nbval compares every digit, so the effects must be stored measurements.

    Errors: ValueError for no rows, or a row of another length; as `stats.verdict`.
    """
    cells = []
    for row in rows:
        if len(row) == 3:
            claim, where, why = row
            cells.append([claim, where, why, stats.NOT_TESTABLE])
        elif len(row) == 5:
            claim, where, effects, unit, margin = row
            effects = [float(effect) for effect in effects]
            cells.append([claim, where, _effect(effects, unit, margin), stats.verdict(effects, margin)])
        else:
            form = "(claim, source, effects, unit, margin) or (claim, source, why)"
            raise ValueError(f"expected rows {form}; got {row!r}")
    caption = f"What the paper says, and what we found. {_RULE if rule is None else rule}"
    table(cells, ["the paper says", "source", "we measured", "verdict"], caption)


_RULE = (
    "Verdict: reproduced if the effect is at least the margin in 80 % of the cases or more, not reproduced if in 20 % "
    "or fewer, else partly. ± is a 95 % interval for the mean."
)


def _effect(effects: list[float], unit: str, margin: float) -> str:
    """The mean effect with its interval (none for a single case), and in how many cases it reaches the margin."""
    n, of = sum(effect >= margin for effect in effects), len(effects)
    spread = f" ± {stats.over_seeds(effects).half_width:.2f}" if of > 1 else ""
    mean = round(float(np.mean(effects)), 2) + 0.0 if of else math.nan  # + 0.0: never "-0.00"
    return f"{mean:.2f}{spread} {unit}; at least {margin:g} in {n} of {of} case{'s' * (of != 1)}"


def verdict(sign: str, name: str, found: str, words: str = "", hint: str = "") -> str:
    """Show the verdict on an exercise: a sign, the exercise's name, what was found, and a sentence.

    Result: the same as plain text. hint: a text that folds out. What stands between back-ticks is shown as code.
    """
    colour = {"✓": "#2e7d32", "✗": "#c62828"}.get(sign, "#757575")
    head = f'<strong style="color: {colour}">{html.escape(sign)} {html.escape(name)}: {html.escape(found)}</strong>'
    body = f". {_with_code(words)}" if words else ""
    fold = f"<details><summary>Hint</summary>{_with_code(hint)}</details>" if hint else ""
    plain = f"{sign} {name}: {found}" + (f". {words}" if words else "")
    _put({"text/html": f'<div style="max-width: 46em; margin: 0.3em 0">{head}{body}{fold}</div>', "text/plain": plain})
    return plain


def scores(marks: list[tuple[str, str]], summary: str) -> None:
    """Show how many exercises are solved: a summary, and each exercise's sign and name."""
    each = [f"{sign} {name}" for sign, name in marks]
    listed = " &nbsp; ".join(f"<code>{html.escape(one)}</code>" for one in each)
    markup = f'<div style="max-width: 46em; margin: 0.3em 0"><strong>{html.escape(summary)}</strong><div>{listed}</div></div>'
    _put({"text/html": markup, "text/plain": "\n".join([summary, *each])})


def _with_code(text: str) -> str:
    """Text as HTML, with what stands between back-ticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _verdict(holds) -> str:
    return {True: "✓ yes", False: "✗ no"}.get(holds, holds) if isinstance(holds, (bool, np.bool_)) else str(holds)


def _cells(rows: list, columns, digits: int | None) -> tuple[list[list[str]], list[str]]:
    """(every cell as text, headings)."""
    if not rows:
        raise ValueError("a table needs at least one row")
    if isinstance(rows[0], dict):
        columns = list(rows[0]) if columns is None else columns
        for row in rows:
            unknown = [key for key in columns if key not in row]
            if unknown:
                raise ValueError(f"no such columns: {unknown}; the rows have {list(row)}")
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
            text = f"{value:.{digits}f}"
            return text.removeprefix("-") if float(text) == 0 else text  # a rounded 0 has no sign
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


def token_strip(pieces: list, ids: list | None = None, label: str = "") -> None:
    """Show a text cut into tokens: boxes in alternating colours, `|` between them in plain text; ids beneath.

    Errors: ValueError if there are not as many ids as pieces.
    """
    if ids is not None and len(ids) != len(pieces):
        raise ValueError(f"{len(pieces)} pieces, but {len(ids)} ids")
    markup = f'<div style="line-height: 2.2">{html.escape(label + ": " if label else "")}{_strip(pieces, ids)}</div>'
    plain = (label + ": " if label else "") + "|".join(style.visible(piece) for piece in pieces)
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
    lines = [f"{str(label).ljust(width)}  {'|'.join(style.visible(piece) for piece in pieces)}" for label, pieces in steps]
    _put({"text/html": f"<table>\n<tbody>\n{rows}\n</tbody>\n</table>", "text/plain": "\n".join(lines)})


def _strip(pieces: list, ids: list | None = None) -> str:
    """Tokens as HTML spans with a border, so that they are apart without colour too."""
    spans = []
    for i, piece in enumerate(pieces):
        below = "" if ids is None else f'<sub style="color: #444444">&nbsp;{int(ids[i])}</sub>'
        look = f"background: {TOKEN_COLOURS[i % 4]}; color: #111111; border: 1px solid #555555; padding: 1px 3px"
        spans.append(f'<span style="{look}; border-radius: 3px">{html.escape(style.visible(piece))}{below}</span>')
    return "<wbr>".join(spans)
