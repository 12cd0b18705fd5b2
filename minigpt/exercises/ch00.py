"""Checks for the exercises of chapter 00, the world, and of its labs.

Each takes the reader's own function or number, tries it on examples it has not seen, and says in one line: correct, or
the likely mistake. Nothing here holds an answer in disguise: what is right is worked out anew every time.
"""

import functools
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
    exercise,
    scalar,
    short,
)
from minigpt.worlds import grammar, stories


@exercise("my_page_probability", "What is drawn costs a factor; what must come, the second Lucy, is free.",
          "Which draws does the program make for this page now, and how probable is each?")  # fmt: skip
def page_probability(answer: float) -> None:
    """P("Lucy found a key. Lucy kept the key.") if the kept thing is drawn anew: names 1/2, things 0.6, 0.3 and 0.1."""
    mistakes = (
        (0.5 + 0.3 + 0.3, "you added the probabilities: all draws must fall this way, so multiply"),
        (0.3 * 0.3, "you forgot the name: Lucy has probability one half"),
        (0.5 * 0.3, "that is the page of the grammar as it was: here the second thing is drawn, too"),
        (0.5 * 0.3 * 0.5 * 0.3, "the second name is not drawn: it repeats the first"),
        (1 / 18, "the 18 pages are not equally likely: a hat is drawn more often than a key"),
        (-math.log(0.5 * 0.3 * 0.3), "that is the surprisal; here the probability itself is asked for"),
    )
    _compare_number(answer, 0.5 * 0.3 * 0.3, mistakes, 0.0005)


@exercise(
    "my_surprisal", "The rarer, the more surprising; what is certain has 0.", "`math.log` is the natural logarithm."
)
def surprisal(answer: Callable[[float], float]) -> None:
    """The surprisal of something that had probability p, in nats."""
    rng = random.Random("surprisal")
    for p in [0.02 + 0.96 * rng.random() for _ in range(6)] + [1.0]:
        mistakes = (
            (-math.log2(p), "that is in bits: you used log base 2, and nats need the natural logarithm"),
            (-math.log10(p), "you used log base 10, and nats need the natural logarithm, math.log"),
            (math.log(p), "the sign is wrong: log p is negative below 1, and surprisal is its opposite"),
            (1 / p, "1/p is how rarely it happens; the surprisal is the logarithm of that"),
            (1 - p, "1 - p is the probability that it does not happen; take a logarithm instead"),
        )
        compare(called(answer, p), -math.log(p), mistakes, f"for p = {p:.3f}")


@exercise("my_two_dice", "Probabilities multiply, and surprisals add up.", "How probable are two sixes?")
def two_dice(answer: float) -> None:
    """The surprisal of two dice that both show six, in nats."""
    mistakes = (
        (math.log(6), "that is one die; two sixes have probability 1/36"),
        (math.log(12), "there are 36 outcomes of two dice, not 12"),
        (math.log(6) ** 2, "you multiplied the surprisals: they add up, since the probabilities multiply"),
        (2 * math.log2(6), "that is in bits: use the natural logarithm for nats"),
        (1 / 36, "that is the probability; its surprisal is asked for"),
        (-2 * math.log(6), "the sign is wrong: surprisal is never negative"),
    )
    _compare_number(answer, 2 * math.log(6), mistakes)


@exercise(
    "my_entropy",
    "Certain outcomes and impossible ones add nothing; what is in between does.",
    "Weigh each surprisal, `-math.log(x)`, by how often it happens, `x`; leave out what never happens.",
)
def entropy(answer: Callable[[list], float]) -> None:
    """The mean surprisal of a distribution, in nats."""
    rng = random.Random("entropy")
    for n in (2, 3, 5, 8):
        p = _distribution(rng, n)
        each = [-math.log(x) for x in p]
        right = information.entropy(p)
        mistakes = (
            (right / math.log(2), "that is in bits: you used log base 2, and nats need the natural logarithm"),
            (-right, "the sign is wrong: entropy is an average of surprisals, and none of them is negative"),
            (sum(each), "you added the surprisals up without weights: each counts as often as it happens"),
            (sum(each) / n, "you took the plain mean of the surprisals: weigh each by its probability"),
            (math.log(n), "that is the entropy of equally likely outcomes; these are not equally likely"),
            (math.exp(right), "that is the perplexity, exp of the entropy; leave the exp out"),
        )
        compare(called(answer, p), right, mistakes, f"for {short(p)}")
    advice = "an outcome of probability 0 never surprises anybody: leave it out, for log 0 does not exist"
    compare(called(answer, [0.5, 0.0, 0.5], advice=advice), math.log(2), (), "for [0.5, 0.0, 0.5]", advice)


