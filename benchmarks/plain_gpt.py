"""A plain GPT-2 in PyTorch, of the usual form, as the other side of the benchmarks: nothing of this book's package.

Written for speed alone: torch's fused attention, no weights to look at, no checks. The benchmarks compare it with the
package, which must be readable first; benchmarks/training_step.py also asserts that both compute the same.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PlainBlock(nn.Module):
    def __init__(self, d: int, n_heads: int, gelu: str):
        super().__init__()
        self.n_heads, self.gelu = n_heads, gelu
        self.ln_1, self.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x: Tensor) -> Tensor:
        B, T, d = x.shape
        q, k, v = (each.view(B, T, self.n_heads, -1).transpose(1, 2) for each in self.qkv(self.ln_1(x)).split(d, dim=2))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(seen.transpose(1, 2).reshape(B, T, d))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate=self.gelu))


class PlainGPT(nn.Module):
    """GPT-2's form: pre-LN, learned positions, the output matrix is that of the embedding.

    gelu: "none" is the exact function, torch's usual choice; "tanh" the approximation of the code that OpenAI released.
    """

    def __init__(self, n_vocab: int, n_ctx: int, n_layers: int, n_heads: int, d: int, gelu: str = "none"):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(n_vocab, d), nn.Embedding(n_ctx, d)
        self.blocks = nn.ModuleList(PlainBlock(d, n_heads, gelu) for _ in range(n_layers))
        self.ln = nn.LayerNorm(d)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                scale = (2 * n_layers) ** -0.5 if name.endswith(("proj.weight", "down.weight")) else 1.0
                nn.init.normal_(p, std=0.02 * scale)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.ln(x), self.tokens.weight)


def plain_optimizer(model: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float) -> torch.optim.AdamW:
    """AdamW in its fused form, weight decay on matrices alone."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, targets: Tensor) -> Tensor:
    """One update, with the gradient clipped at length 1; returns the loss of before."""
    loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()
