"""Explorers without a browser: moving a control draws anew, says so in words, and saves the same constant text."""

import base64
import html
import re
import time

import ipywidgets
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from minigpt import plots, sample
from minigpt.notebook import explorers
from minigpt.notebook.explorers import (
    Explorer,
    attention_explorer,
    prediction_game,
    prompt_explorer,
    question_box,
    rollout_explorer,
    sampling_explorer,
    slider_explorer,
)
from minigpt.plots import style

WORDS = "One bar, as long as the slider says."
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def one_bar(k):
    if k == 13:
        raise ZeroDivisionError("no <13>")
    return plots.bars(["k"], {"k": [k]}, y_label="length"), f'A bar of length {k} & its "label".'


def shown(explorer: Explorer) -> tuple[str, bytes]:
    """(alternative text, PNG) of the picture in an explorer's view."""
    alt, data = re.fullmatch(
        r'<figure .*<img alt="(.*?)" .*src="data:image/png;base64,(.*?)"><figcaption.*</figure>', explorer.view.value
    ).groups()
    return html.unescape(alt), base64.b64decode(data)


@pytest.fixture
def explorer():
    return slider_explorer(one_bar, "k", 1, 20, 1, 3, WORDS, label="length of the bar")


def test_moving_the_slider_draws_anew_and_says_so(explorer):
    alt, before = shown(explorer)
    assert alt == explorer.alt == 'A bar of length 3 & its "label".' and before[:4] == b"\x89PNG"
    explorer.controls["k"].value = 7
    alt, after = shown(explorer)
    assert alt == explorer.alt == 'A bar of length 7 & its "label".' and after != before
    assert after == style.png(one_bar(7)[0])
    assert html.escape(alt) in explorer.view.value.split("<figcaption", 1)[1]  # the caption, for those who see


def test_what_is_saved_is_a_picture_and_a_constant_text(explorer):
    first, metadata = explorer._repr_mimebundle_()
    assert set(first) == {WIDGET_VIEW, "text/plain", "text/html"} and not metadata
    assert first["text/plain"] == repr(explorer) == f"Explorer: {WORDS}"
    assert WORDS in first["text/html"] and base64.b64encode(shown(explorer)[1]).decode() in first["text/html"]
    explorer.controls["k"].value = 8
    second, _ = explorer._repr_mimebundle_()
    assert second["text/plain"] == first["text/plain"] and second["text/html"] != first["text/html"]


def test_the_controls_stand_above_the_picture_with_their_names(explorer):
    row, view = explorer.children
    slider, number = row.children
    number.value = 5  # the box beside the slider moves it, and the other way round
    assert slider.value == 5 and "5, as" not in number.tooltip and "length of the bar" in number.tooltip
    slider.value = 6
    assert number.value == 6
    assert slider is explorer.controls["k"] and slider.description == "length of the bar" and view is explorer.view
    assert slider.style.description_width == "initial"  # never cut short


def test_an_error_while_moving_is_said_and_the_next_picture_comes_back(explorer):
    explorer.controls["k"].value = 13
    assert (
        explorer.view.value == ('<p role="alert">This setting cannot be drawn. ZeroDivisionError: no &lt;13&gt;</p>')
        and "ZeroDivisionError" in explorer.alt
    )
    explorer.controls["k"].value = 14
    assert shown(explorer)[0] == 'A bar of length 14 & its "label".'


def test_an_error_in_the_first_picture_is_an_error():
    with pytest.raises(ZeroDivisionError):
        slider_explorer(one_bar, "k", 1, 20, 1, 13, WORDS)


def test_several_controls_come_by_name():
    seen = []

    def draw(a, b):
        seen.append((a, b))
        return Figure(figsize=(1, 1)), "A blank page."

    two = Explorer(draw, {"b": ipywidgets.Dropdown(options=["x", "y"]), "a": ipywidgets.IntSlider(2)}, WORDS)
    two.controls["b"].value = "y"
    assert seen == [(2, "x"), (2, "y")]


