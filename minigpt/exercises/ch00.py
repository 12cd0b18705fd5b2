"""Checks for the exercises of chapter 00, the world.

Each takes the reader's own function or number, tries it on examples it has not seen, and prints one line: correct, or
the likely mistake. Nothing here holds an answer in disguise: what is right is worked out anew every time.
"""

import math
import numbers
import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from minigpt.exact import entropy as information
from minigpt.exercises.judging import (
    NotAttempted,
    Problem,
    called,
    compare,
    judge,
    scalar,
    short,
)
from minigpt.worlds import grammar, stories


def surprise(answer: Callable[[float], float]) -> None:
    """Exercise 1: the surprise of something that had probability p, in nats."""

    def examine():
        rng = random.Random("surprise")
        for p in [0.02 + 0.96 * rng.random() for _ in range(6)] + [1.0]:
            mistakes = (
                (-math.log2(p), "that is in bits: you used log base 2, and nats need the natural logarithm"),
                (-math.log10(p), "you used log base 10, and nats need the natural logarithm, math.log"),
                (math.log(p), "the sign is wrong: log p is negative below 1, and surprise is its opposite"),
                (1 / p, "1/p is how rarely it happens; the surprise is the logarithm of that"),
                (1 - p, "1 - p is the probability that it does not happen; take a logarithm instead"),
            )
            compare(called(answer, p), -math.log(p), mistakes, f"for p = {p:.3f}")

    judge(1, examine, "Rare things surprise more, and certain ones not at all.")


def entropy(answer: Callable[[list], float]) -> None:
    """Exercise 2: the average surprise of a distribution, in nats."""

    def examine():
        rng = random.Random("entropy")
        for n in (2, 3, 5, 8):
            p = _distribution(rng, n)
            surprises = [-math.log(x) for x in p]
            right = information.entropy(p)
            mistakes = (
                (right / math.log(2), "that is in bits: you used log base 2, and nats need the natural logarithm"),
                (-right, "the sign is wrong: entropy is an average of surprises, and none of them is negative"),
                (sum(surprises), "you added the surprises up without weights: each counts as often as it happens"),
                (sum(surprises) / n, "you took the plain mean of the surprises: weigh each by its probability"),
                (math.log(n), "that is the entropy of equally likely outcomes; these are not equally likely"),
                (math.exp(right), "that is the perplexity, exp of the entropy; leave the exp out"),
            )
            compare(called(answer, p), right, mistakes, f"for {short(p)}")
        advice = "an outcome of probability 0 never surprises anybody: leave it out, for log 0 does not exist"
        compare(called(answer, [0.5, 0.0, 0.5], advice=advice), math.log(2), (), "for [0.5, 0.0, 0.5]", advice)

    judge(2, examine, "Certain outcomes and impossible ones add nothing; what is in between does.")


def document_surprise(answer: Callable[[Callable, str], float]) -> None:
    """Exercise 3: the surprise of a document by the chain rule, its end included, in nats."""

    def examine():
        program, rng = stories.program(), random.Random("chain")
        for kind in ("story", "walks", "feelings"):
            (text,) = stories.documents(1, rng, {kind: 1.0})
            got = called(answer, program, text)
            if isinstance(scalar(got), bool) or not isinstance(scalar(got), numbers.Real):
                raise Problem(f"expected a number, got {short(got)} for {text[:40]!r}...")
            each = [nats for _, nats in information.word_nats(program, text)]
            right, end = sum(each), each[-1]
            mistakes = (
                (right - end, "you forgot the end of the document: that too is predicted (grammar.END)"),
                (right - each[0], "you forgot the first word: it is predicted from the empty prefix"),
                (right - end - each[0], "you forgot both the first word, predicted from the empty prefix, and the end"),
                (right / math.log(2), "that is in bits: use the natural logarithm for nats"),
                (-right, "the sign is wrong: that is log P(document); the surprise is its opposite"),
                (right / len(each), "you divided by the number of words: the surprise of a document is the sum"),
                (math.exp(-right), "that is the probability; the surprise is minus its logarithm"),
            )
            compare(got, right, mistakes, f"for {text[:40]!r}...")

    judge(3, examine, "The surprises of the words add up to the surprise of the document.")


