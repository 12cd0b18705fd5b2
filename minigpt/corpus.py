"""Corpus: documents as arrays of token ids, saved and memory-mapped.

Documents come from the story world, from the reader's own files, or from a public text that is fetched by name.
minigpt.batches makes batches of them. Plain numpy, no torch.
"""

import contextlib
import hashlib
import io
import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigpt.io import files
from minigpt.io.download import PublicText, download, only_one
from minigpt.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class Corpus:
    """Corpus: documents as token ids, one after another in a single array; no special tokens between them.

    Shapes: ids (n_tokens,), offsets (n_documents + 1,): document i is ids[offsets[i] : offsets[i + 1]].
    Errors: ValueError for arrays of another kind, for offsets that do not run from 0 to n_tokens.

    >>> corpus = Corpus(np.array([7, 8, 9]), np.array([0, 2, 3]))
    >>> len(corpus), corpus.n_tokens, corpus.document(0).tolist(), corpus.document(1).tolist()
    (2, 3, [7, 8], [9])
    """

    ids: np.ndarray  # (n_tokens,) uint16 or uint32; may be a memory map
    offsets: np.ndarray  # (n_documents + 1,) int64
    tokenizer_fingerprint: str | None = None  # of the tokenizer that made the ids, if known

    def __post_init__(self):
        check_ids(self.ids)
        check_ids(self.offsets)
        if len(self.offsets) < 2 or self.offsets[0] != 0 or self.offsets[-1] != len(self.ids):
            raise ValueError(f"expected offsets from 0 to {len(self.ids)} of at least one document, got {self.offsets}")
        if np.any(self.offsets[1:] < self.offsets[:-1]):  # not np.diff: unsigned numbers have no difference below 0
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
        """Packed sequence: one long stream of ids, with an end-of-text id after each document.

        Source: GPT-3, appendix B. Errors: ValueError for an id that the kind of array cannot hold.

        >>> Corpus(np.array([7, 8, 9]), np.array([0, 2, 3])).packed(endoftext=0).tolist()
        [7, 8, 0, 9, 0]
        """
        largest = np.iinfo(self.ids.dtype).max
        if whole(endoftext, "endoftext", 0) > largest:
            raise ValueError(f"expected an id of at most {largest} in a corpus of {self.ids.dtype}, got {endoftext}")
        return np.insert(self.ids, self.offsets[1:], endoftext)


