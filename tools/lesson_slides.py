"""Slides of a lesson, made from its notebook: what is said goes into the speaker's notes, what is shown onto slides.

    python3 start.py slides 01              writes slides/01_gpt1/index.html; open it, and press S for the notes

A section of the notebook is a column of slides: its heading, then downwards its questions, formulas, code and figures
in the order of the notebook. The paragraphs between them are the notes of the slide before. No cell is executed. A tag
of a cell decides where the rules below do not fit: "slide" (all of it is shown), "notes" (all of it is said), "skip".

nbconvert makes the page; reveal.js comes out of the package sphinx-revealjs, because a class may have no network.
"""

import argparse
import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

import webbook
import workbook

FOLDER = "slides"
TEMPLATES = Path(__file__).parent / "slides"
KINDS = {"slide": "slide", "below": "subslide", "same": "-", "notes": "notes"}  # nbconvert's names
LEFT_OUT = ("Glossary", "Further reading")  # sections that nobody shows


# --- what is shown, and what is said ----------------------------------------------------------------------------------


def blocks(text: str) -> list[str]:
    """Markdown cut at its empty lines, but not inside a folded answer, a displayed formula or a fenced program."""
    found, lines, inside = [], [], None
    for line in text.split("\n"):
        plain = line.strip()
        if inside is None and not plain:
            found, lines = found + ["\n".join(lines)] * bool(lines), []
            continue
        if inside is None and re.match(r"#{1,6} ", plain) and not lines:
            found.append(line)
            continue
        lines.append(line)
        opened = {"<details": "</details>", "```": "```", "$$": "$$"}
        if inside is None:
            start = next((o for o in opened if plain.startswith(o)), None)
            if start and (plain.count("$$") < 2 if start == "$$" else opened[start] not in plain[len(start) :]):
                inside = opened[start]
        elif inside in plain:
            inside = None
    return found + ["\n".join(lines)] * bool(lines)


def kind_of(block: str) -> str:
    """Where a block of a lesson's text goes: "slide" (a new section), "below" (its next slide), "notes" (said)."""
    if re.match(r"#{1,2} ", block):
        return "slide"
    if re.match(r"### |\$\$|\*\*(Predict|Claim|Exercises?|Experiment|Critique)\b", block):
        return "below"
    return "notes"


def text_slides(text: str) -> list[tuple[str, str]]:
    """(kind, markdown) of the slides and notes that a text cell becomes; tables of contents and answers are said.

    A formula stays with the sentence that it completes, and headings keep the line of minutes that follows them.
    """
    made: list[tuple[str, str]] = []
    for block in blocks(text):
        kind = kind_of(block)
        if block.startswith("$$") and made and made[-1][0] == "notes" and made[-1][1].rstrip().endswith((":", ",")):
            sentence = made.pop()[1]
            block = f"{sentence}\n\n{block}"
        made.append((kind, block))
    return made


def shown(output: dict) -> bool:
    """Whether an output is worth a slide: a figure, a table, a printed line; not what only JupyterLab can move."""
    data = output.get("data", {})
    return output["output_type"] == "stream" or "text/html" in data or "image/png" in data


def code_slides(cell: dict, first: bool) -> list[tuple[str, dict]]:
    """(kind, cell) of the slides that a code cell becomes: its program and its outputs.

    A folded program is not shown, nor one that asks for a guess (the question is on the slide before).
    first: whether it is the first of the notebook, which only imports. Exercises are shown by their text alone.
    """
    tags = cell.get("metadata", {}).get("tags", [])
    folded = cell.get("metadata", {}).get("jupyter", {}).get("source_hidden", False)
    outputs = [output for output in cell["outputs"] if shown(output)]
    if first or {"skip", "exercise", "check"} & set(tags):
        return []
    wide = [output for output in outputs if output["output_type"] != "stream"]
    lines = [output for output in outputs if output["output_type"] == "stream"]
    made = []
    if not folded and workbook.source(cell).strip() and not workbook.source(cell).startswith("guess ="):
        made.append(("below", dict(cell, outputs=lines, metadata={})))
    elif lines:
        made.append(("below", dict(cell, outputs=lines, metadata={"tags": ["no-code"]})))
    return made + [("below", dict(cell, outputs=[o], metadata={"tags": ["no-code"]})) for o in wide]


