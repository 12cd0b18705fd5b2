"""The checks of chapter 03 know right from wrong, and say what is wrong."""

import copy
import math

import numpy as np
import torch
from exercising import grouped, named_checks
from torch.nn import functional as F

from minigpt.exercises import ch03, ch03_context
from minigpt.experiments.gpt1.heads import ablated


def pf_days(N, D, factor=6, unit=1e15, seconds=86_400):
    return factor * N * D / unit / seconds


def micro_batches(tokens, n_ctx, each, n_workers, whole=math.ceil):
    return whole(tokens / n_ctx / each / n_workers)


def choose(logp, n_tokens, alone, how):
    value = {
        "plain": logp,
        "per token": {c: logp[c] / n_tokens[c] for c in logp},
        "unconditional": {c: logp[c] - alone[c] for c in logp},
    }[how]
    return max(value, key=value.get)


def minus_or_plus(logp, n_tokens, alone, how):
    if how == "unconditional":
        return max(logp, key=lambda c: logp[c] + alone[c])
    return choose(logp, n_tokens, alone, how)


def law(C, L, floor):
    b, log_a = np.polyfit(np.log(C), np.log(L - floor), 1)
    return math.exp(log_a), b


def prompt(examples, question, count, n_ctx, room, over=0, skip=False, sign="\n", turn=1, part=None):
    shown = []
    for each in examples:
        text = sign.join([*shown, each, question]) if part is None else part(shown, each, question)
        if count(text) + room > n_ctx:
            if skip:
                continue
            shown += [each] * over
            break
        shown.append(each)
    return sign.join([*shown[::turn], question])


def alone(shown, each, question):
    return "\n".join([*shown, each])


def posterior(rules, prior, pairs, asked, share, combine=math.prod, scale=True, add=True):
    weight = {rule: prior[rule] * (combine([share(rule, *pair) for pair in pairs]) if pairs else 1.0) for rule in rules}
    total, out = sum(weight.values()) if scale else 1.0, dict.fromkeys("abc", 0.0)
    for rule in rules:
        out[rules[rule][asked]] = weight[rule] / total + add * out[rules[rule][asked]]
    return out


def of_rules(rules, prior, pairs, asked, share):
    weight = {rule: prior[rule] * math.prod(share(rule, *pair) for pair in pairs) for rule in rules}
    return {rule: w / sum(weight.values()) for rule, w in weight.items()}


def one_rule(rules, prior, pairs, asked, share):
    known = of_rules(rules, prior, pairs, asked, share)
    return {rules[max(known, key=known.get)][asked]: 1.0}


def all_or_nothing(rules, prior, pairs, asked, share, rest=0.0):
    return posterior(rules, prior, pairs, asked, lambda rule, word, said: float(rules[rule][word] == said) + rest)


def forgiving(rules, prior, pairs, asked, share):
    """0/1, but the prior where no rule is left."""
    fits = [rule for rule in rules if all(rules[rule][word] == said for word, said in pairs)]
    return all_or_nothing(rules, prior, pairs if fits else [], asked, share)


def predictive(rules, prior, pairs, asked, share):
    known = of_rules(rules, prior, pairs, asked, share)
    return {said: sum(p * share(rule, asked, said) for rule, p in known.items()) for said in "abc"}


def predictive_of_answers(rules, prior, pairs, asked, share):
    every = predictive(rules, prior, pairs, asked, share)
    return {table[asked]: every[table[asked]] for table in rules.values()}


def equal_prior(rules, prior, pairs, asked, share):
    return posterior(rules, dict.fromkeys(rules, 1.0), pairs, asked, share)


def induction(weights, ids, further=1, row=-1, places=slice(None), how=torch.sum):
    places = [i + further for i in range(len(ids) - 1) if ids[i] == ids[-1]][places]
    return how(weights[:, row, places], dim=-1)


def by_mask(weights, ids):
    follows = F.pad(ids[:-1] == ids[-1], (1, 0))
    return (weights[:, -1] * follows).sum(-1)


def hooked(gpt, ids, layer, head, mean):
    with torch.no_grad(), ablated(gpt, layer, head, mean):
        return gpt(ids)


@torch.no_grad()
def by_copy(gpt, ids, layer, head, mean, zero=True, add=True, axis=1):
    other = copy.deepcopy(gpt)
    W_o, part = other.blocks[layer].attn.W_o, slice(head * len(mean), (head + 1) * len(mean))
    W_o.bias += W_o.weight[:, part] @ mean * add
    if zero:
        W_o.weight[(slice(None), part) if axis else part] = 0
    return other(ids)


def left_hook(gpt, ids, layer, head, mean):
    gpt.blocks[layer].attn.W_o.register_forward_pre_hook(lambda module, inputs: (0 * inputs[0],))
    return gpt(ids)


def no_head(gpt, ids, layer, head, mean):
    other = copy.deepcopy(gpt)
    other.blocks[layer].attn.W_o.weight.data.zero_()
    return other(ids)


