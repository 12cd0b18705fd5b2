"""PPO beside the truth: gradients against sums over all answers, and the whole algorithm against the best policy."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from answer_worlds import generator, small
from scipy import special

from minigpt import checkpoint, ppo
from minigpt.exact import optimal_policy
from minigpt.experiments.instructgpt import enumerable_ppo
from minigpt.experiments.instructgpt.enumerable_ppo import TREE
from minigpt.loss import lm_loss
from minigpt.model import GPT
from minigpt.ppo import PPOConfig, PPOState, gae, policy_loss, token_rewards, value_loss, whiten
from minigpt.reward_model import RewardModel
from minigpt.worlds.answer_tree import Answers

BETA = 0.3


# --- exact: the expectation is a sum over all answers -----------------------------------------------------------------


class Table:
    """A policy that is a table of logits, one row a prefix; everything in float64."""

    def __init__(self, seed, tree: Answers = TREE):
        self.tree = tree
        numbers = np.random.default_rng(seed).normal(size=(len(tree.prefixes), tree.n_words + 1))
        self.logits = torch.tensor(numbers, requires_grad=True)
        states, tokens, written = tree.path
        self.states, self.tokens, self.mask = torch.tensor(states), torch.tensor(tokens), torch.tensor(written)

    def logp(self):
        """log pi of each token of each answer. Shapes: (N, longest)."""
        return self.logits.log_softmax(dim=1)[self.states, self.tokens] * self.mask

    def token_logps(self):
        return special.log_softmax(self.logits.detach().numpy(), axis=1)


def exact(seed=0):
    """(policy, log pi_SFT of each token, a reward for each answer)."""
    policy, sft = Table(seed + 100), Table(seed)
    return policy, sft.logp().detach(), torch.tensor(np.random.default_rng(seed).normal(size=len(TREE.rows)))


def surrogate_gradient(policy, rewards, values, lam):
    """The gradient that PPO takes, if every answer came as often as the policy gives it."""
    logp = policy.logp()
    advantages, _ = gae(rewards, values, policy.mask, 1.0, lam)
    weights = logp.detach().sum(dim=1).exp()[:, None] * policy.mask.sum()  # undoes the mean over tokens
    loss = policy_loss(logp, logp.detach(), advantages * weights, policy.mask)
    (gradient,) = torch.autograd.grad(-loss, policy.logits)
    return gradient.numpy()


def true_values(policy, rewards):
    """What is still to come on average, at each prefix, by a sum over all answers that begin with it."""
    p, to_come = policy.logp().detach().sum(dim=1).exp(), rewards.flip(1).cumsum(1).flip(1)  # (N,), (N, longest)
    here, total = torch.zeros(len(TREE.prefixes)).double(), torch.zeros(len(TREE.prefixes)).double()
    for t in range(TREE.longest):
        there = policy.mask[:, t]
        here.index_add_(0, policy.states[there, t], p[there])
        total.index_add_(0, policy.states[there, t], (p * to_come[:, t])[there])
    return (total / here)[policy.states] * policy.mask


def direction(a, b):
    return float((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum()))


@pytest.mark.parametrize("seed", range(3))
def test_e3_the_gradient_of_ppo_is_the_gradient_of_the_objective(seed):
    policy, logp_sft, reward = exact(seed)
    truth = optimal_policy.policy_gradient(TREE, policy.token_logps(), logp_sft.sum(1).numpy(), reward.numpy(), BETA)
    rewards = token_rewards(reward, policy.logp(), logp_sft, policy.mask, BETA)
    nothing, wrong = torch.zeros_like(rewards), torch.randn(len(TREE.prefixes), generator=generator(seed)).double()
    wrong = wrong[policy.states] * policy.mask
    for values, lam in ((nothing, 1.0), (wrong, 1.0), (true_values(policy, rewards), 0.95)):
        assert surrogate_gradient(policy, rewards, values, lam) == pytest.approx(truth, abs=1e-10)
    biased = surrogate_gradient(policy, rewards, wrong, 0.95)  # the price of trusting a wrong value function
    assert np.abs(biased - truth).max() > 1e-4 and direction(biased, truth) > 0.9


def test_e3b_a_shift_that_the_ranking_loss_cannot_see_bends_the_gradient():
    """With lambda = 0.95 and no idea of the value, a score that is 5 too high makes answers end too early."""
    policy, logp_sft, reward = exact(0)
    truth = optimal_policy.policy_gradient(TREE, policy.token_logps(), logp_sft.sum(1).numpy(), reward.numpy(), BETA)
    found = {}
    for shift in (0.0, 5.0, -5.0):
        rewards = token_rewards(reward + shift, policy.logp(), logp_sft, policy.mask, BETA)
        found[shift] = surrogate_gradient(policy, rewards, torch.zeros_like(rewards), 0.95)
    off = {shift: 1 - direction(gradient, truth) for shift, gradient in found.items()}
    assert off[0.0] < 0.002 and min(off[5.0], off[-5.0]) > 5 * off[0.0], off
    at_once = (0, TREE.end)  # the logit of ending before a word is written
    assert found[5.0][at_once] > found[0.0][at_once] > found[-5.0][at_once]


def kl_gradients(policy, logp_sft):
    """The gradient of the price of leaving the reference alone, for each place where people put it."""
    logp, mask = policy.logp(), policy.mask
    difference = (logp - logp_sft).detach()  # log pi - log pi_SFT of each token
    p = logp.detach().sum(dim=1).exp()
    k3 = torch.expm1(-difference) + difference
    found = {}
    for name, price in (("k1 in reward", difference), ("k2 in reward", difference**2 / 2), ("k3 in reward", k3)):
        found[name] = -surrogate_gradient(policy, -price * mask, torch.zeros_like(logp), 1.0)
    now = policy.logp() - logp_sft
    in_loss = {
        "k1 in loss": now.sum(dim=1), "k2 in loss": (now**2 / 2).sum(dim=1),
        "k3 in loss": ((torch.expm1(-now) + now) * mask).sum(dim=1), "k2 of the whole answer": now.sum(dim=1) ** 2 / 2,
    }  # fmt: skip
    for name, price in in_loss.items():
        (gradient,) = torch.autograd.grad((p * price).sum(), policy.logits, retain_graph=True)
        found[name] = gradient.numpy()
    zero = torch.zeros(len(TREE.rows)).numpy()
    truth = -optimal_policy.policy_gradient(TREE, policy.token_logps(), logp_sft.sum(1).numpy(), zero, 1.0)
    return truth, found


def test_e4_only_two_places_of_the_kl_penalty_are_right():
    policy, logp_sft, _ = exact(0)
    truth, found = kl_gradients(policy, logp_sft)
    assert found["k1 in reward"] == pytest.approx(truth, abs=1e-10)
    assert found["k2 of the whole answer"] == pytest.approx(truth, abs=1e-10)
    assert np.abs(found["k1 in loss"]).max() < 1e-12  # no KL penalty at all
    near = Table(0)
    with torch.no_grad():
        near.logits += 0.1 * torch.randn(near.logits.shape, generator=generator(), dtype=torch.float64)
    truth, found = kl_gradients(near, logp_sft)
    for name in ("k2 in reward", "k3 in reward"):  # near the reference they hardly pull back
        assert np.linalg.norm(found[name]) < 0.15 * np.linalg.norm(truth)
    for name in ("k2 in loss", "k3 in loss"):
        assert direction(found[name], truth) > 0.99


def test_e5_sampled_gradients_are_right_on_average():
    """200 batches of 512 answers, looked at along fixed random directions (rare prefixes alone are heavy-tailed)."""
    policy, logp_sft, reward = exact(1)
    truth = optimal_policy.policy_gradient(TREE, policy.token_logps(), logp_sft.sum(1).numpy(), reward.numpy(), BETA)
    rewards = token_rewards(reward, policy.logp(), logp_sft, policy.mask, BETA)
    advantages, _ = gae(rewards, torch.zeros_like(rewards), policy.mask, 1.0, 1.0)
    ways = torch.randn(65, *truth.shape, generator=generator(2), dtype=torch.float64)
    ways[0] = torch.tensor(truth)
    p, projected = policy.logp().detach().sum(dim=1).exp(), []
    for batch in range(200):
        drawn = torch.multinomial(p, 512, replacement=True, generator=generator(batch))
        logp, mask = policy.logp()[drawn], policy.mask[drawn]
        loss = policy_loss(logp, logp.detach(), advantages[drawn], mask) * mask.sum() / 512
        (gradient,) = torch.autograd.grad(-loss, policy.logits)
        projected.append((ways * gradient).sum(dim=(1, 2)))
    projected = torch.stack(projected).numpy()
    expected = (ways.numpy() * truth).sum(axis=(1, 2))
    z = (projected.mean(axis=0) - expected) / (projected.std(axis=0, ddof=1) / math.sqrt(200))
    assert np.abs(z).max() < 4.5 and 0.5 < z.std() < 1.5


# --- each equation by hand ---------------------------------------------------------------------------------------------


def random_batch(seed=0, B=7, N=6):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, N + 1, size=B)
    mask = torch.tensor(np.arange(N)[None] < lengths[:, None])
    return mask, *(torch.tensor(rng.normal(size=(B, N))) * mask for _ in range(4))


@pytest.mark.parametrize(("discount", "lam"), [(1.0, 0.95), (0.9, 0.7), (1.0, 1.0), (1.0, 0.0)])
def test_gae_against_the_double_sum(discount, lam):
    mask, rewards, values, *_ = random_batch()
    advantages, returns = gae(rewards, values, mask, discount, lam)
    for b in range(len(mask)):
        n = int(mask[b].sum())
        V = [*values[b, :n].tolist(), 0.0]
        delta = [rewards[b, t].item() + discount * V[t + 1] - V[t] for t in range(n)]
        for t in range(n):
            by_hand = sum((discount * lam) ** (i - t) * delta[i] for i in range(t, n))
            assert advantages[b, t].item() == pytest.approx(by_hand, abs=1e-12)
            assert returns[b, t].item() == pytest.approx(by_hand + V[t], abs=1e-12)
            if lam == 1.0:  # then the return is what really came
                real = sum(discount ** (i - t) * rewards[b, i].item() for i in range(t, n))
                assert returns[b, t].item() == pytest.approx(real, abs=1e-12)
        assert (advantages[b, n:] == 0).all() and (returns[b, n:] == 0).all()


def test_the_rewards_of_an_answer_add_up_to_its_score_minus_beta_kl():
    mask, logp, logp_sft, *_ = random_batch(1)
    scores = torch.randn(7, generator=generator()).double()
    rewards = token_rewards(scores, logp, logp_sft, mask, 0.3)
    expected = scores - 0.3 * ((logp - logp_sft) * mask).sum(dim=1)
    assert rewards.sum(dim=1).tolist() == pytest.approx(expected.tolist(), abs=1e-12)
    without = token_rewards(scores, logp, logp, mask, 0.3)
    for row, n, score in zip(without, mask.sum(dim=1), scores):
        assert row.nonzero().flatten().tolist() == [int(n) - 1] and row[n - 1] == score


def test_whitening_over_the_real_tokens_of_the_whole_batch():
    mask, x, *_ = random_batch(2)
    white = whiten(3 * x + 7, mask)
    assert white[mask].mean().item() == pytest.approx(0, abs=1e-6)
    assert white[mask].var(unbiased=False).item() == pytest.approx(1, abs=1e-4)
    assert (white[~mask] == 0).all()
    assert (whiten(torch.full_like(x, 5.0), mask) == 0).all()  # nothing to prefer, and no nan


def test_clipping_stops_the_gradient_on_one_side_only():
    old, one = torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)
    for advantage, ratio, moves in ((1, 1.1, True), (1, 1.3, False), (1, 0.7, True), (-1, 1.3, True), (-1, 0.7, False)):
        logp = torch.tensor([[math.log(ratio)]], requires_grad=True)
        policy_loss(logp, old, torch.tensor([[float(advantage)]]), one).backward()
        assert (logp.grad.item() != 0) == moves, (advantage, ratio)
    mask, logp, advantages, *_ = random_batch(3)
    logp.requires_grad_()
    policy_loss(logp, logp.detach(), advantages, mask).backward()
    assert torch.allclose(logp.grad, -(advantages * mask) / mask.sum(), rtol=0, atol=1e-12)


def test_the_value_loss_written_out():
    mask, values, old, returns, _ = random_batch(4)
    total = 0.0
    for v, o, r in zip(values[mask].tolist(), old[mask].tolist(), returns[mask].tolist()):
        total += 0.5 * max((v - r) ** 2, (min(max(v, o - 0.2), o + 0.2) - r) ** 2)
    assert value_loss(values, old, returns, mask).item() == pytest.approx(total / mask.sum().item(), abs=1e-12)


def test_one_batch_or_eight_pieces_of_it_have_the_same_gradient():
    mask, logp, advantages, old, _ = random_batch(5, B=8)
    logp.requires_grad_()
    policy_loss(logp, old, advantages, mask).backward()
    whole, logp.grad = logp.grad.clone(), None
    for rows in torch.arange(8).chunk(4):
        share = mask[rows].double().sum() / mask.sum()
        (policy_loss(logp[rows], old[rows], advantages[rows], mask[rows]) * share).backward()
    assert torch.allclose(logp.grad, whole, rtol=0, atol=1e-12)


def test_adaptive_beta():
    change = lambda kl: ppo.adaptive_kl(0.1, kl, 6.0, 100, 1000)  # noqa: E731
    assert change(6.0) == 0.1  # the fixed point
    assert change(6.6) == pytest.approx(0.1 * 1.01) and change(5.4) == pytest.approx(0.1 * 0.99)
    for wrong in ((math.nan, 6.0, 1000), (1.0, 0.0, 1000), (1.0, 6.0, 0)):
        with pytest.raises(ValueError, match="above 0 and a finite KL"):
            ppo.adaptive_kl(0.1, wrong[0], wrong[1], 100, wrong[2])
    assert change(100.0) == change(8.0) == pytest.approx(0.102) and change(0.0) == pytest.approx(0.098)  # clipped


def run(world, reference, agent, config, seed=0, **also):
    return list(ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, generator(seed), **also))


def test_the_first_ratio_is_one_with_dropout_in_the_configuration_too():
    for record in run(*small()):
        assert record.ratio_error < 1e-5
    world, _, _, config = small()
    reference = GPT(dataclasses.replace(enumerable_ppo.NETWORK, dropout=0.2), generator()).train()
    agent = enumerable_ppo.agent_of(reference).train()
    for record in run(world, reference, agent, config):
        assert record.ratio_error < 1e-5


def test_the_end_token_is_learned():
    """An answer that is only the end token, and scores well, becomes likelier."""
    world, reference, agent, config = small(lr=1e-2)
    only_end = world.which(torch.tensor([[4, -100, -100, -100]]))[0]
    world = enumerable_ppo.SmallWorld(TREE, np.where(np.arange(341) == only_end, 1.0, 0.0)[None].repeat(3, axis=0))
    before = world.logps(agent.policy)[:, only_end].mean()
    run(world, reference, agent, dataclasses.replace(config, n_iterations=10))
    assert world.logps(agent.policy)[:, only_end].mean() > before + 0.5


def test_the_updates_are_counted():
    world, reference, agent, config = small(n_epochs=3)
    state = PPOState()
    list(ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, generator(), state))
    steps = {int(moment["step"]) for moment in state.moments.values()}
    assert steps == {4 * 3 * 4}  # iterations, epochs, minibatches


def test_the_ptx_gradient_is_the_pretraining_gradient_times_gamma():
    """One update with a reward of nothing: then the policy moves for the pre-training text alone."""
    world, reference, agent, config = small()
    world = enumerable_ppo.SmallWorld(TREE, np.zeros((3, 341)))
    text = np.array([[4, 0, 1, 2]]), np.array([[0, 1, 2, 3]])
    config = dataclasses.replace(
        config, n_iterations=1, n_minibatches=1, ptx_coef=27.8, kl_coef=0.0, clip_norm=None, gae_lambda=1.0
    )
    state, before = PPOState(), copy.deepcopy(agent.policy)
    list(ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, generator(), state, ptx_batches=[text]))
    lm_loss(before(torch.tensor(text[0])), torch.tensor(text[1])).backward()
    for name, p in before.named_parameters():
        gradient = state.moments[f"policy.{name}"]["exp_avg"] / (1 - config.betas[0])  # Adam's first mean
        assert gradient.flatten().tolist() == pytest.approx((27.8 * p.grad).flatten().tolist(), abs=2e-5)


def test_broken_off_and_gone_on_is_the_same_as_in_one_go(tmp_path):
    changes = dict(average=0.9, kl_target=1.0)
    world, reference, agent, config = small(**changes)
    whole = run(world, reference, agent, config)
    world, reference, again, config = small(**changes)
    state = PPOState()
    records = ppo.ppo(again, reference, world.reward_fn, world.prompts, config, generator(), state)
    first = [next(records), next(records)]
    checkpoint.save_state(tmp_path / "run", again, state)
    fresh = enumerable_ppo.agent_of(reference)
    back = PPOState()
    checkpoint.load_state(tmp_path / "run", fresh, back)
    rest = list(ppo.ppo(fresh, reference, world.reward_fn, world.prompts, config, state=back))
    for a, b in zip([*first, *rest], whole, strict=True):
        assert dataclasses.astuple(a) == pytest.approx(dataclasses.astuple(b), nan_ok=True, abs=0)
    for a, b in zip(fresh.parameters(), agent.parameters()):
        assert torch.equal(a, b)
    assert back.kl_coef != config.kl_coef and len(back.averages) == len(list(agent.policy.parameters()))


def test_an_interrupted_iteration_never_happened():
    world, reference, agent, config = small()
    state = PPOState()
    records = ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, generator(), state)
    next(records)
    before = copy.deepcopy(agent.state_dict()), copy.deepcopy(state.tensors())

    def interrupt(_):
        raise KeyboardInterrupt

    broken = ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, state=state, tax_fn=interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(broken)
    assert all(torch.equal(agent.state_dict()[name], t) for name, t in before[0].items())
    assert all(torch.equal(state.tensors()[name], t) for name, t in before[1].items()) and state.step == 1


def test_the_running_mean_of_the_weights():
    averages, policy = {}, GPT(enumerable_ppo.NETWORK, generator())
    name, p = next(policy.named_parameters())
    first = p.detach().clone()
    ppo.average_weights(averages, policy, 0.9)
    assert torch.equal(averages[name], first)
    with torch.no_grad():
        p += 1
    ppo.average_weights(averages, policy, 0.9)
    assert averages[name].flatten().tolist() == pytest.approx((first + 0.1).flatten().tolist(), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_e7_ppo_reaches_the_best_policy_there_is(seed):
    world, reference = enumerable_ppo.small_world(seed)
    agent = enumerable_ppo.agent_of(reference)
    start = enumerable_ppo.distance(world, agent.policy, reference, BETA)
    config = dataclasses.replace(enumerable_ppo.PPO, batch_size=160, n_minibatches=4)  # a third of what the lesson samples
    run(world, reference, agent, config, seed)
    end = enumerable_ppo.distance(world, agent.policy, reference, BETA)
    assert end.gap <= 0.01 and end.gap <= 0.02 * start.gap and 0 < end.kl_to_best <= 0.03
    assert end.gap == pytest.approx(BETA * end.kl_to_best, abs=1e-9)


def test_records_tell_what_happened():
    world, reference, agent, config = small(warmup_iterations=2)
    seen = []
    records = run(
        world, reference, agent, config,
        utility_fn=lambda prompts, answers: torch.full((len(answers),), 3.0),
        tax_fn=lambda policy: seen.append(policy) or 0.5,
    )  # fmt: skip
    assert [r.step for r in records] == [1, 2, 3, 4] and len(seen) == 4 and seen[0] is agent.policy
    first = records[0]
    assert first.kl == pytest.approx(0, abs=1e-6) and first.utility == 3 and first.tax == 0.5 and first.kl_coef == BETA
    assert 0 < first.entropy < math.log(5) and 0 < first.p_end < 1 and 1 <= first.length <= 4
    assert 0 <= first.clip_fraction <= 1 and first.explained_variance == pytest.approx(0, abs=0.05)
    assert math.isnan(run(*small())[0].utility)
    factors = [ppo.learning_rate_factor(i, dataclasses.replace(config, decay=False)) for i in range(4)]
    falling = dataclasses.replace(config, n_iterations=4, warmup_iterations=0, decay=True)
    assert [ppo.learning_rate_factor(i, falling) for i in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert factors == pytest.approx([0.1, 0.55, 1.0, 1.0])


def test_what_stands_behind_the_end_of_an_answer_changes_no_advantage():
    mask, rewards, values, *_ = random_batch(6)
    garbage = torch.where(mask, 0.0, 1000.0).double()
    clean = gae(rewards, values, mask, 0.9, 0.7)
    for found, expected in zip(gae(rewards + garbage, values - garbage, mask, 0.9, 0.7), clean):
        assert torch.equal(found, expected) and (found[~mask] == 0).all()
    scores, logp, logp_sft = torch.ones(7).double(), rewards, values
    assert torch.equal(
        token_rewards(scores, logp + garbage, logp_sft, mask, 0.3), token_rewards(scores, logp, logp_sft, mask, 0.3)
    )


def test_rewards_carry_no_gradient():
    mask, logp, logp_sft, *_ = random_batch(7)
    scores = torch.ones(7).double()
    assert not token_rewards(scores, logp.clone().requires_grad_(), logp_sft, mask, 0.3).requires_grad
    assert not token_rewards(scores.requires_grad_(), logp, logp_sft, mask, 0.3).requires_grad


def test_one_batch_is_whitened_over_its_real_tokens():
    world, reference, agent, config = small()
    batch, _ = ppo.experience(agent, reference, world.reward_fn, None, world.prompts, config, 0.3, generator())
    assert not batch.mask.all()
    real = gae(batch.rewards, batch.old_values, batch.mask, config.discount, config.gae_lambda)[0][batch.mask].numpy()
    expected = (real - real.mean()) / real.std()
    assert batch.advantages[batch.mask].numpy() == pytest.approx(expected, abs=1e-4)
    assert (batch.advantages[~batch.mask] == 0).all()


def test_each_iteration_draws_anew():
    world, reference, agent, config = small(lr=1e-12, value_lr=1e-12)
    rewards = {record.reward for record in run(world, reference, agent, config)}
    assert len(rewards) == config.n_iterations


@pytest.mark.parametrize("which", ["policy", "value"])
def test_each_network_has_its_own_learning_rate(which):
    rates = {"lr": 1e-3, "value_lr": 1e-9} if which == "policy" else {"lr": 1e-9, "value_lr": 1e-3}
    world, reference, agent, config = small(**rates)
    before = copy.deepcopy(agent)
    run(world, reference, agent, config)
    moved = {
        name: max((a - b).abs().max().item() for a, b in zip(net.parameters(), old.parameters()))
        for name, net, old in (("policy", agent.policy, before.policy), ("value", agent.value, before.value))
    }
    assert moved.pop(which) > 1e-4 and max(moved.values()) < 1e-6


def test_the_price_of_the_distance_follows_the_kl_of_the_batch():
    world, reference, agent, config = small(kl_target=0.5, kl_horizon=1000)
    first, second, *_ = run(world, reference, agent, config)
    error = min(0.2, max(-0.2, first.kl / 0.5 - 1))
    assert second.kl_coef == pytest.approx(0.3 * (1 + error * 48 / 1000), abs=1e-12) and second.kl_coef != 0.3


def test_the_clip_fraction_is_that_of_the_tokens_outside():
    assert {record.clip_fraction for record in run(*small(lr=1e-12))} == {0.0}
    world, reference, agent, config = small(lr=3e-2, n_epochs=2)
    assert 0.2 < run(world, reference, agent, config)[0].clip_fraction < 1


def test_the_value_loss_counts_in_full():
    """Adam's first mean after one update is the gradient of the value loss alone, not clipped and not weighted."""
    world, reference, agent, config = small()
    config = dataclasses.replace(config, n_iterations=1, n_minibatches=1, clip_norm=None)
    before, state = copy.deepcopy(agent.value), PPOState()
    (record,) = ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, generator(), state)
    chance = torch.Generator().manual_seed(int(np.random.SeedSequence([state.seed, 0]).generate_state(1)[0]))
    batch, _ = ppo.experience(
        enumerable_ppo.agent_of(reference), reference, world.reward_fn, None, world.prompts, config, 0.3, chance
    )
    loss = value_loss(before.values(batch.prompts, batch.answers), batch.old_values, batch.returns, batch.mask)
    loss.backward()
    assert record.value_loss == pytest.approx(loss.item(), rel=1e-5)
    for name, p in before.named_parameters():
        gradient = state.moments[f"value.{name}"]["exp_avg"] / (1 - config.betas[0])
        assert gradient.flatten().tolist() == pytest.approx(p.grad.flatten().tolist(), abs=1e-4), name


