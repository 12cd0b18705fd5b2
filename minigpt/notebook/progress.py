"""Progress bar: the time left and the distance to the floor; it leaves no trace in a saved notebook.

Anything can be counted; of a training run's records it reads .step, .loss and .seconds.
"""

import contextlib
import html
import math
import numbers
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

SECONDS_BETWEEN_UPDATES = 0.2
SECONDS_BEFORE_A_GUESS = 1.0  # the time left is not said before: the first steps are not typical
N_LOSSES = 20  # the loss shown is the mean of so many: one batch's loss jumps about


@dataclass(frozen=True)
class Status:
    """Status of a progress bar at one moment."""

    label: str
    step: int  # steps finished
    total: int  # steps in all
    seconds: float  # that these steps took
    loss: float | None = None  # nats per token, mean of the last few steps
    floor: float | None = None  # nats per token, what no model can beat
    note: str = ""  # anything more: how fast a GPU computes


def progress(
    records: Iterable,
    total: int,
    floor: float | None = None,
    label: str = "training",
    draw: Callable[[Status | str | None], None] | None = None,
    title: str | None = None,
    note: Callable[[object], str] | None = None,
) -> Iterator:
    """Progress bar: pass things on one by one, unchanged, and show meanwhile how far we are.

    In a notebook this is one output, redrawn at most five times a second, which is empty again at the end (also when
    the loop is broken off), so that what is saved is always the same. In a terminal it is one line that is wiped at
    the end. Anywhere else nothing is shown. `title` is what the bar says while it moves, if that is not the label.
    `draw` replaces all that (see `drawing`): it is called with a Status, at the end with None. note(record) is what is
    said beside.

    Unit: floor and .loss in nats per token.
    Errors: ValueError if total is not a whole number of at least 1 or floor is not a finite number.

    >>> sum(progress(range(4), total=4, label="adding"))
    6
    """
    if not isinstance(total, numbers.Integral) or total < 1:
        raise ValueError(f"total must be a whole number of at least 1, but it is {total!r}")
    if floor is not None and not math.isfinite(floor):
        raise ValueError(f"floor must be a finite number of nats per token or None, but it is {floor!r}")
    draw = drawing(label) if draw is None else draw
    start, next_update, losses = time.perf_counter(), 0.0, deque(maxlen=N_LOSSES)
    try:
        for count, record in enumerate(records, start=1):
            losses.append(getattr(record, "loss", None))
            now, words = time.perf_counter(), "" if note is None else note(record)
            if now >= next_update:
                next_update = now + SECONDS_BETWEEN_UPDATES
                step, seconds = getattr(record, "step", count), getattr(record, "seconds", now - start)
                loss = None if None in losses else sum(losses) / len(losses)
                draw(Status(title or label, step, total, seconds, loss, floor, words))
            yield record
    finally:
        draw(None)


@contextlib.contextmanager
def notice(words: str, draw: Callable[[Status | str | None], None]) -> Iterator[None]:
    """Status message: a line of words for as long as a block lasts, where draw() draws a progress bar."""
    draw(words)
    try:
        yield
    finally:
        draw(None)


def say(words: str) -> None:
    """Message of one line: a notebook shows it as output, a terminal on standard error, anything else nowhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and hasattr(shell, "kernel"):
        from IPython.display import display

        display({"text/plain": words}, raw=True)
    elif sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(words + "\n")


def sentence(status: Status) -> str:
    """Status in words.

    >>> sentence(Status("training", step=250, total=1000, seconds=30.0, loss=1.2832, floor=1.2))
    'training: step 250 of 1000, 25 %, 1 min 30 s left, loss 1.283, 0.083 nats above the floor, 7 %'
    """
    parts = [f"{status.label}: step {status.step} of {status.total}", f"{100 * _share(status):.0f} %"]
    if status.step > 0 and status.seconds >= SECONDS_BEFORE_A_GUESS:
        left = max(0, status.total - status.step)
        parts.append(f"{duration(status.seconds / status.step * left)} left")
    if status.loss is not None:
        parts.append(f"loss {status.loss:.3f}")
        if status.floor is not None and math.isfinite(status.loss):
            parts.append(distance(status.loss, status.floor))
    parts += [status.note] if status.note else []
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Duration in words, as exact as one would say it.

    >>> duration(8.4), duration(200), duration(7500)
    ('8 s', '3 min 20 s', '2 h 5 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def distance(loss: float, floor: float) -> str:
    """Gap between a loss and the floor, in nats per token and as a share of the floor.

    >>> distance(1.32, 1.2)
    '0.120 nats above the floor, 10 %'
    """
    gap = loss - floor
    words = f"{abs(gap):.3f} nats {'above' if gap >= 0 else 'below'} the floor"
    return f"{words}, {abs(100 * gap / floor):.0f} %" if floor > 0 else words


def bar(status: Status | str) -> str:
    """Status as HTML: a bar, which a screen reader reads as the sentence beside it.

    It is no "live region": five announcements a second would drown everything else.
    """
    if isinstance(status, str):
        return f"<div>{html.escape(status)}</div>"
    words = html.escape(sentence(status))
    return (
        f'<div><progress max="{status.total}" value="{min(status.step, status.total)}" aria-label="{words}" '
        f'style="width: 16em; vertical-align: middle"></progress> <span aria-hidden="true">{words}</span></div>'
    )


def _share(status: Status) -> float:
    return min(1.0, status.step / status.total)


def drawing(label: str) -> Callable[[Status | str | None], None]:
    """Drawing function for what is being done: draw(status) shows a bar, draw("words") a line, draw(None) nothing.

    Everything drawn with one such function stands in one place, which is empty before and after: so a notebook is saved
    the same whether we computed, waited or did neither. In a notebook that place is an output, in a terminal a line.
    """
    ipython = sys.modules.get("IPython")  # not imported: then this is no notebook
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and hasattr(shell, "kernel"):
        from IPython.display import display

        return _in_notebook(label, display)
    if sys.stderr is not None and sys.stderr.isatty():
        return _in_terminal(sys.stderr, shutil.get_terminal_size().columns)
    return lambda status: None


def _in_notebook(label: str, display: Callable) -> Callable[[Status | str | None], None]:
    """Draw on one display handle that starts and ends with the same payload: that is all a comparison sees."""
    nothing = {"text/plain": f"[{label}]", "text/html": ""}
    handle = display(nothing, raw=True, display_id=True)

    def draw(status: Status | str | None) -> None:
        handle.update(nothing if status is None else nothing | {"text/html": bar(status)}, raw=True)

    return draw


def _in_terminal(stream, width: int) -> Callable[[Status | str | None], None]:
    """Draw over and over on one line, which is blank at the end."""

    def draw(status: Status | str | None) -> None:
        words = "" if status is None else status if isinstance(status, str) else sentence(status)
        stream.write("\r" + words[: width - 1].ljust(width - 1) + ("\r" if status is None else ""))
        stream.flush()

    return draw
