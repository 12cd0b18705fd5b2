"""Checkpoints: tensors in a safetensors file, everything else in a JSON file beside it, never a pickle.

A checkpoint is a folder. Its JSON file names the tensor file and its SHA-256 and is replaced last, in one move:
whatever happens before that move, the checkpoint that was there still loads.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from minigpt import devices
from minigpt.io import files

FORMAT = 1  # counts up when the layout of the files changes
JSON_NAME = "checkpoint.json"
TENSOR_NAME = r"tensors-[0-9a-f]{16}\.safetensors"  # with the first digits of the file's SHA-256


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint as read from its folder: tensors, configuration and the rest."""

    tensors: dict[str, Tensor]  # name -> tensor, on the CPU
    config: dict  # what the tensors belong to: a model's configuration, or the key of a cached result
    extra: dict  # anything else that JSON can hold


def save(folder, tensors, config=None, extra: dict | None = None) -> None:
    """Save a checkpoint: a model, or a dictionary of tensors, with its configuration, wholly or not at all.

    `config` is a dataclass or a dictionary. A checkpoint already in the folder is replaced at the very end. Of the
    files in the folder only what earlier saves left is deleted: tensors whose name is the checksum of their bytes.
    Errors: OSError (disk full, no permission) that says what to do; the checkpoint that was there is untouched.
    ValueError if something in config or extra cannot be written as JSON.
    Differs: the usual pickle runs code when it is read; these files cannot.

    Only one process at a time may write to a folder (experiments.cache sees to that with a lock).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(folder, {"w": torch.tensor([1.0, 2.0])}, config={"d_model": 2})
    ...     load(folder).tensors["w"]
    tensor([1., 2.])
    """
    folder = files.reader_path(folder, "the folder of a checkpoint")
    tensors = tensors.state_dict() if isinstance(tensors, nn.Module) else tensors
    shared = any(devices.is_shared(t) for t in tensors.values())  # then every process must call this; the first writes
    tensors = {
        name: devices.whole(t.detach()).cpu().clone(memory_format=torch.contiguous_format)
        for name, t in tensors.items()
    }
    if shared and devices.rank():
        return
    data = safetensors.torch.save(tensors)
    sha256 = hashlib.sha256(data).hexdigest()
    about = {
        "format": FORMAT,
        "tensor_file": f"tensors-{sha256[:16]}.safetensors",
        "n_bytes": len(data),
        "sha256": sha256,
        "shapes": {name: list(t.shape) for name, t in tensors.items()},
        "config": plain(config or {}, "config"),
        "extra": plain(extra or {}, "extra"),
    }
    about["sha256_of_this"] = json_digest(about)
    with files.new_folders(folder):
        written = not (folder / about["tensor_file"]).exists()
        files.write_file(folder / about["tensor_file"], data)
        try:
            files.write_file(folder / JSON_NAME, (json.dumps(about, indent=1) + "\n").encode("utf-8"))
        except BaseException:
            if written:
                (folder / about["tensor_file"]).unlink()
            raise
    _tidy(folder, about["tensor_file"])


def load(folder, model: nn.Module | None = None) -> Checkpoint:
    """Load a checkpoint and check every byte of it; copy its tensors into `model` if one is given.

    Errors: FileNotFoundError if there is no checkpoint; ValueError naming the file, what was expected and what
    came, if a file is damaged, cut short or missing, or if the model's names and shapes differ (the model is then
    left as it was).
    """
    folder = files.reader_path(folder, "the folder of a checkpoint")
    about = _read_json(folder / JSON_NAME)
    path = folder / about["tensor_file"]
    data = _read(path)
    if data is None:
        raise ValueError(f"{path} is missing, but {folder / JSON_NAME} needs it. {DO}")
    if len(data) != about["n_bytes"]:
        raise ValueError(f"{path} is damaged: it should have {about['n_bytes']} bytes but has {len(data)}. {DO}")
    if hashlib.sha256(data).hexdigest() != about["sha256"]:
        raise ValueError(f"{path} is damaged: its SHA-256 is not {about['sha256'][:16]}... as when written. {DO}")
    try:
        tensors = safetensors.torch.load(data)
        tensors = {name: tensors[name] for name in about["shapes"]}  # in the order in which they were saved
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged: its tensors cannot be read ({error!r}). {DO}") from None
    if model is not None:
        fill(model, tensors)
    return Checkpoint(tensors, about["config"], about["extra"])


