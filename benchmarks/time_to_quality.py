"""Time to quality: how long until a small GPT predicts Shakespeare as well as the usual recipe for a CPU does?

The usual recipe (published with nanoGPT as "I only have a macbook"): 4 layers, 4 heads, 128 wide, 64 characters of
context, batches of 12, 2,000 steps of AdamW, learning rate 1e-3 falling to 1e-4 along a cosine, warm-up 100, beta2
0.99, weight decay 0.1, no dropout. Its published validation loss is 1.88 nats per character. The other side is that
recipe with the plain GPT of plain_gpt.py.

Ours is the package's GPT, of the same size, with three things changed: first weights of 0.05 in place of 0.02; rates
of eight and ten times as much, which fall to 0 along a line; and Muon (Jordan 2024; in torch since 2.9) for the
matrices of the blocks. When it was looked for, on the plain GPT, 500 such steps reached 1.858, and AdamW alone at
four times the rate 1.935 in 660 steps (one seed each). The chapters keep AdamW, as their papers do.

The text is a UTF-8 file; the first nine tenths of it are read, the loss is measured on all of the rest. Seconds are
those of training; what is measured on the way is not counted.

    python benchmarks/time_to_quality.py shakespeare.txt
"""

import math
import sys
import time
from pathlib import Path

import torch
from plain_gpt import PlainGPT, plain_optimizer, plain_step
from side_by_side import Row, ratio
from torch import nn
from torch.nn import functional as F
from training_step import HEADS, LAYERS, B, D, T, config

from minigpt import attention
from minigpt.model import GPT

TARGET = 1.88  # nats per character on the held-out tenth
N_USUAL, N_OURS = 2000, 500
SEEDS = (0, 1, 2)


class Characters:
    """A text as numbers, its first nine tenths for training and the rest for validation."""

    def __init__(self, text: str):
        letters = {letter: i for i, letter in enumerate(sorted(set(text)))}
        ids = torch.tensor([letters[letter] for letter in text])
        n = int(0.9 * len(ids))
        self.n_vocab, self.train, self.held_out = len(letters), ids[:n], ids[n:]

    def batch(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        start = torch.randint(0, len(self.train) - T - 1, (B, 1), generator=generator)
        ids = self.train[start + torch.arange(T + 1)]
        return ids[:, :-1], ids[:, 1:]

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        """Nats per character of the whole held-out part, in windows of T."""
        n = (len(self.held_out) - 1) // T
        inputs, targets = self.held_out[: n * T].view(n, T), self.held_out[1 : n * T + 1].view(n, T)
        total = 0.0
        for x, y in zip(inputs.split(256), targets.split(256)):
            total += F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
        return total / targets.numel()


def usual(text: Characters, seed: int, n_steps: int, every: int) -> tuple[float, float]:
    """Seconds until the usual recipe first reaches TARGET (all of them if it does not), and its last loss."""
    torch.manual_seed(seed)  # the plain GPT draws its weights as most programs do
    model, generator = PlainGPT(text.n_vocab, T, LAYERS, HEADS, D), torch.Generator().manual_seed(seed)
    optimizer, seconds, reached, loss = plain_optimizer(model, 1e-3, (0.9, 0.99), 0.1), 0.0, None, math.nan
    for step in range(n_steps):
        start = time.perf_counter()
        t = (step - 100) / max(1, n_steps - 100)
        rate = 1e-3 * (step + 1) / 100 if step < 100 else 1e-4 + 9e-4 * (1 + math.cos(math.pi * t)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        plain_step(model, optimizer, *text.batch(generator))
        seconds += time.perf_counter() - start
        if (step + 1) % every == 0 or step == n_steps - 1:
            loss = text.loss(model)
            reached = seconds if reached is None and loss <= TARGET else reached
    return reached or seconds, loss


def ours(text: Characters, seed: int, n_steps: int) -> tuple[float, float]:
    """Seconds of our recipe, and its loss at the end."""
    generator = torch.Generator().manual_seed(seed)
    form = config(n_vocab=text.n_vocab)
    model = GPT(type(form)(**{**vars(form), "init": "gpt2", "init_std": 0.05}), generator)
    attention.use_fused(model, True)
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and name.startswith("blocks")]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and name.startswith("blocks"))]
    optimizers = [
        torch.optim.AdamW(others, 8e-3, (0.9, 0.95), weight_decay=0.0, fused=True),
        torch.optim.Muon(matrices, 1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    rates, warmup, seconds = [group["lr"] for o in optimizers for group in o.param_groups], min(20, n_steps), 0.0
    for step in range(n_steps):
        start = time.perf_counter()
        share = (step + 1) / warmup if step < warmup else 1 - (step - warmup) / (n_steps - warmup)
        for group, rate in zip((group for o in optimizers for group in o.param_groups), rates):
            group["lr"] = rate * share
        inputs, targets = text.batch(generator)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        seconds += time.perf_counter() - start
    return seconds, text.loss(model)


def measure(tiny: bool = False, text: str | None = None) -> list[Row]:
    if text is None and not tiny:
        return []
    letters = Characters(text or "to be or not to be, that is the question. " * 300)
    usual_steps, our_steps, seeds = (4, 2, SEEDS[:1]) if tiny else (N_USUAL, N_OURS, SEEDS)
    pairs = [(usual(letters, seed, usual_steps, 100), ours(letters, seed, our_steps)) for seed in seeds]
    reached = sum(loss <= TARGET for _, (_, loss) in pairs)
    other_losses, losses = (", ".join(f"{side[1]:.3f}" for side in each) for each in zip(*pairs))
    size = GPT(config(n_vocab=letters.n_vocab), torch.Generator().manual_seed(0)).n_params()
    note = (
        f"held-out loss {losses} ({reached} of {len(pairs)} at most {TARGET}); the usual recipe {other_losses}; "
        f"{size:,} parameters"
    )
    seconds = [[side[0] for side in each] for each in zip(*pairs)]
    return [ratio("time to the usual recipe's quality on Shakespeare", *seconds, goal=3, note=note)]


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit(__doc__)
    torch.set_num_threads(1)
    for row in measure(text=Path(sys.argv[1]).read_text(encoding="utf-8")):
        print(row)
