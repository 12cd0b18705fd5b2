"""Glossary: the terms of each chapter in plain words and in Chinese, and every symbol of the book with its one meaning.

The tables are data/glossary.csv and data/symbols.csv.
"""

import csv
from pathlib import Path

from minigpt.notebook import display

DATA = Path(__file__).resolve().parents[2] / "data"


def terms(chapter: str | None = None) -> list[dict]:
    """The terms of a chapter, such as "00", or of the whole book, in the order in which a reader meets them.

    Errors: ValueError for a chapter without terms (it lists those that have some).
    """
    rows = _rows("glossary")
    chapters = sorted({row["chapter"] for row in rows})
    if chapter is not None and chapter not in chapters:
        raise ValueError(f"expected one of the chapters {', '.join(chapters)}; got {chapter!r}")
    return [row for row in rows if chapter in (None, row["chapter"])]


def symbol_rows() -> list[dict]:
    """Every symbol of the book: its one meaning, unit or shape, first chapter, and what the papers call it."""
    return _rows("symbols")


def show(chapter: str | None = None) -> None:
    """Show the glossary of a chapter, or of the whole book, as a table. Errors: as `terms`."""
    columns = ["term", "plain words", "symbol", "Chinese term"]
    where = "of this book" if chapter is None else f"of chapter {chapter}"
    display.table(terms(chapter), columns if chapter else ["chapter", *columns], f"Terms {where}")


def symbols() -> None:
    """Show the table of symbols: each has one meaning in the whole book."""
    display.table(symbol_rows(), None, "Symbols of this book")


def _rows(name: str) -> list[dict]:
    """A table of the folder data/, every cell as text."""
    with open(DATA / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))
