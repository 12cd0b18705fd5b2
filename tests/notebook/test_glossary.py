"""The glossary and the table of symbols: complete, without doubles, and shown as tables."""

import csv
import re

import pytest

from minigpt.notebook import glossary

TERMS, SYMBOLS = glossary.terms(), glossary.symbol_rows()


def faults(rows: list[dict], columns: list[str], unique: str) -> list[str]:
    """What is wrong with a table: cells missing, empty or too many, and names that stand there twice."""
    found = [f"{row[columns[0]]}: {row}" for row in rows if list(row) != columns or not all(map(_filled, row.values()))]
    names = [row[unique].casefold() for row in rows]
    return found + [name for name in names if names.count(name) > 1]


def _filled(cell) -> bool:
    return isinstance(cell, str) and cell != "" and cell == cell.strip()


GLOSSARY_COLUMNS = ["chapter", "term", "plain words", "symbol", "Chinese term"]
SYMBOL_COLUMNS = ["symbol", "meaning", "unit or shape", "chapter", "in the papers"]


def test_every_field_is_filled_and_no_term_or_symbol_stands_there_twice():
    assert faults(TERMS, GLOSSARY_COLUMNS, "term") == []
    names = [row["symbol"] for row in SYMBOLS]  # here capitals count: n and N are two symbols
    assert faults(SYMBOLS, SYMBOL_COLUMNS, "meaning") == [] and len(names) == len(set(names))


@pytest.mark.parametrize("change", [{"plain words": ""}, {"term": "entropy"}, {"term": "Entropy"}, {"symbol": None}])
def test_a_hole_or_a_double_is_seen(change):
    assert any(row["term"] == "entropy" for row in TERMS)
    assert faults([*TERMS, TERMS[0] | {"term": "new"} | change], GLOSSARY_COLUMNS, "term")


def test_every_term_has_a_chinese_term_and_a_symbol_of_the_table_or_none():
    known = {row["symbol"] for row in SYMBOLS} | {"–"}
    for row in TERMS:
        assert re.search(r"[\u4e00-\u9fff]", row["Chinese term"]), row
        assert row["symbol"] in known, row


def test_chapters_come_in_order_and_symbols_with_them():
    for rows in (TERMS, SYMBOLS):
        chapters = [row["chapter"] for row in rows]
        assert chapters == sorted(chapters) and {"00", "01"} <= set(chapters)
        assert all(re.fullmatch(r"0\d", chapter) for chapter in chapters)


@pytest.mark.parametrize("name", ["glossary", "symbols"])
def test_the_file_has_as_many_cells_in_every_line(name):
    with open(glossary.DATA / f"{name}.csv", encoding="utf-8", newline="") as file:
        lengths = {len(row) for row in csv.reader(file, strict=True)}
    assert lengths == {5}


def test_a_chapter_is_shown_with_its_own_terms_only(capsys):
    glossary.show("00")
    shown = capsys.readouterr().out
    assert "Terms of chapter 00" in shown and "surprisal" in shown and "交叉熵" in shown
    assert "backpropagation" not in shown and "chapter  term" not in shown
    glossary.show()
    assert "backpropagation" in capsys.readouterr().out


def test_all_symbols_are_shown(capsys):
    glossary.symbols()
    shown = capsys.readouterr().out
    assert all(row["meaning"] in shown for row in SYMBOLS)


def test_an_unknown_chapter_is_told_which_there_are():
    with pytest.raises(ValueError, match="00, 01.*got '99'"):
        glossary.show("99")
