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

from minigpt import classroom, decoding, overlap, zeroshot

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "setting", "quantity")
WRITTEN = ("temperature 0", "temperature 0.7", "temperature 1", "temperature 1.5", "top-k 2", "top-k 10", "top-p 0.9")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    library = classroom.storybook()
    cuts, openings = decoding.prefixes(library, 300), decoding.openings(library, 100)
    truth = decoding.distances(None, library, cuts)
    stories = [text for text in library.held_out if text.startswith(tuple(openings))]
    for seed in seeds:
        gpt = zeroshot.pretrain(library, seed=seed).model
        found = {(name, "truth"): value for name, value in truth.items()}
        found |= {(name, "model"): value for name, value in decoding.distances(gpt, library, cuts).items()}
        for name, value in decoding.quality(stories, library).items():
            found["real", name] = value
        for setting in WRITTEN:
            texts = decoding.write(gpt, library, openings, seed, **decoding.SETTINGS[setting])
            for name, value in decoding.quality(texts, library).items():
                found[setting, name] = value
        rows = [dict(zip(KEY, (seed, *where)), value=f"{value:.4f}") for where, value in found.items()]
        classroom.keep_measured("gpt2_sampling", rows, KEY, also=(decoding, overlap, zeroshot))
        print(seed, {k: round(v, 3) for k, v in found.items() if k[1] in ("possible", "alike")}, flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
