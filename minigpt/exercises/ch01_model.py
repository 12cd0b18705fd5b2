"""Checks for the exercises of chapter 01 that build the model: a head, heads, a block, and the whole of GPT-1.

Their slips are computed, one at a time and then two at once, so that both mistakes of an answer are named.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigpt import attention, model
from minigpt.exercises.judging import Problem, called, exercise, slips
from minigpt.exercises.tensors import compare_tensors, scatter_vectors


@exercise("my_head", "Scores, mask, softmax, mean of the values: this is all there is to a head.",
          hint="First q, k and v, each (T, d_head). Then `scores = q @ k.T / math.sqrt(d_head)`; "
               "`scores.masked_fill(~mask, -math.inf)` hides what comes later; a softmax over the last axis; "
               "and the weights times v.")  # fmt: skip
def head(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """One causal attention head, from its three matrices."""
    generator = torch.Generator().manual_seed(3)
    for T, d, d_head in ((4, 6, 3), (6, 4, 5)):
        x = torch.randn(T, d, generator=generator)
        W = torch.randn(3, d, d_head, generator=generator) * 1.5 / math.sqrt(d)
        q, k, v = x @ W
        right = attention.attention(q, k, v, attention.causal_mask(T))[0]
        got = called(answer, x.clone(), *W.clone())
        wrong = slips(lambda q=q, k=k, v=v, **how: _weights(q, k, **how) @ v, _HEAD_SLIPS)
        others = (
            (_weights(q, k) @ k, "the weights average the values: multiply by v = x @ W_v, not by k"),
            (_weights(k, q) @ v, "queries and keys are swapped: the scores are q @ k.T, a row for each query"),
            (_weights(q, k).tril() @ x, "the weights average the values v = x @ W_v, not x itself"),
            (_weights(q, k), "those are the weights: multiply them by the values, `weights @ v`"),
        )
        compare_tensors(got, right, (*others, *wrong), f"for {T} positions, d = {d} and d_head = {d_head}")


@exercise("my_multi_head", "Each head looks in its own d_head numbers; W_o mixes what they have found.",
          hint="`(x @ W_q).view(T, n_heads, d_head).transpose(0, 1)` is (n_heads, T, d_head): one query for each "
               "head and position. The formula of one head does all heads at once; then the same way back, and "
               "times W_o.")  # fmt: skip
def multi_head(answer: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int], Tensor]) -> None:
    """Multi-head causal attention, without biases."""
    generator = torch.Generator().manual_seed(4)
    for T, d, n_heads in ((5, 6, 2), (4, 12, 3)):
        x = torch.randn(T, d, generator=generator)
        W = torch.randn(4, d, d, generator=generator) * 1.5 / math.sqrt(d)
        right = _multi_head(x, W, n_heads)
        got = called(answer, x.clone(), *W.clone(), n_heads)
        where = f"for {T} positions, d = {d} and {n_heads} heads"
        if isinstance(got, Tensor) and got.shape == (T, d // n_heads) != right.shape:
            raise Problem(f"the heads are joined side by side, not added or averaged: {n_heads} times d_head numbers "
                          f"make d again ({where})")  # fmt: skip
        if isinstance(got, Tensor) and got.shape == (n_heads, T, d // n_heads):
            raise Problem(f"the heads are still apart: join them side by side to (T, d), and multiply by W_o ({where})")
        both = _MULTI_HEAD_SLIPS | _HEAD_SLIPS
        wrong = slips(lambda x=x, W=W, n_heads=n_heads, **how: _multi_head(x, W, n_heads, **how), both)
        compare_tensors(got, right, wrong, where)


@exercise("my_block", "Add first, then normalise: that is what post-LN means, and GPT-2 will turn it round.",
          hint="Two lines, one for each LayerNorm. The first: `h = p.ln_1(h + p.attn(h))`.")  # fmt: skip
def block(answer: Callable[[Tensor, object], Tensor]) -> None:
    """The post-LN block of GPT-1, from its four parts."""
    for seed in (5, 6):
        p = Parts(random_gpt(seed).blocks[0], "attn", "mlp", "ln_1", "ln_2")
        h = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(seed))
        a, m, n1, n2 = p.attn, p.mlp, p.ln_1, p.ln_2
        with torch.no_grad():
            middle = n1(h + a(h))
            pre = h + a(n1(h))
            mistakes = (
                (pre + m(n2(pre)), "that is GPT-2's block (pre-LN): in GPT-1 the LayerNorm comes after the addition"),
                (n2(n1(a(h)) + m(n1(a(h)))), "the first residual connection is missing: add h to what attention gives"),
                (n2(m(middle)), "the second residual connection is missing: add h to what the MLP gives"),
                (n2(m(n1(a(h)))), "both residual connections are missing: h + attn(h), and h + mlp(h)"),
                (middle + n2(m(middle)), "the second LayerNorm comes after the addition: ln_2(h + mlp(h))"),
                (n2(h + n1(a(h)) + m(h + n1(a(h)))),
                 "the first LayerNorm comes after the addition: ln_1(h + attn(h))"),
                (h + n1(a(h)) + n2(m(h + n1(a(h)))),
                 "normalise after adding, not before: ln_1(h + attn(h)), and so on"),
                (n1(middle + m(middle)), "each step has a LayerNorm of its own: ln_2 comes after the MLP"),
                (n2(n2(h + a(h)) + m(n2(h + a(h)))),
                 "each step has a LayerNorm of its own: ln_1 comes after attention"),
                (n1(n2(h + a(h)) + m(n2(h + a(h)))), "the two LayerNorms are swapped: ln_1 belongs to attention"),
                (middle + m(middle), "the second LayerNorm is missing"),
                (n2(h + a(h) + m(h + a(h))), "the first LayerNorm is missing"),
                (h + a(h) + m(h + a(h)), "both LayerNorms are missing"),
                (n2(middle + m(h)), "the MLP reads what came out of the first step, not the h of the beginning"),
                (n2(h + m(middle)), "the second addition is to what came out of the first step, not to the first h"),
                (n2(h + a(h) + m(h)), "attention and MLP come one after the other, each with its LayerNorm"),
                (middle, "the MLP is missing: ln_2(h + mlp(h)) is the second step"),
                (n2(h + m(h)), "attention is missing: ln_1(h + attn(h)) is the first step"),
                (n1(n2(h + m(h)) + a(n2(h + m(h)))), "attention comes first, and the MLP second"),
            )  # fmt: skip
            right = n2(middle + m(middle))
        compare_tensors(called(answer, h.clone(), p), right, mistakes, "for 2 texts of 5 positions")


@exercise("my_gpt", "Embeddings, blocks, and the embeddings again: your logits are those of the package.",
          hint="`p.W_e[ids]` looks the rows of all ids up at once; `p.W_p[:T]` are the first T positions. After the "
               "blocks, `h @ p.W_e.T` gives a logit for each token of the vocabulary.")  # fmt: skip
def gpt(answer: Callable[[Tensor, object], Tensor]) -> None:
    """The whole of GPT-1, from its weights: the logits of the package's model."""
    for seed, T in ((7, 5), (8, 9)):
        whole = random_gpt(seed)
        p = Parts(whole, "blocks", W_e=whole.W_e.weight.detach(), W_p=whole.W_p.weight.detach())
        ids = torch.randint(0, len(p.W_e), (2, T), generator=torch.Generator().manual_seed(seed))

        def after(h: Tensor, blocks=p.blocks) -> Tensor:
            for each in blocks:
                h = each(h)
            return h

        with torch.no_grad():
            right, start, places = whole(ids), p.W_e[ids], p.W_p[:T]
            h = after(start + places)
            every = start
            for each in p.blocks:
                every = each(every + places)
            mistakes = (
                (after(start) @ p.W_e.T, "the positions are missing: h_0 = W_e[ids] + W_p[0 ... T - 1]"),
                (after(start + p.W_p[0]) @ p.W_e.T, "each position has its own row of W_p: you added row 0 everywhere"),
                (after(start + places.flip(0)) @ p.W_e.T, "the positions run the wrong way: the first token has row 0"),
                (after(start + p.W_p[1:T + 1]) @ p.W_e.T, "positions are counted from 0: the first token has row 0"),
                (after(start + p.W_p[ids]) @ p.W_e.T, "W_p is looked up by the place of a token, not by its id"),
                ((after(start) + places) @ p.W_e.T, "the positions are added before the blocks, not after them"),
                (every @ p.W_e.T, "the positions are added once, before the first block"),
                (F.layer_norm(h, h.shape[-1:]) @ p.W_e.T,
                 "GPT-1 has no LayerNorm after the last block; that came with GPT-2"),
                (after(F.layer_norm(start + places, h.shape[-1:])) @ p.W_e.T,
                 "GPT-1 has no LayerNorm before the first block; that is BERT's"),
                (after(start + places, list(p.blocks)[::-1]) @ p.W_e.T, "the blocks come in order, the first first"),
                (after(start + places, p.blocks[:1]) @ p.W_e.T, "that is the first block only: h goes through all"),
                (after(start + places, p.blocks[1:]) @ p.W_e.T, "the first block is missing"),
                (after(start + places, p.blocks[:-1]) @ p.W_e.T, "the last block is missing"),
                ((start + places) @ p.W_e.T, "the blocks are missing: h goes through each of them"),
                (p.blocks[-1](start + places) @ p.W_e.T, "each block reads what the block before it gave, not h_0"),
                (right.softmax(-1), "those are probabilities: return the logits, before the softmax"),
                (right.log_softmax(-1), "those are log-probabilities: return the logits, before the softmax"),
            )  # fmt: skip
        got = called(answer, ids.clone(), p)
        where = f"for 2 texts of {T} tokens"
        if isinstance(got, Tensor) and got.shape == h.shape != right.shape:
            raise Problem(f"those are hidden states: the logits are h_n W_e^T, one for each token ({where})")
        if isinstance(got, Tensor) and got.shape == right[:, -1].shape:
            raise Problem(f"give the logits of all positions, not of the last one only: (B, T, V) ({where})")
        compare_tensors(got, right, mistakes, where)


