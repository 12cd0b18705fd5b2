"""The reader's own copies: tools/workbook.py, on a small book of two lessons and a lab."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def load():
    spec = importlib.util.spec_from_file_location("workbook", ROOT / "tools" / "workbook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


workbook = load()
FIRST = """# Chapter 01: First

[Contents](../README.md) · [next](02_second.ipynb)

### Does A < B?

| section | minutes | |
|---|---|---|
| 1. One | 10 | **core** |
| 2. Two | 5 | *optional* |
| 3 | Three | 5–7 | **core** |
"""


def code(text, output=None, **more):
    outputs = [] if output is None else [{"output_type": "stream", "name": "stdout", "text": output}]
    return {"cell_type": "code", "source": text, "outputs": outputs, "execution_count": output and 1, "metadata": more}


def book(root, first="x = 1"):
    """Write a book; returns its folder."""
    notebooks = {
        "01_first.ipynb": [
            {"cell_type": "markdown", "source": FIRST.splitlines(keepends=True), "metadata": {}},
            code(first, "1\n"), code("judge(my_a)", ["○ my_a: not attempted yet\n"], tags=["check"]),
            code("judge(my_b)", "○ my_b: not attempted yet\n", tags=["check"]),
        ],
        "02_second.ipynb": [{"cell_type": "markdown", "source": "# Chapter 02: Second", "metadata": {}}, code("2", "2")],
        "solutions/01_first.ipynb": [code("my_a = 1", "✓ my_a: correct\n")],
        "labs/01_more.ipynb": [
            {"cell_type": "markdown", "source": "# Lab 01: More\n[Contents](../../README.md)", "metadata": {}},
            code("3", "3"),
        ],
    }  # fmt: skip
    for name, cells in notebooks.items():
        path = root / "chapters" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return root


def mine(root, name="01_first"):
    return workbook.read(root / "my" / f"{name}.ipynb")


def saved(root, change, name="01_first"):
    """The reader changes a copy and saves it."""
    path = root / "my" / f"{name}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def write_in_it(notebook):
    notebook["cells"][1]["source"] = "x = 2  # mine"


def run_it(notebook):
    notebook["cells"][1].update(execution_count=1, outputs=[{"output_type": "stream", "name": "stdout", "text": "1\n"}])
    notebook["cells"][2].update(execution_count=2, outputs=[
        {"output_type": "display_data", "data": {"text/plain": ["✓ my_a: correct. So it is."]}, "metadata": {}}
    ])  # fmt: skip
    notebook["metadata"]["kernelspec"] = {"name": "python3"}


def test_copies_have_no_outputs_and_their_links_lead_to_the_first_page(tmp_path):
    assert workbook.refresh(book(tmp_path)) == []
    assert all(not c.get("outputs") and c.get("execution_count") is None for c in mine(tmp_path)["cells"])
    assert [workbook.source(c) for c in mine(tmp_path)["cells"]][1] == "x = 1"
    assert "[Contents](index.md)" in workbook.source(mine(tmp_path)["cells"][0])
    assert "[Contents](../index.md)" in workbook.source(mine(tmp_path, "labs/01_more")["cells"][0])
    assert mine(tmp_path, "solutions/01_first")["cells"][0]["source"] == "my_a = 1"
    assert (tmp_path / "my" / "index.md").exists() and not list((tmp_path / "my").rglob("*.tmp"))
    originals = workbook.read(tmp_path / "chapters" / "01_first.ipynb")
    assert originals["cells"][1]["outputs"], "the originals are never written"


def test_the_second_start_leaves_everything_as_it_is(tmp_path):
    workbook.refresh(book(tmp_path))
    saved(tmp_path, run_it)
    before = {path: path.read_bytes() for path in (tmp_path / "my").rglob("*.ipynb")}
    assert workbook.refresh(tmp_path) == []
    assert {path: path.read_bytes() for path in (tmp_path / "my").rglob("*.ipynb")} == before


def test_an_update_of_the_book_renews_what_the_reader_has_only_run(tmp_path):
    workbook.refresh(book(tmp_path))
    saved(tmp_path, run_it)
    assert workbook.refresh(book(tmp_path, "x = 10")) == []
    assert workbook.source(mine(tmp_path)["cells"][1]) == "x = 10"


def test_an_update_of_the_book_never_touches_what_the_reader_wrote(tmp_path):
    workbook.refresh(book(tmp_path))
    saved(tmp_path, write_in_it)
    assert workbook.refresh(tmp_path) == []  # changed by the reader, but no update
    for _ in range(2):  # said each time, until it is reset
        (note,) = workbook.refresh(book(tmp_path, "x = 10"))
        assert "my/01_first.ipynb is yours" in note and "start.py reset 01_first" in note
        assert workbook.source(mine(tmp_path)["cells"][1]) == "x = 2  # mine"


def test_reset_keeps_what_the_reader_wrote_and_makes_a_fresh_copy(tmp_path):
    workbook.refresh(book(tmp_path))
    saved(tmp_path, write_in_it)
    book(tmp_path, "x = 10")
    said = workbook.reset(tmp_path, ["01"])
    assert workbook.source(mine(tmp_path)["cells"][1]) == "x = 10"
    (kept,) = (tmp_path / "my" / "kept").glob("01_first *.ipynb")
    assert workbook.source(workbook.read(kept)["cells"][1]) == "x = 2  # mine"
    assert any(kept.name in line for line in said) and workbook.refresh(tmp_path) == []


def test_reset_of_an_untouched_copy_keeps_nothing(tmp_path):
    workbook.refresh(book(tmp_path))
    workbook.reset(tmp_path, ["all"])
    assert not (tmp_path / "my" / "kept").exists() and mine(tmp_path)


@pytest.mark.parametrize(
    "word, names",
    [
        ("01", ["01_first", "solutions/01_first"]),
        ("02", ["02_second"]),
        ("labs/01_more", ["labs/01_more"]),
        ("01_more", ["labs/01_more"]),
        ("my/labs/01_more.ipynb", ["labs/01_more"]),
        ("01_first", ["01_first", "solutions/01_first"]),
        ("all", ["01_first", "02_second", "solutions/01_first", "labs/01_more"]),
    ],
)
def test_what_a_word_means(tmp_path, word, names):
    assert [n.with_suffix("").as_posix() for n in workbook.chosen(book(tmp_path), [word])] == names


def test_a_word_that_means_nothing_is_answered_with_what_there_is(tmp_path):
    with pytest.raises(ValueError, match="01_first.*labs/01_more.*got '07'"):
        workbook.reset(book(tmp_path), ["07"])


@pytest.mark.parametrize("damage", ["", "{", '{"cells": [1]}', '{"cells": [{}]}', "[]"])
def test_a_damaged_copy_is_kept_and_said(tmp_path, damage):
    workbook.refresh(book(tmp_path))
    (tmp_path / "my" / "01_first.ipynb").write_text(damage)
    assert workbook.refresh(tmp_path) == []
    (note,) = workbook.refresh(book(tmp_path, "x = 10"))
    assert "reset 01_first" in note and (tmp_path / "my" / "01_first.ipynb").read_text() == damage


def test_without_the_note_of_what_was_copied_nothing_is_lost(tmp_path):
    workbook.refresh(book(tmp_path))
    saved(tmp_path, write_in_it)
    (tmp_path / "my" / workbook.MADE).write_text("{")
    (note,) = workbook.refresh(tmp_path)
    assert "01_first" in note and workbook.source(mine(tmp_path)["cells"][1]) == "x = 2  # mine"


def test_a_damaged_original_is_said(tmp_path):
    book(tmp_path)
    (tmp_path / "chapters" / "02_second.ipynb").write_text("{")
    (note,) = workbook.refresh(tmp_path)
    assert "chapters/02_second.ipynb is damaged" in note and mine(tmp_path)


def test_the_first_page_says_how_far_the_reader_is(tmp_path):
    workbook.refresh(book(tmp_path))
    saved(tmp_path, run_it)
    workbook.refresh(tmp_path)
    page = (tmp_path / "my" / "index.md").read_text(encoding="utf-8")
    card = next(line for line in page.splitlines() if "01_first.ipynb" in line)
    words = re.sub(r"<[^>]+>", "|", card).split("|")
    assert [word.strip() for word in words if word.strip()] == [
        "01 ·", "First", "Does A &lt; B?", "17 min of core · run: 2 of 3 cells · exercises solved: 1 of 2",
    ]  # fmt: skip
    assert '<a href="01_first.ipynb">First</a>' in card and card.count("<div") == card.count("</div") + 1
    assert page.count("<div") == page.count("</div>") == 3 and "trained model" not in page
    assert "| 01 | [More](labs/01_more.ipynb) |" in page and "solutions/" not in page


def test_the_first_page_says_how_many_models_are_stored(tmp_path):
    book(tmp_path)
    for n, words in ((0, "**0 trained models**"), (1, "**1 trained model**"), (12, "**12 trained models**")):
        workbook.refresh(tmp_path, n)
        assert words in (tmp_path / "my" / "index.md").read_text(encoding="utf-8")


def test_an_open_answer_that_was_written_counts_as_solved():
    cell = code("check", "✓ my_critique: written. Compare it with the solution.\n")
    assert workbook.exercises({"cells": [cell]}) == {"my_critique": True}


def test_the_book_itself_can_be_copied(tmp_path):
    """Every notebook of the book has a title; every link of a copy leads somewhere."""
    for name in workbook.originals(ROOT):
        original = workbook.read(ROOT / "chapters" / name)
        copy = workbook.copy_of(original, len(name.parts) - 1)
        assert "README.md)" not in "".join(workbook.source(cell) for cell in copy["cells"] if "Contents" in cell["source"])
        if "solutions" not in name.parts:
            found = workbook.about(original)
            assert found["title"] and found["question"], name
            assert workbook.exercises(original) and not any(workbook.exercises(original).values()), name


def test_where_a_lesson_counts_its_exercises_it_counts_those_of_its_card():
    """What the first cell says, what the text of the lesson asks for, and what its card and its score are out of."""
    words = "zero one two three four five six seven eight nine ten eleven twelve".split()
    counted = {}
    for name in workbook.originals(ROOT):
        if len(name.parts) > 1:
            continue
        original = workbook.read(ROOT / "chapters" / name)
        scored = set(workbook.exercises(original))
        cells = [workbook.source(cell) for cell in original["cells"] if cell["cell_type"] == "markdown"]
        headings = re.findall(r"^\*\*Exercises?\b(.*?)\.\s", "\n".join(cells), re.M | re.S)
        assert {each for heading in headings for each in re.findall(r"`(my_\w+)`", heading)} == scored, name
        for word in re.findall(r"\b(\w+) exercises\b", cells[0]):
            if word in words:
                counted[name.stem] = words.index(word), len(scored)
    assert "00_world" in counted and all(said == solved for said, solved in counted.values()), counted


def test_git_does_not_look_at_the_copies(tmp_path):
    found = subprocess.run(["git", "check-ignore", "my/01_gpt1.ipynb"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode == 128:
        pytest.skip("this copy of the book is no git checkout")
    assert found.stdout.strip() == "my/01_gpt1.ipynb"


def test_it_needs_the_standard_library_only():
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); import workbook; print(sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert "numpy" not in found.stdout and "nbformat" not in found.stdout
