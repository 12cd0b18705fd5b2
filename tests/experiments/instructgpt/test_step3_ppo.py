"""Step 3, very short: win rates, one iteration, what is kept under which key. What it achieves is in the chapter."""

import dataclasses

import numpy as np
import pytest
import torch

from minigpt import ppo
from minigpt.batches import DocumentBatches
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, step3_ppo
from minigpt.model import GPT
from minigpt.reward_model import RewardModel
from minigpt.worlds import tales

pytestmark = pytest.mark.xdist_group("tales")  # their dataset is made once for all steps


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
