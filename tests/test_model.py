"""The model against transformers' GPT-1 and GPT-2, published parameter counts, and what causality demands."""

import hashlib
import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from minigpt.attention import causal_mask
from minigpt.loss import joint_loss, lm_loss, task_loss
from minigpt.model import GPT, GPTConfig, TaskModel, count_params, sinusoids

V, N_CTX, D, H, L = 17, 12, 24, 4, 3
POST = GPTConfig(n_vocab=V, n_ctx=N_CTX, n_layers=L, n_heads=H, d_model=D, norm="post", init_std=0.2)
PRE = GPTConfig(n_vocab=V, n_ctx=N_CTX, n_layers=L, n_heads=H, d_model=D, norm="pre", init="gpt2", init_std=0.2)
BOTH = pytest.mark.parametrize("config", [POST, PRE], ids=["post", "pre"])


def changed(config, **fields):
    return GPTConfig(**{**config.__dict__, **fields})


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(config, seed=0):
    """A model whose biases and gains are random too, so that none can be forgotten."""
    model = GPT(config, generator(seed)).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim < 2:
                p += torch.empty(p.shape).normal_(0.0, 0.2, generator=generator(p.numel()))
    return model


def draw_ids(*shape, seed=0):
    return torch.randint(0, V, shape, generator=generator(seed))


# Parity with transformers


def their_names(config):
    """Our parameter -> (theirs, whether their matrix is the transpose of ours)."""
    top = ("wte", "wpe") if config.norm == "pre" else ("tokens_embed", "positions_embed")
    names = {"W_e.weight": (f"{top[0]}.weight", False), "W_p.weight": (f"{top[1]}.weight", False)}
    rooms = {"attn.W_qkv": "attn.c_attn", "attn.W_o": "attn.c_proj", "mlp.W_1": "mlp.c_fc", "mlp.W_2": "mlp.c_proj"}
    for i in range(config.n_layers):
        for part in ("weight", "bias"):
            for ours, theirs in rooms.items():
                names[f"blocks.{i}.{ours}.{part}"] = (f"h.{i}.{theirs}.{part}", part == "weight")
            for ln in ("ln_1", "ln_2"):
                names[f"blocks.{i}.{ln}.{part}"] = (f"h.{i}.{ln}.{part}", False)
    if config.norm == "pre":
        names |= {f"ln_f.{part}": (f"ln_f.{part}", False) for part in ("weight", "bias")}
    return names


def their_model(config):
    from transformers import GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel

    sizes = {"vocab_size": V, "n_positions": N_CTX, "n_embd": D, "n_layer": L, "n_head": H}
    if config.norm == "pre":
        return GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()
    return OpenAIGPTLMHeadModel(OpenAIGPTConfig(**sizes)).eval()


@torch.no_grad()
def copy_weights(ours, theirs, to_theirs):
    """Copy every weight one way, and make sure that none was left out on either side."""
    names = their_names(ours.config)
    mine, other = dict(ours.named_parameters()), dict(theirs.transformer.named_parameters())
    assert names.keys() == mine.keys()
    assert {name for name, _ in names.values()} == other.keys()
    for name, (their_name, transposed) in names.items():
        a, b = mine[name], other[their_name]
        b = b.t() if transposed else b
        (b if to_theirs else a).copy_(a if to_theirs else b)


@pytest.fixture(params=["to_theirs", "to_ours"])
def pair(request):
    """A function config -> (our model, theirs) with equal weights, copied one way or the other."""

    def make(config):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            theirs = their_model(config)
            with torch.no_grad():
                for p in theirs.parameters():
                    p += 0.2 * torch.randn(p.shape)
        ours = build(config)
        copy_weights(ours, theirs, to_theirs=request.param == "to_theirs")
        return ours, theirs

    return make


@BOTH
def test_logits_loss_and_gradient_equal_those_of_transformers(pair, config):
    ours, theirs = pair(config)
    ids = draw_ids(3, N_CTX)
    logits, expected = ours(ids), theirs(ids, labels=ids)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=0)
    assert logits.std() > 0.5  # a comparison of something
    loss = lm_loss(logits[:, :-1], ids[:, 1:])
    torch.testing.assert_close(loss, expected.loss, atol=1e-5, rtol=0)
    loss.backward()
    expected.loss.backward()
    other = dict(theirs.transformer.named_parameters())
    for name, p in ours.named_parameters():
        their_name, transposed = their_names(config)[name]
        grad = other[their_name].grad
        torch.testing.assert_close(p.grad, grad.t() if transposed else grad, atol=1e-5, rtol=1e-4)


