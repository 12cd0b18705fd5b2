"""Pictures of RLHF: the steps, the networks, the tilt, a rollout, a dashboard: what is drawn is what was given."""

import numpy as np
import pytest
from gallery import words

from minigpt import plots


def said(figure) -> str:
    return " ".join(words(figure)).replace("\n", " ")


def test_the_three_steps_stand_from_left_to_right_with_the_readers_sizes():
    figure = plots.rlhf_steps("Write a tale:", "Once upon a time.", {"PPO": "150 iterations"}, ranking="B > A = C")
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert places["1  Fine-tuning (SFT)"] < places["2  Reward model"] < places["3  PPO"] == places["150 iterations"]
    assert words(figure).count("Write a tale:") == 3 and "A   B   C" in words(figure) and "B > A = C" in words(figure)


def test_the_third_step_has_a_prompt_of_its_own_if_one_is_given():
    figure = plots.rlhf_steps("Write a tale:", "Once upon a time.", new_prompt="Tell a tale:")
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert words(figure).count("Write a tale:") == 2 and places["Tell a tale:"] > places["2  Reward model"] + 1


def test_two_networks_are_trained_and_two_frozen():
    figure = plots.ppo_networks({"value": "7 parameters"})
    heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    rows = {round(text.get_position()[1], 1): text.get_text() for text in figure.axes[0].texts
            if text.get_text() in ("trained", "frozen")}  # fmt: skip
    assert [rows[y] for y in sorted(rows, reverse=True)] == ["trained", "frozen", "frozen", "trained"]
    names = ("policy π_φ", "reference π_SFT", "reward model r_θ", "value function V")
    assert sorted(names, key=heights.get, reverse=True) == list(names)
    assert heights["value function V"] > heights["7 parameters"] > heights["reward model r_θ"] - 2


P, Q = np.array([0.5, 0.2, 0.2, 0.1]), np.array([0.05, 0.05, 0.6, 0.3])


def lengths(figure) -> list[tuple]:
    """(before, after) of each answer, from top to bottom."""
    bars = [bar.get_width() for bar in figure.axes[0].patches]
    return [tuple(round(x, 6) for x in pair) for pair in zip(bars[::2], bars[1::2])]


def test_the_likeliest_answers_have_bars_of_their_own_and_the_rest_is_one_bar():
    figure = plots.tilt_bars(list("abcd"), P, Q, [1, -1, 2, 0], n=2)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["c   r = +2.0", "a   r = +1.0", "2 other answers"]
    assert lengths(figure) == [(0.2, 0.6), (0.5, 0.05), (0.3, 0.35)]


def test_answers_can_keep_their_places_while_beta_moves():
    figure = plots.tilt_bars(list("abcd"), P, Q, shown=[3, 0, 1, 2], limit=0.8)
    assert lengths(figure) == [(0.1, 0.3), (0.5, 0.05), (0.2, 0.05), (0.2, 0.6)]
    assert figure.axes[0].get_xlim() == (0, 0.8) and not figure.axes[0].texts
    cut = plots.tilt_bars(list("abcd"), P, Q, shown=[0, 2], limit=0.25).axes[0]
    assert [text.get_text() for text in cut.texts] == ["0.50 →", "0.60 →", "0.30 and 0.35 →"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": list("abc")}, "for each answer"),
        ({"rewards": [1.0]}, "for each answer"),
        ({"p_sft": P * 2}, "π_SFT: expected probabilities that add to 1"),
        ({"p_star": [1.5, -0.5, 0, 0]}, r"π\*: expected probabilities"),
        ({"n": 0}, "1 to 12 answers"),
        ({"shown": [0, 0]}, "different places below 4"),
        ({"shown": [4]}, "different places below 4"),
    ],
)
def test_what_cannot_be_tilted_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        plots.tilt_bars(**{"names": list("abcd"), "p_sft": P, "p_star": Q} | change)


def test_every_number_stands_beneath_its_token_in_the_order_of_the_rows():
    axes = plots.rollout_timeline([" It", ""], {"log π": [-1.0, -0.5], "A_t": [0.25, -2.0]}).axes[0]
    at = {text.get_text(): text.get_position() for text in axes.texts}
    assert at["It"][0] == pytest.approx(at["−1.00"][0]) == pytest.approx(at["0.25"][0])
    assert at["(end)"][0] == pytest.approx(at["−0.50"][0]) == pytest.approx(at["−2.00"][0])
    assert at["It"][1] > at["−1.00"][1] > at["0.25"][1]
    cells = [patch for patch in axes.patches if patch.get_height() == pytest.approx(0.3)]
    assert [cell.get_facecolor()[3] for cell in cells] == pytest.approx([0, 0, 0.075, 0.6])
    assert cells[2].get_facecolor()[:3] != cells[3].get_facecolor()[:3]


