"""Contamination: how much of a test text stands in the training text, by n-gram overlap, exact or by Bloom filter."""

import hashlib
import math
from collections.abc import Iterable, Sequence

import regex

# A word is a run of letters and digits. Writing without blanks between words has no such runs to count: there each
# character is a unit of its own.
_NO_BLANKS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_UNITS = regex.compile(rf"[{_NO_BLANKS}]|[\p{{L}}\p{{N}}--[{_NO_BLANKS}]]+", regex.V1)

Gram = tuple


def ngrams(text: str | Sequence, n: int = 8) -> list[Gram]:
    """n-grams of a text: n words in a row, lower case, letters and digits only; or n tokens of a sequence of tokens.

    In Chinese, Japanese, Thai and other writing without blanks each character counts as a word. Of anything but a text
    (token ids, say) the elements are taken as they are.
    Source: GPT-2, section 4: 8-grams, "lower-cased alphanumeric". Differs: the paper has English only.
    Errors: n below 1 is a ValueError.

    >>> ngrams("The fox, the FOX!", 2)
    [('the', 'fox'), ('fox', 'the'), ('the', 'fox')]
    >>> ngrams("北京 2026", 2), ngrams([7, 8, 9], 2)
    ([('北', '京'), ('京', '2026')], [(7, 8), (8, 9)])
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"expected n-grams of at least 1 word; got n = {n}")
    units = _UNITS.findall(text.lower()) if isinstance(text, str) else list(text)
    return list(zip(*(units[i:] for i in range(n))))


def known(texts: Iterable[str | Sequence], n: int = 8) -> set[Gram]:
    """All n-grams of some texts: what `share` compares with. Errors: ValueError for one string in place of several."""
    if isinstance(texts, str):
        raise ValueError("expected several texts, got one string: write [text]")
    return {gram for text in texts for gram in ngrams(text, n)}


def share(text: str | Sequence, seen, n: int = 8) -> float:
    """Overlap: the share of a text's n-grams that are in `seen`, a set or a BloomFilter; 0 for a text with none.

    Source: GPT-2, section 4 and table 6. Differs: nothing.
    """
    grams = ngrams(text, n)
    return sum(gram in seen for gram in grams) / len(grams) if grams else 0.0


class BloomFilter:
    """Bloom filter: a set that may say yes by mistake, but never no, in a fixed number of bits.

        k = m / n ln 2 hashes a gram,   P(a mistaken yes) = (1 - e^(-k n / m))^k        m bits for n grams

    Source: GPT-2, section 4, whose filters err at most once in 10^8. Errors: a useless size is a ValueError.
    """

    def __init__(self, n_expected: int, error_rate: float = 1e-8):
        if n_expected < 1 or not 0 < error_rate < 1:
            raise ValueError(f"expected at least 1 gram and a rate between 0 and 1; got {n_expected}, {error_rate}")
        self.n_bits = math.ceil(-n_expected * math.log(error_rate) / math.log(2) ** 2)
        self.n_hashes = max(1, round(self.n_bits / n_expected * math.log(2)))
        self.bits = bytearray(-(-self.n_bits // 8))

    def add(self, gram: Gram) -> None:
        """Put an n-gram in."""
        for place in self._places(gram):
            self.bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, gram: Gram) -> bool:
        return all(self.bits[place >> 3] >> (place & 7) & 1 for place in self._places(gram))

    def _places(self, gram):
        digest = hashlib.blake2b("\0".join(map(str, gram)).encode("utf-8"), digest_size=16).digest()
        first, second = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big") | 1
        return ((first + i * second) % self.n_bits for i in range(self.n_hashes))
