"""Run notebooks in a fresh kernel and write them back in the one form that is committed.

    .venv/bin/python tools/render.py chapters/00_world.ipynb chapters/solutions/00_world.ipynb
    .venv/bin/python tools/render.py --check chapters/*.ipynb chapters/solutions/*.ipynb

The form: cell ids ch01-001, ch01-002, ... (sol01-001 ... in solutions), no timestamps, no widget state, neighbouring
streams joined, no version of the Python that happened to run it, sorted keys, LF. Rendering twice on one machine gives
the same file. --check runs nothing: it only says which files are not in this form.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

import nbclient
import nbformat

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
TIMEOUT_S = 900  # for one cell; the longest trains for a minute or two on a quiet machine


def id_prefix(path: Path) -> str:
    """The beginning of every cell id in a notebook: ch01 for chapters/01_gpt1.ipynb, sol01 for its solutions,
    lab-01_heads for chapters/labs/01_heads.ipynb, sol-01_heads for the solutions of that lab."""
    path = path.resolve()
    solutions = path.parent.name == "solutions"
    if (path.parent.parent if solutions else path.parent).name == "labs":
        return ("sol-" if solutions else "lab-") + path.stem
    number = re.match(r"\d+", path.name)
    return ("sol" if solutions else "ch") + (number.group() if number else path.stem)


def normal_outputs(outputs: list) -> list:
    """Outputs with neighbouring streams joined, widget views dropped and pictures without a final line end."""
    kept = []
    for output in outputs:
        if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
            continue
        if "data" in output:
            output.data.pop(WIDGET_VIEW, None)
            output.get("metadata", {}).pop(WIDGET_VIEW, None)
            if not output.data:
                continue
            for mime, value in output.data.items():
                if mime in ("image/png", "image/jpeg"):
                    output.data[mime] = value.replace("\n", "")
        kept.append(output)
    return kept


def normalise(nb, prefix: str):
    """Bring a notebook into the committed form, in place; nothing that a reader sees is changed."""
    for number, cell in enumerate(nb.cells, 1):
        cell.id = f"{prefix}-{number:03d}"
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in ("tags", "jupyter") if cell.metadata.get(k)})
        if cell.cell_type == "code":
            cell.outputs = normal_outputs(cell.outputs)
    nb.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
        }
    )
    nb.nbformat, nb.nbformat_minor = 4, 5
    return nb


def as_text(nb) -> str:
    """The notebook as it is written to disk."""
    nbformat.validate(nb)
    return nbformat.writes(nb, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def is_normal(path: Path) -> bool:
    """Whether a notebook file is in the committed form already."""
    return path.read_bytes() == as_text(normalise(nbformat.read(path, as_version=4), id_prefix(path))).encode("utf-8")


def render(path: Path) -> None:
    """Execute a notebook from top to bottom in a fresh kernel, in its own folder; replace the file if all went well."""
    nb = nbformat.read(path, as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = nbclient.NotebookClient(
        nb,
        timeout=TIMEOUT_S,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(as_text(normalise(nb, id_prefix(path))).encode("utf-8"))
    os.replace(temporary, path)


def main(argv: list[str]) -> int:
    """Render or check the notebooks named on the command line; exit code 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true", help="run nothing; list the files that are not in the form")
    options = parser.parse_args(argv)
    failed = 0
    for path in options.notebooks:
        if options.check:
            if not is_normal(path):
                print(f"{path} is not in the committed form; run tools/render.py on it")
                failed = 1
            continue
        began = time.perf_counter()
        try:
            render(path)
            print(f"{path}  {time.perf_counter() - began:.0f} s")
        except nbclient.exceptions.CellExecutionError as error:
            print(f"{path} stopped with an error and is left as it was:\n{error}")
            failed = 1
    return failed


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the tests and start.py have it
    sys.exit(main(sys.argv[1:]))
