"""Instruction data: requests for tales, demonstrations, the true utility of an answer, and noisy labelers.

A request "Write a sad story about a fox and a bell:" asks for a well-formed tale of that mood, with that animal and
that thing, and a detail or two. How well an answer does this is its utility, which is known exactly here and not
used in training: labelers rank by it with noise, reward models learn from labelers, policies from reward models.
"""

import math
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from minigpt.worlds.lexicon import ANIMALS, COLOURS, OBJECTS

MOODS = ("merry", "sad", "cross", "scary")
TRAITS = {  # of the hero
    "merry": ("happy", "glad", "cheerful", "joyful"),
    "sad": ("gloomy", "lonely", "tearful", "hopeless"),
    "cross": ("furious", "grumpy", "jealous", "fierce"),
    "scary": ("nervous", "worried", "haunted", "pale"),
}
DEEDS = {
    "merry": ("found", "painted", "won"),
    "sad": ("lost", "missed", "mourned"),
    "cross": ("broke", "kicked", "smashed"),
    "scary": ("hid", "feared", "buried"),
}
WEATHERS = {
    "merry": ("sunny", "bright"),
    "sad": ("rainy", "dull"),
    "cross": ("stormy", "windy"),
    "scary": ("foggy", "dark"),
}
FEELINGS = {
    "merry": ("delighted", "proud"),
    "sad": ("homesick", "miserable"),
    "cross": ("annoyed", "mad"),
    "scary": ("alarmed", "terrified"),
}
REACTIONS = {
    "merry": ("smiled", "danced", "sang"),
    "sad": ("cried", "wept", "sighed"),
    "cross": ("shouted", "growled", "stamped"),
    "scary": ("trembled", "screamed", "fled"),
}
HEROES = tuple(x for x in ANIMALS if x.name in "fox bear whale seal frog beaver cow pig camel goat wolf tiger".split())
THINGS = tuple(x.name for x in OBJECTS if x.name in "hat drum book boat bell key ring coin".split())
PLACES = ("forest", "river", "garden", "mountain")
MOOD_OF = {
    word: mood for table in (TRAITS, DEEDS, WEATHERS, FEELINGS, REACTIONS) for mood in MOODS for word in table[mood]
}
RIGHT_MOOD = 0.75  # how often a word that could tell the mood does
N_EXTRAS = 4  # most optional sentences
MORE = 0.45  # probability of another optional sentence
OBEYED = 0.8  # how often a demonstrator writes about the animal, and about the thing, that was asked for


@dataclass(frozen=True)
class Request:
    """Instruction: the mood, the animal and the thing that a tale should have."""

    form: int  # 0 or 1: two ways to ask
    mood: str
    animal: str
    thing: str

    @property
    def text(self) -> str:
        """The request in words: eleven tokens, whatever is asked for."""
        if self.form == 0:
            return f"Write a {self.mood} story about a {self.animal} and a {self.thing}:"
        return f"Tell a {self.mood} tale of one {self.animal} and one {self.thing}:"


@lru_cache
def requests(which: str) -> tuple[Request, ...]:
    """Instructions, in a fixed order: 512 requests for training, 256 for tests. Errors: another name, ValueError."""
    if which not in ("training", "test"):
        raise ValueError(f"expected 'training' or 'test' requests; got {which!r}")
    everything = [
        Request(form, mood, hero.name, thing)
        for form in (0, 1)
        for mood in MOODS
        for hero in HEROES
        for thing in THINGS
    ]
    order = sorted(everything, key=lambda r: random.Random(r.text).random())
    return tuple(order[:512] if which == "training" else order[512:])


# --- programs of the grammar -----------------------------------------------------------------------------------------


