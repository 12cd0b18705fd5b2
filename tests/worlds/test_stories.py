"""Grammar of stories: every document is possible, every small grammar sums to 1, and what the texts say is true.

The parsers in this file and in tests/helpers/reading.py know the stories only from their words and from the tables of
`lexicon`: they share no code with the grammar.
"""

import hashlib
import math
import random
import re
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from reading import ANIMALS, AT, MOODS_OF, PRONOUN, check_homecoming, check_mood, could_be, read_opening
from scipy.stats import binomtest, chisquare

from minigpt.worlds import grammar, stories, story_tasks
from minigpt.worlds.lexicon import LEXICON, Animal, Character, Colour, Lexicon, Mood, Noun, Place

OBJECTS = {thing.name: thing for thing in LEXICON.objects}
PAST = {verb for verb, _ in LEXICON.verbs}
COLOURS = {colour.name for colour in LEXICON.colours}

DATA = Path(__file__).parents[2] / "data" / "README.md"

SMALL = Lexicon(
    animals=(Animal("fox", "foxes", "forest", "honey", "fur", 1, "renard", "m"),
             Animal("owl", "owls", "sea", "fish", "hair", 0, "chouette", "f")),
    characters=(Character("Lucy", "she"), Character("Tom", "he")),
    objects=(Noun("hat", "chapeau", "m"),),
    colours=(Colour("red", "rouge", "rouge"), Colour("green", "vert", "verte")),
    places=(Place("forest", "in the forest"), Place("sea", "in the sea")),
    foods=("honey", "fish"),
    moods=(Mood("happy", ("happy", "wild"), ("laughed",)), Mood("sad", ("sad", "wild"), ("wept",))),
    traits=("old",),
    descriptions=("heavy",),
    times=("day",),
    spots=("under a tree",),
    verbs=(("saw", "vu"),),
)  # fmt: skip


@pytest.fixture(scope="module")
def drawn():
    """Kind -> 400 documents of the full world."""
    return {kind: list(stories.documents(400, random.Random(f"test {kind}"), {kind: 1.0})) for kind in stories.KINDS}


@pytest.fixture(scope="module")
def everything():
    return list(stories.documents(2000, random.Random(2018), stories.EVERYTHING))


# --- probabilities --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_document_is_possible_and_shows_its_kind():
    """Each of the eight kinds: a finite score, and no doubt about which kind it is."""
    for mix in (stories.STORYBOOK, stories.EVERYTHING):
        program, rng = stories.program(mix), random.Random(4)
        for kind in mix:
            for text in stories.documents(12, rng, {kind: 1.0}):
                reading = grammar.score(program, text)
                assert math.isfinite(reading.logp) and reading.posterior() == pytest.approx({kind: 1.0})
                alone = grammar.score(stories.program({kind: 1.0}), text).logp
                assert reading.logp == pytest.approx(alone + math.log(mix[kind] / sum(mix.values())))


@pytest.mark.slow
def test_predictions_along_a_document_multiply_to_its_probability():
    program = stories.program(stories.EVERYTHING)
    for kind in stories.KINDS:
        [text] = stories.documents(1, random.Random(7), {kind: 1.0})
        before, logp = "", 0.0
        for word in (*grammar.words(text), grammar.END):
            next_word = grammar.predict(program, before).next_word
            assert sum(next_word.values()) == pytest.approx(1, abs=1e-9)
            logp += math.log(next_word[word])
            before += word
        assert logp == pytest.approx(grammar.score(program, text).logp)


class Fixed:
    """Passes everything on to d, but settles the silent choices that have certain options: the rest stays as it is."""

    def __init__(self, d, settled):
        self.d, self.settled = d, settled
        self.write, self.pick = d.write, d.pick

    def hidden(self, options, weights=None):
        if options in self.settled:
            return self.settled[options]
        return self.d.hidden(options, weights)


def settled(program, choices):
    return lambda d: program(Fixed(d, choices), SMALL)


