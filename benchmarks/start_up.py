"""Start-up: what does importing the package cost beyond torch, in seconds and in memory?

Each time in a process of its own, which first imports numpy and torch, and then, with the clock running, the package.

    python benchmarks/start_up.py
"""

import statistics
import subprocess
import sys

from side_by_side import ROOT, Row

MODULES = "minigpt.model, minigpt.train, minigpt.sample, minigpt.loss, minigpt.transforms, minigpt.ppo"
ASK = f"""
import pathlib, resource, sys, time
import numpy, torch
start = time.perf_counter()
import minigpt, {MODULES}
seconds = time.perf_counter() - start
status = pathlib.Path("/proc/self/status")  # of this program; ru_maxrss on Linux begins with what its parent had
words = status.read_text().split() if status.exists() else []
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(seconds, int(words[words.index("VmHWM:") + 1]) * 1024 if "VmHWM:" in words else peak)
"""


def start() -> tuple[float, float]:
    """Seconds of the import in a fresh process, and the most memory that it had, in bytes."""
    done = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def measure(tiny: bool = False) -> list[Row]:
    found = [start() for _ in range(1 if tiny else 8)][0 if tiny else 1 :]  # the first reads the files from the disk
    seconds, memory = map(list, zip(*found))
    return [
        Row("importing the reference package, beyond numpy and torch", statistics.median(seconds), "s", goal=0.1,
            low=min(seconds), high=max(seconds)),
        Row("memory of a process that has imported it", max(memory) / 1e9, "GB", goal=1.5),
    ]  # fmt: skip


if __name__ == "__main__":
    for row in measure():
        print(row)
