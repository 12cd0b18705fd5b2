"""Scaling: how many numbers a model learns, what training costs, and straight lines on logarithmic axes.

Floor 0 of the west wing: arithmetic, in integers and float64. It builds no model; tests hold its counts against models.
"""

import math
from dataclasses import dataclass

import numpy as np

# --- parameters ------------------------------------------------------------------------------------------------------


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
    """How many numbers a GPT learns, to the unit; the number of heads makes no difference.

        N = n_layers (4 d^2 + 4 d  +  2 d d_ff + d_ff + d  +  4 d)  +  [2 d if pre]  +  V d + n_ctx d
                      attention       MLP                  2 LayerNorms  last LayerNorm   embeddings

    d_ff = None is 4 d_model. norm: "post" as in GPT-1, "pre" as in GPT-2 and GPT-3. embeddings=False leaves the tables
    of tokens and positions out, as GPT-3's figure 3.1 does. The output layer is the token embedding again.

    Errors: ValueError for a size that is not a whole number of at least 1, or another norm.
    Source: counted from GPT-1, section 3.1, and GPT-2, section 2.3. Differs: the papers print rounded totals; GPT-2's
    first printing (117M, 345M, ...) was too small.

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


# --- compute ---------------------------------------------------------------------------------------------------------

PF_DAY = 8.64e19  # floating-point operations of a machine that does 10^15 a second, in one day


def flops_6nd(n_params: float, n_tokens: float) -> float:
    """What training costs: forwards a multiplication and an addition per parameter and token, backwards twice that.

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
    """Floating-point operations in petaflop/s-days: a day of a machine that does 10^15 of them a second.

    >>> round(pf_days(3.14e23))
    3634
    """
    return flops / PF_DAY


def attention_pairs(n_ctx: int, band: int | None = None) -> int:
    """How many (query, key) pairs a causal block compares: with all before it, or with the band - 1 just before it.

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
    """How many full windows make a batch of so many tokens.

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
    """How often each worker reads before one step: gradients are added up until the batch is complete.

    windows_each: windows that fit into one worker's memory at once. Errors: as in `windows_per_batch`.

    >>> micro_batches(3.2e6, 2048, windows_each=4, n_workers=64)
    7
    """
    _whole(windows_each=windows_each, n_workers=n_workers)
    return math.ceil(windows_per_batch(batch_tokens, n_ctx) / (windows_each * n_workers))


