"""Slides made from a lesson: what is shown, what is said, and pages that ask nothing of a network."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

import start

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import lesson_slides  # noqa: E402
import workbook  # noqa: E402

TOOLS = all(importlib.util.find_spec(name) for name in [*start.NEEDED_FOR_WEB, "nbconvert"])
LESSONS = [name for name in workbook.originals(ROOT) if len(name.parts) == 1]
FIGURE = {"output_type": "display_data", "data": {"text/html": "<figure><img alt='x'></figure>"}, "metadata": {}}
PRINTED = {"output_type": "stream", "name": "stdout", "text": "3\n"}
WIDGET = {"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {}}, "metadata": {}}


def cell(source, outputs=None, **metadata):
    kind = "markdown" if outputs is None else "code"
    made = {"cell_type": kind, "source": source, "metadata": metadata, "id": "x"}
    return made if outputs is None else dict(made, outputs=outputs, execution_count=None)


def kinds(cells):
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    made = lesson_slides.slides_of(notebook, Path("01_x.ipynb"))["cells"]
    return [(each["metadata"]["slideshow"]["slide_type"], workbook.source(each).split("\n")[0]) for each in made]


def test_blocks_keep_answers_formulas_and_programs_whole():
    starts = ["## A", "said", "$$", "<details><summary>Answer</summary>", "```"]
    text = "## A\nsaid\nstill\n\n$$\nx\n\ny\n$$\n\n<details><summary>Answer</summary>\n\n7\n</details>\n\n"
    text += "```\na\n\nb\n```"
    blocks = lesson_slides.blocks(text)
    assert [block.split("\n")[0] for block in blocks] == starts
    assert "\n".join(blocks).replace("\n", "") == text.replace("\n", "")


def test_headings_questions_formulas_code_and_figures_are_shown_and_the_rest_is_said():
    cells = [
        cell("# Chapter 01: X\n\n[Contents](../README.md)\n\n### Why?\n\nLong words."),
        cell("import math", []),
        cell("## 1. First\n\nSome words.\n\nIt is:\n\n$$x = 1$$\n\n**Predict.** How?\n\n<details>\n\nSo.\n</details>"),
        cell("guess = ...", [PRINTED, FIGURE]),
        cell("f(x)", [PRINTED, FIGURE]),
        cell("g(x)", [FIGURE, WIDGET], jupyter={"source_hidden": True}),
        cell("**Exercise `my_x`** ★"),
        cell("my_x = ...", [], tags=["exercise"]),
        cell("check(my_x)", [FIGURE], tags=["check"]),
        cell("## Glossary\n\nwords"),
        cell("glossary()", [FIGURE]),
    ]
    assert kinds(cells) == [
        ("slide", "# Chapter 01: X"), ("-", "### Why?"), ("notes", "Long words."),
        ("slide", "## 1. First"), ("notes", "Some words."), ("-", "It is:"), ("subslide", "**Predict.** How?"),
        ("notes", "<details>"), ("subslide", "guess = ..."), ("subslide", "guess = ..."),
        ("subslide", "f(x)"), ("subslide", "f(x)"), ("subslide", "g(x)"), ("subslide", "**Exercise `my_x`** ★"),
    ]  # fmt: skip


def test_a_tag_decides_where_the_rules_do_not_fit():
    cells = [
        cell("# T"), cell("import x", []),
        cell("## S\n\na\n\nb", tags=["slide"]), cell("**Predict.** c", tags=["notes"]),
        cell("d", tags=["skip"]), cell("e", [FIGURE], tags=["skip"]),
    ]  # fmt: skip
    assert kinds(cells) == [("slide", "# T"), ("slide", "## S"), ("notes", "**Predict.** c")]


@pytest.mark.parametrize("name", LESSONS, ids=lambda name: name.stem)
def test_every_figure_of_a_lesson_has_its_slide(name):
    notebook = workbook.read(ROOT / "chapters" / name)
    made = lesson_slides.slides_of(notebook, name)

    def pictures(cells):
        outputs = [o for c in cells if c["cell_type"] == "code" for o in c["outputs"]]
        markup = ["".join(o.get("data", {}).get("text/html", "")) for o in outputs]
        return [each for each in markup if "<img" in each]

    of_exercises = [c for c in notebook["cells"] if {"exercise", "check"} & set(c["metadata"].get("tags", []))]
    assert pictures(made["cells"]) == [p for p in pictures(notebook["cells"]) if p not in pictures(of_exercises)]
    sections = sum(c["cell_type"] == "markdown" and workbook.source(c).startswith("## ") for c in made["cells"])
    assert sections >= 8


@pytest.mark.skipif(not TOOLS, reason="the tools for web pages are not installed (start.py web installs them)")
def test_the_page_asks_nothing_of_a_network(tmp_path):
    (tmp_path / "chapters").mkdir()
    original = ROOT / "chapters" / "00_world.ipynb"
    (tmp_path / "chapters" / "00_world.ipynb").write_bytes(original.read_bytes())
    (page,) = lesson_slides.write(tmp_path, ["00"])
    lesson_slides.reveal(tmp_path)
    text = page.read_text(encoding="utf-8")
    fetched = re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']+)""", re.sub(r"<a\b[^>]*>", "", text))
    assert fetched and all((page.parent / each).exists() for each in fetched), fetched
    assert "<math " in text and "$" not in re.sub(r"<(script|style|pre|code).*?</\1>", "", text, flags=re.S)
    styles = "".join((page.parent / each).read_text(encoding="utf-8") for each in fetched if each.endswith(".css"))
    assert not re.search(r"(@import|url\()[^;)]*(https?:)?//", styles)
