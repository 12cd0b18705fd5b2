"""Visual question answering on coloured shapes: images on a grid of two by two, questions, and the right answers.

A picture is a list of what stands in its four places; the pixels, every question and its answer follow from it. The
accuracy of the best guess without the image is exact.
"""

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np

COLOURS = {"red": (0.9, 0.15, 0.1), "green": (0.1, 0.75, 0.2), "blue": (0.15, 0.3, 0.95), "yellow": (0.95, 0.85, 0.1)}
SHAPES = {  # 6 x 6 pixels each
    "circle": ("..##..", ".####.", "######", "######", ".####.", "..##.."),
    "square": ("######", "######", "######", "######", "######", "######"),
    "triangle": ("..##..", "..##..", ".####.", ".####.", "######", "######"),
    "cross": ("##..##", "###.##", ".####.", ".####.", "##.###", "##..##"),
}
PLACES = ("northwest", "northeast", "southwest", "southeast")
NUMBERS = ("zero", "one", "two", "three", "four")
KINDS = ("colour", "shape", "count", "place", "yes or no")
CELL = 8  # pixels of a place
NOISE = 0.05  # standard deviation, on a scale from 0 (dark) to 1


@dataclass(frozen=True)
class Picture:
    """Scene: what is in each of the four places, (colour, shape) or None. No colour or shape is there twice."""

    things: tuple[tuple[str, str] | None, ...]

    @property
    def there(self) -> list[tuple[str, str]]:
        """The things, without the empty places."""
        return [thing for thing in self.things if thing]

    def pixels(self, rng: np.random.Generator | None = None) -> np.ndarray:
        """Render: shapes on a dark ground, with a little noise if there is a generator. Shapes: (16, 16, 3) float32.

        A value is between 0 (dark) and 1.
        """
        image = np.full((2 * CELL, 2 * CELL, 3), 0.08, np.float32)
        for place, thing in enumerate(self.things):
            if thing:
                colour, shape = thing
                top, left = (CELL * (place // 2) + 1, CELL * (place % 2) + 1)
                image[top : top + 6, left : left + 6][_mask(shape)] = COLOURS[colour]
        if rng is not None:
            image += NOISE * rng.normal(size=image.shape)
        return image.clip(0, 1).astype(np.float32)


@cache
def _mask(shape: str) -> np.ndarray:
    return np.array([[dot == "#" for dot in row] for row in SHAPES[shape]])


@dataclass(frozen=True)
class Question:
    """A question in words about a picture, and its answer, one word."""

    kind: str
    text: str
    answer: str


def draw_question(kind: str, picture: Picture, rng: np.random.Generator) -> Question:
    """Draw a question of one kind about a picture, with its answer.

    Errors: ValueError for another kind.
    """
    colour, shape = picture.there[rng.integers(len(picture.there))]
    if kind == "colour":
        return Question(kind, f"what colour is the {shape}", colour)
    if kind == "shape":
        return Question(kind, f"what shape is {colour}", shape)
    if kind == "count":
        return Question(kind, "how many things are there", NUMBERS[len(picture.there)])
    if kind == "place":
        return Question(kind, f"where is the {shape}", PLACES[picture.things.index((colour, shape))])
    if kind == "yes or no":
        if rng.random() < 0.5:
            return Question(kind, f"is there a {colour} {shape}", "yes")
        absent = [pair for pair in itertools.product(COLOURS, SHAPES) if pair not in picture.there]
        colour, shape = absent[rng.integers(len(absent))]
        return Question(kind, f"is there a {colour} {shape}", "no")
    raise ValueError(f"expected a kind of question among {KINDS}; got {kind!r}")


def draw_picture(rng: np.random.Generator) -> Picture:
    """Draw a picture of one to four things, each number equally likely; nothing is repeated."""
    n = int(rng.integers(1, 5))
    things: list = [None] * 4
    colours, shapes, places = (rng.permutation(4)[:n] for _ in range(3))
    for colour, shape, place in zip(colours, shapes, places):
        things[place] = (tuple(COLOURS)[colour], tuple(SHAPES)[shape])
    return Picture(tuple(things))


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word of questions and answers, in a fixed order; the first one begins every question."""
    fixed = "what colour is the shape how many things are there where a".split()
    return ("<begin>", "?", *fixed, *COLOURS, *SHAPES, *PLACES, *NUMBERS[1:], "yes", "no")


LONGEST = 8  # tokens of a question: its beginning, words, and the question mark


def encode(text: str) -> list[int]:
    """A question as token ids: its beginning, its words, filled up with question marks, so that all are equally long.

    Errors: ValueError for a word that is not in the vocabulary, or too many of them.
    """
    numbers = {word: i for i, word in enumerate(vocabulary())}
    words = text.lower().replace("?", " ").split()
    unknown = [word for word in words if word not in numbers]
    if unknown:
        raise ValueError(
            f"expected words that pictures are described with; got {unknown}. There are: {vocabulary()[2:]}"
        )
    if len(words) > LONGEST - 2:
        raise ValueError(f"expected a question of at most {LONGEST - 2} words; got {len(words)}")
    return [0, *(numbers[word] for word in words), *[1] * (LONGEST - 1 - len(words))]


@dataclass(frozen=True)
class Batch:
    """Pictures with a question each. Shapes: images (B, 16, 16, 3), ids (B, LONGEST), answers (B,) token ids."""

    images: np.ndarray
    ids: np.ndarray
    answers: np.ndarray
    questions: tuple[Question, ...]


def batch(n: int, rng: np.random.Generator) -> Batch:
    """Draw a batch: n pictures, each with a question of a kind drawn at random."""
    pictures = [draw_picture(rng) for _ in range(n)]
    questions = tuple(draw_question(KINDS[rng.integers(len(KINDS))], picture, rng) for picture in pictures)
    images = np.stack([picture.pixels() for picture in pictures]) + NOISE * rng.normal(size=(n, 2 * CELL, 2 * CELL, 3))
    answers = np.array([vocabulary().index(question.answer) for question in questions])
    ids = np.array([encode(question.text) for question in questions])
    return Batch(images.clip(0, 1).astype(np.float32), ids, answers, questions)


def blind_guess() -> dict[str, float]:
    """Best possible accuracy without the image, for each kind of question. Exact.

    All colours, shapes, places and numbers are equally likely, whatever the words of the question; half of the
    yes-or-no questions are answered by yes.
    """
    return {"colour": 1 / 4, "shape": 1 / 4, "count": 1 / 4, "place": 1 / 4, "yes or no": 1 / 2}