def test_our_cache_equals_theirs(pair):
    ours, theirs = pair(PRE)
    ids, cache, past = draw_ids(2, N_CTX), ours.new_cache(), None
    for part in ids.split([5, 1, 1, 3, 2], dim=1):
        expected = theirs(part, past_key_values=past, use_cache=True)
        past = expected.past_key_values
        torch.testing.assert_close(ours(part, cache), expected.logits, atol=1e-5, rtol=0)


@BOTH
def test_attention_maps_equal_theirs(pair, config):
    ours, theirs = pair(config)
    theirs.set_attn_implementation("eager")
    ids = draw_ids(2, 7)
    maps, expected = ours.attention_maps(ids), theirs(ids, output_attentions=True).attentions
    assert len(maps) == L
    for a, b in zip(maps, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_block_equals_torchs_own(norm, causal):
    block = build(changed(POST, norm=norm, causal=causal)).blocks[0]
    tanh_gelu = nn.GELU(approximate="tanh")
    other = nn.TransformerEncoderLayer(D, H, 4 * D, 0.0, tanh_gelu, batch_first=True, norm_first=norm == "pre")
    theirs = {
        "self_attn.in_proj_": block.attn.W_qkv, "self_attn.out_proj.": block.attn.W_o, "linear1.": block.mlp.W_1,
        "linear2.": block.mlp.W_2, "norm1.": block.ln_1, "norm2.": block.ln_2,
    }  # fmt: skip
    other.load_state_dict(
        {f"{name}{part}": getattr(m, part) for name, m in theirs.items() for part in ("weight", "bias")}
    )
    h = torch.randn(2, 9, D, generator=generator(5))
    expected = other(h, src_mask=~causal_mask(9) if causal else None)
    torch.testing.assert_close(block(h), expected, atol=1e-5, rtol=1e-5)


# Parameter counts

PUBLISHED = {  # name: (V, n_ctx, layers, heads, d_model, norm, parameters)
    "GPT-1": (40478, 512, 12, 12, 768, "post", 116_534_784),
    "GPT-2 124M": (50257, 1024, 12, 12, 768, "pre", 124_439_808),
    "GPT-2 355M": (50257, 1024, 24, 16, 1024, "pre", 354_823_168),
    "GPT-2 774M": (50257, 1024, 36, 20, 1280, "pre", 774_030_080),
    "GPT-2 1.5B": (50257, 1024, 48, 25, 1600, "pre", 1_557_611_200),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_are_met_by_the_formula_and_by_the_modules(name):
    *sizes, norm, n_params = PUBLISHED[name]
    config = GPTConfig(*sizes, norm=norm)
    assert count_params(config) == n_params
    with torch.device("meta"):  # shapes without numbers
        assert GPT(config, generator()).n_params() == n_params


def test_gpt3_has_175_billion():
    assert round(count_params(GPTConfig(50257, 2048, 96, 96, 12288, norm="pre")) / 1e6, 1) == 174_604.3


@pytest.mark.parametrize("fields", [{}, {"d_ff": 7}, {"tie_embeddings": False}, {"n_layers": 1, "n_ctx": 5}])
@BOTH
def test_the_formula_counts_what_is_there(config, fields):
    config = changed(config, **fields)
    model = GPT(config, generator())
    assert count_params(config) == model.n_params() == sum(p.numel() for p in model.state_dict().values())


@pytest.mark.parametrize(
    ("layers", "d", "heads", "n_params"), [(12, 768, 12, 109_482_240), (24, 1024, 16, 335_141_888)]
)
def test_bert_is_our_post_ln_model_and_a_few_parts_more(layers, d, heads, n_params):
    ours = count_params(GPTConfig(30522, 512, layers, heads, d, norm="post", causal=False))
    segments, embedding_norm, pooler = 2 * d, 2 * d, d * d + d
    assert ours + segments + embedding_norm + pooler == n_params
    from transformers import BertConfig, BertModel

    config = BertConfig(num_hidden_layers=layers, hidden_size=d, num_attention_heads=heads, intermediate_size=4 * d)
    with torch.device("meta"):
        assert sum(p.numel() for p in BertModel(config).parameters()) == n_params


# The first weights


@pytest.mark.parametrize("config", [POST, PRE, changed(POST, init="width", d_ff=256)], ids=["gpt1", "gpt2", "width"])
def test_first_weights_have_the_published_spread(config):
    config = changed(config, n_vocab=400, d_model=64, n_ctx=300, init_std=0.02)
    for name, p in GPT(config, generator()).named_parameters():
        residual = config.init == "gpt2" and name.endswith(("W_o.weight", "W_2.weight"))
        if p.ndim == 2:
            std = 0.02 / math.sqrt(2 * L) if residual else 0.02
            std = 0.01 if config.init == "width" and name.endswith("W_2.weight") else std  # it adds up 4 times as many
            assert p.std().item() == pytest.approx(std, abs=5 * std / math.sqrt(2 * p.numel())), name
            assert abs(p.mean().item()) < 5 * std / math.sqrt(p.numel()), name
        else:
            assert (p == (1.0 if re.search(r"ln_.\.weight", name) else 0.0)).all(), name


def test_sinusoid_positions_have_the_formulas_values_and_half_the_embeddings_spread():
    table = sinusoids(50, 8)
    for t, i in ((0, 0), (3, 0), (49, 3), (7, 2)):
        angle = t / 10000 ** (2 * i / 8)
        assert table[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-12)
        assert table[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-12)
    positions = GPT(changed(POST, position_init="sinusoid"), generator()).W_p.weight
    assert positions.square().mean().item() == pytest.approx((POST.init_std / 2) ** 2, rel=1e-5)
    torch.testing.assert_close(positions.double(), sinusoids(N_CTX, D) * (0.2 / math.sqrt(2)), atol=1e-7, rtol=1e-6)
    assert positions.requires_grad


def test_chance_comes_from_the_generator_alone():
    state = torch.random.get_rng_state()
    first, again, other = (GPT(POST, generator(seed)).state_dict() for seed in (1, 1, 2))
    TaskModel(GPT(POST, generator()), 2, "single", generator())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["W_e.weight"], other["W_e.weight"])


DIGEST = """
import hashlib, torch
from minigpt.model import GPT, GPTConfig
config = GPTConfig(301, 33, 2, 3, 48, norm="pre", init="gpt2", init_std=48**-0.5, position_init="sinusoid")
weights = GPT(config, torch.Generator().manual_seed(7)).state_dict().values()
print(hashlib.sha256(b"".join(w.numpy().tobytes() for w in weights)).hexdigest())
"""


@pytest.mark.slow
def test_first_weights_are_the_same_bits_on_every_processor():
    def digest(capability):
        env = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], env=env, capture_output=True, encoding="utf-8", check=True
        )
        return done.stdout.strip()

    config = GPTConfig(301, 33, 2, 3, 48, norm="pre", init="gpt2", init_std=48**-0.5, position_init="sinusoid")
    weights = GPT(config, generator(7)).state_dict().values()
    here = hashlib.sha256(b"".join(w.numpy().tobytes() for w in weights)).hexdigest()
    assert digest("default") == here
    assert digest("avx2") == here


