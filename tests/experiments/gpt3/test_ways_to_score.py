"""Ways to score: the prompts of the controls, and positions that begin later."""

import random

import pytest
import torch

from minigpt import fewshot
from minigpt.experiments import canaries
from minigpt.experiments.gpt3 import ways_to_score as ways


@pytest.fixture(scope="module")
def data():
    return canaries.small_dataset()


def test_phrases_are_held_out_or_not_and_each_choice_is_wrong_in_one_thing():
    asked, pool = ways.phrases()
    assert len(asked) == 32 and len(pool) == 160 and not {e.context for e in asked} & {e.context for e in pool}
    for example in (*asked, *pool):
        assert len(set(example.choices)) == 4 and example.completion == example.choices[0]
        right, *wrong = (choice.split() for choice in example.choices)
        assert wrong[2][1:] == right[1:] and wrong[2][0] != right[0]


def test_a_text_read_deeper_is_the_one_with_its_positions_moved(data):
    gpt = canaries.gpt1()
    ids = torch.arange(10)[None]
    before = gpt(ids)
    with ways.read_deeper(gpt, 7):
        found = gpt(ids)
    h = gpt.W_e(ids) + gpt.W_p(torch.arange(7, 17))
    for block in gpt.blocks:
        h = block(h)
    torch.testing.assert_close(found, h @ gpt.W_e.weight.T)
    torch.testing.assert_close(gpt(ids), before)
    assert not torch.allclose(found, before)


def test_the_controls_end_about_as_deep_as_the_longest_prompts(data):
    gpt = canaries.gpt1()
    tokens = {prompt: ways.mean_tokens(gpt, data, prompt) for prompt in (2, "fit", ways.DEEP, ways.AFTER_PHRASES)}
    assert tokens["fit"] > 3 * tokens[2]
    for control in (ways.DEEP, ways.AFTER_PHRASES):
        assert abs(tokens[control] - tokens["fit"]) < 30 < tokens[control] - tokens[2]


def test_the_phrases_before_have_no_translation(data):
    text = ways.untranslated(data, 60)
    assert len(data.tokenizer.encode(text)) <= 60 and "=" not in text and len(text.split("\n")) > 4


def test_a_score_is_that_of_a_plain_evaluation(data):
    gpt = canaries.gpt1()
    asked, pool = ways.phrases()
    plain = fewshot.evaluate(gpt, data.tokenizer, asked[:3], 2, "plain", random.Random(0), pool=pool)
    assert ways.scored(gpt, data, 2, "plain", 3) == plain.score
