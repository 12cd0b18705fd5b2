"""The notes for teachers: they speak of the lessons as they are, and their minutes add up."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import workbook  # noqa: E402

sys.path.remove(str(ROOT / "tools"))

NOTES = sorted((ROOT / "docs" / "lessons").glob("*.md"))
PARTS = ("Minutes", "What to say", "Predictions, and the usual wrong answers", "Questions that students ask",
         "On slow machines", "To assess")  # fmt: skip


def lesson(note):
    cells = workbook.read(ROOT / "chapters" / f"{note.stem}.ipynb")["cells"]
    return "\n\n".join(workbook.source(cell) for cell in cells if cell["cell_type"] == "markdown")


def rows(text, heading):
    part = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(text):
    return re.sub(r"\s+", " ", text)


def test_every_lesson_has_notes():
    assert [n.stem for n in NOTES] == [n.stem for n in workbook.originals(ROOT) if len(n.parts) == 1]


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.stem)
def test_notes_have_all_their_parts(note):
    assert tuple(re.findall(r"^## (.+)$", note.read_text(encoding="utf-8"), re.M)) == PARTS


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.stem)
def test_minutes_name_every_section_and_fit_into_the_class(note):
    table = rows(note.read_text(encoding="utf-8"), "Minutes")
    sections = re.findall(r"^## (\d+)\. ", lesson(note), re.M)
    assert [row[0] for row in table] == sections
    short, long = (sum(int(row[column]) for row in table) for column in (1, 2))
    assert 40 <= short <= 45 and 80 <= long <= 90


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.stem)
def test_predictions_are_asked_in_the_section_that_is_named(note):
    table = rows(note.read_text(encoding="utf-8"), "Predictions, and the usual wrong answers")
    sections = re.split(r"^## (?=\d+\. )", lesson(note), flags=re.M)
    for section, question, *_ in table:
        (place,) = [words(text) for text in sections if text.startswith(f"{section}. ")]
        assert words(question) in place, (section, question)
    assert len(table) >= 5


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.stem)
def test_exercises_that_are_named_are_exercises_of_the_lesson(note):
    named = set(re.findall(r"`(my_\w+)`", note.read_text(encoding="utf-8")))
    assert named <= set(re.findall(r"`(my_\w+)`", lesson(note)))
