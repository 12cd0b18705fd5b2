"""Which direction is easier to translate? Corpora of two languages in any balance, with more or less to be guessed.

A sentence tells what an animal did. With probability `typical` it is what this animal usually does, so that somebody
who knows the language's texts can guess it; at 0 everything is equally likely, and there is nothing to guess. Some
animals never occur in a translated sentence, only in word lists and in sentences of one language: these are asked
about. Both wings meet here: a room of the classroom floor.
"""

import math
import random

import numpy as np

from minigpt import sample
from minigpt.batches import DocumentBatches
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import zero_shot
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPT
from minigpt.worlds import grammar, stories
from minigpt.worlds.lexicon import LEXICON

LANGUAGES = ("English", "French")
ANIMALS, VERBS, THINGS = LEXICON.animals, LEXICON.verbs, LEXICON.objects
NEW = ANIMALS[::3]  # never in a sentence with its translation
MET = tuple(animal for animal in ANIMALS if animal not in NEW)
# Shares of the documents that are word lists, translated sentences, English alone and French alone
BALANCES = {
    "mostly English": (0.05, 0.06, 0.889, 0.001), "half and half": (0.05, 0.06, 0.445, 0.445),
    "mostly French": (0.05, 0.06, 0.001, 0.889),
}  # fmt: skip
TYPICAL = (0.0, 0.9)
N_DOCUMENTS, N_QUESTIONS = 40_000, 150


def usual(animal) -> tuple:
    """(verb, thing): what an animal usually does."""
    i = ANIMALS.index(animal)
    return VERBS[3 * i % len(VERBS)], THINGS[7 * i % len(THINGS)]


def weights(options, usually, typical: float) -> list[float]:
    """The probability of each option: the usual one more often."""
    return [(1 - typical) / len(options) + (typical if option == usually else 0.0) for option in options]


def words(language: str, what) -> str:
    """How an animal, a verb or a thing is written in a word list."""
    if what in VERBS:
        return what[0] if language == "English" else f"a {what[1]}"
    if language == "French":
        article = ("le", "la") if what in ANIMALS else ("un", "une")
        elided = what in ANIMALS and what.french[0] in "aeiouéê"
        return f"l'{what.french}" if elided else f"{article[what.gender == 'f']} {what.french}"
    return f"the {what.name}" if what in ANIMALS else stories.a(what.name)


def sentence(language: str, animal, verb, thing) -> str:
    """ "the whale broke a lamp" or "la baleine a cassé une lampe": the same order in both languages."""
    return " ".join(words(language, what) for what in (animal, verb, thing))


def program(shares: tuple[float, ...], typical: float):
    """The grammar of documents of three lines: words or sentences with their translations, or sentences alone.

    shares: of word lists, translated sentences, English and French, as in BALANCES. The first language of a document
    with translations is drawn, either equally often. It returns the kind of document.
    """

    def tell(d):
        kind = d.hidden(("words", "sentences", *LANGUAGES), shares)
        first = kind if kind in LANGUAGES else d.hidden(LANGUAGES)
        second = LANGUAGES[first == "English"]
        for number in range(3):
            start = "\n" if number else ""
            if kind == "words":
                what = d.pick((*ANIMALS, *VERBS, *THINGS), form=lambda w: start + words(first, w))
                d.write(f" = {words(second, what)}")
                continue
            told = _say(d, MET if kind == "sentences" else ANIMALS, first, typical, start)
            if kind == "sentences":
                d.write(f" = {sentence(second, *told)}")
        return kind

    return tell


def _say(d, animals, language, typical, start):
    animal = d.pick(animals, form=lambda a: start + words(language, a))
    verb, thing = usual(animal)
    verb = d.pick(VERBS, weights(VERBS, verb, typical), form=lambda v: f" {words(language, v)}")
    thing = d.pick(THINGS, weights(THINGS, thing, typical), form=lambda t: f" {words(language, t)}")
    return animal, verb, thing


def two_language_dataset(balance: str, typical: float) -> Dataset:
    """The corpus of one balance of languages. Errors: an unknown balance is a ValueError."""
    if balance not in BALANCES:
        raise ValueError(f"expected a balance among {sorted(BALANCES)}; got {balance!r}")
    return dataset.build_dataset(program(BALANCES[balance], typical), N_DOCUMENTS, 300, 1)


def train_twice(corpus_of: Dataset, seed: int) -> Pretrained:
    """A GPT-2 of width 64 that has read a corpus of two languages twice."""
    batches = DocumentBatches(
        corpus_of.corpus, corpus_of.tokenizer, dataset.N_CTX, dataset.TOKENS_PER_BATCH, seed
    )
    return pretraining.pretrain(corpus_of, sizes.gpt2(64), seed, 2 * len(batches), training=sizes.gpt2_training(64))


def english(documents: list[str]) -> float:
    """The share of English among the lines and half lines of some documents."""
    sides = [side for text in documents for line in text.split("\n") for side in line.split(" = ")]
    known = {words("English", what) for what in (*ANIMALS, *VERBS, *THINGS)}
    return float(np.mean([side in known or side.startswith("the ") for side in sides]))


def questions(into: str, typical: float, n: int = N_QUESTIONS) -> list[tuple[str, str]]:
    """(prompt, answer) of sentences about the animals of NEW, drawn as in the corpus; always the same ones."""
    rng, found = random.Random(f"into {into} {typical}"), []
    source = LANGUAGES[into == "English"]
    for _ in range(n):
        text, told = grammar.sample(lambda d: _say(d, NEW, source, typical, ""), rng)
        found.append((f"{text} =", f" {sentence(into, *told)}"))
    return found


def translate(gpt: GPT, corpus_of: Dataset, into: str, typical: float) -> dict[str, float]:
    """How a model translates into one language: "whole", the share of sentences without a mistake (greedy); "nats", the
    surprise at the right translation; "fluent", the share that is a sentence of the language, right or wrong."""
    asked = questions(into, typical)
    said = zero_shot.write_answers(gpt, corpus_of.tokenizer, [prompt for prompt, _ in asked], 30)
    nats = [
        -sample.continuation_logps(gpt, corpus_of.tokenizer, prompt, [wanted]).item() for prompt, wanted in asked
    ]
    return {
        "whole": float(np.mean([answer == wanted for answer, (_, wanted) in zip(said, asked)])),
        "nats": float(np.mean(nats)),
        "fluent": float(np.mean([is_sentence(answer.strip(), into) for answer in said])),
    }


def is_sentence(text: str, language: str) -> bool:
    """Whether a text is a sentence of the language."""
    return grammar.score(lambda d: _say(d, ANIMALS, language, 0.0, ""), text).logp > -math.inf
