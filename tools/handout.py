"""Copies for a class: a student's notebook, a teacher's notebook, and grades for what comes back.

    python3 start.py handout 01             handouts/01_gpt1/student.ipynb and teacher.ipynb
    python3 start.py grade FOLDER           runs the checks of every notebook in FOLDER, writes FOLDER/grades.csv

The student's copy has no outputs and no solutions; the teacher's has the solutions in their cells, with the outputs of
the book. Both carry nbgrader's metadata (an answer cell, a locked test cell with points), so that a class that uses
nbgrader can take them; its tests raise if MINIGPT_GRADE=1 is set. Standard library only: start.py uses it.

What comes back is somebody else's program. It runs in a process of its own, in an empty folder, with a time limit and,
where the system has such limits, a limit of memory. That is protection against mistakes, not against malice: the
process has your rights, files and network, and a program that sets out to cheat can change the checks that judge it.
Grade what you do not trust on a machine, or in a container, that has nothing to lose.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import workbook

FOLDER = "handouts"
TABLE = "grades.csv"
COLUMNS = ("notebook", "chapter", "exercise", "points", "of", "verdict", "message")
SECONDS = 300  # for all exercises of one notebook


# --- out --------------------------------------------------------------------------------------------------------------


def pairs(notebook: dict, answer: str = "exercise") -> list[tuple[int, int]]:
    """(answer cell, check cell) of each exercise of a notebook, by their tags; "solution" in a solutions notebook."""
    found, last = [], None
    for i, cell in enumerate(notebook["cells"]):
        tags = cell.get("metadata", {}).get("tags", [])
        if answer in tags:
            last = i
        elif "check" in tags and last is not None:
            found.append((last, i))
            last = None
    return found


def name_of(cell: dict) -> str:
    """The name of the exercise that a check cell is about: my_head in `ch01.head(my_head)`."""
    names = re.findall(r"\bmy_\w+", workbook.source(cell))
    return names[0] if names else re.sub(r"\W+", "_", workbook.source(cell).strip())[:40]


def points(notebook: dict, place: int) -> int:
    """The points of the exercise whose answer cell is at this place: the stars of its heading, at least one."""
    for cell in reversed(notebook["cells"][:place]):
        if cell["cell_type"] == "markdown":
            return max(1, len((re.findall(r"Exercise[^★\n]*(★+)", workbook.source(cell)) or [""])[-1]))
    return 1


def with_nbgrader(notebook: dict) -> dict:
    """The same notebook with nbgrader's metadata (schema 3): answers to be filled, locked tests with points."""
    cells = [dict(cell, metadata=dict(cell.get("metadata", {}))) for cell in notebook["cells"]]
    for answer, check in pairs(notebook):
        name = name_of(cells[check])
        always = {"schema_version": 3, "task": False}
        cells[answer]["metadata"]["nbgrader"] = dict(
            always, grade=False, grade_id=name, locked=False, solution=True
        )  # fmt: skip
        cells[check]["metadata"]["nbgrader"] = dict(
            always, grade=True, grade_id=f"check-{name}", locked=True, points=points(notebook, answer), solution=False
        )  # fmt: skip
    return dict(notebook, cells=cells)


def with_solutions(notebook: dict, solutions: dict) -> dict:
    """The same notebook with the solutions in its answer cells, and what the checks say of them.

    Errors: ValueError if an exercise has no solution.
    """
    solved = {name_of(solutions["cells"][check]): (a, check) for a, check in pairs(solutions, "solution")}
    cells = list(notebook["cells"])
    for answer, check in pairs(notebook):
        name = name_of(cells[check])
        if name not in solved:
            raise ValueError(f"expected a solution of {name}; the solutions have {', '.join(solved)}")
        text = workbook.source(solutions["cells"][solved[name][0]])
        cells[answer] = dict(cells[answer], source=f"### BEGIN SOLUTION\n{text}\n### END SOLUTION")
        cells[check] = dict(cells[check], outputs=solutions["cells"][solved[name][1]]["outputs"])
    return dict(notebook, cells=cells)


