"""Labelled tasks in the language of the stories: classification, entailment, similarity and multiple choice."""

import random
from functools import partial

from minigpt.worlds import grammar, stories
from minigpt.worlds.lexicon import LEXICON, Lexicon


def mood_task(d, lexicon=LEXICON):
    """Classification (4 classes): the beginning of a story; the label is the number of the hero's mood."""
    hero, animal = stories.opening(d, lexicon)
    at_home = stories.visit(d, lexicon, hero, animal)
    stories.homecoming(d, hero, at_home)
    stories.find(d, lexicon, hero)
    mood = d.hidden(lexicon.moods, stories.mood_weights(lexicon, at_home))
    stories.feeling(d, hero, mood)
    return lexicon.moods.index(mood)


def entailment_task(d, lexicon=LEXICON):
    """Entailment (3 classes): premise, newline, hypothesis; the label is 0 entailed, 1 contradicted, 2 neutral.

    Premise and hypothesis each speak of the place or of the mood. If they speak of different things the answer is
    neutral, which is easy to see; to tell the other two apart one must know where animals live, or
    which adjectives belong to the same mood.
    """
    label = d.hidden((0, 1, 2))
    about_place = d.hidden((True, False))
    hero, animal = stories.opening(d, lexicon)
    at_home, mood = d.hidden((True, False)), d.hidden(lexicon.moods)
    if about_place:
        stories.visit(d, lexicon, hero, animal, at_home)
    else:
        _plain_feeling(d, hero, mood.adjectives)
    d.write("\n")
    if about_place == (label != 2):
        stories.homecoming(d, hero, at_home == (label != 1))
    else:
        other = d.hidden(stories.other(lexicon.moods, mood)) if label == 1 else mood
        _plain_feeling(d, hero, other.adjectives)
    return label


def _plain_feeling(d, hero, adjectives):
    d.write(f" {hero.pronoun.capitalize()} was")
    d.pick(adjectives, form=lambda w: f" {w}.")


def similarity_task(d, lexicon=LEXICON):
    """Similarity (2 classes): two sentences, newline between; the label is 1 if the two feel the same."""
    alike = d.hidden((0, 1))
    mood = d.hidden(lexicon.moods)
    first = d.pick(lexicon.characters, form=lambda c: f"{c.name} was")
    adjective = d.pick(mood.adjectives, form=lambda w: f" {w}.\n")
    second_mood = mood if alike else d.hidden(stories.other(lexicon.moods, mood))
    d.pick(stories.other(lexicon.characters, first), form=lambda c: f"{c.name} was")
    d.pick(stories.other(second_mood.adjectives, adjective), form=lambda w: f" {w}.")
    return alike


def cloze_task(d, lexicon=LEXICON):
    """Multiple choice (2 endings): a story without its ending, newline, ending, newline, ending; the label says which.

    The wrong ending is what a hero in another mood would do.
    """
    label = d.hidden((0, 1))
    hero, animal = stories.opening(d, lexicon)
    at_home = stories.visit(d, lexicon, hero, animal)
    stories.homecoming(d, hero, at_home)
    _, _, thing = stories.find(d, lexicon, hero)
    mood = d.hidden(lexicon.moods, stories.mood_weights(lexicon, at_home))
    stories.feeling(d, hero, mood)
    for number in (0, 1):
        d.write("\n")
        stories.ending(d, hero, mood if number == label else d.hidden(stories.other(lexicon.moods, mood)), thing)
    return label


TASKS = {
    "classification": mood_task,
    "entailment": entailment_task,
    "similarity": similarity_task,
    "multiple choice": cloze_task,
}


def labelled(task: str, n: int, rng: random.Random, lexicon: Lexicon = LEXICON) -> list[tuple[tuple[str, ...], int]]:
    """Labelled examples: draw n of a task, the parts of the text and the label.

    Errors: an unknown task is a ValueError.
    """
    if task not in TASKS:
        raise ValueError(f"expected a task among {sorted(TASKS)}; got {task!r}")
    drawn = (grammar.sample(partial(TASKS[task], lexicon=lexicon), rng) for _ in range(n))
    return [(tuple(text.split("\n")), label) for text, label in drawn]
