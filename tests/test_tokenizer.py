"""tokens: checked against tiktoken's educational trainer, the published GPT-2 pattern, and by hand."""

import errno
import hashlib
import os
import random
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from tiktoken._educational import SimpleBytePairEncoding, bpe_encode, bpe_train

from minigpt.tokenizer import (
    PATTERN,
    SPECIALS,
    Tokenizer,
    _lines,
    count_pretokens,
    load,
    merge,
    merge_steps,
    pretokens,
    save,
    train_bpe,
)

BYTES = {bytes([byte]): byte for byte in range(256)}
SHARED = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare.txt"

# The opening of "Alice's Adventures in Wonderland" (Lewis Carroll, 1865) and of "Du côté de chez Swann" (Marcel
# Proust, 1913), both in the public domain.
ALICE = """Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do: once
or twice she had peeped into the book her sister was reading, but it had no pictures or conversations in it, "and what
is the use of a book," thought Alice "without pictures or conversations?"

So she was considering in her own mind (as well as she could, for the hot day made her feel very sleepy and stupid),
whether the pleasure of making a daisy-chain would be worth the trouble of getting up and picking the daisies, when
suddenly a White Rabbit with pink eyes ran close by her.

There was nothing so very remarkable in that; nor did Alice think it so very much out of the way to hear the Rabbit say
to itself, "Oh dear! Oh dear! I shall be late!" (when she thought it over afterwards, it occurred to her that she ought
to have wondered at this, but at the time it all seemed quite natural).
"""
SWANN = """Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se fermaient si
vite que je n'avais pas le temps de me dire: «Je m'endors.» Et, une demi-heure après, la pensée qu'il était temps de
chercher le sommeil m'éveillait; je voulais poser le volume que je croyais avoir encore dans les mains et souffler
ma lumière.
"""
# fmt: off
TRICKY = [
    "", " ", "  ", "\n", "\n\n", " \n", "\n ", "\t", "\r\n", "\r", "a", " a", "  a", "a ", "a  ", "a\n", "\na",
    "a\n\nb", "a \n b", "a  \n\n  b  ", "\u00a0a", "a\u00a0\u00a0b", "\u2028", "\u3000x", "\x00", "\x1c", "\x1f a",
    "\ufeffa", "\x85", "it's I'd we'll we've you're don't I'm", "IT'S", "'s", "''s", " 's", "'tis", "'", "' s",
    "'ll'll",
    "rock'n'roll", "12 345", "a1b2", "1234 0123456789 2026", "²", "Ⅷ", "½ ٣", "1,000.50", "!!!", " !!!", "a!?b", "...\n",
    "--x", "<|endoftext|>", "<|x",
    "déjà vu", "de\u0301ja\u0300", "naïve œuvre", "ÀÉÎÕÜ", "ß", "ﬁ", "日本語 テキスト", "한국어", "שלום", "مرحبا", "हिन्दी",
    "🙂", " 🙂🙂", "👩\u200d👩\u200d👧", "🇫🇷", "👍🏽", "\U0001f9ec x", "\u0301", "a\u0301\u0302", "\u200b", "\ud7ff", "\uffff",
    ALICE, SWANN, "    def f(x):\n\treturn x  # hm\n",
]
# fmt: on
LONG_RUNS = ["a" * 5000, " " * 5000, " " * 5000 + "x", "\n" * 999 + "y", "!" * 999]
PUBLISHED = r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe([ALICE, SWANN], 400)


def random_text(rng):
    """Letters, white space, signs, accents, emoji, and any character of Unicode but the halves (surrogates)."""
    pools = [
        "etaoinshrdlu",
        " ",
        " \n\t\r\u00a0\u2003",
        "'.,;:!?-\"«»<|>",
        "éàçœÊ",
        "\u0301\u0300\u0327",
        "🙂👩\u200d👧🇫🇷\U0001f3fd",
    ]
    characters = []
    for _ in range(rng.randrange(40)):
        pool = rng.choice([*pools, None])
        code = rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])
        characters.append(chr(code) if pool is None else rng.choice(pool))
    return "".join(characters)


# --- pre-tokens -----------------------------------------------------------------------------------------------------


def test_pretokens_are_those_of_the_published_pattern():
    rng = random.Random(0)
    for text in [*TRICKY, *LONG_RUNS, *(random_text(rng) for _ in range(3000))]:
        assert pretokens(text) == regex.findall(PUBLISHED, text), ascii(text)


def test_pretokens_put_together_are_the_text():
    rng = random.Random(1)
    for text in [*TRICKY, *LONG_RUNS, *(random_text(rng) for _ in range(1000))]:
        assert "".join(pretokens(text)) == text