def kl_divergence(answer: Callable[[list, list], float]) -> None:
    """Exercise 4: what it costs to believe q when p is true, in nats."""

    def examine():
        rng = random.Random("divergence")
        for n in (2, 4, 7):
            p, q = _distribution(rng, n), _distribution(rng, n)
            right = information.kl_divergence(p, q)
            mistakes = (
                (information.kl_divergence(q, p), "you have p and q the wrong way round: the weights are what happens, p"),
                (-right, "the sign is wrong: it is log(p/q), not log(q/p); the result is never negative"),
                (information.cross_entropy(p, q), "that is the cross-entropy H(p, q); take the entropy of p away from it"),
                (information.entropy(q) - information.entropy(p), "that is H(q) - H(p); the first term must be H(p, q)"),
                (right / math.log(2), "that is in bits: use the natural logarithm for nats"),
                (sum(math.log(a / b) for a, b in zip(p, q)), "you forgot to weigh the terms by p"),
            )
            compare(called(answer, p, q), right, mistakes, f"for p = {short(p)} and q = {short(q)}")
        p, q = [0.0, 1.0], [0.25, 0.75]
        advice = "where p is 0 nothing happens, so nothing is added: leave those terms out"
        compare(called(answer, p, q, advice=advice), -math.log(0.75), (), f"for p = {p} and q = {q}", advice)
        compare(called(answer, q, q), 0.0, (), f"for p = q = {q}")

    judge(4, examine, "It is 0 for q = p, and more for any other q.")


def bits_per_byte(answer: Callable[[float, str], float]) -> None:
    """Exercise 5: from nats for a whole text to bits for each of its bytes."""

    def examine():
        rng = random.Random("bytes")
        for text in ("Une baleine a caché une clé.", "L'abeille a trouvé un chapeau à Noël.", "A cow lost a key."):
            nats, n_bytes = 20 + 30 * rng.random(), len(text.encode("utf-8"))
            right = nats / math.log(2) / n_bytes
            mistakes = (
                (nats / math.log(2) / len(text), "you divided by characters, but é is two bytes: text.encode('utf-8')"),
                (nats / n_bytes, "that is nats per byte: divide by log 2 to have bits"),
                (nats / len(text), "that is nats per character: bits need a division by log 2, and é has two bytes"),
                (nats * math.log(2) / n_bytes, "you multiplied by log 2; a bit is less than a nat, so divide"),
                (nats / math.log(2), "those are the bits of the whole text: divide by its bytes"),
                (nats / math.log(2) / len(grammar.words(text)), "you divided by words: it should be bytes"),
            )
            compare(called(answer, nats, text), right, mistakes, f"for {nats:.3f} nats and {text!r}")

    judge(5, examine, "This number can be compared between any two models of the same text.")


def most_frequent_pair(answer: Callable[[dict], tuple]) -> None:
    """Exercise 6: one step of byte-pair encoding: which two neighbours stand side by side most often."""

    def examine():
        rng = random.Random("pairs")
        for _ in range(8):
            words = {}
            while len(words) < 8:
                word = tuple(bytes([97 + int(4 * rng.random())]) for _ in range(2 + int(4 * rng.random())))
                words[word] = 1 + int(20 * rng.random() ** 3)
            _check_pair(called(answer, dict(words)), words)

    judge(6, examine, "Join it, and repeat as often as there are tokens to make: that is how a vocabulary is learned.")


