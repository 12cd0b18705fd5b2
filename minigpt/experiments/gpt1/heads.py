"""Chapter 01, lab on heads. Which head looks back at the object of a story, and which head matters there.

The table data/measured/gpt1/heads.csv has a row for each seed, step, quantity and head (layer and head counted from 1;
0 and 0: the whole model). A head is ablated by replacing its output, before W_o joins the heads, at every position: by
zeros, or by its mean over the positions of many documents. A few minutes for a seed, nearly all of it pre-training.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from minigpt.batches import evaluation_batches
from minigpt.experiments import dataset, measured, pretraining
from minigpt.experiments.dataset import Dataset
from minigpt.loss import IGNORED, token_logps
from minigpt.model import GPT
from minigpt.worlds import grammar, lexicon

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "step", "quantity", "layer", "head")
WORDS = tuple(f" {thing.name}" for thing in lexicon.OBJECTS)
AT_ONCE, AT_THE_END = 1, 2  # "... a red hat. The hat was old. ... He took the hat.": the second and the third mention
ABLATIONS = ("mean", "zero")


@dataclass(frozen=True)
class Places:
    """Places in stories at which the object must be named again, as one batch that ends there.

    Shapes: ids (B, T), filled up on the right; last (B,) the position that must guess the object; back (B, T) True at
    the tokens of the object's earlier mentions; right (B,) the object's number in WORDS; objects (24,) the first token
    of each word of WORDS.
    """

    ids: Tensor
    last: Tensor
    back: Tensor
    right: Tensor
    objects: Tensor


def places(data: Dataset, n: int, mention: int = AT_ONCE) -> Places:
    """The first n held-out stories, each up to the chosen mention of its object.

    Errors: ValueError if no story is held out, or two objects begin with the same token.
    """
    encode, endoftext = data.tokenizer.encode, data.tokenizer.endoftext
    objects = torch.tensor([encode(word)[0] for word in WORDS])
    stories = [text for text in data.held_out if text.startswith(("Once", "This"))][:n]
    if not stories or len(objects.unique()) < len(objects):
        raise ValueError(f"expected held-out stories, and objects with first tokens of their own; got {len(stories)}")
    read, back, right = [], [], []
    for text in stories:
        pieces = grammar.words(text)
        where = [i for i, word in enumerate(pieces) if word in WORDS]
        read.append([endoftext])
        back.append([False])
        for i, word in enumerate(pieces[: where[mention]]):
            tokens = encode(word)
            read[-1] += tokens
            back[-1] += [i in where] * len(tokens)
        right.append(WORDS.index(pieces[where[mention]]))
    longest = max(map(len, read))
    ids = torch.tensor([row + [endoftext] * (longest - len(row)) for row in read])
    seen = torch.tensor([row + [False] * (longest - len(row)) for row in back])
    return Places(ids, torch.tensor([len(row) - 1 for row in read]), seen, torch.tensor(right), objects)


@torch.no_grad()
def looking_back(gpt: GPT, at: Places) -> np.ndarray:
    """The share of its attention that each head pays to the earlier mentions. Shapes: result (n_layers, H)."""
    stories = torch.arange(len(at.ids))
    rows = torch.stack([weights[stories, :, at.last] for weights in gpt.attention_maps(at.ids)])  # (n_layers, B, H, T)
    return (rows * at.back[:, None]).sum(dim=-1).mean(dim=1).numpy()


@torch.no_grad()
def looking_at_previous(gpt: GPT, at: Places) -> np.ndarray:
    """The share of its attention that each head pays to the token just before, over all positions but the first."""
    reading = (torch.arange(at.ids.shape[1])[1:] <= at.last[:, None])[:, None]  # (B, 1, T - 1)
    shares = []
    for weights in gpt.attention_maps(at.ids):
        before = weights.diagonal(offset=-1, dim1=-2, dim2=-1)  # (B, H, T - 1)
        shares.append((before * reading).sum(dim=(0, 2)) / reading.sum())
    return torch.stack(shares).numpy()


@torch.no_grad()
def mean_outputs(gpt: GPT, documents) -> Tensor:
    """The mean output of each head over all positions of some documents, before W_o joins the heads.

    documents: batches (inputs, targets) of `batches.evaluation_batches`. Shapes: result (n_layers, H, d_head).
    """
    n_heads, kept, n = gpt.config.n_heads, [], 0
    total = torch.zeros(len(gpt.blocks), gpt.config.d_model, dtype=torch.float64)

    def keep(module, inputs):
        kept.append(inputs[0].cpu())

    hooks = [block.attn.W_o.register_forward_pre_hook(keep) for block in gpt.blocks]
    try:
        for inputs, targets in documents:
            kept.clear()
            gpt.hidden(torch.as_tensor(inputs))
            counts = torch.as_tensor(targets) != IGNORED  # (B, T) padding is no position of a document
            n += int(counts.sum())
            total += torch.stack([output[counts].double().sum(dim=0) for output in kept])
    finally:
        for hook in hooks:
            hook.remove()
    return (total / n).float().view(len(gpt.blocks), n_heads, -1)


@contextlib.contextmanager
def ablated(gpt: GPT, layer: int, head: int, output: Tensor | float = 0.0) -> Iterator[GPT]:
    """Ablation: inside, one head's output is replaced by `output` at every position; afterwards the model is as before.

    layer and head count from 0. output: a number or (d_head,), in place of weights v.
    Errors: ValueError if there is no such layer or head.
    Source: ablation of single heads: Michel et al. 2019, "Are Sixteen Heads Really Better than One?".
    """
    n_layers, n_heads = len(gpt.blocks), gpt.config.n_heads
    if not (0 <= layer < n_layers and 0 <= head < n_heads):
        raise ValueError(f"expected a layer below {n_layers} and a head below {n_heads}; got {layer} and {head}")
    width = gpt.config.d_model // n_heads

    def replace(module, inputs):
        joined = inputs[0].clone()  # (B, T, d_model): the outputs of all heads side by side
        joined[..., head * width : (head + 1) * width] = output
        return (joined,)

    hook = gpt.blocks[layer].attn.W_o.register_forward_pre_hook(replace)
    try:
        yield gpt
    finally:
        hook.remove()


@torch.no_grad()
def object_logps(gpt: GPT, at: Places) -> Tensor:
    """Log P of each object's first token at each place. Shapes: result (B, 24). Unit: nats."""
    h = gpt.hidden(at.ids)[torch.arange(len(at.ids)), at.last]  # (B, d_model)
    return gpt.logits(h).double().log_softmax(dim=-1)[:, at.objects]


