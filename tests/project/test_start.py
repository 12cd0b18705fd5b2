"""start.py, and the lists of versions: what a newcomer meets first, tried here without installing anything."""

import argparse
import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import start  # the project folder is on the path: see pyproject.toml

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
EVERYTHING = PROJECT["dependencies"] + EXTRAS["test"] + EXTRAS["web"]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


def pins(python: str, platform: str) -> dict[str, str]:
    """Package -> exact version for one Python on one system, from constraints.txt."""
    found = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        environment = {"python_version": python, "sys_platform": platform}
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} is pinned twice for Python {python} on {platform}"
            (specifier,) = requirement.specifier
            assert specifier.operator == "==" and "*" not in specifier.version, line
            found[name] = specifier.version
    return found


# --- the lists of versions agree ------------------------------------------------------------------------------------


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_constraints_pin_every_dependency_inside_its_range(python, platform):
    pinned = pins(python, platform)
    for line in EVERYTHING:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version, f"{requirement.name} has no exact version for Python {python}"
            assert requirement.specifier.contains(version), f"{requirement} does not allow the pinned {version}"
            assert any(s.operator == ">=" for s in requirement.specifier), f"{requirement.name} has no lower bound"


def test_the_lowest_versions_are_those_of_pyproject():
    lines = subprocess.run([sys.executable, str(ROOT / "tools" / "lowest.py")], capture_output=True, encoding="utf-8")
    lowest = {Requirement(line).name: Requirement(line) for line in lines.stdout.splitlines()}
    assert len(lowest) == len(EVERYTHING) and "numpy==1.26.0" in lines.stdout
    for line in EVERYTHING:
        requirement = Requirement(line)
        (pin,) = lowest[requirement.name].specifier
        assert pin.operator == "==" and requirement.specifier.contains(pin.version)


def test_torch_is_pinned_without_a_build():
    assert pins("3.11", "linux")["torch"] == "2.13.0"


def test_this_environment_is_the_pinned_one():
    from importlib.metadata import distributions

    pinned = pins("%d.%d" % sys.version_info[:2], sys.platform)
    installed = {canonicalize_name(d.name): d.version.split("+")[0] for d in distributions()}
    differ = {name: (installed[name], pin) for name, pin in pinned.items() if installed.get(name, pin) != pin}
    assert not differ, f"installed and pinned versions differ: {differ}; run: python3 start.py test"


def test_conda_gets_python_and_pip_and_asks_pyproject_for_the_rest():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *names, from_pip = conda["dependencies"]
    assert re.fullmatch(r"python=3\.1[0-3]", names[0]) and names[1:] == ["pip"]
    assert from_pip == {"pip": ["-c constraints.txt", "-e .[test]"]}
    assert conda["channels"] == ["conda-forge"]


def test_one_name_and_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGES.md").read_text(encoding="utf-8")
    assert str(citation["version"]) == PROJECT["version"]
    assert f"## {PROJECT['version']}" in changes
    assert PROJECT["name"] != "minigpt"  # that one is somebody else's package


def test_start_and_pyproject_accept_the_same_pythons():
    low, high = start.OLDEST, start.NEWEST
    assert PROJECT["requires-python"] == f">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"


def test_what_start_looks_for_is_what_is_installed():
    modules = {"pyyaml": "yaml", "pytest-xdist": "xdist", "tomli": None}  # tomli: only on 3.10
    modules |= {name: name.replace("-", "_") for name in ("myst-nb", "sphinx-copybutton", "sphinx-revealjs")}

    def names(lines):
        found = {canonicalize_name(Requirement(line).name) for line in lines}
        return {modules.get(name, name) for name in found} - {None}

    assert set(start.NEEDED) == names(PROJECT["dependencies"]) | {"pip", "minigpt", "ipykernel"}
    assert set(start.NEEDED_FOR_TEST) == names(EXTRAS["test"])
    assert set(start.NEEDED_FOR_WEB) == names(EXTRAS["web"])


def test_licences_are_the_ones_announced():
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    prose = (ROOT / "LICENSE-prose.md").read_text(encoding="utf-8")
    assert "https://creativecommons.org/licenses/by/4.0/" in prose
    assert PROJECT["license-files"] == ["LICENSE", "LICENSE-prose.md"]


# --- an old Python gets a sentence ----------------------------------------------------------------------------------


def newer_than_python_2_7(tree: ast.AST) -> list[str]:
    """Syntax in a tree that Python 2.7 cannot read."""
    modern = (
        ast.JoinedStr,
        ast.AnnAssign,
        ast.NamedExpr,
        ast.Nonlocal,
        ast.AsyncFunctionDef,
        ast.Await,
        ast.Match,
        ast.YieldFrom,
        ast.MatMult,
        ast.Starred,
    )
    found = []
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, modern):
            found.append(f"line {line}: {type(node).__name__}")
        if isinstance(node, ast.arguments):
            if node.kwonlyargs or node.posonlyargs or any(a.annotation for a in node.args):
                found.append("keyword-only or annotated arguments")
        if isinstance(node, ast.FunctionDef) and node.returns:
            found.append(f"line {line}: an annotated result")
        if isinstance(node, ast.Raise) and node.cause:
            found.append(f"line {line}: raise ... from")
        if isinstance(node, ast.ClassDef) and node.keywords:
            found.append(f"line {line}: class keywords")
        if isinstance(node, (ast.Dict,)) and None in node.keys:
            found.append(f"line {line}: ** in a dictionary")
    return found


def test_start_can_be_read_by_python_2():
    source = (ROOT / "start.py").read_bytes()
    assert source.isascii()  # Python 2 wants a coding line otherwise; and a Windows console might not print it
    tree = ast.parse(source)
    assert newer_than_python_2_7(tree) == []
    assert not re.search(rb"\d_\d", re.sub(rb'"[^"\n]*"', b"", source))  # 10_000
    at_top = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert at_top <= set("argparse glob hashlib json os platform re shutil subprocess sys tempfile time".split())


@pytest.mark.parametrize(
    "source",
    [
        "f'{x}'",
        "x: int = 1",
        "def f(*, a): pass",
        "def f() -> int: pass",
        "raise A from b",
        "print(*x)",
        "{**a}",
        "(y := 1)",
    ],
)
def test_the_reader_of_old_syntax_is_able_to_refuse(source):
    assert newer_than_python_2_7(ast.parse(source))


