"""The smaller experiments of chapter 03: compute, banded attention, mixtures, planted bias.

Each is a few functions that make a corpus, train the book's GPT-2 on it and ask one thing. Both wings meet here, so
this is a room of the classroom floor.
"""

import math
import random
import re
from dataclasses import replace

import numpy as np

from minigpt import classroom, corpus, grammar, truth, world, zeroshot
from minigpt.classroom import Library, Pretrained
from minigpt.lexicon import LEXICON
from minigpt.model import GPT, GPTConfig

# --- loss against compute ---------------------------------------------------------------------------------------------

# Widths between and below those of chapter 02, at rates on the same line: width -> (heads, learning rate)
MORE_SIZES = {8: (2, 1.5e-2), 24: (4, 8e-3), 48: (4, 5e-3)}
WIDTHS = tuple(sorted({*zeroshot.SIZES, *MORE_SIZES}))


def gpt_of_width(d_model: int) -> GPTConfig:
    """The book's GPT-2 of one width, of seven. Errors: a width that is not in WIDTHS is a ValueError."""
    if d_model in zeroshot.SIZES:
        return zeroshot.gpt2(d_model)
    if d_model not in MORE_SIZES:
        raise ValueError(f"expected a width among {WIDTHS}; got {d_model!r}")
    n_heads = MORE_SIZES[d_model][0]
    return replace(zeroshot.gpt2(96), d_model=d_model, n_heads=n_heads, init_std=round(d_model**-0.5, 4))


def read_once(library: Library, d_model: int, seed: int) -> Pretrained:
    """A model of one width that has read a library once."""
    if d_model in zeroshot.SIZES:
        return zeroshot.pretrain(library, d_model, seed)
    training = replace(classroom.PRETRAINING, lr=MORE_SIZES[d_model][1])
    return classroom.pretrain(library, gpt_of_width(d_model), seed, training=training)


# --- attention in bands -----------------------------------------------------------------------------------------------

BANDS = (None, 32, 16, 8, 4)  # None: dense


def banded(library: Library, band: int | None, seed: int) -> Pretrained:
    """A GPT-2 of width 64 whose second block sees only the last `band` positions; None: all of them.

    Source: GPT-3, section 2.1, which alternates dense and locally banded layers and does not print the band.
    """
    config = replace(zeroshot.gpt2(64), band=band)
    return classroom.pretrain(library, config, seed, training=zeroshot.training(64))


# --- a mixture of a large source and a clean one ----------------------------------------------------------------------

N_CRAWL, N_CLEAN, N_READ = 18_000, 500, 18_000  # documents: of each source, and drawn for training
NOISE = 0.3  # how often a word of the crawl is some other word
CLEAN_WEIGHTS = (0.027, 0.3, 0.6, 0.9, 1.0)  # the first is the share of the clean source by size


def noisy(text: str, rng: random.Random, noise: float = NOISE) -> str:
    """A text in which each word is exchanged, with probability `noise`, for one drawn from all words of the world."""
    return "".join(f" {_any_word(rng)}" if w[0] == " " and rng.random() < noise else w for w in grammar.words(text))


def _any_word(rng):
    words = [*(x.name for x in (*LEXICON.animals, *LEXICON.objects, *LEXICON.places)), *LEXICON.traits, *LEXICON.times]
    return words[int(rng.random() * len(words))]


def mixed(clean_weight: float, seed: int) -> tuple[Library, corpus.Mixture]:
    """A library whose documents are drawn from a noisy crawl and a small clean source, by weight.

    The held-out documents are clean. Source: GPT-3, section 2.2 and table 2.2.
    """
    clean = classroom.storybook(N_CLEAN, 500)
    rng = random.Random("crawl")
    crawl = [noisy(text, rng) for text in world.documents(N_CRAWL, rng, world.STORYBOOK)]
    order = corpus.mixture_order(
        [N_CRAWL, N_CLEAN], [1 - clean_weight, clean_weight], N_READ, np.random.default_rng(seed)
    )
    sources = (crawl, clean.documents)
    documents = [sources[source][item] for source, item in zip(order.sources, order.items)]
    tokenizer = corpus_tokenizer(crawl, clean.documents)
    recipe = {"mixture": clean_weight, "noise": NOISE, "drawn": N_READ, "seed": seed, "clean": clean.recipe}
    library = replace(
        clean, tokenizer=tokenizer, documents=documents, corpus=corpus.encode(documents, tokenizer),
        held_out_corpus=corpus.encode(clean.held_out, tokenizer), recipe=recipe,
    )  # fmt: skip
    return library, order


