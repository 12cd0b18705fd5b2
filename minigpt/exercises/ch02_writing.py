"""Checks for the exercises of chapter 02 on writing: next-token probabilities that are reshaped, and asking a model."""

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigpt import sample
from minigpt.exercises.judging import Problem, called, exercise, short, slips
from minigpt.exercises.tensors import compare_tensors
from minigpt.experiments.gpt2 import zero_shot
from minigpt.model import GPTConfig
from minigpt.tokenizer import Tokenizer


@exercise("my_next_probs", "Few tokens where the model is sure, many where it is not: that is top-p.",
          hint="Divide the logits by the temperature and take the softmax. `probs.sort(descending=True)` gives the "
               "values in order and where they came from. Cut to `top_k` and divide by the sum; then cut to `top_p`: "
               "a token stays if the likelier ones together hold less than `top_p`. At the end "
               "`zeros.scatter(0, order, kept)` puts each at its place.")  # fmt: skip
def next_probs(answer: Callable[[Tensor, float, int | None, float | None], Tensor]) -> None:
    """Temperature, top-k and top-p, alone and together."""
    generator = torch.Generator().manual_seed(7)
    for temperature, top_k, top_p in _SETTINGS:
        logits = torch.randn(8, generator=generator) * 1.5
        right = sample.next_probs(logits, temperature, top_k, top_p)
        got = called(answer, logits.clone(), temperature, top_k, top_p, advice="None means: no cut")
        where = f"for temperature {temperature:g}, top_k = {top_k}, top_p = {top_p}"

        def made(logits=logits, how=(temperature, top_k, top_p), **slip) -> Tensor:
            return _reshaped(logits, *how, **slip)

        if isinstance(got, (list, tuple)) and len(got) == 8 and not any(isinstance(x, Tensor) for x in got):
            got = torch.as_tensor(got)
        if isinstance(got, Tensor) and 1 < len(got.shape) and got.numel() == 8:
            raise Problem(f"expected a row of V probabilities, and got the shape {tuple(got.shape)} {where}")
        compare_tensors(got, right, slips(made, _CUTS), where)


_SETTINGS = (
    (1.0, None, None), (0.5, None, None), (2.0, None, None), (1.0, 3, None), (1.0, None, 0.7), (1.0, None, 0.3),
    (0.7, 4, None), (1.6, None, 0.8), (1.0, None, 1.0), (1.4, 5, 0.75), (2.0, 3, 0.7), (1.8, 4, 0.8),
)  # fmt: skip

_CUTS = {
    "order_of_cuts": (("uncut", "after `top_k` make what is left add to 1, and cut that with `top_p`"),),
    "heat": (
        ("multiply", "divide the logits by the temperature; you multiplied"),
        ("nothing", "the temperature changes nothing: divide the logits by it, before the softmax"),
        ("probs", "divide the logits by the temperature, not the probabilities, which the sum would undo"),
        ("root", "the softmax comes after the temperature: p^(1/temperature) must be made to add to 1 again"),
    ),
    "p": (
        ("nothing", "`top_p` cuts nothing"),
        ("one fewer", "one too few: the token with which the sum reaches `top_p` belongs to the nucleus"),
        ("one more", "one too many: stop as soon as the sum reaches `top_p`"),
        ("threshold", "`top_p` is no threshold for one token, but for the sum over the likeliest ones"),
        ("in order", "for `top_p` begin with the likeliest token, not with the first one"),
    ),
    "k": (
        ("nothing", "`top_k` cuts nothing: keep the k likeliest tokens"),
        ("one more", "`top_k` keeps k tokens, not one more"),
        ("one fewer", "`top_k` keeps k tokens, not one fewer"),
        ("least", "`top_k` keeps the k likeliest tokens; you kept the least likely"),
    ),
    "total": (
        ("nothing", "divide what was kept by its sum, so that it adds to 1"),
        ("softmax", "divide what was kept by its sum: a second softmax is no way to make probabilities add to 1"),
    ),
    "places": (("sorted", "put the probabilities back at their places: position i is token i"),),
}


def _reshaped(
    logits: Tensor, temperature, top_k, top_p, heat="", k="", p="", total="", places="", order_of_cuts=""
) -> Tensor:
    """Next-token probabilities, with slips. Shapes: logits and result (V,)."""
    scale = {"multiply": 1 / temperature, "nothing": 1.0, "probs": 1.0, "root": 1.0}.get(heat, temperature)
    probs = (logits.double() / scale).softmax(-1)
    probs = probs / temperature if heat == "probs" else probs ** (1 / temperature) if heat == "root" else probs
    ordered, order = probs.sort(descending=True, stable=True)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if top_k is not None and k != "nothing":
        n = top_k + {"one more": 1, "one fewer": -1}.get(k, 0)
        keep = torch.arange(len(ordered)) < n
        keep = keep.flip(0) if k == "least" else keep
    if top_p is not None and p != "nothing":
        left = ordered if order_of_cuts else ordered * keep / (ordered * keep).sum()
        before = left.cumsum(0) - left
        if p == "threshold":
            keep = keep & (left >= top_p)
        elif p == "in order":
            by_place = torch.zeros_like(left).scatter(0, order, left)
            keep = keep & ((by_place.cumsum(0) - by_place) < top_p - 1e-12)[order]
        else:
            inside = before < top_p - 1e-12
            n = inside.sum() + {"one more": 1, "one fewer": -1}.get(p, 0)
            keep = keep & (torch.arange(len(left)) < n)
    kept = ordered * keep
    kept = kept if total == "nothing" else kept.softmax(-1) if total == "softmax" else kept / kept.sum()
    return kept if places == "sorted" else torch.zeros_like(kept).scatter(0, order, kept)