def forward_flops(
    n_layers: int, d_model: int, n_vocab: int, n_ctx: int, *, d_ff: int | None = None, causal: bool = True
):
    """What reading costs, per token of a full window: every multiplication and addition of the matrix products.

        n_layers (2 (4 d^2 + 2 d d_ff)  +  4 d m)  +  2 V d,      m = (n_ctx + 1) / 2 positions looked at, on average
                   weights               attention   output layer

    causal=False counts the comparisons that plain code makes and then hides: m = n_ctx. Training costs three times this.
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


# --- memory ----------------------------------------------------------------------------------------------------------


def training_memory(n_params: int, bytes_each: int = 4) -> int:
    """What has to be kept in training besides activations: weights, gradients, and Adam's two running means.

    Unit: bytes; bytes_each is 4 for float32. Errors: ValueError for a size that is not a whole number of at least 1.

    >>> training_memory(174_600_000_000) / 1e12  # GPT-3: terabytes
    2.7936
    """
    _whole(n_params=n_params, bytes_each=bytes_each)
    return 4 * bytes_each * n_params


def cache_memory(n_layers: int, d_model: int, n_ctx: int, bytes_each: int = 4) -> int:
    """What writing keeps of one text: a key and a value for each position and block.

    Unit: bytes. Errors: ValueError for a size that is not a whole number of at least 1.

    >>> cache_memory(96, 12288, 2048, bytes_each=2) / 1e9  # GPT-3, half precision: gigabytes
    9.663676416
    """
    _whole(n_layers=n_layers, d_model=d_model, n_ctx=n_ctx, bytes_each=bytes_each)
    return 2 * n_layers * n_ctx * d_model * bytes_each


# --- loss against compute --------------------------------------------------------------------------------------------


def frontier(compute, loss) -> tuple[np.ndarray, np.ndarray]:
    """The points that no other beats: each has a lower loss than all that cost as much or less.

    compute, loss: the points of all runs together, one after the other, in any order.

    Shapes: (n,) and (n,) -> (m,) and (m,), m <= n, compute rising and loss falling.
    Errors: ValueError if they differ in length or hold a nan.
    Source: the lower envelope in GPT-3, figure 3.1. Differs: the measured points themselves; the figure draws a law.

    >>> frontier([1, 2, 2, 4], [5.0, 4.0, 3.0, 3.5])
    (array([1., 2.]), array([5., 3.]))
    """
    compute, loss = _points(compute, loss)
    order = np.lexsort((loss, compute))  # by compute; at the same compute the lower loss first
    compute, loss = compute[order], loss[order]
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(loss)[:-1]])
    return compute[loss < best_before], loss[loss < best_before]


@dataclass(frozen=True)
class PowerLaw:
    """y = a x^b, as it was fitted: a straight line of slope b on two logarithmic axes."""

    a: float  # y at x = 1
    b: float  # the exponent
    b_low: float  # 95 % interval of the exponent; nan if only two points were fitted
    b_high: float
    spread: float  # standard deviation of log y around the line; nan for two points
    n: int  # points fitted

    def __call__(self, x):
        """What the law says at x."""
        return self.a * np.asarray(x, float) ** self.b

    def factor(self, times: float = 10.0) -> float:
        """By what y is multiplied when x is multiplied by `times`: times^b.

        >>> round(PowerLaw(2.57, -0.048, -0.05, -0.046, 0.01, 9).factor(10), 3)
        0.895
        """
        return float(times**self.b)


def fit_power_law(x, y) -> PowerLaw:
    """Fit y = a x^b by least squares between the logarithms.

        log y = log a + b log x + noise,   b ± t_{n-2} s / sqrt(sum (log x - mean log x)^2)

    The interval is Student's and takes the points for independent. Points of one training run are not: take one from
    each run, or read the interval as too narrow. For a law with a floor c, fit y - c.

    Errors: ValueError for fewer than two different x, lengths that differ, or a number that is not above 0.
    Source: GPT-3, figure 3.1 (2.57 C^-0.048); it does not print how it was fitted.

    >>> law = fit_power_law([1, 10, 100], [2.0, 1.0, 0.5])
    >>> round(law.a, 3), round(law.b, 3)
    (2.0, -0.301)
    """
    x, y = _points(x, y)
    if x.min() <= 0 or y.min() <= 0:
        raise ValueError(f"a power law needs numbers above 0; got x from {x.min():g} and y from {y.min():g}")
    if len(np.unique(x)) < 2:
        raise ValueError(f"a power law needs at least two different x; got {np.unique(x)}")
    u, v, n = np.log(x), np.log(y), len(x)
    around = np.sum((u - u.mean()) ** 2)
    b = np.sum((u - u.mean()) * (v - v.mean())) / around
    log_a = v.mean() - b * u.mean()
    if n == 2:
        return PowerLaw(float(np.exp(log_a)), float(b), math.nan, math.nan, math.nan, n)
    s = math.sqrt(np.sum((v - log_a - b * u) ** 2) / (n - 2))
    half = _t95(n - 2) * s / math.sqrt(around)
    return PowerLaw(float(np.exp(log_a)), float(b), float(b - half), float(b + half), s, n)


def _points(x, y) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 1 or x.shape != y.shape or len(x) == 0:
        raise ValueError(f"expected two rows of the same length, at least one point; got {x.shape} and {y.shape}")
    if np.isnan(x).any() or np.isnan(y).any():
        raise ValueError("expected numbers, but there is a nan: leave out runs that broke off")
    return x, y


def _t95(dof: int) -> float:
    """The t for which Student's distribution has 95 % between -t and t, by halving the interval.

    Source: the finite sums for P(|T| <= t) in Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """

    def within(t: float) -> float:
        angle = math.atan(t / math.sqrt(dof))
        odd = dof % 2
        term = math.cos(angle) if odd else 1.0
        total = term if dof > 1 else 0.0
        for k in range(2 + odd, dof - 1, 2):
            term *= (k - 1) / k * math.cos(angle) ** 2
            total += term
        return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total

    low, high = 0.0, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 0.95 else (low, middle)
    return high
