"""A second device without a second device: tensors that say they are elsewhere and hold their numbers on the CPU.

Inside `elsewhere()` the device "lazy" stands for a GPU. Its tensors refuse what a GPU's refuse: to be mixed with those
of the CPU (numbers of shape () excepted), to be drawn by a generator of the CPU, to become a numpy array. A forgotten
`.to(device)` so becomes an error, and every result is bit for bit that of the CPU.
"""

import contextlib
import os
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

from minigpt import attention, devices

NAME = "lazy"
DEVICE = torch.device(NAME, 0)
ACROSS = {"aten.copy_.default", "aten._to_copy.default"}  # what may be called with tensors of both
CPU_INDICES = {"aten.index.Tensor", "aten.index_put_.default", "aten.index_put.default"}


class Elsewhere(torch.Tensor):
    """A tensor of the other device."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=DEVICE,
        )  # fmt: skip

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f"Elsewhere({self.inner})"

    def __deepcopy__(self, memo):
        copy = Elsewhere(self.inner.clone())
        copy.requires_grad_(self.requires_grad)
        memo[id(self)] = copy = torch.nn.Parameter(copy, self.requires_grad) if _is_parameter(self) else copy
        return copy

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def _is_parameter(tensor) -> bool:
    return isinstance(tensor, torch.nn.Parameter)


def _inner(x):
    return x.inner if isinstance(x, Elsewhere) else x


def _outer(x):
    return Elsewhere(x) if isinstance(x, torch.Tensor) and not isinstance(x, Elsewhere) else x


def run(func, args, kwargs):
    """Do on the CPU what was asked of the other device, if it would be possible there."""
    name, flat = str(func), tree_flatten((args, kwargs))[0]
    there = [x for x in flat if isinstance(x, Elsewhere)]
    here = [x for x in flat if isinstance(x, torch.Tensor) and not isinstance(x, Elsewhere)]
    device = kwargs.get("device")
    wanted = None if device is None else torch.device(device).type
    if name == "aten._local_scalar_dense.default":
        return func(*tree_map(_inner, args))
    if name in ACROSS:
        goes = wanted == NAME if wanted is not None else bool(there) and isinstance(args[0], Elsewhere)
    else:
        indexed = name in CPU_INDICES and isinstance(args[0], Elsewhere)  # a GPU's tensor, by indices from anywhere
        if there and any(x.ndim for x in here) and not indexed:
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found {NAME} and cpu")
        goes = wanted == NAME if wanted is not None else bool(there)
        if goes and kwargs.get("generator") is not None or any(isinstance(x, torch.Generator) for x in flat if goes):
            raise RuntimeError(f"{name}: expected a '{NAME}' device type for generator but found 'cpu'")
    if wanted == NAME:
        kwargs = kwargs | {"device": torch.device("cpu")}
    out = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if not goes:
        return out
    if name.split(".")[1].endswith("_") and args and isinstance(args[0], Elsewhere):  # in place
        return args[0]
    return return_and_correct_aliasing(func, args, kwargs, tree_map(_outer, out)) if there else tree_map(_outer, out)


class _Factories(TorchDispatchMode):
    """Tensors that are made on the other device, or moved there."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def _index(index):
    """An index with tensors in the place of lists."""
    if isinstance(index, tuple):
        return tuple(map(_index, index))
    return torch.tensor(index) if isinstance(index, list) else index


class _FromNumbers(TorchFunctionMode):
    """What torch does outside of its dispatcher: numbers become a tensor of the other device, and the other way."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.tolist and isinstance(args[0], Elsewhere):
            return args[0].detach().cpu().tolist()
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args = (args[0], _index(args[1]), *args[2:])
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            return func(*args, **kwargs | {"device": "cpu"}).to(kwargs["device"])
        return func(*args, **kwargs)


@contextlib.contextmanager
def elsewhere():
    """Inside, MINIGPT_DEVICE is the other device, but where somebody asks for the CPU (`devices.on_cpu`)."""

    def device() -> torch.device:
        return torch.device("cpu") if os.environ.get(devices.VARIABLE) == "cpu" else DEVICE

    swap = torch.__future__.get_swap_module_params_on_conversion()
    with mock.patch.dict(os.environ), mock.patch.object(devices, "device", device), _Factories(), _FromNumbers():
        os.environ.pop(devices.VARIABLE, None)
        torch.__future__.set_swap_module_params_on_conversion(True)  # model.double(): or the numbers inside stay single
        try:
            yield DEVICE
        finally:
            torch.__future__.set_swap_module_params_on_conversion(swap)


def _formula(q, k, v, mask=None, dropout=0.0, causal=False):
    return attention.attention(q, k, v, attention.causal_mask(q.shape[-2], q.device) if causal else mask, dropout)[0]


@contextlib.contextmanager
def no_fused_kernels():
    """Attention by the formula and AdamW operation by operation: the other device has no fused kernels of its own.

    What is compared bit for bit must be computed in the same order on both.
    """
    adamw = torch.optim.AdamW
    with (
        mock.patch.object(attention, "fused_attention", _formula),
        mock.patch.object(torch.optim, "AdamW", lambda *args, fused=None, **how: adamw(*args, **how)),
    ):
        yield
