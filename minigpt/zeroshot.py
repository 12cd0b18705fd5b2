"""Zero-shot: ask a language model in words that its reading has made familiar, and never train it for the task.

Each question is the beginning of a document as the storybook might have it; the answer is what comes next. `ceiling`
says, from the grammar, how often the best possible reader would be right, and `shortcut` how far one gets without
understanding. The two wings meet here, so this is a room of the classroom floor.
"""

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from minigpt import classroom, grammar, sample, world
from minigpt.lexicon import LEXICON
from minigpt.model import GPT, GPTConfig
from minigpt.tokens import Tokenizer
from minigpt.train import TrainConfig

# Sizes of this book's GPT-2: width -> (heads, learning rate). The paper, too, tuned the rate by hand for each size.
SIZES = {16: (4, 1e-2), 32: (4, 6e-3), 64: (4, 4e-3), 96: (6, 3e-3)}


def gpt2(d_model: int) -> GPTConfig:
    """The book's GPT-2 of one width: LayerNorm before each step, residual steps drawn smaller.

    Source: GPT-2, section 2.3. Differs: two blocks; first weights of 1 / sqrt(d), and positions that start as sines,
    as in chapter 01. Errors: a width that is not in SIZES is a ValueError.
    """
    if d_model not in SIZES:
        raise ValueError(f"expected a width among {sorted(SIZES)}; got {d_model!r}")
    return GPTConfig(
        n_vocab=classroom.N_VOCAB, n_ctx=classroom.N_CTX, n_layers=2, n_heads=SIZES[d_model][0], d_model=d_model,
        norm="pre", init="gpt2", init_std=round(d_model**-0.5, 4), position_init="sinusoid",
    )  # fmt: skip


def training(d_model: int) -> TrainConfig:
    """How the GPT-2 of one width is trained: as in chapter 01, at a rate of its own."""
    return replace(classroom.PRETRAINING, lr=SIZES[d_model][1])


def pretrain(library: classroom.Library, d_model: int = 96, seed: int = 0) -> classroom.Pretrained:
    """Train the book's GPT-2 of one width on a library, or load it if it was trained before."""
    return classroom.pretrain(library, gpt2(d_model), seed, training=training(d_model))


# --- questions ------------------------------------------------------------------------------------------------------


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
        hero, animal = world.opening(d, LEXICON)
        at_home = world.visit(d, LEXICON, hero, animal)
        world.homecoming(d, hero, at_home)
        verb, colour, thing = world.find(d, LEXICON, hero)
        mood = d.hidden(LEXICON.moods, world.mood_weights(LEXICON, at_home))
        world.feeling(d, hero, mood)
        friend = d.hidden((True, False))
        if friend:
            world.meeting(d, LEXICON, hero, mood)
        world.ending(d, hero, mood, thing)
        told.update(
            hero=hero.name, animal=animal.name, verb=verb[0], colour=colour.name, thing=thing.name, friend=friend
        )

    text, _ = grammar.sample(program, rng)
    return text, told


def _pick(rng, options):
    return options[int(rng.random() * len(options))]


def _pair(animal, colour, deed=None):
    """(English, French) of "a <colour> <animal>", with or without what it did."""
    english, french = f"{world.a(colour.name)} {animal.name}", world.french_phrase(animal, colour)
    if deed:
        (verb, participe), thing = deed
        english += f" {verb} {world.a(thing.name)}"
        french += f" a {participe} {'un' if thing.gender == 'm' else 'une'} {thing.french}"
    return english, french


def _translation(rng, sentence: bool, to_french: bool, n_pairs: int):
    """The last line is about an animal and a colour that were never seen together."""
    new = [(x, c) for x in LEXICON.animals for c in LEXICON.colours if world.held_out(LEXICON, x, c)]
    deed = (_pick(rng, LEXICON.verbs), _pick(rng, LEXICON.objects)) if sentence else None
    english, french = _pair(*_pick(rng, new), deed)
    lines = []
    while n_pairs and not lines:
        document = grammar.sample(lambda d: world.translation(d, LEXICON), rng)[0]
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
    told["colour"] = world.a(told["colour"])
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
            before, word, options = (" In the end", " At last"), f" {told['hero']}", [c.name for c in LEXICON.characters]
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
    text, _ = grammar.sample(lambda d: world.facts(d, LEXICON), rng)
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


# --- asking a model -------------------------------------------------------------------------------------------------


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
            answers[i] = _first_sentence(tokenizer, row)
    return answers


