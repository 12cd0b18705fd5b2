"""The web edition: the notebooks as pages that a browser opens from the disk, without Python and without a network.

    python3 start.py web                    writes web/pages; open web/pages/index.html

Two steps. First the notebooks of chapters/ are copied into web/sources and made ready for a page: links to the README
lead to the first page, pictures become files, tables that are too wide scroll in a box, a line says how to run the
page. Then Sphinx makes pages of them, with the settings in tools/web/conf.py. No cell is executed: the outputs are
those that are committed. A translation needs no copies: `--gettext` writes the sentences to translate.

Standard library only, except that Sphinx is called as a program; the first step is tested without it.
"""

import argparse
import base64
import csv
import hashlib
import html
import json
import math
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import workbook

FOLDER = "web"
SETTINGS = Path(__file__).parent / "web"
CARD = 16  # pixels of white paper around a picture, as minigpt.notebook.display.figure_html has them
WIDE = 640  # pixels; on a phone a picture at least so wide is shown larger than the screen, and scrolls
DOCS = ("teaching.md", "beyond_the_laptop.md", "elsewhere.md", "web.md")


# --- one notebook -----------------------------------------------------------------------------------------------------


def level(text: str) -> str:
    """Markdown whose headings go down one step at a time: what stands too deep under its heading is bold text."""
    lines, last, fenced = [], 0, False
    for line in text.split("\n"):
        fenced ^= line.lstrip().startswith("```")
        found = None if fenced else re.match(r"(#{1,6}) +(.+?)\s*#*$", line)
        if found and len(found[1]) > last + 1 > 1:
            line = f"**{found[2]}**"
        elif found:
            last = len(found[1])
        lines.append(line)
    return "\n".join(lines)


def relink(text: str, page: Path, pages: set[str]) -> str:
    """Markdown whose links lead to pages: the README is the first page, what has no page is named and not linked.

    page: the path of this page in the sources; pages: the paths of all, as "chapters/00_world.ipynb".
    """
    up = "../" * (len(page.parts) - 1)

    def link(match: re.Match) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        if re.match(r"[a-z]+:", target) or not target:
            return match[0]
        there = _joined(page.parent, target)
        if there == "README.md":
            return f"[{words}]({up}index.md{anchor})"
        return match[0] if there in pages else f"{words} (`{there}`)" if words.strip("`") != there else words

    return re.sub(r"(?<!!)\[([^\]\n]*)\]\(([^)\s#]*)(#[^)\s]*)?\)", link, text)


def _joined(folder: Path, target: str) -> str:
    """The path that a link means, seen from the checkout."""
    parts = list(folder.parts)
    for part in target.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def pictures(markup: str, folder: Path, up: str) -> str:
    """HTML whose pictures lie in files, each with its size, so that no line moves when it arrives.

    A wide one has a box in which it scrolls on a phone, where its letters would be too small to read.
    """

    def image(match: re.Match) -> str:
        data = base64.b64decode(match[2])
        name = hashlib.sha256(data).hexdigest()[:16] + ".png"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        tag = match[1]
        width, shown = struct.unpack(">II", data[16:24]), re.search(r'width="(\d+)"', tag)
        if shown:
            height = round((int(shown[1]) - CARD) * width[1] / width[0]) + CARD
            tag = tag.replace(shown[0], f'{shown[0]} height="{height}" loading="lazy"')
        found = f'{tag}src="{up}{folder.name}/{name}"{match[3]}'
        return f'<div class="picture">{found}</div>' if shown and int(shown[1]) >= WIDE else found

    return re.sub(r'(<img\b[^>]*?)src="data:image/png;base64,([^"]+)"([^>]*>)', image, markup)