LONELY = Lexicon(**{**vars(SMALL), **{name: vars(SMALL)[name][:1] for name in ("characters", "animals", "colours")}})
EXTRA = ("nothing", "question", "summary")
LISTED = {
    "story": settled(stories.story, {(True, False): False}),
    "story with a friend": settled(stories.story, {(True, False): True, EXTRA: "nothing", SMALL.moods: SMALL.moods[1]}),
    "facts": settled(stories.facts, {(4, 5, 6): 4}),
    "walks": settled(stories.walks, {(3, 4, 5): 2}),
    "feelings": settled(stories.feelings, {(2, 3, 4): 2}),
    "translation": settled(stories.translation, {(3, 4, 5): 3}),
    "examples": partial(stories.examples, lexicon=SMALL, n_examples=2),
    "instructions": settled(stories.instructions, {(1, 2, 3, 4): 2}),
    "classification": partial(story_tasks.mood_task, lexicon=SMALL),
    "entailment": partial(story_tasks.entailment_task, lexicon=SMALL),
    "similarity": partial(story_tasks.similarity_task, lexicon=SMALL),
    "multiple choice": partial(story_tasks.cloze_task, lexicon=LONELY),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LISTED)
def test_the_documents_of_a_small_world_sum_to_1(name):
    """Listed one by one; and for some of them, the sum over the runs that write a text is its score."""
    total, by_value = Counter(), Counter()
    for text, probability, value in grammar.documents(LISTED[name]):
        total[text] += probability
        by_value[text, value] += probability
    assert math.fsum(total.values()) == pytest.approx(1, abs=1e-9) and len(total) >= 12
    for text in random.Random(0).sample(sorted(total), min(40, len(total))):
        reading = grammar.score(LISTED[name], text)
        assert reading.logp == pytest.approx(math.log(total[text]), abs=1e-9)
        for value, logp in reading.by_value.items():
            assert logp == pytest.approx(math.log(by_value[text, value]), abs=1e-9)


def test_the_comparisons_of_a_small_world_sum_to_1():
    """Every text of four true lines, put together here; of each animal two things can be said."""
    lines = ["fox is bigger than the hen", "fox is bigger than the cow", "hen is smaller than the fox",
             "cow is smaller than the fox", "hen is as big as the cow", "cow is as big as the hen"]  # fmt: skip
    animals = tuple(Animal(name, "", "", "", "", size, "", "") for name, size in (("fox", 2), ("hen", 1), ("cow", 1)))
    three = replace(SMALL, animals=animals)
    texts = ["\n".join(f"The {line}." for line in four) for four in product(lines, repeat=4)]
    logps = [grammar.score(partial(stories.sizes, lexicon=three), text).logp for text in texts]
    assert math.fsum(map(math.exp, logps)) == pytest.approx(1 / 3)  # of 4, 5 and 6 lines
    assert logps == pytest.approx([-math.log(3 * 6**4)] * len(texts))


def test_comparisons_can_be_listed():
    [*_] = grammar.documents(partial(stories.sizes, lexicon=SMALL))


