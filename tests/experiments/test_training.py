"""Train or load: a training that was killed, stopped, waited for or could not be written."""

import errno
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from minigpt import checkpoint, train
from minigpt.experiments import training
from minigpt.experiments.cache import partial_folder
from minigpt.experiments.training import train_or_load
from minigpt.notebook import progress as progress_module
from minigpt.notebook.progress import Status
from minigpt.train import TrainConfig

N_STEPS = 24
CONFIG = TrainConfig(n_steps=N_STEPS, lr=1e-2, warmup_steps=4)


class Net(nn.Module):
    """A net with dropout, so that a training that goes on needs the same chance."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(generator=generator)


class Batches:
    """The same numbers at the same step."""

    def __len__(self):
        return N_STEPS

    def __getitem__(self, step):
        rng = np.random.default_rng(step)
        return rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=(5, 1)).astype(np.float32)


def run(at_step=lambda step: None, in_loss=lambda: None):
    """Train the net, or load it; at_step(step) is called after each step, in_loss() within each."""
    net = Net()

    def loss(model, x, y):
        in_loss()
        return (model.layers(x) - y).square().mean()

    def start(state):
        return train.train(net, Batches(), CONFIG, loss, torch.Generator().manual_seed(0), state=state)

    def watch(record, kept):
        kept.add(losses=record.loss, steps=record.step)
        if record.step % 8 == 0:
            kept.snapshot(record.step, net)
        at_step(record.step)

    kept = train_or_load("net", {"config": CONFIG}, net, start, N_STEPS, watch=watch, label="a small net")
    return net, kept


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """The same training without any accident, in a cache of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("MINIGPT_CACHE", str(tmp_path / "other"))
        return run()


@pytest.fixture
def titles(monkeypatch):
    """What the progress bars say while they move."""
    said, really = [], training.progress

    def progress(records, total, **options):
        said.append(options.get("title") or options["label"])
        return really(records, total, **options)

    monkeypatch.setattr(training, "progress", progress)
    return said


def assert_same(found, expected):
    (net, kept), (whole_net, whole_kept) = found, expected
    for name, tensor in whole_net.state_dict().items():
        assert torch.equal(net.state_dict()[name], tensor), name
    assert kept.curves == whole_kept.curves and kept.curves["steps"] == list(range(1, N_STEPS + 1))
    assert list(kept.snapshots()) == [8, 16, 24]
    for step, weights in whole_kept.snapshots().items():
        assert all(torch.equal(weights[name], kept.snapshots()[step][name]) for name in weights)
    assert not net.training


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
import test_training
from minigpt.experiments import training
training.SECONDS_BETWEEN_SAVES = 0

def at_step(step):
    if step == 18:
        os.kill(os.getpid(), signal.SIGKILL)

test_training.run(at_step)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_training_goes_on_bit_for_bit_and_says_where(whole, titles):
    script = KILLED.format(folder=str(Path(__file__).parent))
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    steps = []
    assert_same(run(steps.append), whole)
    assert titles == ["a small net (continued at step 17)"] and steps == list(range(18, N_STEPS + 1))


def test_a_stopped_training_goes_on_bit_for_bit_and_says_so(whole, titles, monkeypatch):
    said, count = [], iter(range(1, 100))
    monkeypatch.setattr(training, "say", said.append)

    def stop():
        if next(count) == 11:  # within the eleventh step
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(in_loss=stop)
    assert said == ["a small net: stopped at step 10 of 24. Run the cell again: it goes on from there."]
    steps = []
    assert_same(run(steps.append), whole)
    assert titles == ["a small net", "a small net (continued at step 10)"] and steps[0] == 11


def stop_while_16_is_kept(monkeypatch):
    """Save after every step, and stop the training while something of its sixteenth step is kept."""
    monkeypatch.setattr(training, "SECONDS_BETWEEN_SAVES", 0)

    def stop(step):
        if step == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stop)


