"""The checks of chapter 01 know right from wrong, and say what is wrong."""

import math

import numpy as np
import pytest
import torch
from exercising import odd_checks
from torch.nn import functional as F

from minigpt.exercises import ch01

NO, LOG2 = -100, math.log(2)


def tril(T):
    return torch.ones(T, T).tril().bool()


def picked(logits, targets):
    """log P of every target, whether it counts or not."""
    return logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]


def mean_loss(logits, targets):
    return -picked(logits, targets)[targets != NO].mean()


def head(q, k, v, scale=None, fill=-math.inf, axis=-1, mask=True):
    scores = q @ k.T / (math.sqrt(q.shape[1]) if scale is None else scale(q))
    if mask:
        scores = scores.masked_fill(~tril(len(q)), fill)
    return scores.softmax(axis) @ v


def head_with(q, k, v, mask):
    return (q @ k.T / math.sqrt(q.shape[1])).masked_fill(~mask, -math.inf).softmax(-1) @ v


def masked_after(q, k, v):
    return ((q @ k.T / math.sqrt(q.shape[1])).softmax(-1) * tril(len(q))) @ v


def count(V, n_ctx, n_layers, d, block=lambda d: 12 * d * d + 13 * d):
    return V * d + n_ctx * d + n_layers * block(d)


def rows(first, second, start, delim, extract):
    return [[start, *first, delim, *second, extract], [start, *second, delim, *first, extract]]


def rate(step, peak, warmup, total):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def after_warmup(fall):
    """The right warm-up, and then something else, of t from 0 to 1."""
    return lambda s, p, w, n: rate(s, p, w, n) if s < w else p * fall((s - w) / (n - w))


def of_odds(table):
    return table[0][0] * table[1][1] / (table[0][1] * table[1][0])


def odds(a_given_b, b_given_a):
    """A joint distribution exists if both tables have the same odds ratio."""
    return math.isclose(of_odds(a_given_b), of_odds(b_given_a), rel_tol=1e-9)


def ask_around(a_given_b, b_given_a):
    """The same without odds: solve for P(b) from each table in turn (Bayes), and see whether the joint is one."""
    ratio = a_given_b[0][0] / b_given_a[0][0], a_given_b[0][1] / b_given_a[0][1]  # P(a = 0) / P(b) for each b
    P_b = (1 / ratio[0] / (1 / ratio[0] + 1 / ratio[1]), 1 / ratio[1] / (1 / ratio[0] + 1 / ratio[1]))
    joint = [[a_given_b[a][b] * P_b[b] for b in range(2)] for a in range(2)]
    return all(abs(joint[a][b] / sum(joint[a]) - b_given_a[a][b]) < 1e-9 for a in range(2) for b in range(2))


RIGHT = {
    "causal_mask": [tril, lambda T: torch.tril(torch.ones(T, T))],
    "lm_loss": [mean_loss, lambda z, y: F.cross_entropy(z.flatten(0, 1), y.flatten()).item()],
    "attention_head": [head,
                       lambda q, k, v: F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]],
    "count_params": [count],
    "similarity": [rows, lambda *given: rows(*given)[::-1], lambda *given: tuple(map(tuple, rows(*given))),
                   lambda *given: [torch.tensor(row) for row in rows(*given)], lambda *given: np.array(rows(*given))],
    "joint_loss": [lambda L2, L1, weight: L2 + weight * L1],
    "learning_rate": [rate, lambda *given: torch.tensor(rate(*given)), lambda *given: np.float64(rate(*given))],
    "compatible": [odds, ask_around, lambda a, b: np.bool_(odds(a, b))],
}  # fmt: skip

