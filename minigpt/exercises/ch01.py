"""Checks for the exercises of chapter 01, GPT-1, and of its labs.

Each takes the reader's own function, tries it on examples it has not seen, and shows one line: correct, or the likely
mistake. What is right is worked out by the modules of the package, or by hand; never stored.
"""

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from minigpt import attention, loss, model, train
from minigpt.exercises.ch01_model import block as block
from minigpt.exercises.ch01_model import gpt as gpt
from minigpt.exercises.ch01_model import head as head
from minigpt.exercises.ch01_model import multi_head as multi_head
from minigpt.exercises.ch01_training import generate as generate
from minigpt.exercises.ch01_training import train_step as train_step
from minigpt.exercises.judging import Problem, called, compare, exercise, scalar, short
from minigpt.exercises.tensors import as_lists, compare_tensors, shown


@exercise("my_causal_mask", "Below the diagonal and on it, and nowhere else.",
          hint="`torch.ones(T, T)` and its method `tril()`, the lower triangle.")  # fmt: skip
def causal_mask(answer: Callable[[int], Tensor]) -> None:
    """Who may look at whom, as a square of True and False."""
    for T in (4, 1, 6):
        right = attention.causal_mask(T)
        mistakes = (
            (right.T, "rows and columns are swapped: the row is the position that looks, and it may look back"),
            (right ^ torch.eye(T, dtype=torch.bool), "a position may look at itself too: include the diagonal"),
            (right.logical_not(), "True and False are swapped: True means that a position may be looked at"),
            (torch.ones(T, T, dtype=torch.bool), "every position sees every other: that is BERT, not GPT"),
        )
        got = called(answer, T)
        if isinstance(got, Tensor) and got.shape == right.shape and got.dtype != torch.bool:
            got = got != 0  # ones and zeros will do
        compare_tensors(got, right, mistakes, f"for T = {T}")


@exercise("my_lm_loss", "It is the mean surprisal of chapter 00, in nats per token.",
          hint="`logits.log_softmax(-1)` gives log-probabilities. `targets != -100` says which positions count: "
               "pick those first, and then the log-probability of each target with `gather`.")  # fmt: skip
