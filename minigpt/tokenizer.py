"""Byte-level BPE tokenizer: train, encode, decode. Text becomes numbers, and numbers become the same text again.

A text is first cut into pre-tokens: words, numbers and signs, each with the space before it. A pre-token starts as its
UTF-8 bytes. Training joins the pair of neighbours that occurs most often into one new token, then the next, and so on;
the order of the joins is the whole tokenizer. Encoding a text replays them; tiktoken does it fast.
"""

import base64
import binascii
import hashlib
import heapq
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import regex
import tiktoken

from minigpt.io import files

ENDOFTEXT, START, DELIM, EXTRACT = "<|endoftext|>", "<|start|>", "<|delim|>", "<|extract|>"
SPECIALS = (ENDOFTEXT, START, DELIM, EXTRACT)
IGNORED = -100  # no id: the target where nothing is to be predicted


# GPT-2's pre-tokens. The first alternative that matches wins; "++" means: take all there is and never give back.
# The published pattern has plain "+", cuts every text at the same places, and overflows the stack on long runs.
PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)"  # the end of a short form: it's, I'd, I'm, don't, we'll, we've, we're
    r"| ?\p{L}++"  # letters, with one space before them if there is one
    r"| ?\p{N}++"  # digits
    r"| ?[^\s\p{L}\p{N}]++"  # other signs
    r"|\s++$"  # white space at the end of the text
    r"|\s+(?!\S)"  # a run of white space, but for the last one, which the next word takes
    r"|\s"  # one white space that no word takes: a line break, say
)
_LONGEST_GAP = 500_000  # white space in one run; tiktoken's regular expressions overflow their stack at a million


Pair = tuple[bytes, bytes]


class MergeStep(NamedTuple):
    """One step of training: these two neighbours occurred this many times, and became this token."""

    pair: Pair
    merged: bytes
    count: int


def train_bpe(
    texts: Iterable[str],
    n_vocab: int,
    progress: Callable[[Iterator[MergeStep], int], Iterable[MergeStep]] | None = None,
) -> "Tokenizer":
    """Train a byte-level BPE tokenizer of n_vocab tokens: 256 bytes, the most frequent pairs, the 4 special tokens.

    A small world runs out of pairs before a large vocabulary is full: then `tokenizer.n_vocab` is smaller than asked.
    The time grows with the text, not with its longest word. progress(steps, n_steps) may pass the steps on and show
    a bar meanwhile, as notebook.progress.progress does.

    Errors: ValueError for n_vocab below 260, for no text, for one string in place of several.
    Source: Sennrich, Haddow and Birch 2016, "Neural Machine Translation of Rare Words with Subword Units", section 3.2,
    algorithm 1; on bytes, within pre-tokens: GPT-2, section 2.2.
    Differs: the paper leaves ties open. Here, as in tiktoken's educational trainer, the pair met first in the text
    wins a tie, so the two learn the same tokens from any text. GPT-2's own training program was not published.

    >>> tokenizer = train_bpe(["the cat sat on the mat"], n_vocab=263)
    >>> [tokenizer.decode_bytes(id) for id in tokenizer.encode("that cat")]
    [b'th', b'at', b' ', b'c', b'at']
    """
    smallest = 256 + len(SPECIALS)
    if _index(n_vocab, "n_vocab") < smallest:
        raise ValueError(
            f"expected n_vocab of at least {smallest} (256 bytes and {len(SPECIALS)} specials), got {n_vocab}"
        )
    ranks = {bytes([byte]): byte for byte in range(256)}
    steps = merge_steps(texts, n_vocab - smallest)
    for step in steps if progress is None else progress(steps, n_vocab - smallest):
        ranks[step.merged] = len(ranks)
    return Tokenizer(ranks)


def merge_steps(texts: Iterable[str], n_merges: int) -> Iterator[MergeStep]:
    """Steps of BPE training: join the most frequent pair of neighbours, n_merges times; fewer if no pair is left.

    Among equally frequent pairs the one that stands first in the text is taken.

    >>> for step in merge_steps(["the cat sat on the mat"], 3):
    ...     print(step.pair, "occurs", step.count, "times, becomes", step.merged)
    (b'a', b't') occurs 3 times, becomes b'at'
    (b't', b'h') occurs 2 times, becomes b'th'
    (b'th', b'e') occurs 2 times, becomes b'the'
    """
    if _index(n_merges, "n_merges") < 0:
        raise ValueError(f"expected n_merges of at least 0, got {n_merges}")
    return _merge_steps(_Words(count_pretokens(texts)), n_merges)