# Who sees what


@BOTH
def test_a_future_token_never_changes_an_earlier_logit(config):
    model, ids = build(config), draw_ids(2, N_CTX)
    before = model(ids)
    for t in range(N_CTX):
        other = ids.clone()
        other[:, t] = (other[:, t] + 1) % V
        after = model(other)
        assert torch.equal(before[:, :t], after[:, :t])
        assert not torch.isclose(before[:, t:], after[:, t:]).all(dim=-1).any()


@BOTH
def test_the_gradient_of_a_logit_stops_at_its_own_token(config):
    model, ids = build(config), draw_ids(1, N_CTX)
    embedded = []
    model.W_e.register_forward_hook(lambda module, args, out: embedded.append(out))
    logits = model(ids)
    for t in range(N_CTX):
        (grad,) = torch.autograd.grad(logits[0, t].logsumexp(0), embedded[0], retain_graph=True)
        reached = grad[0].abs().sum(dim=-1) > 0
        assert reached.tolist() == [s <= t for s in range(N_CTX)]


def test_without_the_mask_every_token_matters_everywhere():
    model, ids = build(changed(POST, causal=False)), draw_ids(1, N_CTX)
    other = ids.clone()
    other[0, -1] = (other[0, -1] + 1) % V
    assert not torch.isclose(model(ids), model(other)).all(dim=-1).any()