def lm_loss(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """L1 as a loss, from logits, with -100 where nothing is to be predicted."""
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
        compare(called(answer, logits.clone(), targets.clone()), right, mistakes, "for random logits", tolerance=1e-5)


@exercise("my_count_params", "With the paper's sizes that makes 116,534,784.",
          hint="A block has 12 d^2 + 13 d numbers: say which belong to what. The output layer is the token "
               "embedding again.")  # fmt: skip
def count_params(answer: Callable[[int, int, int, int], int]) -> None:
    """How many numbers a GPT-1 learns, from its sizes."""
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


@exercise("my_choice_loss", "The K answers compete: a softmax over their scores, as over the words of a vocabulary.",
          hint="Each row holds the scores of one example. Its loss is minus the log_softmax of the row, at the "
               "label; the answer is the mean over the rows.")  # fmt: skip
def choice_loss(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The loss of multiple choice: a softmax across the K sequences of each example."""
    generator = torch.Generator().manual_seed(11)
    for B, K in ((5, 3), (4, 2), (1, 4)):
        scores = torch.randn(B, K, generator=generator) * 2
        labels = torch.randint(0, K, (B,), generator=generator)
        rows, one_hot = torch.arange(B), F.one_hot(labels, K).float()
        right = loss.task_loss(scores, labels).item()
        picked = scores[rows, labels]
        mistakes = (
            (-scores.log_softmax(0)[rows, labels].mean().item(),
             "the softmax goes over the K answers of one example, the last axis, not over the examples"),
            (-scores.flatten().log_softmax(0).view(B, K)[rows, labels].mean().item(),
             "each example has a softmax of its own, over its K answers; you took one over all scores"),
            (-F.logsigmoid(picked).mean().item(),
             "a sigmoid judges each answer alone: let the K answers compete, in a softmax"),
            (F.binary_cross_entropy_with_logits(scores, one_hot).item(),
             "a sigmoid judges each answer alone, as right or wrong: let the K answers compete, in a softmax"),
            (right * B, "that is the sum over the examples: take the mean"),
            (right / K, "divide by the number of examples, not by the number of scores"),
            (-right, "the sign is wrong: a loss is made small, so it is minus the log-probability"),
            (1 - scores.softmax(-1)[rows, labels].mean().item(), "take the logarithm of the probability of the label"),
            (-scores.softmax(-1)[rows, labels].mean().item(), "take the logarithm of the probability of the label"),
            (-scores.softmax(-1)[rows, labels].mean().log().item(),
             "first the logarithm of each example, then the mean"),
            (-picked.mean().item(), "scores are not yet log-probabilities: take a log_softmax first"),
            (-scores.log_softmax(-1).mean().item(), "only the right answer counts: pick the label in each row"),
            (right / math.log(2), "that is in bits: use the natural logarithm for nats"),
            ((scores.argmax(-1) != labels).float().mean().item(), "that is the share of wrong answers, not a loss"),
        )  # fmt: skip
        where = f"for {B} example{'s' * (B > 1)} with {K} answers"
        compare(called(answer, scores.clone(), labels.clone()), right, mistakes, where, tolerance=1e-5)


@exercise("my_similarity", "The model adds the final vectors of both sequences, so neither text is the first.",
          hint="Start, text, delimiter, text, extract; once in each order.")  # fmt: skip
def similarity(answer: Callable[[list, list, int, int, int], list]) -> None:
    """The two sequences of ids of a similarity example."""
    rng = random.Random(5)
    for _ in range(3):
        first, second = ([int(90 * rng.random()) for _ in range(2 + int(3 * rng.random()))] for _ in range(2))
        start, delim, extract = 97, 98, 99
        orders = ((first, second), (second, first))
        one, other = ([start, *a, delim, *b, extract] for a, b in orders)
        got = called(answer, list(first), list(second), start, delim, extract)
        got = as_lists(got)
        mistakes = (
            ([one], "that is one order only: nothing says which text comes first, so the model reads both"),
            (one, "give a list of two sequences, one for each order"),
            ([one, one], "both sequences have the same order: swap the texts in the second"),
            ([one, one[::-1]], "swap the two texts, do not turn the whole sequence round: each begins with start"),
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
            raise Problem(f"for the texts {first} and {second} expected {[one, other]}, got {shown(got)}")


@exercise("my_joint_loss", "With lambda = 0 it is plain fine-tuning, which in the paper's Table 5 was no worse.",
          hint="Which of the two losses is the auxiliary one?")  # fmt: skip
def joint_loss(answer: Callable[[float, float, float], float]) -> None:
    """The loss of fine-tuning, L3."""
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


@exercise("my_learning_rate", "Up in a straight line, down along half a wave.",
          hint="After the warm-up, let x go from 0 to 1: `x = (step - warmup) / (total - warmup)`. The half wave"
               " is `(1 + math.cos(math.pi * x)) / 2`.")  # fmt: skip
def learning_rate(answer: Callable[[int, float, int, int], float]) -> None:
    """Warm-up and cosine."""
    for peak, warmup, total in ((2.0, 20, 100), (0.5, 10, 50)):
        config = train.TrainConfig(n_steps=total, lr=peak, warmup_steps=warmup, final_lr_fraction=0.0)
        for step in (warmup // 2, 0, warmup, warmup + 7, (warmup + total) // 2, total - 3):
            right = train.learning_rate(step, config)
            after = (step - warmup) / (total - warmup)
            cosine = peak * (1 + math.cos(math.pi * step / total)) / 2
            mistakes = (
                (cosine if step >= warmup else right, "the cosine begins when the warm-up ends: count from there"),
                (cosine, "the warm-up is missing: rise from 0 to the peak in a straight line first"),
                (peak * (1 + math.cos(math.pi * (step - warmup) / total)) / 2 if step >= warmup else right,
                 "the cosine has total - warmup steps, not total: it reaches 0 at step total"),
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


@exercise("my_compatible", "A masked model gives such tables, and nothing makes them agree.",
          hint="Compare two odds ratios that were computed with rounding: `math.isclose`.")  # fmt: skip
def compatible(answer: Callable[[list, list], bool]) -> None:
    """Can P(a | b) and P(b | a) come from one joint distribution of two words?"""
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
