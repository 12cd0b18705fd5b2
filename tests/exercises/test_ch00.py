"""The checks of chapter 00 know right from wrong, and say what is wrong."""

import json
import math
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
from exercising import grouped, named_checks

from minigpt.exact import entropy
from minigpt.exercises import ch00
from minigpt.worlds import grammar, stories


def log_sum(program, text, words=None, base=math.e):
    """The chain rule by hand, over some of the words."""
    words = (*grammar.words(text), grammar.END) if words is None else words
    before, total = "", 0.0
    for word in words:
        total -= math.log(grammar.predict(program, before).next_word[word], base)
        before += word
    return total


def without_first(program, text):
    words = grammar.words(text)
    return -sum(
        math.log(grammar.predict(program, "".join(words[:i])).next_word[w])
        for i, w in enumerate((*words, grammar.END))
        if i > 0
    )


def counted(words, weighted=True, key=lambda pair: pair):
    counts = Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            counts[pair] += count if weighted else 1
    return key(counts.most_common(1)[0][0])


def across_words(words):
    letters = [piece for word in words for piece in word]
    absent = [p for p in pairwise(letters) if not any(p in pairwise(w) for w in words)]
    return absent[0] if absent else (b"z", b"z")


def laplace(pairs, h, w, V):
    return (pairs.get((h, w), 0) + 1) / (sum(c for (left, _), c in pairs.items() if left == h) + V)


def total(pairs, h):
    return sum(c for (left, _), c in pairs.items() if left == h)


MIX = list(stories.STORYBOOK.values())


def by_count(rng, after):
    return rng.choices(list(after), after.values())[0]


def is_end(word, words):
    return word == ""


def write(counts, rng, before=lambda words: words[-1], draw=by_count, join="".join, stop=is_end):
    """A page from bigram counts; the arguments make the mistakes."""
    words = [""]
    while True:
        word = draw(rng, counts[before(words)])
        if stop(word, words):
            return join(words[1:])
        words.append(word)


def write_backwards(counts, rng):
    """Begins with any word at all."""
    words = [rng.choice([word for word in counts if word])]
    while (word := rng.choices(list(counts[words[-1]]), counts[words[-1]].values())[0]) != "":
        words.append(word)
    return "".join(words)


RIGHT = {
    "page_probability": [0.045, np.float64(0.045)],
    "two_dice": [2 * math.log(6), math.log(36), 3.58],
    "extra_cost": [0.7 * math.log(1.4) + 0.3 * math.log(0.6), 0.0823],
    "bigram": [write],
    "surprisal": [lambda p: -math.log(p), lambda p: math.log(1 / p)],
    "entropy": [lambda p: -sum(x * math.log(x) for x in p if x > 0), entropy.entropy],
    "document_surprisal": [log_sum, lambda program, text: -grammar.score(program, text).logp],
    "kl_divergence": [lambda p, q: sum(a * math.log(a / b) for a, b in zip(p, q) if a > 0), entropy.kl_divergence],
    "bits_per_byte": [lambda nats, text: nats / math.log(2) / len(text.encode("utf-8")),
                      lambda nats, text: entropy.bits_per_byte(nats, len(text.encode("utf-8")))],
    "most_frequent_pair": [counted],
    "add_one": [laplace],
    "whisper": [-sum(w * math.log(w) for w in MIX), round(entropy.entropy(MIX), 3)],
}  # fmt: skip