def test_a_training_stopped_while_something_is_kept_goes_on_from_the_last_save(whole, titles, monkeypatch):
    stop_while_16_is_kept(monkeypatch)
    assert_same(run(), whole)
    assert titles[1] == "a small net (continued at step 15)"


def test_a_damaged_unfinished_training_begins_anew(whole, titles, cache, monkeypatch):
    stop_while_16_is_kept(monkeypatch)
    for path in cache.glob("*.partial/*.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    assert_same(run(), whole)
    assert titles[1] == "a small net"


def test_nothing_of_an_unfinished_training_is_left_behind(cache):
    with pytest.raises(KeyboardInterrupt):
        run(in_loss=raising_after(3))
    assert list(cache.glob("*.partial"))
    run()
    assert not list(cache.glob("*.partial"))


def raising_after(n):
    count = iter(range(n))

    def stop():
        if next(count, None) is None:
            raise KeyboardInterrupt

    return stop


def test_what_was_trained_is_loaded(whole, monkeypatch, titles):
    first = run()
    monkeypatch.setattr(train, "train", None)
    assert_same(run(), first)
    assert_same(first, whole)


HOLD = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def outputs(monkeypatch):
    """What is drawn, a list for each output that a notebook would have."""
    made = []

    def drawing(label):
        made.append([])
        return made[-1].append

    for module in (progress_module, training):
        monkeypatch.setattr(module, "drawing", drawing)
    return made


@pytest.mark.parametrize("how", ["trained", "loaded", "waited for"])
def test_a_notebook_has_one_output_however_it_came_to_its_model(how, whole, outputs, cache):
    if how == "loaded":
        run()
        outputs.clear()
    if how == "waited for":
        holder = hold_the_lock()
        threading.Thread(target=let_go_once, args=(holder, lambda: any(outputs)), daemon=True).start()
    assert_same(run(), whole)
    (drawn,) = outputs
    assert drawn[-1:] == ([] if how == "loaded" else [None])
    waiting = "a small net: another notebook or process is training this model; waiting for it"
    assert [words for words in drawn if isinstance(words, str)] == ([waiting] if how == "waited for" else [])
    assert any(isinstance(status, Status) for status in drawn) == (how != "loaded")


def hold_the_lock():
    """Another process that trains the net: it holds the lock of its entry in the cache."""

    def start():
        pass

    start.__module__ = __name__
    place = partial_folder("net", {"config": CONFIG}, start)
    lock = place.with_name(place.name.removesuffix(".partial") + ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"held"
    return holder


def let_go_once(holder, happened):
    while not happened():
        time.sleep(0.01)
    holder.communicate()  # its input ends: it lets go


@pytest.mark.parametrize("what", ["save", "save_state"])
def test_a_full_disk_loses_no_model(whole, what, monkeypatch):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_SAVES", {"save": 1000, "save_state": 0}[what])

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, what, full)
    message = {"save": "could not be kept and will be built again", "save_state": "could not be saved"}[what]
    with pytest.warns(UserWarning, match=message):
        assert_same(run(), whole)


@pytest.mark.parametrize("full", [RuntimeError("[enforce fail] can't allocate memory: you tried to ..."), MemoryError()])
def test_a_full_memory_says_what_to_do_and_the_training_goes_on(whole, titles, full):
    losses = []

    def in_loss():
        losses.append(1)
        if len(losses) == 17:
            raise full

    with pytest.raises(MemoryError, match="memory is full at step 16 of 24. Shut down other kernels"):
        run(in_loss=in_loss)
    found = run()
    assert_same(found, whole)
    assert len(losses) == 17


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: torch.ones(2, 3) @ torch.ones(2, 3), "mat1 and mat2"),
        (lambda: torch.ones(1).expand(2).add_(1), "single memory location"),
    ],
)
def test_another_error_in_training_is_told_as_it_is(wrong, words):
    with pytest.raises(RuntimeError, match=words):
        run(in_loss=wrong)
