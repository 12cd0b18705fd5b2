"""Reward model: a GPT that reads a prompt and an answer and says with one number how good the answer is.

It learns from rankings: labelers order K answers to the same prompt, and of each pair the better one shall get the
higher score. Only differences count, until the scores are moved so that the labelers' demonstrations have the mean 0.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigpt import responses
from minigpt.io.checks import kind
from minigpt.model import GPT

ABSENT = 0  # the rank of an answer that is not there, where prompts have different numbers of answers


class RewardModel(nn.Module):
    """Reward model: a language model whose unembedding is replaced by one number, read at the answer's last token.

        r(x, y) = h_last . w + b - shift

    The head starts at zero, so that before training every score is 0 and every pair costs log 2. The same network
    serves as the value function of PPO: `values` reads the number at every position, before each token is written.

    Shapes: prompts (B, T) without padding, answers (B, N) filled up with -100 on the right; numbers come back to where
    the prompts are.
    Errors: ValueError if an answer is empty (it must have at least its end token) or the shapes do not fit.
    Source: InstructGPT, section 3.5 and appendix C.2. Differs: nothing; how the head starts is not printed.
    """

    def __init__(self, gpt: GPT):
        super().__init__()
        self.gpt = gpt
        self.head = nn.Linear(gpt.config.d_model, 1, device=gpt.W_e.weight.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("shift", torch.zeros((), device=gpt.W_e.weight.device))

    def forward(self, prompts: Tensor, answers: Tensor) -> Tensor:
        """Score of each answer. Shapes: result (B,)."""
        home, prompts, answers = prompts.device, self.gpt.here(prompts), self.gpt.here(answers)
        return self.read(self.gpt.hidden(responses.readable(prompts, answers)), prompts, answers).to(home)

    def read(self, h: Tensor, prompts: Tensor, answers: Tensor) -> Tensor:
        """Score of each answer from the last hidden states. Shapes: h (B, T + N, d), result (B,), where h is."""
        if h.shape[:2] != (len(prompts), prompts.shape[1] + answers.shape[1]):
            rows = f"{tuple(prompts.shape)} and {tuple(answers.shape)}"
            raise ValueError(f"h must be (B, T + N, d) for prompts and answers {rows}, but it is {tuple(h.shape)}")
        last = (prompts.shape[1] + responses.answer_lengths(answers) - 1).to(h.device)  # (B,)
        h_last = self.gpt.here(h[torch.arange(len(h), device=h.device), last])  # (B, d)
        return (self.head(h_last)[:, 0] - self.shift).to(h.device)

    @torch.no_grad()
    def score(self, prompts: Tensor, answers: Tensor) -> Tensor:
        """Score of each answer without dropout and without a gradient: a reward for PPO. Shapes: result (B,)."""
        was_training = self.training
        self.eval()
        try:
            return self(prompts, answers)
        finally:
            self.train(was_training)

    def values(self, prompts: Tensor, answers: Tensor) -> Tensor:
        """Value function: what is still to come, before each token of the answer. Shapes: result (B, N)."""
        home, prompts, answers = prompts.device, self.gpt.here(prompts), self.gpt.here(answers)
        h = self.gpt.hidden(responses.readable(prompts, answers[:, :-1]))[:, prompts.shape[1] - 1 :]  # (B, N, d)
        return (self.head(h)[..., 0] - self.shift).to(home)


def pairs(ranks: Tensor) -> Tensor:
    """Comparisons in rankings: which answer is above which. Shapes: ranks (P, K), 1 is best -> (P, K, K) bool [w, l].

    Equal ranks are a tie, and a tie is no pair; rank 0 marks an answer that is not there.
    Errors: ValueError if ranks are no whole numbers from 0, if there is only one answer, or not a single pair.
    Source: InstructGPT, appendix C.2 (ties dropped).

    >>> pairs(torch.tensor([[1, 2, 2, 0]]))[0].int()
    tensor([[0, 1, 1, 0],
            [0, 0, 0, 0],
            [0, 0, 0, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    """
    if not isinstance(ranks, Tensor) or ranks.is_floating_point() or ranks.dtype == torch.bool or (ranks < 0).any():
        raise ValueError(f"ranks must be a tensor of whole numbers, 1 for the best, 0 for none, but it is {ranks}")
    if ranks.ndim != 2 or ranks.shape[1] < 2:
        raise ValueError(f"ranks must be of shape (P, K) with K of at least 2 answers, but it is {tuple(ranks.shape)}")
    there = ranks != ABSENT
    better = (ranks[:, :, None] < ranks[:, None, :]) & there[:, :, None] & there[:, None, :]
    if not better.any():
        raise ValueError("no pair of answers is left to learn from: all are ties. Ask the labelers again")
    return better


def ranking_loss(scores: Tensor, ranks: Tensor) -> Tensor:
    """Ranking loss: cross-entropy of a Bradley-Terry model over all pairs of each prompt.

        loss = - 1/C(K, 2) sum over pairs (w, l) of log sigma(r(x, y_w) - r(x, y_l)),   then the mean over prompts

    Shapes: scores (P, K), K answers to each of P prompts; ranks (P, K) as in `pairs`; result one number.
    Unit: nats per pair.
    Errors: as `pairs`; ValueError if a score is not a finite number or the shapes differ.
    Source: InstructGPT, section 3.5, equation 1; ties: appendix C.2.
    Differs: with ties, the mean over the pairs that are left. A prompt with nothing but ties does not count.

    >>> round(ranking_loss(torch.zeros(1, 4), torch.tensor([[1, 2, 3, 3]])).item(), 4)
    0.6931
    """
    better = _checked(scores, ranks)
    scores = scores.masked_fill(ranks.to(scores.device) == ABSENT, 0.0)
    ahead = scores[:, :, None] - scores[:, None, :]  # (P, K, K) score of w minus score of l
    n_pairs = better.sum(dim=(1, 2))  # (P,)
    losses = -(F.logsigmoid(ahead) * better).sum(dim=(1, 2)) / n_pairs.clamp(min=1)  # (P,)
    return losses[n_pairs > 0].mean()


def agreement(scores: Tensor, ranks: Tensor) -> float:
    """Accuracy of the reward model: the share of pairs ordered as the labelers did; equal scores count half.

    Shapes, errors: as `ranking_loss`. Source: InstructGPT, appendix E.2 (accuracy of the reward model).
    """
    better = _checked(scores, ranks)
    ahead = scores[:, :, None] - scores[:, None, :]
    right = (ahead > 0).double() + (ahead == 0).double() / 2
    return float(right[better].mean())


def centre(reward_model: RewardModel, prompts: Tensor, answers: Tensor) -> float:
    """Normalise the reward: shift all scores so that these demonstrations have the mean 0; returns their mean before.

    The ranking loss cannot see the shift, and neither can the exact policy gradient. An estimate of it can, while the
    value function is wrong: a value head that starts at 0 makes ending look good if scores are too high, bad if they
    are too low. A value function that starts as a copy of this model shifts with it, and nothing changes.
    Source: InstructGPT, appendix C.2. Differs: a buffer beside the bias; it is saved with the weights.
    """
    mean = reward_model.score(prompts, answers).double().mean()
    reward_model.shift += mean.to(reward_model.shift.dtype)
    return float(mean)


def _checked(scores: Tensor, ranks: Tensor) -> Tensor:
    """The pairs, if scores and ranks fit each other."""
    if not isinstance(scores, Tensor) or not isinstance(ranks, Tensor) or not scores.is_floating_point():
        came = f"{kind(scores)} and {kind(ranks)}"
        raise ValueError(f"scores must be a tensor of floats and ranks one of whole numbers; got {came}")
    if scores.shape != ranks.shape:
        raise ValueError(f"scores and ranks need the same shape (P, K): {tuple(scores.shape)}, {tuple(ranks.shape)}")
    if not scores[(ranks != ABSENT).to(scores.device)].isfinite().all():
        raise ValueError("scores must be finite numbers, but the reward model gave nan or infinity")
    return pairs(ranks).to(scores.device)
