"""Chapter 03. Loss against training compute, for models of several widths."""

from dataclasses import replace

from minigpt.exact import entropy
from minigpt.experiments import pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import zero_shot
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPTConfig

# Widths between and below those of chapter 02, at rates on the same line: width -> (heads, learning rate)
MORE_SIZES = {8: (2, 1.5e-2), 24: (4, 8e-3), 48: (4, 5e-3)}
WIDTHS = tuple(sorted({*sizes.GPT2_SIZES, *MORE_SIZES}))


def gpt_of_width(d_model: int) -> GPTConfig:
    """The book's GPT-2 of one width, of seven. Errors: a width that is not in WIDTHS is a ValueError."""
    if d_model in sizes.GPT2_SIZES:
        return sizes.gpt2(d_model)
    if d_model not in MORE_SIZES:
        raise ValueError(f"expected a width among {WIDTHS}; got {d_model!r}")
    n_heads = MORE_SIZES[d_model][0]
    return replace(sizes.gpt2(96), d_model=d_model, n_heads=n_heads, init_std=round(d_model**-0.5, 4))


def train_once(library: Dataset, d_model: int, seed: int) -> Pretrained:
    """A model of one width that has read a library once."""
    if d_model in sizes.GPT2_SIZES:
        return zero_shot.pretrain(library, d_model, seed)
    training = replace(sizes.PRETRAINING, lr=MORE_SIZES[d_model][1])
    return pretraining.pretrain(library, gpt_of_width(d_model), seed, training=training)


def loss_above_floor(trained: Pretrained, library: Dataset) -> float:
    """The gap of a trained model above the floor, as a share of the floor."""
    gap = entropy.gap(pretraining.held_out_nats(trained.model, library), library.held_out_nats, library.held_out_tokens)
    return gap.mean / library.floor.mean
