"""Chapter 02. Does a skill come in steps? log P(right answer) over training and size, beside accuracy and loss.

Exact match of several tokens can turn a smooth gain into a step; the probability of the right answer cannot. The models
are those of gpt2/zero_shot, asked at the same snapshots and the same 100 questions, so that accuracy and the gap to the
floor are read from its table.

The table data/measured/gpt2/answer_logps.csv has a row for each seed, width, training step and task whose answer is
written: the mean of log P(answer | prompt) over the questions, all tokens of an answer together. Unit: nats. A minute
for each seed, if the models are in the cache.
"""

from collections.abc import Iterator

import numpy as np
import torch

from minigpt import loss
from minigpt.experiments import dataset, measured, sizes
from minigpt.experiments.gpt2 import zero_shot, zero_shot_questions
from minigpt.experiments.gpt2.zero_shot_questions import Question
from minigpt.model import GPT
from minigpt.tokenizer import IGNORED, Tokenizer

SEEDS = (0, 1, 2)
KEY = ("seed", "d_model", "step", "task")
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
    parts = zip(inputs.split(50), targets.split(50))
    found = [loss.token_logps(gpt(some), wanted).sum(dim=1).double() for some, wanted in parts]
    return torch.cat(found).cpu().numpy()


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed, the small models first."""
    data = dataset.story_dataset()
    for d_model in sizes.GPT2_SIZES:
        trained = zero_shot.pretrain(data, d_model, seed)
        for step in zero_shot.asked_steps(trained, d_model):
            for task, value in measure(trained.at(step).eval(), data.tokenizer).items():
                yield dict(zip(KEY, (seed, d_model, step, task)), value=f"{value:.4f}")


def measure(gpt: GPT, tokenizer: Tokenizer, n: int = 100) -> dict[str, float]:
    """Task -> mean log P(answer), nats."""
    return {task: float(answer_logps(gpt, tokenizer, zero_shot_questions.questions(task, n)).mean()) for task in TASKS}


WIDEST = max(sizes.GPT2_SIZES)


def over_training(task: str) -> dict[str, dict[int, list[float]]]:
    """{"gap", "log P", "accuracy"} -> {tokens read by the widest model: a value a seed}: three panels on one axis."""
    steps = sorted({int(row["step"]) for row in measured.rows("gpt2/answer_logps") if row["d_model"] == str(WIDEST)})
    return _three(task, {int(_zero_shot("tokens", WIDEST, step)[0]): (WIDEST, step) for step in steps})


def over_size(task: str) -> dict[str, dict[int, list[float]]]:
    """{"gap", "log P", "accuracy"} -> {width: a value a seed}, each at the end of its training."""
    last = {}
    for row in measured.rows("gpt2/answer_logps"):
        last[int(row["d_model"])] = max(last.get(int(row["d_model"]), 0), int(row["step"]))
    return _three(task, {d_model: (d_model, step) for d_model, step in sorted(last.items())})


def _three(task: str, where: dict[int, tuple[int, int]]) -> dict[str, dict[int, list[float]]]:
    found = {"gap": {}, "log P": {}, "accuracy": {}}
    for x, (d_model, step) in where.items():
        found["gap"][x] = _zero_shot("gap", d_model, step).tolist()
        found["log P"][x] = measured.get("gpt2/answer_logps", d_model=d_model, step=step, task=task).tolist()
        found["accuracy"][x] = _zero_shot(task, d_model, step).tolist()
    return found


def _zero_shot(quantity: str, d_model: int, step: int) -> np.ndarray:
    """The numbers of gpt2/zero_shot for the seeds of this table."""
    return measured.get("gpt2/zero_shot", quantity=quantity, d_model=d_model, step=step)[: len(SEEDS)]


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    data = stories(3)
    with few_updates(2) as found:
        for d_model in (min(sizes.GPT2_SIZES), WIDEST):
            trained = zero_shot.pretrain(data, d_model, 0)
            found[f"width {d_model}, asked at"] = sum(zero_shot.asked_steps(trained, d_model))
    return found | measure(trained.model, data.tokenizer, n=3)
