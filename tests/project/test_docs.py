"""The pages in docs/: every calculation is repeated, every command is one, every link leads somewhere."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from minigpt.experiments import measured, pretrain_gpt2

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
PARSER = doctest.DocTestParser()


def test_there_are_pages():
    assert {page.name for page in PAGES} >= {"beyond_the_laptop.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_calculation_is_right(page):
    text = page.read_text(encoding="utf-8")
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.failed == 0 and found.attempted == text.count("\n>>> ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_understood(page):
    lines = re.findall(r"^(?:\w+=\w+ )*python -m (minigpt[\w.]*)(.*)$", page.read_text(encoding="utf-8"), flags=re.M)
    for module, rest in lines:
        if module == "minigpt.experiments.pretrain_gpt2":
            pretrain_gpt2.parse(shlex.split(rest))
        else:
            assert module == "minigpt.experiments" and shlex.split(rest)[0].replace(".", "/") in measured.tables()


def test_the_options_that_are_explained_exist():
    text = (ROOT / "docs" / "beyond_the_laptop.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(--[\w-]+)", text)) - {"--table", "--into", "--out"}
    understood = pretrain_gpt2.parse(["--data", "x"])
    names = {name.replace("_", "-") for name in vars(understood)}
    assert told and {option[2:].removeprefix("no-") for option in told} <= names


def measured_rows() -> dict[tuple[str, str], float]:
    """The table in docs/beyond_the_laptop.md: (part, what) -> the median."""
    text = (ROOT / "docs" / "beyond_the_laptop.md").read_text(encoding="utf-8")
    cells = [line.strip("| ").split(" | ") for line in text.split("measured: benchmarks/gpu.py")[1].splitlines()]
    return {(row[0], row[1]): float(row[2].replace(",", "")) for row in cells if len(row) >= 4 and row[0] != "part"
            and not row[0].startswith("-")}  # fmt: skip


def test_the_words_agree_with_what_was_measured():
    text = (ROOT / "docs" / "beyond_the_laptop.md").read_text(encoding="utf-8")
    words, rows = " ".join(text.split("## Measured")[1].split("### All numbers")[0].split()), measured_rows()
    train, write = "train on cuda", "sampling on cuda"
    fused, parts = "compiled, bf16, fused attention, 64 windows", "compiled, bf16, a batch in parts, 64 windows x 8"
    exact = rows[train, f"{parts}: share of the peak (MFU)"]
    usual = rows[train, f"{parts}: MFU as 6 N + 12 layers width context"]
    eager = rows[train, "eager, bf16, fused attention, 32 windows: share of the peak (MFU)"]
    for claim in (
        f"{round(rows[train, f'{fused}: speed'], -3):,.0f} tokens per second, and "
        f"{round(rows[train, f'{parts}: speed'], -3):,.0f} in batches",
        f"In parts, that is {exact:.1f} % of the card's peak as this page counts, and {usual:.1f} % as others do",
        f"in one part, {rows[train, f'{fused}: share of the peak (MFU)']:.1f} % and "
        f"{rows[train, f'{fused}: MFU as 6 N + 12 layers width context']:.1f} %",
        f"Compiling makes {rows[train, f'{fused}: share of the peak (MFU)']:.0f} % of {eager:.0f} %",
        f"take {rows[train, f'{parts}: a step']:.3f} s, one part and one update "
        f"{rows[train, f'{fused}: a step']:.3f} s",
        f"it is {rows[train, 'eager, bf16, the formula, 16 windows: share of the peak (MFU)']:.0f} %",
        f"16 windows, {rows[train, 'eager, float32, fused attention, 16 windows: share of the peak (MFU)']:.0f} %",
        f"is {rows['chapter on cuda', 'held-out loss above the floor']:.5f} nats above the floor, on the CPU "
        f"{rows['chapter on cpu', 'held-out loss above the floor']:.5f}",
        f"its 4,500 steps take {4.5 * 1000 * rows['chapter on cuda', 'a step']:.0f} s by the median",
        f"the last {4500 - rows['chapter on cuda', 'steps made']:.0f} of 4,500 steps",
        f"one CPU thread of that machine took {rows['chapter on cpu', 'all steps']:.0f} s",
        f"a step takes {1000 * rows['chapter on cuda', 'a step']:.1f} ms",
        f"takes {rows['ppo on cuda', 'one iteration of PPO']:.2f} s, on the CPU "
        f"{rows['ppo on cpu', 'one iteration of PPO']:.2f} s",
        f"writes {rows[write, 'miniGPT, float32, batch 1']:.0f} tokens per second, and sixteen texts at once "
        f"{rows[write, 'miniGPT, float32, batch 16']:,.0f}",
        f"({rows[write, 'miniGPT without cache, float32, batch 1']:.0f} tokens per second without it",
        f"({rows[write, 'miniGPT without cache, float32, batch 16']:,.0f} without it",
        f"it is slower, at {rows[write, 'miniGPT, bfloat16, batch 1']:.0f},",
        f"alone the loss of the last step is {rows['processes on cuda', 'alone: loss of step 40']} nats per token, "
        "as one process of `torchrun` under NCCL "
        f"{rows['processes on cuda', 'torchrun, one process: loss of step 40']}, and "
        "sharded, stopped after 20 steps and continued, "
        f"{rows['processes on cuda', 'torchrun, sharded, continued: loss of step 40']}.",
        f"beginnings of all {rows['canaries on cuda', 'experiments whose beginning ran']:.0f} experiments",
        f"all {sum(value for (part, _), value in rows.items() if part == 'lessons on cuda'):.0f} code cells",
    ):
        assert claim in words, claim
    faster = [value for (_, what), value in rows.items() if what.endswith("speed / transformers")]
    assert [round(value, 1) for value in faster] == [1.5, 1.5, 1.6]
    assert round(100 * (1 - 229 / 4484), 2) == rows["canaries on cuda", "numbers within 0.1 % of the CPU's"]
    assert rows["canaries on cuda", "numbers that are nan"] == 0
    gaps = [value for (_, what), value in rows.items() if what.startswith("greatest difference of 200 losses")]
    assert len(gaps) == 3 and max(gaps) < 1e-6
