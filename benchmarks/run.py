"""All benchmarks of the CPU by one command: results as JSON, and the table in docs/speed.md.

    python benchmarks/run.py                                   all that need no text: some minutes
    python benchmarks/run.py training_step writing             only these; the others keep their last numbers
    python benchmarks/run.py --text shakespeare.txt            also the time to quality, on a text of yours
    python benchmarks/run.py --other other/bin/python          also PPO beside TRL's, in an environment of its own

One thread (two processes where it says so), both sides in turn. Peers come with the optional extra "test"
(`pip install -e .[test]`), TRL with another (see ppo_speed.py): a row whose peer is missing is left out.
attention_speed.py and gpu.py have commands of their own; they are named in docs/speed.md.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

import torch
from side_by_side import ROOT, Row, circumstances

from minigpt.io import files

NAMES = ("training_step", "time_to_quality", "book_to_floor", "writing", "tokens_speed", "ppo_speed", "start_up",
         "two_processes", "cost_by_size")  # fmt: skip
RESULTS, PAGE = ROOT / "benchmarks" / "results.json", ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- measured: benchmarks/run.py -->", "<!-- end -->"


def measured(names, text: str | None = None, tiny: bool = False, other: str | None = None) -> dict:
    """Benchmark -> its rows and circumstances."""
    found = {}
    for name in names:
        module, start = importlib.import_module(name), time.perf_counter()
        more = {"time_to_quality": {"text": text}, "ppo_speed": {"other": other}}.get(name, {})
        rows = module.measure(tiny, **more)
        if rows:
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
            found[name] = circumstances() | {
                "load": None if load is None else round(load, 1), "seconds": round(time.perf_counter() - start, 1),
                "rows": [row.plain() for row in rows],
            }  # fmt: skip
            for row in rows:
                print(line(row), flush=True)
    return found


def line(row: Row) -> str:
    """One line of the table."""
    digits = 2 if row.value < 10 else 1
    spread = "" if row.low is None else f"{row.low:.{digits}f} to {row.high:.{digits}f}"
    unit = "" if row.unit in ("×", "share") else f" {row.unit}"
    sign = "×" if row.unit == "×" else ""
    goal = "" if row.goal is None else f"{'≥' if row.unit in ('×', 'share') else '≤'} {row.goal:g}{sign}{unit}"
    state = {None: "", True: "met", False: "not met"}[row.met]
    return f"| {row.what} | {row.value:.{digits}f}{sign}{unit} | {spread} | {goal} | {state} | {row.note} |"


def table(results: dict) -> str:
    """The part of the page that is generated."""
    words = [BEGIN, ""]
    for name in NAMES:
        if name not in results:
            continue
        about = results[name]
        rows = [Row(**row) for row in about["rows"]]
        words += [f"### `benchmarks/{name}.py`", "",
                  f"{about['date']}, {about['processor']}, torch {about['versions']['torch']}, "
                  f"commit {about['commit']}; load of the computer at the end: {about['load']}", "",
                  "| what | measured | middle half of the rounds | goal | | note |", "|---|---|---|---|---|---|",
                  *map(line, rows), ""]  # fmt: skip
    return "\n".join([*words, END])


def written(page: str, results: dict) -> str:
    """The page with its generated part renewed. Errors: ValueError if the marks are missing."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"expected {BEGIN} and {END} once each in {PAGE.name}")
    return page.split(BEGIN)[0] + table(results) + page.split(END)[1]


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(NAMES)} (all)")
    parser.add_argument("--text", type=Path, help="a UTF-8 text for the time to quality")
    parser.add_argument("--other", help="the python of an environment with TRL, for PPO")
    args = parser.parse_args(words)
    unknown = [name for name in args.names if name not in NAMES]
    if unknown:
        parser.error(f"expected names among {', '.join(NAMES)}; got {', '.join(unknown)}")
    if "time_to_quality" in args.names and args.text is None:
        parser.error("time_to_quality needs --text FILE")
    torch.set_num_threads(1)
    text = None if args.text is None else args.text.read_text(encoding="utf-8")
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results |= measured(args.names or NAMES, text, other=args.other)
    text = json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    files.write_file(RESULTS, text.encode())
    files.write_file(PAGE, written(PAGE.read_text(encoding="utf-8"), results).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
