"""Checks for the numbered exercises of chapter 02, GPT-2, in its first edition.

Each takes the reader's own function, tries it on examples it has not seen, and prints one line: correct, or the likely
mistake. What is right is worked out here by hand or by the modules of the package; never stored.
"""

import math
import random
import re
from collections.abc import Callable

from minigpt.exercises.judging import Problem, called, compare, compare_lists, judge, scalar, short

WORDS = "The the fox Fox saw a red hat and then an old owl sang to her, in 1999!".split()


def pre_ln_block(answer: Callable) -> None:
    """Exercise 1: one block with LayerNorm before each step."""

    def examine():
        def attn(h):
            return 2 * h + 1

        def mlp(h):
            return h * h - 3

        def ln_1(h):
            return h / 2 + 0.25

        def ln_2(h):
            return 1 - h

        for h in (1.5, -0.5, 3.0):
            middle = h + attn(ln_1(h))
            right = middle + mlp(ln_2(middle))
            post = ln_1(h + attn(h))
            mistakes = (
                (ln_2(post + mlp(post)), "that is GPT-1's block: there the LayerNorm stands after the addition"),
                (attn(ln_1(h)) + mlp(ln_2(attn(ln_1(h)))), "h itself is lost: add what each step finds to what was there"),
                (h + attn(ln_1(h)) + mlp(ln_2(h)), "the MLP should read what attention has already added to"),
                (ln_1(h) + attn(ln_1(h)) + mlp(ln_2(ln_1(h) + attn(ln_1(h)))),
                 "add to h, not to its LayerNorm: the path from block to block stays free"),
                (middle + mlp(ln_1(middle)), "the MLP has a LayerNorm of its own, ln_2"),
                (middle + mlp(middle), "the second LayerNorm is missing"),
                (h + mlp(ln_2(h)) + attn(ln_1(h + mlp(ln_2(h)))), "attention comes first, then the MLP"),
                (middle, "the MLP is missing"),
            )  # fmt: skip
            compare(called(answer, h, attn, mlp, ln_1, ln_2), right, mistakes, f"for h = {h} and made-up steps")

    judge(1, examine, "A free path from the first block to the last, and every step reads it normalised.")


def residual_std(answer: Callable[[int], float]) -> None:
    """Exercise 2: the standard deviation of the first weights on the residual path."""

    def examine():
        for n_blocks in (12, 48, 2):
            right = 0.02 / math.sqrt(2 * n_blocks)
            mistakes = (
                (0.02 / math.sqrt(n_blocks), "each block adds twice, once for attention and once for the MLP: N = 2 n"),
                (0.02 / (2 * n_blocks), "divide by the root of N: variances add, not standard deviations"),
                (0.02 / n_blocks, "divide by the root of N, and N counts two layers a block"),
                (0.02 * math.sqrt(2 * n_blocks), "the more layers add up, the smaller each must be: divide"),
                (1 / math.sqrt(2 * n_blocks), "that is the factor; multiply it by 0.02"),
                (0.02, "that is GPT-1's, the same for every depth"),
            )
            compare(called(answer, n_blocks), right, mistakes, f"for {n_blocks} blocks", tolerance=1e-8)

    judge(2, examine, "So the sum of N such steps has the spread of one.")


def word_perplexity(answer: Callable[[list, int], float]) -> None:
    """Exercise 3: perplexity per word of a text that was read in tokens."""

    def examine():
        rng = random.Random(3)
        for n_words in (5, 12, 8):
            n_tokens = n_words + 3 + int(4 * rng.random())
            nats = [0.2 + 2 * rng.random() for _ in range(n_tokens)]
            right = math.exp(sum(nats) / n_words)
            mistakes = (
                (math.exp(sum(nats) / n_tokens), "that is per token: divide the sum by the number of words"),
                (sum(nats) / n_words, "that is the loss per word: perplexity is e to the power of it"),
                (math.exp(sum(nats)), "divide by the number of words, and then take e to the power of it"),
                (2 ** (sum(nats) / n_words), "the surprises are in nats: the base is e, not 2"),
                (sum(math.exp(x) for x in nats) / n_words, "average first, then e to the power of it"),
                (math.exp(-sum(nats) / n_words), "the sign: surprises are positive already"),
                (math.exp(n_words / sum(nats)), "the fraction is upside down"),
            )
            compare(called(answer, list(nats), n_words), right, mistakes, f"for {n_tokens} tokens in {n_words} words")

    judge(3, examine, "The total does not depend on how the text is cut, so models with other tokens can be compared.")


