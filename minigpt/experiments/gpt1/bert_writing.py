"""Chapter 01, the lab on BERT: what a masked model writes in two ways, beside what GPT-1 writes.

The table data/measured/gpt1/bert_writing.csv has a row for each seed, way of writing and number: the text itself. The
grammar judges the texts when they are read, not when they are stored. A minute on one core for each seed, once
gpt1/bert and gpt1/pretraining have been measured and their models are in the cache.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from minigpt import sample
from minigpt.experiments import dataset, pretraining
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt1 import bert as masked
from minigpt.model import GPT
from minigpt.worlds import grammar

SEEDS = [0]
KEY = ("seed", "way", "number")
WAYS = ("GPT, from left to right", "BERT, [MASK] at the end", "BERT, Gibbs sampling")
N_TEXTS, N_SWEEPS = 20, 10  # texts of each way and seed; how often Gibbs sampling draws each token anew


@torch.no_grad()
def draw(model: GPT, ids: Tensor, place: int, data: Dataset, generator: torch.Generator, visible=None) -> Tensor:
    """Draw the token at one place of each sequence from a masked model; special tokens are never drawn.

    Shapes: ids (B, T); visible as in `GPT.hidden`; result (B,).
    """
    logits = model.logits(model.hidden(ids, visible=visible)[:, place]).cpu()  # (B, V)
    tokenizer = data.tokenizer
    logits[:, [tokenizer.endoftext, tokenizer.start, tokenizer.delim, tokenizer.extract]] = -torch.inf
    return torch.multinomial(sample.next_probs(logits), 1, generator=generator)[:, 0]


def write_at_the_end(bert: GPT, data: Dataset, lengths: Sequence[int], generator: torch.Generator) -> list[str]:
    """BERT as a left-to-right writer: put [MASK] at the end, draw a token, put [MASK] after it, and so on.

    Shapes: lengths (B,), the tokens of each text; result B texts.
    """
    ids = torch.full((len(lengths), 1), data.tokenizer.endoftext)
    mask = torch.full_like(ids, data.tokenizer.delim)
    for _ in range(max(lengths)):
        new = draw(bert, torch.cat([ids, mask], dim=1), -1, data, generator)
        ids = torch.cat([ids, new[:, None]], dim=1)
    return [data.tokenizer.decode(row[1 : 1 + n].tolist()) for row, n in zip(ids, lengths)]


def write_by_gibbs(
    bert: GPT, data: Dataset, lengths: Sequence[int], generator: torch.Generator, n_sweeps: int = N_SWEEPS
) -> list[str]:
    """Gibbs sampling with a masked model: begin with nothing but [MASK], then draw each token anew, given all others.

    A sweep visits every place once, in a random order.

    Shapes: lengths (B,), the tokens of each text; result B texts.
    Source: Geman and Geman 1984, section IX; with BERT: Wang and Cho 2019. Differs: a new order in each sweep.
    """
    T, n = max(lengths), torch.tensor(lengths)
    ids = torch.full((len(lengths), T + 1), data.tokenizer.delim)
    ids[:, 0] = data.tokenizer.endoftext
    visible = torch.arange(T + 1) <= n[:, None]  # (B, T + 1)
    for _ in range(n_sweeps):
        for place in (1 + torch.randperm(T, generator=generator)).tolist():
            rows = visible[:, place]  # (B,) texts that are long enough
            ids[rows, place] = data.tokenizer.delim
            ids[rows, place] = draw(bert, ids[rows], place, data, generator, visible[rows])
    return [data.tokenizer.decode(row[1 : 1 + k].tolist()) for row, k in zip(ids, lengths)]


def write_as_gpt(gpt: GPT, data: Dataset, n: int, generator: torch.Generator) -> list[str]:
    """GPT's own way: from left to right, until it draws the end of the text. Result: n texts."""
    end = data.tokenizer.endoftext
    ids = sample.generate(gpt, torch.full((n, 1), end), gpt.config.n_ctx - 1, generator, stop_id=end)
    return [sample.document_text(data.tokenizer, row[1:].tolist()) for row in ids]


def possible_words(program: Callable, text: str) -> int:
    """How far the grammar can follow: the number of words before the first that no document could have there.

    Being stopped in the middle of a document is no mistake.

    >>> possible_words(lambda d: (d.pick(["a red", "a blue"]), d.write(" fox")), "a red hen")
    2
    """
    words = grammar.words(text)
    known, unknown = 0, len(words) + 1  # the first `known` words are possible, the first `unknown` are not
    while unknown - known > 1:
        middle = (known + unknown) // 2
        try:
            grammar.predict(program, "".join(words[:middle]))
            known = middle
        except ValueError:
            unknown = middle
    return known


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    gpt, bert = pretraining.pretrain(data, seed=seed).model, masked.pretrain_masked(data, seed).model
    for way, texts in write(gpt, bert, data, seed).items():
        for number, text in enumerate(texts):
            yield dict(zip(KEY, (seed, way, number)), value=text)


def write(gpt: GPT, bert: GPT, data: Dataset, seed: int, n: int = N_TEXTS, n_sweeps: int = N_SWEEPS) -> dict:
    """Texts of every way of writing; BERT is told how long each should be: as long as a held-out document."""
    lengths, generators = data.held_out_corpus.lengths[:n].tolist(), [torch.Generator() for _ in WAYS]
    for i, generator in enumerate(generators):
        generator.manual_seed(int(np.random.SeedSequence([seed, i]).generate_state(1)[0]))
    return dict(zip(WAYS, (
        write_as_gpt(gpt, data, n, generators[0]),
        write_at_the_end(bert, data, lengths, generators[1]),
        write_by_gibbs(bert, data, lengths, generators[2], n_sweeps),
    )))  # fmt: skip


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import gpt1, small_dataset, sum_of_tokens

    bert = GPT(masked.BERT, torch.Generator().manual_seed(0)).eval()
    found = write(gpt1(), bert, small_dataset(), 0, n=3, n_sweeps=2)
    return {way: sum_of_tokens(texts) for way, texts in found.items()} | {"texts": N_TEXTS, "sweeps": N_SWEEPS}
