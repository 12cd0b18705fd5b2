"""Other ways to run the book: what they say about packages and commands is what the book says itself."""

import re
import subprocess
import sys
from pathlib import Path

import start

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_uv_pins_what_the_constraints_pin():
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert set(PROJECT["tool"]["uv"]["constraint-dependencies"]) <= {line.split(" ;")[0] for line in pinned}


def test_binder_and_containers_use_commands_that_there_are():
    build = (ROOT / ".binder" / "postBuild").read_text(encoding="utf-8")
    container = (ROOT / "Containerfile").read_text(encoding="utf-8")
    command = re.search(r"^CMD \[(.+)\]$", container, re.M)[1].replace('"', "").split(", ")
    assert command[:2] == ["python3", "start.py"] and start.parse_options(command[2:]).port == 8888
    lines = [line for line in (build + container).splitlines() if "python3 start.py " in line]
    found = [line.split("start.py ")[1].split() for line in lines]
    assert [start.parse_options(words).command for words in found] == ["install", "reset", "install"]
    python = (ROOT / ".binder" / "runtime.txt").read_text(encoding="utf-8").strip()
    low, high = (f"{a}.{b}" for a, b in (start.OLDEST, start.NEWEST))
    assert re.fullmatch(r"python-3\.\d+", python) and f"3.{low[2:]}" <= python.split("-")[1] <= high
    wanted = (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf-8").split()
    assert set(wanted) <= {line.split(" ")[0] for line in PROJECT["project"]["dependencies"]}


def test_the_first_cell_for_colab_does_nothing_on_a_readers_computer(tmp_path):
    cell = re.search(r"```python\n(.+?)```", (ROOT / "docs" / "elsewhere.md").read_text(encoding="utf-8"), re.S)[1]
    ran = subprocess.run([sys.executable, "-c", cell], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == ran.stderr == "" and not list(tmp_path.iterdir())
    there = cell.replace('"google.colab" in sys.modules', "True")
    there = there.replace("subprocess.run", "print").replace(", check=True", "")
    ran = subprocess.run([sys.executable, "-c", there], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.count("\n") == 2  # where the condition holds, both commands are given
