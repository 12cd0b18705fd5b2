"""Every exhibit is different from the original, is put back after the visit, and is caught by a check."""

import dataclasses

import pytest
import torch

from minigpt import ppo
from minigpt.experiments.instructgpt import enumerable_ppo, ppo_bugs


def test_a_mistake_lasts_as_long_as_the_block():
    for name, mistake in ppo_bugs.BUGS.items():
        with ppo_bugs.with_bug(name):
            assert getattr(ppo, mistake.replaces) is mistake.by
        assert getattr(ppo, mistake.replaces) is ppo_bugs.RIGHT[mistake.replaces]
    with pytest.raises(RuntimeError), ppo_bugs.with_bug("no KL"):
        raise RuntimeError
    assert ppo.token_rewards is ppo_bugs.RIGHT["token_rewards"]
    with pytest.raises(ValueError, match="expected one of"), ppo_bugs.with_bug("no bug"):
        pass


def test_each_thought_and_each_function_is_its_own():
    assert len(ppo_bugs.BUGS) >= 10
    assert len({m.by for m in ppo_bugs.BUGS.values()}) == len({m.thought for m in ppo_bugs.BUGS.values()}) == 14
    assert all(m.by.__doc__ for m in ppo_bugs.BUGS.values())


@pytest.mark.parametrize("name", [n for n, m in ppo_bugs.BUGS.items() if m.replaces == "token_rewards"])
def test_wrong_rewards_do_not_add_up_to_the_score_minus_beta_kl(name):
    """The check of `test_ppo` fires for all of them but one, which only puts the score in the wrong place."""
    logp, logp_sft = torch.tensor([[-1.0, -2.0, -0.5]]), torch.tensor([[-1.5, -1.0, -2.0]])
    mask, scores = torch.ones(1, 3, dtype=torch.bool), torch.tensor([2.0])
    wrong = ppo_bugs.BUGS[name].by(scores, logp, logp_sft, mask, 0.5)
    right = ppo.token_rewards(scores, logp, logp_sft, mask, 0.5)
    assert (wrong - right).abs().max() > 0.1
    if name != "score one token early":
        assert abs(wrong.sum() - right.sum()) > 0.1


def test_samplers_that_do_not_sample_what_is_scored():
    """What the sampler test of `test_ppo` would see."""
    world, reference = enumerable_ppo.small_world(0)
    prompts, generator = world.prompts[:1].expand(3000, -1), torch.Generator().manual_seed(0)
    expected = -world.logps(reference)[0]
    entropy = (torch.tensor(expected).neg().exp() * torch.tensor(expected)).sum().item()
    for name in ("top-k 3 sampling", "sampled at 0.8, scored at 1", "the end is forbidden at first"):
        answers = ppo_bugs.BUGS[name].by(reference, prompts, 4, 4, generator)
        surprise = expected[world.which(answers)]
        z = (surprise.mean() - entropy) / (surprise.std() / 3000**0.5)
        too_short = (answers[:, :2] == 4).any().item()
        assert abs(z) > 4 or (name == "the end is forbidden at first" and not too_short)


def test_dropout_is_seen_in_the_first_ratio():
    exhibit = ppo_bugs.run("dropout left on", n_iterations=2)
    assert exhibit.ratio_error > 0.1 and ppo_bugs.run(None, n_iterations=2).ratio_error < 1e-5


def test_a_run_that_breaks_says_so(monkeypatch):
    def breaks(*args):
        return torch.tensor(float("nan"), requires_grad=True)

    monkeypatch.setitem(ppo_bugs.BUGS, "nan", ppo_bugs.Bug("policy_loss", breaks, "it never happens"))
    exhibit = ppo_bugs.run("nan", n_iterations=2)
    assert exhibit.broke and dataclasses.asdict(exhibit)["gap"] > 0
