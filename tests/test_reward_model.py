"""The ranking loss against brute force, the reward model against padding, Bradley-Terry against what is known of it."""

import copy
import math
from itertools import combinations

import numpy as np
import pytest
import torch
from answer_worlds import ANSWERS, PROMPTS, generator

from minigpt import checkpoint, responses
from minigpt.exact import bradley_terry
from minigpt.model import GPT, GPTConfig
from minigpt.responses import answer_lengths
from minigpt.reward_model import RewardModel, agreement, centre, pairs, ranking_loss

CONFIG = GPTConfig(n_vocab=9, n_ctx=12, n_layers=2, n_heads=2, d_model=16, norm="pre", init_std=0.25)


def reward_model(seed=0, dropout=0.0):
    """One whose head is not zero any more."""
    config = GPTConfig(**{**vars(CONFIG), "dropout": dropout})
    built = RewardModel(GPT(config, generator(seed)))
    with torch.no_grad():
        built.head.weight.normal_(std=0.1, generator=generator(seed + 1))
        built.head.bias.fill_(0.7)
    return built.eval()


def test_before_training_every_score_is_zero():
    fresh = RewardModel(GPT(CONFIG, generator()))
    assert fresh(PROMPTS, ANSWERS).tolist() == [0, 0, 0]
    assert (fresh.values(PROMPTS, ANSWERS) == 0).all()


def test_the_score_is_read_at_the_last_real_token_whatever_stands_behind_it():
    built = reward_model()
    alone = [built(PROMPTS[i : i + 1], ANSWERS[i : i + 1, :n]).item() for i, n in enumerate([4, 1, 2])]
    assert built(PROMPTS, ANSWERS).tolist() == pytest.approx(alone, abs=1e-6)
    longer = torch.cat([ANSWERS, torch.full((3, 3), -100)], dim=1)
    assert built(PROMPTS, longer).tolist() == pytest.approx(alone, abs=1e-6)
    h = built.gpt.hidden(torch.tensor([[8, 5, 6, 4, 7]]))[0, -1]
    assert built(PROMPTS, ANSWERS)[2].item() == pytest.approx((h @ built.head.weight[0] + 0.7).item(), abs=1e-6)


def test_values_are_read_before_each_token():
    built = reward_model()
    values = built.values(PROMPTS, ANSWERS)
    assert values.shape == (3, 4)
    changed = ANSWERS.clone()
    changed[0, 2:] = torch.tensor([6, 6])
    again = built.values(PROMPTS, changed)
    assert again[0, :3].tolist() == pytest.approx(values[0, :3].tolist(), abs=1e-6)
    assert again[0, 3].item() != pytest.approx(values[0, 3].item(), abs=1e-3)


def test_the_loss_is_the_sum_over_all_pairs_written_out():
    rng = np.random.default_rng(0)
    scores, ranks = rng.normal(size=(5, 9)), rng.integers(1, 8, size=(5, 9))
    by_hand, right, n = [], 0, 0
    for s, r in zip(scores, ranks):
        losses = []
        for i, j in combinations(range(9), 2):
            if r[i] != r[j]:
                w, l = (i, j) if r[i] < r[j] else (j, i)  # noqa: E741
                losses.append(-math.log(1 / (1 + math.exp(-(s[w] - s[l])))))
                right, n = right + (s[w] > s[l]), n + 1
        by_hand.append(sum(losses) / len(losses))
    scores, ranks = torch.tensor(scores), torch.tensor(ranks)
    assert ranking_loss(scores, ranks).item() == pytest.approx(np.mean(by_hand), abs=1e-12)
    assert agreement(scores, ranks) == pytest.approx(right / n, abs=1e-12)


