"""Zero-shot heuristics on the test set of fine-tuning; entailment by what agrees with the hypothesis."""

import random

import numpy as np
import pytest
import torch

from minigpt import sample
from minigpt.experiments import pretraining
from minigpt.experiments.dataset import N_VOCAB
from minigpt.experiments.gpt1 import finetuning, zero_shot
from minigpt.worlds import story_tasks
from minigpt.worlds.lexicon import LEXICON

pytestmark = pytest.mark.xdist_group("tiny training")  # pre-trained once for all files of the group

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


# --- asking without training ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_continuations_by_hand(data, untrained):
    """Token after token, each with everything before it."""
    tokenizer = data.tokenizer
    prefix, continuation = "Lucy was glad.", " Tom was sad. They felt"
    before, after = [tokenizer.endoftext, *tokenizer.encode(prefix)], tokenizer.encode(continuation)
    assert len(after) > 3
    nats = []
    with torch.no_grad():
        for t, id in enumerate(after):
            logits = untrained(torch.tensor([before + after[:t]]))[0, -1].double()
            nats.append(-logits.log_softmax(-1)[id].item())
    value = sample.continuation_nats(untrained, tokenizer, prefix, continuation)
    assert value == pytest.approx(np.mean(nats), rel=1e-5)
    logps = sample.next_logps(untrained, tokenizer, prefix)
    assert logps.shape == (N_VOCAB,) and logps.exp().sum().item() == pytest.approx(1, rel=1e-5)
    assert -logps[after[0]].item() == pytest.approx(nats[0], rel=1e-5)


@pytest.mark.slow
def test_many_continuations_at_once_are_as_likely_as_one_by_one(data, untrained):
    prefix, verbs = data.held_out[0][:60], [f" {verb}" for mood in LEXICON.moods for verb in mood.reactions]
    lengths = {len(data.tokenizer.encode(verb)) for verb in verbs}
    assert len(lengths) > 1  # or the padding is not tried
    together = sample.continuation_logps(untrained, data.tokenizer, prefix, verbs)
    alone = [
        sample.response_logp(
            untrained,
            torch.tensor([data.tokenizer.endoftext, *data.tokenizer.encode(prefix)]),
            torch.tensor(data.tokenizer.encode(verb)),
        ).item()
        for verb in verbs
    ]
    assert together.tolist() == pytest.approx(alone, abs=1e-4)


class OneWord(torch.nn.Module):
    """A model that always expects the first token of one word."""

    def __init__(self, tokenizer, word):
        super().__init__()
        self.logits = torch.zeros(N_VOCAB)
        self.logits[tokenizer.encode(word)[0]] = 5.0

    def forward(self, ids):
        return self.logits.expand(*ids.shape, N_VOCAB)


def share(task, label, n=40):
    """The share of a label among the questions that zero_shot asks."""
    return np.mean([y == label for _, y in story_tasks.labelled(task, n, random.Random(f"zero-shot {task}"))])


@pytest.mark.slow
def test_heuristics_with_a_model_of_one_answer(data, monkeypatch):
    """Whoever always says the same is right as often as that is the answer."""
    tokenizer = data.tokenizer
    for word, label in ((" felt", 1), (" did", 0)):
        right = zero_shot.zero_shot(OneWord(tokenizer, word), data, "similarity", 40)
        assert right == pytest.approx(share("similarity", label))
    for label, mood in enumerate(LEXICON.moods):  # a whole verb, not only its first letters

        def knows(gpt, tokenizer, prefix, continuations, verb=f" {mood.reactions[-1]}"):
            return torch.tensor([-0.1 if text == verb else -9.0 for text in continuations])

        monkeypatch.setattr(sample, "continuation_logps", knows)
        right = zero_shot.zero_shot(None, data, "classification", 40)
        assert right == pytest.approx(share("classification", label))


@pytest.mark.slow
def test_endings_are_compared_by_their_mean_surprise(data, monkeypatch):
    examples = story_tasks.labelled("multiple choice", 40, random.Random("zero-shot multiple choice"))
    answers = {(parts[0], parts[1 + label]) for parts, label in examples}

    def knows(gpt, tokenizer, prefix, continuation):
        return 1.0 if (prefix, continuation) in answers else 2.0

    monkeypatch.setattr(sample, "continuation_nats", knows)
    assert zero_shot.zero_shot(None, data, "multiple choice", 40) == 1.0
    monkeypatch.setattr(sample, "continuation_nats", lambda *question: -knows(*question))
    assert zero_shot.zero_shot(None, data, "multiple choice", 40) == 0.0


@pytest.mark.slow
def test_real_models_can_be_asked(data, pretrained):
    for task in finetuning.CLASSES:
        assert 0 <= zero_shot.zero_shot(pretrained.model, data, task, 10) <= 1


@pytest.mark.slow
def test_tasks_without_a_heuristic(data, untrained):
    with pytest.raises(ValueError, match="'classification'.*'entailment'.*got 'translation'"):
        zero_shot.accuracy(untrained, data, "translation", [(("a",), 0)])
    with pytest.raises(ValueError, match="at least one example, got none"):
        zero_shot.accuracy(untrained, data, "similarity", [])
    with pytest.raises(ValueError, match="task among .*got 'poetry'"):
        zero_shot.zero_shot(untrained, data, "poetry")