def test_the_probability_of_one_story_by_hand():
    text = (
        "This is a story about Lucy the seal. One day she went to the sea. It was good to be home. There she found a "
        "red hat. The hat was heavy. She felt calm. In the end Lucy sighed and took the hat.\nTL;DR: Lucy the seal "
        "found a red hat."
    )
    n = {name: len(options) for name, options in vars(LEXICON).items()}
    walk = 0.4 / n["characters"] / n["animals"] / n["times"] * (7 / 14) / 3  # half of the walks lead home; 3 phrases
    thing = 1 / n["colours"] / n["objects"] / n["descriptions"]
    find = 1 / 2 / n["verbs"] * thing  # "There": as likely as all spots together
    happy, sad = 4 / 7, 1 / 7  # at home; "calm" belongs to both moods, "sighed" to sad alone
    feel = 0.3 / len(LEXICON.moods[1].adjectives)  # "She felt"
    ending = 1 / 2 / len(LEXICON.moods[1].reactions) / 3  # "In the end", sighed, took
    expected = walk * find * sad * feel * (1 / 2) * ending * 0.2  # no friend; a summary
    program = stories.program({"story": 1.0})
    assert grammar.score(program, text).logp == pytest.approx(math.log(expected))
    assert [len(m.adjectives) for m in LEXICON.moods[:2]] == [len(LEXICON.moods[0].adjectives)] * 2
    assert [len(m.reactions) for m in LEXICON.moods[:2]] == [len(LEXICON.moods[0].reactions)] * 2
    assert grammar.score(program, text.replace("sighed", "smiled")).logp == pytest.approx(
        math.log(expected / sad * happy)
    )


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("Lucy the owl went to the sea. It was far from home.", ("far from home", "good to be home")),
        ("Tom was happy. Lucy was glad. They felt the same.", ("glad", "sad")),
        ("The bear is bigger than the bee.", ("bigger", "smaller")),
        ("a red owl = un hibou rouge", ("un hibou", "une hibou")),
        ("a red owl = un hibou rouge", ("a red", "an red")),
        ("Write a happy story about an owl with a red hat.", ("an owl", "a owl")),
    ],
)
def test_what_is_not_true_is_impossible(text, change):
    kinds = (stories.walks, stories.feelings, stories.sizes, stories.translation, stories.instructions)
    lengths = {(3, 4, 5): 1, (2, 3, 4): 1, (4, 5, 6): 1, (1, 2, 3, 4): 1}
    right, wrong = text, text.replace(*change)

    def one_line(kind):
        return lambda d: kind(Fixed(d, lengths), LEXICON)

    assert sum(math.exp(grammar.score(one_line(kind), right).logp) for kind in kinds) > 0
    assert sum(math.exp(grammar.score(one_line(kind), wrong).logp) for kind in kinds) == 0


# --- chance ---------------------------------------------------------------------------------------------------------


class OnlyRandom:
    """A generator that has random() and nothing else: the one method whose sequence Python promises to keep."""

    def __init__(self, seed):
        self.random = random.Random(seed).random


def test_only_random_is_asked():
    texts = list(stories.documents(100, OnlyRandom(5), stories.EVERYTHING))
    assert texts == list(stories.documents(100, random.Random(5), stories.EVERYTHING))
    for task in story_tasks.TASKS:
        assert story_tasks.labelled(task, 20, OnlyRandom(5)) == story_tasks.labelled(task, 20, random.Random(5))


@pytest.mark.parametrize("name", ["STORYBOOK", "EVERYTHING"])
def test_the_same_documents_on_every_machine(name):
    """If this fails, the grammar has changed: every table made with it must be measured again (see data/README.md)."""
    [expected] = re.findall(rf"`stories.{name}` \| `([0-9a-f]{{64}})`", DATA.read_text(encoding="utf-8"))
    texts = stories.documents(2000, random.Random(2018), getattr(stories, name))
    assert hashlib.sha256("\n\n".join(texts).encode("utf-8")).hexdigest() == expected


@pytest.mark.parametrize("mix", [stories.STORYBOOK, stories.EVERYTHING])
def test_kinds_are_drawn_with_their_weights(mix):
    assert sum(mix.values()) == pytest.approx(1)
    program, rng = stories.program(mix), random.Random(6)
    counts = Counter(grammar.sample(program, rng)[1] for _ in range(4000))
    assert chisquare([counts[kind] for kind in mix], [4000 * weight for weight in mix.values()]).pvalue > 1e-3


def test_more_than_500_words(everything):
    found = {word.strip().lower() for text in everything for word in grammar.words(text)}
    assert len({word for word in found if word.isalpha()}) >= 500


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"story": 1, "poem": 1}, r"kinds among .*'walks'.*got \['poem'\]"),
        ({"story": -1, "walks": 2}, "not negative"),
        ({"story": 0}, "not all 0"),
        ({}, "not all 0"),
    ],
)
def test_bad_mixes(mix, message):
    with pytest.raises(ValueError, match=message):
        stories.program(mix)
    with pytest.raises(ValueError, match=message):
        list(stories.documents(1, random.Random(0), mix))


# --- what the texts say ---------------------------------------------------------------------------------------------

