"""Attention against loops written out by hand and against torch's two own implementations."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from minigpt import attention as attention_module
from minigpt.attention import KeyValueCache, MultiHeadAttention, attention, causal_mask, fused_attention, use_fused

B, T, H, D = 3, 7, 4, 12  # rows, positions, heads, d_model


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(causal=True, dropout=0.0, seed=1):
    """A layer in float64 with weights from a generator."""
    attn = MultiHeadAttention(D, H, dropout=dropout, causal=causal).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in attn.parameters():
            p.normal_(0.0, 0.5, generator=generator)
    return attn


def torch_layer(attn):
    """torch's layer with the same weights."""
    other = nn.MultiheadAttention(D, H, batch_first=True).double()
    with torch.no_grad():
        other.in_proj_weight.copy_(attn.W_qkv.weight)
        other.in_proj_bias.copy_(attn.W_qkv.bias)
        other.out_proj.weight.copy_(attn.W_o.weight)
        other.out_proj.bias.copy_(attn.W_o.bias)
    return other


def test_the_causal_mask_is_a_lower_triangle():
    mask = causal_mask(5)
    assert mask.dtype == torch.bool
    assert all(mask[t, s].item() == (s <= t) for t in range(5) for s in range(5))


def test_attention_by_hand():
    """d_head = 4, so scores are halved: query 2 log 3 against keys 1 and 0 gives weights 3 : 1."""
    q = torch.tensor([[2 * math.log(3), 0.0, 0.0, 0.0]])
    k = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    v = torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    out, weights = attention(q, k, v)
    assert weights.tolist()[0] == pytest.approx([0.75, 0.25])
    assert out.tolist()[0] == pytest.approx([3.0, 2.0])
    out, weights = attention(q, k, v, mask=torch.tensor([[False, True]]))
    assert weights.tolist() == [[0.0, 1.0]]
    assert out.tolist() == [[0.0, 8.0]]


def test_attention_equals_three_loops():
    q, k, v = draw(T, 3, seed=1).tolist(), draw(T, 3, seed=2).tolist(), draw(T, 2, seed=3).tolist()
    expected = []
    for t in range(T):
        e = [math.exp(sum(a * b for a, b in zip(q[t], k[s], strict=True)) / math.sqrt(3)) for s in range(t + 1)]
        expected.append([sum(e[s] * v[s][i] for s in range(t + 1)) / sum(e) for i in range(2)])
    out, _ = attention(*(torch.tensor(x, dtype=torch.float64) for x in (q, k, v)), causal_mask(T))
    torch.testing.assert_close(out, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("mask", [None, causal_mask(T), draw(B, 1, T, T, seed=9) < 1.0])
def test_attention_and_its_gradient_equal_torchs_own(mask):
    if mask is not None:
        mask = mask | torch.eye(T, dtype=torch.bool)  # everybody may see at least itself
    ours = [draw(B, H, T, 5, seed=s).requires_grad_() for s in range(3)]
    theirs = [x.detach().clone().requires_grad_() for x in ours]
    out, expected = attention(*ours, mask)[0], F.scaled_dot_product_attention(*theirs, attn_mask=mask)
    torch.testing.assert_close(out, expected)
    slope = draw(B, H, T, 5, seed=4)
    out.backward(slope)
    expected.backward(slope)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_attention_in_float32_equals_torchs_own():
    q, k, v = (draw(B, H, 64, 16, seed=s).float() for s in range(3))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(attention(q, k, v, causal_mask(64))[0], expected, atol=1e-6, rtol=1e-5)


def test_weights_are_a_distribution_over_what_may_be_seen():
    weights = layer()(draw(B, T, D), return_weights=True)[1]
    assert weights.shape == (B, H, T, T)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(B, H, T, dtype=torch.float64))
    assert (weights[:, :, ~causal_mask(T)] == 0).all()
    assert (weights[:, :, causal_mask(T)] > 0).all()


@pytest.mark.parametrize("causal", [True, False])
def test_many_heads_equal_torchs_own_layer(causal):
    attn, x = layer(causal), draw(B, T, D)
    out, weights = attn(x, return_weights=True)
    closed = ~causal_mask(T) if causal else None
    expected, expected_weights = torch_layer(attn)(x, x, x, attn_mask=closed, average_attn_weights=False)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(weights, expected_weights)


def test_padding_that_is_not_visible_changes_nothing():
    attn, x = layer(causal=False), draw(B, T, D)
    lengths = torch.tensor([7, 4, 1])
    visible = torch.arange(T) < lengths[:, None]
    out = attn(x, visible=visible)
    expected = torch_layer(attn)(x, x, x, key_padding_mask=~visible)[0]
    torch.testing.assert_close(out, expected)
    for row, n in enumerate(lengths.tolist()):
        torch.testing.assert_close(out[row, :n], attn(x[row : row + 1, :n])[0])


