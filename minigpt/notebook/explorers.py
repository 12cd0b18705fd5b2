"""Interactive explorers for attention, sampling, prompts, predictions and images."""

import html
import inspect
from collections.abc import Callable

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from minigpt import plots
from minigpt.notebook import display, ranking_desk
from minigpt.plots import style

MOST_TOKENS = 24  # of an attention map that can be read on one screen
MAP_SIDE = 4.3  # inches: with its labels, the sliders and the caption such a map is no higher than 650 pixels
MOST_TOP_K = 50  # of the slider; more is nearly no cut
N_CACHED = 64  # pictures that an explorer keeps, about 30 kB each


def _with_number(control):
    """Slider with a box for the same number beside it, both with the control's name; anything else as it is."""
    boxes = {ipywidgets.IntSlider: ipywidgets.BoundedIntText, ipywidgets.FloatSlider: ipywidgets.BoundedFloatText}
    if type(control) not in boxes:
        return control
    layout = ipywidgets.Layout(width="7em")
    number = boxes[type(control)](
        control.value, min=control.min, max=control.max, step=control.step, layout=layout,
        tooltip=f"{control.description}, as a number", continuous_update=False,
    )  # fmt: skip
    # a browser's slider gives 0.5000000000000001, of which the box would show "0.50000000"
    ipywidgets.link((control, "value"), (number, "value"), transform=(lambda x: round(x, 9), lambda x: x))
    control.readout = False
    return ipywidgets.HBox([control, number])


class Explorer(ipywidgets.VBox):
    """Interactive figure: drawn anew whenever a control is moved, with a sentence beneath it that says what it shows.

    draw: called with the value of every control by name, returns (figure, alt): alt is one sentence that says what
    this picture shows, digits included. controls: name -> widget with a value. description: one sentence for the
    saved file, the same on every computer and for every setting.

    If a later draw fails, the error stands in place of the picture and the controls stay alive.

    Errors: ValueError if description is shorter than 20 characters or a control has no value; whatever draw raises at
    the first picture.
    """

    def __init__(self, draw: Callable[..., tuple[Figure, str]], controls: dict, description: str):
        if not isinstance(description, str) or len(description.strip()) < 20:
            raise ValueError(f"description must be a sentence of at least 20 characters, not {description!r}")
        valueless = [name for name, control in controls.items() if not hasattr(control, "value")]
        if valueless:
            raise ValueError(f"controls must be widgets with a value, but these are not: {valueless}")
        self.draw, self.controls, self.description = draw, dict(controls), " ".join(description.split())
        self.view, self._known = ipywidgets.HTML(), {}
        super().__init__([*(_with_number(control) for control in self.controls.values()), self.view])
        self._picture()
        for control in self.controls.values():
            control.observe(self._redraw, names="value")

    def _picture(self) -> None:
        """Draw with the present values."""
        values = {name: control.value for name, control in self.controls.items()}
        key = repr(values)
        if key not in self._known:
            figure, alt = self.draw(**values)
            self._known[key] = style.png(figure), alt
        self.png, self.alt = self._known[key]
        while len(self._known) > N_CACHED:
            del self._known[next(iter(self._known))]
        self.view.value = display.figure_html(self.png, self.alt)

    def _redraw(self, change) -> None:
        try:
            self._picture()
        except Exception as error:  # noqa: BLE001  a reader's own function: say it in the picture's place
            self.alt = f"This setting cannot be drawn. {type(error).__name__}: {error}"
            self.view.value = f'<p role="alert">{html.escape(self.alt)}</p>'

    def __repr__(self) -> str:
        return f"Explorer: {self.description}"

    def _repr_mimebundle_(self, **kwargs):
        """The live widget, and for the saved file the present picture and the constant text."""
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        bundle |= {"text/plain": repr(self), "text/html": display.figure_html(self.png, self.description)}
        return bundle, {}


def slider_explorer(
    draw: Callable[..., tuple[Figure, str]], name: str, low, high, step, start, description: str, label: str = ""
) -> Explorer:
    """Slider for one number: the figure follows it. Twin: display.show(*draw(value)).

    draw: called with the keyword `name`, returns (figure, alt). Whole numbers if low, high, step and start are.

    Errors: ValueError unless low <= start <= high and step > 0.
    """
    if not (low <= start <= high and step > 0):
        raise ValueError(f"expected low <= start <= high and step > 0, but got {low}, {start}, {high}, step {step}")
    whole = all(isinstance(number, int) for number in (low, high, step, start))
    slider = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    control = slider(start, min=low, max=high, step=step, **ranking_desk.words(label or name))
    return Explorer(draw, {name: control}, description)


