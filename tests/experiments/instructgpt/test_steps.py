"""The three steps, very short: shapes, masks, who is compared with whom. What they achieve is in the chapter."""

import dataclasses
import random

import numpy as np
import pytest
import torch

from minigpt import ppo, responses, reward_model
from minigpt.batches import DocumentBatches
from minigpt.experiments import sizes
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, step3_ppo
from minigpt.experiments.instructgpt.step2_reward_model import Rankings
from minigpt.loss import IGNORED
from minigpt.model import GPT
from minigpt.reward_model import RewardModel
from minigpt.worlds import grammar, tales


@pytest.fixture(scope="module")
def gpt():
    return GPT(sizes.INSTRUCTGPT, torch.Generator().manual_seed(0)).eval()


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


def test_every_word_of_the_language_is_one_token():
    library, words = dialogue.tale_dataset(), set()
    for document in library.documents[:3000]:
        words |= set(grammar.words(document))
    assert {len(library.tokenizer.encode(word)) for word in words} == {1}
    assert library.tokenizer.n_vocab == sizes.INSTRUCTGPT.n_vocab
    assert dialogue.prompt_ids(tales.requests("test")).shape == (256, 12)


def test_answers_go_to_ids_and_back():
    texts = [" Once a sad fox.", "", " It felt mad."]
    ids = dialogue.answer_ids(texts)
    assert dialogue.answer_texts(ids) == texts
    assert responses.answer_lengths(ids).tolist() == [6, 1, 5]  # the end token included


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


def test_what_the_policy_is_told_of_its_utility(gpt):
    requests = tales.requests("test")[:6]
    answers = dialogue.sample_answers(gpt, requests)
    found = dialogue.utility_fn(dialogue.prompt_ids(requests), answers)
    expected = [tales.utility(r, t).total for r, t in zip(requests, dialogue.answer_texts(answers))]
    assert found.tolist() == pytest.approx(expected)
    assert dialogue.title_ids(requests).shape == (6, 9)


def test_win_rates():
    ours = np.array([1.0, 2.0, 3.0])
    assert step3_ppo.win_rate(ours, ours).mean == 0.5
    assert step3_ppo.win_rate(ours + 1, ours).mean == pytest.approx(1 / (1 + np.exp(-1 / step2_reward_model.NOISE)))
    with pytest.raises(ValueError, match="same requests"):
        step3_ppo.win_rate(ours, ours[:2])


def test_one_iteration_of_ppo_on_tales(gpt):
    """The whole chain fits together: tales as ids, a reward model, pre-training text, true utilities."""
    agent = ppo.ActorCritic(GPT(gpt.config, torch.Generator().manual_seed(0)), RewardModel(gpt))
    end = dialogue.tale_dataset().tokenizer.endoftext
    config = dataclasses.replace(step3_ppo.PPO, end_id=end, n_iterations=1, batch_size=8, ptx_coef=0.5)
    texts = DocumentBatches(dialogue.tale_dataset().corpus, dialogue.tale_dataset().tokenizer, 96, 256, 0)
    scorer = RewardModel(gpt)
    (record,) = ppo.ppo(
        agent, gpt, scorer.score, dialogue.prompt_ids(tales.requests("training")), config,
        torch.Generator().manual_seed(0), ptx_batches=texts, utility_fn=dialogue.utility_fn,
    )  # fmt: skip
    assert record.utility == pytest.approx(-2, abs=1) and record.reward == 0 and record.ratio_error < 1e-4


def test_two_rewards_of_one_source_are_two_policies(gpt, tmp_path, monkeypatch):
    """What a reward function has captured is part of the key under which its policy is kept."""
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))

    def reward(worth):
        return lambda prompts, answers: torch.full((len(answers),), worth)

    start, scorer = step1_sft.Trained(gpt, {}), step1_sft.Trained(RewardModel(gpt), {})
    how = {"n_iterations": 1, "batch_size": 4, "n_minibatches": 1}
    runs = [step3_ppo.rlhf(start, scorer, reward_fn=reward(worth), **how) for worth in (1.0, 2.0, 1.0)]
    assert [float(run.curves["reward"][0]) for run in runs] == [1.0, 2.0, 1.0]
    assert len([path for path in tmp_path.glob("ppo-*") if path.is_dir()]) == 2


def test_a_stopped_run_of_ppo_goes_on_bit_for_bit(gpt, tmp_path, monkeypatch):
    start, scorer = step1_sft.Trained(gpt, {}), step1_sft.Trained(RewardModel(gpt), {})
    how = {"n_iterations": 3, "batch_size": 4, "n_minibatches": 1, "kl_target": 0.1, "average": 0.9}
    calls, utility_fn = [], dialogue.utility_fn

    def reward(prompts, answers):
        return (answers == 5).sum(dim=1).double() - answers[:, 0].remainder(7)

    def stops(prompts, answers):
        calls.append(len(answers))
        if len(calls) == 3 and stop:
            raise KeyboardInterrupt
        return utility_fn(prompts, answers)

    monkeypatch.setattr(dialogue, "utility_fn", stops)
    runs = []
    for folder, stop in (("whole", False), ("stopped", True)):
        monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path / folder))
        calls.clear()
        if stop:
            with pytest.raises(KeyboardInterrupt):
                step3_ppo.rlhf(start, scorer, reward_fn=reward, **how)
        runs.append((step3_ppo.rlhf(start, scorer, reward_fn=reward, **how), len(calls)))
    (whole, n_whole), (stopped, n_stopped) = runs
    assert (n_whole, n_stopped) == (3, 4)  # the third batch was answered twice, the first two once
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), stopped.model.parameters()))
    assert all(np.array_equal(whole.curves[name], stopped.curves[name], equal_nan=True) for name in whole.curves)
