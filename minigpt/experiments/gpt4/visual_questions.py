"""Chapter 05: a model that looks at little pictures and answers questions about them, and one that cannot look.

Classroom: the pictures and questions of `pictures`, the network of `vision`, the loop of `train`.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from minigpt import train
from minigpt.experiments.training import train_or_load
from minigpt.model import GPT, GPTConfig
from minigpt.train import TrainConfig
from minigpt.vision import VisionGPT
from minigpt.worlds import shapes
from minigpt.worlds.shapes import Batch, Picture

PATCH, BATCH, N_STEPS = 4, 64, 2000
GPT_CONFIG = GPTConfig(
    n_vocab=len(shapes.vocabulary()), n_ctx=shapes.LONGEST, n_layers=2, n_heads=4, d_model=64, norm="pre",
    init="width", init_std=0.125, position_init="sinusoid",
)  # fmt: skip
TRAINING = TrainConfig(n_steps=N_STEPS, lr=2e-3, warmup_steps=100, final_lr_fraction=0.02, betas=(0.9, 0.98))


@dataclass(frozen=True)
class VQAModel:
    """A trained model, and how it learned."""

    model: VisionGPT
    steps: np.ndarray  # (n,) where it was tried
    accuracy: np.ndarray  # (n, kinds) share of right answers by kind of question, in the order of pictures.KINDS


@dataclass(frozen=True)
class FreshPictures:
    """Batches that were never seen before: (images, ids, answers), without the images if `blind`."""

    seed: int
    blind: bool

    def __len__(self) -> int:
        return N_STEPS

    def __getitem__(self, step: int) -> tuple:
        drawn = shapes.batch(BATCH, np.random.default_rng([self.seed, step]))
        return (drawn.ids, drawn.answers) if self.blind else (drawn.images, drawn.ids, drawn.answers)


def answer_loss(model: VisionGPT, *batch: torch.Tensor) -> torch.Tensor:
    """How surprising the right answers are: one word each, after the question. Unit: nats per answer."""
    *images, ids, answers = batch
    return F.cross_entropy(model(images[0] if images else None, ids)[:, -1], answers)


def train_vqa(seed: int = 0, blind: bool = False, n_steps: int = N_STEPS) -> VQAModel:
    """Train a model on fresh pictures, or read it from the cache; `blind`: on the questions alone."""
    training = dataclasses.replace(TRAINING, n_steps=n_steps, warmup_steps=n_steps // 20)
    generator = torch.Generator().manual_seed(seed)
    model = VisionGPT(GPT(GPT_CONFIG, generator), PATCH, generator)
    tried = held_out_pictures()

    def begin(state):
        return train.train(model, FreshPictures(seed, blind), training, answer_loss, state=state)

    def watch(record, kept):
        if record.step % max(1, n_steps // 10) == 0:
            kept.add(steps=record.step)
            for kind, share in accuracy(model.eval(), tried, blind).items():
                kept.add(**{kind: share})

    key = {"seed": seed, "blind": blind, "model": GPT_CONFIG, "training": training}
    label = "learning to answer blindly" if blind else "learning to see"
    curves = train_or_load(label.replace(" ", "-"), key, model, begin, n_steps, watch=watch, label=label).arrays()
    return VQAModel(model, curves["steps"].astype(int), np.stack([curves[kind] for kind in shapes.KINDS], axis=1))


def held_out_pictures(n: int = 1000) -> Batch:
    """Pictures with questions that no model was trained on, always the same."""
    return shapes.batch(n, np.random.default_rng(12345))


@torch.no_grad()
def says(model: VisionGPT, images: np.ndarray | None, ids) -> np.ndarray:
    """The probability of every word as the answer. Shapes: images (B, H, W, 3) or None, ids (B, T); result (B, words)."""
    looked = None if images is None else torch.as_tensor(images)
    return model(looked, torch.as_tensor(ids))[:, -1].double().softmax(dim=-1).numpy()


def accuracy(model: VisionGPT, batch: Batch, blind: bool = False) -> dict[str, float]:
    """The share of right answers for each kind of question."""
    said = says(model, None if blind else batch.images, batch.ids).argmax(axis=1)
    kinds = np.array([question.kind for question in batch.questions])
    return {kind: float((said == batch.answers)[kinds == kind].mean()) for kind in shapes.KINDS}


def answer(model: VisionGPT, picture: Picture | None, question: str, n: int = 3) -> list[tuple[str, float]]:
    """The likeliest answers to a question in words, with their probabilities; without a picture it has to guess."""
    images = None if picture is None else picture.pixels()[None]
    p = says(model, images, [shapes.encode(question)])[0]
    return [(shapes.vocabulary()[i], float(p[i])) for i in np.argsort(-p, kind="stable")[:n]]


def looks(model: VisionGPT, picture: Picture, question: str) -> np.ndarray:
    """Where the model looks while it answers: attention to each patch, mean over the heads of each block.

    Shapes: result (n_layers, rows, columns).
    """
    images = torch.from_numpy(picture.pixels()[None])
    side = images.shape[1] // PATCH
    layers = model.looks(images, torch.tensor([shapes.encode(question)]))
    return np.stack([layer[0].mean(dim=0).numpy().reshape(side, side) for layer in layers])


def looks_at_what_is_asked(model: VisionGPT, n: int = 300, seed: int = 4) -> np.ndarray:
    """How much of its attention to the picture the last word gives to the place of the thing that is asked for.

    The question is "what colour is the ...", in n pictures of four things, so chance is 1/4. Shapes: result (n_layers,).
    """
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        picture = shapes.draw(rng)
        question = shapes.ask("colour", picture, rng)
        if len(picture.there) == len(shapes.PLACES):
            (place,) = (i for i, (_, shape) in enumerate(picture.things) if shape in question.text.split())
            patches = looks(model, picture, question.text)
            half = patches.shape[1] // 2
            by_place = patches.reshape(len(patches), 2, half, 2, half).sum(axis=(2, 4)).reshape(len(patches), 4)
            found.append(by_place[:, place] / by_place.sum(axis=1))
    return np.mean(found, axis=0)
