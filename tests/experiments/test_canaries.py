"""Shortened experiments: nothing but the time they take is other than in the long ones."""

import random

import numpy as np
import pytest
import torch

from minigpt import train
from minigpt.experiments import canaries, pretraining
from minigpt.experiments.gpt2 import zero_shot_questions
from minigpt.worlds import grammar, in_context_lists, stories


def answers():
    """What the grammars say, in words: questions, scores, and the state of the generator afterwards."""
    rng = random.Random(4)
    program = stories.program({"translation": 1.0})
    (text,) = stories.documents(1, random.Random(2), {"translation": 1.0})
    return [
        in_context_lists.questions("symbols", 4, 3, rng),
        in_context_lists.questions("symbols", 4, 3, rng),
        in_context_lists.questions("symbols", 4, 3, random.Random(4)),
        in_context_lists.questions("symbols", 4, 3, random.Random(4), "held out"),
        rng.getstate(),
        grammar.score(program, text).logp,
        grammar.predict(program, text[:0]).next_word,
        zero_shot_questions.questions("reading", 2),
    ]


def test_what_is_remembered_is_what_would_be_computed():
    expected = answers()
    with canaries.remembering():
        assert answers() == expected and answers() == expected
    assert answers() == expected


BATCH = np.arange(12).reshape(3, 4), np.full((3, 4), -100)


@pytest.mark.parametrize("place", range(24))
def test_each_id_of_a_batch_counts_in_its_number(place):
    changed = [each.copy() for each in BATCH]
    changed[place // 12].flat[place % 12] += 1
    assert canaries.batch_number(changed) != canaries.batch_number(BATCH)


def test_the_number_of_a_batch_tells_its_order_and_its_size():
    inputs, targets = BATCH
    others = [(inputs[::-1], targets), (inputs[:, ::-1], targets), (inputs[:2], targets[:2]), (targets, inputs)]
    numbers = [canaries.batch_number(batch) for batch in (BATCH, *others)]
    assert len(set(numbers)) == len(numbers) and all(0 <= number < 997 for number in numbers)
    assert canaries.batch_number(map(torch.from_numpy, BATCH)) == numbers[0]


def test_the_number_of_a_run_tells_which_batches_it_reads():
    batches = [(inputs, inputs) for inputs in np.random.default_rng(0).integers(500, size=(40, 2, 3))]
    number = canaries.number_of_batches(batches, 40)
    assert number == canaries.number_of_batches(batches, 40)
    assert number != canaries.number_of_batches(batches, 39)
    for changed in (0, 39):
        others = [*batches[:changed], batches[changed - 1], *batches[changed + 1 :]]
        assert canaries.number_of_batches(others, 40) != number
    assert canaries.number_of_batches(batches, 3) == canaries.number_of_batches(batches[:3], 3)


def test_few_updates_are_made_of_the_first_rows():
    data, whole = canaries.small_dataset(), train.train
    with canaries.few_updates(n_rows=3, n_snapshots=2) as found:
        trained = pretraining.pretrain(data, n_steps=30)
    batches = pretraining.DocumentBatches(data.corpus, data.tokenizer, 128, pretraining.TOKENS_PER_BATCH, 0)
    assert found["run 0, steps"] == 30 and len(trained.losses) == 30
    assert found["run 0, batches"] == canaries.number_of_batches(batches, 30)
    assert found["run 0, tokens"] == sum(int((batches[step][1][:3] >= 0).sum()) for step in range(2))
    assert found["run 1, snapshots"] == sum(trained.watched) > sum(trained.snapshots)
    assert sorted(trained.snapshots) == [trained.watched[0], 30]
    assert train.train is whole


def test_few_rows_are_those_of_the_batch():
    batches = canaries.FewRows([BATCH], 2)
    assert len(batches) == 1 and all(map(np.array_equal, batches[0], (BATCH[0][:2], BATCH[1][:2])))
