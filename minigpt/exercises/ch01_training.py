"""Checks for the exercises of chapter 01 that train a model and let it write."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigpt import loss, model
from minigpt.exercises.ch01_model import random_gpt
from minigpt.exercises.judging import Problem, called, compare, exercise, scalar
from minigpt.exercises.tensors import as_lists, flat, rounded, same, shown


@exercise("my_train_step", "Forward, backward, step: whatever is trained in this book is trained so.",
          hint="Five lines: `optimizer.zero_grad()`, the logits, the loss (`loss.lm_loss` or `cross_entropy`), "
               "`.backward()`, `optimizer.step()`. Return the loss.")  # fmt: skip
def train_step(answer: Callable[[nn.Module, torch.optim.Optimizer, Tensor, Tensor], float]) -> None:
    """One training step: the parameters after two of them, and the loss that is returned."""
    generator = torch.Generator().manual_seed(9)
    start = random_gpt(9)
    batches = []
    for _ in range(2):
        inputs, targets = torch.randint(0, 11, (2, 2, 6), generator=generator)
        targets[1, 3:] = loss.IGNORED
        batches.append((inputs, targets))

    def trained(**slip) -> tuple[nn.Module, list[Tensor], list[float]]:
        """The parameters after each step, and the losses, of a training loop with a slip."""
        mine = copy.deepcopy(start)
        optimizer, after, losses = _RecordedSGD(mine), [], []
        for inputs, targets in batches:
            losses.append(_one_step(mine, optimizer, inputs, targets, **slip))
            after.append(flat(mine))
        return mine, after, losses

    _, right, losses = trained()
    mine = copy.deepcopy(start)
    optimizer = _RecordedSGD(mine)
    for number, (inputs, targets) in enumerate(batches):
        optimizer.calls.clear()
        before = flat(mine)
        got = called(answer, mine, optimizer, inputs.clone(), targets.clone())
        now, where = flat(mine), f"in step {number + 1} of 2"
        if not same(now, right[number]):
            if same(now, before):
                raise Problem(f"{_why_unmoved(optimizer)} ({where})")
            for slip, sentence in _TRAINING_SLIPS:
                if same(now, trained(**slip)[1][number]):
                    raise Problem(f"{sentence} ({where})")
            raise Problem(f"the parameters moved, but not as one step on the mean loss moves them ({where})")
        with torch.no_grad():
            later = loss.lm_loss(mine(inputs), targets).item()
        mistakes = (
            (later, "that is the loss after the step: return the one whose gradient was taken"),
            (losses[number] * (targets != loss.IGNORED).sum().item(), "return the mean loss, not the sum"),
            (-losses[number], "the sign of what you return is wrong: a loss is positive"),
        )
        compare(got, losses[number], mistakes, f"for the loss of step {number + 1}", tolerance=1e-5)


@exercise("my_generate", "Draw, append, ask again: one token for each pass through the model.",
          hint="In a loop: `logits = model(ids[None])[0, -1]` has V numbers; divide by the temperature, softmax, "
               "`torch.multinomial(probs, 1, generator=generator)`, and `torch.cat` to the ids.")  # fmt: skip
def generate(answer: Callable) -> None:
    """Sampling from a model, with a temperature."""
    start, n = [2, 0, 1], 5
    right = start + [2, 3, 4, 0, 1]
    got = _drawn(answer, _Successor(), start, n, 0.5, 1)
    if got != right:
        where = f"a model that counts on by one, and from 4 to 0, should add {right[3:]} to {start}"
        last = "the next token follows from the logits of the last position, logits[0, -1]"
        for wrong, sentence in (
            (right[3:], "return the whole text, the given ids first, and not only the new ones"),
            (right[:-1], "one token too few: n counts the new tokens"),
            (right[:n], "n counts the new tokens, not the length of the whole text"),
            ([*right, 2], "one token too many: n counts the new tokens"),
            ([*start, 3, 3, 3, 3, 3], last),
            ([*start, 1, 2, 2, 3, 3], last),
            ([*start, 2, 2, 2, 2, 2], "append each token that was drawn: the model reads it before the next is drawn"),
        ):
            if got == wrong:
                raise Problem(f"{sentence} ({where}, and you have {shown(got)})")
        raise Problem(f"{where}, and you have {shown(got)}")
    logits = torch.tensor([1.5, 0.5, 0.0, -1.0, -2.0])
    for temperature, n in ((2.0, 600), (0.5, 600)):
        text = _drawn(answer, _Fixed(logits), [0], n, temperature, 2)
        if text != _drawn(answer, _Fixed(logits), [0], n, temperature, 2):
            raise Problem("the same generator gave two texts: hand it on, torch.multinomial(..., generator=generator)")
        share = torch.tensor([text[1:].count(token) / n for token in range(len(logits))])
        if share.max() == 1:
            raise Problem("you always take the likeliest token: draw one by its probability, with torch.multinomial")
        candidates = (
            ((logits / temperature).softmax(-1), ""),
            (logits.softmax(-1), "the temperature changes nothing: divide the logits by it, before the softmax"),
            ((logits * temperature).softmax(-1), "divide the logits by the temperature; you multiplied"),
            (torch.full((5,), 0.2), "all tokens come equally often: draw by softmax(logits / temperature)"),
        )
        far = [(share - probs).abs().sum().item() / 2 for probs, _ in candidates]  # total variation
        where = f"temperature {temperature:g}, {n} draws"
        near = min(range(len(far)), key=far.__getitem__)
        if far[near] <= 0.1 and near:
            raise Problem(f"{candidates[near][1]} ({where})")
        if far[near] > 0.1:
            raise Problem(f"the shares of the tokens should be near softmax(logits / temperature), "
                          f"{rounded(candidates[0][0])}, and are {rounded(share)} ({where})")  # fmt: skip


class _RecordedSGD(torch.optim.SGD):
    """Plain gradient descent that notes in which order the reader calls what."""

    def __init__(self, module: nn.Module):
        self.calls = []
        super().__init__(module.parameters(), lr=0.1)
        self.watched = next(module.parameters())
        self.watched.register_hook(lambda gradient: self.calls.append("backward"))

    def __repr__(self) -> str:
        return "optimizer"

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.calls.append("zero_grad")
        super().zero_grad(set_to_none)

    def step(self, closure=None):
        self.calls.append("step")
        return super().step(closure)


def _why_unmoved(optimizer: _RecordedSGD) -> str:
    """Why the parameters are where they were."""
    calls = optimizer.calls
    if "backward" not in calls:
        return "the parameters do not move: `loss.backward()` is missing, which works out the gradients"
    if "step" not in calls:
        return "the parameters do not move: `optimizer.step()` is missing, which follows the gradients"
    if calls.index("step") < calls.index("backward"):
        return "the parameters do not move: `optimizer.step()` comes after `loss.backward()`, not before it"
    return "the parameters do not move: the gradients were set to zero between `loss.backward()` and `optimizer.step()`"


_TRAINING_SLIPS = (
    ({"keep": True}, "the gradients of the batch before are still there, and the new ones were added to them: call "
                     "`optimizer.zero_grad()`"),
    ({"factor": -1.0}, "the loss grows: that is gradient ascent. Take the gradient of the loss, not of minus the loss"),
    ({"n_steps": 2}, "that is more than one step: one batch, one gradient, one `optimizer.step()`"),
    ({"reduction": "sum"}, "that is the gradient of the sum: the loss is the mean over the tokens that count"),
    ({"reduction": "all"}, "the positions with -100 are counted: leave them out of the mean"),
    ({"reduction": "shifted"}, "you shifted by one: targets holds the next tokens already, beside the logits"),
    ({"reduction": "last"}, "every position that has a target counts, not the last one only"),
)  # fmt: skip


def _one_step(gpt, optimizer, inputs, targets, keep=False, factor=1.0, n_steps=1, reduction="mean") -> float:
    """One training step, with slips; result: its loss."""
    if not keep:
        optimizer.zero_grad()
    logits = gpt(inputs)
    value = loss.lm_loss(logits, targets)
    if reduction in ("sum", "all"):
        counted = targets != loss.IGNORED if reduction == "sum" else torch.ones_like(targets, dtype=torch.bool)
        each = F.cross_entropy(logits.mT, targets.clamp(min=0), reduction="none")[counted]
        value = each.sum() if reduction == "sum" else each.mean()
    elif reduction == "shifted":
        value = loss.lm_loss(logits[:, :-1], targets[:, 1:])
    elif reduction == "last":
        value = loss.lm_loss(logits[:1, -1], targets[:1, -1])
    (factor * value).backward()
    for _ in range(n_steps):
        optimizer.step()
    return value.item()


class _Successor(nn.Module):
    """A model of 5 tokens that is sure of the next: one more than the token read, and after 4 comes 0."""

    config = model.GPTConfig(n_vocab=5, n_ctx=1024, n_layers=1, n_heads=1, d_model=8)

    def forward(self, ids: Tensor) -> Tensor:
        if not isinstance(ids, Tensor) or ids.ndim != 2 or ids.dtype != torch.int64:
            raise ValueError("the model reads a tensor of ids of shape (B, T)")
        return 80.0 * F.one_hot((ids + 1) % 5, 5).float()  # (B, T, V)


class _Fixed(_Successor):
    """A model that gives the same logits for the last position, whatever it reads."""

    def __init__(self, logits: Tensor):
        super().__init__()
        self.given = logits

    def forward(self, ids: Tensor) -> Tensor:
        return torch.cat([super().forward(ids)[:, :-1], self.given.expand(len(ids), 1, 5)], dim=1)


def _drawn(answer: Callable, toy: nn.Module, start: list[int], n: int, temperature: float, seed: int):
    """What the reader's loop draws from a toy model, as a list of ids."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        got = called(answer, toy, torch.tensor(start), n, temperature, generator)
    if isinstance(got, Tensor) and got.shape[:1] == (1,) and got.ndim == 2:
        got = got[0]  # one row of a batch will do
    got = as_lists(got)
    if isinstance(got, tuple):
        got = list(got)
    if not isinstance(got, list) or not all(isinstance(scalar(token), int) for token in got):
        raise Problem(f"expected the ids of a text, one row of whole numbers, got {shown(got)}")
    return [int(scalar(token)) for token in got]
