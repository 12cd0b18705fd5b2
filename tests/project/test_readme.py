"""The README names what exists, all that exists, and only commands that work."""

import importlib.util
import re
import shlex
from pathlib import Path

import start

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tables(text: str) -> list[list[list[str]]]:
    """The Markdown tables of a text: rows of stripped cells, without the ruler."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, flags=re.M)
    rows = [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]
    return [[row for row in table if not re.fullmatch(r"[-| :]+", "|".join(row))] for table in rows]


def paths_named(text: str) -> set[str]:
    """Everything in backticks or in a link's target that reads as a path of this project."""
    quoted = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    words = [word for code in quoted for word in code.split()]
    known = re.compile(r"[\w.-]+(/[\w.-]*)+|[\w-]+\.(py|md|txt|toml|yml|cff|ipynb)")
    return {w for w in words if known.fullmatch(w) and not w.startswith(".venv")} | set(targets)


def test_every_path_named_exists():
    named = paths_named(README)
    assert {"LICENSE", "start.py", "minigpt/tokens.py", "chapters/00_world.ipynb", "chapters/solutions"} <= named
    missing = sorted(path for path in named if not (ROOT / path).exists())
    assert not missing, f"README.md names what does not exist: {missing}"


def test_paths_are_found_in_text():
    text = "`a.py`, `b/c.py`, [d](e.md), `pip install x`, [web](https://example.org/f.md) and `run g/h.ipynb`"
    assert paths_named(text) == {"a.py", "b/c.py", "e.md", "g/h.ipynb"}


def test_the_map_shows_every_room_once_and_in_its_wing():
    (table,) = [table for table in tables(README) if table[0] == ["room", "the idea", "file"]]
    wings, wing = {}, None
    for room, idea, file in table[1:]:
        if room.startswith("*"):
            wing = wings.setdefault(room.strip("*"), [])
            continue
        assert file == f"`minigpt/{room}.py`" and len(idea) > 20
        wing.append(room)
    shown = [room for rooms in wings.values() for room in rooms]
    there = [path.stem for path in (ROOT / "minigpt").glob("*.py") if path.name != "__init__.py"]
    assert sorted(shown) == sorted(there)

    spec = importlib.util.spec_from_file_location("house", ROOT / "tests" / "test_house.py")
    house = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(house)
    assert set(wings["West wing"]) <= set(house.WEST)
    assert set(wings["East wing"]) <= set(house.EAST)
    assert set(wings["Roof"]) <= house.ROOF
    assert set(wings["Classroom"]) == house.CLASSROOM


def test_the_chapter_table_lists_every_chapter():
    (table,) = [table for table in tables(README) if table[0][1] == "chapter"]
    linked = [re.search(r"\((chapters/[^)]+)\)", row[1]).group(1) for row in table[1:]]
    assert linked == sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "chapters").glob("*.ipynb"))
    assert all(Path(path).name.startswith(row[0] + "_") for path, row in zip(linked, table[1:]))


def test_nothing_is_left_to_fill_in():
    assert [line for line in README.splitlines() if "TODO" in line] == []


def test_every_start_command_in_the_readme_is_understood():
    commands = re.findall(r"python3 start\.py([^`#\n]*)", README)
    assert len(commands) >= 5
    for command in commands:
        start.parse_options(shlex.split(command))


def test_the_sizes_are_those_that_start_announces():
    megabytes, gigabytes = start.SIZES["cpu"]
    assert f"about {megabytes} MB" in README and f"{gigabytes} GB on" in README


def test_what_is_untested_is_said():
    (table,) = [table for table in tables(README) if table[0] == ["where", "state"]]
    states = {row[0]: row[1] for row in table[1:]}
    for where in ("Windows", "macOS on Apple silicon", "Linux on ARM", "NVIDIA GPU", "screen readers"):
        assert "untested" in states[where]
    assert "untested" in states["conda, Binder, Colab"]
