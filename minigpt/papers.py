"""Numbers that the papers print, each with its source and a mark that says how far to trust it.

The tables are data/papers/*.csv; data/papers/README.md explains columns, sources and marks.
"""

import csv
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "data" / "papers"
MARKS = {
    "V": "checked against the text of the paper",
    "V2": "found in an independent source",
    "F": "read off a figure",
    "C": "computed here",
    "M": "from memory, not checked",
}


def load(name: str, include_unverified: bool = False) -> list[dict]:
    """Read a table of numbers that a paper prints: one dictionary for each row.

    Whole numbers are int, decimal ones float, empty cells None, the rest str. Rows from memory (mark M) are left out
    unless include_unverified is True.

    Unit: stands in the column's name, the column `unit`, or data/papers/README.md; scores are in points of 100.
    Errors: ValueError for an unknown name (it lists the known ones) or a damaged file (it names the line).

    >>> [row["gpt1"] - row["prior_best"] > 0 for row in load("gpt1_results") if row["row"] in ("RACE", "RTE")]
    [False, True]
    """
    header, rows = _read(name)
    table = [dict(zip(header, map(_typed, cells))) for cells in rows]
    return [row for row in table if include_unverified or row["mark"] != "M"]


def columns(name: str) -> list[str]:
    """The column names of a table, in order.

    Errors: as load.

    >>> columns("gpt1_finetune")
    ['key', 'value', 'unit', 'note', 'source', 'mark']
    """
    return _read(name)[0]


def names() -> list[str]:
    """The names of all tables, sorted.

    Errors: ValueError if the folder with the tables is missing.
    """
    found = sorted(path.stem for path in FOLDER.glob("*.csv"))
    if not found:
        raise ValueError(
            f"no tables in {FOLDER}: the package must be installed from its checkout and in place (pip install -e .), "
            "with the folder data/ beside minigpt/"
        )
    return found


def _read(name: str) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of a table, as text."""
    known = names()
    if name not in known:
        raise ValueError(f"there is no table {name!r}; there are: {', '.join(known)}")
    with open(FOLDER / f"{name}.csv", encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        if header[-2:] != ["source", "mark"]:
            raise ValueError(f"{name}.csv: the first line must end with source,mark, but it is {header}")
        rows = []
        for cells in reader:
            if len(cells) != len(header) or cells[-1] not in MARKS:
                expected = f"{len(header)} cells, the last one of {', '.join(MARKS)}"
                raise ValueError(f"{name}.csv, line {reader.line_num}: expected {expected}, but found {cells}")
            rows.append(cells)
    return header, rows


def _typed(cell: str) -> int | float | str | None:
    """A cell as what it is."""
    if cell == "":
        return None
    if re.fullmatch(r"-?\d+", cell):
        return int(cell)
    if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell):
        return float(cell)
    return cell
