"""Checkpoints: what is written comes back, damage is noticed, and no accident loses anything."""

import dataclasses
import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from torch import nn

from minigpt import checkpoint
from minigpt.checkpoint import load, load_state, save, save_state
from minigpt.io import files as io_files


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


def in_place_of(path, make):
    path.unlink()
    make(path)


def forged(change):
    """A JSON file with a right checksum and a wrong content, as only a forger makes it."""

    def damage(folder):
        path = Path(folder) / "checkpoint.json"
        about = json.loads(path.read_text(encoding="utf-8"))
        del about["sha256_of_this"]
        change(about)
        about["sha256_of_this"] = checkpoint.json_digest(about)
        path.write_text(json.dumps(about), encoding="utf-8")

    return damage


def forged_tensors(folder):
    data = b"\xff" * 100
    tensor_file(folder).write_bytes(data)
    forged(lambda about: about.update(n_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))(folder)


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
    "a deep list": (write(b"[" * 100_000), "checkpoint.json is damaged: expected a miniGPT checkpoint"),
    "a folder": (
        lambda f: in_place_of(Path(f) / "checkpoint.json", Path.mkdir),
        "checkpoint.json is damaged: it is not a",
    ),
    "tensors a folder": (lambda f: in_place_of(tensor_file(f), Path.mkdir), "safetensors is damaged: it is not a file"),
    "a circle of links": (
        lambda f: in_place_of(Path(f) / "checkpoint.json", lambda path: path.symlink_to(path)),
        "checkpoint.json is damaged: it is not a file",
    ),
    "keys missing": (forged(lambda about: about.pop("shapes")), "damaged: shapes is not what was expected"),
    "no format": (forged(lambda about: about.pop("format")), "has checkpoint format None"),
    "another kind": (forged(lambda about: about.update(n_bytes="many")), "damaged: n_bytes is not what was expected"),
    "a path": (
        forged(lambda about: about.update(tensor_file="../../x")),
        "damaged: tensor_file is not what was expected",
    ),
    "no such tensor": (forged(lambda about: about["shapes"].update(x=[1])), "damaged: its tensors cannot be read"),
    "no safetensors": (lambda f: forged_tensors(f), "damaged: its tensors cannot be read"),
    "not text": (write(b"\xff\xfe{}"), "checkpoint.json is damaged: expected a miniGPT checkpoint"),
}


@pytest.mark.parametrize("damage, message", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_noticed_and_explained(tmp_path, damage, message):
    save(tmp_path, tiny(), {}, {"loss": 1.25})
    damage(tmp_path)
    with pytest.raises(ValueError, match=message + ".*Delete the folder and make it again"):
        load(tmp_path)


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


@pytest.mark.parametrize("fails_at", [1, 2])
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_loses_nothing(tmp_path, monkeypatch, fails_at, call, error):
    """At the tensors, or at the JSON file behind them; in the middle of the file, or at its last move."""
    save(tmp_path / "a", tiny(0), {"seed": 0})
    before, calls, real = files(tmp_path), [], getattr(os, call)

    def fail(*args):
        calls.append(args)
        if len(calls) == fails_at:
            raise error
        return real(*args)

    for folder in ("a", "new"):
        calls.clear()
        monkeypatch.setattr(io_files.os, call, fail)
        message = "cannot write .*the disk is full: free some space.*MINIGPT_CACHE.*still" if error.args else None
        with pytest.raises(type(error), match=message):
            save(tmp_path / folder, tiny(1), {"seed": 1})
        monkeypatch.undo()
        assert len(calls) == fails_at
    assert files(tmp_path) == before
    assert load(tmp_path / "a").config == {"seed": 0} and same(load(tmp_path / "a").tensors, tiny(0).state_dict())


def test_left_overs_of_a_killed_write_are_swept_up_and_nothing_else(tmp_path):
    save(tmp_path, tiny(0))
    orphan = tensor_file(tmp_path)
    save(tmp_path / "other", tiny(2))
    orphan.with_name(tensor_file(tmp_path / "other").name).write_bytes(tensor_file(tmp_path / "other").read_bytes())
    (tmp_path / ".minigpt-0123456789abcdef.tmp").write_bytes(b"half")
    foreign = [
        "notes.tmp",
        "tensors-mine.safetensors",
        "tensors-0123456789abcdef.safetensors",
        ".minigpt-me.tmp",
        "a.json",
    ]
    for name in foreign:
        (tmp_path / name).write_bytes(b"of the reader")
    assert same(load(tmp_path).tensors, tiny(0).state_dict())
    save(tmp_path, tiny(1))
    needed = json.loads((tmp_path / "checkpoint.json").read_text(encoding="utf-8"))["tensor_file"]
    here = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert here == sorted([*foreign, "checkpoint.json", needed]) and needed != orphan.name


NOT_ALLOWED = "cannot (read|write) .*no permission: choose a folder that you may write to .*MINIGPT_CACHE"


def test_no_permission_says_what_to_do(tmp_path, monkeypatch):
    def forbidden(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(io_files, "open", forbidden, raising=False)
    with pytest.raises(PermissionError, match=NOT_ALLOWED):
        save(tmp_path / "a", tiny())


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permission bits; the test above covers it")
def test_a_folder_that_really_forbids_it(tmp_path):
    """For root nothing is forbidden: be another user for a moment."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        with pytest.raises(PermissionError, match=NOT_ALLOWED):
            save(tmp_path / "cache" / "a", tiny())
    finally:
        if root:
            os.seteuid(0)


# --- training runs -----------------------------------------------------------------------------------------------


class Recorder:
    """Stands in for train.TrainState: the part that a checkpoint knows of."""

    def __init__(self, history=()):
        self.history = list(history)

    def info(self):
        return {"history": self.history}

    def tensors(self):
        return {"w/exp_avg": torch.tensor([float(len(self.history))])}

    def restore(self, tensors, info):
        self.history, self.restored = info["history"], tensors


def test_an_unfinished_run_comes_back(tmp_path):
    model, fresh, other = tiny(), Recorder(), tiny(5)
    save_state(tmp_path, model, Recorder([1, 2, 3]), Shape(), more={"curve/loss": torch.tensor([1.5])})
    more = load_state(tmp_path, other, fresh)
    assert fresh.history == [1, 2, 3] and fresh.restored["w/exp_avg"].tolist() == [3.0]
    assert more["curve/loss"].tolist() == [1.5] and same(other.state_dict(), model.state_dict())


def test_a_checkpoint_that_is_no_run_is_refused(tmp_path):
    save(tmp_path, tiny())
    with pytest.raises(ValueError, match="holds no training run"):
        load_state(tmp_path, tiny(), Recorder())
