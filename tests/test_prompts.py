"""Prompts put together, and answers scored, by hand."""

import random
from collections import Counter
from itertools import permutations

import pytest

from minigpt.prompts import Example, bleu, build, draw, exact_match, f1, fit, in_words, normalise

POOL = [Example(word, f" {word.upper()}") for word in ("ant", "bee", "cow", "dog")]


def words(text: str) -> int:
    return len(text.split())


def test_a_prompt_is_description_examples_question():
    assert build("Shout:", POOL[:2], POOL[3]) == "Shout:\nant ANT\nbee BEE\ndog"
    assert build("", POOL[:1], "cat", separator="\n\n") == "ant ANT\n\ncat"
    assert build("Examples:", POOL[:2], "cow", separator=" ") == "Examples: ant ANT bee BEE cow"
    assert build("Shout:", [], "cow") == "Shout:\ncow"


def test_the_answer_of_the_question_is_never_in_the_prompt():
    assert "DOG" not in build("Shout:", POOL[:3], POOL[3])


def test_the_query_is_never_drawn_and_every_order_is_as_likely():
    rng = random.Random(0)
    counts = Counter(tuple(e.context for e in draw(POOL, 2, rng, query=POOL[1])) for _ in range(6000))
    assert set(counts) == set(permutations(("ant", "cow", "dog"), 2))
    assert all(abs(count - 1000) < 4 * (6000 * 5 / 36) ** 0.5 for count in counts.values())


def test_every_equal_of_the_query_is_left_out():
    assert draw([POOL[0], POOL[1], POOL[0]], 1, random.Random(1), query=Example("ant", " ANT")) == [POOL[1]]


def test_a_larger_k_adds_to_a_smaller_one():
    two, three = (draw(POOL, k, random.Random(7)) for k in (2, 3))
    assert three[:2] == two and draw(POOL, 0, random.Random(7)) == []


@pytest.mark.parametrize("n_ctx", range(3, 16))
@pytest.mark.parametrize("description", ["", "Please shout:"])
def test_as_many_fit_as_fit(n_ctx, description):
    extra = words(description)
    if 1 + extra + 2 > n_ctx:
        with pytest.raises(ValueError, match=f"needs {1 + extra} tokens, and 2 .* holds {n_ctx}"):
            fit(description, POOL[:3], "dog", words, n_ctx, room=2)
    else:  # each demonstration has two words
        assert fit(description, POOL[:3], "dog", words, n_ctx, room=2) == min(3, (n_ctx - 3 - extra) // 2)


def test_labels_get_words():
    asked = in_words(Example("Is it wet?", "1", ("0", "1")), {"0": " False", "1": " True"})
    assert asked == Example("Is it wet?", " True", (" False", " True"))
    assert in_words(Example("x", "1"), {"1": " yes"}) == Example("x", " yes")


@pytest.mark.parametrize(
    ("text", "bare"),
    [("A fox", "fox"), ("Answer", "answer"), ("the THE theatre", "theatre"), ("It's  an\nowl.", "its owl"), ("an", "")],
)
def test_normalised(text, bare):
    assert normalise(text) == bare


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "score"),
    [
        ("Tom the fox", "fox Tom", 0, 1),  # the order of words does not matter to F1
        ("the red hat", ["a red hat", "hat"], 1, 1),
        ("red hat", "blue hat", 0, 1 / 2),
        ("red red hat", "red hat hat", 0, 2 / 3),  # common: one red, one hat
        ("", "hat", 0, 0),
        ("the", "a", 1, 1),  # nothing left of either
        ("x y z", ["x", "x y", "q"], 0, 4 / 5),
        ("北京。", "北京", 1, 1),
        ("「北京」", "北京", 1, 1),
        ("the owl’s nest", "owl's nest", 1, 1),
        ("the owlʼs nest", "owl's nest", 1, 1),
        ("“forest”", "forest", 1, 1),
        ("«\u00a0forêt\u00a0»", "forêt", 1, 1),
        ("1914–1918", "1914-1918", 1, 1),
        ("well—known", "well-known", 1, 1),
        ("\u22125 degrees", "-5 degrees", 1, 1),
        ("cafe\u0301 noir", "caf\u00e9 noir", 1, 1),  # NFD and NFC
        ("¿la forêt?", "la foret", 0, 1 / 2),  # an accent is no punctuation
        ("नमस्ते", "नमसत", 0, 0),  # nor are vowel signs
    ],
)
def test_exact_match_and_f1_by_hand(prediction, answers, exact, score):
    assert exact_match(prediction, answers) == exact
    assert f1(prediction, answers) == pytest.approx(score)


def test_bleu_by_hand():
    said, wanted = "the the the the the the the", "the cat is on the mat"  # Papineni et al., section 2.1
    assert bleu([said], [wanted], max_n=1) == pytest.approx(100 * 2 / 7)
    assert bleu([wanted], [wanted]) == pytest.approx(100) and bleu([said], [wanted]) == 0
    # brevity: all 3 words right of 6, both pairs of words right
    assert bleu(["the cat is"], [wanted], max_n=2) == pytest.approx(100 * 2.718281828 ** (1 - 6 / 3))
    # a whole test set is one text: (3 + 1) / (3 + 2) words and 2 / (2 + 1) pairs
    both = bleu(["the cat is", "on hat"], ["the cat is", "on mat"], max_n=2)
    assert both == pytest.approx(100 * (4 / 5 * 2 / 3) ** 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Example("x", ""), "needs a completion"),
        (lambda: Example("x", " y", (" z",)), "not among the choices"),
        (lambda: draw(POOL, 4, random.Random(0), POOL[0]), "from 0 to 3"),
        (lambda: draw(POOL, -1, random.Random(0)), "got -1"),
        (lambda: in_words(Example("x", "0", ("0", "1")), {"0": " no"}), "word of its own"),
        (lambda: in_words(Example("x", "0", ("0", "1")), {"0": " no", "1": " no"}), "word of its own"),
        (lambda: exact_match("x", []), "at least one right answer"),
        (lambda: f1("x", ""), "at least one right answer"),
        (lambda: bleu(["x"], []), "as many answers"),
        (lambda: bleu("fox", "fox"), "several predictions .* got one string, 'fox'"),
        (lambda: Example("x", "a", "ab"), "choices as several texts; got one string, 'ab'"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