def _check_pair(got, words: dict) -> None:
    counts, unweighted = Counter(), Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            counts[pair] += count
            unweighted[pair] += 1
    if isinstance(got, tuple) and len(got) == 2 and isinstance(got[0], tuple):
        raise Problem("you returned more than the pair: return only the two neighbours, (left, right)")
    if isinstance(got, bytes):
        raise Problem("you returned the joined token; return the two neighbours that are to be joined, (left, right)")
    if not isinstance(got, tuple) or len(got) != 2:
        raise Problem(f"expected a pair of neighbours (left, right), got {got!r}")
    most = max(counts.values())
    if counts[got] == most:
        return
    if got[::-1] in counts and counts[got[::-1]] == most:
        raise Problem("left and right are the wrong way round")
    why = f"{got} occurs {counts[got]} times, but another pair {most} times, in {words}"
    if unweighted[got] == max(unweighted.values()):
        why = f"a word that occurs 5 times has each of its pairs 5 times: use the counts of the words. {why}"
    elif counts[got] == 0:
        why = f"{got} are not neighbours in any word: pairs do not reach from one word into the next. {why}"
    raise Problem(why)


def add_one(answer: Callable[[dict, str, str, int], float]) -> None:
    """Exercise 7: the bigram with add-one smoothing, P(w | h) = (c(h w) + 1) / (c(h) + V)."""

    def examine():
        rng = random.Random("add one")
        vocabulary = list("abcdef")
        stream = [vocabulary[int(5 * rng.random() ** 2)] for _ in range(60)]  # "f" is never seen
        pairs, V = Counter(pairwise(stream)), len(vocabulary)
        for h in ("a", "b"):
            total, kinds = _after(pairs, h)
            for w in vocabulary:
                seen = pairs[h, w]
                mistakes = (
                    (seen / total, "that is the plain count: add 1 to every pair, seen or not"),
                    ((seen + 1) / (total + 1), "below the line, add 1 for each of the V words: c(h) + V"),
                    ((seen + 1) / total, "c(h) must grow too, by V, or the probabilities sum to more than 1"),
                    ((seen + 1) / (total + kinds), "V counts all words of the vocabulary, not only those seen after h"),
                    ((seen + 1) / (len(stream) - 1 + V), "c(h) counts the pairs that begin with h, not all the pairs"),
                    ((pairs[w, h] + 1) / (_after(pairs, w)[0] + V), "the pair to look up is (h, w), with h first"),
                )
                compare(called(answer, dict(pairs), h, w, V), (seen + 1) / (total + V), mistakes, f"for P({w} | {h})")
        advice = "a word that was never seen before anything has c(h) = 0, and then all V words are equally likely"
        compare(called(answer, dict(pairs), "f", "a", V, advice=advice), 1 / V, (), "for P(a | f)", advice)

    judge(7, examine, "Nothing is impossible any more, and the probabilities after h still sum to 1.")


def _after(pairs: Counter, h: str) -> tuple[int, int]:
    """(how many pairs begin with h, how many different words follow it)."""
    followers = [count for (left, _), count in pairs.items() if left == h]
    return sum(followers), len(followers)


def whisper(answer: float) -> None:
    """Exercise 8: by how many nats the surprise of a document falls, on average, for somebody who is told its kind."""

    def examine():
        if answer is ...:
            raise NotAttempted
        weights = list(stories.STORYBOOK.values())
        right = information.entropy(weights)
        mistakes = (
            (right / math.log(2), "that is in bits: use the natural logarithm for nats"),
            (math.log(len(weights)), "the kinds are not equally likely: half of all documents are stories"),
            (math.log(2), "that is the surprise of a story; the other kinds are rarer, so average over all of them"),
            (-right, "the surprise falls by a positive number of nats"),
            (math.exp(right), "that is a perplexity; take its logarithm"),
            (sum(-math.log(w) for w in weights) / len(weights), "weigh the surprise of each kind by its share"),
        )
        compare(answer, right, mistakes, "", tolerance=0.005)

    judge(8, examine, "What you are told is exactly what you need no longer guess: the entropy of the kind.")


def _distribution(rng: random.Random, n: int) -> list[float]:
    """n probabilities, all above 0 and different."""
    shares = [0.05 + rng.random() for _ in range(n)]
    return [share / sum(shares) for share in shares]
