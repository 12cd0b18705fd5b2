"""Ranking desk: the reader as labeler."""

import html
import re
import unicodedata
from collections.abc import Callable

import ipywidgets
from matplotlib.figure import Figure

from minigpt.notebook import display
from minigpt.plots import style

# An answer on a button is read from its beginning, and on a narrow screen it goes on in the next line.
ANSWER = "ranking-answer"
RULES = "white-space: normal; text-align: left; line-height: 1.4; padding: 5px 10px"
STYLE = f"<style>button.{ANSWER}.jupyter-button {{{RULES}}}</style>"


class RankingDesk(ipywidgets.VBox):
    """The reader is the labeler: rank answers by clicking them, best first, or by typing "2 1=3 4" and Enter.

    After every ranking the reward model learns from all of them, and the picture shows what it concludes now.

    tasks: (request, answers) pairs. learn: called with the rankings so far, one tuple of ranks a task (1 is best, equal
    numbers are ties); returns (figure, alt) of what a reward model concludes. recorded: rankings to learn from while
    the reader has made none. description: one sentence for the saved file, the same for every setting.

    Errors: ValueError for no tasks, fewer than two answers, or recorded rankings that do not fit.
    """

    def __init__(self, tasks: list, learn: Callable[[list], tuple[Figure, str]], recorded: list, description: str):
        self.tasks = [(str(request), [str(answer) for answer in answers]) for request, answers in tasks]
        if not self.tasks or min(len(answers) for _, answers in self.tasks) < 2:
            raise ValueError("expected at least one task, with two answers or more to each")
        if len(recorded) > len(self.tasks):
            raise ValueError(f"expected at most {len(self.tasks)} recorded rankings, one a task; got {len(recorded)}")
        for ranks, (_, answers) in zip(recorded, self.tasks):
            if len(ranks) != len(answers):
                raise ValueError(f"expected a recorded rank for each of {len(answers)} answers, but got {ranks}")
        self.learn, self.recorded, self.description = learn, list(recorded), " ".join(description.split())
        self.made, self.order = [], []  # rankings made by the reader; answers clicked so far, best first
        self.request, self.status, self.view = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        most = max(len(answers) for _, answers in self.tasks)
        wide = ipywidgets.Layout(width="100%", height="auto", min_height="2.4em")
        self.buttons = [ipywidgets.Button(layout=wide) for _ in range(most)]
        for number, button in enumerate(self.buttons):
            button.on_click(lambda _, number=number: self._clicked(number))
            button.add_class(ANSWER)
        self.typed = ipywidgets.Text(
            placeholder="2 1=3 4", continuous_update=False, **words("or type the order, best first, = for a tie")
        )
        self.typed.observe(lambda _: self._submitted(), names="value")
        whole = ipywidgets.Layout(width="auto")  # the usual width cuts these labels short
        self.again = ipywidgets.Button(description="start this one again", layout=whole)
        self.again.on_click(lambda _: self._clear())
        super().__init__([self.request, *self.buttons, self.typed, self.status, self.again, self.view])
        self._clear()
        self._learned()

    @property
    def rankings(self) -> list:
        """What is learned from: the reader's rankings, or the recorded ones if there are none yet."""
        return self.made or self.recorded

    def rank(self, order: str) -> tuple[int, ...]:
        """Rank the answers to the present request, best first: "2 1=3 4". The model learns; the next request comes.

        Errors: ValueError unless every number stands there once.
        """
        n = len(self._answers())
        groups = _groups(order)
        if sorted(x for group in groups for x in group) != list(range(1, n + 1)):
            raise ValueError(f"expected each number from 1 to {n} once, best first, such as 2 1=3; but got {order!r}")
        ranks = [0] * n
        for place, group in enumerate(groups, start=1):
            for x in group:
                ranks[x - 1] = place
        self.made.append(tuple(ranks))
        self._clear()
        self._learned()
        return self.made[-1]

    def _answers(self) -> list:
        return self.tasks[len(self.made) % len(self.tasks)][1]

    def _clear(self) -> None:
        """Show the present request afresh."""
        self.order = []
        done = len(self.made) >= len(self.tasks)
        request, answers = self.tasks[len(self.made) % len(self.tasks)]
        told = f"<b>Request {len(self.made) + 1} of {len(self.tasks)}:</b> {html.escape(request)}"
        if done:
            told = "<b>All requests are ranked.</b> Below is what the reward model thinks you like."
        self.request.value = STYLE + told
        for number, button in enumerate(self.buttons):
            button.layout.display = "none" if number >= len(answers) else None
            button.description = "" if number >= len(answers) else f"{number + 1}. {answers[number].strip()}"
            button.disabled = done
        self.typed.value, self.typed.disabled = "", done
        self.status.value = (
            f"{len(self.made)} ranked by you." if self.made else "Nothing ranked yet: click the best first."
        )

    def _clicked(self, number: int) -> None:
        if number in self.order or number >= len(self._answers()):
            return
        self.order.append(number)
        self.buttons[number].disabled = True
        self.buttons[number].description = f"[{len(self.order)}] {self.buttons[number].description}"
        if len(self.order) == len(self._answers()):
            self.rank(" ".join(str(x + 1) for x in self.order))

    def _submitted(self) -> None:
        if not self.typed.value.strip():
            return
        try:
            self.rank(self.typed.value)
        except ValueError as error:
            self.status.value = f'<p role="alert">{html.escape(str(error))}</p>'

    def _learned(self) -> None:
        """Teach the reward model, and show what it concludes; an error is shown to the reader, not to a log."""
        try:
            figure, self.alt = self.learn(self.rankings)
        except Exception as error:  # noqa: BLE001  inside a click nobody would see it
            if not hasattr(self, "png"):  # the first picture: the cell itself says what is wrong
                raise
            words = html.escape(f"The reward model could not be taught. {type(error).__name__}: {error}")
            self.status.value = f'<p role="alert">{words}</p>'
            return
        self.png = style.png(figure)
        self.view.value = display.figure_html(self.png, self.alt)

    def __repr__(self) -> str:
        return f"RankingDesk: {self.description}"

    def _repr_mimebundle_(self, **kwargs):
        """The live widget, and for the saved file the present picture and the constant text."""
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        bundle |= {"text/plain": repr(self), "text/html": display.figure_html(self.png, self.description)}
        return bundle, {}


def _groups(order: str) -> list[list[int]]:
    """An order as groups of ties, best first: numbers joined by "=" are one group, anything else that is allowed parts.

    Digits and signs of East Asian keyboards are read as the usual ones. An order written with "<" is refused: it may
    mean "worse than" as well as "before". So is any other sign.

    >>> _groups("2 > 1=3, 4"), _groups("２，１＝３、４"), _groups("2-1-3-4")
    ([[2], [1, 3], [4]], [[2], [1, 3], [4]], [[2], [1], [3], [4]])
    """
    plain = unicodedata.normalize("NFKC", order)
    if odd := sorted(set(re.findall(r"[^\d\s,;>=、。.\-–—‐‑]", plain))):
        raise ValueError(f"expected numbers, best first, with = for a tie, such as 2 1=3; but got {odd} in {order!r}")
    parts = re.split(r"[\s,;>、。.\-–—‐‑]+", re.sub(r"\s*=\s*", "=", plain.strip()))
    return [[int(x) for x in part.split("=") if x] for part in parts if part.strip("=")]


def words(description: str) -> dict:
    """A control's label, never cut short: it is also what a screen reader says."""
    layout = ipywidgets.Layout(width="28em", max_width="100%")
    return {"description": description, "style": {"description_width": "initial"}, "layout": layout}