@exercise("my_ask", "Nothing has been trained, and no layer added: a task is a text, and so is its answer.",
          hint="Begin with `ids = [tokenizer.endoftext, *tokenizer.encode(prompt)]`. In each round the new token is "
               "`gpt(torch.tensor([ids]))[0, -1].argmax().item()`. Stop at the end-of-text token, and once the text "
               "that was written contains a full stop or a line end; return what comes before it.")  # fmt: skip
def ask(answer: Callable[[nn.Module, Tokenizer, str, int], str]) -> None:
    """The greedy asking loop, up to a full stop, a line end or the end of the document."""
    tokenizer = Tokenizer({bytes([i]): i for i in range(256)})
    for prompt, text, n_new, n_ctx in _TALKS:
        gpt = _Scripted(tokenizer, prompt, text, n_ctx)
        (right,) = zero_shot.write_answers(gpt, tokenizer, [prompt], n_new)
        with torch.no_grad():
            got = called(
                answer, gpt, tokenizer, prompt, n_new, advice="the model reads a tensor of ids of shape (B, T)"
            )
        if not isinstance(got, str):
            raise Problem(f"expected a text, got {short(got)}: decode the ids with `tokenizer.decode`")
        if got != right:
            said = text.replace(_END, "<end>")
            where = f"for the prompt {prompt!r}, after which the model goes on with {said!r}, n_new = {n_new}"
            raise Problem(f"{_wrong_talk(got, right, prompt, text, n_new)} ({where}; you have {short(got)})")


_END = "\x00"  # in a script: the end of the document
_TALKS = (
    ("a red fox =", " un renard rouge\na white cat", 24, 99), ("The fox eats", " fish. It swims.", 24, 99),
    ("Who?", " Tom" + _END + "A new story.", 24, 99), ("Count:", " 1, 2, 3, 4, 5, 6, 7, 8, 9, 10.", 12, 99),
)  # fmt: skip


def _wrong_talk(got: str, right: str, prompt: str, text: str, n_new: int) -> str:
    """What is wrong with an answer."""
    if _DRAWN in got:
        return "you drew a token: greedy means the likeliest, `argmax`, in every step"
    if _INSIDE in got:
        return "a prompt begins a document: put `tokenizer.endoftext` in front of its ids"
    if _LOST in got or len(got) > 1 == len(set(got)):
        return (
            "the next token follows from all that has been read: append it to the ids, and use the logits of the last "
            "position"
        )
    if got.startswith(prompt) or got.removeprefix("<|endoftext|>").startswith(prompt):
        return "return what the model has written, without the prompt"
    if got == right.strip():
        return "keep the space at the beginning: in this vocabulary it belongs to the word after it"
    plain = text.split(_END)[0]
    if "<|endoftext|>" in got or "\ufffd" in got or (_END in text and len(got) > len(plain)):
        return "stop at the end-of-text token: what the model says after it is another document"
    if got in (right + ".", right + "\n"):
        return "return what comes before the full stop or the line end, without it"
    if got.startswith(right) and re.search(r"[.\n]", got):
        return "stop at the first full stop or line end"
    if len(got) > n_new >= len(right):
        return f"at most n_new tokens: you have {len(got)}"
    if right.startswith(got) and len(got) < len(right):
        return (
            "one token too few" if len(got) == len(right) - 1 else "too few tokens: go on until a stop, or n_new tokens"
        )
    return f"it should be {right!r}"


_DRAWN, _INSIDE, _LOST = "~", "%", "?"


class _Scripted(nn.Module):
    """A model that goes on with a given text after its prompt, and betrays every other way of being asked.

    Each next token is three times as likely as another one, "~". Without the end-of-text token in front it says "%",
    and after anything that is not the script "?".
    """

    def __init__(self, tokenizer: Tokenizer, prompt: str, text: str, n_ctx: int):
        super().__init__()
        self.config = GPTConfig(n_vocab=tokenizer.n_vocab, n_ctx=n_ctx, n_layers=1, n_heads=1, d_model=8)
        self.end = tokenizer.endoftext
        said = [self.end if letter == _END else tokenizer.encode(letter)[0] for letter in text]
        self.prompt = tokenizer.encode(prompt)
        self.script = [self.end, *self.prompt, *said, self.end]

    def __repr__(self) -> str:
        return "model"

    def new_cache(self) -> list:
        return []

    def hidden(self, ids: Tensor, cache: list | None = None) -> Tensor:
        """The next token after each position, (B, T, 1), in place of hidden vectors."""
        if not isinstance(ids, Tensor) or ids.ndim != 2 or ids.dtype != torch.int64:
            raise ValueError("the model reads a tensor of ids of shape (B, T)")
        past = torch.cat([*cache, ids], dim=1) if cache else ids
        if past.shape[1] > self.config.n_ctx:
            raise ValueError(f"the window holds {self.config.n_ctx} tokens, but {past.shape[1]} came")
        if cache is not None:
            cache.append(ids)
        first = past.shape[1] - ids.shape[1]
        return torch.tensor([[[self._after(row[: t + 1])] for t in range(first, len(row))] for row in past.tolist()])

    def logits(self, h: Tensor) -> Tensor:
        likely, other = (
            F.one_hot(token[..., 0], self.config.n_vocab) for token in (h, torch.full_like(h, ord(_DRAWN)))
        )
        return 20.0 * (likely + other) + 1.1 * likely

    def forward(self, ids: Tensor) -> Tensor:
        return self.logits(self.hidden(ids))

    def _after(self, read: list[int]) -> int:
        if read == self.script[: len(read)]:
            return self.script[len(read)] if len(read) < len(self.script) else self.end
        inside = read == self.script[1 : len(read) + 1] or _INSIDE.encode()[0] in read
        return ord(_INSIDE if inside else _LOST)
