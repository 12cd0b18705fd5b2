"""Checks for the exercises of chapter 02, GPT-2.

Each takes the reader's own function, tries it on examples it has not seen, and shows one line: correct, or the likely
mistake. What is right is worked out by the modules of the package, or by hand; never stored. Those that build a part
of the machine are in ch02_model and ch02_writing, those of the labs in labs02.
"""

import math
import random
from collections.abc import Callable

from minigpt import model
from minigpt.exercises.ch02_model import choice_score as choice_score
from minigpt.exercises.ch02_model import pre_ln_block as pre_ln_block
from minigpt.exercises.ch02_writing import ask as ask
from minigpt.exercises.ch02_writing import next_probs as next_probs
from minigpt.exercises.judging import called, compare, exercise
from minigpt.exercises.open_answers import critique as critique
from minigpt.exercises.open_answers import experiment as experiment


@exercise("my_gpt2_params", "124,439,808 for the smallest: the model that the paper calls 117M.",
          hint="A block has 12 d^2 + 13 d numbers. New since GPT-1: one more LayerNorm, with a gain and a bias, after "
               "the last block.")  # fmt: skip
def gpt2_params(answer: Callable[[int, int], int]) -> None:
    """How many numbers a GPT-2 learns, from its blocks and its width."""
    V, n_ctx = 50_257, 1_024
    for n_layer, d in ((12, 768), (48, 1600), (24, 1024), (36, 1280)):
        shape = {"n_vocab": V, "n_ctx": n_ctx, "n_layers": n_layer, "n_heads": d // 64, "d_model": d}
        right = model.count_params(model.GPTConfig(**shape, norm="pre"))
        mistakes = (
            (right - 2 * d, "that is GPT-1's count: the LayerNorm after the last block is missing, 2 d numbers"),
            (right - d, "a LayerNorm has a gain and a bias, d numbers each: you counted one of the last one's"),
            (right - 13 * n_layer * d, "biases and LayerNorms are missing: 13 d in every block"),
            (
                right - 13 * n_layer * d - 2 * d,
                "biases and LayerNorms are missing: 13 d in every block, 2 d at the end",
            ),
            (right + V * d, "the output layer is the token embedding again: count it once"),
            (right - n_ctx * d, "the positions are missing: 1,024 vectors of d numbers"),
            (right - n_ctx * d + 512 * d, "GPT-2 has 1,024 positions; 512 is GPT-1's window"),
            (right - V * d + 40_478 * d, "GPT-2 has 50,257 tokens; 40,478 is GPT-1's vocabulary"),
            (right - V * d, "the token embedding is missing: 50,257 vectors of d numbers"),
            (right + 2 * d * (n_layer - 1), "the extra LayerNorm comes once, after the last block, not in every block"),
        )
        where = f"for {n_layer} blocks and d = {d:,}"
        compare(called(answer, n_layer, d), right, mistakes, where, tolerance=1e-12)


@exercise("my_bits_per_byte", "Whatever the tokens are, a text has the same bytes: so the paper scores enwik8.",
          hint="The nats of the whole text are the loss times its tokens. One bit is log 2 nats.")  # fmt: skip
def bits_per_byte(answer: Callable[[float, int, int], float]) -> None:
    """From nats per token to bits per byte."""
    for nats, n_tokens, n_bytes in ((3.0, 250, 1000), (1.2, 40, 180), (0.9, 77, 77)):
        right = nats * n_tokens / math.log(2) / n_bytes
        mistakes = (
            (nats * n_tokens / n_bytes, "that is in nats: divide by log 2, the nats in one bit"),
            (nats * n_tokens * math.log(2) / n_bytes, "a bit is less than a nat, so there are more: divide by log 2"),
            (nats / math.log(2), "that is bits per token: how many tokens, and how many bytes, has the text?"),
            (nats / math.log(2) / n_bytes, "the loss is per token: the whole text has so many times that"),
            (nats * n_bytes / math.log(2) / n_tokens, "upside down: tokens above the line, bytes below it"),
            (nats * n_tokens / math.log(2), "that is the whole text: divide by its bytes"),
            (2 ** (nats * n_tokens / math.log(2) / n_bytes), "that is a perplexity: bits per byte are its logarithm"),
            (math.exp(nats) * n_tokens / n_bytes, "a loss is in nats already: take no power of e"),
            (math.exp(nats), "that is the perplexity per token"),
            (right / 8, "a byte is one byte: do not count its eight bits"),
        )  # fmt: skip
        where = f"for a loss of {nats} nats, {n_tokens} tokens and {n_bytes} bytes"
        compare(called(answer, nats, n_tokens, n_bytes), right, mistakes, where)


@exercise("my_repetition", "0 if nothing is said twice; near 1 for a text that runs in a circle.",
          hint="List all n-grams, `tuple(words[i : i + n])`, in order. One that has been in the list before is "
               "repeated; the first of its kind is not.")  # fmt: skip
def repetition(answer: Callable[[list, int], float]) -> None:
    """The share of a text's n-grams that stand earlier in the same text."""
    rng = random.Random("repetition")
    cases = [("the fox saw the fox saw the fox saw an owl".split(), 2), ("a b c d".split(), 2)]
    cases += [([f"w{int(4 * rng.random())}" for _ in range(18)], n) for n in (1, 3)] + [("a b".split(), 4)]
    for words, n in cases:
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        kinds, total = len(set(grams)), len(grams)
        right = 1 - kinds / total if total else 0.0
        again = sum(grams.count(gram) > 1 for gram in grams)
        neighbours = sum(a == b for a, b in zip(words, words[1:]))
        mistakes = () if not total else (
            (kinds / total, "that is the share of different n-grams: 1 minus it"),
            (again / total, "the first of its kind is no repetition: count an n-gram only if it was there before"),
            (len({g for g in grams if grams.count(g) > 1}) / kinds, "that is the share of kinds: every repeated "
             "n-gram counts, as often as it is repeated"),
            (float(total - kinds), "that is a number of n-grams: divide by how many there are"),
            ((total - kinds) / len(words), "divide by the number of n-grams: it is not the number of words"),
            (1 - len(set(words)) / len(words), "those are single words: take n of them in a row"),
            (1 - kinds / max(1, total - 1), "a text of T words has T - n + 1 n-grams: you left out the last"),
            (neighbours / max(1, len(words) - 1), "a repetition need not follow at once"),
            (100 * right, "that is in percent: a share lies between 0 and 1"),
        )  # fmt: skip
        where = f"for {' '.join(words[:7])}{' ...' * (len(words) > 7)}, n = {n}"
        advice = "a text with fewer than n words has the share 0"
        compare(called(answer, list(words), n, advice=advice), right, mistakes, where)
