"""The progress bar: its words, its manners towards the loop it sits in, and that a saved notebook shows no trace."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import nbclient
import nbformat
import pytest

from minigpt.notebook import progress as progress_module
from minigpt.notebook.progress import Status, bar, distance, duration, progress, sentence

ROOT = Path(__file__).parents[2]
Record = types.SimpleNamespace


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (61, "1 min 1 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (7170, "2 h 0 min"),
        (90061, "25 h 1 min"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_distances():
    assert distance(1.283, 1.2) == "0.083 nats above the floor, 7 %"
    assert distance(1.14, 1.2) == "0.060 nats below the floor, 5 %"
    assert distance(1.2, 1.2) == "0.000 nats above the floor, 0 %"
    assert distance(0.5, 0.0) == "0.500 nats above the floor"  # no share of nothing


def test_sentences():
    assert sentence(Status("reading", 3, 4, 6.0)) == "reading: step 3 of 4, 75 %, 2 s left"
    assert sentence(Status("t", 0, 4, 0.0, 2.0)) == "t: step 0 of 4, 0 %, loss 2.000"
    assert sentence(Status("t", 5, 4, 10.0)) == "t: step 5 of 4, 100 %, 0 s left"  # more came than was said
    assert sentence(Status("t", 1, 2, 1.0, float("nan"), 1.0)) == "t: step 1 of 2, 50 %, 1 s left, loss nan"


def test_the_bar_says_its_sentence_to_a_screen_reader():
    markup = bar(Status('<b> & "co"', 3, 4, 6.0, 1.5, 1.0))
    words = "&lt;b&gt; &amp; &quot;co&quot;: step 3 of 4, 75 %, 2 s left, loss 1.500, 0.500 nats above the floor, 50 %"
    assert f'<progress max="4" value="3" aria-label="{words}"' in markup
    assert f'<span aria-hidden="true">{words}</span>' in markup
    assert "<b>" not in markup
    assert 'value="4"' in bar(Status("t", 9, 4, 1.0))


# --- manners -----------------------------------------------------------------------------------------------------


class Clock:
    """A clock that moves on only when told."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(progress_module.time, "perf_counter", lambda: self.now)


def test_everything_is_passed_on_unchanged():
    things = [object(), 3, "x", None, Record(step=1, loss=2.0)]
    assert all(a is b for a, b in zip(progress(iter(things), 5, draw=lambda status: None), things, strict=True))


def test_at_most_five_updates_a_second_and_always_an_end(monkeypatch):
    clock, drawn = Clock(monkeypatch), []
    for _ in progress(range(1000), 1000, label="counting", draw=drawn.append):
        clock.now += 0.01  # ten seconds in all
    assert drawn[0].step == 1 and drawn[-1] is None
    assert 45 <= len(drawn) - 1 <= 50
    assert drawn[25].seconds == pytest.approx(drawn[25].step * 0.01, abs=0.011) and drawn[25].label == "counting"


def test_steps_losses_and_seconds_come_from_the_records(monkeypatch):
    """A run that goes on at step 401 of 500 after 200 s has taken 0.5 s a step, whatever the clock says now."""
    clock, drawn = Clock(monkeypatch), []
    records = (Record(step=400 + i, loss=2.0 + i % 2, seconds=0.5 * (400 + i)) for i in range(1, 101))
    for _ in progress(records, 500, 2.0, draw=drawn.append):
        clock.now += 0.2
    assert (drawn[0].step, drawn[0].loss, drawn[0].floor) == (401, 3.0, 2.0)
    assert sentence(drawn[0]).startswith("training: step 401 of 500, 80 %, 50 s left, loss 3.000, 1.000 nats above")
    assert drawn[-2].loss == pytest.approx(2.5) and drawn[-2].step == 500  # the mean of the last 20


def test_nothing_is_read_ahead():
    taken = []

    def source():
        for i in range(5):
            taken.append(i)
            yield i

    records = progress(source(), 5, draw=lambda status: None)
    next(records)
    assert taken == [0]


@pytest.mark.parametrize("how", ["break", "error inside", "error outside", "close"])
def test_the_end_is_drawn_however_the_loop_ends(how):
    drawn, closed = [], []

    def source():
        try:
            for i in range(10):
                if how == "error inside" and i == 3:
                    raise KeyboardInterrupt
                yield i
        finally:
            closed.append(True)

    def loop():
        for i in progress(source(), 10, draw=drawn.append):
            if i == 2 and how == "break":
                break
            if i == 2 and how == "error outside":
                raise KeyboardInterrupt

    if how == "close":
        records = progress(source(), 10, draw=drawn.append)
        next(records)
        records.close()
    elif how == "break":
        loop()
    else:
        with pytest.raises(KeyboardInterrupt):
            loop()
    assert drawn[-1] is None and drawn.count(None) == 1 and closed == [True]


@pytest.mark.parametrize("total", [0, -1, 2.5, "ten", None])
def test_a_wrong_total_is_refused(total):
    with pytest.raises(ValueError, match="total must be a whole number of at least 1, but it is"):
        list(progress([1], total))


def test_a_wrong_floor_is_refused():
    with pytest.raises(ValueError, match="floor must be a finite number .* nan"):
        list(progress([1], 1, floor=float("nan")))


