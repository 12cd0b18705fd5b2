"""Chapter 02. Does greedy decoding repeat itself? Repeated 4-grams within one text, by decoding.

gpt2/decoding measures how alike different texts are. Repetition within a text, of which GPT-2's section 3.6 and
Holtzman et al. 2020 speak, is something else: how much of a text it has said before. Long texts show it best, and ours
end soon; so each setting writes twice: as it likes ("free"), and with the end of the text forbidden until the window of
128 tokens is full ("no end").

The table data/measured/gpt2/repetition.csv has a row for each seed, setting and end: the mean share of repeated
4-grams in 100 texts that go on from the first sentence of a held-out story. Setting "real": the held-out stories
themselves. Minutes on one core, if the models are in the cache.
"""

from collections.abc import Iterable, Iterator
from unittest import mock

import numpy as np
import torch

from minigpt import contamination
from minigpt.experiments import dataset, measured
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import decoding, summaries, zero_shot
from minigpt.model import GPT

SEEDS = (0, 1, 2)
KEY = ("seed", "setting", "end")
SETTINGS = {
    "greedy": {"temperature": 0},
    "top-k 2": {"top_k": 2},
    "top-k 10": {"top_k": 10},
    "top-p 0.9": {"top_p": 0.9},
    "temperature 1": {},
}
ENDS = ("free", "no end")


def repeated(text: str, n: int = 4) -> float:
    """Repetition within a text: the share of its n-grams that it has had before.

        1 - (different n-grams) / (n-grams)

    0: nothing is said twice; near 1: the same words for ever. A text of fewer than n words has 0.
    Source: Welleck et al. 2019, section 6.1, "seq-rep-n". Differs: words, not tokens.

    >>> repeated("the cat sat on the cat sat on", 3)
    0.3333333333333333
    """
    grams = contamination.ngrams(text, n)
    return (len(grams) - len(set(grams))) / len(grams) if grams else 0.0


def mean_repeated(texts: Iterable[str]) -> float:
    """The mean of `repeated` over several texts."""
    return float(np.mean([repeated(text) for text in texts]))


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    gpt = zero_shot.pretrain(data, seed=seed).model
    for where, value in measure(gpt, data, decoding.openings(data, 100), seed).items():
        yield dict(zip(KEY, (seed, *where)), value=f"{value:.4f}")


def measure(gpt: GPT, data: Dataset, openings: list[str], seed: int) -> dict[tuple[str, str], float]:
    """(setting, end) -> share of repeated 4-grams, and the same of the real stories with these openings."""
    found = {("real", "free"): mean_repeated(text for text in data.held_out if text.startswith(tuple(openings)))}
    for setting in SETTINGS:
        for end in ENDS:
            found[setting, end] = mean_repeated(texts(gpt, data, openings, seed, setting, end))
    return found


def texts(gpt: GPT, data: Dataset, openings: list[str], seed: int, setting: str, end: str = "free") -> list[str]:
    """Texts that go on from their openings: decoded by one of SETTINGS, and with one of ENDS."""
    if setting not in SETTINGS or end not in ENDS:
        raise ValueError(f"expected a setting of {list(SETTINGS)} and an end of {ENDS}; got {setting!r}, {end!r}")
    generator, n = torch.Generator().manual_seed(seed), gpt.config.n_ctx
    held = n if end == "no end" else 0
    written = summaries.write(gpt, data.tokenizer, openings, generator, n, held, **SETTINGS[setting])
    return [opening + text for opening, text in zip(openings, written)]


def of(setting: str, end: str = "free") -> np.ndarray:
    """The share of repeated 4-grams, one number a seed, from the table."""
    return measured.get("gpt2/repetition", setting=setting, end=end)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories, sum_of_tokens

    data = stories(4)
    with few_updates(2) as found:
        gpt = zero_shot.pretrain(data, seed=0).model
    write, short = texts, decoding.openings(data, 1)

    def written(gpt, data, openings, seed, setting, end="free"):
        found[f"{setting}, {end}, tokens"] = sum_of_tokens(got := write(gpt, data, openings, seed, setting, end))
        return got

    with mock.patch.dict(globals(), texts=written):
        return found | {", ".join(where): value for where, value in measure(gpt, data, short, 0).items()}
