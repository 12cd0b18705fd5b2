"""Files: written whole or not at all, checksums, the cache folder, errors in words."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def replace_file(path: str | Path, data: bytes) -> None:
    """Write a whole file or nothing: under a temporary name beside it, which then takes its place.

    Errors: OSError naming the path; whatever was there before is still there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say in plain words which file could not be written, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {path}: {error.strerror or error}. Nothing that was there before is lost. "
            "Free some space, or choose a folder that you may write to",
        ) from error


def cache_dir() -> Path:
    """The folder for results that can be computed again: MINIGPT_CACHE, or else the system's place for caches."""
    if os.environ.get("MINIGPT_CACHE"):
        return Path(os.environ["MINIGPT_CACHE"]).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "minigpt"


_HELP = {
    errno.ENOSPC: "the disk is full: free some space, or set MINIGPT_CACHE to a folder on another disk",
    errno.EACCES: "no permission: set MINIGPT_CACHE to a folder you may write to",
    errno.EPERM: "no permission: set MINIGPT_CACHE to a folder you may write to",
    errno.EROFS: "the disk is read-only: set MINIGPT_CACHE to a folder you may write to",
    errno.ENOTDIR: "a file is in the way: set MINIGPT_CACHE to a folder you may write to",
    errno.EEXIST: "a file is in the way: set MINIGPT_CACHE to a folder you may write to",
}
if hasattr(errno, "EDQUOT"):  # not on Windows
    _HELP[errno.EDQUOT] = _HELP[errno.ENOSPC]


def explain(error: OSError, path: Path, doing: str = "write") -> OSError:
    """The same error, saying what happened to which file, that nothing is lost, and what to do."""
    help_ = _HELP.get(error.errno, error.strerror or str(error))
    return OSError(error.errno, f"cannot {doing} {path}: {help_}. Whatever was saved before is still there")


def read(path: Path) -> bytes | None:
    """The bytes of a file, None if there is no such file."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explain(error, path, "read") from error


def write(path: Path, data: bytes) -> None:
    """Write a file under a temporary name in its folder, then move it into place in one step."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise explain(error, path) from error
