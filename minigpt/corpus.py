"""Corpora: documents as arrays of token ids, kept in memory-mapped files and handed out in batches.

Documents come from the story world, from the reader's own files, or from a public text fetched by name. A batch is
asked for by its number, `batches[step]`, and depends on nothing else: training resumes without any state to restore.

Floor 1 of the west wing (uses tokens). Plain numpy: inputs and targets are int64 arrays, and a target of -100 means
that nothing is to be predicted there.
"""

import hashlib
import http.client
import io
import json
import os
import ssl
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from filelock import FileLock

from minigpt.tokens import Tokenizer, explained, replace_file

IGNORE = -100  # the target where nothing is predicted

Batch = tuple[np.ndarray, np.ndarray]  # inputs (B, T), targets (B, T)


# --- documents as ids -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents as token ids, one after another in a single array; no special tokens between them.

    Shapes: ids (n_tokens,), offsets (n_documents + 1,): document i is ids[offsets[i] : offsets[i + 1]].
    Errors: ValueError for arrays of another kind, for offsets that do not run from 0 to n_tokens.

    >>> corpus = Corpus(np.array([7, 8, 9]), np.array([0, 2, 3]))
    >>> len(corpus), corpus.n_tokens, corpus.document(0).tolist(), corpus.document(1).tolist()
    (2, 3, [7, 8], [9])
    """

    ids: np.ndarray  # (n_tokens,) uint16 or uint32; may be a memory map
    offsets: np.ndarray  # (n_documents + 1,) int64
    fingerprint: str | None = None  # of the tokenizer that made the ids, if known

    def __post_init__(self):
        _check_ids(self.ids)
        _check_ids(self.offsets)
        if len(self.offsets) < 2 or self.offsets[0] != 0 or self.offsets[-1] != len(self.ids):
            raise ValueError(f"expected offsets from 0 to {len(self.ids)} of at least one document, got {self.offsets}")
        if np.any(np.diff(self.offsets) < 0):
            raise ValueError("expected offsets that never decrease")

    def __repr__(self) -> str:
        return f"Corpus({len(self):,} documents, {self.n_tokens:,} tokens)"

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_tokens(self) -> int:
        """How many tokens all documents have together."""
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """How many tokens each document has."""
        return np.diff(self.offsets)

    def document(self, i: int) -> np.ndarray:
        """The ids of document i."""
        if not 0 <= i < len(self):
            raise ValueError(f"expected a document from 0 to {len(self) - 1}, got {i}")
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    def packed(self, endoftext: int) -> np.ndarray:
        """One long stream of ids, with an end-of-text id after each document (GPT-3, section 2.3 and appendix B).

        >>> Corpus(np.array([7, 8, 9]), np.array([0, 2, 3])).packed(endoftext=0).tolist()
        [7, 8, 0, 9, 0]
        """
        return np.insert(self.ids, self.offsets[1:], endoftext)


def encode(documents: Iterable[str], tokenizer: Tokenizer) -> Corpus:
    """Turn documents into ids.

    Errors: ValueError for no document, for an empty one, for one string in place of several.
    """
    if isinstance(documents, str):
        raise ValueError("expected several documents, got one string: write [text]")
    kind = np.uint16 if tokenizer.n_vocab <= 2**16 else np.uint32
    pieces = [np.array(tokenizer.encode(text), dtype=kind) for text in documents]
    if not pieces:
        raise ValueError("expected at least one document, got none")
    for i, piece in enumerate(pieces):
        if not len(piece):
            raise ValueError(f"expected documents with text in them, but document {i} is empty")
    offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return Corpus(np.concatenate(pieces), offsets, tokenizer.fingerprint)


def read_text(path: str | Path) -> list[str]:
    """Read the reader's own text: one UTF-8 file, or every .txt and .md file of a folder and the folders in it.

    Line ends become "\\n" whatever system wrote them, and a byte-order mark is dropped.
    Errors: FileNotFoundError for a path that is not there; ValueError for a file that is empty, or has bytes that are
    not UTF-8 (naming file, byte and line), or a folder without text files.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path.absolute()}")
    files = [path]
    if path.is_dir():
        inside = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
        texts = [file for file in inside if file.suffix.lower() in (".txt", ".md") and not _is_hidden(file)]
        files = [path / file for file in sorted(texts, key=Path.as_posix)]
        if not files:
            raise ValueError(f"expected .txt or .md files in the folder {path}, found none")
    return [_read(file) for file in files]


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)  # Jupyter keeps second copies in .ipynb_checkpoints


