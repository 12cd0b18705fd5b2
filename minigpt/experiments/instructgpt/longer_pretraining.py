"""Chapter 04, section 9. Does the smallest aligned model fail because its base model has learned too little?

The smallest size of `figure1`, its base model trained as there and for several passes over the same web text; then the
same steps, against the same reward model. "win_prompted" is how often a labeler prefers the answer to one of the
largest GPT with a few-shot prompt. Two minutes a seed on one core, after `figure1`.
"""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

from minigpt.experiments import pretraining
from minigpt.experiments.instructgpt import figure1, three_steps
from minigpt.experiments.instructgpt.shortened import shortened, told_on_the_web
from minigpt.experiments.instructgpt.step3_ppo import win_rate
from minigpt.experiments.instructgpt.three_steps import MIDDLE, SIZES, Trained

SEEDS = [0]
KEY = ("seed", "passes", "method")
PASSES = (1, 3)  # over the web text; those of figure1 read it once
METHODS = ("GPT (prompted)", "SFT", "PPO")


def base(d_model: int, n_passes: int) -> Trained:
    """GPT of one size that has read the web text several times; once: the one of `three_steps`."""
    if n_passes == 1:
        return three_steps.base(d_model)
    training = replace(three_steps.PRETRAINING, lr=three_steps.rate(three_steps.PRETRAINING.lr, d_model))
    pretrain = functools.partial(
        pretraining.pretrain, three_steps.web_dataset(), three_steps.config(d_model), 0, training=training,
        tokens_per_batch=1024, n_watched=4,
    )  # fmt: skip
    n_steps = n_passes * len(three_steps.text_batches(1024, 0))
    found = pretrain(n_steps=n_steps)
    return Trained(found.model, {"steps": found.watched, "held_out": found.held_out})


def rows(seed: int) -> Iterator[dict]:
    """Measure one seed: a row for each number of passes and method."""
    small, large = min(SIZES), max(SIZES)
    scorer = figure1.reward_model(seed)
    theirs = figure1.look(three_steps.base(large).model, scorer.model, figure1.OPPONENT_SEED + seed, prompted=True)
    for n_passes in PASSES:
        start = base(small, n_passes)
        sft = three_steps.sft(start, seed)
        ppo = three_steps.rlhf(sft, scorer, seed)
        for method, model in zip(METHODS, (start.model, sft.model, ppo.model)):
            reference = sft.model if method == "PPO" else None
            seen = figure1.look(model, scorer.model, seed, method == METHODS[0], reference)
            found = {"win_prompted": win_rate(seen.totals, theirs.totals).mean} | seen.numbers
            yield dict(zip(KEY, (seed, n_passes, method))) | {name: f"{value:.4f}" for name, value in found.items()}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    with shortened() as found, contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(three_steps, "sample_answers", told_on_the_web))
        stack.enter_context(mock.patch.object(figure1, "N_RANKED", 8))
        stack.enter_context(mock.patch.object(figure1, "SIZES", (MIDDLE,)))
        stack.enter_context(mock.patch.dict(globals(), SIZES=(MIDDLE,), PASSES=(2,)))
        for row in rows(0):
            found |= {f"{row['method']}: {name}": float(row[name]) for name in ("win_prompted", "score", "text")}
    return found
