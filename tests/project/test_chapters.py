"""The notebooks as they are committed: run from top to bottom, with outputs that do not depend on this computer.

nbval compares outputs; it cannot know that there were outputs to compare. Without these tests a notebook whose
outputs were stripped would pass the strictest run.
"""

import base64
import importlib.util
import json
import re
import struct
import tempfile
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHAPTERS = ROOT / "chapters"
SOLUTIONS = CHAPTERS / "solutions"
LABS = CHAPTERS / "labs"
PATHS = [path for folder in (CHAPTERS, SOLUTIONS, LABS, LABS / "solutions") for path in sorted(folder.glob("*.ipynb"))]
WRITTEN = [
    "00_world.ipynb", "01_gpt1.ipynb", "02_gpt2.ipynb", "03_gpt3.ipynb", "04_instructgpt.ipynb",
    "05_gpt4_scaling.ipynb", "06_gpt4.ipynb",
]  # fmt: skip

ALLOWED_TAGS = {"raises-exception", "nbval-ignore-output", "exercise", "solution", "check"}
ALLOWED_TAGS |= {"plays", "slide", "notes", "skip"}  # for the web edition, and for slides
MAX_LINES, MAX_BYTES = 20, 2_000_000
# Paths that only exist on one computer: two folders deep from the root, a home folder, a Windows drive.
MACHINE_PATH = re.compile(r"(?<![\w.:/<*$\\])/(?:[\w.+-]+/){2,}|(?<![\w.:/])/(?:home|Users|tmp|root)/\w|\b[A-Z]:\\\w")

notebooks = pytest.mark.parametrize("path", PATHS, ids=[str(p.relative_to(ROOT)) for p in PATHS])