def _first_sentence(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The first sentence of some ids as text; stray bytes become a mark."""
    text = b"".join(tokenizer.decode_bytes(i) for i in ids).decode("utf-8", errors="replace")
    return re.split(r"[.\n]", text, maxsplit=1)[0]


def choose(gpt: GPT, tokenizer: Tokenizer, question: Question, with_rest: bool = True) -> str:
    """The choice that makes the whole likeliest: P(choice and what stands behind it | what stands before).

    Source: GPT-2, section 3.2. `with_rest=False` looks at the probability of the choice alone.
    """
    rest = question.rest if with_rest else ""
    logps = classroom.continuation_logps(gpt, tokenizer, question.prompt, [word + rest for word in question.choices])
    return question.choices[int(logps.argmax())]


def slots(question: Question, written: str) -> dict[str, bool]:
    """Which of the five things of a summary are in what was written: hero, animal, verb, colour, thing."""
    hero, _, animal, verb, _, colour, thing = question.answer.split()
    said = written.replace(".", " ").split()
    wanted = {"hero": hero, "animal": animal, "verb": verb, "colour": colour, "thing": thing}
    return {name: word in said for name, word in wanted.items()}


def ask(gpt: GPT, tokenizer: Tokenizer, task: str, n: int = 100) -> dict[str, float]:
    """How well a model does at a task: the share of right answers, and more where a task has parts.

    A written answer is right if every word is; a summary gets the share of its five slots. Without the hint the model
    draws from the 2 likeliest tokens (greedy, it would just end), the mean of 3 tries; the paper drew so in both cases.
    """
    asked = questions(task, n)
    if asked[0].choices:
        found = {task: np.mean([choose(gpt, tokenizer, q) == q.answer for q in asked])}
        if task == "cloze animal":
            found[f"{task}, word alone"] = np.mean([choose(gpt, tokenizer, q, False) == q.answer for q in asked])
        return {name: float(share) for name, share in found.items()}
    prompts = [q.prompt for q in asked]
    if task == "summary, no hint":
        generator = torch.Generator().manual_seed(0)
        written = [write_freely(gpt, tokenizer, prompts, generator) for _ in range(3)]
        return {task: float(np.mean([list(slots(q, w).values()) for each in written for q, w in zip(asked, each)]))}
    written = write_answers(gpt, tokenizer, prompts)
    if task == "summary":
        rows = [slots(q, w) for q, w in zip(asked, written)]
        parts = {f"summary, {name}": float(np.mean([row[name] for row in rows])) for name in rows[0]}
        return {task: float(np.mean([list(row.values()) for row in rows])), **parts}
    return {task: float(np.mean([w == q.answer for q, w in zip(asked, written)]))}


def write_freely(gpt: GPT, tokenizer: Tokenizer, prompts: list[str], generator: torch.Generator) -> list[str]:
    """What the model writes after each prompt, all of it, drawing from the two likeliest tokens."""
    written = []
    for prompt in prompts:
        ids = torch.tensor([tokenizer.endoftext, *tokenizer.encode(prompt)])
        room = min(24, gpt.config.n_ctx + 1 - len(ids))
        row = sample.generate(gpt, ids, room, generator, top_k=2, stop_id=tokenizer.endoftext)[len(ids) :].tolist()
        row = row[: row.index(tokenizer.endoftext)] if tokenizer.endoftext in row else row
        written.append(b"".join(tokenizer.decode_bytes(i) for i in row).decode("utf-8", errors="replace"))
    return written


# --- what to compare with -------------------------------------------------------------------------------------------


def ceiling(question: Question, mix=world.STORYBOOK) -> float:
    """How often the best possible reader is right at this question: one who knows the grammar, and only that.

    A choice: the largest P(choice | text) by Bayes' rule. A written answer: P(answer | prompt). A translation is asked
    about a pair of words that the corpus never writes; for it the pairs held out are exchanged for others, and nothing
    else of the grammar is changed.
    """
    if question.choices:
        program = world.program(mix)
        logps = [grammar.score(program, question.prompt + word + question.rest).logp for word in question.choices]
        share = np.exp(np.array(logps) - max(logps))
        return float(share.max() / share.sum())
    for turn in range(6):
        colours = LEXICON.colours[turn:] + LEXICON.colours[:turn]
        program = world.program(mix, replace(LEXICON, colours=colours))
        try:
            before = grammar.predict(program, question.prompt).logp
            return math.exp(grammar.predict(program, question.prompt + question.answer).logp - before)
        except ValueError:
            continue
    raise ValueError(f"expected a question that documents of the world can begin with; got {question.prompt!r}")


def chance(task: str) -> float:
    """The accuracy of somebody who guesses blindly among the answers of the right form."""
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
    """The accuracy of a rule that understands nothing.

    A written answer: the commonest answer to this kind of question (for a translation, to a line of the corpus). A
    choice: the word that is commonest in the text. A summary: the first sentence of the story.
    """
    asked = questions(task, n)
    if task.startswith("summary"):
        return float(np.mean([list(slots(q, re.split(r"[.\n]", q.prompt)[0]).values()) for q in asked]))
    if asked[0].choices:
        return float(np.mean([_commonest_choice(q) == q.answer for q in asked]))
    common = defaultdict(Counter)
    for q in questions(task, 2000, "shortcut"):
        common[q.kind][q.answer] += 1
    if "French" in task:  # a pair that is held out is never the answer to a line of the corpus
        return 0.0
    return float(np.mean([common[q.kind].most_common(1)[0][0] == q.answer for q in asked]))


def _commonest_choice(question):
    text = Counter(grammar.words(question.prompt + " " + question.rest))
    return max(question.choices, key=lambda word: (text[word], word))


# --- the seed of each ability ---------------------------------------------------------------------------------------

WORDINGS = {
    "translation lines, English = French": r"^an? [^=\n]+ = une? ",
    "translation lines, French = English": r"^une? [^=\n]+ = an? ",
    "Where does it live? ...": r"Where does it live\? \w",
    "What does it eat? ...": r"What does it eat\? \w",
    "It has ...": r" It has \w",
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
    new = [(x, c) for x in LEXICON.animals for c in LEXICON.colours if world.held_out(LEXICON, x, c)]
    counts["pairs held out, in either language"] = sum(text.count(phrase) for pair in new for phrase in _pair(*pair))
    return counts
