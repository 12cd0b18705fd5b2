"""Checkpoints and the cache: tensors in a safetensors file, everything else in a JSON file beside it, never a pickle.

Floor 2 of the east wing (imports no other room; a model, a state or a training run is handed in). A checkpoint is
a folder. Its JSON file names the tensor file and its SHA-256 and is replaced last, in one move: whatever happens
before that move, the checkpoint that was there still loads.
"""

import ast
import contextlib
import dataclasses
import errno
import hashlib
import inspect
import io
import json
import os
import re
import shutil
import sys
import textwrap
import tokenize
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import safetensors.torch
import torch
from torch import Tensor, nn

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

    Only one process at a time may write to a folder (`cached` sees to that with a lock).

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
        "config": _plain(config or {}, "config"),
        "extra": _plain(extra or {}, "extra"),
    }
    about["sha256_of_this"] = _digest(about)
    try:
        _write(folder / about["tensor_file"], data)
        _write(folder / JSON_NAME, (json.dumps(about, indent=1) + "\n").encode("utf-8"))
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
    data = _read(path)
    if data is None:
        raise ValueError(f"{path} is missing, but {folder / JSON_NAME} needs it. {_DO}")
    if len(data) != about["n_bytes"]:
        raise ValueError(f"{path} is damaged: it should have {about['n_bytes']} bytes but has {len(data)}. {_DO}")
    if hashlib.sha256(data).hexdigest() != about["sha256"]:
        raise ValueError(f"{path} is damaged: its SHA-256 is not {about['sha256'][:16]}... as when written. {_DO}")
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


def save_state(folder, model: nn.Module, state, config=None) -> None:
    """Write a training run as it stands, weights and train.TrainState, so that it can go on later bit for bit.

    Errors: as save.
    """
    tensors = {f"weights/{name}": t for name, t in model.state_dict().items()}
    tensors |= {f"state/{name}": t for name, t in state.tensors().items()}
    save(folder, tensors, config, state.info())


def load_state(folder, model: nn.Module, state):
    """Read a training run back into a model and a fresh train.TrainState, and return the state.

    Errors: as load.
    """
    checkpoint = load(folder)
    parts = {"weights": {}, "state": {}}
    for key, t in checkpoint.tensors.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = t
    if set(parts) != {"weights", "state"}:
        raise ValueError(f"{folder} holds no training run to continue, but tensors named {sorted(parts)[:5]}")
    fill(model, parts["weights"])
    state.restore(parts["state"], checkpoint.extra)
    return state


def resumable(folder, model: nn.Module, state, records: Iterable, every: int = 200, config=None) -> Iterator:
    """Pass on a training run's records, saving it on the way; called again, go on where it was broken off.

    `records` is train(model, ..., state=state) with the same model and state. The run is saved every `every` steps
    and when it is broken off or interrupted; a killed process loses at most `every` steps. Called again, it first
    passes on the saved records, so that the caller sees the whole curve. When the run is complete the folder is left
    to the caller (`cached` removes its `partial_folder` by itself).

    Errors: ValueError if the folder holds a run with another `config`.
    """
    if (Path(folder) / JSON_NAME).exists():
        if load(folder).config != _plain(config or {}, "config"):
            raise ValueError(f"{folder} holds a training run with another configuration; delete it or choose another")
        load_state(folder, model, state)
        yield from list(state.history)
    try:
        for record in records:
            if record.step % every == 0:
                save_state(folder, model, state, config)
            yield record
    except (GeneratorExit, KeyboardInterrupt):
        save_state(folder, model, state, config)
        raise


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


def code_fingerprint(*sources) -> str:
    """A short name for what some modules or functions do: other code, other name; comments and docstrings are free.

    Only the given source is read, not what it imports: list every room that the result depends on. It is the same
    under every version of Python.

    >>> def double(x):
    ...     return 2 * x
    >>> len(code_fingerprint(double))
    64
    """
    digest = hashlib.sha256()
    for source in sources:
        text = textwrap.dedent(inspect.getsource(source))
        digest.update(_bare(text).encode("utf-8") + b"\0")
    return digest.hexdigest()


