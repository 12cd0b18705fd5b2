"""Training with AdamW: learning-rate schedule, gradient clipping, one plain loop that yields what happened; evaluation.

It knows ids and tensors, never strings. It draws no random numbers
of its own and shows nothing: the caller iterates, and may look, evaluate, save or stop after any step.
"""

import contextlib
import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from minigpt import devices
from minigpt.io.checks import is_number, is_whole, use_python_numbers, whole
from minigpt.loss import IGNORED, lm_loss, token_logps


@dataclass(frozen=True)
class TrainConfig:
    """Hyperparameters of training: length, learning-rate schedule, AdamW, clipping.

    Errors: ValueError naming the field, what was expected and what came.
    Source: GPT-1, section 4.1, "Model specifications" and "Fine-tuning details"; GPT-3, appendix B.
    Differs: GPT-1 prints neither Adam's betas nor a clipping norm; those defaults are GPT-3's.
    """

    n_steps: int  # updates in the whole run
    lr: float = 2.5e-4  # highest learning rate; GPT-1: 2.5e-4 in pre-training, 6.25e-5 in fine-tuning
    warmup_steps: int = 0  # updates of linear rise to lr; GPT-1: 2,000, in fine-tuning 0.2 % of the run
    schedule: str = "cosine"  # how lr falls after the warm-up: "cosine" (pre-training) or "linear" (fine-tuning)
    final_lr_fraction: float = 0.0  # where the fall ends, as a fraction of lr; GPT-1: 0, GPT-3: 0.1
    betas: tuple[float, float] = (0.9, 0.95)  # memory of AdamW's two running means; GPT-3: 0.9 and 0.95
    eps: float = 1e-8  # keeps AdamW from dividing by zero; GPT-3: 1e-8. It is 0 in float16: there 1e-4
    weight_decay: float = 0.01  # pull towards 0, per unit of learning rate; GPT-1: 0.01, GPT-3: 0.1
    clip_norm: float | None = 1.0  # longest gradient that is allowed through, None for any; GPT-3: 1.0
    precision: str = "float32"  # of matrix products: "float32" or "bf16" (mixed precision, for a GPU)
    accumulate: int = 1  # parts in which a batch is computed, one after another, if it is too large for the memory
    compile: bool = False  # let torch.compile fuse the loss and its gradient: a minute of waiting, then faster on a GPU

    def __post_init__(self):
        def need(right: bool, name: str, expected: str) -> None:
            if not right:
                raise ValueError(f"TrainConfig.{name} must be {expected}, but it is {getattr(self, name)!r}")

        use_python_numbers(self)
        need(is_whole(self.n_steps, 1), "n_steps", "a whole number of at least 1")
        need(is_number(self.lr) and self.lr > 0, "lr", "a number above 0")
        need(
            is_whole(self.warmup_steps, 0) and self.warmup_steps <= self.n_steps,
            "warmup_steps",
            f"a whole number from 0 to n_steps = {self.n_steps}",
        )
        need(self.schedule in ("cosine", "linear"), "schedule", "'cosine' or 'linear'")
        need(
            is_number(self.final_lr_fraction) and 0 <= self.final_lr_fraction <= 1,
            "final_lr_fraction",
            "a number from 0 to 1",
        )
        pair = isinstance(self.betas, (tuple, list)) and len(self.betas) == 2
        need(pair and all(is_number(b) and 0 <= b < 1 for b in self.betas), "betas", "two numbers in [0, 1)")
        need(is_number(self.eps) and self.eps > 0, "eps", "a number above 0")
        need(is_number(self.weight_decay) and self.weight_decay >= 0, "weight_decay", "a number of at least 0")
        need(
            self.clip_norm is None or (is_number(self.clip_norm) and self.clip_norm > 0),
            "clip_norm",
            "a number above 0, or None for no clipping",
        )
        need(self.precision in ("float32", "bf16"), "precision", "'float32' or 'bf16'")
        need(is_whole(self.accumulate, 1), "accumulate", "a whole number of at least 1")
        need(isinstance(self.compile, bool), "compile", "True or False")


@dataclass(frozen=True)
class Record:
    """Log entry of one update."""

    step: int  # updates finished, this one included: 1 ... n_steps
    loss: float  # of this step's batch, before its update; nats per token for the default loss
    lr: float  # learning rate of this update
    grad_norm: float  # length of the gradient before clipping
    n_tokens: int  # targets trained on so far: entries of the batches' last arrays that are not -100
    seconds: float  # since the start of the run; an interruption does not count


