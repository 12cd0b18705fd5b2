"""The checks of chapter 01 know right from wrong, and say what is wrong."""

import math

import numpy as np
import pytest
import torch
from exercising import grouped, named_checks
from torch.nn import functional as F

from minigpt.exercises import ch01

NO, LOG2 = -100, math.log(2)


def tril(T):
    return torch.ones(T, T).tril().bool()


def picked(logits, targets):
    """log P of every target, whether it counts or not."""
    return logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]


def mean_loss(logits, targets):
    return -picked(logits, targets)[targets != NO].mean()


def attend(q, k, v, scale=None, fill=-math.inf, axis=-1, mask=tril):
    scores = q @ k.mT / (math.sqrt(q.shape[-1]) if scale is None else scale(q))
    if mask is not None:
        scores = scores.masked_fill(~mask(q.shape[-2]), fill)
    return scores.softmax(axis) @ v


def head(x, W_q, W_k, W_v, **how):
    return attend(x @ W_q, x @ W_k, x @ W_v, **how)


def of_head(**how):
    """A head with slips."""
    return lambda x, W_q, W_k, W_v: head(x, W_q, W_k, W_v, **how)


def in_loops(x, W_q, W_k, W_v):
    """One head, one position and one number at a time."""
    q, k, v, out = x @ W_q, x @ W_k, x @ W_v, []
    for t in range(len(x)):
        weights = [
            math.exp(sum(a * b for a, b in zip(q[t].tolist(), k[s].tolist())) / len(q[t]) ** 0.5) for s in range(t + 1)
        ]
        out.append(sum(w / sum(weights) * v[s] for s, w in enumerate(weights)))
    return torch.stack(out)


def masked_after(x, W_q, W_k, W_v):
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    return ((q @ k.T / math.sqrt(q.shape[1])).softmax(-1) * tril(len(q))) @ v


def strict(T):
    return torch.ones(T, T).tril(-1).bool()


