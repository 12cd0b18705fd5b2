"""The checks of the labs on heads and on slips know right from wrong, and say what is wrong."""

import copy

import numpy as np
import torch
from exercising import named_checks

from minigpt.exercises import ch01_heads
from minigpt.experiments.gpt1 import heads


def silenced(change, restore=True):
    """An answer that changes a copy of the model (or the model itself) and returns its logits."""

    @torch.no_grad()
    def answer(gpt, ids, layer, head):
        other = copy.deepcopy(gpt) if restore else gpt
        change(other.blocks[layer].attn, head, gpt.config.d_model // gpt.config.n_heads)
        return other(ids)

    return answer


def columns(attn, head, width):
    attn.W_o.weight[:, head * width : (head + 1) * width] = 0


def rows(attn, head, width):
    attn.W_o.weight[head * width : (head + 1) * width] = 0


def queries(attn, head, width):
    attn.W_qkv.weight[head * width : (head + 1) * width] = 0
    attn.W_qkv.bias[head * width : (head + 1) * width] = 0


def values(attn, head, width):
    start = attn.W_o.weight.shape[0] * 2 + head * width
    attn.W_qkv.weight[start : start + width] = 0
    attn.W_qkv.bias[start : start + width] = 0


def hooked(gpt, ids, layer, head):
    with torch.no_grad(), heads.ablated(gpt, layer, head):
        return gpt(ids)


def one_by_one(words, possible):
    for i in range(len(words)):
        if not possible(words[: i + 1]):
            return i
    return None


def halving(words, possible):
    if possible(words):
        return None
    low, high = 0, len(words)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if possible(words[:middle]) else (low, middle)
    return low


RIGHT = {"ablation": [silenced(columns), hooked, silenced(values)], "first_slip": [one_by_one, halving]}
WRONG = {
    "ablation": [
        (lambda gpt, ids, layer, head: gpt(ids).detach(), "nothing has been removed"),
        (silenced(columns, restore=False), "the model itself has changed"),
        (silenced(rows), "its columns"),
        (silenced(queries), "it still speaks"),
        (silenced(lambda attn, head, width: attn.W_o.weight.zero_()), "all the heads"),
        (silenced(lambda attn, head, width: attn.W_o.weight[:, head].zero_()), "a single one"),
        (lambda *a: silenced(columns)(*a).softmax(-1), "return the logits"),
        (lambda gpt, ids, layer, head: hooked(gpt, ids, max(layer - 1, 0), head), "count from 0"),
    ],
    "first_slip": [
        (lambda words, possible: None if (i := one_by_one(words, possible)) is None else i + 1, "words count from 0"),
        (lambda words, possible: None if (i := one_by_one(words, possible)) is None else i - 1, "the next one"),
        (lambda words, possible: len(words) if (i := one_by_one(words, possible)) is None else i, "return None"),
        (lambda words, possible: possible(words[1:]) and None, "beginnings of the text"),
        (lambda words, possible: one_by_one(words, possible) == 4, "whole number or None"),
        (lambda words, possible: 4 if len(words) == 9 else 0, "before you answer"),
        (lambda words, possible: 4 if not possible([]) or len(words) == 9 else 0, "expected 0, got 4"),
    ],
}

globals().update(named_checks(ch01_heads, RIGHT, WRONG))


def test_a_whole_number_of_numpy_is_a_right_first_slip():
    def first_slip(words, possible):
        found = next((i for i in range(len(words)) if not possible(words[: i + 1])), None)
        return None if found is None else np.int64(found)

    assert ch01_heads.first_slip.verdict(first_slip)[0] == "correct"
