"""Parameters, FLOPs and memory of a Transformer, counted exactly.

Arithmetic only: it builds no model; tests hold its counts against models.
"""

import math

import numpy as np


def count_params(
    n_layers: int,
    d_model: int,
    n_vocab: int,
    n_ctx: int,
    *,
    d_ff: int | None = None,
    norm: str = "pre",
    embeddings: bool = True,
) -> int:
    """Parameter count of a GPT, to the unit; the number of heads makes no difference.

        N = n_layers (4 d^2 + 4 d  +  2 d d_ff + d_ff + d  +  4 d)  +  [2 d if pre]  +  V d + n_ctx d
                      attention       MLP                  2 LayerNorms  last LayerNorm   embeddings

    d_ff = None is 4 d_model. norm: "post" as in GPT-1, "pre" as in GPT-2 and GPT-3. embeddings=False leaves the tables
    of tokens and positions out, as GPT-3's figure 3.1 does. The output layer is the token embedding again.

    Errors: ValueError for a size that is not a whole number of at least 1, or another norm.
    Source: counted from GPT-1, section 3.1, and GPT-2, section 2.3. Differs: the papers print rounded totals, and those
    of GPT-2's paper (table 2: 117M, 345M, ...) are too small, as its repository says.

    >>> count_params(12, 768, 50_257, 1024), count_params(12, 768, 50_257, 1024, embeddings=False)
    (124439808, 85056000)
    """
    d_ff = 4 * d_model if d_ff is None else d_ff
    _whole(n_layers=n_layers, d_model=d_model, n_vocab=n_vocab, n_ctx=n_ctx, d_ff=d_ff)
    if norm not in ("pre", "post"):
        raise ValueError(f"expected norm 'pre' or 'post'; got {norm!r}")
    attention = 4 * d_model**2 + 4 * d_model
    mlp = 2 * d_model * d_ff + d_ff + d_model
    blocks = n_layers * (attention + mlp + 4 * d_model) + (2 * d_model if norm == "pre" else 0)
    return blocks + (n_vocab + n_ctx) * d_model * embeddings


def _whole(**sizes) -> None:
    for name, value in sizes.items():
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, but it is {value!r}")


PF_DAY = 8.64e19  # floating-point operations of a machine that does 10^15 a second, in one day


def flops_6nd(n_params: float, n_tokens: float) -> float:
    """Training compute in FLOPs: forwards a multiplication and an addition per parameter and token, backwards twice it.

        C = 6 N D

    Unit: floating-point operations. Errors: ValueError for a negative number.
    Source: GPT-3, table D.1. Differs: nothing; like the table it leaves out comparing queries with keys.

    >>> f"{flops_6nd(174_600e6, 300e9):.3g}"
    '3.14e+23'
    """
    if n_params < 0 or n_tokens < 0:
        raise ValueError(f"expected parameters and tokens of at least 0; got {n_params} and {n_tokens}")
    return 6.0 * n_params * n_tokens


def pf_days(flops: float) -> float:
    """Petaflop/s-days (PF-days): a day of a machine that does 10^15 of them a second.

    >>> round(pf_days(3.14e23))
    3634
    """
    return flops / PF_DAY


def attention_pairs(n_ctx: int, band: int | None = None) -> int:
    """Attention pairs (query, key) that a causal block compares: all before it, or the band - 1 just before it.

        dense: n (n + 1) / 2,   banded: n w - w (w - 1) / 2,  w = min(band, n)

    Errors: ValueError for a size that is not a whole number of at least 1.
    Source: GPT-3, section 2.1, alternates the two; it does not print the width of its band.

    >>> attention_pairs(4), attention_pairs(4, band=2)
    (10, 7)
    """
    width = n_ctx if band is None else band
    _whole(n_ctx=n_ctx, band=width)
    width = min(width, n_ctx)
    return n_ctx * width - width * (width - 1) // 2


def windows_per_batch(batch_tokens: float, n_ctx: int) -> float:
    """Batch size in windows: how many full windows make a batch of so many tokens.

    Source: GPT-3, table 2.1, whose batch sizes are in tokens (rounded: half a million is 244 windows of 2,048).
    Errors: ValueError for no tokens, or windows of less than one.

    >>> windows_per_batch(3.2e6, 2048)
    1562.5
    """
    _whole(n_ctx=n_ctx)
    if batch_tokens <= 0:
        raise ValueError(f"expected a batch of more than 0 tokens; got {batch_tokens}")
    return batch_tokens / n_ctx