def accumulate(gpt, optimizer, parts, first=True, inside=False, step="end", weight="targets", give="mean"):
    if first:
        optimizer.zero_grad()
    counts, total, losses = [(y != -100).sum().item() for _, y in parts], 0.0, []
    for n, (x, y) in zip(counts, parts):
        if inside:
            optimizer.zero_grad()
        each = F.cross_entropy(gpt(x).flatten(0, 1), y.flatten())
        losses.append(each.item())
        share = {"targets": n / sum(counts), "equal": 1 / len(parts), "none": 1.0, "counts": n}[weight]
        (share * each).backward()
        total += share * each.item()
        if step == "each":
            optimizer.step()
    if step == "end":
        optimizer.step()
    return {"mean": total, "plain": np.mean(losses), "last": losses[-1]}[give]


def at_once(gpt, optimizer, parts):
    optimizer.zero_grad()
    x, y = (torch.cat(side) for side in zip(*parts))
    value = F.cross_entropy(gpt(x).flatten(0, 1), y.flatten())
    value.backward()
    optimizer.step()
    return value


def of(answer, **how):
    """An answer with slips."""
    return lambda *a: answer(*a, **how)


RIGHT = {
    "pf_days": [pf_days],
    "micro_batches": [micro_batches],
    "choose": [choose],
    "fit": [law, lambda *a: list(law(*a)), lambda *a: np.array(law(*a))],
    "prompt": [prompt],
    "posterior": [posterior],
    "induction_score": [induction, by_mask, lambda w, ids: by_mask(w, ids).tolist()],
    "silenced": [hooked, by_copy],
    "accumulate": [accumulate, at_once],
}