def attention_explorer(
    maps: list,
    tokens: list,
    allowed=None,
    description: str = "",
    *,
    place: int | None = None,
    start: tuple[int, int] = (1, 1),
) -> Explorer:
    """Attention map of a chosen layer and head: where each position looks. Twin: plots.attention_map.

    maps: one (H, T, T) for each layer. allowed: (T, T), True where a position may look. At most 24 tokens are drawn:
    the first ones, or those up to the position `place` (from 0; for causal maps), after a column for all before them.
    start: the layer and the head that are shown first, from 1. Colours grow with the root of the weight.

    Errors: ValueError if maps is empty or not of that shape, or there is no such place, layer or head.
    """
    maps = [np.asarray(layer, float) for layer in maps]
    if not maps or any(layer.shape != (len(maps[0]), len(tokens), len(tokens)) for layer in maps):
        shapes = [layer.shape for layer in maps]
        raise ValueError(f"expected maps (H, T, T) for every layer and {len(tokens)} tokens, but got {shapes}")
    if not (1 <= start[0] <= len(maps) and 1 <= start[1] <= len(maps[0])):
        raise ValueError(f"expected a layer up to {len(maps)} and a head up to {len(maps[0])}, but got {start}")
    n = min(len(tokens), MOST_TOKENS)
    first_ones = list(tokens)[:n], None if allowed is None else np.asarray(allowed)[:n, :n]
    kept = []  # one figure for all pictures: only its squares and its title change, which is three times as fast

    def draw(layer: int, head: int) -> tuple[Figure, str]:
        weights, (names, may) = maps[layer - 1][head - 1], first_ones
        if place is None:
            weights, last = weights[:n, :n], n - 1
        else:
            (weights, names, may), last = plots.attention_window(weights, tokens, place, MOST_TOKENS), place
        title = f"layer {layer}, head {head}"
        if not kept:
            figure = plots.attention_map(
                weights, names, allowed=may, title=title, side=MAP_SIDE, faint=True, numbers_up_to=0
            )
            style.png(figure)  # everything has found its place
            figure.set_layout_engine("none")
            kept.append(figure)
        kept[0].axes[0].images[0].set_data(weights)
        kept[0].texts[0].set_text(title)
        best = np.argmax(weights[-1])
        where = "" if names[best] == plots.EARLIER else f", position {last - len(names) + best + 2}"
        who = "the last position" if last == len(tokens) - 1 and place is None else f"position {last + 1}"
        return kept[0], (
            f"Layer {layer}, head {head}: {who}, {style.visible(names[-1])}, looks most at "
            f"{style.visible(names[best])}{where}, with weight {weights[-1, best]:.2f}."
        )

    controls = {
        "layer": ipywidgets.IntSlider(start[0], min=1, max=len(maps), **ranking_desk.words("layer")),
        "head": ipywidgets.IntSlider(start[1], min=1, max=len(maps[0]), **ranking_desk.words("head")),
    }
    words = f"choose one of {len(maps)} layers and {len(maps[0])} heads to see where each position looks"
    return Explorer(draw, controls, description or words)


def rollout_explorer(texts: list, tokens: list, numbers: dict, description: str = "", *, n_shown: int = 8) -> Explorer:
    """Rollout of PPO, token by token: a chosen answer, and n_shown of its tokens. Twin: plots.rollout_timeline.

    texts: what each answer is to, its title. tokens: the tokens of each answer. numbers: name -> (n_answers, T), such
    as log π, R_t and A_t; what comes after an answer's last token is not looked at.

    Errors: ValueError for no answer, or if texts, tokens and numbers are not of equally many answers, or a token has no
    number.
    """
    numbers = {name: np.asarray(each, float) for name, each in numbers.items()}
    longest = max(map(len, tokens), default=0)
    for name, each in [("texts", np.empty((len(texts), longest))), *numbers.items()]:
        if not longest or each.ndim != 2 or len(each) != len(tokens) or each.shape[1] < longest:
            raise ValueError(f"{name}: expected {len(tokens)} answers of {longest} tokens, got the shape {each.shape}")

    def draw(answer: int, first: int) -> tuple[Figure, str]:
        words = tokens[answer - 1]
        begin = max(0, min(first - 1, len(words) - n_shown))
        here = slice(begin, min(begin + n_shown, len(words)))
        shown = {name: each[answer - 1, here] for name, each in numbers.items()}
        figure = plots.rollout_timeline(words[here], shown, title=texts[answer - 1])
        return figure, (
            f"Answer {answer}: {here.stop - begin} of {len(words)} tokens, from number {begin + 1} on. "
            + "; ".join(f"{name} {round(each[-1], 2) + 0:.2f}" for name, each in shown.items())  # + 0: no -0.00
            + f" at the last of them, {style.visible(words[here][-1])}."
        )

    most = max(1, longest - n_shown + 1)
    controls = {
        "answer": ipywidgets.IntSlider(1, min=1, max=len(texts), **ranking_desk.words("answer")),
        "first": ipywidgets.IntSlider(1, min=1, max=most, **ranking_desk.words("first token shown")),
    }
    return Explorer(draw, controls, description or f"choose one of {len(texts)} answers to see its tokens' numbers")


