"""The lexicon agrees with itself."""

from reading import ANIMALS, AT, MOOD_OF_REACTION, PRONOUN

from minigpt.worlds.lexicon import LEXICON


def test_the_lexicon_agrees_with_itself():
    assert {animal.home for animal in LEXICON.animals} == set(AT)
    assert {animal.food for animal in LEXICON.animals} == set(LEXICON.foods)
    assert {animal.size for animal in LEXICON.animals} == {0, 1, 2}
    assert {x.gender for x in (*LEXICON.animals, *LEXICON.objects)} == {"m", "f"}
    assert set(PRONOUN.values()) == {"she", "he"}
    for group in (LEXICON.animals, LEXICON.characters, LEXICON.objects, LEXICON.colours, LEXICON.places, LEXICON.moods):
        assert len({x.name for x in group}) == len(group)
    for group in (LEXICON.traits, LEXICON.descriptions, LEXICON.times, LEXICON.spots, LEXICON.verbs):
        assert len(set(group)) == len(group)
    for mood in LEXICON.moods:
        assert mood.name == mood.adjectives[0] and len(set(mood.adjectives)) == len(mood.adjectives)
    assert len(MOOD_OF_REACTION) == sum(len(mood.reactions) for mood in LEXICON.moods)  # no verb in two moods
    for place in AT:
        assert {animal.name for animal in LEXICON.animals_living(place)} == {
            name for name, animal in ANIMALS.items() if animal.home == place
        }
