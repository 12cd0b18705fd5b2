"""Measured tables: results of many runs over several seeds, made once by `python -m minigpt.experiments`.

A table data/measured/gpt3/in_context.csv belongs to the module minigpt/experiments/gpt3/in_context.py. Beside it lies
in_context.json: where the rows are from (commit, day, versions) and the table's canary, numbers from a few seconds of
the same code that tell whether the table is still true (tests/experiments/test_measured.py).
"""

import csv
import datetime
import io
import json
import platform
import subprocess
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from minigpt.io.files import write_file

FOLDER = Path(__file__).parents[2] / "data" / "measured"
TOLERANCE = 1e-4  # of a canary's number, or of 1 if the number is smaller than 1


def tables() -> list[str]:
    """The names of all measured tables, such as "gpt3/in_context"."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.csv"))


def rows(table: str) -> list[dict[str, str]]:
    """All rows of a measured table, as text. Errors: ValueError if there is no such table or nothing in it."""
    try:
        found = list(csv.DictReader(io.StringIO(_csv(table).read_text(encoding="utf-8"))))
    except FileNotFoundError:
        found = []
    if not found:
        command = f"python -m minigpt.experiments {table.replace('/', '.')}"
        raise ValueError(f"expected rows in data/measured/{table}.csv; got none: measure them with  {command}")
    return found


def get(table: str, column: str = "value", **where) -> np.ndarray:
    """One number per seed, in the order of the seeds: a column of the rows in which every named column has its value.

    get("gpt3/in_context", family="symbols", n_shots=8, model="post 64", which="training", step=1072)

    Shapes: result (n_seeds,), float64. Errors: ValueError if a column is unknown, if no row fits, or if several rows
    of one seed do; the message says what there is to choose from.
    """
    found = rows(table)
    unknown = sorted({column, *where} - found[0].keys())
    if unknown:
        raise ValueError(f"data/measured/{table}.csv has no column {unknown}; expected some of {list(found[0])}")
    fitting = [row for row in found if all(_same(row[name], value) for name, value in where.items())]
    if not fitting:
        choices = {name: sorted({row[name] for row in found}) for name in where}
        raise ValueError(f"no row of data/measured/{table}.csv has {where}; there are {choices}")
    seeds = [row["seed"] for row in fitting]
    if len(set(seeds)) < len(seeds):
        free = [name for name in found[0] if name not in where and name not in ("seed", column)]
        open_ = {name: each for name in free if len(each := sorted({row[name] for row in fitting})) > 1}
        raise ValueError(
            f"several rows of data/measured/{table}.csv have {where} for one seed; choose also from {open_}"
        )
    return np.array([float(row[column]) for row in sorted(fitting, key=lambda row: int(row["seed"]))])


def keep(table: str, new: list[dict], key: tuple[str, ...]) -> None:
    """Put rows into a measured table: sorted by `key`, each key once, a new row in place of an old one.

    Beside it <table>.json says under "measured" which commit, day and versions the newest rows are from.
    Several processes may do so at once. Errors: rows without the columns of the table are a ValueError.
    """
    path = _csv(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        old = rows(table) if path.exists() else []
        odd = next((row for row in [*old, *new] if set(row) != {*new[0], *key}), None)
        if odd is not None:
            raise ValueError(f"expected rows with the columns {list(new[0])}, {key} among them; got {list(odd)}")
        kept = {tuple(str(row[column]) for column in key): row for row in [*old, *new]}
        text = io.StringIO()
        writer = csv.DictWriter(text, list(new[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept[each] for each in sorted(kept))
        write_file(path, text.getvalue().encode("utf-8"))
        _keep_about(table, about(table) | {"measured": provenance()})


def about(table: str) -> dict:
    """What <table>.json says: where its rows are from ("measured"), and its "canary". Empty if there is none."""
    path = _csv(table).with_suffix(".json")
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep_canary(table: str, values: dict[str, float]) -> None:
    """Put a table's canary into <table>.json, with the commit, day and versions that computed it."""
    with FileLock(_csv(table).with_suffix(".lock")):
        _keep_about(table, about(table) | {"canary": provenance() | {"values": values}})


def changed(stored: dict[str, float], found: dict[str, float]) -> list[str]:
    """What differs between two canaries, in words: an empty list if every number is the same to TOLERANCE."""
    lines = [f"{key}: only {'before' if key in stored else 'now'}" for key in sorted(stored.keys() ^ found.keys())]
    for key in sorted(stored.keys() & found.keys()):
        if not abs(stored[key] - found[key]) <= TOLERANCE * max(1.0, abs(stored[key])):
            lines.append(f"{key}: {stored[key]:.6g} became {found[key]:.6g}")
    return lines


def provenance() -> dict:
    """What a measurement of this moment is from: commit, day, versions."""
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    return {"commit": commit(Path(__file__).parent), "date": datetime.date.today().isoformat(), "versions": versions}


def commit(folder: Path) -> str:
    """The commit of a checkout, with "-dirty" if anything but the tables differs from it; "unknown" outside of git.

    The tables themselves do not count: they change while they are measured.
    """

    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True, cwd=folder, check=False)

    found = git("rev-parse", "--short=12", "HEAD")
    if found.returncode:
        return "unknown"
    same = git("diff", "--quiet", "HEAD", "--", ":/", ":(top,exclude)data/measured").returncode == 0
    return found.stdout.strip() + ("" if same else "-dirty")


def _csv(table: str) -> Path:
    return FOLDER / f"{table}.csv"


def _keep_about(table: str, said: dict) -> None:
    text = json.dumps(dict(sorted(said.items())), indent=1, ensure_ascii=False) + "\n"
    write_file(_csv(table).with_suffix(".json"), text.encode("utf-8"))


def _same(text: str, value) -> bool:
    """Whether a table's text is a value: as numbers if both are numbers, otherwise as text."""
    try:
        return float(text) == float(value)
    except (TypeError, ValueError):
        return text == str(value)
