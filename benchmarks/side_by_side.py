"""Two ways to do one thing, measured in turn in one run: what all benchmarks share.

A time in seconds belongs to one computer on one day. A ratio of two times that were measured in turn belongs to the two
programs: whatever else the computer does disturbs both alike. So each round runs every side once, and what is reported
is the median over the rounds of the ratio within a round, with its quartiles.
"""

import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Row:
    """One number of a benchmark: usually a ratio, larger is better."""

    what: str
    value: float
    unit: str = "×"  # "×": how many times as fast as the other side
    low: float | None = None  # quartiles over the rounds
    high: float | None = None
    goal: float | None = None  # the least that was aimed at, or for another unit than × the most
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal was met; None without a goal."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.unit in ("×", "share") else self.value <= self.goal

    def plain(self) -> dict:
        """The row for JSON."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


def in_turn(sides: dict[str, Callable[[], None]], rounds: int, clock=time.perf_counter) -> dict[str, list[float]]:
    """Seconds of each side in each round; each side runs once before, which is not counted."""
    for act in sides.values():
        act()
    times = {name: [] for name in sides}
    for _ in range(rounds):
        for name, act in sides.items():
            start = clock()
            act()
            times[name].append(clock() - start)
    return times


def ratio(what: str, others: list[float], ours: list[float], goal: float | None = None, note: str = "") -> Row:
    """How many times as fast ours is as the other side: median and quartiles of the ratios within a round."""
    ratios = sorted(a / b for a, b in zip(others, ours, strict=True))
    low, high = (ratios[0], ratios[-1]) if len(ratios) < 4 else statistics.quantiles(ratios, n=4)[::2]
    return Row(what, statistics.median(ratios), low=low, high=high, goal=goal, note=note)


def circumstances() -> dict:
    """Where and when: processor, versions, commit, date. No names of computers or folders."""
    git = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    versions = {}
    for name in ("torch", "numpy", "transformers", "tokenizers", "tiktoken"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": date.today().isoformat(), "commit": git.stdout.strip() or "unknown", "processor": _processor(),
        "python": platform.python_version(), "versions": versions,
    }  # fmt: skip


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
