"""Who may import whom: the five rules of minigpt/__init__.py, held by reading the source."""

import ast
import json
import re
from pathlib import Path

import pytest

import minigpt

PACKAGE = Path(minigpt.__file__).parent
FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
FILES = {name.removesuffix(".__init__"): path for name, path in FILES.items() if name != "__init__"}
FOLDERS = ("worlds", "exact", "experiments", "plots", "notebook", "io", "exercises")
PAPERS = ("gpt1", "gpt2", "gpt3", "instructgpt", "gpt4")  # in the order in which experiments may build on each other

# Folder -> the folders ("" for the flat modules) or single modules that it may import beside itself.
MAY_IMPORT = {
    "": {"", "io"},
    "io": {"", "io"},
    "worlds": {"exact", "tokenizer", "corpus", "stats", "io"},
    "exact": {"worlds", "tokenizer", "corpus", "stats", "io"},
    "plots": {"stats"},
    "notebook": {"plots", "stats"},
    "experiments": {"", "io", "worlds", "exact", "plots", "notebook"},
    "exercises": {"", "io", "worlds", "exact", "plots", "notebook", "experiments"},
}
NEVER = {  # packages from outside that a folder must not import
    "worlds": {"torch", "transformers", "safetensors", "matplotlib", "ipywidgets", "IPython"},
    "exact": {"torch", "transformers", "safetensors", "matplotlib", "ipywidgets", "IPython"},
    "": {"transformers", "matplotlib", "ipywidgets", "IPython"},
    "io": {"torch", "transformers", "matplotlib", "ipywidgets", "IPython"},
    "plots": {"torch", "transformers", "ipywidgets", "IPython"},
    "notebook": {"torch", "transformers"},
}


def folder(module: str) -> str:
    """worlds.grammar -> worlds, attention -> ""."""
    first = module.split(".")[0]
    return first if first in FOLDERS else ""


def imports(tree: ast.AST) -> tuple[set[str], set[str]]:
    """(modules of this package, packages from outside) that a syntax tree imports anywhere, also inside functions."""
    inside, outside = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("minigpt.") in FILES else node.module for name in full]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "minigpt":
                inside.add(name.removeprefix("minigpt").lstrip("."))
            else:
                outside.add(name.split(".")[0])
    return inside, outside


IMPORTS = {name: imports(ast.parse(path.read_text(encoding="utf-8"))) for name, path in FILES.items()}


def breaches(module: str, inside: set[str], outside: set[str]) -> list[str]:
    """The imports of a module that the rules forbid."""
    here = folder(module)
    found = [
        f"{module} imports {other}"
        for other in inside
        if folder(other) != here and not {folder(other), other} & MAY_IMPORT[here]
    ]
    found += [f"{module} imports {other}" for other in outside & NEVER.get(here, set())]
    ours = module.split(".")[1:2]
    if here == "experiments" and ours and ours[0] in PAPERS:
        later = PAPERS[PAPERS.index(ours[0]) + 1 :]
        found += [f"{module} imports {other}" for other in inside if other.split(".")[1:2] and other.split(".")[1] in later]
    return found


@pytest.mark.parametrize("module", FILES)
def test_a_module_imports_only_what_its_folder_may(module):
    assert breaches(module, *IMPORTS[module]) == []


@pytest.mark.parametrize(
    ("module", "source", "n"),
    [
        ("worlds.stories", "import torch", 1),
        ("worlds.stories", "def f():\n    from minigpt import model", 1),
        ("worlds.stories", "from minigpt.exact import entropy\nfrom minigpt.tokenizer import Tokenizer", 0),
        ("exact.entropy", "from minigpt.loss import lm_loss", 1),
        ("attention", "from minigpt.worlds import stories", 1),
        ("train", "from minigpt.experiments.dataset import story_dataset", 1),
        ("train", "from minigpt.loss import lm_loss\nimport torch", 0),
        ("plots.curves", "from minigpt.experiments import measured", 1),
        ("experiments.gpt2.decoding", "from minigpt.experiments.gpt1 import finetuning", 0),
        ("experiments.gpt2.decoding", "from minigpt.experiments.gpt3 import in_context", 1),
        ("experiments.dataset", "from minigpt.exercises import ch00", 1),
    ],
)
def test_a_breach_is_seen(module, source, n):
    assert len(breaches(module, *imports(ast.parse(source)))) == n


def test_flat_modules_do_not_import_each_other_in_a_circle():
    todo = {name: {other for other in inside if other in FILES} for name, (inside, _) in IMPORTS.items()}
    while True:
        leaves = {name for name, needs in todo.items() if not needs & todo.keys() - {name}}
        if not leaves:
            break
        todo = {name: needs for name, needs in todo.items() if name not in leaves}
    assert not todo, f"in a circle: {sorted(todo)}"


def test_the_package_says_what_lies_in_it():
    flat = {name for name in FILES if "." not in name and name not in FOLDERS}
    told = re.findall(r"^    (\w+) {2,}\S", minigpt.__doc__, flags=re.M)
    assert set(told) == flat and len(told) == len(flat) <= 26
    assert set(re.findall(r"^    (\w+)/ ", minigpt.__doc__, flags=re.M)) == set(FOLDERS)


def test_no_file_is_too_long_to_read():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in FILES.items()}
    assert {name: n for name, n in lengths.items() if n > 450} == {}


# --- the oldest Python ------------------------------------------------------------------------------------------------


def too_new(source: str) -> list[str]:
    """What Python 3.10 cannot read: what `ast` finds, and a star in brackets without parentheses, which it does not."""
    try:
        tree = ast.parse(source, feature_version=(3, 10))
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    lines = source.splitlines()
    return [
        f"line {node.lineno}: a star in brackets"
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple)
        and any(isinstance(each, ast.Starred) for each in node.slice.elts)
        and lines[node.slice.lineno - 1].encode()[node.slice.col_offset :][:1] != b"("
    ]  # fmt: skip


@pytest.mark.parametrize("source", ["a[1, *b]", "é = a[*b]", "try:\n    pass\nexcept* E:\n    pass"])
def test_what_is_too_new_is_found(source):
    assert too_new(source) and not too_new("é = a[(1, *b)], (1, *c)")


def test_python_3_10_can_read_everything():
    root = PACKAGE.parent
    sources = {path: path.read_text(encoding="utf-8") for path in [*root.glob("*.py"), *PACKAGE.rglob("*.py")]}
    for name in ("tests", "tools", "benchmarks"):
        sources |= {path: path.read_text(encoding="utf-8") for path in (root / name).rglob("*.py")}
    for path in (root / "chapters").rglob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        sources |= {(path, i): text for i, text in enumerate(code) if not re.search(r"^[%!]", text, re.M)}
    wrong = {str(place): found for place, source in sources.items() if (found := too_new(source))}
    assert len(sources) > 1000 and not wrong
