"""Checkpoints and the cache: what is written comes back, damage is noticed, and no accident loses anything."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from torch import nn

from minigpt import checkpoint
from minigpt.checkpoint import load, load_state, resumable, save, save_state
from minigpt.experiments import cache
from minigpt.experiments.cache import cached, partial_folder
from minigpt.io import files as io_files
from minigpt.io.files import cache_dir

ROOT = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Shape:
    d_model: int = 3
    betas: tuple = (0.9, 0.95)


def tiny(seed=0):
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(generator=generator)
    return model


def same(a, b):
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def files(folder):
    return sorted(p.name for p in Path(folder).rglob("*"))


def tensor_file(folder):
    (path,) = Path(folder).glob("tensors-*.safetensors")
    return path


# --- save and load -----------------------------------------------------------------------------------------------


def test_a_model_comes_back_with_its_config(tmp_path):
    model, other = tiny(0), tiny(1)
    save(tmp_path / "deep" / "folder", model, Shape(), {"loss": [1.5, 0.1 + 0.2], "who": "Zoé", "n": np.int64(3)})
    result = load(tmp_path / "deep" / "folder", other)
    assert same(result.tensors, model.state_dict()) and same(other.state_dict(), model.state_dict())
    assert result.config == {"d_model": 3, "betas": [0.9, 0.95]}
    assert result.extra == {"loss": [1.5, 0.1 + 0.2], "who": "Zoé", "n": 3}


def test_every_kind_of_tensor_comes_back(tmp_path):
    tensors = {
        "scalar": torch.tensor(0.5),
        "whole": torch.arange(5),
        "turned": torch.arange(6.0).view(2, 3).T,
        "half": torch.tensor([1.0, -2.0], dtype=torch.bfloat16),
        "empty": torch.zeros(0, 4),
        "bool": torch.tensor([True, False]),
        "nan": torch.tensor([float("inf")]),
    }
    tensors["shared"] = tensors["whole"]
    save(tmp_path, tensors)
    assert same(load(tmp_path).tensors, tensors)


def test_the_files_are_what_they_claim_to_be(tmp_path):
    """safetensors' own reader and any JSON reader can read them; there is no pickle and no carriage return."""
    save(tmp_path, {"w": torch.ones(2, 2)}, Shape())
    assert files(tmp_path) == ["checkpoint.json", tensor_file(tmp_path).name]
    with safetensors.safe_open(tensor_file(tmp_path), framework="np") as f:
        assert f.get_tensor("w").tolist() == [[1.0, 1.0], [1.0, 1.0]]
    text = (tmp_path / "checkpoint.json").read_bytes()
    assert b"\r" not in text and text.endswith(b"}\n")
    assert json.loads(text)["shapes"] == {"w": [2, 2]} and json.loads(text)["format"] == 1


def test_saving_again_replaces_and_leaves_nothing_over(tmp_path):
    for seed in (0, 1, 1):
        save(tmp_path, tiny(seed), {"seed": seed})
    assert load(tmp_path).config == {"seed": 1} and same(load(tmp_path).tensors, tiny(1).state_dict())
    assert len(files(tmp_path)) == 2


def test_saving_the_same_twice_writes_the_same_bytes(tmp_path):
    for name in "ab":
        save(tmp_path / name, tiny(), {"x": 1, "y": {"b": 1, "a": 2}})
    assert files(tmp_path / "a") == files(tmp_path / "b")
    for name in files(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), object()])
def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path, value):
    with pytest.raises(ValueError, match="config must be made of"):
        save(tmp_path / "x", tiny(), {"a": value})
    assert not (tmp_path / "x").exists()


# --- damage ------------------------------------------------------------------------------------------------------


def truncate(folder):
    path = tensor_file(folder)
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(folder):
    path = tensor_file(folder)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def edit(old, new):
    def damage(folder):
        path = Path(folder) / "checkpoint.json"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return damage


def write(data):
    return lambda folder: (Path(folder) / "checkpoint.json").write_bytes(data)


DAMAGES = {
    "tensors cut short": (truncate, r"tensors-\w+.safetensors is damaged: it should have \d+ bytes but has \d+"),
    "a bit flipped": (flip_a_bit, r"tensors-\w+.safetensors is damaged: its SHA-256 is not \w+"),
    "tensors missing": (lambda f: tensor_file(f).unlink(), r"tensors-\w+.safetensors is missing"),
    "json missing": (lambda f: (Path(f) / "checkpoint.json").unlink(), "checkpoint.json is missing"),
    "a number changed": (edit("1.25", "1.26"), "checkpoint.json is damaged: its content"),
    "json cut short": (edit("\n}", ""), "checkpoint.json is damaged: expected a miniGPT checkpoint"),
    "json of somebody else": (write(b'{"a": 1}'), "checkpoint.json is damaged: expected a miniGPT checkpoint"),
    "a list": (write(b"[1]"), "checkpoint.json is damaged: expected a miniGPT checkpoint"),
    "empty": (write(b""), "checkpoint.json is damaged: expected a miniGPT checkpoint"),
    "zeros": (write(b"\0" * 500), "checkpoint.json is damaged: expected a miniGPT checkpoint"),
    "not text": (write(b"\xff\xfe{}"), "checkpoint.json is damaged: expected a miniGPT checkpoint"),
}


