"""The published GPT-2 vocabulary, read from its two files, vocab.json and merges.txt.

The files write every byte as a printable letter; here the letters become bytes again. Floor 1 of the west wing.
"""

import json
from pathlib import Path

from minigpt.tokens import ENDOFTEXT, Tokenizer


def letters() -> dict[str, int]:
    """The letter that stands for each byte in GPT-2's files -> the byte.

    Printable ones stand for themselves; the others are, in order, the letters from number 256 on.
    Source: the code released with GPT-2 (the paper, section 2.2, says bytes and leaves the letters out).

    >>> letters()["a"], letters()["Ġ"]
    (97, 32)
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def load(folder: str | Path) -> Tokenizer:
    """The tokenizer of a published GPT-2: the same ids for every text.

    GPT-2 has one special token, end-of-text, whose id follows the ranks, here as there. The other three of this book's
    tokenizers get ids beyond GPT-2's vocabulary: never feed them to a published model.
    Errors: ValueError if a file is missing or damaged, or if the two do not fit together.
    Source: GPT-2, section 2.2.
    """
    folder = Path(folder)
    vocab, merges = _read(folder / "vocab.json"), _read(folder / "merges.txt")
    try:
        ids = json.loads(vocab)
        as_bytes = letters()
        ranks = {bytes(as_bytes[c] for c in piece): int(i) for piece, i in ids.items() if piece != ENDOFTEXT}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{folder / 'vocab.json'} is not a GPT-2 vocabulary: {error!r}") from None
    lines = [line for line in merges.split("\n") if line and not line.startswith("#version")]
    joined = {"".join(line.split(" ")) for line in lines}
    known = {piece for piece in ids if piece != ENDOFTEXT and len(piece) > 1}
    if joined != known:
        odd = sorted(joined ^ known)[:3]
        raise ValueError(f"merges.txt and vocab.json in {folder} do not fit together: {odd} are in one of them only")
    if ids.get(ENDOFTEXT, len(ranks)) != len(ranks):
        raise ValueError(f"expected {ENDOFTEXT} to be the last token, {len(ranks)}; it is {ids[ENDOFTEXT]}")
    return Tokenizer(ranks, "gpt2")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"expected a readable file {path}: {error}") from None
