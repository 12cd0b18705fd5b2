"""Explorers that play on the web: what their controls show at each of their places, drawn when the pages are made.

An explorer that needs no trained model is run: in its notebook that cell and those before it that it needs carry the
tag "plays". One that asks a trained model is replayed: `python tools/web_explorers.py 03_gpt3.ipynb` runs the notebook
once and stores what the explorer was given, each function as the table of its answers, in tools/web/stored. So what the
web shows is what the notebook shows; a control with many places keeps some of them. The others show one setting. A
ranking desk plays the first of its requests, in all orders of the answers.
"""

import contextlib
import inspect
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import workbook

from minigpt import plots
from minigpt.notebook import display, explorers, ranking_desk
from minigpt.plots import style

TAG = "plays"
MOST = 41  # pictures of one slider, some 40 kB each: of a finer slider every second, third ... place is kept
STORED = Path(__file__).parent / "web" / "stored"
FACTORIES = (
    "attention_explorer", "prompt_explorer", "prediction_game", "question_box", "rollout_explorer", "sampling_explorer"
)  # fmt: skip
CIRCLES = ["nothing", "red circle", "green circle", "blue circle", "yellow circle"]
# Explorers with several controls: the beginning of the description -> control -> the places that are kept. A control
# that is not named stays where it begins.
KEPT = {
    "lay a law through the small runs": {
        "E": [1.0, 1.15], "R": [0.4, 0.7], "kappa": [0.1, 0.15], "reveal": [False, True]},
    "choose one of 17 numbers of examples": {"k": list(range(17))},
    "move temperature, top-k and top-p": {
        "temperature": [0.1, 0.4, 0.7, 1.0, 2.0], "top_k": [0, 1, 5, 20], "top_p": [0.5, 0.9, 1.0]},
    "put coloured shapes into four places": {"southwest": CIRCLES, "sees": [False, True]},
    "choose an answer, and see": {"answer": [1, 2, 3, 4, 5, 6, 7, 8], "first": [1, 9, 17, 26]},
    "choose one of 2 layers and 6 heads": {"layer": [1, 2], "head": [1, 2, 3, 4, 5, 6]},
}  # fmt: skip

# Of each control the label, its places in words, and where it begins; of a desk also the answers that are ordered.
Controls = list[tuple]
Frames = Iterator[tuple[bytes, str]]  # PNG and sentence, the last control's places fastest


def nearest(values: list[float], value: float) -> int:
    """Which of the values is nearest."""
    return min(range(len(values)), key=lambda i: abs(values[i] - value))


