"""First edition (now held_out_pictures.py). Visual question answering (VQA): with the image, and from questions alone.

After the GPT-4 report, section 4.1. The images of coloured shapes and the questions are those of worlds/shapes.py, the
network is that of minigpt/vision.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from minigpt import train
from minigpt.experiments.canaries import first_losses
from minigpt.experiments.training import train_or_load
from minigpt.model import GPT, GPTConfig
from minigpt.train import TrainConfig
from minigpt.vision import VisionGPT
from minigpt.worlds import shapes
from minigpt.worlds.shapes import Batch, Picture

SEEDS, KEY = (0, 1, 2), ("seed", "model", "kind")
MODELS = (("sees", False), ("blind", True))  # name, blind
PATCH, BATCH, N_STEPS = 4, 64, 2000
GPT_CONFIG = GPTConfig(
    n_vocab=len(shapes.vocabulary()), n_ctx=shapes.LONGEST, n_layers=2, n_heads=4, d_model=64, norm="pre",
    init="width", init_std=0.125, position_init="sinusoid",
)  # fmt: skip
TRAINING = TrainConfig(n_steps=N_STEPS, lr=2e-3, warmup_steps=100, final_lr_fraction=0.02, betas=(0.9, 0.98))


@dataclass(frozen=True)
class VQAModel:
    """A model for visual questions, and its accuracy during training."""

    model: VisionGPT
    steps: np.ndarray  # (n,) where it was tried
    accuracy: np.ndarray  # (n, kinds) share of right answers by kind of question, in the order of shapes.KINDS


@dataclass(frozen=True)
class FreshPictures:
    """Training batches that were never seen before: (images, ids, answers), without the images if `blind`."""

    seed: int
    blind: bool

    def __len__(self) -> int:
        return N_STEPS

    def __getitem__(self, step: int) -> tuple:
        drawn = shapes.batch(BATCH, np.random.default_rng([self.seed, step]))
        return (drawn.ids, drawn.answers) if self.blind else (drawn.images, drawn.ids, drawn.answers)


def answer_loss(model: VisionGPT, *batch: torch.Tensor) -> torch.Tensor:
    """Cross-entropy loss of the right answers: one word each, after the question. Unit: nats per answer."""
    *images, ids, answers = batch
    return F.cross_entropy(model(images[0] if images else None, ids)[:, -1], answers)


def train_vqa(seed: int = 0, blind: bool = False, n_steps: int = N_STEPS) -> VQAModel:
    """Train a model on fresh pictures, or load it from the cache; `blind`: on the questions alone."""
    training = replace(TRAINING, n_steps=n_steps, warmup_steps=n_steps // 20)
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
    """Fresh pictures with questions, always the same. Only the noise is new: every layout occurs in training, too."""
    return shapes.batch(n, np.random.default_rng(12345))


@torch.no_grad()
def answer_probabilities(model: VisionGPT, images: np.ndarray | None, ids) -> np.ndarray:
    """The probability of every word as the answer.

    Shapes: images (B, H, W, 3) or None, ids (B, T); result (B, words), float64.
    """
    looked = None if images is None else torch.as_tensor(images)
    return model(looked, torch.as_tensor(ids))[:, -1].double().softmax(dim=-1).cpu().numpy()


def accuracy(model: VisionGPT, batch: Batch, blind: bool = False) -> dict[str, float]:
    """Accuracy: the share of right answers for each kind of question."""
    said = answer_probabilities(model, None if blind else batch.images, batch.ids).argmax(axis=1)
    kinds = np.array([question.kind for question in batch.questions])
    return {kind: float((said == batch.answers)[kinds == kind].mean()) for kind in shapes.KINDS}


def answer(model: VisionGPT, picture: Picture | None, question: str, n: int = 3) -> list[tuple[str, float]]:
    """The likeliest answers to a question in words, with their probabilities; without a picture it has to guess."""
    images = None if picture is None else picture.pixels()[None]
    p = answer_probabilities(model, images, [shapes.encode(question)])[0]
    return [(shapes.vocabulary()[i], float(p[i])) for i in np.argsort(-p, kind="stable")[:n]]


def attention_to_image(model: VisionGPT, picture: Picture, question: str) -> np.ndarray:
    """Attention to each patch while the model answers: mean over the heads of each block.

    Shapes: result (n_layers, rows, columns).
    """
    images = torch.from_numpy(picture.pixels()[None])
    side = images.shape[1] // PATCH
    layers = model.attention_to_image(images, torch.tensor([shapes.encode(question)]))
    return np.stack([layer[0].mean(dim=0).cpu().numpy().reshape(side, side) for layer in layers])


def attention_to_what_is_asked(model: VisionGPT, n: int = 300, seed: int = 4) -> np.ndarray:
    """Attention to the thing that is asked for: its share of the last word's attention to the picture.

    "What colour is the ...?", in n pictures of four things, so chance is 1/4. Shapes: result (n_layers,).
    """
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        picture = shapes.draw_picture(rng)
        question = shapes.draw_question("colour", picture, rng)
        if len(picture.there) == len(shapes.PLACES):
            (place,) = (i for i, (_, shape) in enumerate(picture.things) if shape in question.text.split())
            patches = attention_to_image(model, picture, question.text)
            half = patches.shape[1] // 2
            by_place = patches.reshape(len(patches), 2, half, 2, half).sum(axis=(2, 4)).reshape(len(patches), 4)
            found.append(by_place[:, place] / by_place.sum(axis=1))
    return np.mean(found, axis=0)


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: accuracy on 1,000 new pictures at the end of training, by model and kind of question."""
    for name, blind in MODELS:
        trained = train_vqa(seed, blind)
        for kind, share in zip(shapes.KINDS, trained.accuracy[-1]):
            yield dict(zip(KEY, (seed, name, kind))) | {"accuracy": f"{share:.4f}"}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The accuracies are those of a fixed table of guesses: a model that has hardly learned has too many ties.
    """
    found, tried = {}, held_out_pictures(200)
    kinds, places = np.array([question.kind for question in tried.questions]), np.arange(200)
    for name, blind in MODELS:
        model, numbers = barely_trained(SEEDS[1], blind)
        said = answer_probabilities(model, None if blind else tried.images, tried.ids)
        numbers |= {f"logp, {kind}": np.log(said[places, tried.answers])[kinds == kind].mean() for kind in shapes.KINDS}
        numbers |= accuracy(_guesses, tried, blind)
        found |= {f"{name}: {key}": value for key, value in numbers.items()}
    found["sum of rates"] = sum(train.learning_rate(step, TRAINING) for step in range(N_STEPS))
    everything = held_out_pictures()
    found |= {"pixels": everything.images.mean(dtype=float), "answers": everything.answers.mean()}
    return found | {"seeds": len(SEEDS)} | {f"guess, {kind}": p for kind, p in shapes.blind_guess().items()}


def barely_trained(seed: int, blind: bool = False, n_steps: int = 12) -> tuple[VisionGPT, dict[str, float]]:
    """The model of train_vqa after a few steps at its own rate, and its first losses: for canaries."""
    generator = torch.Generator().manual_seed(seed)
    model = VisionGPT(GPT(GPT_CONFIG, generator), PATCH, generator)
    config = replace(TRAINING, n_steps=n_steps, warmup_steps=2)
    return model, first_losses(model, FreshPictures(seed, blind), config, answer_loss, n=n_steps)


def _guesses(images: torch.Tensor | None, ids: torch.Tensor) -> torch.Tensor:
    """A model whose answers are a fixed matter of the words, and of how bright the picture is."""
    n = len(shapes.vocabulary())
    table = torch.randn(2, n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = table[0, ids].sum(dim=1, keepdim=True)
    return logits if images is None else logits + 9 * images.double().mean(dim=(1, 2, 3))[:, None, None] * table[1, 0]
