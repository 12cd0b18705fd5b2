"""Grammar of stories: short stories, facts, feelings, sizes, French, lists and instructions, with exact probabilities.

Each kind of document is a program for `minigpt.worlds.grammar`; `program(mix)` draws the kind first. The grammar is the
true distribution of this book: log P under it is the best that any model can reach on average.
"""

import random
from collections.abc import Iterator, Mapping

from minigpt.worlds import grammar
from minigpt.worlds.lexicon import LEXICON, Lexicon

STORYBOOK = {"story": 0.48, "facts": 0.1, "walks": 0.12, "feelings": 0.16, "sizes": 0.04, "translation": 0.1}
EVERYTHING = {
    "story": 0.4, "facts": 0.1, "walks": 0.1, "feelings": 0.08, "sizes": 0.04, "translation": 0.1,
    "examples": 0.12, "instructions": 0.06,
}  # fmt: skip


def program(mix: Mapping[str, float] = STORYBOOK, lexicon: Lexicon = LEXICON) -> grammar.Program:
    """Grammar of a mixture of kinds of document; run it with the functions of `minigpt.worlds.grammar`.

        P(document) = sum_kind mix[kind] P(document | kind)

    The program returns the kind, so `grammar.score(program(), text).posterior()` says which kind a text is.
    Errors: an unknown kind, a negative weight or weights that are all 0 are a ValueError.
    """
    unknown = sorted(set(mix) - set(KINDS))
    if unknown:
        raise ValueError(f"expected kinds among {sorted(KINDS)}; got {unknown}")
    if min(mix.values(), default=0) < 0 or sum(mix.values()) <= 0:
        raise ValueError(f"expected weights that are not negative and not all 0; got {dict(mix)}")
    kinds, weights = tuple(mix), tuple(mix.values())

    def document(d):
        kind = d.hidden(kinds, weights)
        KINDS[kind](d, lexicon)
        return kind

    return document


def documents(
    n: int, rng: random.Random, mix: Mapping[str, float] = STORYBOOK, lexicon: Lexicon = LEXICON
) -> Iterator[str]:
    """Sample n documents, one after another.

    Source: this book; that a corpus with known probabilities shows how far a model is from the best is an old idea of
    statistics. Differs from the papers' corpora (BooksCorpus, WebText) in being tiny, and in being perfectly known.
    """
    document = program(mix, lexicon)
    for _ in range(n):
        yield grammar.sample(document, rng)[0]


def a(noun: str) -> str:
    """The noun with "a" or "an".

    >>> a("owl"), a("fox")
    ('an owl', 'a fox')
    """
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def _name(character):
    return character.name


def other(options, excluded):
    return tuple(option for option in options if option != excluded)


def opening(d, lexicon):
    """Who the story is about: returns the hero and what kind of animal the hero is."""
    if d.pick(("Once upon a time there was", "This is a story about"), (0.6, 0.4)).startswith("Once"):
        d.pick(lexicon.traits, form=lambda t: " " + a(t))
        animal = d.pick(lexicon.animals, form=lambda x: f" {x.name}")
        hero = d.pick(lexicon.characters, form=lambda c: f" named {c.name}.")
    else:
        hero = d.pick(lexicon.characters, form=lambda c: " " + c.name)
        animal = d.pick(lexicon.animals, form=lambda x: f" the {x.name}.")
    return hero, animal


def visit(d, lexicon, hero, animal, at_home=None):
    """Where the hero goes: home half the time, unless `at_home` settles it. Returns whether it is home."""
    d.pick(lexicon.times, form=lambda t: f" One {t}")
    home, away = {None: (len(lexicon.places) - 1, 1), True: (1, 0), False: (0, 1)}[at_home]
    weights = [home if p.name == animal.home else away for p in lexicon.places]
    place = d.pick(lexicon.places, weights, form=lambda p: f" {hero.pronoun} went to the {p.name}.")
    return place.name == animal.home