def test_start_uses_only_the_standard_library():
    def imported(path):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        return {*names, *(n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom))}

    ours = {"minigpt.io.files", "workbook", "handout"}
    assert {name.split(".")[0] for name in imported("start.py") - ours} <= sys.stdlib_module_names
    # what it uses of the book
    paths = ("minigpt/__init__.py", "minigpt/io/__init__.py", "minigpt/io/files.py", "tools/workbook.py", "tools/handout.py")
    for path in paths:  # tools/webbook.py runs inside .venv
        assert {name.split(".")[0] for name in imported(path) - ours} <= sys.stdlib_module_names


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 9, 18), (3, 14, 0), (4, 0, 0)])
def test_another_python_is_told_what_to_do(version):
    message = start.check_python(version, True, "/usr/bin/python")
    assert ".".join(map(str, version)) in message and "/usr/bin/python" in message
    assert "3.10, 3.11, 3.12 or 3.13" in message and "python.org" in message


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 11, 7), (3, 12, 1), (3, 13, 9)])
def test_the_right_python_is_let_in(version):
    assert start.check_python(version) is None
    assert "64-bit" in start.check_python(version, is_64bit=False)


def test_a_better_python_on_the_path_is_named(tmp_path):
    for name in ("python3.12", "python3.11", "python3.9"):
        (tmp_path / name).touch()
    others = start.other_pythons(f"{tmp_path / 'absent'}{os.pathsep}{tmp_path}", windows=False)
    assert others == ["python3.11", "python3.12"]
    assert "Try:  python3.11 start.py" in start.check_python((3, 9, 1), others=others)
    assert start.other_pythons(str(tmp_path), windows=True) == []


def test_the_wrong_python_ends_with_code_2_and_touches_nothing(tmp_path):
    (tmp_path / "start.py").write_bytes((ROOT / "start.py").read_bytes())
    pretend = "import runpy, sys; sys.version_info = (3, 9, 1); runpy.run_path('start.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-B", "-c", pretend], cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.returncode == 2 and "this is Python 3.9.1" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["start.py"]


# --- options --------------------------------------------------------------------------------------------------------


def test_options():
    plain = start.parse_options([])
    assert (plain.command, plain.no_browser, plain.port, plain.torch, plain.rest) == ("open", False, None, None, [])
    opened = start.parse_options(["--no-browser", "--port", "8899", "--cpu"])
    assert (opened.no_browser, opened.port, opened.torch) == (True, 8899, "cpu")
    tested = start.parse_options(["test", "--chapters", "--cuda", "--", "-x", "-k", "tokens"])
    assert (tested.command, tested.chapters, tested.torch) == ("test", True, "cuda")
    assert tested.rest == ["-x", "-k", "tokens"]
    quick = start.parse_options(["test", "--quick", "--jobs", "3"])
    assert (quick.quick, quick.chapters, quick.jobs) == (True, False, 3)


@pytest.mark.parametrize(
    "argv",
    [
        ["tset"],
        ["--cpu", "--cuda"],
        ["--port", "x"],
        ["--port", "70000"],
        ["--chapters"],
        ["--quick"],
        ["check", "--jobs", "2"],
        ["test", "--jobs", "0"],
        ["test", "--quick", "--chapters"],
        ["check", "--", "-x"],
        ["reset"],
        ["open", "03"],
        ["handout"],
        ["grade"],
        ["grade", "a", "b"],
        ["web", "01"],
        ["slides"],
        ["slides", "01", "--", "x"],
    ],
)
def test_wrong_options_are_refused(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        start.parse_options(argv)
    assert stop.value.code == 2 and "start.py: error" in capsys.readouterr().err


def test_the_pages_are_made_by_the_python_of_the_book(monkeypatch):
    asked = []
    monkeypatch.setattr(start, "prepare", lambda options: asked.append("prepare"))
    monkeypatch.setattr(start, "call", lambda command, venv: asked.append(command) or 7)
    assert start.main(["web", "--", "--gettext"]) == 7
    assert asked == ["prepare", [start.venv_python(start.VENV), str(ROOT / "tools" / "webbook.py"), "--gettext"]]
    assert start.main(["slides", "01"]) == 7
    assert asked[3] == [start.venv_python(start.VENV), str(ROOT / "tools" / "lesson_slides.py"), "01"]


def test_jupyterlab_is_started_as_asked():
    command = start.open_command(start.parse_options(["--no-browser", "--port", "8899", "--", "--debug"]))
    assert command[:3] == [start.venv_python(start.VENV), "-m", "jupyterlab"]
    assert "--no-browser" in command and "--port=8899" in command and command[-1] == "--debug"
    assert "--LabApp.default_url=/lab/tree/my/index.md" in command and "--ServerApp.root_dir=" + start.ROOT in command
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    assert ("--allow-root" in command) == is_root


def test_jupyterlab_shows_pages_and_asks_nothing(tmp_path):
    """Its settings: a Markdown file opens as a page, no question about news lies over the first cell."""
    start.quiet_jupyterlab(str(tmp_path))
    start.quiet_jupyterlab(str(tmp_path))  # the second start
    (place,) = (path for path in tmp_path.rglob("*") if path.is_file())
    settings = json.loads(place.read_text())
    assert place.relative_to(tmp_path).as_posix() == "share/jupyter/lab/settings/overrides.json"
    assert settings["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"] == {"markdown": "Markdown Preview"}
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


def test_a_chapter_can_be_made_fresh_without_an_environment(tmp_path):
    """In a copy of the book without .venv: the reader's own copy is kept; a wrong name is answered with the names."""
    for part in ("start.py", "tools/workbook.py", "chapters/03_gpt3.ipynb"):
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / part).write_bytes((ROOT / part).read_bytes())
    mine = tmp_path / "my" / "03_gpt3.ipynb"
    mine.parent.mkdir()
    mine.write_text("my own words")

    def run(*argv):
        return subprocess.run([sys.executable, "start.py", "reset", *argv], cwd=tmp_path, capture_output=True, text=True)

    done = run("03")
    assert done.returncode == 0 and "Yours is kept as my/kept/03_gpt3" in done.stdout
    assert [path.read_text() for path in (tmp_path / "my" / "kept").iterdir()] == ["my own words"]
    assert len(json.loads(mine.read_text(encoding="utf-8"))["cells"]) > 50 and not (tmp_path / ".venv").exists()
    wrong = run("7")
    assert wrong.returncode == 1 and "03_gpt3" in wrong.stderr and "Traceback" not in wrong.stderr


# --- the command test -----------------------------------------------------------------------------------------------


def options(*argv):
    return start.parse_options(["test", *argv])


def test_the_tests_run_on_all_cores():
    command = start.unit_command(options("--", "-x"), 2)
    assert command[1:3] == ["-m", "pytest"] and "tests" in command and command[-1] == "-x"
    assert command[command.index("-n") + 1] == "2" and command[command.index("--dist") + 1] == "loadgroup"
    assert "no:nbval" in command and "no:randomly" in command
    assert "-n" not in start.unit_command(options(), 1)
    assert "not slow" not in command and "not slow" in start.unit_command(options("--quick"), 2)


