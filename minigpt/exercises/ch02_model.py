"""Checks for the exercises of chapter 02 on the model: the pre-LN block, and the likelihood of a choice in its text."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from minigpt import sample
from minigpt.exercises.judging import Problem, called, compare, exercise
from minigpt.exercises.tensors import compare_tensors, scatter_vectors
from minigpt.model import GPT, Block, GPTConfig
from minigpt.tokenizer import Tokenizer


@exercise("my_pre_ln_block", "The residual stream runs through untouched, and every step reads it normalised.",
          hint="Two lines, one for each step. The first: `h = h + block.attn(block.ln_1(h))`.")  # fmt: skip
def pre_ln_block(answer: Callable[[Block, Tensor], Tensor]) -> None:
    """The pre-LN block of GPT-2, from its four parts."""
    for seed in (5, 6):
        generator = torch.Generator().manual_seed(seed)
        gpt = GPT(_config("pre"), generator)
        scatter_vectors(gpt, generator)
        block = gpt.blocks[0]
        h = torch.randn(2, 5, 8, generator=generator)
        with torch.no_grad():
            right = block(h)
            got = called(answer, _Unnamed(block), h.clone())
            compare_tensors(got, right, _wrong_blocks(block, h), "for 2 texts of 5 positions")


def _wrong_blocks(p: Block, h: Tensor) -> Iterator[tuple[Tensor, str]]:
    """What slips would give, one by one."""
    a, m, n1, n2 = p.attn, p.mlp, p.ln_1, p.ln_2
    middle, post = h + a(n1(h)), n1(h + a(h))
    yield n2(post + m(post)), "that is GPT-1's block (post-LN): in GPT-2 each step reads the LayerNorm of h"
    yield middle + m(middle), "the second LayerNorm is missing: the MLP reads ln_2(h)"
    yield h + a(h) + m(n2(h + a(h))), "the first LayerNorm is missing: attention reads ln_1(h)"
    yield h + a(h) + m(h + a(h)), "both LayerNorms are missing"
    yield a(n1(h)) + m(n2(a(n1(h)))), "the first residual connection is missing: add to h what attention gives"
    yield m(n2(middle)), "the second residual connection is missing: add to h what the MLP gives"
    yield m(n2(a(n1(h)))), "both residual connections are missing"
    x = n1(h) + a(n1(h))
    yield n2(x) + m(n2(x)), "add to h itself, not to its LayerNorm: the residual stream is never normalised"
    yield x + m(n2(x)), "add to h itself, not to ln_1(h): the residual stream is never normalised"
    yield n2(middle) + m(n2(middle)), "add to h itself, not to ln_2(h): the residual stream is never normalised"
    yield h + n1(a(h)) + n2(m(h + n1(a(h)))), "normalise what a step reads, not what it gives back"
    yield middle + m(n1(middle)), "each step has a LayerNorm of its own: the MLP reads ln_2(h)"
    yield h + a(n2(h)) + m(n1(h + a(n2(h)))), "the two LayerNorms are swapped: ln_1 belongs to attention"
    yield h + a(n1(h)) + m(n2(h)), "the MLP reads the h to which attention has already added"
    yield h + m(n2(middle)), "the second addition is to what the first one gave, not to the h of the beginning"
    other = h + m(n2(h))
    yield other + a(n1(other)), "attention comes first, and the MLP second"
    yield middle, "the MLP is missing: h + mlp(ln_2(h)) is the second step"
    yield other, "attention is missing: h + attn(ln_1(h)) is the first step"
    yield n2(middle + m(n2(middle))), "there is no LayerNorm at the end of a block: only one after the last block"


class _Unnamed:
    """The four parts of a block, which cannot be called as a whole."""

    def __init__(self, block: Block):
        self.attn, self.mlp, self.ln_1, self.ln_2 = block.attn, block.mlp, block.ln_1, block.ln_2

    def __repr__(self) -> str:
        return "block"


@exercise("my_choice_score", "The whole is compared, so what comes after the blank decides, too.",
          hint="Encode `before` with the end-of-text token in front, and `choice + rest` on its own. The logits at "
               "position t predict the token at t + 1. Add up the log-probabilities of the tokens of `choice + rest`, "
               "and divide by nothing.")  # fmt: skip
def choice_score(answer: Callable[[GPT, Tokenizer, str, str, str], float]) -> None:
    """log P(choice and rest | before): how the paper fills a blank."""
    tokenizer = _tokenizer()
    for seed, (before, choice, rest) in enumerate(_BLANKS):
        generator = torch.Generator().manual_seed(seed)
        gpt = GPT(_config("pre", tokenizer.n_vocab, 64), generator).eval()
        scatter_vectors(gpt, generator)
        right = sample.continuation_logps(gpt, tokenizer, before, [choice + rest]).item()
        got = called(answer, gpt, tokenizer, before, choice, rest)
        if isinstance(got, Tensor) and got.numel() != 1:
            raise Problem(f"expected one number, the sum over all tokens of choice and rest; got {got.numel()} numbers")
        mistakes = tuple(_wrong_scores(gpt, tokenizer, before, choice, rest))
        where = f"for {before!r}, {choice!r} and {rest!r}"
        compare(got, right, mistakes, where, tolerance=1e-5)


_BLANKS = (
    ("The fox saw a", " red owl", " in the wood."),
    ("A boy had a", " dog", " and it barked."),
    ("It was", " café", " or tea"),
)


@torch.no_grad()
def _wrong_scores(gpt: GPT, tokenizer: Tokenizer, before: str, choice: str, rest: str) -> Iterator[tuple[float, str]]:
    """What slips would give, one by one."""
    start, c, r = ([tokenizer.endoftext, *tokenizer.encode(before)], tokenizer.encode(choice), tokenizer.encode(rest))
    ids = torch.tensor([[*start, *c, *r]])
    logits = gpt(ids)[0]
    each = logits.log_softmax(-1)[:-1].gather(1, ids[0, 1:, None])[:, 0]  # log P of the second token and all later ones
    whole = each[len(start) - 1 :]
    total, of_choice = whole.sum().item(), whole[: len(c)].sum().item()
    yield of_choice, "that is the choice alone: what comes after the blank must count, too"
    yield total - of_choice, "that is the rest alone: how likely the choice itself is must count, too"
    lengths = {"tokens": len(c + r), "words": len((choice + rest).split()), "characters": len(choice + rest)}
    for what, n in (lengths | {"tokens of the choice": len(c), "bytes": len((choice + rest).encode())}).items():
        yield total / n, (f"you divided by the number of {what}: without any length normalisation the choices compete "
                          "for one blank, and the whole texts are compared")  # fmt: skip
        yield (
            of_choice / n,
            "that is the choice alone, and divided by a length: score choice and rest, and divide by nothing",
        )
    yield -total, "the sign is wrong: that is a loss; the best choice should have the largest score"
    yield math.exp(total), "a log-probability is below 0: take the logarithm of that probability"
    yield total / math.log(2), "that is in bits: use the natural logarithm"
    yield each.sum().item(), "what stands before the blank is given: leave its tokens out of the sum"
    yield (
        logits[:-1].gather(1, ids[0, 1:, None])[len(start) - 1 :].sum().item(),
        "take a log_softmax of the logits first",
    )
    same_place = logits.log_softmax(-1).gather(1, ids[0, :, None])[len(start) :].sum().item()
    yield same_place, "shift by one: the logits at a position predict the next token, not the one they have read"
    yield whole[:-1].sum().item(), "the last token of the rest is missing"
    yield whole[1:].sum().item(), "the first token of the choice is missing: the last token of `before` predicts it"
    if len(start) > 2:
        bare = torch.tensor([[*start[1:], *c, *r]])
        logps = gpt(bare)[0].log_softmax(-1)[:-1].gather(1, bare[0, 1:, None])[len(start) - 2 :, 0]
        yield logps.sum().item(), "a prompt begins a document: put `tokenizer.endoftext` in front of it"
    alone = torch.tensor([[tokenizer.endoftext, *c, *r]])
    logps = gpt(alone)[0].log_softmax(-1)[:-1].gather(1, alone[0, 1:, None])
    yield logps.sum().item(), "the model has not read what stands before the blank"


def _tokenizer() -> Tokenizer:
    """Bytes, and a few pieces of two and three, so that tokens, characters and words are not equally many."""
    pieces = [bytes([i]) for i in range(256)] + [b" t", b" th", b" a", b"ed", b" d", b" r", b"oo"]
    return Tokenizer({piece: i for i, piece in enumerate(pieces)})


def _config(norm: str, n_vocab: int = 11, n_ctx: int = 12) -> GPTConfig:
    return GPTConfig(n_vocab=n_vocab, n_ctx=n_ctx, n_layers=2, n_heads=2, d_model=8, norm=norm, init_std=0.4)
