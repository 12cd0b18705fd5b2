"""Chapter 02. LayerNorm before or after, and the scale of the first weights: models of 2, 6 and 12 blocks.

The paper made both changes at once. Here they are made one at a time (four forms), at learning rates down to 1e-4,
without warm-up and with 100 of the 300 steps of it. What twelve blocks do without warm-up at rates from 1e-3 on is in
gpt2/architecture already and is not measured again; `losses` reads both tables.

The table data/measured/gpt2/depth.csv has a row for each seed, number of blocks, form, warm-up and learning rate: the
held-out loss after the short training, nats per token. A run of twelve blocks takes ten seconds on a free core.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from minigpt import loss
from minigpt.experiments import dataset, measured
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import architecture
from minigpt.model import GPT, GPTConfig

SEEDS = (0, 1, 2)
KEY = ("seed", "n_layers", "form", "warmup_steps", "lr")
WARMUP = 100

FORMS = {
    "post-LN": {"norm": "post", "init": "gpt1"},
    "post-LN, scaled": {"norm": "post", "init": "gpt2"},
    "pre-LN": {"norm": "pre", "init": "gpt1"},
    "pre-LN, scaled": {"norm": "pre", "init": "gpt2"},
}
NAMES = {"post-LN": "LayerNorm after", "pre-LN": "LayerNorm before", "pre-LN, scaled": "before, first weights scaled"}

# (blocks, warm-up) -> form -> learning rates
MEASURED = {
    (12, 0): {"post-LN": (1e-4, 3e-4), "post-LN, scaled": (1e-3, 3e-3, 1e-2)},
    (12, WARMUP): {"post-LN": (3e-4, 1e-3, 3e-3), "pre-LN": (3e-3, 1e-2), "pre-LN, scaled": (1e-2,)},
    (6, 0): {"post-LN": (1e-3, 3e-3, 1e-2), "pre-LN": (3e-3, 1e-2)},
    (2, 0): {"post-LN": (1e-3, 3e-3, 1e-2), "pre-LN": (3e-3, 1e-2)},
}


def config(form: str, n_layers: int = 12) -> GPTConfig:
    """A narrow model (d = 32) of one form and depth. Errors: ValueError for an unknown form."""
    if form not in FORMS:
        raise ValueError(f"expected a form among {list(FORMS)}; got {form!r}")
    return replace(architecture.deep("LayerNorm after", n_layers), **FORMS[form])


def short_run(data: Dataset, form: str, n_layers: int, lr: float, warmup_steps: int, seed: int) -> float:
    """The held-out loss after 300 steps, nats per token; nan if the training broke down."""
    return architecture.short_run(data, config(form, n_layers), lr, seed, warmup_steps)


# --- before any training: seconds, computed in the lesson -------------------------------------------------------------


def gradient_norms(form: str, seed: int, n_layers: int = 12) -> np.ndarray:
    """The norm of the first gradient in each block, before any training. Shapes: (n_layers,), first block first.

        || dL / d(weights of block l) ||        L: next-token loss of random tokens

    Source: Xiong et al. 2020, figure 3, who look at the last layers' gradients. Differs: all weights of a block.
    """
    gpt, ids = _untrained(form, seed, n_layers)
    ids = gpt.here(ids)
    loss.lm_loss(gpt(ids[:, :-1]), ids[:, 1:]).backward()
    squares = [sum(p.grad.double().square().sum().item() for p in block.parameters()) for block in gpt.blocks]
    return np.sqrt(squares)


@torch.no_grad()
def sameness(form: str, seed: int, n_layers: int = 12) -> np.ndarray:
    """How alike the positions of a text are on the residual path, before any training: at the start, after each block.

        mean of cos(h_s, h_t) over all positions s != t        1: every position holds the same vector

    Where all positions are the same, no layer above can tell what comes next from what came before. Shapes:
    (n_layers + 1,). Source: Noci et al. 2022, "rank collapse". Differs: random tokens, causal attention.
    """
    gpt, ids = _untrained(form, seed, n_layers)
    found = []
    hooks = [block.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0])) for block in gpt.blocks]
    hooks.append(gpt.blocks[-1].register_forward_hook(lambda _, inputs, out: found.append(out)))
    gpt.hidden(ids[:, :-1])
    for hook in hooks:
        hook.remove()
    return np.array([_mean_cosine(h) for h in found])


def _untrained(form: str, seed: int, n_layers: int) -> tuple[GPT, torch.Tensor]:
    gpt = GPT(config(form, n_layers), torch.Generator().manual_seed(seed)).eval()
    return gpt, torch.randint(dataset.N_VOCAB, (4, 65), generator=torch.Generator().manual_seed(seed))


def _mean_cosine(h: torch.Tensor) -> float:
    """The mean cosine of all pairs of different positions. Shapes: h (B, T, d)."""
    unit, T = F.normalize(h.double(), dim=-1), h.shape[1]
    return float(((unit @ unit.transpose(1, 2)).sum(dim=(1, 2)) - T).mean() / (T * (T - 1)))


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    for (n_layers, warmup), forms in MEASURED.items():
        for form, rates in forms.items():
            for lr in rates:
                value = short_run(data, form, n_layers, lr, warmup, seed)
                yield dict(zip(KEY, (seed, n_layers, form, warmup, f"{lr:g}")), value=f"{value:.4f}")


def losses(form: str, n_layers: int = 12, warmup_steps: int = 0) -> dict[float, np.ndarray]:
    """Learning rate -> held-out loss, one number a seed, from this table and that of gpt2/architecture."""
    found = {}
    for lr in MEASURED.get((n_layers, warmup_steps), {}).get(form, ()):
        where = {"form": form, "n_layers": n_layers, "warmup_steps": warmup_steps, "lr": lr}
        found[lr] = measured.get("gpt2/depth", **where)
    if (n_layers, warmup_steps) == (architecture.DEPTH, 0) and form in NAMES:
        for lr in architecture.RATES:
            each = measured.get("gpt2/architecture", experiment="deep", setting=NAMES[form], x=lr)
            found[lr] = each[list(SEEDS)]  # its seeds are 0, 1, 2
    return dict(sorted(found.items()))


def best(form: str, n_layers: int = 12, warmup_steps: int = 0) -> np.ndarray:
    """The held-out loss at the best rate of each seed. Shapes: (n_seeds,). Unit: nats per token."""
    return np.min(list(losses(form, n_layers, warmup_steps).values()), axis=0)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    data = stories(3, times=1)
    with few_updates(2) as found:
        for (n_layers, warmup), forms in MEASURED.items():
            form = list(forms)[n_layers % 2]
            found[f"{n_layers}, {warmup}, {form}"] = short_run(data, form, n_layers, forms[form][0], warmup, 0)
    for form in FORMS:
        found[f"gradients, {form}"] = float(gradient_norms(form, 0, 3).sum())
        found[f"sameness, {form}"] = float(sameness(form, 0, 3).sum())
    for (n_layers, warmup), forms in MEASURED.items():
        for form, rates in forms.items():
            found[f"rates, {n_layers}, {warmup}, {form}"] = sum(1000 * i * lr for i, lr in enumerate(rates, 1))
    return found
