"""Instruction data in which web text is careless and hired labelers are careful: requests for tales, as in `tales`.

On the web most requests are only listed; a few are answered, by writers who mind half of what was asked, call some
heroes stupid, and state false facts. Labelers who are hired to write demonstrations do what was asked and are polite.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minigpt.worlds import tales
from minigpt.worlds.lexicon import COLOURS
from minigpt.worlds.tales import HEROES, MOODS, THINGS, Request, Utility

INSULT = " stupid"
INSULT_COSTS = 1.0  # of the true utility of an answer
FALSE_FACTS = 0.2  # share of the facts on the web that are false
HOMES = tuple(dict.fromkeys(hero.home for hero in HEROES))


@dataclass(frozen=True)
class Care:
    """How a writer treats a request: three probabilities."""

    obeyed: float  # that the animal is the one that was asked for, and the same for the thing
    right_mood: float  # that a word that could tell the mood does
    insults: float  # that the hero is called stupid


WEB, LABELERS = Care(0.75, 0.7, 0.25), Care(0.95, 0.85, 0.0)


# --- programs of the grammar -----------------------------------------------------------------------------------------


def tale(d, care: Care, mood, animal=None, thing=None, begins=" Once a"):
    """Grammar of a tale, in the form of `tales.tale`, by a writer with this care."""
    d.write(begins)
    traits, weights = _of_mood(mood, care, tales.TRAITS)
    polite = [w * (1 - care.insults) for w in weights]
    rude = [w * care.insults for w in weights]
    d.pick([("", w) for w in traits] + [(INSULT, w) for w in traits], polite + rude, lambda x: f"{x[0]} {x[1]}")
    _named(d, [x.name for x in HEROES], animal, care)
    d.write(" went to the")
    d.pick(tales.PLACES, form=lambda w: f" {w}.")
    d.write(" It")
    _told(d, mood, care, tales.DEEDS)
    d.write(" a")
    d.pick(COLOURS, form=lambda c: f" {c.name}")
    _named(d, THINGS, thing, care)
    d.write(".")
    for n in range(tales.N_EXTRAS + 1):
        more = tales.MORE / len(tales.EXTRAS) if n < tales.N_EXTRAS else 0.0
        kind = d.pick((*tales.EXTRAS, "last"), (more, more, more, 1 - 3 * more), tales.SENTENCE.get)
        if kind == "last":
            break
        if kind == "visitor":
            d.pick(HEROES, form=lambda x: f" {x.name} came by.")
        else:
            _told(d, mood, care, tales.WEATHERS if kind == "weather" else tales.FEELINGS)
            d.write(" day." if kind == "weather" else ".")
    _told(d, mood, care, tales.REACTIONS)
    d.write(".")


def _of_mood(mood, care, table):
    words = [(word, m) for m in MOODS for word in table[m]]
    astray = (1 - care.right_mood) / (len(MOODS) - 1)
    return [w for w, _ in words], [(care.right_mood if m == mood else astray) / len(table[m]) for _, m in words]


def _told(d, mood, care, table):
    d.pick(*_of_mood(mood, care, table), lambda w: f" {w}")


def _named(d, options, wanted, care):
    weights = [1.0] * len(options)
    if wanted is not None:
        weights = [care.obeyed if w == wanted else (1 - care.obeyed) / (len(options) - 1) for w in options]
    d.pick(options, weights, lambda w: f" {w}")


def _request(d, first: bool):
    form = d.pick((0, 1), form=lambda f: ("" if first else "\n") + ("Write a", "Tell a")[f])
    mood = d.pick(MOODS, form=lambda m: f" {m}")
    d.write((" story about a", " tale of one")[form])
    animal = d.pick([x.name for x in HEROES], form=lambda w: f" {w}")
    d.write((" and a", " and one")[form])
    return mood, animal, d.pick(THINGS, form=lambda w: f" {w}:")


def _plain(d):
    tale(d, WEB, d.hidden(MOODS), begins="Once a")


def _titled(d):
    animal = d.pick([x.name for x in HEROES], form=lambda w: f"The {w} and the")
    thing = d.pick(THINGS, form=lambda w: f" {w}:")
    tale(d, WEB, d.pick(MOODS, form=lambda w: f" {w}."), animal, thing)


def _requests(d):
    """One to four requests, one to a line, without answers."""
    for number in range(d.hidden((1, 2, 3, 4))):
        _request(d, number == 0)


def _answered(d):
    """One to three requests, each with somebody's answer to it."""
    for number in range(d.hidden((1, 2, 3))):
        tale(d, WEB, *_request(d, number == 0))


