"""Step 1, very short: what is learned from, and what share of it is pre-training text."""

import pytest
import torch

from minigpt.experiments.instructgpt import dialogue, step1_sft
from minigpt.loss import IGNORED

pytestmark = pytest.mark.xdist_group("tales")  # their dataset is made once for all steps


def test_only_the_answer_is_learned_from():
    requests, answers = step1_sft.demonstrations(5)
    inputs, targets = step1_sft.supervised(requests, answers)
    end = dialogue.tale_dataset().tokenizer.endoftext
    for row, seen, request, answer in zip(targets.tolist(), inputs.tolist(), requests, answers):
        wanted = [t for t in row if t != IGNORED]
        assert wanted == [*dialogue.tale_dataset().tokenizer.encode(answer), end]
        first = row.index(wanted[0])
        assert first == 11 and seen[first] == dialogue.tale_dataset().tokenizer.encode(request.text)[-1]
        assert seen[first + 1 : first + len(wanted)] == wanted[:-1]


def test_a_share_of_every_batch_is_pre_training_text():
    batches = step1_sft.Shuffled(step1_sft.supervised(*step1_sft.demonstrations(32)), 16, 0)
    inputs, targets = step1_sft.mixed(batches, 0.2, 0)[0]
    assert len(inputs) == 20 and torch.equal(inputs[:16, : batches[0][0].shape[1]], batches[0][0])
    assert (targets[16:, 0] != IGNORED).all() and (targets[:16, 0] == IGNORED).all()
    assert step1_sft.mixed(batches, 0.0, 0) is batches
    seen = torch.cat([batches[i][0] for i in range(2)])
    assert len({tuple(row) for row in seen.tolist()}) == len({tuple(row) for row in batches.rows[0].tolist()})
    with pytest.raises(ValueError, match="share"):
        step1_sft.mixed(batches, 1.0, 0)
