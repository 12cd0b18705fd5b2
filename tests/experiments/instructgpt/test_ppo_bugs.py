"""Every PPO bug replaces one function, differs from the original, and is caught by a check."""

import dataclasses

import pytest
import torch

from minigpt import ppo
from minigpt.experiments.instructgpt import enumerable_ppo, ppo_bugs


def test_a_bug_replaces_one_function_and_ppo_itself_stays_as_it_is():
    right = ppo.Equations()
    for name, bug in ppo_bugs.BUGS.items():
        wrong = ppo_bugs.equations(name)
        differ = {f.name for f in dataclasses.fields(right) if getattr(right, f.name) is not getattr(wrong, f.name)}
        assert differ == {bug.replaces} and getattr(wrong, bug.replaces) is bug.by
        assert getattr(right, bug.replaces) is getattr(ppo, bug.replaces)
    assert ppo_bugs.equations(None) == right
    with pytest.raises(ValueError, match="expected one of"):
        ppo_bugs.equations("no bug")


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ppo.Equations)])
def test_ppo_uses_each_function_that_it_is_handed(name):
    class Used(Exception):
        pass

    def instead(*args):
        raise Used

    world, reference = enumerable_ppo.small_world(0)
    config = dataclasses.replace(enumerable_ppo.PPO, batch_size=8, n_minibatches=1)
    with pytest.raises(Used):
        next(ppo.ppo(
            enumerable_ppo.agent_of(reference), reference, world.reward_fn, world.prompts, config,
            torch.Generator().manual_seed(0), equations=ppo.Equations(**{name: instead}),
        ))  # fmt: skip


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


@pytest.mark.slow
def test_dropout_is_seen_in_the_first_ratio():
    found = ppo_bugs.run("dropout left on", n_iterations=2)
    assert found.ratio_error > 0.1 and ppo_bugs.run(None, n_iterations=2).ratio_error < 1e-5


def test_a_run_that_breaks_says_so(monkeypatch):
    def breaks(*args):
        return torch.tensor(float("nan"), requires_grad=True)

    monkeypatch.setitem(ppo_bugs.BUGS, "nan", ppo_bugs.Bug("policy_loss", breaks, "it never happens"))
    found = ppo_bugs.run("nan", n_iterations=2)
    assert found.broke and dataclasses.asdict(found)["gap"] > 0
