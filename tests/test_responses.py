"""responses: what is sampled is what is scored, whatever fills up an answer."""

import math

import numpy as np
import pytest
import torch
from answer_worlds import ANSWERS, PROMPTS, generator, small
from scipy import stats

from minigpt import responses
from minigpt.loss import IGNORED
from minigpt.responses import answer_logps


def test_the_probabilities_of_all_answers_add_to_one():
    world, reference, *_ = small()
    for prompt in world.prompts:
        logp = answer_logps(reference, prompt.expand(len(world.listed), -1), world.listed).sum(dim=1)
        assert logp.double().exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert np.exp(world.logps(reference)).sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    listed = answer_logps(reference, world.prompts[:1].expand(len(world.listed), -1), world.listed).sum(dim=1)
    assert world.logps(reference)[0] == pytest.approx(listed.detach().numpy(), abs=1e-4)


def test_what_is_sampled_is_what_is_scored():
    world, reference, *_ = small()
    answers = responses.rollout(reference, world.prompts[:1].expand(20_000, -1), 4, 4, generator(7))
    logp = world.logps(reference)[0]
    counts, expected = np.bincount(world.which(answers), minlength=341), 20_000 * np.exp(logp)
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    assert stats.chisquare(counts, expected * counts.sum() / expected.sum(), ddof=0).pvalue > 1e-4
    surprise = -logp[world.which(answers)]
    z = (surprise.mean() + np.exp(logp) @ logp) / (surprise.std() / math.sqrt(20_000))
    assert abs(z) < 4


def test_what_fills_up_an_answer_changes_nothing():
    world, reference, agent, _ = small()
    answers, prompts = world.listed, world.prompts[:1].expand(len(world.listed), -1)
    mask = responses.answer_mask(answers)
    logp = answer_logps(agent.policy, prompts, answers)
    other = answers.masked_fill(answers == IGNORED, 3)  # what is read there instead of id 0
    h = agent.policy.hidden(torch.cat([prompts, other[:, :-1]], dim=1))[:, 1:]
    again = agent.policy.logits(h).log_softmax(dim=-1).gather(-1, other[..., None])[..., 0]
    assert (logp[mask] - again[mask]).abs().max().item() < 1e-6
    assert (logp[~mask] == 0).all() and mask.sum(dim=1).min() == 1


def test_an_answer_that_never_ends_is_cut_off_and_scored_where_it_stops():
    world, reference, *_ = small()
    answers = responses.rollout(reference, world.prompts.repeat(50, 1), 4, 4, generator())
    lengths = responses.answer_mask(answers).sum(dim=1)
    cut = (answers[:, -1] != 4) & (lengths == 4)
    assert cut.any() and ((answers == 4).any(dim=1) | cut).all()


@pytest.mark.parametrize(("answers", "says"), [
    (torch.tensor([[1.0, 4.0]]), "ids"), ([[1, 4]], "ids"), (torch.tensor([[-1, 4]]), "at least 0"),
    (torch.tensor([[True, False]]), "ids"),
])  # fmt: skip
def test_answers_must_be_ids(answers, says):
    with pytest.raises(ValueError, match=says):
        responses.answer_mask(answers)


@pytest.mark.parametrize("end_id", [-1, 5, 1.5])
def test_an_end_that_no_answer_can_have_is_named(end_id):
    world, reference, *_ = small()
    with pytest.raises(ValueError, match="end_id"):
        responses.rollout(reference, world.prompts, 4, end_id, generator())


def test_padding_is_read_as_id_zero():
    assert responses.readable(PROMPTS[1:2], ANSWERS[1:2]).tolist() == [[8, 3, 4, 7, 0, 0, 0]]
