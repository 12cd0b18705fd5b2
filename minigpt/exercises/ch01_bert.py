"""Checks for the exercises of chapter 01's lab on BERT: hiding tokens, and Bayes' rule."""

from collections.abc import Callable

import torch
from torch import Tensor

from minigpt import loss
from minigpt.exercises.judging import Problem, called, exercise
from minigpt.exercises.tensors import compare_tensors


@exercise("my_hide", "Asked are all the chosen tokens, whatever became of them.",
          hint="`torch.where(condition, x, y)` takes x where the condition is true. Three of them, one after another, "
               "make the inputs, and one makes the targets.")  # fmt: skip
def hide(answer: Callable[[Tensor, Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]) -> None:
    """The masked inputs and the targets, from ids, the chosen positions, a draw u and random tokens."""
    generator = torch.Generator().manual_seed(5)
    MASK = 99
    for B, T in ((2, 12), (3, 20)):
        ids, words = torch.randint(10, 90, (2, B, T), generator=generator)
        chosen = torch.rand(B, T, generator=generator) < 0.5
        u = torch.rand(B, T, generator=generator)
        chosen[0, :4], u[0, :4] = torch.tensor([True, True, True, False]), torch.tensor([0.3, 0.85, 0.95, 0.4])
        right, targets = _hidden(ids, chosen, u, words, MASK)
        got = called(answer, ids.clone(), chosen.clone(), u.clone(), words.clone(), MASK)
        where = f"for {B} texts of {T} tokens"
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            raise Problem("return two tensors: the masked inputs and the targets")
        if all(isinstance(x, Tensor) and x.shape == ids.shape for x in got) and torch.equal(got[1], right):
            raise Problem("the two are swapped: first the inputs, then the targets")
        compare_tensors(got[0], right, _wrong_inputs(ids, chosen, u, words, MASK), f"inputs, {where}")
        masked = right == MASK
        compare_tensors(
            got[1],
            targets,
            (
                (ids, "every token is a target: outside the chosen positions it must be -100, which has no loss"),
                (ids.masked_fill(~masked, loss.IGNORED), "only [MASK] is asked about: all the chosen tokens are, the "
                 "random ones and those left as they are too"),
                (ids.masked_fill(right == ids, loss.IGNORED), "the chosen tokens that stay as they are, are targets too"),
                (right.masked_fill(~chosen, loss.IGNORED), "the targets are the tokens that stood there before"),
                (ids.masked_fill(chosen, loss.IGNORED), "turned round: -100 stands where a token was not chosen"),
                (ids.masked_fill(~chosen, 0), "write -100 where nothing is asked: 0 is a token"),
            ),
            f"targets, {where}",
        )  # fmt: skip


def _hidden(ids: Tensor, chosen: Tensor, u: Tensor, words: Tensor, mask: int) -> tuple[Tensor, Tensor]:
    masked = ids.masked_fill(chosen & (u < 0.8), mask)
    masked = torch.where(chosen & (u >= 0.8) & (u < 0.9), words, masked)
    return masked, ids.masked_fill(~chosen, loss.IGNORED)


def _wrong_inputs(ids: Tensor, chosen: Tensor, u: Tensor, words: Tensor, mask: int) -> tuple:
    everywhere = torch.ones_like(chosen)
    return (
        (ids.masked_fill(chosen, mask), "all the chosen tokens became [MASK]: 10 % become another token, 10 % stay"),
        (torch.where(chosen & (u >= 0.8), words, ids.masked_fill(chosen & (u < 0.8), mask)),
         "with u of 0.9 and more a chosen token stays as it is"),
        (ids.masked_fill(chosen & (u < 0.8), mask), "with u from 0.8 to 0.9 a chosen token becomes the random one"),
        (torch.where(chosen & (u >= 0.9), words, ids.masked_fill(chosen & (u < 0.8), mask)),
         "from 0.8 to 0.9 the random token, from 0.9 on the token itself: you have these two exchanged"),
        (torch.where(chosen & (u < 0.9), words, ids), "below 0.8 a chosen token becomes [MASK]"),
        (_hidden(ids, everywhere, u, words, mask)[0], "only chosen positions may change"),
        (_hidden(ids, ~chosen, u, words, mask)[0], "turned round: the chosen positions change, the others do not"),
        (ids, "nothing is hidden: the inputs are the ids with some of the chosen positions changed"),
    )  # fmt: skip


@exercise("my_by_bayes", "One pass for every candidate is its price, and any model of whole texts can pay it.",
          hint="`nats` is minus the logarithm of P(text). A softmax of `-nats` over the candidates is all there is.")
def by_bayes(answer: Callable[[Tensor], Tensor]) -> None:
    """P(candidate | both sides) from the surprisal of the whole text with each candidate."""
    generator = torch.Generator().manual_seed(6)
    for n, C, base in ((3, 2, 4.0), (2, 4, 40.0), (2, 8, 900.0)):
        nats = base + 2 * torch.rand(n, C, generator=generator, dtype=torch.float64)
        right = (-nats).softmax(-1)
        mistakes = (
            (torch.full_like(nats, torch.nan), "exp(-900) is 0 for a computer: subtract the smallest nats of the line "
             "first (which cancels), or use softmax"),
            (nats.softmax(-1), "the sign: a text of more nats is less likely"),
            ((-nats).exp(), "these are joint probabilities: divide by their sum over the candidates"),
            ((-nats).log_softmax(-1), "these are logarithms: return probabilities"),
            ((-nats).softmax(0), "the candidates are the last axis: each line of nats is one question"),
            ((-nats).exp() / (-nats).exp().sum(), "each line of nats is a question of its own, and adds to 1 by itself"),
            (nats / nats.sum(-1, keepdim=True), "nats are logarithms: take exp(-nats) before you normalise"),
            (1 - nats / nats.sum(-1, keepdim=True), "nats are logarithms: take exp(-nats) before you normalise"),
        )  # fmt: skip
        compare_tensors(called(answer, nats.clone()), right, mistakes, f"for {n} questions with {C} candidates")
