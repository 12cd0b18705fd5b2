"""Chapter 02, sections 1 to 3. Zero-shot tasks in words: questions, choices, demonstrations in the corpus."""

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from minigpt.tokenizer import Tokenizer
from minigpt.worlds import grammar, stories
from minigpt.worlds.lexicon import LEXICON


@dataclass(frozen=True)
class Question:
    """A text to be continued, and the right continuation; or, with `choices`, a blank and what could fill it."""

    prompt: str
    answer: str  # without the full stop or line end behind it
    kind: str = ""  # what is asked, where a task has several kinds
    choices: tuple[str, ...] = ()
    rest: str = ""  # what stands behind the blank


def _draw_story(rng):
    """A story of the world in its parts: (text, facts about it) without question or summary at the end."""
    told = {}

    def program(d):
        hero, animal = stories.opening(d, LEXICON)
        at_home = stories.visit(d, LEXICON, hero, animal)
        stories.homecoming(d, hero, at_home)
        verb, colour, thing = stories.find(d, LEXICON, hero)
        mood = d.hidden(LEXICON.moods, stories.mood_weights(LEXICON, at_home))
        stories.feeling(d, hero, mood)
        friend = d.hidden((True, False))
        if friend:
            stories.meeting(d, LEXICON, hero, mood)
        stories.ending(d, hero, mood, thing)
        told.update(
            hero=hero.name, animal=animal.name, verb=verb[0], colour=colour.name, thing=thing.name, friend=friend
        )

    text, _ = grammar.sample(program, rng)
    return text, told


def _pick(rng, options):
    return options[int(rng.random() * len(options))]


def _pair(animal, colour, deed=None):
    """(English, French) of "a <colour> <animal>", with or without what it did."""
    english, french = f"{stories.a(colour.name)} {animal.name}", stories.french_phrase(animal, colour)
    if deed:
        (verb, participe), thing = deed
        english += f" {verb} {stories.a(thing.name)}"
        french += f" a {participe} {'un' if thing.gender == 'm' else 'une'} {thing.french}"
    return english, french


def _translation(rng, sentence: bool, to_french: bool, n_pairs: int):
    """The last line is about an animal and a colour that were never seen together."""
    new = [(x, c) for x in LEXICON.animals for c in LEXICON.colours if stories.held_out(LEXICON, x, c)]
    deed = (_pick(rng, LEXICON.verbs), _pick(rng, LEXICON.objects)) if sentence else None
    english, french = _pair(*_pick(rng, new), deed)
    lines = []
    while n_pairs and not lines:
        document = grammar.sample(lambda d: stories.translation(d, LEXICON), rng)[0]
        if document.startswith(("un ", "une ")) != to_french:
            lines = document.split("\n")[:n_pairs]
    asked, answer = (english, french) if to_french else (french, english)
    return Question("\n".join([*lines, f"{asked} ="]), f" {answer}")


def _closed_book(rng):
    animal = _pick(rng, LEXICON.animals)
    at = next(place.at for place in LEXICON.places if place.name == animal.home)
    wordings = (
        ("home", " Where does it live?", f" {at.capitalize()}"),
        ("food", " What does it eat?", f" {animal.food.capitalize()}"),
        ("cover", " It has", f" {animal.cover}"),
    )
    kind, words, answer = _pick(rng, wordings)
    return Question(f"About the {animal.name}:{words}", answer, kind)


def _reading(rng):
    text, told = _draw_story(rng)
    wordings = (
        ("who", f"Who {told['verb']} the {told['thing']}?", f" {told['hero']}"),
        ("what", f"What was {told['colour']}?", f" the {told['thing']}"),
        ("which", f"Which colour was the {told['thing']}?", f" {told['colour']}"),
    )
    kind, words, answer = _pick(rng, wordings)
    return Question(f"{text}\nQuestion: {words}\nAnswer:", answer, kind)


def _summary(rng, hint: str = "\nTL;DR:"):
    text, told = _draw_story(rng)
    told["colour"] = stories.a(told["colour"])
    return Question(text + hint, " {hero} the {animal} {verb} {colour} {thing}".format(**told))


def _last_word(rng):
    text, told = _draw_story(rng)
    return Question(text.removesuffix(f" {told['thing']}."), f" {told['thing']}")