@exercise(
    "my_document_surprisal",
    "The surprisals of the words add up to that of the document.",
    "Walk through `(*grammar.words(text), grammar.END)`, keep the text so far in a variable, and add up.",
)
def document_surprisal(answer: Callable[[Callable, str], float]) -> None:
    """The surprisal of a document by the chain rule, its end included, in nats."""
    program = stories.program()
    for text, each in _documents():
        got = called(answer, program, text)
        if isinstance(scalar(got), bool) or not isinstance(scalar(got), numbers.Real):
            raise Problem(f"expected a number, got {short(got)} for {text[:40]!r}...")
        right, end = sum(each), each[-1]
        mistakes = (
            (right - end, "you forgot the end of the document: that too is predicted (grammar.END)"),
            (right - each[0], "you forgot the first word: it is predicted from the empty prefix"),
            (right - end - each[0], "you forgot both the first word, predicted from the empty prefix, and the end"),
            (right / math.log(2), "that is in bits: use the natural logarithm for nats"),
            (-right, "the sign is wrong: that is log P(document); the surprisal is its opposite"),
            (right / len(each), "you divided by the number of words: the surprisal of a document is the sum"),
            (math.exp(-right), "that is the probability; the surprisal is minus its logarithm"),
        )
        compare(got, right, mistakes, f"for {text[:40]!r}...")


@functools.cache
def _documents() -> list[tuple[str, list[float]]]:
    """Three documents, and the surprisal of each of their words: they are always the same."""
    program, rng = stories.program(), random.Random("chain")
    kinds = ("story", "walks", "feelings")
    texts = [text for kind in kinds for text in stories.documents(1, rng, {kind: 1.0})]
    return [(text, [nats for _, nats in information.word_nats(program, text)]) for text in texts]


@exercise("my_extra_cost", "That is KL(p ‖ q), the price of a wrong model distribution.", "H(p, q) - H(p).")
def extra_cost(answer: float) -> None:
    """What believing 0.5 costs more than the truth, for a coin that falls heads 7 times in 10, in nats a throw."""
    p, q = [0.7, 0.3], [0.5, 0.5]
    right = information.kl_divergence(p, q)
    mistakes = (
        (information.cross_entropy(p, q), "that is the whole cost, H(p, q): take away what the truth costs, H(p)"),
        (information.entropy(p), "that is what the truth costs, H(p); how much more does q cost?"),
        (right / math.log(2), "that is in bits: use the natural logarithm for nats"),
        (information.kl_divergence(q, p), "the coin falls with p = 0.7: these are the weights of the mean, not 0.5"),
        (-right, "the truth is the cheaper one: the difference is H(p, q) - H(p)"),
        (0.2, "that is the difference of the probabilities; compare their costs in nats"),
    )
    _compare_number(answer, right, mistakes, 0.0005)


@exercise(
    "my_kl_divergence",
    "It is 0 for q = p, and more for any other q.",
    "It is a mean with the weights `p`, of the logarithm of `p/q`.",
)
def kl_divergence(answer: Callable[[list, list], float]) -> None:
    """What it costs to believe q when p is true, in nats."""
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


@exercise(
    "my_whisper",
    "What you are told is exactly what you need no longer guess: the entropy of the kind.",
    "What does the whisper save on one page? It would have had to be guessed from `-log P(kind)`.",
)
def whisper(answer: float) -> None:
    """By how many nats the surprisal of a document falls, on average, for somebody who is told its kind."""
    weights = list(stories.STORYBOOK.values())
    right = information.entropy(weights)
    mistakes = (
        (right / math.log(2), "that is in bits: use the natural logarithm for nats"),
        (math.log(len(weights)), "the kinds are not equally likely: half of all documents are stories"),
        (math.log(2), "that is the surprisal of a story; the other kinds are rarer, so average over all of them"),
        (-right, "the surprisal falls by a positive number of nats"),
        (math.exp(right), "that is a perplexity; take its logarithm"),
        (sum(-math.log(w) for w in weights) / len(weights), "weigh the surprisal of each kind by its share"),
    )
    _compare_number(answer, right, mistakes)


@exercise("my_bigram", "The grammar has read your pages: neighbours fit, but after about three words the rest does not.",
          "Begin with `word = \"\"`; draw the next word with `rng.choices(list(after), after.values())`.")  # fmt: skip
def bigram(answer: Callable[[dict, random.Random], str]) -> None:
    """A page drawn from bigram counts: counts[h][w] is how often w followed h; "" is the beginning and the end."""
    small = {"": {"Yes": 3, "No": 1}, "Yes": {" yes": 1, "": 1}, "No": {".": 1}, " yes": {".": 1}, ".": {"": 1}}
    drawn = [_bigram_page(answer, small, seed) for seed in range(400)]
    if len(set(drawn)) == 1:
        raise Problem("all pages are alike: draw each word at random with rng instead of taking the likeliest")
    share = sum(page.startswith("Yes") for page in drawn) / len(drawn)
    if abs(share - 0.5) < 0.1:
        raise Problem("every follower comes equally often: weigh them by their counts, 3 to 1 is not 1 to 1")
    if abs(share - 0.75) > 0.11:
        raise Problem(f"a word that was counted 3 times in 4 begins a page {share:.2f} of the time; it should be 0.75")
    counts = {}
    for page in stories.documents(300, random.Random("bigram")):
        for h, w in pairwise(["", *grammar.words(page), ""]):
            counts.setdefault(h, Counter())[w] += 1
    pages = [_bigram_page(answer, counts, seed) for seed in range(40)]
    program = stories.program()
    n_words = sum(grammar.first_impossible(program, page) for page in pages) / len(pages)
    if not 1.5 < n_words < 6:
        raise Problem(f"the grammar can follow your pages for {n_words:.1f} words on average; a bigram's for about 3")