def test_tiktoken_cuts_where_python_cuts(tokenizer):
    """The regular expressions of Rust and of Python read PATTERN alike: the educational encoder uses Python's."""
    for text in TRICKY:
        parts = [
            id for word in pretokens(text) for id in bpe_encode(tokenizer.ranks, word.encode(), visualise=None)
        ]
        assert tokenizer.encode(text) == parts, ascii(text)


# --- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [ALICE, SWANN, SWANN + ALICE, "aaaa aaaaaaa aaa baaab", "🙂🙂 🙂🙃 été été"])
def test_training_equals_the_educational_trainer(text):
    """Every token and its rank, to the last pair: most of these merges are decided by ties."""
    n_merges = len(list(merge_steps([text], 10_000)))
    expected = bpe_train(text, 256 + min(n_merges, 300), PATTERN, visualise=None)
    assert train_bpe([text], 260 + min(n_merges, 300)).ranks == expected


@pytest.mark.skipif(not SHARED.exists(), reason="tinyshakespeare.txt lies beside the checkout on some machines only")
def test_training_equals_the_educational_trainer_on_shakespeare():
    text = SHARED.read_text(encoding="utf-8")[200_000:208_000]
    assert train_bpe([text], 260 + 300).ranks == bpe_train(text, 256 + 300, PATTERN, visualise=None)


def test_each_step_is_a_most_frequent_pair_by_recounting():
    """After each merge, count all pairs again from nothing: the next step must have the largest count."""
    words = {word: [bytes([byte]) for byte in word] for word in count_pretokens([ALICE])}
    repeats = count_pretokens([ALICE])
    for step in merge_steps([ALICE], 150):
        counts = Counter()
        for word, parts in words.items():
            for pair in pairwise(parts):
                counts[pair] += repeats[word]
        assert step.count == counts[step.pair] == max(counts.values())
        assert step.merged == b"".join(step.pair)
        words = {word: merge(parts, step.pair) for word, parts in words.items()}


def test_training_by_hand():
    # hat 2, cat 1, hut 1 (with their spaces): "at" 3; then " h" 3; then " hat" 2; the rest occur once, first met first
    steps = list(merge_steps(["cat hat hat hut"], 99))
    assert [step.merged for step in steps] == [b"at", b" h", b" hat", b"cat", b" hu", b" hut"]
    assert [step.count for step in steps] == [3, 3, 2, 1, 1, 1]


def brute_force(texts, n_merges):
    """Training by the book: count all pairs anew, take the most frequent, the first in the text among equals."""
    words = [([bytes([byte]) for byte in word], n) for word, n in count_pretokens(texts).items()]
    for _ in range(n_merges):
        counts = Counter()  # remembers who came first
        for word, n in words:
            for pair in pairwise(word):
                counts[pair] += n
        if not counts:
            return
        pair = max(counts, key=counts.get)
        yield pair, counts[pair]
        words = [(merge(word, pair), n) for word, n in words]


def test_training_equals_brute_force_on_text_of_few_letters():
    """Runs of equal letters, long words without blanks, and ties everywhere."""
    rng = random.Random(6)
    for trial in range(60):
        letters = ["ab", "a", "abc ", "日本語。", "ACGT", "aé 1!"][trial % 6]
        texts = ["".join(rng.choice(letters) for _ in range(rng.randrange(1, 120))) for _ in range(rng.randrange(1, 4))]
        steps = [(step.pair, step.count) for step in merge_steps(texts, 40)]
        assert steps == list(brute_force(texts, 40)), texts


def test_the_time_grows_with_the_text_and_not_with_the_longest_word():
    """One word of DNA and the same letters in words of ten: a merge must not go through the whole word each time."""
    rng = random.Random(7)
    letters = [rng.choice("ACGT") for _ in range(100_000)]
    long, short = "".join(letters), "".join(x + " " * (i % 10 == 9) for i, x in enumerate(letters))
    took = []
    for text in (short, long, long + long[::-1]):
        start = time.process_time()
        train_bpe([text], 700)
        took.append(time.process_time() - start)
    assert took[1] < 5 * took[0] + 1 and took[2] < 4 * took[1] + 1 and took[1] < 10  # 45 s when words were walked


def test_progress_sees_every_step():
    seen = []

    def watch(steps, n_steps):
        for step in steps:
            seen.append((step.merged, n_steps))
            yield step

    tokenizer = train_bpe([ALICE], 300, progress=watch)
    assert tokenizer == train_bpe([ALICE], 300)
    assert seen == [(tokenizer.decode_bytes(256 + i), 40) for i in range(40)]


def test_pairs_that_run_out_give_a_smaller_vocabulary():
    small = train_bpe(["cat hat hat hut"], 1000)
    assert small.n_vocab == 256 + 6 + 4
    assert len(small.encode("cat hat hut")) == 3


