"""Downloads: resumable, limited in size, and used only if the checksum is right."""

import contextlib
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from minigpt.io import files

MAX_BYTES = 8 * 10**9  # of a file whose size is not known beforehand; GPT-2's largest weights have 6.4 GB
GIVE_UP = {400, 401, 403, 404, 405, 410, 451}  # asking again does not help


@dataclass(frozen=True)
class PublicText:
    """A text that anybody may fetch: where it is, and how to know that it is the right one."""

    url: str
    sha256: str
    n_bytes: int
    licence: str


class _Interrupted(Exception):
    """The network or the server failed: what has arrived is kept, and asking again may help."""

    def __init__(self, problem, again: bool = True, restart: bool = False):
        super().__init__(f"{problem}")
        self.again, self.restart = again, restart


@dataclass(frozen=True)
class _Answer:
    """What a server said of a file before sending it."""

    first: int  # the place of the first byte that it sends
    n_bytes: int | None  # how long the whole file is
    digest: str | None  # "sha256:..." or "git:..." (git's SHA-1 of small files), if it sent one
    complete: bool = False  # nothing is missing


def download(
    url: str, path: Path, *, n_bytes: int | None = None, sha256: str | None = None, max_bytes: int = MAX_BYTES,
    timeout: float = 30.0, tries: int = 3,
) -> str:  # fmt: skip
    """Resumable download with a checksum: the file takes its place only if complete and right. Returns its SHA-256.

    What arrives is kept beside it as NAME.part, where the next call goes on. Without `sha256` the file is compared
    with the hash that the server sends (X-Linked-ETag or ETag, as the hub of GPT-2 does): that guards against accidents only.

    Unit: timeout in seconds of silence. Errors: ConnectionError for a network that fails; ValueError for a file that is
    not the right one (deleted, never used) or an answer that makes no sense; OSError for a disk that cannot be written.
    """
    part = _part(path)
    if not re.match("https?://", url):
        raise ValueError(f"expected an address that begins with http:// or https://, got {url!r}")
    left_over = _size(part) > 0
    while True:
        expected = f"sha256:{sha256}" if sha256 else None
        if n_bytes is None or sha256 is None or _size(part) != n_bytes:  # complete already: no network is needed
            expected = _receive(part, url, path, n_bytes, expected, max_bytes, timeout, tries)
        found = _digest(part, expected)
        if found == expected:
            break
        part.unlink()
        if not left_over:
            raise ValueError(
                f"{url} is not the file that was expected: {found.replace(':', ' ')}, expected "
                f"{expected.replace(':', ' ')}. It was deleted and not used. Ask again; if it stays wrong, the file at "
                "this address has changed"
            )
        left_over = False  # what an earlier call had left may have been the damaged piece: once more from the beginning
    with files.explained(path):
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    return files.sha256(path)


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Wait until no other process fetches into this place; its folder is made."""
    with files.explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(path.name + ".lock"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _receive(part: Path, url: str, path: Path, n_bytes, expected, max_bytes: int, timeout: float, tries: int) -> str:
    """Add to the part until it is complete; returns the digest that it should have."""
    problem = None
    for _ in range(tries):
        try:
            return _continue(part, url, n_bytes, expected, max_bytes, timeout)
        except _Interrupted as error:
            problem = error
            if error.restart:
                part.unlink(missing_ok=True)
            if not error.again:
                break
    so_far = f"{_size(part):,} of {n_bytes:,}" if n_bytes else f"{_size(part):,}"
    raise ConnectionError(
        f"could not fetch {url}: {problem}. {so_far} bytes have arrived and are kept: ask again when the network is "
        f"there, and it goes on from them. Or copy the file by hand to {path}. The story world needs no network"
    )


def _continue(part: Path, url: str, n_bytes, expected, max_bytes: int, timeout: float) -> str:
    """One request: add to the part what is missing, or begin again when the server cannot start in the middle."""
    have = _size(part)
    if n_bytes is not None and have > n_bytes:
        have = 0
    with _asked(url, have, timeout) as (response, headers):
        answer = _understood(response, headers, url, have)
        length = answer.n_bytes if n_bytes is None else n_bytes
        if n_bytes is not None and answer.n_bytes not in (None, n_bytes):
            raise ValueError(
                f"{url} answered with another file ({answer.n_bytes} bytes, expected {n_bytes}): perhaps a log-in page "
                "of your network. Nothing was kept of it"
            )
        expected = expected or answer.digest
        if expected is None:
            raise ValueError(f"{url}: the server sends no hash to check the file with; give its SHA-256 yourself")
        if answer.complete:
            return expected
        limit = max_bytes if length is None else length
        if limit > max_bytes:
            raise ValueError(f"{url} has {limit:,} bytes, more than the {max_bytes:,} that were allowed: not fetched")
        with files.explained(part):
            file = open(part, "ab" if answer.first else "wb")
        with file:
            n = answer.first
            while n <= limit and (block := _read(response)):
                with files.explained(part):
                    file.write(block)
                    file.flush()
                n += len(block)
    if n > limit:
        part.unlink()
        raise ValueError(f"{url} sends more than the {limit:,} bytes that were expected. It was deleted and not used")
    if length is not None and n < length:
        raise _Interrupted("the connection ended early")
    return expected


class _Remember(urllib.request.HTTPRedirectHandler):
    """Follow a redirect, and keep its headers: the hub sends the hash with the first answer, not with the file."""

    def __init__(self):
        self.headers = []

    def redirect_request(self, request, file, code, message, headers, url):
        self.headers.append(headers)
        return super().redirect_request(request, file, code, message, headers, url)


@contextlib.contextmanager
def _asked(url: str, have: int, timeout: float) -> Iterator[tuple]:
    """The answer to a request for a file from byte `have` on, and the headers on the way, the first ones first."""
    headers = {"User-Agent": "miniGPT textbook", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers | ({"Range": f"bytes={have}-"} if have else {}))
    remember = _Remember()
    try:
        response = urllib.request.build_opener(remember).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            error.close()  # it keeps the server's answer open
            raise _Interrupted(error, again=error.code not in GIVE_UP) from error
        response = error  # nothing begins at that byte: its headers say how long the file is
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(error) from error
    with response:
        yield response, [*remember.headers, response.headers]


def _read(response) -> bytes:
    try:
        return response.read1(1 << 16)  # whatever has arrived: a connection that breaks loses nothing
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(error) from error


def _understood(response, headers: list, url: str, have: int) -> _Answer:
    """The headers of an answer, checked."""
    length = _number(response.headers, "Content-Length", url)
    linked = next((n for each in headers if (n := _number(each, "X-Linked-Size", url)) is not None), None)
    digest = next((found for each in headers if (found := _tag(each))), None)
    sent = response.headers.get("Content-Range", "").strip()
    if response.status == 416 and digest and sent == f"bytes */{have}":
        return _Answer(have, have, digest, complete=True)
    if response.status not in (206, 416):
        return _Answer(0, length if length is not None else linked, digest)
    match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", sent)
    if not match or int(match[1]) != have:
        problem = f"the server sent another part than from byte {have} on (Content-Range: {sent!r})"
        raise _Interrupted(problem, restart=True)
    whole = int(match[3]) if match[3] != "*" else None if length is None else have + length
    if length is not None and whole is not None and have + length > whole:
        raise ValueError(f"{url} answered with {length} bytes from byte {have} of a file of {whole}: that is too many")
    return _Answer(have, whole, digest)


def _number(headers, name: str, url: str) -> int | None:
    text = headers.get(name)
    if text is not None and not re.fullmatch(r"\d{1,18}", text.strip()):
        raise ValueError(f"{url} answered with {name}: {text!r}, expected a number of bytes. Nothing was kept")
    return None if text is None else int(text)


def _tag(headers) -> str | None:
    for name in ("X-Linked-ETag", "ETag"):
        tag = (headers.get(name) or "").removeprefix("W/").strip('"').lower()
        if re.fullmatch("[0-9a-f]{64}", tag):
            return f"sha256:{tag}"
        if re.fullmatch("[0-9a-f]{40}", tag):
            return f"git:{tag}"
    return None


def _digest(path: Path, expected: str) -> str:
    kind = expected.partition(":")[0]
    start = hashlib.sha256() if kind == "sha256" else hashlib.sha1(f"blob {_size(path)}\0".encode())
    return f"{kind}:{files.file_digest(path, start)}"


def _part(path: Path) -> Path:
    """Where an unfinished download is kept. Errors: ValueError for a symbolic link: it would be written through."""
    part = path.with_name(path.name + ".part")
    if part.is_symlink():
        raise ValueError(f"{part} is a symbolic link, which a download would write through: remove it")
    return part


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
