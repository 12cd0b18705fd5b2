"""Writing: how fast does the package generate text, beside two other ways?

The model has the size of the training benchmark and a context of 256; one token is given and 255 are drawn, for one
text and for sixteen at once. The other sides: the same function without its key-value cache, and `generate` of the
library transformers (the optional extra "test") with its cache, a model of the same form, drawing at temperature 1.

    python benchmarks/writing.py
"""

import torch
from side_by_side import Row, in_turn, ratio
from training_step import HEADS, LAYERS, D, V, config

from minigpt.model import GPT
from minigpt.sample import generate

CONTEXT = 256


def theirs():
    """GPT-2 of the library transformers at the same size, or None if it is not installed."""
    try:
        import transformers
    except ImportError:
        return None
    form = transformers.GPT2Config(
        vocab_size=V, n_positions=CONTEXT, n_embd=D, n_layer=LAYERS, n_head=HEADS, bos_token_id=0, eos_token_id=None
    )
    return transformers.GPT2LMHeadModel(form).eval()


def measure(tiny: bool = False) -> list[Row]:
    n_new, rounds = (8, 1) if tiny else (CONTEXT - 1, 5)
    torch.manual_seed(0)
    model = GPT(config(context=CONTEXT), torch.Generator().manual_seed(0))
    other, rows = theirs(), []
    for B in (1, 16):
        prompt = torch.zeros(B, 1, dtype=torch.long)
        sides = {
            name: lambda prompt=prompt, cache=cache: generate(
                model, prompt, n_new, torch.Generator().manual_seed(1), use_cache=cache
            )
            for name, cache in (("ours", True), ("no cache", False))
        }
        if other is not None:
            sides["transformers"] = lambda prompt=prompt: other.generate(
                prompt, max_new_tokens=n_new, do_sample=True, top_k=0, attention_mask=torch.ones_like(prompt),
                pad_token_id=0,
            )
        times = in_turn(sides, rounds)
        texts = "one text" if B == 1 else f"{B} texts at once"
        name = f"writing {texts}, beside the same without a cache"
        rows.append(ratio(name, times["no cache"], times["ours"], goal=5))
        if other is not None:
            name = f"writing {texts}, beside transformers with its cache"
            rows.append(ratio(name, times["transformers"], times["ours"], goal=3))
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    for row in measure():
        print(row)
