"""Truth: what no model can beat, and simple models to compare with.

Everything is measured in nats: a document of probability P is a surprise of -log P. Averaged over documents of the
story world and divided by their tokens, the surprise of the world's own grammar is the entropy floor; a model that
stands above it by x nats a token is x nats a token away from the truth, and none can stand below.

Floor 2 of the west wing (uses grammar, corpus).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from minigpt import grammar
from minigpt.corpus import Corpus

Distribution = Mapping | Sequence[float] | np.ndarray  # {outcome: probability}, or just the probabilities

_Z95 = NormalDist().inv_cdf(0.975)  # a 95 % interval reaches 1.96 standard errors to each side

# --- measures of surprise -------------------------------------------------------------------------------------------


def entropy(p: Distribution) -> float:
    """How surprising the outcomes of p are on average, to somebody who knows p.

        H(p) = - sum_x p(x) log p(x)

    Unit: nats. Errors: negative or infinite probabilities, or a sum that is not 1, are a ValueError.
    Source: Shannon 1948, "A Mathematical Theory of Communication", section 6. Differs: natural logarithms.

    >>> round(entropy([0.5, 0.5]), 4), round(entropy({"sun": 1.0, "rain": 0.0}), 4)
    (0.6931, 0.0)
    """
    return cross_entropy(p, p)


def cross_entropy(p: Distribution, q: Distribution) -> float:
    """How surprising the outcomes of p are on average, to somebody who believes q.

        H(p, q) = - sum_x p(x) log q(x)  >=  H(p)

    Infinite if something happens that q rules out.
    Unit: nats. Errors: as in `entropy`; p and q of different kinds or lengths are a ValueError.

    >>> round(cross_entropy([0.5, 0.5], [0.25, 0.75]), 4)
    0.837
    """
    p, q = _aligned(p, q)
    happens = p > 0
    if np.any(q[happens] == 0):
        return math.inf
    return 0.0 - float(np.sum(p[happens] * np.log(q[happens])))  # 0.0 - x: never -0.0


def kl_divergence(p: Distribution, q: Distribution) -> float:
    """What it costs to believe q when p is true: the surprise that could have been spared.

        KL(p || q) = H(p, q) - H(p)  >=  0, and 0 only for q = p

    Unit: nats. Errors: as in `cross_entropy`.

    >>> round(kl_divergence([0.5, 0.5], [0.25, 0.75]), 4)
    0.1438
    """
    p, q = _aligned(p, q)
    happens = p > 0
    if np.any(q[happens] == 0):
        return math.inf
    return float(np.sum(p[happens] * np.log(p[happens] / q[happens])))


def perplexity(nats_per_token: float) -> float:
    """Among how many equally likely tokens one would have to guess to be as surprised.

        perplexity = exp(nats per token)

    >>> round(perplexity(math.log(8)), 6)
    8.0
    """
    return math.exp(nats_per_token)


def bits(nats: float) -> float:
    """The same surprise in bits: the number of fair coins one would have to call right.

        bits = nats / log 2

    >>> round(bits(math.log(8)), 6)
    3.0
    """
    return nats / math.log(2)


def bits_per_byte(nats_total: float, text_bytes: int) -> float:
    """Surprise per byte of text: the one measure that models with different tokens can be compared by.

    Errors: a number of bytes that is not positive is a ValueError.

    >>> round(bits_per_byte(nats_total=math.log(2**12), text_bytes=len("über".encode("utf-8"))), 6)
    2.4
    """
    if text_bytes <= 0:
        raise ValueError(f"expected a positive number of bytes of text; got {text_bytes!r}")
    return bits(nats_total) / text_bytes


def _aligned(p: Distribution, q: Distribution) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(p, Mapping) != isinstance(q, Mapping):
        raise ValueError("expected two dictionaries or two sequences; got one of each")
    if isinstance(p, Mapping):
        outcomes = list(dict.fromkeys([*p, *q]))
        p, q = ([d.get(outcome, 0.0) for outcome in outcomes] for d in (p, q))
    p, q = _checked_probabilities(p), _checked_probabilities(q)
    if len(p) != len(q):
        raise ValueError(f"expected as many probabilities in p as in q; got {len(p)} and {len(q)}")
    return p, q


def _checked_probabilities(p) -> np.ndarray:
    p = np.asarray(p, dtype=np.float64)
    if p.ndim != 1 or not np.all(np.isfinite(p)) or np.any(p < 0) or abs(p.sum() - 1) > 1e-6:
        raise ValueError(
            f"expected one row of probabilities: none negative, the sum 1; got shape {p.shape}, sum {p.sum()}, "
            f"smallest {p.min(initial=np.inf)}"
        )
    return p


# --- estimates from documents ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """A mean over documents, and how far from the truth it may well be: a 95 % interval.

    >>> Estimate(0.625, 0.01)
    0.6250 ± 0.0100
    """

    mean: float
    half_width: float

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half_width

    def __repr__(self) -> str:
        return f"{self.mean:.4f} ± {self.half_width:.4f}"


def document_nats(documents: Iterable[str], program: grammar.Program) -> np.ndarray:
    """The exact surprise of each document under the grammar, its end included.

        -log P(x)

    Shapes: (n_documents,). Unit: nats, not per token.
    Errors: a document that the grammar cannot write, or a single string, is a ValueError.
    """
    if isinstance(documents, str):
        raise ValueError("expected several documents, got one string: write [text]")
    nats = []
    for i, document in enumerate(documents):
        logp = grammar.score(program, document).logp
        if logp == -math.inf:
            raise ValueError(f"expected documents that the grammar can write, but not document {i}: {document!r}")
        nats.append(-logp)
    return np.array(nats, dtype=np.float64)


def word_nats(program: grammar.Program, document: str) -> list[tuple[str, float]]:
    """Where the surprise of a document is: each word with -log P(word | words before it); the last is the end, "".

    The sum is the surprise of the document (the chain rule of probability).
    Errors: a document that the grammar cannot write is a ValueError naming the first impossible word.

    >>> tell = lambda d: (d.pick(["a red", "a blue"]), d.write(" fox"))
    >>> [(word, round(nats, 3)) for word, nats in word_nats(tell, "a red fox")]
    [('a', 0.0), (' red', 0.693), (' fox', 0.0), ('', 0.0)]
    """
    before, result = "", []
    for word in (*grammar.words(document), grammar.END):
        probability = grammar.predict(program, before).next_word.get(word, 0.0)
        if probability == 0:
            raise ValueError(f"expected a document of this grammar, but {word!r} cannot follow {before!r}")
        result.append((word, max(0.0, -math.log(probability))))  # a certain word: 0, not -1e-16
        before += word
    return result


def floor(nats: Sequence[float], n_tokens_each: Sequence[int]) -> Estimate:
    """Nats per token over all documents, with the interval that comes from having read only so many of them.

        R = sum_i nats_i / sum_i n_i            n_i: predictions in document i, its tokens and the end
        standard error of R = sqrt( N/(N-1) sum_i (nats_i - R n_i)^2 ) / sum_i n_i

    With the nats of `document_nats` this is the entropy floor: no model can have less on average.
    Shapes: (N,) both. Unit: nats per token.
    Errors: fewer than 2 documents, different lengths, numbers that are not finite or a document without tokens.
    Source: Cochran 1977, "Sampling Techniques", chapter 6: a ratio of two means and its approximate variance.

    >>> floor([2.0, 4.0, 9.0], [2, 4, 9])
    1.0000 ± 0.0000
    """
    nats, n = np.asarray(nats, dtype=np.float64), np.asarray(n_tokens_each, dtype=np.float64)
    if nats.ndim != 1 or nats.shape != n.shape or len(nats) < 2:
        raise ValueError(f"expected nats and tokens of the same 2 or more documents; got {nats.shape} and {n.shape}")
    if not np.all(np.isfinite(nats)) or not np.all(np.isfinite(n)) or np.any(n <= 0):
        raise ValueError("expected finite nats, and at least one token in each document")
    ratio = nats.sum() / n.sum()
    squares = np.sum((nats - ratio * n) ** 2)
    return Estimate(float(ratio), float(_Z95 * np.sqrt(squares * len(n) / (len(n) - 1)) / n.sum()))


def gap(model_nats: Sequence[float], true_nats: Sequence[float], n_tokens_each: Sequence[int]) -> Estimate:
    """How far a model is above the floor, in nats per token: an estimate of KL(truth || model) per token.

        sum_i (model_nats_i - true_nats_i) / sum_i n_i

    The same documents on both sides: what makes a document hard for both cancels, so the interval is far narrower
    than that of either. The true gap cannot be negative; an interval wholly below 0 would mean a mistake.
    Shapes: (N,) each. Errors: as in `floor`.

    >>> gap([3.0, 5.0], [2.0, 4.0], [2, 2])
    0.5000 ± 0.0000
    """
    model_nats, true_nats = np.asarray(model_nats, dtype=np.float64), np.asarray(true_nats, dtype=np.float64)
    if model_nats.shape != true_nats.shape:
        raise ValueError(f"expected the nats of the same documents; got {model_nats.shape} and {true_nats.shape}")
    return floor(model_nats - true_nats, n_tokens_each)


# --- counting models to compare with --------------------------------------------------------------------------------


class NGram:
    """Predicts a token from the n - 1 before it, by counting; n = 1 is the unigram, 2 the bigram.

        P(w | h) = max(c(h w) - D, 0) / c(h)  +  D N(h) / c(h)  P(w | h without its first token)

    c counts, N(h) is how many different tokens were seen after h, and D, one for each length, is n1 / (n1 + 2 n2):
    n1 grams of that length were seen once, n2 twice (1/2 if none was seen once). Below the unigram every token is
    equally likely; after an h that was never seen the shorter one decides. The probabilities sum to exactly 1.

    Documents begin and end with end-of-text, as in the model's batches; before the beginning, h is filled up with it.
    Errors: n below 1, ids outside the vocabulary, or n_vocab^n beyond 2^63 are a ValueError.
    Source: Ney, Essen and Kneser 1994, "On structuring probabilistic dependences in stochastic language modelling"
    (absolute discounting); interpolated as in Chen and Goodman 1999, "An empirical study of smoothing techniques for
    language modeling", section 2.6. Differs: nothing.

    >>> bigram = NGram(Corpus(np.array([0, 1, 0, 1, 0]), np.array([0, 5])), n=2, n_vocab=3, endoftext=2)
    >>> bigram.probs([0]).round(3).tolist()
    [0.111, 0.63, 0.259]
    """

    def __init__(self, corpus: Corpus, n: int, n_vocab: int, endoftext: int):
        if n < 1 or not 0 <= endoftext < n_vocab or n_vocab**n >= 2**63:
            raise ValueError(
                "expected n of at least 1, end-of-text within the vocabulary, and n_vocab^n below 2^63; got "
                f"n = {n}, endoftext = {endoftext}, n_vocab = {n_vocab}"
            )
        self.n, self.n_vocab, self.endoftext = n, n_vocab, endoftext
        self._tables = [_Table(keys, n_vocab) for keys in self._keys(corpus)]

    def nats(self, corpus: Corpus) -> np.ndarray:
        """The surprise of each document, its end included.

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


# --- the best possible classifier -----------------------------------------------------------------------------------

Example = tuple[tuple[str, ...], int]  # the parts of the text, the right label


def bayes_accuracy(task_program: grammar.Program, examples: Sequence[Example]) -> Estimate:
    """The share of right answers that the best possible reader of a task would give.

        mean over x of max_y P(y | x)        P(y | x): the exact posterior of the grammar

    No classifier can do better on average over all examples; on these few, one may be luckier.
    Unit: a share from 0 to 1. Errors: fewer than 2 examples, or one that the task cannot write, are a ValueError.
    """
    return floor([max(_posterior(task_program, example).values()) for example in examples], [1] * len(examples))


def bayes_label(task_program: grammar.Program, example: Example) -> int:
    """The most probable label of an example, given its text (the smallest, if several are equally probable)."""
    posterior = _posterior(task_program, example)
    most = max(posterior.values())
    return min(label for label, probability in posterior.items() if probability > most - 1e-12)


def _posterior(task_program, example) -> dict:
    text = "\n".join(example[0])
    reading = grammar.score(task_program, text)
    if reading.logp == -math.inf:
        raise ValueError(f"expected an example that the task can write; got {text!r}")
    return reading.posterior()
