"""Scaled dot-product attention, masks, heads, and the key-value cache.

The formula first, as the paper writes it; then the cache that lets a model go on with a text token by token without
computing it again from the start; then many heads side by side.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigpt.io.checks import is_whole, whole


def causal_mask(T: int, device: torch.device | None = None) -> Tensor:
    """Causal mask: position t may see positions 0 to t, and none that come later.

    Shapes: result (T, T) bool; row = the position that looks, column = the position looked at, True = may be seen.
    Source: Vaswani et al. 2017, section 3.2.3; GPT-1, section 3.1 (the decoder it takes from Liu et al. 2018).
    Differs: a mask of True and False where the paper adds 0 and minus infinity to the scores.

    >>> causal_mask(3).int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    T = whole(T, "T", 0)
    return torch.ones(T, T, dtype=torch.bool, device=device).tril()


def banded_mask(T: int, band: int, device: torch.device | None = None) -> Tensor:
    """Locally banded causal mask: position t may see itself and the band - 1 positions just before it.

    Shapes: result (T, T) bool, rows and columns as in `causal_mask`.
    Errors: ValueError if band is no whole number of at least 1: a position must at least see itself.
    Source: GPT-3, section 2.1: every second layer of GPT-3 is "locally banded sparse", after Child et al. 2019.
    Differs: GPT-3 does not print its band width.

    >>> banded_mask(4, band=2).int().tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    """
    band = whole(band, "band", 1)
    return causal_mask(T, device).triu(1 - band)


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention: each query is compared with every key it may see, and the values are averaged.

        weights = softmax(q k^T / sqrt(d_head) + mask),   out = weights v

    Shapes: q (..., T, d_head), k and v (..., T_k, d_head), mask broadcastable to (..., T, T_k) with True where the
    query may see the key; out (..., T, d_head), weights (..., T, T_k) before dropout, each row adding to 1.
    Errors: ValueError if q and k differ in d_head, k and v in T_k, or mask is not bool; RuntimeError from torch if mask
    or the leading axes do not fit. A query that may see nothing gets nan, since there is nothing to average.
    Source: Vaswani et al. 2017, section 3.2.1, equation 1; dropout on the weights: GPT-1, section 4.1.
    Differs: nothing; "+ mask" adds 0 where mask is True and minus infinity where it is False.

    Two keys fit equally well, so the values are averaged half and half:
    >>> q, k, v = torch.zeros(1, 2), torch.ones(2, 2), torch.tensor([[0.0, 2.0], [4.0, 6.0]])
    >>> out, weights = attention(q, k, v)
    >>> out.tolist(), weights.tolist()
    ([[2.0, 4.0]], [[0.5, 0.5]])
    """
    _check(q, k, v, mask)
    scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)  # (..., T, T_k)
    if mask is not None:
        scores = scores + torch.zeros(mask.shape, dtype=scores.dtype, device=mask.device).masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)  # (..., T, T_k)
    return F.dropout(weights, dropout) @ v, weights


def fused_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, dropout: float = 0.0, causal: bool = False
) -> Tensor:
    """Fused attention: the same average as `attention`, computed in blocks, without ever writing all weights down.

    Shapes: as `attention`; causal=True is causal_mask(T) without a mask in memory, for T = T_k.
    Source: Dao et al. 2022 (FlashAttention), through torch's scaled_dot_product_attention.
    Differs: it gives no weights, and sums in another order; `attention` is its test.
    """
    return F.scaled_dot_product_attention(q, k, v, mask, dropout_p=dropout, is_causal=causal)


def _check(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> None:
    if not q.shape[-1] == k.shape[-1] > 0 or k.shape[-2] != v.shape[-2]:
        shapes = ", ".join(str(tuple(x.shape)) for x in (q, k, v))
        raise ValueError(f"q, k, v must be (..., T, d_head), (..., T_k, d_head), (..., T_k, d_head), but are {shapes}")
    if mask is not None and mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool, True where the query may see the key, but it is {mask.dtype}")


class KeyValueCache:
    """Key-value cache of one attention layer: the keys and values of the positions computed so far.

    The memory has room for more positions than are in it, twice as many each time that it is full: so a new token is
    written into it, and what was there is not copied for every token.
    """

    def __init__(self):
        self.n_past = 0  # how many positions are in the cache
        self._k = self._v = torch.empty(0)  # (B, H, room, d_head), of which n_past positions are filled

    @property
    def k(self) -> Tensor:
        """The keys so far: (B, H, n_past, d_head)."""
        return self._k[:, :, : self.n_past]

    @property
    def v(self) -> Tensor:
        """The values so far: (B, H, n_past, d_head)."""
        return self._v[:, :, : self.n_past]

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of T new positions and give back those of all positions.

        Shapes: k and v (B, H, T, d_head); results (B, H, n_past + T, d_head).
        Errors: ValueError if the number of rows B, or H or d_head, is not that of the positions before.
        """
        if self.n_past:
            if len(self._k) != len(k):
                raise ValueError(f"this cache holds {len(self._k)} rows of text, but {len(k)} came")
            if (self._k.shape[1], self._k.shape[3]) != (k.shape[1], k.shape[3]):
                here, came = (f"{each.shape[1]} heads of width {each.shape[3]}" for each in (self._k, k))
                raise ValueError(f"this cache belongs to another model: it holds {here}, but {came} came")
        self._k, self._v = self._joined(self._k, k), self._joined(self._v, v)
        self.n_past += k.shape[2]
        return self.k, self.v

    def select(self, rows: Tensor | list[int]) -> None:
        """Go on with these rows, in this order; one may come several times."""
        self._k, self._v = self._k[rows], self._v[rows]

    def _joined(self, memory: Tensor, new: Tensor) -> Tensor:
        """Memory that holds the new positions after the n_past that it has."""
        n = self.n_past + new.shape[2]
        if memory.requires_grad or new.requires_grad:  # what a gradient still needs is never overwritten
            return torch.cat([memory[:, :, : self.n_past], new], dim=2) if self.n_past else new
        if not self.n_past or n > memory.shape[2]:
            larger = new.new_empty(*new.shape[:2], 2 * n, new.shape[3])
            if self.n_past:
                larger[:, :, : self.n_past] = memory[:, :, : self.n_past]
            memory = larger
        memory[:, :, self.n_past : n] = new
        return memory


