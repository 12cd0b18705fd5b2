"""What `python3 start.py check` sees from inside .venv, printed as one line of JSON."""

import importlib
import importlib.metadata
import json
import os
import pkgutil
import re
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHOWN = ["torch", "numpy", "jupyterlab", "ipykernel", "nbval", "tiktoken", "matplotlib", "ipywidgets"]


def pinned() -> dict[str, str]:
    """Package -> version for this Python and system, from constraints.txt."""
    from packaging.requirements import Requirement  # comes with JupyterLab

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {r.name: str(r.specifier)[2:] for r in wanted if r.marker is None or r.marker.evaluate()}


def kernel() -> str | None:
    """The interpreter that the kernel named python3 starts."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return None
    return sys.executable if re.fullmatch(r"python[\d.]*(\.exe)?", program) else program


def book_error() -> tuple[str, bool] | None:
    """Why the book's package cannot be imported, and whether the fault is in the package; None if it can be."""
    try:
        import minigpt

        for module in pkgutil.walk_packages(minigpt.__path__, "minigpt."):
            importlib.import_module(module.name)
    except Exception as error:
        places = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        places += [error.filename] if isinstance(error, SyntaxError) and error.filename else []
        ours = Path(places[-1]).is_relative_to(ROOT / "minigpt")
        if isinstance(error, ImportError) and error.name:  # raised in our file for want of somebody else's name
            ours = error.name.split(".")[0] == "minigpt"
        return f"{places[-1]}: {type(error).__name__}: {error}".replace("\n", " "), ours
    return None


def cache() -> tuple[str, float, str | None]:
    """The cache folder, its size in MB, and why it cannot be written (None if it can)."""
    folder = "unknown"
    try:
        from minigpt.io.files import cache_dir

        folder = cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except (ImportError, OSError, RuntimeError) as error:
        return str(folder), 0.0, getattr(error, "strerror", None) or str(error)
    return str(folder), size / 1e6, None


def facts() -> dict:
    """Everything, as a dictionary that JSON can hold."""
    import psutil  # comes with ipykernel

    there = [(d.metadata["Name"], d.version) for d in importlib.metadata.distributions()]
    installed = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in there if name and version}
    differ = []
    for name, version in pinned().items():
        found = installed.get(re.sub(r"[-_.]+", "-", name).lower())
        if found is not None and found.split("+")[0] != version:
            differ.append((name, found, version))
    found = {
        "executable": sys.executable,
        "python": ".".join(map(str, sys.version_info[:3])),
        "kernel": kernel(),
        "versions": [(name, installed[name]) for name in SHOWN if name in installed],
        "not_as_pinned": differ,
        "memory_gb": psutil.virtual_memory().available / 1e9,
        "cores": os.cpu_count(),
        "threads": None,
        "device": None,
        "torch_error": None,
        "book_error": None,
        "cache": "unknown",
        "cache_mb": 0.0,
        "cache_error": None,
    }
    try:
        import torch

        found["device"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
        found["threads"] = torch.get_num_threads()
        found["book_error"] = book_error()
    except (ImportError, OSError, RuntimeError) as error:
        found["torch_error"] = str(error).strip().split("\n")[-1] or repr(error)
    found["cache"], found["cache_mb"], found["cache_error"] = cache()
    return found


if __name__ == "__main__":
    print(json.dumps(facts()))