def top_p(answer: Callable[[list, float], list]) -> None:
    """Exercise 4: the nucleus."""

    def examine():
        rng = random.Random(4)
        cases = [([0.5, 0.3, 0.15, 0.05], 0.75), ([0.1, 0.6, 0.3], 0.5), ([0.2, 0.1, 0.3, 0.25, 0.15], 1.0)]
        raw = [0.05 + rng.random() for _ in range(6)]
        cases.append(([x / sum(raw) for x in raw], 0.62))
        for probs, p in cases:
            order = sorted(range(len(probs)), key=lambda i: -probs[i])

            def kept(n):
                chosen = set(order[:n])
                total = sum(probs[i] for i in chosen)
                return [probs[i] / total if i in chosen else 0.0 for i in range(len(probs))]

            sums = [sum(probs[i] for i in order[:n]) for n in range(1, len(probs) + 1)]
            n = next(i for i, s in enumerate(sums, 1) if s >= p - 1e-12)
            right = kept(n)
            under = [x / max(1e-9, sum(y for y in probs if y >= p)) if x >= p else 0.0 for x in probs]
            mistakes = (
                (kept(n - 1) if n > 1 else None, "one too few: the token that carries the sum over p belongs to it"),
                (kept(min(n + 1, len(probs))), "one too many: stop as soon as the sum reaches p"),
                ([x if y else 0.0 for x, y in zip(probs, right)], "divide by the sum of what was kept, so that it adds to 1"),
                (sorted(right, reverse=True), "the probabilities must stay at their places: position i is token i"),
                (under, "p is not a threshold for one token, but for the sum over the most probable ones"),
                (_in_order(probs, p), "begin with the most probable token, not with the first one"),
            )  # fmt: skip
            compare_lists(called(answer, list(probs), p), right, mistakes, f"for {short(probs)} and p = {p}")

    judge(4, examine, "Few tokens where the model is sure, many where it is not.")


def _in_order(probs, p):
    kept, total = [], 0.0
    for x in probs:
        kept.append(x if total < p else 0.0)
        total += x
    return [x / sum(kept) for x in kept]


