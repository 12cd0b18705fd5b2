"""Data loader: batches of token ids from documents or windows, for training and evaluation; mixtures of corpora.

A batch is asked for by its number, `batches[step]`, and depends on nothing else: training resumes without any state to
restore. Inputs and targets are int64 arrays; a target of -100 (IGNORED) means that nothing is to be predicted there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from minigpt.corpus import Corpus, check_ids, check_tokenizer, whole
from minigpt.tokenizer import IGNORED, Tokenizer

Batch = tuple[np.ndarray, np.ndarray]  # inputs (B, T), targets (B, T)


class DocumentBatches:
    """Batches for training on short documents: one document a row, from position 0.

        inputs   eot  u_1  u_2 ... u_n  eot  eot       (padding: it is behind every prediction, so it is never seen)
        targets  u_1  u_2 ...  u_n eot -100 -100

    A batch has about tokens_per_batch tokens. `batches[step]` goes on for ever: each epoch of len(batches) steps shows
    every document once, in a fresh order drawn from (seed, epoch). The shuffled documents are taken POOL batches at a
    time and sorted by length inside that pool: little padding, yet every batch mixes the kinds of document. (Sorting
    all of them by length fills whole batches with one kind; the model then forgets how the other kinds begin.)

    Shapes: inputs and targets (B, T), both changing from batch to batch; T at most n_ctx.
    Errors: ValueError for a document longer than n_ctx - 1, another tokenizer, an unknown id, sizes below 1.
    Source: GPT-1, section 3.1. Differs: GPT-1 trains on runs of 512 tokens cut out of whole books.

    >>> tokenizer = Tokenizer({bytes([byte]): byte for byte in range(256)})
    >>> from minigpt.corpus import encode
    >>> inputs, targets = DocumentBatches(encode(["ab", "c"], tokenizer), tokenizer, n_ctx=8)[0]
    >>> inputs[inputs[:, 1].argsort()].tolist()
    [[256, 97, 98], [256, 99, 256]]
    >>> targets[inputs[:, 1].argsort()].tolist()
    [[97, 98, 256], [99, 256, -100]]
    """

    POOL = 8  #: batches whose documents are sorted by length together

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, n_ctx: int, tokens_per_batch: int = 1024, seed: int = 0):
        _check_documents(corpus, tokenizer, n_ctx)
        self.corpus, self.endoftext = corpus, tokenizer.endoftext
        self.seed = whole(seed, "seed", 0)
        n_rows = whole(tokens_per_batch, "tokens_per_batch", 1) / (corpus.lengths.mean() + 1)
        self.n_rows = max(1, round(float(n_rows)))
        self._shuffled = None, None, None  # the last epoch asked for: a shortcut, not a state

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.corpus) // self.n_rows)

    def __getitem__(self, step: int) -> Batch:
        return _rows(self.corpus, self.documents(step), self.endoftext)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the first epoch."""
        return (self[step] for step in range(len(self)))

    def documents(self, step: int) -> np.ndarray:
        """The numbers of the documents in a batch: one for each row."""
        epoch, place = divmod(whole(step, "step", 0), len(self))
        if self._shuffled[0] != epoch:
            self._shuffled = epoch, *self._shuffle(epoch)
        _, documents, batches = self._shuffled
        first = batches[place] * self.n_rows
        return documents[first : first + self.n_rows]

    def _shuffle(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The documents in random order, then by length inside each pool; and the batches in random order."""
        lots = _lots(len(self.corpus) + len(self), self.seed, epoch)
        documents = np.argsort(lots[: len(self.corpus)], kind="stable")
        pools = np.arange(len(documents)) // (self.POOL * self.n_rows)
        documents = documents[np.lexsort((self.corpus.lengths[documents], pools))]
        return documents, np.argsort(lots[len(self.corpus) :], kind="stable")


class WindowBatches:
    """Batches for training on a long text: windows of n_ctx tokens, each starting at a random place.

    Shapes: inputs and targets (batch_size, n_ctx); target t is input t + 1.
    Errors: ValueError for a text shorter than n_ctx + 1 tokens, ids that are not a row of whole numbers, bad sizes.
    Source: GPT-1, section 4.1. Differs: windows may overlap, so an epoch (len(batches) steps) shows as many tokens as
    the text has, but not each of them once; `windows` does that.
    """

    def __init__(self, ids: np.ndarray, n_ctx: int, batch_size: int, seed: int = 0):
        self.ids, self.n_ctx = _check_text(ids, n_ctx), whole(n_ctx, "n_ctx", 1)
        self.batch_size = whole(batch_size, "batch_size", 1)
        self.seed = whole(seed, "seed", 0)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return max(1, (len(self.ids) - 1) // (self.n_ctx * self.batch_size))

    def __getitem__(self, step: int) -> Batch:
        n_starts = len(self.ids) - self.n_ctx
        starts = _lots(self.batch_size, self.seed, whole(step, "step", 0)) % np.uint64(n_starts)
        window = self.ids[starts.astype(np.int64)[:, None] + np.arange(self.n_ctx + 1)].astype(np.int64)
        return window[:, :-1], window[:, 1:]  # (B, T), (B, T)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the first epoch."""
        return (self[step] for step in range(len(self)))


def evaluation_batches(corpus: Corpus, tokenizer: Tokenizer, n_ctx: int, tokens_per_batch: int = 1024) -> list[Batch]:
    """Every document once, one a row, in the order of the corpus: for measuring, not for training.

    Shapes and Errors: as in DocumentBatches.
    """
    _check_documents(corpus, tokenizer, n_ctx)
    cuts = _cuts(corpus.lengths, whole(tokens_per_batch, "tokens_per_batch", 1))
    return [_rows(corpus, np.arange(first, end), tokenizer.endoftext) for first, end in pairwise(cuts)]


def windows(ids: np.ndarray, n_ctx: int, batch_size: int = 16) -> list[Batch]:
    """A long text cut into windows side by side: every token but the first is predicted once.

    The last window is filled up with token 0 and target -100.
    Shapes: inputs and targets (batch_size or fewer, n_ctx). Errors: as in WindowBatches.

    >>> [(inputs, targets)] = windows(np.array([5, 6, 7, 8]), n_ctx=2)
    >>> inputs.tolist(), targets.tolist()
    ([[5, 6], [7, 0]], [[6, 7], [8, -100]])
    """
    ids, n_ctx = _check_text(ids, n_ctx).astype(np.int64), whole(n_ctx, "n_ctx", 1)
    empty = -(len(ids) - 1) % n_ctx  # positions to fill up
    inputs = np.append(ids[:-1], np.zeros(empty, np.int64)).reshape(-1, n_ctx)
    targets = np.append(ids[1:], np.full(empty, IGNORED)).reshape(-1, n_ctx)
    size = whole(batch_size, "batch_size", 1)
    return [(inputs[i : i + size], targets[i : i + size]) for i in range(0, len(inputs), size)]


def _rows(corpus: Corpus, documents: np.ndarray, endoftext: int) -> Batch:
    starts = corpus.offsets[documents]  # (B,)
    lengths = corpus.offsets[documents + 1] - starts  # (B,)
    columns = np.arange(lengths.max() + 1)  # (T,)
    inside = columns < lengths[:, None]  # (B, T)
    places = np.minimum(starts[:, None] + columns, corpus.n_tokens - 1)
    words = corpus.ids[places].astype(np.int64)  # (B, T)
    inputs = np.full(words.shape, endoftext, dtype=np.int64)
    inputs[:, 1:] = np.where(inside, words, endoftext)[:, :-1]
    targets = np.where(inside, words, IGNORED)
    targets[np.arange(len(documents)), lengths] = endoftext
    return inputs, targets


def _cuts(lengths: np.ndarray, tokens_per_batch: int) -> np.ndarray:
    """Where to cut a row of documents into batches: as many as fit, but at least one."""
    cuts, longest = [0], 0
    for i, length in enumerate(lengths.tolist()):
        longest = max(longest, length + 1)
        if i > cuts[-1] and (i + 1 - cuts[-1]) * longest > tokens_per_batch:
            cuts.append(i)
            longest = length + 1
    return np.array([*cuts, len(lengths)])


def _lots(n: int, seed: int, number: int) -> np.ndarray:
    """Random 64-bit whole numbers for the epoch or step of that number.

    numpy promises that the raw numbers of PCG64 never change. It does not promise that of Generator.permutation, so
    shuffles are made by sorting these lots.
    """
    return np.random.PCG64(np.random.SeedSequence([seed, number])).random_raw(n)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Which item of which source comes when.

    Shapes: sources and items (n_draws,); shares and epochs (n_sources,).
    """

    sources: np.ndarray  # the source of each draw
    items: np.ndarray  # the item of that source
    shares: np.ndarray  # draws from each source / all draws
    epochs: np.ndarray  # draws from each source / items it has: how often its items were seen


def mixture_order(
    n_per_source: Sequence[int], weights: Sequence[float], n_draws: int, rng: np.random.Generator
) -> Mixture:
    """Draw from several sources by weight, not by size: good small sources are seen again and again.

        P(source s) = weight_s / sum of weights        epochs_s = draws from s / n_per_source_s

    Within a source every item comes once before any comes again, each time in a fresh order.
    Unit: an item is whatever n_per_source counts; count windows of equal length to mix by tokens.
    Errors: ValueError for negative or useless weights, empty sources, sizes that do not match.
    Source: GPT-3, section 2.2 and table 2.2. Differs: nothing known; the paper prints weights and epochs only.

    >>> mixture = mixture_order([1, 2], [0, 1], 4, np.random.default_rng(0))
    >>> mixture.sources.tolist(), sorted(mixture.items[:2].tolist()), mixture.epochs.tolist()
    ([1, 1, 1, 1], [0, 1], [0.0, 2.0])
    """
    sizes = np.array([whole(n, "n_per_source", 1) for n in n_per_source])
    weights = np.array(weights, dtype=np.float64)
    if weights.shape != sizes.shape or not len(sizes):
        raise ValueError(f"expected one weight for each source, got {weights.size} weights for {len(sizes)} sources")
    if not np.all(np.isfinite(weights)) or np.any(weights < 0) or weights.sum() == 0:
        raise ValueError(f"expected weights that are not negative and not all 0, got {weights.tolist()}")
    bounds = np.cumsum(weights) / weights.sum()
    draws = rng.random(whole(n_draws, "n_draws", 1))
    sources = np.minimum(np.searchsorted(bounds, draws, side="right"), np.flatnonzero(weights)[-1])
    items = np.empty_like(sources)
    for source, size in enumerate(sizes):
        mine = np.flatnonzero(sources == source)
        rounds = [np.argsort(rng.random(size)) for _ in range(-(-len(mine) // size))]
        if rounds:
            items[mine] = np.concatenate(rounds)[: len(mine)]
    drawn = np.bincount(sources, minlength=len(sizes))
    return Mixture(sources, items, drawn / n_draws, drawn / sizes)


def _check_text(ids: np.ndarray, n_ctx: int) -> np.ndarray:
    needed = whole(n_ctx, "n_ctx", 1) + 1
    ids = np.asarray(ids, dtype=None if len(ids) else np.int64)  # a list will do
    if len(check_ids(ids)) < needed:
        raise ValueError(
            f"expected a text of at least n_ctx + 1 = {needed} tokens, got {len(ids)}: "
            "use a longer text or a smaller n_ctx"
        )
    return ids


def _check_documents(corpus: Corpus, tokenizer: Tokenizer, n_ctx: int) -> None:
    check_tokenizer(corpus, tokenizer)
    longest = int(corpus.lengths.argmax())
    if corpus.lengths[longest] + 1 > whole(n_ctx, "n_ctx", 1):
        raise ValueError(
            f"document {longest} has {corpus.lengths[longest]} tokens, but at n_ctx = {n_ctx} at most {n_ctx - 1} fit "
            "beside the end-of-text id: use a larger n_ctx or shorter documents"
        )
