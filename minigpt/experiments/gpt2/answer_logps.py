"""Chapter 02. Does a skill come in steps? log P(right answer) over training and size, beside accuracy and loss.

Exact match of several tokens can turn a smooth gain into a step; the probability of the right answer cannot. The models
are those of gpt2/zero_shot, asked at the same snapshots and the same 100 questions. Their accuracy is measured again,
with the very weights that gave log P: on another processor a seed trains to other weights.

The table data/measured/gpt2/answer_logps.csv has a row for each seed, width, training step, task and quantity: "log P",
the mean of log P(answer | prompt) over the questions, all tokens of an answer together, in nats; "accuracy"; and of the
task "corpus" the "gap" (the loss above the floor, as a share of it) and the "tokens" read. Minutes for each seed, if
the models are in the cache.
"""

from collections.abc import Iterator

import numpy as np
import torch

from minigpt import loss
from minigpt.exact import entropy
from minigpt.experiments import dataset, measured, pretraining, sizes
from minigpt.experiments.gpt2 import zero_shot, zero_shot_questions
from minigpt.experiments.gpt2.zero_shot_questions import Question
from minigpt.model import GPT
from minigpt.tokenizer import IGNORED, Tokenizer

SEEDS = (0, 1, 2)
KEY = ("seed", "d_model", "step", "task", "quantity")
TASKS = (
    "phrase to French", "phrase to French, no pairs", "sentence to French", "phrase from French",
    "sentence from French", "closed book", "reading", "summary", "last word",
)  # fmt: skip


@torch.no_grad()
def answer_logps(gpt: GPT, tokenizer: Tokenizer, asked: list[Question]) -> np.ndarray:
    """log P(answer | prompt) of each question's right answer, all its tokens together. Shapes: (n,). Unit: nats.

    All questions are read at once: prompt, answer, padding; only the answer's tokens are counted.
    Errors: ValueError for a question with choices, whose answer is not written.
    """
    if any(q.choices for q in asked):
        raise ValueError("expected questions whose answers are written; got one with choices")
    texts = [(tokenizer.encode(q.prompt), tokenizer.encode(q.answer)) for q in asked]
    longest = max(len(prompt) + len(answer) for prompt, answer in texts)
    inputs = torch.full((len(asked), longest), tokenizer.endoftext)
    targets = torch.full((len(asked), longest), IGNORED)
    for i, (prompt, answer) in enumerate(texts):
        ids = torch.tensor([tokenizer.endoftext, *prompt, *answer])
        inputs[i, : len(ids) - 1] = ids[:-1]
        targets[i, len(prompt) : len(ids) - 1] = ids[len(prompt) + 1 :]
    parts = zip(gpt.here(inputs).split(50), gpt.here(targets).split(50))
    found = [loss.token_logps(gpt(some), wanted).sum(dim=1).double() for some, wanted in parts]
    return torch.cat(found).cpu().numpy()


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed, the small models first."""
    data = dataset.story_dataset()
    for d_model in sizes.GPT2_SIZES:
        trained = zero_shot.pretrain(data, d_model, seed)
        for step in zero_shot.asked_steps(trained, d_model):
            found = measure(trained.at(step).eval(), data) | {("corpus", "tokens"): trained.tokens[step - 1]}
            for where, value in found.items():
                yield dict(zip(KEY, (seed, d_model, step, *where)), value=f"{value:.4f}")


def measure(gpt: GPT, data: dataset.Dataset, n: int = 100) -> dict[tuple[str, str], float]:
    """(task, quantity) -> number, of one model."""
    found = {}
    for task in TASKS:
        asked = zero_shot_questions.questions(task, n)
        found[task, "log P"] = float(answer_logps(gpt, data.tokenizer, asked).mean())
        found[task, "accuracy"] = zero_shot.ask(gpt, data.tokenizer, task, n)[task]
    gap = entropy.gap(pretraining.held_out_nats(gpt, data), data.held_out_nats, data.held_out_tokens)
    return found | {("corpus", "gap"): gap.mean / data.floor.mean}


WIDEST = max(sizes.GPT2_SIZES)


def over_training(task: str) -> dict[str, dict[int, list[float]]]:
    """{"gap", "log P", "accuracy"} -> {tokens read by the widest model: a value a seed}: three panels on one axis."""
    steps = _steps(WIDEST)
    return _three(task, {int(_get("corpus", "tokens", WIDEST, step)[0]): (WIDEST, step) for step in steps})


def over_size(task: str) -> dict[str, dict[int, list[float]]]:
    """{"gap", "log P", "accuracy"} -> {width: a value a seed}, each at the end of its training."""
    return _three(task, {d_model: (d_model, _steps(d_model)[-1]) for d_model in sorted(sizes.GPT2_SIZES)})


def _three(task: str, where: dict[int, tuple[int, int]]) -> dict[str, dict[int, list[float]]]:
    kinds = {"gap": ("corpus", "gap"), "log P": (task, "log P"), "accuracy": (task, "accuracy")}
    return {name: {x: _get(*kind, *model).tolist() for x, model in where.items()} for name, kind in kinds.items()}


def _steps(d_model: int) -> list[int]:
    rows_ = measured.rows("gpt2/answer_logps")
    return sorted({int(row["step"]) for row in rows_ if row["d_model"] == str(d_model)})


def _get(task: str, quantity: str, d_model: int, step: int) -> np.ndarray:
    return measured.get("gpt2/answer_logps", task=task, quantity=quantity, d_model=d_model, step=step)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    data = stories(3)
    with few_updates(2) as found:
        for d_model in (min(sizes.GPT2_SIZES), WIDEST):
            trained = zero_shot.pretrain(data, d_model, 0)
            found[f"width {d_model}, asked at"] = sum(zero_shot.asked_steps(trained, d_model))
    scores = measure(trained.model, data, n=2)
    return found | {", ".join(where): value for where, value in scores.items()}
