"""Chapter 06, sections 1 and 2. Visual question answering on layouts and colour-shape pairs that training never showed.

After the GPT-4 report, section 4.1. The network is that of minigpt/vision.py; the pictures are those of
worlds/shapes.py, split by worlds/held_out_shapes.py.
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
from minigpt.worlds import held_out_shapes, shapes
from minigpt.worlds.held_out_shapes import SPLITS
from minigpt.worlds.shapes import Batch, Picture

SEEDS, KEY = tuple(range(5)), ("seed", "model", "split", "kind")
MODELS = (("sees", False), ("blind", True))  # name, blind
PATCH, BATCH, N_STEPS = 4, 64, 1600
N_TEST = 2000  # questions of each split
GPT_CONFIG = GPTConfig(
    n_vocab=len(shapes.vocabulary()), n_ctx=shapes.LONGEST, n_layers=2, n_heads=4, d_model=64, norm="pre",
    init="width", init_std=0.125, position_init="sinusoid",
)  # fmt: skip
TRAINING = TrainConfig(n_steps=N_STEPS, lr=2e-3, warmup_steps=N_STEPS // 20, final_lr_fraction=0.02, betas=(0.9, 0.98))


@dataclass(frozen=True)
class VQAModel:
    """A model for visual questions, and its accuracy on unseen layouts during training."""

    model: VisionGPT
    steps: np.ndarray  # (n,) where it was tried
    accuracy: np.ndarray  # (n, kinds) share of right answers by kind of question, in the order of shapes.KINDS


@dataclass(frozen=True)
class TrainingPictures:
    """Training batches of the training layouts, with fresh noise: (images, ids, answers); no images if `blind`."""

    seed: int
    blind: bool

    def __len__(self) -> int:
        return N_STEPS

    def __getitem__(self, step: int) -> tuple:
        drawn = held_out_shapes.batch(SPLITS[0], BATCH, np.random.default_rng([self.seed, step]))
        return (drawn.ids, drawn.answers) if self.blind else (drawn.images, drawn.ids, drawn.answers)


def answer_loss(model: VisionGPT, *batch: torch.Tensor) -> torch.Tensor:
    """Cross-entropy loss of the right answers: one word each, after the question. Unit: nats per answer."""
    *images, ids, answers = batch
    return F.cross_entropy(model(images[0] if images else None, ids)[:, -1], answers)


def train_vqa(seed: int = 0, blind: bool = False, n_steps: int = N_STEPS) -> VQAModel:
    """Train a model on the training layouts, or load it from the cache; `blind`: on the questions alone."""
    training = replace(TRAINING, n_steps=n_steps, warmup_steps=n_steps // 20)
    generator = torch.Generator().manual_seed(seed)
    model = VisionGPT(GPT(GPT_CONFIG, generator), PATCH, generator)
    tried = test_questions(SPLITS[1], 1000)

    def begin(state):
        return train.train(model, TrainingPictures(seed, blind), training, answer_loss, state=state)

    def watch(record, kept):
        if record.step % max(1, n_steps // 10) == 0:
            kept.add(steps=record.step)
            for kind, share in accuracy(model.eval(), tried, blind).items():
                kept.add(**{kind: share})

    key = {"seed": seed, "blind": blind, "model": GPT_CONFIG, "training": training}
    label = "learning to answer blindly" if blind else "learning to see"
    curves = train_or_load(label.replace(" ", "-"), key, model, begin, n_steps, watch=watch, label=label).arrays()
    return VQAModel(model, curves["steps"].astype(int), np.stack([curves[kind] for kind in shapes.KINDS], axis=1))


def test_questions(which: str, n: int = N_TEST) -> Batch:
    """Test set: pictures of a split with a question each, always the same."""
    return held_out_shapes.batch(which, n, _test_generator(which))


def test_pictures(which: str, n: int = N_TEST) -> list[Picture]:
    """The pictures of `test_questions`, in the same order."""
    return held_out_shapes.draw_pictures(which, n, _test_generator(which))


def _test_generator(which: str) -> np.random.Generator:
    return np.random.default_rng([12345, SPLITS.index(which)])


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


def answered_instead(model: VisionGPT, kind: str, which: str = SPLITS[2]) -> float:
    """How often the answer to "what colour", or "what shape", is that of another thing in the picture.

    Over the pictures of a split with at least two things.
    """
    asked, pictures = test_questions(which), test_pictures(which)
    chosen = [i for i, q in enumerate(asked.questions) if q.kind == kind and len(pictures[i].there) > 1]
    said = answer_probabilities(model, asked.images[chosen], asked.ids[chosen]).argmax(axis=1)
    words, part = [shapes.vocabulary()[i] for i in said], shapes.KINDS.index(kind)
    others = [{thing[part] for thing in pictures[i].there} - {asked.questions[i].answer} for i in chosen]
    return float(np.mean([word in other for word, other in zip(words, others)]))


def answer(model: VisionGPT, picture: Picture | None, question: str, n: int = 3) -> list[tuple[str, float]]:
    """The likeliest answers to a question in words, with their probabilities; without a picture it has to guess."""
    images = None if picture is None else picture.pixels()[None]
    p = answer_probabilities(model, images, [shapes.encode(question)])[0]
    return [(shapes.vocabulary()[i], float(p[i])) for i in np.argsort(-p, kind="stable")[:n]]


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: accuracy at the end of training, by model, split and kind of question.

    Also how often the model that sees names the colour, or the shape, of another thing instead of an unseen pair's.
    """
    for name, blind in MODELS:
        trained = train_vqa(seed, blind)
        for which in SPLITS:
            for kind, share in accuracy(trained.model, test_questions(which), blind).items():
                yield dict(zip(KEY, (seed, name, which, kind))) | {"accuracy": f"{share:.4f}"}
        for kind in shapes.KINDS[:2] if name == "sees" else ():
            share = answered_instead(trained.model, kind)
            what = f"{kind}: that of another thing"
            yield dict(zip(KEY, (seed, name, SPLITS[2], what))) | {"accuracy": f"{share:.4f}"}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    The accuracies are those of a fixed table of guesses: a model that has hardly learned has too many ties.
    """
    found = {}
    for name, blind in MODELS:
        model, numbers = barely_trained(SEEDS[1], blind)
        for which in SPLITS:
            tried = test_questions(which, 200)
            said = answer_probabilities(model, None if blind else tried.images, tried.ids)
            numbers[f"logp, {which}"] = np.log(said[np.arange(200), tried.answers]).mean()
            numbers |= {f"{which}, {kind}": share for kind, share in accuracy(_guesses, tried, blind).items()}
        found |= {f"{name}: {key}": value for key, value in numbers.items()}
    found["instead"] = answered_instead(_guesses, shapes.KINDS[0])
    found["sum of rates"] = sum(train.learning_rate(step, TRAINING) for step in range(N_STEPS))
    for which in SPLITS:
        tried = test_questions(which)
        found |= {f"{which}: layouts": sum(map(len, held_out_shapes.layouts(which)))}
        found |= {f"{which}: pixels": tried.images.mean(dtype=float), f"{which}: answers": tried.answers.mean()}
    return found | {"seeds": len(SEEDS)} | {f"guess, {kind}": p for kind, p in held_out_shapes.blind_guess().items()}


def barely_trained(seed: int, blind: bool = False, n_steps: int = 12) -> tuple[VisionGPT, dict[str, float]]:
    """The model of train_vqa after a few steps at its own rate, and its first losses: for canaries."""
    generator = torch.Generator().manual_seed(seed)
    model = VisionGPT(GPT(GPT_CONFIG, generator), PATCH, generator)
    config = replace(TRAINING, n_steps=n_steps, warmup_steps=2)
    return model, first_losses(model, TrainingPictures(seed, blind), config, answer_loss, n=n_steps)


def _guesses(images: torch.Tensor | None, ids: torch.Tensor) -> torch.Tensor:
    """A model whose answers are a fixed matter of the words, and of how bright the picture is."""
    n = len(shapes.vocabulary())
    table = torch.randn(2, n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = table[0, ids].sum(dim=1, keepdim=True)
    return logits if images is None else logits + 9 * images.double().mean(dim=(1, 2, 3))[:, None, None] * table[1, 0]