def handout(root: Path, asked: list[str]) -> list[Path]:
    """Write the two copies of each notebook that is asked for ("01", "labs/01_heads", "all"); returns their paths."""
    written = []
    for name in workbook.chosen(root, asked):
        if "solutions" in name.parts:
            continue
        original = workbook.read(root / "chapters" / name)
        solutions = workbook.read(root / "chapters" / name.parent / "solutions" / name.name)
        if original is None or solutions is None:
            raise ValueError(f"expected whole notebooks; chapters/{name.as_posix()} or its solutions are damaged")
        copies = {
            "student": with_nbgrader(workbook.copy_of(original, len(name.parts) - 1)),
            "teacher": with_solutions(with_nbgrader(original), solutions),
        }
        for kind, copy in copies.items():
            place = root / FOLDER / name.with_suffix("") / f"{kind}.ipynb"
            workbook.write(place, json.dumps(copy, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
            written.append(place)
    return written


# --- back -------------------------------------------------------------------------------------------------------------


def chapter_of(root: Path, submitted: dict) -> Path | None:
    """The notebook of the book that a submitted one was made from, by its title; None if it is none of them."""
    title = re.search(r"^# .+$", workbook.source(submitted["cells"][0]), re.M) if submitted["cells"] else None
    for name in workbook.originals(root):
        if title and "solutions" not in name.parts:
            first = workbook.source(workbook.read(root / "chapters" / name)["cells"][0])
            if title.group(0) in first.splitlines():
                return name
    return None


def program(original: dict, solutions: dict, submitted: dict) -> list[dict]:
    """What is run to grade a notebook: the cells of the solutions, with the submitted answers in place of its own.

    Each step: {"code", and for an answer "exercise", "of", "check"}. An answer is found by the check cell after it,
    whose text the student had no reason to change; an answer that is not there has the code None. Cells that the
    student has put before an answer, such as half of it, are steps of their own: what fails there costs nothing.
    """
    asked = {workbook.source(original["cells"][check]).strip() for _, check in pairs(original)}
    answered = [answer for answer, _ in pairs(original)]
    given = {
        key
        for i, cell in enumerate(original["cells"]) if i not in answered
        for key in (cell.get("id"), workbook.source(cell).strip())
    } - {None}  # fmt: skip
    cells, answers = [cell for cell in submitted["cells"] if cell.get("cell_type") == "code"], {}
    own: list[str] = []  # the student's cells since the last one of the notebook itself
    for cell in cells:
        code = workbook.source(cell)
        if code.strip() in asked and own:
            answers[name_of(cell)] = own
        own = [] if given & {cell.get("id"), code.strip()} else [*own, code]
    worth = {name_of(original["cells"][check]): points(original, a) for a, check in pairs(original)}
    checks = {a: check for a, check in pairs(solutions, "solution")}
    steps = []
    for i, cell in enumerate(solutions["cells"]):
        if i in checks:
            check = workbook.source(solutions["cells"][checks[i]]).strip()
            name = name_of(solutions["cells"][checks[i]])
            *before, answer = answers.get(name, [None])
            steps += [{"code": code} for code in before]
            steps.append({"code": answer, "exercise": name, "of": worth.get(name, 1), "check": check})
        elif cell["cell_type"] == "code" and i not in checks.values():
            steps.append({"code": workbook.source(cell)})
    return steps


RUN = r"""
import contextlib, io, json, os, sys
steps, place, memory = json.load(open(sys.argv[1], encoding="utf-8")), sys.argv[2], int(sys.argv[3])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
except (ImportError, ValueError, OSError):
    pass
names, results = {"__name__": "__main__"}, []
for step in steps:
    verdict, message = "correct", ""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            if step["code"] is None:
                verdict = "not there"
            else:
                exec(compile(step["code"], step.get("exercise", "notebook"), "exec"), names)
        except BaseException as error:
            verdict, message = "not yet", "the cell stopped with %s: %s" % (type(error).__name__, error)
        if verdict == "correct" and "check" in step:
            try:
                exec(compile(step["check"], "check", "exec"), names)
            except AssertionError as error:
                message = str(error)
                verdict = "not attempted yet" if "not attempted yet" in message else "not yet"
            except BaseException as error:
                verdict, message = "not yet", "%s: %s" % (type(error).__name__, error)
    if "exercise" in step:
        results.append({"exercise": step["exercise"], "of": step["of"], "verdict": verdict,
                        "points": step["of"] if verdict == "correct" else 0, "message": " ".join(message.split())})
        with open(place + ".tmp", "w", encoding="utf-8") as file:
            json.dump(results, file)
        os.replace(place + ".tmp", place)
"""


def grade_one(root: Path, path: Path, python: str, seconds: float = SECONDS, gigabytes: float = 8) -> list[dict]:
    """The results of one submitted notebook, a row for each exercise of its chapter."""
    submitted = workbook.read(path)
    name = None if submitted is None else chapter_of(root, submitted)
    if name is None:
        why = "not a notebook that can be read" if submitted is None else "no title of a chapter of this book"
        return [dict.fromkeys(COLUMNS, "") | {"notebook": path.name, "points": 0, "of": 0, "verdict": why}]
    original = workbook.read(root / "chapters" / name)
    steps = program(original, workbook.read(root / "chapters" / name.parent / "solutions" / name.name), submitted)
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, each)) for each in ("steps.json", "results.json")]
        Path(files[0]).write_text(json.dumps(steps), encoding="utf-8")
        environ = dict(os.environ, MINIGPT_GRADE="1", OMP_NUM_THREADS="1", MPLBACKEND="agg")
        command, late = [python, "-c", RUN, *files, str(int(gigabytes * 2**30))], ""
        try:
            done = subprocess.run(
                command, cwd=folder, env=environ, timeout=seconds, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace",
            )  # fmt: skip
            if done.returncode:
                last = (done.stderr.strip().splitlines() or [""])[-1]
                late = f"the process ended with code {done.returncode}: {last}"
        except subprocess.TimeoutExpired:
            late = f"stopped after {seconds:g} s"
        found = json.loads(Path(files[1]).read_text(encoding="utf-8")) if os.path.exists(files[1]) else []
    for step in [step for step in steps if "exercise" in step][len(found):]:
        row = {"exercise": step["exercise"], "of": step["of"], "points": 0}
        found.append(row | {"verdict": "not run", "message": late})
        late = late and "the exercise before it was stopped"
    return [{"notebook": path.name, "chapter": name.with_suffix("").as_posix()} | row for row in found]


