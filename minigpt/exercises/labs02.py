"""Checks for the exercises of the labs of chapter 02, GPT-2.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
"""

import math
import random
import re
from collections.abc import Callable

from minigpt.exercises.judging import called, compare, compare_lists, exercise, short

_WORDS = "The the fox Fox saw a red hat and then an old owl sang to her, in 1999!".split()


@exercise(
    "my_overlap",
    "With n = 8 that is what the paper counts in its section 4.",
    "A list of the n-grams of each text first: lower case, `re.findall` for the words; a set for those of `train`.",
)
def overlap(answer: Callable[[str, str, int], float]) -> None:
    """The share of a text's n-grams that another text has, too."""
    rng = random.Random(6)
    cases = [("The red fox saw a hat.", "the RED fox, saw an owl", 2), ("a b c d", "A b, c!", 3)]
    for n in (2, 3):
        train, test = (" ".join(_WORDS[int(rng.random() * len(_WORDS))] for _ in range(40)) for _ in range(2))
        cases.append((train + " " + test[: len(test) // 3], test, n))
    cases.append(("a red fox", "fox", 2))  # too short to have a 2-gram
    for train, test, n in cases:
        inside, tested = _grams(train, n), _grams(test, n)
        right = _share(tested, inside)
        lower = train.lower(), test.lower()
        mistakes = (
            (_share(inside, tested), "the other way round: of the n-grams of the test text, how many are in the training text?"),
            (_share(*(_grams(text, n, plain=False) for text in (test, train))),
             "lower-case first, and leave out what is not a letter or a digit"),
            (_share(*(_grams(text, n, plain=False) for text in lower[::-1])), "punctuation is still in the words"),
            (_share(sorted(set(tested)), inside), "an n-gram that occurs twice in the test text counts twice"),
            (_share(_grams(test, 1), _grams(train, 1)), "those are single words: take n in a row"),
            (100 * right, "that is in percent: a share lies between 0 and 1"),
            (float(sum(gram in set(inside) for gram in tested)), "divide by the number of n-grams of the test text"),
        )  # fmt: skip
        where = f"for the texts {short(train)} and {short(test)}, n = {n}"
        advice = "a text that is too short to have an n-gram has the share 0" if not tested else ""
        compare(called(answer, train, test, n, advice=advice), right, mistakes, where)


def _grams(text: str, n: int, plain: bool = True) -> list[tuple]:
    words = re.findall(r"[a-z0-9]+", text.lower()) if plain else text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _share(tested: list, inside: list) -> float:
    return sum(gram in set(inside) for gram in tested) / len(tested) if tested else 0.0


@exercise(
    "my_total_variation",
    "It is the share of draws that would have to change to turn one into the other.",
    "Go over all words of both, `p.keys() | q.keys()`; `p.get(word, 0)` is 0 for a missing word.",
)
def total_variation(answer: Callable[[dict, dict], float]) -> None:
    """The distance of two distributions, given as dictionaries."""
    cases = [
        ({"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.1}),
        ({"a": 0.7, "b": 0.3}, {"b": 0.2, "c": 0.8}),
        ({"a": 0.4, "b": 0.35, "c": 0.25}, {"a": 0.25, "b": 0.15, "c": 0.3, "d": 0.3}),
    ]
    for p, q in cases:
        gaps = [p.get(w, 0.0) - q.get(w, 0.0) for w in p.keys() | q.keys()]
        right = sum(map(abs, gaps)) / 2
        mistakes = (
            (2 * right, "half of that: what one has too much of, the other has too little of, and it was counted twice"),
            (sum(abs(p[w] - q[w]) for w in p.keys() & q.keys()) / 2,
             "words that only one of the two knows count too, with probability 0 in the other"),
            (sum(abs(p[w] - q.get(w, 0.0)) for w in p) / 2, "words that only q knows are missing"),
            (max(map(abs, gaps)), "that is the largest single difference: add them all up"),
            (math.sqrt(sum(g * g for g in gaps)), "absolute differences, not squares"),
            (sum(gaps) / 2, "take the absolute value of each difference: without it they cancel"),
            (1 - right, "that is what they share: the distance is 1 minus this"),
        )  # fmt: skip
        compare(called(answer, dict(p), dict(q)), right, mistakes, f"for {p} and {q}")


@exercise(
    "my_min_p",
    "Where the model is sure the bar is high, where it is unsure the bar is low: no number of tokens has to be chosen.",
    "The bar is `least * max(probs)`; keep what is at least as high, and divide by the sum of what was kept.",
)
def min_p(answer: Callable[[list, float], list]) -> None:
    """Keep the tokens that have at least a given part of the likeliest one's probability."""
    rng = random.Random(14)
    cases = [([0.5, 0.3, 0.15, 0.05], 0.3), ([0.9, 0.04, 0.06], 0.05), ([0.1, 0.6, 0.3], 0.5)]
    for least in (0.4, 0.7):
        raw = [0.05 + rng.random() for _ in range(6)]
        cases.append(([x / sum(raw) for x in raw], least))

    def kept(probs, bar):
        total = sum(x for x in probs if x >= bar)
        return [x / total if x >= bar else 0.0 for x in probs] if total else None

    for probs, least in cases:
        top = max(probs)
        right = kept(probs, least * top)
        mistakes = (
            ([x if x >= least * top else 0.0 for x in probs], "divide by the sum of what was kept, so that it adds to 1"),
            (kept(probs, least), "the bar is a part of the largest probability, not a number of its own"),
            (kept(probs, least * probs[0]), "the likeliest token need not be the first one: take max(probs)"),
            (sorted(right, reverse=True), "the probabilities must stay at their places: position i is token i"),
            ([x / sum(y for y in probs if y < least * top) if x < least * top else 0.0 for x in probs]
             if min(probs) < least * top else None, "the other way round: keep what is above the bar"),
        )  # fmt: skip
        compare_lists(called(answer, list(probs), least), right, mistakes, f"for {short(probs)} and least = {least}")


@exercise(
    "my_residual_std",
    "So the sum of N such steps has the spread of one.",
    "How many layers write on the residual stream in each block? Variances add, not standard deviations.",
)
def residual_std(answer: Callable[[int], float]) -> None:
    """The standard deviation of the initial weights that write on the residual stream."""
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


@exercise(
    "my_word_perplexity",
    "The total does not depend on how the text is cut, so models with other tokens can be compared.",
    "Add up the nats of all tokens; divide by the number of words; then e to the power of it.",
)
def word_perplexity(answer: Callable[[list, int], float]) -> None:
    """Perplexity per word of a text that was read in tokens."""
    rng = random.Random(3)
    for n_words in (5, 12, 8):
        n_tokens = n_words + 3 + int(4 * rng.random())
        nats = [0.2 + 2 * rng.random() for _ in range(n_tokens)]
        right = math.exp(sum(nats) / n_words)
        mistakes = (
            (math.exp(sum(nats) / n_tokens), "that is per token: divide the sum by the number of words"),
            (sum(nats) / n_words, "that is the loss per word: perplexity is e to the power of it"),
            (math.exp(sum(nats)), "divide by the number of words, and then take e to the power of it"),
            (2 ** (sum(nats) / n_words), "the surprisals are in nats: the base is e, not 2"),
            (sum(math.exp(x) for x in nats) / n_words, "average first, then e to the power of it"),
            (math.exp(-sum(nats) / n_words), "the sign: surprisals are positive already"),
            (math.exp(n_words / sum(nats)), "the fraction is upside down"),
        )
        compare(called(answer, list(nats), n_words), right, mistakes, f"for {n_tokens} tokens in {n_words} words")