def micro_batches(batch_tokens: float, n_ctx: int, windows_each: int, n_workers: int = 1) -> int:
    """Gradient accumulation steps: how many micro-batches each worker takes before one update.

    windows_each: windows that fit into one worker's memory at once. Errors: as in `windows_per_batch`.

    >>> micro_batches(3.2e6, 2048, windows_each=4, n_workers=64)
    7
    """
    _whole(windows_each=windows_each, n_workers=n_workers)
    return math.ceil(windows_per_batch(batch_tokens, n_ctx) / (windows_each * n_workers))


def forward_flops(
    n_layers: int, d_model: int, n_vocab: int, n_ctx: int, *, d_ff: int | None = None, causal: bool = True
):
    """Forward FLOPs per token of a full window: every multiplication and addition of the matrix products.

        n_layers (2 (4 d^2 + 2 d d_ff)  +  4 d m)  +  2 V d,      m = (n_ctx + 1) / 2 positions looked at, on average
                   weights               attention   output layer

    causal=False counts the comparisons that plain code makes and then hides: m = n_ctx. Training: three times this.
    LayerNorm, softmax, GELU and biases are left out, as everywhere.

    Unit: floating-point operations per token. Errors: as count_params.
    Source: Kaplan et al. 2020, section 2.1 and table 1: 2 N + 2 n_layers n_ctx d. Differs: exact to the unit.

    >>> f"{forward_flops(96, 12288, 50_257, 2048) * 3 * 300e9:.3g}"
    '3.19e+23'
    """
    d_ff = 4 * d_model if d_ff is None else d_ff
    _whole(n_layers=n_layers, d_model=d_model, n_vocab=n_vocab, n_ctx=n_ctx, d_ff=d_ff)
    looked_at = (n_ctx + 1) / 2 if causal else n_ctx
    weights = 2 * (4 * d_model**2 + 2 * d_model * d_ff)
    return n_layers * (weights + 4 * d_model * looked_at) + 2 * n_vocab * d_model


def training_memory(n_params: int, bytes_each: int = 4) -> int:
    """Training memory without activations: weights, gradients, and Adam's two running means.

    Unit: bytes; bytes_each is 4 for float32. Errors: ValueError for a size that is not a whole number of at least 1.

    >>> training_memory(174_600_000_000) / 1e12  # GPT-3: terabytes
    2.7936
    """
    _whole(n_params=n_params, bytes_each=bytes_each)
    return 4 * bytes_each * n_params


def memory_parts(n_params: int) -> dict:
    """Training memory of mixed precision, part by part: 16-bit weights and gradients, Adam in 32 bits.

        2 N + 2 N + 4 N + 4 N + 4 N = 16 N bytes

    Unit: bytes; without activations. Errors: ValueError for a size that is not a whole number of at least 1.
    Source: Rajbhandari et al. 2020 (ZeRO), section 3.1. Differs: nothing; GPT-3's paper does not say how it was kept.

    >>> sum(memory_parts(174_600_000_000).values()) / 1e12  # GPT-3: terabytes
    2.7936
    """
    _whole(n_params=n_params)
    sizes = {"weights (16 bits)": 2, "gradients (16 bits)": 2, "weights (32 bits)": 4, "Adam: mean of g": 4,
             "Adam: mean of g²": 4}  # fmt: skip
    return {name: size * n_params for name, size in sizes.items()}


def cache_memory(n_layers: int, d_model: int, n_ctx: int, bytes_each: int = 4) -> int:
    """Memory of the key-value cache for one text: a key and a value for each position and block.

    Unit: bytes. Errors: ValueError for a size that is not a whole number of at least 1.

    >>> cache_memory(96, 12288, 2048, bytes_each=2) / 1e9  # GPT-3, half precision: gigabytes
    9.663676416
    """
    _whole(n_layers=n_layers, d_model=d_model, n_ctx=n_ctx, bytes_each=bytes_each)
    return 2 * n_layers * n_ctx * d_model * bytes_each
