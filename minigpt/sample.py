"""Sampling: greedy decoding, temperature, top-k, top-p, beam search; and the log-probability of a given text.

The model is handed in: anything with `config` (n_ctx and n_vocab), `hidden`, `logits` and `new_cache` will do.
Probabilities are float64 and each token costs one uniform number from the generator, which stays on the CPU, so that
the same generator gives the same text on every machine whose logits agree. On a GPU only that number travels: ids are
moved to the model first, and results come back. Dropout
is off while a model writes or is scored here, except in `response_logp`; afterwards the model's mode (training or not)
is put back.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from minigpt import devices
from minigpt.io.checks import is_number, is_whole, kind, whole
from minigpt.loss import IGNORED, token_logps
from minigpt.tokenizer import Tokenizer


@contextlib.contextmanager
def without_dropout(model) -> Iterator[None]:
    """Evaluation mode inside the block, and afterwards the mode of before."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def next_probs(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Next-token probabilities with temperature, top-k and top-p: sharpened or flattened, cut, made to add to 1.

        P(u) = softmax(logits / temperature);   top_k: keep the k likeliest;
        top_p: of these keep the likeliest, one by one, until they hold at least the share top_p

    temperature = 0 is greedy: all on the likeliest token. Of equally likely tokens the smaller id comes first.

    Shapes: logits (..., V), result (..., V) float64, where the logits are (on the CPU for Apple's GPU, which has none).
    Errors: ValueError if a setting is out of range, or if a row of logits has a nan, a +inf, or nothing but -inf.
    Source: top-k with k = 2: GPT-2, section 3.6; top-p: Holtzman et al. 2020, section 3.1 (nucleus sampling).
    Differs: nothing; both cuts may be combined, top_k first.

    >>> logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    >>> next_probs(logits, top_k=2)
    tensor([0.6667, 0.3333, 0.0000, 0.0000], dtype=torch.float64)
    >>> next_probs(logits, top_p=0.8)
    tensor([0.5714, 0.2857, 0.1429, 0.0000], dtype=torch.float64)
    """
    _check_settings(temperature, top_k, top_p)
    if not isinstance(logits, Tensor) or not logits.ndim:
        raise ValueError(f"logits must be a tensor of shape (..., V), but they are {kind(logits)}")
    logits = logits.detach().to("cpu" if logits.device.type == "mps" else logits.device, torch.float64)
    if logits.numel() == 0 or not logits.max(dim=-1).values.isfinite().all():  # the largest of a row with a nan is nan
        raise ValueError("each row of logits must have a finite largest value and no nan: look at the model's loss")
    if temperature == 0:
        temperature, top_k = 1.0, 1
    logits = logits - logits.max(dim=-1, keepdim=True).values  # (..., V) the largest stays 0 at any temperature
    if top_k is None and top_p is None:  # nothing is cut
        return (logits / temperature).softmax(dim=-1)  # (..., V)
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)  # (..., V)
    probs = (ordered / temperature).softmax(dim=-1)  # (..., V) likeliest first
    if top_k is not None:
        probs[..., top_k:] = 0.0
        probs = probs / probs.sum(dim=-1, keepdim=True)
    if top_p is not None and top_p < 1:
        before = probs.cumsum(dim=-1).roll(1, dims=-1)  # (..., V) share held by the likelier tokens
        before[..., 0] = -1.0  # the likeliest token always stays
        probs[before >= top_p - 1e-12] = 0.0  # allow for rounding: eight times 0.1 must count as 0.8
        probs = probs / probs.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probs).scatter(-1, order, probs)


@torch.no_grad()
def generate(
    model,
    prompt_ids: Tensor,
    n_new: int,
    generator: torch.Generator | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop_id: int | None = None,
    use_cache: bool = True,
) -> Tensor:
    """Autoregressive sampling: draw a token, append it, compute the next probabilities, draw again.

        u_t ~ P(. | u_1 ... u_{t-1})

    Shapes: prompt_ids (T,) or (B, T), all rows of the same length; result (T + n,) or (B, T + n), n <= n_new, the
    prompt included. A row that has drawn stop_id repeats it from there; n < n_new if all rows have stopped.
    Errors: ValueError if the text would not fit into n_ctx (the last token drawn is never read), if there is no
    generator to draw with (temperature = 0 needs none), if the prompt is empty or ragged, or stop_id is no token.
    Source: GPT-2, section 3 (greedy decoding, top-k). Differs: nothing.
    """
    ids, one = _rows(prompt_ids, "prompt_ids")
    n_new = whole(n_new, "n_new", 0)
    _check_fits(ids.shape[1], n_new, model.config.n_ctx, "n_new")
    if generator is None and temperature != 0:
        raise ValueError("generate needs a torch.Generator to draw with, or temperature=0 for the likeliest token")
    if stop_id is not None and not (is_whole(stop_id, 0) and stop_id < model.config.n_vocab):
        raise ValueError(f"stop_id must be from 0 to {model.config.n_vocab - 1}, or None, but it is {stop_id!r}")
    with without_dropout(model):
        cache = model.new_cache() if use_cache else None
        home, ids = ids.device, ids.to(devices.of(model))
        unread, stopped = ids, torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        rows = torch.arange(len(ids), device=ids.device)  # that are computed: all, until half of them have stopped
        for _ in range(n_new):
            logits = model.logits(model.hidden(unread, cache)[:, -1])  # (b, V)
            probs = next_probs(logits, temperature, top_k, top_p)  # (b, V), on the CPU for Apple's GPU
            u = None if generator is None else _uniform(len(ids), generator).to(ids.device)[rows].to(probs.device)
            new = _draw(probs, u).to(ids.device)  # (b,)
            if stop_id is not None:
                everywhere = ids.new_full((len(ids),), stop_id)  # a row that has stopped repeats the token
                everywhere[rows] = new.masked_fill(stopped[rows], stop_id)
                new = everywhere  # (B,)
                stopped = stopped | (new == stop_id)
            ids = torch.cat([ids, new[:, None]], dim=1)  # (B, T + 1)
            if stop_id is not None and stopped.all():
                break
            if stop_id is not None and 2 * (~stopped).sum() <= len(rows):
                going = (~stopped[rows]).nonzero()[:, 0]
                rows = rows[going]
                for layer in cache or []:
                    layer.select(going)
            unread = new[rows, None] if use_cache else ids[rows]
    ids = ids.to(home)
    return ids[0] if one else ids


def generate_text(
    gpt,
    tokenizer: Tokenizer,
    prompt: str,
    n_new: int | None = None,
    generator: torch.Generator | None = None,
    **settings,
) -> str:
    """Sample a text: what a model writes after a prompt that begins a document, up to the end of the document.

    At most n_new tokens; None is as many as fit. `settings` are those of `generate`: temperature, top_k, top_p.
    Errors: as `generate`. The prompt is not part of the result; stray bytes become "\N{REPLACEMENT CHARACTER}".
    """
    ids = torch.tensor([tokenizer.endoftext, *tokenizer.encode(prompt)])
    n_new = max(0, gpt.config.n_ctx + 1 - len(ids)) if n_new is None else n_new
    row = generate(gpt, ids, n_new, generator, stop_id=tokenizer.endoftext, **settings)
    return document_text(tokenizer, row[len(ids) :].tolist())


def document_text(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Ids as text, up to the first end-of-text; stray bytes become "\N{REPLACEMENT CHARACTER}".

    >>> tokenizer = Tokenizer({bytes([byte]): byte for byte in range(256)})
    >>> document_text(tokenizer, [104, 105, tokenizer.endoftext, 104])
    'hi'
    """
    ids = list(ids)
    return tokenizer.decode(ids[: ids.index(tokenizer.endoftext)] if tokenizer.endoftext in ids else ids)


@dataclass(frozen=True)
class Written:
    """Result of a beam search: the ids (with the stop token, if it came), their log-probability and their score."""

    ids: tuple[int, ...]
    logp: float  # nats
    score: float


@torch.no_grad()
def beam_search(
    gpt, prompt_ids: Sequence[int], n_new: int, width: int = 4, length_penalty: float = 0.6, stop_ids=()
) -> Written:
    """Beam search for the likeliest continuation: the best few beginnings are kept at every step.

        score(y) = log P(y | prompt) / ((5 + |y|) / 6)^alpha        alpha: length_penalty

    At each step every kept beginning is continued by every token; of all these the `width` likeliest stay. One that
    ends in a stop token, or has n_new tokens, is done; the best score of those done wins. width = 1 is greedy.

    Errors: ValueError for a width or n_new below 1, a penalty that is no number of at least 0, or what does not fit
    into the window.
    Source: GPT-3, section 2.4: width 4, penalty 0.6, "the same parameters as" Raffel et al. 2019; the formula of the
    penalty: Wu et al. 2016, equation 14. Differs: without its term for coverage.
    """
    right = is_whole(width, 1) and is_whole(n_new, 1) and is_number(length_penalty) and length_penalty >= 0
    if not right or not len(prompt_ids):
        raise ValueError(
            f"expected a prompt, width and n_new of at least 1 and a penalty of at least 0; got {len(prompt_ids)} ids, "
            f"{width}, {n_new} and {length_penalty}"
        )
    _check_fits(len(prompt_ids), n_new, gpt.config.n_ctx, "n_new")
    penalty = [((5 + n) / 6) ** length_penalty for n in range(n_new + 1)]
    unread, one = _rows(prompt_ids, "prompt_ids")
    if not one:
        raise ValueError(f"prompt_ids must be one row of ids, but their shape is {tuple(unread.shape)}")
    unread = unread.to(devices.of(gpt))
    cache, stops, done = gpt.new_cache(), set(stop_ids), []
    kept, logps = [()], torch.zeros(1, dtype=torch.float64)
    with without_dropout(gpt):
        for n in range(1, n_new + 1):
            logits = gpt.logits(gpt.hidden(unread, cache)[:, -1])  # (b, V)
            each = logps[:, None] + logits.to("cpu", torch.float64).log_softmax(dim=-1)  # (b, V)
            best, places = each.flatten().sort(descending=True, stable=True)
            going = []  # (which beginning, its ids with one more, their log P)
            for logp, place in zip(best[:width].tolist(), places[:width].tolist()):
                parent, token = divmod(place, logits.shape[1])
                ids = (*kept[parent], token)
                if token in stops or n == n_new:
                    done.append(Written(ids, logp, logp / penalty[n]))
                else:
                    going.append((parent, ids, logp))
            # log P only falls from here on, so a beginning can at best keep its log P and get the mildest penalty
            if not going or done and max(w.score for w in done) >= going[0][2] / penalty[n_new]:
                break
            parents, kept, logps = (list(column) for column in zip(*going))
            logps = torch.tensor(logps, dtype=torch.float64)
            for layer in cache:
                layer.select(parents)
            unread = torch.tensor([ids[-1:] for ids in kept]).to(devices.of(gpt))
    return max(done, key=lambda written: written.score)


@torch.no_grad()
def next_logps(gpt, tokenizer: Tokenizer, prefix: str) -> Tensor:
    """Next-token log-probabilities, log P(token | prefix), after a prefix that begins a document.

    Shapes: result (V,), on the CPU. Unit: nats.
    """
    ids = torch.tensor([[tokenizer.endoftext, *tokenizer.encode(prefix)]]).to(devices.of(gpt))
    with without_dropout(gpt):
        return gpt(ids)[0, -1].log_softmax(dim=-1).cpu()


@torch.no_grad()
def continuation_logps(gpt, tokenizer: Tokenizer, prefix: str, continuations: Sequence[str]) -> Tensor:
    """Log-probabilities of several continuations of a prefix that begins a document: log P(continuation | prefix).

    The prefix is computed once, and its keys and values serve all of them.

    Shapes: result (n,), on the CPU. Unit: nats.
    Errors: ValueError for one string in place of several, for none, or an empty one.
    Source: the chain rule, GPT-1, equation 1. Differs: nothing.
    """
    if isinstance(continuations, str) or not len(continuations) or not all(continuations):
        raise ValueError(f"expected several continuations, none of them empty; got {continuations!r}")
    ids, cache = [tokenizer.encode(text) for text in continuations], gpt.new_cache()
    targets = torch.full((len(ids), max(map(len, ids))), IGNORED)
    for row, tokens_of_it in zip(targets, ids):
        row[: len(tokens_of_it)] = torch.tensor(tokens_of_it)
    before, targets = torch.tensor([[tokenizer.endoftext, *tokenizer.encode(prefix)]]), targets.to(devices.of(gpt))
    before = before.to(targets.device)
    with without_dropout(gpt):
        logits = gpt(before, cache)[:, -1:].expand(len(ids), -1, -1)  # (n, 1, V)
        for layer in cache:
            layer.select([0] * len(ids))
        if targets.shape[1] > 1:
            logits = torch.cat([logits, gpt(targets[:, :-1].clamp(min=0), cache)], dim=1)  # (n, longest, V)
    return token_logps(logits, targets).sum(dim=1).cpu()


def continuation_nats(gpt, tokenizer: Tokenizer, prefix: str, continuation: str) -> float:
    """Cross-entropy of a continuation after a prefix that begins a document, in nats per token.

    Source: GPT-1, section 5, "Zero-shot behaviors": candidates are compared by their mean token log-probability.
    """
    (logp,) = continuation_logps(gpt, tokenizer, prefix, [continuation]).tolist()
    return -logp / len(tokenizer.encode(continuation))


def response_logp(model, prompt: Tensor, response: Tensor) -> Tensor:
    """Log-probability of a response, given a prompt.

        log P(response | prompt) = sum over t of log P(y_t | prompt, y_1 ... y_{t-1})

    Shapes: prompt (T,) with response (n,) gives one number; (B, T) with (B, n) gives (B,). Shorter responses may be
    filled up with -100 on the right. Unit: nats, float64; at temperature 1, uncut. Keeps the gradient.
    Errors: ValueError if prompt and response do not fit each other or n_ctx (the last token is never read).
    Source: the chain rule of GPT-1, section 3.1, equation 1. Differs: nothing.
    """
    (prompt, one), (response, also_one) = _rows(prompt, "prompt"), _rows(response, "response")
    if one != also_one or len(prompt) != len(response):
        raise ValueError(f"each prompt needs one response, but {len(prompt)} and {len(response)} rows came")
    _check_fits(prompt.shape[1], response.shape[1], model.config.n_ctx, "the response")
    home, prompt, response = prompt.device, *(ids.to(devices.of(model)) for ids in (prompt, response))
    read = response[:, :-1].masked_fill(response[:, :-1] == IGNORED, 0)  # what fills up is read but never scored
    h = model.hidden(torch.cat([prompt, read], dim=1))[:, prompt.shape[1] - 1 :]  # (B, n, d)
    logp = token_logps(model.logits(h).double(), response).sum(dim=1).to(home)  # (B,)
    return logp[0] if one else logp


def _uniform(n: int, generator: torch.Generator) -> Tensor:
    """A number in [0, 1) for each of n rows, drawn where the generator lives. Shapes: (n, 1)."""
    return torch.rand(n, 1, dtype=torch.float64, generator=generator, device=generator.device)


def _draw(probs: Tensor, u: Tensor | None) -> Tensor:
    """One token per row of probs (B, V): the first whose cumulative probability exceeds the row's number u (B, 1)."""
    if u is None:
        return probs.argmax(dim=-1)
    cumulative = probs.cumsum(dim=-1)  # (B, V)
    return (cumulative / cumulative[:, -1:] <= u).sum(dim=-1)  # (B,)


def _rows(ids: Tensor, name: str) -> tuple[Tensor, bool]:
    """ids as (B, T) int64, and whether they came as one row (T,)."""
    try:
        ids = torch.tensor(ids) if isinstance(ids, np.ndarray) else torch.as_tensor(ids)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be ids of shape (T,) or (B, T), with all rows of the same length") from None
    if ids.ndim not in (1, 2) or ids.numel() == 0:
        raise ValueError(f"{name} must be ids of shape (T,) or (B, T), not empty, but its shape is {tuple(ids.shape)}")
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"{name} must be whole numbers, but they are {ids.dtype}")
    ids = ids.long()
    return (ids[None], True) if ids.ndim == 1 else (ids, False)


def _check_fits(T: int, n_new: int, n_ctx: int, name: str) -> None:
    if T + n_new - 1 > n_ctx:
        raise ValueError(
            f"the model can look at n_ctx = {n_ctx} tokens: after a prompt of {T} there is room for "
            f"{max(0, n_ctx + 1 - T)} more, but {n_new} were asked for. Shorten the prompt or {name}, "
            "or build the model with a larger n_ctx"
        )


def _check_settings(temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not is_number(temperature) or temperature < 0:
        raise ValueError(f"temperature must be 0 (greedy) or above, but it is {temperature!r}")
    if top_k is not None and not is_whole(top_k, 1):
        raise ValueError(f"top_k must be a whole number of at least 1, or None, but it is {top_k!r}")
    if top_p is not None and not (is_number(top_p) and 0 < top_p <= 1):
        raise ValueError(f"top_p must be above 0 and at most 1, or None, but it is {top_p!r}")