def grade(root: Path, folder: Path, python: str = sys.executable, say=print, **limits) -> Path:
    """Grade every notebook of a folder; returns the path of the table, one row for each exercise.

    Errors: ValueError if the folder holds no notebook.
    """
    papers = sorted(folder.rglob("*.ipynb")) if folder.is_dir() else []
    papers = [path for path in papers if ".ipynb_checkpoints" not in path.parts]
    if not papers:
        raise ValueError(f"expected a folder with notebooks (.ipynb); got {folder}")
    rows, began = [], time.time()
    for i, path in enumerate(papers, start=1):
        found = grade_one(root, path, python, **limits)
        rows += [row | {"notebook": path.relative_to(folder).as_posix()} for row in found]
        left = (time.time() - began) / i * (len(papers) - i)
        total = f"{sum(row['points'] for row in found)} of {sum(row['of'] for row in found)} points"
        note = found[0]["verdict"] if not found[0]["of"] else total
        say(f"{path.relative_to(folder).as_posix()}: {note}   ({i} of {len(papers)}, {left:.0f} s left)")
    lines = [",".join(COLUMNS)]
    for row in rows:
        lines.append(_line(row))
    workbook.write(folder / TABLE, "\n".join(lines) + "\n")
    return folder / TABLE


def _line(row: dict) -> str:
    """One line of CSV. A value that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    values = [str(row[name]) for name in COLUMNS]
    csv.writer(text, lineterminator="").writerow(["'" + v if v[:1] in tuple("=+-@\t") else v for v in values])
    return text.getvalue()
