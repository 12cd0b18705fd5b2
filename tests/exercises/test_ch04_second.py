"""The checks of chapter 04's exercises that build the machine know right from wrong, and say what is wrong."""

import math

import pytest
import torch
from exercising import grouped, named_checks
from torch.nn import functional as F

from minigpt import ppo, reward_model
from minigpt.exercises import ch04_models, ch04_policy
from minigpt.experiments.instructgpt import dashboards
from minigpt.responses import answer_logps


def gradient(logits, states, tokens, written, returns, baseline):
    logits = logits.clone().requires_grad_()
    logp = (logits.log_softmax(-1)[states, tokens] * written).sum(1)
    ((returns - baseline) * logp).mean().backward()
    return logits.grad


def by_hand(logits, states, tokens, written, returns, baseline):
    """Without autograd: the token that was written, minus the probabilities, at each prefix that was passed."""
    out, probs = torch.zeros_like(logits), logits.softmax(-1)
    for s, a, w, R in zip(states, tokens, written, returns):
        for t in range(len(s)):
            if w[t]:
                out[s[t]] -= (R - baseline) * probs[s[t]]
                out[s[t], a[t]] += R - baseline
    return out / len(returns)


def changed(how, estimate=gradient):
    """An estimate whose inputs were changed first."""
    return lambda *given: estimate(*how(*given))


def of_probs(logits, states, tokens, written, returns, baseline):
    logits = logits.clone().requires_grad_()
    ((returns - baseline) * (logits.softmax(-1)[states, tokens] * written).sum(1)).mean().backward()
    return logits.grad


def of_logits(logits, states, tokens, written, returns, baseline):
    logits = logits.clone().requires_grad_()
    ((returns - baseline) * (logits[states, tokens] * written).sum(1)).mean().backward()
    return logits.grad


def gae(rewards, values, mask, lam, beyond=0.0, returns=False, decay=1.0):
    """From the sum: A_t = delta_t + lam delta_{t+1} + ..."""
    out = torch.zeros_like(rewards)
    for b, n in enumerate(mask.sum(1).tolist()):
        v = [*values[b, :n].tolist(), beyond]
        delta = [rewards[b, t].item() + decay * v[t + 1] - v[t] for t in range(n)]
        for t in range(n):
            out[b, t] = sum(lam ** (i - t) * delta[i] for i in range(t, n)) + (v[t] if returns else 0)
    return out


def over_padding(rewards, values, mask, lam):
    return ppo.gae(rewards, values, torch.ones_like(mask), 1.0, lam)[0]


def padding_value(rewards, values, mask, lam):
    """V of the padding after the last token is believed."""
    after = F.pad(values, (0, 1))[:, 1:]
    last = F.pad(mask, (0, 1))[:, 1:] < mask
    return ppo.gae(rewards + after * last * (torch.arange(5) < 4), values, mask, 1.0, lam)[0]


def own_value(rewards, values, mask, lam):
    """V of the last token stands for what comes after it."""
    last = F.pad(mask, (0, 1))[:, 1:] < mask
    return ppo.gae(rewards + values * last, values, mask, 1.0, lam)[0]


def update(agent, reference, asked, answers, scores, parts, optimizer, config, change=None, step=True, pair=True):
    """As on the page: 25 lines. change: what becomes of (old_logp, rewards, advantages, returns)."""
    mask = answers != -100
    with torch.no_grad():
        old_logp = answer_logps(agent.policy, asked, answers)
        logp_sft = answer_logps(reference, asked, answers)
        old_values = agent.value.values(asked, answers)
        rewards = -config.kl_coef * (old_logp - logp_sft) * mask
        rewards[torch.arange(len(mask)), mask.sum(1) - 1] += scores
        if change == "score twice":
            rewards[torch.arange(len(mask)), mask.sum(1) - 1] += scores
        if change == "no KL":
            rewards += config.kl_coef * (old_logp - logp_sft) * mask
        advantages, returns = ppo.gae(rewards, old_values, mask, 1.0, config.gae_lambda)
        if change != "no whitening":
            advantages = ppo.whiten(advantages, mask)
        if change == "returns after":
            returns = (advantages + old_values) * mask
    losses = []
    for part in parts:
        m, A, R = mask[part], advantages[part], returns[part]
        ratio = (answer_logps(agent.policy, asked[part], answers[part]) - old_logp[part]).exp()
        near = ratio.clamp(1 - config.clip_range, 1 + config.clip_range)
        V, old_V = agent.value.values(asked[part], answers[part]), old_values[part]
        near_V = old_V + (V - old_V).clamp(-config.value_clip, config.value_clip)
        gain = ratio * A if change == "no clip" else torch.minimum(ratio * A, near * A)
        policy_loss = -gain[m].mean()
        value_loss = 0.5 * torch.maximum((V - R) ** 2, (near_V - R) ** 2)[m].mean()
        if change == "no value":
            value_loss = value_loss * 0
        optimizer.zero_grad()
        (policy_loss + value_loss).backward()
        for net in (agent.policy, agent.value):
            torch.nn.utils.clip_grad_norm_(net.parameters(), math.inf if change == "long" else config.clip_norm)
        if step:
            optimizer.step()
        losses.append((policy_loss.item(), value_loss.item()))
    means = torch.tensor(losses, dtype=torch.float64).mean(0).tolist()
    return means if pair else means[0]