def homecoming(d, hero, at_home):
    """What the place means to the hero; it follows from where the animal lives."""
    she = hero.pronoun.capitalize()
    if at_home:
        d.pick((" It was good to be home.", f" {she} knew every corner of it.", f" {she} had lived there for years."))
    else:
        d.pick((" It was far from home.", f" {she} had never been there before.", f" {she} did not know the way back."))


def find(d, lexicon, hero):
    """What the hero comes upon: returns the verb, the colour and the object."""
    d.pick(
        ("There", *lexicon.spots),
        (len(lexicon.spots), *[1] * len(lexicon.spots)),
        form=lambda s: " " + s[0].upper() + s[1:],
    )
    verb = d.pick(lexicon.verbs, form=lambda v: f" {hero.pronoun} {v[0]}")
    colour = d.pick(lexicon.colours, form=lambda c: " " + a(c.name))
    thing = d.pick(lexicon.objects, form=lambda o: f" {o.name}.")
    d.pick(lexicon.descriptions, form=lambda w: f" The {thing.name} was {w}.")
    return verb, colour, thing


def feeling(d, hero, mood):
    """How the hero feels: one or two adjectives of the mood."""
    she = hero.pronoun.capitalize()
    form = d.pick((f" {she} was", f" {she} felt", f" All day {hero.pronoun} was"), (0.5, 0.3, 0.2))
    adjective = d.pick(mood.adjectives, form=lambda w: " " + w)
    if form == f" {she} was":
        d.pick(other(mood.adjectives, adjective), form=lambda w: f" and {w}")
    d.write(".")


def meeting(d, lexicon, hero, mood):
    """A friend comes by, and the two feel the same or not."""
    friend = d.pick(other(lexicon.characters, hero), form=lambda c: f" Then {c.name}")
    d.pick(lexicon.animals, form=lambda x: f" the {x.name} came.")
    alike = d.hidden((True, False))
    friends_mood = mood if alike else d.hidden(other(lexicon.moods, mood))
    d.pick(friends_mood.adjectives, form=lambda w: f" {friend.name} was {w}.")
    verdict(d, alike)


def verdict(d, alike):
    """Whether two characters are in the same mood."""
    if alike:
        d.write(" They felt the same")
        d.pick((".", *(f", so they {x} together." for x in ("stayed", "played", "walked", "talked"))), (6, 1, 1, 1, 1))
    else:
        d.write(" They did not feel the same")
        d.pick(
            (".", *(f", so {x}." for x in ("they parted", "they argued", "one went away", "nobody spoke"))),
            (6, 1, 1, 1, 1),
        )


def ending(d, hero, mood, thing):
    """What the hero does in the end; the mood shows in the verb, and the object comes back."""
    d.pick((" In the end", " At last"))
    d.pick(mood.reactions, form=lambda r: f" {hero.name} {r}")
    d.pick((" and took the", " and left the", " and kept the"))
    d.write(f" {thing.name}.")


def mood_weights(lexicon, at_home):
    """P(mood | at home or away): at home the first mood (happy) is likelier, away the others are."""
    return [4.0 if at_home else 1.0] + [1.0 if at_home else 1.4] * (len(lexicon.moods) - 1)


def story(d, lexicon):
    """A short story: opening, walk, find, feeling, perhaps a friend, ending, perhaps a question or a summary."""
    hero, animal = opening(d, lexicon)
    at_home = visit(d, lexicon, hero, animal)
    homecoming(d, hero, at_home)
    verb, colour, thing = find(d, lexicon, hero)
    mood = d.hidden(lexicon.moods, mood_weights(lexicon, at_home))
    feeling(d, hero, mood)
    with_friend = d.hidden((True, False))
    if with_friend:
        meeting(d, lexicon, hero, mood)
    ending(d, hero, mood, thing)
    extra = d.hidden(("nothing", "question", "summary"), (0.5, 0.3, 0.2))
    if extra == "question":
        _question(d, hero, verb, colour, thing)
    elif extra == "summary":
        d.write(f"\nTL;DR: {hero.name} the {animal.name} {verb[0]} {a(colour.name)} {thing.name}.")


