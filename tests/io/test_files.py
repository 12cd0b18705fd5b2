"""io.files: atomic writes under injected faults, and the rule for the cache folder."""

import errno
import os
import runpy
import sys
import threading
from pathlib import Path

import pytest

from minigpt.io import files

ROOT = Path(__file__).parents[2]


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- writing --------------------------------------------------------------------------------------------------------


def test_a_file_is_written_and_replaced_and_nothing_else_is_touched(tmp_path):
    for name in ("mine.tmp", ".a.txt.tmp", f".a.txt.{os.getpid()}.tmp", "a.txt.bak", ".minigpt-0000000000000000.tmp"):
        (tmp_path / name).write_bytes(name.encode())
    before = tree(tmp_path)
    for data in (b"one", b"two\0\r\n"):
        files.write_file(tmp_path / "a.txt", data)
        assert tree(tmp_path) == before | {"a.txt": data}
    files.write_file(str(tmp_path / "new" / "deep" / "b"), b"")
    assert tree(tmp_path)[os.path.join("new", "deep", "b")] == b""


def test_the_bytes_are_on_the_disk_before_the_file_gets_its_name(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda number: (done.append("fsync"), fsync(number)))
    monkeypatch.setattr(files.os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    files.write_file(tmp_path / "a", b"x")
    assert done == ["fsync", "replace"]


def failing(monkeypatch, call, error):
    def fail(*args, **kwargs):
        raise error

    if call == "open":
        monkeypatch.setattr(files, "open", fail, raising=False)
    else:
        monkeypatch.setattr(files.os, call, fail)


FAULTS = [
    (OSError(errno.ENOSPC, "No space left on device"), "the disk is full: free some space"),
    (OSError(errno.EROFS, "Read-only file system"), "the disk is read-only"),
    (PermissionError(errno.EACCES, "Permission denied"), "no permission: choose a folder.*MINIGPT_CACHE"),
    (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    (KeyboardInterrupt(), None),
]


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize(("error", "message"), FAULTS)
def test_whatever_fails_nothing_is_lost_and_nothing_is_left(tmp_path, monkeypatch, call, error, message):
    files.write_file(tmp_path / "old", b"old")
    failing(monkeypatch, call, error)
    for path in (tmp_path / "old", tmp_path / "new" / "deep" / "a"):
        with pytest.raises(type(error), match=message) as caught:
            files.write_file(path, b"new")
        if message:
            assert str(path) in str(caught.value) and "Whatever was saved before is still there" in str(caught.value)
            assert caught.value.errno == error.errno
    assert tree(tmp_path) == {"old": b"old"} and [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have a device that is always full")
def test_a_disk_that_is_really_full(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "open", lambda path, mode: open("/dev/full", "wb"), raising=False)
    with pytest.raises(OSError, match="the disk is full") as caught:
        files.write_file(tmp_path / "a", b"x" * 10)
    assert caught.value.errno == errno.ENOSPC and list(tmp_path.iterdir()) == []


def test_a_file_or_a_folder_in_the_way(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="cannot write .*a file is in the way: choose another folder"):
        files.write_file(tmp_path / "file" / "a", b"")
    with pytest.raises(OSError, match="cannot write .*folder"):
        files.write_file(tmp_path / "folder", b"")
    assert tree(tmp_path) == {"file": b"x"} and (tmp_path / "folder").is_dir()
    with pytest.raises(OSError, match="the name is too long|cannot write"):
        files.write_file(tmp_path / ("a" * 300), b"")


def test_names_as_long_as_the_disk_allows(tmp_path):
    files.write_file(tmp_path / ("a" * 255), b"x")
    assert tree(tmp_path) == {"a" * 255: b"x"}


def test_many_threads_write_one_file(tmp_path):
    """Whoever comes last wins, and at every moment the file is a whole one."""
    contents = [bytes([i]) * 5000 for i in range(8)]
    seen = set()

    def write(data):
        for _ in range(20):
            files.write_file(tmp_path / "a", data)
            seen.add((tmp_path / "a").read_bytes())

    threads = [threading.Thread(target=write, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen <= set(contents) and len(list(tmp_path.iterdir())) == 1


def test_reading(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"x")
    assert files.read_file(tmp_path / "a") == b"x"
    assert files.read_file(tmp_path / "b") is None and files.read_file(tmp_path / "a" / "b") is None
    with pytest.raises(OSError, match="cannot read"):
        files.read_file(tmp_path)


@pytest.mark.parametrize("path", [None, "", b"a", 3, Path("~nosuchuserhere") / "a", "~nosuchuserhere"])
def test_what_is_no_path(path):
    with pytest.raises(ValueError, match="expected a path|there is no home folder"):
        files.reader_path(path)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert files.reader_path("~/a") == files.reader_path(Path("~") / "a") == tmp_path / "a"
    files.write_file("~/b.txt", b"x")
    assert (tmp_path / "b.txt").exists()


# --- the cache folder -----------------------------------------------------------------------------------------------


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A function that pretends to be on another system; the home folder is tmp_path."""
    for name in ("MINIGPT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return lambda name: monkeypatch.setattr(files.sys, "platform", name)


@pytest.mark.parametrize(
    ("name", "place"),
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local"), ("freebsd14", ".cache")],
)
def test_in_the_home_folder(system, tmp_path, name, place):
    system(name)
    assert files.cache_dir() == tmp_path / place / "minigpt" and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "variable", "used"),
    [
        ("linux", "XDG_CACHE_HOME", True),
        ("darwin", "XDG_CACHE_HOME", False),
        ("win32", "XDG_CACHE_HOME", False),
        ("win32", "LOCALAPPDATA", True),
        ("linux", "LOCALAPPDATA", False),
    ],
)
def test_the_variable_of_the_system(system, monkeypatch, tmp_path, name, variable, used):
    system(name)
    default = files.cache_dir()
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert files.cache_dir() == (tmp_path / "elsewhere" / "minigpt" if used else default)
    for value in ("", "not/absolute"):
        monkeypatch.setenv(variable, value)
        assert files.cache_dir() == default


def test_our_own_variable_wins_and_starts_at_the_checkout(system, monkeypatch, tmp_path):
    system("linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    wanted = {
        str(tmp_path / "a"): tmp_path / "a",
        "cache": ROOT / "cache",
        "./x/../cache": ROOT / "cache",
        "../beside": ROOT.parent / "beside",
        "~/mine": tmp_path / "mine",
        "~": tmp_path,
    }
    for folder in (ROOT, ROOT / "chapters", ROOT / "chapters" / "solutions", tmp_path):
        monkeypatch.chdir(folder)
        for value, place in wanted.items():
            monkeypatch.setenv("MINIGPT_CACHE", value)
            assert files.cache_dir() == place and files.cache_dirs() == [place]
    monkeypatch.setenv("MINIGPT_CACHE", "~nosuchuserhere/x")
    with pytest.raises(ValueError, match="there is no home folder for ~nosuchuserhere"):
        files.cache_dir()


@pytest.mark.skipif(os.name == "nt", reason="the list of users is asked on Unix only")
def test_without_a_home_folder(system, monkeypatch, tmp_path):
    """A user of a container: no variable and no entry in the list of users, or a home folder that is not there."""
    import pwd

    def absent(number):
        raise KeyError(number)

    system("linux")
    inside = ROOT / ".venv" / "home" / ".cache" / "minigpt"
    monkeypatch.setattr(pwd, "getpwuid", absent)
    for value in (None, "", "relative", str(tmp_path / "not there")):
        if value is None:
            monkeypatch.delenv("HOME")
        else:
            monkeypatch.setenv("HOME", value)
        assert files.home() is None and files.cache_dir() == inside and files.cache_dirs() == [inside]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert files.cache_dir() == tmp_path / "minigpt"
    monkeypatch.setattr(pwd, "getpwuid", lambda number: type("Entry", (), {"pw_dir": str(tmp_path)}))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "")
    assert files.cache_dir() == tmp_path / ".cache" / "minigpt"


def test_what_was_fetched_before_is_still_found(system, monkeypatch, tmp_path):
    old = tmp_path / ".cache" / "minigpt"
    system("linux")
    assert files.cache_dirs() == [old]
    for name in ("darwin", "win32"):
        system(name)
        assert files.cache_dirs() == [files.cache_dir(), old] and files.cache_dir() != old


def test_start_py_can_use_the_rule_before_anything_is_installed(monkeypatch, tmp_path):
    """The file alone, without the package and without any package from outside, gives the same folder."""
    monkeypatch.setenv("MINIGPT_CACHE", "cache")
    before = set(sys.modules)
    alone = runpy.run_path(str(ROOT / "minigpt" / "io" / "files.py"))
    assert alone["cache_dir"]() == files.cache_dir() == ROOT / "cache"
    assert not any(name.startswith("minigpt") for name in set(sys.modules) - before)
    source = (ROOT / "minigpt" / "io" / "files.py").read_text(encoding="utf-8")
    imported = {
        line.split()[1].split(".")[0] for line in source.splitlines() if line.lstrip().startswith(("import ", "from "))
    }
    assert imported <= sys.stdlib_module_names
