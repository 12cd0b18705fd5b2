"""Prompt and response as ids: rollouts, masks, logits and log-probabilities of a response."""


import torch
from torch import Tensor, nn

from minigpt.loss import IGNORED, token_logps
from minigpt.sample import generate


def answer_lengths(answers: Tensor) -> Tensor:
    """How many tokens each answer has, its end token included. Shapes: (B, N) -> (B,).

    Errors: ValueError if an answer has no token, or if tokens stand behind its padding.

    >>> answer_lengths(torch.tensor([[5, 9, 2], [2, -100, -100]]))
    tensor([3, 1])
    """
    if answers.ndim != 2:
        raise ValueError(f"answers must be ids of shape (B, N), but their shape is {tuple(answers.shape)}")
    there = answers != IGNORED
    if (there[:, 1:] & ~there[:, :-1]).any():
        raise ValueError(f"answers must be filled up with {IGNORED} on the right only")
    if not there[:, :1].all() or answers.shape[1] == 0:
        raise ValueError("an answer is empty: it must have at least one token, if only the one that ends it")
    return there.sum(dim=1)


def readable(prompts: Tensor, answers: Tensor) -> Tensor:
    """Prompt and answer as one row of ids; what fills up is read as id 0, and nothing before it ever sees it.

    Errors: ValueError if the rows do not fit each other.
    """
    if prompts.ndim != 2 or answers.ndim != 2 or len(prompts) != len(answers):
        came = f"{tuple(prompts.shape)} and {tuple(answers.shape)}"
        raise ValueError(f"prompts (B, T) and answers (B, N) need the same B, but their shapes are {came}")
    return torch.cat([prompts, answers.masked_fill(answers == IGNORED, 0)], dim=1)


def rollout(policy: nn.Module, prompts: Tensor, longest: int, end_id: int, generator: torch.Generator) -> Tensor:
    """Let the policy answer, at temperature 1 and with nothing cut: what is sampled is what is scored.

    Shapes: prompts (B, T); result (B, N), N <= longest, -100 behind the end token. An answer that has not ended
    after `longest` tokens is cut off there, and stays as it is.
    Source: InstructGPT, appendix C.4 (temperature 1).
    """
    drawn = generate(policy, prompts, longest, generator, stop_id=end_id)[:, prompts.shape[1] :]  # (B, N)
    ended = (drawn == end_id).cumsum(dim=1) - (drawn == end_id).int()  # (B, N) end tokens before this one
    return drawn.masked_fill(ended > 0, IGNORED)


def answer_mask(answers: Tensor) -> Tensor:
    """True for every token that the policy chose, the end token included. Shapes: (B, N) -> (B, N)."""
    answer_lengths(answers)
    return answers != IGNORED


def answer_logits(policy: nn.Module, prompts: Tensor, answers: Tensor) -> Tensor:
    """The scores from which each token of the answer was drawn. Shapes: result (B, N, V).

    The scores at position t are for the token at t + 1: they start at the last token of the prompt.
    """
    h = policy.hidden(readable(prompts, answers[:, :-1]))[:, prompts.shape[1] - 1 :]  # (B, N, d)
    return policy.logits(h)


def answer_logps(policy: nn.Module, prompts: Tensor, answers: Tensor) -> Tensor:
    """log pi(y_t | x, y_1 ... y_{t-1}) for each token of the answers. Shapes: result (B, N), 0 where filled up."""
    return token_logps(answer_logits(policy, prompts, answers), answers)