def sampling_explorer(
    tokens: list, next_probs: Callable, n: int = 12, description: str = "", *, truth=None, start: tuple | None = None
) -> Explorer:
    """Next-token distribution at a chosen temperature, top-k and top-p. Twin: plots.next_token_bars.

    tokens: names of all V tokens. next_probs(temperature, top_k, top_p) gives their (V,) probabilities; top_k is None
    where nothing is cut. truth: (V,), the language's own probabilities, black marks. start: the first values of the
    three controls; None: (0.7, 8, 1.0). A next_probs of two arguments (temperature, top_k) has no top-p, starts uncut.

    Errors: ValueError if next_probs does not give one probability for each token, or a start that is no setting.
    """
    V = len(tokens)
    three = len(inspect.signature(next_probs).parameters) >= 3
    most = min(V, MOST_TOP_K) if three else V
    first = ((0.7, min(8, most), 1.0) if three else (1.0, V)) if start is None else tuple(start)
    if len(first) != 2 + three or not 0.1 <= first[0] <= 3 or not (1 - three) <= first[1] <= most:
        raise ValueError(f"start: expected (temperature, top_k{', top_p' * three}), top_k up to {most}; got {start!r}")
    if three and not 0.05 <= first[2] <= 1:
        raise ValueError(f"start: expected top_p from 0.05 to 1, but got {first[2]!r}")
    before = np.asarray(next_probs(1.0, None, 1.0) if three else next_probs(1.0, V), float)

    def draw(temperature: float, top_k: int, top_p: float | None = None) -> tuple[Figure, str]:
        title = f"temperature {temperature:.1f}, top-k {top_k}"
        if top_p is None:
            after = np.asarray(next_probs(temperature, top_k), float)
        else:
            after = np.asarray(next_probs(round(temperature, 2), top_k or None, round(top_p, 2)), float)
            title = f"temperature {temperature:.1f}, top-k {top_k or 'off'}, top-p {top_p:.2f}"
            title = title.removesuffix(" 1.00") + " off" * (top_p > 0.999)
        look = {"truth": truth, "whole": False} if three else {"truth": truth}
        figure = plots.next_token_bars(tokens, before, after, n=n, title=title, **look)
        best = np.argmax(after)
        words = (
            f"At {title}, {np.count_nonzero(after)} of {V} tokens can be drawn; the most probable is "
            f"{style.visible(tokens[best])} with {after[best]:.2f}, which the model itself gives {before[best]:.2f}"
        )
        return figure, words + ("." if truth is None else f", and the truth {truth[best]:.2f}.")

    slider, number = ipywidgets.FloatSlider, ranking_desk.words
    controls = {
        "temperature": slider(first[0], min=0.1, max=3.0, step=0.1, readout_format=".1f", **number("temperature")),
        "top_k": ipywidgets.IntSlider(
            first[1], min=1 - three, max=most, **number("top-k (0: off)" if three else "top-k")
        ),
    }
    if three:
        controls["top_p"] = slider(first[2], min=0.05, max=1.0, step=0.05, readout_format=".2f", **number("top-p"))
    moved = "temperature, top-k and top-p" if three else "temperature and top-k"
    words = f"move {moved} to see which next tokens can be drawn, and how often"
    return Explorer(draw, controls, description or words)


