"""nbval: what it compares in a rendered notebook, and what it leaves out."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]

CELLS = [
    "import numpy as np\nfrom minigpt import plots\nfrom minigpt.notebook import display, explorers\nx = np.arange(50)",
    "display.show(plots.loss_curve({'GPT': (x, 1 + 1 / (x + 1))}, 0.9), 'A curve falls to the floor and stays above.')",
    "display.table([{'a': 1, 'b': 2.5}], caption='One row')\ndisplay.claims_table([('c', 's', 'm', True)])",
    "from minigpt.plots import style\ndisplay.source(style.visible)",
    "def mine():\n    return 1\n\n\ndisplay.source(mine)",
    "display.check('the gap', 0.1, 0, 1)\ndisplay.measured('gap', 0.1)",
    "display.token_strip([' the', 'y'], [3, 4])\ndisplay.merge_tree([('bytes', ['a', 'b']), ('1', ['ab'])])",
    "from minigpt.exercises import ch01, judging\nmy_head = ...\n\n\ndef my_block(h, p):\n    return h",
    "ch01.head(my_head)\nch01.block(my_block)",
    "judging.score(globals(), ch01)\ndisplay.claims([('c', 's', [0.1, 0.2], 'nats', 0.1), ('c', 's', 'why')])",
    (
        "def draw(k):\n    return plots.mask_picture({'causal': np.tri(k)}), f'A causal mask over {k} positions.'\n\n\n"
        "explorer = explorers.slider_explorer(draw, 'k', 2, 6, 1, 3, 'A causal mask; the slider says how large.')\n"
        "explorer"
    ),
    "explorer.controls['k'].value = 5\nprint(explorer.alt)",
    "explorers.attention_explorer([np.full((2, 3, 3), 1 / 3)], list('abc'))",
]


def render(path: Path) -> None:
    spec = importlib.util.spec_from_file_location("render", ROOT / "tools" / "render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.render(path)


def run_here(command: list[str], folder: Path):
    """With this checkout on the path, where tools.sooner is."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)}
    return subprocess.run(command, check=False, cwd=folder, capture_output=True, encoding="utf-8", timeout=120, env=env)


def strict_nbval(path: Path):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tools.sooner",
        "--nbval",
        "--nbval-current-env",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--nbval-sanitize-with={ROOT / 'tests' / 'nbval_sanitize.cfg'}",
        path.name,
    ]
    return run_here(command, path.parent)


@pytest.mark.slow
def test_a_rendered_notebook_passes_strict_nbval_twice_and_needs_no_widget_to_be_read(tmp_path):
    path = tmp_path / "09_show.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS]), path)
    render(path)
    nb = json.loads(path.read_text(encoding="utf-8"))
    outputs = [output for cell in nb["cells"] for output in cell["outputs"]]
    pictures = [output["data"] for output in outputs if "<figure" in "".join(output.get("data", {}).get("text/html", ""))]
    assert len(pictures) == 3 and all(len("".join(data["text/plain"])) >= 20 for data in pictures)
    assert not any("widget" in kind for output in outputs for kind in output.get("data", {}))
    assert not any(output.get("name") == "stderr" or output["output_type"] == "error" for output in outputs)
    assert outputs[-2]["text"] == ["A causal mask over 5 positions.\n"]
    assert "From this notebook" in "".join(nb["cells"][4]["outputs"][0]["data"]["text/markdown"])
    verdicts = ["".join(output["data"]["text/plain"]) for output in nb["cells"][8]["outputs"]]
    assert verdicts[0] == "○ my_head: not attempted yet" and verdicts[1].startswith("✗ my_block: not yet. ")
    for _ in range(2):
        result = strict_nbval(path)
        assert result.returncode == 0 and f"{len(CELLS)} passed" in result.stdout, result.stdout


@pytest.mark.slow
def test_strict_nbval_would_notice_another_sentence(tmp_path):
    path = tmp_path / "09_show.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS[:2]]), path)
    render(path)
    path.write_text(
        path.read_text(encoding="utf-8").replace("stays above.", "goes under."), encoding="utf-8", newline="\n"
    )
    nb = json.loads(path.read_text(encoding="utf-8"))
    nb["cells"][1]["source"] = CELLS[1]
    path.write_text(json.dumps(nb), encoding="utf-8", newline="\n")
    assert "1 failed" in strict_nbval(path).stdout


# --- the number of a check may change, and nothing else ------------------------------------------------------------

SAVED = (
    "check: accuracy on endings 0.94 (at least 0.9): yes\n"
    "check: the gap 0.0523 (between 0 and 0.1): yes\n"
    "check: the two are equal: yes\n"
    "loss ≈ 1.25 nats; check: no 0.94 (at least 0.9): yes\n"
)


def sanitized(text: str) -> str:
    """As nbval reads the repository's file and applies it."""
    plugin = pytest.importorskip("nbval.plugin")
    for regex, replace in plugin.get_sanitize_patterns((ROOT / "tests" / "nbval_sanitize.cfg").read_text("ascii")):
        text = re.sub(regex, replace, text)
    return text


@pytest.mark.parametrize("number", ["0.97", "-0.03", "1e-09", "2.2e-16", "12", "124,439,808", "inf", "1.5e+20"])
def test_another_measured_number_passes(number):
    changed = SAVED.replace("endings 0.94", f"endings {number}").replace("gap 0.0523", f"gap {number}")
    assert changed != SAVED and sanitized(changed) == sanitized(SAVED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("endings 0.94 (at least 0.9): yes", "endings 0.94 (at least 0.9): no"),  # the verdict
        ("on endings 0.94 (at least 0.9)", "on beginnings 0.94 (at least 0.9)"),  # the label
        ("endings 0.94 (at least 0.9)", "endings 0.94 (at least 0.8)"),  # the bound
        ("(between 0 and 0.1)", "(between 0 and 0.2)"),
        ("endings 0.94 (at least", "endings 0.94 (at most"),
        ("endings 0.94 (", "endings nan ("),
        ("check: the two are equal", "check: the 2 are equal"),
        ("loss ≈ 1.25", "loss ≈ 1.26"),  # another line
        ("check: no 0.94", "check: no 0.95"),  # not at the beginning of its line
        ("check: the gap 0.0523 (between 0 and 0.1): yes\n", ""),  # a line less
    ],
)  # fmt: skip
def test_anything_else_that_changes_fails(old, new):
    assert old in SAVED and sanitized(SAVED.replace(old, new, 1)) != sanitized(SAVED)


@pytest.mark.slow
def test_nbval_itself_passes_another_number_and_fails_another_bound(tmp_path):
    (tmp_path / "conftest.py").write_bytes((ROOT / "conftest.py").read_bytes())  # as a reader has it: no option named
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "nbval_sanitize.cfg").write_bytes((ROOT / "tests" / "nbval_sanitize.cfg").read_bytes())
    saved = {"another number": "the gap 0.02 (at most 0.1)", "another bound": "the gap 0.05 (at most 0.2)"}
    for name, line in saved.items():
        cell = nbformat.v4.new_code_cell("print('check: the gap 0.05 (at most 0.1): yes')", execution_count=1)
        cell.outputs = [nbformat.v4.new_output("stream", text=f"check: {line}: yes\n")]
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "tools.sooner", "--nbval", "-rA", "-p", "no:cacheprovider"]
    result = run_here([*command, *(f"{n}.ipynb" for n in saved)], tmp_path)
    assert "PASSED another number.ipynb" in result.stdout and "FAILED another bound.ipynb" in result.stdout
