"""Chapter 01, section 11. Zero-shot behaviours of a pre-trained model, by GPT-1's heuristics."""

import random

import numpy as np

from minigpt import sample
from minigpt.experiments.dataset import Dataset
from minigpt.model import GPT
from minigpt.worlds import grammar, lexicon, story_tasks


def zero_shot(gpt: GPT, data: Dataset, task: str, n_test: int = 200) -> float:
    """Zero-shot accuracy of a language model without fine-tuning, by heuristics in the spirit of GPT-1's section 5.

    classification: which mood's verbs are likeliest after "At last <name>"?
    similarity: after the two sentences, is "They felt" likelier than "They did"?
    multiple choice: which ending has the higher mean token log-probability after the story?
    """
    examples = story_tasks.labelled(task, n_test, random.Random(f"zero-shot {task}"))
    ask = {"classification": _likeliest_mood, "similarity": _felt_the_same, "multiple choice": _likelier_ending}
    if task not in ask:
        raise ValueError(f"expected one of {sorted(ask)} (there is no heuristic for the others); got {task!r}")
    right = [ask[task](gpt, data.tokenizer, *parts) == label for parts, label in examples]
    return sum(right) / len(right)


def _likeliest_mood(gpt, tokenizer, text):
    names = {f" {character.name}" for character in lexicon.CHARACTERS}
    hero = next(word for word in grammar.words(text) if word in names)
    verbs = [f" {verb}" for mood in lexicon.MOODS for verb in mood.reactions]
    p = sample.continuation_logps(gpt, tokenizer, f"{text} At last{hero}", verbs).exp()
    shares = [share.sum().item() for share in p.split([len(mood.reactions) for mood in lexicon.MOODS])]
    return int(np.argmax(shares))


def _felt_the_same(gpt, tokenizer, first, second):
    logps = sample.next_logps(gpt, tokenizer, f"{first} {second} They")
    return int(logps[tokenizer.encode(" felt")[0]] > logps[tokenizer.encode(" did")[0]])


def _likelier_ending(gpt, tokenizer, context, *endings):
    return int(np.argmin([sample.continuation_nats(gpt, tokenizer, context, ending) for ending in endings]))
