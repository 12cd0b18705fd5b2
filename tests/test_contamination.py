"""n-grams by hand, and a Bloom filter against an exact set."""

import math

import pytest

from minigpt import contamination


def test_ngrams_by_hand():
    assert contamination.ngrams("Don't stop-me NOW", 3) == [("don", "t", "stop"), ("t", "stop", "me"), ("stop", "me", "now")]
    assert contamination.ngrams("one two", 8) == []
    assert contamination.ngrams("Élan vital 42_x", 1) == [("élan",), ("vital",), ("42",), ("x",)]
    with pytest.raises(ValueError, match="at least 1 word; got n = 0"):
        contamination.ngrams("a", 0)


def test_share_by_hand():
    seen = contamination.known(["The red fox saw a hat.", "An owl"], 2)
    assert len(seen) == 6
    assert contamination.share("the RED fox, saw an owl", seen, 2) == 4 / 5
    assert contamination.share("", seen, 2) == 0.0


def test_a_bloom_filter_never_forgets_and_seldom_errs():
    rate, n = 0.01, 5000
    known = contamination.BloomFilter(n, rate)
    for i in range(n):
        known.add(("gram", str(i)))
    assert all(("gram", str(i)) in known for i in range(n))
    wrong = sum(("other", str(i)) in known for i in range(20_000))
    assert abs(wrong - 200) < 6 * math.sqrt(200)
    assert sum(bin(byte).count("1") for byte in known.bits) / known.n_bits == pytest.approx(0.5, abs=0.02)


def test_a_bloom_filter_has_the_size_of_the_formula():
    known = contamination.BloomFilter(1000)
    assert known.n_bits / 1000 == pytest.approx(math.log(1e8) / math.log(2) ** 2, abs=0.01)
    assert known.n_hashes == 27
    assert contamination.share("a b c d", known, 2) == 0.0
    for size in ((0, 0.1), (10, 0.0), (10, 1.0)):
        with pytest.raises(ValueError, match="at least 1 gram and a rate"):
            contamination.BloomFilter(*size)


def test_a_bloom_filter_gives_the_same_shares_as_the_set():
    train = [f"the {a} {b} went to the {c}" for a in ("red", "old") for b in ("fox", "owl") for c in ("sea", "farm")]
    seen = contamination.known(train, 4)
    filtered = contamination.BloomFilter(len(seen))
    for gram in seen:
        filtered.add(gram)
    for text in ("The old fox went to the moon", "a red owl went to the sea", "nothing of this is there at all"):
        assert contamination.share(text, filtered, 4) == contamination.share(text, seen, 4)


def test_text_without_blanks_is_compared_by_characters():
    seen = contamination.known(["从前有一只红狐狸住在海边的小屋里。", "むかしむかし、あるところに。"])
    assert contamination.share("一只红狐狸住在海边的小屋", seen) == 1.0
    assert contamination.share("有一只红狐狸住在山上的小屋里", seen) == 1 / 7  # 8 of its 14 characters in a row
    assert contamination.share("一只蓝猫头鹰飞过了田野和森林", seen) == 0.0
    assert contamination.ngrams("กา 1", 2) == [("ก", "า"), ("า", "1")]
    assert contamination.ngrams("GPT模型 v2", 1) == [("gpt",), ("模",), ("型",), ("v2",)]


def test_tokens_are_taken_as_they_are():
    seen = contamination.known([[1, 2, 3, 4], [5, 6]], 2)
    assert seen == {(1, 2), (2, 3), (3, 4), (5, 6)} and contamination.share([2, 3, 5], seen, 2) == 0.5
    filtered = contamination.BloomFilter(4)
    for gram in seen:
        filtered.add(gram)
    assert contamination.share([2, 3, 5], filtered, 2) == 0.5


def test_one_string_in_place_of_several():
    with pytest.raises(ValueError, match=r"write \[text\]"):
        contamination.known("one string")
    for n in (True, 2.0, "2"):
        with pytest.raises(ValueError, match="at least 1 word"):
            contamination.ngrams("a b", n)