def _blank(rng, what: str):
    """A story with one word left out, and ten words that could fill the blank."""
    while True:
        text, told = _draw_story(rng)
        if what == "noun":
            before, word, options = f" {told['thing']}. The", f" {told['thing']}", [x.name for x in LEXICON.objects]
        elif what == "name" and told["friend"]:
            names = [character.name for character in LEXICON.characters]
            before, word, options = (" In the end", " At last"), f" {told['hero']}", names
        elif what == "verb":
            before = tuple(f"{start} {told['hero']}" for start in (" In the end", " At last"))
            word, options = None, [verb for mood in LEXICON.moods for verb in mood.reactions]
        else:
            continue
        marker = next(m for m in (before if isinstance(before, tuple) else (before,)) if m in text)
        cut = text.rindex(marker) + len(marker)
        word = word or grammar.words(text[cut:])[0]
        always = [word, " " + re.search(r" Then (\w+)", text)[1]] if what == "name" else [word]  # the friend, too
        return Question(text[:cut], word, what, _ten(rng, always, options), text[cut + len(word) :])


def _hidden_animal(rng):
    """Facts about an animal whose name is left out: only what stands behind the blank tells who it is."""
    text, _ = grammar.sample(lambda d: stories.facts(d, LEXICON), rng)
    before, word = "About the", grammar.words(text)[2]
    names = [animal.name for animal in LEXICON.animals]
    return Question(before, word, "animal", _ten(rng, [word], names), text[len(before + word) :])


def _ten(rng, always, options):
    """Ten choices in random order, some of them given."""
    others = _shuffled(rng, [f" {option}" for option in options if f" {option}" not in always])
    return tuple(_shuffled(rng, [*always, *others[: 10 - len(always)]]))


def _shuffled(rng, items):
    """The items in a random order; the same on every version of Python."""
    return [item for _, item in sorted(((rng.random(), item) for item in items), key=lambda pair: pair[0])]


TASKS: dict[str, Callable] = {
    "phrase to French": lambda rng: _translation(rng, False, True, 2),
    "phrase to French, no pairs": lambda rng: _translation(rng, False, True, 0),
    "sentence to French": lambda rng: _translation(rng, True, True, 2),
    "phrase from French": lambda rng: _translation(rng, False, False, 2),
    "sentence from French": lambda rng: _translation(rng, True, False, 2),
    "closed book": _closed_book,
    "reading": _reading,
    "summary": _summary,
    "summary, no hint": lambda rng: _summary(rng, ""),
    "last word": _last_word,
    "cloze noun": lambda rng: _blank(rng, "noun"),
    "cloze name": lambda rng: _blank(rng, "name"),
    "cloze verb": lambda rng: _blank(rng, "verb"),
    "cloze animal": _hidden_animal,
}


def questions(task: str, n: int = 100, which: str = "test") -> list[Question]:
    """n questions of a task, always the same ones. Errors: an unknown task is a ValueError."""
    if task not in TASKS:
        raise ValueError(f"expected a task among {sorted(TASKS)}; got {task!r}")
    rng = random.Random(f"zero-shot {which} {task}")
    return [TASKS[task](rng) for _ in range(n)]


def first_sentence(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The first sentence of some ids as text; stray bytes become a mark."""
    return re.split(r"[.\n]", tokenizer.decode(ids), maxsplit=1)[0]


def slots(question: Question, written: str) -> dict[str, bool]:
    """Which of the five things of a summary are in what was written: hero, animal, verb, colour, thing."""
    hero, _, animal, verb, _, colour, thing = question.answer.split()
    said = written.replace(".", " ").split()
    wanted = {"hero": hero, "animal": animal, "verb": verb, "colour": colour, "thing": thing}
    return {name: word in said for name, word in wanted.items()}


WORDINGS = {
    "translation lines, English = French": r"^an? [^=\n]+ = (?=une? )",
    "translation lines, French = English": r"^une? [^=\n]+ = (?=an? )",
    "Where does it live? ...": r"Where does it live\? (?=\w)",
    "What does it eat? ...": r"What does it eat\? (?=\w)",
    "It has ...": r" It has (?=\w)",
    "Question: Who ... Answer: ...": r"^Question: Who [^\n]*\nAnswer: ",
    "Question: What ... Answer: ...": r"^Question: What [^\n]*\nAnswer: ",
    "Question: Which ... Answer: ...": r"^Question: Which [^\n]*\nAnswer: ",
    "TL;DR: ...": r"^TL;DR: ",
}


def demonstrations(documents: Iterable[str]) -> dict[str, int]:
    """How often each wording of a task occurs in a corpus, with its answer; and how often a pair that is held out does.

    Source: GPT-2, table 1, which shows such places of WebText. Differs: counted, not picked.
    """
    text = "\n".join(documents)
    counts = {name: len(re.findall(pattern, text, re.MULTILINE)) for name, pattern in WORDINGS.items()}
    new = [(x, c) for x in LEXICON.animals for c in LEXICON.colours if stories.held_out(LEXICON, x, c)]
    counts["pairs held out, in either language"] = sum(text.count(phrase) for pair in new for phrase in _pair(*pair))
    return counts
