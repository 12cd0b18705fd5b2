"""Chapter 03. Translation direction: what must be known of the target language, and is not told by the source.

A sentence says what an animal did with a thing: "the whale broke a lamp.", "la baleine a cassé une lampe." Many
sentences end with a hedge ("of sorts", "ou presque"): four mean the same in each language (FORMS), and each thing takes
one of them, always, in an arbitrary way that has nothing to do with the other language. Some things (NEW) are never
hedged in a translated sentence: only running text of a language tells which form they take in it. Nothing else can be
guessed: animals, verbs and things are drawn evenly. The questions are sentences with a hedge about the new things.

Prediction: the content is translated equally well in both directions, for it comes from word lists and translated
sentences, which every corpus has; the form is right where the target language was read much, and near a quarter where
it was not; and this turns round with the balance.

A first design failed (tried with seed 0). There the new things were in no translated sentence at all, and the models
put another thing in their place in every translation: "une fleur" became "a letter", content 0.00 in all corpora,
though animals and verbs were right and "flower" was in the word lists. And the form came before the thing ("a sort of
lamp"), where a writer chooses it before the thing that it depends on. A second try read forty texts in the other
language alone, not none: the twenty hedges there were enough to raise the form from 0.25 to 0.57 (seed 0).

The table has a row for each seed, balance, target language and quantity of `scores`. Three seeds take a quarter of an
hour on one core.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from minigpt import fewshot
from minigpt.batches import DocumentBatches
from minigpt.experiments import canaries, dataset, measured, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import zero_shot
from minigpt.experiments.gpt3 import translation
from minigpt.experiments.gpt3.translation import ANIMALS, LANGUAGES, THINGS, VERBS, phrase
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPT
from minigpt.worlds import grammar

SEEDS = (0, 1, 2)
KEY = ("seed", "balance", "into", "quantity")
FORMS = {
    "English": ("of sorts", "in a way", "so to speak", "as it were"),
    "French": ("ou presque", "en quelque sorte", "pour ainsi dire", "si l'on veut"),
}
NEW = THINGS[::3]  # never with a form in a sentence that is translated
TOLD = tuple(thing for thing in THINGS if thing not in NEW)
# Shares of the documents that are word lists, translated sentences, English alone and French alone
BALANCES = {
    "mostly English": (0.15, 0.25, 0.6, 0.0), "half and half": (0.15, 0.25, 0.3, 0.3),
    "mostly French": (0.15, 0.25, 0.0, 0.6),
}  # fmt: skip
N_DOCUMENTS, N_QUESTIONS, TOKENS_PER_BATCH, WIDTH = 40_000, 150, 1024, 64


def form_of(language: str, thing) -> str:
    """The form that a thing takes in a language: one of four, six things each, independent of the other language."""
    i = THINGS.index(thing)
    return FORMS[language][i % 4 if language == "English" else i // 6]


def sentence(language: str, animal, verb, thing, form: str | None) -> str:
    """ "the whale broke a lamp, of sorts."; form None: without one, as in "la baleine a cassé une lampe."."""
    return f"{phrase(language, animal)} {phrase(language, verb)} {_end(language, thing, form)}"


def _end(language: str, thing, form: str | None) -> str:
    return f"{phrase(language, thing)}, {form}." if form else f"{phrase(language, thing)}."


def program(shares: tuple[float, ...]) -> grammar.Program:
    """Grammar of one corpus: a thing that may have a form has it half the time; shares as in BALANCES."""

    def say(d, kind, language, start):
        return _sentence(d, TOLD if kind == "sentences" else THINGS, language, start)

    def translate(language, animal, verb, thing, has_form):
        return sentence(language, animal, verb, thing, form_of(language, thing) if has_form else None)

    return translation.two_language_program(shares, say, translate)


def _sentence(d, with_form, language, start="", without=THINGS):
    """Writes a sentence: (animal, verb, thing, whether it has a form). Half of those that may have a form have it."""
    animal = d.pick(ANIMALS, form=lambda a: start + phrase(language, a))
    verb = d.pick(VERBS, form=lambda v: f" {phrase(language, v)}")
    ends = [(thing, False) for thing in without] + [(thing, True) for thing in with_form]
    thing, has_form = d.pick(ends, form=lambda e: f" {_end(language, e[0], form_of(language, e[0]) if e[1] else None)}")
    return animal, verb, thing, has_form


def two_language_dataset(balance: str) -> Dataset:
    """The corpus of one balance of languages. Errors: an unknown balance is a ValueError."""
    if balance not in BALANCES:
        raise ValueError(f"expected a balance among {sorted(BALANCES)}; got {balance!r}")
    return dataset.build_dataset(program(BALANCES[balance]), N_DOCUMENTS, 300, 1)


def pretrain(data: Dataset, seed: int) -> Pretrained:
    """The book's GPT-2 of width 64 with scaled embeddings, trained for two epochs on a corpus of two languages."""
    config = replace(sizes.gpt2(WIDTH), embedding_scale=WIDTH**0.5, n_vocab=data.tokenizer.n_vocab)
    batches = DocumentBatches(data.corpus, data.tokenizer, dataset.N_CTX, TOKENS_PER_BATCH, seed)
    return pretraining.pretrain(
        data, config, seed, 2 * len(batches), training=sizes.gpt2_training(WIDTH), tokens_per_batch=TOKENS_PER_BATCH
    )


