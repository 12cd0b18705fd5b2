"""Chapter 05: how sure are the models of chapter 04, before and after people's preferences? Four choices, exact truth.

Classroom: the language of `assistant`, the models of `alignment`, the arithmetic of `calibration`. A tale stops before
its last word, which tells the hero's mood: "At last it ...". One word of each mood is offered; the right one is the one
that the tale really had. The grammar knows how likely each of the four is, so it knows how sure one may be.
"""

import random
from dataclasses import dataclass

import numpy as np

from minigpt import calibration, sample
from minigpt.exact import entropy
from minigpt.model import GPT
from minigpt.tokenizer import Tokenizer
from minigpt.worlds import grammar, tales

FORMS = ("tale", "request")  # a tale as in the base model's texts; an answer to a request, as after SFT
LAST = " At last it"


@dataclass(frozen=True)
class Question:
    """A text that stops before its last word, and four words to choose from, one of each mood."""

    text: str
    choices: tuple[str, ...]  # in the order of assistant.MOODS
    right: int  # which one really came
    truth: np.ndarray  # (4,) probability of each, of these four, by the grammar


def questions(form: str, n: int, seed: int = 0) -> list[Question]:
    """n questions of one form, always the same for a seed. Errors: another form is a ValueError."""
    if form not in FORMS:
        raise ValueError(f"expected a form among {FORMS}; got {form!r}")
    rng = random.Random(f"certainty {form} {seed}")
    return [_question(form, rng) for _ in range(n)]


def _question(form: str, rng: random.Random) -> Question:
    request = rng.choice(tales.requests("test"))
    program = _tale if form == "tale" else tales.demonstration(request)
    told = grammar.sample(program, rng)[0]
    before, word = told.rsplit(LAST + " ", 1)
    mood = tales.MOODS.index(tales.MOOD_OF[word.rstrip(".")])
    choices = [rng.choice(tales.REACTIONS[m]) for m in tales.MOODS]
    choices[mood] = word.rstrip(".")
    nats = entropy.document_nats([f"{before}{LAST} {choice}." for choice in choices], program)
    p = calibration.choice_probabilities(-nats[None])[0]
    return Question((request.text if form == "request" else "") + before + LAST, tuple(choices), mood, p)


def _tale(d):
    """A tale whose mood nobody tells."""
    tales.tale(d, d.hidden(tales.MOODS))


def choice_logps(model: GPT, tokenizer: Tokenizer, asked: list[Question]) -> np.ndarray:
    """The model's log-probability of each choice. Shapes: result (n, 4), float64."""
    rows = [
        sample.continuation_logps(model, tokenizer, question.text, [f" {word}" for word in question.choices])
        for question in asked
    ]
    return np.array([row.double().tolist() for row in rows])


def confidence(p: np.ndarray, asked: list[Question]) -> tuple[np.ndarray, np.ndarray]:
    """How sure of its choice somebody is who gives these probabilities, and whether it was the right one. (n,) each."""
    picked = p.argmax(axis=1)
    return p.max(axis=1), (picked == np.array([question.right for question in asked])).astype(float)


def report(p: np.ndarray, asked: list[Question]) -> dict[str, float]:
    """Accuracy, mean confidence, expected calibration error, the temperature that mends it, and the bins."""
    sure, right = confidence(p, asked)
    found = calibration.reliability(sure, right)
    temperature = calibration.best_temperature(np.log(p), np.array([question.right for question in asked]))
    numbers = {"accuracy": right.mean(), "confidence": sure.mean(), "error": found.error, "temperature": temperature}
    for number, (count, mean, share) in enumerate(zip(found.counts, found.confidence, found.accuracy)):
        if count:
            numbers |= {f"bin {number} count": count, f"bin {number} confidence": mean, f"bin {number} accuracy": share}
    return {name: float(value) for name, value in numbers.items()}
