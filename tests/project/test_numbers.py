"""The numbers that the README gives of the book, counted."""

import importlib
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "exercises")]

import web_explorers  # noqa: E402
import webbook  # noqa: E402
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


def links():
    """(page, target) of every link in the book's Markdown that leads to a file or folder of the book."""
    texts = {ROOT / "README.md": None} | dict.fromkeys((ROOT / "docs").rglob("*.md"))
    texts = [(path, path.read_text(encoding="utf-8")) for path in texts]
    for name in workbook.originals(ROOT):
        path = ROOT / "chapters" / name
        cells = workbook.read(path)["cells"]
        texts += [(path, workbook.source(cell)) for cell in cells if cell["cell_type"] == "markdown"]
    found = []
    for path, text in texts:
        text = re.sub(r"^ *```.*?^ *```|`[^`\n]*`(?!\])", "", text, flags=re.S | re.M)
        targets = (target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text))
        found += [(path, target) for target in targets if target and not re.match(r"[a-z]+:", target)]
    return found


def pages():
    """Pages of the web edition; what Sphinx adds by itself, as the search, is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        webbook.sources(ROOT, Path(folder) / "sources")
        return sum(path.suffix in (".md", ".ipynb") for path in (Path(folder) / "sources").rglob("*"))


def counted():
    cells = [cell for notebook in NOTEBOOKS.values() for cell in notebook["cells"]]
    outputs = ["".join(o.get("data", {}).get(kind, "")) for c in cells for o in c.get("outputs", [])
               for kind in ("text/html", "text/plain")]  # fmt: skip
    return {
        "lessons": sum(len(name.parts) == 1 for name in NAMES),
        "labs": sum(len(name.parts) == 2 for name in NAMES),
        "figures, each with a description in words": sum(text.count("<img ") for text in outputs),
        "explorers with controls": sum(text.startswith("Explorer: ") for text in outputs),
        "of them that play on the web without Python": sum(
            beginning.startswith("Explorer: ") for beginning in web_explorers.played(ROOT)
        ),
        "exercises with a check": sum(len(workbook.exercises(notebook)) for notebook in NOTEBOOKS.values()),
        "wrong answers that these checks must refuse and name": wrong_answers(),
        "stored tables of measurements": sum(1 for _ in (ROOT / "data" / "measured").rglob("*.csv")),
        "links from page to page and some more, each checked": len(links()) // 100 * 100,
        "pages of the web edition": pages(),
    }


def test_every_link_that_is_counted_leads_to_a_file():
    missing = [(path.name, target) for path, target in links() if not (path.parent / target).exists()]
    assert missing == []


def test_the_numbers_in_the_readme_are_counted():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    part = readme.split("## In numbers\n", 1)[1].split("\n## ", 1)[0]
    given = {words.strip(): int(n.replace(",", "")) for n, words in re.findall(r"^\| ([\d,]+) \| (.+?) \|$", part, re.M)}
    assert given == counted()


if __name__ == "__main__":
    print("\n".join(f"| {n:,} | {words} |" for words, n in counted().items()))
