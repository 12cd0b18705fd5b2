"""The reader's own copies of the notebooks: the folder my/, which start.py fills and git does not look at.

The originals in chapters/ hold every output, for readers of the repository and for the tests; in a copy the outputs are
empty, so that nobody meets an answer before the question. Whatever a reader writes stays on this computer and never
stands in the way of an update. Standard library only: start.py uses it.
"""

import hashlib
import html
import json
import os
import re
import time
from pathlib import Path

FOLDER = "my"
MADE = ".made.json"  # the state of each original when it was copied
KEPT = "kept"  # where a reader's copy goes when a fresh one is asked for
INDEX = "index.md"


def originals(root: Path) -> list[Path]:
    """The notebooks of the book, as paths inside chapters/: lessons, labs, and their solutions."""
    folders = (Path(), Path("solutions"), Path("labs"), Path("labs", "solutions"))
    chapters = root / "chapters"
    return [path.relative_to(chapters) for f in folders for path in sorted((chapters / f).glob("[0-9]*.ipynb"))]


def read(path: Path) -> dict | None:
    """A notebook, or None if the file is not one (cut off, say)."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        return notebook if all("source" in cell for cell in notebook["cells"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def source(cell: dict) -> str:
    """The text of a cell, which a notebook may hold as lines."""
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def state(notebook: dict | None) -> str:
    """A digest of the text of all cells: outputs and metadata, which JupyterLab rewrites, do not count."""
    cells = [] if notebook is None else [[cell.get("cell_type"), source(cell)] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps([notebook is not None, cells]).encode()).hexdigest()


def copy_of(original: dict, depth: int) -> dict:
    """A notebook without outputs, whose links to the README lead to the reader's own first page."""
    cells = []
    for cell in original["cells"]:
        text = source(cell)
        cell = dict(cell, source=text.replace(f"]({'../' * (depth + 1)}README.md)", f"]({'../' * depth}{INDEX})"))
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
        cells.append(cell)
    return dict(original, cells=cells)


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(text, encoding="utf-8", newline="\n")
    os.replace(beside, path)


