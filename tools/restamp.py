"""After a change of the code that must not change results: measure one seed again, and only if every number is the
same as before, let the whole table count as measured by today's code.

    .venv/bin/python tools/restamp.py gpt1_pretraining 2          a table of data/measured and a seed that is in it

Takes as long as measuring that seed. If one number differs, it says which, writes nothing, and the table has to be
measured again with its benchmark.
"""

import csv
import importlib.util
import io
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, tokens

ROOT = Path(__file__).parent.parent


def read(path: Path) -> list[dict]:
    """The rows of a table, whatever code measured them."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def differences(before: list[dict], again: list[dict], key: tuple[str, ...]) -> list[str]:
    """What the second measurement found otherwise; rows that are only in the first are not compared."""
    known = {tuple(row[name] for name in key): row for row in before}
    found = []
    for row in again:
        place = tuple(row[name] for name in key)
        old = known.get(place)
        new = {name: value for name, value in row.items() if name != "code"}
        if old is None:
            found.append(f"{place} was not measured before")
        elif new != {name: value for name, value in old.items() if name != "code"}:
            found.append(f"{place}: {old} became {new}")
    return found


def main(name: str, seed: int) -> int:
    """Measure one seed of a table into a folder of its own, compare, and stamp: 0 if every number is the same."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    path = classroom.MEASURED / f"{name}.csv"
    before = read(path)
    with tempfile.TemporaryDirectory() as folder:
        classroom.MEASURED = Path(folder)
        benchmark.main([seed])
        again = read(Path(folder) / f"{name}.csv")
    found = differences(before, again, benchmark.KEY)
    if found or not again:
        print(*(found or ["nothing was measured"]), sep="\n")
        return 1
    text = io.StringIO()
    writer = csv.DictWriter(text, list(before[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"code": again[0]["code"]} for row in before)
    tokens.replace_file(path, text.getvalue().encode("utf-8"))
    print(f"{len(again)} of {len(before)} rows measured again, all the same: {name}.csv now counts as today's")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
