"""Downloads: resumable, checked against a SHA-256."""

import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from minigpt.io.files import explained


@dataclass(frozen=True)
class PublicText:
    """A text that anybody may fetch: where it is, and how to know that it is the right one."""

    url: str
    sha256: str
    n_bytes: int
    licence: str


_NETWORK = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


def download(text: PublicText, url: str, path: Path, timeout: float, tries: int) -> None:
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
    found = sha256(part)
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


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