def of_update(**how):
    return lambda *given: update(*given, **how)


def dpo(w, lost, sft_w, sft_l, beta):
    return F.softplus(-beta * ((w - sft_w) - (lost - sft_l)))


def naive_dpo(w, lost, sft_w, sft_l, beta):
    return -torch.sigmoid(beta * ((w - sft_w) - (lost - sft_l))).log()


def head(h, n, w, b):
    return torch.stack([h[i, n[i] - 1] @ w + b for i in range(len(n))])


def ranking(scores, ranks):
    better = ranks[:, None] < ranks[None, :]
    return F.softplus(-(scores[:, None] - scores[None, :])[better]).mean()


def ranking_by(of_ahead):
    def answer(scores, ranks):
        better = ranks[:, None] < ranks[None, :]
        return of_ahead((scores[:, None] - scores[None, :])[better])

    return answer


POLICY_RIGHT = {
    "policy_gradient": [gradient, by_hand],
    "gae": [gae, lambda r, v, m, lam: ppo.gae(r, v, m, 1.0, lam)[0]],
    "ppo_update": [update],
    "dpo_loss": [dpo, lambda *a: -F.logsigmoid(a[4] * (a[0] - a[2] - a[1] + a[3]))],
}
POLICY_WRONG = [
    ("policy_gradient", lambda *a: -gradient(*a), "the sign"),
    ("policy_gradient", lambda *a: gradient(*a) * len(a[4]), "not their sum"),
    ("policy_gradient", lambda *a: gradient(*a) * len(a[4]) / a[3].sum(), "not by that of the tokens"),
    ("policy_gradient", changed(lambda *a: (*a[:3], torch.ones_like(a[3]), *a[4:])), "what was not written"),
    ("policy_gradient", changed(lambda *a: (*a[:5], 0.0)), "baseline is missing"),
    ("policy_gradient", changed(lambda *a: (*a[:5], -a[5])), "you added it"),
    ("policy_gradient", changed(lambda *a: (*a[:4], torch.ones_like(a[4]), 0.0)), "weigh each answer"),
    ("policy_gradient", of_probs, "not of pi"),
    ("policy_gradient", of_logits, "those are logits"),
    ("policy_gradient", lambda *a: gradient(*a)[0], "expected the shape"),
    ("gae", lambda *a: gae(*a, returns=True), "those are the returns"),
    ("gae", lambda *a: gae(*a[:3], 1.0), "lambda times less"),
    ("gae", lambda *a: gae(*a[:3], 0.0), "TD errors delta_t alone"),
    ("gae", lambda *a: gae(*a, decay=a[3]), "not V_{t+1}"),
    ("gae", over_padding, "mask is false"),
    ("gae", own_value, "not the value of that token once more"),
    ("gae", lambda r, v, m, lam: (r * m).flip(1).cumsum(1).flip(1) * m, "rewards to go"),
    ("gae", lambda *a: gae(*a).flip(1), "in the order of the text"),
    ("gae", padding_value, "not the value of the padding"),
    ("gae", lambda r, v, m, lam: gae(r, 0 * v, m, lam), "V"),
    ("ppo_update", of_update(change="no KL"), "KL penalty is missing"),
    ("ppo_update", of_update(change="no whitening"), "not whitened"),
    ("ppo_update", of_update(change="returns after"), "before whitening"),
    ("ppo_update", of_update(change="no clip"), "not clipped to 1 - eps"),
    ("ppo_update", of_update(change="no value"), "value loss is missing"),
    ("ppo_update", of_update(change="long"), "length of the gradient"),
    ("ppo_update", of_update(change="score twice"), "not as in the package"),
    ("ppo_update", of_update(step=False), "no weight has moved"),
    ("ppo_update", of_update(pair=False), "a pair"),
    ("ppo_update", lambda *a: update(*a)[::-1], "first the policy loss"),
    ("dpo_loss", lambda w, lost, a, b, beta: dpo(lost, w, b, a, beta), "not the other way round"),
    ("dpo_loss", lambda w, lost, a, b, beta: dpo(w, lost, 0, 0, beta), "only the change counts"),
    ("dpo_loss", lambda w, lost, a, b, beta: dpo(w, lost, a, b, 1.0), "beta stands before"),
    ("dpo_loss", lambda w, lost, a, b, beta: dpo(w, lost, a, b, 1 / beta), "do not divide"),
    ("dpo_loss", lambda *a: dpo(*a).mean(), "loss of each pair"),
    ("dpo_loss", naive_dpo, "overflows"),
    ("dpo_loss", lambda *a: torch.log(1 + torch.exp(-a[4] * (a[0] - a[2] - a[1] + a[3]))), "overflows"),
    ("dpo_loss", lambda *a: -torch.sigmoid(a[4] * (a[0] - a[2] - a[1] + a[3])).clamp(min=1e-9).log(), "be cut"),
    ("dpo_loss", lambda *a: dpo(a[0], a[1].detach(), *a[2:]), "flow through both"),
    ("dpo_loss", lambda *a: dpo(*a[:4], a[4]).detach(), "no gradient"),
]
MODELS_RIGHT = {
    "reward_head": [head, lambda h, n, w, b: (h @ w + b)[torch.arange(len(n)), n - 1]],
    "ranking_loss": [ranking, lambda s, r: reward_model.ranking_loss(s[None], r[None])],
    "diagnosis": [dict(dashboards.RUNS)],
}
MODELS_WRONG = [
    ("reward_head", lambda h, n, w, b: h[:, -1] @ w + b, "last column"),
    ("reward_head", lambda h, n, w, b: h[:, 0] @ w + b, "seen nothing"),
    ("reward_head", lambda h, n, w, b: h.mean(1) @ w + b, "tokens and padding"),
    ("reward_head", lambda h, n, w, b: head(h, (n - 1).clamp(min=1), w, b), "before the last"),
    ("reward_head", lambda h, n, w, b: head(h, n, w, 0 * b), "bias b is missing"),
    ("reward_head", lambda h, n, w, b: h @ w + b, "every position"),
    ("reward_head", lambda h, n, w, b: head(h, n, w, b)[:, None], "one number an answer"),
    ("ranking_loss", ranking_by(lambda x: F.softplus(-x).sum()), "number of pairs"),
    ("ranking_loss", ranking_by(lambda x: F.softplus(x).mean()), "winner's score"),
    ("ranking_loss", ranking_by(lambda x: -F.softplus(-x).mean()), "sign of the loss"),
    ("ranking_loss", ranking_by(lambda x: x.sigmoid().mean()), "minus the logarithm"),
    ("ranking_loss", ranking_by(lambda x: F.softplus(-x).mean() / math.log(2)), "in nats"),
    ("ranking_loss", ranking_by(lambda x: F.softplus(-x.mean())), "mean difference"),
    ("ranking_loss", ranking_by(lambda x: -x.sigmoid().log().mean()), "overflows"),
    ("ranking_loss", ranking_by(lambda x: (1 + (-x).exp()).log().mean()), "overflows"),
    ("ranking_loss", ranking_by(lambda x: -x.sigmoid().clamp(min=1e-12).log().mean()), "be cut"),
    ("ranking_loss", ranking_by(lambda x: F.softplus(-x).mean().item()), "no gradient"),
    *(("diagnosis", dashboards.RUNS | {letter: name}, "is not")
      for letter, name in zip("ABCDEF", ("padding counts", "no KL", "KL with the wrong sign", "dropout left on",
                                         "padding counts", "score at every token"))),
    ("diagnosis", dashboards.RUNS | {"A": "bad luck"}, "expected one of"),
    ("diagnosis", dashboards.RUNS | {"A": ...}, "no diagnosis yet"),
    ("diagnosis", {"A": "no KL"}, "the letters A, B"),
]  # fmt: skip
globals().update(named_checks(ch04_policy, POLICY_RIGHT, grouped(POLICY_WRONG)))
MODELS = named_checks(ch04_models, MODELS_RIGHT, grouped(MODELS_WRONG))
globals().update({name + "_of_the_models": test for name, test in MODELS.items()})


@pytest.mark.slow
@pytest.mark.parametrize(("how", "sentence"), ch04_policy._UPDATE_SLIPS)
def test_every_slip_of_an_update_is_named_as_itself(how, sentence, capsys):
    def answer(*given):
        return ch04_policy._update(*given, **how)

    ch04_policy.ppo_update(answer)
    assert sentence.lower() in capsys.readouterr().out.lower()


def test_the_letters_hide_six_different_mistakes():
    assert set(dashboards.RUNS.values()) < set(dashboards.MISTAKES) == set(ch04_models._WOULD_SHOW)
    assert len(set(dashboards.RUNS.values())) == 6
