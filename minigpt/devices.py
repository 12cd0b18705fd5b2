"""Where models compute, and how exactly: device, processes, mixed precision, how much of a card's speed is used.

The environment variable MINIGPT_DEVICE decides, unless a model is built inside `with torch.device(...)`, which wins:
`device()` is asked when a model is built. Whatever a model is given follows it there, and what it answers lies where it
was asked: a model on a card takes ids of the CPU and gives logits on the CPU; ids on the card give logits on the card.
Initial weights and samples are drawn on the CPU, so that they are the same on every device.
"""

import contextlib
import os
import re
from collections import deque

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from minigpt import scaling

VARIABLE = "MINIGPT_DEVICE"

# Peak of the matrix units in bfloat16, dense, as the makers print it, by a part of the card's name. The first that fits
# counts. Unit: floating-point operations per second.
PEAKS = {
    "H100 PCIe": 756e12, "H100": 989.4e12, "H200": 989.4e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12,
    "RTX 4090": 165.2e12,
}  # fmt: skip


def device() -> torch.device:
    """Device of new models: what MINIGPT_DEVICE says, or torch's default device (the CPU) if it says nothing.

    "cpu", "cuda" (or one card of several, "cuda:1"), "mps" (Apple), or "auto": a card if there is one, else the CPU.
    Inside `with torch.device(...)` that device wins.
    Errors: ValueError for another word, or for a device that is not there.

    >>> device()
    device(type='cpu')
    """
    word, default = os.environ.get(VARIABLE, "").strip().lower(), torch.get_default_device()
    if not word or default.type != "cpu":
        return default
    there = available()
    if word == "auto":
        word = "cuda" if "cuda" in there else "cpu"
    if word not in there:
        words = ", ".join(["auto", *there])
        raise ValueError(f"expected {VARIABLE} to be one of {words} on this computer; got {word!r}")
    return torch.device(word)


@contextlib.contextmanager
def on_cpu():
    """Inside, models are built on the CPU, whatever MINIGPT_DEVICE says."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "cpu"
    try:
        yield
    finally:
        os.environ.pop(VARIABLE) if before is None else os.environ.update({VARIABLE: before})


def of(model) -> torch.device:
    """Where a model's weights are; the CPU for a stand-in without weights. Who reads much moves it there first."""
    first = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return torch.device("cpu") if first is None else first.device


def available() -> list[str]:
    """The devices of this computer, by the names that MINIGPT_DEVICE takes."""
    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *(["cuda"] if cards else []), *cards, *(["mps"] if torch.backends.mps.is_available() else [])]


