"""Requests and answers as ids and back, and what an answer is worth."""

import pytest

from minigpt import responses
from minigpt.experiments import sizes
from minigpt.experiments.instructgpt import dialogue
from minigpt.worlds import grammar, tales

pytestmark = pytest.mark.xdist_group("tales")  # their dataset is made once for all steps


def test_every_word_of_the_language_is_one_token():
    library, words = dialogue.tale_dataset(), set()
    for document in library.documents[:3000]:
        words |= set(grammar.words(document))
    assert {len(library.tokenizer.encode(word)) for word in words} == {1}
    assert library.tokenizer.n_vocab == sizes.INSTRUCTGPT.n_vocab
    assert dialogue.prompt_ids(tales.requests("test")).shape == (256, 12)


def test_answers_go_to_ids_and_back():
    texts = [" Once a sad fox.", "", " It felt mad."]
    ids = dialogue.answer_ids(texts)
    assert dialogue.answer_texts(ids) == texts
    assert responses.answer_lengths(ids).tolist() == [6, 1, 5]  # the end token included


def test_what_the_policy_is_told_of_its_utility(gpt):
    requests = tales.requests("test")[:6]
    answers = dialogue.sample_answers(gpt, requests)
    found = dialogue.utility_fn(dialogue.prompt_ids(requests), answers)
    expected = [tales.utility(r, t).total for r, t in zip(requests, dialogue.answer_texts(answers))]
    assert found.tolist() == pytest.approx(expected)
    assert dialogue.title_ids(requests).shape == (6, 9)
