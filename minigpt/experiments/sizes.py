"""Every model size that the chapters train, and how each is trained."""

from dataclasses import replace

from minigpt.experiments import dataset
from minigpt.experiments.dataset import N_CTX, N_VOCAB, TOKENS_PER_BATCH
from minigpt.model import GPTConfig
from minigpt.train import TrainConfig

# The GPT-1 of this book: the paper's form, a few hundred times smaller. In a model this narrow the published
# initialisation of 0.02 is too timid (attention starts out almost blind): each matrix here starts with a standard
# deviation of 1 / sqrt(the numbers it adds up). With W_2 as wide as the rest, or with positions as loud as words, some
# seeds do not find out within a chapter's time that a story mentions its object again.
GPT1 = GPTConfig(
    n_vocab=N_VOCAB, n_ctx=N_CTX, n_layers=2, n_heads=6, d_model=96, norm="post", init_std=0.1, init="width",
    position_init="sinusoid",
)  # fmt: skip
PRETRAINING = TrainConfig(n_steps=1, lr=3e-3, warmup_steps=0, final_lr_fraction=0.03, betas=(0.9, 0.98))

# BERT is asked only 15 % of the tokens it reads, and needs more of them. At GPT-1's rate, in batches 4 times GPT-1's,
# it had learned no animal's home after 3,400 steps (one seed). So its batches are sixteen times as large, its steps
# smaller, and it goes over the text 28 times, in which it is asked four times as many tokens as GPT-1. Made for a GPU.
BERT = replace(GPT1, causal=False)
BERT_PRETRAINING = replace(PRETRAINING, n_steps=7875, lr=2e-3, warmup_steps=400)
BERT_TOKENS_PER_BATCH = 16 * TOKENS_PER_BATCH


# Sizes of this book's GPT-2: width -> (heads, learning rate). The paper, too, tuned the rate by hand for each size.
GPT2_SIZES = {16: (4, 1e-2), 32: (4, 6e-3), 64: (4, 4e-3), 96: (6, 3e-3)}


def gpt2(d_model: int) -> GPTConfig:
    """The book's GPT-2 of one width: LayerNorm before each step, residual steps drawn smaller.

    Source: GPT-2, section 2.3. Differs: two blocks; first weights of 1 / sqrt(d), and positions that start as sines,
    as in chapter 01. Errors: a width that is not in GPT2_SIZES is a ValueError.
    """
    if d_model not in GPT2_SIZES:
        raise ValueError(f"expected a width among {sorted(GPT2_SIZES)}; got {d_model!r}")
    return GPTConfig(
        n_vocab=dataset.N_VOCAB, n_ctx=dataset.N_CTX, n_layers=2, n_heads=GPT2_SIZES[d_model][0], d_model=d_model,
        norm="pre", init="gpt2", init_std=round(d_model**-0.5, 4), position_init="sinusoid",
    )  # fmt: skip


def gpt2_training(d_model: int) -> TrainConfig:
    """How the GPT-2 of one width is trained: as in chapter 01, at a rate of its own."""
    return replace(PRETRAINING, lr=GPT2_SIZES[d_model][1])


INSTRUCTGPT = GPTConfig(
    n_vocab=638, n_ctx=96, n_layers=2, n_heads=4, d_model=64, norm="pre", init="width", init_std=0.125,
    position_init="sinusoid",
)  # fmt: skip
INSTRUCTGPT_LARGE = replace(
    INSTRUCTGPT, n_layers=4, d_model=128, n_heads=8, init_std=round(128**-0.5, 4)
)  # blocks of eight times the size
