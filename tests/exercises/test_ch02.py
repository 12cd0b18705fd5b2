"""The checks of chapter 02 know right from wrong, and say what is wrong."""

import math

import numpy as np
import pytest
import torch
from exercising import grouped, named_checks

from minigpt import sample
from minigpt.exercises import ch02, ch02_writing
from minigpt.experiments.gpt2 import zero_shot


def params(n_layer, d, V=50_257, n_ctx=1_024, end=1):
    return V * d + n_ctx * d + n_layer * (12 * d * d + 13 * d) + 2 * d * end


def repeated(words, n, total=None, again=False):
    seen, count, grams = [], 0, list(zip(*(words[i:] for i in range(n))))
    for gram in grams:
        count += grams.count(gram) > 1 if again else gram in seen
        seen.append(gram)
    return count / (total or len(grams)) if grams else 0.0


def pre(p, h):
    h = h + p.attn(p.ln_1(h))
    return h + p.mlp(p.ln_2(h))


def post(p, h):
    h = p.ln_1(h + p.attn(h))
    return p.ln_2(h + p.mlp(h))


def on_the_norm(p, h):
    h = p.ln_1(h) + p.attn(p.ln_1(h))
    return h + p.mlp(p.ln_2(h))


def mlp_first(p, h):
    h = h + p.mlp(p.ln_2(h))
    return h + p.attn(p.ln_1(h))


def reshaped(logits, temperature, top_k, top_p):
    """Token by token, in plain Python."""
    values = [math.exp(z / temperature) for z in logits.tolist()]
    order = sorted(range(len(values)), key=lambda i: -values[i])[: top_k or len(values)]
    total, kept, held = sum(values[i] for i in order), [], 0.0
    for i in order:
        if top_p is None or held < top_p - 1e-12:
            kept.append(i)
            held += values[i] / total
    share = sum(values[i] for i in kept)
    return torch.tensor([values[i] / share if i in kept else 0.0 for i in range(len(values))])


def other_settings(how):
    """Next-token probabilities whose settings were changed first."""
    return lambda z, temperature, top_k, top_p: sample.next_probs(z, *how(temperature, top_k, top_p))


def kept_raw(z, temperature, top_k, top_p):
    return (z / temperature).softmax(-1) * (sample.next_probs(z, temperature, top_k, top_p) > 0)


def threshold(z, temperature, top_k, top_p):
    probs = sample.next_probs(z, temperature, top_k)
    probs = probs * (probs >= (top_p or 0))
    return probs / probs.sum()


def one_too_few(z, temperature, top_k, top_p):
    probs = sample.next_probs(z, temperature, top_k, top_p)
    if top_p is not None and top_p < 1 and (probs > 0).sum() > 1:
        probs[probs == probs[probs > 0].min()] = 0
    return probs / probs.sum()


def heat_of_probs(z, temperature, top_k, top_p):
    return sample.next_probs(z.softmax(-1).div(temperature).log(), 1.0, top_k, top_p)


def put_in_order(*a):
    return sample.next_probs(*a).sort(descending=True).values


def uncut(z, temperature, top_k, top_p):
    a, b = sample.next_probs(z, temperature, top_k), sample.next_probs(z, temperature, None, top_p)
    both = a * (b > 0)
    return both / both.sum()


def ask(
    gpt, tokenizer, prompt, n_new, start=True, stops=".\n", end=True, keep="", at=-1, append=True, choose=None, n=None
):
    ids, said = [tokenizer.endoftext] * start + tokenizer.encode(prompt), []
    for _ in range(n_new if n is None else n(n_new)):
        logits = gpt(torch.tensor([ids]))[0, at]
        new = logits.argmax().item() if choose is None else choose(logits)
        if end and new == tokenizer.endoftext:
            break
        said.append(new)
        ids = ids + [new] if append else ids
        if any(letter in tokenizer.decode(said) for letter in stops):
            break
    text = tokenizer.decode(said)
    for letter in stops if not keep else "":
        text = text.split(letter)[0]
    return text


def of_ask(**how):
    return lambda *a: ask(*a, **how)


def by_generate(gpt, tokenizer, prompt, n_new):
    ids = torch.tensor([tokenizer.endoftext, *tokenizer.encode(prompt)])
    row = sample.generate(gpt, ids, n_new, temperature=0, stop_id=tokenizer.endoftext)[len(ids) :].tolist()
    return sample.document_text(tokenizer, row).split(".")[0].split("\n")[0]


def draw(logits, generator=torch.Generator().manual_seed(0)):
    return torch.multinomial(logits.softmax(-1), 1, generator=generator).item()