_HEAD_SLIPS = {
    "mask": (
        ("none", "every position sees the whole text: put the causal mask on the scores"),
        ("after", "you masked after the softmax, so the weights of a row no longer add to 1: mask before it"),
        ("zero", "a masked score must be minus infinity, not 0: the softmax gives a 0 a weight too"),
        ("swapped", "the mask is swapped: row t may see the columns up to t, and hides those after it"),
        ("strict", "a position may look at itself too; the first one has nothing else to look at, and becomes nan"),
    ),
    "scale": (
        (lambda T, d, d_head: 1.0, "divide the scores by the root of d_head"),
        (lambda T, d, d_head: d_head, "divide by the root of d_head, not by d_head itself"),
        (lambda T, d, d_head: math.sqrt(d), "divide by the root of d_head, the length of a query, not of d"),
        (lambda T, d, d_head: math.sqrt(T), "divide by the root of d_head, not of the number of positions"),
        (lambda T, d, d_head: 1 / math.sqrt(d_head), "divide by the root of d_head; you multiplied"),
    ),
    "axis": ((-2, "the softmax goes over the last axis, the keys"),),
}


_MULTI_HEAD_SLIPS = {
    "split": (
        ("one", "that is one head as wide as the model: split the d numbers into n_heads times d_head"),
        ("scrambled", "split each position's own numbers: view(T, n_heads, d_head), then transpose the first two axes"),
        (
            "interleaved",
            "a head has d_head neighbouring numbers: view(T, n_heads, d_head), not view(T, d_head, n_heads)",
        ),
    ),
    "join": (("scrambled", "before you join the heads, transpose back to (T, n_heads, d_head)"),),
    "W_o": (
        ("missing", "W_o is missing: multiply what the heads have found, side by side, by it"),
        ("transposed", "multiply by W_o itself, `@ W_o`, not by its transpose (F.linear transposes)"),
    ),
    "matrices": (
        (
            "transposed",
            "multiply by W_q, W_k, W_v themselves, `x @ W_q`, not by their transposes (F.linear transposes)",
        ),
    ),
}


