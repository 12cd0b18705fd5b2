"""One exam in seven languages: the score against the share of the training text, five seeds.

    python benchmarks/gpt4_exam.py              all seeds (ten seconds each on one core)
    python benchmarks/gpt4_exam.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_exam.csv, a row for each seed and language: its share of the training text, its kinship with
the first language, and the share of right answers among four choices. Chapter 05 reads the file.
"""

import os
import sys
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from minigpt import train
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import languages_exam
from minigpt.model import GPT
from minigpt.worlds import languages

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "language")

def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        model, world = languages_exam.train_student(seed)
        found = languages_exam.scores(model, world)
        rows = [
            {
                "seed": seed,
                "language": each.name,
                "share": each.share,
                "kin": each.kin,
                "score": f"{found[each.name]:.4f}",
            }
            for each in world.languages
        ]
        measured.keep("gpt4_exam", rows, KEY)
        print(seed, {name: round(score, 2) for name, score in found.items()}, flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The accuracies are those of a fixed table of guesses: a model that has hardly learned has too many ties.
    """
    from minigpt.experiments.canaries import first_losses

    world, config = languages.world(SEEDS[1]), languages_exam.TRAINING
    model = GPT(languages_exam.model_config(world), torch.Generator().manual_seed(SEEDS[1]))
    short = replace(config, n_steps=12, warmup_steps=2)
    found = first_losses(model, languages_exam.Texts(world, SEEDS[1]), short, n=12)
    found["sum of rates"] = sum(train.learning_rate(step, config) for step in range(languages_exam.N_STEPS))
    table = torch.randn(world.n_vocab, world.n_vocab, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def guesses(ids):
        return torch.cumsum(table[ids], dim=1)

    rates = languages_exam.scores(guesses, world)
    for number, language in enumerate(world.languages):
        questions, choices = (torch.from_numpy(each) for each in world.exam(number, np.random.default_rng(number)))
        with torch.no_grad():
            logps = model(questions)[:, -1].double().log_softmax(dim=1).gather(1, choices)
        found |= {f"share, {language.name}": language.share, f"kin, {language.name}": language.kin}
        found |= {f"guessed, {language.name}": rates[language.name]}
        found |= {f"logp {i}, {language.name}": x for i, x in enumerate(logps.mean(dim=0).tolist())}
    return found | {"seeds": len(SEEDS), "told": sum(world.seen(languages_exam.BATCH * languages_exam.N_STEPS).values())}


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
