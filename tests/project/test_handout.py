"""Copies for a class and grades: tools/handout.py, on a small book and on the notebooks of this one."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import handout  # noqa: E402
import workbook  # noqa: E402

sys.path.remove(str(ROOT / "tools"))

LESSON = [
    ("markdown", "# Chapter 01: First\n\n### Why?", []),
    ("code", "import math", []),
    ("markdown", "**Exercise `my_double`** ★★ (2 minutes). ★ is easy, ★★★ is not. Twice the number.", []),
    ("code", "my_double = ...", ["exercise"]),
    ("code", "judge(my_double, 8)", ["check"]),
    ("markdown", "**Exercise `my_half`** (1 minute)", []),
    ("code", "my_half = ...", ["exercise"]),
    ("code", "judge(my_half, 2)", ["check"]),
]
JUDGE = """
def judge(answer, right):
    if answer is ...:
        raise AssertionError("not attempted yet")
    if answer(4) != right:
        raise AssertionError(f"it should be {right}, and you have {answer(4)}")
"""
SOLUTIONS = [
    ("code", JUDGE, []),
    ("code", "def my_double(x):\n    return 2 * x", ["solution"]),
    ("code", "judge(my_double, 8)", ["check"]),
    ("code", "my_half = lambda x: x / 2", ["solution"]),
    ("code", "judge(my_half, 2)", ["check"]),
]


def notebook(cells):
    made = []
    for kind, text, tags in cells:
        cell = {"cell_type": kind, "metadata": {"tags": tags} if tags else {}, "source": text}
        if kind == "code":
            cell |= {"execution_count": 1, "outputs": [{"output_type": "stream", "name": "stdout", "text": "out\n"}]}
        made.append(cell)
    return {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def book(tmp_path):
    root = tmp_path / "book"
    for name, cells in (("01_first", LESSON), ("solutions/01_first", SOLUTIONS)):
        path = root / "chapters" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook(cells)), encoding="utf-8")
    return root


def paper(folder, name, *answers, cells=LESSON):
    """Save a notebook with these answers in its answer cells."""
    left = list(answers)
    filled = [(kind, left.pop(0) if "exercise" in tags and left else text, tags) for kind, text, tags in cells]
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.ipynb").write_text(json.dumps(notebook(filled)), encoding="utf-8")


def graded(book, folder, **limits):
    """{notebook: {exercise: row of the table}}."""
    place = handout.grade(book, folder, sys.executable, say=lambda line: None, **limits)
    found = {}
    for row in csv.DictReader(place.read_text(encoding="utf-8").splitlines()):
        found.setdefault(row["notebook"], {})[row["exercise"]] = row
    return found


def test_a_students_copy_has_answers_to_fill_and_tests_with_points(book):
    student, teacher = handout.handout(book, ["01"])
    assert student.relative_to(book).as_posix() == "handouts/01_first/student.ipynb"
    copy = workbook.read(student)
    assert all(not cell.get("outputs") for cell in copy["cells"]) and "2 * x" not in student.read_text()
    marks = [cell["metadata"].get("nbgrader") for cell in copy["cells"]]
    assert marks[3] == {
        "grade": False, "grade_id": "my_double", "locked": False, "schema_version": 3, "solution": True, "task": False,
    }  # fmt: skip
    assert marks[4] == {
        "grade": True, "grade_id": "check-my_double", "locked": True, "points": 2, "schema_version": 3,
        "solution": False, "task": False,
    }  # fmt: skip
    assert marks[7]["points"] == 1 and marks[0] is marks[2] is None


def test_a_teachers_copy_has_the_solutions_and_what_the_checks_say_of_them(book):
    _, teacher = handout.handout(book, ["01"])
    cells = workbook.read(teacher)["cells"]
    assert cells[3]["source"] == "### BEGIN SOLUTION\ndef my_double(x):\n    return 2 * x\n### END SOLUTION"
    assert cells[1]["outputs"] and cells[4]["outputs"] == notebook(SOLUTIONS)["cells"][2]["outputs"]


def test_an_exercise_without_a_solution_is_named():
    with pytest.raises(ValueError, match="a solution of my_half; the solutions have my_double"):
        handout.with_solutions(notebook(LESSON), notebook(SOLUTIONS[:3]))


def test_right_wrong_and_missing_answers(book, tmp_path):
    folder = tmp_path / "in"
    paper(folder, "right", "def my_double(x):\n    return x + x", "my_half = lambda x: 0.5 * x")
    paper(folder, "one wrong", "my_double = lambda x: x ** 2", "my_half = lambda x: x / 2")
    paper(folder, "nothing")
    paper(folder, "cut", cells=LESSON[:4])
    found = graded(book, folder)
    told = ("verdict", "points", "of")
    verdicts = {name: [tuple(row[key] for key in told) for row in rows.values()] for name, rows in found.items()}
    assert verdicts == {
        "right.ipynb": [("correct", "2", "2"), ("correct", "1", "1")],
        "one wrong.ipynb": [("not yet", "0", "2"), ("correct", "1", "1")],
        "nothing.ipynb": [("not attempted yet", "0", "2"), ("not attempted yet", "0", "1")],
        "cut.ipynb": [("not there", "0", "2"), ("not there", "0", "1")],
    }
    assert found["one wrong.ipynb"]["my_double"]["message"] == "it should be 8, and you have 16"


def test_an_answer_in_several_cells_is_one_answer(book, tmp_path):
    """Half of it in a cell of its own, and a trial that fails."""
    answer = [("code", "def twice(x):\n    return 2 * x", []), ("code", "1 / 0", []),
              ("code", "my_double = twice", ["exercise"])]  # fmt: skip
    paper(tmp_path / "in", "a", cells=[*LESSON[:3], *answer, *LESSON[4:]])
    found = graded(book, tmp_path / "in")["a.ipynb"]
    assert {name: row["verdict"] for name, row in found.items()} == {
        "my_double": "correct", "my_half": "not attempted yet",
    }  # fmt: skip


@pytest.mark.parametrize("cell_id, given", [("ch01-001", False), ("abc", True)])
def test_a_cell_of_the_lesson_that_was_changed_is_not_run_a_cell_of_the_student_is(cell_id, given):
    original, solutions = notebook(LESSON), notebook(SOLUTIONS)
    for i, cell in enumerate(original["cells"]):
        cell["id"] = f"ch01-{i:03d}"
    submitted = json.loads(json.dumps(original))
    changed = dict(submitted["cells"][1], id=cell_id, source="train_for_hours()")
    submitted["cells"][1:2] = [changed]
    codes = [step["code"] for step in handout.program(original, solutions, submitted)]
    assert ("train_for_hours()" in codes) == given


@pytest.mark.parametrize(
    "answer, words",
    [
        ("def my_double(x) return", "SyntaxError"),
        ("my_double = 1 / 0", "ZeroDivisionError"),
        ("import sys; sys.exit()", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("my_double = lambda x: [1] * 10**12", "MemoryError"),
    ],
)
def test_one_broken_answer_costs_only_its_own_exercise(book, tmp_path, answer, words):
    paper(tmp_path / "in", "a", answer, "my_half = lambda x: x / 2")
    rows = graded(book, tmp_path / "in")["a.ipynb"]
    assert rows["my_double"]["verdict"] == "not yet" and words in rows["my_double"]["message"]
    assert rows["my_half"]["verdict"] == "correct"


@pytest.mark.parametrize(
    "answer, words", [("while True: pass", "stopped after 3 s"), ("import os; os._exit(7)", "ended with code 7")]
)
def test_a_program_that_does_not_come_back_is_stopped_and_said(book, tmp_path, answer, words):
    paper(tmp_path / "in", "a", "my_double = lambda x: 2 * x", answer)
    paper(tmp_path / "in", "b", "my_double = lambda x: 2 * x", "my_half = lambda x: x / 2")
    found = graded(book, tmp_path / "in", seconds=3)
    assert found["a.ipynb"]["my_double"]["verdict"] == "correct", "what was solved before it counts"
    assert found["a.ipynb"]["my_half"]["verdict"] == "not run" and words in found["a.ipynb"]["my_half"]["message"]
    assert [row["verdict"] for row in found["b.ipynb"].values()] == ["correct", "correct"]


def test_it_runs_in_an_empty_folder_of_its_own(book, tmp_path):
    paper(tmp_path / "in", "a", "open('mine.txt', 'w').write('x')\nmy_double = lambda x: 2 * x")
    assert graded(book, tmp_path / "in")["a.ipynb"]["my_double"]["verdict"] == "correct"
    assert not list(tmp_path.rglob("mine.txt")) and not (Path.cwd() / "mine.txt").exists()


def test_what_is_no_notebook_of_the_book_gets_its_line(book, tmp_path):
    paper(tmp_path / "in", "other", cells=[("markdown", "# Something else", [])])
    (tmp_path / "in" / "broken.ipynb").write_text("{")
    found = graded(book, tmp_path / "in")
    assert found["other.ipynb"][""]["verdict"] == "no title of a chapter of this book"
    assert found["broken.ipynb"][""]["verdict"] == "not a notebook that can be read"


@pytest.mark.parametrize("place", ["nothing", "a file.txt"])
def test_a_folder_without_notebooks_is_refused(book, tmp_path, place):
    (tmp_path / "a file.txt").write_text("")
    with pytest.raises(ValueError, match="expected a folder with notebooks"):
        handout.grade(book, tmp_path / place)


def test_a_message_cannot_become_a_formula_of_a_spreadsheet():
    row = dict.fromkeys(handout.COLUMNS, "") | {"notebook": "=1+1.ipynb", "message": 'say "a, b"'}
    (values,) = csv.reader([handout._line(row)])
    assert values[0] == "'=1+1.ipynb" and values[-1] == 'say "a, b"'


LESSONS = [name for name in workbook.originals(ROOT) if "solutions" not in name.parts]


@pytest.mark.slow
@pytest.mark.parametrize("name", LESSONS, ids=[name.stem for name in LESSONS])
def test_every_exercise_of_the_book_can_be_handed_out_and_graded(name):
    original = workbook.read(ROOT / "chapters" / name)
    solutions = workbook.read(ROOT / "chapters" / name.parent / "solutions" / name.name)
    merged = handout.with_solutions(handout.with_nbgrader(original), solutions)
    marks = [cell["metadata"]["nbgrader"] for cell in merged["cells"] if "nbgrader" in cell["metadata"]]
    ids = [mark["grade_id"] for mark in marks]
    assert len(ids) == len(set(ids)) and len(ids) == 2 * len(handout.pairs(original)) > 0
    assert handout.chapter_of(ROOT, original) == name
    steps = [step for step in handout.program(original, solutions, merged) if "exercise" in step]
    assert len(steps) == len(ids) // 2 and all(step["code"].startswith("### BEGIN SOLUTION") for step in steps)


@pytest.mark.slow
def test_a_right_and_an_empty_notebook_of_the_book_are_graded(tmp_path):
    """The lab on byte-pair encoding, through start.py's own functions, in a real process."""
    name = Path("labs", "00_bpe.ipynb")
    original = workbook.read(ROOT / "chapters" / name)
    solutions = workbook.read(ROOT / "chapters" / name.parent / "solutions" / name.name)
    (tmp_path / "right.ipynb").write_text(json.dumps(handout.with_solutions(original, solutions)), encoding="utf-8")
    (tmp_path / "empty.ipynb").write_text(json.dumps(workbook.copy_of(original, 1)), encoding="utf-8")
    found = graded(ROOT, tmp_path)
    assert {row["verdict"] for row in found["right.ipynb"].values()} == {"correct"}
    assert {row["verdict"] for row in found["empty.ipynb"].values()} == {"not attempted yet"}


def test_git_does_not_look_at_handouts():
    found = subprocess.run(["git", "check-ignore", "handouts/x.ipynb"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode == 128:
        pytest.skip("this copy of the book is no git checkout")
    assert found.stdout.strip() == "handouts/x.ipynb"
