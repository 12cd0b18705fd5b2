"""Chapter 03, section 8. Loss against training compute: one epoch on stories with GPT-2 of seven widths.

The table has a row for each seed, width and moment of evaluation: tokens read, held-out loss. Three seeds take a
quarter of an hour on one core. `learning_curves` reads it back as compute and loss, and `LossAgainstCompute` says how
straight the loss is, and how straight the loss above the floor.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from minigpt import scaling, scaling_laws
from minigpt.exact import entropy
from minigpt.experiments import canaries, dataset, measured, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import zero_shot
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPTConfig

SEEDS = (0, 1, 2)
KEY = ("seed", "d_model", "step")
# Widths between and below those of chapter 02, at rates on the same line: width -> (heads, learning rate)
MORE_SIZES = {8: (2, 1.5e-2), 24: (4, 8e-3), 48: (4, 5e-3)}
WIDTHS = tuple(sorted({*sizes.GPT2_SIZES, *MORE_SIZES}))


def gpt_of_width(d_model: int) -> GPTConfig:
    """Configuration of the book's GPT-2 with one of seven widths. Errors: a width not in WIDTHS is a ValueError."""
    if d_model in sizes.GPT2_SIZES:
        return sizes.gpt2(d_model)
    if d_model not in MORE_SIZES:
        raise ValueError(f"expected a width among {WIDTHS}; got {d_model!r}")
    n_heads = MORE_SIZES[d_model][0]
    return replace(sizes.gpt2(96), d_model=d_model, n_heads=n_heads, init_std=round(d_model**-0.5, 4))


def train_one_epoch(data: Dataset, d_model: int, seed: int) -> Pretrained:
    """A model of one width, trained on every document of a dataset once."""
    if d_model in sizes.GPT2_SIZES:
        return zero_shot.pretrain(data, d_model, seed)
    training = replace(sizes.PRETRAINING, lr=MORE_SIZES[d_model][1])
    return pretraining.pretrain(data, gpt_of_width(d_model), seed, training=training)


def loss_above_floor(trained: Pretrained, data: Dataset) -> float:
    """The held-out loss of a trained model above the entropy floor, as a share of the floor."""
    nats = pretraining.held_out_nats(trained.model, data)
    return entropy.gap(nats, data.held_out_nats, data.held_out_tokens).mean / data.floor.mean


WARM_UP = 100_000  # tokens: before, a model is hardly trained, and its loss says nothing about what its size can do


def spent(d_model: int, tokens: float) -> float:
    """Compute of a run up to so many tokens, C = 6 N D, embeddings not counted. Unit: petaflop/s-days."""
    c = gpt_of_width(d_model)
    n = scaling.count_params(c.n_layers, c.d_model, c.n_vocab, c.n_ctx, embeddings=False)
    return scaling.pf_days(scaling.flops_6nd(n, tokens))


def learning_curves(seed: int, from_tokens: float = WARM_UP) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Learning curves of the table: width -> (compute, held-out loss), by compute, without what is still warming up.

    Units: petaflop/s-days, nats per token. Errors: ValueError for a seed that was not measured.
    """
    found: dict[int, list] = {d_model: [] for d_model in WIDTHS}
    for row in measured.rows("gpt3/compute"):
        if row["seed"] == str(seed) and float(row["tokens"]) >= from_tokens:
            d_model = int(row["d_model"])
            found[d_model].append((spent(d_model, float(row["tokens"])), float(row["loss"])))
    if not any(found.values()):
        raise ValueError(f"expected a seed of {SEEDS}; got {seed!r}")
    return {d_model: tuple(np.array(sorted(points)).T) for d_model, points in found.items()}


@dataclass(frozen=True)
class LossAgainstCompute:
    """Loss against compute in one seed: the lower envelope of all widths, and two laws for it.

    `curves` as from `learning_curves`; `floor`: the entropy floor in nats per token, 0 for "the loss itself".
    """

    curves: dict
    floor: float = 0.0

    @property
    def envelope(self) -> tuple[np.ndarray, np.ndarray]:
        """(compute, L - floor) of the lower envelope."""
        return scaling_laws.lower_envelope((compute, loss - self.floor) for compute, loss in self.curves.values())

    @property
    def runs(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The curves for a figure: "d = 96" -> (compute, L - floor)."""
        return {f"d = {d_model}": (compute, loss - self.floor) for d_model, (compute, loss) in self.curves.items()}

    @property
    def law(self) -> scaling_laws.PowerLaw:
        """The straight line through the envelope: L - floor = a C^b."""
        return scaling_laws.fit_power_law(*self.envelope)

    @property
    def straightness(self) -> tuple[float, float]:
        """(curvature, R^2) of the envelope on two logarithmic axes: (0, 1) for a straight line."""
        return scaling_laws.straightness(*self.envelope)

    def predicted(self, d_model: int = WIDTHS[-1]) -> tuple[float, float]:
        """(predicted, measured): the last loss of one width by a law fitted to all smaller widths alone."""
        smaller = {d: curve for d, curve in self.curves.items() if d < d_model}
        compute, loss = (values[-1] for values in self.curves[d_model])
        return float(replace(self, curves=smaller).law(compute)) + self.floor, float(loss)


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed: the learning curve of every width."""
    data = dataset.story_dataset()
    for d_model in WIDTHS:
        run = train_one_epoch(data, d_model, seed)
        for step, loss in zip(run.watched.tolist(), run.held_out.tolist()):
            tokens = int(run.tokens[step - 1])
            yield dict(zip(KEY, (seed, d_model, step)), tokens=tokens, loss=f"{loss:.5f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    data = canaries.part(canaries.small_dataset(), 34)
    whole = canaries.part(canaries.small_dataset(), 36_000)
    found = {"written": canaries.checksum(canaries.asked_for(dataset.story_dataset)), "floor": data.floor.mean}
    for d_model in WIDTHS:
        found |= canaries.under(str(d_model), canaries.trained(lambda d=d_model: train_one_epoch(data, d, 0))[1])
        found[f"{d_model}, sum of rates"] = canaries.rates(lambda d=d_model: train_one_epoch(whole, d, 0))
    return found
