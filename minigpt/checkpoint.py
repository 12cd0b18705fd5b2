"""Checkpoints and the cache: tensors in a safetensors file, everything else in a JSON file beside it, never a pickle.

Floor 2 of the east wing (imports no other room; a model, a state or a training run is handed in). A checkpoint is
a folder. Its JSON file names the tensor file and its SHA-256 and is replaced last, in one move: whatever happens
before that move, the checkpoint that was there still loads.
"""

import contextlib
import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from minigpt.io import files

FORMAT = 1  # counts up when the layout of the files changes
JSON_NAME = "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds."""

    tensors: dict[str, Tensor]  # name -> tensor, on the CPU
    config: dict  # what the tensors belong to: a model's configuration, or the key of a cached result
    extra: dict  # anything else that JSON can hold


def save(folder, tensors, config=None, extra: dict | None = None) -> None:
    """Write a model, or a dictionary of tensors, with its configuration, so that it is there wholly or not at all.

    `config` is a dataclass or a dictionary. A checkpoint already in the folder is replaced at the very end.
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
    folder = Path(folder)
    tensors = tensors.state_dict() if isinstance(tensors, nn.Module) else tensors
    tensors = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
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
    try:
        files.write(folder / about["tensor_file"], data)
        files.write(folder / JSON_NAME, (json.dumps(about, indent=1) + "\n").encode("utf-8"))
    finally:
        _tidy(folder)


def load(folder, model: nn.Module | None = None) -> Checkpoint:
    """Read a checkpoint back and check every byte of it; copy its tensors into `model` if one is given.

    Errors: FileNotFoundError if there is no checkpoint; ValueError naming the file, what was expected and what
    came, if a file is damaged, cut short or missing, or if the model's names and shapes differ (the model is then
    left as it was).
    """
    folder = Path(folder)
    about = _read_json(folder / JSON_NAME)
    path = folder / about["tensor_file"]
    data = files.read(path)
    if data is None:
        raise ValueError(f"{path} is missing, but {folder / JSON_NAME} needs it. {DO}")
    if len(data) != about["n_bytes"]:
        raise ValueError(f"{path} is damaged: it should have {about['n_bytes']} bytes but has {len(data)}. {DO}")
    if hashlib.sha256(data).hexdigest() != about["sha256"]:
        raise ValueError(f"{path} is damaged: its SHA-256 is not {about['sha256'][:16]}... as when written. {DO}")
    tensors = safetensors.torch.load(data)
    tensors = {name: tensors[name] for name in about["shapes"]}  # in the order in which they were saved
    if model is not None:
        fill(model, tensors)
    return Checkpoint(tensors, about["config"], about["extra"])


def fill(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy tensors into a model whose names and shapes must be exactly theirs.

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


def _tidy(folder: Path) -> None:
    """Remove what the checkpoint does not need: old tensors, half-written files, and the folder if that leaves none."""
    with contextlib.suppress(OSError, ValueError):
        needed = _read_json(folder / JSON_NAME)["tensor_file"] if (folder / JSON_NAME).exists() else None
        for path in [*folder.glob("tensors-*.safetensors"), *folder.glob("*.tmp")]:
            if path.name != needed:
                path.unlink()
        if needed is None:
            folder.rmdir()


def _read_json(path: Path) -> dict:
    text = files.read(path)
    if text is None and any(path.parent.glob("tensors-*.safetensors")):
        raise ValueError(f"{path} is missing, but there are tensors beside it. {DO}")
    if text is None:
        message = f"there is no checkpoint: expected {path}; save one there first or correct the folder's name"
        raise FileNotFoundError(message)
    try:
        about = json.loads(text.decode("utf-8"))
        digest = about.pop("sha256_of_this")
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: expected a miniGPT checkpoint in JSON ({error!r}). {DO}") from None
    if digest != json_digest(about):
        raise ValueError(f"{path} is damaged: its content does not match its own SHA-256. {DO}")
    if about["format"] != FORMAT:
        raise ValueError(f"{path} has checkpoint format {about['format']}; this miniGPT reads {FORMAT}. {DO}")
    return about


def plain(value, where: str):
    """Turn dataclasses, tuples and numpy numbers into what JSON gives back when it is read."""

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
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode("utf-8")).hexdigest()