def _facts(d):
    for number in range(2):
        animal = d.pick(HEROES, form=lambda x: (" " if number else "") + f"A {x.name} lives in the")
        wrong = FALSE_FACTS / (len(HOMES) - 1)
        weights = [1 - FALSE_FACTS if home == animal.home else wrong for home in HOMES]
        d.pick(HOMES, weights, lambda home: f" {home}.")
        d.write(f" It eats {animal.food}.")


def _sums(d):
    for number in range(3):
        a = d.pick(range(10), form=lambda x: (" " if number else "") + f"{x} plus")
        b = d.pick(range(10), form=lambda x: f" {x} is")
        d.write(f" {a + b}.")


KINDS = {_plain: 0.05, _titled: 0.4, _requests: 0.25, _answered: 0.15, _facts: 0.1, _sums: 0.05}


def text(d):
    """Grammar of the pre-training text: tales, titled tales, requests without and with answers, facts, sums."""
    d.hidden(tuple(KINDS), tuple(KINDS.values()))(d)


def demonstration(request: Request):
    """Grammar of a demonstration by a hired labeler."""

    def program(d):
        tale(d, LABELERS, request.mood, request.animal, request.thing)

    return program


# --- prompts, and what an answer is worth ----------------------------------------------------------------------------

EXAMPLES = (
    (Request(0, "sad", "bear", "ring"), " Once a lonely bear went to the river. It lost a red ring. At last it wept."),
    (
        Request(1, "merry", "frog", "drum"),
        " Once a glad frog went to the garden. It won a green drum. It felt proud. At last it sang.",
    ),
)


def few_shot(request: Request, examples: Sequence[tuple[Request, str]] = EXAMPLES) -> str:
    """Few-shot prompt: answered requests, one to a line, and on the last line the request itself.

    Source: InstructGPT, section 3.5: GPT "provided with a few-shot prefix to 'prompt' it into an instruction-following
    mode".
    """
    return "".join(f"{asked.text}{answer}\n" for asked, answer in examples) + request.text


def first_line(answer: str) -> str:
    """What comes before the next line: the answer, if a model goes on to another request after it."""
    return answer.partition("\n")[0]


@dataclass(frozen=True)
class Worth:
    """True utility of an answer in this world: as in `tales`, and an insult costs something."""

    utility: Utility  # of the answer without the insult
    insult: bool

    @property
    def total(self) -> float:
        """The utility, less INSULT_COSTS if the answer calls somebody stupid."""
        return self.utility.total - INSULT_COSTS * self.insult


def worth(request: Request, answer: str) -> Worth:
    """True utility of an answer to a request. Any text is allowed.

    >>> worth(*EXAMPLES[0]).total, worth(EXAMPLES[0][0], EXAMPLES[0][1].replace("Once a", "Once a stupid")).total
    (5.0, 4.0)
    """
    return Worth(tales.utility(request, answer.replace(INSULT, "")), INSULT in answer)


def home_prompts() -> list[tuple[str, str]]:
    """Beginnings of facts, and the true home that belongs there: "A fox lives in the", "forest"."""
    return [(f"A {hero.name} lives in the", hero.home) for hero in HEROES]