def test_sliders_are_whole_only_if_all_their_numbers_are():
    def draw(t):
        return Figure(figsize=(1, 1)), f"{t}"

    assert isinstance(slider_explorer(draw, "t", 0, 4, 1, 2, WORDS).controls["t"], ipywidgets.IntSlider)
    smooth = slider_explorer(draw, "t", 0.0, 1.0, 0.25, 0.5, WORDS)
    assert isinstance(smooth.controls["t"], ipywidgets.FloatSlider)
    smooth.controls["t"].value = 0.75
    assert smooth.alt == "0.75"


def box(chosen, question, sees):
    if "unicorn" in question:
        raise ValueError("expected words that pictures are described with")
    image = np.full((8, 8, 3), 0.5)
    return (image if sees else None), [], [("red", 0.9 if "red" in chosen else 0.1), ("blue", 0.3)], None


@pytest.mark.slow
def test_the_prediction_game_hides_what_came_until_it_is_asked_for():
    compute = np.array([1e9, 1e10, 1e11])
    loss = 0.5 * (compute / 1e9) ** -0.25 + 1.0
    came = 0.5 * 1e4**-0.25 + 1.0  # 1.05
    paid = []

    def score(low, high, came):
        paid.append((low, high, came))
        return 7.0

    ladders = {"one": (compute, loss, 1e13, came, 1.0), "two": (compute, loss, 1e13, 9.0, 8.0)}
    game = prediction_game(ladders, score)
    assert "hidden" in game.alt and f"{came:.3f}" not in game.alt and not paid
    for name, value in (("R", 0.5), ("kappa", 0.25), ("E", 1.0), ("margin", 0.02)):
        game.controls[name].value = value
    assert "misses the small runs by 0.000 nats" in game.alt and "hidden" in game.alt
    game.controls["reveal"].value = True
    assert f"The result is {came:.3f}: inside. Error 0 % of the reducible loss, score 7.000." in game.alt
    assert paid[-1] == pytest.approx((came - 0.02, came + 0.02, came))
    game.controls["E"].value = 1.01  # 0.01 too high, of the 0.05 that are left
    assert "Error 20 % of the reducible loss" in game.alt
    before = len(paid)
    game.controls["ladder"].value = "two"
    assert "hidden" in game.alt and "9.000" not in game.alt and len(paid) == before
    game.controls["reveal"].value = True
    assert "The result is 9.000: outside" in game.alt and game.alt.endswith("score 7.000.")

    def rival(C, L, at):
        assert (C == compute).all() and (L == loss).all() and at == 1e13
        return 1.1, 1.04, 1.2

    game = prediction_game({"one": ladders["one"]}, score, {"least squares": rival})
    assert "least squares" not in game.alt
    game.controls["reveal"].value = True
    assert game.alt.endswith("least squares: Error 100 % of the reducible loss, score 7.000.")
    assert paid[-1] == (1.04, 1.2, came)


def test_the_question_box_asks_about_what_was_put_in():
    asked = question_box(box, ("left", "right"), ["nothing", "red"], ["nothing", "nothing"], "what is it")
    assert "likeliest answer to “what is it” is blue" in asked.alt
    asked.controls["right"].value = "red"
    assert "is red, with probability 0.90" in asked.alt and asked.alt.startswith("With the picture")
    asked.controls["sees"].value = False
    assert asked.alt.startswith("Without the picture")
    asked.controls["question"].value = "where is the unicorn"
    assert "cannot be drawn" in asked.alt and "expected words" in asked.view.value
    asked.controls["question"].value = "what"
    assert "“what” is red" in asked.alt


