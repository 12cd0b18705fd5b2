"""Losses in nats: next-token cross-entropy (L1), classification (L2), L3 = L2 + lambda L1, masked language modelling.

GPT-1 writes its objectives as log-likelihoods to be made large; here each is a loss:
the sign is turned, and the sum is a mean, so that the numbers can be compared between batches and with the entropy
floor.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from minigpt.io.checks import is_number, is_whole, kind
from minigpt.tokenizer import IGNORED  # -100: nothing is to be predicted (padding, or a token that BERT did not hide)


def lm_loss(logits: Tensor, targets: Tensor, n_vocab: int | None = None) -> Tensor:
    """Cross-entropy loss of a language model: the mean surprise at the next token.

        L1 = - mean over t of log P(u_t | u_1 ... u_{t-1})

    Shapes: logits (..., V), targets (...) with -100 where nothing is predicted; result one number. n_vocab: how many of
    the columns are tokens, where others behind them fill up (`GPT.logits` with whole_tiles).
    Unit: nats per token.
    Errors: ValueError if the shapes do not fit, a target is no token id, or every target is -100.
    Source: GPT-1, section 3.1, equation 1; with mask_tokens' targets, BERT's masked LM (section 3.1, task 1).
    Differs: a mean to be made small where the paper has a sum to be made large.

    Between two equally likely tokens each costs log 2; the -100 costs nothing:
    >>> round(lm_loss(torch.zeros(1, 3, 2), torch.tensor([[0, 1, -100]])).item(), 4)
    0.6931
    """
    targets = _checked(logits, targets, n_vocab)
    if not torch.compiler.is_compiling() and (targets == IGNORED).all():
        raise ValueError(f"lm_loss needs at least one target to predict, but all {targets.numel()} are {IGNORED}")
    logits = _at_least_float32(logits).reshape(-1, logits.shape[-1])
    return F.cross_entropy(logits, targets.reshape(-1), ignore_index=IGNORED)


def token_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability that the model gives to each target.

        log P(u_t | u_1 ... u_{t-1})

    Shapes: logits (..., V), targets (...); result (...), 0 where the target is -100.
    Unit: nats.
    Errors: ValueError if the shapes do not fit or a target is no token id.
    Source: GPT-1, section 3.1, the terms of equation 1. Differs: nothing.

    >>> token_logps(torch.tensor([[0.0, 0.0], [5.0, 5.0]]), torch.tensor([1, -100]))
    tensor([-0.6931,  0.0000])
    """
    targets = _checked(logits, targets)
    ignored = targets == IGNORED
    logps = _at_least_float32(logits).log_softmax(dim=-1).gather(-1, targets.masked_fill(ignored, 0)[..., None])[..., 0]  # (...)
    return logps.masked_fill(ignored, 0.0)