def render_tool():
    spec = importlib.util.spec_from_file_location("render", ROOT / "tools" / "render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_cells(nb):
    return [cell for cell in nb["cells"] if cell["cell_type"] == "code"]


def joined(text) -> str:
    return text if isinstance(text, str) else "".join(text)


def output_texts(cell) -> str:
    """Everything in a cell's outputs that is text, without pictures."""
    parts = []
    for output in cell["outputs"]:
        parts.append(joined(output.get("text", "")))
        parts += [joined(v) for k, v in output.get("data", {}).items() if k.startswith("text/")]
    return re.sub(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+", "", "\n".join(parts))


def png_width(data: str) -> int:
    """The width in the header of a PNG; ValueError if it is none."""
    raw = base64.b64decode(joined(data))
    if raw[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG")
    return struct.unpack(">I", raw[16:20])[0]


def faults(nb: dict, is_chapter: bool) -> list[str]:
    """Everything that is wrong with a committed notebook; [] if nothing is."""
    found = []
    cells = code_cells(nb)
    counts = [cell["execution_count"] for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        found.append(f"execution counts are not 1..{len(cells)}, but {counts}: render it")
    if not cells or not any(cell["outputs"] for cell in cells):
        found.append("no cell has an output: it was stripped, or never run")
    if "widgets" in nb["metadata"]:
        found.append("widget state is stored in the file")
    in_a_row = 0
    for cell in nb["cells"]:
        in_a_row = in_a_row + 1 if cell["cell_type"] == "code" else 0
        if is_chapter and in_a_row == 3:
            found.append(f"three code cells in a row, ending with cell [{cell['execution_count']}]")
    for cell in cells:
        found += [f"cell [{cell['execution_count']}]: {fault}" for fault in cell_faults(cell)]
    return found


def cell_faults(cell: dict) -> list[str]:
    """What is wrong with one code cell."""
    found = []
    source, tags = joined(cell["source"]), set(cell["metadata"].get("tags", []))
    n_lines = len(source.splitlines())
    if not source.strip():
        found.append("is empty")
    if n_lines > MAX_LINES:
        found.append(f"has {n_lines} lines (at most {MAX_LINES})")
    if source.rstrip().endswith(";"):
        found.append("ends with a semicolon, which nbval does not heed")
    if tags - ALLOWED_TAGS or re.search(r"#\s*(NBVAL_|PYTEST_VALIDATE)", source):
        found.append(f"switches a comparison off, or has an unknown tag: {sorted(tags - ALLOWED_TAGS)}")
    for output in cell["outputs"]:
        if output["output_type"] == "error" and "raises-exception" not in tags:
            found.append(f"ended with {output['ename']}")
        if output.get("name") == "stderr":
            found.append("wrote to stderr")
        data = output.get("data", {})
        if "application/vnd.jupyter.widget-view+json" in data:
            found.append("holds a widget view, which shows as an error in a fresh clone")
        pictures = [kind for kind in data if kind.startswith("image/")]
        if pictures:
            described = joined(data.get("text/plain", ""))
            if len(described) < 20 or described.startswith("<"):
                found.append(f"shows a picture without a description in words (text/plain is {described!r})")
        if "image/svg+xml" in data:
            found.append("shows an SVG, which carries a date; use a PNG")
    text = source + "\n" + ("" if "nbval-ignore-output" in tags else output_texts(cell))
    own = [str(ROOT), str(Path.home()), tempfile.gettempdir()]
    places = [place for place in own if len(place) > 2 and place in text] + MACHINE_PATH.findall(text)
    if places:
        found.append(f"names a place on one computer: {places}")
    if re.search(r"\bat 0x[0-9a-fA-F]{6,}", output_texts(cell)):
        found.append("shows a memory address")
    return found


def test_the_chapters_are_there():
    names = [path.name for path in PATHS if path.parent == CHAPTERS]
    missing = [name for name in WRITTEN if name not in names]
    assert not missing, f"the folder chapters lacks {missing}; it has {names}"


def test_every_chapter_has_its_solutions_and_the_other_way_round():
    for folder in (CHAPTERS, LABS):
        names = [path.name for path in sorted(folder.glob("*.ipynb"))]
        assert names == [path.name for path in sorted((folder / "solutions").glob("*.ipynb"))]


def test_every_lab_belongs_to_a_chapter():
    chapters = {path.name[:2] for path in CHAPTERS.glob("*.ipynb")}
    assert {path.name[:2] for path in LABS.glob("*.ipynb")} <= chapters


def test_the_chapters_are_numbered_without_a_gap():
    numbers = [int(path.name[:2]) for path in sorted(CHAPTERS.glob("*.ipynb"))]
    assert numbers and numbers == list(range(len(numbers)))


@notebooks
def test_committed_notebook_is_whole(path):
    assert path.stat().st_size < MAX_BYTES
    nb = json.loads(path.read_text(encoding="utf-8"))
    assert faults(nb, is_chapter=path.parent in (CHAPTERS, LABS)) == []


@notebooks
def test_committed_notebook_is_in_the_rendered_form(path):
    assert render_tool().is_normal(path), "run tools/render.py on it"


# Lessons and labs of the second edition: short cells, links, minutes. (The other chapters will follow.)
SECOND = [*(CHAPTERS / name for name in WRITTEN), *sorted(LABS.glob("*.ipynb"))]


def is_exercise(cell: dict) -> bool:
    tags = set(cell["metadata"].get("tags", []))
    return bool(tags & {"exercise", "check"}) or joined(cell["source"]).lstrip().startswith("**Exercise `")


@pytest.mark.parametrize("path", SECOND, ids=[path.stem for path in SECOND])
def test_a_lesson_has_the_form_of_the_second_edition(path):
    nb = json.loads(path.read_text(encoding="utf-8"))
    first = joined(nb["cells"][0]["source"])
    assert first.startswith("# ") and "](" in first.split("\n\n")[1], "a title, then a line of links"
    assert "| minutes |" in first and re.search(r"core|optional", first), "a table of contents with minutes"
    links = re.findall(r"\]\(([^)#\s]+\.(?:ipynb|md))\)", "".join(joined(c["source"]) for c in nb["cells"]))
    assert [link for link in links if not (path.parent / link).exists()] == []
    most = 12 if path.parent == CHAPTERS else 15
    shown = [c for c in code_cells(nb) if not c["metadata"].get("jupyter", {}).get("source_hidden")]
    sources = [joined(c["source"]) for c in shown if "import " not in joined(c["source"])]
    assert [s for s in sources if len(s.splitlines()) > most] == [], f"more than {most} lines: fold it, or move it"
    wide = [line for c in code_cells(nb) for line in joined(c["source"]).splitlines() if len(line) > 98]
    assert wide == [], "code lines are at most 98 letters wide"
    assert len([c for c in nb["cells"] if not is_exercise(c)]) <= (105 if path.parent == CHAPTERS else 45)


@notebooks
def test_pictures_are_pictures_of_a_sensible_size(path):
    nb = json.loads(path.read_text(encoding="utf-8"))
    shown = [output.get("data", {}) for cell in code_cells(nb) for output in cell["outputs"]]
    pictures = [data["image/png"] for data in shown if "image/png" in data]
    assert all(150 <= png_width(picture) <= 2000 for picture in pictures)


@notebooks
def test_the_prose_uses_only_what_every_viewer_renders(path):
    nb = json.loads(path.read_text(encoding="utf-8"))
    prose = "\n".join(joined(c["source"]) for c in nb["cells"] if c["cell_type"] == "markdown")
    assert not re.search(r"^:::|^```\{|^> \[!", prose, flags=re.M), "JupyterLab shows these as raw text"
    tags = [prose.count(tag) for tag in ("<details>", "</details>", "<summary>", "</summary>")]
    assert len(set(tags)) == 1, "a fold-out that is not closed, or has no summary"
    assert not re.search(r"!\[\s*\]\(", prose), "a picture without alternative text"


# --- the tests above are able to fail -------------------------------------------------------------------------------


def small_notebook():
    code = nbformat.v4.new_code_cell("x = 1\nprint(x)", execution_count=1)
    code.outputs = [nbformat.v4.new_output("stream", name="stdout", text="1\n")]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("One."), code])


def test_a_sound_notebook_has_no_faults():
    assert faults(small_notebook(), is_chapter=True) == []


def spoil(nb, kind):
    cell = nb.cells[1]
    picture = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480 with 1 Axes>"}
    changes = {
        "stripped": lambda: (cell.update(execution_count=None), cell.update(outputs=[])),
        "out of order": lambda: cell.update(execution_count=2),
        "empty": lambda: cell.update(source=" "),
        "long": lambda: cell.update(source="x = 1\n" * 21),
        "semicolon": lambda: cell.update(source="x;"),
        "lax tag": lambda: cell.metadata.update(tags=["nbval-skip"]),
        "lax comment": lambda: cell.update(source="# NBVAL_IGNORE_OUTPUT\nx"),
        "error": lambda: cell.outputs.append(
            nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])
        ),
        "stderr": lambda: cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text="oh")),
        "widget": lambda: cell.outputs.append(
            nbformat.v4.new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})
        ),
        "silent picture": lambda: cell.outputs.append(nbformat.v4.new_output("display_data", picture)),
        "place": lambda: cell.outputs[0].update(text="written to /home/ada/x.txt"),
        "deep place": lambda: cell.outputs[0].update(text="see /opt/books/mini/x"),
        "windows place": lambda: cell.outputs[0].update(text="C:\\books\\x"),
        "address": lambda: cell.outputs[0].update(text="<object at 0x7f3a12345678>"),
        "state": lambda: nb.metadata.update(widgets={}),
        "three in a row": lambda: nb.cells.extend(
            nbformat.v4.new_code_cell("y = 1", execution_count=n) for n in (2, 3)
        ),
    }
    if kind is None:
        return list(changes)
    changes[kind]()
    return nb