def test_a_rollout_is_shown_from_the_token_that_is_chosen(monkeypatch):
    drawn = []
    real = plots.rollout_timeline
    monkeypatch.setattr(plots, "rollout_timeline", lambda *a, title: drawn.append((*a, title)) or real(*a, title=title))
    numbers = {"R_t": np.arange(10.0).reshape(2, 5), "A_t": -np.arange(10.0).reshape(2, 5)}
    shown = rollout_explorer(["one", "two"], [list("abcde"), list("fg")], numbers, n_shown=3)
    shown.controls["first"].value = 9  # as far as it goes
    words, rows, title = drawn[-1]
    assert (words, title, rows["R_t"].tolist()) == (list("cde"), "one", [2.0, 3.0, 4.0])
    assert "3 of 5 tokens, from number 3 on. R_t 4.00; A_t -4.00 at the last of them" in shown.alt
    shown.controls["answer"].value = 2  # shorter than what is shown
    words, rows, title = drawn[-1]
    assert (words, title, rows["A_t"].tolist()) == (list("fg"), "two", [-5.0, -6.0])
    assert shown.alt.startswith("Answer 2: 2 of 2 tokens, from number 1 on.")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rollout_explorer(["x"], [["a", "b"]], {"R_t": np.zeros((1, 1))}), "R_t: expected 1 answers of 2"),
        (lambda: rollout_explorer(["x", "y"], [["a"]], {"R_t": np.zeros((1, 1))}), "texts: expected 1 answers"),
        (lambda: rollout_explorer([], [], {}), "texts: expected 0 answers"),
        (lambda: Explorer(one_bar, {"k": ipywidgets.IntSlider(1)}, "short"), "at least 20 characters"),
        (lambda: Explorer(one_bar, {"k": 3}, WORDS), "not: \\['k'\\]"),
        (lambda: slider_explorer(one_bar, "k", 5, 1, 1, 3, WORDS), "low <= start <= high"),
        (lambda: slider_explorer(one_bar, "k", 1, 5, 0, 3, WORDS), "step > 0"),
        (lambda: attention_explorer([], ["a"]), "expected maps"),
        (lambda: attention_explorer([np.ones((2, 3, 3)), np.ones((1, 3, 3))], list("abc")), "expected maps"),
        (lambda: attention_explorer([np.ones((2, 3, 3))], list("ab")), "2 tokens"),
        (lambda: prompt_explorer(lambda k: ("x", [(" a", 1.0)]), []), "one or more"),
        (lambda: prompt_explorer(lambda k: ("x", [(" a", 1.0)]), [-1, 2]), "at least 0"),
        (lambda: prompt_explorer(lambda k: ("x", [(" a", 1.0)]), [0], right=" b"), "' b' among them"),
        (lambda: prediction_game({}, max), "at least one ladder"),
        (lambda: prediction_game({"one": ([1, 2], [3.0, 2.0], 2, 1.0, 0.5)}, max), "beyond all others"),
        (lambda: question_box(box, ("a", "b"), ["x", "y"], ["x"], "what"), "each of 2 places"),
        (lambda: question_box(box, ("a",), ["x", "y"], ["z"], "what"), "got \\['z'\\]"),
        (lambda: sampling_explorer(["a"], lambda temperature, top_k: np.ones(2) / 2), "1 tokens, but 2 probabilities"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the explorers of the book, each against its static twin ----------------------------------------------------------

MAPS = [np.tril(np.arange(1.0, 10).reshape(3, 3) ** power) for power in (1, 3)]
MAPS = [np.stack([m, m[:, ::-1]]) / m.sum(1, keepdims=True) for m in MAPS]
TOKENS = ["Mia", " saw", " it"]


def test_the_attention_explorer_shows_the_head_that_was_chosen():
    explorer = attention_explorer(MAPS, TOKENS, allowed=np.tri(3))
    assert shown(explorer)[0].startswith(
        "Layer 1, head 1: the last position, ␣it, looks most at ␣it, position 3, with weight 0.38"
    )
    explorer.controls["layer"].value, explorer.controls["head"].value = 2, 2
    alt, picture = shown(explorer)
    look = {"side": explorers.MAP_SIDE, "faint": True, "numbers_up_to": 0}
    twin = plots.attention_map(MAPS[1][1], TOKENS, allowed=np.tri(3), title="layer 2, head 2", **look)
    assert picture == style.png(twin)
    assert (
        alt == "Layer 2, head 2: the last position, ␣it, looks most at Mia, position 1, "
        f"with weight {729 / (343 + 512 + 729):.2f}."
    )
    assert (explorer.controls["layer"].max, explorer.controls["head"].max) == (2, 2)
    assert repr(explorer) == "Explorer: choose one of 2 layers and 2 heads to see where each position looks"


def long_maps(T: int) -> list:
    maps = [np.tril(np.random.default_rng(seed).random((3, T, T)) ** 8) for seed in (0, 1)]
    return [layer / layer.sum(axis=2, keepdims=True) for layer in maps]


def test_the_attention_explorer_starts_at_a_place_and_a_head_and_shows_what_stood_before_as_one_column():
    T, maps = 40, long_maps(40)
    tokens = [f" w{i}" for i in range(T)]
    explorer = attention_explorer(maps, tokens, place=35, start=(2, 3))
    assert (explorer.controls["layer"].value, explorer.controls["head"].value) == (2, 3)
    row = maps[1][2, 35]
    before, after = row[:13].sum(), row[13:36]
    likeliest = "(earlier)" if before > after.max() else f"␣w{13 + after.argmax()}, position {14 + after.argmax()}"
    assert explorer.alt == (
        f"Layer 2, head 3: position 36, ␣w35, looks most at {likeliest}, with weight {max(before, after.max()):.2f}."
    )
    part, names, may = plots.attention_window(maps[1][2], tokens, 35, 24)
    look = {"side": explorers.MAP_SIDE, "faint": True, "allowed": may, "title": "layer 2, head 3"}
    assert explorer.png == style.png(plots.attention_map(part, names, **look))


@pytest.mark.slow
def test_the_attention_explorer_fits_a_screen_and_moves_quickly():
    explorer = attention_explorer(long_maps(24), [" elephant"] * 24, place=23)
    pixels = int.from_bytes(explorer.png[20:24], "big") * style.SHOWN_DPI / style.DPI
    assert pixels < 650 and len(explorer.png) < 200_000
    spent = []
    for layer, head in ((1, 2), (1, 3), (2, 3), (2, 2)):
        begin = time.process_time()
        with explorer.hold_sync():
            explorer.controls["layer"].value, explorer.controls["head"].value = layer, head
        spent.append(time.process_time() - begin)
        assert explorer.alt.startswith(f"Layer {layer}, head {head}")
    assert min(spent) < 0.6, spent  # 0.1 to 0.2 s on a quiet machine; drawn anew it was 2.5 s


@pytest.mark.parametrize(
    ("options", "message"), [({"start": (3, 1)}, r"but got \(3, 1\)"), ({"place": 3}, "from 0 to 2")]
)
def test_a_place_or_a_head_that_does_not_exist_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        attention_explorer(MAPS, TOKENS, **options)


def next_probs(temperature: float, top_k: int) -> np.ndarray:
    """Softmax of log(0.5, 0.3, 0.2) / temperature, without all but the top_k largest."""
    probs = np.array([0.5, 0.3, 0.2]) ** (1 / temperature)
    probs[top_k:] = 0
    return probs / probs.sum()


def test_the_sampling_explorer_shows_what_is_sampled_from():
    explorer = sampling_explorer(TOKENS, next_probs)
    assert shown(explorer)[0].startswith(
        "At temperature 1.0, top-k 3, 3 of 3 tokens can be drawn; the most probable is Mia with 0.50"
    )
    explorer.controls["temperature"].value, explorer.controls["top_k"].value = 0.5, 2
    alt, picture = shown(explorer)
    twin = plots.next_token_bars(TOKENS, [0.5, 0.3, 0.2], next_probs(0.5, 2), title="temperature 0.5, top-k 2")
    assert picture == style.png(twin)
    assert "2 of 3 tokens" in alt and f"Mia with {0.25 / 0.34:.2f}, which the model itself gives 0.50." in alt
    explorer.controls["temperature"].value = 1.2000000000000002  # what a slider yields
    assert "temperature 1.2," in explorer.alt


ASKED = []


def answer(k: int) -> tuple[str, list]:
    """A model that believes in the sea until it has seen three examples."""
    ASKED.append(k)
    lines = [f"the fox number {i} lives in the forest" for i in range(k)]
    return "\n".join([*lines, "the owl lives in the"]), [(" sea", 1 / (k + 1)), (" forest", k / (k + 1))]


def test_the_prompt_explorer_shows_prompt_and_answers_for_the_k_that_was_chosen():
    ASKED.clear()
    explorer = prompt_explorer(answer, [0, 1, 3], " forest")
    assert shown(explorer)[0] == (
        "With 0 examples before the question the likeliest answer is sea, with 1.00; the right one, forest, has 0.00."
    )
    explorer.controls["k"].value = 3
    alt, picture = shown(explorer)
    assert alt == "With 3 examples before the question the likeliest answer is forest, with 0.75, and that is right."
    assert picture == style.png(plots.prompt_answers(*answer(3), " forest", title="K = 3: 3 examples", n_lines=4))
    explorer.controls["k"].value = 0
    assert ASKED == [3, 0, 3] and explorer.controls["k"].options == (0, 1, 3)  # each K once, and the twin


def test_the_prompt_explorer_needs_no_right_answer():
    explorer = prompt_explorer(answer, [1, 2], description="Zero, one and few examples before a question.")
    assert explorer.alt == "With 1 example before the question the likeliest answer is sea, with 0.50."
    assert repr(explorer) == "Explorer: Zero, one and few examples before a question."


LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
FOUR = [*TOKENS, " now"]


def cut_probs(temperature: float, top_k: int | None, top_p: float) -> np.ndarray:
    return sample.next_probs(LOGITS, temperature, top_k, top_p).numpy()


def test_the_sampling_playground_starts_where_the_idea_is_visible_and_shows_the_truth():
    truth = np.array([0.4, 0.3, 0.2, 0.1])
    explorer = sampling_explorer(FOUR, cut_probs, truth=truth)
    values = {name: control.value for name, control in explorer.controls.items()}
    assert values == {"temperature": 0.7, "top_k": 4, "top_p": 1.0}  # k = 8 where there are so many tokens
    assert sampling_explorer(list("abcdefghij"), lambda t, k, p: np.ones(10) / 10).controls["top_k"].value == 8
    sharp = cut_probs(0.7, 4, 1.0)
    assert explorer.alt == (
        "At temperature 0.7, top-k 4, top-p off, 4 of 4 tokens can be drawn; "
        f"the most probable is Mia with {sharp[0]:.2f}, which the model itself gives 0.50, and the truth 0.40."
    )
    explorer.controls["top_p"].value, explorer.controls["top_k"].value = 0.85, 0
    assert explorer.alt.startswith("At temperature 0.7, top-k off, top-p 0.85, 2 of 4 tokens can be drawn")
    own, now = cut_probs(1.0, None, 1.0), cut_probs(0.7, None, 0.85)
    twin = plots.next_token_bars(
        FOUR, own, now, truth=truth, whole=False, title="temperature 0.7, top-k off, top-p 0.85"
    )
    assert explorer.png == style.png(twin)


def test_the_sampling_playground_starts_where_it_is_told_and_moves_quickly():
    explorer = sampling_explorer(FOUR, cut_probs, start=(1.5, 2, 0.9))
    assert [control.value for control in explorer.controls.values()] == [1.5, 2, 0.9]
    spent = []
    for temperature in (0.5, 0.6, 0.8):
        begin = time.process_time()
        explorer.controls["temperature"].value = temperature
        spent.append(time.process_time() - begin)
    assert min(spent) < 0.6, spent  # 0.2 s on a quiet machine
    for start in ((1.0, 2), (1.0, 5, 1.0), (5.0, 2, 1.0), (1.0, 2, 0.0)):
        with pytest.raises(ValueError, match="start: expected"):
            sampling_explorer(FOUR, cut_probs, start=start)


def test_no_explorer_has_a_dropdown():
    for explorer in (
        sampling_explorer(FOUR, cut_probs),
        prompt_explorer(lambda k, choice: answer(k), [0, 1, 2], choices=["here", "there"]),
        prompt_explorer(answer, [0, 2, 8]),
    ):
        assert not any(isinstance(control, ipywidgets.Dropdown) for control in explorer.controls.values())


def learner(k: int) -> list:
    return [(" forest", (k + 1) / (k + 2)), (" sea", 1 / (k + 2))]


@pytest.mark.slow
def test_the_prompt_explorer_starts_at_four_examples_beside_the_best_possible_learner():
    explorer = prompt_explorer(answer, list(range(9)), " forest", best=learner)
    assert explorer.alt == (
        "With 4 examples before the question the likeliest answer is forest, with 0.80, and that is right. "
        "The best possible learner says forest, with 0.83."
    )
    slider, number = explorer.children[0].children
    assert isinstance(slider, ipywidgets.IntSlider) and isinstance(number, ipywidgets.BoundedIntText)
    number.value = 2
    look = {"title": "K = 2: 2 examples", "n_lines": 9, "best": learner(2)}
    assert explorer.png == style.png(plots.prompt_answers(*answer(2), " forest", **look))
    assert prompt_explorer(answer, [0, 4, 16]).controls["k"].value == 4
    assert prompt_explorer(answer, [0, 4, 16], start=16).controls["k"].value == 16


def test_kinds_of_rules_are_toggle_buttons():
    def two(k, choice):
        prompt, answers = answer(k)
        return f"{choice}:\n{prompt}", answers if choice == "home" else answers[::-1]

    right = {"home": " forest", "water": " sea"}
    explorer = prompt_explorer(two, [1, 2], right, choices=["home", "water"], best=lambda k, choice: learner(k))
    assert isinstance(explorer.controls["choice"], ipywidgets.ToggleButtons)
    assert "likeliest answer is sea" in explorer.alt and "the right one, forest, has 0.50" in explorer.alt
    explorer.controls["choice"].value, explorer.controls["k"].value = "water", 2
    assert "the right one, sea, has 0.33" in explorer.alt and "learner says forest, with 0.75" in explorer.alt


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 5}, "start: expected one of"),
        ({"choices": []}, "at least one choice"),
        ({"choices": ["a", "b"], "right": {"a": " sea"}}, "a right answer for each"),
    ],
)
def test_a_prompt_that_cannot_be_chosen_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        prompt_explorer(answer, [0, 1], **options)


