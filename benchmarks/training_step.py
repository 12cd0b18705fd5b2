"""Training step: how fast is one update of the package beside a plain GPT in PyTorch, and beside the processor's peak?

At the recipe that is usual for a CPU: 4 layers, 4 heads, 128 wide, 64 tokens of context, batches of 12, 65
characters. The other side (plain_gpt.py) looks at nothing, checks nothing and keeps no record. Both begin with the
same weights, and the losses of the first update are compared: a benchmark of two programs that compute different
things would say nothing. For the same reason the plain GPT has our GELU, with tanh, as in the code that OpenAI
released; a second row has the exact one, which torch computes in less time on a CPU.

Then the share of the matrix-multiply peak: floating-point operations of a step (forward and backward, counted by
minigpt.scaling) per second of the step, over those of one large matrix product on the same thread.

    python benchmarks/training_step.py
"""

import torch
from plain_gpt import PlainGPT, plain_optimizer, plain_step
from side_by_side import Row, in_turn, ratio

from minigpt import attention, devices, train
from minigpt.model import GPT, GPTConfig

V, T, B, LAYERS, HEADS, D = 65, 64, 12, 4, 4, 128
RATE, BETAS, DECAY = 1e-3, (0.9, 0.99), 0.1
NAMES = {  # the plain GPT's names -> ours
    "tokens": "W_e", "positions": "W_p", "ln": "ln_f", "qkv": "attn.W_qkv", "proj": "attn.W_o", "up": "mlp.W_1",
    "down": "mlp.W_2",
}  # fmt: skip


class Batches:
    """Random tokens, always the same ones, as the plain side reads them too."""

    def __init__(self, n: int = 64, context: int = T, rows: int = B, n_vocab: int = V):
        self.ids = torch.randint(0, n_vocab, (n, rows, context + 1), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, i: int):
        ids = self.ids[i % len(self.ids)]
        return ids[:, :-1], ids[:, 1:]


def config(n_layers: int = LAYERS, d: int = D, n_heads: int = HEADS, context: int = T, n_vocab: int = V) -> GPTConfig:
    return GPTConfig(n_vocab=n_vocab, n_ctx=context, n_layers=n_layers, n_heads=n_heads, d_model=d, norm="pre")


def updates(model, batches: Batches):
    """The package's own loop, one record for each update."""
    settings = train.TrainConfig(n_steps=1 << 29, lr=RATE, betas=BETAS, weight_decay=DECAY)
    return train.train(model, batches, settings)


def same_weights(plain: PlainGPT, model: GPT) -> None:
    """Give the package's model the weights of the plain one."""
    state = {}
    for name, value in plain.state_dict().items():
        parts = name.split(".")
        state[".".join(NAMES.get(part, part) for part in parts)] = value
    missing, unknown = model.load_state_dict(state, strict=False)
    assert not missing and not unknown, (missing, unknown)


def flops_per_step(model: GPT, rows: int, context: int) -> float:
    """Multiplications and additions of one update."""
    return devices.training_flops(model, context) * rows * context


def peak(rounds: int = 5, n: int = 1024) -> float:
    """Floating-point operations per second of a large matrix product: the best of some."""
    a, b = torch.rand(n, n), torch.rand(n, n)
    return 2 * n**3 / min(in_turn({"product": lambda: a @ b}, rounds)["product"])


def measure(tiny: bool = False) -> list[Row]:
    rounds, each = (2, 1) if tiny else (15, 10)
    torch.manual_seed(0)
    plain, exact = (PlainGPT(V, T, LAYERS, HEADS, D, gelu) for gelu in ("tanh", "none"))
    batches, found, sides = Batches(), [], {}
    for name, fused in (("formula", False), ("fused", True)):
        model = GPT(config(), torch.Generator().manual_seed(0))
        same_weights(plain, model)
        attention.use_fused(model, fused)
        records = updates(model, batches)
        found.append(next(records).loss)
        sides[name] = lambda records=records: [next(records) for _ in range(each)]
    exact.load_state_dict(plain.state_dict())
    for name, other in (("plain", plain), ("exact", exact)):
        optimizer = plain_optimizer(other, RATE, BETAS, DECAY)
        found.append(plain_step(other, optimizer, *batches[0]).item())

        def theirs(other=other, optimizer=optimizer):
            for i in range(each):
                plain_step(other, optimizer, *batches[i])

        sides[name] = theirs
    assert max(found) - min(found) < 1e-5, found
    times = in_turn(sides, rounds)
    rows = [
        ratio("training step beside a plain GPT with the same GELU", times["plain"], times["fused"], goal=1.0),
        ratio("training step beside a plain GPT with torch's exact GELU", times["exact"], times["fused"]),
        ratio("training step, attention by the formula, beside the first", times["plain"], times["formula"]),
    ]
    # The widest model of the chapters (chapter 04's larger one) has the width and the depth of this recipe.
    step = sorted(times["fused"])[len(times["fused"]) // 2] / each
    share = flops_per_step(model, B, T) / step / peak(2 if tiny else 9)
    rows.append(Row("share of the matrix-multiply peak in that training step", share, "share", goal=0.75))
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    for row in measure():
        print(row)