@pytest.mark.parametrize("kind", spoil(small_notebook(), None))
def test_faults_are_found(kind):
    assert len(faults(spoil(small_notebook(), kind), is_chapter=True)) >= 1


@pytest.mark.parametrize("text", ["a/b and 1/2 or and/or", "https://example.org/a/b/c", "$P(a)/P(b)/c$", "</td></tr>"])
def test_ordinary_slashes_are_no_places(text):
    assert not MACHINE_PATH.search(text)


@pytest.mark.slow
def test_rendering_runs_a_notebook_and_gives_the_same_file_twice(tmp_path):
    nb = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("A test."),
            nbformat.v4.new_code_cell("import sys\nprint('a', flush=True)\nprint('b')\nsys.stdout.flush()"),
            nbformat.v4.new_code_cell(
                "from IPython.display import display\ndisplay({'text/plain': 'six'}, raw=True)\n6"
            ),
        ]
    )
    nb.metadata["widgets"] = {"x": 1}
    nb.cells[1].metadata = nbformat.from_dict({"execution": {"iopub": "1"}, "tags": ["check"]})
    path = tmp_path / "07_try.ipynb"
    nbformat.write(nb, path)
    render = render_tool()
    assert not render.is_normal(path)
    render.render(path)
    first = path.read_bytes()
    assert render.is_normal(path) and faults(json.loads(first), is_chapter=True) == []
    done = nbformat.read(path, as_version=4)
    assert [cell.id for cell in done.cells] == ["ch07-001", "ch07-002", "ch07-003"]
    assert [output.text for output in done.cells[1].outputs] == ["a\nb\n"]
    assert done.cells[1].metadata == {"tags": ["check"]} and set(done.metadata) == {"kernelspec", "language_info"}
    render.render(path)
    assert path.read_bytes() == first and b"\r" not in first and first.endswith(b"}\n")


@pytest.mark.parametrize(
    ("path", "prefix"),
    [("01_gpt1", "ch01"), ("solutions/01_gpt1", "sol01"), ("labs/01_heads", "lab-01_heads"),
     ("labs/solutions/01_heads", "sol-01_heads")],
)  # fmt: skip
def test_cell_ids_say_which_notebook_they_are_from(path, prefix, monkeypatch):
    render = render_tool()
    assert render.id_prefix(CHAPTERS / f"{path}.ipynb") == prefix
    monkeypatch.chdir(ROOT / "chapters")
    assert render.id_prefix(Path(f"{path}.ipynb")) == prefix


def test_rendering_leaves_a_failing_notebook_as_it_was(tmp_path, capsys):
    path = tmp_path / "07_try.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    assert render_tool().main([str(path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