def test_padding_on_the_right_changes_nothing():
    ids = draw_ids(2, 9)
    causal, both = build(POST), build(changed(POST, causal=False))
    torch.testing.assert_close(causal(ids)[:, :6], causal(ids[:, :6]))
    visible = torch.arange(9).expand(2, 9) < 6
    torch.testing.assert_close(both(ids, visible=visible)[:, :6], both(ids[:, :6]))
    assert not torch.allclose(both(ids)[:, :6], both(ids[:, :6]))


@BOTH
@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("steps", [[1] * N_CTX, [5, 4, 3], [N_CTX], [2, 1, 9]])
def test_the_cache_changes_no_logit(config, B, steps):
    model, ids = build(config), draw_ids(B, N_CTX)
    cache = model.new_cache()
    parts = [model(part, cache) for part in ids.split(steps, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), atol=1e-5, rtol=0)


def test_a_full_cache_is_refused_and_stays_as_it_was():
    model, cache = build(POST), None
    cache = model.new_cache()
    model(draw_ids(1, 10), cache)
    with pytest.raises(ValueError, match="n_ctx = 12 tokens, but 10 read before and 3 came"):
        model(draw_ids(1, 3), cache)
    assert [layer.n_past for layer in cache] == [10] * L
    model(draw_ids(1, 2), cache)


def test_attention_maps_are_distributions_and_leave_the_mode_alone():
    model = build(changed(POST, dropout=0.5)).train()
    maps = model.attention_maps(draw_ids(2, 5))
    assert model.training
    assert model.blocks[0].drop.training
    for weights in maps:
        assert weights.shape == (2, H, 5, 5)
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, H, 5))
        assert weights.triu(1).eq(0).all()


def test_the_output_layer_is_the_embedding_unless_untied():
    tied, untied = build(POST), build(changed(POST, tie_embeddings=False))
    h = tied.hidden(draw_ids(2, 4))
    torch.testing.assert_close(tied(draw_ids(2, 4)), h @ tied.W_e.weight.T)
    assert "W_out.weight" not in tied.state_dict()
    torch.testing.assert_close(untied(draw_ids(2, 4)), untied.hidden(draw_ids(2, 4)) @ untied.W_out.weight.T)


@BOTH
def test_dropout_acts_in_training_only(config):
    model, ids = build(changed(config, dropout=0.3)), draw_ids(1, 6)
    quiet = build(config)(ids)
    assert torch.equal(model(ids), quiet)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.allclose(model.train()(ids), quiet)
    assert sum(isinstance(m, nn.Dropout) and m.p == 0.3 for m in model.modules()) == 1 + L
    assert all(block.attn.dropout == 0.3 for block in model.blocks)


@torch.no_grad()
def test_a_factor_of_the_embeddings_is_the_same_as_larger_tables_where_the_output_has_its_own():
    config = changed(PRE, tie_embeddings=False)
    scaled, plain, ids = build(changed(config, embedding_scale=3.5)), build(config), draw_ids(2, N_CTX)
    plain.W_e.weight.mul_(3.5)
    plain.W_p.weight.mul_(3.5)
    torch.testing.assert_close(scaled(ids), plain(ids))
    torch.testing.assert_close(scaled.attention_maps(ids), plain.attention_maps(ids))
    cache = scaled.new_cache()
    pieces = [scaled(ids[:, :4], cache), scaled(ids[:, 4:], cache)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), plain(ids))


