"""Cost as a function of size: seconds of a training step when width, depth, context or batch grows.

One grows at a time. Beside each measured growth is that of the counted operations (minigpt.scaling). Where a step
is dominated by fixed costs (starting some hundred operations), time grows less than the count; where the arithmetic
dominates, it follows the count; where the numbers no longer fit into the processor's cache, it grows more.

    python benchmarks/cost_by_size.py
"""

import statistics

import torch
from side_by_side import Row, in_turn
from training_step import Batches, config, flops_per_step, updates

from minigpt import attention
from minigpt.model import GPT

BASE = {"d": 64, "n_layers": 2, "context": 64, "rows": 8}
GROWTH = {"d": (32, 64, 128, 256), "n_layers": (1, 2, 4, 8), "context": (32, 64, 128, 256), "rows": (2, 8, 32, 128)}
WORDS = {"d": "width", "n_layers": "blocks", "context": "context", "rows": "texts in a batch"}


def step_of(d: int, n_layers: int, context: int, rows: int):
    """An update of that size as a function, and its counted operations."""
    model = GPT(config(n_layers, d, n_heads=4, context=context), torch.Generator().manual_seed(0))
    attention.use_fused(model, True)
    records = updates(model, Batches(2, context, rows))
    return lambda: next(records), flops_per_step(model, rows, context)


def measure(tiny: bool = False) -> list[Row]:
    found = []
    for name, values in GROWTH.items():
        values = values[:2] if tiny else values
        acts, counts = zip(*(step_of(**BASE | {name: value}) for value in values))
        times = in_turn(dict(zip(values, acts)), 1 if tiny else 7)
        for small, large, fewer, more in zip(values, values[1:], counts, counts[1:]):
            growth = statistics.median(b / a for a, b in zip(times[small], times[large], strict=True))
            found.append(Row(f"a step with {WORDS[name]} {large} instead of {small}", growth, "times as long",
                             note=f"{more / fewer:.1f} times as many operations"))  # fmt: skip
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    for row in measure():
        print(row)
