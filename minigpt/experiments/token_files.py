"""Files of token ids of any size, memory-mapped: written once from text, read as windows at random places.

A file is what others write, too: numbers of 16 bits one after another (.bin, also with the header that llm.c writes),
or a numpy array (.npy). A folder of such files is one long text in pieces.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigpt.batches import Batch, windows
from minigpt.io import files
from minigpt.io.checks import whole
from minigpt.tokenizer import Tokenizer

MAGIC, HEADER = 20240520, 256 * 4  # of a file that llm.c wrote: the first number of its header, and the header's bytes
HELD_OUT, MOST_HELD_OUT = 0.01, 1_000_000  # the share and the most tokens for validation, if no file is named for it
PIECE = 1_000_000  # characters that are encoded at once


@dataclass(frozen=True)
class Tokens:
    """Tokens to train on and tokens held out, each in pieces that stay on the disk."""

    training: tuple[np.ndarray, ...]
    held_out: tuple[np.ndarray, ...]

    @property
    def n_training(self) -> int:
        """Tokens to train on."""
        return sum(map(len, self.training))


def is_tokens(path: Path) -> bool:
    """Whether a path is a file of tokens or a folder with one."""
    return path.suffix in (".bin", ".npy") or (path.is_dir() and bool(_token_files(path)))


def open_tokens(path: str | Path, n_ctx: int) -> Tokens:
    """Open a file of tokens, or all of a folder, as memory maps: nothing is read before it is needed.

    Files with "val" in their name are held out. If there is none, it is the last hundredth of the last file, a million
    tokens at most.
    Errors: ValueError for a file of another kind, or for less than a window of n_ctx + 1 in either part.
    """
    path = files.reader_path(path, "a file or folder of tokens")
    found = {each: _map(each) for each in (_token_files(path) if path.is_dir() else [path])}
    held_out = tuple(ids for each, ids in found.items() if "val" in each.name)
    training = [ids for each, ids in found.items() if "val" not in each.name]
    if not held_out and training:
        n = min(MOST_HELD_OUT, max(n_ctx + 1, int(HELD_OUT * len(training[-1]))))
        training[-1], held_out = training[-1][:-n], (training[-1][-n:],)
    if not training:
        raise ValueError(
            f"expected a file of tokens to train on in {path}: the names there all hold the letters val, which means "
            "held out. Rename one"
        )
    training = tuple(ids for ids in training if len(ids) > n_ctx)
    if not training or max(map(len, held_out), default=0) <= n_ctx:
        raise ValueError(
            f"expected tokens for at least one window of {n_ctx} + 1 to train on and one to validate with; {path} has "
            f"{sum(map(len, found.values())):,} tokens in {len(found)} file{'s' * (len(found) != 1)}: use more text or "
            "a smaller context"
        )
    return Tokens(training, held_out)


def _token_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".bin", ".npy") and path.name[0] != ".")


def _map(path: Path) -> np.ndarray:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path.absolute()}")
    with files.explained(path, "read"):
        if path.suffix == ".npy":
            ids = np.load(path, mmap_mode="r")
            if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
                raise ValueError(f"expected a row of whole numbers in {path}, got {ids.dtype} of shape {ids.shape}")
            return ids
        if path.stat().st_size % 2:
            raise ValueError(f"expected numbers of two bytes each in {path}, but it has {path.stat().st_size} bytes")
        begin = np.fromfile(path, dtype=np.int32, count=1)
        headed = len(begin) and begin[0] == MAGIC
        if path.stat().st_size <= headed * HEADER:
            raise ValueError(f"expected tokens in {path}, but it is empty")
        return np.memmap(path, dtype=np.uint16, mode="r", offset=headed * HEADER)


@dataclass(frozen=True)
class Windows:
    """Training batches: windows of n_ctx tokens, each from a random place of all pieces; `batches[step]` for ever.

    Shapes: inputs and targets (batch_size, n_ctx); target t is input t + 1. Which windows come depends on (seed, step)
    alone, so that a run that is continued needs no state.
    """

    pieces: tuple[np.ndarray, ...]
    n_ctx: int
    batch_size: int
    seed: int = 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        return max(1, sum(map(len, self.pieces)) // (self.n_ctx * self.batch_size))

    def __getitem__(self, step: int) -> Batch:
        lots = np.random.PCG64(np.random.SeedSequence([self.seed, whole(step, "step", 0)])).random_raw(self.batch_size)
        ends = np.cumsum([len(piece) - self.n_ctx for piece in self.pieces])  # places where a window can start
        places = (lots % np.uint64(ends[-1])).astype(np.int64)
        rows = []
        for place, which in zip(places, np.searchsorted(ends, places, side="right")):
            start = place - (ends[which - 1] if which else 0)
            rows.append(self.pieces[which][start : start + self.n_ctx + 1])
        read = np.stack(rows).astype(np.int64)  # (B, n_ctx + 1)
        return read[:, :-1], read[:, 1:]


def validation_batches(tokens: Tokens, n_ctx: int, batch_size: int, most: int) -> list[Batch]:
    """Batches that measure: windows side by side, from the beginning of the held-out pieces, `most` tokens at most."""
    longest = max(tokens.held_out, key=len)
    return windows(longest[: max(n_ctx + 1, min(most, len(longest)))], n_ctx, batch_size)


# --- from text --------------------------------------------------------------------------------------------------------


def text_pieces(path: Path) -> Iterator[str | None]:
    """The text of a file or of all files of a folder, about a million characters at a time, cut behind line ends.

    None stands for the end of a file. Errors: as `corpus.read_text` for a path without text.
    """
    for file in text_files(path):
        rest = ""
        with files.explained(file, "read"), open(file, encoding="utf-8-sig", newline=None) as opened:
            while part := _read(opened, file):
                rest += part
                cut = rest.rfind("\n") + 1 or (len(rest) if len(rest) > 4 * PIECE else 0)
                if cut:
                    yield rest[:cut]
                rest = rest[cut:]
        if rest:
            yield rest
        yield None


def _read(opened, file: Path) -> str:
    """The next piece of an open text. Errors: ValueError, with the name of the file, if it is not UTF-8."""
    try:
        return opened.read(PIECE)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is not UTF-8: it has a byte {error.object[error.start]:#04x}. Open it in a text editor and save "
            "it with the encoding UTF-8"
        ) from None


def text_files(path: Path) -> list[Path]:
    """One text file, or every .txt and .md file of a folder and the folders in it, sorted."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path.absolute()}")
    found = [path] if path.is_file() else sorted([*path.rglob("*.txt"), *path.rglob("*.md")], key=Path.as_posix)
    found = [each for each in found if not any(part.startswith(".") for part in each.relative_to(path).parts)]
    if not found:
        raise ValueError(f"expected .bin, .npy, .txt or .md files in {path}, found none")
    return found