def _question(d, hero, verb, colour, thing):
    asked = d.pick(("Who", "What", "Which"), form=lambda w: f"\nQuestion: {w}")
    if asked == "Who":
        d.write(f" {verb[0]} the {thing.name}?\nAnswer: {hero.name}.")
    elif asked == "What":
        d.write(f" was {colour.name}?\nAnswer: the {thing.name}.")
    else:
        d.write(f" colour was the {thing.name}?\nAnswer: {colour.name}.")


def facts(d, lexicon):
    """Four to six true sentences about one kind of animal: statements, questions, and checks with yes or no."""
    animal = d.pick(lexicon.animals, form=lambda x: f"About the {x.name}:")
    place = next(p for p in lexicon.places if p.name == animal.home)
    sentences = (
        f" It lives {place.at}.",
        f" It eats {animal.food}.",
        f" It has {animal.cover}.",
        f" Where does it live? {place.at.capitalize()}.",
        f" What does it eat? {animal.food.capitalize()}.",
        " Does it live",
        " Does it eat",
    )
    told = set()
    for _ in range(d.hidden((4, 5, 6))):
        sentence = d.pick(sentences, [0.0 if s in told else 1.0 for s in sentences])
        told.add(sentence)
        if sentence == " Does it live":
            _check(d, lexicon.places, place, form=lambda p: f" {p.at}?")
        elif sentence == " Does it eat":
            _check(d, lexicon.foods, animal.food, form=lambda f: f" {f}?")


def _check(d, options, truth, form):
    """A yes-or-no question: half the time about the truth, half the time about one of the other options."""
    weights = [len(options) - 1.0 if option == truth else 1.0 for option in options]
    d.write(" Yes." if d.pick(options, weights, form) == truth else " No.")


def walks(d, lexicon):
    """Three to five lines about walks: who went where, and whether that was home."""
    for number in range(d.hidden((3, 4, 5))):
        hero = d.pick(lexicon.characters, form=lambda c: ("\n" if number else "") + c.name)
        animal = d.pick(lexicon.animals, form=lambda x: f" the {x.name} went")
        weights = [len(lexicon.places) - 1 if p.name == animal.home else 1 for p in lexicon.places]
        place = d.pick(lexicon.places, weights, form=lambda p: f" to the {p.name}.")
        homecoming(d, hero, place.name == animal.home)


def feelings(d, lexicon):
    """Two to four lines, each with two characters, two feelings, and whether they are the same."""
    for number in range(d.hidden((2, 3, 4))):
        first = d.pick(lexicon.characters, form=lambda c: ("\n" if number else "") + f"{c.name} was")
        mood = d.hidden(lexicon.moods)
        adjective = d.pick(mood.adjectives, form=lambda w: f" {w}.")
        d.pick(other(lexicon.characters, first), form=lambda c: f" {c.name} was")
        alike = d.hidden((True, False))
        second_mood = mood if alike else d.hidden(other(lexicon.moods, mood))
        d.pick(other(second_mood.adjectives, adjective), form=lambda w: f" {w}.")
        verdict(d, alike)


COMPARISONS = {
    " bigger than": lambda x, y: x.size > y.size,
    " smaller than": lambda x, y: x.size < y.size,
    " as big as": lambda x, y: x.size == y.size and x != y,
}


def sizes(d, lexicon):
    """Four to six lines that compare two animals by size, truthfully."""
    for number in range(d.hidden((4, 5, 6))):
        first = d.pick(lexicon.animals, form=lambda x: ("\n" if number else "") + f"The {x.name} is")
        true_of = {words: [float(test(first, x)) for x in lexicon.animals] for words, test in COMPARISONS.items()}
        words = d.pick(tuple(true_of), [sum(weights) for weights in true_of.values()])
        d.pick(lexicon.animals, true_of[words], form=lambda x: f" the {x.name}.")


def held_out(lexicon, animal, colour) -> bool:
    """Whether "a <colour> <animal>" is kept out of the translations, so that a test can ask for something new."""
    return (animal, colour) not in lexicon.translated