@dataclass
class TrainState:
    """Everything besides the weights that the next step depends on; train() keeps it up to date in place.

    Hand the same object (or one read back by checkpoint.load_state) to train() and the run goes on as if it had
    never stopped, bit for bit. Batches need no state: they are asked for by number.
    """

    history: list[Record] = field(default_factory=list)  # one per finished update
    moments: dict[str, dict[str, Tensor]] = field(default_factory=dict)  # parameter name -> AdamW's memory of it
    seed: int | None = None  # drawn once from the caller's generator: source of all dropout in the run

    @property
    def step(self) -> int:
        """Updates finished: the number, counted from 0, of the step that comes next."""
        return len(self.history)

    def info(self) -> dict:
        """All but the tensors, ready for JSON."""
        return {"seed": self.seed, "history": [list(dataclasses.astuple(record)) for record in self.history]}

    def tensors(self) -> dict[str, Tensor]:
        """AdamW's memory as one flat dictionary, "parameter/moment" -> tensor."""
        return {f"{name}/{kind}": t for name, kinds in self.moments.items() for kind, t in kinds.items()}

    def restore(self, tensors: dict[str, Tensor], info: dict) -> None:
        """Become the state that tensors() and info() came from."""
        self.seed, self.history, self.moments = info["seed"], [Record(*row) for row in info["history"]], {}
        for key, tensor in tensors.items():
            name, kind = key.rsplit("/", 1)
            self.moments.setdefault(name, {})[kind] = tensor.clone()


def learning_rate(step: int, config: TrainConfig) -> float:
    """Learning-rate schedule: linear warm-up, then a fall along half a cosine (or a straight line).

    With w = warmup_steps, n = n_steps, f = final_lr_fraction and t = (step - w) / (n - w):
        step < w:  lr (step + 1) / w        cosine:  lr (f + (1 - f) (1 + cos pi t) / 2)
                                            linear:  lr (f + (1 - f) (1 - t))

    Shapes: step counts from 0. Unit: that of config.lr.
    Errors: ValueError for a step that is no whole number of at least 0.
    Source: GPT-1, section 4.1.
    Differs: the paper leaves the ends open; here the first update is not 0 and the value f lr is reached at
    step n, one after the last update, so that no update is wasted.

    >>> config = TrainConfig(n_steps=6, lr=1.0, warmup_steps=2, schedule="linear")
    >>> [learning_rate(step, config) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    step = whole(step, "step", 0)
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    t = min(1.0, (step - config.warmup_steps) / max(1, config.n_steps - config.warmup_steps))
    fall = (1 + math.cos(math.pi * t)) / 2 if config.schedule == "cosine" else 1 - t
    return config.lr * (config.final_lr_fraction + (1 - config.final_lr_fraction) * fall)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Parameter groups of AdamW: weight decay on matrices, none on biases and gains.

    Shapes: a matrix is a parameter with two axes or more; frozen parameters are in neither group.
    Source: GPT-1, section 4.1: decay of 0.01 "on all non bias or gain weights". Differs: nothing (embeddings decay).
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def next_token_loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Next-token loss of a model on one batch: L1, in nats per token."""
    return lm_loss(model(inputs), targets)


