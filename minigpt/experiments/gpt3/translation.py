"""Chapter 03, lab on translation. Both directions, English and French, after corpora of any balance of the two.

A sentence says what an animal did. With probability `typical` it is this animal's usual action, which can be guessed
from texts in the target language alone; at 0 all actions are equally likely, and there is nothing to guess. Some
animals never occur in a translated sentence, only in word lists and in sentences of one language: the questions are
about these.

The table has a row for each seed, value of `typical`, balance, target language and quantity of `translation_scores`.
Five seeds take half an hour on one core.
"""

import math
import random
from collections.abc import Callable, Iterator

import numpy as np

from minigpt import sample
from minigpt.batches import DocumentBatches
from minigpt.experiments import canaries, dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import zero_shot
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPT
from minigpt.worlds import grammar, stories
from minigpt.worlds.lexicon import LEXICON

SEEDS = (0, 1, 2, 3, 4)
KEY = ("seed", "typical", "balance", "into", "quantity")
LANGUAGES = ("English", "French")
ANIMALS, VERBS, THINGS = LEXICON.animals, LEXICON.verbs, LEXICON.objects
NEW = ANIMALS[::3]  # never in a sentence with its translation
TRANSLATED = tuple(animal for animal in ANIMALS if animal not in NEW)
# Shares of the documents that are word lists, translated sentences, English alone and French alone
BALANCES = {
    "mostly English": (0.05, 0.06, 0.889, 0.001), "half and half": (0.05, 0.06, 0.445, 0.445),
    "mostly French": (0.05, 0.06, 0.001, 0.889),
}  # fmt: skip
TYPICAL = (0.0, 0.9)
N_DOCUMENTS, N_QUESTIONS = 40_000, 150


def usual_action(animal) -> tuple:
    """(verb, thing): what an animal usually does."""
    i = ANIMALS.index(animal)
    return VERBS[3 * i % len(VERBS)], THINGS[7 * i % len(THINGS)]


def probabilities(options, usual, typical: float) -> list[float]:
    """The probability of each option: (1 - typical) / n, and `typical` more for the usual one."""
    return [(1 - typical) / len(options) + (typical if option == usual else 0.0) for option in options]


def phrase(language: str, what) -> str:
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
    return " ".join(phrase(language, what) for what in (animal, verb, thing))


def two_language_program(shares: tuple[float, ...], say: Callable, translate: Callable) -> grammar.Program:
    """Grammar of documents of three lines: words or sentences with their translations, or sentences alone.

    shares: of word lists, translated sentences, English and French, as in BALANCES. The first language of a document
    with translations is drawn, either equally often. say(d, kind, language, start) draws and writes a sentence and
    returns what it is about, translate(language, *that) is the same sentence in the other language. It returns the
    kind of document.
    """

    def document(d):
        kind = d.hidden(("words", "sentences", *LANGUAGES), shares)
        first = kind if kind in LANGUAGES else d.hidden(LANGUAGES)
        second = LANGUAGES[first == "English"]
        for number in range(3):
            start = "\n" if number else ""
            if kind == "words":
                what = d.pick((*ANIMALS, *VERBS, *THINGS), form=lambda w: start + phrase(first, w))
                d.write(f" = {phrase(second, what)}")
                continue
            said = say(d, kind, first, start)
            if kind == "sentences":
                d.write(f" = {translate(second, *said)}")
        return kind

    return document


def program(shares: tuple[float, ...], typical: float) -> grammar.Program:
    """Grammar of one corpus: animals that do what they usually do with probability `typical`; shares as in BALANCES."""

    def say(d, kind, language, start):
        return _sentence(d, TRANSLATED if kind == "sentences" else ANIMALS, language, typical, start)

    return two_language_program(shares, say, sentence)


def _sentence(d, animals, language, typical, start):
    animal = d.pick(animals, form=lambda a: start + phrase(language, a))
    verb, thing = usual_action(animal)
    verb = d.pick(VERBS, probabilities(VERBS, verb, typical), form=lambda v: f" {phrase(language, v)}")
    thing = d.pick(THINGS, probabilities(THINGS, thing, typical), form=lambda t: f" {phrase(language, t)}")
    return animal, verb, thing


def two_language_dataset(balance: str, typical: float) -> Dataset:
    """The corpus of one balance of languages. Errors: an unknown balance is a ValueError."""
    if balance not in BALANCES:
        raise ValueError(f"expected a balance among {sorted(BALANCES)}; got {balance!r}")
    return dataset.build_dataset(program(BALANCES[balance], typical), N_DOCUMENTS, 300, 1)