def test_documents_are_counted_apart_and_a_generator_will_do():
    assert train_bpe((text for text in ["ab", "ab", "b"]), 999).ranks == {**BYTES, b"ab": 256}
    assert train_bpe([ALICE, SWANN], 500).ranks == train_bpe([ALICE, SWANN], 500).ranks


@pytest.mark.parametrize("n_vocab", [259, 0, -1, 300.0, "300", None])
def test_bad_sizes(n_vocab):
    with pytest.raises(ValueError, match="n_vocab"):
        train_bpe([ALICE], n_vocab)


def test_bad_numbers_of_merges():
    for n_merges in (-1, 2.5):
        with pytest.raises(ValueError, match="n_merges"):
            merge_steps([ALICE], n_merges)


@pytest.mark.parametrize(
    "texts, message", [([], "no text"), (["", ""], "no text"), ("abc", r"\[text\]"), ([b"abc"], "bytes")]
)
def test_bad_texts(texts, message):
    with pytest.raises(ValueError, match=message):
        train_bpe(texts, 300)


# --- encoding and decoding ------------------------------------------------------------------------------------------


def test_decoding_gives_the_text_back(tokenizer):
    rng = random.Random(2)
    bare = Tokenizer(BYTES)
    for text in [*TRICKY, *LONG_RUNS, *(random_text(rng) for _ in range(5000))]:
        assert tokenizer.decode(tokenizer.encode(text), errors="strict") == text, ascii(text)
        assert bare.encode(text) == list(text.encode("utf-8"))


def test_encoding_equals_the_educational_encoder(tokenizer):
    slow = SimpleBytePairEncoding(pat_str=PATTERN, mergeable_ranks=tokenizer.ranks)
    for text in TRICKY:
        assert tokenizer.encode(text) == slow.encode(text, visualise=None), ascii(text)


def test_no_text_injects_a_special_token(tokenizer):
    pieces = [*SPECIALS, " ", "a", "<|", "|>", "\n", "<|endofprompt|>"]
    rng = random.Random(3)
    texts = ["<|endoftext|> <|start|>", "a<|delim|>b<|extract|>"]
    texts += ["".join(rng.choice(pieces) for _ in range(6)) for _ in range(500)]
    for text in texts:
        ids = tokenizer.encode(text)
        assert max(ids) < tokenizer.endoftext
        assert tokenizer.decode(ids) == text


def test_special_ids_come_after_all_others(tokenizer):
    n = len(tokenizer.ranks)
    ids = [tokenizer.endoftext, tokenizer.start, tokenizer.delim, tokenizer.extract]
    assert ids == [n, n + 1, n + 2, n + 3] and tokenizer.n_vocab == n + 4
    assert tokenizer.decode(ids) == "<|endoftext|><|start|><|delim|><|extract|>"
    assert [tokenizer.decode_bytes(id).decode() for id in ids] == list(SPECIALS)
    assert tokenizer.encoding.eot_token == tokenizer.endoftext


def test_the_bytes_of_a_token(tokenizer):
    for token, rank in tokenizer.ranks.items():
        assert tokenizer.decode_bytes(rank) == token


@pytest.mark.parametrize("id", ["the first", -1, 10**6, 2**70])
def test_unknown_ids(tokenizer, id):
    id = tokenizer.n_vocab if id == "the first" else id
    with pytest.raises(ValueError, match=f"got {id} at place 1"):
        tokenizer.decode([0, id])
    with pytest.raises(ValueError, match=f"from 0 to {tokenizer.n_vocab - 1}, got {id}"):
        tokenizer.decode_bytes(id)


@pytest.mark.parametrize("id", [1.0, "a", None])
def test_ids_that_are_no_whole_numbers(tokenizer, id):
    with pytest.raises(ValueError, match="whole number"):
        tokenizer.decode([id])


def test_half_a_character(tokenizer):
    first, *_ = "é".encode()
    assert tokenizer.decode([first, ord("a")]) == "\ufffda"
    with pytest.raises(UnicodeDecodeError):
        tokenizer.decode([first], errors="strict")
    with pytest.raises(ValueError, match="place 2"):
        tokenizer.encode("ab\ud800")


def test_what_is_not_a_text(tokenizer):
    for thing in (None, b"abc", 3, ["abc"]):
        with pytest.raises(ValueError, match="expected a text"):
            tokenizer.encode(thing)


@pytest.mark.slow
def test_a_million_spaces_are_refused_before_tiktoken_panics(tokenizer):
    with pytest.raises(ValueError, match="spaces"):
        tokenizer.encode(" " * 1_200_000 + "x")
    assert len(tokenizer.encode("!" * 600_000)) > 0


# --- ranks ----------------------------------------------------------------------------------------------------------

