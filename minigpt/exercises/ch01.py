"""Checks for the exercises of chapter 01, GPT-1.

Each takes the reader's own function, tries it on examples it has not seen, and prints one line: correct, or the likely
mistake. What is right is worked out by the modules of the package, or by hand; never stored.
"""

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from minigpt import attention, loss, model, train
from minigpt.exercises.judging import Problem, called, compare, judge, scalar, short


def causal_mask(answer: Callable[[int], Tensor]) -> None:
    """Exercise 1: who may look at whom, as a square of True and False."""

    def examine():
        for T in (4, 1, 6):
            right = attention.causal_mask(T)
            mistakes = (
                (right.T, "rows and columns are swapped: the row is the position that looks, and it may look back"),
                (right ^ torch.eye(T, dtype=torch.bool), "a position may look at itself too: include the diagonal"),
                (right.logical_not(), "True and False are swapped: True means that a position may be looked at"),
                (torch.ones(T, T, dtype=torch.bool), "everybody may look at everybody: that is BERT, not GPT"),
            )
            got = called(answer, T)
            if isinstance(got, Tensor) and got.shape == right.shape and got.dtype != torch.bool:
                got = got != 0  # ones and zeros will do
            _compare_tensors(got, right, mistakes, f"for T = {T}")

    judge(1, examine, "Below the diagonal and on it, and nowhere else.")


