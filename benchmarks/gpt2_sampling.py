"""What do temperature, top-k and top-p do to the truth, and to a model of it? Five seeds of the book's GPT-2.

    python benchmarks/gpt2_sampling.py              all seeds (minutes, if the models are in the cache)
    python benchmarks/gpt2_sampling.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt2_sampling.csv, a row for each seed, setting and quantity: "truth" and "model", the mean total
variation from the exact next-token distribution over 300 beginnings; and what can be said of 100 documents written
with some of the settings (see `decoding.quality`). Chapter 02 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt.experiments import dataset
from minigpt.experiments.gpt2 import decoding, zero_shot
from minigpt.experiments.measured import keep

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "setting", "quantity")
WRITTEN = ("temperature 0", "temperature 0.7", "temperature 1", "temperature 1.5", "top-k 2", "top-k 10", "top-p 0.9")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    library = dataset.story_dataset()
    cuts, openings = decoding.prefixes(library, 300), decoding.openings(library, 100)
    fixed = of_the_truth(library, cuts, openings)
    for seed in seeds:
        gpt = zero_shot.pretrain(library, seed=seed).model
        found = fixed | of_the_model(gpt, library, cuts)
        for setting in WRITTEN:
            texts = decoding.generate_stories(gpt, library, openings, seed, **decoding.SETTINGS[setting])
            found |= {(setting, name): value for name, value in decoding.quality(texts, library).items()}
        rows = [dict(zip(KEY, (seed, *where)), value=f"{value:.4f}") for where, value in found.items()]
        keep("gpt2_sampling", rows, KEY)
        print(seed, {k: round(v, 3) for k, v in found.items() if k[1] in ("possible", "alike")}, flush=True)


def of_the_truth(library, cuts: list[str], openings: list[str]) -> dict[tuple[str, str], float]:
    """What is the same for all seeds: the settings applied to the truth, and the real stories."""
    found = {(name, "truth"): value for name, value in decoding.distances(None, library, cuts).items()}
    stories = [text for text in library.held_out if text.startswith(tuple(openings))]
    return found | {("real", name): value for name, value in decoding.quality(stories, library).items()}


def of_the_model(gpt, library, cuts: list[str]) -> dict[tuple[str, str], float]:
    """The settings applied to a model."""
    return {(name, "model"): value for name, value in decoding.distances(gpt, library, cuts).items()}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories, sum_of_tokens

    library = stories(4)
    cuts, openings = decoding.prefixes(library, 3), decoding.openings(library, 2)
    with few_updates() as found:
        gpt = zero_shot.pretrain(library, seed=0).model
    measured = of_the_truth(library, cuts, openings) | of_the_model(gpt, library, cuts)
    for setting in WRITTEN[1::2]:
        texts = decoding.generate_stories(gpt, library, openings[:1], 0, **decoding.SETTINGS[setting])
        measured[setting, "tokens"] = sum_of_tokens(texts)
        texts.append(next(text for text in library.held_out if text.startswith(openings[0])))
        measured |= {(setting, name): value for name, value in decoding.quality(texts, library).items()}
    found["settings written"] = sum(i * len(setting) for i, setting in enumerate(WRITTEN))
    return found | {f"{setting}, {name}": value for (setting, name), value in measured.items()}


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