def multi_head(x, W_q, W_k, W_v, W_o, n_heads, join=True, **how):
    T, d = x.shape
    q, k, v = ((x @ W).view(T, n_heads, d // n_heads).transpose(0, 1) for W in (W_q, W_k, W_v))
    out = attend(q, k, v, **how)
    return out.transpose(0, 1).reshape(T, d) @ W_o if join else out


def head_by_head(x, W_q, W_k, W_v, W_o, n_heads):
    w = x.shape[1] // n_heads
    parts = [slice(i * w, (i + 1) * w) for i in range(n_heads)]
    return torch.cat([head(x, W_q[:, s], W_k[:, s], W_v[:, s]) for s in parts], dim=1) @ W_o


def scrambled(x, W_q, W_k, W_v, W_o, n_heads, join=lambda out: out.transpose(0, 1)):
    T, d = x.shape
    out = attend(*((x @ W).view(n_heads, T, d // n_heads) for W in (W_q, W_k, W_v)))
    return join(out).reshape(T, d) @ W_o


def interleaved(x, W_q, W_k, W_v, W_o, n_heads):
    T, d = x.shape
    out = attend(*((x @ W).view(T, d // n_heads, n_heads).permute(2, 0, 1) for W in (W_q, W_k, W_v)))
    return out.permute(1, 2, 0).reshape(T, d) @ W_o


def joined_wrongly(x, W_q, W_k, W_v, W_o, n_heads):
    return multi_head(x, W_q, W_k, W_v, W_o, n_heads, join=False).reshape(x.shape) @ W_o


def block(h, p):
    h = p.ln_1(h + p.attn(h))
    return p.ln_2(h + p.mlp(h))


def gpt(ids, p, go=block, positions=None, first=None, last=None, blocks=lambda blocks: blocks):
    h = p.W_e[ids] + (p.W_p[: ids.shape[1]] if positions is None else positions(ids, p))
    h = h if first is None else first(h)
    for each in blocks(p.blocks):
        h = go(h, each)
    h = h if last is None else last(h)
    return h @ p.W_e.T


def normalised(h):
    return F.layer_norm(h, h.shape[-1:])


def positions_in_every_block(ids, p):
    h = p.W_e[ids]
    for each in p.blocks:
        h = block(h + p.W_p[: ids.shape[1]], each)
    return h @ p.W_e.T


def hidden_only(ids, p):
    h = p.W_e[ids] + p.W_p[: ids.shape[1]]
    for each in p.blocks:
        h = block(h, each)
    return h


def train_step(m, o, x, y, order="zero back step", loss=None, sign=1):
    value = (mean_loss if loss is None else loss)(m(x), y)
    for what in order.split():
        {"zero": o.zero_grad, "back": lambda: (sign * value).backward(retain_graph=True), "step": o.step}[what]()
    return value.item()


def of_step(order="zero back step", **how):
    """A training step with slips."""
    return lambda m, o, x, y: train_step(m, o, x, y, order, **how)


def by_package(m, o, x, y):
    m.zero_grad()
    value = F.cross_entropy(m(x).flatten(0, 1), y.flatten())
    value.backward()
    o.step()
    return value


def loss_of_after(m, o, x, y):
    train_step(m, o, x, y)
    return mean_loss(m(x), y)


def generate(
    m, ids, n, temperature, generator, logits=lambda m, ids: m(ids[None])[0, -1], probs=None, draw=None, add=True
):
    probs = probs or (lambda z, t: (z / t).softmax(-1))
    draw = draw or (lambda p: torch.multinomial(p, 1, generator=generator))
    new = []
    for _ in range(n):
        new.append(draw(probs(logits(m, torch.cat([ids, *new]) if add else ids), temperature)))
    return torch.cat([ids, *new])


def of_generate(**how):
    """A sampling loop with slips."""
    return lambda *given: generate(*given, **how)


def by_inverse(m, ids, n, temperature, generator):
    """The package's own, which draws a uniform number instead."""
    text = ids.tolist()
    for _ in range(n):
        probs = (m(torch.tensor([text]))[0, -1].double() / temperature).softmax(-1)
        text.append(int((probs.cumsum(0) < torch.rand(1, generator=generator).double()).sum()))
    return text


def choice_loss(scores, labels, axis=-1):
    rows = range(len(labels)) if len(scores) == len(labels) else [0] * len(labels)  # one row: one softmax over all
    return -scores.log_softmax(axis)[rows, labels].mean()


def count(V, n_ctx, n_layers, d, block=lambda d: 12 * d * d + 13 * d):
    return V * d + n_ctx * d + n_layers * block(d)


def rows(first, second, start, delim, extract):
    return [[start, *first, delim, *second, extract], [start, *second, delim, *first, extract]]


def rate(step, peak, warmup, total):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def after_warmup(fall):
    """The right warm-up, and then something else, of t from 0 to 1."""
    return lambda s, p, w, n: rate(s, p, w, n) if s < w else p * fall((s - w) / (n - w))


def of_odds(table):
    return table[0][0] * table[1][1] / (table[0][1] * table[1][0])


def odds(a_given_b, b_given_a):
    """A joint distribution exists if both tables have the same odds ratio."""
    return math.isclose(of_odds(a_given_b), of_odds(b_given_a), rel_tol=1e-9)


def ask_around(a_given_b, b_given_a):
    """The same without odds: solve for P(b) from each table in turn (Bayes), and see whether the joint is one."""
    ratio = a_given_b[0][0] / b_given_a[0][0], a_given_b[0][1] / b_given_a[0][1]  # P(a = 0) / P(b) for each b
    P_b = (1 / ratio[0] / (1 / ratio[0] + 1 / ratio[1]), 1 / ratio[1] / (1 / ratio[0] + 1 / ratio[1]))
    joint = [[a_given_b[a][b] * P_b[b] for b in range(2)] for a in range(2)]
    return all(abs(joint[a][b] / sum(joint[a]) - b_given_a[a][b]) < 1e-9 for a in range(2) for b in range(2))


RIGHT = {
    "causal_mask": [tril, lambda T: torch.tril(torch.ones(T, T))],
    "lm_loss": [mean_loss, lambda z, y: F.cross_entropy(z.flatten(0, 1), y.flatten()).item()],
    "head": [head, in_loops, of_head(fill=-1e9),
             lambda x, *W: F.scaled_dot_product_attention(*((x @ each)[None] for each in W), is_causal=True)[0]],
    "multi_head": [multi_head, head_by_head],
    "block": [block, lambda h, p: p.ln_2((m := p.ln_1(p.attn(h) + h)) + p.mlp(m))],
    "gpt": [gpt, lambda ids, p: gpt(ids, p, go=lambda h, each: each(h)),
            lambda ids, p: torch.cat([gpt(row[None], p) for row in ids])],
    "train_step": [train_step, by_package, of_step("back step zero"), of_step("zero back step zero")],
    "generate": [generate, by_inverse, lambda *given: generate(*given)[None],
                 lambda *given: tuple(generate(*given).tolist())],
    "count_params": [count],
    "choice_loss": [choice_loss, lambda z, y: F.cross_entropy(z, y), lambda z, y: float(choice_loss(z, y))],
    "similarity": [rows, lambda *given: rows(*given)[::-1], lambda *given: tuple(map(tuple, rows(*given))),
                   lambda *given: [torch.tensor(row) for row in rows(*given)], lambda *given: np.array(rows(*given))],
    "joint_loss": [lambda L2, L1, weight: L2 + weight * L1],
    "learning_rate": [rate, lambda *given: torch.tensor(rate(*given)), lambda *given: np.float64(rate(*given))],
    "compatible": [odds, ask_around, lambda a, b: np.bool_(odds(a, b))],
}  # fmt: skip

WRONG = [
    ("causal_mask", lambda T: tril(T).T, "swapped: the row"),
    ("causal_mask", lambda T: torch.ones(T, T).tril(-1).bool(), "include the diagonal"),
    ("causal_mask", lambda T: torch.ones(T, T).triu(1).bool(), "True and False are swapped"),
    ("causal_mask", lambda T: torch.ones(T, T).bool(), "that is BERT"),
    ("causal_mask", lambda T: torch.ones(T), "expected the shape"),
    ("causal_mask", lambda T: [[True] * T] * T, "expected a tensor"),
    ("lm_loss", lambda z, y: mean_loss(z[:, :-1], y[:, 1:]), "shifted by one"),
    ("lm_loss", lambda z, y: -picked(z, y)[y != NO].sum(), "that is the sum; divide"),
    ("lm_loss", lambda z, y: -picked(z, y)[y != NO].sum() / y.numel(), "divided by all the positions"),
    ("lm_loss", lambda z, y: -picked(z, y).mean(), "the positions with -100 are counted"),
    ("lm_loss", lambda z, y: -picked(z, y).sum(), "-100 included"),
    ("lm_loss", lambda z, y: mean_loss(z, y) / LOG2, "in bits"),
    ("lm_loss", lambda z, y: -mean_loss(z, y), "sign"),
    ("lm_loss", lambda z, y: sum(mean_loss(a, b) for a, b in zip(z, y)) / 2, "mean of each text's mean"),
    ("lm_loss", lambda z, y: -z.gather(-1, y.clamp(min=0)[..., None])[..., 0][y != NO].mean(), "log_softmax first"),
    ("lm_loss", lambda z, y: z.gather(-1, y[..., None]), "stopped with"),
    ("head", of_head(scale=lambda q: 1.0), "divide the scores by the root"),
    ("head", of_head(scale=lambda q: q.shape[1]), "not by d_head itself"),
    ("head", of_head(scale=lambda q: math.sqrt(len(q))), "number of positions"),
    ("head", of_head(scale=lambda q: 1 / math.sqrt(q.shape[1])), "you multiplied"),
    ("head", of_head(mask=None), "put the causal mask"),
    ("head", masked_after, "masked after the softmax"),
    ("head", of_head(fill=0.0), "minus infinity, not 0"),
    ("head", of_head(axis=0), "the softmax goes over the last axis"),
    ("head", of_head(mask=lambda T: tril(T).T), "the mask is swapped"),
    ("head", of_head(mask=strict), "becomes nan"),
    ("head", of_head(mask=None, scale=lambda q: 1.0), "put the causal mask on the scores; and divide the scores by"),
    ("head", of_head(mask=None, axis=0), "put the causal mask on the scores; and the softmax goes over the last axis"),
    ("head", lambda x, W_q, W_k, W_v: head(x, W_k, W_q, W_v), "queries and keys are swapped"),
    ("head", lambda x, W_q, W_k, W_v: head(x, W_q, W_k, W_k), "not by k"),
    ("head", lambda x, W_q, W_k, W_v: (head(x, W_q, W_k, W_v), tril(len(x)).float()), "you returned 2 things"),
    ("head", lambda x, W_q, W_k, W_v: x @ W_v, "it should be"),
    ("head", lambda x, W_q, W_k, W_v: x @ W_q @ (x @ W_k).T, "expected the shape"),
    ("multi_head", lambda x, q, k, v, o, n: head(x, q, k, v) @ o, "one head as wide as the model"),
    ("multi_head", lambda x, q, k, v, o, n: multi_head(x, q, k, v, torch.eye(len(o)), n), "W_o is missing"),
    ("multi_head", lambda x, q, k, v, o, n: multi_head(x, q, k, v, o.T, n), "multiply by W_o itself"),
    ("multi_head", lambda x, q, k, v, o, n: multi_head(x, q.T, k.T, v.T, o, n), "multiply by W_q, W_k, W_v themselves"),
    ("multi_head", scrambled, "split each position's own numbers"),
    ("multi_head", lambda *given: scrambled(*given, join=lambda out: out), "axes; and before you join"),
    ("multi_head", interleaved, "not view(T, d_head, n_heads)"),
    ("multi_head", joined_wrongly, "before you join the heads, transpose back"),
    ("multi_head", lambda *given: multi_head(*given, mask=None), "put the causal mask"),
    ("multi_head", lambda *given: multi_head(*given, scale=lambda q: 1.0), "divide the scores by the root of d_head"),
    ("multi_head", lambda *given: multi_head(*given, scale=lambda q: math.sqrt(q.shape[0] * q.shape[-1])), "not of d"),
    ("multi_head", lambda *given: multi_head(*given, mask=None, scale=lambda q: 1.0), "scores; and divide the"),
    ("multi_head", lambda *given: multi_head(*given, join=False), "the heads are still apart"),
    ("multi_head", lambda *given: multi_head(*given, join=False).mean(0), "joined side by side, not added or averaged"),
    ("multi_head", lambda x, *given: x, "differ by up to"),
    ("block", lambda h, p: (a := h + p.attn(p.ln_1(h))) + p.mlp(p.ln_2(a)), "that is GPT-2's block"),
    ("block", lambda h, p: p.ln_2((a := p.ln_1(p.attn(h))) + p.mlp(a)), "the first residual connection is missing"),
    ("block", lambda h, p: p.ln_2(p.mlp(p.ln_1(h + p.attn(h)))), "the second residual connection is missing"),
    ("block", lambda h, p: p.ln_2(p.mlp(p.ln_1(p.attn(h)))), "both residual connections are missing"),
    ("block", lambda h, p: (a := h + p.ln_1(p.attn(h))) + p.ln_2(p.mlp(a)), "normalise after adding, not before"),
    ("block", lambda h, p: (a := p.ln_1(h + p.attn(h))) + p.ln_2(p.mlp(a)), "the second LayerNorm comes after"),
    ("block", lambda h, p: p.ln_2((a := h + p.ln_1(p.attn(h))) + p.mlp(a)), "the first LayerNorm comes after"),
    ("block", lambda h, p: p.ln_1((a := p.ln_1(h + p.attn(h))) + p.mlp(a)), "ln_2 comes after the MLP"),
    ("block", lambda h, p: p.ln_2((a := p.ln_2(h + p.attn(h))) + p.mlp(a)), "ln_1 comes after attention"),
    ("block", lambda h, p: p.ln_1((a := p.ln_2(h + p.attn(h))) + p.mlp(a)), "the two LayerNorms are swapped"),
    ("block", lambda h, p: (a := p.ln_1(h + p.attn(h))) + p.mlp(a), "the second LayerNorm is missing"),
    ("block", lambda h, p: p.ln_2((a := h + p.attn(h)) + p.mlp(a)), "the first LayerNorm is missing"),
    ("block", lambda h, p: (a := h + p.attn(h)) + p.mlp(a), "both LayerNorms are missing"),
    ("block", lambda h, p: p.ln_2(p.ln_1(h + p.attn(h)) + p.mlp(h)), "not the h of the beginning"),
    ("block", lambda h, p: p.ln_2(h + p.mlp(p.ln_1(h + p.attn(h)))), "the second addition"),
    ("block", lambda h, p: p.ln_2(h + p.attn(h) + p.mlp(h)), "one after the other"),
    ("block", lambda h, p: p.ln_1(h + p.attn(h)), "the MLP is missing"),
    ("block", lambda h, p: p.ln_2(h + p.mlp(h)), "attention is missing"),
    ("block", lambda h, p: p.ln_1((a := p.ln_2(h + p.mlp(h))) + p.attn(a)), "attention comes first"),
    ("block", lambda h, p: p(h), "stopped with TypeError"),
    ("gpt", lambda ids, p: gpt(ids, p, positions=lambda ids, p: 0.0), "the positions are missing"),
    ("gpt", lambda ids, p: gpt(ids, p, positions=lambda ids, p: p.W_p[0]), "its own row of W_p"),
    ("gpt", lambda ids, p: gpt(ids, p, positions=lambda ids, p: p.W_p[: ids.shape[1]].flip(0)), "run the wrong way"),
    ("gpt", lambda ids, p: gpt(ids, p, positions=lambda ids, p: p.W_p[1 : ids.shape[1] + 1]), "counted from 0"),
    ("gpt", lambda ids, p: gpt(ids, p, positions=lambda ids, p: p.W_p[ids]), "not by its id"),
    ("gpt", lambda ids, p: gpt(ids, p, positions=lambda ids, p: 0.0, last=lambda h: h + p.W_p[: ids.shape[1]]),
     "not after them"),
    ("gpt", positions_in_every_block, "once, before the first block"),
    ("gpt", lambda ids, p: gpt(ids, p, last=normalised), "no LayerNorm after the last block"),
    ("gpt", lambda ids, p: gpt(ids, p, first=normalised), "no LayerNorm before the first block"),
    ("gpt", lambda ids, p: gpt(ids, p, blocks=reversed), "the blocks come in order"),
    ("gpt", lambda ids, p: gpt(ids, p, blocks=lambda all_of: all_of[:1]), "the first block only"),
    ("gpt", lambda ids, p: gpt(ids, p, blocks=lambda all_of: all_of[1:]), "the first block is missing"),
    ("gpt", lambda ids, p: gpt(ids, p, blocks=lambda all_of: all_of[:-1]), "the last block is missing"),
    ("gpt", lambda ids, p: gpt(ids, p, blocks=lambda all_of: []), "the blocks are missing"),
    ("gpt", lambda ids, p: gpt(ids, p, blocks=lambda all_of: all_of[-1:]), "what the block before it gave"),
    ("gpt", lambda ids, p: gpt(ids, p).softmax(-1), "return the logits"),
    ("gpt", lambda ids, p: gpt(ids, p).log_softmax(-1), "log-probabilities: return the logits"),
    ("gpt", hidden_only, "those are hidden states"),
    ("gpt", lambda ids, p: gpt(ids, p)[:, -1], "not of the last one only"),
    ("gpt", lambda ids, p: gpt(ids, p) + 1, "differ by up to 1"),
    ("train_step", of_step("back step"), "`optimizer.zero_grad()` (in step 2 of 2)"),
    ("train_step", of_step("zero step back"), "comes after `loss.backward()`, not before"),
    ("train_step", of_step("step zero back"), "comes after `loss.backward()`, not before"),
    ("train_step", of_step("zero back"), "`optimizer.step()` is missing"),
    ("train_step", of_step("zero step"), "`loss.backward()` is missing"),
    ("train_step", of_step("back zero step"), "set to zero between"),
    ("train_step", of_step("zero back step step"), "more than one step"),
    ("train_step", of_step(sign=-1), "gradient ascent"),
    ("train_step", of_step(loss=lambda z, y: -picked(z, y)[y != NO].sum()), "gradient of the sum"),
    ("train_step", of_step(loss=lambda z, y: -picked(z, y).mean()), "the positions with -100 are counted"),
    ("train_step", of_step(loss=lambda z, y: mean_loss(z[:, :-1], y[:, 1:])), "shifted by one"),
    ("train_step", of_step(loss=lambda z, y: mean_loss(z, y) / 3), "but not as one step"),
    ("train_step", loss_of_after, "that is the loss after the step"),
    ("train_step", lambda *given: -train_step(*given), "a loss is positive"),
    ("train_step", lambda *given: [train_step(*given)], "expected a number"),
    ("generate", of_generate(draw=lambda p: p.argmax(keepdim=True)), "always take the likeliest"),
    ("generate", of_generate(probs=lambda z, t: (z * t).softmax(-1)), "you multiplied"),
    ("generate", of_generate(probs=lambda z, t: z.softmax(-1)), "the temperature changes nothing"),
    ("generate", of_generate(probs=lambda z, t: z.softmax(-1) / t), "before the softmax"),
    ("generate", of_generate(logits=lambda m, ids: m(ids[None])[0, 0]), "the logits of the last position"),
    ("generate", of_generate(logits=lambda m, ids: m(ids[None])[0, -2]), "the logits of the last position"),
    ("generate", of_generate(add=False), "append each token"),
    ("generate", of_generate(draw=lambda p: torch.multinomial(p, 1)), "two texts: hand it on"),
    ("generate", lambda m, ids, n, *rest: generate(m, ids, n, *rest)[len(ids):], "the given ids first"),
    ("generate", lambda m, ids, n, *rest: generate(m, ids, n - 1, *rest), "one token too few"),
    ("generate", lambda m, ids, n, *rest: generate(m, ids, n + 1, *rest), "one token too many"),
    ("generate", lambda m, ids, n, *rest: generate(m, ids, n - len(ids), *rest), "not the length of the whole text"),
    ("generate", of_generate(logits=lambda m, ids: m(ids)[-1]), "stopped with ValueError (the model reads a tensor"),
    ("generate", of_generate(probs=lambda z, t: ((z / t).softmax(-1) > 1e-9).float()), "equally often"),
    ("generate", of_generate(probs=lambda z, t: ((p := (z / t).softmax(-1)) >= p.sort().values[-2]) * p),
     "the shares of the tokens should be near"),
    ("choice_loss", lambda z, y: choice_loss(z, y, axis=0), "the last axis, not over the examples"),
    ("choice_loss", lambda z, y: choice_loss(z.flatten()[None], y + z.shape[1] * torch.arange(len(y))), "its own"),
    ("choice_loss", lambda z, y: -z.sigmoid().log()[range(len(y)), y].mean(), "a sigmoid judges each answer alone"),
    ("choice_loss", lambda z, y: F.binary_cross_entropy_with_logits(z, F.one_hot(y, z.shape[1]).float()), "as right"),
    ("choice_loss", lambda z, y: -choice_loss(z, y), "the sign is wrong"),
    ("choice_loss", lambda z, y: choice_loss(z, y) * len(y), "that is the sum"),
    ("choice_loss", lambda z, y: choice_loss(z, y) / z.shape[1], "not by the number of scores"),
    ("choice_loss", lambda z, y: 1 - z.softmax(-1)[range(len(y)), y].mean(), "take the logarithm"),
    ("choice_loss", lambda z, y: -z.softmax(-1)[range(len(y)), y].mean().log(), "first the logarithm"),
    ("choice_loss", lambda z, y: -z[range(len(y)), y].mean(), "not yet log-probabilities"),
    ("choice_loss", lambda z, y: -z.log_softmax(-1).mean(), "only the right answer counts"),
    ("choice_loss", lambda z, y: choice_loss(z, y) / LOG2, "in bits"),
    ("choice_loss", lambda z, y: (z.argmax(-1) != y).float().mean(), "share of wrong answers"),
    ("choice_loss", lambda z, y: -z.log_softmax(-1)[range(len(y)), y], "expected a number"),
    ("count_params", lambda *s: count(*s, block=lambda d: 12 * d * d + 4 * d), "biases are missing"),
    ("count_params", lambda *s: count(*s, block=lambda d: 12 * d * d + 9 * d), "the LayerNorms, or the biases"),
    ("count_params", lambda *s: count(*s, block=lambda d: 12 * d * d + 11 * d), "a gain and a bias, d numbers each"),
    ("count_params", lambda *s: count(*s, block=lambda d: 12 * d * d), "biases and LayerNorms"),
    ("count_params", lambda V, n, layers, d: count(V, n, layers, d) + V * d, "count it once"),
    ("count_params", lambda V, n, layers, d: count(V, 0, layers, d), "positions are missing"),
    ("count_params", lambda V, n, layers, d: count(0, n, layers, d), "token embedding is missing"),
    ("count_params", lambda V, n, layers, d: count(V, n, layers, d) + 2 * d, "came with GPT-2"),
    ("count_params", lambda V, n, layers, d: 12 * d * d + 13 * d, "that is one block"),
    ("similarity", lambda *given: rows(*given)[:1], "one order only"),
    ("similarity", lambda *given: rows(*given)[0], "a list of two sequences"),
    ("similarity", lambda *given: [rows(*given)[0]] * 2, "the same order"),
    ("similarity", lambda *given: [rows(*given)[0], rows(*given)[0][::-1]], "turn the whole sequence round"),
    ("similarity", lambda *given: [[t for t in row if t != given[3]] for row in rows(*given)], "delim between"),
    ("similarity", lambda a, b, s, d, e: [[s, *a, *b, d, e], [s, *b, *a, d, e]], "not after them"),
    ("similarity", lambda a, b, s, d, e: [[s, d, *a, *b, e], [s, d, *b, *a, e]], "not before them"),
    ("similarity", lambda a, b, s, d, e: [[s, *a, d, *b, d, e], [s, *b, d, *a, d, e]], "one delim is enough"),
    ("similarity", lambda *given: [row[:-1] for row in rows(*given)], "extract at the end is missing"),
    ("similarity", lambda *given: [row[1:] for row in rows(*given)], "start at the beginning"),
    ("similarity", lambda *given: 3, "expected [["),
    ("joint_loss", lambda L2, L1, weight: weight * L2 + L1, "before the wrong loss"),
    ("joint_loss", lambda L2, L1, weight: weight * (L2 + L1), "belongs to L1 alone"),
    ("joint_loss", lambda L2, L1, weight: (1 - weight) * L2 + weight * L1, "this is a mixture"),
    ("joint_loss", lambda L2, L1, weight: L2 + L1, "lambda is missing"),
    ("joint_loss", lambda L2, L1, weight: L2 - weight * L1, "add: both"),
    ("learning_rate", lambda s, p, w, n: p * (1 + math.cos(math.pi * s / n)) / 2, "the warm-up is missing"),
    ("learning_rate", lambda s, p, w, n: rate(s, p, w, n) if s < w else p * (1 + math.cos(math.pi * s / n)) / 2,
     "when the warm-up ends"),
    ("learning_rate", lambda s, p, w, n: rate(s, p, w, n) if s < w else p * (1 + math.cos(math.pi * (s - w) / n)) / 2,
     "total - warmup steps, not total"),
    ("learning_rate", after_warmup(lambda t: 1 - t), "not along a straight line"),
    ("learning_rate", after_warmup(lambda t: math.cos(math.pi / 2 * t)), "half a wave"),
    ("learning_rate", after_warmup(lambda t: math.cos(math.pi * t)), "minus the peak"),
    ("learning_rate", lambda s, p, w, n: rate(s, 1.0, w, n), "multiply by the peak"),
    ("learning_rate", lambda s, p, w, n: p * s / w if s < w else rate(s, p, w, n), "would not move at all"),
    ("learning_rate", lambda s, p, w, n: p if s < w else rate(s, p, w, n), "in the warm-up the rate rises"),
    ("compatible", lambda a, b: True, "said yes"),
    ("compatible", lambda a, b: all(math.isclose(sum(row), 1) for row in b), "is not enough"),
    ("compatible", lambda a, b: a == b, "entry by entry"),
    ("compatible", lambda a, b: of_odds(a) == of_odds(b), "up to rounding"),
    ("compatible", lambda a, b: "yes", "True or False"),
]  # fmt: skip


def test_a_wrong_learning_rate_is_quoted_as_the_reader_made_it(capsys):
    ch01.learning_rate(lambda step, peak, warmup, total: 7.25)
    assert "you have 7.2500" in capsys.readouterr().out


STRANGE = [np.zeros(3), torch.zeros(2, 2), torch.zeros(4, 4, dtype=torch.complex64), torch.tensor([True, False]),
           "x", {}, [1, 2], [[]], (), 1j, math.nan, math.inf]  # fmt: skip


@pytest.mark.parametrize("check", RIGHT)
@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: " ".join(repr(value).split()))
def test_strange_answers_are_refused_in_one_line(check, strange, capsys):
    getattr(ch01, check)(lambda *arguments: strange)
    printed = capsys.readouterr().out
    assert ": not yet. " in printed and printed.count("\n") == 1


def test_the_paper_sizes_give_the_released_model():
    assert count(40478, 512, 12, 768) == 116_534_784


globals().update(named_checks(ch01, RIGHT, grouped(WRONG)))