def boxes(markup: str) -> str:
    """HTML whose tables scroll in a box of their own, also with the keyboard."""

    def box(match: re.Match) -> str:
        title = re.search(r"<caption>(.*?)</caption>", match[0], re.S)
        label = re.sub(r"<[^>]+>", "", title[1]).strip() if title else "table"
        return f'<div class="scroll" role="region" tabindex="0" aria-label="{label[:120]}">{match[0]}</div>'.replace(
            "\n\n", "\n"
        )

    return re.sub(r"<table\b.*?</table>", box, markup, flags=re.S)


MOVES = '<p class="moves">In the notebook this picture has controls and follows them; here it shows one setting.</p>'
DESK = (
    '<p class="moves">This desk needs the notebook: there you rank the answers yourself, and the picture follows what '
    "you like. Here it shows what is concluded from recorded rankings.</p>"
)
FIRST = '<p class="moves">Here you rank the first request; in the notebook it goes on with the next.</p>'


def player(controls: list, frames: list[tuple[bytes, str]], folder: Path, up: str) -> str:
    """HTML of an explorer that plays without Python: one picture, and all others as data for static/web.js.

    controls: (label, places in words, where it begins) for each, and for a desk its answers, whose orders the places
    are; frames: (PNG, sentence) for all places of all controls, the last control's fastest. Without JavaScript the
    picture where all begin stays.
    Errors: ValueError unless there is a picture for each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = math.prod(len(values) for _, values, *_ in controls)
    if len(frames) != wanted:
        raise ValueError(f"expected {wanted} pictures for the places of {len(controls)} controls; got {len(frames)}")
    data = []
    for png, sentence in frames:
        name = hashlib.sha256(png).hexdigest()[:16] + ".png"
        (folder / name).write_bytes(png)
        data.append([f"{up}{folder.name}/{name}", sentence])
    place = 0
    for _, values, start, *_ in controls:
        place = place * len(values) + start
    width, height = struct.unpack(">II", frames[place][0][16:24])
    words = html.escape(data[place][1])
    script = json.dumps({"controls": controls, "frames": data}).replace("</", "<\\/")
    return (
        f'<figure class="explorer"><div class="picture"><img alt="{words}" src="{data[place][0]}" width="{width}" '
        f'height="{height}"></div>'
        f"<figcaption><em>{words}</em></figcaption>"
        f'<script type="application/json">{script}</script></figure>'
    )


def output_for_a_page(output: dict, folder: Path, up: str, played: dict | None = None) -> dict:
    """An output with its pictures in files, its tables in boxes, and a word where it moved in the notebook.

    played: beginnings of explorers' texts -> (controls, function that gives frames), for those that play here.
    """
    data = output.get("data", {})
    if "text/html" not in data:
        return output
    text = lambda kind: data[kind] if isinstance(data[kind], str) else "".join(data[kind])  # noqa: E731
    markup = boxes(pictures(text("text/html"), folder, up))
    plain = text("text/plain") if "text/plain" in data else ""
    for beginning, (controls, frames) in (played or {}).items():
        if plain.startswith(beginning):
            markup = player(controls, list(frames()), folder, up) + FIRST * plain.startswith("RankingDesk: ")
            return dict(output, data={"text/html": markup})
    if plain.startswith("Explorer: "):
        markup += MOVES
    if plain.startswith("RankingDesk: "):
        markup += DESK
    return dict(output, data={"text/html": markup})


def run_it(name: Path) -> str:
    """The line that says how to run a page."""
    if "solutions" in name.parts:
        return f"*Run it yourself:* `python3 start.py`, then open `{workbook.FOLDER}/{name.as_posix()}`."
    return (
        f"*Run it yourself:* `python3 start.py`, then open `{workbook.FOLDER}/{name.as_posix()}`: there you predict "
        "before you see, move the controls, and the exercises check what you write."
    )


def page_of(notebook: dict, name: Path, pages: set[str], folder: Path, played: dict | None = None) -> dict:
    """A notebook made ready for a page. name: its path inside chapters/; folder: where its pictures go."""
    page, cells = Path("chapters") / name, []
    up = "../" * (len(page.parts) - 1)
    for i, cell in enumerate(notebook["cells"]):
        text, metadata = workbook.source(cell), dict(cell.get("metadata", {}))
        if cell["cell_type"] == "markdown":
            text = relink(text, page, pages)
            if i == 0:
                title, _, rest = level(text).partition("\n")
                text = f"{title}\n\n{run_it(name)}\n{rest}"
            cells.append(dict(cell, source=text, metadata=metadata))
            continue
        tags = list(metadata.get("tags", []))
        if metadata.get("jupyter", {}).get("source_hidden"):
            tags.append("hide-input")
        outputs = [output_for_a_page(output, folder, up, played) for output in cell.get("outputs", [])]
        cells.append(dict(cell, source=text, outputs=outputs, metadata=dict(metadata, tags=tags)))
    return dict(notebook, cells=cells)


# --- the other pages --------------------------------------------------------------------------------------------------


def groups(names: list[Path]) -> dict[str, list[Path]]:
    """The notebooks by kind, in reading order; together they are all of them."""
    kinds = {"Lessons": [], "Labs": [], "Solutions": []}
    for name in names:
        kind = "Solutions" if "solutions" in name.parts else "Labs" if name.parts[0] == "labs" else "Lessons"
        kinds[kind].append(name)
    return kinds


def section(text: str, heading: str) -> str:
    """The lines of a Markdown text under a heading, up to the next of its rank or above."""
    rank = len(heading) - len(heading.lstrip("#"))
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{rank}}} |\Z)", text, re.M | re.S)
    if not found:
        raise ValueError(f"expected a heading {heading!r}; there is none")
    return found[1].strip() + "\n"


def first_page(readme: str, names: list[Path], others: list[str], pages: set[str]) -> str:
    """index.md: the README's beginning, its chapters and plans for reading, and the table of contents."""
    title, _, beginning = readme.partition("\n")
    beginning = beginning.split("\n## ")[0].split("\n**Which miniGPT?**")[0]
    chapters, _, plans = section(readme, "## Chapters").partition("### If you have")
    trees = [
        "\n".join(["```{toctree}", ":hidden:", ":maxdepth: 1", f":caption: {kind}", "", *paths, "```", ""])
        for kind, paths in [
            *((kind, [f"chapters/{name.as_posix()}" for name in group]) for kind, group in groups(names).items()),
            ("Look up", others),
        ]
    ]
    body = "\n".join([title, beginning.strip(), "", HOW, "## Chapters", "", chapters.strip(), "", "## If you have", "",
                      plans.strip(), ""])  # fmt: skip
    return relink(body, Path("index.md"), pages) + "\n" + "\n".join(trees)


