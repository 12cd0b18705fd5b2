"""Checks for the exercises of chapter 04 on the reward model, and on reading the curves of a PPO run."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from minigpt import reward_model
from minigpt.exercises.ch04 import RANKINGS
from minigpt.exercises.judging import NotAttempted, Problem, called, compare, exercise, short, slips
from minigpt.exercises.tensors import check_far, compare_tensors
from minigpt.experiments.instructgpt import dashboards


@exercise("my_reward_head", "One number an answer, read where the whole answer has been seen.",
          hint="`h[torch.arange(len(h)), lengths - 1]` is (B, d): the hidden state of each last token. Times w, plus "
               "b.")  # fmt: skip
def reward_head(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """The score of each text, from the hidden state of its last real token."""
    for seed, lengths in ((0, [4, 2, 6]), (1, [1, 5, 3, 6])):
        generator = torch.Generator().manual_seed(seed)
        h = torch.randn(len(lengths), 6, 4, generator=generator)
        w, b, n = torch.randn(4, generator=generator), torch.tensor(0.7), torch.tensor(lengths)
        got = called(answer, h.clone(), n.clone(), w.clone(), b.clone())
        where = f"for texts of {lengths} tokens"
        right = _head(h, n, w, b)
        if isinstance(got, Tensor) and got.shape == (len(n), 1):
            raise Problem(f"one number an answer, (B,): take the last axis away, `[:, 0]` ({where})")
        if isinstance(got, Tensor) and got.shape == h.shape[:2]:
            raise Problem(f"that is a number for every position: read only the last token of each text ({where})")
        wrong = slips(lambda h=h, n=n, w=w, b=b, **how: _head(h, n, w, b, **how), _HEAD_SLIPS)
        compare_tensors(got, right, wrong, where)


_HEAD_SLIPS = {
    "at": (
        ("column", "that is the last column, which is padding in shorter texts: the last real token is lengths - 1"),
        ("first", "the first token has seen nothing of the answer: read the last one"),
        ("next", "counted from 0 the last token is at lengths - 1; you read the padding after it"),
        ("before", "that is the token before the last: the end token is part of the answer"),
        ("mean", "the last token alone is read, not the mean over the tokens"),
        ("all", "the last token alone is read, not the mean over tokens and padding"),
    ),
    "bias": ((False, "the bias b is missing"),),
}


def _head(h: Tensor, n: Tensor, w: Tensor, b: Tensor, at="last", bias=True) -> Tensor:
    places, rows, most = torch.arange(h.shape[1]), torch.arange(len(h)), h.shape[1] - 1
    where = {"last": n - 1, "column": n * 0 + most, "first": n * 0, "next": n.clamp(max=most)}
    where["before"] = (n - 2).clamp(min=0)
    if at in where:
        x = h[rows, where[at]]
    else:
        weights = ((places < n[:, None]) | (at == "all")).float()
        x = (h * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
    return x @ w + b * bias


@exercise("my_ranking_loss", "With all scores equal it is ln 2, and a difference of 1,000 does not break it.",
          hint="`ahead = scores[:, None] - scores[None, :]` and `better = ranks[:, None] < ranks[None, :]`; the mean "
               "of `-F.logsigmoid(ahead[better])`.")  # fmt: skip
def ranking_loss(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The mean loss over all pairs of one ranking; ties are no pairs; stable at differences of 1,000."""
    for seed, ranks in enumerate(RANKINGS):
        ranks = torch.tensor(ranks)
        scores = 2 * torch.randn(len(ranks), generator=torch.Generator().manual_seed(seed))
        right = float(reward_model.ranking_loss(scores[None], ranks[None]))
        better = ranks[:, None] < ranks[None, :]
        ahead = (scores[:, None] - scores[None, :])[better]
        tied = (scores[:, None] - scores[None, :])[(ranks[:, None] <= ranks[None, :]).triu(1) | better]
        next_to = (ranks[:, None] + 1 == ranks[None, :])
        n, K = len(ahead), len(ranks)
        mistakes = (
            (n * right, "divide by the number of pairs"),
            (n * right / (K * (K - 1) / 2), "ties are no pairs: divide by the pairs that are left"),
            (n * right / K**2, "divide by the number of pairs, not of all places in the table"),
            (float(-F.logsigmoid(-ahead).mean()), "the sign: the winner's score minus the loser's, and rank 1 is best"),
            (-right, "the sign of the loss: minus the logarithm of a probability"),
            (float(ahead.sigmoid().mean()), "take minus the logarithm of the sigmoid"),
            (right / math.log(2), "in nats: the natural logarithm"),
            (float(-F.logsigmoid(tied).mean()), "a tie gives no pair"),
            (float(-F.logsigmoid((scores[:, None] - scores[None, :])[next_to]).mean()),
             "all pairs count, not only neighbours in the ranking"),
            (float(-F.logsigmoid(ahead.mean())), "the mean of the losses, not the loss of the mean difference"),
        )  # fmt: skip
        where = f"for ranks {ranks.tolist()} and scores {[round(s, 2) for s in scores.tolist()]}"
        compare(called(answer, scores.clone(), ranks.clone()), right, mistakes, where, tolerance=1e-5)
    _check_far(answer)


