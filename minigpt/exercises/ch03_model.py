"""Checks for the exercises of chapter 03 on the model: an induction head found, a head silenced, a batch in parts."""

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from minigpt import loss
from minigpt.exercises.judging import Problem, called, compare, exercise
from minigpt.exercises.tensors import compare_tensors, flat, same
from minigpt.experiments.gpt3 import in_context, silenced_heads
from minigpt.model import GPT, GPTConfig


@exercise("my_induction_score", "Near 1 for a head that finds what followed the word before: then it can be copied.",
          hint="`ids[:-1] == ids[-1]` says where the last token stood before; the answer is one further. Add up the "
               "weights of the last row, `weights[:, -1, ...]`, at those places.")  # fmt: skip
def induction_score(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The share of its attention that each head gives to what followed the earlier uses of the last token."""
    generator = torch.Generator().manual_seed(12)
    for ids, n_head in ((_IDS[0], 3), (_IDS[1], 2), (_IDS[2], 4)):
        T = len(ids)
        scores = torch.randn(n_head, T, T, generator=generator) * 1.5
        weights = scores.masked_fill(~torch.ones(T, T).tril().bool(), float("-inf")).softmax(-1)
        stand_in = SimpleNamespace(attention_maps=lambda read, weights=weights: [weights[None]])
        tokens = SimpleNamespace(endoftext=ids[0], encode=lambda text, ids=ids: ids[1:])
        right = in_context.copying_attention(stand_in, tokens, [SimpleNamespace(text="")])
        got = called(answer, weights.clone(), torch.tensor(ids))
        if isinstance(got, (list, tuple)) and len(got) == n_head and not isinstance(got[0], Tensor):
            got = torch.as_tensor(got)
        if isinstance(got, (list, tuple)) and len(got) == n_head and all(isinstance(x, Tensor) for x in got):
            got = torch.stack([x.reshape(()) if x.numel() == 1 else x for x in got])
        where = f"for {n_head} heads and the ids {ids}"
        if isinstance(got, Tensor) and got.numel() == 1:
            raise Problem(f"expected one number for each head, (n_head,), and got a single one {where}")
        compare_tensors(got, torch.tensor(right[0]), _wrong_scores(weights, ids), where)


_IDS = ([0, 5, 8, 3, 9, 5, 8, 7, 6, 5], [0, 4, 2, 6, 1, 7, 9, 4], [0, 3, 8, 3, 8, 3, 8, 2, 5, 3])


def _wrong_scores(weights: Tensor, ids: list[int]) -> Iterator[tuple[Tensor, str]]:
    """What slips would give, one by one."""
    last = weights[:, -1]  # (H, T)
    before = [i for i, token in enumerate(ids[:-1]) if token == ids[-1]]
    after = [i + 1 for i in before]
    right = last[:, after].sum(-1)
    yield last[:, before].sum(-1), "that is the attention to the word itself: the answer is the token after it"
    yield last[:, [i - 1 for i in before]].sum(-1), "that is the token before the word: the answer is the one after it"
    yield last[:, [*before, len(ids) - 1]].sum(-1), "that is the attention to the word itself, asked and shown"
    yield weights[:, after, -1].sum(-1), "the row is the position that looks: take the last row, `weights[:, -1]`"
    yield last[:, after].mean(-1), "add up over the earlier uses; you took their mean"
    yield last[:, after[-1]], "all earlier uses count, not only the latest"
    yield last[:, after[0]], "all earlier uses count, not only the first"
    yield last[:, after].max(-1).values, "add up over the earlier uses; you took the largest"
    yield (
        last[:, [i + 2 for i in before if i + 2 < len(ids)]].sum(-1),
        "that is one too far: the answer is the next token",
    )
    yield weights[:, [i + 1 for i in before], before].sum(-1), "look from the last position: the row is -1"
    yield weights[:, :, after].sum((-1, -2)), "only the last position asks: take its row, `weights[:, -1]`"
    yield weights[:, :, after].mean(1).sum(-1), "only the last position asks; you averaged over all of them"
    yield right / len(ids), "the weights of a row add to 1 already: no division by the number of tokens"


@exercise("my_silenced", "The head says the same to every position now, and all the others work as before.",
          hint="Take `copy.deepcopy(gpt)`. In `attn.W_o.weight`, of shape (d, d), the columns `head * d_head` to "
               "`(head + 1) * d_head` read this head's output. What the mean would add is `weight[:, columns] @ mean`: "
               "put it into the bias, and make the columns 0. (Or `W_o.register_forward_pre_hook`.)")  # fmt: skip
def silenced(answer: Callable[[GPT, Tensor, int, int, Tensor], Tensor]) -> None:
    """Logits of a model in which one head gives its mean output at every position."""
    for seed, (layer, head) in enumerate(((1, 0), (0, 2), (2, 3))):
        generator = torch.Generator().manual_seed(seed)
        config = GPTConfig(n_vocab=11, n_ctx=8, n_layers=3, n_heads=4, d_model=16, norm="pre", init_std=0.4)
        gpt = GPT(config, generator).eval()
        ids = torch.randint(0, 11, (2, 7), generator=generator)
        means = torch.randn(3, 4, 4, generator=generator)  # (n_layers, H, d_head)
        with torch.no_grad():
            for block in gpt.blocks:  # biases that are not 0, so that it matters which numbers are replaced
                block.attn.W_o.bias.normal_(generator=generator)
                block.attn.W_qkv.bias.normal_(generator=generator)
            whole, right = gpt(ids), _with(gpt, ids, layer, head, means)
        got = called(answer, gpt, ids.clone(), layer, head, means[layer, head].clone())
        where = f"layer {layer}, head {head}"
        with torch.no_grad():
            if not torch.equal(gpt(ids), whole):
                raise Problem("the model itself has changed: work on a copy (copy.deepcopy), or remove your hook")
        compare_tensors(got, right, _wrong_silences(gpt, ids, layer, head, means, whole, right), where)


@torch.no_grad()
def _with(gpt: GPT, ids: Tensor, layer: int, head: int, means: Tensor) -> Tensor:
    which = np.zeros(means.shape[:2], dtype=bool)
    which[layer, head] = True
    with silenced_heads.silenced(gpt, which, means):
        return gpt(ids)


@torch.no_grad()
def _wrong_silences(gpt: GPT, ids: Tensor, layer: int, head: int, means: Tensor, whole: Tensor, right: Tensor):
    """What slips would give, one by one."""
    mean, d_head = means[layer, head], means.shape[-1]
    same_mean = mean.expand_as(means)
    yield whole, "nothing has been silenced: these are the logits of the whole model"
    yield _with(gpt, ids, layer, head, torch.zeros_like(means)), "the head's output became 0: put its mean there"
    yield right.softmax(-1), "these are probabilities: return the logits"
    yield right[:, -1], "return the logits of all positions, not only of the last"
    for name, at in (
        ("layers count", (layer - 1, head)),
        ("heads count", (layer, head - 1)),
        ("layers and heads count", (layer - 1, head - 1)),
    ):
        if min(at) >= 0:
            yield _with(gpt, ids, *at, same_mean), f"{name} from 0 here, in Python's way"

    def edited(change: Callable[[nn.Linear], None]) -> Tensor:
        other = copy.deepcopy(gpt)
        change(other.blocks[layer].attn.W_o)
        return other(ids)

    columns = slice(head * d_head, (head + 1) * d_head)
    adds = gpt.blocks[layer].attn.W_o.weight[:, columns] @ mean

    def rows(W_o):
        W_o.weight[columns] = 0

    def rows_and_mean(W_o):
        rows(W_o)
        W_o.bias += adds

    def all_heads(W_o):
        W_o.weight.zero_()
        W_o.bias += adds

    def nothing_left(W_o):
        W_o.weight.zero_()

    def on_top(W_o):
        W_o.bias += adds

    def raw(W_o):
        W_o.weight[:, columns] = 0
        W_o.bias[columns] += mean

    for change in (rows, rows_and_mean):
        yield edited(change), "you made rows of W_o.weight 0, its outputs: what it reads are its columns"
    for change in (all_heads, nothing_left):
        yield edited(change), "all the heads of the layer are gone: only the columns of one head may become 0"
    yield edited(on_top), "the mean was added, but the head still speaks: make its columns 0"
    yield edited(raw), "what the mean adds to the stream is W_o's columns times it, `weight[:, columns] @ mean`"


@exercise("my_accumulate", "One step of the whole batch, with the memory of one part.",
          hint="Gradients to zero once, at the beginning. The weight of a part is the number of its targets that count "
               "(not -100) over that of all parts: `(weight * loss.lm_loss(...)).backward()` adds its share. One "
               "`optimizer.step()` at the end.")  # fmt: skip
def accumulate(answer: Callable[[nn.Module, torch.optim.Optimizer, list], float]) -> None:
    """One step on a batch that is read in parts, with unequal numbers of targets; the mean loss of the batch."""
    for seed, (sizes, hidden) in enumerate((((4, 4), 0), ((4, 2, 1), 3), ((2, 3), 5))):
        generator = torch.Generator().manual_seed(seed)
        start = GPT(
            GPTConfig(n_vocab=11, n_ctx=8, n_layers=1, n_heads=2, d_model=8, norm="pre", init_std=0.4), generator
        )
        parts = []
        for size in sizes:
            inputs, targets = torch.randint(0, 11, (2, size, 6), generator=generator)
            parts.append((inputs, targets))
        parts[0][1][:, 6 - hidden :] = loss.IGNORED
        whole = [(torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts]))]
        right, value = _one_step(start, whole)
        mine = copy.deepcopy(start)
        _grown(mine)  # gradients of an earlier step are still there
        optimizer = torch.optim.SGD(mine.parameters(), lr=0.1)
        before = flat(mine)
        got = called(answer, mine, optimizer, [(x.clone(), y.clone()) for x, y in parts])
        now, where = (
            flat(mine),
            f"for parts of {', '.join(str((y != loss.IGNORED).sum().item()) for _, y in parts)} targets",
        )
        if not same(now, right):
            if same(now, before):
                raise Problem(
                    "the parameters do not move: `.backward()` for each part, and `optimizer.step()` at the end"
                )
            for slip, sentence in _ACCUMULATION_SLIPS:
                if same(now, _one_step(start, parts, **slip)[0]):
                    raise Problem(f"{sentence} ({where})")
            raise Problem(f"the parameters moved, but not as one step on the whole batch moves them ({where})")
        means = [loss.lm_loss(start(x), y).item() for x, y in parts]
        mistakes = (
            (sum(means) / len(means), "return the mean over all tokens: a part with more targets counts more"),
            (sum(means), "return the mean loss, not the sum over the parts"),
            (means[-1], "that is the loss of the last part: return that of the whole batch"),
        )
        compare(got, value, mistakes, f"{where}, the loss", tolerance=1e-5)


_ACCUMULATION_SLIPS = (
    ({"keep": True}, "the gradients of the step before are still there: `optimizer.zero_grad()` once, at first"),
    ({"weigh": "equal"}, "the parts have unequal numbers of targets: weigh each loss with its share of them"),
    ({"weigh": "none"}, "the gradients of the parts are added up: weigh each loss with its share of the targets"),
    ({"weigh": "all places"}, "positions with -100 do not count: weigh by the number of targets that do"),
    ({"weigh": "counts"}, "divide the number of a part's targets by that of all parts"),
    ({"clear": True}, "`optimizer.zero_grad()` in the loop throws away what the parts before have added"),
    ({"steps": True}, "that is a step for each part: one `optimizer.step()`, after all of them"),
    ({"steps": True, "clear": True}, "that is a step for each part: clear once, add up, and move once"),
    ({"steps": True, "clear": True, "weigh": "none"}, "that is training on one part after another: move once"),
    ({"steps": True, "clear": True, "weigh": "equal"}, "that is training on one part after another: move once"),
    ({"steps": True, "weigh": "equal"}, "that is a step for each part: one `optimizer.step()`, after all of them"),
    ({"weigh": "equal", "clear": True}, "`optimizer.zero_grad()` in the loop throws away what the parts before added"),
    ({"weigh": "none", "clear": True}, "`optimizer.zero_grad()` in the loop throws away what the parts before added"),
    ({"keep": True, "weigh": "equal"}, "the gradients of the step before are still there: `optimizer.zero_grad()`"),
)  # fmt: skip


def _one_step(start: GPT, parts: list, keep=False, weigh="", clear=False, steps=False) -> tuple[Tensor, float]:
    """The parameters after one step on a batch in parts, with slips, and the sum of the weighed losses."""
    gpt, total = copy.deepcopy(start), 0.0
    optimizer = torch.optim.SGD(gpt.parameters(), lr=0.1)
    if keep:
        _grown(gpt)
    counts = [(y != loss.IGNORED).sum().item() for _, y in parts]
    if weigh == "all places":
        counts = [y.numel() for _, y in parts]
    for n, (inputs, targets) in zip(counts, parts):
        weight = {"equal": 1 / len(parts), "none": 1.0, "counts": float(n)}.get(weigh, n / sum(counts))
        if clear:
            optimizer.zero_grad()
        value = weight * loss.lm_loss(gpt(inputs), targets)
        value.backward()
        total += value.item()
        if steps:
            optimizer.step()
    if not steps:
        optimizer.step()
    return flat(gpt), total


def _grown(gpt: GPT) -> None:
    """Leave some gradients behind."""
    ids = torch.arange(6)[None]
    loss.lm_loss(gpt(ids), ids).backward()