VOWEL = re.compile(r"\ban? (\w)")


def test_a_or_an(drawn):
    for text in (text for kind in set(drawn) - {"translation"} for text in drawn[kind]):
        for found in VOWEL.finditer(text):
            assert found.group().startswith("an ") == (found.group(1) in "aeiou"), text
    assert any("an owl" in text for text in drawn["instructions"])


def test_no_word_after_a_sounds_other_than_it_is_written():
    """`world.a` goes by the first letter, so words like "honest" and "useful" must not come after it."""
    nouns = (*LEXICON.animals, *LEXICON.objects, *LEXICON.colours, *LEXICON.moods)
    after_a = {*LEXICON.traits, *(noun.name for noun in nouns)}
    assert not [word for word in after_a if re.match("hon(est|our)|hour|heir|uni|us[eu]|eu|one|ewe", word)]


def test_stories_hold_together(drawn):
    """Pronoun, home, object, moods, friend, question and summary: read back from the words alone."""
    for text in drawn["story"]:
        story, _, extra = text.partition("\n")
        hero, animal = read_opening(story)
        pronouns = set(re.findall(r"\b(she|he)\b", story.lower()))
        assert pronouns == {PRONOUN[hero]}
        check_homecoming(story, animal)
        verb, colour, thing = re.search(r" (?:she|he) (\w+) an? (\w+) (\w+)\. The \3 was \w+\.", story).groups()
        assert verb in PAST and colour in COLOURS and thing in OBJECTS
        mood = check_mood(story, hero)
        if friend := re.search(r" Then (\w+) the (\w+) came\. (\w+) was (\w+)\. They (did not feel|felt)", story):
            name, animal_2, name_2, adjective, same = friend.groups()
            assert name == name_2 != hero and animal_2 in ANIMALS
            assert could_be(same == "felt", mood, MOODS_OF[adjective])
        assert re.search(rf"(?:In the end|At last) {hero} (\w+) and (?:took|left|kept) the {thing}\.$", story)
        if extra.startswith("TL;DR"):
            assert extra == f"TL;DR: {hero} the {animal} {verb} a {colour} {thing}."
        elif extra:
            question, answer = extra.split("\n")
            assert f"{question} {answer}" in {
                f"Question: Who {verb} the {thing}? Answer: {hero}.",
                f"Question: What was {colour}? Answer: the {thing}.",
                f"Question: Which colour was the {thing}? Answer: {colour}.",
            }
    extras = Counter(text.partition("\n")[2][:3] for text in drawn["story"])
    assert chisquare([extras[""], extras["Que"], extras["TL;"]], [200, 120, 80]).pvalue > 1e-3


def test_could_be_is_able_to_refuse():
    assert could_be(True, {"sad"}, {"sad", "happy"}) and could_be(False, {"sad"}, {"sad", "happy"})
    assert not could_be(True, {"sad"}, {"happy"}) and not could_be(False, {"sad"}, {"sad"})


def test_facts_are_true(drawn):
    checks = Counter()
    for text in drawn["facts"]:
        name, sentences = re.fullmatch(r"About the (\w+):(.*)", text).groups()
        animal = ANIMALS[name]
        home, told = AT[animal.home], []
        for sentence in re.findall(
            r" (It \w+ [^.]+\.|Where [^?]+\? [^.]+\.|What [^?]+\? [^.]+\.|Does [^.]+\.)", sentences
        ):
            told.append(sentence)
            if asked := re.fullmatch(r"Does it (live|eat) ([^?]+)\? (Yes|No)\.", sentence):
                verb, thing, answer = asked.groups()
                assert thing in (AT.values() if verb == "live" else LEXICON.foods)
                assert (answer == "Yes") == (thing == (home if verb == "live" else animal.food))
                checks[answer] += 1
            else:
                assert sentence in {
                    f"It lives {home}.", f"It eats {animal.food}.", f"It has {animal.cover}.",
                    f"Where does it live? {home.capitalize()}.", f"What does it eat? {animal.food.capitalize()}.",
                }  # fmt: skip
        assert "".join(" " + sentence for sentence in told) == sentences  # nothing was left unread
        assert 4 <= len(told) <= 6 and len({sentence[:12] for sentence in told}) == len(told)
    assert binomtest(checks["Yes"], checks.total()).pvalue > 1e-3  # half of the checks are right