HOW = """```{admonition} How to read these pages
Everything here was computed before: what you see under the code is what it printed on our computer. A question marked
**Predict** is more fun if you answer it before you scroll. To run the cells, change them, and have your exercises
checked, get the book and type `python3 start.py`.
```
"""


def table_page(title: str, words: str, path: Path) -> str:
    """A page that is one table, from a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    cell = lambda kind, text: f"<{kind}>{html.escape(text)}</{kind.split()[0]}>"  # noqa: E731
    lines = ["".join(cell('th scope="col"', text) for text in head)]
    lines += ["".join(cell("td", text) for text in row) for row in rows]
    markup = "<table>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "\n</table>"
    return f"# {title}\n\n{words}\n\n{boxes(markup)}\n"


def sources(root: Path, into: Path, only: list[str] | None = None, played: dict | None = None) -> list[Path]:
    """Write everything that Sphinx reads; returns the notebooks. only: some of them, for a test; played: explorers."""
    names = [name for name in workbook.originals(root) if only is None or name.as_posix() in only]
    if not names:
        raise ValueError(f"expected notebooks in chapters/ ({only or 'any'}); there are none")
    docs = [f"docs/{name}" for name in DOCS if (root / "docs" / name).exists()]
    docs += sorted(path.relative_to(root).as_posix() for path in (root / "docs" / "lessons").glob("*.md"))
    others = ["glossary.md", "symbols.md", *docs]
    pages = {f"chapters/{name.as_posix()}" for name in names} | set(others)
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    shutil.copytree(SETTINGS, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.mjs", "stored"))
    (into / "extra").mkdir()
    for name in names:
        notebook = workbook.read(root / "chapters" / name)
        if notebook is None:
            place = f"chapters/{name.as_posix()}"
            raise ValueError(f"{place} is damaged; git checkout {place} repairs it")
        page = page_of(notebook, name, pages, into / "extra" / "pictures", played)
        workbook.write(into / "chapters" / name, json.dumps(page, ensure_ascii=False))
    for name in docs:
        text = relink((root / name).read_text(encoding="utf-8"), Path(name), pages)
        workbook.write(into / name, text)
    for picture in (root / "docs").glob("*.png"):
        shutil.copy(picture, into / "docs")
    words = "What each word means, and where it is explained first; the last column is the Chinese term."
    workbook.write(into / "glossary.md", table_page("Glossary", words, root / "data" / "glossary.csv"))
    words = "What each letter means in this book, its unit or shape, and what the papers call it."
    workbook.write(into / "symbols.md", table_page("Symbols", words, root / "data" / "symbols.csv"))
    readme = (root / "README.md").read_text(encoding="utf-8")
    workbook.write(into / "index.md", first_page(readme, names, others, pages))
    return names


REPAIRS = (  # what the theme leaves out and a screen reader or a keyboard needs
    ('role="heading">', 'role="heading" aria-level="2">'),
    ('<div class="highlight"><pre>', '<div class="highlight"><pre tabindex="0">'),
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="all pages">'),
    (' aria-label="Toggle hidden content"', ""),  # the summary says itself what it opens
    ('<aside class="toc-drawer">', '<aside class="toc-drawer" aria-label="on this page">'),
)


def repair(page: str) -> str:
    """HTML of a page with the theme's omissions made good."""
    for old, new in REPAIRS:
        page = page.replace(old, new)
    return page