def test_slow_tests_come_first_and_what_belongs_together_stays_together():
    spec = importlib.util.spec_from_file_location("root_conftest", ROOT / "conftest.py")
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)

    class Item:
        def __init__(self, file, slow):
            self.location, self.slow, self.group = (file, 0, "test"), slow, None

        def get_closest_marker(self, name):
            return self.slow or None if name == "slow" else None

        def add_marker(self, mark):
            self.group = mark.args[0]

    def order(config):
        items = [Item("a.py", False), Item("a.py", True), Item("b.py", False), Item("b.py", True)]
        list(conftest.pytest_collection_modifyitems(config, items))  # a wrapper: until it is through
        return [(item.location[0], item.slow, item.group) for item in items]

    alone = argparse.Namespace()
    assert order(alone) == [("a.py", False, None), ("a.py", True, None), ("b.py", False, None), ("b.py", True, None)]
    worker = argparse.Namespace(workerinput={}, getvalue=lambda name: False)
    assert order(worker) == [
        ("a.py", True, "a.py slow"),
        ("b.py", True, "b.py slow"),
        ("a.py", False, "a.py"),
        ("b.py", False, "b.py"),
    ]


def test_every_notebook_is_run_with_its_solutions_longest_first():
    jobs = start.chapter_jobs(options("--", "-x"))
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "chapters").rglob("*.ipynb")}
    there = {path for path in there if ".ipynb_checkpoints" not in path}
    run = [Path(word).as_posix() for _, command, _ in jobs for word in command if word.endswith(".ipynb")]
    assert set(run) == there and len(run) == len(there)
    for name, command, _ in jobs:
        assert command[1:5] == ["-m", "pytest", "-p", "tools.sooner"] and "--nbval" in command and command[-1] == "-x"
        files = [Path(word).as_posix() for word in command if word.endswith(".ipynb")]
        folder, _, stem = f"chapters/{name}".rpartition("/")
        assert files == [f"{folder}/{stem}.ipynb", f"{folder}/solutions/{stem}.ipynb"]
    names = [name for name, _, _ in jobs]
    waits = {name: after for name, _, after in jobs}
    assert names[0] == "04_instructgpt" and waits["06_gpt4"] == waits["03_gpt3"] == []
    assert set(start.CHAPTERS) == {path.stem for path in (ROOT / "chapters").glob("*.ipynb")}


def test_nbval_is_loaded_without_a_grammar_that_takes_two_seconds_to_build():
    code = "import sys, tools.sooner, nbformat; print([n for n in sys.modules if n.startswith('rfc3987_syntax.')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "[]\n"


