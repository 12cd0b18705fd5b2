"""Chapter 01. Zero-shot behaviours: the language model asked without fine-tuning, by GPT-1's heuristics.

The table data/measured/gpt1/zero_shot.csv has a row for each task, step of pre-training and seed: the accuracy on the
500 test examples of gpt1/finetuning, so that the two can be compared. For entailment the paper names no heuristic; ours
is in `_how_well_it_fits`. Three minutes a seed on one core, and pre-training.
"""

import random
from collections.abc import Iterator, Sequence

import numpy as np

from minigpt import sample
from minigpt.experiments import dataset, pretraining
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt1 import finetuning
from minigpt.model import GPT
from minigpt.transforms import Example
from minigpt.worlds import grammar, lexicon, story_tasks

SEEDS = [0, 1, 2, 3, 4]
KEY = ("task", "step", "seed")


def zero_shot(gpt: GPT, data: Dataset, task: str, n_test: int = 200) -> float:
    """Zero-shot accuracy of a language model without fine-tuning, on examples of its own."""
    return accuracy(gpt, data, task, story_tasks.labelled(task, n_test, random.Random(f"zero-shot {task}")))


def accuracy(gpt: GPT, data: Dataset, task: str, examples: Sequence[Example]) -> float:
    """Zero-shot accuracy: the share of examples that a language model gets right, by heuristics like those of GPT-1.

    classification: which mood's verbs are likeliest after "At last <name>"?
    similarity: after the two sentences, is "They felt" likelier than "They did"?
    multiple choice: which ending has the higher mean token log-probability after the story?
    entailment: how much of the probability of all that could be said about the place (or the mood) after the premise
    agrees with the hypothesis? Nearly all: entailed; nearly nothing: contradicted; as much as one kind in 2 (or 4)
    gets by chance: neutral.
    Source: GPT-1, section 5, "Zero-shot behaviors". Differs: the paper has no heuristic for entailment.
    Errors: an unknown task, or no examples, are a ValueError.
    """
    ask = {
        "classification": _likeliest_mood, "entailment": _how_well_it_fits, "similarity": _felt_the_same,
        "multiple choice": _likelier_ending,
    }  # fmt: skip
    if task not in ask:
        raise ValueError(f"expected one of {sorted(ask)}; got {task!r}")
    if not examples:
        raise ValueError("expected at least one example, got none")
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


def _how_well_it_fits(gpt, tokenizer, premise, hypothesis):
    agrees, n_kinds = _agreement(gpt, tokenizer, premise, hypothesis)
    return int(np.argmin([1 - agrees, agrees, abs(agrees - 1 / n_kinds)]))  # 0 entailed, 1 contradicted, 2 neutral


def _agreement(gpt, tokenizer, premise, hypothesis):
    """The share of the probability that goes to the hypothesis' own kind, and the number of kinds."""
    kinds = _kinds_of(hypothesis)
    sentences = [f" {sentence}" for kind in kinds for sentence in kind]
    p = sample.continuation_logps(gpt, tokenizer, premise, sentences).exp()
    shares = np.array([share.sum().item() for share in p.split([len(kind) for kind in kinds])])
    own = [hypothesis.strip() in kind for kind in kinds]  # an adjective of two moods is of both kinds
    return shares[own].sum() / shares.sum(), len(kinds)


def _kinds_of(hypothesis):
    """All hypotheses about the same thing, place or mood, in kinds that exclude each other."""
    pronoun = "She" if "She" in hypothesis else "He"
    about_mood = [[f"{pronoun} was {adjective}." for adjective in mood.adjectives] for mood in lexicon.MOODS]
    about_place = [
        ["It was good to be home.", f"{pronoun} knew every corner of it.", f"{pronoun} had lived there for years."],
        ["It was far from home.", f"{pronoun} had never been there before.", f"{pronoun} did not know the way back."],
    ]
    for kinds in (about_mood, about_place):
        if any(hypothesis.strip() in kind for kind in kinds):
            return kinds
    raise ValueError(f"expected a hypothesis about the place or the mood; got {hypothesis!r}")


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed, one for each snapshot and task."""
    data = dataset.story_dataset()
    for where, value in measure(data, pretraining.pretrain(data, seed=seed)).items():
        yield dict(zip(KEY, (*where, seed)), value=f"{value:.3f}")


def measure(data: Dataset, trained: pretraining.Pretrained, n_test: int = 500) -> dict[tuple[str, int], float]:
    """The accuracy of every snapshot at every task: (task, step) -> share of right answers on the test set."""
    found = {}
    for task in finetuning.CLASSES:
        examples = finetuning.test_examples(task, n_test)
        for step in sorted(trained.snapshots):
            found[task, step] = accuracy(trained.at(step), data, task, examples)
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, gpt1, small_dataset, stories

    with few_updates() as found:
        measured = measure(stories(), pretraining.pretrain(stories(), n_watched=1), 4)
    found |= {f"{task}, step {step}": value for (task, step), value in measured.items()}
    for task in finetuning.CLASSES:
        examples = finetuning.test_examples(task, 12)
        found[f"{task}, accuracy"] = accuracy(gpt1(), small_dataset(), task, examples)
        if task == "entailment":
            for i, (parts, _) in enumerate(examples[:4]):
                found[f"agreement {i}"] = _agreement(gpt1(), small_dataset().tokenizer, *parts)[0]
        found[f"{task}, labels"] = float(np.dot([label + 1 for _, label in examples], np.arange(1, 13)))
    return found
