"""The checks of the lab on BERT know right from wrong, and say what is wrong."""

import torch
from exercising import good_checks

from minigpt.exercises import ch01_bert

NO = -100


def hide(ids, chosen, u, words, mask):
    inputs = torch.where(chosen & (u < 0.8), torch.full_like(ids, mask), ids)
    inputs = torch.where(chosen & (u >= 0.8) & (u < 0.9), words, inputs)
    return inputs, torch.where(chosen, ids, torch.full_like(ids, NO))


def slowly(ids, chosen, u, words, mask):
    inputs, targets = ids.clone(), torch.full_like(ids, NO)
    for b in range(ids.shape[0]):
        for t in range(ids.shape[1]):
            if chosen[b, t]:
                targets[b, t] = ids[b, t]
                inputs[b, t] = mask if u[b, t] < 0.8 else words[b, t] if u[b, t] < 0.9 else ids[b, t]
    return [inputs, targets]


def asked(which):
    """The right inputs, and targets where which(ids, chosen, u, inputs, mask) says so."""

    def answer(ids, chosen, u, words, mask):
        inputs, _ = hide(ids, chosen, u, words, mask)
        return inputs, ids.masked_fill(~which(ids, chosen, u, inputs, mask), NO)

    return answer


def given(change):
    """The right targets, and inputs made by change(ids, chosen, u, words, mask)."""
    return lambda *arguments: (change(*arguments), hide(*arguments)[1])


def divided(nats):
    joint = (-nats + nats.min(dim=-1, keepdim=True).values).exp()
    return joint / joint.sum(dim=-1, keepdim=True)


RIGHT = {"hide": [hide, slowly], "by_bayes": [lambda nats: (-nats).softmax(-1), divided]}
WRONG = {
    "hide": [
        (lambda *a: hide(*a)[0], "return two tensors"),
        (lambda *a: hide(*a)[::-1], "swapped"),
        (given(lambda ids, chosen, u, words, mask: ids.masked_fill(chosen, mask)), "10 % stay"),
        (given(lambda ids, chosen, u, words, mask: ids.masked_fill(chosen & (u < 0.8), mask)), "the random one"),
        (given(lambda ids, chosen, u, words, mask: hide(ids, chosen | True, u, words, mask)[0]), "only chosen positions"),
        (given(lambda ids, chosen, u, words, mask: hide(ids, ~chosen, u, words, mask)[0]), "turned round"),
        (given(lambda ids, chosen, u, words, mask: hide(ids, chosen, u.clamp(max=0.85), words, mask)[0]), "stays as it is"),
        (given(lambda ids, *_: ids), "nothing is hidden"),
        (asked(lambda ids, chosen, u, inputs, mask: chosen | True), "every token is a target"),
        (asked(lambda ids, chosen, u, inputs, mask: inputs == mask), "only [MASK] is asked"),
        (asked(lambda ids, chosen, u, inputs, mask: inputs != ids), "are targets too"),
        (asked(lambda ids, chosen, u, inputs, mask: ~chosen), "turned round"),
        (lambda *a: (hide(*a)[0], hide(*a)[0].masked_fill(~a[1], NO)), "stood there before"),
        (lambda *a: (hide(*a)[0], a[0].masked_fill(~a[1], 0)), "0 is a token"),
    ],
    "by_bayes": [
        (lambda nats: nats.softmax(-1), "less likely"),
        (lambda nats: (-nats).exp(), "divide by their sum"),
        (lambda nats: (-nats).log_softmax(-1), "logarithms"),
        (lambda nats: (-nats).softmax(0), "last axis"),
        (lambda nats: (-nats).exp() / (-nats).exp().sum(), "by itself"),
        (lambda nats: nats / nats.sum(-1, keepdim=True), "before you normalise"),
        (lambda nats: (-nats).exp() / (-nats).exp().sum(-1, keepdim=True), "exp(-900) is 0"),
    ],
}

globals().update(good_checks(ch01_bert, RIGHT, WRONG))
