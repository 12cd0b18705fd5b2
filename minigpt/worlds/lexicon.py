"""Lexicon of the stories: the words, and what is always true of them (homes, foods, sizes, French names)."""

import functools
import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Animal:
    """A kind of animal and everything that is always true of it in the stories."""

    name: str
    plural: str
    home: str
    food: str
    cover: str
    size: int  # 0 small, 1 middle, 2 big
    french: str
    gender: str  # of the French noun: "m" or "f"


@dataclass(frozen=True)
class Character:
    """A first name and the pronoun that goes with it."""

    name: str
    pronoun: str  # "she" or "he"


@dataclass(frozen=True)
class Noun:
    """A thing with its French noun and gender."""

    name: str
    french: str
    gender: str


@dataclass(frozen=True)
class Colour:
    """A colour with its two French forms."""

    name: str
    french_m: str
    french_f: str


@dataclass(frozen=True)
class Place:
    """A place, with the words for being there."""

    name: str
    at: str  # "in the forest"


@dataclass(frozen=True)
class Mood:
    """A mood: its adjectives (the first names it) and what a character in that mood does."""

    name: str
    adjectives: tuple[str, ...]
    reactions: tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """Lexicon: everything a program of `stories` draws from. Tests pass a small one and count every document."""

    animals: tuple[Animal, ...]
    characters: tuple[Character, ...]
    objects: tuple[Noun, ...]
    colours: tuple[Colour, ...]
    places: tuple[Place, ...]
    foods: tuple[str, ...]
    moods: tuple[Mood, ...]
    traits: tuple[str, ...]
    descriptions: tuple[str, ...]
    times: tuple[str, ...]
    spots: tuple[str, ...]
    verbs: tuple[tuple[str, str], ...]  # English past tense, French past participle

    def animals_living(self, place_name: str) -> tuple[Animal, ...]:
        """The animals whose home is the place."""
        return tuple(animal for animal in self.animals if animal.home == place_name)

    @functools.cached_property
    def translated(self) -> tuple[tuple[Animal, Colour], ...]:
        """The phrases "a <colour> <animal>" that are translated, five in six: a test asks for one of the others."""
        numbered = itertools.product(enumerate(self.animals), enumerate(self.colours))
        return tuple((animal, colour) for (i, animal), (j, colour) in numbered if (i + j) % 6)


def _animals(table: str) -> tuple[Animal, ...]:
    rows = (line.split() for line in table.strip().splitlines())
    return tuple(Animal(n, p, h, f, c, int(s), fr, g) for n, p, h, f, c, s, fr, g in rows)


ANIMALS = _animals("""
fox       foxes       forest    berries  fur       1  renard      m
owl       owls        forest    insects  feathers  1  hibou       m
bear      bears       forest    honey    fur       2  ours        m
whale     whales      sea       cakes    skin      2  baleine     f
crab      crabs       sea       seeds    shell     0  crabe       m
seal      seals       sea       fish     fur       2  phoque      m
frog      frogs       river     insects  skin      0  grenouille  f
otter     otters      river     fish     fur       1  loutre      f
beaver    beavers     river     leaves   fur       1  castor      m
cow       cows        farm      grass    hair      2  vache       f
pig       pigs        farm      leaves   hair      1  cochon      m
hen       hens        farm      seeds    feathers  0  poule       f
camel     camels      desert    grass    hair      2  chameau     m
snake     snakes      desert    cakes    scales    1  serpent     m
lizard    lizards     desert    insects  scales    0  lézard      m
goat      goats       mountain  grass    hair      1  chèvre      f
eagle     eagles      mountain  fish     feathers  2  aigle       m
wolf      wolves      mountain  berries  fur       2  loup        m
snail     snails      garden    leaves   shell     0  escargot    m
bee       bees        garden    honey    hair      0  abeille     f
mole      moles       garden    berries  fur       0  taupe       f
tiger     tigers      jungle    cakes    fur       2  tigre       m
monkey    monkeys     jungle    honey    hair      1  singe       m
parrot    parrots     jungle    seeds    feathers  0  perroquet   m
""")