def test_all_pairs_at_once_and_one_by_one_have_the_same_gradient_and_no_shift_is_felt():
    torch.manual_seed(0)
    scores = torch.randn(1, 9, dtype=torch.float64, requires_grad=True)
    ranks = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8, 8]])
    ranking_loss(scores, ranks).backward()
    together, scores.grad = scores.grad.clone(), None
    each = [(i, j) for i, j in combinations(range(9), 2) if ranks[0, i] != ranks[0, j]]
    assert len(each) == 35
    for i, j in each:
        (ranking_loss(scores[:, [i, j]], ranks[:, [i, j]]) / len(each)).backward()
    assert scores.grad.tolist()[0] == pytest.approx(together.tolist()[0], abs=1e-12)
    assert together.sum().item() == pytest.approx(0, abs=1e-12)
    assert ranking_loss(scores + 5, ranks).item() == pytest.approx(ranking_loss(scores, ranks).item(), abs=1e-12)


def test_prompts_with_fewer_answers_or_with_nothing_but_ties():
    scores = torch.randn(3, 4, generator=generator())
    ranks = torch.tensor([[1, 2, 3, 4], [2, 1, 0, 0], [1, 1, 1, 0]])
    expected = (ranking_loss(scores[:1], ranks[:1]) + ranking_loss(scores[1:2, :2], ranks[1:2, :2])) / 2
    assert ranking_loss(scores, ranks).item() == pytest.approx(expected.item(), abs=1e-7)
    scores[1, 3] = math.nan  # an answer that is not there may have any score
    assert ranking_loss(scores, ranks).item() == pytest.approx(expected.item(), abs=1e-7)


def test_with_all_comparisons_the_scores_become_the_utilities_and_the_loss_its_floor():
    """R1: the labelers' noise makes an answer better with the probability sigma(u_w - u_l); no model can do better."""
    utilities = torch.tensor(np.random.default_rng(0).normal(size=8))
    u = utilities - utilities.mean()
    wins = torch.sigmoid(u[:, None] - u[None, :])
    scores = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [scores], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )
    here, there = torch.triu_indices(8, 8, 1)
    both = torch.stack([torch.tensor([1, 2]), torch.tensor([2, 1])])  # each pair is ranked one way or the other

    def expected_loss():
        optimizer.zero_grad()
        losses = [
            wins[i, j] * ranking_loss(scores[[i, j]][None], both[:1])
            + wins[j, i] * ranking_loss(scores[[i, j]][None], both[1:])
            for i, j in zip(here.tolist(), there.tolist())
        ]
        total = torch.stack(losses).mean()
        total.backward()
        return total

    optimizer.step(expected_loss)
    found = (scores - scores.mean()).detach()
    assert found.tolist() == pytest.approx(u.tolist(), abs=1e-5)
    assert expected_loss().item() == pytest.approx(bradley_terry.bradley_terry_floor(u.numpy()), abs=1e-9)


def test_demonstrations_have_the_mean_zero_also_after_saving(tmp_path):
    built = reward_model(dropout=0.2).train()
    before = built.score(PROMPTS, ANSWERS)
    assert centre(built, PROMPTS, ANSWERS) == pytest.approx(before.mean().item(), abs=1e-6)
    after = built.score(PROMPTS, ANSWERS)
    assert abs(after.mean().item()) < 1e-6 and built.training
    assert (after - after.mean()).tolist() == pytest.approx((before - before.mean()).tolist(), abs=1e-6)
    checkpoint.save(tmp_path / "rm", built.state_dict())
    other = reward_model(seed=5)
    checkpoint.load(tmp_path / "rm", other)
    assert other.shift.item() == built.shift.item() != 0
    assert other.score(PROMPTS, ANSWERS).tolist() == pytest.approx(after.tolist(), abs=1e-6)


