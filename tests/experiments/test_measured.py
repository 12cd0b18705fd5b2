"""Measured tables: read, chosen from, kept, and still true."""

import importlib
import pkgutil
import re
import subprocess

import numpy as np
import pytest
import torch

import minigpt.experiments
from minigpt.experiments import __main__ as runner
from minigpt.experiments import measured

TABLES = measured.tables()


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_the_canary_of_a_table_gives_the_stored_numbers(table):
    """If this fails, the experiment has changed: measure the table again, or undo the change."""
    assert measured.changed(measured.about(table)["canary"]["values"], runner.canary(table)) == []


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_a_module_and_says_where_it_is_from(table):
    module = importlib.import_module("minigpt.experiments." + table.replace("/", "."))
    assert re.match(r"Chapters? \d\d", module.__doc__), "an experiment begins by saying to which chapter it belongs"
    rows = measured.rows(table)
    assert set(module.KEY) < set(rows[0]) and {int(row["seed"]) for row in rows} == set(module.SEEDS)
    assert len({tuple(row[name] for name in module.KEY) for row in rows}) == len(rows)
    for what in ("measured", "canary"):
        said = measured.about(table)[what]
        assert re.fullmatch(r"[0-9a-f]{12}", said["commit"]), "commit the code first, then measure, or store the canary"
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", said["date"])
        assert {"torch", "numpy", "python"} <= said["versions"].keys()


# Written and tested, but not measured: no chapter may show them before their tables are here.
NOT_YET: set[str] = set()


def test_every_experiment_that_measures_has_a_table():
    names = [m.name for m in pkgutil.walk_packages(minigpt.experiments.__path__, "minigpt.experiments.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    measuring = {m.__name__.removeprefix("minigpt.experiments.").replace(".", "/") for m in modules if hasattr(m, "KEY")}
    assert measuring == set(TABLES) | NOT_YET and not NOT_YET & set(TABLES)
    assert all(callable(m.rows) and callable(m.canary) for m in modules if hasattr(m, "KEY"))


def test_a_commit_is_dirty_by_code_and_not_by_the_table_that_is_being_measured(tmp_path):
    def git(*words):
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    assert measured.commit(tmp_path) == "unknown"
    (tmp_path / "minigpt").mkdir()
    (tmp_path / "data" / "measured").mkdir(parents=True)
    code, table = tmp_path / "minigpt" / "code.py", tmp_path / "data" / "measured" / "table.csv"
    for path in (code, table):
        path.write_text("1")
    for words in (("init",), ("add", "."), ("commit", "-m", "first")):
        git(*words)
    clean = measured.commit(tmp_path / "minigpt")
    assert len(clean) == 12 and set(clean) <= set("0123456789abcdef")
    table.write_text("2")
    assert measured.commit(tmp_path / "minigpt") == clean
    code.write_text("2")
    assert measured.commit(tmp_path / "minigpt") == f"{clean}-dirty"


def test_a_changed_number_is_seen():
    assert measured.changed({"loss": 2.0}, {"loss": 2.0001}) == []
    assert measured.changed({"loss": 2.0}, {"loss": 2.001}) == ["loss: 2 became 2.001"]
    assert measured.changed({"loss": 2.0}, {"rate": 2.0}) == ["loss: only before", "rate: only now"]
    assert measured.changed({"loss": 2.0}, {"loss": float("nan")}) == ["loss: 2 became nan"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path)
    return tmp_path


KEY = ("seed", "task", "K")


def test_rows_are_kept_once_sorted_and_say_where_they_are_from(folder):
    measured.keep("paper/some", [{"seed": 1, "task": "sum", "K": 2, "value": "0.1"}], KEY)
    measured.keep("paper/some", [{"seed": 0, "task": "sum", "K": 2, "value": "0.2"}], KEY)
    measured.keep_canary("paper/some", {"loss": 2.5})
    measured.keep("paper/some", [{"seed": 1, "task": "sum", "K": 2, "value": "0.3"}], KEY)
    assert measured.tables() == ["paper/some"]
    assert [(row["seed"], row["value"]) for row in measured.rows("paper/some")] == [("0", "0.2"), ("1", "0.3")]
    said = measured.about("paper/some")
    assert said["canary"]["values"] == {"loss": 2.5} and said["measured"]["versions"]["torch"] == torch.__version__


def test_a_missing_table_says_how_to_measure_it(folder):
    with pytest.raises(ValueError, match=r"paper/none\.csv; got none: measure.*python -m minigpt\.experiments paper\.none"):
        measured.rows("paper/none")


def test_one_number_a_seed(folder):
    rows = [
        {"seed": seed, "task": task, "K": K, "value": f"{seed + K / 10:.1f}", "other": -seed}
        for seed in (10, 9) for task in ("sum", "product") for K in (0, 8)
    ]  # fmt: skip
    measured.keep("some", rows, KEY)
    np.testing.assert_allclose(measured.get("some", task="sum", K=8), [9.8, 10.8])
    np.testing.assert_allclose(measured.get("some", task="sum", K="8"), [9.8, 10.8])
    np.testing.assert_allclose(measured.get("some", "other", task="sum", K=0.0), [-9, -10])
    with pytest.raises(ValueError, match=r"no column \['level'\]; expected some of \['seed', 'task', 'K'"):
        measured.get("some", level=3)
    with pytest.raises(ValueError, match=r"no row of .* has .*'task': 'difference'.*there are .*'product', 'sum'"):
        measured.get("some", task="difference")
    with pytest.raises(ValueError, match=r"several rows .* choose also from .'K': .'0', '8'."):
        measured.get("some", task="sum")


def test_measured_rows_are_kept_once_and_say_where_they_are_from(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")
    key = ("seed", "quantity")
    measured.keep("some", [{"seed": 1, "quantity": "gap", "value": "0.1"}], key)
    measured.keep("some", [{"seed": 0, "quantity": "gap", "value": "0.2"}], key)
    measured.keep("some", [{"seed": 1, "quantity": "gap", "value": "0.3"}], key)
    assert [(row["seed"], row["value"]) for row in measured.rows("some")] == [("0", "0.2"), ("1", "0.3")]
    measured.keep_canary("some", {"loss": 2.5})
    said = measured.about("some")
    assert said["canary"]["values"] == {"loss": 2.5} and said["measured"]["versions"]["torch"] == torch.__version__
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?|unknown", said["measured"]["commit"])


@pytest.mark.parametrize(
    "words",
    [["gpt3"], ["gpt1.settings", "--canary"], ["gpt3.in_context", "--store"], ["--replay", "0"],
     ["gpt3.in_context", "1", "--replay", "0"]],
)  # fmt: skip
def test_a_command_line_that_makes_no_sense_is_refused_in_words(words, monkeypatch, capsys):
    for name in ("measure", "replay", "check_canary"):
        monkeypatch.setattr(runner, name, lambda *_: pytest.fail("nothing should be measured"))
    with pytest.raises(SystemExit) as stopped:
        runner.main(words)
    assert stopped.value.code == 2 and "error:" in capsys.readouterr().err


def test_rows_of_other_columns_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path)
    measured.keep("made_up", [{"seed": 0, "value": "1"}], ("seed",))
    for row in ({"seed": 1, "value": "1", "more": "2"}, {"value": "1"}):
        with pytest.raises(ValueError, match="expected rows with the columns"):
            measured.keep("made_up", [row], ("seed",))
    assert measured.rows("made_up") == [{"seed": "0", "value": "1"}]
