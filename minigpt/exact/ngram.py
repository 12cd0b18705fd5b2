"""N-gram language models."""

from collections.abc import Sequence

import numpy as np

from minigpt.corpus import Corpus


class NGram:
    """Interpolated n-gram model with absolute discounting; n = 1 is the unigram, 2 the bigram.

        P(w | h) = max(c(h w) - D, 0) / c(h)  +  D N(h) / c(h)  P(w | h without its first token)

    c counts, N(h) is how many different tokens were seen after h, and D, one for each length, is n1 / (n1 + 2 n2):
    n1 grams of that length were seen once, n2 twice (1/2 if none was seen once). Below the unigram every token is
    equally likely; after an h that was never seen the shorter one decides. The probabilities sum to exactly 1.

    Documents begin and end with end-of-text, as in the model's batches; before the beginning, h is filled up with it.
    Errors: n below 1 or not whole, ids outside the vocabulary, or n_vocab^n beyond 2^63 are a ValueError.
    Source: Ney, Essen and Kneser 1994, "On structuring probabilistic dependences in stochastic language modelling"
    (absolute discounting); interpolated as in Chen and Goodman 1999, "An empirical study of smoothing techniques for
    language modeling", section 2.6. Differs: nothing.

    >>> bigram = NGram(Corpus(np.array([0, 1, 0, 1, 0]), np.array([0, 5])), n=2, n_vocab=3, endoftext=2)
    >>> bigram.probs([0]).round(3).tolist()
    [0.111, 0.63, 0.259]
    """

    def __init__(self, corpus: Corpus, n: int, n_vocab: int, endoftext: int):
        whole = [isinstance(each, (int, np.integer)) and not isinstance(each, bool) for each in (n, n_vocab, endoftext)]
        if not all(whole):
            raise ValueError(f"expected whole numbers; got n = {n!r}, n_vocab = {n_vocab!r}, endoftext = {endoftext!r}")
        n, n_vocab, endoftext = int(n), int(n_vocab), int(endoftext)
        if n < 1 or not 0 <= endoftext < n_vocab or n_vocab**n >= 2**63:
            raise ValueError(
                "expected n of at least 1, end-of-text within the vocabulary, and n_vocab^n below 2^63; got "
                f"n = {n}, endoftext = {endoftext}, n_vocab = {n_vocab}"
            )
        self.n, self.n_vocab, self.endoftext = n, n_vocab, endoftext
        self._tables = [_Table(keys, n_vocab) for keys in self._keys(corpus)]

    def nats(self, corpus: Corpus) -> np.ndarray:
        """Negative log-likelihood of each document, its end included.

        Shapes: (n_documents,). Unit: nats, not per token: divide the sum by that of corpus.lengths + 1.
        """
        surprise = 0.0 - np.log(self._probabilities(self._keys(corpus)))
        return np.add.reduceat(surprise, corpus.offsets[:-1] + np.arange(len(corpus)))

    def probs(self, context: Sequence[int]) -> np.ndarray:
        """P(w | context) for every token w. Shapes: context (any length,) -> (n_vocab,)."""
        padded = [self.endoftext] * (self.n - 1) + [int(id) for id in context]
        history = padded[len(padded) - (self.n - 1) :]
        if not all(0 <= id < self.n_vocab for id in padded):
            raise ValueError(f"expected ids from 0 to {self.n_vocab - 1}; got {list(context)}")
        keys, key = [np.arange(self.n_vocab)], 0
        for k, id in enumerate(reversed(history), start=1):
            key += id * self.n_vocab**k
            keys.append(keys[0] + key)
        return self._probabilities(keys)

    def _keys(self, corpus: Corpus) -> list[np.ndarray]:
        """For k = 1 ... n, the last k tokens up to each predicted one, as one number in base n_vocab."""
        if corpus.n_tokens and corpus.ids.max() >= self.n_vocab:
            raise ValueError(f"expected ids below n_vocab = {self.n_vocab}; got {corpus.ids.max()}")
        n, ends = self.n, corpus.lengths + 1  # each document: n - 1 times end-of-text, its tokens, end-of-text
        number = np.repeat(np.arange(len(corpus)), ends)
        places = np.arange(len(number)) + (number + 1) * (n - 1)  # of what is predicted
        stream = np.full(len(number) + (n - 1) * len(corpus), self.endoftext, dtype=np.int64)
        is_text = np.ones(len(number), dtype=bool)
        is_text[np.cumsum(ends) - 1] = False
        stream[places[is_text]] = corpus.ids
        keys = [stream[places]]
        for k in range(1, n):
            keys.append(keys[-1] + stream[places - k] * self.n_vocab**k)
        return keys

    def _probabilities(self, keys: Sequence[np.ndarray]) -> np.ndarray:
        p = np.full(len(keys[0]), 1.0 / self.n_vocab)
        for table, key in zip(self._tables, keys, strict=True):
            p = table.mixed(key, p)
        return p


class _Table:
    """The counts of all grams of one length: c(h w), c(h), N(h), and the discount D."""

    def __init__(self, keys: np.ndarray, n_vocab: int):
        self.n_vocab = n_vocab
        self.grams, self.counts = np.unique(keys, return_counts=True)
        self.contexts, starts, self.n_followers = np.unique(
            self.grams // n_vocab, return_index=True, return_counts=True
        )
        self.totals = np.add.reduceat(self.counts, starts)
        once, twice = np.sum(self.counts == 1), np.sum(self.counts == 2)
        self.discount = float(once / (once + 2 * twice)) if once else 0.5

    def mixed(self, keys: np.ndarray, shorter: np.ndarray) -> np.ndarray:
        """P(w | h) from the counts and from the probabilities that the shorter context gives."""
        place, known = _find(self.contexts, keys // self.n_vocab)
        gram, seen = _find(self.grams, keys)
        kept = np.where(seen, self.counts[gram] - self.discount, 0.0)
        mixed = (kept + self.discount * self.n_followers[place] * shorter) / self.totals[place]
        return np.where(known, mixed, shorter)


def _find(ordered: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each wanted number stands, and whether it is there at all."""
    place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return place, ordered[place] == wanted
