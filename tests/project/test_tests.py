"""Tests mirror the package: those of minigpt/X/Y.py are in tests/X/test_Y.py, or where the table below says.

And on several cores those of one group run in one process.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minigpt.experiments import measured

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path.relative_to(ROOT / "minigpt").with_suffix("").as_posix()
    for path in (ROOT / "minigpt").rglob("*.py")
    if not path.name.startswith("__")
)

CANARIES = "experiments/test_measured.py"  # measures a little of every table again and compares it with what is stored
STEPS = "experiments/instructgpt/test_three_steps.py"

# Module -> the test file that tests it, for those without one of their own.
ELSEWHERE = {
    # exercises are tested as the reader calls them: by chapter
    "exercises/ch01_model": "exercises/test_ch01.py",
    "exercises/ch01_training": "exercises/test_ch01.py",
    "exercises/ch02_model": "exercises/test_ch02.py",
    "exercises/ch02_writing": "exercises/test_ch02.py",
    "exercises/ch03_context": "exercises/test_ch03.py",
    "exercises/ch03_model": "exercises/test_ch03.py",
    "exercises/ch04_models": "exercises/test_ch04_second.py",
    "exercises/ch04_policy": "exercises/test_ch04_second.py",
    "exercises/ch05": "exercises/test_ch05_laws.py",  # names only, of ch05_laws and ch05_scaling
    "exercises/tensors": "exercises/test_ch01.py",  # what the checks of several chapters say of a wrong tensor
    # a table of one measurement is tested by its canary
    "experiments/gpt1/pretraining": CANARIES,
    "experiments/gpt2/baselines": CANARIES,
    "experiments/gpt2/overlap": CANARIES,
    "experiments/gpt2/zero_shot": CANARIES,
    "experiments/gpt4/choices": CANARIES,
    "experiments/gpt4/refusal_texts": CANARIES,
    "experiments/instructgpt/alignment_tax": CANARIES,
    "experiments/instructgpt/more_rankings": CANARIES,
    "experiments/instructgpt/shortened": CANARIES,  # what the canaries of chapter 04 have in common
    "experiments/instructgpt/tales_over_seeds": CANARIES,
    # parts of one story, tested together on one small dataset
    "experiments/instructgpt/figure1": STEPS,
    "experiments/instructgpt/reward_models": STEPS,
    "experiments/instructgpt/sft_epochs": STEPS,
    # what others are made of
    "experiments/gpt2/zero_shot_questions": "experiments/gpt2/test_demonstrations.py",
    "experiments/sizes": "experiments/gpt1/test_settings.py",  # sizes beside the paper's
    "experiments/token_files": "experiments/test_pretrain_gpt2.py",
}


def namesake(module: str) -> Path:
    *folders, name = module.split("/")
    return ROOT.joinpath("tests", *folders, f"test_{name}.py")


def test_every_module_has_a_test_file_of_its_name_or_stands_in_the_table():
    assert [module for module in MODULES if module not in ELSEWHERE and not namesake(module).exists()] == []


@pytest.mark.parametrize("module", ELSEWHERE)
def test_the_table_names_modules_without_a_namesake_and_files_that_exist(module):
    assert module in MODULES and (ROOT / "tests" / ELSEWHERE[module]).is_file()
    assert not namesake(module).exists(), f"{module} has a test file of its own now: take it out of the table"


def test_what_is_left_to_its_canary_has_one():
    tables = {f"experiments/{table}" for table in measured.tables()} | {"experiments/instructgpt/shortened"}
    assert {module for module, file in ELSEWHERE.items() if file == CANARIES} <= tables


SHARING = """
import os
import pytest
{mark}

@pytest.mark.parametrize("i", range(6))
def test_where(i):
    with open({log!r}, "a") as file:
        file.write("{name} " + os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""


@pytest.mark.slow
def test_on_several_cores_tests_of_one_file_and_of_one_group_run_in_one_process(tmp_path):
    """Otherwise what they share would be made once in every process (conftest.py)."""
    shutil.copy(ROOT / "conftest.py", tmp_path)
    log, group = tmp_path / "log.txt", 'pytestmark = pytest.mark.xdist_group("group")'
    for name, mark in (("alone", ""), ("one", group), ("two", group), ("other", "")):
        text = SHARING.format(name="group" if mark else name, mark=mark, log=str(log))
        (tmp_path / f"test_{name}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:nbval", "-n", "2", "--dist", "loadgroup"]
    ran = subprocess.run([*command, "-o", "markers=slow"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    lines = log.read_text().splitlines()
    assert len(lines) == 24 and sorted(line.split()[0] for line in set(lines)) == ["alone", "group", "other"]