def fill(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load tensors into a model whose names and shapes must be exactly theirs.

    Errors: ValueError listing what differs; the model is then left as it was.
    """
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    came = {name: tuple(t.shape) for name, t in tensors.items()}
    if expected != came:
        differ = sorted(name for name in expected.keys() | came.keys() if expected.get(name) != came.get(name))
        lines = [f"{name}: expected {expected.get(name, 'none')}, got {came.get(name, 'none')}" for name in differ[:5]]
        raise ValueError(
            f"the checkpoint does not fit this model; {len(differ)} tensors differ ({'; '.join(lines)}). "
            "Build the model with the configuration stored in the checkpoint."
        )
    model.load_state_dict(tensors)


def save_state(folder, model: nn.Module, state, config=None, more: dict[str, Tensor] | None = None) -> None:
    """Checkpoint of an unfinished training run: weights, optimiser state (train.TrainState, ppo.PPOState) and `more`.

    load_state puts it back, and the run goes on bit for bit. Errors: as save.
    """
    tensors = {f"weights/{name}": t for name, t in model.state_dict().items()}
    tensors |= {f"state/{name}": t for name, t in state.tensors().items()}
    tensors |= {f"more/{name}": t for name, t in (more or {}).items()}
    save(folder, tensors, config, state.info())


def load_state(folder, model: nn.Module, state) -> dict[str, Tensor]:
    """Put an unfinished run back into a model and a fresh state; returns the tensors that were saved with it as `more`.

    Errors: as load; a checkpoint that holds no training run is a ValueError.
    """
    checkpoint = load(folder)
    parts = {"weights": {}, "state": {}, "more": {}}
    for key, t in checkpoint.tensors.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = t
    if set(parts) != {"weights", "state", "more"} or not parts["weights"]:
        raise ValueError(f"{folder} holds no training run to continue, but tensors named {sorted(parts)[:5]}")
    fill(model, parts["weights"])
    state.restore(parts["state"], checkpoint.extra)
    return parts["more"]


DO = "Delete the folder and make it again (cached results are built again by themselves)."


def _tidy(folder: Path, needed: str) -> None:
    """Remove what earlier saves left: temporary files, and tensors whose name is the checksum of what is in them."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process still reads it (Windows): it only takes up space
            old = path.name != needed and re.fullmatch(TENSOR_NAME, path.name)
            if re.fullmatch(files.TEMPORARY, path.name) or (old and files.sha256(path)[:16] == path.name[8:24]):
                path.unlink()


def _read(path: Path) -> bytes | None:
    """The bytes of a file, None if there is none. Errors: ValueError for a folder or a circle of links in its place."""
    if path.is_dir() or (path.is_symlink() and not path.exists()):
        raise ValueError(f"{path} is damaged: it is not a file. {DO}")
    return files.read_file(path)


def _read_json(path: Path) -> dict:
    text = _read(path)
    if text is None and any(path.parent.glob("tensors-*.safetensors")):
        raise ValueError(f"{path} is missing, but there are tensors beside it. {DO}")
    if text is None:
        message = f"there is no checkpoint: expected {path}; save one there first or correct the folder's name"
        raise FileNotFoundError(message)
    try:
        about = json.loads(text.decode("utf-8"))
        digest = about.pop("sha256_of_this")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: expected a miniGPT checkpoint in JSON ({error!r}). {DO}") from None
    if digest != json_digest(about):
        raise ValueError(f"{path} is damaged: its content does not match its own SHA-256. {DO}")
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} has checkpoint format {about.get('format')}; this miniGPT reads {FORMAT}. {DO}")
    kinds = {"tensor_file": str, "n_bytes": int, "sha256": str, "shapes": dict, "config": dict, "extra": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(about.get(name), kind)]
    if wrong or not re.fullmatch(TENSOR_NAME, about["tensor_file"]):
        raise ValueError(f"{path} is damaged: {', '.join(wrong) or 'tensor_file'} is not what was expected. {DO}")
    return about


def plain(value, where: str):
    """Dataclasses, tuples and numpy numbers as JSON gives them back. Errors: ValueError for what JSON cannot hold."""

    def convert(x):
        if dataclasses.is_dataclass(x) and not isinstance(x, type):
            return dataclasses.asdict(x)
        if hasattr(x, "tolist"):  # numpy and torch
            return x.tolist()
        raise TypeError(f"a {type(x).__name__}")

    try:
        return json.loads(json.dumps(value, default=convert, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} must be made of dictionaries, lists, text and finite numbers: {error}") from None


def json_digest(plain) -> str:
    """SHA-256 of what JSON can hold; the order of keys does not count."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode("utf-8")).hexdigest()