def prompt_explorer(
    answer: Callable,
    shots: list,
    right: str | dict | None = None,
    description: str = "",
    *,
    best: Callable | None = None,
    choices: list | None = None,
    start: int | None = None,
) -> Explorer:
    """Few-shot prompt with K examples, K chosen, and the answers. Twin: plots.prompt_answers(*answer(k), right).

    The model's answers are drawn beside what the best possible learner believes, if `best` is given. answer(k) gives
    the prompt with k examples and the model's answers as (answer, probability); it is called when k is chosen, once for
    each k. shots: the values of K that can be chosen. right: the right answer, which is marked. best(k): (answer,
    probability) of the Bayes learner who saw the same examples. choices: names, such as kinds of rules, as toggle
    buttons; then answer(k, choice), best(k, choice) and right[choice]. start: the K shown first; None: 4 if it can be
    chosen, else the first.

    Errors: ValueError for no shots, or negative ones, a start that is not among them, no choices, or not a right answer
    for each; those of plots.prompt_answers.
    """
    shots = list(shots)
    if not shots or min(shots) < 0:
        raise ValueError(f"expected values of K of at least 0, one or more, but got {shots}")
    start = (4 if 4 in shots else shots[0]) if start is None else start
    if start not in shots:
        raise ValueError(f"start: expected one of {shots}, but got {start!r}")
    names = [None] if choices is None else list(choices)
    if not names or isinstance(right, dict) and set(right) != set(names):
        raise ValueError(f"expected at least one choice, and a right answer for each, but got {names} and {right}")
    known = {}

    def asked(k: int, choice=None) -> tuple:
        if (k, choice) not in known:
            which = (k,) if choices is None else (k, choice)
            known[k, choice] = (*answer(*which), None if best is None else best(*which))
        return known[k, choice]

    prompts = [asked(max(shots), name)[0] for name in names]
    longest = min(14, max(len(plots.prompt_lines(prompt + " ___")) for prompt in prompts))

    def draw(k: int, choice=None) -> tuple[Figure, str]:
        prompt, answers, ideal = asked(k, choice)
        wanted = right[choice] if isinstance(right, dict) else right
        examples = f"{k} example{'' if k == 1 else 's'}"
        title = f"K = {k}: {examples}" if choice is None else f"{choice}, K = {k}: {examples}"
        look = {} if ideal is None else {"best": ideal}
        figure = plots.prompt_answers(prompt, answers, wanted, title=title, n_lines=longest, **look)
        likeliest, share = max(answers, key=lambda pair: pair[1])
        words = f"With {examples} before the question the likeliest answer is {likeliest.strip()}, with {share:.2f}"
        if wanted is not None and likeliest == wanted:
            words += ", and that is right"
        elif wanted is not None:
            words += f"; the right one, {wanted.strip()}, has {dict(answers)[wanted]:.2f}"
        if ideal is None:
            return figure, words + "."
        theirs, sure = max(ideal, key=lambda pair: pair[1])
        return figure, f"{words}. The best possible learner says {theirs.strip()}, with {sure:.2f}."

    label = ranking_desk.words("examples in the prompt, K")
    whole = all(isinstance(k, int) for k in shots) and shots == list(range(shots[0], shots[-1] + 1)) and len(shots) > 1
    slider = (
        ipywidgets.IntSlider(start, min=shots[0], max=shots[-1], **label)
        if whole
        else ipywidgets.SelectionSlider(options=shots, value=start, **label)
    )
    controls = {"k": slider}
    if choices is not None:
        buttons = ipywidgets.ToggleButtons(options=names, value=names[0], **ranking_desk.words("kind"))
        controls = {"choice": buttons, "k": slider}
    words = f"choose one of {len(shots)} numbers of examples to see the prompt and how the model answers it"
    return Explorer(draw, controls, description or words)


