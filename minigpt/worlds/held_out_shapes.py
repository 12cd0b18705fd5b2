"""Held-out pictures of coloured shapes: layouts, and pairs of colour and shape, that no training ever shows.

The world of shapes.py has 3,808 layouts, so a model that sees a hundred thousand of its pictures has seen them all.
Here a fifth of the layouts, by a hash, and every layout with a pair of UNSEEN_PAIRS are kept for tests. No training
question asks whether such a pair is there either.
"""

import itertools
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np

from minigpt.worlds import shapes
from minigpt.worlds.shapes import Batch, Picture, Question

UNSEEN_PAIRS = (("red", "circle"), ("blue", "cross"))
SPLITS = ("training", "unseen layout", "unseen pair")
ONE_IN = 5  # of the layouts without an unseen pair, one in so many is kept for tests


def split(picture: Picture) -> str:
    """Train-test split: to which of SPLITS a layout belongs, whatever the noise in its pixels.

    A checksum of the layout decides, so it is the same on every machine.
    """
    if set(picture.there) & set(UNSEEN_PAIRS):
        return SPLITS[2]
    told = " / ".join("nothing" if thing is None else " ".join(thing) for thing in picture.things)
    return SPLITS[zlib.crc32(told.encode()) % ONE_IN == 0]


@cache
def layouts(which: str) -> tuple[tuple[Picture, ...], ...]:
    """All layouts of a split: those with one thing, with two, with three, with four.

    Errors: ValueError for another split.
    """
    if which not in SPLITS:
        raise ValueError(f"expected a split among {SPLITS}; got {which!r}")
    return tuple(tuple(p for p in _all_layouts(n) if split(p) == which) for n in range(1, 5))


def _all_layouts(n: int) -> Iterator[Picture]:
    for places in itertools.combinations(range(4), n):
        for colours in itertools.permutations(shapes.COLOURS, n):
            for forms in itertools.permutations(shapes.SHAPES, n):
                things: list = [None] * 4
                for place, colour, form in zip(places, colours, forms):
                    things[place] = (colour, form)
                yield Picture(tuple(things))


def draw_picture(which: str, rng: np.random.Generator) -> Picture:
    """Draw a picture of a split: one to four things, each number equally likely, then any layout of so many."""
    of_size = layouts(which)[rng.integers(4)]
    return of_size[rng.integers(len(of_size))]


def draw_question(kind: str, picture: Picture, rng: np.random.Generator) -> Question:
    """Draw a question of one kind about a picture.

    About an unseen pair if the picture has one (whether it is there, or where it is, or what the other one of colour
    and shape is), and otherwise never about one. Errors: as shapes.draw_question.
    """
    about = [thing for thing in picture.there if thing in UNSEEN_PAIRS]
    if not about or kind == "count":
        first = question = shapes.draw_question(kind, picture, rng)
        while _asks_for_unseen(question) or kind == "yes or no" and question.answer != first.answer:
            question = shapes.draw_question(kind, picture, rng)
        return question
    thing = about[rng.integers(len(about))]
    missing = [pair for pair in UNSEEN_PAIRS if pair not in picture.there]
    if kind == "yes or no" and missing and rng.random() < 0.5:
        return Question(kind, "is there a {} {}".format(*missing[0]), "no")
    if kind == "yes or no":
        return Question(kind, "is there a {} {}".format(*thing), "yes")
    return shapes.draw_question(kind, Picture(tuple(x if x == thing else None for x in picture.things)), rng)


def _asks_for_unseen(question: Question) -> bool:
    return any(f"{colour} {shape}" in question.text for colour, shape in UNSEEN_PAIRS)


def draw_pictures(which: str, n: int, rng: np.random.Generator) -> list[Picture]:
    """Draw n pictures of a split: those that `batch` shows for a generator in the same state."""
    return [draw_picture(which, rng) for _ in range(n)]


@cache
def _pixels(picture: Picture) -> np.ndarray:
    return picture.pixels()


def batch(which: str, n: int, rng: np.random.Generator, kinds: tuple = shapes.KINDS) -> Batch:
    """Draw a batch of a split: n pictures with noise, each with a question of a kind drawn at random."""
    pictures = draw_pictures(which, n, rng)
    questions = tuple(draw_question(kinds[rng.integers(len(kinds))], picture, rng) for picture in pictures)
    images = np.stack([_pixels(picture) for picture in pictures])
    images = images + shapes.NOISE * rng.normal(size=images.shape)
    answers = np.array([shapes.vocabulary().index(question.answer) for question in questions])
    ids = np.array([shapes.encode(question.text) for question in questions])
    return Batch(images.clip(0, 1).astype(np.float32), ids, answers, questions)


def blind_guess() -> dict[str, float]:
    """Best possible accuracy from the question alone, for each kind, about the training pictures. Exact.

        sum over questions of the largest P(question, answer)

    A little above chance: a circle is never red here, so three colours are left for it.
    """
    together: dict = {kind: {} for kind in shapes.KINDS}

    def add(kind, text, answer, p):
        answers = together[kind].setdefault(text, {})
        answers[answer] = answers.get(answer, 0.0) + p

    asked = [pair for pair in itertools.product(shapes.COLOURS, shapes.SHAPES) if pair not in UNSEEN_PAIRS]
    for of_size in layouts(SPLITS[0]):
        for picture in of_size:
            p = 1 / 4 / len(of_size)
            add("count", "", shapes.NUMBERS[len(picture.there)], p)
            absent = [pair for pair in asked if pair not in picture.there]
            for pair in absent:
                add("yes or no", pair, "no", p / 2 / len(absent))
            for colour, shape in picture.there:
                each = p / len(picture.there)
                add("colour", shape, colour, each)
                add("shape", colour, shape, each)
                add("place", shape, picture.things.index((colour, shape)), each)
                add("yes or no", (colour, shape), "yes", each / 2)
    return {kind: sum(max(answers.values()) for answers in texts.values()) for kind, texts in together.items()}


def wordless_guess(asked: Batch) -> dict[str, float]:
    """Best possible accuracy from the picture and the kind of question, without the word that says which thing. Exact.

        colour, shape, place: 1 / n of n things; yes or no: 1/2; count: 1

    Mean over the questions of a batch; the number of things is read off the pixels.
    """
    bright = asked.images.max(axis=3) > 0.5  # (B, 16, 16)
    half = bright.shape[1] // 2
    n = bright.reshape(-1, 2, half, 2, half).any(axis=(2, 4)).sum(axis=(1, 2))
    kinds = np.array([question.kind for question in asked.questions])
    worth = {"count": np.ones(len(n)), "yes or no": np.full(len(n), 0.5)}
    return {kind: float(worth.get(kind, 1 / n)[kinds == kind].mean()) for kind in shapes.KINDS}