def test_a_small_reward_model_learns_a_ranking():
    built, target = RewardModel(GPT(CONFIG, generator(3))), torch.tensor([[2, 3, 1]])
    optimizer = torch.optim.Adam(built.parameters(), lr=3e-3)
    prompts = PROMPTS[:1].expand(3, -1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = ranking_loss(built(prompts, ANSWERS)[None], target)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1 and agreement(built.score(prompts, ANSWERS)[None], target) == 1


def test_a_score_leaves_the_model_in_the_mode_it_was_in():
    for training in (True, False):
        built = reward_model().train(training)
        built.score(PROMPTS, ANSWERS)
        assert built.training == built.gpt.training == training


def test_values_are_shifted_as_the_scores_are():
    built = reward_model()
    before, scores = built.values(PROMPTS, ANSWERS), built.score(PROMPTS, ANSWERS)
    mean = centre(built, PROMPTS, ANSWERS)
    assert abs(mean) > 0.1
    assert (before - built.values(PROMPTS, ANSWERS)).flatten().tolist() == pytest.approx([mean] * 12, abs=1e-6)
    assert (scores - built.score(PROMPTS, ANSWERS)).tolist() == pytest.approx([mean] * 3, abs=1e-6)


def test_absent_answers_are_in_no_pair_and_equal_scores_count_half():
    ranks = torch.tensor([[2, 0, 1]])
    assert pairs(ranks).nonzero().tolist() == [[0, 2, 0]]
    assert agreement(torch.tensor([[1.0, 5.0, 1.0]]), ranks) == 0.5
    assert agreement(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[1, 2, 3]])) == pytest.approx((0.5 + 1 + 1) / 3)


@pytest.mark.parametrize(("call", "says"), [
    (lambda: answer_lengths(torch.tensor([[-100, -100]])), "empty"),
    (lambda: answer_lengths(torch.tensor([[1, -100, 2]])), "on the right"),
    (lambda: answer_lengths(torch.tensor([1, 2])), "shape"),
    (lambda: responses.readable(PROMPTS, ANSWERS[:2]), "same B"),
    (lambda: ranking_loss(torch.zeros(2, 1), torch.ones(2, 1, dtype=torch.int64)), "at least 2"),
    (lambda: ranking_loss(torch.zeros(1, 3), torch.tensor([[2, 2, 2]])), "ties"),
    (lambda: ranking_loss(torch.tensor([[0.0, math.nan]]), torch.tensor([[1, 2]])), "finite"),
    (lambda: ranking_loss(torch.zeros(1, 3), torch.tensor([[1, 2]])), "same shape"),
    (lambda: pairs(torch.tensor([[-1, 1, 2]])), "whole numbers"),
    (lambda: pairs(torch.tensor([[1.0, math.nan, 2.0]])), "whole numbers"),
    (lambda: pairs([[1, 2]]), "whole numbers"),
    (lambda: ranking_loss(torch.zeros(1, 2, dtype=torch.int64), torch.tensor([[1, 2]])), "floats"),
    (lambda: agreement([[0.0, 1.0]], torch.tensor([[1, 2]])), "floats"),
    (lambda: responses.readable(PROMPTS.double(), ANSWERS), "ids"),
    (lambda: reward_model().read(torch.zeros(3, 5, 16), PROMPTS, ANSWERS), "T . N"),
])  # fmt: skip
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_the_value_function_starts_as_the_reward_model():
    built = reward_model()
    value = copy.deepcopy(built)
    last = built.values(PROMPTS[:1], torch.tensor([[1, 2, 3, 7, 7]]))[0, -1]  # before a fifth token: after the fourth
    assert last.item() == pytest.approx(built(PROMPTS[:1], ANSWERS[:1]).item(), abs=1e-6)
    assert all((a == b).all() for a, b in zip(value.parameters(), built.parameters()))


def test_a_model_in_training_stays_so_when_its_score_fails():
    gpt = GPT(GPTConfig(n_vocab=9, n_ctx=4, n_layers=1, n_heads=1, d_model=4), torch.Generator())
    judge = RewardModel(gpt).train()
    with pytest.raises((ValueError, IndexError)):
        judge.score(torch.zeros(1, 9, dtype=torch.int64), torch.ones(1, 9, dtype=torch.int64))
    assert judge.training