@pytest.mark.parametrize("band", [None, 2, 7])
def test_padding_that_is_not_visible_is_not_seen_by_a_causal_or_banded_layer_either(band):
    """Padding on the left, where the causal mask alone would show it. T = 7 is also a band as long as the text."""
    attn, x = layer(), draw(B, T, D)
    attn.band = band
    visible = torch.arange(T) >= torch.tensor([0, 2, 3])[:, None]
    weights = attn(x, visible=visible, return_weights=True)[1]
    width = T if band is None else band
    for row, first in enumerate((0, 2, 3)):
        for t in range(first, T):
            seen = [max(first, t - width + 1) <= s <= t for s in range(T)]
            if any(seen):
                assert (weights[row, :, t] > 0).tolist() == [seen] * H
                torch.testing.assert_close(weights[row, :, t].sum(dim=-1), torch.ones(H, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("band", [None, 3])
def test_attention_in_half_precision_is_that_of_float64_rounded(dtype, band):
    attn, x = layer(), draw(B, T, D)
    attn.band = band
    exact = attn(x)
    out, weights = attn.to(dtype)(x.to(dtype), return_weights=True)
    assert out.dtype == weights.dtype == dtype
    torch.testing.assert_close(out.double(), exact, atol=0.1, rtol=0)
    assert (out.double() - exact).abs().max() < 0.03 * exact.abs().max()


def test_queries_keys_values_and_masks_that_do_not_fit_are_named():
    q, k, v = torch.zeros(2, 4), torch.zeros(3, 4), torch.zeros(3, 5)
    assert attention(q, k, v)[0].shape == (2, 5)
    for wrong in ((q[:, :3], k, v), (q, k, v[:2]), (q[:, :0], k[:, :0], v)):
        with pytest.raises(ValueError, match=r"q, k, v must be \(\.\.\., T, d_head\), .* but are \(2, "):
            attention(*wrong)
    with pytest.raises(ValueError, match="mask must be bool, True where .*, but it is torch.float32"):
        attention(q, k, v, torch.zeros(2, 3))


def test_nobody_sees_the_future():
    attn, x = layer(), draw(B, T, D)
    changed = x.clone()
    changed[:, 4] += 1.0
    before, after = attn(x), attn(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.isclose(before[:, 4:], after[:, 4:]).all(dim=-1).any()
    both = layer(causal=False)
    assert not torch.isclose(both(x), both(changed)).all(dim=-1).any()  # without the mask everybody notices


@pytest.mark.parametrize("steps", [[1] * T, [3, 1, 2, 1], [T], [6, 1]])
def test_the_cache_changes_nothing(steps):
    attn, x, cache = layer(), draw(B, T, D), KeyValueCache()
    assert cache.n_past == 0
    parts = [attn(part, cache) for part in x.split(steps, dim=1)]
    assert cache.n_past == T
    torch.testing.assert_close(torch.cat(parts, dim=1), attn(x))


def test_a_cache_of_other_rows_is_refused_and_stays_as_it_was():
    attn, cache = layer(), KeyValueCache()
    attn(draw(2, 3, D), cache)
    with pytest.raises(ValueError, match="holds 2 rows of text, but 3 came"):
        attn(draw(3, 1, D), cache)
    other = MultiHeadAttention(D, 2).double()
    with pytest.raises(ValueError, match="this cache belongs to another model"):
        other(draw(2, 1, D), cache)
    assert cache.n_past == 3


@pytest.mark.slow
def test_dropout_acts_in_training_only_and_keeps_the_mean():
    attn, x = layer(dropout=0.5), draw(B, T, D)
    quiet = layer(dropout=0.0)(x)
    assert torch.equal(attn.eval()(x), quiet)
    attn.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = torch.stack([attn(x) for _ in range(4000)])
        weights = attn(x, return_weights=True)[1]
    assert not torch.allclose(draws[0], quiet)
    error = draws.std(dim=0) / math.sqrt(4000)
    assert ((draws.mean(dim=0) - quiet).abs() <= 5 * error + 1e-9).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(B, H, T, dtype=torch.float64))  # before dropout


@pytest.mark.parametrize("n_heads", [0, 5])
def test_heads_must_divide_the_width(n_heads):
    with pytest.raises(ValueError, match=f"d_model = 12 and n_heads = {n_heads}"):
        MultiHeadAttention(12, n_heads)


# --- locally banded attention (GPT-3, section 2.1) ---


@pytest.mark.parametrize(("T", "band"), [(1, 1), (5, 1), (5, 2), (6, 4), (4, 9)])
def test_a_band_lets_each_position_see_itself_and_the_few_before_it(T, band):
    mask = attention_module.banded_mask(T, band)
    by_hand = [[max(0, t - band + 1) <= s <= t for s in range(T)] for t in range(T)]
    assert mask.tolist() == by_hand


def test_masks_of_no_size_are_refused():
    for T, band in ((4, 0), (4, 1.0), (4, True), (-1, 1), (2.0, 1)):
        with pytest.raises(ValueError, match="to be a whole number of at least [01], got"):
            attention_module.banded_mask(T, band)
    with pytest.raises(ValueError, match="band must be None or a whole number of at least 1 in a causal layer"):
        MultiHeadAttention(8, 2, causal=False, band=3)


def test_banded_attention_is_attention_to_the_last_few_positions():
    torch.manual_seed(0)
    layer = MultiHeadAttention(8, 2, band=3)
    x = torch.randn(2, 7, 8)
    whole = layer(x)
    for t in range(7):  # a layer without a band that is shown only what the band holds says the same
        alone = MultiHeadAttention(8, 2)
        alone.load_state_dict(layer.state_dict())
        torch.testing.assert_close(whole[:, t], alone(x[:, max(0, t - 2) : t + 1])[:, -1])


@pytest.mark.parametrize("pieces", [(1,) * 9, (4, 5), (6, 1, 2), (1, 8)])
def test_a_band_read_piece_by_piece_with_a_cache_is_the_same(pieces):
    torch.manual_seed(1)
    layer = MultiHeadAttention(8, 2, band=3)
    x, cache = torch.randn(1, 9, 8), KeyValueCache()
    read = torch.cat([layer(piece, cache) for piece in x.split(list(pieces), dim=1)], dim=1)
    torch.testing.assert_close(read, layer(x))


@pytest.mark.parametrize("band", [None, 3])
@pytest.mark.parametrize("pieces", [[7], [4, 1, 2]])
def test_fused_attention_is_the_formula(band, pieces):
    attn, x = MultiHeadAttention(8, 2, causal=True, band=band).double(), draw(2, 7, 8)
    found = {}
    for fused in (False, True):
        use_fused(attn, fused)
        cache = KeyValueCache() if len(pieces) > 1 else None
        out = torch.cat([attn(part, cache) for part in x.split(pieces, dim=1)], dim=1)
        found[fused] = [out, *torch.autograd.grad((out**3).sum(), list(attn.parameters()))]
    for formula, quick in zip(found[False], found[True], strict=True):
        torch.testing.assert_close(quick, formula)


def test_fused_attention_with_padding_and_dropout():
    attn, x = MultiHeadAttention(8, 2, causal=False).double(), draw(2, 5, 8)
    visible = torch.tensor([[True] * 5, [True, True, False, True, False]])
    use_fused(attn, False)
    formula = attn(x, visible=visible)
    use_fused(attn, True)
    torch.testing.assert_close(attn(x, visible=visible), formula)
    q, k, v = draw(3, 1, 400, 4)
    mean = torch.stack([fused_attention(q, k, v, dropout=0.3, causal=True) for _ in range(40)]).mean(dim=0)
    assert (mean - fused_attention(q, k, v, causal=True)).abs().mean() < 0.1


def test_weights_that_are_asked_for_come_from_the_formula(monkeypatch):
    attn, x = MultiHeadAttention(8, 2), draw(1, 4, 8).float()
    calls = []
    monkeypatch.setattr(attention_module, "fused_attention", lambda q, k, v, *a, **b: calls.append(1) or q)
    use_fused(attn, False)
    attn(x)
    assert not calls
    use_fused(attn, None)  # as at first
    attn(x)
    assert calls == [1] and attn(x, return_weights=True)[1].shape == (1, 2, 4, 4) and calls == [1]


def test_dropout_on_a_cpu_comes_from_the_formula_unless_asked_otherwise(monkeypatch):
    attn, x, calls = MultiHeadAttention(8, 2, dropout=0.5), draw(1, 4, 8).float(), []
    monkeypatch.setattr(attention_module, "fused_attention", lambda q, k, v, *a, **b: calls.append(1) or q)
    attn(x)
    assert not calls  # in training, with dropout
    attn.eval()(x)
    assert calls == [1]  # dropout is off
    use_fused(attn, True)
    attn.train()(x)
    assert calls == [1, 1]


@pytest.mark.parametrize("rows", [[1, 0], [1, 1, 0], [0]])
@pytest.mark.parametrize("learning", [True, False])
def test_a_cache_goes_on_with_selected_rows(rows, learning):
    attn, x, cache = layer(), draw(2, T, D), KeyValueCache()
    with torch.set_grad_enabled(learning):
        attn(x[:, :3], cache)
        cache.select(rows)
        read = attn(x[rows, 3:], cache)
        torch.testing.assert_close(read, attn(x[rows])[:, 3:])


def test_a_cache_that_writes_into_its_memory_gives_what_joining_gives():
    attn, x, written, joined = layer(), draw(B, 40, D), KeyValueCache(), KeyValueCache()
    with torch.no_grad():
        for part in x.split(1, dim=1):
            attn(part, written)
    for part in x.split(1, dim=1):  # with a gradient nothing may be overwritten
        attn(part, joined)
    assert written.k.shape == (B, H, 40, D // H) and torch.equal(written.k, joined.k)
    assert torch.equal(written.v, joined.v) and joined.k.requires_grad
