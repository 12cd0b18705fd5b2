"""What does a model learn by heart? Forty test documents planted in the training text 1, 4, 16 or 64 times.

    python benchmarks/gpt2_memorisation.py              all seeds (five minutes on one core)
    python benchmarks/gpt2_memorisation.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt2_memorisation.csv, a row for each seed and number of times (0: not planted): the model's nats
per token, the exact ones, the mean share of 8-grams that also stand in the training text, and the number of documents
that the model finds less surprising than the best possible reader who has not seen them. Chapter 02 reads the file.
"""

import os
import sys
from dataclasses import replace
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from minigpt import contamination
from minigpt.experiments import dataset, measured, pretraining
from minigpt.experiments.gpt2 import memorisation

SEEDS = [0, 1, 2]
KEY = ("seed", "times")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        library, times = memorisation.planted(seed)
        rows = measure(library, times, memorisation.train_on_planted(library, seed).model, seed)
        measured.keep("gpt2_memorisation", rows, KEY)
        print(*rows, sep="\n", flush=True)


def measure(library, times, model, seed: int) -> list[dict]:
    """The rows of one seed: a row for each number of times."""
    nats, exact, n_tokens = pretraining.held_out_nats(model, library), library.held_out_nats, library.held_out_tokens
    seen = contamination.known(library.documents)
    shares = np.array([contamination.share(text, seen) for text in library.held_out])
    rows = []
    for n in (0, *memorisation.TIMES):
        here = times == n
        total = n_tokens[here].sum()
        rows.append(dict(zip(KEY, (seed, n)), documents=int(here.sum()), tokens=int(total),
                         nats=f"{nats[here].sum():.3f}", exact=f"{exact[here].sum():.3f}",
                         overlap=f"{shares[here].mean():.4f}", below=int((nats < exact)[here].sum())))  # fmt: skip
    return rows


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    asked = mock.Mock(return_value=stories(10, times=1))
    with few_updates() as found, mock.patch.object(dataset, "story_dataset", asked):
        library, times = memorisation.planted(0)
        model = memorisation.train_on_planted(library, 0).model
    found |= {f"documents asked for {i}": n for i, n in enumerate(asked.call_args.args)}
    found |= {"documents": len(library.documents), "planted": np.dot(times, np.arange(len(times)))}
    some = replace(library, documents=library.documents[:300])
    for row in measure(some, np.resize((0, *memorisation.TIMES), 10), model, 0):
        found |= {f"{row['times']} times, {name}": float(row[name]) for name in list(row)[len(KEY) :]}
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
