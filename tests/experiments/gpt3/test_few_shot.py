"""Few-shot models: GPT-3's form in every width, and the rows of each."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minigpt.experiments import canaries
from minigpt.experiments.gpt3 import few_shot, in_context
from minigpt.model import GPT


@pytest.mark.parametrize("d_model", few_shot.WIDTHS)
def test_every_width_is_pre_ln_with_embeddings_of_size_one(d_model):
    config = few_shot.model_config(d_model)
    gpt = GPT(config, torch.Generator().manual_seed(0))
    stream = gpt.embed(torch.arange(40)[None])
    assert config.norm == "pre" and config.n_layers == 3
    assert stream.std().item() == pytest.approx(np.sqrt(1 + 1 / 4), abs=0.15)
    with pytest.raises(ValueError, match="expected a width among"):
        few_shot.model_config(d_model + 1)


def test_only_the_middle_width_has_rows_about_limits(monkeypatch):
    with canaries.short_writing(120):
        lists = in_context.list_dataset()
    gpt = GPT(few_shot.model_config(16, lists.tokenizer.n_vocab), torch.Generator().manual_seed(0)).eval()
    trained = SimpleNamespace(model=gpt, steps=[9], snapshots=(), at=None)
    monkeypatch.setattr(few_shot, "pretrain", lambda *args: trained)
    monkeypatch.setattr(in_context, "copying_and_labels", lambda *args: {("post 64", "copying", 8, "training", 9): 0.5})
    narrow, middle = (few_shot.measure(lists, d, 0, 3) for d in (16, 64))
    assert middle[64, "copying", 8, "training", 9] == 0.5 and len(middle) == len(narrow) + 1
    assert {where[1:4] for where in narrow} == {
        (family, k, which) for family, which in in_context.KINDS for k in in_context.SHOTS
    }


@pytest.fixture
def table(monkeypatch):
    """A table of two seeds, made by hand."""
    rows = [
        dict(zip(few_shot.KEY, map(str, (seed, 64, family, k, "training", step))), value=str(value))
        for seed, more in ((0, 0.0), (1, 0.1))
        for family, k, step, value in (
            ("symbols", 0, 3215, 0.1), ("symbols", 8, 3215, 0.7 + more), ("symbols", 8, 22, 0.2 + more),
            ("copying", 8, 22, 0.3), ("table, tuned", 8, 3215, 1),
        )
    ]  # fmt: skip
    monkeypatch.setattr(few_shot.measured, "rows", lambda name: {"gpt3/few_shot": rows}[name])


def test_the_table_is_read_by_seed(table):
    np.testing.assert_allclose(few_shot.accuracy(64, "symbols"), [0.7, 0.8])
    np.testing.assert_allclose(few_shot.gains(64, "symbols"), [0.6, 0.7])
    best = in_context.references("symbols", 8)["best possible"]
    np.testing.assert_allclose(few_shot.shortfall(64, "symbols"), best - np.array([0.7, 0.8]))
    found = few_shot.over_training(64, ("symbols", "copying"))
    assert list(found["symbols"]) == [22, 3215] and list(found["copying"]) == [22]
    np.testing.assert_allclose(found["symbols"][22], [0.2, 0.3])


def test_a_learner_that_is_not_told_the_family_must_share_its_belief():
    adjectives = in_context.questions("symbols", 0, 5)  # only lists of symbols have them: one of seven colours
    np.testing.assert_allclose(few_shot.family_blind(adjectives), 1 / 7)
    asked = in_context.questions("language", 0, 60)
    french = [question for question in asked if question.text.split()[-1] in ("boîte", "bateau", "chapeau", "lampe")]
    assert french  # the word itself, or its English: two rules of four say each
    np.testing.assert_allclose(few_shot.family_blind(french), 1 / 2)
    homes = in_context.questions("category", 0, 20)  # a colour that is right; but a home, or a food, is likelier
    assert few_shot.family_blind(homes).max() == 0 and in_context.best_possible(homes).min() > 0


def test_without_examples_the_best_learner_is_the_blind_one():
    asked = {k: in_context.questions("category", k, 20) for k in (0, 4)}
    best = few_shot.best_by_shots(asked)
    assert best == {0: 0.0, 4: in_context.best_possible(asked[4]).mean()}


def test_the_best_share_of_facts_is_that_of_a_reader_who_guesses_the_rest(monkeypatch):
    monkeypatch.setattr(few_shot, "accuracy", lambda d_model, family, n: np.array([0.5]))
    best = few_shot.facts_known()["best possible: met, or guessed"]
    assert best[1] == pytest.approx(1 / 16 + 15 / 16 / 8)
    draws = np.random.default_rng(0).integers(16, size=(20_000, 8))
    known = np.mean([len(set(row)) for row in draws.tolist()]) / 16
    assert best[8] == pytest.approx(known + (1 - known) / 8, abs=0.01)


def test_the_jump_is_the_snapshot_before_the_largest_rise(monkeypatch):
    rows = [dict(zip(few_shot.KEY, map(str, (seed, 64, "symbols", 8, "training", step))), value=str(value))
            for seed, values in enumerate(((0.1, 0.2, 0.9, 0.9), (0.1, 0.7, 0.8, 0.9)))
            for step, value in zip((20, 90, 200, 3215), values)]  # fmt: skip
    monkeypatch.setattr(few_shot.measured, "rows", lambda name: rows)
    assert [few_shot.jump("symbols", seed) for seed in (0, 1)] == [1, 0]


def test_panels_hold_models_and_shortcut_and_the_bound_is_a_curve_of_its_own(monkeypatch):
    monkeypatch.setattr(few_shot, "accuracy", lambda d_model, family, k, which="training": np.array([k / 16]))
    asked = {"symbols": {k: in_context.questions("symbols", k, 20) for k in in_context.SHOTS}}
    panels, references = few_shot.k_shot_panels(asked)
    assert panels["symbols"]["model"][8] == np.array([0.5])
    shortcut = panels["symbols"]["shortcut: the commonest answer"]
    assert shortcut[0] == 0 and shortcut[16] == in_context.shortcut(asked["symbols"][16]).mean()
    assert references["symbols"]["best possible"] == few_shot.best_by_shots(asked["symbols"])
    unseen, bounds = few_shot.unseen_pairs_panels()
    assert list(unseen) == ["symbols", "category"] and bounds["category"]["best possible"][16] > 0.9
