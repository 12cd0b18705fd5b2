"""Silenced heads: scores against maps set by hand, and what is left of a model without its heads."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minigpt.experiments import canaries
from minigpt.experiments.gpt3 import in_context, made_up_rules, silenced_heads

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lists():
    with canaries.short_writing(120):
        return made_up_rules.list_dataset()


def test_a_head_that_looks_one_back_from_each_answer_has_a_score_of_one(lists):
    asked = in_context.questions("symbols", 3, 5)
    words = [question.text.split() for question in asked]
    T = 1 + len(lists.tokenizer.encode(asked[0].text))
    back, words_only = torch.zeros(T, T), torch.zeros(T, T)
    for t in range(1, T):
        back[t, t - 1] = 1
    for t in range(T - 1, 0, -2):  # at the words asked and shown, never at an answer
        words_only[t, t - 1] = 1
    maps = torch.stack([back, words_only])[None].expand(len(words), 2, T, T)
    gpt = SimpleNamespace(attention_maps=lambda ids: [maps, maps.flip(1)])
    found = silenced_heads.previous_token_attention(gpt, lists.tokenizer, asked)
    np.testing.assert_array_equal(found, [[1, 0], [0, 1]])


def test_previous_token_heads_count_only_before_an_induction_head():
    copying = np.array([[0.1, 0.2], [0.6, 0.4], [0.9, 0.1]])
    previous = np.array([[0.2, 0.7], [0.8, 0.1], [0.1, 0.99]])
    found = silenced_heads.kinds_of_heads(copying, previous)
    assert found["induction"].tolist() == [[False, False], [True, False], [True, False]]
    assert found["previous"].tolist() == [[False, True], [True, False], [False, False]]
    assert not any(which.any() for which in silenced_heads.kinds_of_heads(copying[:1], previous[:1]).values())


def test_several_heads_are_silenced_at_once_and_come_back(lists):
    gpt, ids = made_up_rules.build(made_up_rules.SCALED, 0), torch.arange(12)[None]
    which, means = np.zeros((3, 4), dtype=bool), torch.full((3, 4, 16), 0.5)
    which[0, 1] = which[2, 3] = True
    with torch.no_grad():
        before = gpt(ids)
        with silenced_heads.silenced(gpt, which, means):
            found = gpt(ids)
        h = gpt.embed(ids)
        for layer, block in enumerate(gpt.blocks):
            joined = []
            hook = block.attn.W_o.register_forward_pre_hook(
                lambda module, inputs, joined=joined: joined.append(inputs[0])
            )
            whole = block.attn(block.ln_1(h))
            hook.remove()
            for head in np.flatnonzero(which[layer]):
                part = slice(16 * head, 16 * head + 16)
                whole = whole + (0.5 - joined[0][..., part]) @ block.attn.W_o.weight[:, part].T
            h = h + whole
            h = h + block.mlp(block.ln_2(h))
        torch.testing.assert_close(found, gpt.logits(gpt.ln_f(h)), atol=1e-4, rtol=1e-4)
        assert torch.equal(gpt(ids), before) and not torch.allclose(found, before, atol=1e-2)


def test_what_is_measured_without_a_head_is_what_a_model_without_its_columns_says(lists):
    gpt = made_up_rules.build(made_up_rules.SCALED, 2)
    with torch.no_grad():
        for p in gpt.parameters():
            if p.ndim == 2:
                p.mul_(3)  # wider, so that each head matters
        gpt.blocks[1].attn.W_qkv.weight.zero_()  # its heads' outputs are 0 at all positions, and so are their means
        gpt.blocks[1].attn.W_qkv.bias.zero_()
    found = silenced_heads.measure(gpt, lists, 30, 6)
    whole = {name: value for (name, layer, _), value in found.items() if layer == 0}
    for head in (1, 2, 3, 4):
        assert all(found[name, 2, head] == whole[name] for name in in_context.LEARNED)
        assert found["previous", 2, head] == pytest.approx(np.mean(1 / np.arange(5, 21, 2)), abs=1e-4)
    assert not any(block.attn.W_o._forward_pre_hooks for block in gpt.blocks)