def _check_far(answer: Callable) -> None:
    """Scores 1,000 apart, in the right order and in the wrong one: the loss and its gradient."""
    for ranks, right in (([1, 2], 0.0), ([2, 1], 1000.0)):
        scores = torch.tensor([1000.0, 0.0], requires_grad=True)
        got = called(answer, scores, torch.tensor(ranks))
        where = f"for scores 1,000 and 0 and ranks {ranks}"
        check_far(got, right, where)
        compare(got, right, (), where, tolerance=1e-5)
        if not isinstance(got, Tensor) or not got.requires_grad:
            raise Problem("no gradient comes through: stay with torch's functions, without .item(), float() or numpy")
        gradient = torch.autograd.grad(got, scores)[0]
        expected = torch.tensor([1.0, -1.0]) * (right > 0)
        if not torch.allclose(gradient, expected, atol=1e-5):
            raise Problem(f"the loss is right, but its gradient is {gradient.tolist()}, and should be "
                          f"{expected.tolist()} ({where})")  # fmt: skip


@exercise("my_diagnosis", "You read a dashboard as those do who keep such runs alive.",
          hint="Look at three panels first: the KL (does anything hold the policy back?), the clip fraction (does each "
               "update move as far as it should?) and the length (what becomes of the end token?).")  # fmt: skip
def diagnosis(answer: dict) -> None:
    """Which mistake is in which of the stored runs."""
    if answer is ...:
        raise NotAttempted
    letters = list(dashboards.RUNS)
    if not isinstance(answer, dict) or set(answer) != set(letters):
        raise Problem(f"expected a dict with the letters {', '.join(letters)}; got {short(answer)}")
    if all(name is ... for name in answer.values()):
        raise NotAttempted
    for letter, right in dashboards.RUNS.items():
        name = answer[letter]
        if name is ...:
            raise Problem(f"run {letter} has no diagnosis yet")
        if not isinstance(name, str) or name not in _WOULD_SHOW:
            raise Problem(f"run {letter}: expected one of {', '.join(_WOULD_SHOW)}; got {short(name)}")
        if name != right:
            raise Problem(f"run {letter} is not {name!r}: {_WOULD_SHOW[name]}")


_WOULD_SHOW = {
    "no KL": "without it the reward would rise above that of all healthy runs, while the KL grows to several times "
             "theirs and the entropy falls towards 0",
    "KL with the wrong sign": "then the policy would be paid for leaving: within ten iterations the KL is as high as "
                              "it gets and the entropy at 0, for a reward that is hardly better than the healthy one",
    "score at every token": "then the score would count several times: KL and reward settle above the healthy runs, "
                            "the entropy below them but far from 0, and the explained variance rises slowly",
    "padding counts": "then the length that is logged would be the longest there is, in every iteration",
    "the end is forbidden at first": "then answers would be drawn from another policy than the one that scores them: "
                                     "the mean log-ratio, here called KL, can fall below 0, which no KL can, and no "
                                     "answer is shorter than three tokens",
    "dropout left on": "then the ratio would differ from 1 even before an update, so that the clip fraction stays high "
                       "to the end, when the learning rate is nearly 0",
    "learning rate too high": "then the first updates would throw the policy about: the reward falls at first, the "
                              "curves jump, and the explained variance needs long to recover",
}  # fmt: skip