def _merge_steps(words: "_Words", n_merges: int) -> Iterator[MergeStep]:
    for _ in range(n_merges):
        found = words.most_frequent_pair()
        if found is None:
            return
        yield words.merge(*found)


def pretokens(text: str) -> list[str]:
    """Pre-tokens: a text cut into words, numbers and signs, each with the space before it; joined, they are the text.

    Source: GPT-2's published encoder. Differs: nothing, except for characters younger than a library's Unicode tables.

    >>> pretokens("We'll see 12 foxes!")
    ['We', "'ll", ' see', ' 12', ' foxes', '!']
    """
    return regex.findall(PATTERN, _checked(text))


def count_pretokens(texts: Iterable[str]) -> dict[bytes, int]:
    """Count the different pre-tokens of some texts, in the order in which they are met.

    >>> count_pretokens(["on and on", " and off"])
    {b'on': 1, b' and': 2, b' on': 1, b' off': 1}
    """
    if isinstance(texts, str):
        raise ValueError("expected several texts, got one string: write [text]")
    counts = Counter()
    for text in texts:
        counts.update(pretokens(text))
    if not counts:
        raise ValueError("expected at least one text that is not empty, got no text at all")
    return {pretoken.encode("utf-8"): count for pretoken, count in counts.items()}


def merge(word: list[bytes], pair: Pair) -> list[bytes]:
    """Join the pair wherever it stands in a word, from left to right.

    >>> merge([b"b", b"a", b"a", b"a"], (b"a", b"a"))
    [b'b', b'aa', b'a']
    """
    joined, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            joined.append(word[i] + word[i + 1])
            i += 2
        else:
            joined.append(word[i])
            i += 1
    return joined


class _Words:
    """All different pre-tokens in one array, a place for each byte, linked to its neighbours; an index of their pairs.

    Two facts make training quick. A merge changes only the places where its pair stands. And a pair is born when the
    younger of its two tokens is made; afterwards it can only become rarer. So an entry of the queue that is out of
    date promises too much, never too little, and it is enough to correct it when it comes to the front.

    Shapes: all arrays (n_places,), the bytes of the pre-tokens with a gap before, between and behind them.
    """

    GAP = -1  # no token: between words, and where a token has been joined to the one before it

    def __init__(self, counts: dict[bytes, int]):
        lengths = np.array([len(word) for word in counts])
        gaps = np.cumsum([0, *(lengths + 1)])
        self.ids = np.full(gaps[-1] + 1, self.GAP)
        inside = np.ones(len(self.ids), dtype=bool)
        inside[gaps] = False
        self.ids[inside] = np.frombuffer(b"".join(counts), dtype=np.uint8)
        self.repeats = np.zeros(len(self.ids), dtype=np.int64)  # how often the word at a place stands in the text
        self.repeats[inside] = np.repeat(np.fromiter(counts.values(), np.int64), lengths)
        self.next, self.previous = np.arange(1, len(self.ids) + 1), np.arange(-1, len(self.ids) - 1)
        self.tokens = [bytes([byte]) for byte in range(256)]
        self.places: dict[tuple[int, int], np.ndarray] = {}  # pair -> where it stood when last counted, in order
        self.queue: list[tuple[int, int, tuple[int, int]]] = []  # minus the count, the first place, the pair
        self._add(np.flatnonzero(inside))

    def most_frequent_pair(self) -> tuple[tuple[int, int], int] | None:
        """The pair and its count; among equally frequent ones the one that stands first."""
        while self.queue:
            pair = self.queue[0][2]
            places = self.places[pair]
            places = places[(self.ids[places] == pair[0]) & (self.ids[self.next[places]] == pair[1])]
            if not len(places):
                heapq.heappop(self.queue)
                del self.places[pair]
                continue
            self.places[pair] = places
            entry = -int(self.repeats[places].sum()), int(places[0]), pair
            if entry == self.queue[0]:
                return pair, -entry[0]
            heapq.heapreplace(self.queue, entry)
        return None

    def merge(self, pair: tuple[int, int], count: int) -> MergeStep:
        """Join the pair wherever it stands, from left to right."""
        left, (a, b) = self.places[pair], pair
        if a == b:  # in a run of equal tokens every other place
            starts = np.append(True, left[1:] != self.next[left[:-1]])
            number = np.arange(len(left))
            left = left[(number - np.maximum.accumulate(np.where(starts, number, 0))) % 2 == 0]
        right = self.next[left]
        self.ids[left], self.ids[right] = len(self.tokens), self.GAP
        self.next[left] = self.next[right]
        self.previous[self.next[left]] = left
        self.tokens.append(self.tokens[a] + self.tokens[b])
        self._add(np.unique(np.append(self.previous[left], left)))
        return MergeStep((self.tokens[a], self.tokens[b]), self.tokens[-1], count)

    def _add(self, places: np.ndarray) -> None:
        """Index the new pairs that begin at these places, which are in order."""
        first, second = self.ids[places], self.ids[self.next[places]]
        real = (first != self.GAP) & (second != self.GAP)
        places, pairs = places[real], (first * len(self.tokens) + second)[real]
        if not len(places):
            return
        order = np.argsort(pairs, kind="stable")
        for group in np.split(places[order], np.flatnonzero(np.diff(pairs[order])) + 1):
            pair = int(self.ids[group[0]]), int(self.ids[self.next[group[0]]])
            self.places[pair] = group
            heapq.heappush(self.queue, (-int(self.repeats[group].sum()), int(group[0]), pair))