class MultiHeadAttention(nn.Module):
    """Multi-head attention: H heads side by side, each in its own d_head of the d_model numbers, joined by W_o.

        head_i = attention(x W_q,i, x W_k,i, x W_v,i),   out = concat(head_1 ... head_H) W_o,   d_head = d_model / H

    Shapes: x and out (B, T, d_model). W_qkv holds W_q, W_k and W_v of all heads, in this order.
    With a band, each position sees only that many positions, itself included, and none that come later.
    Errors: ValueError if n_heads does not divide d_model, or if there is a band and no causal mask.
    Source: Vaswani et al. 2017, section 3.2.2; GPT-1, section 4.1: 12 heads in 768 numbers; band: GPT-3, section 2.1.
    Differs: biases are added, as in OpenAI's released code; the weights are torch's usual ones until a model
    draws its own.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, causal: bool = True, band: int | None = None):
        super().__init__()
        if not is_whole(n_heads, 1) or not is_whole(d_model, 1) or d_model % n_heads:
            raise ValueError(f"d_model must be a multiple of n_heads, but d_model = {d_model} and n_heads = {n_heads}")
        if band is not None and not (causal and is_whole(band, 1)):
            raise ValueError(f"band must be None or a whole number of at least 1 in a causal layer, but it is {band!r}")
        self.n_heads, self.dropout, self.causal, self.band = n_heads, dropout, causal, band
        self.fused: bool | None = None  # True: fused_attention, False: the formula, None: see use_fused
        self.W_qkv = nn.Linear(d_model, 3 * d_model)
        self.W_o = nn.Linear(d_model, d_model)

    def forward(
        self,
        x: Tensor,
        cache: KeyValueCache | None = None,
        visible: Tensor | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attention of the positions of x to those in the cache and to each other.

        Shapes: x (B, T, d_model); visible (B, T) bool, False for padding that no position may see (padding on the
        right needs none in a causal model); result (B, T, d_model), with return_weights also (B, H, T, n_past + T).
        """
        B, T, d = x.shape
        q, k, v = self.W_qkv(x).view(B, T, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)  # each (B, H, T, d_head)
        if cache is not None:
            k, v = cache.append(k, v)  # (B, H, n_past + T, d_head)
        dropout, weights = self.dropout if self.training else 0.0, None
        fused = not dropout or x.is_cuda if self.fused is None else self.fused
        if return_weights or not fused:
            mask = self._mask(T, k.shape[2], visible, x.device)
            out, weights = attention(q, k, v, mask, dropout)
        elif self.causal and visible is None and T == k.shape[2] and (self.band is None or T <= self.band):
            out = fused_attention(q, k, v, dropout=dropout, causal=True)
        else:
            out = fused_attention(q, k, v, self._mask(T, k.shape[2], visible, x.device), dropout)
        out = self.W_o(out.transpose(1, 2).reshape(B, T, d))  # (B, T, d_model)
        return (out, weights) if return_weights else out

    def _mask(self, T: int, T_k: int, visible: Tensor | None, device: torch.device) -> Tensor | None:
        """Which positions may see which: (T, T_k), or (B, 1, T or 1, T_k) with padding, or None if all may see all."""
        mask = None
        if self.band is not None and T_k > self.band:
            mask = banded_mask(T_k, self.band, device)[T_k - T :]
        elif self.causal and T > 1:  # the newest position alone may see all
            mask = causal_mask(T_k, device)[T_k - T :]
        if visible is not None:
            seen = visible[:, None, None, :]  # (B, 1, 1, T_k)
            mask = seen if mask is None else mask & seen
        return mask


def use_fused(model: nn.Module, fused: bool | None = True) -> None:
    """Let every attention layer of a model use fused_attention (True) or the formula (False).

    None, as at first, is fused attention, but for dropout on a CPU, where torch has no fused kernel for it. Weights
    that are asked for always come from the formula.
    """
    for layer in model.modules():
        if isinstance(layer, MultiHeadAttention):
            layer.fused = fused