@pytest.mark.slow
@pytest.mark.parametrize("form", [list, np.array, torch.tensor])
def test_rewards_and_prompts_may_be_whole_numbers_lists_and_arrays(form):
    def whole_numbers(prompts, answers):
        return form([int(n) for n in (answers == 4).sum(dim=1)])

    world, reference, agent, config = small()
    found = list(ppo.ppo(agent, reference, whole_numbers, world.prompts.tolist(), config, generator()))
    world, reference, agent, config = small()
    expected = list(ppo.ppo(
        agent, reference, lambda p, a: (a == 4).sum(dim=1).float(), world.prompts, config, generator(),
        utility_fn=whole_numbers,
    ))  # fmt: skip
    assert [r.reward for r in found] == [r.reward for r in expected]
    assert [r.utility for r in expected] == pytest.approx([r.reward for r in expected], abs=1e-6)


def fitting(**changes):
    """Arguments of the equations that fit each other, but for the changes."""
    mask, a, b, c, d = random_batch(8)
    return {"mask": mask, "a": a, "b": b, "c": c, "scores": torch.zeros(7).double()} | changes


EQUATIONS = {
    "token_rewards": lambda x: token_rewards(x["scores"], x["a"], x["b"], x["mask"], 0.3),
    "gae": lambda x: gae(x["a"], x["b"], x["mask"]),
    "whiten": lambda x: whiten(x["a"], x["mask"]),
    "policy_loss": lambda x: policy_loss(x["a"], x["b"], x["c"], x["mask"]),
    "value_loss": lambda x: value_loss(x["a"], x["b"], x["c"], x["mask"]),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_an_equation_refuses_what_does_not_fit(name):
    equation = EQUATIONS[name]
    equation(fitting())
    right = fitting()
    wrongs = [
        {"mask": right["mask"][0]}, {"mask": right["mask"].double()}, {"mask": torch.zeros(7, 6, dtype=torch.bool)},
        {"mask": right["mask"][:, :5]}, {"a": right["a"][0]}, {"a": right["a"].long()}, {"a": right["a"][:, :1]},
        {"a": right["a"].tolist()},
    ]  # fmt: skip
    if name == "token_rewards":
        wrongs += [{"scores": torch.zeros(6).double()}, {"scores": torch.zeros(7, 1).double()}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="must"):
            equation(fitting(**wrong))


@pytest.mark.parametrize(("field", "value"), [
    ("n_iterations", 0), ("batch_size", 50), ("kl_coef", -0.1), ("ptx_coef", math.nan), ("gae_lambda", 1.5),
    ("lr", 0.0), ("kl_target", 0.0), ("average", 1.0), ("warmup_iterations", -1), ("clip_norm", 0.0),
    ("end_id", 1.5), ("end_id", "3"), ("end_id", -1), ("betas", None), ("betas", (0.9,)), ("betas", (0.9, 1.0)),
    ("warmup_iterations", 1.5), ("n_iterations", True), ("lr", "1"), ("lr", math.inf), ("decay", 1), ("longest", None),
    ("clip_range", math.nan), ("kl_horizon", 0), ("discount", True), ("value_clip", None),
])  # fmt: skip
def test_bad_settings_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(enumerable_ppo.PPO, **{field: value})


def test_bad_input_is_named():
    world, reference, agent, config = small()
    other = GPT(dataclasses.replace(enumerable_ppo.NETWORK, n_vocab=6), generator())
    with pytest.raises(ValueError, match="same vocabulary"):
        run(world, other, agent, config)
    with pytest.raises(ValueError, match="stays as it is"):
        run(world, agent.policy, agent, config)
    with pytest.raises(ValueError, match="ptx_batches"):
        run(world, reference, agent, dataclasses.replace(config, ptx_coef=1.0))
    with pytest.raises(ValueError, match="Generator"):
        next(ppo.ppo(agent, reference, world.reward_fn, world.prompts, config))
    with pytest.raises(ValueError, match="one length"):
        next(ppo.ppo(agent, reference, world.reward_fn, world.prompts[0], config, generator()))
    for ragged in ([[4, 0], [4]], [], [[]], [[4.5, 0.0]], "ab", torch.tensor([[4.0, 1.0]])):
        with pytest.raises(ValueError, match="prompts must"):
            next(ppo.ppo(agent, reference, world.reward_fn, ragged, config, generator()))
    for bad in (None, [[1.0]], ["good"] * 48, [1.0, 2.0]):
        with pytest.raises(ValueError, match="reward_fn must give one number per answer"):
            next(ppo.ppo(agent, reference, lambda p, a, bad=bad: bad, world.prompts, config, generator()))
    with pytest.raises(ValueError, match="end_id"):
        run(world, reference, agent, PPOConfig(n_iterations=1, end_id=9, longest=4))
    for bad, says in ((math.nan, "finite"), (math.inf, "finite")):
        state, before = PPOState(), copy.deepcopy(agent.state_dict())
        with pytest.raises(ValueError, match=says):
            next(ppo.ppo(agent, reference, lambda p, a: torch.full((len(a),), bad), world.prompts, config,
                         generator(), state))  # fmt: skip
        assert all(torch.equal(agent.state_dict()[name], t) for name, t in before.items()) and state.step == 0
    with pytest.raises(ValueError, match="one number per answer"):
        run(type("W", (), {"reward_fn": lambda self, p, a: torch.zeros(3), "prompts": world.prompts})(), reference,
            agent, config)  # fmt: skip
    with pytest.raises(ValueError, match="another agent"):
        state = PPOState(moments={"policy.W_e.weight": {"exp_avg": torch.zeros(2), "step": torch.tensor(0.0)}})
        next(ppo.ppo(agent, reference, world.reward_fn, world.prompts, config, generator(), state))


def test_a_value_function_of_zero_gives_the_reward_model_at_zero():
    _, reference, agent, _ = small()
    assert isinstance(agent.value, RewardModel)
    assert (agent.value.values(torch.tensor([[4, 0]]), torch.tensor([[1, 2, 4]])) == 0).all()


def test_the_kl_of_a_record_is_that_of_whole_answers():
    """The mean over 4,000 drawn answers, beside the sum over all 341 that there are."""
    world, reference, *_ = small()
    policy = enumerable_ppo.small_world(5)[1]
    exact = enumerable_ppo.distance(world, policy, reference, BETA).kl
    config = dataclasses.replace(enumerable_ppo.PPO, n_iterations=1, batch_size=4000, n_minibatches=1)
    (record,) = run(world, reference, enumerable_ppo.agent_of(policy), config)
    assert exact > 0.2 and record.kl == pytest.approx(exact, rel=0.1)