def next_token_loss_in_tiles(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The same loss of a GPT, over a vocabulary filled up to whole tiles (see `GPT.logits`): a GPU is faster so."""
    return lm_loss(model(inputs, whole_tiles=True), targets, devices.itself(model).config.n_vocab)


def train(
    model: nn.Module,
    batches,
    config: TrainConfig,
    loss_fn: Callable[..., Tensor] = next_token_loss,
    generator: torch.Generator | None = None,
    state: TrainState | None = None,
) -> Iterator[Record]:
    """Train with AdamW; yields one Record per step.

    batches[step] is a tuple of arrays or tensors and loss_fn(model, *batch) one number to make small. Nothing
    happens until the records are asked for. The weights are changed in place; the model is left in training mode.

    Chance: dropout can only draw from torch's global generator. So each step runs with that generator set from
    (seed, step) and put back afterwards, seed being drawn once from `generator`: a step's chance depends on its
    number alone. A loss_fn that draws (masking) may therefore use torch.default_generator. Without chance no
    generator is needed; with chance and without generator the first step is refused.

    Many processes: with a model from devices.parallel or devices.sharded each process computes its share of the rows of
    every batch. All make the update of the whole batch, and yield the same records.

    Large batches: with config.accumulate = n each batch is computed in n parts of equally many rows, and their
    gradients are added, each part weighted by its share of the targets (entries of the last array that are not -100).
    For a loss that is a mean over the targets the update is that of the whole batch. Dropout differs.

    Stopping: break off, or interrupt, at any moment; a step is done wholly or not at all. Call train again with
    the same model and state to go on.

    Unit: the loss_fn's; nats per token by default.
    Errors: FloatingPointError if a loss or gradient is not finite (that step is not made); ValueError if a batch,
    the loss or the state does not fit.
    Source: GPT-1, sections 3.1 and 4.1; AdamW: Loshchilov and Hutter 2019, algorithm 2.
    Differs: clipping by norm, which GPT-1 does not mention (GPT-3, appendix B does).
    """
    state = TrainState() if state is None else state
    optimizer = _adamw(model, config, state)
    device = next(model.parameters()).device
    loss_fn = torch.compile(loss_fn) if config.compile else loss_fn
    if generator is not None and state.seed is None:
        state.seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    n_tokens, seconds = (state.history[-1].n_tokens, state.history[-1].seconds) if state.history else (0, 0.0)
    start = time.perf_counter() - seconds
    while state.step < config.n_steps:
        lr = learning_rate(state.step, config)
        batch = _tensors(batches, state.step, device)
        n_targets = int((batch[-1] != IGNORED).sum())  # now: after the update it would have to wait for a GPU
        if devices.n_processes(model) > 1:
            batch = tuple(each[devices.rank() :: devices.n_processes(model)] for each in batch)
        model.train()
        optimizer.zero_grad()
        with _chance_of_step(state, device):
            loss = _loss_and_gradient(model, batch, loss_fn, config, n_targets)
        grad_norm = devices.whole(nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm or math.inf))
        if not (math.isfinite(loss.item()) and math.isfinite(grad_norm.item())):
            optimizer.zero_grad()
            raise FloatingPointError(_not_finite(loss.item(), grad_norm.item(), state.step, lr, config))
        with _whole():
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            n_tokens += n_targets
            seconds = time.perf_counter() - start
            state.history.append(Record(state.step + 1, loss.item(), lr, grad_norm.item(), n_tokens, seconds))
        yield state.history[-1]


@dataclass(frozen=True)
class Evaluation:
    """Cross-entropy of a model on some documents."""

    nats_per_token: float  # nats_total / n_tokens
    nats_per_document: float  # nats_total / number of documents
    nats_total: float
    n_tokens: int
    document_nats: np.ndarray  # (n_documents,) float64, in the order of the batches: minus log P of each document
    document_tokens: np.ndarray  # (n_documents,) int64: how many tokens of each were predicted


def evaluate(model: nn.Module, batches) -> Evaluation:
    """Evaluate a language model: the nats of each document, without training.

    Shapes: each batch is (inputs (B, T), targets (B, T)), one document a row, -100 where nothing is predicted;
    each batch of `batches` is used once, in order.
    Unit: nats, summed in float64.
    Errors: ValueError if there is nothing to predict. The model's mode (training or not) is put back.
    """
    device, was_training = next(model.parameters()).device, model.training
    nats, counts = [], []
    model.eval()
    try:
        with torch.no_grad():
            for i in range(len(batches)):
                batch = _tensors(batches, i, device)
                if len(batch) != 2:
                    raise ValueError(f"batch number {i} must be (inputs, targets), but it has {len(batch)} arrays")
                inputs, targets = batch
                logps = token_logps(model(inputs), targets)  # (B, T), 0 where nothing is predicted
                nats.append(-logps.double().sum(dim=1).cpu().numpy())  # (B,)
                counts.append((targets != IGNORED).sum(dim=1).cpu().numpy())  # (B,)
    finally:
        model.train(was_training)
    document_nats, document_tokens = np.concatenate(nats or [[]]), np.concatenate(counts or [[]]).astype(np.int64)
    total, n_tokens = float(document_nats.sum()), int(document_tokens.sum())
    if n_tokens == 0:
        raise ValueError(f"evaluate needs at least one token to predict, but {len(batches)} batches held none")
    return Evaluation(total / n_tokens, total / len(document_nats), total, n_tokens, document_nats, document_tokens)


def _loss_and_gradient(model: nn.Module, batch, loss_fn: Callable, config: TrainConfig, n_targets: int) -> Tensor:
    """The loss of a batch, and its gradient added to that of the weights: part by part, process by process."""
    parts, shares, n = [batch], [1.0], devices.n_processes(model)
    if config.accumulate > 1 or n > 1:
        parts = list(zip(*(each.chunk(config.accumulate) for each in batch)))
        counts = torch.stack([(part[-1] != IGNORED).sum() for part in parts]).tolist()
        parts = [part for part, count in zip(parts, counts) if count] or parts[:1]
        shares = [count / n_targets for count in counts if count] or [1.0]
    losses = []
    for part, share in zip(parts, shares):
        last = len(losses) == len(parts) - 1
        with devices.in_parts(model, last):  # gradients travel once
            with devices.autocast(config.precision, batch[-1].device):
                loss = loss_fn(model, *part)
            _check_loss(loss)
            loss = loss * share if len(parts) > 1 or n > 1 else loss
            (loss * n if n > 1 else loss).backward()  # the mean over n processes must be the sum of their shares
        losses.append(loss.detach())
    return devices.total(model, losses[0] if len(losses) == 1 else torch.stack(losses).sum())


def _adamw(model: nn.Module, config: TrainConfig, state: TrainState) -> torch.optim.AdamW:
    """torch's AdamW whose memory is the state's own tensors: what the one updates, the other holds."""
    groups = parameter_groups(model, config.weight_decay)
    fused = next(model.parameters()).device.type in ("cpu", "cuda")  # one call updates them all
    optimizer = torch.optim.AdamW(groups, config.lr, tuple(config.betas), config.eps, fused=fused or None)
    parameters = {name: p for name, p in devices.itself(model).named_parameters() if p.requires_grad}
    if not state.moments:
        state.moments = {
            name: {"step": torch.tensor(0.0), "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
            for name, p in parameters.items()
        }
    for name, p in parameters.items():
        shape = tuple(state.moments.get(name, {}).get("exp_avg", torch.empty(0)).shape)
        if shape != tuple(p.shape) or state.moments.keys() != parameters.keys():
            raise ValueError(
                f"this TrainState belongs to another model: it was asked for {name} of shape {tuple(p.shape)} "
                f"and has {sorted(state.moments)}; start with a new TrainState()"
            )
        for kind, moment in state.moments[name].items():  # the fused AdamW counts its steps where they are
            moment = moment.float() if kind == "step" else devices.shared_like(moment, p)  # 32 bits are what it reads
            state.moments[name][kind] = moment.to("cpu" if kind == "step" and not fused else p.device)
        optimizer.state[p] = state.moments[name]
    return optimizer


def _tensors(batches, step: int, device: torch.device) -> tuple[Tensor, ...]:
    """Batch number `step` as tensors where the model is."""
    try:
        batch = batches[step]
    except IndexError:
        raise ValueError(f"batch number {step} was asked for, but there are only {len(batches)}") from None
    except (TypeError, KeyError):
        raise ValueError(f"batches must give batches[{step}], but they are a {type(batches).__name__}") from None
    if not isinstance(batch, (tuple, list)) or not batch:
        raise ValueError(f"batch number {step} must be a tuple of arrays, but it is {type(batch).__name__}")
    return tuple((torch.tensor(a) if isinstance(a, np.ndarray) else torch.as_tensor(a)).to(device) for a in batch)


@contextlib.contextmanager
def _chance_of_step(state: TrainState, device: torch.device):
    """Set torch's global generator from (seed, step) for a moment, then put it back as it was."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        if state.seed is not None:
            words = [state.seed, state.step] + [devices.rank()] * (devices.rank() > 0)  # each process its own
            seed = int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])
            torch.default_generator.manual_seed(seed)
            if cuda:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
        before = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, cuda)]
        yield
        after = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, cuda)]
        if state.seed is None and not all(map(torch.equal, before, after)):
            raise ValueError(
                "the loss drew random numbers (has the model dropout?), so that the run could not be repeated: "
                "train needs a torch.Generator as `generator`. No step was made"
            )


@contextlib.contextmanager
def _whole():
    """Let a Ctrl-C (the notebook's stop button) wait until the block is done, so that no step is half made."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    waiting = []
    signal.signal(signal.SIGINT, lambda *args: waiting.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if waiting:
            handler(*waiting[0])


def _check_loss(loss) -> None:
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        came = f"shape {tuple(loss.shape)}, requires_grad={loss.requires_grad}" if isinstance(loss, Tensor) else loss
        raise ValueError(f"loss_fn must return one number that depends on the model's weights, but it returned {came}")


def _not_finite(loss: float, grad_norm: float, step: int, lr: float, config: TrainConfig) -> str:
    what = f"the loss is {loss}" if not math.isfinite(loss) else f"the length of the gradient is {grad_norm}"
    return (
        f"{what} at step {step} (learning rate {lr:.3g}). This step was not made: the weights are those after {step} "
        f"updates. Try a smaller lr (now {config.lr:g}; 3e-3 or less suits small models), a longer warm-up (now "
        f"{config.warmup_steps} steps), clip_norm=1.0 (now {config.clip_norm}), and look at batches[{step}] for "
        "rows with nothing to predict."
    )