def prediction_game(
    ladders: dict, score: Callable[[float, float, float], float], rivals: dict | None = None, description: str = ""
) -> Explorer:
    """Loss prediction by hand: a scaling law through small runs, an interval for the large one, and only then its loss.

        L(C) = E + R (C_1 / C)^κ,     C_1: the compute of the smallest run,  R = (C_0 / C_1)^κ

    ladders: name -> (compute, loss, at, came, floor): the small runs, the compute of the large one, and what is hidden
    until "show what came" is ticked, for each ladder anew: its loss and the entropy of its language. score(low, high,
    came): an interval score; less is better. rivals: name -> function (compute, loss, at) -> (value, low, high).
    The error is told as a share of the reducible loss that is left, came - floor. Twin: plots.final_run.

    Errors: ValueError for no ladders, or one whose large run is not larger than its small ones.
    """
    if not ladders or any(each[2] <= np.max(each[0]) for each in ladders.values()):
        raise ValueError("expected at least one ladder, with a run to predict beyond all others")

    def draw(ladder, E, R, kappa, margin, reveal):
        compute, loss, at, came, floor = ladders[ladder]
        start = np.min(compute)
        value = E + R * (start / at) ** kappa
        x = np.geomspace(start, at, 60)
        misfit = np.mean(np.abs(E + R * (start / np.asarray(compute)) ** kappa - loss))
        figure = plots.final_run(
            at, (compute, loss), (x, E + R * (start / x) ** kappa), (value - margin, value + margin),
            came if reveal else None, floor if reveal else None, y_label="loss (nats per word)",
            title=f"{ladder}: E = {E:.2f}, κ = {kappa:.2f}",
        )  # fmt: skip
        words = f"The curve misses the small runs by {misfit:.3f} nats on average. "
        words += f"Your prediction is {value:.3f}, from {value - margin:.3f} to {value + margin:.3f}"
        if not reveal:
            return figure, words + "; the result is hidden."
        where = "inside" if value - margin <= came <= value + margin else "outside"
        words += f". The result is {came:.3f}: {where}. {_judged(value, value - margin, value + margin, came, floor)}"
        for name, rival in (rivals or {}).items():
            words += f" {name}: {_judged(*rival(compute, loss, at), came, floor)}"
        return figure, words

    def _judged(value, low, high, came, floor):
        share = 100 * abs(value - came) / (came - floor)
        return f"Error {share:.0f} % of the reducible loss, score {score(low, high, came):.3f}."

    slider = ipywidgets.FloatSlider
    every = np.concatenate([np.asarray(each[1], float) for each in ladders.values()])
    top = float(np.ceil(10 * every.max()) / 10)
    controls = {
        "ladder": ipywidgets.ToggleButtons(options=list(ladders), **ranking_desk.words("ladder")),
        "E": slider(round(0.8 * float(np.min(next(iter(ladders.values()))[1])), 2), min=0.0, max=top, step=0.01,
                    **ranking_desk.words("E: the floor")),
        "R": slider(0.5, min=0.05, max=2.0, step=0.01, **ranking_desk.words("R: above it, the smallest run")),
        "kappa": slider(0.25, min=0.05, max=0.8, step=0.01, **ranking_desk.words("κ: how fast it falls")),
        "margin": slider(0.05, min=0.002, max=0.3, step=0.002, readout_format=".3f",
                         **ranking_desk.words("up and down by (nats)")),
        "reveal": ipywidgets.Checkbox(False, indent=False, **ranking_desk.words("show what came")),
    }  # fmt: skip
    # before the picture is drawn anew: another ladder keeps its secret
    controls["ladder"].observe(lambda _: controls["reveal"].set_trait("value", False), names="value")
    words = "lay a law through the small runs with three sliders, give an interval, and then show the result"
    return Explorer(draw, controls, description or words)


def question_box(
    ask: Callable[[list, str, bool], tuple],
    places: tuple,
    things: list,
    start: list,
    question: str,
    description: str = "",
) -> Explorer:
    """Visual question answering: things put into a picture, and a question about it. Twin: plots.image_answers.

    ask(chosen, question, sees) gives (image, attention, answers, right) for plots.image_answers; chosen is one of
    `things` for each place. start: the first choice. A question that cannot be read stands as an error in the
    picture's place.

    Errors: ValueError if there is not one first choice, among the things, for each place.
    """
    if len(start) != len(places) or any(thing not in things for thing in start):
        raise ValueError(f"expected one of the things for each of {len(places)} places, but got {start}")

    def draw(question, sees, **chosen):
        image, attention, answers, right = ask([chosen[place] for place in places], question, sees)
        best, share = max(answers, key=lambda pair: pair[1])
        eyes = "With the picture" if sees else "Without the picture"
        figure = plots.image_answers(image, attention, answers, right, title=f"{question.strip().rstrip('?')}?")
        return figure, f"{eyes} the likeliest answer to “{question}” is {best}, with probability {share:.2f}."

    controls = {}
    for place, first in zip(places, start):  # six small buttons in a line: four places fit on a screen
        look = ranking_desk.words(place)
        look["style"]["button_width"], look["layout"].width = "8.2em", "100%"
        controls[place] = ipywidgets.ToggleButtons(options=things, value=first, **look)
    controls["question"] = ipywidgets.Text(question, continuous_update=False, **ranking_desk.words("your question"))
    controls["sees"] = ipywidgets.Checkbox(True, indent=False, **ranking_desk.words("the model sees the picture"))
    words = "put coloured shapes into four places, ask a question in words, and see what is answered"
    return Explorer(draw, controls, description or words)
