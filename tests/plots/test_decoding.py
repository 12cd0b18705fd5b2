"""Decoding: bars as long as the probabilities, cuts where the package cuts, marks where they were measured."""

import numpy as np
import pytest
import torch
from gallery import LANGUAGE, TOKENS, WAYS, heated, words

from minigpt import plots, sample
from minigpt.plots import style


def test_each_setting_is_a_bar_in_every_group_and_the_rest_is_one_group():
    settings = heated(0.5, 1.5)
    axes = plots.temperature_bars(TOKENS, settings, LANGUAGE, n=4, title="Heat flattens").axes[0]
    first, second = (np.array([bar.get_height() for bar in bars]) for bars in axes.containers)
    for drawn, p in zip((first, second), settings.values()):
        assert drawn[:4] == pytest.approx(p[:4]) and drawn[4] == pytest.approx(p[4:].sum())
    truth = [line.get_ydata()[0] for line in axes.lines]
    assert truth == pytest.approx([*LANGUAGE[:4], LANGUAGE[4:].sum()])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["hat", "key", "cup", "star", "11 others"]


def test_the_settings_have_different_hatches_and_a_legend():
    figure = plots.temperature_bars(TOKENS, heated(0.5, 1, 1.5), LANGUAGE, guess=0.3)
    hatches = {bars.patches[0].get_hatch() for bars in figure.axes[0].containers}
    assert len(hatches) == 3 and {"T = 0.5", "T = 1", "T = 1.5", "truth", "your guess 0.3"} <= set(words(figure))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probabilities": {}}, "1 to 4 settings"),
        ({"probabilities": {"a": [0.5, 0.4]}}, "'a': expected 2 probabilities that add to 1"),
        ({"probabilities": {"a": [1.5, -0.5]}}, "'a'"),
        ({"truth": [1.0]}, "'truth': expected 2"),
        ({"n": 0}, "n of at least 1"),
    ],
)
def test_bad_probabilities_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        plots.temperature_bars(**{"names": ["x", "y"], "probabilities": {"a": [0.5, 0.5]}} | options)


@pytest.mark.slow
@pytest.mark.parametrize("top_p", [None, 0.3, 0.4, 0.75, 0.9, 1.0])
@pytest.mark.parametrize("top_k", [None, 1, 5, 11])
def test_the_cut_is_where_the_package_cuts(top_p, top_k):
    figure = plots.nucleus(TOKENS, LANGUAGE, top_p=top_p, top_k=top_k)
    kept = sample.next_probs(torch.tensor(LANGUAGE).log(), top_k=top_k, top_p=top_p).count_nonzero().item()
    assert f"kept: {kept} of 15" in words(figure)
    bars = figure.axes[0].containers[0]
    assert len(bars) == min(kept, 10) and [bar.get_width() for bar in bars] == pytest.approx(LANGUAGE[: len(bars)])


def test_the_curve_is_the_sum_of_the_bars_above_it():
    draws = np.random.default_rng(0)
    mixed = draws.permutation(15)
    axes = plots.nucleus([TOKENS[i] for i in mixed], LANGUAGE[mixed], n=6).axes[0]
    assert axes.lines[0].get_xdata() == pytest.approx(np.cumsum(LANGUAGE)[:6])
    assert [label.get_text() for label in axes.get_yticklabels()][:3] == ["hat", "key", "cup"]


@pytest.mark.parametrize("options", [{"top_p": 0}, {"top_p": 1.5}, {"top_k": 0}, {"top_k": 2.5}])
def test_bad_cuts_are_named(options):
    with pytest.raises(ValueError, match="expected top_p above 0"):
        plots.nucleus(TOKENS, LANGUAGE, **options)


def test_every_way_of_decoding_has_a_mark_and_its_name_and_the_truth_is_a_star():
    kinds = {name: name.split(" ")[0] for name in WAYS}
    figure = plots.quality_diversity(WAYS, (0.93, 1.0), kinds=kinds, title="No setting reaches the star")
    axes, said = figure.axes[0], words(figure)
    assert {*WAYS, "truth", *kinds.values(), "diversity", "share of flawless texts"} <= set(said)
    marks = [line for line in axes.lines if line.get_markersize() == 10]
    assert [tuple(line.get_xydata()[0]) for line in marks] == list(WAYS.values())
    looks = {kind: {(marks[i].get_marker(), marks[i].get_color()) for i, name in enumerate(WAYS) if kinds[name] == kind}
             for kind in kinds.values()}  # fmt: skip
    assert all(len(look) == 1 for look in looks.values()) and len(set.union(*looks.values())) == len(looks)
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    assert tuple(star.get_xydata()[0]) == (0.93, 1.0)


def test_several_seeds_are_small_dots_around_their_mean():
    axes = plots.quality_diversity({"a": ([0.1, 0.3], [0.5, 0.7])}).axes[0]
    small, mean = axes.lines
    assert small.get_xydata().tolist() == [[0.1, 0.5], [0.3, 0.7]] and small.get_markersize() < 6
    assert mean.get_xydata()[0] == pytest.approx([0.2, 0.6]) and mean.get_color() == style.PALETTE[0]


@pytest.mark.parametrize(
    "options",
    [{"points": {}}, {"points": {"a": (1, np.nan)}}, {"points": {"a": ([1, 2], [1])}}, {"kinds": {"b": "x"}}],
)
def test_bad_points_are_named(options):
    with pytest.raises(ValueError, match=r"expected points \(diversity, quality\)"):
        plots.quality_diversity(**{"points": {"a": (0.5, 0.5)}} | options)


def test_what_has_no_place_is_an_error_and_not_a_name_over_another():
    with pytest.raises(ValueError, match="has no place"):
        plots.quality_diversity({f"a way of decoding, number {i}": (0.5, 0.5) for i in range(80)})