def tale(d, mood, animal=None, thing=None, obeyed=1.0, begins="Once a"):
    """Grammar of a tale of a mood, with an animal and a thing (any, if none is named); it may have optional sentences.

    obeyed: how often the animal is the one that was named, and the thing too.
    """
    d.write(begins)
    _of_mood(d, mood, TRAITS)
    _named(d, [x.name for x in HEROES], animal, obeyed)
    d.write(" went to the")
    d.pick(PLACES, form=lambda w: f" {w}.")
    d.write(" It")
    _of_mood(d, mood, DEEDS)
    d.write(" a")
    d.pick(COLOURS, form=lambda c: f" {c.name}")
    _named(d, THINGS, thing, obeyed)
    d.write(".")
    for n in range(N_EXTRAS + 1):
        more = MORE / len(EXTRAS) if n < N_EXTRAS else 0.0
        kind = d.pick((*EXTRAS, "last"), (more, more, more, 1 - len(EXTRAS) * more), SENTENCE.get)
        if kind == "last":
            break
        if kind == "visitor":
            d.pick(HEROES, form=lambda x: f" {x.name} came by.")
        else:
            _of_mood(d, mood, WEATHERS if kind == "weather" else FEELINGS)
            d.write(" day." if kind == "weather" else ".")
    _of_mood(d, mood, REACTIONS)
    d.write(".")


EXTRAS = ("weather", "feeling", "visitor")
SENTENCE = {"weather": " It was a", "feeling": " It felt", "visitor": " Then a", "last": " At last it"}


def _of_mood(d, mood, table):
    """A word that shows the mood, or sometimes another mood."""
    words = [(word, m) for m in MOODS for word in table[m]]
    astray = (1 - RIGHT_MOOD) / (len(MOODS) - 1)
    weights = [(RIGHT_MOOD if m == mood else astray) / len(table[m]) for _, m in words]
    d.pick([word for word, _ in words], weights, lambda w: f" {w}")


def _named(d, options, wanted, obeyed):
    """The word that was named, or sometimes another; any, if none was."""
    weights = [1.0] * len(options)
    if wanted is not None:
        weights = [obeyed if w == wanted else (1 - obeyed) / (len(options) - 1) for w in options]
    d.pick(options, weights, lambda w: f" {w}")


def _plain(d):
    tale(d, d.hidden(MOODS))


def _titled(d):
    animal = d.pick([x.name for x in HEROES], form=lambda w: f"The {w} and the")
    thing = d.pick(THINGS, form=lambda w: f" {w}:")
    mood = d.pick(MOODS, form=lambda w: f" {w}.")
    tale(d, mood, animal, thing, begins=" Once a")


def _requests(d):
    """One to four requests, one to a line, without answers."""
    for number in range(d.hidden((1, 2, 3, 4))):
        form = d.pick((0, 1), form=lambda f: ("\n" if number else "") + ("Write a", "Tell a")[f])
        d.pick(MOODS, form=lambda m: f" {m}")
        d.write((" story about a", " tale of one")[form])
        d.pick(HEROES, form=lambda x: f" {x.name}")
        d.write((" and a", " and one")[form])
        d.pick(THINGS, form=lambda w: f" {w}:")


def _facts(d):
    for number in range(2):
        animal = d.pick(HEROES, form=lambda x: (" " if number else "") + f"A {x.name} lives in the {x.home}.")
        d.write(f" It eats {animal.food}.")


def _sums(d):
    for number in range(3):
        a = d.pick(range(10), form=lambda x: (" " if number else "") + f"{x} plus")
        b = d.pick(range(10), form=lambda x: f" {x} is")
        d.write(f" {a + b}.")


KINDS = {_plain: 0.35, _titled: 0.35, _requests: 0.15, _facts: 0.1, _sums: 0.05}


def text(d):
    """Grammar of the pre-training text: tales, titled tales, requests, facts, sums.

    Titled tales show the base model that a tale can be about what stood before it: demonstrations then need not teach
    that.
    """
    d.hidden(tuple(KINDS), tuple(KINDS.values()))(d)


def demonstration(request: Request):
    """Grammar of a demonstration by a labeler: the mood as in any tale, animal and thing mostly as asked."""

    def program(d):
        tale(d, request.mood, request.animal, request.thing, OBEYED, begins=" Once a")

    return program


# --- what an answer is worth -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Utility:
    """True utility of an answer: its parts and their sum. Unit: the units of the labelers' noise."""

    animal: bool  # the animal that was asked for is the hero
    thing: bool  # the thing that was asked for is in it
    mood: float  # share of the mood words that have the right mood; 0 if there are none
    extras: int  # optional sentences
    repeats: int  # optional sentences of a kind that was there before
    well_formed: bool  # a whole tale of the grammar

    @property
    def total(self) -> float:
        """1.5 animal + 1.5 thing + 2 mood + details - repeats / 2 - 2 if it is not well formed. At most 6.

        details: half a point for each of the first two optional sentences, minus half a point for each further one.
        """
        details = 0.5 * min(self.extras, 2) - 0.5 * max(self.extras - 2, 0)
        kept = 1.5 * self.animal + 1.5 * self.thing + 2 * self.mood
        return kept + details - 0.5 * self.repeats - 2 * (not self.well_formed)


