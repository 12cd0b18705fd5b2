"""The dataset of stories: what it says it is, and a function of its arguments."""

import random

import pytest

from minigpt.experiments import dataset
from minigpt.experiments.dataset import N_VOCAB
from minigpt.worlds import grammar, stories

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny training")]  # made once for all files of the group


def test_the_dataset_is_what_it_says(data):
    assert len(data.documents) == len(data.corpus) == 200 and len(data.held_out) == 20
    assert data.documents == list(stories.documents(200, random.Random(1)))
    assert [data.tokenizer.decode(data.corpus.document(i)) for i in range(200)] == data.documents
    assert [data.tokenizer.decode(data.held_out_corpus.document(i)) for i in range(20)] == data.held_out
    assert data.tokenizer.n_vocab <= N_VOCAB
    exact = [-grammar.score(data.program, text).logp for text in data.held_out]
    assert data.held_out_nats == pytest.approx(exact)
    n_tokens = [len(data.tokenizer.encode(text)) + 1 for text in data.held_out]
    assert data.held_out_tokens.tolist() == n_tokens
    assert data.floor.mean == pytest.approx(sum(exact) / sum(n_tokens))


def test_the_dataset_is_a_function_of_its_arguments(data):
    again, other = dataset.story_dataset(200, 20), dataset.story_dataset(200, 20, seed=2)
    assert again.fingerprint == data.fingerprint != other.fingerprint
    assert again.documents == data.documents != other.documents and again.held_out == data.held_out
    assert again.tokenizer.fingerprint == data.tokenizer.fingerprint != other.tokenizer.fingerprint
    assert not set(data.held_out) & {text for text in data.documents if len(text) > 200}