def slides_of(notebook: dict, name: Path) -> dict:
    """The notebook that nbconvert makes slides of: one cell for each slide and each note, with its kind."""
    cells, first, heading, left_out = [], True, False, False
    for i, cell in enumerate(notebook["cells"]):
        tags = cell.get("metadata", {}).get("tags", [])
        if "skip" in tags:
            continue
        if cell["cell_type"] == "code":
            made, first = code_slides(cell, first), False
        else:
            text = webbook.relink(workbook.source(cell), Path("chapters") / name, set())
            whole = [(k, text) for k in ("slide", "notes") if k in tags]
            made = [
                (kind, {"cell_type": "markdown", "source": part, "metadata": {}})
                for kind, part in (whole or text_slides(text))
                if i or not part.startswith(("[Contents]", "labs:"))
            ]
        for j, (kind, part) in enumerate(made):
            if kind == "slide":
                left_out = workbook.source(part).lstrip("# ").startswith(LEFT_OUT)
            elif heading and kind == "below":
                kind = "same"  # the first thing that is shown shares the slide of its heading
            heading = kind == "slide" or heading and kind == "notes"
            slideshow = {"slideshow": {"slide_type": KINDS[kind]}}
            cells += [dict(part, id=f"{i}-{j}", metadata={**part["metadata"], **slideshow})] * (not left_out)
    return dict(notebook, cells=cells)


# --- the page ---------------------------------------------------------------------------------------------------------


def with_mathml(text: str) -> str:
    """Markdown whose formulas are MathML, which a browser shows without a program; programs are left alone."""
    sys.path.insert(0, str(Path(__file__).parent / "web"))
    import mathml

    def formula(match: re.Match) -> str:
        if match["code"]:
            return match["code"]
        tex = match["block"] or match["inline"]
        return mathml.convert(tex, block=bool(match["block"]))

    pattern = r"(?P<code>```.*?```|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|(?<![\\$])\$(?P<inline>[^$\n]+(?:\n[^$\n]+)?)\$"
    return re.sub(pattern, formula, text, flags=re.S)


def page_of(notebook: dict, title: str) -> str:
    """HTML of the slides; the page looks for reveal.js in the folder reveal beside its own."""
    import nbformat
    from nbconvert import SlidesExporter
    from traitlets.config import Config

    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = with_mathml(cell["source"])
    settings = Config()
    settings.TagRemovePreprocessor.enabled = True
    settings.TagRemovePreprocessor.remove_input_tags = {"no-code"}
    settings.SlidesExporter.reveal_url_prefix = "../reveal"
    settings.SlidesExporter.reveal_theme = "white"  # the default asks for fonts from the network
    settings.SlidesExporter.exclude_input_prompt = settings.SlidesExporter.exclude_output_prompt = True
    exporter = SlidesExporter(settings, template_name="lesson", extra_template_basedirs=[str(TEMPLATES)])
    metadata = {**notebook["metadata"], "title": title}
    metadata.pop("widgets", None)
    made = nbformat.reads(json.dumps(dict(notebook, metadata=metadata)), as_version=4)
    return exporter.from_notebook_node(made)[0]


def write(root: Path, asked: list[str]) -> list[Path]:
    """Write the slides of the lessons that are asked for ("01", "all"); returns the paths of their pages.

    Errors: ValueError if none is meant, or if a notebook is damaged.
    """
    lessons = [name for name in workbook.chosen(root, asked) if len(name.parts) == 1 or asked != ["all"]]
    lessons = [name for name in lessons if "solutions" not in name.parts]
    written = []
    for name in lessons:
        notebook = workbook.read(root / "chapters" / name)
        if notebook is None:
            raise ValueError(f"expected a whole notebook; chapters/{name.as_posix()} is damaged")
        title = next(line for line in workbook.source(notebook["cells"][0]).splitlines() if line.startswith("# "))[2:]
        place = root / FOLDER / name.with_suffix("") / "index.html"
        page = page_of(slides_of(notebook, name), title)
        if "labs" in name.parts:
            page = page.replace("../reveal/", "../../reveal/")
        workbook.write(place, page)
        written.append(place)
    return written


def reveal(root: Path) -> None:
    """Copy reveal.js into slides/reveal, out of the package that brings it."""
    source = Path(importlib.util.find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs"
    for part in ("dist", "plugin/notes"):
        shutil.copytree(source / part, root / FOLDER / "reveal" / part, dirs_exist_ok=True)


def main(argv: list[str]) -> int:
    """The command: writes the slides, and says where they are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("which", nargs="+", help="01, labs/01_heads, or all (every lesson)")
    root = Path(__file__).parents[1]
    try:
        written = write(root, parser.parse_args(argv).which)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    reveal(root)
    print("\n".join(f"Written: {path}" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
