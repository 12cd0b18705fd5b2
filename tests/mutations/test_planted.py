"""Every planted mistake still stands for one place in the package; run.py plants them (it takes minutes)."""

import ast
import csv
import re
from pathlib import Path

import planted
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", planted.TESTS)
def test_each_mistake_changes_one_place_and_still_can_be_read(module):
    mistakes = [mistake for mistake in planted.MISTAKES if mistake.module == module]
    text = (ROOT / mistakes[0].path).read_text(encoding="utf-8")
    right = ast.dump(ast.parse(text))
    for mistake in mistakes:
        assert text.count(mistake.old) == 1, f"{mistake.path} must have {mistake.old!r} once: name it anew"
        changed = ast.parse(text.replace(mistake.old, mistake.new))
        assert ast.dump(changed) != right, f"{mistake.old!r} -> {mistake.new!r} changes nothing"


@pytest.mark.parametrize("module", planted.TESTS)
def test_each_module_has_the_test_files_that_are_run_for_it(module):
    assert [file for file in planted.files(module) if not (ROOT / file).is_file()] == []


def test_there_are_enough_of_them_and_few_are_excused():
    assert len(planted.MISTAKES) >= 450
    assert sum(bool(mistake.reason) for mistake in planted.MISTAKES) <= 0.02 * len(planted.MISTAKES) + 1
    assert {mistake.module for mistake in planted.MISTAKES} == planted.TESTS.keys()
    assert len(set(planted.MISTAKES)) == len(planted.MISTAKES)


def test_what_was_tried_is_known_and_nothing_survived_without_a_reason():
    """results.csv is written by run.py. A line of a mistake that is planted no more says nothing: take it out."""
    reasons = {mistake[:3]: mistake.reason for mistake in planted.MISTAKES}
    with open(Path(__file__).with_name("results.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        mistake = row["module"], row["old"], row["new"]
        assert mistake in reasons and re.fullmatch(r"[0-9a-f]{12}(-dirty)?", row["commit"]), mistake
        assert row["outcome"] == "caught" or row["outcome"] == "survived" and reasons[mistake], mistake
    assert len({tuple(row.values())[:3] for row in rows}) == len(rows)