def write_tokens(path: Path, tokenizer: Tokenizer, folder: Path) -> Path:
    """Encode a text of any size once, an end-of-text id behind each file, into folder/tokens.bin (or .npy).

    It is not made again while text and tokenizer are the same: their sizes, times and fingerprint stand beside it.
    Errors: ValueError for a path without text; OSError if it cannot be written.
    """
    sources = {str(each): [each.stat().st_size, each.stat().st_mtime_ns] for each in text_files(path)}
    about = {"tokenizer": tokenizer.fingerprint, "sources": sources}
    kind = np.uint16 if tokenizer.endoftext < 2**16 else np.uint32
    place, beside = folder / ("tokens.bin" if kind is np.uint16 else "tokens.npy"), folder / "tokens.json"
    with contextlib.suppress(ValueError):  # a damaged note: encode the text again
        if place.exists() and json.loads(files.read_file(beside) or b"{}") == about:
            return place
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = files.unused_name(folder)
    try:
        with open(unfinished, "wb") as file:
            for piece in text_pieces(path):
                ids = [tokenizer.endoftext] if piece is None else tokenizer.encode(piece)
                np.array(ids, dtype=kind).tofile(file)
        if kind is np.uint32:
            np.save(place, np.memmap(unfinished, dtype=kind, mode="r"))
        else:
            unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)
    files.write_file(beside, (json.dumps(about, indent=1) + "\n").encode())
    return place


def some_text(path: Path, n_characters: int) -> str:
    """The first so many characters of a text, for a tokenizer to learn from. Errors: ValueError for an empty text."""
    found, n = [], 0
    for piece in text_pieces(path):
        found.append(piece or "")
        n += len(found[-1])
        if n >= n_characters:
            break
    text = "".join(found)[:n_characters]
    if not text.strip():
        raise ValueError(f"expected a text in {path}, but it is empty")
    return text