@pytest.mark.parametrize("damage, message", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_noticed_and_explained(tmp_path, damage, message):
    save(tmp_path, tiny(), {}, {"loss": 1.25})
    damage(tmp_path)
    with pytest.raises(ValueError, match=message + ".*Delete the folder and make it again"):
        load(tmp_path)


@pytest.mark.parametrize("damage, message", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_explained_and_built_again(tmp_path, damage, message):
    builds = []

    def build():
        builds.append(1)
        return tiny().state_dict(), {"loss": 1.25}

    first = cached("model", {"seed": 0}, build, tmp_path)
    (place,) = (p for p in tmp_path.iterdir() if p.is_dir())
    damage(place)
    with pytest.warns(UserWarning, match="a cached result was damaged and has been built again .*" + message):
        second = cached("model", {"seed": 0}, build, tmp_path)
    third = cached("model", {"seed": 0}, build, tmp_path)
    assert len(builds) == 2 and same(first.tensors, second.tensors) and same(first.tensors, third.tensors)


def test_no_checkpoint_at_all(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for folder in ("nowhere", "file"):
        with pytest.raises(FileNotFoundError, match="there is no checkpoint: expected .*checkpoint.json; save one"):
            load(tmp_path / folder)


def test_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    save(tmp_path, tiny())
    monkeypatch.undo()
    with pytest.raises(ValueError, match="checkpoint format 2; this miniGPT reads 1"):
        load(tmp_path)


@pytest.mark.parametrize(
    "other, message",
    [
        (nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5)), r"0.bias: expected \(5,\), got \(4,\)"),
        (nn.Sequential(nn.Linear(3, 4)), r"2 tensors differ \(1.bias: expected none, got \(4,\)"),
        (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1)), r"2.bias: expected \(1,\), got none"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_left_alone(tmp_path, other, message):
    save(tmp_path, tiny())
    before = {name: t.clone() for name, t in other.state_dict().items()}
    with pytest.raises(ValueError, match="does not fit this model; .*" + message):
        load(tmp_path, other)
    assert same(other.state_dict(), before)


# --- disks -------------------------------------------------------------------------------------------------------


def full_disk(path, mode):
    if Path("/dev/full").exists():  # a real full disk, where the system has one
        Path(path).touch()
        return open("/dev/full", mode)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("when", ["at the tensors", "at the json", "at the last move"])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, when):
    save(tmp_path / "a", tiny(0), {"seed": 0})
    before = files(tmp_path)

    def fake_open(path, mode):
        wanted = "checkpoint.json" if when == "at the json" else "tensors-"
        return full_disk(path, mode) if Path(path).name.startswith(wanted) else open(path, mode)

    def fake_replace(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if when == "at the last move":
        monkeypatch.setattr(io_files.os, "replace", fake_replace)
    else:
        monkeypatch.setattr(io_files, "open", fake_open, raising=False)
    for folder in ("a", "new"):
        with pytest.raises(
            OSError, match="cannot write .*the disk is full: free some space.*MINIGPT_CACHE.*still"
        ) as e:
            save(tmp_path / folder, tiny(1), {"seed": 1})
        assert e.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert files(tmp_path) == before
    assert load(tmp_path / "a").config == {"seed": 0} and same(load(tmp_path / "a").tensors, tiny(0).state_dict())


def test_an_interrupted_write_loses_nothing(tmp_path, monkeypatch):
    save(tmp_path, tiny(0))
    before = files(tmp_path)

    def interrupted(number):
        raise KeyboardInterrupt

    monkeypatch.setattr(io_files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, tiny(1))
    monkeypatch.undo()
    assert files(tmp_path) == before and same(load(tmp_path).tensors, tiny(0).state_dict())


def test_left_overs_of_a_killed_write_are_swept_up(tmp_path):
    save(tmp_path, tiny(0))
    (tmp_path / "tensors-0123456789abcdef.safetensors").write_bytes(b"orphan")
    (tmp_path / "checkpoint.json.999.tmp").write_bytes(b"half")
    assert same(load(tmp_path).tensors, tiny(0).state_dict())
    save(tmp_path, tiny(1))
    assert len(files(tmp_path)) == 2


NOT_ALLOWED = "cannot (read|write) .*no permission: set MINIGPT_CACHE to a folder you may write to"


def test_no_permission_says_what_to_do(tmp_path, monkeypatch):
    def forbidden(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(io_files, "open", forbidden, raising=False)
    with pytest.raises(PermissionError, match=NOT_ALLOWED):
        save(tmp_path / "a", tiny())
    with pytest.raises(PermissionError, match=NOT_ALLOWED):
        cached("model", {}, lambda: ({}, {}), tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permission bits; the test above covers it")
def test_a_folder_that_really_forbids_it(tmp_path):
    """For root nothing is forbidden: be somebody else for a moment."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        for attempt in (
            lambda: save(tmp_path / "cache" / "a", tiny()),
            lambda: cached("model", {}, lambda: ({}, {}), tmp_path / "cache"),
        ):
            with pytest.raises(PermissionError, match=NOT_ALLOWED):
                attempt()
    finally:
        if root:
            os.seteuid(0)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "cache").write_text("not a folder", encoding="utf-8")
    with pytest.raises(OSError, match="a file is in the way: set MINIGPT_CACHE"):
        cached("model", {}, lambda: ({}, {}), tmp_path / "cache")


# --- the cache ---------------------------------------------------------------------------------------------------


def test_built_once_and_then_read(tmp_path):
    builds = []

    def build():
        builds.append(1)
        return {"w": torch.tensor([0.1 + 0.2])}, {"losses": (1.0, np.float32(0.5))}

    results = [cached("model", {"config": Shape(), "seed": 1}, build, tmp_path) for _ in range(3)]
    assert builds == [1]
    assert all(same(r.tensors, results[0].tensors) for r in results)
    assert [r.extra for r in results] == [{"losses": [1.0, 0.5]}] * 3  # the first is no different from the others
    assert results[0].config == {"config": {"d_model": 3, "betas": [0.9, 0.95]}, "seed": 1}


def test_any_change_of_the_key_builds_anew(tmp_path):
    keys = [{"a": 1}, {"a": 2}, {"a": 1, "b": 0}, {"a": "1"}, {"a": [1]}, {"b": 1}]
    results = [cached("m", key, lambda i=i: ({}, {"i": i}), tmp_path) for i, key in enumerate(keys)]
    assert [r.extra["i"] for r in results] == list(range(6))
    assert cached("other", {"a": 1}, lambda: ({}, {"i": 6}), tmp_path).extra == {"i": 6}
    assert cached("m", {"b": 0, "a": 1}, lambda: 1 / 0, tmp_path).extra == {"i": 2}  # the order of a key is not in it


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
    (place,) = (p for p in tmp_path.iterdir() if p.is_dir())
    place.rename(cache._entry("m", {"a": 2}, tmp_path))
    with pytest.warns(UserWarning, match="holds the result of another key"):
        assert cached("m", {"a": 2}, lambda: ({}, {"i": 2}), tmp_path).extra == {"i": 2}


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "modèle"])
def test_names_that_could_leave_the_folder_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="a cache name is made of letters"):
        cached(name, {}, lambda: ({}, {}), tmp_path)


def test_a_read_only_cache_can_still_be_read(tmp_path, monkeypatch):
    cached("m", {}, lambda: ({}, {"i": 1}), tmp_path)
    monkeypatch.setattr(cache, "_lock", lambda place: 1 / 0)
    assert cached("m", {}, lambda: 1 / 0, tmp_path).extra == {"i": 1}


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine" and not (tmp_path / "mine").exists()
    assert cached("m", {}, lambda: ({}, {"i": 1})).extra == {"i": 1}
    assert len(list((tmp_path / "mine").glob("m-*/checkpoint.json"))) == 1
    monkeypatch.delenv("MINIGPT_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    places = {"linux": ".cache", "darwin": "Library/Caches", "win32": "AppData/Local"}
    for platform, place in places.items():
        monkeypatch.setattr(io_files.sys, "platform", platform)
        assert cache_dir() == tmp_path / place / "minigpt"
    monkeypatch.setattr(io_files.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "minigpt"


# --- two processes -----------------------------------------------------------------------------------------------

TWO = """
import sys, time, torch
from pathlib import Path
from minigpt.checkpoint import cached
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


# --- runs that go on ---------------------------------------------------------------------------------------------

RUN = """
import sys, time
from pathlib import Path
import numpy as np, torch
from torch import nn
from minigpt.checkpoint import cached, partial_folder, resumable
from minigpt.train import TrainConfig, TrainState, train

folder, slow = Path(sys.argv[1]), float(sys.argv[2])
key, config = {"run": 1}, TrainConfig(n_steps=30, lr=0.05, warmup_steps=3)

class Batches:
    def __getitem__(self, step):
        x = np.random.default_rng([7, step]).normal(size=(4, 3)).astype(np.float32)
        return x, x[:, :1]

def build():
    model, state = nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.2), nn.Linear(5, 1)), TrainState()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.linspace(-1, 1, p.numel()).view(p.shape))
    loss_fn = lambda model, x, y: ((model(x) - y) ** 2).mean()
    steps = train(model, Batches(), config, loss_fn, torch.Generator().manual_seed(0), state)
    losses = []
    for record in resumable(partial_folder("run", key, folder), model, state, steps, every=4):
        losses.append(record.loss)
        with open(folder / "steps.txt", "a", encoding="utf-8") as f:
            f.write(f"{record.step}\\n")
        if len(losses) == state.step:  # not one that is only passed on again
            time.sleep(slow)
    return model.state_dict(), {"losses": losses}

folder.mkdir(exist_ok=True)
result = cached("run", key, build, folder)
print(result.extra["losses"], [t.tolist() for t in result.tensors.values()])
"""


def test_a_killed_run_goes_on_bit_for_bit(tmp_path, start):
    straight = start(RUN, tmp_path / "straight", 0)
    killed = start(RUN, tmp_path / "killed", 0.2)
    log = tmp_path / "killed" / "steps.txt"
    deadline = time.monotonic() + 60
    while (not log.exists() or len(log.read_text(encoding="utf-8").split()) < 10) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    (partial,) = (tmp_path / "killed").glob("run-*.partial")
    n_saved = len(load(partial).extra["history"])
    assert n_saved % 4 == 0 and 8 <= n_saved < 30 and not list((tmp_path / "killed").glob("run-*[!l]/checkpoint.json"))
    n_before = len(log.read_text(encoding="utf-8").split())
    again = start(RUN, tmp_path / "killed", 0)
    (out, err), (expected, _) = again.communicate(timeout=120), straight.communicate(timeout=120)
    assert again.returncode == 0 and err == ""
    assert out == expected and len(json.loads(out[: out.index("]") + 1])) == 30
    steps = [int(s) for s in log.read_text(encoding="utf-8").split()[n_before:]]
    assert steps == list(range(1, 31))  # the saved ones are passed on again
    assert not partial.exists()


class Recorder:
    """Stands in for train.TrainState: the part that a checkpoint knows of."""

    def __init__(self):
        self.history = []

    def info(self):
        return {"history": self.history}

    def tensors(self):
        return {"w/exp_avg": torch.tensor([float(len(self.history))])}

    def restore(self, tensors, info):
        self.history = [types.SimpleNamespace(step=row) for row in info["history"]]
        self.restored = tensors


def steps(model, state, n):
    while len(state.history) < n:
        model[0].weight.data += 1
        state.history.append(len(state.history) + 1)
        yield types.SimpleNamespace(step=len(state.history))


@pytest.mark.parametrize("how", ["break", "interrupt"])
def test_breaking_off_saves_the_very_step(tmp_path, how):
    model, state = tiny(), Recorder()

    def interrupted():
        yield from steps(model, state, 7)
        raise KeyboardInterrupt

    if how == "break":
        for record in resumable(tmp_path, model, state, steps(model, state, 20), every=100):
            if record.step == 7:
                break
    else:
        with pytest.raises(KeyboardInterrupt):
            list(resumable(tmp_path, model, state, interrupted(), every=100))
    fresh, other = Recorder(), tiny(5)
    assert load_state(tmp_path, other, fresh) is fresh
    assert [r.step for r in fresh.history] == [1, 2, 3, 4, 5, 6, 7] and same(other.state_dict(), model.state_dict())
    assert fresh.restored["w/exp_avg"].tolist() == [7.0]


def test_a_run_of_another_configuration_is_not_continued(tmp_path):
    model, state = tiny(), Recorder()
    save_state(tmp_path, model, state, Shape())
    with pytest.raises(ValueError, match="another configuration"):
        next(resumable(tmp_path, model, state, iter([]), config=Shape(d_model=4)))
    assert list(resumable(tmp_path, model, state, iter([]), config=Shape())) == []


def test_a_checkpoint_that_is_no_run_is_refused(tmp_path):
    save(tmp_path, tiny())
    with pytest.raises(ValueError, match="holds no training run"):
        load_state(tmp_path, tiny(), Recorder())


def test_the_partial_folder_goes_with_the_key(tmp_path):
    assert partial_folder("a", {"x": 1}, tmp_path) != partial_folder("a", {"x": 2}, tmp_path)
    assert partial_folder("a", {"x": 1}, tmp_path).parent == tmp_path