def lm_loss(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 2: L1 as a loss, from logits, with -100 where nothing is to be predicted."""

    def examine():
        generator = torch.Generator().manual_seed(2)
        for _ in range(3):
            logits = torch.randn(2, 5, 7, generator=generator)
            targets = torch.randint(0, 7, (2, 5), generator=generator)
            targets[1, 3:] = loss.IGNORED
            right = loss.lm_loss(logits, targets).item()
            logps = logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
            kept = targets != loss.IGNORED
            by_text = [-logps[b][kept[b]].mean().item() for b in range(2)]
            mistakes = (
                (loss.lm_loss(logits[:, :-1], targets[:, 1:]).item(),
                 "you shifted by one: targets holds the next tokens already, side by side with the logits"),
                (right * 8, "that is the sum; divide by the number of tokens that were predicted"),
                (right * 8 / 10, "you divided by all the positions: the ones with -100 do not count"),
                (-logps.mean().item(), "the positions with -100 are counted: leave them out of the mean"),
                (-logps.sum().item(), "that is the sum over all positions, those with -100 included"),
                (right / math.log(2), "that is in bits: use the natural logarithm for nats"),
                (-right, "the sign is wrong: a loss is made small, so it is minus the log-probability"),
                (sum(by_text) / 2, "you took the mean of each text's mean: every token should count the same"),
                (-logits.gather(-1, targets.clamp(min=0)[..., None])[..., 0][kept].mean().item(),
                 "logits are not yet log-probabilities: take a log_softmax first"),
            )  # fmt: skip
            compare(
                called(answer, logits.clone(), targets.clone()), right, mistakes, "for random logits", tolerance=1e-5
            )

    judge(2, examine, "It is the average surprise of chapter 00, in nats per token.")


def attention_head(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Exercise 3: one causal attention head."""

    def examine():
        generator = torch.Generator().manual_seed(3)
        for T, d_head in ((4, 3), (6, 5)):
            q, k, v = torch.randn(3, T, d_head, generator=generator) * 1.5
            mask = attention.causal_mask(T)
            scores = q @ k.T / math.sqrt(d_head)
            hidden = scores.masked_fill(~mask, -math.inf)
            after = scores.softmax(-1) * mask
            itself = torch.eye(T, dtype=torch.bool)
            mistakes = (
                (scores.masked_fill(~mask.T, -math.inf).softmax(-1) @ v,
                 "the mask is swapped: row t may see the columns up to t, and hides those after it"),
                (hidden.masked_fill(itself, -math.inf).softmax(-1) @ v,
                 "a position may look at itself too; the first one has nothing else to look at, and becomes nan"),
                ((hidden * math.sqrt(d_head)).softmax(-1) @ v, "divide the scores by the root of d_head"),
                ((hidden / math.sqrt(d_head)).softmax(-1) @ v, "divide by the root of d_head, not by d_head itself"),
                ((hidden * math.sqrt(d_head) / math.sqrt(T)).softmax(-1) @ v,
                 "divide by the root of d_head, the length of a query, not of the number of positions"),
                (scores.softmax(-1) @ v, "every position sees the whole text: put the causal mask on the scores"),
                (after @ v, "you masked after the softmax, so the weights of a row no longer add to 1: mask before it"),
                (scores.masked_fill(~mask, 0.0).softmax(-1) @ v,
                 "a masked score must be minus infinity, not 0: the softmax gives a 0 a weight too"),
                (scores.softmax(0) @ v, "the softmax goes over the last axis; and there is no mask"),
                (hidden.nan_to_num(neginf=-1e9).softmax(0) @ v, "the softmax goes over the last axis, the keys"),
            )  # fmt: skip
            right = attention.attention(q, k, v, mask)[0]
            _compare_tensors(called(answer, q.clone(), k.clone(), v.clone()), right, mistakes, f"for {T} positions")

    judge(3, examine, "Scores, mask, softmax, mean of the values: this is all there is to a head.")


def count_params(answer: Callable[[int, int, int, int], int]) -> None:
    """Exercise 4: how many numbers a GPT-1 learns, from its sizes."""

    def examine():
        for V, n_ctx, n_layers, d in ((40478, 512, 12, 768), (1024, 128, 2, 96), (50, 10, 3, 8)):
            right = model.count_params(model.GPTConfig(n_vocab=V, n_ctx=n_ctx, n_layers=n_layers, n_heads=1, d_model=d))
            mistakes = (
                (right - n_layers * 9 * d, "the biases are missing: 4 d in attention, 4 d + d in the MLP"),
                (right - n_layers * 4 * d, "4 d are missing in a block: the LayerNorms, or the biases of attention"),
                (right - n_layers * 2 * d, "a LayerNorm has a gain and a bias, d numbers each: you counted one"),
                (right - n_layers * 13 * d, "biases and LayerNorms are missing: 13 d in every block"),
                (right + V * d, "the output layer is the token embedding again: count it once"),
                (right - n_ctx * d, "the positions are missing: n_ctx vectors of d numbers"),
                (right - V * d, "the token embedding is missing: V vectors of d numbers"),
                (right + 2 * d, "GPT-1 has no LayerNorm at the end; that came with GPT-2"),
                (
                    (right - V * d - n_ctx * d) // n_layers,
                    "that is one block: there are n_layers of them, and embeddings",
                ),
            )
            where = f"for V = {V:,}, n_ctx = {n_ctx}, {n_layers} layers, d = {d}"
            compare(called(answer, V, n_ctx, n_layers, d), right, mistakes, where, tolerance=1e-12)

    judge(4, examine, "With the paper's sizes that makes 116,534,784.")


def similarity(answer: Callable[[list, list, int, int, int], list]) -> None:
    """Exercise 5: the two rows of ids of a similarity example."""

    def examine():
        rng = random.Random(5)
        for _ in range(3):
            first, second = ([int(90 * rng.random()) for _ in range(2 + int(3 * rng.random()))] for _ in range(2))
            start, delim, extract = 97, 98, 99
            orders = ((first, second), (second, first))
            one, other = ([start, *a, delim, *b, extract] for a, b in orders)
            got = called(answer, list(first), list(second), start, delim, extract)
            got = _lists(got)
            mistakes = (
                ([one], "that is one order only: nothing says which text comes first, so both are read"),
                (one, "give a list of two rows, one for each order"),
                ([one, one], "both rows have the same order: swap the texts in the second"),
                ([one, one[::-1]], "swap the two texts, do not turn the whole row round: each row begins with start"),
                ([[t for t in row if t != delim] for row in (one, other)], "the delim between the texts is missing"),
                ([[start, *a, *b, delim, extract] for a, b in orders],
                 "delim stands between the texts, not after them"),
                ([[start, delim, *a, *b, extract] for a, b in orders],
                 "delim stands between the texts, not before them"),
                ([[start, *a, delim, *b, delim, extract] for a, b in orders],
                 "one delim is enough, between the texts: after the second comes extract"),
                ([row[:-1] for row in (one, other)], "the extract at the end is missing: W_y reads there"),
                ([row[1:] for row in (one, other)], "the start at the beginning is missing"),
            )  # fmt: skip
            if got not in ([one, other], [other, one]):
                for wrong, sentence in mistakes:
                    if got == wrong:
                        raise Problem(sentence)
                raise Problem(f"for the texts {first} and {second} expected {[one, other]}, got {_shown(got)}")

    judge(5, examine, "The model adds the final vectors of both rows, so neither text is the first.")


def joint_loss(answer: Callable[[float, float, float], float]) -> None:
    """Exercise 6: the loss of fine-tuning, L3."""

    def examine():
        # 0.5 does not come first: there a mixture and lambda on both losses are the same number
        for L2, L1, weight in ((1.4, 0.6, 0.2), (0.7, 3.1, 0.5), (0.3, 2.0, 0.0)):
            mistakes = (
                (weight * L2 + L1, "lambda stands before the wrong loss: the task counts in full"),
                (weight * (L1 + L2), "lambda belongs to L1 alone"),
                ((1 - weight) * L2 + weight * L1, "this is a mixture: in the paper the task keeps its full weight"),
                (L2 + L1, "lambda is missing"),
                (L2 - weight * L1, "add: both are losses, to be made small"),
            )
            compare(
                called(answer, L2, L1, weight),
                L2 + weight * L1,
                mistakes,
                f"for L2 = {L2}, L1 = {L1}, lambda = {weight}",
            )

    judge(6, examine, "With lambda = 0 it is plain fine-tuning, which in the paper's Table 5 was no worse.")


def learning_rate(answer: Callable[[int, float, int, int], float]) -> None:
    """Exercise 7: warm-up and cosine."""

    def examine():
        for peak, warmup, total in ((2.0, 20, 100), (0.5, 10, 50)):
            config = train.TrainConfig(n_steps=total, lr=peak, warmup_steps=warmup, final_lr_fraction=0.0)
            for step in (warmup // 2, 0, warmup, warmup + 7, (warmup + total) // 2, total - 3):
                right = train.learning_rate(step, config)
                after = (step - warmup) / (total - warmup)
                cosine = peak * (1 + math.cos(math.pi * step / total)) / 2
                mistakes = (
                    (cosine if step >= warmup else right, "the cosine begins when the warm-up ends: count from there"),
                    (cosine, "the warm-up is missing: rise from 0 to the peak in a straight line first"),
                    (peak * (1 - after), "after the warm-up it falls along a cosine, not along a straight line"),
                    (peak * math.cos(math.pi / 2 * after), "use half a wave from top to bottom, (1 + cos(pi x)) / 2"),
                    (peak * math.cos(math.pi * after), "that cosine ends at minus the peak: use (1 + cos(pi x)) / 2"),
                    (right / peak, "multiply by the peak"),
                    (peak * step / warmup if step < warmup else right,
                     "step 0 would not move at all: in the warm-up the rate is peak (step + 1) / warmup"),
                    (peak if step < warmup else right, "in the warm-up the rate rises: peak (step + 1) / warmup"),
                )  # fmt: skip
                where = f"at step {step} of {total}, with {warmup} of warm-up and peak {peak:g}"
                compare(called(answer, step, peak, warmup, total), right, mistakes, where)

    judge(7, examine, "Up in a straight line, down along half a wave.")


def compatible(answer: Callable[[list, list], bool]) -> None:
    """Exercise 8: can P(a | b) and P(b | a) come from one joint distribution of two words?"""

    def examine():
        rng = random.Random(8)
        for number in range(12):
            joint = [[0.05 + rng.random() for _ in range(2)] for _ in range(2)]
            a_given_b = [[joint[a][b] / (joint[0][b] + joint[1][b]) for b in range(2)] for a in range(2)]
            b_given_a = [[joint[a][b] / (joint[a][0] + joint[a][1]) for b in range(2)] for a in range(2)]
            right = number % 2 == 0
            if not right:  # still tables of probabilities, but of no common world
                shifted = 0.15 + 0.7 * b_given_a[0][0]
                if abs(shifted - b_given_a[0][0]) < 0.02:
                    shifted = b_given_a[0][0] / 2
                b_given_a[0] = [shifted, 1 - shifted]
            got = scalar(called(answer, [list(row) for row in a_given_b], [list(row) for row in b_given_a]))
            if not isinstance(got, bool):
                raise Problem(f"expected True or False, got {short(got)}")
            if got and not right:
                raise Problem("you said yes to two tables that no joint distribution has. That each of them adds up to "
                              "1 is not enough: their odds ratios must be equal")  # fmt: skip
            if right and not got:
                raise Problem("you said no to two tables that were computed from one joint distribution. The tables "
                              "need not be equal entry by entry; compare the odds ratios, up to rounding")  # fmt: skip

    judge(8, examine, "A masked model gives such tables, and nothing makes them agree.")


def _compare_tensors(got, right: Tensor, mistakes: tuple, where: str) -> None:
    """Pass if the tensor is right; else name the mistake that would give exactly this one."""
    if not isinstance(got, Tensor):
        raise Problem(f"expected a tensor, got {type(got).__name__} {where}")
    if got.shape != right.shape:
        raise Problem(f"expected the shape {tuple(right.shape)}, got {tuple(got.shape)} {where}")
    if _same(got, right):
        return
    for value, sentence in mistakes:
        if _same(got, value) and not _same(value, right):
            raise Problem(f"{sentence} ({where})")
    raise Problem(f"{where} it should be {right.int().tolist() if right.dtype == torch.bool else _rounded(right)}, "
                  f"and you have {got.int().tolist() if got.dtype == torch.bool else _rounded(got)}")  # fmt: skip


def _same(a: Tensor, b: Tensor) -> bool:
    return not a.is_complex() and torch.allclose(a.double(), b.double(), atol=1e-5, equal_nan=True)


def _lists(rows):
    """Rows of ids as lists of lists, whether they came as tuples, arrays or tensors."""
    rows = rows.tolist() if hasattr(rows, "tolist") else rows
    if not isinstance(rows, (list, tuple)):
        return rows
    rows = [row.tolist() if hasattr(row, "tolist") else row for row in rows]
    return [list(row) if isinstance(row, tuple) else row for row in rows]


def _shown(got) -> str:
    """Rows of numbers in full, anything else in few letters."""
    return str(got) if isinstance(got, list) and len(str(got)) < 150 else short(got)


def _rounded(values: Tensor) -> list:
    return [[round(x, 2) for x in row] for row in values.tolist()]
