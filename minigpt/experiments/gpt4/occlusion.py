"""Chapter 06, section 2. Occlusion maps: which part of a picture does an answer depend on?

The models are those of held_out_pictures.py. A part of the picture is blanked, and the log-probability of the right
answer is asked for again: a cause and its effect, which attention weights are not. Both are measured, in pictures of
four things in layouts that were never trained on, so chance is 1/4.
"""

from collections.abc import Iterator

import numpy as np
import torch

from minigpt import train
from minigpt.experiments.gpt4 import held_out_pictures
from minigpt.experiments.gpt4.held_out_pictures import PATCH, answer_probabilities
from minigpt.vision import VisionGPT
from minigpt.worlds import held_out_shapes, shapes
from minigpt.worlds.shapes import CELL, Picture

SEEDS, KEY = tuple(range(5)), ("seed", "quantity")
N = 300  # pictures


def occlusion_map(model: VisionGPT, picture: Picture, question: str, answer: str, size: int = PATCH) -> np.ndarray:
    """Occlusion sensitivity: log p(answer) of the whole picture, minus that with one square of it blanked.

    Above 0: without the square the answer is less likely. Shapes: result (16 / size, 16 / size), nats.
    Source: Zeiler and Fergus 2014, section 4.2 ("occlusion sensitivity"). Differs: squares that do not overlap.
    """
    whole, nothing = picture.pixels(), Picture((None,) * len(picture.things)).pixels()
    side = len(whole) // size
    images = np.repeat(whole[None], 1 + side * side, axis=0)
    for i in range(side * side):
        top, left = size * (i // side), size * (i % side)
        square = slice(top, top + size), slice(left, left + size)
        images[1 + i][square] = nothing[square]
    ids = np.repeat([shapes.encode(question)], len(images), axis=0)
    logp = np.log(answer_probabilities(model, images, ids)[:, shapes.vocabulary().index(answer)] + 1e-300)
    return (logp[0] - logp[1:]).reshape(side, side)


def attention_map(model: VisionGPT, picture: Picture, question: str) -> np.ndarray:
    """Attention of the last word to each patch: mean over the heads of each block. Shapes: (n_layers, 4, 4)."""
    layers = model.attention_to_image(torch.from_numpy(picture.pixels()[None]), torch.tensor([shapes.encode(question)]))
    side = 2 * CELL // PATCH
    return np.stack([layer[0].mean(dim=0).cpu().numpy().reshape(side, side) for layer in layers])


def pictures_of_four(n: int = N, seed: int = 4) -> list[tuple[Picture, str, str, int]]:
    """Pictures of four things in unseen layouts, with a question for the colour: (picture, text, answer, its place)."""
    rng, of_four = np.random.default_rng(seed), held_out_shapes.layouts("unseen layout")[3]
    found = []
    for _ in range(n):
        picture = of_four[rng.integers(len(of_four))]
        question = held_out_shapes.draw_question("colour", picture, rng)
        place = [shape in question.text.split() for _, shape in picture.things].index(True)
        found.append((picture, question.text, question.answer, place))
    return found


def by_place(squares: np.ndarray) -> np.ndarray:
    """Sums over the four places of a map of squares. Shapes: (side, side) -> (4,)."""
    half = len(squares) // 2
    return squares.reshape(2, half, 2, half).sum(axis=(1, 3)).reshape(4)


def numbers(model: VisionGPT, n: int = N) -> dict[str, float]:
    """What the table holds: where the largest effect is, how large it is, and where the attention goes."""
    found: dict[str, list] = {}
    for picture, text, answer, place in pictures_of_four(n):
        effect = occlusion_map(model, picture, text, answer, CELL).reshape(4)
        small = by_place(occlusion_map(model, picture, text, answer))
        drop = {"at the thing asked for": effect[place], "at the other three": (effect.sum() - effect[place]) / 3}
        row = {f"drop of log p, {where}": value for where, value in drop.items()}
        row["largest drop is at the thing asked for"] = effect.argmax() == place
        row["largest drop is at the thing asked for, patch by patch"] = small.argmax() == place
        for block, weights in enumerate(attention_map(model, picture, text), start=1):
            places = by_place(weights)
            row[f"share of attention, block {block}"] = places[place] / places.sum()
            row[f"most attention is at the thing asked for, block {block}"] = places.argmax() == place
        for name, value in row.items():
            found.setdefault(name, []).append(float(value))
    return {name: float(np.mean(values)) for name, values in found.items()}


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: the numbers of `numbers` for the model of that seed."""
    for name, value in numbers(held_out_pictures.train_vqa(seed).model).items():
        yield dict(zip(KEY, (seed, name)), value=f"{value:.4f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    model, found = held_out_pictures.barely_trained(SEEDS[1])
    seen = {name: value for name, value in numbers(model, n=40).items() if "largest" not in name and "most" not in name}
    config, n_steps = held_out_pictures.TRAINING, held_out_pictures.N_STEPS
    found["sum of rates"] = sum(train.learning_rate(step, config) for step in range(n_steps))
    return found | seen | {"seeds": len(SEEDS), "places": sum(place for *_, place in pictures_of_four())}
