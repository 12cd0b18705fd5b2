"""Step 2, very short: scores alone and together, and who is compared with whom."""

import random

import numpy as np
import pytest
import torch

from minigpt import reward_model
from minigpt.experiments.instructgpt import dialogue, step2_reward_model
from minigpt.experiments.instructgpt.step2_reward_model import Rankings
from minigpt.loss import IGNORED
from minigpt.reward_model import RewardModel
from minigpt.worlds import grammar, tales

pytestmark = pytest.mark.xdist_group("tales")  # their dataset is made once for all steps


@pytest.fixture(scope="module")
def data(gpt):
    """Rankings of answers that labelers wrote, 4 or 5 to a prompt."""
    rng = random.Random(0)
    requests = list(tales.requests("training")[:3])
    counts, ranks = (4, 5, 4), torch.zeros(3, 5, dtype=torch.int64)
    texts = [grammar.sample(tales.demonstration(r), rng)[0] for r, n in zip(requests, counts) for _ in range(n)]
    ids = dialogue.answer_ids(texts)
    answers = torch.full((3, 5, ids.shape[1]), IGNORED)
    worth = torch.zeros(3, 5)
    first = 0
    for i, (request, n) in enumerate(zip(requests, counts)):
        answers[i, :n] = ids[first : first + n]
        worth[i, :n] = torch.tensor([u.total for u in dialogue.utilities([request] * n, ids[first : first + n])])
        ranks[i, :n] = torch.tensor(tales.ranking(worth[i, :n].tolist(), 0.5, rng))
        first += n
    return Rankings(dialogue.prompt_ids(requests), answers, ranks, worth)


def test_scores_of_answers_are_the_same_alone_and_together(gpt, data):
    scorer = RewardModel(gpt).eval()
    with torch.no_grad():
        scorer.head.weight.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
        scores = step2_reward_model.scores_of(scorer, data.prompts, data.answers, data.ranks)
        for i in range(3):
            for k in range(5):
                alone = 0.0
                if data.ranks[i, k] != 0:
                    alone = scorer(data.prompts[i : i + 1], data.answers[i, k : k + 1]).item()
                assert scores[i, k].item() == pytest.approx(alone, abs=1e-5)
    assert step2_reward_model.comparison_loss(scorer, data.prompts, data.answers, data.ranks).isfinite()


def test_nobody_ranks_better_than_who_knows_the_utilities(gpt, data):
    true_ranks = step2_reward_model.true_ranking(data)
    assert reward_model.agreement(data.utilities, true_ranks) == 1.0
    assert ((true_ranks == 0) == (data.ranks == 0)).all() and (true_ranks[data.ranks != 0].min() == 1)
    found = step2_reward_model.evaluate(RewardModel(gpt).eval(), data)
    assert found["truth"] == found["labelers"] == 0.5 and found["loss"] == pytest.approx(np.log(2), abs=1e-6)