def questions(into: str, n: int = N_QUESTIONS) -> list[tuple[str, tuple]]:
    """(prompt, (animal, verb, thing)) of sentences about the new things; always the same ones."""
    rng, source = random.Random(f"forms, into {into}"), LANGUAGES[into == "English"]
    found = [grammar.sample(lambda d: _sentence(d, NEW, source, without=()), rng) for _ in range(n)]
    return [(f"{text} =", told[:3]) for text, told in found]


def scores(gpt: GPT, data: Dataset, into: str, n: int = N_QUESTIONS) -> dict[str, float]:
    """Scores of a model's translations into one language, over n sentences.

    "whole": no mistake (greedy decoding); "content": animal, verb and thing are right, whatever the form, or without
    one; "form": the right form is the likeliest of the four, all else given as it should be (chance 1/4).
    """
    asked = questions(into, n)
    said = zero_shot.write_answers(gpt, data.tokenizer, [prompt for prompt, _ in asked], 40)
    found: dict[str, list[bool]] = {"whole": [], "content": [], "form": []}
    for (prompt, told), answer in zip(asked, said):
        versions = {form: f" {sentence(into, *told, form)}" for form in (*FORMS[into], None)}
        right = form_of(into, told[2])
        wanted = {form: text.removesuffix(".") for form, text in versions.items()}  # answers end before their full stop
        found["whole"].append(answer == wanted[right])
        found["content"].append(answer in wanted.values())
        chosen = fewshot.choose(gpt, data.tokenizer, prompt, [versions[form] for form in FORMS[into]], "plain")
        found["form"].append(chosen == versions[right])
    return {name: float(np.mean(each)) for name, each in found.items()}


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed: a model for each corpus, asked in both directions."""
    for balance in BALANCES:
        data = two_language_dataset(balance)
        gpt = pretrain(data, seed).model
        for into in LANGUAGES:
            for name, value in scores(gpt, data, into).items():
                yield dict(zip(KEY, (seed, balance, into, name)), value=f"{value:.4f}")


def advantage(quantity: str) -> np.ndarray:
    """A score into the language that was read most, less that into the other, from the table: one number for each of
    both unbalanced corpora and each seed."""
    found = []
    for most, other in (("English", "French"), ("French", "English")):
        where = {"quantity": quantity, "balance": f"mostly {most}"}
        into = [measured.get("gpt3/target_forms", into=language, **where) for language in (most, other)]
        found.append(into[0] - into[1])
    return np.concatenate(found)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    found = {}
    for balance in BALANCES:
        with canaries.short_writing(60, 6) as asked:
            data = two_language_dataset(balance)
        found |= {f"{balance}, written": canaries.checksum(asked[0]), f"{balance}, floor": data.floor.mean}
        with canaries.few_updates() as numbers:
            gpt = pretrain(canaries.part(data, 45), 0).model
        found |= canaries.under(balance, numbers)
        for into in LANGUAGES:
            found |= canaries.under(f"{balance}, into {into}", scores(gpt, data, into, 3))
            prompt, told = questions(into, 1)[0]
            versions = [f" {sentence(into, *told, form)}" for form in FORMS[into]]
            likely = fewshot.score_choices(gpt, data.tokenizer, prompt, versions, "plain")
            found[f"{balance}, versions into {into}"] = canaries.checksum(likely)
    return found | {"forms": canaries.checksum(FORMS[x].index(form_of(x, t)) for x in LANGUAGES for t in THINGS)}
