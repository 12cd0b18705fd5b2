"""Chapter 02, sections 1 to 5. Zero-shot evaluation: answers, choices, ceilings and shortcuts.

The table data/measured/gpt2/zero_shot.csv has a row for each seed, width, training step and quantity: "gap" (the loss
above the floor, as a share of it), "tokens" (read so far) and the accuracy at every task. The largest model is asked at
every second snapshot, the others at the end. About half an hour on one core.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch

from minigpt import sample
from minigpt.exact import entropy
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.gpt2 import zero_shot_questions
from minigpt.experiments.gpt2.zero_shot_questions import Question
from minigpt.model import GPT
from minigpt.tokenizer import Tokenizer
from minigpt.worlds import grammar, stories
from minigpt.worlds.lexicon import LEXICON

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "d_model", "step", "quantity")


def pretrain(data: dataset.Dataset, d_model: int = 96, seed: int = 0) -> pretraining.Pretrained:
    """Train the book's GPT-2 of one width on a dataset, or load it if it was trained before."""
    return pretraining.pretrain(data, sizes.gpt2(d_model), seed, training=sizes.gpt2_training(d_model))


def write_answers(gpt: GPT, tokenizer: Tokenizer, prompts: Iterable[str], n_new: int = 24, **how) -> list[str]:
    """What the model writes after each prompt, up to a full stop, a line end or the end of the document.

    Greedy, unless `how` (temperature, top_k, generator) says otherwise. A prompt is read as the beginning of a
    document: the end-of-text token stands before it, as in training. Prompts of one length are read together.
    """
    how = how or {"temperature": 0}
    ids = [[tokenizer.endoftext, *tokenizer.encode(prompt)] for prompt in prompts]
    by_length, answers = defaultdict(list), [""] * len(ids)
    for i, row in enumerate(ids):
        by_length[len(row)].append(i)
    for length, rows in sorted(by_length.items()):
        room = min(n_new, gpt.config.n_ctx + 1 - length)
        prompt = torch.tensor([ids[i] for i in rows])
        written = sample.generate(gpt, prompt, room, stop_id=tokenizer.endoftext, **how)[:, length:].tolist()
        for i, row in zip(rows, written):
            row = row[: row.index(tokenizer.endoftext)] if tokenizer.endoftext in row else row
            answers[i] = zero_shot_questions.first_sentence(tokenizer, row)
    return answers


def choose(gpt: GPT, tokenizer: Tokenizer, question: Question, with_rest: bool = True) -> str:
    """The choice that makes the whole likeliest: P(choice and what stands behind it | what stands before).

    Source: GPT-2, section 3.2. `with_rest=False` looks at the probability of the choice alone.
    """
    rest = question.rest if with_rest else ""
    logps = sample.continuation_logps(gpt, tokenizer, question.prompt, [word + rest for word in question.choices])
    return question.choices[int(logps.argmax())]


def ask(gpt: GPT, tokenizer: Tokenizer, task: str, n: int = 100) -> dict[str, float]:
    """Accuracy of a model at a task: the share of right answers, and more where a task has parts.

    A written answer is right if every word is; a summary gets the share of its five slots. Without the hint the model
    draws from the 2 likeliest tokens (greedy, it would just end), the mean of 3 tries; the paper drew so in both cases.
    """
    asked = zero_shot_questions.questions(task, n)
    if asked[0].choices:
        found = {task: np.mean([choose(gpt, tokenizer, q) == q.answer for q in asked])}
        if task == "cloze animal":
            found[f"{task}, word alone"] = np.mean([choose(gpt, tokenizer, q, False) == q.answer for q in asked])
        return {name: float(share) for name, share in found.items()}
    prompts = [q.prompt for q in asked]
    if task == "summary, no hint":
        generator = torch.Generator().manual_seed(0)
        written = [write_freely(gpt, tokenizer, prompts, generator) for _ in range(3)]
        return {task: _share_of_slots([(q, w) for each in written for q, w in zip(asked, each)])}
    written = write_answers(gpt, tokenizer, prompts)
    if task == "summary":
        rows = [zero_shot_questions.slots(q, w) for q, w in zip(asked, written)]
        parts = {f"summary, {name}": float(np.mean([row[name] for row in rows])) for name in rows[0]}
        return {task: float(np.mean([list(row.values()) for row in rows])), **parts}
    return {task: float(np.mean([w == q.answer for q, w in zip(asked, written)]))}


def write_freely(gpt: GPT, tokenizer: Tokenizer, prompts: list[str], generator: torch.Generator) -> list[str]:
    """What the model writes after each prompt, all of it, drawing from the two likeliest tokens."""
    written = []
    for prompt in prompts:
        room = min(24, gpt.config.n_ctx - len(tokenizer.encode(prompt)))
        written.append(sample.generate_text(gpt, tokenizer, prompt, room, generator, top_k=2))
    return written


def ceiling(question: Question, mix=stories.STORYBOOK) -> float:
    """Bayes-optimal accuracy at a question: of a reader who knows the grammar, and only that.

    A choice: the largest P(choice | text) by Bayes' rule. A written answer: P(answer | prompt). A translation is asked
    about a pair of words that the corpus never writes; for it the pairs held out are exchanged for others, and nothing
    else of the grammar is changed.
    """
    if question.choices:
        program = stories.program(mix)
        logps = [grammar.score(program, question.prompt + word + question.rest).logp for word in question.choices]
        share = np.exp(np.array(logps) - max(logps))
        return float(share.max() / share.sum())
    for turn in range(6):
        colours = LEXICON.colours[turn:] + LEXICON.colours[:turn]
        program = stories.program(mix, replace(LEXICON, colours=colours))
        try:
            before = grammar.predict(program, question.prompt).logp
            return math.exp(grammar.predict(program, question.prompt + question.answer).logp - before)
        except ValueError:
            continue
    raise ValueError(f"expected a question that documents of the world can begin with; got {question.prompt!r}")