WRONG = [
    ("causal_mask", lambda T: tril(T).T, "swapped: the row"),
    ("causal_mask", lambda T: torch.ones(T, T).tril(-1).bool(), "include the diagonal"),
    ("causal_mask", lambda T: torch.ones(T, T).triu(1).bool(), "True and False are swapped"),
    ("causal_mask", lambda T: torch.ones(T, T).bool(), "that is BERT"),
    ("causal_mask", lambda T: torch.ones(T), "expected the shape"),
    ("causal_mask", lambda T: [[True] * T] * T, "expected a tensor"),
    ("lm_loss", lambda z, y: mean_loss(z[:, :-1], y[:, 1:]), "shifted by one"),
    ("lm_loss", lambda z, y: -picked(z, y)[y != NO].sum(), "that is the sum; divide"),
    ("lm_loss", lambda z, y: -picked(z, y)[y != NO].sum() / y.numel(), "divided by all the positions"),
    ("lm_loss", lambda z, y: -picked(z, y).mean(), "the positions with -100 are counted"),
    ("lm_loss", lambda z, y: -picked(z, y).sum(), "-100 included"),
    ("lm_loss", lambda z, y: mean_loss(z, y) / LOG2, "in bits"),
    ("lm_loss", lambda z, y: -mean_loss(z, y), "sign"),
    ("lm_loss", lambda z, y: sum(mean_loss(a, b) for a, b in zip(z, y)) / 2, "mean of each text's mean"),
    ("lm_loss", lambda z, y: -z.gather(-1, y.clamp(min=0)[..., None])[..., 0][y != NO].mean(), "log_softmax first"),
    ("lm_loss", lambda z, y: z.gather(-1, y[..., None]), "stopped with"),
    ("attention_head", lambda q, k, v: head(q, k, v, lambda q: 1.0), "divide the scores by the root"),
    ("attention_head", lambda q, k, v: head(q, k, v, lambda q: q.shape[1]), "not by d_head itself"),
    ("attention_head", lambda q, k, v: head(q, k, v, lambda q: math.sqrt(len(q))), "number of positions"),
    ("attention_head", lambda q, k, v: head(q, k, v, mask=False), "put the causal mask"),
    ("attention_head", masked_after, "masked after the softmax"),
    ("attention_head", lambda q, k, v: head(q, k, v, fill=0.0), "minus infinity, not 0"),
    ("attention_head", lambda q, k, v: head(q, k, v, axis=0, mask=False), "there is no mask"),
    ("attention_head", lambda q, k, v: head(q, k, v, axis=0), "the softmax goes over the last axis"),
    ("attention_head", lambda q, k, v: head_with(q, k, v, tril(len(q)).T), "the mask is swapped"),
    ("attention_head", lambda q, k, v: head_with(q, k, v, tril(len(q)) & ~torch.eye(len(q)).bool()), "becomes nan"),
    ("attention_head", lambda q, k, v: v, "it should be"),
    ("count_params", lambda *s: count(*s, block=lambda d: 12 * d * d + 4 * d), "biases are missing"),
    ("count_params", lambda *s: count(*s, block=lambda d: 12 * d * d + 9 * d), "the LayerNorms, or the biases"),
    ("count_params", lambda *s: count(*s, block=lambda d: 12 * d * d + 11 * d), "a gain and a bias, d numbers each"),
    ("count_params", lambda *s: count(*s, block=lambda d: 12 * d * d), "biases and LayerNorms"),
    ("count_params", lambda V, n, layers, d: count(V, n, layers, d) + V * d, "count it once"),
    ("count_params", lambda V, n, layers, d: count(V, 0, layers, d), "positions are missing"),
    ("count_params", lambda V, n, layers, d: count(0, n, layers, d), "token embedding is missing"),
    ("count_params", lambda V, n, layers, d: count(V, n, layers, d) + 2 * d, "came with GPT-2"),
    ("count_params", lambda V, n, layers, d: 12 * d * d + 13 * d, "that is one block"),
    ("similarity", lambda *given: rows(*given)[:1], "one order only"),
    ("similarity", lambda *given: rows(*given)[0], "a list of two rows"),
    ("similarity", lambda *given: [rows(*given)[0]] * 2, "the same order"),
    ("similarity", lambda *given: [rows(*given)[0], rows(*given)[0][::-1]], "turn the whole row round"),
    ("similarity", lambda *given: [[t for t in row if t != given[3]] for row in rows(*given)], "delim between"),
    ("similarity", lambda a, b, s, d, e: [[s, *a, *b, d, e], [s, *b, *a, d, e]], "not after them"),
    ("similarity", lambda a, b, s, d, e: [[s, d, *a, *b, e], [s, d, *b, *a, e]], "not before them"),
    ("similarity", lambda a, b, s, d, e: [[s, *a, d, *b, d, e], [s, *b, d, *a, d, e]], "one delim is enough"),
    ("similarity", lambda *given: [row[:-1] for row in rows(*given)], "extract at the end is missing"),
    ("similarity", lambda *given: [row[1:] for row in rows(*given)], "start at the beginning"),
    ("similarity", lambda *given: 3, "expected [["),
    ("joint_loss", lambda L2, L1, weight: weight * L2 + L1, "before the wrong loss"),
    ("joint_loss", lambda L2, L1, weight: weight * (L2 + L1), "belongs to L1 alone"),
    ("joint_loss", lambda L2, L1, weight: (1 - weight) * L2 + weight * L1, "this is a mixture"),
    ("joint_loss", lambda L2, L1, weight: L2 + L1, "lambda is missing"),
    ("joint_loss", lambda L2, L1, weight: L2 - weight * L1, "add: both"),
    ("learning_rate", lambda s, p, w, n: p * (1 + math.cos(math.pi * s / n)) / 2, "the warm-up is missing"),
    ("learning_rate", lambda s, p, w, n: rate(s, p, w, n) if s < w else p * (1 + math.cos(math.pi * s / n)) / 2,
     "when the warm-up ends"),
    ("learning_rate", after_warmup(lambda t: 1 - t), "not along a straight line"),
    ("learning_rate", after_warmup(lambda t: math.cos(math.pi / 2 * t)), "half a wave"),
    ("learning_rate", after_warmup(lambda t: math.cos(math.pi * t)), "minus the peak"),
    ("learning_rate", lambda s, p, w, n: rate(s, 1.0, w, n), "multiply by the peak"),
    ("learning_rate", lambda s, p, w, n: p * s / w if s < w else rate(s, p, w, n), "would not move at all"),
    ("learning_rate", lambda s, p, w, n: p if s < w else rate(s, p, w, n), "in the warm-up the rate rises"),
    ("compatible", lambda a, b: True, "said yes"),
    ("compatible", lambda a, b: all(math.isclose(sum(row), 1) for row in b), "is not enough"),
    ("compatible", lambda a, b: a == b, "entry by entry"),
    ("compatible", lambda a, b: of_odds(a) == of_odds(b), "up to rounding"),
    ("compatible", lambda a, b: "yes", "True or False"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "answer"), [(check, each) for check, answers in RIGHT.items() for each in answers])
