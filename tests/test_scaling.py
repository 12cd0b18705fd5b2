"""Counts of parameters, FLOPs and memory against built models, the papers' tables, enumeration, and scipy."""

import numpy as np
import pytest
import torch

from minigpt import attention, scaling, scaling_laws
from minigpt.attention import banded_mask, causal_mask
from minigpt.model import GPT, GPTConfig

stats = pytest.importorskip("scipy.stats")


# --- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize(("n_layers", "d_model", "n_vocab", "n_ctx", "d_ff"), [(2, 12, 50, 9, None), (3, 8, 7, 20, 5)])
def test_the_count_is_that_of_a_model_that_was_built(n_layers, d_model, n_vocab, n_ctx, d_ff, norm):
    config = GPTConfig(n_vocab, n_ctx, n_layers, 4, d_model, d_ff=d_ff, norm=norm)
    gpt = GPT(config, torch.Generator().manual_seed(0))
    count = scaling.count_params(n_layers, d_model, n_vocab, n_ctx, d_ff=d_ff, norm=norm)
    assert count == gpt.n_params()
    inside = sum(p.numel() for name, p in gpt.named_parameters() if not name.startswith(("W_e", "W_p")))
    assert scaling.count_params(n_layers, d_model, n_vocab, n_ctx, d_ff=d_ff, norm=norm, embeddings=False) == inside


@pytest.mark.parametrize(
    ("n_layers", "d_model", "count"),
    [(12, 768, 124_439_808), (24, 1024, 354_823_168), (36, 1280, 774_030_080), (48, 1600, 1_557_611_200)],
)
def test_gpt2s_four_sizes_as_released(n_layers, d_model, count):
    assert scaling.count_params(n_layers, d_model, 50_257, 1024) == count


def test_gpt1_as_released():
    assert scaling.count_params(12, 768, 40_478, 512, norm="post") == 116_534_784


GPT3 = [  # layers, d_model, the full count in millions, batch in tokens, windows, table D.1's flops
    (12, 768, 125.2, 0.5e6, 244, 2.25e20), (24, 1024, 355.9, 0.5e6, 244, 6.41e20),
    (24, 1536, 760.3, 0.5e6, 244, 1.37e21), (24, 2048, 1315.7, 1e6, 488, 2.38e21),
    (32, 2560, 2651.6, 1e6, 488, 4.77e21), (32, 4096, 6658.4, 2e6, 977, 1.20e22),
    (40, 5140, 12952.9, 2e6, 977, None), (40, 5120, 12853.4, 2e6, 977, 2.31e22),
    (96, 12288, 174604.3, 3.2e6, 1562, 3.14e23),
]  # fmt: skip


@pytest.mark.parametrize(("n_layers", "d_model", "millions", "batch", "windows", "flops"), GPT3)
def test_gpt3s_eight_sizes(n_layers, d_model, millions, batch, windows, flops):
    count = scaling.count_params(n_layers, d_model, 50_257, 2048)
    assert round(count / 1e6, 1) == millions
    assert round(scaling.windows_per_batch(batch, 2048)) == windows
    if flops:
        assert scaling.flops_6nd(count, 300e9) == pytest.approx(flops, rel=0.005)


def test_a_petaflop_day():
    assert pytest.approx(24 * 60 * 60 * 1e15) == scaling.PF_DAY
    assert scaling.pf_days(3.14e23) == pytest.approx(3640, rel=0.005)


# --- compute ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_ctx", [1, 2, 7, 12])
@pytest.mark.parametrize("band", [None, 1, 2, 5, 12, 99])
def test_pairs_are_the_ones_of_the_mask(n_ctx, band):
    mask = causal_mask(n_ctx) if band is None else banded_mask(n_ctx, band)
    assert scaling.attention_pairs(n_ctx, band) == int(mask.sum())


@pytest.mark.parametrize(("windows", "each", "workers"), [(8, 2, 2), (9, 2, 2), (1, 8, 8), (100, 3, 7)])
def test_micro_batches_cover_the_batch_and_one_fewer_would_not(windows, each, workers):
    n = scaling.micro_batches(windows * 16, 16, each, workers)
    assert (n - 1) * each * workers < windows <= n * each * workers


# --- frontier and fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_frontier_is_what_no_point_dominates(seed):
    rng = np.random.default_rng(seed)
    compute, loss = rng.integers(1, 12, 40), rng.integers(1, 12, 40)  # many ties
    points = set(zip(compute.tolist(), loss.tolist()))
    best = {
        (c, y) for c, y in points if not any(d <= c and z <= y and (d, z) != (c, y) for d, z in points)
    }  # by definition
    x, y = scaling_laws.frontier(compute, loss)
    assert list(zip(x, y)) == sorted(best)


def test_a_law_without_noise_is_found_exactly():
    x = np.geomspace(1e-6, 1e4, 9)
    law = scaling_laws.fit_power_law(x, 2.57 * x**-0.048)
    assert (law.a, law.b, law.n) == (pytest.approx(2.57), pytest.approx(-0.048), 9)
    assert law.b_high - law.b_low < 1e-9 and law.spread < 1e-9
    assert law(3640) == pytest.approx(1.73, abs=0.005) and law.factor(2) == pytest.approx(0.967, abs=5e-4)
    assert np.allclose(law(x), 2.57 * x**-0.048)