@dataclass(frozen=True)
class Tokenizer:
    """Byte-level BPE tokenizer: the tokens in the order in which they were learned, then the four special tokens.

    No text can produce a special token: a reader who types "<|endoftext|>" gets the ids of those thirteen letters and
    signs. Specials are put between texts as ids, never inside them as strings.

    Errors: ValueError when a byte is missing, or ranks are not 0, 1, 2, ... each once.
    Source: GPT-2, section 2.2 (bytes, one special token); GPT-1, section 3.3 (start, delimiter, extract).
    Differs: GPT-1 used other subwords (of lower-cased, cleaned-up text) and added its three tokens at fine-tuning.

    >>> tokenizer = Tokenizer({bytes([byte]): byte for byte in range(256)})
    >>> tokenizer.encode("hé")
    [104, 195, 169]
    >>> tokenizer.decode([tokenizer.start, 104, 105])
    '<|start|>hi'
    """

    ranks: dict[bytes, int]  # token -> its rank, which is its id: 0, 1, 2, ...
    name: str = "minigpt"

    def __post_init__(self):
        _check_ranks(self.ranks)

    def __repr__(self) -> str:
        return f"Tokenizer(name={self.name!r}, n_vocab={self.n_vocab})"

    @property
    def n_vocab(self) -> int:
        """How many ids there are, the specials included."""
        return len(self.ranks) + len(SPECIALS)

    @property
    def endoftext(self) -> int:
        """The id between documents: it begins each and ends each."""
        return len(self.ranks)

    @property
    def start(self) -> int:
        """The id before the input of a task."""
        return len(self.ranks) + 1

    @property
    def delim(self) -> int:
        """The id between the two texts of a task."""
        return len(self.ranks) + 2

    @property
    def extract(self) -> int:
        """The id at whose position the answer to a task is read off."""
        return len(self.ranks) + 3

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the ranks, as `save` writes them: two tokenizers are the same if these are."""
        return hashlib.sha256(_lines(self.ranks)).hexdigest()

    @cached_property
    def encoding(self) -> tiktoken.Encoding:
        """The same tokenizer as an object of tiktoken, which does the fast work."""
        specials = {special: len(self.ranks) + i for i, special in enumerate(SPECIALS)}
        return tiktoken.Encoding(
            self.name,
            pat_str=PATTERN,
            mergeable_ranks=self.ranks,
            special_tokens=specials,
            explicit_n_vocab=self.n_vocab,
        )

    def encode(self, text: str) -> list[int]:
        """Encode: text to ids; decode(encode(text)) == text for every text.

        Errors: ValueError for half characters (lone surrogates), which UTF-8 cannot write.
        """
        return self.encoding.encode_ordinary(_checked(text))

    def decode(self, ids: Iterable[int], errors: str = "replace") -> str:
        """Decode: ids to text; special tokens appear by their names.

        A model may write half of a character: that becomes "\N{REPLACEMENT CHARACTER}", or with errors="strict"
        a UnicodeDecodeError. Errors: ValueError for an id that is not in the vocabulary.
        """
        return self.encoding.decode(self._known(ids), errors=errors)

    def decode_bytes(self, id: int) -> bytes:
        """The bytes of one token.

        >>> train_bpe(["ab ab"], 261).decode_bytes(256)
        b'ab'
        """
        return self.encoding.decode_single_token_bytes(*self._known([id]))

    def _known(self, ids: Iterable[int]) -> list[int]:
        ids = [_index(id, "each id") for id in ids]
        for place, id in enumerate(ids):
            if not 0 <= id < self.n_vocab:
                raise ValueError(f"expected ids from 0 to {self.n_vocab - 1}, got {id} at place {place}")
        return ids


def save(tokenizer: Tokenizer, path: str | Path) -> None:
    """Save a vocabulary as text, one token a line: its bytes in base64, a space, its rank.

    Errors: OSError, with the older file left as it was, when the disk is full or the folder may not be written to.
    """
    files.write_file(path, _lines(tokenizer.ranks))


def load(path: str | Path, name: str = "minigpt", fingerprint: str | None = None) -> Tokenizer:
    """Load a vocabulary that `save` wrote (or any file of that form: those of tiktoken are).

    Errors: ValueError naming the file, and the line where there is one, for anything that is not a vocabulary, or not
    the one with this fingerprint (without it, a file that lost whole lines at its end is a smaller vocabulary).
    """
    path = files.reader_path(path, "the path of a vocabulary")
    with files.explained(path, "read"):
        data, ranks = path.read_bytes(), {}
    if not data.endswith(b"\n"):
        raise ValueError(f"{path} is not a whole vocabulary: expected a line break at its end, got {data[-20:]!r}")
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            token, rank = line.split(b" ")
            token, rank = base64.b64decode(token, validate=True), int(rank)
        except (ValueError, binascii.Error):
            raise ValueError(
                f"{path}, line {number}: expected a token in base64, a space and its rank, got {line!r}"
            ) from None
        if token in ranks:
            raise ValueError(f"{path}, line {number}: expected each token once, got {token!r} again")
        ranks[token] = rank
    try:
        tokenizer = Tokenizer(ranks, name)
    except ValueError as error:
        raise ValueError(f"{path} is not a vocabulary: {error}") from None
    if fingerprint not in (None, tokenizer.fingerprint):
        raise ValueError(f"{path} is another vocabulary: expected {fingerprint}, got {tokenizer.fingerprint}")
    return tokenizer


def _lines(ranks: dict[bytes, int]) -> bytes:
    return b"".join(
        b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in sorted(ranks.items(), key=lambda r: r[1])
    )


def _check_ranks(ranks: dict[bytes, int]) -> None:
    """Refuse what makes tiktoken panic (a Rust error that `except Exception` does not catch) or answer nonsense."""
    if not isinstance(ranks, dict) or not all(isinstance(token, bytes) and token for token in ranks):
        raise ValueError("expected ranks to be a dictionary from tokens (bytes, not empty) to ranks")
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise ValueError(
            f"expected all 256 single bytes among the tokens, but {len(missing)} are missing, first {missing[0]}"
        )
    odd = [rank for rank in ranks.values() if type(rank) is not int]
    if odd:
        raise ValueError(f"expected every rank to be a whole number (int), but there is {odd[0]!r}")
    for expected, rank in enumerate(sorted(ranks.values())):
        if rank != expected:
            raise ValueError(
                f"expected ranks 0 to {len(ranks) - 1}, each once; got {rank} where {expected} should come"
            )


def _checked(text: str) -> str:
    """The text itself, if it can be encoded."""
    if not isinstance(text, str):
        raise ValueError(f"expected a text (str), got {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
        raise ValueError(f"expected whole characters, got half of one ({half}) at place {error.start}") from None
    if len(text) > _LONGEST_GAP and regex.search(rf"\s{{{_LONGEST_GAP}}}", text):
        raise ValueError(f"expected a text, got a run of more than {_LONGEST_GAP:,} spaces or line breaks in it")
    return text


def _index(value, name: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"expected {name} to be a whole number, got {value!r}") from None
