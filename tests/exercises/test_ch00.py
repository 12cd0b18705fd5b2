"""The checks of chapter 00 know right from wrong, and say what is wrong."""

import math
import random
from collections import Counter
from itertools import pairwise

import pytest
from exercising import odd_checks

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

RIGHT = {
    "surprise": [lambda p: -math.log(p), lambda p: math.log(1 / p)],
    "entropy": [lambda p: -sum(x * math.log(x) for x in p if x > 0), entropy.entropy],
    "document_surprise": [log_sum, lambda program, text: -grammar.score(program, text).logp],
    "kl_divergence": [lambda p, q: sum(a * math.log(a / b) for a, b in zip(p, q) if a > 0), entropy.kl_divergence],
    "bits_per_byte": [lambda nats, text: nats / math.log(2) / len(text.encode("utf-8")),
                      lambda nats, text: entropy.bits_per_byte(nats, len(text.encode("utf-8")))],
    "most_frequent_pair": [counted],
    "add_one": [laplace],
    "whisper": [-sum(w * math.log(w) for w in MIX), round(entropy.entropy(MIX), 3)],
}  # fmt: skip

WRONG = [
    ("surprise", lambda p: -math.log2(p), "log base 2"),
    ("surprise", lambda p: -math.log10(p), "log base 10"),
    ("surprise", lambda p: math.log(p), "sign"),
    ("surprise", lambda p: 1 / p, "logarithm of that"),
    ("surprise", lambda p: p, "it should be"),
    ("surprise", lambda p: "much", "expected a number"),
    ("surprise", lambda p: None, "return"),
    ("surprise", 0.5, "function itself"),
    ("entropy", lambda p: -sum(x * math.log2(x) for x in p if x > 0), "log base 2"),
    ("entropy", lambda p: sum(x * math.log(x) for x in p if x > 0), "sign"),
    ("entropy", lambda p: -sum(math.log(x) for x in p if x > 0), "without weights"),
    ("entropy", lambda p: -sum(math.log(x) for x in p if x > 0) / len(p), "plain mean"),
    ("entropy", lambda p: -sum(x * math.log(x) for x in p), "probability 0"),
    ("entropy", lambda p: math.log(len(p)), "equally likely"),
    ("document_surprise", lambda g, t: log_sum(g, t, grammar.words(t)), "forgot the end"),
    ("document_surprise", without_first, "forgot the first word"),
    ("document_surprise", lambda g, t: log_sum(g, t, base=2), "in bits"),
    ("document_surprise", lambda g, t: grammar.score(g, t).logp, "sign"),
    ("document_surprise", lambda g, t: log_sum(g, t) / (len(grammar.words(t)) + 1), "divided by the number of words"),
    ("document_surprise", lambda g, t: math.exp(grammar.score(g, t).logp), "that is the probability"),
    ("kl_divergence", lambda p, q: entropy.kl_divergence(q, p), "wrong way round"),
    ("kl_divergence", entropy.cross_entropy, "that is the cross-entropy"),
    ("kl_divergence", lambda p, q: sum(a * math.log2(a / b) for a, b in zip(p, q) if a > 0), "in bits"),
    ("kl_divergence", lambda p, q: sum(a * math.log(a / b) for a, b in zip(p, q)), "leave those terms out"),
    ("kl_divergence", lambda p, q: -entropy.kl_divergence(p, q), "sign"),
    ("bits_per_byte", lambda nats, text: nats / math.log(2) / len(text), "é is two bytes"),
    ("bits_per_byte", lambda nats, text: nats / len(text.encode("utf-8")), "nats per byte"),
    ("bits_per_byte", lambda nats, text: nats * math.log(2) / len(text.encode("utf-8")), "multiplied"),
    ("most_frequent_pair", lambda words: counted(words, weighted=False), "use the counts of the words"),
    ("most_frequent_pair", lambda words: counted(words, key=b"".join), "joined token"),
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


@pytest.mark.parametrize(("check", "answer"), [(check, answer) for check, answers in RIGHT.items() for answer in answers])
def test_right_answers_are_accepted(check, answer, capsys):
    getattr(ch00, check)(answer)
    assert ": correct. " in capsys.readouterr().out


@pytest.mark.parametrize("check", RIGHT)
def test_an_untouched_exercise_is_not_attempted_yet(check, capsys):
    for untouched in [...] if check == "whisper" else [..., lambda *arguments: ...]:
        getattr(ch00, check)(untouched)
        assert capsys.readouterr().out.endswith(": not attempted yet\n")


@pytest.mark.parametrize(("check", "answer", "diagnosis"), WRONG, ids=[f"{c}: {d}" for c, _, d in WRONG])
def test_wrong_answers_are_refused_with_a_diagnosis(check, answer, diagnosis, capsys):
    getattr(ch00, check)(answer)
    printed = capsys.readouterr().out
    assert ": not yet. " in printed and diagnosis.lower() in printed.lower() and printed.count("\n") == 1


def test_every_exercise_is_tried_here_and_numbered_in_order(capsys):
    public = [name for name, thing in vars(ch00).items() if getattr(thing, "__module__", "") == ch00.__name__]
    assert [name for name in public if not name.startswith("_")] == list(RIGHT)
    for number, check in enumerate(RIGHT, start=1):
        getattr(ch00, check)(...)
        assert capsys.readouterr().out.startswith(f"exercise {number}: ")


def test_a_refusal_does_not_give_a_number_away(capsys):
    for guess in [random.Random(1).random() for _ in range(3)]:
        ch00.whisper(guess)
    assert f"{entropy.entropy(MIX):.2f}" not in capsys.readouterr().out


globals().update(odd_checks(ch00, RIGHT))