def _bigram_page(answer: Callable, counts: dict, seed: int) -> str:
    """One page of the reader's, if all its neighbours were counted together."""
    rng = _Counting(f"bigram {seed}")
    try:
        page = called(answer, {h: dict(after) for h, after in counts.items()}, rng, advice='"" begins and ends a page')
    except Problem:
        if rng.n_drawn > rng.MOST:
            raise Problem('your page never ends: stop when the word that was drawn is "", the end') from None
        raise
    if isinstance(page, (list, tuple)) and all(isinstance(word, str) for word in page):
        raise Problem('you returned the words; a page is one text: "".join(words)')
    if not isinstance(page, str):
        raise Problem(f"expected a page, a text; got {short(page)}")
    if "  " in page or any(w not in counts and w.lstrip() in counts for w in grammar.words(page)):
        raise Problem(f'the words bring their own spaces: put nothing between them, "".join(words); got {short(page)}')
    words = grammar.words(page)
    if not words or words[0] not in counts[""]:
        raise Problem(f'a page begins with a word that follows "", the beginning; got {short(page)}')
    for h, w in pairwise(words):
        if w not in counts.get(h, ()):
            why = f"{w!r} was never counted after {h!r}: draw from the counts of the word before"
            raise Problem(f"{why}; got {short(page)}")
    if "" not in counts[words[-1]]:
        raise Problem(f'a page stops where "", the end, is drawn, not after {words[-1]!r}; got {short(page)}')
    return page


class _Counting(random.Random):
    """Random numbers that run out, so that a page without an end ends too."""

    MOST = 20_000
    n_drawn = 0

    def random(self) -> float:
        self.n_drawn += 1
        if self.n_drawn > self.MOST:
            raise RuntimeError("no end was drawn")
        return super().random()


# --- exercises of the labs ------------------------------------------------------------------------------------------


@exercise(
    "my_bits_per_byte",
    "This number can be compared between any two models of the same text.",
    '`len(text.encode("utf-8"))` is the number of bytes.',
)
def bits_per_byte(answer: Callable[[float, str], float]) -> None:
    """From nats for a whole text to bits for each of its bytes."""
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


@exercise(
    "my_most_frequent_pair",
    "Merge it, and repeat as often as there are tokens to make: that is how a vocabulary is learned.",
    "`itertools.pairwise(word)` gives the neighbours; a `Counter` can add `count` for each.",
)
def most_frequent_pair(answer: Callable[[dict], tuple]) -> None:
    """One step of byte-pair encoding: which two neighbours stand side by side most often."""
    rng = random.Random("pairs")
    for _ in range(8):
        words = {}
        while len(words) < 8:
            word = tuple(bytes([97 + int(4 * rng.random())]) for _ in range(2 + int(4 * rng.random())))
            words[word] = 1 + int(20 * rng.random() ** 3)
        _check_pair(called(answer, dict(words)), words)


def _check_pair(got, words: dict) -> None:
    counts, unweighted = Counter(), Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            counts[pair] += count
            unweighted[pair] += 1
    if isinstance(got, tuple) and len(got) == 2 and isinstance(got[0], tuple):
        raise Problem("you returned more than the pair: return only the two neighbours, (left, right)")
    if isinstance(got, bytes):
        raise Problem("you returned the merged token; return the two neighbours that are to be merged, (left, right)")
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


@exercise(
    "my_add_one",
    "Nothing is impossible any more, and the probabilities after h still sum to 1.",
    "`pairs.get((h, w), 0)` is 0 for a pair that was never seen.",
)
def add_one(answer: Callable[[dict, str, str, int], float]) -> None:
    """The bigram with add-one smoothing, P(w | h) = (c(h w) + 1) / (c(h) + V)."""
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


def _after(pairs: Counter, h: str) -> tuple[int, int]:
    """(how many pairs begin with h, how many different words follow it)."""
    followers = [count for (left, _), count in pairs.items() if left == h]
    return sum(followers), len(followers)


def _compare_number(answer, right: float, mistakes: tuple, tolerance: float = 0.005) -> None:
    """Compare an answer that is a number itself; the right one is never told."""
    if answer is ...:
        raise NotAttempted
    compare(answer, right, mistakes, "", tolerance=tolerance)


def _distribution(rng: random.Random, n: int) -> list[float]:
    """n probabilities, all above 0 and different."""
    shares = [0.05 + rng.random() for _ in range(n)]
    return [share / sum(shares) for share in shares]
