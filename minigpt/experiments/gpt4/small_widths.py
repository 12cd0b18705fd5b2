"""Chapter 05, section 3. Why are the smallest widths off the line? Models that differ from the usual in one thing.

LayerNorm takes two numbers from each token, the mean and the spread. Here one of them, or both, are left as they are;
in another arm each block has one head of full width in place of two. What LayerNorm costs must shrink as the width
grows. The runs are those of scaling_runs.py otherwise; the arms of a seed begin alike and read the same.
"""

from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from minigpt.experiments import measured
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.experiments.gpt4.scaling_runs import FreshTexts
from minigpt.experiments.gpt4.side_by_side import losses_of, standardise, train_side_by_side
from minigpt.model import GPT

SEEDS, KEY = tuple(range(5)), ("arm", "d_model", "seed", "repeat")
WIDTHS, REPEATS = (8, 12, 24), 4
N_TEXTS = 2000  # held-out texts


def keep_mean(x: Tensor, eps: float) -> Tensor:
    """RMSNorm before its gain: x / sqrt(mean of x^2). Source: Zhang and Sennrich 2019. Differs: eps is inside."""
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)


def keep_spread(x: Tensor, eps: float) -> Tensor:
    """Less the mean, and nothing else."""
    return x - x.mean(dim=-1, keepdim=True)


def keep_both(x: Tensor, eps: float) -> Tensor:
    """No normalisation."""
    return x


USUAL = "usual"
ARMS = {  # name -> normalisation, heads
    USUAL: (standardise, 2), "mean kept": (keep_mean, 2), "spread kept": (keep_spread, 2), "both kept": (keep_both, 2),
    "one head": (standardise, 1),
}  # fmt: skip


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: held-out loss of every arm, width and repeat, and the floor on the same text (nats)."""
    book, chances = scaling_runs.book(), range(REPEATS * seed, REPEATS * (seed + 1))
    texts = scaling_runs.held_out(book)[:N_TEXTS]
    floor = -float(book.logps(texts).mean())
    for d_model in WIDTHS:
        n_rows, n_steps = scaling_runs.plan(d_model)
        for arm, (normalise, n_heads) in ARMS.items():
            config = replace(scaling_runs.model_config(d_model), n_heads=n_heads)
            models = [GPT(config, torch.Generator().manual_seed(chance)) for chance in chances]
            batches = [FreshTexts(book, n_rows, n_steps, 1000 * chance + d_model) for chance in chances]
            train_side_by_side(models, batches, scaling_runs.training_config(d_model, n_steps), normalise)
            for repeat, loss in enumerate(held_out_losses(models, texts, normalise)):
                yield dict(zip(KEY, (arm, d_model, seed, repeat))) | {"loss": f"{loss:.5f}", "floor": f"{floor:.5f}"}


@torch.no_grad()
def held_out_losses(models: list[GPT], texts: np.ndarray, normalise) -> np.ndarray:
    """Held-out loss of models of one shape with another normalisation than their own. Shapes: (n_models,)."""
    weights = {name: torch.stack([m.get_parameter(name) for m in models]) for name, _ in models[0].named_parameters()}
    total = np.zeros(len(models))
    for part in np.array_split(texts, max(1, len(texts) // 100)):
        inputs, targets = scaling_runs.asked(scaling_runs.book(), part), torch.from_numpy(part)
        many = [each.expand(len(models), *each.shape) for each in (inputs, targets)]
        total += len(part) * losses_of(weights, models[0].config, *many, normalise).double().cpu().numpy()
    return total / len(texts)


def costs(arm: str) -> dict[int, np.ndarray]:
    """What the usual way costs beside an arm, in % of the arm's reducible loss: width -> one for each seed.

    Above 0: the usual models are worse. Means over the repeats of a seed. Errors: ValueError for an unknown arm.
    """
    if arm not in ARMS:
        raise ValueError(f"expected one of {', '.join(ARMS)}; got {arm!r}")
    left: dict[tuple, list] = {}
    for row in measured.rows("gpt4/small_widths"):
        key = row["arm"], int(row["d_model"]), int(row["seed"])
        left.setdefault(key, []).append(float(row["loss"]) - float(row["floor"]))
    mean = {key: np.mean(each) for key, each in left.items()}
    return {d: np.array([100 * (mean[USUAL, d, s] / mean[arm, d, s] - 1) for s in SEEDS]) for d in WIDTHS}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py): runs of a few updates."""
    found = {f"plan {d_model}": float(sum(scaling_runs.plan(d_model))) for d_model in WIDTHS}
    found |= {"seeds": len(SEEDS), "repeats": REPEATS}
    short = mock.patch.multiple(scaling_runs, TOKENS_PER_PARAM=0.2)
    with short, mock.patch.dict(globals(), REPEATS=2, N_TEXTS=200, WIDTHS=WIDTHS[:2]):
        for row in rows(SEEDS[1]):
            run = ", ".join(str(row[name]) for name in ("arm", "d_model", "repeat"))
            found |= {f"{name}, {run}": float(row[name]) for name in ("loss", "floor")}
    return found