def chance(task: str) -> float:
    """Chance accuracy: guessing among the answers of the right form."""
    n = {"animals": 24, "colours": 8, "objects": 24, "verbs": 11, "names": 32, "homes": 8, "foods": 8, "covers": 6}
    phrase = 1 / (n["animals"] * n["colours"])
    summary = sum(1 / n[what] for what in ("names", "animals", "verbs", "colours", "objects")) / 5
    return {
        "phrase": phrase, "sentence": phrase / n["verbs"] / n["objects"],
        "closed": (1 / n["homes"] + 1 / n["foods"] + 1 / n["covers"]) / 3,
        "reading": (1 / n["names"] + 1 / n["objects"] + 1 / n["colours"]) / 3,
        "summary": summary, "summary,": summary, "last": 1 / n["objects"], "cloze": 1 / 10,
    }[task.split()[0]]  # fmt: skip


def shortcut(task: str, n: int = 100) -> float:
    """Shortcut baseline: the accuracy of a rule that understands nothing.

    A written answer: the commonest answer to this kind of question (for a translation, to a line of the corpus). A
    choice: the word that is commonest in the text. A summary: the first sentence of the story.
    """
    asked = zero_shot_questions.questions(task, n)
    if task.startswith("summary"):
        return _share_of_slots([(q, re.split(r"[.\n]", q.prompt)[0]) for q in asked])
    if asked[0].choices:
        return float(np.mean([_commonest_choice(q) == q.answer for q in asked]))
    if "French" in task:  # a pair that is held out is never the answer to a line of the corpus
        return 0.0
    common = defaultdict(Counter)
    for q in zero_shot_questions.questions(task, 2000, "shortcut"):
        common[q.kind][q.answer] += 1
    return float(np.mean([common[q.kind].most_common(1)[0][0] == q.answer for q in asked]))


def _share_of_slots(written: list[tuple[Question, str]]) -> float:
    return float(np.mean([list(zero_shot_questions.slots(q, text).values()) for q, text in written]))


def _commonest_choice(question):
    text = Counter(grammar.words(question.prompt + " " + question.rest))
    return max(question.choices, key=lambda word: (text[word], word))


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed, the small models first."""
    data = dataset.story_dataset()
    for d_model in sizes.GPT2_SIZES:
        trained = pretrain(data, d_model, seed)
        for step in asked_steps(trained, d_model):
            found = measure(trained.at(step).eval(), data) | {"tokens": trained.tokens[step - 1]}
            for name, value in found.items():
                yield dict(zip(KEY, (seed, d_model, step, name)), value=f"{value:.4f}")


def asked_steps(trained: pretraining.Pretrained, d_model: int) -> list[int]:
    """The steps at which the model of one width is asked: the largest also on its way."""
    last = int(trained.steps[-1])
    return sorted(trained.snapshots)[1::2] if d_model == max(sizes.GPT2_SIZES) else [last]


def measure(gpt: GPT, data: dataset.Dataset, n_questions: int = 100) -> dict[str, float]:
    """What one model can do: its score at every task, and its loss above the floor."""
    found = {}
    for task in zero_shot_questions.TASKS:
        found |= ask(gpt, data.tokenizer, task, n_questions)
    nats = pretraining.held_out_nats(gpt, data)
    gap = entropy.gap(nats, data.held_out_nats, data.held_out_tokens)
    return found | {"gap": gap.mean / data.floor.mean, "gap, low end": gap.low / data.floor.mean}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories, sum_of_tokens

    data = stories(3)
    with few_updates() as found:
        for d_model in (min(sizes.GPT2_SIZES), max(sizes.GPT2_SIZES)):
            trained = pretrain(data, d_model, 0)
            found[f"width {d_model}, asked at"] = sum(asked_steps(trained, d_model))
    gpt, tokenizer = trained.model, data.tokenizer
    found |= measure(gpt, data, n_questions=1) | {"floor": data.floor.mean}
    for task in zero_shot_questions.TASKS:  # the model can hardly answer yet: how likely it finds each answer says more
        (question,) = zero_shot_questions.questions(task, 1)
        options = [option + question.rest for option in question.choices or (question.answer,)]
        logps = sample.continuation_logps(gpt, tokenizer, question.prompt, options)
        found[f"{task}, log P"], found[f"{task}, best"] = logps.mean().item(), logps.max().item()
    for d_model, (n_heads, rate) in sizes.GPT2_SIZES.items():
        found[f"width {d_model}"] = n_heads + 1000 * rate
    question = zero_shot_questions.questions("reading", 1)[0].prompt
    found["written"] = sum_of_tokens(write_answers(gpt, tokenizer, [question]))
    written = write_freely(gpt, tokenizer, [question], torch.Generator().manual_seed(0))
    found["written freely"] = sum_of_tokens(written)
    return found | _scores_of_known_answers(tokenizer)


def _scores_of_known_answers(tokenizer: Tokenizer) -> dict[str, float]:
    """The scores if every second answer written were the right one, and the others those of the question before."""
    from unittest import mock

    found = {}
    for task in ("closed book", "summary", "summary, no hint"):
        questions = zero_shot_questions.questions(task, 4)
        answers = [questions[i - i % 2].answer for i in range(4)]
        here = {name: mock.Mock(return_value=answers) for name in ("write_answers", "write_freely")}
        with mock.patch.multiple(__name__, **here):
            found |= ask(None, tokenizer, task, 4)
    return {f"{name}, answers known": value for name, value in found.items()}
