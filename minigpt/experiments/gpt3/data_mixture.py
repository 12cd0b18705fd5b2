"""Chapter 03. A mixture of clean and noisy text."""

import random
from dataclasses import replace

import numpy as np

from minigpt import batches, corpus
from minigpt.experiments import dataset
from minigpt.experiments.dataset import Dataset
from minigpt.tokenizer import train_bpe
from minigpt.worlds import grammar, stories
from minigpt.worlds.lexicon import LEXICON

N_CRAWL, N_CLEAN, N_READ = 18_000, 500, 18_000  # documents: of each source, and drawn for training
NOISE = 0.3  # how often a word of the crawl is some other word
CLEAN_WEIGHTS = (0.027, 0.3, 0.6, 0.9, 1.0)  # the first is the share of the clean source by size


def noisy(text: str, rng: random.Random, noise: float = NOISE) -> str:
    """A text in which each word is exchanged, with probability `noise`, for one drawn from all words of the world."""
    return "".join(f" {_any_word(rng)}" if w[0] == " " and rng.random() < noise else w for w in grammar.words(text))


def _any_word(rng):
    words = [*(x.name for x in (*LEXICON.animals, *LEXICON.objects, *LEXICON.places)), *LEXICON.traits, *LEXICON.times]
    return words[int(rng.random() * len(words))]


def mixed(clean_weight: float, seed: int) -> tuple[Dataset, batches.Mixture]:
    """A library whose documents are drawn from a noisy crawl and a small clean source, by weight.

    The held-out documents are clean. Source: GPT-3, section 2.2 and table 2.2.
    """
    clean = dataset.story_dataset(N_CLEAN, 500)
    rng = random.Random("crawl")
    crawl = [noisy(text, rng) for text in stories.documents(N_CRAWL, rng, stories.STORYBOOK)]
    order = batches.mixture_order(
        [N_CRAWL, N_CLEAN], [1 - clean_weight, clean_weight], N_READ, np.random.default_rng(seed)
    )
    sources = (crawl, clean.documents)
    documents = [sources[source][item] for source, item in zip(order.sources, order.items)]
    tokenizer = corpus_tokenizer(crawl, clean.documents)
    library = replace(
        clean, tokenizer=tokenizer, documents=documents, corpus=corpus.encode(documents, tokenizer),
        held_out_corpus=corpus.encode(clean.held_out, tokenizer),
    )  # fmt: skip
    return library, order


def corpus_tokenizer(*sources: list[str]):
    """One vocabulary for all sources, so that losses can be compared."""
    return train_bpe([text for source in sources for text in source[:4000]], dataset.N_VOCAB)