def test_every_explorer_can_be_described_in_the_chapters_own_words():
    explorer = attention_explorer(MAPS, TOKENS, description="The heads of a small GPT that reads a sentence.")
    assert repr(explorer) == "Explorer: The heads of a small GPT that reads a sentence."


def test_every_public_explorer_names_its_twin():
    for function in (attention_explorer, sampling_explorer, prompt_explorer):
        twins = re.findall(r"plots\.(\w+)", function.__doc__.split("\n")[0])
        assert twins and all(hasattr(plots, twin) for twin in twins)
    assert issubclass(explorers.Explorer, ipywidgets.VBox)


def test_no_number_of_a_rollout_is_called_minus_nothing():
    shown = rollout_explorer(["one"], [list("abc")], {"log π": [[-0.3, -0.2, -0.001]], "R_t": [[0, 0, -0.126]]})
    assert "log π 0.00; R_t -0.13 at the last of them, c." in shown.alt


def test_the_box_beside_a_slider_shows_no_rounding_of_the_browser():
    explorer = explorers.slider_explorer(
        lambda q: (plots.cost_of_belief(0.7, q, title="x"), "A dot."), "q", 0.05, 0.95, 0.01, 0.3,
        "a dot that moves along the valley", "q",
    )  # fmt: skip
    explorer.controls["q"].value = 0.5
    slider, box = explorer.children[0].children
    slider.value = 0.1 + 0.2  # 0.30000000000000004, as a browser's slider counts
    assert repr(box.value) == "0.3"
    box.value = 0.25
    assert slider.value == 0.25


def test_the_last_position_that_is_drawn_need_not_be_the_last():
    maps = [np.full((1, 40, 40), 1 / 40)]
    made = explorers.attention_explorer(maps, [f"w{i}" for i in range(40)])
    assert "position 24, w23, looks" in made.alt and "last" not in made.alt
    few = explorers.attention_explorer([maps[0][:, :3, :3]], ["a", "b", "c"])
    assert "the last position, c, looks" in few.alt
