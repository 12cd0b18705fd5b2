"""Chapter 03, section 7. Data mixture: a small clean source beside a large noisy one, drawn with five weights.

The table has a row for each seed and weight of the clean source: its share among the documents drawn, the epochs of
both sources, and the loss of a GPT-2 of width 64 on clean held-out documents above the entropy floor, as a share of
the floor. Three seeds take ten minutes on one core.
"""

import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np

from minigpt import batches, corpus
from minigpt.experiments import canaries, dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt3 import compute
from minigpt.experiments.pretraining import Pretrained
from minigpt.tokenizer import Tokenizer, train_bpe
from minigpt.worlds import grammar, stories
from minigpt.worlds.lexicon import LEXICON

SEEDS = (0, 1, 2)
KEY = ("seed", "clean_weight")
N_CRAWL, N_CLEAN, N_DRAWN = 18_000, 500, 18_000  # documents: of each source, and drawn for training
N_HELD_OUT = 500
NOISE = 0.3  # how often a word of the crawl is replaced by a random word
CLEAN_WEIGHTS = (0.027, 0.3, 0.6, 0.9, 1.0)  # the first is the share of the clean source by size


def noisy(text: str, rng: random.Random, noise: float = NOISE) -> str:
    """A text in which each word is replaced, with probability `noise`, by one drawn from all words of the stories."""
    return "".join(
        f" {_random_word(rng)}" if word[0] == " " and rng.random() < noise else word for word in grammar.words(text)
    )


def _random_word(rng: random.Random) -> str:
    names = [x.name for x in (*LEXICON.animals, *LEXICON.objects, *LEXICON.places)]
    words = [*names, *LEXICON.traits, *LEXICON.times]
    return words[int(rng.random() * len(words))]


def mixed_dataset(
    clean_weight: float, seed: int, n_crawl: int = N_CRAWL, n_clean: int = N_CLEAN, n_drawn: int = N_DRAWN
) -> tuple[Dataset, batches.Mixture]:
    """A dataset whose documents are drawn from a noisy crawl and a small clean source, by weight; and the order drawn.

    The held-out documents are clean. Source: GPT-3, section 2.2 and table 2.2.
    """
    clean = dataset.story_dataset(n_clean, N_HELD_OUT)
    rng = random.Random("crawl")
    crawl = [noisy(text, rng) for text in stories.documents(n_crawl, rng, stories.STORYBOOK)]
    order = batches.mixture_order(
        [n_crawl, n_clean], [1 - clean_weight, clean_weight], n_drawn, np.random.default_rng(seed)
    )
    sources = (crawl, clean.documents)
    documents = [sources[source][item] for source, item in zip(order.sources, order.items)]
    tokenizer = shared_tokenizer(crawl, clean.documents)
    data = replace(
        clean, tokenizer=tokenizer, documents=documents, corpus=corpus.encode(documents, tokenizer),
        held_out_corpus=corpus.encode(clean.held_out, tokenizer),
    )  # fmt: skip
    return data, order


def shared_tokenizer(*sources: list[str]) -> Tokenizer:
    """One vocabulary for all sources, so that losses can be compared."""
    return train_bpe([text for source in sources for text in source[:4000]], dataset.N_VOCAB)


def train_one_epoch(data: Dataset, seed: int) -> Pretrained:
    """A GPT-2 of width 64, trained on every document of a mixture once."""
    return pretraining.pretrain(data, sizes.gpt2(64), seed, training=sizes.gpt2_training(64))


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed: a mixture and a model for each weight."""
    for weight in CLEAN_WEIGHTS:
        data, order = mixed_dataset(weight, seed)
        gap = compute.loss_above_floor(train_one_epoch(data, seed), data)
        row = dict(zip(KEY, (seed, weight)), gap=f"{gap:.4f}", share=f"{order.shares[1]:.4f}")
        yield row | {f"{name}_epochs": f"{e:.3f}" for name, e in zip(("crawl", "clean"), order.epochs)}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    found = {}
    for weight in CLEAN_WEIGHTS:
        weights = [1 - weight, weight]
        order = batches.mixture_order([N_CRAWL, N_CLEAN], weights, N_DRAWN, np.random.default_rng(0))
        found[f"{weight}, whole epochs"] = canaries.checksum(order.epochs)
        with _small_stories() as asked:
            data, order = mixed_dataset(weight, 0, N_CRAWL // 400, N_CLEAN // 50, N_DRAWN // 400)
        found[f"{weight}, clean documents"] = canaries.checksum(asked[0])
        found[f"{weight}, share"] = order.shares[1]
        found[f"{weight}, epochs"] = canaries.checksum(order.epochs)
        found[f"{weight}, ids"] = data.corpus.ids.astype(float).mean()
        if weight not in CLEAN_WEIGHTS[1::2]:
            continue
        data = canaries.part(data, len(data.documents))
        run, numbers = canaries.trained(lambda data=data: train_one_epoch(data, 0))
        found |= canaries.under(f"{weight}", numbers) | {f"{weight}, gap": compute.loss_above_floor(run, data)}
    whole = canaries.part(data, N_DRAWN)
    return found | {"floor": data.floor.mean, "sum of rates": canaries.rates(lambda: train_one_epoch(whole, 0))}


@contextlib.contextmanager
def _small_stories() -> Iterator[list]:
    """Inside, dataset.story_dataset gives documents of the small dataset. Yields the list of its calls."""
    asked, small = [], canaries.small_dataset()

    def story_dataset(*numbers):
        asked.append(numbers)
        return replace(small, documents=small.documents[: numbers[0]])

    with mock.patch.object(dataset, "story_dataset", story_dataset):
        yield asked
