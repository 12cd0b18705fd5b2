"""Explorers that play on the web: what a slider shows at each of its places, drawn when the pages are made.

An explorer plays if it has one slider and needs no trained model. In its notebook that cell and those before it that
it needs carry the tag "plays"; they are run here, one after another, and the explorer is asked for its pictures. So what
the web shows is what the notebook shows. The other explorers show one setting on the web, and say so.
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import workbook

from minigpt.notebook import display, explorers
from minigpt.plots import style

TAG = "plays"
MOST = 41  # pictures of one explorer, some 40 kB each: of a finer slider every second, third ... place is kept


def places(low: float, high: float, step: float, start: float) -> list[float]:
    """Values of a slider, at most MOST of them and `start` among them."""
    every = [round(low + i * step, 9) for i in range(round((high - low) / step) + 1)]
    at = min(range(len(every)), key=lambda i: abs(every[i] - start))
    skip = -(-len(every) // MOST)
    return every[at % skip :: skip]


def pictures(draw: Callable, name: str, values: list, digits: int) -> Iterator[tuple[str, bytes, str]]:
    """(value, PNG, sentence) for each value."""
    for value in values:
        figure, sentence = draw(**{name: value})
        yield f"{value:.{digits}f}", style.png(figure), sentence


def found_in(notebook: dict) -> dict[str, tuple[str, str, Callable]]:
    """The explorers that play in a notebook: beginning of the stored text -> (label, where it begins, its pictures)."""
    found = {}

    def record(draw, name, low, high, step, start, description, label=""):
        whole = all(isinstance(number, int) for number in (low, high, step, start))
        digits = 0 if whole else len(np.format_float_positional(step).split(".")[1])
        values = [int(v) if whole else v for v in places(low, high, step, start)]
        found["Explorer: " + " ".join(description.split())] = (
            label or name, f"{start:.{digits}f}", lambda: pictures(draw, name, values, digits)
        )  # fmt: skip

    cells = [c for c in notebook["cells"] if TAG in c.get("metadata", {}).get("tags", [])]
    kept = explorers.slider_explorer, display.show
    explorers.slider_explorer, display.show = record, lambda figure, *_, **__: style.png(figure)
    names = {}
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # checks say what they say in the notebook
            for cell in cells:
                exec(compile(workbook.source(cell), "<cell>", "exec"), names)
    finally:
        explorers.slider_explorer, display.show = kept
    return found


def played(root: Path) -> dict[str, tuple[str, str, Callable]]:
    """The explorers that play in the book."""
    everything = {}
    for name in workbook.originals(root):
        if "solutions" not in name.parts:
            everything |= found_in(workbook.read(root / "chapters" / name))
    return everything