def _weights(q: Tensor, k: Tensor, mask: str = "", scale: Callable | None = None, axis: int = -1, d: int | None = None):
    """Attention weights of causal heads, (..., T, T), with slips."""
    T, d_head = q.shape[-2:]
    see = attention.causal_mask(T)
    scores = q @ k.mT / (math.sqrt(d_head) if scale is None else scale(T, d_head if d is None else d, d_head))
    if mask in ("none", "after"):
        return scores.softmax(axis) * (see if mask == "after" else 1)
    see = {"swapped": see.T, "strict": see.tril(-1)}.get(mask, see)
    return scores.masked_fill(~see, 0.0 if mask == "zero" else -math.inf).softmax(axis)


def _multi_head(x: Tensor, W: Tensor, n_heads: int, split="", join="", W_o="", matrices="", **how) -> Tensor:
    """Multi-head attention without biases, with slips. Shapes: x (T, d), W (4, d, d); result (T, d)."""
    T, d = x.shape
    H = 1 if split == "one" else n_heads

    def heads(y: Tensor) -> Tensor:  # (T, d) -> (H, T, d_head)
        if split == "scrambled":
            return y.reshape(H, T, -1)
        return y.view(T, -1, H).permute(2, 0, 1) if split == "interleaved" else y.view(T, H, -1).transpose(0, 1)

    q, k, v = (heads(x @ (each.T if matrices == "transposed" else each)) for each in W[:3])
    out = _weights(q, k, d=d, **how) @ v  # (H, T, d_head)
    if join == "scrambled":
        out = out.reshape(T, d)
    else:
        out = (out.permute(1, 2, 0) if split == "interleaved" else out.transpose(0, 1)).reshape(T, d)
    return out if W_o == "missing" else out @ (W[3].T if W_o == "transposed" else W[3])


class Parts:
    """Some parts of a module under their names, and others handed in: what the reader builds with."""

    def __init__(self, module: nn.Module, *names: str, **others):
        for name in names:
            setattr(self, name, getattr(module, name))
        vars(self).update(others)

    def __repr__(self) -> str:
        return f"parts with {', '.join(vars(self))}"


def random_gpt(seed: int) -> model.GPT:
    """A small GPT-1 all of whose weights are random, gains and biases included, so that no two parts are alike."""
    generator = torch.Generator().manual_seed(seed)
    gpt = model.GPT(model.GPTConfig(n_vocab=11, n_ctx=12, n_layers=3, n_heads=2, d_model=8, init_std=0.4), generator)
    scatter_vectors(gpt, generator)
    return gpt
