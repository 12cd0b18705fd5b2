"""Four choices whose truth is known: against Bayes' rule by hand, and what was measured of chapter 04's models."""

import re

import numpy as np
import pytest
import torch

from minigpt import calibration, sample
from minigpt.experiments import measured, sizes
from minigpt.experiments.gpt4 import calibration_after_rlhf
from minigpt.experiments.instructgpt import dialogue
from minigpt.model import GPT
from minigpt.worlds import tales

pytestmark = pytest.mark.slow


def by_hand(text: str) -> np.ndarray:
    """P(mood of the last word | the words so far): a flat prior, each word right with 3/4, else any other mood."""
    log_p = np.zeros(4)
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in tales.MOOD_OF:
            told = tales.MOODS.index(tales.MOOD_OF[word])
            log_p += np.log(np.where(np.arange(4) == told, 0.75, 0.25 / 3))
    p = np.exp(log_p) / np.exp(log_p).sum()
    return p * 0.75 + (1 - p) * 0.25 / 3


def test_the_truth_is_bayes_rule():
    for question in calibration_after_rlhf.questions("tale", 60):
        assert question.truth == pytest.approx(by_hand(question.text), abs=1e-9)


def test_after_a_request_the_mood_is_known():
    for question in calibration_after_rlhf.questions("request", 40):
        wanted = tales.MOODS.index(question.text.split()[2])
        assert question.truth == pytest.approx(np.where(np.arange(4) == wanted, 0.75, 0.25 / 3))


@pytest.mark.parametrize("form", calibration_after_rlhf.FORMS)
def test_choices_are_one_of_each_mood_and_the_right_one_is_among_them(form):
    asked = calibration_after_rlhf.questions(form, 80)
    for question in asked:
        assert [tales.MOOD_OF[word] for word in question.choices] == list(tales.MOODS)
        assert question.text.endswith(calibration_after_rlhf.LAST)
    assert calibration_after_rlhf.questions(form, 80)[79].text == asked[79].text
    assert calibration_after_rlhf.questions(form, 80, seed=1)[0].text != asked[0].text


def test_the_grammar_itself_is_calibrated():
    asked = calibration_after_rlhf.questions("tale", 600)
    truth = np.array([question.truth for question in asked])
    found = calibration_after_rlhf.report(truth, asked)
    sure, _ = calibration_after_rlhf.confidence(truth, asked)
    assert found["error"] < 3 * calibration.chance_error(sure, np.random.default_rng(0), n_samples=50)
    assert found["temperature"] == pytest.approx(1, abs=0.15)
    doubled = calibration_after_rlhf.report(calibration.choice_probabilities(2 * np.log(truth)), asked)
    assert doubled["error"] > 0.1
    assert doubled["accuracy"] == pytest.approx(found["accuracy"], abs=0.03)  # ties may be broken otherwise


def test_logps_are_those_of_the_next_word():
    tokenizer = dialogue.tale_dataset().tokenizer
    model = GPT(sizes.INSTRUCTGPT, torch.Generator().manual_seed(0)).eval()
    asked = calibration_after_rlhf.questions("tale", 3)
    logps = calibration_after_rlhf.choice_logps(model, tokenizer, asked)
    for row, question in zip(logps, asked):
        following = sample.next_logps(model, tokenizer, question.text)
        expected = [following[tokenizer.encode(f" {word}")[0]].item() for word in question.choices]
        assert row == pytest.approx(expected, abs=1e-4)


def test_another_form_is_refused():
    with pytest.raises(ValueError, match="a form among"):
        calibration_after_rlhf.questions("poem", 3)


# --- what was measured -------------------------------------------------------------------------------------------------


def test_learning_from_preferences_costs_calibration_where_the_base_model_had_it():
    rows = measured.rows("gpt4/calibration_after_rlhf")
    errors = {
        (r["model"], int(r["seed"])): float(r["value"])
        for r in rows
        if r["form"] == "tale" and r["quantity"] == "error"
    }
    for seed in range(3):
        assert errors["ppo", seed] > errors["base", seed]
        assert errors["ppo, beta 0", seed] > 2 * errors["base", seed]


def test_kept_choices_are_those_of_the_questions():
    rows = measured.rows("gpt4/choices")
    for form in calibration_after_rlhf.FORMS:
        asked = calibration_after_rlhf.questions(form, 20)
        for model in ("base", "ppo"):
            mine = sorted((r for r in rows if (r["model"], r["form"]) == (model, form)), key=lambda r: r["question"])
            assert len(mine) == 400
            assert [int(r["right"]) for r in mine[:20]] == [question.right for question in asked]