WRONG = [
    ("pf_days", of(pf_days, factor=2), "forward pass"),
    ("pf_days", of(pf_days, factor=4), "backward pass"),
    ("pf_days", of(pf_days, factor=1), "six operations"),
    ("pf_days", of(pf_days, seconds=1), "petaflop/s-seconds"),
    ("pf_days", of(pf_days, seconds=3600), "petaflop/s-hours"),
    ("pf_days", of(pf_days, unit=1), "10^15"),
    ("pf_days", of(pf_days, unit=1e12), "not 10^12"),
    ("pf_days", of(pf_days, unit=1, seconds=1), "in operations"),
    ("micro_batches", of(micro_batches, whole=float), "round up"),
    ("micro_batches", of(micro_batches, whole=math.floor), "round up"),
    ("micro_batches", lambda t, n, each, w: micro_batches(t, n, each, 1), "workers share"),
    ("micro_batches", lambda t, n, each, w: micro_batches(t, n, 1, w), "several windows"),
    ("micro_batches", lambda t, n, each, w: micro_batches(t, 1, each, w), "counted in tokens"),
    ("micro_batches", lambda t, n, each, w: micro_batches(t, n, 1, 1), "number of windows"),
    ("choose", lambda logp, n, alone, how: choose(logp, n, alone, "plain"), "divide each log-probability"),
    ("choose", lambda logp, n, alone, how: choose(logp, n, alone, "per token"), "plain means"),
    (
        "choose",
        lambda p, n, a, how: choose(p, n, a, "plain" if how == "unconditional" else how),
        "answer context) away",
    ),
    ("choose", minus_or_plus, "difference of logarithms"),
    ("choose", lambda logp, n, alone, how: min(logp, key=logp.get), "largest"),
    ("choose", lambda logp, n, alone, how: 0, "expected one of"),
    ("fit", lambda C, L, floor: law(C, L, 0), "take the floor off first"),
    ("fit", lambda C, L, floor: (1.0, np.polyfit(C, L - floor, 1)[0]), "logarithms of both"),
    ("fit", lambda C, L, floor: (1.0, np.polyfit(np.log(C), L - floor, 1)[0]), "logarithm of L - floor"),
    ("fit", lambda C, L, floor: (law(C, L, floor)[0], -law(C, L, floor)[1]), "the sign"),
    ("fit", lambda *a: law(*a)[::-1], "first a, then b"),
    ("fit", lambda C, L, floor: np.polyfit(np.log(C), np.log(L - floor), 1), "and then log a"),
    ("fit", lambda *a: (math.log(law(*a)[0]), law(*a)[1]), "that is log a"),
    ("fit", lambda C, L, floor: (floor + law(C, L, floor)[0], law(C, L, floor)[1]), "without the floor"),
    ("fit", lambda *a: law(*a)[1], "expected two numbers"),
    ("prompt", of(prompt, over=1), "one too many"),
    ("prompt", lambda e, q, count, n_ctx, room: prompt(e, q, count, n_ctx, 0), "keep `room` tokens free"),
    ("prompt", lambda e, q, count, n_ctx, room: prompt(e, q, count, n_ctx - 1, room), "still fits"),
    ("prompt", lambda e, q, count, n_ctx, room: "\n".join([*e, q]), "not all of them fit"),
    ("prompt", of(prompt, skip=True), "stop at the first"),
    ("prompt", of(prompt, sign=" "), "by a space"),
    ("prompt", of(prompt, turn=-1), "keep the order"),
    ("prompt", of(prompt, part=alone), "count its tokens"),
    ("prompt", lambda *a: prompt(*a) + "\n", "no line end after"),
    ("prompt", lambda *a: prompt(*a).removesuffix("\ncheese =>"), "question is missing"),
    ("prompt", lambda e, q, count, n_ctx, room: prompt(e, q, lambda text: len(text.split()), n_ctx, room), "line ends"),
    ("prompt", lambda *a: prompt(*a).split("\n"), "expected the prompt"),
    ("prompt", lambda *a: "cheese", "the prompt should be"),
    ("posterior", lambda r, prior, pairs, asked, share: posterior(r, prior, [], asked, share), "not used"),
    ("posterior", equal_prior, "begin with the prior"),
    ("posterior", all_or_nothing, "not impossible"),
    ("posterior", of(all_or_nothing, rest=1e-12), "not impossible"),
    ("posterior", forgiving, "not impossible"),
    ("posterior", predictive, "without `share` for the word asked"),
    ("posterior", predictive_of_answers, "without `share` for the word asked"),
    ("posterior", of(posterior, add=False), "you overwrote"),
    ("posterior", one_rule, "do not bet"),
    ("posterior", of_rules, "posterior of the rules"),
    ("posterior", lambda r, prior, pairs, asked, share: posterior(r, prior, pairs[-1:], asked, share), "only the last"),
    ("posterior", of(posterior, combine=sum), "you added"),
    ("posterior", of(posterior, scale=False), "divide by the sum"),
    ("posterior", lambda *a: "b", "expected a dict"),
    ("posterior", lambda *a: {"a": "b"}, "expected a dict of numbers"),
    ("induction_score", of(induction, further=0), "to the word itself"),
    ("induction_score", of(induction, further=-1), "token before the word"),
    ("induction_score", of(induction, places=slice(-1, None)), "only the latest"),
    ("induction_score", of(induction, places=slice(0, 1)), "only the first"),
    ("induction_score", of(induction, how=torch.mean), "their mean"),
    ("induction_score", lambda w, ids: induction(w.mT, ids), "the row is the position that looks"),
    ("induction_score", lambda w, ids: induction(w, ids).sum(), "for each head"),
    ("induction_score", lambda w, ids: induction(w, ids, row=slice(None)).sum(-1), "only the last position asks"),
    ("induction_score", lambda w, ids: induction(w, ids) + 1, "differ by up to"),
    ("silenced", lambda gpt, ids, *a: gpt(ids), "nothing has been silenced"),
    ("silenced", lambda gpt, ids, layer, head, mean: hooked(gpt, ids, layer, head, 0.0), "put its mean there"),
    ("silenced", lambda gpt, ids, layer, head, mean: hooked(gpt, ids, layer - 1, head, mean), "count from 0"),
    ("silenced", of(by_copy, zero=False), "the head still speaks"),
    ("silenced", of(by_copy, axis=0), "rows of W_o.weight"),
    ("silenced", of(by_copy, axis=0, add=False), "rows of W_o.weight"),
    ("silenced", no_head, "all the heads of the layer"),
    ("silenced", left_hook, "the model itself has changed"),
    ("silenced", lambda *a: hooked(*a)[:, -1], "expected the shape"),
    ("accumulate", of(accumulate, weight="equal"), "unequal numbers of targets"),
    ("accumulate", of(accumulate, weight="none"), "weigh each loss"),
    ("accumulate", of(accumulate, weight="counts"), "by that of all parts"),
    ("accumulate", of(accumulate, first=False), "still there"),
    ("accumulate", of(accumulate, inside=True), "throws away"),
    ("accumulate", of(accumulate, step="each"), "a step for each part"),
    ("accumulate", of(accumulate, step="each", inside=True, weight="none"), "one part after another"),
    ("accumulate", of(accumulate, step="never"), "do not move"),
    ("accumulate", of(accumulate, give="plain"), "mean over all tokens"),
    ("accumulate", of(accumulate, give="last"), "last part"),
]


def test_the_slips_of_the_learner_are_compared_with_what_is_right():
    """The made-up world has unequal priors, and pairs that no rule gives."""
    for _, prior in ch03_context._PRIORS:
        assert math.isclose(sum(prior.values()), 1)
        for pairs in ch03_context._SHOWN:
            for asked in "abc":
                right = posterior(ch03_context._RULES, prior, pairs, asked, ch03_context._share)
                assert ch03_context._agree(ch03_context._learner(prior, pairs, asked)(), right)
    rules = ch03_context._RULES
    impossible = [
        pairs for pairs in ch03_context._SHOWN if not any(all(rules[r][w] == s for w, s in pairs) for r in rules)
    ]
    assert len(impossible) >= 2


def test_the_open_exercises_belong_to_the_chapter():
    assert ch03.critique.exercise == "my_critique" and ch03.experiment.exercise == "my_experiment"


globals().update(named_checks(ch03, RIGHT, grouped(WRONG)))


def test_a_day_that_is_too_short_is_named():
    for seconds, words in ((24 * 60, "left out a 60"), (60, "1,440 minutes")):
        assert words in ch03.pf_days.verdict(lambda N, D, seconds=seconds: 6 * N * D / (1e15 * seconds))[1]
