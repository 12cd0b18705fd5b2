"""Chapter 03. Which of two pages did the machine write? Writers of four widths, and readers who know more or less.

The paper asked people whether a news article was written by GPT-3. Here a writer, the book's GPT-2 of one width, goes
on from the first sentence of a held-out story, and a reader sees both pages. The reader takes the one for the machine's
that is less likely, token by token, in its own model of the language; the grammar, which knows the language exactly,
takes a page for the machine's if it is impossible, and guesses if both are possible.

The table has a row for each seed, writer and reader: the accuracy over 100 pairs (0.5 is chance). Writer "other": no
machine at all, the second page is another held-out story. Readers: "bigram" and "trigram" models of the training text,
GPT-2 of each width (of the same seed), and "grammar". A seed takes five minutes on one core, nearly all of it
training. Measured so far: three seeds.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import torch

from minigpt import corpus, sample, train
from minigpt.batches import evaluation_batches
from minigpt.exact.ngram import NGram
from minigpt.experiments import canaries, dataset, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import decoding, zero_shot
from minigpt.model import GPT
from minigpt.worlds import grammar

SEEDS = (0, 1, 2)
KEY = ("seed", "writer", "reader")
WIDTHS = tuple(sizes.GPT2_SIZES)
N_PAGES = 100
NGRAMS = {"bigram": 2, "trigram": 3}


def write_pages(gpt: GPT, data: Dataset, openings: list[str], seed: int) -> list[str]:
    """Pages that go on from their openings, drawn from the model at temperature 1; openings of one length together."""
    ids = [[data.tokenizer.endoftext, *data.tokenizer.encode(opening)] for opening in openings]
    by_length, pages, generator = defaultdict(list), list(openings), torch.Generator().manual_seed(seed)
    for i, row in enumerate(ids):
        by_length[len(row)].append(i)
    for length, rows_ in sorted(by_length.items()):
        prompt = torch.tensor([ids[i] for i in rows_])
        room = gpt.config.n_ctx - length  # a page must be readable whole, its end included
        written = sample.generate(gpt, prompt, room, generator, stop_id=data.tokenizer.endoftext)
        for i, row in zip(rows_, written[:, length:].tolist()):
            pages[i] += sample.document_text(data.tokenizer, row)
    return pages


def pairs_of_pages(data: Dataset, n: int) -> tuple[list[str], list[str], list[str]]:
    """(openings, held-out stories that begin with them, as many other held-out stories)."""
    openings = decoding.openings(data, 2 * n)
    stories = [text for text in data.held_out if text.startswith(("Once", "This"))][: 2 * n]
    half = len(stories) // 2
    return openings[:half], stories[:half], stories[half : 2 * half]


def ngram_reader(data: Dataset, n: int) -> Callable[[list[str]], np.ndarray]:
    """A reader who knows the n-grams of the training text: pages -> nats per token of each."""
    model = NGram(data.corpus, n, data.tokenizer.n_vocab, data.tokenizer.endoftext)

    def read(pages):
        encoded = corpus.encode(pages, data.tokenizer)
        return model.nats(encoded) / (encoded.lengths + 1)

    return read


def gpt_reader(gpt: GPT, data: Dataset) -> Callable[[list[str]], np.ndarray]:
    """A reader with a GPT for a model: pages -> nats per token of each, as far as its window reaches."""

    def read(pages):
        encoded = _cut(corpus.encode(pages, data.tokenizer), gpt.config.n_ctx - 1)
        found = train.evaluate(gpt, evaluation_batches(encoded, data.tokenizer, gpt.config.n_ctx, 4096))
        return found.document_nats / found.document_tokens

    return read


def _cut(documents: corpus.Corpus, longest: int) -> corpus.Corpus:
    """The beginnings of documents: a page that a model wrote in odd tokens can have more of them when it is encoded."""
    ids = [documents.ids[a : min(b, a + longest)] for a, b in zip(documents.offsets, documents.offsets[1:])]
    offsets = np.cumsum([0, *map(len, ids)])
    return corpus.Corpus(np.concatenate(ids), offsets, documents.tokenizer_fingerprint)


def grammar_reader(data: Dataset) -> Callable[[list[str]], np.ndarray]:
    """A reader who knows the grammar: pages -> 0 for a possible one, infinite for an impossible one."""
    return lambda pages: np.array(
        [0.0 if grammar.score(data.program, page).logp > -np.inf else np.inf for page in pages]
    )


def accuracy(read: Callable[[list[str]], np.ndarray], real: list[str], written: list[str]) -> float:
    """Accuracy of a reader who takes the less likely page of each pair for the machine's; 1/2 where both are alike."""
    if len(real) != len(written) or not real:
        raise ValueError(f"expected as many written pages as real ones; got {len(written)} and {len(real)}")
    a, b = read(real), read(written)
    return float(np.mean((b > a) + 0.5 * (a == b)))


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed."""
    for (writer, reader), value in measure(dataset.story_dataset(), seed).items():
        yield {"seed": seed, "writer": writer, "reader": reader, "value": f"{value:.4f}"}


def measure(data: Dataset, seed: int, n_pages: int = N_PAGES, widths: tuple[int, ...] = WIDTHS) -> dict:
    """Everything that is measured of one seed: (writer, reader) -> accuracy."""
    openings, real, other = pairs_of_pages(data, n_pages)
    models = {d_model: zero_shot.pretrain(data, d_model, seed).model for d_model in widths}
    readers = {name: ngram_reader(data, n) for name, n in NGRAMS.items()}
    readers |= {f"GPT-2 of width {d_model}": gpt_reader(gpt, data) for d_model, gpt in models.items()}
    readers["grammar"] = grammar_reader(data)
    written = {str(d_model): write_pages(gpt, data, openings, seed) for d_model, gpt in models.items()}
    written["other"] = other
    return {(w, r): accuracy(read, real, pages) for w, pages in written.items() for r, read in readers.items()}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    data = canaries.stories(12)
    with canaries.few_updates() as found:
        measured = measure(data, 0, 3, WIDTHS[::3])
    openings, real, _ = pairs_of_pages(data, 3)
    for name, n in NGRAMS.items():
        found[f"nats, {name}"] = ngram_reader(data, n)(real).sum()
    found["nats, GPT"] = gpt_reader(canaries.gpt1(), data)(real).sum()
    found["written"] = canaries.sum_of_tokens(write_pages(canaries.gpt1(), data, openings, 1))
    found["asked"] = canaries.checksum(canaries.asked_for(dataset.story_dataset))
    return found | {f"{writer}, {reader}": value for (writer, reader), value in measured.items()}
