"""Chapter 03. A planted association of occupations and pronouns, and what a model makes of it."""

import math
import re
from dataclasses import replace

import numpy as np

from minigpt import sample
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPT

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


def bias_dataset(amount: str, seed: int) -> Dataset:
    """A corpus of occupations, of one of two lengths, drawn anew for each seed."""
    return dataset.build_dataset(occupations, BIAS_DOCUMENTS[amount], 300, 100 + seed, 400)


def bias_model(library: Dataset, d_model: int, seed: int) -> Pretrained:
    """A GPT-2 of width 16 or 32 that has read the corpus of occupations; short texts several times."""
    config = replace(sizes.gpt2(d_model), n_vocab=library.tokenizer.n_vocab, n_ctx=48)
    return pretraining.pretrain(library, config, seed, 900, training=sizes.gpt2_training(d_model))


def counted(library: Dataset) -> dict[str, float]:
    """The share of "she" after each occupation in the corpus itself, as it happened to be drawn; nan if it is not there."""
    found = {}
    for name in PLANTED:
        said = [word for text in library.documents for word in re.findall(rf"The {name} \w+ that (she|he)", text)]
        found[name] = said.count("she") / len(said) if said else math.nan
    return found


def p_she(gpt: GPT, library: Dataset) -> dict[str, float]:
    """The model's P(she), of she and he, after each occupation, averaged over the three verbs."""
    found = {}
    for name in PLANTED:
        shares = []
        for verb in (" said", " thought", " knew"):
            she, he = sample.continuation_logps(gpt, library.tokenizer, f"The {name}{verb} that", [" she", " he"])
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
