"""The pages in docs/: every calculation is repeated, every command is one, every link leads somewhere."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from minigpt.experiments import measured, pretrain_gpt2

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
PARSER = doctest.DocTestParser()


def test_there_are_pages():
    assert {page.name for page in PAGES} >= {"beyond_the_laptop.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_calculation_is_right(page):
    text = page.read_text(encoding="utf-8")
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.failed == 0 and found.attempted == text.count("\n>>> ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_understood(page):
    lines = re.findall(r"^(?:\w+=\w+ )*python -m (minigpt[\w.]*)(.*)$", page.read_text(encoding="utf-8"), flags=re.M)
    for module, rest in lines:
        if module == "minigpt.experiments.pretrain_gpt2":
            pretrain_gpt2.parse(shlex.split(rest))
        else:
            assert module == "minigpt.experiments" and shlex.split(rest)[0].replace(".", "/") in measured.tables()


def test_the_options_that_are_explained_exist():
    text = (ROOT / "docs" / "beyond_the_laptop.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(--[\w-]+)", text)) - {"--table", "--into", "--out"}
    understood = pretrain_gpt2.parse(["--data", "x"])
    names = {name.replace("_", "-") for name in vars(understood)}
    assert told and {option[2:].removeprefix("no-") for option in told} <= names