def at_the_object(gpt: GPT, at: Places) -> dict[str, float]:
    """What the model expects where the object must be named, on average over the places.

        -log P(object) = -log P(any object) - log P(object | any object)

    The first term is small if the model knows that an object must come, the second if it knows which. A reader who
    knows the first and nothing of the second guesses among 24: log 24 = 3.18 nats. "Entropy" is that of
    P(. | any object): where the second term is above it, the model is too sure of objects that are wrong.
    """
    logps = object_logps(gpt, at)  # (B, 24)
    some = logps.logsumexp(dim=1)  # (B,)
    right = logps[torch.arange(len(logps)), at.right]
    among = logps - some[:, None]
    return {
        "surprisal": -right.mean().item(),
        "not an object": -some.mean().item(),
        "which object": (some - right).mean().item(),
        "entropy": -(among.exp() * among).sum(dim=1).mean().item(),
        "probability of objects": some.exp().mean().item(),
        "probability of the object": right.exp().mean().item(),
    }


@torch.no_grad()
def loss(gpt: GPT, documents) -> float:
    """Cross-entropy over whole documents, in nats per token."""
    nats, n = 0.0, 0
    for inputs, targets in documents:
        targets = torch.as_tensor(targets)  # (B, T)
        nats -= token_logps(gpt(gpt.here(torch.as_tensor(inputs))).double(), targets).sum().item()
        n += int((targets != IGNORED).sum())
    return nats / n


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    for where, value in measure(dataset.story_dataset(), seed).items():
        yield dict(zip(KEY, (seed, *where)), value=f"{value:.5f}")