def test_walks_are_true(drawn):
    at_home = Counter()
    for line in lines(drawn["walks"], (3, 5)):
        hero, animal = re.match(r"(\w+) the (\w+) went to the \w+\. \w", line).groups()
        at_home[check_homecoming(line, animal)] += 1
        said = re.search(r"\. (She|He|It) ", line).group(1).lower()
        assert said in ("it", PRONOUN[hero])
    assert binomtest(at_home[True], at_home.total()).pvalue > 1e-3  # half of the walks lead home


def test_feelings_are_true(drawn):
    same = Counter()
    for line in lines(drawn["feelings"], (2, 4)):
        pattern = r"(\w+) was (\w+)\. (\w+) was (\w+)\. They (felt|did not feel) the same(?:, so [\w ]+)?\."
        first, adjective, second, other, verdict = re.fullmatch(pattern, line).groups()
        assert first != second and {first, second} <= set(PRONOUN) and adjective != other
        assert could_be(verdict == "felt", MOODS_OF[adjective], MOODS_OF[other])
        same[verdict] += 1
    assert binomtest(same["felt"], same.total()).pvalue > 1e-3


def test_sizes_are_true(drawn):
    is_true = {"bigger than": int.__gt__, "smaller than": int.__lt__, "as big as": int.__eq__}
    said = Counter()
    for line in lines(drawn["sizes"], (4, 6)):
        first, comparison, second = re.fullmatch(r"The (\w+) is (.+) the (\w+)\.", line).groups()
        assert first != second and is_true[comparison](ANIMALS[first].size, ANIMALS[second].size)
        said[comparison] += 1
    assert min(said.values()) > 100


def lines(texts, between):
    """All lines of some documents, each of which has so many."""
    for text in texts:
        assert between[0] <= len(text.split("\n")) <= between[1]
        yield from text.split("\n")


def test_the_lines_of_different_documents_are_counted(drawn):
    for kind, options in (("walks", 3), ("feelings", 3), ("sizes", 3), ("translation", 3), ("instructions", 4)):
        counts = Counter(text.count("\n") for text in drawn[kind])
        assert len(counts) == options and chisquare(list(counts.values())).pvalue > 1e-3


ENGLISH = re.compile(r"an? (?P<colour>\w+) (?P<animal>\w+)(?: (?P<verb>\w+) (?P<a>an?) (?P<thing>\w+))?")


def in_french(colour, animal, verb, thing):
    """A translation made here, word by word, from the tables of the lexicon."""
    [hue] = [c for c in LEXICON.colours if c.name == colour]
    un = {"m": ("un", hue.french_m), "f": ("une", hue.french_f)}
    article, adjective = un[ANIMALS[animal].gender]
    phrase = f"{article} {ANIMALS[animal].french} {adjective}"
    if verb:
        thing = OBJECTS[thing]
        phrase += f" a {dict(LEXICON.verbs)[verb]} {un[thing.gender][0]} {thing.french}"
    return phrase


def test_translations_are_right(drawn):
    seen, deeds = set(), Counter()
    for text in drawn["translation"]:
        to_french = text.startswith("a ")
        for line in lines([text], (3, 5)):
            left, right = line.split(" = ")
            english, french = (left, right) if to_french else (right, left)
            found = ENGLISH.fullmatch(english)
            assert french == in_french(found["colour"], found["animal"], found["verb"], found["thing"]), line
            seen.add((found["animal"], found["colour"]))
            deeds[found["verb"] is None] += 1
    n_to_french = sum(text.startswith("a ") for text in drawn["translation"])
    assert binomtest(n_to_french, len(drawn["translation"]), 0.7).pvalue > 1e-3
    assert binomtest(deeds[True], deeds.total()).pvalue > 1e-3
    kept_out = {(x.name, c.name) for x in LEXICON.animals for c in LEXICON.colours if stories.held_out(LEXICON, x, c)}
    assert len(kept_out) == 32 and len(seen) == 160 and not seen & kept_out  # 24 x 8 pairs, a sixth kept out
    assert {animal for animal, _ in kept_out} == set(ANIMALS)  # of every animal something new can be asked
    assert {colour for _, colour in kept_out} == COLOURS


