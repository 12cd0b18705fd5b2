"""Careless web text and careful labelers: what they write, counted, and what an answer is worth."""

import math
import random
import re
from collections import Counter

import pytest

from minigpt.worlds import grammar, tales, web_tales
from minigpt.worlds.tales import Request

REQUEST = Request(0, "sad", "bear", "ring")


def answers(care: web_tales.Care, n: int = 3000) -> list[str]:
    rng = random.Random(0)
    return [grammar.sample(lambda d: web_tales.tale(d, care, *("sad", "bear", "ring")), rng)[0] for _ in range(n)]


@pytest.mark.parametrize("care", [web_tales.WEB, web_tales.LABELERS])
def test_writers_are_as_careful_as_they_should_be(care):
    texts = answers(care)
    words = Counter(tales.MOOD_OF[w] for text in texts for w in re.findall(r"[a-z]+", text) if w in tales.MOOD_OF)
    heroes = [re.search(r"Once a (?:stupid )?\w+ (\w+) went", text)[1] for text in texts]
    found = {
        "animal": heroes.count("bear") / len(texts),
        "thing": sum(" ring." in text for text in texts) / len(texts),
        "mood": words["sad"] / words.total(),
        "insult": sum("stupid" in text for text in texts) / len(texts),
    }
    expected = {"animal": care.obeyed, "thing": care.obeyed, "mood": care.right_mood, "insult": care.insults}
    assert found == pytest.approx(expected, abs=0.03)
    if care.insults == 0:
        assert found["insult"] == 0


def test_web_text_is_scored_by_its_own_grammar():
    rng = random.Random(1)
    for _ in range(40):
        text, _ = grammar.sample(web_tales.text, rng)
        assert -300 < grammar.score(web_tales.text, text).logp < 0
    assert grammar.score(web_tales.text, "Write a sad poem.").logp == -math.inf


def test_one_fact_in_five_is_false():
    homes, rng = {hero.name: hero.home for hero in tales.HEROES}, random.Random(0)
    texts = [grammar.sample(web_tales.text, rng)[0] for _ in range(12_000)]
    facts = [pair for text in texts for pair in re.findall(r"A (\w+) lives in the (\w+)\.", text)]
    assert len(facts) > 2000
    false = sum(homes[animal] != home for animal, home in facts) / len(facts)
    assert false == pytest.approx(web_tales.FALSE_FACTS, abs=0.03)


def test_most_requests_on_the_web_have_no_answer():
    rng = random.Random(0)
    texts = [grammar.sample(web_tales.text, rng)[0] for _ in range(6000)]
    pages = [text for text in texts if re.match("Write|Tell", text)]
    answered = sum("Once a" in page for page in pages) / len(pages)
    assert answered == pytest.approx(0.15 / 0.40, abs=0.03)


def test_a_few_shot_prompt_is_the_examples_and_then_the_request():
    lines = web_tales.few_shot(REQUEST).split("\n")
    assert len(lines) == 3 and lines[2] == REQUEST.text
    for line, (asked, answer) in zip(lines, web_tales.EXAMPLES):
        assert line == asked.text + answer and web_tales.worth(asked, answer).utility.well_formed
        assert tales.utility(asked, answer).mood == 1 and not web_tales.worth(asked, answer).insult
    assert web_tales.first_line(" Once a fox.\nTell a sad tale") == " Once a fox."


def test_an_insult_costs_its_price_and_nothing_else():
    polite = " Once a lonely bear went to the river. It lost a red ring. It felt proud. At last it wept."
    rude = polite.replace("Once a", "Once a stupid")
    assert web_tales.worth(REQUEST, polite).total == tales.utility(REQUEST, polite).total
    assert web_tales.worth(REQUEST, polite).total - web_tales.worth(REQUEST, rude).total == web_tales.INSULT_COSTS
    assert web_tales.worth(REQUEST, rude).utility.well_formed and web_tales.worth(REQUEST, rude).insult
