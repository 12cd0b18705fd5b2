"""Zipfian facts: very many facts, few of them frequent; the entropy of the text is known.

An entry is three words: two that name it, its key, and a third, its value. Which entry comes next is drawn anew each
time, by Zipf's law: the k-th most frequent has a probability proportional to 1 / k^s. So there is always something
rarer left to learn, and losses follow a power law down to the entropy. Everything is float64.
"""

import functools
from dataclasses import dataclass

import numpy as np

from minigpt.io.checks import is_whole

_SYLLABLES = "ba ce di fo gu ha ki lo me nu pa ri so tu va wi".split()


@dataclass(frozen=True, eq=False)
class Encyclopedia:
    """Encyclopedia of Zipfian facts: the probability and the value of every key.

    The words are the numbers 0 ... n_words - 1; the key of an entry is first * n_words + second.
    """

    n_words: int
    zipf: float  # s: 0 makes all entries equally famous
    right: float  # how often the value is the right one; otherwise any word, also the right one, is equally likely
    fame: np.ndarray  # (n_words^2,) probability of each key
    values: np.ndarray  # (n_words^2,) the right value of each key

    @property
    def begin(self) -> int:
        """The token that stands before a text."""
        return self.n_words

    @functools.cached_property
    def by_fame(self) -> np.ndarray:
        """All keys, the most famous first. Shapes: (n_words^2,)."""
        return np.argsort(-self.fame, kind="stable")

    @property
    def entropy(self) -> float:
        """Entropy rate, in nats per token: what no model can beat on average over endless text.

        H = (H(key) + H(value | key)) / 3
        """
        return float(-(self.fame * np.log(self.fame)).sum() + self._value_entropy()) / 3

    def _value_entropy(self) -> float:
        hit, miss = self._value_p()
        return -hit * np.log(hit) - ((self.n_words - 1) * miss * np.log(miss) if miss else 0.0)

    def _value_p(self) -> tuple[float, float]:
        """The probability of the right value, and of each of the others."""
        miss = (1 - self.right) / self.n_words
        return self.right + miss, miss

    def draw(self, n_texts: int, n_entries: int, rng: np.random.Generator) -> np.ndarray:
        """Draw texts of n_entries entries each. Shapes: result (n_texts, 3 n_entries)."""
        keys = np.searchsorted(self._cumulated, rng.random((n_texts, n_entries)), side="right")
        keys = keys.clip(max=len(self.fame) - 1)
        wrong = rng.random(keys.shape) >= self.right
        values = np.where(wrong, rng.integers(self.n_words, size=keys.shape), self.values[keys])
        parts = np.stack([keys // self.n_words, keys % self.n_words, values], axis=2)  # (n_texts, n_entries, 3)
        return parts.reshape(n_texts, 3 * n_entries)

    @functools.cached_property
    def _cumulated(self) -> np.ndarray:
        return np.cumsum(self.fame) / self.fame.sum()

    def logps(self, texts: np.ndarray) -> np.ndarray:
        """Exact log-probability of each word given those before it. Shapes: (B, 3 n_entries) -> the same. Unit: nats.

        Errors: ValueError if the words are not whole entries.
        """
        texts = np.asarray(texts)
        if texts.ndim != 2 or texts.shape[1] % 3:
            raise ValueError(f"expected texts of whole entries, three words each; got shape {texts.shape}")
        first, second, value = np.moveaxis(texts.reshape(len(texts), -1, 3), 2, 0)
        key = first * self.n_words + second
        of_first = self.fame.reshape(self.n_words, self.n_words).sum(axis=1)
        hit, miss = self._value_p()
        with np.errstate(divide="ignore"):
            values = np.log(np.where(value == self.values[key], hit, miss))
        parts = np.stack([np.log(of_first[first]), np.log(self.fame[key] / of_first[first]), values], axis=2)
        return parts.reshape(texts.shape)

    def usual_value(self, key: np.ndarray) -> np.ndarray:
        """Best guess from the second word of a key alone: the value of the most frequent entry with this word."""
        best = self.fame.reshape(self.n_words, self.n_words).argmax(axis=0)  # (n_words,) by second word
        second = np.asarray(key) % self.n_words
        return self.values[best[second] * self.n_words + second]

    def misprints(self, n: int, famous: tuple[int, int] = (15, 250)) -> np.ndarray:
        """Rare facts that contradict a frequent one: n keys whose usual value is not theirs, to be called misprints.

        Their printed value is not the usual one, and the entry that the usual value comes from is at least four times
        as famous. famous: the ranks to choose from; of those that fit, n at equal distances. Shapes: result (n,) keys.
        Errors: ValueError if there are fewer than n.
        """
        keys = self.by_fame[slice(*famous)]
        best = self.fame.reshape(self.n_words, self.n_words).max(axis=0)[keys % self.n_words]
        fit = keys[(self.usual_value(keys) != self.values[keys]) & (best >= 4 * self.fame[keys])]
        if len(fit) < n:
            raise ValueError(f"expected at least {n} entries that could be misprinted; got {len(fit)}")
        return fit[np.linspace(0, len(fit) - 1, n).round().astype(int)]

    def word(self, number: int) -> str:
        """A pronounceable name for a word: two syllables, or more in a larger encyclopedia.

        >>> draw_encyclopedia(256, seed=0).word(17)
        'cece'
        """
        if not 0 <= number < self.n_words:
            raise ValueError(f"expected a word from 0 to {self.n_words - 1}; got {number}")
        name, left = "", int(number)
        while left or len(name) < 4:
            left, last = divmod(left, len(_SYLLABLES))
            name = _SYLLABLES[last] + name
        return name

    def decode(self, text: np.ndarray) -> str:
        """Decode: token ids to text, each entry as "first second: value"."""
        words = [self.word(number) for number in text]
        return "; ".join(f"{a} {b}: {v}" for a, b, v in zip(words[::3], words[1::3], words[2::3]))


def draw_encyclopedia(n_words: int = 256, zipf: float = 1.6, right: float = 0.95, seed: int = 0) -> Encyclopedia:
    """Draw Zipfian facts: which entries are frequent, and every value.

        P(k-th most famous) = k^-s / sum over j of j^-s

    Errors: ValueError for fewer than 2 words, a negative s, or a share of right values outside (0, 1].
    """
    if not is_whole(n_words, 2):
        raise ValueError(f"expected at least 2 words; got {n_words!r}")
    if not zipf >= 0:
        raise ValueError(f"expected Zipf's s of at least 0; got {zipf!r}")
    if not 0 < right <= 1:
        raise ValueError(f"expected a share of right values above 0 and at most 1; got {right!r}")
    rng = np.random.default_rng(seed)
    p = np.arange(1, n_words**2 + 1, dtype=np.float64) ** -zipf
    fame = np.empty(n_words**2)
    fame[rng.permutation(n_words**2)] = p / p.sum()
    return Encyclopedia(n_words, zipf, right, fame, rng.integers(n_words, size=n_words**2))