@pytest.mark.parametrize("norm", ["post", "pre"])
@torch.no_grad()
def test_dropout_stands_where_gpt1_puts_it(norm):
    """On the sum of the embeddings, on what each of the two steps of a block adds, and on the attention weights."""
    config = changed(POST, norm=norm, n_layers=1, dropout=0.4)
    model, ids = build(config).train(), draw_ids(2, N_CTX)
    block = model.blocks[0]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        h = nn.functional.dropout(model.W_e(ids) + model.W_p(torch.arange(N_CTX)), 0.4)
        if norm == "post":
            h = block.ln_1(h + nn.functional.dropout(block.attn(h), 0.4))
            expected = block.ln_2(h + nn.functional.dropout(block.mlp(h), 0.4))
        else:
            h = h + nn.functional.dropout(block.attn(block.ln_1(h)), 0.4)
            expected = model.ln_f(h + nn.functional.dropout(block.mlp(block.ln_2(h)), 0.4))
        torch.manual_seed(3)
        torch.testing.assert_close(model.hidden(ids), expected)
        zeros = (model.drop(torch.ones(1000)) == 0).double().mean().item()
    assert 0.3 < zeros < 0.5


@pytest.mark.parametrize("training", [True, False])
def test_attention_maps_leave_the_mode_as_it_was(training):
    model = build(changed(POST, dropout=0.5)).train(training)
    assert torch.equal(model.attention_maps(draw_ids(1, 4))[1], model.attention_maps(draw_ids(1, 4))[1])
    assert model.training is model.drop.training is training


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@BOTH
def test_a_model_in_half_precision_is_near_the_whole_one(config, dtype):
    model, ids = build(changed(config, band=3)), draw_ids(2, N_CTX)
    exact = model(ids)
    half = model.to(dtype)
    assert half(ids).dtype == dtype
    assert (half(ids).float() - exact).abs().mean() < 0.05 * exact.abs().mean()
    cache = half.new_cache()
    parts = torch.cat([half(part, cache) for part in ids.split([4, 1, 7], dim=1)], dim=1)
    torch.testing.assert_close(parts.float(), half(ids).float(), atol=0.15, rtol=0)
    lm_loss(half(ids)[:, :-1], ids[:, 1:]).backward()
    assert all(p.grad.isfinite().all() for p in half.parameters())


# Bad input


def test_numbers_of_numpy_are_numbers_in_a_config():
    config = changed(POST, n_vocab=np.int64(V), d_ff=np.uint16(7), init_std=np.float32(0.5), causal=np.bool_(True))
    assert config == changed(POST, d_ff=7, init_std=0.5)
    assert json.loads(json.dumps(config.__dict__)) == config.__dict__


def test_a_cache_of_another_model_is_refused():
    other = GPT(changed(POST, n_layers=1), generator())
    with pytest.raises(ValueError, match="this cache belongs to another model: it has 1 blocks, not 3"):
        build(POST)(draw_ids(1, 2), other.new_cache())


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.full((1, 2), V), "from 0 to n_vocab - 1 = 16, but there is a 17"),
        (torch.full((1, 2), -1), "but there is a -1"),
        (torch.zeros(1, 13, dtype=torch.long), "n_ctx = 12 tokens, but 13 came"),
        (torch.zeros(3), r"int64 of shape \(B, T\), but they are torch.float32 of shape \(3,\)"),
        (torch.zeros(3, dtype=torch.long), r"but they are torch.int64 of shape \(3,\)"),
        (torch.zeros(1, 0, dtype=torch.long), "at least one token"),
        ([[1, 2]], "but they are list"),
    ],
)
def test_wrong_ids_are_named(ids, message):
    for method in (build(POST), build(POST).attention_maps):
        with pytest.raises(ValueError, match=message):
            method(ids)