def _read(file: Path) -> str:
    data = file.read_bytes()
    try:
        text = data.decode("utf-8").removeprefix("\N{BYTE ORDER MARK}")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        utf16 = " It looks like UTF-16." if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise ValueError(
            f"{file} is not UTF-8: byte {data[error.start]:#04x} at position {error.start} (line {line}).{utf16} "
            "Open it in a text editor and save it with the encoding UTF-8"
        ) from None
    if not text.strip():
        raise ValueError(f"expected a text in {file}, but it is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


# --- token files ----------------------------------------------------------------------------------------------------


def save(corpus: Corpus, folder: str | Path, tokenizer: Tokenizer) -> None:
    """Write a corpus into a folder: two .npy files, and corpus.json with their sizes and SHA-256.

    The .npy files are named by their content and corpus.json is written last, so a crash or a full disk on the way
    leaves an older corpus in the same folder as it was.
    Errors: ValueError if another tokenizer made the corpus; OSError if it cannot be written.
    """
    _check_tokenizer(corpus, tokenizer)
    folder, files = Path(folder), {}
    for name in ("ids", "offsets"):
        buffer = io.BytesIO()
        np.save(buffer, getattr(corpus, name))
        data = buffer.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        files[name] = {"file": f"{name}-{digest[:12]}.npy", "bytes": len(data), "sha256": digest}
        replace_file(folder / files[name]["file"], data)
    about = {
        "tokenizer": tokenizer.fingerprint,
        "n_documents": len(corpus),
        "n_tokens": corpus.n_tokens,
        "files": files,
    }
    replace_file(folder / "corpus.json", (json.dumps(about, indent=1) + "\n").encode("utf-8"))
    kept = {entry["file"] for entry in files.values()}
    for old in [*folder.glob("ids-*.npy"), *folder.glob("offsets-*.npy")]:
        if old.name not in kept:
            try:
                old.unlink()
            except OSError:
                pass  # somebody still reads it (Windows): it only takes up space


def open_(folder: str | Path, tokenizer: Tokenizer) -> Corpus:
    """Open a saved corpus; the ids stay in their file and are read when they are needed.

    Errors: FileNotFoundError where no corpus was saved; ValueError for another tokenizer, and for damaged files.
    """
    folder = Path(folder)
    if not (folder / "corpus.json").exists():
        raise FileNotFoundError(
            f"there is no corpus.json in {folder.absolute()}: make the corpus with encode, then save"
        )
    try:
        about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        made_by = about["tokenizer"]
        arrays = [_open_array(folder, about["files"][name]) for name in ("ids", "offsets")]
        corpus = Corpus(*arrays, fingerprint=made_by)
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise ValueError(
            f"the corpus in {folder} is damaged ({error}). Delete the folder and make it again with encode, then save"
        ) from error
    _check_tokenizer(corpus, tokenizer)
    return corpus


def _open_array(folder: Path, entry: dict) -> np.ndarray:
    path = folder / entry["file"]
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise ValueError(f"{path.name} should have {entry['bytes']} bytes, it has {size}")
    if _sha256(path) != entry["sha256"]:
        raise ValueError(f"the bytes of {path.name} have changed: its SHA-256 is not the one written in corpus.json")
    return np.load(path, mmap_mode="r")


# --- batches --------------------------------------------------------------------------------------------------------


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
        self.seed = _whole(seed, "seed", 0)
        n_rows = _whole(tokens_per_batch, "tokens_per_batch", 1) / (corpus.lengths.mean() + 1)
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
        epoch, place = divmod(_whole(step, "step", 0), len(self))
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
        self.ids, self.n_ctx = _check_text(ids, n_ctx), n_ctx
        self.batch_size = _whole(batch_size, "batch_size", 1)
        self.seed = _whole(seed, "seed", 0)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return max(1, (len(self.ids) - 1) // (self.n_ctx * self.batch_size))

    def __getitem__(self, step: int) -> Batch:
        n_starts = len(self.ids) - self.n_ctx
        starts = _lots(self.batch_size, self.seed, _whole(step, "step", 0)) % np.uint64(n_starts)
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
    cuts = _cuts(corpus.lengths, _whole(tokens_per_batch, "tokens_per_batch", 1))
    return [_rows(corpus, np.arange(first, end), tokenizer.endoftext) for first, end in pairwise(cuts)]


def windows(ids: np.ndarray, n_ctx: int, batch_size: int = 16) -> list[Batch]:
    """A long text cut into windows side by side: every token but the first is predicted once.

    The last window is filled up with token 0 and target -100.
    Shapes: inputs and targets (batch_size or fewer, n_ctx). Errors: as in WindowBatches.

    >>> [(inputs, targets)] = windows(np.array([5, 6, 7, 8]), n_ctx=2)
    >>> inputs.tolist(), targets.tolist()
    ([[5, 6], [7, 0]], [[6, 7], [8, -100]])
    """
    ids = _check_text(ids, n_ctx).astype(np.int64)
    empty = -(len(ids) - 1) % n_ctx  # positions to fill up
    inputs = np.append(ids[:-1], np.zeros(empty, np.int64)).reshape(-1, n_ctx)
    targets = np.append(ids[1:], np.full(empty, IGNORE)).reshape(-1, n_ctx)
    size = _whole(batch_size, "batch_size", 1)
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
    targets = np.where(inside, words, IGNORE)
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


# --- mixtures -------------------------------------------------------------------------------------------------------


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
    sizes = np.array([_whole(n, "n_per_source", 1) for n in n_per_source])
    weights = np.array(weights, dtype=np.float64)
    if weights.shape != sizes.shape or not len(sizes):
        raise ValueError(f"expected one weight for each source, got {weights.size} weights for {len(sizes)} sources")
    if not np.all(np.isfinite(weights)) or np.any(weights < 0) or weights.sum() == 0:
        raise ValueError(f"expected weights that are not negative and not all 0, got {weights.tolist()}")
    bounds = np.cumsum(weights) / weights.sum()
    draws = rng.random(_whole(n_draws, "n_draws", 1))
    sources = np.minimum(np.searchsorted(bounds, draws, side="right"), np.flatnonzero(weights)[-1])
    items = np.empty_like(sources)
    for source, size in enumerate(sizes):
        mine = np.flatnonzero(sources == source)
        rounds = [np.argsort(rng.random(size)) for _ in range(-(-len(mine) // size))]
        if rounds:
            items[mine] = np.concatenate(rounds)[: len(mine)]
    drawn = np.bincount(sources, minlength=len(sizes))
    return Mixture(sources, items, drawn / n_draws, drawn / sizes)


# --- public texts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PublicText:
    """A text that anybody may fetch: where it is, and how to know that it is the right one."""

    url: str
    sha256: str
    n_bytes: int
    licence: str


PUBLIC = {
    "tinyshakespeare": PublicText(
        url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        n_bytes=1_115_394,
        licence="public domain (Shakespeare, about 1590 to 1611)",
    ),
}
_NETWORK = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


def fetch(
    name: str, cache_dir: str | Path | None = None, url: str | None = None, timeout: float = 30.0, tries: int = 3
) -> Path:
    """Fetch a public text by name, once; it is only done when the reader asks, and nothing in this book needs it.

    A download that was cut goes on where it stopped. A file is used only if its SHA-256 is right. cache_dir is by
    default the folder in MINIGPT_CACHE or else ~/.cache/minigpt; url names another place that has the same file.

    Unit: timeout in seconds of silence.
    Errors: ConnectionError without a network (saying what to do, and keeping what has arrived); ValueError for an
    unknown name and for a file that is not the right one (deleted, never used); OSError for a full disk.
    """
    if name not in PUBLIC:
        raise ValueError(f"expected the name of a public text among {sorted(PUBLIC)}, got {name!r}")
    text = PUBLIC[name]
    if cache_dir is None:
        cache_dir = os.environ.get("MINIGPT_CACHE") or Path.home() / ".cache" / "minigpt"
    path = Path(cache_dir).expanduser() / f"{name}.txt"
    if path.exists() and _sha256(path) == text.sha256:
        return path
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        lock.acquire()
    try:
        if path.exists() and _sha256(path) != text.sha256:
            warnings.warn(f"{path} was damaged (wrong SHA-256) and is fetched again", UserWarning, stacklevel=2)
            path.unlink()
        if not path.exists():
            _fetch(text, url or text.url, path, timeout, _whole(tries, "tries", 1))
    finally:
        lock.release()
    return path


def _fetch(text: PublicText, url: str, path: Path, timeout: float, tries: int) -> None:
    """Download beside the path until complete, check, and only then put the file in its place."""
    part = path.with_suffix(".part")
    problem = None
    for _ in range(tries):
        try:
            _continue(part, url, text.n_bytes, timeout)
        except _NETWORK as error:
            problem = error
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it keeps the server's answer open
        if _size(part) >= text.n_bytes:
            break
    else:
        raise ConnectionError(
            f"could not fetch {url}: {problem or 'the connection ended early'}. {_size(part):,} of {text.n_bytes:,} "
            "bytes have arrived and are kept: ask again when the network is there, and it goes on from them. Or copy "
            f"the file by hand to {path}. The story world needs no network"
        ) from problem
    found = _sha256(part)
    if found != text.sha256:
        part.unlink()
        raise ValueError(
            f"{url} is not the text that was expected: SHA-256 {found}, expected {text.sha256}. It was deleted and not "
            "used. Ask again; if it stays wrong, the text at this address has changed"
        )
    with explained(path):
        os.replace(part, path)


def _continue(part: Path, url: str, n_bytes: int, timeout: float) -> None:
    """Add to the part what is missing, or begin again when the server cannot start in the middle."""
    have = _size(part)
    if have >= n_bytes:
        return
    headers = {"User-Agent": "miniGPT textbook"} | ({"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:
        middle = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        length = answer.headers.get("Content-Length")
        if length is not None and int(length) != n_bytes - (have if middle else 0):
            raise ValueError(
                f"{url} answered with another file ({length} bytes, the text has {n_bytes}): perhaps a log-in page of "
                "your network. Nothing was kept of it"
            )
        if not middle:
            _append(part, b"", "wb")
        while _size(part) <= n_bytes and (chunk := answer.read(1 << 16)):
            _append(part, chunk, "ab")


def _append(part: Path, chunk: bytes, mode: str) -> None:
    with explained(part), open(part, mode) as file:
        file.write(chunk)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# --- checks ---------------------------------------------------------------------------------------------------------


def _whole(value, name: str, smallest: int) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < smallest:
        raise ValueError(f"expected {name} to be a whole number of at least {smallest}, got {value!r}")
    return int(value)


def _check_ids(ids: np.ndarray) -> np.ndarray:
    if not isinstance(ids, np.ndarray) or ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        got = f"shape {ids.shape} of {ids.dtype}" if isinstance(ids, np.ndarray) else type(ids).__name__
        raise ValueError(f"expected a 1-dimensional numpy array of whole numbers, got {got}")
    if len(ids) and ids.min() < 0:
        raise ValueError(f"expected ids of at least 0, got {ids.min()}")
    return ids


def _check_text(ids: np.ndarray, n_ctx: int) -> np.ndarray:
    needed = _whole(n_ctx, "n_ctx", 1) + 1
    ids = np.asarray(ids, dtype=None if len(ids) else np.int64)  # a list will do
    if len(_check_ids(ids)) < needed:
        raise ValueError(
            f"expected a text of at least n_ctx + 1 = {needed} tokens, got {len(ids)}: "
            "use a longer text or a smaller n_ctx"
        )
    return ids


def _check_tokenizer(corpus: Corpus, tokenizer: Tokenizer) -> None:
    if corpus.fingerprint not in (None, tokenizer.fingerprint):
        raise ValueError(
            f"the corpus was encoded with another tokenizer: {corpus.fingerprint[:12]}..., expected "
            f"{tokenizer.fingerprint[:12]}.... Load the tokenizer that made it, or encode the documents again"
        )
    if corpus.n_tokens and corpus.ids.max() >= tokenizer.endoftext:
        raise ValueError(f"expected ids of text, below {tokenizer.endoftext}, got {corpus.ids.max()} in the corpus")


def _check_documents(corpus: Corpus, tokenizer: Tokenizer, n_ctx: int) -> None:
    _check_tokenizer(corpus, tokenizer)
    longest = int(corpus.lengths.argmax())
    if corpus.lengths[longest] + 1 > _whole(n_ctx, "n_ctx", 1):
        raise ValueError(
            f"document {longest} has {corpus.lengths[longest]} tokens, but at n_ctx = {n_ctx} at most {n_ctx - 1} fit "
            "beside the end-of-text id: use a larger n_ctx or shorter documents"
        )
