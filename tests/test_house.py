"""The floor plan of minigpt/__init__.py, held by reading the source: nothing here trusts what a room says of itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "minigpt"

WEST = {
    "lexicon": 0, "grammar": 0, "tokens": 0, "papers": 0, "scaling": 0, "prompts": 0, "overlap": 0,
    "optimum": 0, "encyclopedia": 0, "pictures": 0, "calibration": 0, "tongues": 0, "laws": 1, "world": 1, "corpus": 1,
    "assistant": 1, "gpt2_tokens": 1, "truth": 2, "tasks": 2, "families": 2,
}  # fmt: skip
EAST = {
    "attention": 0, "loss": 0, "model": 1, "sample": 1, "train": 2, "checkpoint": 2, "published": 2,
    "vision": 2, "reward": 2, "ppo": 3,
}  # fmt: skip
ROOF = {"show", "progress", "widgets", "charts"}
# Chapters, tests and benchmarks start in the classroom; it may import every room, no room imports it.
CLASSROOM = {
    "classroom", "examiner", "zeroshot", "changes", "decoding", "memory", "incontext", "studies", "directions",
    "smallworld", "museum", "labeling", "alignment", "ladder", "seeing", "certainty", "exam", "guard", "recall",
}  # fmt: skip

WEST_NEVER = {"torch", "transformers", "safetensors", "matplotlib", "ipywidgets", "IPython"}
EAST_NEVER = {"tiktoken", "regex", "transformers", "matplotlib", "ipywidgets", "IPython"}


def rooms() -> dict[str, ast.Module]:
    """Room name -> its syntax tree."""
    paths = sorted(path for path in PACKAGE.glob("*.py") if path.name != "__init__.py")
    return {path.stem: ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in paths}


ROOMS = rooms()


def imports(tree: ast.AST) -> tuple[set[str], set[str]]:
    """(other rooms, outside packages) that a syntax tree imports anywhere, also inside functions."""
    inside, outside = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = ("minigpt." if node.level else "") + (node.module or "")
            module = module.rstrip(".")
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "minigpt" else [module]
        else:
            continue
        for name in names:
            top, *rest = name.split(".")
            if top == "minigpt":
                inside.add(rest[0] if rest else "minigpt")
            else:
                outside.add(top)
    return inside, outside


def breaches(room: str, tree: ast.AST) -> list[str]:
    """What in a room is against the floor plan; [] if nothing is."""
    inside, outside = imports(tree)
    if room in CLASSROOM:
        return [f"{room} imports {name}, which is for readers only" for name in sorted(inside & {"exercises"})]
    if room in ROOF:
        return [f"{room} is on the roof, but imports {name}" for name in sorted(inside - ROOF)]
    wing, never = (WEST, WEST_NEVER) if room in WEST else (EAST, EAST_NEVER)
    found = [f"{room} imports {name}, which its wing never does" for name in sorted(outside & never)]
    for name in sorted(inside):
        if name not in wing:
            found.append(f"{room} imports {name}, which is not in its wing")
        elif wing[name] >= wing[room]:
            found.append(f"{room} (floor {wing[room]}) imports {name} (floor {wing[name]}): imports run downward only")
    return found


def test_every_room_has_a_place():
    unplaced = sorted(set(ROOMS) - set(WEST) - set(EAST) - ROOF - CLASSROOM)
    assert not unplaced, f"give these a wing and a floor in test_house.py and in minigpt/__init__.py: {unplaced}"
    missing = sorted((set(WEST) | set(EAST) | ROOF | CLASSROOM) - set(ROOMS))
    assert not missing, f"these rooms are in the plan but not in minigpt/: {missing}"


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_downward_and_the_wings_never_meet(room):
    assert breaches(room, ROOMS[room]) == []


@pytest.mark.parametrize(
    ("room", "source", "count"),
    [
        ("world", "import torch", 1),
        ("world", "from minigpt import grammar, lexicon", 0),
        ("world", "from minigpt.truth import floor", 1),
        ("world", "def f():\n    from . import corpus", 1),
        ("grammar", "from minigpt.lexicon import LEXICON", 1),
        ("model", "from minigpt.attention import attention\nimport torch.nn as nn", 0),
        ("model", "from .world import documents\nimport tiktoken", 2),
        ("show", "from minigpt import model", 1),
        ("widgets", "from minigpt import show", 0),
        ("sample", "import minigpt", 1),
        ("truth", "from minigpt import grammar\nfrom minigpt.corpus import Corpus", 0),
        ("tasks", "from minigpt import world", 0),
        ("grammar", "from minigpt import classroom", 1),
        ("train", "from minigpt.classroom import storybook", 1),
        ("show", "from minigpt import classroom", 1),
        ("classroom", "import torch\nfrom minigpt import world, model, show", 0),
        ("classroom", "from minigpt.exercises import ch00", 1),
        ("world", "from minigpt import exercises", 1),
    ],
)
def test_the_plan_is_able_to_refuse(room, source, count):
    assert len(breaches(room, ast.parse(source))) == count


def test_the_package_itself_has_no_code():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) and len(tree.body) == 1


def test_the_floor_plan_in_the_docstring_is_this_one():
    text = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")))
    written = {name: int(floor) for name, floor in re.findall(r"^ +(\w+) +floor (\d)", text, flags=re.M)}
    assert written == WEST | EAST
    assert ROOF | CLASSROOM <= set(re.findall(r"^ +(\w+)  ", text, flags=re.M))


@pytest.mark.parametrize("room", ROOMS)
def test_everything_public_says_what_it_is(room):
    assert ast.get_docstring(ROOMS[room]), f"{room} has no docstring"
    defined = [node for node in ROOMS[room].body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert [node.name for node in defined if not node.name.startswith("_") and not ast.get_docstring(node)] == []


DRAWS = {
    "rand",
    "randn",
    "randint",
    "randperm",
    "multinomial",
    "bernoulli",
    "normal",
    "rand_like",
    "randn_like",
    "normal_",
    "uniform_",
    "bernoulli_",
    "random_",
    "exponential_",
    "trunc_normal_",
    "poisson",
}
NUMPY = ("np.random", "numpy.random")
SEEDS = {"manual_seed", "manual_seed_all", "seed_all", "set_rng_state"}


def dotted(node: ast.expr) -> str:
    """`np.random.rand` for the expression of that name, with `?` for anything that is not a name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def inside_fork_rng(tree: ast.AST) -> set[ast.AST]:
    """Everything under a `with torch.random.fork_rng(...)`, which puts the global generator back as it was."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
    blocks = [node for node in blocks if any("fork_rng" in ast.dump(item.context_expr) for item in node.items)]
    return {inner for block in blocks for inner in ast.walk(block)}


def global_chance(tree: ast.AST, seeds_its_own: bool = False) -> list[str]:
    """Calls that print, seed, or draw from a hidden global generator.

    nn.Dropout takes no generator; train runs each step under fork_rng with a seed made from the caller's generator.
    The classroom makes a generator of its own from the seed that it is given: torch.Generator().manual_seed(seed).
    """
    found, forked = [], inside_fork_rng(tree)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = dotted(call.func)
        owner, _, last = name.rpartition(".")
        keywords = {keyword.arg for keyword in call.keywords}
        generator_made = isinstance(call.func, ast.Attribute) and owner.split(".")[-1] in ("generator", "rng")
        hidden = (
            name == "print"
            or last in SEEDS
            and not generator_made
            and call not in forked
            and not (seeds_its_own and ast.unparse(call.func) == "torch.Generator().manual_seed")
            or owner == "random"
            and last not in ("Random",)
            or owner in NUMPY
            and last not in ("default_rng", "Generator", "PCG64", "SeedSequence")
            or last in DRAWS
            and not generator_made
            and owner not in (*NUMPY, "random")
            and "generator" not in keywords
        )
        if hidden:
            found.append(f"line {call.lineno}: {name}(...)")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_no_prints_no_seeds_no_hidden_chance(room):
    assert global_chance(ROOMS[room], seeds_its_own=room in CLASSROOM) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("print('x')", 1),
        ("torch.manual_seed(0)", 1),
        ("torch.Generator().manual_seed(0)", 1),
        ("generator.manual_seed(0)", 0),
        ("random.shuffle(x)", 1),
        ("random.Random(3).random()", 0),
        ("rng.random()", 0),
        ("np.random.seed(0); np.random.rand(3)", 2),
        ("np.random.default_rng(3).permutation(4)", 0),
        ("torch.randn(3)", 1),
        ("torch.randn(3, generator=generator)", 0),
        ("x.normal_(0, 1)", 1),
        ("x.normal_(0, 1, generator=g); torch.multinomial(p, 1, generator=g)", 0),
        ("with torch.random.fork_rng():\n    torch.manual_seed(1)\ntorch.manual_seed(1)", 1),
    ],
)
def test_hidden_chance_is_found(source, count):
    assert len(global_chance(ast.parse(source))) == count


def test_only_the_classroom_makes_generators_and_never_seeds_the_global_one():
    own, hidden = ast.parse("torch.Generator().manual_seed(seed)"), ast.parse("torch.manual_seed(seed)")
    assert global_chance(own, seeds_its_own=True) == []
    assert len(global_chance(own)) == len(global_chance(hidden, seeds_its_own=True)) == 1


def test_importing_every_room_is_silent_offline_and_draws_nothing():
    code = """
import random, socket, sys
def refuse(*args, **kwargs): raise RuntimeError("a room opened a connection while it was imported")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import numpy as np, torch
def state(): return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
before, threads = state(), torch.get_num_threads()
import importlib
for room in sys.argv[1:]:
    importlib.import_module("minigpt." + room)
assert state() == before, "a room drew from a global generator while it was imported"
assert torch.get_num_threads() == threads, "a room changed the number of threads while it was imported"
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, *ROOMS], capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