def task_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy loss of a classifier: the mean surprise at the right label.

        L2 = - mean over (x, y) of log P(y | x_1 ... x_m)

    Shapes: logits (B, C), one number per class or per candidate answer; labels (B,); result one number.
    Unit: nats per example.
    Errors: ValueError if there are no examples, the shapes do not fit or a label is not in 0 ... C-1.
    Source: GPT-1, section 3.2, equation 4. Differs: a mean to be made small; the paper has a sum to be made large.
    """
    labels = _checked(logits, labels)
    if logits.ndim != 2 or not len(logits):
        raise ValueError(f"task_loss needs logits of shape (B, C), but they have shape {tuple(logits.shape)}")
    if (labels == IGNORED).any():
        raise ValueError(f"every example needs a label from 0 to {logits.shape[-1] - 1}, but there is a {IGNORED}")
    return F.cross_entropy(_at_least_float32(logits), labels)


def joint_loss(task: Tensor, lm: Tensor, aux_weight: float = 0.5) -> Tensor:
    """Joint loss of fine-tuning: the task's loss, and the language model's as an auxiliary objective.

        L3 = L2 + lambda L1

    Shapes: task (L2), lm (L1) and the result are one number each; aux_weight is lambda.
    Unit: nats (per example and per token, added as the paper adds them).
    Errors: ValueError if aux_weight is no number of at least 0.
    Source: GPT-1, section 3.2, equation 5; lambda = 0.5: section 4.1.
    Differs: L1 and L2 are means, so lambda weighs a token against an example whatever the lengths.

    >>> joint_loss(torch.tensor(1.0), torch.tensor(3.0)).item()
    2.5
    """
    if not is_number(aux_weight) or aux_weight < 0:
        raise ValueError(f"aux_weight must be a number of at least 0, but it is {aux_weight!r}")
    return task + aux_weight * lm


def mask_tokens(
    inputs: Tensor,
    mask_id: int,
    n_vocab: int,
    generator: torch.Generator,
    fraction: float = 0.15,
    protect: tuple[int, ...] = (),
) -> tuple[Tensor, Tensor]:
    """Masked language modelling (BERT): hide some tokens of each row for a model to predict.

    In each row round(fraction n) of its n tokens are chosen, at least one. A chosen token becomes mask_id with
    probability 0.8, any token of the vocabulary with 0.1, and stays itself with 0.1; it is the target in all cases.

    Shapes: inputs (B, T) ids; results inputs' (B, T) and targets (B, T), -100 where no token was chosen. Tokens in
    `protect` (padding, specials) are never chosen.
    Errors: ValueError if inputs are no ids, fraction is not in (0, 1], mask_id is no id, or no token may be chosen.
    Source: BERT (Devlin et al. 2018), section 3.1, task 1, and appendix A.1.
    Differs: nothing in the rule; BERT masks a text once for all epochs or ten times, here each call draws anew.
    """
    if not isinstance(inputs, Tensor) or inputs.ndim != 2 or inputs.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"inputs must be a tensor of ids of shape (B, T), but they are {kind(inputs)}")
    if not is_number(fraction) or not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, but it is {fraction}")
    if not is_whole(n_vocab, 1) or not is_whole(mask_id, 0) or mask_id >= n_vocab:
        raise ValueError(f"mask_id must be a token id from 0 to {n_vocab - 1}, but it is {mask_id}")
    if not inputs.numel() or inputs.min() < 0 or inputs.max() >= n_vocab:
        came = f"from {inputs.min()} to {inputs.max()}" if inputs.numel() else "none"
        raise ValueError(f"inputs must be token ids from 0 to {n_vocab - 1}, but they are {came}")
    protected = torch.isin(inputs, torch.tensor(protect, dtype=inputs.dtype, device=inputs.device))  # (B, T)
    n_free = (~protected).sum(dim=1, keepdim=True)  # (B, 1)
    if not n_free.any():
        raise ValueError("mask_tokens needs at least one token that may be hidden, but all are protected")
    n_chosen = (fraction * n_free.double()).round().long().clamp(min=1)  # (B, 1)
    order = _rand(inputs, generator).masked_fill(protected, 2.0).argsort(dim=1).argsort(dim=1)  # (B, T) rank in row
    chosen = (order < n_chosen) & ~protected  # (B, T)
    u = _rand(inputs, generator)  # (B, T)
    random_ids = (_rand(inputs, generator) * n_vocab).long()  # (B, T)
    masked = inputs.masked_fill(chosen & (u < 0.8), mask_id)
    masked = torch.where(chosen & (u >= 0.8) & (u < 0.9), random_ids.to(inputs.dtype), masked)
    return masked, inputs.masked_fill(~chosen, IGNORED)


def _rand(like: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers in [0, 1) of the shape of `like`, drawn where the generator lives."""
    drawn = torch.rand(like.shape, dtype=torch.float64, generator=generator, device=generator.device)
    return drawn.to(like.device)


def _at_least_float32(logits: Tensor) -> Tensor:
    """A sum over a vocabulary needs more digits than a product of matrices: half precision becomes float32."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def _checked(logits: Tensor, targets: Tensor, n_vocab: int | None = None) -> Tensor:
    """The targets as int64 where the logits are, if they fit them."""
    whole = isinstance(targets, Tensor) and targets.dtype in (torch.int64, torch.int32, torch.int16, torch.uint8)
    if not whole or not isinstance(logits, Tensor) or not logits.is_floating_point():
        raise ValueError(
            f"logits must be a tensor of floats and targets one of ids, "
            f"but they are {kind(logits)} and {kind(targets)}"
        )
    targets = targets.long().to(logits.device)
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"logits must have the shape of targets and one more axis for the vocabulary, "
            f"but logits are {tuple(logits.shape)} and targets {tuple(targets.shape)}"
        )
    if torch.compiler.is_compiling():  # no look at the numbers there
        return targets
    V = logits.shape[-1] if n_vocab is None else n_vocab
    wrong = ((targets < 0) | (targets >= V)) & (targets != IGNORED)
    if wrong.any():
        raise ValueError(f"targets must be from 0 to {V - 1}, or {IGNORED}, but there is a {targets[wrong][0].item()}")
    return targets
