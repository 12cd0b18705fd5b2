"""Log-probabilities of answers, one question at a time, and curves that are read from the tables."""

import pytest

from minigpt import sample
from minigpt.experiments import sizes
from minigpt.experiments.gpt2 import answer_logps, repetition, summaries, zero_shot_questions

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("remembering"), pytest.mark.xdist_group("library")]


def test_log_probabilities_of_answers_one_question_at_a_time(library, untrained):
    for task in ("reading", "sentence to French", "closed book"):
        asked = zero_shot_questions.questions(task, 4)
        found = answer_logps.answer_logps(untrained, library.tokenizer, asked)
        slowly = [sample.continuation_logps(untrained, library.tokenizer, q.prompt, [q.answer]).item() for q in asked]
        assert found == pytest.approx(slowly, abs=1e-3)
    with pytest.raises(ValueError, match="answers are written; got one with choices"):
        answer_logps.answer_logps(untrained, library.tokenizer, zero_shot_questions.questions("cloze noun", 2))


def test_written_tasks_are_those_without_choices():
    written = [t for t in zero_shot_questions.TASKS if not zero_shot_questions.questions(t, 1)[0].choices]
    assert set(answer_logps.TASKS) == set(written) - {"summary, no hint"}


def test_curves_are_read_from_the_table():
    found = answer_logps.over_size("closed book")
    assert list(found) == ["gap", "log P", "accuracy"] and list(found["gap"]) == list(sizes.GPT2_SIZES)
    training = answer_logps.over_training("closed book")
    last = max(training["gap"])
    for name in found:  # the end of the training is the model of the largest size
        assert training[name][last] == found[name][96] and len(training[name]) == 5
    assert all(value <= 0 for values in training["log P"].values() for value in values)
    assert set(summaries.by_slot("none")) == {*summaries.SLOTS, "all"}
    assert 0 <= repetition.of("greedy", "no end").min() <= 1