def test_a_long_rollout_keeps_its_last_token_and_says_what_is_missing():
    figure = plots.rollout_timeline([f" word {i}" for i in range(40)], {"V_t": np.arange(40.0)})
    assert words(figure).count("...") == 1 and "word0" in words(figure) and "39.00" in words(figure)
    assert "38.00" not in words(figure) and figure.get_figwidth() <= 9


@pytest.mark.parametrize("n", [3, 8])
def test_the_size_of_a_rollout_does_not_depend_on_what_a_policy_wrote(n):
    short, long = (plots.rollout_timeline([word] * n, {"A_t": np.ones(n)}, title="T") for word in (" a", " haunted"))
    assert tuple(short.get_size_inches()) == tuple(long.get_size_inches())


@pytest.mark.parametrize(
    ("tokens", "rows", "message"),
    [([], {"a": []}, "at least one token"), (["a"], {}, "1 to 10 rows"), (["a"], {"V_t": [1, 2]}, "'V_t': expected 1"),
     (["a"], {"V_t": [np.nan]}, "finite")],
)  # fmt: skip
def test_a_rollout_that_cannot_be_drawn_is_named(tokens, rows, message):
    with pytest.raises(ValueError, match=message):
        plots.rollout_timeline(tokens, rows)


KEYS = ("kl", "reward", "length", "clip_fraction", "entropy", "explained_variance")


def test_a_dashboard_has_a_panel_for_each_quantity_with_the_band_of_the_healthy_runs():
    run = {key: np.arange(5.0) + i for i, key in enumerate(KEYS)}
    run["kl"][3] = np.nan  # a run may break down
    healthy = {key: np.array([np.zeros(7), np.ones(7)]) for key in KEYS}
    figure = plots.dashboard(run, healthy, title="Run A")
    assert len(figure.axes) == 6 and "KL (nats per answer)" in words(figure) and "2 healthy runs" in words(figure)
    for i, (key, axes) in enumerate(zip(KEYS, figure.axes)):
        mean, own = axes.lines
        assert mean.get_ydata().tolist() == [0.5] * 7
        assert own.get_ydata().tolist() == [x + i for x in range(5) if not (key == "kl" and x == 3)]
        band = axes.collections[0].get_paths()[0].vertices
        assert band[:, 1].min() == 0 and band[:, 1].max() == 1 and band[:, 0].max() == 7
    assert "healthy" not in said(plots.dashboard(run))


@pytest.mark.parametrize(
    ("run", "healthy", "message"),
    [({"kl": [1, 2]}, None, "run: expected .* are missing"), (dict.fromkeys(KEYS, [1]), None, "as many numbers"),
     (dict.fromkeys(KEYS, [1, 2]), {"kl": [[1, 2]]}, "healthy: expected .* are missing"),
     (dict.fromkeys(KEYS, [1, 2]), dict.fromkeys(KEYS, np.zeros((1, 2, 2))), "n_runs, iterations")],
)  # fmt: skip
def test_a_dashboard_that_cannot_be_drawn_is_named(run, healthy, message):
    with pytest.raises(ValueError, match=message):
        plots.dashboard(run, healthy)


@pytest.mark.parametrize(
    "call", [lambda: plots.rlhf_steps("", "y"), lambda: plots.rlhf_steps("x", "y", {"RM": "1"}),
             lambda: plots.ppo_networks({"critic": "1"}), lambda: plots.dashboard({}, panels={})],
)  # fmt: skip
def test_what_is_empty_or_unknown_is_named(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_a_reward_that_cannot_occur_is_left_out():
    said = words(plots.rule_flow({"forbidden": {"refusal": 2, "safe": None}, "allowed": {"refusal": -2, "safe": 0}}))
    assert [text for text in said if text in ("+2", "−2", "0", "None")] == ["+2", "−2", "0"]


@pytest.mark.parametrize(
    ("rewards", "message"), [({}, "1 to 3 requests"), ({"a": {"x": 1}, "b": {"y": 1}}, "same 1 to 4 classes")]
)
def test_rewards_that_cannot_be_drawn_are_named(rewards, message):
    with pytest.raises(ValueError, match=message):
        plots.rule_flow(rewards)
