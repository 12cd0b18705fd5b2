"""Chapter 02, section 6. Decoding: temperature, top-k and top-p beside the exact next-token distribution.

The table data/measured/gpt2/decoding.csv has a row for each seed, setting and quantity: "truth" and "model", the mean
total variation from the exact distribution over 300 beginnings; and the quality of 100 documents written with some of
the settings (see `quality`). Minutes on one core, if the models are in the cache.
"""

import random
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from minigpt import contamination, sample
from minigpt.experiments import dataset
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import zero_shot
from minigpt.model import GPT
from minigpt.worlds import grammar

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "setting", "quantity")

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
    """Total variation distance: the share of draws that would have to change.

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


def prefixes(data: Dataset, n: int) -> list[str]:
    """n beginnings of held-out documents, cut behind a word drawn at random; always the same ones."""
    rng, found = random.Random("prefixes"), []
    while len(found) < n:
        words = grammar.words(data.held_out[int(rng.random() * len(data.held_out))])
        found.append("".join(words[: 1 + int(rng.random() * (len(words) - 1))]))
    return found


def true_next(data: Dataset, prefix: str) -> Tensor:
    """The exact P(next token | prefix), for a prefix that ends with a whole word. Shapes: (V,).

    Words are encoded one by one, so the next token is the first of the next word:
        P(token | prefix) = sum of P(word | prefix) over the words that begin with this token
    """
    probs = torch.zeros(data.tokenizer.n_vocab, dtype=torch.float64)
    for word, p in grammar.predict(data.program, prefix).next_word.items():
        token = data.tokenizer.endoftext if word == grammar.END else data.tokenizer.encode(word)[0]
        probs[token] += p
    return probs


@torch.no_grad()
def model_next(gpt: GPT, data: Dataset, prefix: str) -> Tensor:
    """The model's logits of the next token. Shapes: (V,)."""
    ids = torch.tensor([[data.tokenizer.endoftext, *data.tokenizer.encode(prefix)]])
    return gpt(ids)[0, -1].cpu().double()


def distances(gpt: GPT | None, data: Dataset, cuts: Iterable[str]) -> dict[str, float]:
    """The mean total variation from the truth, for each setting of SETTINGS; of the truth itself if there is no model.

    With `gpt=None` the true distribution is decoded: what is lost then is lost by the setting alone.
    """
    found = {name: [] for name in SETTINGS}
    for prefix in cuts:
        true = true_next(data, prefix)
        logits = true.clamp(min=1e-300).log() if gpt is None else model_next(gpt, data, prefix)
        for name, how in SETTINGS.items():
            found[name].append(total_variation(true, sample.next_probs(logits, **how)))
    return {name: float(np.mean(values)) for name, values in found.items()}


def generate_stories(gpt: GPT, data: Dataset, openings: list[str], seed: int, **how) -> list[str]:
    """Documents that go on from their first sentences, decoded in some way."""
    texts, generator = [], torch.Generator().manual_seed(seed)
    for opening in openings:
        room = gpt.config.n_ctx - 1 - len(data.tokenizer.encode(opening))
        texts.append(opening + sample.generate_text(gpt, data.tokenizer, opening, room, generator, **how))
    return texts


def openings(data: Dataset, n: int) -> list[str]:
    """The first sentences of n held-out stories."""
    stories = [text for text in data.held_out if text.startswith(("Once", "This"))]
    return [text[: text.index(".") + 1] for text in stories[:n]]


def quality(texts: list[str], data: Dataset) -> dict[str, float]:
    """What can be said of written documents: the share that the grammar could have written, how alike they are
    (the share of 4-grams that another of them has, too) and how many words they have."""
    possible = [grammar.score(data.program, text).logp > -np.inf for text in texts]
    grams = [set(contamination.ngrams(text, 4)) for text in texts]
    alike = []
    for i, mine in enumerate(grams):
        others = set().union(*(g for j, g in enumerate(grams) if j != i))
        alike += [len(mine & others) / len(mine)] if mine else []
    words = [len(text.split()) for text in texts]
    return {"possible": float(np.mean(possible)), "alike": float(np.mean(alike)), "words": float(np.mean(words))}


# --- the table --------------------------------------------------------------------------------------------------------

WRITTEN = ("temperature 0", "temperature 0.7", "temperature 1", "temperature 1.5", "top-k 2", "top-k 10", "top-p 0.9")


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    cuts, starts = prefixes(data, 300), openings(data, 100)
    gpt = zero_shot.pretrain(data, seed=seed).model
    found = of_the_truth(data, cuts, starts) | of_the_model(gpt, data, cuts)
    for setting in WRITTEN:
        texts = generate_stories(gpt, data, starts, seed, **SETTINGS[setting])
        found |= {(setting, name): value for name, value in quality(texts, data).items()}
    for where, value in found.items():
        yield dict(zip(KEY, (seed, *where)), value=f"{value:.4f}")


def of_the_truth(data: Dataset, cuts: list[str], starts: list[str]) -> dict[tuple[str, str], float]:
    """What is the same for all seeds: the settings applied to the exact distribution, and the real stories."""
    found = {(name, "truth"): value for name, value in distances(None, data, cuts).items()}
    stories = [text for text in data.held_out if text.startswith(tuple(starts))]
    return found | {("real", name): value for name, value in quality(stories, data).items()}


def of_the_model(gpt: GPT, data: Dataset, cuts: list[str]) -> dict[tuple[str, str], float]:
    """The settings applied to a model."""
    return {(name, "model"): value for name, value in distances(gpt, data, cuts).items()}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories, sum_of_tokens

    data = stories(4)
    cuts, starts = prefixes(data, 3), openings(data, 2)
    with few_updates() as found:
        gpt = zero_shot.pretrain(data, seed=0).model
    measured = of_the_truth(data, cuts, starts) | of_the_model(gpt, data, cuts)
    for setting in WRITTEN[1::2]:
        texts = generate_stories(gpt, data, starts[:1], 0, **SETTINGS[setting])
        measured[setting, "tokens"] = sum_of_tokens(texts)
        texts.append(next(text for text in data.held_out if text.startswith(starts[0])))
        measured |= {(setting, name): value for name, value in quality(texts, data).items()}
    found["settings written"] = sum(i * len(setting) for i, setting in enumerate(WRITTEN))
    return found | {f"{setting}, {name}": value for (setting, name), value in measured.items()}
