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


def test_a_large_dataset_is_drawn_once_and_read_back_as_it_was(data, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    monkeypatch.setattr(dataset, "LARGE", 200)
    drawn, sample = [], grammar.sample
    monkeypatch.setattr(grammar, "sample", lambda *args: drawn.append(1) or sample(*args))
    first, n = dataset.story_dataset(200, 20), len(drawn)
    again = dataset.story_dataset(200, 20)
    assert n == 220 == len(drawn) and len(list(tmp_path.glob("dataset-*/*.safetensors"))) == 1
    for each in (first, again):
        assert each.fingerprint == data.fingerprint and each.tokenizer == data.tokenizer
        assert each.documents == data.documents and each.held_out == data.held_out
        for read, made in ((each.corpus, data.corpus), (each.held_out_corpus, data.held_out_corpus)):
            assert read.ids.dtype == made.ids.dtype and read.tokenizer_fingerprint == made.tokenizer_fingerprint
        assert each.floor == data.floor and each.program is not None
    for change in ({"seed": 2}, {"mix": {"story": 1.0}}, {"n_documents": 201}, {"n_held_out": 21}):
        before = len(drawn)
        dataset.story_dataset(**{"n_documents": 200, "n_held_out": 20} | change)
        assert len(drawn) > before  # another dataset
    before = len(drawn)
    dataset.story_dataset(199, 20)
    dataset.story_dataset(199, 20)
    assert len(drawn) == before + 2 * 219  # a small one is drawn anew
