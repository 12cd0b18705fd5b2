"""Cache of results that take long: trained once, read back as long as everything they depend on is the same.

The key of an entry has three parts, and none is a list kept by hand: what the caller names (configuration, seed, data),
with every tensor and function in it reduced to a checksum; and the code, as the import closure of the module in which
the result is built: its syntax and that of every module of this package that it imports, directly or not. Docstrings,
comments and line breaks are not syntax; figures, notebook helpers and the papers' numbers cannot change a model.
"""

import ast
import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import json
import re
import shutil
import sys
import textwrap
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import filelock
import numpy as np
import torch
from torch import nn

from minigpt import checkpoint, devices
from minigpt.checkpoint import Checkpoint
from minigpt.io.files import cache_dir, explained

PACKAGE = "minigpt"
# Modules that cannot change a result: they draw, display, read stored numbers, or store results.
SILENT = ("plots", "notebook", "papers", "exercises", "io", "checkpoint", "experiments.cache", "experiments.canaries",
          "experiments.measured", "experiments.instructgpt.shortened")


def cached(name: str, key: dict, build: Callable[[], tuple[dict, dict]], folder=None, on_wait=None) -> Checkpoint:
    """Cache: build something slow once and read it back ever after, as long as its key and its code are the same.

    build() returns (tensors, extra), as checkpoint.save takes them. `key` is everything that the result depends on
    beside code: configurations, seeds, data, functions (see `describe`). The code is the import closure of the module
    that defines `build`. Several processes may ask at once: one builds, the others wait (inside the context manager
    `on_wait()` if there is one). A build that fails or is interrupted leaves nothing behind but what it keeps in
    `partial_folder`. A result that cannot be written (a full disk) is returned all the same, with a UserWarning.

    Errors: ValueError if the key holds something that has no checksum. A damaged entry is built again, with a warning.
    """
    full = full_key(key, build)
    place = _entry(name, full, folder)
    with contextlib.suppress(FileNotFoundError, ValueError):  # absent or damaged: look again once we hold the lock
        return _load_entry(place, full)
    damage = None
    with _lock(place, on_wait):
        try:
            return _load_entry(place, full)
        except FileNotFoundError:
            pass
        except ValueError as error:
            damage = error
        tensors, extra = build()
        try:
            checkpoint.save(place, tensors, full, extra)
        except OSError as error:
            warnings.warn(f"the result could not be kept and will be built again next time: {error}", stacklevel=2)
            return Checkpoint(tensors, full, extra)
        shutil.rmtree(_partial(place), ignore_errors=True)
    if damage is not None:
        warnings.warn(f"a cached result was damaged and has been built again ({damage})", UserWarning, stacklevel=2)
    return _load_entry(place, full)


def full_key(key: dict, build: Callable) -> dict:
    """The key of an entry: what the caller named, described, the code of the module that defines `build`, and the GPU.

    A GPU sums in another order than the CPU: what one of them trained, the other does not read.
    """
    where = devices.device().type
    return {"key": describe(key), "code": code_key(build.__module__)} | ({} if where == "cpu" else {"device": where})


def partial_folder(name: str, key: dict, build: Callable, folder=None) -> Path:
    """Where build() of cached(name, key, build) may keep a training run that is not finished."""
    return _partial(_entry(name, full_key(key, build), folder))


# --- code -------------------------------------------------------------------------------------------------------------


def code_key(module: str) -> str:
    """SHA-256 of the syntax of a module and of every module of this package that it imports, directly or not.

    Docstrings, comments, blank lines and line breaks do not count. A module outside the package (a notebook's
    "__main__", a test) has the key "": functions defined there are described one by one.
    """
    module = _importable(module)
    if not _inside(module):
        return ""
    digest = hashlib.sha256()
    for name in closure(module):
        digest.update(f"{name}\n{syntax(name)}\n".encode())
    return digest.hexdigest()


@functools.cache
def closure(module: str) -> tuple[str, ...]:
    """Import closure: a module and all modules of this package that it imports, directly or not; no SILENT ones."""
    found, todo = set(), [module]
    while todo:
        here = todo.pop()
        if here not in found and not _silent(here):
            found.add(here)
            todo += imports(here)
    return tuple(sorted(found))


@functools.cache
def imports(module: str) -> tuple[str, ...]:
    """The modules of this package that a module imports itself, also inside functions, and the packages it lies in."""
    found = {module.rsplit(".", n)[0] for n in range(1, module.count("."))}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if _inside(alias.name)}
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), _package(module))
            if _inside(base):
                names = {f"{base}.{alias.name}" for alias in node.names}
                found |= {name for name in names if _path(name)} | {base}
    return tuple(sorted(found))


@functools.cache
def syntax(module: str) -> str:
    """A module's syntax tree as text, without docstrings; read once in a process, when it is first asked for."""
    return _bare(_tree(module))


