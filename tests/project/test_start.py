"""start.py, and the lists of versions: what a newcomer meets first, tried here without installing anything."""

import argparse
import ast
import json
import os
import re
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
    for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version, f"{requirement.name} has no exact version for Python {python}"
            assert requirement.specifier.contains(version), f"{requirement} does not allow the pinned {version}"
            assert any(s.operator == ">=" for s in requirement.specifier), f"{requirement.name} has no lower bound"


def test_the_lowest_versions_are_those_of_pyproject():
    lines = subprocess.run([sys.executable, str(ROOT / "tools" / "lowest.py")], capture_output=True, encoding="utf-8")
    lowest = {Requirement(line).name: Requirement(line) for line in lines.stdout.splitlines()}
    everything = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    assert len(lowest) == len(everything) and "numpy==1.26.0" in lines.stdout
    for line in everything:
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
    modules = {"pyyaml": "yaml", "tomli": None}  # tomli: only on 3.10

    def names(lines):
        found = {canonicalize_name(Requirement(line).name) for line in lines}
        return {modules.get(name, name) for name in found} - {None}

    assert set(start.NEEDED) == names(PROJECT["dependencies"]) | {"pip", "minigpt", "ipykernel"}
    assert set(start.NEEDED_FOR_TEST) == names(PROJECT["optional-dependencies"]["test"])


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
    assert at_top <= set("argparse glob hashlib json os platform re shutil subprocess sys time".split())


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
    tree = ast.parse((ROOT / "start.py").read_text(encoding="utf-8"))
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


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
    assert (tested.command, tested.chapters, tested.torch, tested.rest) == (
        "test",
        True,
        "cuda",
        ["-x", "-k", "tokens"],
    )


