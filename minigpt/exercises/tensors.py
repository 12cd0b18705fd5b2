"""Comparing the reader's tensors and lists with the right ones, and naming the mistake that would give them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from minigpt.exercises.judging import Problem, scalar, short


def compare_tensors(got, right: Tensor, mistakes: Iterable[tuple[Tensor, str]], where: str) -> None:
    """Pass if the tensor is right; else name the mistake that would give exactly this one."""
    if isinstance(got, (tuple, list)) and any(isinstance(each, Tensor) and each.shape == right.shape for each in got):
        raise Problem(f"you returned {len(got)} things: return only the one of shape {tuple(right.shape)} ({where})")
    if not isinstance(got, Tensor):
        raise Problem(f"expected a tensor, got {type(got).__name__} {where}")
    if got.shape != right.shape:
        raise Problem(f"expected the shape {tuple(right.shape)}, got {tuple(got.shape)} {where}")
    if same(got, right):
        return
    for value, sentence in mistakes:
        if value.shape == got.shape and same(got, value):
            raise Problem(f"{sentence} ({where})")
    if right.dtype == torch.bool or right.ndim == 2 and right.numel() <= 16:  # few enough to be read
        should, have = (x.int().tolist() if right.dtype == torch.bool else rounded(x) for x in (right, got))
        raise Problem(f"{where} it should be {should}, and you have {have}")
    apart = (got.detach().double() - right.double()).abs()
    raise Problem(f"{where} your numbers are not the right ones: they differ by up to {apart.max().item():.3g}")


def same(a: Tensor, b: Tensor) -> bool:
    return not a.is_complex() and torch.allclose(a.detach().double(), b.double(), atol=1e-5, equal_nan=True)


def flat(module: nn.Module) -> Tensor:
    """All parameters in one row."""
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@torch.no_grad()
def scatter_vectors(module: nn.Module, generator: torch.Generator) -> None:
    """Draw gains and biases, which begin at 1 and 0, anew around these, so that no two parts are alike."""
    for part in module.modules():
        for name, p in part.named_parameters(recurse=False):
            if p.ndim == 1:
                gain = isinstance(part, nn.LayerNorm) and name == "weight"
                p.copy_(gain + 0.4 * torch.randn(p.shape, generator=generator))


def check_far(got, right: float, where: str) -> None:
    """Pass a loss of scores that are 1,000 apart unless it has overflowed, or something was cut off in it."""
    value = scalar(got)
    if isinstance(value, float) and value - value != 0:
        raise Problem(f"it overflows: sigmoid(-1,000) is 0 and its logarithm minus infinity, and exp(1,000) is "
                      f"infinite. F.logsigmoid is right for every number ({where})")  # fmt: skip
    if isinstance(value, float) and value < 999 < right:
        raise Problem(f"a pair that is 1,000 the wrong way round costs 1,000, and yours {value:.0f}: nothing may "
                      f"be cut off. F.logsigmoid needs no clamp ({where})")  # fmt: skip


def as_lists(rows):
    """Rows of ids as lists of lists, whether they came as tuples, arrays or tensors."""
    rows = rows.tolist() if hasattr(rows, "tolist") else rows
    if not isinstance(rows, (list, tuple)):
        return rows
    rows = [row.tolist() if hasattr(row, "tolist") else row for row in rows]
    return [list(row) if isinstance(row, tuple) else row for row in rows]


def shown(got) -> str:
    """Rows of numbers in full, anything else in few letters."""
    return str(got) if isinstance(got, list) and len(str(got)) < 150 else short(got)


def rounded(values: Tensor) -> list:
    """One or two axes of numbers as lists, with two decimals."""
    rows = values.tolist()
    return [[round(x, 2) for x in row] if isinstance(row, list) else round(row, 2) for row in rows]
