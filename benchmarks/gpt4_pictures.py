"""Does an image help, and what can be told without one? Three seeds, with the picture and blind.

    python benchmarks/gpt4_pictures.py              all seeds (two minutes each on one core)
    python benchmarks/gpt4_pictures.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_pictures.csv, a row for each seed, model and kind of question: the share of right answers to
1,000 new pictures, at the end of training. Chapter 05 reads the file.
"""

import os
import sys
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from minigpt import train, vision
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import visual_questions
from minigpt.model import GPT
from minigpt.worlds import shapes

SEEDS = [0, 1, 2]
MODELS = (("sees", False), ("blind", True))
KEY = ("seed", "model", "kind")

def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        rows = []
        for name, blind in MODELS:
            seer = visual_questions.train_vqa(seed, blind)
            for kind, share in zip(shapes.KINDS, seer.accuracy[-1]):
                rows.append(dict(zip(KEY, (seed, name, kind))) | {"accuracy": f"{share:.4f}"})
        measured.keep("gpt4_pictures", rows, KEY)
        print(seed, *(f"{r['model']} {r['kind']} {r['accuracy']}" for r in rows), sep="; ", flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The accuracies are those of a fixed table of guesses: a model that has hardly learned has too many ties.
    """
    found, tried = {}, visual_questions.held_out_pictures(200)
    kinds, rows = np.array([question.kind for question in tried.questions]), np.arange(200)
    for name, blind in MODELS:
        model, numbers = barely_trained(SEEDS[1], blind)
        said = visual_questions.says(model, None if blind else tried.images, tried.ids)
        numbers |= {f"logp, {kind}": np.log(said[rows, tried.answers])[kinds == kind].mean() for kind in shapes.KINDS}
        numbers |= visual_questions.accuracy(guesses, tried, blind)
        found |= {f"{name}: {key}": value for key, value in numbers.items()}
    found["sum of rates"] = sum(train.learning_rate(step, visual_questions.TRAINING) for step in range(visual_questions.N_STEPS))
    everything = visual_questions.held_out_pictures()
    found |= {"pixels": everything.images.mean(dtype=float), "answers": everything.answers.mean()}
    return found | {"seeds": len(SEEDS)} | {f"guess, {kind}": p for kind, p in shapes.blind_guess().items()}


def barely_trained(seed: int, blind: bool = False, n_steps: int = 12) -> tuple[vision.VisionGPT, dict[str, float]]:
    """The model of `seeing.train_seer` after a few steps at its own rate, and its first losses."""
    from minigpt.experiments.canaries import first_losses

    generator = torch.Generator().manual_seed(seed)
    model = vision.VisionGPT(GPT(visual_questions.GPT_CONFIG, generator), visual_questions.PATCH, generator)
    config = replace(visual_questions.TRAINING, n_steps=n_steps, warmup_steps=2)
    return model, first_losses(model, visual_questions.FreshPictures(seed, blind), config, visual_questions.answer_loss, n=n_steps)


def guesses(images: torch.Tensor | None, ids: torch.Tensor) -> torch.Tensor:
    """A model whose answers are a fixed matter of the words, and of how bright the picture is."""
    n = len(shapes.vocabulary())
    table = torch.randn(2, n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = table[0, ids].sum(dim=1, keepdim=True)
    return logits if images is None else logits + 9 * images.double().mean(dim=(1, 2, 3))[:, None, None] * table[1, 0]


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