@pytest.mark.parametrize(
    "argv", [["tset"], ["--cpu", "--cuda"], ["--port", "x"], ["--port", "70000"], ["--chapters"], ["check", "--", "-x"]]
)
def test_wrong_options_are_refused(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        start.parse_options(argv)
    assert stop.value.code == 2 and "start.py: error" in capsys.readouterr().err


def test_jupyterlab_is_started_as_asked():
    command = start.open_command(start.parse_options(["--no-browser", "--port", "8899", "--", "--debug"]))
    assert command[:3] == [start.venv_python(start.VENV), "-m", "jupyterlab"]
    assert "--no-browser" in command and "--port=8899" in command and command[-1] == "--debug"
    assert command[3] == start.FIRST_CHAPTER and "--LabApp.default_url=/lab/tree/01_gpt1.ipynb" in command
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    assert ("--allow-root" in command) == is_root


def test_test_runs_the_tests_then_every_notebook(tmp_path):
    for name in ("chapters/01_b.ipynb", "chapters/00_a.ipynb", "chapters/solutions/00_a.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    notebooks = [str(Path(p)) for p in ("chapters/00_a.ipynb", "chapters/01_b.ipynb", "chapters/solutions/00_a.ipynb")]
    (_, units), (_, chapters) = start.test_commands(start.parse_options(["test", "--", "-x"]), str(tmp_path))
    assert units[1:] == ["-m", "pytest", "tests", "-x"]
    assert chapters[1:] == ["-m", "pytest", "--nbval", *notebooks, "-x"]
    assert len(start.test_commands(start.parse_options(["test", "--chapters"]), str(tmp_path))) == 1
    with pytest.raises(start.Problem, match="no notebooks"):
        start.test_commands(start.parse_options(["test"]), str(tmp_path / "chapters" / "solutions"))


@pytest.mark.parametrize(
    ("codes", "rest", "expected"),
    [([0, 0], [], 0), ([1, 0], [], 1), ([0, 1], [], 1), ([5, 0], [], 1), ([5, 0], ["-k", "x"], 0), ([2, 2], [], 1)],
)
def test_one_failure_fails_the_whole_and_hides_nothing(codes, rest, expected, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(start, "test_commands", lambda options: [("first", [0]), ("second", [1])])
    monkeypatch.setattr(start, "call", lambda command, venv: ran.append(command) or codes[command[0]])
    assert start.run_test(argparse.Namespace(rest=rest)) == expected
    assert ran == [[0], [1]] and ("FAILED" in capsys.readouterr().out) == bool(expected)


def test_ci_runs_what_the_reader_runs():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in script and "\npython3 start.py test\n" in script
    assert "ATEN_CPU_CAPABILITY=$capability" in script and "for capability in default avx2" in script


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
        (dict(WANTED, files="old"), (3, 11), [], WANTED, "update", "has changed"),
        (WANTED, (3, 11), ["scipy", "pytest"], FULL, "update", "test tools"),
        (WANTED, (3, 11), ["pip", "pytest"], FULL, "rebuild", "pip"),
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


def test_an_emptied_package_counts_as_missing(tmp_path, monkeypatch):
    (tmp_path / "hollow").mkdir()  # the folder is there, its files are not
    (tmp_path / "whole.py").touch()
    code = "import sys; sys.path.insert(0, %r); exec(%r)" % (str(tmp_path), start.PROBE)
    done = subprocess.run([sys.executable, "-c", code, "hollow", "whole"], capture_output=True, encoding="utf-8")
    assert json.loads(done.stdout)[1] == ["hollow"]


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
    Path(pretend.venv, "left over").touch()
    pretend.missing = ["numpy"]
    assert pretend.run() == ["create", "pip"]
    assert start.read_marker(pretend.venv)["extras"] == ["test"]  # the repaired one has the test tools again
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


def test_variables_that_lead_astray_are_dropped():
    env = start.clean_environ(
        {"PYTHONPATH": "x", "PYTHONHOME": "x", "PIP_USER": "1", "PATH": "p", "PIP_CERT": "c"}, "v"
    )
    assert env == {
        "PATH": os.path.dirname(start.venv_python("v")) + os.pathsep + "p",
        "PIP_CERT": "c",
        "OMP_NUM_THREADS": "1",
    }
    assert start.clean_environ({"OMP_NUM_THREADS": "2"}, "v")["OMP_NUM_THREADS"] == "2"


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


# --- the doctor -----------------------------------------------------------------------------------------------------

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
        ({"nvidia": True}, {}, "Device", "--cuda"),
        ({}, {"memory_gb": 0.4}, "Free memory", "close other programs"),
        ({}, {"cache_error": "Permission denied"}, "Model cache", "MINIGPT_CACHE"),
    ],
)
def test_each_problem_is_named_with_what_to_do(change, inside, label, words):
    found = advice({**FACTS, **change, "inside": {**INSIDE, **inside}})
    assert list(found) == [label] and words in found[label]


def test_the_doctors_exit_code_and_page(monkeypatch, capsys):
    monkeypatch.setattr(start, "gather_facts", lambda: FACTS)
    assert start.run_check() == 0 and "All is well." in capsys.readouterr().out
    monkeypatch.setattr(start, "gather_facts", lambda: {**FACTS, "disk_gb": 0.1})
    assert start.run_check() == 1
    page = capsys.readouterr().out
    assert re.search(r"^TODO Free disk .*\n +-> free some space", page, flags=re.M) and "1 thing to do" in page


def test_the_doctors_facts_from_within(monkeypatch, tmp_path):
    env = {**os.environ, "MINIGPT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "facts.py")], capture_output=True, encoding="utf-8", env=env
    )
    facts = json.loads(done.stdout)
    assert set(facts) == set(INSIDE)
    assert facts["torch_error"] is None and facts["cache"] == str(tmp_path / "cache") and facts["cache_error"] is None
    assert os.path.samefile(facts["executable"], sys.executable) and facts["memory_gb"] > 0
    assert ["numpy", __import__("numpy").__version__] in facts["versions"]
