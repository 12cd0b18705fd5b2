"""Run the experiments of the chapters: measure a table, check its canary, or measure one seed again and compare.

    python -m minigpt.experiments                          all experiments: module, chapter, seeds
    python -m minigpt.experiments gpt3.in_context          measure every seed of the table
    python -m minigpt.experiments gpt3.in_context 0 2      only these seeds; several can run side by side
    python -m minigpt.experiments gpt3.in_context --replay 0     measure seed 0 again; compare, write nothing
    python -m minigpt.experiments gpt3.in_context --canary       a few seconds: is the table still true?
    python -m minigpt.experiments --canary                       of every table
    python -m minigpt.experiments gpt3.in_context --canary --store      keep the new numbers (after measuring again)
"""

import argparse
import importlib
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: the tables were measured on one thread

import numpy as np

from minigpt.experiments import canaries, measured


def module(table: str):
    """The module of a table: gpt3/in_context -> minigpt.experiments.gpt3.in_context."""
    return importlib.import_module("minigpt.experiments." + table.replace("/", "."))


def canary(table: str) -> dict[str, float]:
    """The canary of a table as plain numbers of six digits. Errors: ValueError if one is not finite."""
    with canaries.remembering():
        found = {name: float(f"{float(value):.6g}") for name, value in module(table).canary().items()}
    if not found or not np.isfinite(list(found.values())).all():
        raise ValueError(f"expected finite numbers from the canary of {table}; got {found}")
    return found


def check_canary(table: str, store: bool) -> int:
    """Compute a canary, compare it with the stored one, and keep it if asked to: 0 if nothing differs."""
    start, found = time.perf_counter(), canary(table)
    stored = measured.about(table).get("canary")
    lines = measured.changed(stored["values"], found) if stored else ["not stored yet"]
    print(f"{table:40s} {time.perf_counter() - start:4.1f} s  {'; '.join(lines) or 'same'}", flush=True)
    if store and lines:
        measured.keep_canary(table, found)
    return int(bool(lines) and not store)


def measure(table: str, seeds: list[int]) -> int:
    """Measure some seeds, and keep what was found; also what there is if it is broken off."""
    experiment = module(table)
    for seed in seeds or experiment.SEEDS:
        found = []
        try:
            for row in experiment.rows(seed):
                found.append(row)
                print(*row.values(), sep="; ", flush=True)
        finally:
            if found:
                measured.keep(table, found, experiment.KEY)
    return 0


def replay(table: str, seed: int) -> int:
    """Measure one seed again, compare every row with the stored one, write nothing: 0 if all are the same."""
    experiment = module(table)
    before = {tuple(row[name] for name in experiment.KEY): row for row in measured.rows(table)}
    differ = n = 0
    for row in experiment.rows(seed):
        new, n = {name: str(value) for name, value in row.items()}, n + 1
        old = before.get(tuple(new[name] for name in experiment.KEY))
        if old != new:
            differ += 1
            print(f"{'not measured before' if old is None else old} became {new}", flush=True)
    print(f"{table}, seed {seed}: {n - differ} of {n} rows are the same")
    return int(differ > 0 or n == 0)


def main(argv: list[str]) -> int:
    """Do what the command line says; 0 if all is well."""
    parser = argparse.ArgumentParser(
        prog="python -m minigpt.experiments", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", nargs="?", help="an experiment, such as gpt3.in_context")
    parser.add_argument("seeds", nargs="*", type=int, help="seeds to measure (all if none is named)")
    parser.add_argument("--canary", action="store_true", help="compute the canary and compare")
    parser.add_argument("--store", action="store_true", help="with --canary: keep the new numbers")
    parser.add_argument("--replay", type=int, metavar="SEED", help="measure one seed again and compare")
    options = parser.parse_args(argv)
    if options.table is not None:
        options.table = options.table.replace(".", "/")
        if options.table not in measured.tables():
            try:
                known = hasattr(module(options.table), "SEEDS")  # an experiment whose table is not there yet
            except ModuleNotFoundError:
                known = False
            if not known:
                parser.error(f"expected one of {', '.join(measured.tables())}; got {options.table}")
    if options.store and not options.canary:
        parser.error("--store belongs to --canary")
    if options.replay is not None and (options.table is None or options.seeds or options.canary):
        parser.error("--replay needs one experiment, and neither further seeds nor --canary")
    if options.canary:
        tables = [options.table] if options.table else measured.tables()
        return max(check_canary(table, options.store) for table in tables)
    if options.table is None:
        for table in measured.tables():
            print(f"{table.replace('/', '.'):42s} {module(table).__doc__.splitlines()[0]}")
        return 0
    return measure(options.table, options.seeds) if options.replay is None else replay(options.table, options.replay)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
