"""Checks for the exercises of the labs of chapters 00 and 01 that no lesson has.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
"""

import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from minigpt.exercises.judging import Problem, called, exercise, short

Words = dict[tuple[bytes, ...], int]  # a word in pieces -> how often it occurs


@exercise(
    "my_bpe_merge_loop",
    "These tokens, in this order, are the whole tokenizer.",
    "In each round: count the pairs, take the most frequent one, and rebuild every word with that pair merged.",
)
def bpe_merge_loop(answer: Callable[[Words, int], list[bytes]]) -> None:
    """The first n merges of byte-pair encoding: the new tokens, in the order in which they are made."""
    rng = random.Random("merges")
    for n in (1, 3, 6):
        words = _words_without_ties(rng, n)
        right = _merges(words, n)
        got = called(answer, dict(words), n)
        if not isinstance(got, (list, tuple)):
            raise Problem(f"expected a list of {n} tokens, got {short(got)}")
        if got and all(isinstance(each, tuple) for each in got):
            raise Problem("you returned pairs: merge left and right into one token, left + right")
        if not all(isinstance(each, bytes) for each in got):
            raise Problem(f"expected a list of {n} tokens, each of them bytes, got {short(got)}")
        if len(got) != n:
            raise Problem(f"expected {n} new tokens, one for each merge, and got {len(got)}")
        if list(got) != right:
            mistakes = (
                (_merges(words, n, rebuild=False), "rebuild the words after every merge, and count the pairs again"),
                (_merges(words, n, weighted=False), "a word that occurs 5 times has its pairs 5 times: use the counts"),
                (_merges(words, n, rarest=True), "you merged the rarest pair: take the one that occurs most often"),
                (sorted(right), "the order matters: return the tokens in the order in which they were made"),
                (right[::-1], "the order matters: the first merge comes first"),
            )
            for wrong, sentence in mistakes:
                if list(got) == wrong:
                    raise Problem(sentence)
            i = next(i for i, (a, b) in enumerate(zip(got, right)) if a != b)
            raise Problem(f"merge {i + 1} should make {right[i]!r}, and you have {got[i]!r}, for {words}")


def _pairs(words: Words, weighted: bool = True) -> Counter:
    counts = Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            counts[pair] += count if weighted else 1
    return counts


def _merges(words: Words, n: int, rebuild: bool = True, weighted: bool = True, rarest: bool = False) -> list[bytes]:
    """The first n merges, fewer if no pair is left; the switches make the likely mistakes."""
    made = []
    while len(made) < n and (counts := _pairs(words, weighted)):
        ordered = sorted(counts, key=counts.get, reverse=not rarest)
        left, right = ordered[0 if rebuild else len(made)]
        made.append(left + right)
        words = _rebuilt(words, left, right) if rebuild else words
    return made


def _rebuilt(words: Words, left: bytes, right: bytes) -> Words:
    """The words with every left that stands before a right merged with it."""
    found = Counter()
    for word, count in words.items():
        pieces = []
        for piece in word:
            if pieces[-1:] == [left] and piece == right:
                pieces[-1] = left + right
            else:
                pieces.append(piece)
        found[tuple(pieces)] += count
    return dict(found)


def _words_without_ties(rng: random.Random, n: int) -> Words:
    """Random words in which each of the first n merges is that of one pair alone, more frequent than any other."""
    while True:
        words = {}
        while len(words) < 9:
            word = tuple(bytes([97 + int(3 * rng.random())]) for _ in range(2 + int(5 * rng.random())))
            words[word] = 1 + int(60 * rng.random() ** 2)
        now, clear = words, True
        for _ in range(n):
            best = _pairs(now).most_common(2)
            clear = clear and len(best) == 2 and best[0][1] > best[1][1]
            now = _rebuilt(now, *best[0][0]) if best else now
        if clear and _merges(words, n, weighted=False) != _merges(words, n):
            return words


@exercise(
    "my_lstm_cell",
    "Two lines carry the memory: what is kept, and what is let out.",
    "`c = f * c + i * g` and `h = o * c.tanh()`; i, f and o are sigmoids, g is a tanh.",
)
def lstm_cell(answer: Callable[..., tuple[Tensor, Tensor]]) -> None:
    """One step of an LSTM: from x, h, c and the weights W (4d, d), U (4d, d), b (4d,) to the next (h, c)."""
    generator = torch.Generator().manual_seed(8)
    for d in (3, 5):
        x, h, c = (torch.randn(d, generator=generator) for _ in range(3))
        W, U = (torch.randn(4 * d, d, generator=generator) for _ in range(2))
        b = torch.randn(4 * d, generator=generator)
        right = _cell(x, h, c, W, U, b)
        got = called(answer, *(each.clone() for each in (x, h, c, W, U, b)))
        if not isinstance(got, (tuple, list)) or len(got) != 2 or not all(isinstance(each, Tensor) for each in got):
            raise Problem(f"expected two tensors, the next h and the next c, got {short(got)}")
        if any(each.shape != (d,) for each in got):
            shapes = ", ".join(str(tuple(each.shape)) for each in got)
            raise Problem(f"expected two tensors of shape ({d},), got shapes {shapes}")
        if _close(got, right):
            continue
        mistakes = (
            (right[::-1], "h and c are the wrong way round: return (h, c)"),
            (_cell(x, h, c, W, U, b, order="ifog"), "the four parts of z come in the order i, f, g, o"),
            (_cell(x, h, c, W, U, b, order="figo"), "the four parts of z come in the order i, f, g, o"),
            (_cell(x, h, c, W, U, b, sigmoid_g=True), "g is what may be written, from -1 to 1: a tanh, no sigmoid"),
            (_cell(x, h, c, W, U, b, forget=False), "the old c is multiplied by the forget gate f"),
            (_cell(x, h, c, W, U, b, out=torch.Tensor.clone), "h = o * tanh(c): the tanh is missing"),
            (_cell(x, h, c, W, U, b, new_c=False), "h is made from the new c, not from the old one"),
            (_cell(x, torch.zeros(d), c, W, U, b), "z needs the previous h too: W x + U h + b"),
            (_cell(x, h, c, W, U, torch.zeros(4 * d)), "you forgot the bias b"),
        )
        for wrong, sentence in mistakes:
            if _close(got, wrong):
                raise Problem(sentence)
        which = "c" if torch.allclose(got[0], right[0], atol=1e-5) else "h"
        i, place = (1, "c") if which == "c" else (0, "h")
        raise Problem(f"for d = {d} the next {place} should be {_numbers(right[i])}, and you have {_numbers(got[i])}")


def _cell(x, h, c, W, U, b, order="ifgo", sigmoid_g=False, forget=True, out=torch.tanh, new_c=True):
    """The cell; the switches make the likely mistakes."""
    z = dict(zip(order, (W @ x + U @ h + b).chunk(4)))
    i, f, o = (z[name].sigmoid() for name in "ifo")
    g = z["g"].sigmoid() if sigmoid_g else z["g"].tanh()
    new = (f * c if forget else c) + i * g
    return o * out(new if new_c else c), new


def _close(got, wanted) -> bool:
    return all(torch.allclose(a.double(), b.double(), atol=1e-5) for a, b in zip(got, wanted, strict=True))


def _numbers(values: Tensor) -> str:
    return short([round(float(value), 3) for value in values])
