"""The numbers that the README gives of the book, counted."""

import importlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "exercises")]

import handout  # noqa: E402
import web_explorers  # noqa: E402
import workbook  # noqa: E402

NAMES = [name for name in workbook.originals(ROOT) if "solutions" not in name.parts]
NOTEBOOKS = {name: workbook.read(ROOT / "chapters" / name) for name in NAMES}


def wrong_answers():
    """Named wrong answers that the tests hand to the checks, each of which must be refused in words that are given."""
    found = 0
    for path in (ROOT / "tests" / "exercises").glob("test_*.py"):
        for name, wrong in vars(importlib.import_module(path.stem)).items():
            if name.endswith("WRONG"):
                found += sum(map(len, wrong.values())) if isinstance(wrong, dict) else len(wrong)
    return found


def counted():
    cells = [cell for notebook in NOTEBOOKS.values() for cell in notebook["cells"]]
    outputs = ["".join(o.get("data", {}).get(kind, "")) for c in cells for o in c.get("outputs", [])
               for kind in ("text/html", "text/plain")]  # fmt: skip
    return {
        "lessons": sum(len(name.parts) == 1 for name in NAMES),
        "labs": sum(len(name.parts) == 2 for name in NAMES),
        "figures, each with a description in words": sum(text.count("<img ") for text in outputs),
        "explorers with controls": sum(text.startswith("Explorer: ") for text in outputs),
        "of them that play on the web without Python": len(web_explorers.played(ROOT)),
        "exercises with a check": sum(len(handout.pairs(notebook)) for notebook in NOTEBOOKS.values()),
        "wrong answers that these checks must refuse and name": wrong_answers(),
        "stored tables of measurements": sum(1 for _ in (ROOT / "data" / "measured").rglob("*.csv")),
    }


def test_the_numbers_in_the_readme_are_counted():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    part = readme.split("## In numbers\n", 1)[1].split("\n## ", 1)[0]
    given = {words.strip(): int(n.replace(",", "")) for n, words in re.findall(r"^\| ([\d,]+) \| (.+?) \|$", part, re.M)}
    assert given == counted()


if __name__ == "__main__":
    print("\n".join(f"| {n:,} | {words} |" for words, n in counted().items()))
