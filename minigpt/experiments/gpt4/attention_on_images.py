"""Chapter 06, section 1. Attention on images: does a model attend to the thing that it is asked about?

The models are those of visual_questions.py; pictures of four things, so chance is 0.25.
"""

from collections.abc import Iterator

from minigpt import train
from minigpt.experiments.gpt4 import visual_questions

SEEDS, KEY = (0, 1, 2), ("seed", "block")


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: the share of the last word's attention that goes to the thing asked for, block by block."""
    shares = visual_questions.attention_to_what_is_asked(visual_questions.train_vqa(seed).model)
    for block, share in enumerate(shares, start=1):
        yield {"seed": seed, "block": block, "share": f"{share:.4f}"}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    model, found = visual_questions.barely_trained(SEEDS[1])
    shares = visual_questions.attention_to_what_is_asked(model, n=60)
    config, n_steps = visual_questions.TRAINING, visual_questions.N_STEPS
    found["sum of rates"] = sum(train.learning_rate(step, config) for step in range(n_steps))
    return found | {f"share {block}": share for block, share in enumerate(shares, start=1)} | {"seeds": len(SEEDS)}
