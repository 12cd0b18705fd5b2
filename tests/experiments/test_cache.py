"""Cache of results: built once, built again after damage or a change, one process at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minigpt.experiments import cache
from minigpt.experiments.cache import cached

ROOT = Path(__file__).parents[2]


def place_of(folder):
    (place,) = (path for path in folder.iterdir() if path.is_dir())
    return place


def test_built_once_and_then_read(tmp_path):
    builds = []

    def build():
        builds.append(1)
        return {"w": torch.tensor([0.1 + 0.2])}, {"losses": (1.0, 0.5)}

    results = [cached("model", {"config": (3, [0.9, 0.95]), "seed": 1}, build, tmp_path) for _ in range(3)]
    assert builds == [1]
    assert all(r.tensors.keys() == {"w"} and r.tensors["w"].item() == results[0].tensors["w"].item() for r in results)
    assert [r.extra for r in results] == [{"losses": [1.0, 0.5]}] * 3  # the first is no different from the others
    assert results[0].config["key"] == [["config", [3, [0.9, 0.95]]], ["seed", 1]]


def test_any_change_of_the_key_builds_anew(tmp_path):
    keys = [{"a": 1}, {"a": 2}, {"a": 1, "b": 0}, {"a": "1"}, {"a": [1]}, {"b": 1}]
    results = [cached("m", key, lambda i=i: ({}, {"i": i}), tmp_path) for i, key in enumerate(keys)]
    assert [r.extra["i"] for r in results] == list(range(6))
    assert cached("other", {"a": 1}, lambda: ({}, {"i": 6}), tmp_path).extra == {"i": 6}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_build_that_stops_leaves_nothing(tmp_path, error):
    def build():
        raise error

    with pytest.raises(error):
        cached("model", {}, build, tmp_path)
    assert not any(p.is_dir() for p in tmp_path.iterdir())
    assert cached("model", {}, lambda: ({}, {"ok": True}), tmp_path).extra == {"ok": True}  # the lock is free again


def test_a_result_moved_under_another_key_is_noticed(tmp_path):
    cached("m", {"a": 1}, lambda: ({}, {"i": 1}), tmp_path)
    other = cache.full_key({"a": 2}, test_built_once_and_then_read)
    place_of(tmp_path).rename(cache._entry("m", other, tmp_path))
    with pytest.warns(UserWarning, match="holds the result of another key"):
        assert cached("m", {"a": 2}, lambda: ({}, {"i": 2}), tmp_path).extra == {"i": 2}


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "modèle"])
def test_names_that_could_leave_the_folder_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="expected a cache name of letters"):
        cached(name, {}, lambda: ({}, {}), tmp_path)


def test_a_read_only_cache_can_still_be_read(tmp_path, monkeypatch):
    cached("m", {}, lambda: ({}, {"i": 1}), tmp_path)
    monkeypatch.setattr(cache, "_lock", lambda place, on_wait: 1 / 0)
    assert cached("m", {}, lambda: 1 / 0, tmp_path).extra == {"i": 1}


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path / "mine"))
    assert cached("m", {}, lambda: ({}, {"i": 1})).extra == {"i": 1}
    assert len(list((tmp_path / "mine").glob("m-*/checkpoint.json"))) == 1


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "cache").write_text("not a folder", encoding="utf-8")
    with pytest.raises(OSError, match="cannot write .*a file is in the way: choose another folder.*MINIGPT_CACHE"):
        cached("model", {}, lambda: ({}, {}), tmp_path / "cache")


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: next(place.glob("tensors-*")).write_bytes(b"cut"),
        lambda place: next(place.glob("tensors-*")).unlink(),
        lambda place: (place / "checkpoint.json").write_bytes(b"[1]"),
        lambda place: (place / "checkpoint.json").unlink(),
    ],
)
def test_a_damaged_entry_is_built_again(tmp_path, damage):
    builds = []

    def build():
        builds.append(1)
        return {"w": torch.tensor([1.25])}, {}

    cached("model", {"seed": 0}, build, tmp_path)
    damage(place_of(tmp_path))
    with pytest.warns(UserWarning, match="a cached result was damaged and has been built again"):
        cached("model", {"seed": 0}, build, tmp_path)
    assert cached("model", {"seed": 0}, build, tmp_path).tensors["w"].item() == 1.25 and len(builds) == 2


def test_a_result_that_cannot_be_written_is_not_lost(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.checkpoint, "save", full)
    with pytest.warns(UserWarning, match="could not be kept and will be built again"):
        assert cached("model", {}, lambda: ({"w": torch.ones(1)}, {}), tmp_path).tensors["w"].item() == 1.0


# --- two processes -----------------------------------------------------------------------------------------------

TWO = """
import sys, time, torch
from pathlib import Path
from minigpt.experiments.cache import cached
folder = Path(sys.argv[1])
def build():
    with open(folder / "builds.txt", "a", encoding="utf-8") as f:
        f.write(sys.argv[2] + "\\n")
    time.sleep(1.0)
    return {"w": torch.tensor([float(sys.argv[2])])}, {"who": sys.argv[2]}
(folder / ("ready" + sys.argv[2])).touch()
while len(list(folder.glob("ready*"))) < 2:
    time.sleep(0.01)
result = cached("model", {"a": 1}, build, folder / "cache")
print(result.extra["who"], result.tensors["w"].item())
"""


@pytest.fixture
def start():
    """Start a script in a process of its own; whatever happens, none outlives the test."""
    processes = []

    def start(script, *arguments):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
        processes.append(subprocess.Popen(command, env=environment, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_two_processes_at_once_build_once(tmp_path, start):
    processes = [start(TWO, tmp_path, i) for i in (1, 2)]
    outputs = [p.communicate(timeout=120) for p in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    (builder,) = (tmp_path / "builds.txt").read_text(encoding="utf-8").split()
    assert [out for out, _ in outputs] == [f"{builder} {float(builder)}\n"] * 2