# --- where it draws ----------------------------------------------------------------------------------------------


def test_silent_without_a_notebook_or_a_terminal(capsys):
    assert list(progress(range(3), 3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


class Terminal:
    def __init__(self):
        self.written = ""

    def isatty(self):
        return True

    def write(self, text):
        self.written += text

    def flush(self):
        pass


def test_one_line_in_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress_module.sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    list(progress(range(3), 3, label="adding"))
    assert "\n" not in terminal.written
    lines = terminal.written.split("\r")
    assert lines[0] == "" and lines[1].startswith("adding: step 1 of 3, 33 %") and lines[-1] == ""
    assert {len(line) for line in lines[1:-1]} == {39} and lines[-2].strip() == ""  # the line is wiped


def test_a_pseudo_terminal_shows_the_line():
    pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals; the test above covers the text")
    main, other = pty.openpty()
    script = "from minigpt.notebook.progress import progress\nprint(sum(progress(range(4), 4, label='adding')))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        run = subprocess.run([sys.executable, "-c", script], env=environment, stderr=other, stdout=subprocess.PIPE)
        shown = os.read(main, 10_000).decode("utf-8")
    finally:
        os.close(other)
        os.close(main)
    assert run.stdout.split() == [b"6"] and "adding: step 1 of 4, 25 %" in shown and shown.endswith(" \r")


def test_the_protocol_of_the_display():
    """One handle; its first and last payload are the same, and only the HTML changes in between."""
    calls = []

    class Handle:
        def update(self, payload, **options):
            calls.append(("update", payload, options))

    def display(payload, **options):
        calls.append(("display", payload, options))
        return Handle()

    list(progress(range(3), 3, label="adding", draw=progress_module._in_notebook("adding", display)))
    assert [call[0] for call in calls] == ["display"] + ["update"] * (len(calls) - 1) and len(calls) >= 3
    assert calls[0][2] == {"raw": True, "display_id": True} and calls[1][2] == {"raw": True}
    constant = {"text/plain": "[adding]", "text/html": ""}
    assert calls[0][1] == constant and calls[-1][1] == constant
    assert "<progress" in calls[1][1]["text/html"] and calls[1][1]["text/plain"] == "[adding]"


SETUP = """
import time
from types import SimpleNamespace
from minigpt.notebook.progress import progress
def records(n):
    for step in range(1, n + 1):
        time.sleep(0.06)
        yield SimpleNamespace(step=step, loss=1 + 1 / step, seconds=0.06 * step)
"""
CELLS = {
    "to the end": "for record in progress(records(12), 12, floor=1.0):\n    pass\nprint('done')",
    "broken off": "for record in progress(records(12), 12, label='short'):\n    if record.step == 8:\n        break",
    "two in one": "for label in ('first', 'second'):\n    list(progress(range(3), 3, label=label))",
    "an error": "for i in progress(range(3), 3, label='dividing'):\n    1 / (1 - i)",
}
CARELESS = """
from IPython.display import display
handle = display({'text/plain': 'x', 'text/html': ''}, raw=True, display_id=True)
handle.update({'text/plain': 'x', 'text/html': str(time.time())}, raw=True)
"""


class Client(nbclient.NotebookClient):
    """Executes a notebook and remembers what its displays showed on the way."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "update_display_data":
            self.shown.append(msg["content"]["data"])
        return super().process_message(msg, cell, cell_index)


def execute(path, cells, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    if CELLS["an error"] in cells:
        notebook.cells[-1].metadata["tags"] = ["raises-exception"]
    client = Client(notebook, timeout=60, kernel_name="python3", store_widget_state=False)
    client.shown = []
    client.execute()
    nbformat.write(notebook, path)
    return notebook, client.shown


def strict_nbval(path):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "-q",
        "-p",
        "no:cacheprovider",
        path.name,
    ]
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, encoding="utf-8", timeout=120)


@pytest.mark.slow
def test_a_saved_notebook_shows_no_trace_and_passes_strict_nbval(tmp_path, monkeypatch):
    path = tmp_path / "saved.ipynb"
    notebook, shown = execute(path, [SETUP, *CELLS.values()], monkeypatch)
    bars = [data["text/html"] for data in shown if data["text/html"]]
    assert len(bars) >= 6  # it was seen ...
    assert "step 1 of 12" in bars[0] and "1.000 nats above the floor, 100 %" in bars[0]
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    displays = [output["data"] for output in outputs if output.output_type == "display_data"]
    labels = ["training", "short", "first", "second", "dividing"]
    assert displays == [{"text/plain": f"[{label}]", "text/html": ""} for label in labels]  # ... and is gone
    assert [o.output_type for o in outputs if o.output_type != "display_data"] == ["stream", "error"]
    assert "<progress" not in path.read_text(encoding="utf-8")
    result = strict_nbval(path)
    assert result.returncode == 0 and re.search(r"\b5 passed", result.stdout), result.stdout


@pytest.mark.slow
def test_strict_nbval_would_have_noticed(tmp_path, monkeypatch):
    path = tmp_path / "careless.ipynb"
    execute(path, ["import time", CARELESS], monkeypatch)
    result = strict_nbval(path)
    assert result.returncode == 1 and re.search(r"\b1 failed, 1 passed", result.stdout), result.stdout
