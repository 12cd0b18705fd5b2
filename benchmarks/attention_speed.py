"""Two questions, each answered by a ratio measured side by side in one run (absolute times depend on the machine).

1. How much faster would a whole training step be with torch's fused attention in place of the written-out formula?
   MultiHeadAttention uses the formula, which can be read aloud, as long as the gain at this book's usual length
   (a batch of 16 rows of 64 tokens) stays under a tenth.
2. How much faster is writing with the key-value cache than reading the text again for each token?

Run from the folder of the checkout:  python benchmarks/attention_speed.py [--quick]
"""

import argparse
import statistics
import time

import torch
from torch.nn import functional as F

from minigpt import attention
from minigpt.loss import lm_loss
from minigpt.model import GPT, GPTConfig
from minigpt.sample import generate

CONFIG = GPTConfig(n_vocab=600, n_ctx=128, n_layers=3, n_heads=6, d_model=96, init_std=96**-0.5)
FORMULA = attention.attention


def fused(q, k, v, mask=None, dropout=0.0):
    """torch's own attention in the place of the formula; it gives no weights."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=mask is not None, dropout_p=dropout), None


def seconds(function, repeats: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def side_by_side(functions: dict, rounds: int, repeats: int) -> dict:
    """Name -> seconds of each round; the functions take turns, so that a busy machine disturbs all alike."""
    for function in functions.values():
        function()  # the first call is never counted
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(seconds(function, repeats))
    return times


def training_steps(B: int, T: int) -> dict:
    model = GPT(CONFIG, torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.randint(0, CONFIG.n_vocab, (B, T + 1), generator=torch.Generator().manual_seed(1))

    def step(attend):
        attention.attention = attend  # only here: the package itself has one way to attend
        loss = lm_loss(model(ids[:, :-1]), ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        attention.attention = FORMULA

    return {"formula": lambda: step(FORMULA), "fused": lambda: step(fused)}


def writing(B: int, n_new: int) -> dict:
    model = GPT(CONFIG, torch.Generator().manual_seed(0))
    prompt = torch.zeros(B, 1, dtype=torch.long)

    def write(use_cache):
        generate(model, prompt, n_new, torch.Generator().manual_seed(1), use_cache=use_cache)

    return {"cached": lambda: write(True), "uncached": lambda: write(False)}


def report(what: str, times: dict, n_tokens: int) -> None:
    (a, slow), (b, fast) = times.items()
    ratio = statistics.median(x / y for x, y in zip(slow, fast, strict=True))
    speeds = ", ".join(f"{name} {n_tokens / min(t):,.0f} tokens/s" for name, t in times.items())
    print(f"{what}: time of {a} / {b} = {ratio:.2f}   ({speeds})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats, for a test that it runs")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rounds, repeats = (2, 1) if args.quick else (20, 4)
    print(
        f"torch {torch.__version__}, {args.threads} thread(s), {GPT(CONFIG, torch.Generator()).n_params():,} parameters"
    )
    for B, T in ((16, 64), (8, 128)):
        report(f"training step, B={B}, T={T}", side_by_side(training_steps(B, T), rounds, repeats), B * T)
    for B in (1, 16):
        times = side_by_side(writing(B, 20 if args.quick else 120), 1 if args.quick else 3, 1)
        report(f"writing, B={B}", times, B * (20 if args.quick else 120))


if __name__ == "__main__":
    main()
