"""Put one planted mistake at a time into a copy of the package and see whether a test notices.

    python tests/mutations/run.py [MODULE ...] [--jobs 2] [--missing]

For each mistake of planted.py: copy, change one place, run the test files of that module (the slow tests last) and its
doctests, stop at the first failure. Prints what was caught and what survived, and keeps it in results.csv, with the
commit, at once: it can be stopped, and --missing goes on with those that were never tried. The exit status is 1 if a
mistake survives that planted.py does not name with a reason. Takes half an hour on two idle cores: it is not part of
the normal test run.
"""

import argparse
import csv
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # two processes of one thread each: many threads on few cores are far slower
sys.dont_write_bytecode = True  # a cached file of the mistake before would be read in place of the new one
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

import planted  # noqa: E402

LIMIT = 240  # seconds of processor time: a mistake that makes a test run for ever counts as caught
PATIENCE = 3600  # seconds by the clock: a busy computer is no mistake, and nothing that only waits counts as caught
ENDS = {0: False, 1: True, 2: True, -signal.SIGXCPU: True}  # exit status -> whether the mistake was caught


RESULTS = Path(__file__).with_name("results.csv")
COLUMNS = ("module", "old", "new", "outcome", "commit", "date")


def results() -> dict[tuple[str, str, str], dict]:
    """What is known: (module, old, new) -> the line of results.csv. What is planted no more is forgotten."""
    if not RESULTS.exists():
        return {}
    with open(RESULTS, encoding="utf-8", newline="") as file:
        rows = {(row["module"], row["old"], row["new"]): row for row in csv.DictReader(file)}
    return {m[:3]: rows[m[:3]] for m in planted.MISTAKES if m[:3] in rows}


def keep(mistake: planted.Mistake, outcome: str, here: str) -> None:
    """Write down what became of one mistake, in the order of planted.py."""
    known = results() | {mistake[:3]: dict(zip(COLUMNS, (*mistake[:3], outcome, here, date.today().isoformat())))}
    with open(RESULTS, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(known[m[:3]] for m in planted.MISTAKES if m[:3] in known)


def commit() -> str:
    """Which package and tests these are: the commit, "-dirty" if they differ from it. (Nothing of the package is
    imported here: the processes of the mistakes would inherit it, and none of them would see its own.)"""
    git = ["git", "-C", str(ROOT)]
    found = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
    same = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "minigpt", "tests", ":!tests/mutations"]).returncode
    return found.stdout.strip() + ("-dirty" if same else "")


def copy(folder: Path) -> Path:
    """The package and its tests in a folder of their own; data and tools are only linked."""
    ignored = shutil.ignore_patterns("__pycache__", "mutations")
    for name in ("minigpt", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    for path in ROOT.iterdir():
        if not (folder / path.name).exists() and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    return folder


class QuickFirst:
    """For pytest: the control run writes down how long each test takes; with a mistake the quick tests come first."""

    def __init__(self, path: Path):
        self.path, self.found = path, {}
        self.known = json.loads(path.read_text()) if path.exists() else {}

    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: sum(self.known.get(item.nodeid, 0) > limit for limit in (0.02, 0.2, 1, 5)))

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.found[report.nodeid] = report.duration

    def pytest_sessionfinish(self):
        if not self.path.exists():
            self.path.write_text(json.dumps(self.found))