def test_each_lexicon_has_phrases_of_its_own_that_it_does_not_translate():
    turned = replace(LEXICON, animals=LEXICON.animals[1:] + LEXICON.animals[:1])
    for lexicon in (LEXICON, turned, replace(LEXICON, colours=LEXICON.colours[:7])):
        pairs = [(animal, colour) for animal in lexicon.animals for colour in lexicon.colours]
        numbers = [(i, j) for i in range(len(lexicon.animals)) for j in range(len(lexicon.colours))]
        out = [(i + j) % 6 == 0 for i, j in numbers]
        assert [stories.held_out(lexicon, *pair) for pair in pairs] == out
        assert list(lexicon.translated) == [pair for pair, kept_out in zip(pairs, out) if not kept_out]
    assert LEXICON.translated != turned.translated


def test_held_out_pairs_are_impossible_but_all_their_words_are_known():
    program = stories.program({"translation": 1.0})
    for animal in LEXICON.animals:
        for colour in LEXICON.colours:
            english, french = f"a {colour.name} {animal.name}", stories.french_phrase(animal, colour)
            assert french == in_french(colour.name, animal.name, None, None)
            possible = english.split()[-1] in {
                word.strip() for word in grammar.predict(program, f"a {colour.name}").next_word
            }
            assert possible != stories.held_out(LEXICON, animal, colour)


@pytest.mark.parametrize(
    ("animal", "colour", "expected"),
    [
        ("whale", "white", "une baleine blanche"),
        ("bear", "white", "un ours blanc"),
        ("bee", "green", "une abeille verte"),
        ("snail", "grey", "un escargot gris"),
        ("hen", "red", "une poule rouge"),
        ("frog", "black", "une grenouille noire"),
    ],
)
def test_french_by_hand(animal, colour, expected):
    [hue] = [c for c in LEXICON.colours if c.name == colour]
    assert stories.french_phrase(ANIMALS[animal], hue) == expected


def test_examples_follow_their_relation(drawn):
    """Of the 12 answers most come from one relation, and none is made up."""
    relations = {
        "home": "home", "food": "food", "cover": "cover", "french": "french", "plural": "plural",
    }  # fmt: skip
    answers = {name: {r: getattr(x, attribute) for r, attribute in relations.items()} for name, x in ANIMALS.items()}
    for name, animal in ANIMALS.items():
        answers[name]["size"] = ["small", "middle", "big"][animal.size]
    chosen, right = Counter(), 0
    for text in drawn["examples"]:
        assert text.startswith("Examples: ") and text.endswith(";")
        pairs = [pair.split() for pair in text.removeprefix("Examples: ")[:-1].split("; ")]
        assert len(pairs) == 12
        fits = Counter(r for animal, answer in pairs for r, word in answers[animal].items() if word == answer)
        assert all(answer in answers[animal].values() for animal, answer in pairs)
        relation, n = fits.most_common(1)[0]
        chosen[relation] += 1
        right += n
    assert chisquare([chosen[r] for r in (*relations, "size")]).pvalue > 1e-3
    assert 0.8 <= right / (12 * len(drawn["examples"])) < 0.84  # the best of six relations: a little above 0.8


def test_instructions_can_be_followed(drawn):
    for line in lines(drawn["instructions"], (1, 4)):
        request = re.fullmatch(r"(.+?) an? (\w+) story about an? (\w+) with a (\w+) (\w+)\.", line).groups()
        asks, mood, animal, colour, thing = request
        assert asks in stories.REQUESTS and mood in {m.name for m in LEXICON.moods}
        assert animal in ANIMALS and colour in COLOURS and thing in OBJECTS