def refresh(root: Path, stored: int | None = None) -> list[str]:
    """Make the copies that are missing, and renew those that the reader has not written in; says what else there is.

    stored: how many trained models there are, for the first page.

    Returns sentences for the reader, one for each copy that is older than its original and holds the reader's own
    work: it is left as it is.
    """
    made, notes = _made(root), []
    for name in originals(root):
        original, mine = read(root / "chapters" / name), root / FOLDER / name
        if original is None:
            notes.append(f"chapters/{name.as_posix()} is damaged; git checkout chapters/{name.as_posix()} repairs it.")
            continue
        fresh = copy_of(original, len(name.parts) - 1)
        before, now = made.get(name.as_posix()), state(fresh)
        if mine.exists() and before == now:
            continue
        if mine.exists() and state(read(mine)) not in (before, now):
            notes.append(
                f"{FOLDER}/{name.as_posix()} is yours and stays as it is; the book has a newer version of it. To get"
                f" that (and keep yours in {FOLDER}/{KEPT}):  python3 start.py reset {name.with_suffix('').as_posix()}"
            )
            continue
        if not mine.exists() or state(read(mine)) != now:
            write(mine, json.dumps(fresh, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
        made[name.as_posix()] = now
    write(root / FOLDER / MADE, json.dumps(made, indent=1, sort_keys=True) + "\n")
    write(root / FOLDER / INDEX, index(root, stored))
    return notes


def _made(root: Path) -> dict:
    try:
        made = json.loads((root / FOLDER / MADE).read_text(encoding="utf-8"))
        return made if isinstance(made, dict) else {}
    except (OSError, ValueError):
        return {}  # then every copy that differs from its original counts as the reader's


def chosen(root: Path, asked: list[str]) -> list[Path]:
    """The notebooks that are meant by "03", "labs/01_heads", "01_heads" or "all"; an error for what means none.

    A number means a lesson and its solutions, not its labs.
    """
    everything, found = originals(root), []
    for word in asked:
        plain = re.sub(r"\.ipynb$", "", word.replace("\\", "/").strip("/"))
        plain = re.sub(rf"^({FOLDER}|chapters)/", "", plain)
        meant = [
            name for name in everything
            if plain == "all" or plain in (name.with_suffix("").as_posix(), name.stem)
            or (len(name.parts) == 1 or name.parts[0] == "solutions") and plain == name.name[:2]
        ]  # fmt: skip
        if not meant:
            names = ", ".join(name.with_suffix("").as_posix() for name in everything if "solutions" not in name.parts)
            raise ValueError(f"expected the number of a chapter, all, or one of {names}; got {word!r}")
        found += [name for name in meant if name not in found]
    return found


def reset(root: Path, asked: list[str]) -> list[str]:
    """Fresh copies of some notebooks; what the reader had is kept in my/kept. Returns what was done, in sentences."""
    said, made, when = [], _made(root), time.strftime("%Y-%m-%d %H.%M.%S")
    for name in chosen(root, asked):
        mine = root / FOLDER / name
        if mine.exists() and state(read(mine)) != made.get(name.as_posix()):
            kept = root / FOLDER / KEPT / name.parent / f"{name.stem} {when}.ipynb"
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(mine, kept)
            said.append(f"Yours is kept as {kept.relative_to(root).as_posix()}.")
        elif mine.exists():
            mine.unlink()
        said.append(f"{FOLDER}/{name.as_posix()} is fresh.")
    return said + refresh(root)


# --- the first page ---------------------------------------------------------------------------------------------------


def about(notebook: dict) -> dict:
    """What the first cell of a notebook says: its title, its question, the minutes of its core, if it gives any."""
    text = source(notebook["cells"][0])
    title, question = re.search(r"^# (.+)$", text, re.M), re.search(r"^#{2,3} (.+)$", text, re.M)
    rows = [line.split("|") for line in text.splitlines() if re.search(r"\|\s*\*\*core\*\*\s*\|", line)]
    minutes = [int(n) for row in rows for n in re.findall(r"\|\s*(?:\d+–)?(\d+)\s*\|", "|".join(row))[-1:]]
    return {
        "title": re.sub(r"^(Chapter|Lab)( \d+)?: ", "", title.group(1)) if title else "",
        "question": question.group(1) if question else "",
        "minutes": sum(minutes) or None,
    }


MARKS = re.compile(r"^(?:[○✓✗] (\w+)|exercise (\d+)): ?(correct|written)?", re.M | re.I)


def exercises(notebook: dict | None) -> dict[str, bool]:
    """The exercises that a saved notebook reports on, each with whether it is solved."""
    found = {}
    for cell in (notebook or {"cells": []})["cells"]:
        for output in cell.get("outputs", []):
            text = output.get("text", output.get("data", {}).get("text/plain", ""))
            for name, number, correct in MARKS.findall(text if isinstance(text, str) else "".join(text)):
                found[name or number] = found.get(name or number, False) or bool(correct)
    return found


def run_cells(notebook: dict | None) -> tuple[int, int]:
    """(code cells that have been run, code cells)."""
    cells = [cell for cell in (notebook or {"cells": []})["cells"] if cell.get("cell_type") == "code"]
    return sum(cell.get("execution_count") is not None for cell in cells), len(cells)


def card(found: dict, link: str, number: str, run: str, solved: str) -> str:
    """One lesson as a card: a box with its title, question, minutes, and how far the reader is."""
    minutes = f"{found['minutes']} min of core · " if found["minutes"] else ""
    title, question = (html.escape(found[key], quote=False) for key in ("title", "question"))
    return (
        f'<div style="{BOX}"><h3 style="margin: 0 0 6px 0">{number} · <a href="{link}">{title}</a></h3>'
        f"<p>{question}</p><p>{minutes}run: {run} · exercises solved: {solved}</p></div>"
    )


# Boxes beside one another where there is room, else one under another; what JupyterLab lets through of a style.
BOX = (
    "display: inline-block; vertical-align: top; width: 240px; max-width: 90%; min-height: 170px; "
    "margin: 0 10px 10px 0; padding: 12px; border: 1px solid #8a8a8a; border-radius: 8px"
)


def index(root: Path, stored: int | None = None) -> str:
    """The reader's first page, in Markdown: each lesson as a card with its question, its minutes, how far one is; labs.

    stored: trained models in the cache; None: not known, and nothing is said of them.
    """
    cards, labs = [], []
    for name in originals(root):
        original = read(root / "chapters" / name)
        if original is None or "solutions" in name.parts:
            continue
        found, mine, asked = about(original), read(root / FOLDER / name), exercises(original)
        n_run, n_cells = run_cells(mine)
        run = "—" if not n_run else "all" if n_run == n_cells else f"{n_run} of {n_cells} cells"
        solved = f"{sum(solved for name, solved in exercises(mine).items() if name in asked)} of {len(asked)}"
        if name.parts[0] == "labs":
            question, link = html.escape(found["question"], quote=False), f"[{found['title']}]({name.as_posix()})"
            labs.append(f"| {name.name[:2]} | {link} | {question} | {run} | {solved} |")
        else:
            cards.append(card(found, name.as_posix(), name.name[:2], run.replace("—", "nothing yet"), solved))
    models = "" if stored is None else STORED.format(n=stored, s="" if stored == 1 else "s")
    lessons = "<div>" + "\n".join(cards) + "</div>"
    return PAGE.format(lessons=lessons, labs="\n".join(labs), folder=FOLDER, models=models)


STORED = """
Stored on this computer: **{n} trained model{s}**. What is stored is loaded; all else is trained when its cell runs.
"""

PAGE = """# miniGPT: from GPT-1 to GPT-4, one notebook at a time

These are **your own copies** of the notebooks, in the folder `{folder}`. Write in them as you like: the originals stay
in `chapters`, with every output. `python3 start.py reset 03` makes a chapter fresh that went wrong (yours is kept).

## Lessons

{lessons}

*Minutes of core*: class time for the parts marked **core**, without exercises. What you have run and solved is counted
from what you have saved, each time the book is started.
{models}
- **You have ten minutes**: open [GPT-1](01_gpt1.ipynb) and read its first section; the answer is its first figure.
- **You have an evening**: [the world](00_world.ipynb), the sections marked core, and the exercises with one star.
- **You have a term**: a lesson a week, in order, with its exercises; a lab where a question stays open.

## Labs

Each goes on where a lesson stops, and stands on its own after it.

| after | lab | the question | you have run | exercises solved |
|---|---|---|---|---|
{labs}

## How to read

- **Shift + Enter** runs a cell and goes to the next. Run them in order.
- Where it says **Predict**, answer first; the answer folds out under the question.
- **Ctrl + Shift + K** opens the table of contents at the side; it shows which section is running.
- You may close the browser while a model trains. Run the cell again later: it goes on, or loads the finished model.
- Every open chapter keeps about 0.7 GB of memory. *Kernel > Shut Down All Kernels…* gives it back.
- Stuck? Each exercise folds out hints; each chapter links its solutions. What a word means is in the
  [glossary](../data/glossary.csv), what a letter means in the [table of symbols](../data/symbols.csv).
- Where the code of an idea is: the map in the [README](../README.md).
"""