def test(folder: Path, mistake: planted.Mistake) -> None:
    """In a process of its own: run the tests of the changed copy; the exit status says whether they passed."""
    with open(folder / "output.txt", "w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used + LIMIT, used + LIMIT + 10))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background a shell ignores Ctrl-C
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    import pytest

    wanted = planted.files(mistake.module)
    quiet = ["-x", "-q", "-p", "no:nbval", "-p", "no:cacheprovider", "--doctest-modules"]
    seconds = QuickFirst(folder.parent / f"{mistake.module}.json")
    os._exit(int(pytest.main([mistake.path, *wanted, *quiet], plugins=[seconds])))


def change(folder: Path, mistake: planted.Mistake, right: Path) -> None:
    """Write the mistake into the copy; `right` is a copy that stays right."""
    path = folder / mistake.path
    text = (right / mistake.path).read_text(encoding="utf-8")
    if mistake.old and text.count(mistake.old) != 1:
        raise SystemExit(f"{mistake.path}: {mistake.old!r} must stand there exactly once")
    path.write_text(text.replace(mistake.old, mistake.new) if mistake.old else text, encoding="utf-8")


def run(mistakes: list[planted.Mistake], jobs: int) -> dict[planted.Mistake, bool]:
    """Whether each mistake was caught."""
    for name in (
        "numpy",
        "torch",
        "scipy.stats",
        "matplotlib.pyplot",
        "tiktoken",
        "pytest",
    ):  # imported once; the processes inherit them
        __import__(name)
    fork, caught, waiting, running = multiprocessing.get_context("fork"), {}, list(mistakes), {}
    passed = set()  # modules whose tests have passed with nothing changed: only then do their mistakes begin
    here = commit()
    with tempfile.TemporaryDirectory() as scratch:
        right = copy(Path(scratch) / "right")  # taken now, so that editing goes on while this runs
        free = [copy(Path(scratch) / str(i)) for i in range(jobs)]
        while waiting or running:
            while free and (ready := [m for m in waiting if not m.old or m.module in passed]):
                mistake, folder = ready[0], free.pop()
                waiting.remove(mistake)
                change(folder, mistake, right)
                process = fork.Process(target=test, args=(folder, mistake))
                process.start()
                running[process] = mistake, folder, time.monotonic()
            time.sleep(0.05)
            for process, (mistake, folder, start) in list(running.items()):
                seconds = time.monotonic() - start
                if process.is_alive() and seconds < PATIENCE:
                    continue
                if process.is_alive():
                    process.kill()
                process.join()
                if process.exitcode not in ENDS:
                    raise SystemExit(
                        f"the tests of {mistake.module} did not run ({process.exitcode}):\n"
                        + (folder / "output.txt").read_text()[-4000:]
                    )
                caught[mistake] = ENDS[process.exitcode]
                if caught[mistake] and not mistake.old:
                    raise SystemExit(
                        f"the tests of {mistake.module} fail although nothing was changed:\n"
                        + (folder / "output.txt").read_text()[-4000:]
                    )
                shutil.copy(right / mistake.path, folder / mistake.path)
                free.append(folder)
                del running[process]
                if mistake.old:
                    keep(mistake, "caught" if caught[mistake] else "survived", here)
                else:
                    passed.add(mistake.module)
                said = "caught  " if caught[mistake] else "SURVIVED" if not mistake.reason else "survived"
                what = f"{mistake.old!r} -> {mistake.new!r}" if mistake.old else "nothing changed, and all is well"
                print(f"{said if mistake.old else 'passed  '} {seconds:5.1f} s  {mistake.module}: {what}", flush=True)
    return caught


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="such as attention or exact.entropy; all if none is named")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--missing", action="store_true", help="only those that results.csv does not know")
    options = parser.parse_args()
    known = results() if options.missing else {}
    chosen = [m for m in planted.MISTAKES if not options.modules or m.module in options.modules]
    mistakes = [m for m in chosen if m[:3] not in known]
    order = []  # module by module, each first with nothing changed: what is stopped early has tried some of them whole
    for module in {m.module: None for m in mistakes}:
        order.append(planted.Mistake(module, "", "", "nothing is changed"))
        order += [m for m in mistakes if m.module == module]
    caught = run(order, options.jobs)
    survived = [m for m in mistakes if not caught[m]]
    print(f"{len(mistakes) - len(survived)} of {len(mistakes)} planted mistakes caught")
    tried, lost = results(), [row for row in results().values() if row["outcome"] == "survived"]
    print(f"in all: {len(tried)} of {len(planted.MISTAKES)} tried, {len(tried) - len(lost)} of them caught")
    for mistake in survived:
        print(f"survived: {mistake.module}: {mistake.old!r} -> {mistake.new!r}  {mistake.reason or 'NO REASON GIVEN'}")
    return int(any(not mistake.reason for mistake in survived))


if __name__ == "__main__":
    sys.exit(main())
