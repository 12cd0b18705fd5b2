"""Zero-shot heuristics on the test set of fine-tuning; entailment by what agrees with the hypothesis."""

import numpy as np
import pytest
import torch

from minigpt import sample
from minigpt.experiments import dataset, pretraining
from minigpt.experiments.gpt1 import finetuning, zero_shot
from minigpt.worlds.lexicon import LEXICON


@pytest.fixture(scope="module")
def data():
    return dataset.story_dataset(n_documents=200, n_held_out=20)


HOMES = {animal.name: animal.home for animal in LEXICON.animals}
AT_HOME = ("good to be home", "knew every corner", "had lived there")


def follows(premise: str, sentence: str) -> float:
    """How likely a sentence is after a premise for a reader who knows where animals live and what moods are.

    0 for what contradicts the premise; where it says nothing, every kind of thing is as likely as every other.
    """
    word = sentence.split()[-1].strip(".")
    moods = [mood for mood in LEXICON.moods if word in mood.adjectives]
    if "went to the" in premise:
        (animal,) = [word for word in premise.split(".")[0].split() if word in HOMES]
        if moods:  # nothing is known of the mood: each of four as likely
            return 0.1
        at_home = HOMES[animal] == premise.strip(".").split()[-1]
        return float(any(part in sentence for part in AT_HOME) == at_home)
    said = premise.split()[-1].strip(".")
    if not moods:
        return 0.1
    return float(any(said in mood.adjectives for mood in moods))


def clear(example) -> bool:
    """Whether no word of two moods stands in the example."""
    adjectives = [word for mood in LEXICON.moods for word in mood.adjectives]
    double = {word for word in adjectives if adjectives.count(word) > 1}
    return not any(word.strip(".") in double for part in example[0] for word in part.split())


def test_a_reader_who_knows_the_world_passes_entailment(data, monkeypatch):
    def knows(gpt, tokenizer, prefix, continuations):
        return torch.tensor([follows(prefix, text) for text in continuations], dtype=torch.float64).log()

    monkeypatch.setattr(sample, "continuation_logps", knows)
    examples = [example for example in finetuning.test_examples("entailment") if clear(example)]
    assert len(examples) > 250 and {label for _, label in examples} == {0, 1, 2}
    assert zero_shot.accuracy(None, data, "entailment", examples) == 1.0


def test_a_reader_who_knows_nothing_always_says_neutral(data, monkeypatch):
    monkeypatch.setattr(sample, "continuation_logps", lambda gpt, tokenizer, prefix, texts: torch.zeros(len(texts)))
    examples = [example for example in finetuning.test_examples("entailment") if clear(example)]
    neutral = np.mean([label == 2 for _, label in examples])
    assert zero_shot.accuracy(None, data, "entailment", examples) == pytest.approx(neutral)


def test_every_hypothesis_of_the_task_is_known():
    for parts, _ in finetuning.test_examples("entailment"):
        kinds = zero_shot._kinds_of(parts[1])
        assert sum(parts[1].strip() in kind for kind in kinds) in (1, 2) and len(kinds) in (2, 4)
    with pytest.raises(ValueError, match="about the place or the mood; got 'He was a fox.'"):
        zero_shot._kinds_of("He was a fox.")


def test_every_snapshot_is_asked_the_test_set_of_fine_tuning(data, monkeypatch):
    asked = []
    monkeypatch.setattr(zero_shot, "accuracy", lambda gpt, data, *question: asked.append((gpt, *question)) or 0.5)
    trained = pretraining.Pretrained(None, *[np.zeros(1)] * 5, snapshots={1: "first", 9: "last"})
    monkeypatch.setattr(pretraining.Pretrained, "at", lambda self, step: self.snapshots[step])
    assert set(zero_shot.measure(data, trained)) == {(task, step) for task in finetuning.CLASSES for step in (1, 9)}
    for model, task, examples in asked:
        assert model in ("first", "last") and len(examples) == 500
        assert [label for _, label in examples] == np.concatenate(
            [batch[2] for batch in finetuning.test_batches(data, task)]
        ).tolist()


def test_an_adjective_of_two_moods_agrees_with_both(data, monkeypatch):
    monkeypatch.setattr(sample, "continuation_logps", lambda gpt, tokenizer, prefix, texts: torch.zeros(len(texts)))
    share, n_kinds = zero_shot._agreement(None, data.tokenizer, "He was glad.", "He was quiet.")  # sad or afraid
    assert share == pytest.approx(2 / 4) and n_kinds == 4
    share, n_kinds = zero_shot._agreement(None, data.tokenizer, "He was glad.", "It was far from home.")
    assert share == pytest.approx(1 / 2) and n_kinds == 2
