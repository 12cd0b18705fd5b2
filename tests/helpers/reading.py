"""Reading stories by their words and by the tables of `lexicon` alone: no code is shared with the grammar."""

import re

from minigpt.worlds.lexicon import LEXICON

ANIMALS = {animal.name: animal for animal in LEXICON.animals}
PRONOUN = {character.name: character.pronoun for character in LEXICON.characters}
AT = {place.name: place.at for place in LEXICON.places}
MOOD_OF_REACTION = {reaction: mood.name for mood in LEXICON.moods for reaction in mood.reactions}
MOODS_OF = {
    word: {m.name for m in LEXICON.moods if word in m.adjectives} for m in LEXICON.moods for word in m.adjectives
}
AT_HOME = ("It was good to be home", "knew every corner of it", "had lived there for years")
AWAY = ("It was far from home", "had never been there before", "did not know the way back")


def read_opening(story):
    """Who a story is about, and what kind of animal: from its first sentence."""
    long = re.match(r"Once upon a time there was an? (\w+) (\w+) named (\w+)\.", story)
    if long:
        trait, animal, hero = long.groups()
        assert trait in LEXICON.traits
    else:
        hero, animal = re.match(r"This is a story about (\w+) the (\w+)\.", story).groups()
    assert animal in ANIMALS and hero in PRONOUN
    return hero, animal


def check_homecoming(line, animal):
    """What is said of home fits the animal and the place; returns whether it is home."""
    at_home = ANIMALS[animal].home == re.search(r"went to the (\w+)\.", line).group(1)
    assert any(phrase in line for phrase in (AT_HOME if at_home else AWAY)), line
    assert not any(phrase in line for phrase in (AWAY if at_home else AT_HOME)), line
    return at_home


def check_mood(story, hero):
    """The mood that the hero's adjectives and the verb at the end have in common."""
    she = PRONOUN[hero]
    told = re.search(rf"(?:{she.capitalize()} (?:was|felt)|All day {she} was) (\w+)(?: and (\w+))?\.", story).groups()
    reaction = re.search(rf"(?:In the end|At last) {hero} (\w+)", story).group(1)
    mood = MOOD_OF_REACTION[reaction]
    assert told[0] != told[1] and all(mood in MOODS_OF[word] for word in told if word)
    return {mood}


def could_be(same, moods, others):
    """Whether two sets of possible moods allow the verdict."""
    return bool(moods & others) if same else any(x != y for x in moods for y in others)
