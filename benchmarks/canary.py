"""Are the stored tables still true? A canary is some numbers from a few seconds of an experiment's own code.

    python benchmarks/canary.py                        compute every canary and compare with data/measured/*.json
    python benchmarks/canary.py gpt4_exam gpt3_bias    only these
    python benchmarks/canary.py gpt4_exam --store      keep the new numbers (only after a table was measured again)

A table of data/measured takes minutes to hours to measure. Each script that makes one has a function canary() that
returns numbers from the same code: first losses, a floor, the scores of a model that has hardly learned, the sum of
the learning rates over the whole schedule, one evaluation late in a short run. As long as they stay the same (to
1e-4), a change of the code has not changed the experiment. They say nothing of what only long training shows: before
a release one seed of each table is measured again.
"""

import argparse
import functools
import importlib
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from minigpt import train
from minigpt.batches import DocumentBatches
from minigpt.experiments import dataset, measured, sizes
from minigpt.model import GPT

HERE = Path(__file__).parent
TOLERANCE = 1e-4  # of the number, or of 1 if it is smaller than that


def first_losses(model, batches, config, loss_fn=train.next_token_loss, n: int = 5, seed: int = 0) -> dict[str, float]:
    """The first n training losses, the norm of the weights after them, and the sum of the whole schedule's rates."""
    records = train.train(model, batches, config, loss_fn, torch.Generator().manual_seed(seed))
    found = {f"loss {record.step}": record.loss for _, record in zip(range(n), records)}
    found["weights"] = sum(p.detach().double().norm().item() for p in model.parameters())
    found["sum of rates"] = sum(train.learning_rate(step, config) for step in range(1, config.n_steps + 1))
    model.eval()
    return found


@functools.cache
def library(n_documents: int = 300, n_held_out: int = 20):
    """A small storybook, for the experiments that train on stories."""
    return dataset.story_dataset(n_documents, n_held_out)


@functools.cache
def gpt1(n_steps: int = 12):
    """The book's GPT-1 after a few steps on the small storybook, for what a trained model is asked afterwards."""
    gpt = GPT(sizes.GPT1, torch.Generator().manual_seed(0))
    batches = DocumentBatches(library().corpus, library().tokenizer, dataset.N_CTX, 512, 0)
    config = train.TrainConfig(n_steps=n_steps, lr=3e-3, warmup_steps=2, betas=(0.9, 0.98))
    for _ in train.train(gpt, batches, config):
        pass
    return gpt.eval()


def names() -> list[str]:
    """Every table of data/measured."""
    return sorted(path.stem for path in measured.FOLDER.glob("*.csv"))


def compute(name: str) -> dict[str, float]:
    """The canary of one table, as plain numbers of six digits."""
    sys.path.insert(0, str(HERE))
    try:
        values = importlib.import_module(name).canary()
    finally:
        sys.path.remove(str(HERE))
    found = {key: float(f"{float(value):.6g}") for key, value in values.items()}
    if not found or not np.isfinite(list(found.values())).all():
        raise ValueError(f"expected finite numbers from the canary of {name}; got {found}")
    return found


def changed(stored: dict[str, float], found: dict[str, float]) -> list[str]:
    """What differs, in words: nothing if the canary sings as it did."""
    lines = [f"{key}: only {'before' if key in stored else 'now'}" for key in sorted(stored.keys() ^ found.keys())]
    for key in stored.keys() & found.keys():
        if abs(stored[key] - found[key]) > TOLERANCE * max(1.0, abs(stored[key])):
            lines.append(f"{key}: {stored[key]:.6g} became {found[key]:.6g}")
    return lines


def main(argv: list[str]) -> int:
    """Compute, compare, and keep if asked to: 0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--store", action="store_true", help="keep the new numbers")
    options = parser.parse_args(argv)
    failed = 0
    for name in options.names or names():
        start = time.perf_counter()
        found, stored = compute(name), measured.about(name).get("canary")
        lines = changed(stored["values"], found) if stored else ["not stored yet"]
        print(f"{name:22s} {time.perf_counter() - start:4.1f} s  {'; '.join(lines) or 'same'}", flush=True)
        failed += bool(lines)
        if options.store and lines:
            measured.keep_canary(name, found)
    return 0 if options.store else int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
