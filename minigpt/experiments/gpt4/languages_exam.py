"""Chapter 05: an exam in several languages. Does a good score in a language mean much training text in it?

Classroom: the languages of `tongues`, the network of `model`, the loop of `train`.
"""

from dataclasses import dataclass

import numpy as np
import torch

from minigpt import train
from minigpt.experiments.training import train_or_load
from minigpt.model import GPT, GPTConfig
from minigpt.train import TrainConfig
from minigpt.worlds import languages
from minigpt.worlds.languages import World

BATCH, N_STEPS = 32, 260  # 200,000 tokens: enough for the first language, too little for the rare ones
TRAINING = TrainConfig(n_steps=N_STEPS, lr=5e-3, warmup_steps=13, final_lr_fraction=0.02, betas=(0.9, 0.98))


def model_config(world: World) -> GPTConfig:
    """The student: two blocks, 64 wide."""
    return GPTConfig(
        n_vocab=world.n_vocab, n_ctx=3 * languages.N_FACTS, n_layers=2, n_heads=4, d_model=64, norm="pre",
        init="width", init_std=0.125, position_init="sinusoid",
    )  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """Fresh texts; batch `step` depends on its number and on the seed alone."""

    world: World
    seed: int

    def __len__(self) -> int:
        return N_STEPS

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        texts = self.world.draw(BATCH, np.random.default_rng([self.seed, step]))
        return texts[:, :-1], texts[:, 1:]


def train_student(seed: int = 0) -> tuple[GPT, World]:
    """A model that has read texts in all languages, and its world; trained now, or read from the cache."""
    world = languages.world(seed)
    model = GPT(model_config(world), torch.Generator().manual_seed(seed))

    def begin(state):
        return train.train(model, Texts(world, seed), TRAINING, state=state)

    key = {"seed": seed, "training": TRAINING, "model": model.config}
    train_or_load("exam", key, model, begin, N_STEPS, label="reading in seven languages")
    return model, world


@torch.no_grad()
def scores(model: GPT, world: World) -> dict[str, float]:
    """The share of right answers in each language: the likeliest of four choices. Chance is 1/4."""
    found = {}
    for number, language in enumerate(world.languages):
        questions, choices = world.exam(number, np.random.default_rng(number))
        logits = model(torch.from_numpy(questions))[:, -1]
        picked = logits.gather(1, torch.from_numpy(choices)).argmax(dim=1)
        found[language.name] = (picked == 0).double().mean().item()
    return found