BAD_RANKS = {
    "256 single bytes": {token: rank for token, rank in BYTES.items() if rank != 7},
    "each once": {**BYTES, b"ab": 5},
    "got 300 where 256": {**BYTES, b"ab": 300},
    "got -1": {**BYTES, b"ab": -1},
    "not empty": {**BYTES, b"": 256},
    "bytes": {**BYTES, "ab": 256},
    "whole number": {**BYTES, b"ab": 256.0},
    "dictionary": list(BYTES),
}


@pytest.mark.parametrize("message", BAD_RANKS)
def test_bad_ranks_are_refused(message):
    with pytest.raises(ValueError, match=message):
        Tokenizer(BAD_RANKS[message])


def test_ranks_need_not_start_with_the_bytes_in_order():
    """GPT-2's own ranks begin with "!"."""
    turned = {bytes([byte]): (byte - 33) % 256 for byte in range(256)}
    assert Tokenizer(turned).encode('!"#') == [0, 1, 2]


def test_paths_of_readers(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save(tokenizer, "~/v.txt")
    assert load(tmp_path / "v.txt") == load("~/v.txt") == tokenizer
    for path in ("", None):
        with pytest.raises(ValueError, match="expected a path|expected the path"):
            load(path)


# --- files ----------------------------------------------------------------------------------------------------------


def test_save_and_load(tokenizer, tmp_path):
    save(tokenizer, tmp_path / "new" / "vocabulary.txt")
    loaded = load(tmp_path / "new" / "vocabulary.txt")
    assert loaded == tokenizer and loaded.fingerprint == tokenizer.fingerprint
    assert list(loaded.ranks) == list(tokenizer.ranks)
    data = (tmp_path / "new" / "vocabulary.txt").read_bytes()
    assert hashlib.sha256(data).hexdigest() == tokenizer.fingerprint
    assert data.splitlines()[97] == b"YQ== 97" and b"\r" not in data
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["vocabulary.txt"]


def test_windows_line_ends_do_no_harm(tokenizer, tmp_path):
    save(tokenizer, tmp_path / "v")
    (tmp_path / "v").write_bytes((tmp_path / "v").read_bytes().replace(b"\n", b"\r\n"))
    assert load(tmp_path / "v") == tokenizer


def test_fingerprints_differ_when_ranks_do():
    assert Tokenizer(BYTES).fingerprint != Tokenizer({**BYTES, b"ab": 256}).fingerprint
    assert Tokenizer(BYTES, name="other").fingerprint == Tokenizer(BYTES).fingerprint


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda data: data[:-1], "line break at its end"),
        (lambda data: data[:-42], "line break at its end"),
        (lambda data: data[: len(data) // 2] + b"\n", "line"),
        (lambda data: data.replace(b"YQ== 97\n", b""), "missing"),
        (lambda data: data.replace(b"YQ== 97\n", b"YQ== 97\nYQ== 400\n"), "line 99: expected each token once"),
        (lambda data: data.replace(b"YQ== 97\n", b"Y?== 97\n"), "line 98"),
        (lambda data: data.replace(b"YQ== 97\n", b"YQ== x\n"), "line 98"),
        (lambda data: data.replace(b"YQ== 97\n", b"YQ== 98\n"), "each once"),
        (lambda data: b"\x89PNG\r\n\x1a\n" + data, "line 1"),
        (lambda data: b"", "line break"),
        (lambda data: b"\n", "line 1"),
        (lambda data: b"YQ== 0\n", "256 single bytes"),
    ],
)
def test_damaged_files(tokenizer, tmp_path, damage, message):
    path = tmp_path / "vocabulary.txt"
    save(tokenizer, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert "vocabulary.txt" in str(caught.value)


def test_lines_lost_at_the_end_show_in_the_fingerprint(tokenizer, tmp_path):
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(b"".join(_lines(tokenizer.ranks).splitlines(keepends=True)[:-3]))
    assert load(path).n_vocab == tokenizer.n_vocab - 3
    with pytest.raises(ValueError, match="another vocabulary"):
        load(path, fingerprint=tokenizer.fingerprint)


def test_a_full_disk_loses_nothing(tokenizer, tmp_path, monkeypatch):
    path = tmp_path / "vocabulary.txt"
    save(tokenizer, path)

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="cannot write .*vocabulary.txt: the disk is full: free some space") as caught:
        save(Tokenizer(BYTES), path)
    assert caught.value.errno == errno.ENOSPC
    assert load(path) == tokenizer
    assert [file.name for file in tmp_path.iterdir()] == ["vocabulary.txt"]


def test_a_folder_that_may_not_be_written_to(tokenizer, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="cannot write"):
        save(tokenizer, tmp_path / "file" / "vocabulary.txt")

    def denied(source, target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", denied)
    with pytest.raises(PermissionError, match="a folder that you may write to"):
        save(tokenizer, tmp_path / "vocabulary.txt")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