def test_padding_and_caches_that_make_no_sense_are_refused():
    ids, both = draw_ids(2, 3), build(changed(POST, causal=False))
    with pytest.raises(ValueError, match="a causal model needs no `visible`"):
        build(POST)(ids, visible=torch.ones(2, 3, dtype=torch.bool))
    for visible in (torch.ones(2, 3), torch.ones(1, 3, dtype=torch.bool), torch.zeros(2, 3, dtype=torch.bool)):
        with pytest.raises(ValueError, match=r"bool of shape \(2, 3\) with a True in each row"):
            both(ids, visible=visible)
    with pytest.raises(ValueError, match="only a causal model can read piece by piece"):
        both(ids, both.new_cache())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_vocab": 0}, "n_vocab must be a whole number of at least 1, but it is 0"),
        ({"n_layers": 2.0}, "n_layers must be a whole number of at least 1, but it is 2.0"),
        ({"n_ctx": True}, "n_ctx must be a whole number"),
        ({"d_ff": 0}, "d_ff must be"),
        ({"d_model": 26}, "d_model must be a multiple of n_heads = 4, but it is 26"),
        ({"norm": "rms"}, "norm must be 'post' or 'pre', but it is 'rms'"),
        ({"init": "gpt3"}, "init must be 'gpt1' or 'gpt2' or 'width', but it is 'gpt3'"),
        ({"position_init": None}, "position_init must be 'normal' or 'sinusoid'"),
        ({"causal": 1}, "causal must be True or False, but it is 1"),
        ({"band": np.bool_(True)}, "band must be a whole number of at least 1, but it is True"),
        ({"causal": "no"}, "causal must be True or False, but it is 'no'"),
        ({"dropout": 1.0}, "dropout must be a number from 0 to below 1"),
        ({"dropout": "0.1"}, "dropout must be"),
        ({"init_std": math.nan}, "init_std must be a number above 0"),
        ({"ln_eps": 0}, "ln_eps must be"),
        ({"embedding_scale": 0.0}, "embedding_scale must be a number above 0"),
    ],
)
def test_wrong_settings_are_named(fields, message):
    with pytest.raises(ValueError, match=f"GPTConfig.{message}"):
        changed(POST, **fields)


# Tasks


@pytest.mark.parametrize(("combine", "S", "n_outputs"), [("single", 1, 3), ("add", 2, 3), ("choice", 4, 1)])
@BOTH
def test_a_task_model_reads_the_extract_position_of_each_sequence(config, combine, S, n_outputs):
    gpt = build(config)
    model = TaskModel(gpt, n_outputs, combine, generator(3)).eval()
    ids, extract = draw_ids(2, S, 9), torch.randint(0, 9, (2, S), generator=generator(1))
    logits = model(ids, extract)
    W_y, rows = model.W_y.weight, []
    for b in range(2):
        vectors = [gpt.hidden(ids[b, s, : extract[b, s] + 1][None])[0, -1] for s in range(S)]  # nothing behind extract
        rows.append(torch.stack([W_y[0] @ h for h in vectors]) if combine == "choice" else W_y @ sum(vectors))
    torch.testing.assert_close(logits, torch.stack(rows), atol=1e-5, rtol=1e-5)
    again, lm_logits = model.task_and_lm(ids, extract)
    assert torch.equal(again, logits)
    torch.testing.assert_close(lm_logits, gpt(ids.flatten(0, 1)).view(2, S, 9, V))


def test_a_task_model_that_sees_both_ways_does_not_see_the_padding():
    gpt = build(changed(POST, causal=False))
    model = TaskModel(gpt, 2, "single", generator(3))
    ids, extract = draw_ids(1, 1, 9), torch.tensor([[5]])
    torch.testing.assert_close(model(ids, extract), model(ids[..., :6], extract))
    for place in (2, 5):  # the text before the extract token, and the extract token itself
        other = ids.clone()
        other[0, 0, place] = (other[0, 0, place] + 1) % V
        assert not torch.allclose(model(other, extract), model(ids, extract))
    visible = torch.arange(9)[None] <= 5
    expected = gpt.hidden(ids[0], visible=visible)[0, 5] @ model.W_y.weight.T
    torch.testing.assert_close(model(ids, extract)[0], expected)
    alone = model(ids[..., :1], torch.tensor([[0]]))  # a text of the extract token alone may be seen by itself
    assert alone.isfinite().all()


def test_the_joint_loss_reaches_both_heads():
    model = TaskModel(build(POST), 2, "single", generator(3))
    ids, extract = draw_ids(4, 1, 6), torch.full((4, 1), 5)
    logits, lm_logits = model.task_and_lm(ids, extract)
    task, lm = task_loss(logits, torch.tensor([0, 1, 1, 0])), lm_loss(lm_logits[:, :, :-1], ids[:, :, 1:])
    grads = torch.autograd.grad(joint_loss(task, lm), [model.W_y.weight, model.gpt.W_e.weight], retain_graph=True)
    alone = torch.autograd.grad(task, [model.W_y.weight, model.gpt.W_e.weight], retain_graph=True)
    (lm_alone,) = torch.autograd.grad(lm, model.gpt.W_e.weight)
    torch.testing.assert_close(grads[0], alone[0])
    torch.testing.assert_close(grads[1], alone[1] + 0.5 * lm_alone)