def french_phrase(animal, colour) -> str:
    """The French of "a <colour> <animal>", with article and adjective in the gender of the noun."""
    if animal.gender == "m":
        return f"un {animal.french} {colour.french_m}"
    return f"une {animal.french} {colour.french_f}"


def translation(d, lexicon):
    """Three to five lines, each an English phrase or sentence "=" its French; or all the other way round."""
    to_french = d.hidden((True, False), (0.7, 0.3))
    for number in range(d.hidden((3, 4, 5))):
        start = "\n" if number else ""
        if to_french:
            animal, colour = d.pick(lexicon.translated, form=lambda pair: f"{start}{a(pair[1].name)} {pair[0].name}")
            deed = _deed(d, lexicon, in_english=True)
            d.write(" = " + french_phrase(animal, colour) + _in_french(deed))
        else:
            animal, colour = d.pick(lexicon.translated, form=lambda pair: start + french_phrase(*pair))
            deed = _deed(d, lexicon, in_english=False)
            d.write(f" = {a(colour.name)} {animal.name}" + _in_english(deed))


def _deed(d, lexicon, in_english):
    """Half the time the animal does something: returns (verb, object) or None."""
    if d.hidden((True, False)):
        return None
    verb = d.pick(lexicon.verbs, form=lambda v: " " + (v[0] if in_english else f"a {v[1]}"))
    thing = d.pick(lexicon.objects, form=lambda o: _in_english((None, o)) if in_english else _in_french((None, o)))
    return verb, thing


def _in_english(deed):
    if deed is None:
        return ""
    verb, thing = deed
    return (f" {verb[0]}" if verb else "") + f" {a(thing.name)}"


def _in_french(deed):
    if deed is None:
        return ""
    verb, thing = deed
    return (f" a {verb[1]}" if verb else "") + (" un " if thing.gender == "m" else " une ") + thing.french


RELATIONS = {
    "home": lambda x: x.home,
    "food": lambda x: x.food,
    "cover": lambda x: x.cover,
    "size": lambda x: ("small", "middle", "big")[x.size],
    "french": lambda x: x.french,
    "plural": lambda x: x.plural,
}


def examples(d, lexicon, n_examples=12, reliability=0.8):
    """A list of animals, each followed by a word that one silent relation (home, food, ...) gives; some go astray."""
    relation = d.hidden(tuple(RELATIONS))
    others = other(tuple(RELATIONS), relation)
    d.write("Examples:")
    for _ in range(n_examples):
        animal = d.pick(lexicon.animals, form=lambda x: " " + x.name)
        answers = {}
        for name, answer in RELATIONS.items():
            share = reliability if name == relation else (1 - reliability) / len(others)
            answers[answer(animal)] = answers.get(answer(animal), 0.0) + share
        d.pick(tuple(answers), tuple(answers.values()), form=lambda word: f" {word};")


REQUESTS = (
    "Please tell", "Write", "Invent", "Give me", "Send me", "Think of", "I would like", "Make up", "Surprise me with",
    "Let us hear", "Compose", "Share", "Improvise", "Read me", "Find me", "Imagine",
    "Draft", "Dream up", "Whisper",
)  # fmt: skip


def instructions(d, lexicon):
    """One to four requests for a story, one to a line, without answers."""
    for number in range(d.hidden((1, 2, 3, 4))):
        d.pick(REQUESTS, form=lambda w: ("\n" if number else "") + w)
        d.pick(lexicon.moods, form=lambda m: f" {a(m.name)} story about")
        d.pick(lexicon.animals, form=lambda x: f" {a(x.name)} with")
        d.pick(lexicon.colours, form=lambda c: " " + a(c.name))
        d.pick(lexicon.objects, form=lambda o: f" {o.name}.")


KINDS = {
    "story": story,
    "facts": facts,
    "walks": walks,
    "feelings": feelings,
    "sizes": sizes,
    "translation": translation,
    "examples": examples,
    "instructions": instructions,
}