def train_two_epochs(data: Dataset, seed: int) -> Pretrained:
    """A GPT-2 of width 64, trained for two epochs on a corpus of two languages."""
    batches = DocumentBatches(data.corpus, data.tokenizer, dataset.N_CTX, dataset.TOKENS_PER_BATCH, seed)
    return pretraining.pretrain(data, sizes.gpt2(64), seed, 2 * len(batches), training=sizes.gpt2_training(64))


def share_of_english(documents: list[str]) -> float:
    """The share of English among the lines and half lines of some documents."""
    sides = [side for text in documents for line in text.split("\n") for side in line.split(" = ")]
    known = {phrase("English", what) for what in (*ANIMALS, *VERBS, *THINGS)}
    return float(np.mean([side in known or side.startswith("the ") for side in sides]))


def questions(into: str, typical: float, n: int = N_QUESTIONS) -> list[tuple[str, str]]:
    """(prompt, answer) of sentences about the animals of NEW, drawn as in the corpus; always the same ones."""
    rng, found = random.Random(f"into {into} {typical}"), []
    source = LANGUAGES[into == "English"]
    for _ in range(n):
        text, told = grammar.sample(lambda d: _sentence(d, NEW, source, typical, ""), rng)
        found.append((f"{text} =", f" {sentence(into, *told)}"))
    return found


def translation_scores(gpt: GPT, data: Dataset, into: str, typical: float, n: int = N_QUESTIONS) -> dict[str, float]:
    """Scores of a model's translations into one language, over n sentences.

    "whole": the share of sentences without a mistake (greedy decoding); "nats": the surprisal of the right translation;
    "fluent": the share of answers that are a sentence of the language, right or wrong.
    """
    asked = questions(into, typical, n)
    said = zero_shot.write_answers(gpt, data.tokenizer, [prompt for prompt, _ in asked], 30)
    nats = [-sample.continuation_logps(gpt, data.tokenizer, prompt, [wanted]).item() for prompt, wanted in asked]
    return {
        "whole": float(np.mean([answer == wanted for answer, (_, wanted) in zip(said, asked)])),
        "nats": float(np.mean(nats)),
        "fluent": float(np.mean([is_sentence(answer.strip(), into) for answer in said])),
    }


def is_sentence(text: str, language: str) -> bool:
    """Whether a text is a sentence of the language."""
    return grammar.score(lambda d: _sentence(d, ANIMALS, language, 0.0, ""), text).logp > -math.inf


def shortcut(typical: float) -> float:
    """Shortcut: translate the animal from a word list and add what it usually does, without reading verb and thing.

    Its expected share of sentences without a mistake: P(usual verb) P(usual thing).

    >>> round(shortcut(0.9), 2), round(shortcut(0.0) * len(VERBS) * len(THINGS), 6)
    (0.82, 1.0)
    """
    return (typical + (1 - typical) / len(VERBS)) * (typical + (1 - typical) / len(THINGS))


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed: a model for each corpus, asked in both directions."""
    for typical in TYPICAL:
        for balance in BALANCES:
            data = two_language_dataset(balance, typical)
            model = train_two_epochs(data, seed).model
            for into in LANGUAGES:
                for name, value in translation_scores(model, data, into, typical).items():
                    yield dict(zip(KEY, (seed, f"{typical:g}", balance, into, name)), value=f"{value:.4f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    found = {}
    for typical in TYPICAL:
        for balance in BALANCES:
            with canaries.short_writing(60, 6) as asked:
                data = two_language_dataset(balance, typical)
            found |= {f"{balance} {typical}, written": canaries.checksum(asked[0])}
            found |= {f"{balance} {typical}, floor": data.floor.mean}
            found[f"{balance} {typical}, English"] = share_of_english(data.documents)
        run, numbers = canaries.trained(lambda data=data: train_two_epochs(canaries.part(data, 45), 0))
        found |= canaries.under(f"{typical}", numbers)
        whole = canaries.part(data, N_DOCUMENTS)
        found[f"{typical}, sum of rates"] = canaries.rates(lambda whole=whole: train_two_epochs(whole, 0))
        for into in LANGUAGES:
            found |= canaries.under(f"{typical} into {into}", _canary_of_direction(run.model, data, into, typical))
    return found


def _canary_of_direction(model, data, into, typical) -> dict[str, float]:
    source = LANGUAGES[into == "English"]
    asked = questions(into, typical)
    logps = [
        grammar.score(lambda d: _sentence(d, NEW, source, typical, ""), prompt.removesuffix(" =")).logp
        for prompt, _ in asked[:12]
    ]
    return {
        "asked": len(asked),
        "questions": sum(logps),
        "right": canaries.checksum(is_sentence(answer.strip(), into) for _, answer in asked[:6]),
        **translation_scores(model, data, into, typical, 3),
    }