def choice_score(gpt, tokenizer, before, choice, rest, start=True, by=None, shift=1, first=None, logps=True, stop=None):
    ids = [tokenizer.endoftext] * start + tokenizer.encode(before)
    n, target = len(ids), tokenizer.encode(choice) + tokenizer.encode(rest)
    logits = gpt(torch.tensor([ids + target]))[0]
    values = logits.log_softmax(-1) if logps else logits
    begin = n if first is None else first
    each = [values[t - shift, (ids + target)[t]].item() for t in range(begin, len(ids + target))][:stop]
    return sum(each) / (by(target, choice + rest) if by else 1)


def of_score(**how):
    return lambda *a: choice_score(*a, **how)


def in_two_steps(gpt, tokenizer, before, choice, rest):
    parts = ((before, choice), (before + choice, rest))
    return sum(sample.continuation_logps(gpt, tokenizer, a, [b]) for a, b in parts)


RIGHT = {
    "gpt2_params": [params],
    "bits_per_byte": [lambda nats, T, n: nats * T / math.log(2) / n, lambda nats, T, n: np.log2(np.e) * nats * T / n],
    "repetition": [repeated],
    "pre_ln_block": [pre],
    "choice_score": [choice_score, in_two_steps],
    "next_probs": [reshaped, sample.next_probs, lambda *a: reshaped(*a).tolist()],
    "ask": [ask, by_generate],
}  # fmt: skip