def _bare(text: str) -> str:
    """Python code without its docstrings, comments and empty lines; the text itself if it is only a piece of code."""
    lines = text.splitlines()
    try:
        tree = ast.parse(text)
    except SyntaxError:  # a lambda in the middle of a call, for one
        return text
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            for number in range(node.body[0].lineno, node.body[0].end_lineno + 1):
                lines[number - 1] = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            number, column = token.start
            lines[number - 1] = lines[number - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def cached(name: str, key, build: Callable[[], tuple[dict, dict]], folder=None) -> Checkpoint:
    """Build something slow once and read it back ever after, as long as everything in its key is the same.

    build() returns (tensors, extra), as save takes them. `key` (a dictionary, dataclasses allowed inside) is
    everything the result depends on: configurations, seeds, the data's fingerprint, code_fingerprint(...). First
    and later calls return the same, both read from the files. Several processes may ask at once: one builds, the
    others wait. A build that fails or is interrupted leaves nothing behind (but see resumable).

    Errors: as save. A damaged entry is built again, and a UserWarning says so.
    """
    place = _entry(name, key, folder)
    try:
        return _load_entry(place, key)
    except (FileNotFoundError, ValueError):
        pass  # absent or damaged: look again once we hold the lock
    damage = None
    with _lock(place):
        try:
            return _load_entry(place, key)
        except FileNotFoundError:
            pass
        except ValueError as error:
            damage = error
        tensors, extra = build()
        save(place, tensors, key, extra)
        shutil.rmtree(partial_folder(name, key, folder), ignore_errors=True)
    if damage is not None:
        warnings.warn(f"a cached result was damaged and has been built again ({damage})", UserWarning, stacklevel=2)
    return _load_entry(place, key)


def partial_folder(name: str, key, folder=None) -> Path:
    """Where the build of cached(name, key, ...) may keep a training run that is not finished (see resumable)."""
    place = _entry(name, key, folder)
    return place.with_name(place.name + ".partial")


_DO = "Delete the folder and make it again (cached results are built again by themselves)."
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


def _explain(error: OSError, path: Path, doing: str = "write") -> OSError:
    """The same error, saying what happened to which file, that nothing is lost, and what to do."""
    help_ = _HELP.get(error.errno, error.strerror or str(error))
    return OSError(error.errno, f"cannot {doing} {path}: {help_}. Whatever was saved before is still there")


def _read(path: Path) -> bytes | None:
    """The bytes of a file, None if there is no such file."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _explain(error, path, "read") from error


def _write(path: Path, data: bytes) -> None:
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
        raise _explain(error, path) from error


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
    text = _read(path)
    if text is None and any(path.parent.glob("tensors-*.safetensors")):
        raise ValueError(f"{path} is missing, but there are tensors beside it. {_DO}")
    if text is None:
        message = f"there is no checkpoint: expected {path}; save one there first or correct the folder's name"
        raise FileNotFoundError(message)
    try:
        about = json.loads(text.decode("utf-8"))
        digest = about.pop("sha256_of_this")
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: expected a miniGPT checkpoint in JSON ({error!r}). {_DO}") from None
    if digest != _digest(about):
        raise ValueError(f"{path} is damaged: its content does not match its own SHA-256. {_DO}")
    if about["format"] != FORMAT:
        raise ValueError(f"{path} has checkpoint format {about['format']}; this miniGPT reads {FORMAT}. {_DO}")
    return about


def _plain(value, where: str):
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


def _digest(plain) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode("utf-8")).hexdigest()


def _entry(name: str, key, folder) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"a cache name is made of letters, digits, - and _, but it is {name!r}")
    return Path(cache_dir() if folder is None else folder) / f"{name}-{_digest(_plain(key, 'key'))[:16]}"


def _load_entry(place: Path, key) -> Checkpoint:
    checkpoint = load(place)
    if checkpoint.config != _plain(key, "key"):
        raise ValueError(f"{place} holds the result of another key than its name says. {_DO}")
    return checkpoint


def _lock(place: Path):
    """Wait until no other process works on this entry; use as `with _lock(place):`."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(place.with_name(place.name + ".lock")).acquire()
    except OSError as error:
        raise _explain(error, place) from error
