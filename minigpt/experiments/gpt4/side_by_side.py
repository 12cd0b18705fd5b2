"""Chapter 05. Small models of one shape trained side by side: their weights are stacked, so that one update moves all.

Below a width of about 32 most of an update's time is spent on calling functions, not on arithmetic. Stacked, many
models cost hardly more than one. Every model ends as minigpt.train.train would have left it, up to rounding.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from minigpt import train
from minigpt.attention import attention, causal_mask
from minigpt.model import GPT
from minigpt.train import TrainConfig


def standardise(x: Tensor, eps: float) -> Tensor:
    """LayerNorm before its gain and bias: less the mean, over the standard deviation. Shapes: (..., d), the same."""
    return F.layer_norm(x, x.shape[-1:], eps=eps)


Normalise = Callable[[Tensor, float], Tensor]


def train_side_by_side(
    models: list[GPT], batches: list, config: TrainConfig, normalise: Normalise = standardise
) -> Tensor:
    """Train models of one configuration in place, each on its own batches: losses of every update, of every model.

    Shapes: batches[i][step] is (inputs, targets), each (B, T), of model i, with something to predict at every place;
    result (n_steps, n_models). Unit: nats per token. normalise: what LayerNorm does before its gain and bias.
    Errors: ValueError for models that differ in shape, without a batch source each, or a loss that is not finite.
    Differs from train.train: no dropout, no accumulation, no mixed precision, and pre-LN models only.
    """
    shape = models[0].config
    if len(models) != len(batches) or any(each.config != shape for each in models) or shape.norm != "pre":
        raise ValueError(f"expected pre-LN models of one shape, a batch source each; got {len(models)}, {len(batches)}")
    names = [name for name, _ in models[0].named_parameters()]
    with torch.no_grad():
        weights = {name: torch.stack([m.get_parameter(name) for m in models]).requires_grad_() for name in names}
    decayed = [w for w in weights.values() if w.ndim >= 3]  # as train.parameter_groups: matrices only
    others = [w for w in weights.values() if w.ndim < 3]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, config.lr, tuple(config.betas), config.eps, config.weight_decay, foreach=True)
    losses = torch.empty(config.n_steps, len(models))
    for step in range(config.n_steps):
        for group in optimizer.param_groups:
            group["lr"] = train.learning_rate(step, config)
        inputs, targets = (torch.stack(part) for part in zip(*(each[step] for each in batches)))
        optimizer.zero_grad()
        loss = losses_of(weights, shape, inputs, targets, normalise)  # (n_models,)
        loss.sum().backward()
        _clip(weights, config.clip_norm)
        optimizer.step()
        losses[step] = loss.detach()
    if not losses.isfinite().all():
        raise ValueError(f"expected finite losses; at learning rate {config.lr:.3g} one of the models has diverged")
    with torch.no_grad():
        for name, stacked in weights.items():
            for model, w in zip(models, stacked):
                model.get_parameter(name).copy_(w)
    return losses


def losses_of(
    weights: dict[str, Tensor], shape, inputs: Tensor, targets: Tensor, normalise: Normalise = standardise
) -> Tensor:
    """The mean loss of each model. Shapes: inputs and targets (n_models, B, T), result (n_models,)."""
    device = weights["W_e.weight"].device
    inputs, targets = inputs.to(device), targets.to(device)
    M, B, T = inputs.shape
    d, V, H = shape.d_model, shape.n_vocab, shape.n_heads

    def linear(x: Tensor, name: str) -> Tensor:  # (M, B T, d_in) -> (M, B T, d_out)
        return torch.baddbmm(weights[f"{name}.bias"][:, None], x, weights[f"{name}.weight"].transpose(1, 2))

    def norm(x: Tensor, name: str) -> Tensor:
        x = normalise(x, shape.ln_eps)
        return torch.addcmul(weights[f"{name}.bias"][:, None], x, weights[f"{name}.weight"][:, None])

    mask = causal_mask(T, device)
    ids = inputs + V * torch.arange(M, device=device)[:, None, None]
    h = F.embedding(ids, weights["W_e.weight"].view(M * V, d)) + weights["W_p.weight"][:, None, :T]  # (M, B, T, d)
    h = (h * shape.embedding_scale).reshape(M, B * T, d)
    for i in range(shape.n_layers):
        name = f"blocks.{i}"
        qkv = linear(norm(h, f"{name}.ln_1"), f"{name}.attn.W_qkv")
        q, k, v = qkv.view(M * B, T, 3, H, d // H).permute(2, 0, 3, 1, 4)
        mixed = attention(q, k, v, mask)[0]  # (M B, H, T, d_head)
        h = h + linear(mixed.transpose(1, 2).reshape(M, B * T, d), f"{name}.attn.W_o")
        inner = F.gelu(linear(norm(h, f"{name}.ln_2"), f"{name}.mlp.W_1"), approximate="tanh")
        h = h + linear(inner, f"{name}.mlp.W_2")
    logits = norm(h, "ln_f") @ weights["W_e.weight"].transpose(1, 2)  # (M, B T, V)
    return F.cross_entropy(logits.view(-1, V), targets.reshape(-1), reduction="none").view(M, B * T).mean(dim=1)


def _clip(weights: dict[str, Tensor], longest: float | None) -> None:
    """Gradient clipping, of each model by itself."""
    squares = sum(w.grad.flatten(1).square().sum(dim=1) for w in weights.values())  # (M,)
    factor = ((longest or math.inf) / (squares.sqrt() + 1e-6)).clamp(max=1.0)
    for w in weights.values():
        w.grad *= factor.view(-1, *[1] * (w.ndim - 1))
