"""The benchmark for a GPU runs: every part with tiny sizes on the CPU, and what comes of parts that fail."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("gpu", ROOT / "benchmarks" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_every_part_runs_with_tiny_sizes(gpu, tmp_path, capsys):
    assert gpu.main(["--tiny", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "gpu.json").read_text())
    parts = {name: each for name, each in found["parts"].items()}
    assert set(parts) == {f"{part} on cpu" for part in gpu.GPU_PARTS}
    failed = [note for each in parts.values() for note in each["notes"] if "transformers was not" not in note]
    assert failed == [] and all(each["error"] is None and each["rows"] for each in parts.values())
    speeds = [row["what"] for row in parts["train on cpu"]["rows"] if row["unit"] == "tokens/s"]
    assert len(speeds) == 6
    gap = found["compared"][0]
    assert "cpu formula and cpu fused" in gap["what"] and 0 <= gap["value"] < 1e-3
    assert capsys.readouterr().out.count("\n| ") > 30


def test_a_part_that_fails_or_hangs_costs_only_itself(gpu, tmp_path, monkeypatch):
    def breaks(device, tiny, log):
        log.row("before", 1.0, "s")
        with log.trying("a detail"):
            raise OSError("not here")
        raise RuntimeError("broken")

    monkeypatch.setitem(gpu.ACTS, "ppo", breaks)
    found = gpu.everything(tmp_path, True, 60, ["ppo"], processes=False)
    part = found["parts"]["ppo on cpu"]
    assert part["rows"][0]["value"] == 1.0 and part["notes"][0].startswith("a detail failed: OSError: not here")
    assert "RuntimeError: broken" in part["error"]
    words = gpu.table(found)
    assert "- ppo on cpu: RuntimeError: broken" in words and "| ppo on cpu | before | 1 | s |" in words
    sleeper = gpu.subprocess.Popen(["sleep", "60"], start_new_session=True)
    assert gpu.end(sleeper, 0.2) == "cut off at its time limit" and sleeper.returncode is not None


def test_commands_run_side_by_side_and_what_takes_too_long_is_cut_off(gpu, tmp_path):
    log, python = gpu.Log(tmp_path / "log.json", "some", "cpu", 12.0), gpu.sys.executable
    commands = [[python, "-c", "print(1)"], [python, "-c", "raise SystemExit(3)"]]
    assert gpu.side_by_side(commands, 2, log, tmp_path) == [None, "ended with code 3"]
    assert gpu.told("ended with code 3", tmp_path / "0.txt") == "ended with code 3: 1"
    assert gpu.told("ended with code 3", tmp_path / "1.txt") == "ended with code 3: it said nothing"
    log.end = gpu.time.perf_counter() + 10.3
    sleepers = [[python, "-c", "import time; time.sleep(60)"]] * 2
    with gpu.mock.patch.object(log, "left", lambda times=iter([11.0, 4.0, 4.0]): next(times)):
        wrong = gpu.side_by_side(sleepers, 1, log, tmp_path)
    assert wrong == ["cut off at its time limit", "not begun: no time was left"]


def test_errors_in_a_notebook_are_told_by_cell(gpu):
    def output(kind, **more):
        return gpu.argparse.Namespace(output_type=kind, **more)

    cell = {"outputs": [output("stream"), output("error", ename="ValueError", evalue="two\n lines")]}
    assert gpu.errors_of(7, cell) == [{"cell": 7, "error": "ValueError: two lines"}] and gpu.errors_of(8, {}) == []


def test_an_experiment_that_fails_does_not_keep_the_next_one_from_running(gpu, tmp_path, monkeypatch):
    from minigpt.experiments import __main__, measured

    def canary(name):
        if name == "a/broken":
            raise RuntimeError("not here")
        return {"loss": 2.5, "gap": 1.0, "lost": float("nan")}

    monkeypatch.setattr(__main__, "canary", canary)
    stored = {"loss": 2.501, "gap": 1.1, "lost": 3.0}
    monkeypatch.setattr(measured, "about", lambda name: {"canary": {"values": stored}})
    gpu.measure_canaries(["a/broken", "a/fine"], tmp_path / "found.jsonl")
    broken, fine = gpu.lines_of(tmp_path / "found.jsonl")
    assert broken["error"].startswith("RuntimeError: not here")
    assert (fine["error"], fine["n"], fine["nan"], list(fine["far"])) == (None, 3, 1, ["gap", "lost"])
    with open(tmp_path / "found.jsonl", "a") as file:
        file.write('{"name": "cut o')
    assert len(gpu.lines_of(tmp_path / "found.jsonl")) == 2 and gpu.lines_of(tmp_path / "none.jsonl") == []


def test_a_notebook_has_one_row_in_the_table(gpu):
    def row(what, value):
        return {"what": what, "value": value, "unit": "cells"}

    rows = [row("a: cells that ran, of 9", 8), row("a: cells with an error", 1), row("a: all of it", 2.5),
            row("b: cells that ran, of 3", 3), row("b: cells with an error", 0), row("c: all of it", 4.0)]  # fmt: skip
    part = {"rows": rows, "notes": ["a, cell 2: no. What to try: again"], "error": None}
    found = {"date": "today", "seconds": 1.0, "tiny": False, "machine": {}, "parts": {"some": part}, "compared": []}
    words = gpu.table(found)
    assert [line for line in words.splitlines() if line.startswith("| some")] == [
        "| some | a: cells that ran, of 9, with an error: 1 | 8 | cells |  |  |",
        "| some | b: cells that ran, of 3, with an error: 0 | 3 | cells |  |  |",
        "| some | c: all of it | 4 | cells |  |  |",
    ]
    assert words.endswith("- some: a, cell 2: no.")


def test_losses_are_read_from_what_a_run_prints(gpu):
    words = "1,000 parameters\nstep 1 of 4: loss 5.123, rate 0.1\n  held-out loss 5.0\nstep 4 of 4: loss 4.25, rate 0"
    assert gpu.losses_said(words) == {1: 5.123, 4: 4.25}


def test_gpu_and_cpu_are_compared(gpu):
    def part(**rows):
        return {"rows": [{"what": what.replace("_", " "), "value": value} for what, value in rows.items()], "more": {}}

    parts = {"ppo on cpu": part(one_iteration_of_PPO=3.0), "ppo on cuda": part(one_iteration_of_PPO=0.5)}
    parts |= {"parity on cpu": part(), "parity on cuda": part()}
    parts["parity on cpu"]["more"] = {"formula": [2.0, 1.0]}
    parts["parity on cuda"]["more"] = {"fused": [2.0, 1.25]}
    rows = {row["what"]: row["value"] for row in gpu.compared(parts)}
    assert rows == {
        "greatest difference of 2 losses, cpu formula and cuda fused": 0.25,
        "ppo, one iteration: one CPU thread / GPU": 6.0,
    }


def test_the_table_goes_into_a_page_and_replaces_the_one_before(gpu, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"a\n{gpu.PLACE}\nold\n{gpu.PLACE}\nb\n", encoding="utf-8")
    gpu.into(page, "new")
    gpu.into(page, "newer")
    assert page.read_text(encoding="utf-8") == f"a\n{gpu.PLACE}\n\nnewer\n\n{gpu.PLACE}\nb\n"
    page.write_text("no place", encoding="utf-8")
    with pytest.raises(ValueError, match="twice"):
        gpu.into(page, "new")
