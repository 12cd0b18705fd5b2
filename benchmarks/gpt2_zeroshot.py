"""What can a model do that was never trained for it? Asks the book's GPT-2 in four sizes, and on the way there.

    python benchmarks/gpt2_zeroshot.py              all seeds (about half an hour on one core)
    python benchmarks/gpt2_zeroshot.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt2_zeroshot.csv, a row for each seed, width, training step and quantity: "gap" (the loss above
the floor, as a share of it), "tokens" (read so far) and the accuracy at every task of `minigpt.zeroshot`. The largest
model is asked at every second snapshot, the others at the end. Chapter 02 reads the file.
"""

import os
import sys
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from minigpt import sample
from minigpt.exact import entropy
from minigpt.experiments import dataset, measured, pretraining, sizes
from minigpt.experiments.gpt2 import zero_shot, zero_shot_questions

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "d_model", "step", "quantity")


def main(seeds: list[int]) -> None:
    """Measure one seed after another, the small models first."""
    library = dataset.story_dataset()
    for seed in seeds:
        for d_model in sizes.GPT2_SIZES:
            trained = zero_shot.pretrain(library, d_model, seed)
            last, found = int(trained.steps[-1]), {}
            for step in asked_steps(trained, d_model):
                for name, value in measure(trained.at(step).eval(), library).items():
                    found[step, name] = value
                found[step, "tokens"] = trained.tokens[step - 1]
            rows = [dict(zip(KEY, (seed, d_model, *where)), value=f"{value:.4f}") for where, value in found.items()]
            measured.keep("gpt2_zeroshot", rows, KEY)
            print(seed, d_model, *(f"{name} {v:.2f}" for (step, name), v in found.items() if step == last), sep="; ")
            sys.stdout.flush()


def asked_steps(trained, d_model: int) -> list[int]:
    """When the model of one width is asked: the largest on its way, too."""
    last = int(trained.steps[-1])
    return sorted(trained.snapshots)[1::2] if d_model == max(sizes.GPT2_SIZES) else [last]


def measure(gpt, library, n_questions: int = 100) -> dict[str, float]:
    """What one model can do: its score at every task, and its loss above the floor."""
    found = {}
    for task in zero_shot_questions.TASKS:
        found |= zero_shot.ask(gpt, library.tokenizer, task, n_questions)
    nats = pretraining.held_out_nats(gpt, library)
    gap = entropy.gap(nats, library.held_out_nats, library.held_out_tokens)
    return found | {"gap": gap.mean / library.floor.mean, "gap, low end": gap.low / library.floor.mean}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories, sum_of_tokens

    library = stories(3)
    with few_updates() as found:
        for d_model in (min(sizes.GPT2_SIZES), max(sizes.GPT2_SIZES)):
            trained = zero_shot.pretrain(library, d_model, 0)
            found[f"width {d_model}, asked at"] = sum(asked_steps(trained, d_model))
    gpt, tokenizer = trained.model, library.tokenizer
    found |= measure(gpt, library, n_questions=1) | {"floor": library.floor.mean}
    for task in zero_shot_questions.TASKS:  # the model can hardly answer yet: how likely it finds each answer says more
        (question,) = zero_shot_questions.questions(task, 1)
        options = [option + question.rest for option in question.choices or (question.answer,)]
        logps = sample.continuation_logps(gpt, tokenizer, question.prompt, options)
        found[f"{task}, log P"], found[f"{task}, best"] = logps.mean().item(), logps.max().item()
    for d_model, (n_heads, rate) in sizes.GPT2_SIZES.items():
        found[f"width {d_model}"] = n_heads + 1000 * rate
    question = zero_shot_questions.questions("reading", 1)[0].prompt
    found["written"] = sum_of_tokens(zero_shot.write_answers(gpt, tokenizer, [question]))
    written = zero_shot.write_freely(gpt, tokenizer, [question], torch.Generator().manual_seed(0))
    found["written freely"] = sum_of_tokens(written)
    return found | scores_of_known_answers(tokenizer)


def scores_of_known_answers(tokenizer) -> dict[str, float]:
    """The scores if every second answer written were the right one, and the others those of the question before."""
    found = {}
    for task in ("closed book", "summary", "summary, no hint"):
        questions = zero_shot_questions.questions(task, 4)
        answers = [questions[i - i % 2].answer for i in range(4)]
        with (
            mock.patch.object(zero_shot, "write_answers", return_value=answers),
            mock.patch.object(zero_shot, "write_freely", return_value=answers),
        ):
            found |= zero_shot.ask(None, tokenizer, task, 4)
    return {f"{name}, answers known": value for name, value in found.items()}


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
