"""Files: written whole or not at all, read, checked; and the folder for what can be made again.

Standard library only and no other module of this package, so that start.py can use it before anything is installed.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the checkout: the folder that holds minigpt/, chapters/ and start.py

TEMPORARY = r"\.minigpt-[0-9a-f]{16}\.tmp"  # the names that unused_name gives

_FULL = "the disk is full: free some space, or choose a folder on another disk"
_FORBIDDEN = "no permission: choose a folder that you may write to"
_IN_THE_WAY = "a file is in the way: choose another folder"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: "the disk is read-only: choose a folder that you may write to",
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: "a folder is in the way: choose another name, or move it away",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}
if hasattr(errno, "EDQUOT"):  # not on Windows
    _ADVICE[errno.EDQUOT] = _FULL


def write_file(path: str | Path, data: bytes) -> None:
    """Atomic write: the whole file or nothing, under a temporary name beside it that then takes its place.

    The bytes are on the disk before the file gets its name. No other file is touched; missing folders are made.
    Errors: OSError that says which file, why and what to do; whatever was there before is still there.
    """
    path = reader_path(path)
    with explained(path), new_folders(path.parent):
        temporary = unused_name(path.parent)
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


def unused_name(folder: Path) -> Path:
    """A path in a folder that nothing else uses, for what is renamed when it is complete; see TEMPORARY."""
    return folder / f".minigpt-{secrets.token_hex(8)}.tmp"


@contextlib.contextmanager
def new_folders(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; if what is done inside fails, remove those that were made, if still empty."""
    made = []
    try:
        with explained(folder):
            made = [each for each in (folder, *folder.parents) if not each.exists()]
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for each in made:
                each.rmdir()
        raise


def read_file(path: str | Path) -> bytes | None:
    """The bytes of a file; None if there is no such file. Errors: OSError that says which file, why and what to do."""
    try:
        with explained(path, "read"):
            return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextlib.contextmanager
def explained(path: str | Path, doing: str = "write") -> Iterator[None]:
    """Errors of the disk in words: which file, why, what to do, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        if hasattr(error, "explained"):  # further in already
            raise
        advice = _ADVICE.get(error.errno, error.strerror or str(error))
        lost = ". Whatever was saved before is still there" if doing == "write" else ""
        cache = " (for the book's own cache: set MINIGPT_CACHE to it)" if "folder" in advice else ""
        told = OSError(error.errno, f"cannot {doing} {path}: {advice}{cache}{lost}")
        told.explained = True
        raise told from error


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, read piece by piece."""
    return file_digest(path, hashlib.sha256())


def file_digest(path: str | Path, digest) -> str:
    """A hash of hashlib, fed with a file, as hexadecimal digits."""
    with explained(path, "read"), open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def reader_path(path: str | Path, what: str = "a path") -> Path:
    """A path as a reader writes it: ~ is the home folder.

    Errors: ValueError for no path at all, an empty one, or the home folder of a user who has none.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(path, bytes) or not os.fspath(path):
        raise ValueError(f"expected {what} (text in quotes, or a Path), got {path!r}")
    expanded = Path(os.path.expanduser(path))
    if str(path).startswith("~") and expanded == Path(path):
        raise ValueError(f"there is no home folder for {path}: write the whole path")
    return expanded


def cache_dir() -> Path:
    """Cache folder, absolute: for everything the book can make or fetch again (trained models, public texts, GPT-2).

    The first of these that applies (start.py follows the same rule):
    1. MINIGPT_CACHE, with ~ as the home folder; a relative path starts at the checkout, wherever the notebook lies;
    2. Windows: LOCALAPPDATA\\minigpt; Linux and others: XDG_CACHE_HOME/minigpt if that is an absolute path;
    3. in the home folder (HOME, on Windows USERPROFILE): AppData\\Local\\minigpt, on macOS Library/Caches/minigpt,
       elsewhere .cache/minigpt;
    4. without a home folder that can be written to (a user of a container): .venv/home/.cache/minigpt in the checkout,
       because .venv/home is the home folder that start.py gives to such a user.

    An empty variable counts as absent. The folder need not exist. Errors: ValueError for a ~ that has no home folder.
    """
    if os.environ.get("MINIGPT_CACHE"):
        return Path(os.path.abspath(ROOT / reader_path(os.environ["MINIGPT_CACHE"])))
    variable = {"win32": "LOCALAPPDATA", "darwin": ""}.get(sys.platform, "XDG_CACHE_HOME")
    base = os.environ.get(variable, "")
    if os.path.isabs(base):
        return Path(base) / "minigpt"
    inside = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    found = home()
    return (found / inside if found else ROOT / ".venv" / "home" / ".cache") / "minigpt"


def cache_dirs() -> list[Path]:
    """Where to look for what was fetched before: cache_dir(), then the place that earlier versions used."""
    found = home()
    old = [found / ".cache" / "minigpt"] if found and not os.environ.get("MINIGPT_CACHE") else []
    return [cache_dir(), *(folder for folder in old if folder != cache_dir())]


def home() -> Path | None:
    """The home folder; None if there is none that can be written to, as for some users of containers."""
    folder = os.environ.get("USERPROFILE" if os.name == "nt" else "HOME")
    if not folder and os.name != "nt":
        import pwd  # not on Windows

        try:
            folder = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None
    usable = folder and os.path.isabs(folder) and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
    return Path(folder) if usable else None