def measure(data: Dataset, seed: int, n_stories: int = 100, n_batches: int = 3, n_snapshots: int = 99) -> dict:
    """Everything that is measured of one seed: (step, quantity, layer, head) -> value."""
    trained = pretraining.pretrain(data, seed=seed)
    gpt, last = trained.model, int(trained.steps[-1])
    at, end = places(data, n_stories), places(data, n_stories, AT_THE_END)
    documents = list(evaluation_batches(data.held_out_corpus, data.tokenizer, gpt.config.n_ctx, 4096))[:n_batches]
    found, heads = {}, list(np.ndindex(len(gpt.blocks), gpt.config.n_heads))

    def each_head(step, quantity, values):
        found.update({(step, quantity, layer + 1, head + 1): float(values[layer, head]) for layer, head in heads})

    def asked(how, layer, head):
        for name, value in at_the_object(gpt, at).items():
            found[last, f"{name}, {how}", layer, head] = value
        found[last, f"surprisal at the end, {how}", layer, head] = at_the_object(gpt, end)["surprisal"]
        found[last, f"loss, {how}", layer, head] = loss(gpt, documents)

    share = looking_back(gpt, at)
    layer, head = np.unravel_index(share.argmax(), share.shape)  # of the trained model
    for step in sorted(trained.snapshots)[:n_snapshots]:
        earlier = trained.at(step)
        each_head(step, "looks back, on the way", looking_back(earlier, at))
        found[step, "surprisal, on the way", 0, 0] = at_the_object(earlier, at)["surprisal"]
        with ablated(earlier, layer, head, mean_outputs(earlier, documents)[layer, head]):
            found[step, "which object without it, on the way", 0, 0] = at_the_object(earlier, at)["which object"]
    each_head(last, "looks back", share)
    each_head(last, "looks back at the end", looking_back(gpt, end))
    each_head(last, "looks at the token before", looking_at_previous(gpt, at))
    asked("whole", 0, 0)
    means = mean_outputs(gpt, documents)
    for layer, head in heads:
        for how in ABLATIONS:
            with ablated(gpt, layer, head, means[layer, head] if how == "mean" else 0.0):
                asked(how, layer + 1, head + 1)
    return found


def stored(quantity: str, step: int | None = None) -> np.ndarray:
    """A quantity of the measured table, at a step (the last, if none is named), in the order of the seeds.

    Shapes: result (n_seeds, n_layers, H), or (n_seeds,) for a quantity of the whole model.
    Errors: ValueError for an unknown quantity or step.
    """
    found = [row for row in measured.rows("gpt1/heads") if row["quantity"] == quantity]
    step = max((int(row["step"]) for row in found), default=0) if step is None else step
    values = {}
    for row in found:
        if int(row["step"]) == step:
            values[tuple(int(row[name]) for name in ("seed", "layer", "head"))] = float(row["value"])
    if not values:
        names = sorted({row["quantity"] for row in measured.rows("gpt1/heads")})
        raise ValueError(f"expected a quantity among {names} and one of its steps; got {quantity!r} and {step}")
    seeds, layers, heads = (sorted({where[i] for where in values}) for i in range(3))
    if layers == [0]:
        return np.array([values[seed, 0, 0] for seed in seeds])
    return np.array([[[values[seed, layer, head] for head in heads] for layer in layers] for seed in seeds])


def stored_steps() -> list[int]:
    """The steps of pre-training at which the table says where the heads look."""
    rows = measured.rows("gpt1/heads")
    return sorted({int(row["step"]) for row in rows if row["quantity"] == "surprisal, on the way"})


def same_cell(effect: np.ndarray, share: np.ndarray) -> bool:
    """Whether the head whose ablation costs most is the head that looks back most: argmax(effect) == argmax(share)."""
    return int(np.argmax(effect)) == int(np.argmax(share))


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    with few_updates() as found:
        values = measure(stories(), 0, n_stories=3, n_batches=1, n_snapshots=1)
    found |= {" ".join(map(str, where)): value for where, value in values.items()}
    return found | {"log 24": math.log(len(WORDS))}