def test_the_classifier_has_its_own_dropout():
    model = TaskModel(build(POST), 2, "single", generator(3), dropout=0.5)
    ids, extract = draw_ids(1, 1, 6), torch.tensor([[5]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.allclose(model.train()(ids, extract), model(ids, extract))
        assert torch.equal(model.task_and_lm(ids, extract)[1], model.gpt(ids[0])[None])  # the language model has none
    assert torch.equal(model.eval()(ids, extract), model(ids, extract))


def test_wrong_tasks_are_named():
    gpt = build(POST)
    with pytest.raises(ValueError, match="combine must be 'single', 'add' or 'choice', but it is 'sum'"):
        TaskModel(gpt, 2, "sum", generator())
    with pytest.raises(ValueError, match="n_outputs must be 1 for 'choice'"):
        TaskModel(gpt, 3, "choice", generator())
    for wrong in (0, 2.0, True):
        with pytest.raises(ValueError, match=f"n_outputs must be at least 1, but it is {wrong}"):
            TaskModel(gpt, wrong, "add", generator())
    model = TaskModel(gpt, 2, "single", generator())
    with pytest.raises(ValueError, match=r"\(B, 1, T\) and \(B, 1\) for 'single', but they have \(2, 2, 5\)"):
        model(draw_ids(2, 2, 5), torch.zeros(2, 2, dtype=torch.long))
    for ids, extract in ((draw_ids(1, 1, 5), torch.tensor([[4.0]])), (draw_ids(1, 1, 5).tolist(), torch.tensor([[4]]))):
        with pytest.raises(ValueError, match="ids and extract must be tensors of whole numbers"):
            model(ids, extract)
    with pytest.raises(ValueError, match="from 0 to T - 1 = 4, but it goes from 5 to 5"):
        model(draw_ids(1, 1, 5), torch.tensor([[5]]))


def test_a_model_can_learn_a_text_by_heart():
    """Random ids cannot be guessed; after the first one or two, which tell the row, they can be remembered."""
    model, ids = GPT(changed(POST, init_std=D**-0.5), generator()), draw_ids(8, N_CTX)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = lm_loss(model(ids[:, :-1]), ids[:, 1:]).item()
    for _ in range(120):
        loss = lm_loss(model(ids[:, :-1]), ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert first > 2.0
    assert loss.item() < 0.2


def test_every_parameter_has_a_gradient():
    for config in (POST, PRE, changed(POST, tie_embeddings=False, causal=False, position_init="sinusoid")):
        model = build(config)
        lm_loss(model(draw_ids(4, N_CTX)), draw_ids(4, N_CTX, seed=1)).backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


# --- alternating dense and locally banded layers (GPT-3, section 2.1) ---


def banded(band, n_layers=4):
    config = GPTConfig(n_vocab=17, n_ctx=12, n_layers=n_layers, n_heads=2, d_model=8, norm="pre", band=band)
    return GPT(config, torch.Generator().manual_seed(3))


def test_every_second_block_is_banded_and_the_others_are_dense():
    model, ids = banded(band=3), torch.arange(12)[None]
    for i, weights in enumerate(model.attention_maps(ids)):
        seen = (weights[0, 0] > 0).tolist()
        expected = room_mask(12, 3) if i % 2 else causal_mask(12).tolist()
        assert seen == expected


def room_mask(T, band):
    return [[t - band < s <= t for s in range(T)] for t in range(T)]


def test_a_band_as_long_as_the_text_changes_nothing():
    ids = torch.arange(12)[None]
    assert torch.equal(banded(band=12)(ids), banded(band=None)(ids))
    assert not torch.equal(banded(band=2)(ids), banded(band=None)(ids))


def test_a_banded_model_reads_piece_by_piece_as_it_reads_at_once():
    model, ids = banded(band=3), torch.arange(12)[None]
    cache = model.new_cache()
    read = torch.cat([model(ids[:, t : t + 1], cache) for t in range(12)], dim=1)
    torch.testing.assert_close(read, model(ids))


@pytest.mark.parametrize("wrong", [{"band": 0}, {"band": 2.0}, {"band": True}, {"band": 3, "causal": False}])
def test_a_band_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="GPTConfig.band must be"):
        GPTConfig(n_vocab=17, n_ctx=12, n_layers=2, n_heads=2, d_model=8, **wrong)