@pytest.mark.parametrize("n", [3, 4, 5, 12, 61])
def test_the_fit_and_its_interval_are_scipys(n):
    rng = np.random.default_rng(n)
    x = rng.uniform(1, 100, n)
    y = 3 * x**-0.2 * np.exp(rng.normal(0, 0.1, n))
    law, other = scaling_laws.fit_power_law(x, y), stats.linregress(np.log(x), np.log(y))
    half = stats.t.ppf(0.975, n - 2) * other.stderr
    assert (law.b, np.log(law.a)) == (pytest.approx(other.slope), pytest.approx(other.intercept))
    assert (law.b_low, law.b_high) == (pytest.approx(other.slope - half), pytest.approx(other.slope + half))
    residuals = np.log(y) - other.intercept - other.slope * np.log(x)
    assert law.spread == pytest.approx(np.sqrt((residuals**2).sum() / (n - 2)))


def test_two_points_have_a_line_but_no_interval():
    law = scaling_laws.fit_power_law([1, 4], [8, 2])
    assert (law.a, law.b) == (pytest.approx(8), pytest.approx(-1)) and np.isnan([law.b_low, law.b_high]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scaling.count_params(0, 8, 9, 9), "n_layers must be"),
        (lambda: scaling.count_params(1, 8.5, 9, 9), "d_model must be"),
        (lambda: scaling.count_params(1, 8, 9, 9, norm="none"), "'pre' or 'post'"),
        (lambda: scaling.flops_6nd(-1, 5), "at least 0"),
        (lambda: scaling.attention_pairs(4, 0), "band must be"),
        (lambda: scaling.windows_per_batch(0, 4), "more than 0 tokens"),
        (lambda: scaling.micro_batches(8, 4, 0), "windows_each must be"),
        (lambda: scaling_laws.frontier([1, 2], [1.0]), "same length"),
        (lambda: scaling_laws.frontier([1, 2], [1.0, np.nan]), "nan"),
        (lambda: scaling_laws.fit_power_law([1, np.inf], [1, 2]), "infinity"),
        (lambda: scaling_laws.fit_power_law([1, 1], [1, 2]), "two different x"),
        (lambda: scaling_laws.fit_power_law([0, 1], [1, 2]), "above 0"),
        (lambda: scaling_laws.fit_power_law([], []), "at least one point"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- what reading costs, and what has to be kept ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_layers", "d_model", "n_vocab", "n_ctx", "d_ff"), [(2, 8, 30, 10, None), (3, 16, 7, 24, 20)]
)
def test_flops_are_those_that_torch_counts(n_layers, d_model, n_vocab, n_ctx, d_ff):
    """torch's own counter watches a forward pass; it counts all comparisons, also those that are hidden."""
    from torch.utils.flop_counter import FlopCounterMode

    gpt = GPT(GPTConfig(n_vocab, n_ctx, n_layers, 2, d_model, d_ff=d_ff), torch.Generator().manual_seed(0))
    attention.use_fused(gpt, False)  # the counter knows the products of the formula, not the CPU's fused attention
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        gpt(torch.zeros(3, n_ctx, dtype=torch.int64))
    each = scaling.forward_flops(n_layers, d_model, n_vocab, n_ctx, d_ff=d_ff, causal=False)
    assert counter.get_total_flops() == 3 * n_ctx * each


def test_flops_are_kaplans_up_to_what_he_leaves_out():
    """2 N + 2 n_layers n_ctx d, N = 12 n_layers d^2: without the output layer, and n_ctx for n_ctx + 1."""
    L, d, V, n = 12, 768, 50_257, 1024
    ours = scaling.forward_flops(L, d, V, n) - 2 * V * d
    assert ours == 2 * 12 * L * d**2 + 2 * L * (n + 1) * d


def test_what_6nd_leaves_out_of_gpt3_is_about_a_percent():
    exact = 3 * 300e9 * scaling.forward_flops(96, 12288, 50_257, 2048)
    assert 1 < exact / scaling.flops_6nd(174_600e6, 300e9) < 1.03


def test_training_memory_is_that_of_torch_and_adam():
    gpt = GPT(GPTConfig(11, 8, 2, 2, 16), torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(gpt.parameters())
    gpt(torch.zeros(1, 8, dtype=torch.int64)).sum().backward()
    optimizer.step()
    kept = [*gpt.parameters(), *(p.grad for p in gpt.parameters())]
    kept += [t for state in optimizer.state.values() for name, t in state.items() if name != "step"]
    assert sum(t.numel() * t.element_size() for t in kept) == scaling.training_memory(gpt.n_params())


def test_cache_memory_is_that_of_a_cache():
    gpt = GPT(GPTConfig(11, 8, 3, 2, 16), torch.Generator().manual_seed(0))
    cache = gpt.new_cache()
    gpt(torch.zeros(1, 8, dtype=torch.int64), cache)
    held = sum(t.numel() * t.element_size() for layer in cache for t in (layer.k, layer.v))
    assert held == scaling.cache_memory(3, 16, 8)


@pytest.mark.parametrize("call", [
    lambda: scaling.forward_flops(0, 8, 8, 8), lambda: scaling.training_memory(-1),
    lambda: scaling.cache_memory(1, 8, 2.5), lambda: scaling.forward_flops(1, 8, 8, True),
])  # fmt: skip
def test_sizes_must_be_whole_numbers(call):
    with pytest.raises(ValueError, match="whole number"):
        call()