def encode(documents: Iterable[str], tokenizer: Tokenizer) -> Corpus:
    """Encode documents: text to ids.

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
    """Read your own text: one UTF-8 file, or every .txt and .md file of a folder and the folders in it.

    A path may begin with ~, the home folder. Line ends become "\\n" whatever system wrote them, and a byte-order mark
    is dropped.
    Errors: FileNotFoundError for a path that is not there; ValueError for no path, a file that is empty, or has bytes
    that are not UTF-8 (naming file, byte and line), or a folder without text files.
    """
    path = files.reader_path(path, "the path of a text")
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path.absolute()}{_backslashes(path)}")
    if not path.is_dir():
        return [_read(path)]
    inside = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
    texts = [file for file in inside if file.suffix.lower() in (".txt", ".md") and not _is_hidden(file)]
    if not texts:
        raise ValueError(f"expected .txt or .md files in the folder {path}, found none")
    return [_read(path / file) for file in sorted(texts, key=Path.as_posix)]


def _backslashes(path: Path) -> str:
    """Advice for a Windows path in plain quotes, where Python has read \\t as a tab and \\n as a line break."""
    if not re.search(r"[\x00-\x1f]", str(path)):
        return ""
    return (
        f", which Python read as {str(path)!r}: between plain quotes a backslash and a letter stand for one character. "
        'Write r"C:\\folder\\text.txt", with an r before the quotes'
    )


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)  # Jupyter keeps second copies in .ipynb_checkpoints


def _read(file: Path) -> str:
    with files.explained(file, "read"):
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


def save(corpus: Corpus, folder: str | Path, tokenizer: Tokenizer) -> None:
    """Save a corpus in a folder: two .npy files, and corpus.json with their sizes and SHA-256.

    The .npy files are named by their content and corpus.json is written last, so a crash or a full disk on the way
    leaves an older corpus in the same folder as it was. Of the files in the folder only those of that older corpus are
    deleted.
    Errors: ValueError if another tokenizer made the corpus, or a corpus.json there is not of this kind; OSError if it
    cannot be written.
    """
    check_tokenizer(corpus, tokenizer)
    folder = files.reader_path(folder, "a folder for the corpus")
    before, entries = _entries(folder), {}
    for name in ("ids", "offsets"):
        buffer = io.BytesIO()
        np.save(buffer, getattr(corpus, name))
        data = buffer.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        entries[name] = {"file": f"{name}-{digest[:12]}.npy", "bytes": len(data), "sha256": digest}
        files.write_file(folder / entries[name]["file"], data)
    about = {
        "tokenizer": tokenizer.fingerprint,
        "n_documents": len(corpus),
        "n_tokens": corpus.n_tokens,
        "files": entries,
    }
    files.write_file(folder / "corpus.json", (json.dumps(about, indent=1) + "\n").encode("utf-8"))
    for old in {entry["file"] for entry in before.values()} - {entry["file"] for entry in entries.values()}:
        with contextlib.suppress(OSError):  # another process still reads it (Windows): it only takes up space
            (folder / old).unlink()


def _entries(folder: Path) -> dict:
    """The files of the corpus that lies in a folder already. Errors: ValueError for a foreign corpus.json."""
    data = files.read_file(folder / "corpus.json")
    try:
        found = {} if data is None else json.loads(data)["files"]
        if not all(re.fullmatch(rf"{name}-[0-9a-f]{{12}}\.npy", entry["file"]) for name, entry in found.items()):
            raise ValueError("other names")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(
            f"{folder / 'corpus.json'} is damaged or was not written by this book: choose another folder, or remove it"
        ) from None
    return found


def open_(folder: str | Path, tokenizer: Tokenizer) -> Corpus:
    """Open a saved corpus as a memory map: the ids stay in their file and are read when they are needed.

    Errors: FileNotFoundError where no corpus was saved; ValueError for another tokenizer, and for damaged files.
    """
    folder = files.reader_path(folder, "the folder of a corpus")
    if not (folder / "corpus.json").exists():
        raise FileNotFoundError(
            f"there is no corpus.json in {folder.absolute()}: make the corpus with encode, then save"
        )
    try:
        about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        arrays = [_open_array(folder, about["files"][name]) for name in ("ids", "offsets")]
        corpus = Corpus(*arrays, tokenizer_fingerprint=about["tokenizer"])
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise ValueError(
            f"the corpus in {folder} is damaged ({error}). Delete the folder and make it again with encode, then save"
        ) from error
    check_tokenizer(corpus, tokenizer)
    return corpus


def _open_array(folder: Path, entry: dict) -> np.ndarray:
    path = folder / entry["file"]
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise ValueError(f"{path.name} should have {entry['bytes']} bytes, it has {size}")
    if files.sha256(path) != entry["sha256"]:
        raise ValueError(f"the bytes of {path.name} have changed: its SHA-256 is not the one written in corpus.json")
    return np.load(path, mmap_mode="r")


PUBLIC = {
    "tinyshakespeare": PublicText(
        url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        n_bytes=1_115_394,
        licence="public domain (Shakespeare, about 1590 to 1611)",
    ),
}


def fetch(
    name: str, cache_dir: str | Path | None = None, url: str | None = None, timeout: float = 30.0, tries: int = 3
) -> Path:
    """Fetch a public text by name, once; it is only done when the reader asks, and nothing in this book needs it.

    A download that was cut goes on where it stopped. A file is used only if its SHA-256 is right. cache_dir is by
    default the book's cache folder (io.files.cache_dir); url names another place that has the same file.

    Unit: timeout in seconds of silence.
    Errors: ConnectionError without a network (saying what to do, and keeping what has arrived); ValueError for an
    unknown name and for a file that is not the right one (deleted, never used); OSError for a full disk.
    """
    if name not in PUBLIC:
        raise ValueError(f"expected the name of a public text among {sorted(PUBLIC)}, got {name!r}")
    text, tries = PUBLIC[name], whole(tries, "tries", 1)
    folders = files.cache_dirs() if cache_dir is None else [files.reader_path(cache_dir, "a cache folder")]
    for folder in folders:
        path = folder / f"{name}.txt"
        if path.exists() and files.sha256(path) == text.sha256:
            return path
    path = folders[0] / f"{name}.txt"
    with only_one(path):
        if path.exists():
            if files.sha256(path) == text.sha256:  # another process has fetched it meanwhile
                return path
            warnings.warn(f"{path} was damaged (wrong SHA-256) and is fetched again", UserWarning, stacklevel=2)
        download(url or text.url, path, n_bytes=text.n_bytes, sha256=text.sha256, timeout=timeout, tries=tries)
    return path


def whole(value, name: str, smallest: int) -> int:
    """A whole number as int; numpy's are welcome. Errors: ValueError for anything else, and below the smallest."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < smallest:
        raise ValueError(f"expected {name} to be a whole number of at least {smallest}, got {value!r}")
    return int(value)


def check_ids(ids: np.ndarray) -> np.ndarray:
    """The ids themselves. Errors: ValueError unless they are a row of whole numbers that are not negative."""
    if not isinstance(ids, np.ndarray) or ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        got = f"shape {ids.shape} of {ids.dtype}" if isinstance(ids, np.ndarray) else type(ids).__name__
        raise ValueError(f"expected a 1-dimensional numpy array of whole numbers, got {got}")
    if len(ids) and np.issubdtype(ids.dtype, np.signedinteger) and ids.min() < 0:
        raise ValueError(f"expected ids of at least 0, got {ids.min()}")
    return ids


def check_tokenizer(corpus: Corpus, tokenizer: Tokenizer) -> None:
    """Errors: ValueError if another tokenizer made the corpus, or an id in it is not of text."""
    if corpus.tokenizer_fingerprint not in (None, tokenizer.fingerprint):
        raise ValueError(
            f"the corpus was encoded with another tokenizer: {corpus.tokenizer_fingerprint[:12]}..., expected "
            f"{tokenizer.fingerprint[:12]}.... Load the tokenizer that made it, or encode the documents again"
        )
    if corpus.n_tokens and corpus.ids.max() >= tokenizer.endoftext:
        raise ValueError(f"expected ids of text, below {tokenizer.endoftext}, got {corpus.ids.max()} in the corpus")