def _any(words: Iterable[str]) -> str:
    return "(?:" + "|".join(words) + ")"


@lru_cache
def _patterns():
    table = lambda t: _any(word for words in t.values() for word in words)  # noqa: E731
    heroes, colours = _any(x.name for x in HEROES), _any(c.name for c in COLOURS)
    extras = {
        "weather": rf" It was a {table(WEATHERS)} day\.",
        "feeling": rf" It felt {table(FEELINGS)}\.",
        "visitor": rf" Then a {heroes} came by\.",
    }
    whole = (
        rf" ?Once a {table(TRAITS)} {heroes} went to the {_any(PLACES)}\."
        rf" It {table(DEEDS)} a {colours} {_any(THINGS)}\."
        rf"(?:{'|'.join(extras.values())}){{0,{N_EXTRAS}}} At last it {table(REACTIONS)}\."
    )
    hero = re.compile(rf"Once a \w+ ({heroes}) ")
    return re.compile(whole), hero, {kind: re.compile(pattern) for kind, pattern in extras.items()}


def utility(request: Request, answer: str) -> Utility:
    """True utility of an answer to a request. Any text is allowed; most texts have little.

    >>> answer = " Once a lonely fox went to the river. It lost a red bell. It was a rainy day. At last it wept."
    >>> utility(Request(0, "sad", "fox", "bell"), answer).total
    5.5
    >>> utility(Request(0, "sad", "fox", "bell"), "Write a sad story about a fox and a bell:").total
    -0.5
    """
    whole, hero, extras = _patterns()
    found = [re.sub(r"[^a-z]", "", word.lower()) for word in answer.split()]
    moods = [MOOD_OF[word] == request.mood for word in found if word in MOOD_OF]
    begins = hero.search(answer)
    counts = [len(pattern.findall(answer)) for pattern in extras.values()]
    return Utility(
        animal=begins is not None and begins[1] == request.animal,
        thing=request.thing in found,
        mood=sum(moods) / len(moods) if moods else 0.0,
        extras=sum(counts),
        repeats=sum(max(0, n - 1) for n in counts),
        well_formed=whole.fullmatch(answer) is not None,
    )


# --- labelers --------------------------------------------------------------------------------------------------------


def ranking(utilities: Sequence[float], noise: float, rng: random.Random, tie: float = 0.0) -> tuple[int, ...]:
    """Noisy ranking (Plackett-Luce) by one labeler: 1 is best, equal numbers are ties.

        u_i + noise g_i,   g_i Gumbel;   P(i before j) = sigma((u_i - u_j) / noise)

    Two answers that seem closer than `tie` to each other share a rank. Errors: a noise that is not above 0, or fewer
    than two answers, are a ValueError. Source: Luce 1959, Plackett 1975; pairs: Bradley and Terry 1952.
    """
    if not noise > 0 or len(utilities) < 2:
        raise ValueError(f"expected noise above 0 and at least two answers; got {noise} and {len(utilities)}")
    seems = [u - noise * math.log(-math.log(1 - rng.random())) for u in utilities]
    order = sorted(range(len(seems)), key=lambda i: -seems[i])
    ranks, rank = [0] * len(seems), 1
    for before, i in zip([None, *order], order):
        rank += before is not None and seems[before] - seems[i] >= tie
        ranks[i] = rank
    return tuple(ranks)


def labeler_agreement(utilities: Sequence[float], noise: float) -> float:
    """Labeler agreement: how often two labelers order a pair alike, on average over the pairs.

    p^2 + (1 - p)^2,   p = sigma((u_i - u_j) / noise)
    """
    u = np.asarray(utilities, dtype=np.float64)
    i, j = np.triu_indices(len(u), 1)
    p = (1 + np.tanh((u[i] - u[j]) / (2 * noise))) / 2
    return float(np.mean(p**2 + (1 - p) ** 2))
