"""What is a small clean source worth beside a large noisy one? GPT-2 of width 64 on mixtures with five weights.

    python benchmarks/gpt3_mixture.py              all seeds (ten minutes on one core)
    python benchmarks/gpt3_mixture.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_mixture.csv, a row for each seed and weight of the clean source: its share among the documents
drawn, the epochs of both sources, and the loss on clean held-out documents above the floor, as a share of it.
Chapter 03 reads the file.
"""

import contextlib
import os
import sys
from dataclasses import replace
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from minigpt import batches
from minigpt.experiments import canaries, dataset, measured, pretraining
from minigpt.experiments.canaries import library as small_storybook
from minigpt.experiments.gpt3 import compute, data_mixture
from minigpt.experiments.sizes import gpt2, gpt2_training

SEEDS = [0, 1, 2]
KEY = ("seed", "clean_weight")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for weight in data_mixture.CLEAN_WEIGHTS:
            library, order = data_mixture.mixed(weight, seed)
            gap = compute.loss_above_floor(read(library, seed), library)
            row = dict(zip(KEY, (seed, weight)), gap=f"{gap:.4f}", share=f"{order.shares[1]:.4f}")
            row |= {f"{name}_epochs": f"{e:.3f}" for name, e in zip(("crawl", "clean"), order.epochs)}
            measured.keep("gpt3_mixture", [row], KEY)
            print(row, flush=True)


def read(library: dataset.Dataset, seed: int) -> pretraining.Pretrained:
    """A GPT-2 of width 64 that has read a mixture once."""
    return pretraining.pretrain(library, gpt2(64), seed, training=gpt2_training(64))


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    found = {}
    sizes = [data_mixture.N_CRAWL, data_mixture.N_CLEAN]
    for weight in data_mixture.CLEAN_WEIGHTS:
        order = batches.mixture_order(sizes, [1 - weight, weight], data_mixture.N_READ, np.random.default_rng(0))
        found[f"{weight}, whole epochs"] = canaries.checksum(order.epochs)
        with short_sources() as asked:
            library, order = data_mixture.mixed(weight, 0)
        found[f"{weight}, clean documents"] = canaries.checksum(asked[0])
        found[f"{weight}, share"] = order.shares[1]
        found[f"{weight}, epochs"] = canaries.checksum(order.epochs)
        found[f"{weight}, ids"] = library.corpus.ids.astype(float).mean()
        if weight not in data_mixture.CLEAN_WEIGHTS[1::2]:
            continue
        library = canaries.part(library, len(library.documents))
        run, numbers = canaries.trained(lambda library=library: read(library, 0))
        found |= canaries.under(f"{weight}", numbers) | {f"{weight}, gap": compute.loss_above_floor(run, library)}
    whole = canaries.part(library, data_mixture.N_READ)
    return found | {"floor": library.floor.mean, "sum of rates": canaries.rates(lambda: read(whole, 0))}


@contextlib.contextmanager
def short_sources():
    """Inside, both sources have far fewer documents. Gives the arguments of classroom.storybook."""
    asked, small = [], small_storybook()

    def storybook(*numbers):
        asked.append((data_mixture.N_CLEAN, *numbers[1:]))
        return replace(small, documents=small.documents[: numbers[0]])

    sizes = {name: getattr(data_mixture, name) // by for name, by in (("N_CRAWL", 400), ("N_CLEAN", 50), ("N_READ", 400))}
    with mock.patch.multiple(data_mixture, **sizes), mock.patch.object(dataset, "story_dataset", storybook):
        yield asked


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