WRONG = [
    ("page_probability", 1.1, "you added"),
    ("page_probability", 0.09, "forgot the name"),
    ("page_probability", 0.15, "as it was"),
    ("page_probability", 0.0225, "second name is not drawn"),
    ("page_probability", 1 / 18, "not equally likely"),
    ("page_probability", "a seventh", "expected a number"),
    ("two_dice", math.log(6), "one die"),
    ("two_dice", math.log(12), "36 outcomes"),
    ("two_dice", 2 * math.log2(6), "in bits"),
    ("two_dice", 1 / 36, "that is the probability"),
    ("extra_cost", math.log(2), "whole cost"),
    ("extra_cost", entropy.entropy([0.7, 0.3]), "what the truth costs"),
    ("extra_cost", entropy.kl_divergence([0.5, 0.5], [0.7, 0.3]), "weights of the mean"),
    ("bigram", lambda c, rng: write(c, rng, draw=lambda rng, after: max(after, key=after.get)), "all pages are alike"),
    ("bigram", lambda c, rng: write(c, rng, draw=lambda rng, after: rng.choice(list(after))), "weigh them"),
    ("bigram", lambda c, rng: write(c, rng, join=" ".join), "their own spaces"),
    ("bigram", lambda c, rng: write(c, rng, join=list), "you returned the words"),
    ("bigram", lambda c, rng: write(c, rng, before=lambda words: words[-1] and rng.choice(list(c)[1:])),
     "was never counted after"),
    ("bigram", write_backwards, "a page begins with"),
    ("bigram", lambda c, rng: write(c, rng, stop=lambda word, words: len(words) > 2 or word == ""),
     "a page stops where"),
    ("bigram", lambda c, rng: write(c, rng, stop=lambda word, words: False, before=lambda words: words[-1] or "."),
     "never ends"),
    ("bigram", lambda c, rng: write(c, rng, stop=lambda word, words: word == "."), "a page stops where"),
    ("bigram", lambda c, rng: 5, "expected a page"),
    ("surprisal", lambda p: -math.log2(p), "log base 2"),
    ("surprisal", lambda p: -math.log10(p), "log base 10"),
    ("surprisal", lambda p: math.log(p), "sign"),
    ("surprisal", lambda p: 1 / p, "logarithm of that"),
    ("surprisal", lambda p: p, "it should be"),
    ("surprisal", lambda p: "much", "expected a number"),
    ("surprisal", lambda p: None, "return"),
    ("surprisal", 0.5, "function itself"),
    ("entropy", lambda p: -sum(x * math.log2(x) for x in p if x > 0), "log base 2"),
    ("entropy", lambda p: sum(x * math.log(x) for x in p if x > 0), "sign"),
    ("entropy", lambda p: -sum(math.log(x) for x in p if x > 0), "without weights"),
    ("entropy", lambda p: -sum(math.log(x) for x in p if x > 0) / len(p), "plain mean"),
    ("entropy", lambda p: -sum(x * math.log(x) for x in p), "probability 0"),
    ("entropy", lambda p: math.log(len(p)), "equally likely"),
    ("document_surprisal", lambda g, t: log_sum(g, t, grammar.words(t)), "forgot the end"),
    ("document_surprisal", without_first, "forgot the first word"),
    ("document_surprisal", lambda g, t: log_sum(g, t, base=2), "in bits"),
    ("document_surprisal", lambda g, t: grammar.score(g, t).logp, "sign"),
    ("document_surprisal", lambda g, t: log_sum(g, t) / (len(grammar.words(t)) + 1), "divided by the number of words"),
    ("document_surprisal", lambda g, t: math.exp(grammar.score(g, t).logp), "that is the probability"),
    ("kl_divergence", lambda p, q: entropy.kl_divergence(q, p), "wrong way round"),
    ("kl_divergence", entropy.cross_entropy, "that is the cross-entropy"),
    ("kl_divergence", lambda p, q: sum(a * math.log2(a / b) for a, b in zip(p, q) if a > 0), "in bits"),
    ("kl_divergence", lambda p, q: sum(a * math.log(a / b) for a, b in zip(p, q)), "leave those terms out"),
    ("kl_divergence", lambda p, q: -entropy.kl_divergence(p, q), "sign"),
    ("bits_per_byte", lambda nats, text: nats / math.log(2) / len(text), "é is two bytes"),
    ("bits_per_byte", lambda nats, text: nats / len(text.encode("utf-8")), "nats per byte"),
    ("bits_per_byte", lambda nats, text: nats * math.log(2) / len(text.encode("utf-8")), "multiplied"),
    ("most_frequent_pair", lambda words: counted(words, weighted=False), "use the counts of the words"),
    ("most_frequent_pair", lambda words: counted(words, key=b"".join), "merged token"),
    ("most_frequent_pair", lambda words: (counted(words), 3), "more than the pair"),
    ("most_frequent_pair", lambda words: counted(words)[::-1], "wrong way round"),
    ("most_frequent_pair", across_words, "not neighbours"),
    ("add_one", lambda pairs, h, w, V: pairs.get((h, w), 0) / max(1, total(pairs, h)), "plain count"),
    ("add_one", lambda pairs, h, w, V: (pairs.get((h, w), 0) + 1) / (total(pairs, h) + 1), "c(h) + V"),
    ("add_one", lambda pairs, h, w, V: (pairs.get((h, w), 0) + 1) / max(1, total(pairs, h)), "grow too"),
    ("add_one", lambda pairs, h, w, V: (pairs[h, w] + 1) / (total(pairs, h) + V), "stopped with KeyError"),
    ("add_one", lambda pairs, h, w, V: (pairs.get((w, h), 0) + 1) / (total(pairs, w) + V), "with h first"),
    ("whisper", entropy.entropy(MIX) / math.log(2), "in bits"),
    ("whisper", math.log(6), "not equally likely"),
    ("whisper", 7.0, "7.0000 is not it"),
    ("whisper", "a lot", "expected a number"),
]


def test_the_tiny_world_of_the_lesson_is_the_one_that_its_exercise_asks_about():
    notebook = json.loads((Path(__file__).parents[2] / "chapters" / "00_world.ipynb").read_text(encoding="utf-8"))
    (source,) = ["".join(cell["source"]) for cell in notebook["cells"] if "def tiny(d):" in "".join(cell["source"])]
    names = {}
    exec(source.split("\nrng = ")[0], names)
    page = "Lucy found a key. Lucy kept the key."
    probabilities = {text: p for text, p, _ in grammar.documents(names["tiny"])}
    assert math.isclose(probabilities[page], 0.15) and len(probabilities) == 6

    def drawn_anew(d):
        name = d.pick(["Tom", "Lucy"])
        things, weights = [" hat", " key", " bell"], [0.6, 0.3, 0.1]
        d.pick(things, weights, form=lambda t: f" found a{t}.")
        d.pick(things, weights, form=lambda t: f" {name} kept the{t}.")

    probabilities = {text: p for text, p, _ in grammar.documents(drawn_anew)}
    assert math.isclose(probabilities[page], RIGHT["page_probability"][0]) and len(probabilities) == 18
    assert any(page in "".join(cell["source"]) for cell in notebook["cells"])


def test_a_refusal_does_not_give_a_number_away(capsys):
    for guess in [random.Random(1).random() for _ in range(3)]:
        ch00.whisper(guess)
    assert f"{entropy.entropy(MIX):.2f}" not in capsys.readouterr().out


globals().update(named_checks(ch00, RIGHT, grouped(WRONG)))
