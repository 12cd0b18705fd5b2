"""Explorers after all cells have run: the recorded walk in JupyterLab, and what no walk of one setting would notice."""

import ast
import json
import re
import symtable
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import workbook  # noqa: E402

WALK = ROOT / "docs" / "walk"
NAMES = [name for name in workbook.originals(ROOT) if "solutions" not in name.parts]
COMPREHENSIONS = ("listcomp", "genexpr", "dictcomp", "setcomp")  # run at once, not when a control is moved
MAKES_ONE = re.compile(r"\b(explorers\.\w+|ranking_desk\.RankingDesk)\(")


def code(name):
    cells = workbook.read(ROOT / "chapters" / name)["cells"]
    return [workbook.source(cell) for cell in cells if cell["cell_type"] == "code"]


def inner(table) -> set[str]:
    """Names of the notebook that the functions of a piece of code use: what it looks up when a control is moved."""
    found = set()
    for child in table.get_children():
        if child.get_type() == "function" and child.get_name() not in COMPREHENSIONS:
            found |= {symbol.get_name() for symbol in child.get_symbols() if symbol.is_global()}
        found |= inner(child)
    return found


OWN_NAMES = (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def given(source) -> set[str]:
    """Names that a cell gives a meaning. (Not asked of symtable: since Python 3.12 it counts those of comprehensions.)"""
    found, left = set(), list(ast.parse(source).body)
    while left:
        node = left.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if not isinstance(node, OWN_NAMES):
            left += ast.iter_child_nodes(node)
    return found


def rebound(cells: list[str]) -> list[tuple[str, str]]:
    """(name, cell) where a name that an explorer uses when it is moved gets another meaning in a later cell."""
    functions, found = {}, []
    for source in cells:
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef):
                functions[node.name] = ast.unparse(node)
    for i, source in enumerate(cells):
        if MAKES_ONE.search(source):
            names = inner(symtable.symtable(source, "<cell>", "exec"))
            called = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)} | names
            for name in called & set(functions):
                names |= inner(symtable.symtable(functions[name], "<cell>", "exec"))
            found += [(name, later) for later in cells[i + 1 :] for name in sorted(names & given(later))]
    return found


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_an_explorer_works_after_all_cells_have_run(name):
    assert rebound(code(name)) == []


def test_a_name_that_is_used_again_is_noticed():
    makes = "def draw(q):\n    other = 1\n    return model(q)\nexplorers.slider_explorer(draw, 'q', 0, 1, 1, 0, 'x')"
    assert rebound([makes, "other = 2", "for model in 'ab':\n    pass"]) == [("model", "for model in 'ab':\n    pass")]
    assert rebound([makes, "x = [model for model in 'ab']"]) == []


def controls():
    """The widgets of the book with the lesson that has them: explorers and desks for ranking, by their stored words."""
    found = {}
    for name in NAMES:
        for cell in workbook.read(ROOT / "chapters" / name)["cells"]:
            for output in cell.get("outputs", []):
                words = " ".join("".join(output.get("data", {}).get("text/plain", "")).split())
                if words.startswith(("Explorer: ", "RankingDesk: ")):
                    found.setdefault(name.with_suffix("").as_posix(), []).append(words)
    return found


def test_the_record_of_the_walk_is_of_this_book():
    """Every lesson was walked, all its cells ran without an error, and each widget that it has answered something."""
    notebooks = json.loads((WALK / "walk.json").read_text(encoding="utf-8"))["notebooks"]
    lessons = [name.stem for name in NAMES if len(name.parts) == 1]
    assert set(lessons) <= set(notebooks)
    page, widgets = (WALK / "README.md").read_text(encoding="utf-8"), controls()
    for name, each in notebooks.items():
        assert each["ran"] == each["code"] > 0 and each["errors"] == [], name
        assert [widget["plain"] for widget in each["widgets"]] == widgets.get(name, []), name
        assert all(any(widget["controls"].values()) for widget in each["widgets"]), name
        assert f"| {name} | {each['ran']} of {each['code']} | 0 |" in page
        for picture in each["pictures"]:
            assert (WALK / picture).read_bytes()[8:12] == b"WEBP" and f"({picture})" in page
    assert f"Notebooks: {len(notebooks)}. " in page and "Errors found: 0." in page
    assert sum(path.stat().st_size for path in WALK.iterdir()) < 2e6
