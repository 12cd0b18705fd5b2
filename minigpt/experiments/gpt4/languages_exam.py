"""Chapter 06, section 4. Multilingual exam: the score in a language against its share of the training text.

After the GPT-4 report, figure 5 (MMLU in many languages). The seven made-up languages are those of worlds/languages.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from minigpt import train
from minigpt.experiments.canaries import first_losses
from minigpt.experiments.training import train_or_load
from minigpt.model import GPT, GPTConfig
from minigpt.train import TrainConfig
from minigpt.worlds import languages
from minigpt.worlds.languages import World

SEEDS, KEY = (0, 1, 2, 3, 4), ("seed", "language")
BATCH, N_STEPS = 32, 260  # 200,000 tokens: enough for the first language, too little for the rare ones
TRAINING = TrainConfig(n_steps=N_STEPS, lr=5e-3, warmup_steps=13, final_lr_fraction=0.02, betas=(0.9, 0.98))


def model_config(world: World) -> GPTConfig:
    """Configuration of the model: two blocks, 64 wide."""
    return GPTConfig(
        n_vocab=world.n_vocab, n_ctx=3 * languages.N_FACTS, n_layers=2, n_heads=4, d_model=64, norm="pre",
        init="width", init_std=0.125, position_init="sinusoid",
    )  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """Training batches, each of new texts: batch `step` depends on its number and on the seed alone."""

    world: World
    seed: int

    def __len__(self) -> int:
        return N_STEPS

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        texts = self.world.draw(BATCH, np.random.default_rng([self.seed, step]))
        return texts[:, :-1], texts[:, 1:]


def train_model(seed: int = 0) -> tuple[GPT, World]:
    """A model trained on texts in all seven languages, and its world; trained now, or loaded from the cache."""
    world = languages.draw_world(seed)
    model = GPT(model_config(world), torch.Generator().manual_seed(seed))

    def begin(state):
        return train.train(model, Texts(world, seed), TRAINING, state=state)

    key = {"seed": seed, "training": TRAINING, "model": model.config}
    train_or_load("languages-exam", key, model, begin, N_STEPS, label="reading in seven languages")
    return model, world


@torch.no_grad()
def scores(model: GPT, world: World) -> dict[str, float]:
    """Accuracy in each language: the likeliest of four choices. Chance is 1/4."""
    found = {}
    for number, language in enumerate(world.languages):
        questions, choices = world.exam(number, np.random.default_rng(number))
        logits = model(torch.from_numpy(questions))[:, -1].cpu()
        picked = logits.gather(1, torch.from_numpy(choices)).argmax(dim=1)
        found[language.name] = (picked == 0).double().mean().item()
    return found


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: each language, its share of the training text, its kinship with the first, the score."""
    model, world = train_model(seed)
    found = scores(model, world)
    for each in world.languages:
        yield {
            "seed": seed, "language": each.name, "share": each.share, "kin": each.kin,
            "score": f"{found[each.name]:.4f}",
        }  # fmt: skip


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The accuracies are those of a fixed table of guesses: a model that has hardly learned has too many ties.
    """
    world = languages.draw_world(SEEDS[1])
    model = GPT(model_config(world), torch.Generator().manual_seed(SEEDS[1]))
    short = replace(TRAINING, n_steps=12, warmup_steps=2)
    found = first_losses(model, Texts(world, SEEDS[1]), short, n=12)
    found["sum of rates"] = sum(train.learning_rate(step, TRAINING) for step in range(N_STEPS))
    table = torch.randn(world.n_vocab, world.n_vocab, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def guesses(ids):
        return torch.cumsum(table[ids], dim=1)

    rates = scores(guesses, world)
    for number, language in enumerate(world.languages):
        questions, choices = (torch.from_numpy(each) for each in world.exam(number, np.random.default_rng(number)))
        with torch.no_grad():
            logps = model(questions)[:, -1].cpu().double().log_softmax(dim=1).gather(1, choices)
        found |= {f"share, {language.name}": language.share, f"kin, {language.name}": language.kin}
        found |= {f"guessed, {language.name}": rates[language.name]}
        found |= {f"logp {i}, {language.name}": x for i, x in enumerate(logps.mean(dim=0).tolist())}
    return found | {"seeds": len(SEEDS), "told": sum(world.seen(BATCH * N_STEPS).values())}
