"""Start-up: what does importing the package cost beyond torch, in seconds and in memory?

Each import runs in a process of its own, in turn.

    python benchmarks/start_up.py
"""

import statistics
import subprocess
import sys

from side_by_side import ROOT, Row

ASK = """
import resource, sys, time
start = time.perf_counter()
{imports}
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, elsewhere thousands
print(time.perf_counter() - start, memory * (1 if sys.platform == "darwin" else 1024))
"""
MODULES = "import minigpt, minigpt.model, minigpt.train, minigpt.sample, minigpt.loss, minigpt.transforms, minigpt.ppo"


def start(imports: str) -> tuple[float, float]:
    """Seconds of some imports in a fresh process, and the most memory it had, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(imports=imports)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def measure(tiny: bool = False) -> list[Row]:
    rounds = 1 if tiny else 7
    pairs = [(start("import numpy, torch"), start(f"import numpy, torch\n{MODULES}")) for _ in range(rounds)]
    more = [ours[0] - alone[0] for alone, ours in pairs]
    memory = max(ours[1] for _, ours in pairs)
    return [
        Row("importing the reference package, beyond numpy and torch", statistics.median(more), "s", goal=0.1,
            low=min(more), high=max(more)),
        Row("memory of a process that has imported it", memory / 1e9, "GB", goal=1.5),
    ]  # fmt: skip


if __name__ == "__main__":
    for row in measure():
        print(row)