def test_a_new_chapter_runs_too_and_none_is_a_problem(tmp_path):
    for name in ("chapters/00_world.ipynb", "chapters/09_new.ipynb", "chapters/03_gpt3.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    jobs = start.chapter_jobs(options(), str(tmp_path))
    assert [(name, after) for name, _, after in jobs] == [("03_gpt3", []), ("00_world", []), ("09_new", [])]
    lab = tmp_path / "chapters" / "labs" / "09_deep.ipynb"
    lab.parent.mkdir()
    lab.touch()
    jobs = start.chapter_jobs(options(), str(tmp_path))
    assert [name for name, _, _ in jobs][1:] == ["00_world", "09_new", "labs/09_deep"]
    assert jobs[-1][2] == ["09_new"]  # after its lesson, whose models it loads
    with pytest.raises(start.Problem, match="no notebooks"):
        start.chapter_jobs(options(), str(tmp_path / "chapters"))


def python_says(text, seconds=0.0, code=0):
    return [sys.executable, "-I", "-c", f"import time; print({text!r}); time.sleep({seconds}); exit({code})"]


def test_several_run_at_once_and_each_is_shown_whole(capsys):
    jobs = [
        ("long", python_says("one\ntwo", 0.6), []),
        ("failing", python_says("three\nfour", 0, 3), []),
        ("after", python_says("five"), ["failing"]),
        ("last", python_says("six"), ["long", "after"]),
    ]
    results = start.run_together(jobs, 2, dict(os.environ))
    assert [(name, code) for name, code, _ in results] == [("failing", 3), ("after", 0), ("long", 0), ("last", 0)]
    said = capsys.readouterr().out
    assert said.index("failing begins") < said.index("--- failing ---\nthree\nfour\n") < said.index("after begins")
    assert "--- long ---\none\ntwo\n" in said and said.index("--- long") < said.index("last begins")
    assert results[2][2] >= 0.6


def test_no_more_run_at_once_than_asked(tmp_path):
    count = "import os, sys, time; here = os.path.join(sys.argv[1], str(os.getpid())); open(here, 'w').close()"
    count += "; time.sleep(0.5); n = len(os.listdir(sys.argv[1])); os.remove(here); sys.exit(n)"
    jobs = [(str(i), [sys.executable, "-I", "-c", count, str(tmp_path)], []) for i in range(4)]
    assert max(code for _, code, _ in start.run_together(jobs, 2, dict(os.environ))) == 2
    assert [code for _, code, _ in start.run_together(jobs[:2], 1, dict(os.environ))] == [1, 1]


def test_what_still_runs_is_ended_with_the_whole(monkeypatch):
    started = []

    class Watched(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)

        def poll(self):
            if "asked" not in vars(self):
                self.asked = True
                raise KeyboardInterrupt
            return super().poll()

        def wait(self, timeout=None):
            return super().wait(0.1 if timeout == 20 else timeout)

    monkeypatch.setattr(start.subprocess, "Popen", Watched)
    with pytest.raises(KeyboardInterrupt):
        start.run_together([("long", python_says("", 60), [])], 1, dict(os.environ))
    assert subprocess.Popen.wait(started[0], 10) != 0


@pytest.mark.parametrize(
    ("codes", "argv", "expected"),
    [
        ([0, 0], [], 0),
        ([1, 0], [], 1),
        ([0, 1], [], 1),
        ([5, 0], [], 1),
        ([5, 0], ["--", "-k", "x"], 0),
        ([2, 2], [], 1),
        ([0, -9], [], 1),
        ([0, 1], ["--quick"], 0),
        ([0, 1], ["--tests"], 0),
        ([1, 0], ["--tests"], 1),
        ([1, 0], ["--quick"], 1),
        ([1, 0], ["--chapters"], 0),
        ([0, 1], ["--chapters"], 1),
    ],
)
def test_one_failure_fails_the_whole_and_hides_nothing(codes, argv, expected, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(start, "call", lambda command, venv, **more: ran.append("tests") or codes[0])
    monkeypatch.setattr(
        start, "run_together", lambda jobs, n, environ: ran.append("chapters") or [("01", codes[1], 1), ("02", 0, 1)]
    )
    assert start.run_test(options(*argv)) == expected
    assert ran == ["tests"] * ("--chapters" not in argv) + ["chapters"] * (not {"--quick", "--tests"} & set(argv))
    said = capsys.readouterr().out
    assert ("FAILED" in said) == bool(expected)
    assert ("Left out: the tests marked slow, the canaries" in said) == ("--quick" in argv)


def test_models_are_trained_on_one_thread_whatever_the_reader_has_set(monkeypatch):
    seen = []
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setattr(start.subprocess, "call", lambda command, cwd, env: seen.append(env) or 0)
    monkeypatch.setattr(start, "run_together", lambda jobs, n, environ: seen.append(environ) or [])
    start.run_test(options())
    assert [env["OMP_NUM_THREADS"] for env in seen] == ["1", "1"]


def test_ci_runs_what_the_reader_runs():
    """`start.py test` as it is, on a common processor; then the longer ones in plain code."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in script
    assert "\nATEN_CPU_CAPABILITY=avx2 MINIGPT_CACHE=$scratch/avx2 python3 start.py test\n" in script
    assert "export ATEN_CPU_CAPABILITY=$capability" in script
    assert "-k canary tests/experiments/test_measured.py" in script
    queue = script[script.rindex("\nprintf 'default") : script.index("|\n    xargs -P 2 -L 1")] + "\n"
    if shutil.which("bash"):
        said = subprocess.run(["bash", "-c", queue], cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout
        jobs = [tuple(line.split()) for line in said.splitlines()]
        assert jobs[-1] == ("default", "canaries")
        lessons, labs = (
            sorted((path.relative_to(ROOT).as_posix() for path in folder.glob("0[0-4]_*.ipynb")), reverse=True)
            for folder in (ROOT / "chapters", ROOT / "chapters" / "labs")
        )
        assert len(lessons) == 5 and labs and jobs[:-1] == [("default", path) for path in lessons + labs]


# --- the build of PyTorch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "before", "system", "nvidia", "expected"),
    [
        (None, None, "Linux", False, ("cpu", start.TORCH_INDEX)),
        (None, None, "Linux", True, ("cuda", None)),
        ("cpu", None, "Linux", True, ("cpu", start.TORCH_INDEX)),
        ("cuda", "cpu", "Linux", False, ("cuda", None)),
        (None, "cuda", "Linux", False, ("cuda", None)),  # what was asked once stays
        (None, "cpu", "Linux", True, ("cpu", start.TORCH_INDEX)),
        (None, None, "Darwin", False, ("cpu", None)),
        (None, None, "Windows", True, ("cpu", None)),  # there, pip's usual index has the CPU build
    ],
)
def test_choice_of_torch(asked, before, system, nvidia, expected):
    assert start.choose_torch(asked, before, system, nvidia) == expected


def test_cuda_where_it_cannot_be_is_explained():
    with pytest.raises(start.Problem, match="macOS"):
        start.choose_torch("cuda", None, "Darwin", False)
    with pytest.raises(start.Problem, match="MINIGPT_TORCH_INDEX"):
        start.choose_torch("cuda", None, "Windows", True)
    assert start.choose_torch("cuda", None, "Windows", True, "https://example.org") == ("cuda", "https://example.org")


def test_an_index_that_does_not_answer_costs_no_more_than_the_limit():
    import socket
    import time

    with socket.socket() as silent:  # accepts nobody
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        began = time.perf_counter()
        assert not start.reachable("http://127.0.0.1:%d/" % silent.getsockname()[1], seconds=0.3)
        assert time.perf_counter() - began < 2


# --- the environment: what is wrong with it, and what is done about it ----------------------------------------------


def test_where_the_interpreter_is():
    assert start.venv_python("C:\\books\\.venv", windows=True) == "C:\\books\\.venv\\Scripts\\python.exe"
    assert start.venv_python("/books/.venv", windows=False) == "/books/.venv/bin/python"


def test_the_fingerprint_follows_the_two_lists_but_not_line_ends(tmp_path):
    (tmp_path / "pyproject.toml").write_bytes(b"a\nb\n")
    (tmp_path / "constraints.txt").write_bytes(b"c\n")
    first = start.fingerprint(str(tmp_path))
    (tmp_path / "pyproject.toml").write_bytes(b"a\r\nb\r\n")
    assert start.fingerprint(str(tmp_path)) == first
    (tmp_path / "constraints.txt").write_bytes(b"d\n")
    assert start.fingerprint(str(tmp_path)) != first


def test_the_marker_is_written_whole_and_read_back(tmp_path):
    venv = str(tmp_path)
    assert start.read_marker(venv) is None
    start.write_marker(venv, {"complete": True})
    assert start.read_marker(venv) == {"complete": True} and os.listdir(venv) == [start.MARKER]
    for damaged in (b"{", b"\xff\xfe", b"[1]"):
        (tmp_path / start.MARKER).write_bytes(damaged)
        assert start.read_marker(venv) == {}


WANTED = {"complete": True, "root": "/here", "files": "abc", "extras": [], "torch": "cpu"}
FULL = dict(WANTED, extras=["test"])
WEB = dict(WANTED, extras=["web"])


@pytest.mark.parametrize(
    ("marker", "version", "missing", "wanted", "action", "words"),
    [
        (WANTED, (3, 11), [], WANTED, "keep", "in place"),
        (FULL, (3, 12), [], WANTED, "keep", "in place"),
        (None, None, [], WANTED, "set aside", "not made by"),
        ({}, (3, 11), [], WANTED, "rebuild", "half made"),
        (dict(WANTED, complete=False), (3, 11), [], WANTED, "rebuild", "half made"),
        (WANTED, None, [], WANTED, "rebuild", "does not run"),
        (WANTED, (3, 9), [], WANTED, "rebuild", "3.9"),
        (dict(WANTED, root="/there"), (3, 11), [], WANTED, "rebuild", "moved"),
        (dict(WANTED, torch="cuda"), (3, 11), [], WANTED, "rebuild", "another build"),
        (WANTED, (3, 11), ["pip"], WANTED, "rebuild", "pip"),
        (WANTED, (3, 11), ["torch"], WANTED, "rebuild", "torch"),
        (FULL, (3, 11), ["scipy"], FULL, "rebuild", "scipy"),
        (WANTED, (3, 11), ["tiktoken (damaged)"], WANTED, "rebuild", "tiktoken"),
        (WANTED, (3, 11), ["pytest", "scipy (damaged)"], FULL, "rebuild", "scipy (damaged)"),
        (dict(WANTED, files="old"), (3, 11), [], WANTED, "update", "has changed"),
        (WANTED, (3, 11), ["scipy", "pytest"], FULL, "update", "test tools"),
        (WANTED, (3, 11), ["pip", "pytest"], FULL, "rebuild", "pip"),
        (WANTED, (3, 11), ["sphinx"], WEB, "update", "the tools for web pages are"),
        (FULL, (3, 11), ["sphinx"], dict(FULL, extras=["test", "web"]), "update", "the tools for web pages are"),
        (FULL, (3, 11), ["sphinx", "scipy"], dict(FULL, extras=["test", "web"]), "rebuild", "scipy"),
        (WEB, (3, 11), ["sphinx"], WEB, "rebuild", "sphinx"),
    ],
)
def test_plan(marker, version, missing, wanted, action, words):
    found, reason = start.plan(True, marker, version, missing, wanted)
    assert found == action and words in reason


def test_plan_without_any_environment():
    assert start.plan(False, None, None, [], WANTED)[0] == "make"


def test_test_tools_once_installed_are_kept_in_mind(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "fingerprint", lambda root: "abc")
    monkeypatch.setattr(start, "probe", lambda venv, modules: ((3, 11), ["scipy"] if "scipy" in modules else []))
    start.write_marker(str(tmp_path), dict(FULL, root="/here"))
    action, reason, wanted = start.examine(str(tmp_path), "/here", [], "cpu")
    assert (action, wanted["extras"]) == ("rebuild", ["test"]) and "scipy" in reason


def fake_venv(folder: Path) -> str:
    """An environment whose interpreter is a link to this one: enough for everything except pip."""
    python = Path(start.venv_python(str(folder)))
    python.parent.mkdir(parents=True)
    if os.name == "nt":
        python.write_bytes(b"")  # cannot be run: as good as dead
    else:
        python.symlink_to(sys.executable)
    return str(folder)


@pytest.mark.skipif(os.name == "nt", reason="needs a symbolic link to the interpreter")
def test_the_probe_sees_what_is_missing_and_survives_a_dead_interpreter(tmp_path):
    venv = fake_venv(tmp_path / "venv")
    version, missing = start.probe(venv, ["json", "no_such_module_here"])
    assert version == sys.version_info[:2] and missing == ["no_such_module_here"]
    python = Path(start.venv_python(venv))
    python.unlink()
    assert start.probe(venv, ["json"]) == (None, [])  # gone
    python.symlink_to(tmp_path / "nowhere")
    assert start.probe(venv, ["json"]) == (None, [])  # a link to a Python that was removed
    python.unlink()
    python.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8", newline="\n")
    python.chmod(0o755)
    assert start.probe(venv, ["json"]) == (None, [])


LIBRARY, METADATA = "tiktoken/_tiktoken.cpython-311.so", "tiktoken-1.dist-info/METADATA"
DAMAGE = {
    "nothing": (lambda site: None, []),
    "a library is empty": (lambda site: (site / LIBRARY).write_bytes(b""), ["tiktoken"]),
    "a library is cut off": (lambda site: (site / LIBRARY).write_bytes(b"ab"), ["tiktoken"]),
    "a module is empty": (lambda site: (site / "tiktoken/core.py").write_bytes(b""), ["tiktoken"]),
    "a module is gone": (lambda site: (site / "tiktoken/core.py").unlink(), ["tiktoken"]),
    "the reader changed a module": (lambda site: (site / "tiktoken/core.py").write_bytes(b"import abc, re"), []),
    "an empty module is still empty": (lambda site: (site / "tiktoken/empty.py").write_bytes(b""), []),
    "the metadata are half written": (lambda site: (site / METADATA).write_bytes(b"N"), ["tiktoken"]),
    "the record is empty": (lambda site: (site / "tiktoken-1.dist-info/RECORD").write_bytes(b""), ["tiktoken"]),
    "the record is gone": (lambda site: (site / "tiktoken-1.dist-info/RECORD").unlink(), ["tiktoken"]),
    "another package is damaged": (lambda site: (site / "theirs/__init__.py").write_bytes(b""), []),
}


@pytest.mark.skipif(os.name == "nt", reason="the folder of packages has another name there")
@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_seen_and_a_readers_changes_are_not_damage(tmp_path, what):
    import venv

    venv.create(tmp_path / "venv", symlinks=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    files = {
        "tiktoken/__init__.py": b"import core",
        "tiktoken/core.py": b"import abc",
        "tiktoken/empty.py": b"",
        "tiktoken/_tiktoken.cpython-311.so": b"abcd",
        "tiktoken-1.dist-info/METADATA": b"Name: tiktoken",
        "theirs/__init__.py": b"x = 1",
        "theirs-1.dist-info/METADATA": b"Name: theirs",
    }
    for name, data in files.items():
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_bytes(data)
    for package in ("tiktoken", "theirs"):
        rows = [f"{name},sha256=x,{len(data)}" for name, data in files.items() if name.startswith(package)]
        record = [*rows, f"{package}/__pycache__/core.cpython-311.pyc,,", f"{package}-1.dist-info/RECORD,,"]
        (site / f"{package}-1.dist-info/RECORD").write_text("\n".join(record), encoding="utf-8")
    spoil, expected = DAMAGE[what]
    spoil(site)
    (site / "hollow").mkdir()  # the folder is there, its files are not
    version, missing = start.probe(str(tmp_path / "venv"), ["tiktoken", "hollow"])
    assert version == sys.version_info[:2]
    assert missing == ["hollow"] + [f"{name} (damaged)" for name in expected]


def test_this_environment_is_whole():
    version, missing = start.probe(sys.prefix, start.NEEDED + start.NEEDED_FOR_TEST)
    assert (version, missing) == (sys.version_info[:2], [])


class Pretend:
    """start.prepare with its slow parts replaced: records what would have been done."""

    def __init__(self, monkeypatch, tmp_path, pip_code=0, missing_after=()):
        self.venv, self.calls, self.missing, self.python = str(tmp_path / ".venv"), [], None, (3, 11)
        self.index = "unset"
        monkeypatch.setattr(start, "has_nvidia", lambda: False)
        monkeypatch.setattr(start, "reachable", lambda url: True)
        monkeypatch.setattr(start, "fingerprint", lambda root: "abc")
        monkeypatch.setattr(start.platform, "system", lambda: "Linux")
        monkeypatch.delenv("MINIGPT_TORCH_INDEX", raising=False)

        def probe(venv, modules):
            after = "pip" in self.calls
            return (3, 11) if after else self.python, list(missing_after if after else self.missing or ())

        def create(venv, python):
            self.calls.append("create")
            os.makedirs(venv)
            start.write_marker(venv, {"complete": False})

        def pip_install(venv, extras, index):
            self.calls.append("pip")
            self.index = index
            assert start.read_marker(venv)["complete"] is False  # were we killed now, the next run would know
            return pip_code

        monkeypatch.setattr(start, "probe", probe)
        monkeypatch.setattr(start, "create", create)
        monkeypatch.setattr(start, "pip_install", pip_install)
        monkeypatch.setattr(start, "call", lambda command, venv: 0)  # the list of fonts

    def run(self, *argv):
        self.calls.clear()
        start.prepare(start.parse_options(list(argv)), self.venv)
        return self.calls


def test_made_once_then_kept_then_extended_then_repaired(monkeypatch, tmp_path, capsys):
    pretend = Pretend(monkeypatch, tmp_path)
    assert pretend.run() == ["create", "pip"] and pretend.index == start.TORCH_INDEX
    said = capsys.readouterr().out
    assert "MB to download" in said and "GB on disk" in said
    assert pretend.run() == [] and capsys.readouterr().out == ""
    assert pretend.run("test") == ["pip"]
    assert pretend.run("test") == [] and pretend.run() == []
    assert pretend.run("web") == ["pip"] and pretend.run("web") == pretend.run("test") == []
    assert pretend.run("slides", "01") == []  # needs what web has installed
    assert start.read_marker(pretend.venv)["extras"] == ["test", "web"]
    Path(pretend.venv, "left over").touch()
    pretend.missing = ["numpy"]
    assert pretend.run() == ["create", "pip"]
    assert start.read_marker(pretend.venv)["extras"] == ["test", "web"]  # the repaired one has both again
    assert not Path(pretend.venv, "left over").exists()


def test_a_strangers_environment_is_kept_under_another_name(monkeypatch, tmp_path, capsys):
    pretend = Pretend(monkeypatch, tmp_path)
    Path(pretend.venv).mkdir()
    Path(pretend.venv, "precious").write_text("mine", encoding="utf-8")
    assert pretend.run() == ["create", "pip"]
    assert (tmp_path / ".venv-set-aside-1" / "precious").read_text(encoding="utf-8") == "mine"
    assert ".venv-set-aside-1" in capsys.readouterr().out


def test_an_empty_folder_is_simply_filled(monkeypatch, tmp_path):
    pretend = Pretend(monkeypatch, tmp_path)
    monkeypatch.setattr(
        start,
        "create",
        lambda venv, python: (pretend.calls.append("create"), start.write_marker(venv, {"complete": False})),
    )
    Path(pretend.venv).mkdir()
    assert pretend.run() == ["create", "pip"] and len(list(tmp_path.iterdir())) == 1


def test_a_failed_download_is_explained_and_the_next_run_starts_clean(monkeypatch, tmp_path):
    pretend = Pretend(monkeypatch, tmp_path, pip_code=1)
    with pytest.raises(start.Problem, match="run this again"):
        pretend.run()
    assert start.read_marker(pretend.venv)["complete"] is False


def test_a_failed_update_leaves_the_working_environment_in_use(monkeypatch, tmp_path):
    Pretend(monkeypatch, tmp_path).run()
    pretend = Pretend(monkeypatch, tmp_path, pip_code=1)
    with pytest.raises(start.Problem):
        pretend.run("test")
    assert pretend.run() == []


def test_an_update_that_fails_because_the_environment_is_broken_is_built_anew_next_time(monkeypatch, tmp_path):
    Pretend(monkeypatch, tmp_path).run()
    pretend = Pretend(monkeypatch, tmp_path, pip_code=1, missing_after=["pip (damaged)"])
    with pytest.raises(start.Problem):
        pretend.run("test")
    assert start.read_marker(pretend.venv)["complete"] is False


class Killed(BaseException):
    """The process ends here; nothing after this is done."""


class Killable:
    """start.prepare on real files with a small venv and pip in place of the real ones, to be killed at any step.

    A step is one change on the disk: every file or folder that is made, moved or deleted.
    """

    STEPS = ((os, "makedirs"), (os, "replace"), (os, "rename"), (os, "remove"), (os, "unlink"), (os, "rmdir"))
    MODULES = ("pip", "numpy", "torch")

    def __init__(self, monkeypatch, tmp_path):
        self.venv, self.left = tmp_path / ".venv", None
        monkeypatch.setattr(start, "has_nvidia", lambda: False)
        monkeypatch.setattr(start, "reachable", lambda url: True)
        monkeypatch.delenv("MINIGPT_TORCH_INDEX", raising=False)
        for module, name in self.STEPS:
            monkeypatch.setattr(module, name, self.stepping(getattr(module, name)))
        monkeypatch.setattr(start, "open", self.stepping(open), raising=False)
        monkeypatch.setattr(start, "call", self.call)
        monkeypatch.setattr(start, "probe", self.probe)

    def stepping(self, function):
        def step(*args, **kwargs):
            self.step()
            return function(*args, **kwargs)

        return step

    def step(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    def call(self, command, venv):
        done = {"-m venv": ["python"], "-m pip": ["numpy", "numpy-metadata", "torch"]}
        done["-m venv"].append("pip")  # by ensurepip
        for name in done.get(" ".join(command[1:3]), []):
            for half in (b"", b"whole"):
                self.step()
                (self.venv / name).write_bytes(half)
        return 0

    def probe(self, venv, modules):
        whole = {path.name for path in self.venv.iterdir() if path.is_file() and path.read_bytes() == b"whole"}
        return (sys.version_info[:2] if "python" in whole else None), sorted({*self.MODULES, "numpy-metadata"} - whole)

    def run(self, kill_after=None):
        self.left = kill_after
        try:
            start.prepare(start.parse_options([]), str(self.venv))
        finally:
            self.left = None


@pytest.mark.parametrize("before", ["nothing", "an empty folder", "half made", "damaged"])
def test_running_again_repairs_whatever_was_killed_at_whatever_moment(monkeypatch, tmp_path, before):
    for kill_after in range(200):
        place = tmp_path / str(kill_after)
        place.mkdir()
        with monkeypatch.context() as patch:
            world = Killable(patch, place)
            if before != "nothing":
                world.venv.mkdir()
            if before in ("half made", "damaged"):
                world.run()
                (world.venv / "old").mkdir()
                (world.venv / "old" / "left over").touch()
                (world.venv / "numpy").write_bytes(b"")
            if before == "half made":
                start.write_marker(str(world.venv), {"complete": False})
            try:
                world.run(kill_after)
                break
            except Killed:
                world.run()
            assert start.read_marker(str(world.venv))["complete"] is True
            assert world.probe(str(world.venv), [])[1] == [] and not (world.venv / "old").exists()
            assert os.listdir(place) == [".venv"]  # nothing was taken for a stranger's
    assert 10 < kill_after < 199


@pytest.mark.slow
def test_pip_installs_although_the_reader_always_installs_for_himself(monkeypatch, tmp_path):
    commands = []
    monkeypatch.setattr(start, "call", lambda command, venv: commands.append(command) or 0)
    assert start.pip_install("v", ["test"], None) == 0
    (command,) = commands
    assert command[command.index("install") + 1] == "--no-user"
    (tmp_path / "pip.conf").write_text("[global]\nuser = true\n", encoding="utf-8")
    env = {**os.environ, "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}

    def pip(*words):  # nothing is installed: it is there already
        words = ["install", *words, "--dry-run", "--no-index", "--disable-pip-version-check", "pip"]
        return subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, env=env).returncode

    assert pip("--no-user") == 0
    if sys.prefix != sys.base_prefix:
        assert pip() != 0


def test_an_install_that_is_not_whole_is_not_called_ready(monkeypatch, tmp_path):
    pretend = Pretend(monkeypatch, tmp_path, missing_after=["torch"])
    with pytest.raises(start.Problem, match="torch"):
        pretend.run()
    assert start.read_marker(pretend.venv)["complete"] is False


def test_without_the_cpu_index_pip_is_asked_and_the_size_is_told(monkeypatch, tmp_path, capsys):
    pretend = Pretend(monkeypatch, tmp_path)
    monkeypatch.setattr(start, "reachable", lambda url: False)
    pretend.run()
    assert pretend.index is None and "CUDA build: about %d MB" % start.SIZES["cuda"][0] in capsys.readouterr().out


def test_a_full_disk_is_noticed_before_anything_is_deleted_or_fetched(monkeypatch, tmp_path):
    pretend = Pretend(monkeypatch, tmp_path)
    Path(pretend.venv).mkdir()
    start.write_marker(pretend.venv, {"complete": False})
    monkeypatch.setattr(start.shutil, "disk_usage", lambda path: argparse.Namespace(free=1e8))
    with pytest.raises(start.Problem, match="0.1 GB free"):
        pretend.run()
    assert pretend.calls == [] and Path(pretend.venv).exists()


def test_a_folder_that_cannot_be_deleted_is_explained(monkeypatch, tmp_path):
    def refuse(path):
        raise PermissionError(13, "in use")

    monkeypatch.setattr(start.shutil, "rmtree", refuse)
    with pytest.raises(start.Problem, match="Close JupyterLab"):
        start.remove(str(tmp_path))


def test_problems_and_ctrl_c_end_with_a_sentence(monkeypatch, capsys):
    def problem(options):
        raise start.Problem("do this")

    def stop(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "prepare", problem)
    assert start.main([]) == 1 and "do this" in capsys.readouterr().err

    def no_permission(options):
        raise PermissionError(13, "Permission denied", "the/folder")

    monkeypatch.setattr(start, "prepare", no_permission)
    assert start.main([]) == 1 and "make sure that you may write there" in capsys.readouterr().err
    monkeypatch.setattr(start, "prepare", stop)
    assert start.main([]) == 130 and "again" in capsys.readouterr().err


def test_variables_that_lead_astray_are_dropped(tmp_path):
    given = {"PYTHONPATH": "x", "PYTHONHOME": "x", "PIP_USER": "1", "PATH": "p", "PIP_CERT": "c", "HOME": str(tmp_path)}
    assert start.clean_environ({**given, "USERPROFILE": "u"}, "v") == {
        "PATH": os.path.dirname(start.venv_python("v")) + os.pathsep + "p",
        "PIP_CERT": "c",
        "OMP_NUM_THREADS": "1",
        "HOME": str(tmp_path),
        "USERPROFILE": "u",
    }
    assert start.clean_environ({"OMP_NUM_THREADS": "2"}, "v")["OMP_NUM_THREADS"] == "2"


posix = pytest.mark.skipif(os.name == "nt", reason="Windows always has a profile folder")


@posix
def test_who_has_no_home_folder_gets_one_in_venv(tmp_path, monkeypatch):
    import pwd

    file = tmp_path / "file"
    file.touch()
    for absent in (str(tmp_path / "absent"), str(file)):
        assert start.home({"HOME": absent}) is None
        assert start.clean_environ({"HOME": absent}, "v")["HOME"] == os.path.join("v", "home")
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: argparse.Namespace(pw_dir=str(tmp_path)))
    assert start.clean_environ({}, "v")["HOME"] == start.clean_environ({"HOME": ""}, "v")["HOME"] == str(tmp_path)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])  # a container's user without a name
    assert start.home({}) is None and start.clean_environ({}, "v")["HOME"] == os.path.join("v", "home")


@posix
def test_matplotlib_has_a_folder_that_it_can_write_to(tmp_path):
    (tmp_path / ".config").touch()  # a file in the way
    env = {"HOME": str(tmp_path)}
    if sys.platform != "darwin":
        assert start.clean_environ(env, "v")["MPLCONFIGDIR"] == os.path.join("v", "matplotlib")
        assert "MPLCONFIGDIR" not in start.clean_environ({**env, "XDG_CONFIG_HOME": str(tmp_path / "new")}, "v")
    theirs = {**env, "MPLCONFIGDIR": str(tmp_path / "mine")}
    assert start.clean_environ(theirs, "v")["MPLCONFIGDIR"] == str(tmp_path / "mine")


def test_a_relative_cache_folder_is_one_folder_wherever_a_notebook_lies(tmp_path, monkeypatch):
    from minigpt.io.files import cache_dir

    for given in ("cache", "~/cache", str(tmp_path)):
        seen = start.clean_environ({"MINIGPT_CACHE": given}, "v")["MINIGPT_CACHE"]
        assert os.path.isabs(seen)
        monkeypatch.chdir(ROOT)
        monkeypatch.setenv("MINIGPT_CACHE", given)
        assert os.path.abspath(cache_dir()) == seen


def test_clean_cache_deletes_trained_models_and_nothing_else(tmp_path):
    models = ["gpt1-0123456789abcdef", "gpt1-0123456789abcdef.partial", "gpt1-0123456789abcdef.lock"]
    others = ["texts", "my-thesis", "gpt1-0123", "photo-0123456789abcdef.png"]
    for name in models + others:
        (tmp_path / name).mkdir()
    assert [os.path.basename(path) for path in start.cache_entries(str(tmp_path))] == sorted(models)
    assert start.cache_entries(str(tmp_path / "absent")) == []


def test_clean_cache_knows_the_names_that_the_cache_gives(tmp_path):
    import torch

    from minigpt.experiments import cache

    cache.cached("gpt1-small", {"seed": 1}, lambda: ({"w": torch.zeros(1)}, {}), folder=tmp_path)
    assert {os.path.basename(p) for p in start.cache_entries(str(tmp_path))} == set(os.listdir(tmp_path))


@pytest.mark.parametrize("models", [0, 2])
def test_clean_cache_needs_no_environment_and_makes_none(tmp_path, models):
    checkout, cache = tmp_path / "checkout", tmp_path / "checkout" / "kept"
    for name in ("start.py", "minigpt/__init__.py", "minigpt/io/__init__.py", "minigpt/io/files.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    for n in range(models):
        (cache / f"gpt-{n:016d}").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(checkout / "start.py"), "clean-cache"],
        cwd=tmp_path, capture_output=True, encoding="utf-8", env={**os.environ, "MINIGPT_CACHE": "kept"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Deleted 2 trained models from" if models else "There are no trained models in")
    assert str(cache) in done.stdout and not (checkout / ".venv").exists()
    assert not cache.exists() or os.listdir(cache) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows hands programs their arguments as text")
@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "ascii", "utf-8"])
def test_everything_can_be_printed_everywhere(tmp_path, encoding):
    checkout = tmp_path / "\u4e66 caf\u00e9 \U0001f4d6"
    checkout.mkdir()
    (checkout / "start.py").write_bytes((ROOT / "start.py").read_bytes())
    for name in ("pyproject.toml", "constraints.txt"):
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    (checkout / ".venv").write_text("a file in the way", encoding="utf-8")
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "MINIGPT_TORCH_INDEX": "http://127.0.0.1:9"}
    for command in (["check"], ["--no-browser"]):
        command = [sys.executable, "-B", str(checkout / "start.py"), *command]
        done = subprocess.run(command, capture_output=True, env=env)
        assert done.returncode == 1 and b"Traceback" not in done.stderr, done.stderr


# --- check ----------------------------------------------------------------------------------------------------------

INSIDE = {
    "executable": "/here/.venv/bin/python",
    "python": "3.11.7",
    "kernel": "/here/.venv/bin/python",
    "versions": [["torch", "2.13.0"], ["numpy", "2.4.6"]],
    "not_as_pinned": [],
    "memory_gb": 8.0,
    "cores": 2,
    "threads": 1,
    "device": "CPU",
    "torch_error": None,
    "book_error": None,
    "cache": "/cache",
    "cache_mb": 3.2,
    "cache_error": None,
}
FACTS = {
    "python": [3, 11, 7],
    "executable": "/usr/bin/python3",
    "action": "keep",
    "reason": "everything is in place",
    "system": "Linux x86_64",
    "disk_gb": 20.0,
    "nvidia": False,
    "home": "/home/reader",
    "chapters": 2,
    "inside": INSIDE,
}


def advice(facts):
    return {label: text for label, _, text in start.diagnose(facts) if text}


def test_a_healthy_computer_gets_every_line_and_no_advice():
    report = start.diagnose(FACTS)
    assert [label for label, _, _ in report] == [
        "Python",
        "System",
        "Free disk",
        "Chapters",
        "Environment",
        "Interpreter",
        "Kernel",
        "Versions",
        "Device",
        "Free memory",
        "Model cache",
    ]
    assert advice(FACTS) == {}
    found = {label: text for label, text, _ in report}
    assert (
        "3.11.7" in found["Python"]
        and "torch 2.13.0" in found["Versions"]
        and found["Device"] == "CPU, 2 cores, 1 thread"
    )


@pytest.mark.parametrize(
    ("change", "inside", "label", "words"),
    [
        ({"python": [3, 9, 1]}, {}, "Python", "3.10"),
        ({"disk_gb": 0.1}, {}, "Free disk", "free some space"),
        ({"chapters": 0}, {}, "Chapters", "clone it again"),
        ({"action": "rebuild", "reason": "half made"}, {}, "Environment", "start.py"),
        ({"action": "set aside", "reason": "not ours"}, {}, "Environment", "another name"),
        ({"inside_error": "SyntaxError"}, {}, "Inside .venv", "delete the folder"),
        ({}, {"kernel": "/elsewhere/python"}, "Kernel", "not run in .venv"),
        ({}, {"kernel": None}, "Kernel", "start.py"),
        ({}, {"not_as_pinned": [["numpy", "1.0", "2.4.6"]]}, "Versions", "numpy 1.0 instead of 2.4.6"),
        ({}, {"torch_error": "DLL load failed"}, "PyTorch", "Visual C++"),
        ({}, {"book_error": ["tiktoken/__init__.py: ImportError: cut", False]}, "The book", "delete the folder"),
        ({}, {"book_error": ["minigpt/loss.py: SyntaxError: here", True]}, "The book", "git diff"),
        ({"nvidia": True}, {}, "Device", "--cuda"),
        ({}, {"memory_gb": 0.4}, "Free memory", "close other programs"),
        ({}, {"cache_error": "Permission denied"}, "Model cache", "MINIGPT_CACHE"),
    ],
)
def test_each_problem_is_named_with_what_to_do(change, inside, label, words):
    found = advice({**FACTS, **change, "inside": {**INSIDE, **inside}})
    assert list(found) == [label] and words in found[label]


def test_a_reader_without_a_home_folder_is_told_where_things_go():
    found = {label: (text, todo) for label, text, todo in start.diagnose({**FACTS, "home": None})}
    assert ".venv/home" in found["Home folder"][0] and found["Home folder"][1] is None


def test_the_exit_code_and_page_of_check(monkeypatch, capsys):
    monkeypatch.setattr(start, "gather_facts", lambda: FACTS)
    assert start.run_check() == 0 and "All is well." in capsys.readouterr().out
    monkeypatch.setattr(start, "gather_facts", lambda: {**FACTS, "disk_gb": 0.1})
    assert start.run_check() == 1
    page = capsys.readouterr().out
    assert re.search(r"^TODO Free disk .*\n +-> free some space", page, flags=re.M) and "1 thing to do" in page


@pytest.mark.parametrize(
    ("spoil", "words", "ours"),
    [
        (None, None, None),
        (("minigpt/loss.py", "def f(:"), "SyntaxError", True),
        (("minigpt/stats.py", "1 / 0"), "stats.py: ZeroDivisionError", True),
        (("packages/filelock.py", ""), "FileLock", False),
        (("packages/filelock.py", "raise OSError('cut')"), "OSError: cut", False),
    ],
)
def test_the_book_is_imported_and_the_fault_is_placed(tmp_path, spoil, words, ours):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "facts.py").write_bytes((ROOT / "tools" / "facts.py").read_bytes())
    (tmp_path / "packages").mkdir()
    (tmp_path / "minigpt").mkdir()
    (tmp_path / "minigpt" / "__init__.py").touch()
    (tmp_path / "minigpt" / "loss.py").write_text("import json\n", encoding="utf-8")
    (tmp_path / "minigpt" / "stats.py").write_text("from filelock import FileLock\n", encoding="utf-8")
    if spoil:
        (tmp_path / spoil[0]).write_text(spoil[1], encoding="utf-8")
    code = "import sys; sys.path[:0] = [%r, %r, %r]; import facts, json; print(json.dumps(facts.book_error()))"
    places = [str(tmp_path / name) for name in ("tools", ".", "packages")]
    done = subprocess.run([sys.executable, "-B", "-c", code % tuple(places)], capture_output=True, encoding="utf-8")
    found = json.loads(done.stdout)
    assert found is None if spoil is None else words in found[0] and found[1] is ours, found


@pytest.mark.slow
def test_the_facts_of_check_from_within(monkeypatch, tmp_path):
    env = {**os.environ, "MINIGPT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "facts.py")], capture_output=True, encoding="utf-8", env=env
    )
    facts = json.loads(done.stdout)
    assert set(facts) == set(INSIDE)
    assert facts["torch_error"] is facts["book_error"] is None
    assert facts["cache"] == str(tmp_path / "cache") and facts["cache_error"] is None
    assert os.path.samefile(facts["executable"], sys.executable) and facts["memory_gb"] > 0
    assert ["numpy", __import__("numpy").__version__] in facts["versions"]


def test_clean_cache_tells_models_from_unfinished_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    monkeypatch.setattr(start, "clean_environ", lambda environ, venv: {})
    for name in (f"gpt-{1:016d}", f"gpt-{2:016d}.partial"):
        (tmp_path / name).mkdir()
    start.run_clean_cache()
    assert "Deleted 1 trained model and 1 unfinished run from" in capsys.readouterr().out
