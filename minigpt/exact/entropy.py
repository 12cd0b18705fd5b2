"""Entropy, cross-entropy, KL divergence, perplexity; the entropy of a corpus and a model's gap to it."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from minigpt.stats import Z95, Estimate
from minigpt.worlds import grammar

Distribution = Mapping | Sequence[float] | np.ndarray  # {outcome: probability}, or just the probabilities


def entropy(p: Distribution) -> float:
    """Shannon entropy: the mean surprise of the outcomes of p under p itself.

        H(p) = - sum_x p(x) log p(x)

    Unit: nats. Errors: negative or infinite probabilities, or a sum that is not 1, are a ValueError.
    Source: Shannon 1948, "A Mathematical Theory of Communication", section 6. Differs: natural logarithms.

    >>> round(entropy([0.5, 0.5]), 4), round(entropy({"sun": 1.0, "rain": 0.0}), 4)
    (0.6931, 0.0)
    """
    return cross_entropy(p, p)


def cross_entropy(p: Distribution, q: Distribution) -> float:
    """Cross-entropy: the mean surprise of the outcomes of p under q.

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
    """Kullback-Leibler divergence KL(p || q): the extra surprise of believing q when p is true.

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
    """Perplexity: the number of equally likely tokens that would be as surprising.

        perplexity = exp(nats per token)

    >>> round(perplexity(math.log(8)), 6)
    8.0
    """
    return math.exp(nats_per_token) if nats_per_token < 709 else math.inf  # beyond the largest float


def bits(nats: float) -> float:
    """Nats to bits: the same surprise as a number of fair coins.

        bits = nats / log 2

    >>> round(bits(math.log(8)), 6)
    3.0
    """
    return nats / math.log(2)


def bits_per_byte(nats_total: float, text_bytes: int) -> float:
    """Bits per byte: the measure by which models with different tokens can be compared.

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
    with np.errstate(over="ignore", invalid="ignore"):
        total = p.sum()
    if p.ndim != 1 or not np.all(np.isfinite(p)) or np.any(p < 0) or not abs(total - 1) <= 1e-6:
        raise ValueError(
            f"expected one row of probabilities: none negative, the sum 1; got shape {p.shape}, sum {total}, "
            f"smallest {p.min(initial=np.inf)}"
        )
    return p


def document_nats(documents: Iterable[str], program: grammar.Program) -> np.ndarray:
    """Negative log-likelihood of each document under the grammar, its end included: exact.

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
    """Surprisal of each word of a document: each word with -log P(word | words before it); the last is the end, "".

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
    """Entropy rate (nats per token) over all documents, with the 95 % interval that comes from having only so many.

        R = sum_i nats_i / sum_i n_i            n_i: predictions in document i, its tokens and the end
        standard error of R = sqrt( N/(N-1) sum_i (nats_i - R n_i)^2 ) / sum_i n_i

    With the nats of `document_nats` this is the entropy floor: no model can have less on average.
    The interval is that of many documents. Measured on skewed documents (2,000 samples each): it holds the truth in
    87 % of samples of 10 documents, 93 % of 60, 94 % of 150 and 95 % of 500, as many as the book's data sets hold out.
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
        odd = int(np.argmax(~np.isfinite(nats) | ~np.isfinite(n) | (n <= 0)))
        raise ValueError(f"expected finite nats, and at least one token in each document; got {nats[odd]} and {n[odd]}")
    ratio = nats.sum() / n.sum()
    squares = np.sum((nats - ratio * n) ** 2)
    return Estimate(float(ratio), float(Z95 * np.sqrt(squares * len(n) / (len(n) - 1)) / n.sum()))


def gap(model_nats: Sequence[float], true_nats: Sequence[float], n_tokens_each: Sequence[int]) -> Estimate:
    """Gap to the entropy floor: an estimate of KL(truth || model), in nats per token.

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