def total_variation(answer: Callable[[dict, dict], float]) -> None:
    """Exercise 5: how far two distributions are from each other."""

    def examine():
        cases = [
            ({"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.1}),
            ({"a": 0.7, "b": 0.3}, {"b": 0.2, "c": 0.8}),
            ({"a": 0.4, "b": 0.35, "c": 0.25}, {"a": 0.25, "b": 0.15, "c": 0.3, "d": 0.3}),
        ]
        for p, q in cases:
            words = p.keys() | q.keys()
            gaps = [p.get(w, 0.0) - q.get(w, 0.0) for w in words]
            right = sum(map(abs, gaps)) / 2
            mistakes = (
                (2 * right, "half of that: what one has too much, the other has too little, and it was counted twice"),
                (sum(abs(p[w] - q[w]) for w in p.keys() & q.keys()) / 2,
                 "words that only one of the two knows count too, with probability 0 in the other"),
                (sum(abs(p[w] - q.get(w, 0.0)) for w in p) / 2, "words that only q knows are missing"),
                (max(map(abs, gaps)), "that is the largest single difference: add them all up"),
                (math.sqrt(sum(g * g for g in gaps)), "absolute differences, not squares"),
                (sum(gaps) / 2, "take the absolute value of each difference: without it they cancel"),
                (1 - right, "that is what they share: the distance is 1 minus this"),
            )  # fmt: skip
            compare(called(answer, dict(p), dict(q)), right, mistakes, f"for {p} and {q}")

    judge(5, examine, "It is the share of draws that would have to change to turn one into the other.")


def overlap(answer: Callable[[str, str, int], float]) -> None:
    """Exercise 6: the share of a text's n-grams that another text has, too."""

    def examine():
        rng = random.Random(6)
        cases = [("The red fox saw a hat.", "the RED fox, saw an owl", 2), ("a b c d", "A b, c!", 3)]
        for n in (2, 3):
            train, test = (" ".join(WORDS[int(rng.random() * len(WORDS))] for _ in range(40)) for _ in range(2))
            cases.append((train + " " + test[: len(test) // 3], test, n))
        for train, test, n in cases:

            def grams(text, plain=True, n=n):
                words = re.findall(r"[a-z0-9]+", text.lower()) if plain else text.split()
                return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

            def share(a, b):
                return sum(gram in set(b) for gram in a) / len(a) if a else 0.0

            def single(text):
                return [(word,) for word in re.findall(r"[a-z0-9]+", text.lower())]

            inside, tested = grams(train), grams(test)
            right = share(tested, inside)
            mistakes = (
                (share(inside, tested), "the other way round: of the n-grams of the test text, how many are in the training text?"),
                (share(grams(test, False), grams(train, False)), "lower-case first, and leave out what is not a letter or a digit"),
                (share(grams(test.lower(), False), grams(train.lower(), False)), "punctuation is still in the words"),
                (share(sorted(set(tested)), inside), "an n-gram that occurs twice in the test text counts twice"),
                (share(single(test), single(train)), "those are single words: take n in a row"),
                (100 * right, "that is in percent: a share lies between 0 and 1"),
                (float(sum(gram in set(inside) for gram in tested)), "divide by the number of n-grams of the test text"),
            )  # fmt: skip
            where = f"for the texts {short(train)} and {short(test)}, n = {n}"
            compare(called(answer, train, test, n), right, mistakes, where)

    judge(6, examine, "With n = 8 that is what the paper counts in its section 4.")


def cloze(answer: Callable[[Callable, str, list, str], str]) -> None:
    """Exercise 7: fill a blank by the probability of the whole."""

    def examine():
        rng = random.Random(7)
        for _ in range(6):
            before, rest = "The", " barked."
            choices = [" cat", " dog", " owl", " grey fox"]
            alone = {c: -1 - 4 * rng.random() for c in choices}
            behind = {c: -1 - 6 * rng.random() for c in choices}
            if max(alone, key=alone.get) == max(choices, key=lambda c: alone[c] + behind[c]):
                continue  # then it would not matter what is compared

            def logp(context, text, alone=alone, behind=behind):
                """log P(text | context) of a made-up model."""
                if context == before and text in alone:
                    return alone[text]
                if context == before and text.endswith(rest) and text[: -len(rest)] in alone:
                    return alone[text[: -len(rest)]] + behind[text[: -len(rest)]]
                if text == rest and context[len(before) :] in behind:
                    return behind[context[len(before) :]]
                raise Problem(f"your function asked for the probability of {text!r} after {context!r}: keep the order "
                              "before, choice, rest, and put nothing between them")  # fmt: skip

            def total(c, alone=alone, behind=behind):
                return alone[c] + behind[c]

            right = max(choices, key=total)
            got = scalar(called(answer, logp, before, list(choices), rest, advice="call logp(context, text)"))
            if got == right:
                continue
            if got not in choices:
                raise Problem(f"expected one of the choices, {choices}; got {short(got)}")
            reasons = (
                (max(alone, key=alone.get), "you compared the choices alone: what stands behind the blank must count, too"),
                (max(behind, key=behind.get), "you compared the rest alone: how likely the choice itself is must count, too"),
                (min(choices, key=total), "that is the least likely choice: log-probabilities are negative, take the largest"),
                (max(choices, key=lambda c: total(c) / len((c + rest).split())),
                 "do not divide by the length: the whole is compared, and the choices compete for one blank"),
            )  # fmt: skip
            for wrong, sentence in reasons:
                if got == wrong:
                    raise Problem(sentence)
            raise Problem(f"expected {right!r}, got {got!r}: compare log P(choice and rest | before)")

    judge(7, examine, "This is how the paper fills the blanks of the Children's Book Test.")