def places(low: float, high: float, step: float, start: float) -> list[float]:
    """Values of a slider, at most MOST of them and `start` among them."""
    every = [round(low + i * step, 9) for i in range(round((high - low) / step) + 1)]
    skip = -(-len(every) // MOST)
    return every[nearest(every, start) % skip :: skip]


def in_words(value, step: float | None = None) -> str:
    """A place of a control as the page shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        digits = 2 if step is None else len(np.format_float_positional(step).split(".")[1])
        return f"{value:.{digits}f}"
    return str(value)


class Recorded:
    """Stands for an Explorer while a notebook is run here: keeps its parts and draws nothing yet."""

    def __init__(self, draw: Callable, controls: dict, description: str):
        self.draw, self.widgets, description = draw, controls, " ".join(description.split())
        self.stored = f"Explorer: {description}"
        beginning = next((words for words in KEPT if description.startswith(words)), None)
        kept = {} if beginning is None else KEPT[beginning]
        self.grid = {}
        for name, widget in controls.items():
            if name in kept:
                self.grid[name] = kept[name] if widget.value in kept[name] else sorted([*kept[name], widget.value])
            elif beginning is None and len(controls) == 1:
                values = places(widget.min, widget.max, widget.step, widget.value)
                self.grid[name] = [int(v) for v in values] if isinstance(widget.value, int) else values

    @property
    def plays(self) -> bool:
        return bool(self.grid)

    def controls(self) -> Controls:
        found = []
        for name, values in self.grid.items():
            widget = self.widgets[name]
            step = getattr(widget, "step", None) if isinstance(widget.value, float) else None
            start = values.index(widget.value) if widget.value in values else nearest(values, widget.value)
            found.append((widget.description, [in_words(value, step) for value in values], start))
        return found

    def frames(self) -> Frames:
        rest = {name: widget.value for name, widget in self.widgets.items()}
        for values in itertools.product(*self.grid.values()):
            figure, sentence = self.draw(**rest | dict(zip(self.grid, values)))
            yield style.png(figure), sentence


class FirstRanking:
    """Stands for a RankingDesk: what is concluded from recorded rankings, then from each order of the first answers.

    An order is written best first, "2 1 4 3"; the empty one comes first.
    """

    plays = True

    def __init__(self, tasks: list, learn: Callable, recorded: list, description: str):
        (self.request, self.answers), self.learn, self.recorded = tasks[0], learn, recorded
        self.description = " ".join(description.split())
        self.stored = f"RankingDesk: {self.description}"
        self.orders = list(itertools.permutations(range(1, len(self.answers) + 1)))

    def controls(self) -> Controls:
        orders = [" ".join(map(str, order)) for order in self.orders]
        return [(self.request, ["", *orders], 0, [answer.strip() for answer in self.answers])]

    def asked(self) -> list[list]:
        """The rankings that are learned from, for each picture."""
        return [self.recorded, *([tuple(order.index(x) + 1 for x in sorted(order))] for order in self.orders)]

    def frames(self) -> Frames:
        for rankings in self.asked():
            figure, sentence = self.learn(rankings)
            yield style.png(figure), sentence

    def given(self) -> dict:
        """What the desk was given, with the bars that its reward model leads to in place of the model."""
        learn = Tabled(self.learn)
        with mock.patch.object(plots, "bars", lambda *args, **kwargs: (args, kwargs)):
            for rankings in self.asked():
                learn(rankings)
        tasks = [(self.request, list(self.answers))]
        return {"tasks": tasks, "learn": learn, "recorded": self.recorded, "description": self.description}

    @classmethod
    def again(cls, given: dict) -> "FirstRanking":
        """The inverse of given, after packing."""

        def learn(rankings: list):
            (args, kwargs), sentence = given["learn"](rankings)
            return plots.bars(*args, **kwargs), sentence

        return cls(**given | {"learn": learn})


@contextlib.contextmanager
def recording(found: list):
    """Explorers and desks made in here are kept in `found`, and no figure is shown."""

    def record(draw, controls, description):
        found.append(Recorded(draw, controls, description))
        return found[-1]

    def record_desk(*given):
        found.append(FirstRanking(*given))
        return found[-1]

    with (
        mock.patch.object(explorers, "Explorer", record),
        mock.patch.object(ranking_desk, "RankingDesk", record_desk),
        mock.patch.object(display, "show", lambda figure, *_, **__: style.png(figure)),
        contextlib.redirect_stdout(io.StringIO()),  # checks say what they say in the notebook
    ):
        yield


def found_in(notebook: dict) -> dict[str, tuple[Controls, Callable[[], Frames]]]:
    """Explorers and desks of a notebook that need no trained model: its stored text -> (controls, its pictures)."""
    found, names = [], {}
    with recording(found):
        for cell in notebook["cells"]:
            if TAG in cell.get("metadata", {}).get("tags", []):
                exec(compile(workbook.source(cell), "<cell>", "exec"), names)
    return {each.stored: (each.controls(), each.frames) for each in found if each.plays}


# --- explorers that ask a trained model -------------------------------------------------------------------------------


def packed(thing):
    """What an explorer was given, for JSON. A Tabled function becomes the list of its questions and answers."""
    if isinstance(thing, Tabled):
        answers = [[packed(key), packed(value)] for key, value in thing.known.values()]
        return {"of": list(inspect.signature(thing.f).parameters), "answers": answers}
    if isinstance(thing, np.ndarray):
        return {"array": np.round(thing, 4).tolist()}
    if isinstance(thing, tuple):
        return {"tuple": [packed(each) for each in thing]}
    if isinstance(thing, dict):
        return {"dict": [[key, packed(each)] for key, each in thing.items()]}
    if isinstance(thing, list):
        return [packed(each) for each in thing]
    if isinstance(thing, np.generic):
        thing = thing.item()
    return round(thing, 4) if isinstance(thing, float) else thing


def unpacked(thing):
    """The inverse of packed, up to the fourth digit."""
    if isinstance(thing, list):
        return [unpacked(each) for each in thing]
    if not isinstance(thing, dict):
        return thing
    if "answers" in thing:
        known = {repr(unpacked(key)): unpacked(value) for key, value in thing["answers"]}
        return signed(lambda *args: known[repr(args)], thing.get("of", []))
    if "dict" in thing:
        return {key: unpacked(each) for key, each in thing["dict"]}
    return np.array(thing["array"]) if "array" in thing else tuple(unpacked(each) for each in thing["tuple"])


def signed(f: Callable, names: Iterable[str]) -> Callable:
    """f, which says that these are the names of its arguments: an explorer may ask how many there are."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    f.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    return f


class Tabled:
    """A function that keeps what it was asked and what it said."""

    def __init__(self, f: Callable):
        self.f, self.known = f, {}
        signed(self, inspect.signature(f).parameters)

    def __call__(self, *args):
        if repr(args) not in self.known:
            self.known[repr(args)] = args, self.f(*args)
        return self.known[repr(args)][1]


def store(notebook: dict) -> list[dict]:
    """Run a notebook's code up to its last explorer of FACTORIES; what these and its desks were given, for JSON."""
    cells = [workbook.source(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    last = max(i for i, code in enumerate(cells) if any(f"explorers.{name}(" in code for name in FACTORIES))
    made, found, names = [], [], {}

    def tabled(name: str):
        make = getattr(explorers, name)

        def call(*args, **kwargs):
            bound = inspect.signature(make).bind(*args, **kwargs)
            given = {key: Tabled(value) if callable(value) else value for key, value in bound.arguments.items()}
            made.append((name, given, make(**given)))
            return made[-1][2]

        return mock.patch.object(explorers, name, call)

    with recording(found), contextlib.ExitStack() as stack:
        for name in FACTORIES:
            stack.enter_context(tabled(name))
        for code in cells[: last + 1]:
            exec(compile(code, "<cell>", "exec"), names)
        for _, _, each in made:
            for _ in each.frames():
                pass
        made += [("RankingDesk", each.given(), each) for each in found if isinstance(each, FirstRanking)]
    return [{"factory": name, "given": {key: packed(v) for key, v in given.items()}} for name, given, _ in made]


def replayed(path: Path) -> dict[str, tuple[Controls, Callable[[], Frames]]]:
    """The explorers that were stored in a file, as found_in gives them."""
    found = []
    with recording(found):
        for each in json.loads(path.read_text(encoding="utf-8")):
            given = {key: unpacked(value) for key, value in each["given"].items()}
            if each["factory"] == "RankingDesk":
                found.append(FirstRanking.again(given))
            else:
                getattr(explorers, each["factory"])(**given)
    return {each.stored: (each.controls(), each.frames) for each in found}


def played(root: Path) -> dict[str, tuple[Controls, Callable[[], Frames]]]:
    """The explorers and desks that play in the book."""
    everything = {}
    for name in workbook.originals(root):
        if "solutions" not in name.parts:
            everything |= found_in(workbook.read(root / "chapters" / name))
    for path in sorted(STORED.glob("*.json")):
        everything |= replayed(path)
    return everything


if __name__ == "__main__":
    for name in sys.argv[1:]:
        lines = store(workbook.read(Path(__file__).parents[1] / "chapters" / name))
        STORED.mkdir(exist_ok=True)
        path = STORED / (Path(name).stem + ".json")
        path.write_text(json.dumps(lines, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