def build(
    root: Path, folder: Path, builder: str = "html", only: list[str] | None = None, played: dict | None = None
) -> Path:
    """Make the pages; returns the folder with index.html. builder: "html", or "gettext" for sentences to translate.

    Errors: ValueError if Sphinx ends with an error; a warning is one.
    """
    names = sources(root, folder / "sources", only, played)
    out = folder / ("pages" if builder == "html" else builder)
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-q", "--fail-on-warning", "--keep-going"]
    command += ["-d", str(folder / "doctrees"), str(folder / "sources"), str(out)]
    if subprocess.run(command, check=False).returncode:
        raise ValueError(f"Sphinx stopped while it made {len(names)} pages; its words above say why")
    for path in out.rglob("*.html"):
        path.write_text(repair(path.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    return out


def explorers(root: Path) -> dict:
    """The explorers that play on the web; none where the book itself is not installed."""
    try:
        import web_explorers
    except ImportError as error:
        print(f"Explorers stand still in these pages: {error}.")
        return {}
    return web_explorers.played(root)


def main(argv: list[str]) -> int:
    """The command: builds the pages, and says where they are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--gettext", action="store_true", help="write the sentences to translate, not the pages")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these notebooks only, as 00_world.ipynb")
    options = parser.parse_args(argv)
    root, began = Path(__file__).parents[1], time.time()
    builder = "gettext" if options.gettext else "html"
    try:
        out = build(root, root / FOLDER, builder, options.only, None if options.gettext else explorers(root))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    place = out / "index.html" if out.name == "pages" else out
    print(f"Written in {time.time() - began:.0f} s, {size:.0f} MB: {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