WRONG = [
    ("gpt2_params", lambda n, d: params(n, d, end=0), "GPT-1's count"),
    ("gpt2_params", lambda n, d: params(n, d, end=n), "not in every block"),
    ("gpt2_params", lambda n, d: params(n, d, V=2 * 50_257), "count it once"),
    ("gpt2_params", lambda n, d: params(n, d, n_ctx=0), "positions are missing"),
    ("gpt2_params", lambda n, d: params(n, d, n_ctx=512), "GPT-1's window"),
    ("gpt2_params", lambda n, d: params(n, d, V=40_478), "GPT-1's vocabulary"),
    ("gpt2_params", lambda n, d: params(n, d) - 13 * n * d, "biases and LayerNorms"),
    ("bits_per_byte", lambda nats, T, n: nats * T / n, "in nats"),
    ("bits_per_byte", lambda nats, T, n: nats * T / n * math.log(2), "divide by log 2"),
    ("bits_per_byte", lambda nats, T, n: nats / math.log(2), "bits per token"),
    ("bits_per_byte", lambda nats, T, n: nats / math.log(2) * n / T, "upside down"),
    ("bits_per_byte", lambda nats, T, n: nats / math.log(2) / n, "so many times"),
    ("bits_per_byte", lambda nats, T, n: nats * T / math.log(2), "the whole text"),
    ("bits_per_byte", lambda nats, T, n: nats * T / math.log(2) / n / 8, "eight bits"),
    ("repetition", lambda words, n: 1 - repeated(words, n), "share of different"),
    ("repetition", lambda words, n: repeated(words, n, again=True), "first of its kind"),
    ("repetition", lambda words, n: repeated(words, n, 1), "how many there are"),
    ("repetition", lambda words, n: repeated(words, n, len(words)), "not the number of words"),
    ("repetition", lambda words, n: repeated(words, 1), "single words"),
    ("repetition", lambda words, n: repeated(words, n, 0.01 * max(1, len(words) - n + 1)), "percent"),
    ("repetition", lambda words, n: repeated(words, n) if len(words) >= n else 1 / 0, "fewer than n words"),
    ("pre_ln_block", post, "GPT-1's block"),
    ("pre_ln_block", on_the_norm, "residual stream is never normalised"),
    ("pre_ln_block", mlp_first, "attention comes first"),
    ("pre_ln_block", lambda p, h: p.attn(p.ln_1(h)) + p.mlp(p.ln_2(p.attn(p.ln_1(h)))), "first residual connection"),
    ("pre_ln_block", lambda p, h: p.mlp(p.ln_2(h + p.attn(p.ln_1(h)))), "second residual connection"),
    ("pre_ln_block", lambda p, h: h + p.attn(p.ln_1(h)) + p.mlp(p.ln_2(h)), "already added"),
    ("pre_ln_block", lambda p, h: h + p.attn(p.ln_1(h)), "MLP is missing"),
    ("pre_ln_block", lambda p, h: h + p.mlp(p.ln_2(h)), "attention is missing"),
    ("pre_ln_block", lambda p, h: h + p.attn(h) + p.mlp(h + p.attn(h)), "both LayerNorms"),
    ("pre_ln_block", lambda p, h: h + p.attn(p.ln_1(h)) + p.mlp(h + p.attn(p.ln_1(h))), "second LayerNorm is missing"),
    ("pre_ln_block", lambda p, h: h + p.attn(p.ln_1(h)) + p.mlp(p.ln_1(h + p.attn(p.ln_1(h)))), "LayerNorm of its own"),
    ("pre_ln_block", lambda p, h: p.ln_2(pre(p, h)), "no LayerNorm at the end"),
    ("pre_ln_block", lambda p, h: pre(p, h) + 1, "differ by up to"),
    ("pre_ln_block", lambda p, h: pre(p, h)[0], "expected the shape"),
    ("pre_ln_block", lambda p, h: p(h), "not callable"),
    ("choice_score", lambda g, t, b, c, r: choice_score(g, t, b, c, ""), "choice alone"),
    ("choice_score", lambda g, t, b, c, r: choice_score(g, t, b + c, "", r), "rest alone"),
    ("choice_score", of_score(by=lambda ids, text: len(text)), "number of characters"),
    ("choice_score", of_score(by=lambda ids, text: len(ids)), "number of tokens"),
    ("choice_score", of_score(by=lambda ids, text: len(text.split())), "number of words"),
    ("choice_score", of_score(by=lambda ids, text: -1), "sign"),
    ("choice_score", of_score(by=lambda ids, text: math.log(2)), "in bits"),
    ("choice_score", of_score(start=False), "put `tokenizer.endoftext` in front"),
    ("choice_score", of_score(shift=0), "shift by one"),
    ("choice_score", of_score(first=1), "is given"),
    ("choice_score", of_score(logps=False), "log_softmax"),
    ("choice_score", of_score(stop=-1), "last token of the rest"),
    ("choice_score", lambda g, t, b, c, r: choice_score(g, t, "", c, r), "not read what stands before"),
    ("choice_score", lambda *a: math.exp(choice_score(*a)), "take the logarithm"),
    ("choice_score", lambda *a: torch.zeros(3), "expected one number"),
    ("next_probs", other_settings(lambda t, k, p: (1 / t, k, p)), "you multiplied"),
    ("next_probs", other_settings(lambda t, k, p: (1.0, k, p)), "temperature changes nothing"),
    ("next_probs", other_settings(lambda t, k, p: (t, None, p)), "`top_k` cuts nothing"),
    ("next_probs", other_settings(lambda t, k, p: (t, k and k + 1, p)), "not one more"),
    ("next_probs", other_settings(lambda t, k, p: (t, k and k - 1, p)), "not one fewer"),
    ("next_probs", other_settings(lambda t, k, p: (t, k, None)), "`top_p` cuts nothing"),
    ("next_probs", kept_raw, "by its sum"),
    ("next_probs", threshold, "no threshold"),
    ("next_probs", one_too_few, "one too few"),
    ("next_probs", heat_of_probs, "temperature"),
    ("next_probs", put_in_order, "back at their places"),
    ("next_probs", uncut, "cut that with `top_p`"),
    ("next_probs", lambda *a: reshaped(*a)[None], "a row of V probabilities"),
    ("next_probs", lambda z, *a: z, "differ by up to"),
    ("next_probs", other_settings(lambda t, k, p: (1 / t, None, p)), "you multiplied"),
    ("next_probs", lambda z, t, k, p: kept_raw(z, 1 / t, k, p), "you multiplied"),
    ("ask", of_ask(start=False), "in front of its ids"),
    ("ask", of_ask(stops=""), "stop at the first full stop"),
    ("ask", of_ask(keep="yes"), "without it"),
    ("ask", of_ask(end=False), "another document"),
    ("ask", of_ask(at=0), "logits of the last position"),
    ("ask", of_ask(append=False), "append it to the ids"),
    ("ask", of_ask(choose=draw), "you drew a token"),
    ("ask", of_ask(n=lambda n: n - 1), "one token too few"),
    ("ask", of_ask(n=lambda n: n + 3), "at most n_new"),
    ("ask", lambda g, t, p, n: p + ask(g, t, p, n), "without the prompt"),
    ("ask", lambda *a: ask(*a).strip(), "keep the space"),
    ("ask", lambda g, t, p, n: t.encode(ask(g, t, p, n)), "decode the ids"),
]


def test_what_is_checked_is_what_the_package_does():
    generator, tokenizer = torch.Generator().manual_seed(0), ch02.ask.__wrapped__.__globals__["Tokenizer"]
    tokenizer = tokenizer({bytes([i]): i for i in range(256)})
    gpt = ch02_writing._Scripted(tokenizer, "A fox", " runs. Then", 40)
    assert ask(gpt, tokenizer, "A fox", 9) == " runs" == zero_shot.write_answers(gpt, tokenizer, ["A fox"], 9)[0]
    logits = torch.randn(3, 9, generator=generator)
    for how in ch02_writing._SETTINGS:
        expected = torch.stack([ch02_writing._reshaped(row, *how) for row in logits])
        assert torch.allclose(sample.next_probs(logits, *how), expected)


@pytest.mark.parametrize("name", ["critique", "experiment"])
def test_the_open_exercises_belong_to_the_chapter(name):
    assert getattr(ch02, name).exercise == f"my_{name}"


globals().update(named_checks(ch02, RIGHT, grouped(WRONG)))