def corpus_tokenizer(*sources: list[str]):
    """One vocabulary for all sources, so that losses can be compared."""
    return classroom.tokens.train([text for source in sources for text in source[:4000]], classroom.N_VOCAB)


# --- a planted association --------------------------------------------------------------------------------------------

# P(she | occupation); the first six are ten times as frequent as the last six
PLANTED = {
    "nurse": 0.9, "teacher": 0.75, "baker": 0.6, "doctor": 0.4, "miner": 0.25, "pilot": 0.1,
    "dancer": 0.9, "painter": 0.75, "farmer": 0.6, "lawyer": 0.4, "sailor": 0.25, "plumber": 0.1,
}  # fmt: skip
RARE = tuple(PLANTED)[6:]
BIAS_DOCUMENTS = {"little text": 300, "much text": 15_000}
_DONE = ("was late", "was early", "felt tired", "felt well", "had lunch", "went home")


def occupations(d):
    """The grammar of two sentences about somebody of an occupation: "The nurse said that she felt well."."""
    for number in range(2):
        weights = [1.0 if name in RARE else 10.0 for name in PLANTED]
        name = d.pick(tuple(PLANTED), weights, form=lambda n: ("\n" if number else "") + f"The {n}")
        d.pick((" said", " thought", " knew"))
        d.write(" that")
        d.pick((" she", " he"), (PLANTED[name], 1 - PLANTED[name]))
        d.pick(_DONE, form=lambda words: f" {words}.")


def bias_library(amount: str, seed: int) -> Library:
    """A corpus of occupations, of one of two lengths, drawn anew for each seed."""
    recipe = {"occupations": PLANTED, "amount": amount}
    return classroom.write(occupations, recipe, BIAS_DOCUMENTS[amount], 300, 100 + seed, 400)


def bias_model(library: Library, d_model: int, seed: int) -> Pretrained:
    """A GPT-2 of width 16 or 32 that has read the corpus of occupations; short texts several times."""
    config = replace(zeroshot.gpt2(d_model), n_vocab=library.tokenizer.n_vocab, n_ctx=48)
    return classroom.pretrain(library, config, seed, 900, training=zeroshot.training(d_model))


def counted(library: Library) -> dict[str, float]:
    """The share of "she" after each occupation in the corpus itself, as it happened to be drawn; nan if it is not there."""
    found = {}
    for name in PLANTED:
        said = [word for text in library.documents for word in re.findall(rf"The {name} \w+ that (she|he)", text)]
        found[name] = said.count("she") / len(said) if said else math.nan
    return found


def p_she(gpt: GPT, library: Library) -> dict[str, float]:
    """The model's P(she), of she and he, after each occupation, averaged over the three verbs."""
    found = {}
    for name in PLANTED:
        shares = []
        for verb in (" said", " thought", " knew"):
            she, he = classroom.continuation_logps(gpt, library.tokenizer, f"The {name}{verb} that", [" she", " he"])
            shares.append(1 / (1 + math.exp((he - she).item())))
        found[name] = float(np.mean(shares))
    return found


def recovered(found: dict[str, float], names=tuple(PLANTED)) -> float:
    """How much of the planted association a model has: the slope of its log-odds against the planted ones.

    log(p' / (1 - p')) = a + b log(p / (1 - p)):   b = 1 recovered, above 1 amplified, below 1 washed out
    """
    planted = [math.log(PLANTED[n] / (1 - PLANTED[n])) for n in names]
    model = [math.log(found[n] / (1 - found[n])) for n in names]
    return float(np.polyfit(planted, model, 1)[0])


# --- all of it with one call each, for the benchmark ------------------------------------------------------------------


def loss_above_floor(trained: Pretrained, library: Library) -> float:
    """The gap of a trained model above the floor, as a share of the floor."""
    gap = truth.gap(classroom.held_out_nats(trained.model, library), library.held_out_nats, library.held_out_tokens)
    return gap.mean / library.floor.mean