def test_right_answers_are_accepted(check, answer, capsys):
    getattr(ch01, check)(answer)
    assert ": correct. " in capsys.readouterr().out


@pytest.mark.parametrize("check", RIGHT)
def test_an_untouched_exercise_is_not_attempted_yet(check, capsys):
    for untouched in (..., lambda *arguments: ...):
        getattr(ch01, check)(untouched)
        assert capsys.readouterr().out.endswith(": not attempted yet\n")


@pytest.mark.parametrize(("check", "answer", "diagnosis"), WRONG, ids=[f"{c}: {d}" for c, _, d in WRONG])
def test_wrong_answers_are_refused_with_a_diagnosis(check, answer, diagnosis, capsys):
    getattr(ch01, check)(answer)
    printed = capsys.readouterr().out
    assert ": not yet. " in printed and diagnosis.lower() in printed.lower() and printed.count("\n") == 1


def test_a_wrong_learning_rate_is_quoted_as_the_reader_made_it(capsys):
    ch01.learning_rate(lambda step, peak, warmup, total: 7.25)
    assert "you have 7.2500" in capsys.readouterr().out


STRANGE = [np.zeros(3), torch.zeros(2, 2), torch.zeros(4, 4, dtype=torch.complex64), torch.tensor([True, False]),
           "x", {}, [1, 2], [[]], (), 1j, math.nan, math.inf]  # fmt: skip


@pytest.mark.parametrize("check", RIGHT)
@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: " ".join(repr(value).split()))
def test_strange_answers_are_refused_in_one_line(check, strange, capsys):
    getattr(ch01, check)(lambda *arguments: strange)
    printed = capsys.readouterr().out
    assert ": not yet. " in printed and printed.count("\n") == 1


@pytest.mark.parametrize("check", RIGHT)
def test_an_error_in_the_answer_is_explained(check, capsys):
    getattr(ch01, check)(lambda *arguments: 1 / 0)
    printed = capsys.readouterr().out
    assert "not yet. Your function stopped with ZeroDivisionError" in printed and printed.count("\n") == 1


def test_every_exercise_is_tried_here_and_numbered_in_order(capsys):
    public = [name for name, thing in vars(ch01).items() if getattr(thing, "__module__", "") == ch01.__name__]
    assert [name for name in public if not name.startswith("_")] == list(RIGHT)
    for number, check in enumerate(RIGHT, start=1):
        getattr(ch01, check)(...)
        assert capsys.readouterr().out.startswith(f"exercise {number}: ")


def test_the_paper_sizes_give_the_released_model():
    assert count(40478, 512, 12, 768) == 116_534_784


globals().update(odd_checks(ch01, RIGHT))