def _bare(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
    return ast.dump(tree)


@functools.cache
def _path(module: str) -> Path | None:
    """The file of a module of this package, found without importing it; None if it is no module."""
    base = Path(sys.modules[PACKAGE].__file__).parent.joinpath(*module.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def _package(module: str) -> str:
    return module if _path(module).name == "__init__.py" else module.rpartition(".")[0]


def _importable(module: str) -> str:
    """The name under which a module can be imported: a module run with `python -m` calls itself "__main__"."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if module == "__main__" and spec is not None else module


def _inside(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == PACKAGE


def _silent(module: str) -> bool:
    return any(f"{module}.".startswith(f"{PACKAGE}.{name}.") for name in SILENT)


# --- values -----------------------------------------------------------------------------------------------------------


def describe(value, _seen: tuple = ()):
    """Fingerprint of a value: plain JSON, equal exactly if the value means the same; arrays and models as checksums.

    A function is described by its code, by what it captures and by its defaults; one of this package by the import
    closure of its module as well; one defined elsewhere (a notebook) by its own syntax and the globals that it uses.
    An object with a `fingerprint` is described by that. Errors: ValueError for anything else that has no checksum.
    """
    if id(value) in _seen:
        return "itself"
    inner = functools.partial(describe, _seen=(*_seen, id(value)))
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else repr(value)
    if isinstance(value, (np.generic, torch.Tensor)) and value.ndim == 0:
        return [str(value.dtype), inner(value.item())]
    if isinstance(value, (np.ndarray, torch.Tensor)):
        array = value
        if isinstance(value, torch.Tensor):
            array = value.detach().cpu().contiguous().view(torch.uint8).numpy()
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), digest]
    if isinstance(value, (list, tuple)):
        return [inner(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted((inner(each) for each in value), key=json.dumps)
    if isinstance(value, dict):
        return [[inner(name), inner(each)] for name, each in value.items()]
    if isinstance(value, Path):
        return str(value)
    if isinstance(getattr(value, "fingerprint", None), str):
        return [_named(type(value)), value.fingerprint]
    if isinstance(value, nn.Module):
        settings = inner(value.config) if hasattr(value, "config") else None
        return [_kind(type(value), inner), settings, inner(dict(value.state_dict()))]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return [_kind(type(value), inner), inner(fields)]
    if isinstance(value, functools.partial):
        return ["partial", inner(value.func), inner(value.args), inner(value.keywords)]
    if isinstance(value, types.MethodType):
        return [inner(value.__func__), inner(value.__self__)]
    if isinstance(value, types.FunctionType):
        return _function(inspect.unwrap(value), inner)
    if isinstance(value, types.ModuleType):
        return [value.__name__, code_key(value.__name__)]
    owner = value.__self__ if isinstance(value, types.BuiltinFunctionType) else None
    if owner is not None and not isinstance(owner, (types.ModuleType, type)):
        return [value.__name__, inner(owner)]  # a method of an object, such as table.get
    if isinstance(value, type) and _in_notebook(value):
        return [_named(value), *_own_class(value, inner)]
    if isinstance(value, (type, types.BuiltinFunctionType)):
        return [_named(value), code_key(value.__module__)]
    raise ValueError(
        f"expected numbers, text, arrays, dataclasses, models or functions in the key of a cached result; got a "
        f"{_named(type(value))}, which has no checksum (give its class an attribute `fingerprint`)"
    )


def _function(function: types.FunctionType, inner) -> list:
    captured = [cell.cell_contents for cell in function.__closure__ or ()]
    settings = [inner(captured), inner(function.__defaults__), inner(function.__kwdefaults__)]
    if _inside(_importable(function.__module__)):
        return [_named(function), code_key(function.__module__), *settings]
    names = [name for name in _names(function.__code__) if name in function.__globals__]
    return [_own_syntax(function), *settings, inner({name: function.__globals__[name] for name in sorted(set(names))})]


def _own_class(kind: type, inner) -> list:
    """What makes a class of a notebook: its bases, its methods, and the numbers and words that stand in it."""
    parts = {name: getattr(each, "__func__", getattr(each, "fget", each)) for name, each in vars(kind).items()}
    written = {  # not what a decorator such as dataclass has made or brought along: it has no file, or another module
        name: each for name, each in parts.items()
        if isinstance(each, types.FunctionType)
        and each.__code__.co_filename != "<string>" and each.__module__ == kind.__module__
        or isinstance(each, (bool, int, float, str)) and not name.startswith("__")
    }  # fmt: skip
    return [inner(list(kind.__bases__)), inner(written)]


def _own_syntax(function: types.FunctionType) -> str:
    """A function's own syntax; its bytecode if there is no source (typed at a prompt) or only part of a line.

    The source of a lambda is the whole statement around it: of several in one statement the bytecode tells which.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return _bytecode(function.__code__)
    several = function.__name__ == "<lambda>" and sum(isinstance(node, ast.Lambda) for node in ast.walk(tree)) > 1
    return _bare(tree) + (_bytecode(function.__code__) if several else "")


def _bytecode(code: types.CodeType) -> str:
    constants = [_bytecode(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _names(code: types.CodeType) -> list[str]:
    nested = [name for each in code.co_consts if isinstance(each, types.CodeType) for name in _names(each)]
    return [*code.co_names, *nested]


def _kind(kind: type, inner):
    """The class of a value: its name, or, if it stands in a notebook, what stands in it."""
    return inner(kind) if _in_notebook(kind) else _named(kind)


def _in_notebook(kind: type) -> bool:
    """Whether a class was defined in a notebook (or a script), not in a module of this package or another one."""
    return kind.__module__ == "__main__" and not _inside(_importable(kind.__module__))


def _named(thing) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


# --- entries ----------------------------------------------------------------------------------------------------------


def _entry(name: str, full: dict, folder) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"expected a cache name of letters, digits, - and _; got {name!r}")
    return Path(cache_dir() if folder is None else folder) / f"{name}-{checkpoint.json_digest(full)[:16]}"


def _partial(place: Path) -> Path:
    return place.with_name(place.name + ".partial")


def _load_entry(place: Path, full: dict) -> Checkpoint:
    stored = checkpoint.load(place)
    if stored.config != full:
        raise ValueError(f"{place} holds the result of another key than its name says. {checkpoint.DO}")
    return stored


@contextlib.contextmanager
def _lock(place: Path, on_wait):
    """Wait until no other process works on this entry."""
    with explained(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(place.with_name(place.name + ".lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            with on_wait() if on_wait else contextlib.nullcontext():
                lock.acquire()
    try:
        yield
    finally:
        lock.release()
