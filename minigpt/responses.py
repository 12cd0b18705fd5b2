"""Prompt and response as ids: rollouts, masks, logits and log-probabilities of a response."""

import numpy as np
import torch
from torch import Tensor, nn

from minigpt import devices
from minigpt.loss import IGNORED, token_logps
from minigpt.sample import generate


def answer_lengths(answers: Tensor) -> Tensor:
    """How many tokens each answer has, its end token included. Shapes: (B, N) -> (B,).

    Errors: ValueError if these are no ids, if an answer has no token, or if tokens stand behind its padding.

    >>> answer_lengths(torch.tensor([[5, 9, 2], [2, -100, -100]]))
    tensor([3, 1])
    """
    there = _ids("answers", answers) != IGNORED
    if (answers[there] < 0).any():
        raise ValueError(f"answers must be ids of at least 0, or {IGNORED}, but there is a {answers[there].min()}")
    if (there[:, 1:] & ~there[:, :-1]).any():
        raise ValueError(f"answers must be filled up with {IGNORED} on the right only")
    if not there[:, :1].all() or answers.shape[1] == 0:
        raise ValueError("an answer is empty: it must have at least one token, if only the one that ends it")
    return there.sum(dim=1)


def readable(prompts: Tensor, answers: Tensor) -> Tensor:
    """Prompt and answer as one row of ids; what fills up is read as id 0, and nothing before it ever sees it.

    Errors: ValueError if these are no ids, or if the rows do not fit each other.
    """
    if len(_ids("prompts", prompts)) != len(_ids("answers", answers)):
        came = f"{tuple(prompts.shape)} and {tuple(answers.shape)}"
        raise ValueError(f"prompts (B, T) and answers (B, N) need the same B, but their shapes are {came}")
    return torch.cat([prompts, answers.masked_fill(answers == IGNORED, 0)], dim=1)


def rollout(policy: nn.Module, prompts: Tensor, longest: int, end_id: int, generator: torch.Generator) -> Tensor:
    """Sample responses at temperature 1 and with nothing cut: what is sampled is what is scored.

    Shapes: prompts (B, T); result (B, N), N <= longest, -100 behind the end token. An answer that has not ended
    after `longest` tokens is cut off there, and stays as it is.
    Errors: ValueError if end_id is no token of the policy. Source: InstructGPT, appendix C.4 (temperature 1).
    """
    if end_id not in range(policy.config.n_vocab):
        raise ValueError(f"end_id must be a token from 0 to {policy.config.n_vocab - 1}, but it is {end_id!r}")
    drawn = generate(policy, prompts, longest, generator, stop_id=end_id)[:, prompts.shape[1] :]  # (B, N)
    ended = (drawn == end_id).cumsum(dim=1) - (drawn == end_id).int()  # (B, N) end tokens before this one
    return drawn.masked_fill(ended > 0, IGNORED)


def answer_mask(answers: Tensor) -> Tensor:
    """Mask: True for every token that the policy chose, the end token included. Shapes: (B, N) -> (B, N)."""
    answer_lengths(answers)
    return answers != IGNORED


def answer_logits(policy: nn.Module, prompts: Tensor, answers: Tensor) -> Tensor:
    """Logits from which each token of the answer was drawn. Shapes: result (B, N, V), where the prompts are.

    The logits at position t are for the token at t + 1: they start at the last token of the prompt.
    """
    home, prompts, answers = prompts.device, *(ids.to(devices.of(policy)) for ids in (prompts, answers))
    h = policy.hidden(readable(prompts, answers[:, :-1]))[:, prompts.shape[1] - 1 :]  # (B, N, d)
    return policy.logits(h).to(home)


def answer_logps(policy: nn.Module, prompts: Tensor, answers: Tensor) -> Tensor:
    """Log-probability log pi(y_t | x, y_1 ... y_{t-1}) of each token of the answers; 0 where filled up.

    Shapes: result (B, N), where the prompts are.
    """
    home, prompts, answers = prompts.device, *(ids.to(devices.of(policy)) for ids in (prompts, answers))
    return token_logps(answer_logits(policy, prompts, answers), answers).to(home)


def check_prompts(prompts) -> Tensor:
    """Prompts as a tensor of ids (P, T). Errors: ValueError if they are empty, no ids, or of several lengths."""
    try:
        ids = _ids("prompts", torch.as_tensor(prompts))
    except (TypeError, ValueError) as error:
        raise ValueError(f"prompts must be ids of shape (P, T), all of one length: {error}") from None
    if not ids.numel():
        raise ValueError(f"prompts must hold at least one token, but their shape is {tuple(ids.shape)}")
    return ids


def per_answer(name: str, numbers, n: int) -> Tensor:
    """What `name` gave for n answers, as floats (n,): from a tensor, an array or a list.

    Errors: ValueError if these are not n numbers.
    """
    if not isinstance(numbers, Tensor):
        try:
            numbers = torch.tensor(np.array(numbers, dtype=np.float64), dtype=torch.get_default_dtype())
        except (TypeError, ValueError):
            raise ValueError(f"{name} must give one number per answer, but gave {numbers!r}") from None
    if numbers.shape != (n,):
        raise ValueError(f"{name} must give one number per answer, ({n},), but gave {tuple(numbers.shape)}")
    return numbers if numbers.is_floating_point() else numbers.to(torch.get_default_dtype())


def check_fit(mask: Tensor, **others: Tensor) -> None:
    """Errors: ValueError unless mask is bool (B, N), with a True in it, and the others are floats of its shape."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.ndim != 2 or not mask.any():
        raise ValueError(f"mask must be a bool tensor of shape (B, N) with at least one True, but it is {_came(mask)}")
    for name, x in others.items():
        if not isinstance(x, Tensor) or x.shape != mask.shape or not x.is_floating_point():
            raise ValueError(f"{name} must be floats of mask's shape, {tuple(mask.shape)}, but it is {_came(x)}")


def _ids(name: str, ids: Tensor) -> Tensor:
    if not isinstance(ids, Tensor) or ids.dtype not in (torch.int64, torch.int32) or ids.ndim != 2:
        raise ValueError(f"{name} must be a tensor of ids of shape (B, N), but it is {_came(ids)}")
    return ids


def _came(x) -> str:
    return f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
