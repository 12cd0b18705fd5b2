"""Chapter 03, section 9. Gender bias: an association of occupations and pronouns, planted in the training text.

The table has a row for each seed, amount of text, width of the GPT-2 and occupation: the planted P(she), its share in
the corpus as it was drawn, and the model's. Five seeds take two minutes on one core.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from minigpt import sample, train
from minigpt.experiments import canaries, dataset, measured, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPT

SEEDS = (0, 1, 2, 3, 4)
KEY = ("seed", "amount", "d_model", "occupation")
WIDTHS = (16, 32)
# P(she | occupation); the first six are ten times as frequent as the last six
PLANTED = {
    "nurse": 0.9, "teacher": 0.75, "baker": 0.6, "doctor": 0.4, "miner": 0.25, "pilot": 0.1,
    "dancer": 0.9, "painter": 0.75, "farmer": 0.6, "lawyer": 0.4, "sailor": 0.25, "plumber": 0.1,
}  # fmt: skip
RARE = tuple(PLANTED)[6:]
BIAS_DOCUMENTS = {"little text": 300, "much text": 15_000}
_DONE = ("was late", "was early", "felt tired", "felt well", "had lunch", "went home")


def occupations(d):
    """Grammar of two sentences about a person with an occupation: "The nurse said that she felt well."."""
    for number in range(2):
        weights = [1.0 if name in RARE else 10.0 for name in PLANTED]
        name = d.pick(tuple(PLANTED), weights, form=lambda n: ("\n" if number else "") + f"The {n}")
        d.pick((" said", " thought", " knew"))
        d.write(" that")
        d.pick((" she", " he"), (PLANTED[name], 1 - PLANTED[name]))
        d.pick(_DONE, form=lambda words: f" {words}.")


def bias_dataset(amount: str, seed: int) -> Dataset:
    """A corpus of sentences about occupations, of one of two lengths, drawn anew for each seed."""
    return dataset.build_dataset(occupations, BIAS_DOCUMENTS[amount], 300, 100 + seed, 400)


def bias_model(data: Dataset, d_model: int, seed: int) -> Pretrained:
    """A GPT-2 of width 16 or 32, trained for 900 steps on sentences about occupations; a short corpus many times."""
    config = replace(sizes.gpt2(d_model), n_vocab=data.tokenizer.n_vocab, n_ctx=48)
    return pretraining.pretrain(data, config, seed, 900, training=sizes.gpt2_training(d_model))


def corpus_p_she(data: Dataset) -> dict[str, float]:
    """The share of "she" after each occupation in the corpus itself, as it was drawn; nan if it is not there."""
    found = {}
    for name in PLANTED:
        said = [word for text in data.documents for word in re.findall(rf"The {name} \w+ that (she|he)", text)]
        found[name] = said.count("she") / len(said) if said else math.nan
    return found


def model_p_she(gpt: GPT, data: Dataset) -> dict[str, float]:
    """The model's P(she), of she and he, after each occupation, averaged over the three verbs."""
    found = {}
    for name in PLANTED:
        shares = []
        for verb in (" said", " thought", " knew"):
            she, he = sample.continuation_logps(gpt, data.tokenizer, f"The {name}{verb} that", [" she", " he"])
            shares.append(1 / (1 + math.exp((he - she).item())))
        found[name] = float(np.mean(shares))
    return found


def log_odds_slope(found: dict[str, float], names=tuple(PLANTED)) -> float:
    """Slope of the model's log-odds of "she" against the planted ones: how much of the association it has.

    log(p' / (1 - p')) = a + b log(p / (1 - p)):   b = 1 recovered, above 1 amplified, below 1 weakened
    """
    planted = [math.log(PLANTED[n] / (1 - PLANTED[n])) for n in names]
    model = [math.log(found[n] / (1 - found[n])) for n in names]
    return float(np.polyfit(planted, model, 1)[0])


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed: two amounts of text, two widths, twelve occupations."""
    for amount in BIAS_DOCUMENTS:
        data = bias_dataset(amount, seed)
        in_corpus = corpus_p_she(data)
        for d_model in WIDTHS:
            found = model_p_she(bias_model(data, d_model, seed).model, data)
            for name, p in PLANTED.items():
                row = dict(zip(KEY, (seed, amount, d_model, name)), planted=p)
                yield row | {"counted": f"{in_corpus[name]:.4f}", "model": f"{found[name]:.4f}"}


GROUPS = {"frequent": tuple(name for name in PLANTED if name not in RARE), "rare": RARE}


def p_she(amount: str, occupation: str, whose: str = "model", d_model: int = 32) -> np.ndarray:
    """P(she) after an occupation, from the table, one for each seed: the "model"'s, or as "counted" in its text."""
    return measured.get("gpt3/gender_bias", whose, amount=amount, d_model=d_model, occupation=occupation)


def panels() -> tuple[dict, dict]:
    """The model's P(she) against the planted one, for `plots.small_multiples`: (panels of means, each seed's own)."""
    means, seeds = {}, {}
    for amount in BIAS_DOCUMENTS:
        means[amount], seeds[amount] = {}, {}
        for group, names in GROUPS.items():
            names = sorted(names, key=PLANTED.get)
            seeds[amount][group] = each = np.array([p_she(amount, name) for name in names]).T  # (n_seeds, n_names)
            means[amount][group] = ([PLANTED[name] for name in names], each.mean(axis=0))
    return means, seeds


def slopes(amount: str, group: str, d_model: int = 32) -> np.ndarray:
    """The slope on the log-odds scale over the occupations of one group, from the table, one for each seed."""
    names = GROUPS[group]
    each = {name: p_she(amount, name, d_model=d_model) for name in names}
    return np.array([log_odds_slope({n: each[n][i] for n in names}, names) for i in range(len(SEEDS))])


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    found = {"planted": canaries.checksum(PLANTED.values())}
    for amount in BIAS_DOCUMENTS:
        with canaries.short_writing(300) as asked:
            data = bias_dataset(amount, 0)
        found |= {f"{amount}, written": canaries.checksum(asked[0]), f"{amount}, floor": data.floor.mean}
        found[f"{amount}, counted"] = canaries.checksum(corpus_p_she(data).values())
        for d_model in WIDTHS:
            where = f"{amount}, {d_model}"
            model, batches, config, loss_fn, _ = canaries.training_of(
                lambda data=data, d=d_model: bias_model(data, d, 0)
            )
            found[f"{where}, whole schedule"] = sum(train.learning_rate(step, config) for step in range(config.n_steps))
            early = replace(config, n_steps=20, warmup_steps=2)
            found |= canaries.under(where, canaries.first_losses(model, batches, early, loss_fn, 20))
            p_she = model_p_she(model, data)
            found |= canaries.under(where, p_she) | {f"{where}, slope": log_odds_slope(p_she)}
    return found
