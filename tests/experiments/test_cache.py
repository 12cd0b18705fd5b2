"""The cache of trained models: which edit makes which kind of model stale, and what a key can describe."""

import ast
import functools
import importlib
import json
import linecache
import os
import shutil
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import minigpt
from minigpt.experiments import cache
from minigpt.experiments.cache import cached, code_key, describe

PACKAGE = Path(minigpt.__file__).parent
# Every module that defines how a cached result is built: a model, or a dataset, which comes before any model.
DATASET = "minigpt.experiments.dataset"
MODELS = {
    "minigpt.experiments." + name
    for name in (
        "pretraining", "own_text", "instructgpt.step1_sft", "instructgpt.step2_reward_model", "instructgpt.step3_ppo",
        "instructgpt.three_steps", "gpt4.scaling_runs", "gpt4.languages_exam", "gpt4.held_out_pictures",
        "gpt4.refusals", "gpt4.reward_offset",
    )
}  # fmt: skip
KINDS = MODELS | {DATASET}
PARSE = ast.parse
WRITE_WITH_THE_SAMPLER = {
    "instructgpt.step2_reward_model", "instructgpt.step3_ppo", "instructgpt.three_steps", "gpt4.refusals",
    "gpt4.reward_offset",
}  # fmt: skip


def test_no_kind_of_cached_model_is_missing_here():
    found = set()
    for path in (PACKAGE / "experiments").rglob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        if {getattr(call, "id", getattr(call, "attr", "")) for call in calls} & {"cached", "train_or_load"}:
            found.add(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    assert found - {"minigpt.experiments.training"} == KINDS


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the package that the keys are computed from: edit(file, old, new) changes it, keys() reads it."""
    folder = tmp_path / "minigpt"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    stored = (cache.closure, cache.imports, cache.syntax, cache._path)

    def forget():
        for function in stored:
            function.cache_clear()

    def keys():
        forget()
        return {kind: code_key(kind) for kind in KINDS}

    def edit(file, old, new):
        text = (folder / file).read_text("utf-8")
        assert old in text, f"{file} does not contain {old!r} any more: choose another edit"
        (folder / file).write_text(text.replace(old, new, 1), "utf-8")

    with monkeypatch.context() as patch:
        patch.setattr(minigpt, "__file__", str(folder / "__init__.py"))
        patch.setattr(cache.ast, "parse", functools.lru_cache(maxsize=None)(PARSE))  # most texts stay as they are
        patch.setattr(cache, "_bare", functools.lru_cache(maxsize=None)(cache._bare))
        yield types.SimpleNamespace(edit=edit, keys=keys, folder=folder)
    forget()


STALE = {  # edit -> the kinds of model that it makes stale
    "attention: the scale": (("attention.py", "math.sqrt(q.shape[-1])", "q.shape[-1]"), MODELS),
    "model: a layer": (("model.py", "class Block", "EXTRA = 1\n\n\nclass Block"), MODELS),
    "loss: what is ignored": (("loss.py", "ignore_index=IGNORED", "ignore_index=0"), MODELS),
    "optimiser: its betas": (("train.py", "tuple(config.betas)", "(0.9, 0.999)"), MODELS),
    "sampler: a draw": (
        ("sample.py", "cumulative[:, -1:] <= u", "cumulative[:, -1:] < u"),
        {f"minigpt.experiments.{name}" for name in WRITE_WITH_THE_SAMPLER},
    ),
    "settings: a learning rate": (("experiments/sizes.py", "lr=3e-3", "lr=2e-3"), {"minigpt.experiments.pretraining"}),
    "world: how often a story": (
        ("worlds/stories.py", '"story": 0.48', '"story": 0.47'), {"minigpt.experiments.pretraining", DATASET},
    ),
    "tokenizer: the order of tokens": (("tokenizer.py", "endoftext(self) -> int:", "endoftext(self, n=0) -> int:"), KINDS),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", STALE)
def test_a_change_of_the_code_makes_stale_what_it_can_change(copy, what):
    (file, old, new), expected = STALE[what]
    before = copy.keys()
    copy.edit(file, old, new)
    changed = {kind for kind, key in copy.keys().items() if key != before[kind]}
    assert expected <= changed and (DATASET in expected) == (DATASET in changed)
    copy.edit(file, new, old)
    assert copy.keys() == before


def append(text):
    return lambda folder, file: (folder / file).write_text((folder / file).read_text("utf-8") + text, "utf-8")


def docstrings(folder, file):
    text = (folder / file).read_text("utf-8")
    assert text.startswith('"""') and '\n    """' in text
    text = text.replace('"""', '"""Other words. ', 1).replace('\n    """', '\n    """Others. ', 1)
    (folder / file).write_text(text, "utf-8")


def rewrapped(folder, file):
    """The same syntax on other lines."""
    tree = ast.parse((folder / file).read_text("utf-8"))
    (folder / file).write_text(ast.unparse(tree), "utf-8")


FRESH = {
    "a docstring": (docstrings, ("attention.py", "train.py", "loss.py", "experiments/pretraining.py")),
    "a comment": (append("\n# a comment\n"), ("attention.py", "train.py", "worlds/stories.py", "experiments/cache.py")),
    "a re-wrapped file": (rewrapped, ("attention.py", "train.py", "sample.py", "worlds/lexicon.py")),
    "a plot": (append("\nMORE = 1\n"), ("plots/style.py", "plots/curves.py", "notebook/display.py")),
    "an exercise, a number of a paper": (append("\nMORE = 1\n"), ("exercises/ch01.py", "papers.py")),
    "the cache and the measured tables": (append("\nMORE = 1\n"), ("experiments/cache.py", "experiments/measured.py")),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", FRESH)
def test_a_change_that_cannot_change_a_model_retrains_none(copy, what):
    change, files = FRESH[what]
    before = copy.keys()
    for file in files:
        old = (copy.folder / file).read_text("utf-8")
        change(copy.folder, file)
        assert (copy.folder / file).read_text("utf-8") != old
    assert copy.keys() == before


@pytest.mark.slow
def test_other_data_make_another_key(copy):
    """The world is edited, and the data that a changed package draws are described: another checksum."""
    script = ("import json; from minigpt.experiments import dataset; from minigpt.experiments.cache import describe;"
              "print(json.dumps(describe(dataset.story_dataset(20, 2))))")  # fmt: skip

    def described():
        told = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONPATH": str(copy.folder.parent)}, cwd=copy.folder.parent,
        )  # fmt: skip
        return json.loads(told.stdout)

    before = described()
    copy.edit("worlds/stories.py", '"story": 0.48', '"story": 0.1')
    assert described() != before


@pytest.mark.slow
def test_the_closure_follows_imports_within_functions_and_packages(copy):
    append("\n\ndef hidden():\n    from minigpt.worlds import shapes\n")(copy.folder, "loss.py")
    before = copy.keys()
    append("\nMORE = 1\n")(copy.folder, "worlds/shapes.py")
    after = copy.keys()
    assert all(before[kind] != after[kind] for kind in MODELS)
    copy.edit("__init__.py", '"""', '"""Other words. ')
    assert copy.keys() == after
    append("\nMORE = 1\n")(copy.folder, "__init__.py")
    assert all(after[kind] != key for kind, key in copy.keys().items())


# --- values -----------------------------------------------------------------------------------------------------------


def times(n):
    return lambda x: n * x


def test_a_function_is_described_by_its_code_and_by_what_it_captures():
    assert describe(times(2)) == describe(times(2)) != describe(times(3))

    def step(x, size=1):
        return x + size

    def other(x, size=2):
        return x + size

    assert describe(step) != describe(other)


def notebook(source, **names):
    """A function as a notebook cell defines it."""
    namespace = {"__name__": "__main__", **names}
    exec(source, namespace)
    return namespace["f"]


def test_a_function_of_a_notebook_is_described_by_its_globals():
    source = "def f(x):\n    return WEIGHT * x\n"
    assert describe(notebook(source, WEIGHT=1)) == describe(notebook(source, WEIGHT=1, OTHER=5))
    assert describe(notebook(source, WEIGHT=1)) != describe(notebook(source, WEIGHT=2))
    assert describe(notebook(source, WEIGHT=1)) != describe(notebook(source.replace("*", "+"), WEIGHT=1))
    nested = "def f(x):\n    def g():\n        return WEIGHT\n    return g() * x\n"
    assert describe(notebook(nested, WEIGHT=1)) != describe(notebook(nested, WEIGHT=2))
    calls = "def h():\n    return WEIGHT\ndef f(x):\n    return h() * x\n"
    assert describe(notebook(calls, WEIGHT=1)) != describe(notebook(calls, WEIGHT=2))
    again = "def f(x):\n    return f(x - 1) if x else 0\n"
    assert describe(notebook(again)) == describe(notebook(again))


@dataclass(frozen=True)
class Settings:
    rate: float
    sizes: tuple


class Opaque:
    pass


def test_arrays_models_and_settings_are_described_by_their_content():
    array = np.arange(6.0)
    assert describe(array) == describe(array.copy()) != describe(array[::-1])
    assert describe(array) != describe(array.reshape(2, 3)) and describe(array) != describe(array.astype(np.float32))
    tensor = torch.arange(6).reshape(2, 3)
    assert describe(tensor.T) == describe(tensor.T.contiguous()) != describe(tensor)
    assert describe(torch.ones(2, dtype=torch.bfloat16)) == describe(torch.ones(2, dtype=torch.bfloat16))
    model, same_model = nn.Linear(2, 2), nn.Linear(2, 2)
    assert describe(model) != describe(same_model)
    same_model.load_state_dict(model.state_dict())
    assert describe(model) == describe(same_model)
    assert describe(Settings(0.1, (1, 2))) == describe(Settings(0.1, (1, 2))) != describe(Settings(0.1, (2, 1)))
    assert describe({"a": 1}) != describe({"a": "1"}) and describe(float("nan")) == describe(float("nan"))
    assert describe({3, 1, 2}) == describe({2, 3, 1}) != describe({1, 2})
    assert json.loads(json.dumps(describe([array, model, Settings(0.1, ()), Path("a"), np.float32(1)])))


@pytest.mark.parametrize("value", [Opaque(), object(), [Opaque()], {"a": Opaque()}, Settings(Opaque(), ())])
def test_what_has_no_checksum_is_refused(value, tmp_path):
    with pytest.raises(ValueError, match="has no checksum"):
        describe(value)
    with pytest.raises(ValueError, match="has no checksum"):
        cached("some", {"value": value}, lambda: ({}, {}), folder=tmp_path)


def test_every_module_of_the_package_has_a_key():
    for kind in KINDS:
        assert len(code_key(kind)) == 64 and importlib.import_module(kind)
    assert len({code_key(kind) for kind in KINDS}) == len(KINDS)


def run_cell(code, names):
    """Run a cell as a notebook does, which keeps its source where `inspect` looks."""
    place = f"cell {len(code)} {hash(code)}"
    linecache.cache[place] = len(code), None, code.splitlines(keepends=True), place
    exec(compile(code, place, "exec"), names)


def test_a_class_of_a_notebook_is_described_by_what_stands_in_it():
    def made(answer, size=3):
        code = f"""
class Base:
    def f(self):
        return {answer}

class Kind(Base):
    size = {size}

    def g(self):
        return super().f()
"""
        names = {"__name__": "__main__"}
        run_cell(code, names)
        return names["Kind"]

    assert describe(made(1)) == describe(made(1))
    assert describe(made(1)) != describe(made(2)) and describe(made(1)) != describe(made(1, size=4))


def test_a_method_of_a_builtin_object_is_described_with_its_object():
    assert describe({"a": 1}.get) == describe({"a": 1}.get) != describe({"a": 2}.get)
    assert describe(len) == describe(len) != describe(sum)


def test_two_lambdas_of_one_statement_are_told_apart():
    one, two = {"a": lambda x: x + 1, "b": lambda x: x + 2}.values()
    assert describe(one) == describe(one) != describe(two)


def test_a_model_of_a_notebook_is_described_with_its_class():
    def made(times):
        code = f"class Net(nn.Linear):\n    def forward(self, x):\n        return {times} * super().forward(x)\n"
        names = {"__name__": "__main__", "nn": nn}
        run_cell(code, names)
        net = names["Net"](1, 1)
        net.load_state_dict({"weight": torch.ones(1, 1), "bias": torch.zeros(1)})
        return net

    assert describe(made(1)) == describe(made(1)) != describe(made(2))


def test_a_dataclass_of_a_notebook_is_described_with_its_class():
    def made(times):
        code = "@dataclass\nclass Reward:\n    weight: float = 1.0\n\n"
        code += f"    def __call__(self, x):\n        return {times} * x\n"
        names = {"__name__": "__main__", "dataclass": dataclass}
        run_cell(code, names)
        return names["Reward"]()

    assert describe(made(1)) == describe(made(1)) != describe(made(2))