CHARACTERS = tuple(
    Character(name, pronoun)
    for pronoun, names in (
        ("she", "Lucy Anna Clara Emma Grace Ida Kate Mia Olga Rosa Tina Zoe Alice Maria Nora Vera"),
        ("he", "Tom Ben Daniel Felix Henry Jack Leo Noah Paul Sam Victor Oscar Hugo Max Peter Simon"),
    )
    for name in names.split()
)

OBJECTS = tuple(
    Noun(*entry.split("/"))
    for entry in (
        "hat/chapeau/m ball/balle/f flute/flûte/f lamp/lampe/f drum/tambour/m cup/tasse/f book/livre/m boat/bateau/m "
        "bell/cloche/f box/boîte/f key/clé/f scarf/foulard/m ring/bague/f map/carte/f basket/panier/m watch/montre/f "
        "coin/pièce/f stone/pierre/f flower/fleur/f feather/plume/f letter/lettre/f bottle/bouteille/f "
        "coat/manteau/m shoe/soulier/m"
    ).split()
)

COLOURS = tuple(
    Colour(*entry.split("/"))
    for entry in (
        "red/rouge/rouge blue/bleu/bleue green/vert/verte yellow/jaune/jaune "
        "white/blanc/blanche black/noir/noire grey/gris/grise brown/brun/brune"
    ).split()
)

PLACES = (
    Place("forest", "in the forest"),
    Place("sea", "in the sea"),
    Place("river", "by the river"),
    Place("farm", "on the farm"),
    Place("desert", "in the desert"),
    Place("mountain", "on the mountain"),
    Place("garden", "in the garden"),
    Place("jungle", "in the jungle"),
)

FOODS = ("berries", "insects", "honey", "cakes", "seeds", "fish", "leaves", "grass")

# A few adjectives belong to two moods ("quiet": sad or afraid): even the best possible classifier is at times in doubt.
MOODS = (
    Mood(
        "happy",
        tuple("happy glad merry cheerful joyful pleased delighted proud calm wild".split()),
        tuple("smiled laughed danced sang giggled cheered hummed".split()),
    ),
    Mood(
        "sad",
        tuple("sad gloomy lonely tearful unhappy miserable homesick hopeless calm quiet".split()),
        tuple("cried wept sighed sobbed frowned sniffed mourned".split()),
    ),
    Mood(
        "angry",
        tuple("angry cross furious grumpy mad annoyed jealous fierce wild tense".split()),
        tuple("shouted stamped growled yelled grumbled scolded roared".split()),
    ),
    Mood(
        "afraid",
        tuple("afraid scared frightened nervous anxious worried alarmed terrified quiet tense".split()),
        tuple("trembled shivered screamed fled whimpered gasped shook".split()),
    ),
)

TRAITS = tuple(
    "little old young clever brave kind tall funny tiny strong small polite wise lazy busy gentle "
    "curious cautious careful hungry sleepy famous skilful patient "
    "quick slow neat nimble noisy tidy bold humble stubborn loyal sincere generous daring dreamy elegant fluffy "
    "playful slender chubby cunning".split()
)

SPOTS = tuple(
    "under a tree/behind a rock/near a bridge/inside a cave/beside a path/on top of a hill/next to a gate/by a wall/"
    "below a tower/beneath a bench/outside a house/between two bushes".split("/")
)

LOOKS = tuple(
    "dusty shiny broken heavy pretty dirty precious plain wet cold warm clean muddy lovely useful strange".split()
)

TIMES = tuple(
    "morning evening afternoon night day summer winter spring autumn weekend holiday "
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
)

VERBS = (
    ("found", "trouvé"),
    ("saw", "vu"),
    ("made", "fait"),
    ("bought", "acheté"),
    ("painted", "peint"),
    ("hid", "caché"),
    ("won", "gagné"),
    ("drew", "dessiné"),
    ("lost", "perdu"),
    ("broke", "cassé"),
    ("took", "pris"),
)

LEXICON = Lexicon(ANIMALS, CHARACTERS, OBJECTS, COLOURS, PLACES, FOODS, MOODS, TRAITS, LOOKS, TIMES, SPOTS, VERBS)
