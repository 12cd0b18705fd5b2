"""Many processes: how many times the tokens per second do two processes of one thread make of one process?

Both train the model of the training benchmark with the package's loop; two processes share each batch, and add their
gradients (DistributedDataParallel over gloo). Batches are large, so that there is something to share. It needs two idle
cores: on a busy computer the second process finds none, and the ratio says so.

    python benchmarks/two_processes.py
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import ROOT, Row, ratio

ROWS = 96


def work(steps: int, out: Path) -> None:
    """What each process does: the seconds of each update go into a file, written by the first one."""
    import torch
    from training_step import Batches, config, updates

    from minigpt import attention, devices
    from minigpt.model import GPT

    torch.set_num_threads(1)
    with devices.joined():
        model = GPT(config(), torch.Generator().manual_seed(0))
        attention.use_fused(model, True)
        records, times = updates(devices.parallel(model), Batches(4, rows=ROWS)), []
        for _ in range(steps + 2):
            start = time.perf_counter()
            next(records)
            times.append(time.perf_counter() - start)
        if devices.rank() == 0:
            out.write_text(json.dumps(times[2:]))


def run(n: int, steps: int) -> list[float]:
    """Seconds of each update with n processes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "times.json"
        words = [str(Path(__file__).resolve()), "--work", str(steps), "--out", str(out)]
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}", *words]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parent, env=environment)
        return json.loads(out.read_text())


def measure(tiny: bool = False) -> list[Row]:
    one, two = [], []
    for _ in range(1 if tiny else 3):
        one += run(1, 1 if tiny else 8)
        two += run(2, 1 if tiny else 8)
    note = f"{os.cpu_count()} cores" + (", busy with other work" if _busy() else "")
    return [ratio("training with two processes, beside one", one, two, goal=1.7, note=note)]


def _busy() -> bool:
    try:
        return os.getloadavg()[1] > 2.6  # of the last five minutes, ours included
    except (AttributeError, OSError):
        return False


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=int, help="(used by itself) be one of the processes, for so many updates")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.work is None:
        for row in measure():
            print(row)
    else:
        work(args.work, args.out)