# --- many processes ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def joined():
    """Inside, this process is one of those that `torchrun` started, if it did; each has a card of its own on a GPU.

    They talk through NCCL on GPUs and through gloo on CPUs. Errors: ValueError as `device`.
    """
    if "RANK" not in os.environ or is_joined():
        yield
        return
    where, before = device(), os.environ.get(VARIABLE)
    if where.type == "cuda":
        os.environ[VARIABLE] = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device())
    distributed.init_process_group("nccl" if where.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()
        if before is not None:
            os.environ[VARIABLE] = before


def is_joined() -> bool:
    """Whether this process is one of several."""
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """The number of this process, from 0; 0 if it is alone."""
    return distributed.get_rank() if is_joined() else 0


def world_size() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if is_joined() else 1


def parallel(model: nn.Module) -> nn.Module:
    """Data parallelism: a model for `train.train` whose gradients are averaged over all processes.

    Each process computes its share of the rows of every batch, and all make the same update. The model itself stays
    what it was, for evaluation, samples and checkpoints; if this process is alone it comes back as it is.
    Source: Li et al. 2020, through torch's DistributedDataParallel. Differs: nothing.
    """
    return DistributedDataParallel(model) if is_joined() else model


def sharded(model: nn.Module) -> nn.Module:
    """Fully sharded data parallelism: as `parallel`, and each process keeps only its share of every matrix.

    Weights, gradients and the optimiser's memory are divided; the weights of a block are gathered from all processes
    just before it computes, and forgotten after it. So a model may be larger than a card: build it on the CPU, and it
    moves to `device()` block by block. It is changed in place; from then on every process must do the same with it,
    evaluation, sampling and checkpoints included.
    Errors: ValueError for a model without blocks.
    Source: Zhao et al. 2023 (FSDP), through torch's fully_shard; ZeRO, stage 3: Rajbhandari et al. 2020.
    Differs: nothing.
    """
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method  # here: it takes a second to import

    if not hasattr(model, "blocks"):
        raise ValueError(f"expected a model with blocks, to be sharded block by block; got a {type(model).__name__}")
    if is_joined():
        mesh = distributed.init_device_mesh(device().type, (world_size(),))
        for part in (*model.blocks, model):
            fully_shard(part, mesh=mesh)
        for name in ("hidden", "logits"):  # how a sample is drawn
            register_fsdp_forward_method(model, name)
    return model


def is_sharded(model: nn.Module) -> bool:
    """Whether each process holds only a share of the model's weights."""
    return hasattr(model, "set_requires_gradient_sync")  # what fully_shard adds


def is_shared(tensor: Tensor) -> bool:
    """Whether this process holds only a share of a tensor."""
    return hasattr(tensor, "full_tensor")  # torch's DTensor


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which each process may hold a share, whole: gathered from all, which all must ask for."""
    return tensor.full_tensor() if is_shared(tensor) else tensor


def agreed(yes: bool) -> bool:
    """What the first process says, for all: a decision that depends on its clock."""
    if world_size() > 1:
        said = torch.tensor(float(yes), device=device())
        distributed.broadcast(said, 0)
        return bool(said)
    return yes


def shared_like(tensor: Tensor, other: Tensor) -> Tensor:
    """A whole tensor, of the same shape as `other`, divided among the processes as that is."""
    if not is_shared(other) or is_shared(tensor) or tensor.ndim == 0:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements)


@contextlib.contextmanager
def in_parts(model: nn.Module, last: bool):
    """Inside, a gradient is added up; only with the last part of a batch do gradients travel between processes."""
    if isinstance(model, DistributedDataParallel) and not last:
        with model.no_sync():
            yield
        return
    if is_sharded(model):
        model.set_requires_gradient_sync(last)
    yield


def itself(model: nn.Module) -> nn.Module:
    """The model inside of `parallel`, with its own names of parameters."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def n_processes(model: nn.Module) -> int:
    """Over how many processes a model's gradients are averaged."""
    return world_size() if isinstance(model, DistributedDataParallel) or is_sharded(model) else 1


def total(model: nn.Module, numbers: Tensor) -> Tensor:
    """The sum over those processes."""
    if n_processes(model) > 1:
        distributed.all_reduce(numbers)
    return numbers


# --- precision and speed ----------------------------------------------------------------------------------------------


def autocast(precision: str, where: torch.device):
    """Mixed precision: inside, matrix products are computed in bfloat16, sums over many numbers in float32.

    precision: "float32" (nothing changes) or "bf16". Weights, gradients and the optimiser stay in float32.
    Source: Micikevicius et al. 2018; bfloat16 has the range of float32, so that the loss needs no scaling.
    """
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(where.type, dtype=torch.bfloat16)


def peak_flops(where: torch.device) -> float | None:
    """Peak of a card in bfloat16, as its maker prints it; None for the CPU and for cards that are not in PEAKS.

    Unit: floating-point operations per second.
    """
    if where.type != "cuda":
        return None
    name = torch.cuda.get_device_name(where)
    found = (peak for part, peak in PEAKS.items() if re.search(part + r"(?!\d)", name))  # L4 is not in "L40"
    return next(found, None)


def peak_memory(where: torch.device) -> int | None:
    """The most memory that tensors ever held on a card, in bytes; None for the CPU."""
    return torch.cuda.max_memory_allocated(where) if where.type == "cuda" else None


def training_flops(model: nn.Module, n_ctx: int | None = None) -> float | None:
    """Training FLOPs per token of a GPT at full windows, by `scaling.forward_flops`; None if it has no such config."""
    config = getattr(model, "config", None)
    if not all(hasattr(config, name) for name in ("n_layers", "d_model", "n_vocab", "n_ctx", "d_inner")):
        return None
    sizes = config.n_layers, config.d_model, config.n_vocab, n_ctx or config.n_ctx
    return 3 * scaling.forward_flops(*sizes, d_ff=config.d_inner, causal=config.causal)


class Meter:
    """Throughput of a training run: tokens per second, model FLOPs utilisation (MFU), memory; over the last records.

        MFU = tokens per second x training FLOPs per token / peak of the card

    Unit: tokens per second; MFU as a share; bytes.
    Source: Chowdhery et al. 2022 (PaLM), section 4.1. Differs: attention is counted as far as the mask lets it look.
    """

    def __init__(self, model: nn.Module, n_records: int = 20):
        self.where, self.flops = next(model.parameters()).device, training_flops(model)
        self.seen = deque(maxlen=n_records + 1)

    def add(self, record) -> None:
        """Take note of a record with n_tokens and seconds, both since the start of the run."""
        self.seen.append((record.n_tokens, record.seconds))

    def tokens_per_second(self) -> float | None:
        """Over the last records; None before the second."""
        if len(self.seen) < 2 or self.seen[-1][1] <= self.seen[0][1]:
            return None
        return (self.seen[-1][0] - self.seen[0][0]) / (self.seen[-1][1] - self.seen[0][1])

    def utilisation(self) -> float | None:
        """MFU; None where the peak or the model's FLOPs are not known."""
        speed, peak = self.tokens_per_second(), peak_flops(self.where)
        return None if None in (speed, peak, self.flops) else speed * self.flops / peak

    def line(self) -> str:
        """What there is to say, in a few words; empty before the second record."""
        speed, share, memory = self.tokens_per_second(), self.utilisation(), peak_memory(self.where)
        parts = [] if speed is None else [f"{speed:,.0f} tokens/s"]
        parts += [] if share is None else [f"{100 * share:.0f} % of peak"]
        parts += [] if memory is None or speed is None else [f"{memory / 1e9:.1f} GB"]
        return ", ".join(parts)


def note_for(model: nn.Module):
    """What a progress bar adds for each record when a model trains on a GPU; None on the CPU."""
    if next(model.parameters()).device.type != "cuda":
        return None
    meter = Meter(model)

    def note(record) -> str:
        if not hasattr(record, "n_tokens"):
            return f"{peak_memory(meter.where) / 1e9:.1f} GB"
        meter.add(record)
        return meter.line()

    return note
