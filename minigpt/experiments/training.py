"""Train a model or load it: one way for every model of the book, with progress, resumption and a cache."""

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from minigpt import checkpoint, devices
from minigpt.experiments.cache import cached, partial_folder
from minigpt.notebook.progress import drawing, notice, progress, say
from minigpt.train import TrainState

SECONDS_BETWEEN_SAVES = 5.0  # of an unfinished run: what a killed process loses at most, beside the step it is in


@dataclass
class Kept:
    """Training log: curves, a number at a time, and tensors such as snapshots of the weights."""

    curves: dict[str, list[float]] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0  # the last step after which everything was written down

    def add(self, **numbers: float) -> None:
        """Append one number to each of the named curves."""
        for name, number in numbers.items():
            self.curves.setdefault(name, []).append(float(number))

    def snapshot(self, step: int, model: nn.Module) -> None:
        """Keep a copy of the model's weights as they are now."""
        for name, parameter in model.state_dict().items():
            self.tensors[f"snapshot/{step}/{name}"] = parameter.detach().clone()

    def snapshots(self) -> dict[int, dict[str, Tensor]]:
        """The kept weights, by step."""
        found: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self.tensors.items():
            if name.startswith("snapshot/"):
                _, step, parameter = name.split("/")
                found.setdefault(int(step), {})[parameter] = tensor
        return dict(sorted(found.items()))

    def arrays(self) -> dict[str, np.ndarray]:
        """The curves as arrays."""
        return {name: np.array(numbers) for name, numbers in self.curves.items()}

    def to_tensors(self) -> dict[str, Tensor]:
        """Everything as tensors, for a checkpoint."""
        curves = {f"curve/{name}": torch.tensor(numbers, dtype=torch.float64) for name, numbers in self.curves.items()}
        return curves | {f"tensor/{name}": tensor for name, tensor in self.tensors.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Become what to_tensors() came from."""
        self.curves = {name[6:]: t.tolist() for name, t in tensors.items() if name.startswith("curve/")}
        self.tensors = {name[7:]: t.clone() for name, t in tensors.items() if name.startswith("tensor/")}


def train_or_load(
    name: str,
    key: dict,
    model: nn.Module,
    start: Callable[..., Iterator],
    n_steps: int,
    *,
    state=None,
    before: Callable[[Kept], None] | None = None,
    watch: Callable[[object, Kept], None] | None = None,
    finish: Callable[[Kept], None] | None = None,
    label: str | None = None,
    floor: float | None = None,
) -> Kept:
    """Train a model, or load it if this very model was trained before; returns what was kept on the way.

    `model` comes fresh and is trained, or filled, in place; it is left in evaluation mode. start(state) begins the run
    and yields its records; given a state that is not empty it goes on from there (train.train and ppo.ppo do, bit for
    bit). watch(record, kept) is called after each step, finish(kept) after the last. `key` as in `cache.cached`, which
    adds the code: the import closure of the module that defines `start`.

    A run that is stopped or killed loses at most a few seconds: it is saved every SECONDS_BETWEEN_SAVES, and the next
    call goes on from there and says so in the progress bar. Another process that asks for the same model waits, and
    says for what.
    """
    label, state, kept = label or name, TrainState() if state is None else state, Kept()
    place = partial_folder(name, key, start)
    draw = drawing(label)  # one output, so that a notebook looks the same if the model was trained, waited for or loaded

    def build():
        begun = _restore(place, model, state, kept)
        title = f"{label} (continued at step {begun})" if begun else label
        if before is not None and not begun:
            before(kept)
        records = _saving(place, model, state, start(state), kept)
        try:
            note = devices.note_for(model)
            for record in progress(records, n_steps, floor=floor, label=label, draw=draw, title=title, note=note):
                if watch is not None:
                    watch(record, kept)
                kept.step = record.step
        except KeyboardInterrupt:
            say(f"{label}: stopped at step {kept.step} of {n_steps}. Run the cell again: it goes on from there.")
            raise
        except (MemoryError, RuntimeError) as error:  # torch says "allocate"; "memory" may be a tensor's layout
            if not isinstance(error, MemoryError) and "allocate" not in str(error):
                raise
            raise MemoryError(
                f"{label}: this computer's memory is full at step {kept.step} of {n_steps}. Shut down other kernels and "
                "programs, and run the cell again: it goes on from the last save"
            ) from error
        finally:
            records.close()
        if finish is not None:
            finish(kept)
        return {f"weights/{each}": t for each, t in model.state_dict().items()} | kept.to_tensors(), {}

    build.__module__ = start.__module__
    waiting = f"{label}: another notebook or process is training this model; waiting for it"
    stored = cached(name, key, build, on_wait=lambda: notice(waiting, draw)).tensors
    checkpoint.fill(model, {each[8:]: t for each, t in stored.items() if each.startswith("weights/")})
    kept.restore(stored)
    model.eval()
    return kept


def _saving(place: Path, model, state, records: Iterator, kept: Kept) -> Iterator:
    """Pass on the records of a run, and save it from time to time, always after what was watched has been kept."""
    saved = time.monotonic()
    try:
        for record in records:
            yield record
            if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                _save(place, model, state, kept)
                saved = time.monotonic()
    except (GeneratorExit, KeyboardInterrupt):
        if state.step and state.step == kept.step:
            _save(place, model, state, kept)
        raise


def _save(place: Path, model, state, kept: Kept) -> None:
    try:
        checkpoint.save_state(place, model, state, more=kept.to_tensors())
    except OSError as error:
        warnings.warn(f"the unfinished run could not be saved; if it is stopped, it begins anew: {error}", stacklevel=2)


def _restore(place: Path, model, state, kept: Kept) -> int:
    """Put a saved run back, and return the number of steps that it had made; 0 if there is none or it is damaged."""
    if not (place / checkpoint.JSON_NAME).exists():
        return 0
    with contextlib.suppress(ValueError, OSError):
        kept.restore(checkpoint.load_state(place, model, state))
        kept.step = state.step
    return state.step
