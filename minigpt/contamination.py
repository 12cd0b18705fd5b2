"""How much of a test text stands in the training text: n-grams of words, exactly or with a Bloom filter.

Floor 0 of the west wing.
"""

import hashlib
import math
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[^\W_]+")


def ngrams(text: str, n: int = 8) -> list[tuple[str, ...]]:
    """The n-grams of a text: n words in a row, lower case, letters and digits only.

    Source: GPT-2, section 4: 8-grams, "lower-cased alphanumeric". Errors: n below 1 is a ValueError.

    >>> ngrams("The fox, the FOX!", 2)
    [('the', 'fox'), ('fox', 'the'), ('the', 'fox')]
    """
    if n < 1:
        raise ValueError(f"expected n-grams of at least 1 word; got n = {n}")
    words = _PLAIN.findall(text.lower())
    return list(zip(*(words[i:] for i in range(n))))


def known(texts: Iterable[str], n: int = 8) -> set[tuple[str, ...]]:
    """All n-grams of some texts: what `share` compares with."""
    return {gram for text in texts for gram in ngrams(text, n)}


def share(text: str, seen, n: int = 8) -> float:
    """The share of a text's n-grams that are in `seen`, a set or a BloomFilter; 0 for a text with none.

    Source: GPT-2, section 4 and table 6. Differs: nothing.
    """
    grams = ngrams(text, n)
    return sum(gram in seen for gram in grams) / len(grams) if grams else 0.0


class BloomFilter:
    """A set that may say yes by mistake, but never no, in a fixed number of bits.

        k = m / n ln 2 hashes a gram,   P(a mistaken yes) = (1 - e^(-k n / m))^k        m bits for n grams

    Source: GPT-2, section 4, whose filters err at most once in 10^8. Errors: a useless size is a ValueError.
    """

    def __init__(self, n_expected: int, error_rate: float = 1e-8):
        if n_expected < 1 or not 0 < error_rate < 1:
            raise ValueError(f"expected at least 1 gram and a rate between 0 and 1; got {n_expected}, {error_rate}")
        self.n_bits = math.ceil(-n_expected * math.log(error_rate) / math.log(2) ** 2)
        self.n_hashes = max(1, round(self.n_bits / n_expected * math.log(2)))
        self.bits = bytearray(-(-self.n_bits // 8))

    def add(self, gram: tuple[str, ...]) -> None:
        """Put an n-gram in."""
        for place in self._places(gram):
            self.bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, gram: tuple[str, ...]) -> bool:
        return all(self.bits[place >> 3] >> (place & 7) & 1 for place in self._places(gram))

    def _places(self, gram):
        digest = hashlib.blake2b("\0".join(gram).encode("utf-8"), digest_size=16).digest()
        first, second = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big") | 1
        return ((first + i * second) % self.n_bits for i in range(self.n_hashes))
