"""GPT: the Transformer decoder of GPT-1 (post-LN) and of GPT-2 (pre-LN), and a classifier on top of it.

Ids go in, logits of the next token come out; with a TaskModel on top, logits of labels. Every initial weight is drawn
from the generator that the caller hands in. A model is built on the device of `devices.device()`; ids follow it there,
and what it answers lies where they were.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigpt import devices
from minigpt.attention import KeyValueCache, MultiHeadAttention
from minigpt.io.checks import is_number, is_whole, kind, use_python_numbers


@dataclass(frozen=True)
class GPTConfig:
    """Configuration of a GPT: its sizes and choices.

    Errors: ValueError naming the field, what was expected and what came.
    Source: GPT-1, section 4.1, "Model specifications"; GPT-2, section 2.3.
    Differs: the defaults are GPT-1's except dropout (0.1 there: our texts are never seen often enough to need it).
    """

    n_vocab: int  # V, number of token ids; GPT-1: 40,478 in the released code, GPT-2: 50,257
    n_ctx: int  # most tokens the model can look at; GPT-1: 512, GPT-2: 1,024
    n_layers: int  # blocks; GPT-1: 12, GPT-2: 12 to 48
    n_heads: int  # H, attention heads in a block; GPT-1: 12
    d_model: int  # d, numbers that stand for a token; GPT-1: 768, GPT-2: 768 to 1,600
    d_ff: int | None = None  # width inside the MLP; None is 4 d_model, as in GPT-1 (3,072) and GPT-2
    norm: str = "post"  # LayerNorm "post" (after adding, GPT-1) or "pre" (before the step, GPT-2)
    dropout: float = 0.0  # of embeddings, residual steps and attention weights; GPT-1: 0.1
    init_std: float = 0.02  # standard deviation of the first weights; both: 0.02. Small widths: 1 / sqrt(d_model)
    init: str = "gpt1"  # "gpt1"; "gpt2": residual steps / sqrt(2 n_layers); "width": W_2 / sqrt(d_ff / d_model)
    position_init: str = "normal"  # positions start "normal" (both papers) or "sinusoid", half as large as tokens
    embedding_scale: float = 1.0  # s: h_0 is multiplied by it. Both papers: 1; Vaswani et al. 2017: sqrt(d_model)
    band: int | None = None  # positions that the 2nd, 4th, ... block sees; None: all. GPT-3: a band, width not printed
    causal: bool = True  # True: each position sees what came before (GPT). False: it sees all (BERT)
    tie_embeddings: bool = True  # True: the output layer is the token embedding again, as in both papers
    ln_eps: float = 1e-5  # added to the variance in LayerNorm; both released codes: 1e-5

    def __post_init__(self):
        use_python_numbers(self)
        for name in ("n_vocab", "n_ctx", "n_layers", "n_heads", "d_model", "d_ff", "band"):
            value = getattr(self, name)
            none = value is None and name in ("d_ff", "band")
            self._need(none or is_whole(value, 1), name, "a whole number of at least 1")
        self._need(self.d_model % self.n_heads == 0, "d_model", f"a multiple of n_heads = {self.n_heads}")
        for name, choices in (("norm", ("post", "pre")), ("init", ("gpt1", "gpt2", "width")),
                              ("position_init", ("normal", "sinusoid"))):  # fmt: skip
            self._need(getattr(self, name) in choices, name, " or ".join(map(repr, choices)))
        for name in ("causal", "tie_embeddings"):
            self._need(isinstance(getattr(self, name), bool), name, "True or False")
        self._need(self.band is None or self.causal, "band", "None in a model that is not causal")
        self._need(is_number(self.dropout) and 0 <= self.dropout < 1, "dropout", "a number from 0 to below 1")
        self._need(is_number(self.init_std) and self.init_std > 0, "init_std", "a number above 0")
        self._need(is_number(self.embedding_scale) and self.embedding_scale > 0, "embedding_scale", "a number above 0")
        self._need(is_number(self.ln_eps) and 0 < self.ln_eps < 1, "ln_eps", "a small number above 0")

    def _need(self, right: bool, name: str, expected: str) -> None:
        if not right:
            raise ValueError(f"GPTConfig.{name} must be {expected}, but it is {getattr(self, name)!r}")

    @property
    def d_inner(self) -> int:
        """The width inside the MLP: d_ff, or 4 d_model if none was given."""
        return 4 * self.d_model if self.d_ff is None else self.d_ff


class MLP(nn.Module):
    """Position-wise feed-forward network with GELU: two layers, applied to each position alone.

        mlp(x) = gelu(x W_1 + b_1) W_2 + b_2,   gelu(x) = x Phi(x), Phi the cumulative normal distribution

    Shapes: x and result (B, T, d_model), d_ff in between.
    Source: Vaswani et al. 2017, section 3.3; GELU: Hendrycks and Gimpel 2016, section 2; used in GPT-1, section 4.1.
    Differs: Phi through its tanh approximation, as in the code that OpenAI released.
    """

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        self.W_1 = nn.Linear(d_model, d_ff)
        self.W_2 = nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_2(F.gelu(self.W_1(x), approximate="tanh"))  # (B, T, d_ff) inside


class Block(nn.Module):
    """Transformer block: attention, then a feed-forward network, each with a residual connection and LayerNorm.

        GPT-1 (post): h = LN(h + attn(h)),  h = LN(h + mlp(h))
        GPT-2 (pre):  h = h + attn(LN(h)),  h = h + mlp(LN(h))

    Shapes: h and result (B, T, d_model).
    Source: GPT-1, section 3.1, equation 2 and figure 1 (left); GPT-2, section 2.3. Differs: nothing.
    """

    def __init__(self, config: GPTConfig, band: int | None = None):
        super().__init__()
        self.pre = config.norm == "pre"
        self.attn = MultiHeadAttention(config.d_model, config.n_heads, config.dropout, config.causal, band)
        self.ln_1 = nn.LayerNorm(config.d_model, eps=config.ln_eps)
        self.mlp = MLP(config.d_model, config.d_inner)
        self.ln_2 = nn.LayerNorm(config.d_model, eps=config.ln_eps)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, cache: KeyValueCache | None = None, visible: Tensor | None = None) -> Tensor:
        if self.pre:
            h = h + self.drop(self.attn(self.ln_1(h), cache, visible))
            return h + self.drop(self.mlp(self.ln_2(h)))
        h = self.ln_1(h + self.drop(self.attn(h, cache, visible)))
        return self.ln_2(h + self.drop(self.mlp(h)))


class GPT(nn.Module):
    """GPT language model: token and position embeddings, n Transformer blocks, and logits of the next token.

        h_0 = s (U W_e + W_p),   h_l = block(h_{l-1}) for l = 1 ... n,   P(u) = softmax(h_n W_e^T)

    s = config.embedding_scale is 1 in both papers.

    Shapes: ids (B, T) -> logits (B, T, V), on the device of the ids; P is the softmax of the logits. whole_tiles: as in
    `logits`.
    Errors: ValueError if the ids are not whole numbers of shape (B, T), if one is not in the vocabulary, or if there
    are more than n_ctx.
    Source: GPT-1, section 3.1, equation 2. With norm="pre" GPT-2, section 2.3: one more LayerNorm, ln_f, at the end.
    Differs: nothing in the formula. GPT-2's paper scales "residual layers" by 1/sqrt(N) and does not say which
    matrices; here, as is usual, the last matrix of attention and of the MLP in each block, N = 2 n_layers.
    """

    def __init__(self, config: GPTConfig, generator: torch.Generator):
        super().__init__()
        self.config = config
        device = devices.device()
        with torch.device("meta"):  # shapes only: torch's own initial weights are never drawn
            self.W_e = nn.Embedding.from_pretrained(torch.empty(config.n_vocab, config.d_model), freeze=False)
            self.W_p = nn.Embedding.from_pretrained(torch.empty(config.n_ctx, config.d_model), freeze=False)
            self.blocks = nn.ModuleList(Block(config, config.band if i % 2 else None) for i in range(config.n_layers))
            self.ln_f = nn.LayerNorm(config.d_model, eps=config.ln_eps) if config.norm == "pre" else nn.Identity()
            self.W_out = None if config.tie_embeddings else nn.Linear(config.d_model, config.n_vocab, bias=False)
        self.drop = nn.Dropout(config.dropout)
        self.to_empty(device=device)
        self._draw_weights(generator)

    def embed(self, ids: Tensor, n_past: int = 0) -> Tensor:
        """Embeddings of tokens and positions: h_0 of the formula, before dropout.

        Shapes: ids (B, T), where the model is, the T tokens after n_past others; result (B, T, d_model).
        Source: the factor s: Vaswani et al. 2017, section 3.4. Differs: here it multiplies the positions, too.
        """
        positions = torch.arange(n_past, n_past + ids.shape[1], device=ids.device)  # (T,)
        return (self.W_e(ids) + self.W_p(positions)) * self.config.embedding_scale

    def hidden(self, ids: Tensor, cache: list[KeyValueCache] | None = None, visible: Tensor | None = None) -> Tensor:
        """Hidden states of the last block at each position: h_n of the formula (after ln_f where there is one).

        Shapes: ids (B, T); cache from new_cache(), then ids are the T tokens after those read before; visible
        (B, T) bool, False for padding, for models that are not causal; result (B, T, d_model), where the ids are.
        """
        n_past = self.check_inputs(ids, cache, visible)
        home, ids, visible = ids.device, self.here(ids), None if visible is None else self.here(visible)
        h = self.drop(self.embed(ids, n_past))  # (B, T, d)
        for i, block in enumerate(self.blocks):
            h = block(h, None if cache is None else cache[i], visible)
        return self.ln_f(h).to(home)

    def logits(self, h: Tensor, whole_tiles: bool = False) -> Tensor:
        """Logits of the next token: h W_e^T. Shapes: h (..., d_model); result (..., V), where h is.

        whole_tiles: as many columns as the next multiple of 64 has, which is what a GPU multiplies and reads fastest
        (GPT-2's V = 50,257 is odd). Those behind the V tokens only fill up: their logit is -inf, their probability 0.
        """
        weight = self.W_e.weight if self.W_out is None else self.W_out.weight
        home, h, V = h.device, self.here(h), len(weight)
        if not V % 64 or not (whole_tiles or h.is_cuda and torch.is_grad_enabled()):
            return F.linear(h, weight).to(home)
        logits = F.linear(h, F.pad(weight, (0, 0, 0, -V % 64)))  # (..., next multiple of 64)
        if whole_tiles:
            behind = torch.arange(logits.shape[-1], device=h.device) >= V
            return logits.masked_fill(behind, -math.inf).to(home)
        return logits[..., :V].to(home)

    def here(self, x: Tensor) -> Tensor:
        """The same numbers on the device of this model."""
        return x.to(self.W_e.weight.device)

    def forward(
        self,
        ids: Tensor,
        cache: list[KeyValueCache] | None = None,
        visible: Tensor | None = None,
        whole_tiles: bool = False,
    ) -> Tensor:
        return self.logits(self.hidden(ids, cache, visible), whole_tiles)  # (B, T, V)

    def new_cache(self) -> list[KeyValueCache]:
        """An empty key-value cache, one for each block, for reading a text piece by piece."""
        return [KeyValueCache() for _ in self.blocks]

    @torch.no_grad()
    def attention_maps(self, ids: Tensor) -> list[Tensor]:
        """Attention weights of each block, without dropout.

        Shapes: ids (B, T); result n_layers tensors (B, H, T, T) on the CPU, row = the query's position; rows add to 1.
        """
        self.check_inputs(ids)
        ids, was_training = self.here(ids), self.training
        self.eval()
        h, maps = self.embed(ids), []
        for block in self.blocks:
            maps.append(block.attn(block.ln_1(h) if block.pre else h, return_weights=True)[1].cpu())
            h = block(h)
        self.train(was_training)
        return maps

    def n_params(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.parameters())

    @torch.no_grad()
    def _draw_weights(self, generator: torch.Generator) -> None:
        std = self.config.init_std
        smaller = {  # end of a name -> by how much the standard deviation of these weights is smaller
            "gpt1": {},
            "gpt2": dict.fromkeys(("attn.W_o.weight", "mlp.W_2.weight"), math.sqrt(2 * self.config.n_layers)),
            "width": {"mlp.W_2.weight": math.sqrt(self.config.d_inner / self.config.d_model)},  # adds up d_ff
        }[self.config.init]
        for name, p in self.named_parameters():
            if p.ndim >= 2:
                draw_normal(p, std / next((s for end, s in smaller.items() if name.endswith(end)), 1.0), generator)
            else:
                p.fill_(0.0 if name.endswith("bias") else 1.0)  # biases 0, gains of LayerNorm 1
        if self.config.position_init == "sinusoid":
            self.W_p.weight.copy_(sinusoids(self.config.n_ctx, self.config.d_model) * (std / math.sqrt(2)))

    def check_inputs(
        self, ids: Tensor, cache: list[KeyValueCache] | None = None, visible: Tensor | None = None
    ) -> int:
        """Check the input, and return how many positions the cache holds. Errors: ValueError naming what is wrong."""
        if not isinstance(ids, Tensor) or ids.dtype not in (torch.int64, torch.int32) or ids.ndim != 2:
            came = f"{ids.dtype} of shape {tuple(ids.shape)}" if isinstance(ids, Tensor) else type(ids).__name__
            raise ValueError(f"ids must be a tensor of int64 of shape (B, T), but they are {came}")
        if ids.numel() == 0:
            raise ValueError(f"ids must hold at least one token, but their shape is {tuple(ids.shape)}")
        lowest, highest = (0, 0) if torch.compiler.is_compiling() else map(int, ids.aminmax())
        if lowest < 0 or highest >= self.config.n_vocab:
            wrong = lowest if lowest < 0 else highest
            raise ValueError(f"ids must be from 0 to n_vocab - 1 = {self.config.n_vocab - 1}, but there is a {wrong}")
        if cache is not None and not self.config.causal:
            raise ValueError("only a causal model can read piece by piece: this one (causal=False) takes no cache")
        if cache is not None and len(cache) != len(self.blocks):
            raise ValueError(f"this cache belongs to another model: it has {len(cache)} blocks, not {len(self.blocks)}")
        n_past = 0 if cache is None else cache[0].n_past
        if n_past + ids.shape[1] > self.config.n_ctx:
            before = f"{n_past} read before and " if n_past else ""
            raise ValueError(
                f"the model can look at n_ctx = {self.config.n_ctx} tokens, but {before}{ids.shape[1]} came: "
                "give it fewer, or build it with a larger n_ctx"
            )
        if visible is not None:
            if self.config.causal:
                raise ValueError("a causal model needs no `visible`: padding on the right is never looked at")
            if visible.shape != ids.shape or visible.dtype != torch.bool or not visible.any(dim=1).all():
                raise ValueError(
                    f"visible must be bool of shape {tuple(ids.shape)} with a True in each row, "
                    f"but it is {visible.dtype} of shape {tuple(visible.shape)}"
                )
        return n_past


class TaskModel(nn.Module):
    """Fine-tuning head: one new matrix turns the hidden state at the extract token into logits of the labels.

        P(y | x_1 ... x_m) = softmax(h_l^m W_y),   h_l^m = last block, position of the extract token

    S sequences make an example and `combine` says how: "single" (S = 1: classification, entailment), "add" (the S
    vectors are added before W_y: similarity, S = 2 orders of the pair), "choice" (one score per sequence, softmax
    across them: multiple choice, S answers).

    Shapes: ids (B, S, T), extract (B, S) positions -> logits (B, n_outputs), for "choice" (B, S), where the ids are.
    Errors: ValueError if the shapes do not fit or an extract position is not in 0 ... T-1.
    Source: GPT-1, section 3.2, equation 3, and section 3.3; dropout of 0.1 on the classifier: section 4.1.
    Differs: nothing in the formula; W_y has no bias, as printed (the released code adds one).
    """

    def __init__(self, gpt: GPT, n_outputs: int, combine: str, generator: torch.Generator, dropout: float = 0.0):
        super().__init__()
        if combine not in ("single", "add", "choice"):
            raise ValueError(f"combine must be 'single', 'add' or 'choice', but it is {combine!r}")
        if not is_whole(n_outputs, 1) or (combine == "choice" and n_outputs != 1):
            expected = "1 for 'choice' (a score per candidate)" if combine == "choice" else "at least 1"
            raise ValueError(f"n_outputs must be {expected}, but it is {n_outputs}")
        self.gpt, self.combine = gpt, combine
        self.drop = nn.Dropout(dropout)
        with torch.device("meta"):
            self.W_y = nn.Linear(gpt.config.d_model, n_outputs, bias=False)
        self.W_y.to_empty(device=gpt.W_e.weight.device)
        draw_normal(self.W_y.weight, gpt.config.init_std, generator)

    def forward(self, ids: Tensor, extract: Tensor) -> Tensor:
        return self._task_logits(self._hidden(ids, extract), extract).to(ids.device)

    def task_and_lm(self, ids: Tensor, extract: Tensor) -> tuple[Tensor, Tensor]:
        """Both logits from one forward pass: (B, C) of the labels for L2, (B, S, T, V) of the next tokens for L1."""
        h = self._hidden(ids, extract)
        return self._task_logits(h, extract).to(ids.device), self.gpt.logits(h).to(ids.device)

    def _hidden(self, ids: Tensor, extract: Tensor) -> Tensor:
        if not isinstance(ids, Tensor) or not isinstance(extract, Tensor) or extract.dtype != torch.int64:
            came = f"{kind(ids)} and {kind(extract)}"
            raise ValueError(f"ids and extract must be tensors of whole numbers, extract of int64; got {came}")
        if ids.ndim != 3 or extract.shape != ids.shape[:2] or (self.combine == "single" and ids.shape[1] != 1):
            sizes = "(B, 1, T) and (B, 1)" if self.combine == "single" else "(B, S, T) and (B, S)"
            came = f"{tuple(ids.shape)} and {tuple(extract.shape)}"
            raise ValueError(f"ids and extract must have shapes {sizes} for {self.combine!r}, but they have {came}")
        ids, extract = self.gpt.here(ids), self.gpt.here(extract)
        B, S, T = ids.shape
        if (extract < 0).any() or (extract >= T).any():
            lowest, highest = extract.min().item(), extract.max().item()
            raise ValueError(f"extract must be from 0 to T - 1 = {T - 1}, but it goes from {lowest} to {highest}")
        visible = None  # a causal model cannot see the padding; any other must not look behind the extract token
        if not self.gpt.config.causal:
            visible = (torch.arange(T, device=ids.device) <= extract[..., None]).flatten(0, 1)  # (B S, T)
        return self.gpt.hidden(ids.flatten(0, 1), visible=visible).view(B, S, T, -1)  # (B, S, T, d)

    def _task_logits(self, h: Tensor, extract: Tensor) -> Tensor:
        index = extract.to(h.device)[..., None, None].expand(-1, -1, 1, h.shape[-1])  # (B, S, 1, d)
        h_m = self.drop(h.gather(2, index)[:, :, 0])  # (B, S, d)
        if self.combine == "choice":
            return self.W_y(h_m)[..., 0]  # (B, S)
        return self.W_y(h_m.sum(dim=1))  # (B, n_outputs)


def sinusoids(n_ctx: int, d_model: int) -> Tensor:
    """Sinusoidal position encodings.

        PE(t, 2i) = sin(t / 10000^(2i/d)),   PE(t, 2i+1) = cos(t / 10000^(2i/d))

    Shapes: result (n_ctx, d_model) float64. Source: Vaswani et al. 2017, section 3.5. Differs: nothing.
    """
    t = torch.arange(n_ctx, dtype=torch.float64, device="cpu")[:, None]  # (n_ctx, 1)
    i = torch.arange(d_model, dtype=torch.float64, device="cpu")  # (d,)
    angle = t / 10000 ** (2 * (i // 2) / d_model)  # (n_ctx, d)
    return torch.where(i % 2 == 0, angle.sin(), angle.cos())


@torch.no_grad()
def draw_normal(weight: Tensor, std: float, generator: torch.Generator) -> None:
    """Normal initialisation: fill a weight with N(0, std^2), the same numbers on every machine.

    Drawn in float64 and then rounded: torch's float32 normals differ in the last bit between kinds of processor.
    """
    if not weight.is_meta:
        drawn = torch.empty(weight.shape, dtype=torch.float64, device=generator.device)
        weight.copy_(drawn.normal_(0.0, std, generator=generator))


def count_params(config: GPTConfig) -> int:
    """Number of parameters of a GPT, from its configuration alone.

        W_e: V d   W_p: n_ctx d   and in each block   attention 4 d^2 + 4 d,   MLP 2 d d_ff + d_ff + d,   LN 4 d
        norm="pre": ln_f 2 d      tie_embeddings=False: W_out V d

    Source: the shapes in GPT-1, section 4.1, and in the released code; GPT-1's paper itself prints no count.

    >>> count_params(GPTConfig(n_vocab=40478, n_ctx=512, n_layers=12, n_heads=12, d_model=768))  # GPT-1
    116534784
    """
    V, d, d_ff = config.n_vocab, config.d_model, config.d_inner
    block = (4 * d * d + 4 * d) + (2 * d * d_ff + d_ff + d) + 4 * d
    ln_f = 2 * d if config.norm == "pre" else 0
    W_out = 0 if config.tie_embeddings else V * d
    return V * d + config.n_ctx * d + config.n_layers * block + ln_f + W_out
