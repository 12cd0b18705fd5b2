"""Sampling beside the truth: what temperature, top-k and top-p do to a distribution whose true shape is known.

Both wings meet here: a room of the classroom floor.
"""

import random
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from minigpt import contamination, sample
from minigpt.experiments.dataset import Dataset
from minigpt.model import GPT
from minigpt.worlds import grammar

# How to decode: name -> the settings of `sample.next_probs`
TEMPERATURES = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
TOP_K = (1, 2, 5, 10, 20, 40, 100)
TOP_P = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
SETTINGS = {
    **{f"temperature {t:g}": {"temperature": t} for t in TEMPERATURES},
    **{f"top-k {k}": {"top_k": k} for k in TOP_K},
    **{f"top-p {p:g}": {"top_p": p} for p in TOP_P},
}


def total_variation(p, q) -> float:
    """How far two distributions are from each other: the share of draws that would have to change.

        TV(p, q) = 1/2 sum_x |p(x) - q(x)|

    Shapes: (V,) and (V,). Unit: a share, from 0 (equal) to 1 (nothing in common).
    Errors: different lengths, or numbers that are no distribution, are a ValueError.

    >>> total_variation([0.5, 0.5], [0.9, 0.1])
    0.4
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if p.shape != q.shape or p.ndim != 1:
        raise ValueError(f"expected two distributions over the same tokens; got shapes {p.shape} and {q.shape}")
    for each in (p, q):
        if not np.all(each >= 0) or abs(each.sum() - 1) > 1e-4:
            raise ValueError(f"expected probabilities that add to 1; got a sum of {each.sum():g}")
    return float(np.abs(p - q).sum() / 2)


def prefixes(library: Dataset, n: int) -> list[str]:
    """n beginnings of held-out documents, cut behind a word drawn at random; always the same ones."""
    rng, found = random.Random("prefixes"), []
    while len(found) < n:
        words = grammar.words(library.held_out[int(rng.random() * len(library.held_out))])
        found.append("".join(words[: 1 + int(rng.random() * (len(words) - 1))]))
    return found


def true_next(library: Dataset, prefix: str) -> Tensor:
    """The exact P(next token | prefix), for a prefix that ends with a whole word. Shapes: (V,).

    Words are encoded one by one, so the next token is the first of the next word:
        P(token | prefix) = sum of P(word | prefix) over the words that begin with this token
    """
    probs = torch.zeros(library.tokenizer.n_vocab, dtype=torch.float64)
    for word, p in grammar.predict(library.program, prefix).next_word.items():
        token = library.tokenizer.endoftext if word == grammar.END else library.tokenizer.encode(word)[0]
        probs[token] += p
    return probs


@torch.no_grad()
def model_next(gpt: GPT, library: Dataset, prefix: str) -> Tensor:
    """The model's logits of the next token. Shapes: (V,)."""
    ids = torch.tensor([[library.tokenizer.endoftext, *library.tokenizer.encode(prefix)]])
    return gpt(ids)[0, -1].double()


def distances(gpt: GPT | None, library: Dataset, cuts: Iterable[str]) -> dict[str, float]:
    """The mean total variation from the truth, for each setting of SETTINGS; of the truth itself if there is no model.

    With `gpt=None` the true distribution is decoded: what is lost then is lost by the setting alone.
    """
    found = {name: [] for name in SETTINGS}
    for prefix in cuts:
        true = true_next(library, prefix)
        logits = true.clamp(min=1e-300).log() if gpt is None else model_next(gpt, library, prefix)
        for name, how in SETTINGS.items():
            found[name].append(total_variation(true, sample.next_probs(logits, **how)))
    return {name: float(np.mean(values)) for name, values in found.items()}


def generate_stories(gpt: GPT, library: Dataset, openings: list[str], seed: int, **how) -> list[str]:
    """Documents that go on from their first sentences, decoded in some way."""
    texts, generator = [], torch.Generator().manual_seed(seed)
    for opening in openings:
        ids = torch.tensor([library.tokenizer.endoftext, *library.tokenizer.encode(opening)])
        room = gpt.config.n_ctx - len(ids)
        row = sample.generate(gpt, ids, room, generator, stop_id=library.tokenizer.endoftext, **how).tolist()[1:]
        row = row[: row.index(library.tokenizer.endoftext)] if library.tokenizer.endoftext in row else row
        texts.append(b"".join(map(library.tokenizer.decode_bytes, row)).decode("utf-8", errors="replace"))
    return texts


def openings(library: Dataset, n: int) -> list[str]:
    """The first sentences of n held-out stories."""
    stories = [text for text in library.held_out if text.startswith(("Once", "This"))]
    return [text[: text.index(".") + 1] for text in stories[:n]]


def quality(texts: list[str], library: Dataset) -> dict[str, float]:
    """What can be said of written documents: the share that the grammar could have written, how alike they are
    (the share of 4-grams that another of them has, too) and how many words they have."""
    possible = [grammar.score(library.program, text).logp > -np.inf for text in texts]
    grams = [set(contamination.ngrams(text, 4)) for text in texts]
    alike = []
    for i, mine in enumerate(grams):
        others = set().union(*(g for j, g in enumerate(grams) if j != i))
        alike += [len(mine & others) / len(mine)] if mine else []
    words = [len(text.split()) for text in texts]
    return {"possible": float(np.mean(possible)), "alike": float(np.mean(alike)), "words": float(np.mean(words))}
