"""The README names what exists, all that exists, and only commands that work."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

import start
from minigpt.experiments import measured

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
    assert {"LICENSE", "start.py", "minigpt/tokenizer.py", "chapters/00_world.ipynb", "chapters/solutions"} <= named
    missing = sorted(path for path in named if not (ROOT / path).exists())
    missing = [path for path in missing if path != "my.txt"]  # the reader's own
    assert not missing, f"README.md names what does not exist: {missing}"


def test_paths_are_found_in_text():
    text = "`a.py`, `b/c.py`, [d](e.md), `pip install x`, [web](https://example.org/f.md) and `run g/h.ipynb`"
    assert paths_named(text) == {"a.py", "b/c.py", "e.md", "g/h.ipynb"}


def modules_in(text: str) -> list[str]:
    """The modules of the package that a text names by their path."""
    return re.findall(r"`(minigpt/[\w/]+\.py)`", text)


def the_map() -> str:
    """From the heading "The map" to the next of its rank."""
    return README.split("\n## The map\n")[1].split("\n## ")[0]


def test_the_map_shows_every_module_once():
    shown = [path for table in tables(the_map()) for row in table for path in modules_in(row[-1])]
    there = [path.relative_to(ROOT).as_posix() for path in (ROOT / "minigpt").rglob("*.py")]
    assert sorted(shown) == sorted(path for path in there if not path.endswith("/__init__.py"))


def test_the_map_says_of_every_module_what_is_in_it():
    for table in tables(the_map()):
        for row in table[1:]:
            assert len(row) == len(table[0])
            if table[0][0] == "module":
                assert row[-1].endswith(f"/{row[0]}.py`") and len(row[-2 if len(row) == 3 else 2]) > 15, row


def test_the_map_names_every_measured_table_beside_its_module():
    (table,) = [table for table in tables(the_map()) if "table" in table[0]]
    linked = {row[0]: re.search(r"\(data/measured/(.+)\.csv\)", row[3]) for row in table[1:]}
    found = {name: link.group(1) for name, link in linked.items() if link}
    assert found == {name: name for name in measured.tables()}


WALKS = {
    "the loss of a language model": ("minigpt/loss.py", "lm_loss"),
    "PPO": ("minigpt/ppo.py", "PPOConfig"),
    "how the reward model is trained": ("minigpt/experiments/instructgpt/step2_reward_model.py", "train"),
    "GPT-2's configuration": ("minigpt/experiments/sizes.py", "GPT2"),
    "to train on your own text": ("minigpt/experiments/own_text.py", "train_on_text"),
    "to change the size of a model": ("minigpt/experiments/sizes.py", "GPT1"),
    "the code of a figure": ("minigpt/plots/__init__.py", "loss_curve"),
    "a 95 % interval": ("minigpt/stats.py", "wilson"),
}


@pytest.mark.parametrize("wanted", WALKS)
def test_who_looks_for_something_is_sent_to_the_right_file_first(wanted):
    (table,) = [table for table in tables(README) if table[0] == ["you want", "it is in"]]
    answers = {row[0]: row[1] for row in table[1:]}
    path, word = WALKS[wanted]
    assert modules_in(answers[wanted])[0] == path
    assert word in (ROOT / path).read_text(encoding="utf-8")
    (name, *_) = [*re.findall(r"\.py`: `(\w+)`", answers[wanted]), None]
    assert name is None or any(
        re.search(rf"^(def|class) {name}\b", (ROOT / place).read_text(encoding="utf-8"), flags=re.M)
        for place in modules_in(answers[wanted])
    )


def test_every_command_of_the_package_is_one():
    commands = re.findall(r"python -m (minigpt[\w.]*)((?: [\w.-]+)*)`", README)
    assert {"minigpt.experiments", "minigpt.experiments.own_text"} <= {module for module, _ in commands}
    for module, words in commands:
        spec = importlib.util.find_spec(module)
        assert spec is not None
        if spec.submodule_search_locations is not None:
            assert importlib.util.find_spec(module + ".__main__")
        if module == "minigpt.experiments" and words:
            assert words.split()[0].replace(".", "/") in measured.tables()


@pytest.mark.parametrize("name", ["README.md", "CHANGES.md", "data/README.md"])
def test_the_words_are_those_of_the_field(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    private = r"\b(?:house|wings?|roof|museum|exhibit|rooms?|classroom|seer|rung)\b"
    assert re.findall(private, text.lower()) == []


def test_the_chapter_table_lists_every_chapter():
    (table,) = [table for table in tables(README) if table[0][:2] == ["", "chapter"]]
    linked = [re.search(r"\((chapters/[^)]+)\)", row[1]).group(1) for row in table[1:]]
    assert linked == sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "chapters").glob("*.ipynb"))
    assert all(Path(path).name.startswith(row[0] + "_") for path, row in zip(linked, table[1:]))


def test_the_table_of_labs_lists_every_lab():
    (table,) = [table for table in tables(README) if table[0][:2] == ["lab", "after"]]
    linked = {re.search(r"\((chapters/labs/[^)]+)\)", row[0]).group(1): row[1] for row in table[1:]}
    there = sorted((ROOT / "chapters" / "labs").glob("*.ipynb"))
    assert linked == {path.relative_to(ROOT).as_posix(): path.name[:2] for path in there}


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
    for where in ("Windows", "macOS on Apple silicon", "Linux on ARM", "screen readers"):
        assert "untested" in states[where]
    assert "tested by hand" in states["NVIDIA GPU"] and "not on every change" in states["NVIDIA GPU"]
    assert "untested" in states["conda, Binder, Colab"]
