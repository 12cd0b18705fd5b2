"""Checks for the exercises of chapter 01's labs on heads and on slips: ablation, and the first impossible word."""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from minigpt.exercises.judging import NotAttempted, Problem, called, exercise, scalar, short
from minigpt.exercises.tensors import compare_tensors
from minigpt.experiments.gpt1 import heads
from minigpt.model import GPT, GPTConfig


@exercise("my_ablation", "Nothing of this head reaches the rest of the model, and all the others work as before.",
          hint="Take `copy.deepcopy(gpt)`. In `blocks[layer].attn.W_o.weight`, of shape (d_model, d_model), the "
               "columns `head * d_head` to `(head + 1) * d_head` read this head's output: make them 0 inside "
               "`torch.no_grad()`.")  # fmt: skip
def ablation(answer: Callable[[GPT, Tensor, int, int], Tensor]) -> None:
    """Logits of a model one of whose heads says nothing."""
    for seed, (layer, head) in enumerate(((1, 0), (0, 2), (1, 3))):
        generator = torch.Generator().manual_seed(seed)
        gpt = GPT(GPTConfig(n_vocab=11, n_ctx=8, n_layers=2, n_heads=4, d_model=16, init_std=0.4), generator).eval()
        ids = torch.randint(0, 11, (2, 7), generator=generator)
        with torch.no_grad():
            for block in gpt.blocks:  # biases that are not 0, so that it matters which numbers are taken away
                block.attn.W_o.bias.normal_(generator=generator)
                block.attn.W_qkv.bias.normal_(generator=generator)
            whole = gpt(ids)
            with heads.ablated(gpt, layer, head):
                right = gpt(ids)
        got = called(answer, gpt, ids.clone(), layer, head)
        with torch.no_grad():
            if not torch.equal(gpt(ids), whole):
                raise Problem("the model itself has changed: work on a copy (copy.deepcopy), or put back what was there")
        mistakes = _wrong_ablations(gpt, ids, layer, head, whole, right)
        compare_tensors(got, right, mistakes, f"layer {layer}, head {head}")


@torch.no_grad()
def _wrong_ablations(gpt: GPT, ids: Tensor, layer: int, head: int, whole: Tensor, right: Tensor) -> Iterator[tuple]:
    """What slips would give, one by one."""
    width = gpt.config.d_model // gpt.config.n_heads
    yield whole, "nothing has been removed: these are the logits of the whole model"
    yield right.softmax(-1), "these are probabilities: return the logits"
    yield right[:, -1], "return the logits of all positions, not only of the last"
    from_one = {"layers": (layer - 1, head), "heads": (layer, head - 1), "layers and heads": (layer - 1, head - 1)}
    for name, at in from_one.items():
        if min(at) >= 0:
            with heads.ablated(gpt, *at):
                yield gpt(ids), f"{name} count from 0 here, in Python's way"
    for columns in (False, True):
        silenced = copy.deepcopy(gpt)
        W_o = silenced.blocks[layer].attn.W_o
        if columns:
            W_o.weight.zero_()
            yield silenced(ids), "all the heads of the layer are gone: only the columns of one head may become 0"
            W_o.bias.zero_()
            yield silenced(ids), "all the heads of the layer are gone, and the bias with them"
        else:
            W_o.weight[head * width : (head + 1) * width] = 0
            yield silenced(ids), "you made rows of W_o.weight 0, its outputs: what it reads are its columns"
    silenced = copy.deepcopy(gpt)
    silenced.blocks[layer].attn.W_o.weight[:, head] = 0
    yield silenced(ids), "a head has d_head numbers, and you removed a single one"
    silenced = copy.deepcopy(gpt)
    silenced.blocks[layer].attn.W_qkv.weight[head * width : (head + 1) * width] = 0
    silenced.blocks[layer].attn.W_qkv.bias[head * width : (head + 1) * width] = 0
    yield silenced(ids), "with queries of 0 the head looks everywhere alike, but it still speaks: silence its output"


@exercise("my_first_slip", "With halving, 7 questions find one word in a hundred; one by one it takes up to a hundred.",
          hint="If the beginning of n words is possible, so is every shorter one. Keep two numbers: one of words that "
               "are possible and one that is not, and ask for the middle.")  # fmt: skip
def first_slip(answer: Callable[[list, Callable[[list], bool]], int | None]) -> None:
    """The number, from 0, of the first word after which no beginning is possible; None if there is none."""
    for n, slip in ((9, 4), (9, 0), (9, 8), (9, None), (1, 0), (1, None), (40, 33)):
        words, asked = [f"w{i}" for i in range(n)], []

        def possible(beginning, words=words, slip=slip, asked=asked) -> bool:
            asked.append(beginning)
            return slip is None or len(beginning) <= slip

        function = (lambda *arguments: (answer(*arguments),)) if callable(answer) else answer  # None is an answer here
        (got,) = called(function, list(words), possible)
        if got is ...:
            raise NotAttempted
        for beginning in asked:
            if list(beginning) != words[: len(beginning)]:
                raise Problem(f"ask about beginnings of the text, words[:i]; you asked about {short(beginning)}")
        where = f"for {n} words, all possible" if slip is None else f"for {n} words, number {slip} the first slip"
        got = scalar(got)
        if isinstance(got, bool) or got is not None and not isinstance(got, int):
            raise Problem(f"expected a whole number or None, got {short(got)} {where}")
        if got != slip:
            raise Problem(f"{_wrong_slip(got, slip, n)} ({where})")
        if not asked:
            raise Problem("ask possible(words[:i]) before you answer")


def _wrong_slip(got: int | None, slip: int | None, n: int) -> str:
    if slip is None:
        end = got in (n, n - 1, -1)
        return "return None if the whole text is possible" if end else f"there is no slip, and you found {got}"
    if got == slip + 1:
        return "that is the number of words up to the slip: words count from 0"
    if got == slip - 1:
        return "that is the last word that was possible: the slip is the next one"
    return f"expected {slip}, got {got}"
