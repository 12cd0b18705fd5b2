"""Chapter 03. One model, five ways to score its answers, K from 0 to as many as fit; and why many examples harm it.

Chapter 02's GPT-2 (width 96), which has read lists of three to five translated phrases, translates the 32 phrases that
occur nowhere in its text. With as many examples as fit into the window it is much worse than with two. Two things
differ then: the list is longer than any that it has read, and the question stands deeper in the window. The controls
change one of them: "2, deep" has two examples, read at the positions at which the longest prompts end; "2, after
phrases without translation" has as many tokens before the question as the longest prompts, but a list of two.

The table has a row for each seed, prompt and way of scoring: the accuracy over 32 phrases, choices among four (chance
0.25) or exact match of what was written, and the mean number of tokens of the prompts ("tokens"). A seed takes two
minutes on one core, nearly all of it training. Measured so far: three seeds.
"""

import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from minigpt import fewshot, prompts
from minigpt.experiments import canaries, dataset
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import zero_shot
from minigpt.model import GPT
from minigpt.prompts import Example
from minigpt.worlds import stories
from minigpt.worlds.lexicon import LEXICON

SEEDS = (0, 1, 2)
KEY = ("seed", "prompt", "how")
WAYS = (*fewshot.CHOOSING, *fewshot.WRITING)
SHOTS = (0, 2, 4, 8, "fit")
DEEP, AFTER_PHRASES = "2, deep", "2, after phrases without translation"
N_NEW = 12


def phrase(animal, colour) -> Example:
    """A phrase to translate, and four choices: right, wrong animal, wrong colour, wrong gender."""
    i, j = LEXICON.animals.index(animal), LEXICON.colours.index(colour)
    right = stories.french_phrase(animal, colour)
    article, rest = right.split(" ", 1)
    choices = (
        right,
        stories.french_phrase(LEXICON.animals[i - 1], colour),
        stories.french_phrase(animal, LEXICON.colours[j - 1]),
        f"{'une' if article == 'un' else 'un'} {rest}",
    )
    prompt = f"{stories.a(colour.name)} {animal.name} ="
    return Example(prompt, f" {right}", tuple(f" {choice}" for choice in choices))


def phrases() -> tuple[list[Example], list[Example]]:
    """(the phrases that occur in no translation of the corpus, the others)."""
    pairs = [(animal, colour) for animal in LEXICON.animals for colour in LEXICON.colours]
    held_out = [stories.held_out(LEXICON, *pair) for pair in pairs]
    asked = [phrase(*pair) for pair, out in zip(pairs, held_out) if out]
    return asked, [phrase(*pair) for pair, out in zip(pairs, held_out) if not out]


@contextlib.contextmanager
def read_deeper(gpt: GPT, n: int) -> Iterator[GPT]:
    """Inside, the model takes every text to begin n positions later in its window; afterwards it is as before.

    Errors: texts that then reach beyond the window are an error of the position table.
    """
    gpt.embed = lambda ids, n_past=0: GPT.embed(gpt, ids, n_past + n)
    try:
        yield gpt
    finally:
        del gpt.embed


def scored(gpt: GPT, data: Dataset, prompt: int | str, how: str, n_asked: int | None = None) -> float:
    """Accuracy with a prompt (of SHOTS, DEEP or AFTER_PHRASES) and a way of scoring (of WAYS)."""
    asked, pool = phrases()
    asked = asked[:n_asked]
    asked = asked if how in fewshot.CHOOSING else [replace(example, choices=()) for example in asked]
    pool = pool if how in fewshot.CHOOSING else [replace(example, choices=()) for example in pool]
    settings = {"pool": pool, "answer_context": "=", "n_new": N_NEW}
    k = prompt if prompt in SHOTS else 2
    with contextlib.ExitStack() as changed:
        if prompt == DEEP:
            changed.enter_context(read_deeper(gpt, room_before(gpt, data, asked, pool)))
        if prompt == AFTER_PHRASES:
            settings["task_description"] = untranslated(data, room_before(gpt, data, asked, pool))
        return fewshot.evaluate(gpt, data.tokenizer, asked, k, how, random.Random(0), **settings).score


def room_before(gpt: GPT, data: Dataset, asked: list[Example], pool: list[Example]) -> int:
    """How many more tokens may stand before the longest prompt with two examples, so that its answer still fits."""
    longest = max(len(data.tokenizer.encode(example.text)) for example in (*asked, *pool))
    two = 3 * (longest + 1) + 1  # two examples and a question, each with its line end; end-of-text
    return gpt.config.n_ctx - two - N_NEW


def untranslated(data: Dataset, n_tokens: int) -> str:
    """Lines with English phrases alone, as many as n_tokens tokens hold."""
    lines = []
    for example in phrases()[1]:
        longer = [*lines, example.context.removesuffix(" =")]
        if len(data.tokenizer.encode("\n".join(longer) + "\n")) > n_tokens:
            break
        lines = longer
    return "\n".join(lines)


def mean_tokens(gpt: GPT, data: Dataset, prompt: int | str) -> float:
    """Mean number of tokens before the answer, end-of-text included; for DEEP, the position that it is written at."""
    (asked, pool), rng, found = phrases(), random.Random(0), []

    def count(text):
        return len(data.tokenizer.encode(text))

    before = room_before(gpt, data, asked, pool)
    description = untranslated(data, before) if prompt == AFTER_PHRASES else ""
    for example in asked:
        shown = prompts.draw(pool, len(pool) if prompt == "fit" else prompt if prompt in SHOTS else 2, rng, example)
        if prompt == "fit":
            needed = max(count(choice) for choice in example.choices)
            shown = shown[: prompts.fit("", shown, example, count, gpt.config.n_ctx, needed)]
        found.append(1 + count(prompts.build(description, shown, example)))
    return float(np.mean(found)) + (before if prompt == DEEP else 0)


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed."""
    data = dataset.story_dataset()
    for (prompt, how), value in measure(data, seed).items():
        yield {"seed": seed, "prompt": prompt, "how": how, "value": f"{value:.4f}"}


def measure(data: Dataset, seed: int, n_asked: int | None = None) -> dict[tuple[str, str], float]:
    """Everything that is measured of one seed: (prompt, how) -> accuracy, or tokens."""
    gpt, found = zero_shot.pretrain(data, seed=seed).model, {}
    for prompt in (*SHOTS, DEEP, AFTER_PHRASES):
        for how in WAYS:
            found[str(prompt), how] = scored(gpt, data, prompt, how, n_asked)
        found[str(prompt), "tokens"] = mean_tokens(gpt, data, prompt)
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    data = canaries.stories(4)
    with canaries.few_updates() as found:
        measured = measure(data, 0, 1)
    asked, pool = phrases()
    found |= {
        "asked": len(asked),
        "pool": len(pool),
        "choices": canaries.sum_of_tokens([c for e in asked for c in e.choices]),
    }
    gpt = canaries.gpt1()
    for how in fewshot.CHOOSING:
        scores = fewshot.score_choices(gpt, data.tokenizer, asked[0].context, asked[0].choices, how, answer_context="=")
        found[f"score, {how}"] = scores.sum()
    return found | {f"{prompt}, {how}": value for (prompt, how), value in measured.items()}
