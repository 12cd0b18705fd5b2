"""Distances between distributions by hand; the exact next token against long counting."""

import random
from collections import Counter

import numpy as np
import pytest
import torch

from minigpt.experiments import dataset, sizes
from minigpt.experiments.gpt2 import decoding
from minigpt.model import GPT
from minigpt.worlds import grammar

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("remembering")]


@pytest.fixture(scope="module")
def data():
    return dataset.story_dataset(3000, 60)


@pytest.fixture(scope="module")
def untrained(data):
    return GPT(sizes.gpt2(16), torch.Generator().manual_seed(0)).eval()


def test_total_variation_is_half_the_sum_and_the_largest_gap_of_any_event():
    rng = np.random.default_rng(0)
    for _ in range(5):
        p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
        events = [[i for i in range(5) if number >> i & 1] for number in range(32)]
        assert decoding.total_variation(p, q) == pytest.approx(max(abs(p[e].sum() - q[e].sum()) for e in events))
    assert decoding.total_variation([1, 0], [0, 1]) == 1.0
    with pytest.raises(ValueError, match="same tokens"):
        decoding.total_variation([1.0], [0.5, 0.5])
    with pytest.raises(ValueError, match="add to 1; got a sum of 0.9"):
        decoding.total_variation([0.5, 0.4], [0.5, 0.5])


def test_the_true_next_token_is_that_of_many_documents(data):
    prefix = "Once upon a time there was"
    true = decoding.true_next(data, prefix)
    assert true.sum().item() == pytest.approx(1.0)
    rng, counts, n = random.Random(3), Counter(), 0
    while n < 3000:
        text = grammar.sample(data.program, rng)[0]
        if text.startswith(prefix):
            n += 1
            counts[data.tokenizer.encode(text)[len(data.tokenizer.encode(prefix))]] += 1
    counted = torch.zeros_like(true)
    for token, count in counts.items():
        counted[token] = count / n
    assert decoding.total_variation(true, counted) < 0.06
    assert all(true[token] > 0 for token in counts)


def test_the_end_is_a_token_too(data):
    text = data.held_out[0]
    assert decoding.true_next(data, text)[data.tokenizer.endoftext] > 0


def test_beginnings_end_with_a_whole_word_and_can_be_written(data):
    cuts = decoding.prefixes(data, 40)
    assert cuts == decoding.prefixes(data, 40) and len(cuts) == 40
    for cut in cuts:
        assert any(text.startswith(cut) and text != cut for text in data.held_out)
        assert decoding.true_next(data, cut).sum().item() == pytest.approx(1.0)


def test_distances_of_the_truth_itself(data):
    cuts = decoding.prefixes(data, 25)
    found = decoding.distances(None, data, cuts)
    assert found["temperature 1"] == pytest.approx(0.0, abs=1e-9)
    assert found["top-k 1"] == pytest.approx(found["temperature 0"])
    # greedy misses everything but the likeliest token
    greedy = np.mean([1 - decoding.true_next(data, cut).max().item() for cut in cuts])
    assert found["temperature 0"] == pytest.approx(greedy)
    assert found["top-k 1"] > found["top-k 5"] > found["top-k 20"] >= found["top-k 100"]


def test_distances_of_a_model_against_a_slow_computation(data, untrained):
    [cut] = decoding.prefixes(data, 1)
    found = decoding.distances(untrained, data, [cut])
    logits = decoding.model_next(untrained, data, cut)
    p, q = decoding.true_next(data, cut).tolist(), (logits / 0.5).softmax(-1).tolist()
    assert found["temperature 0.5"] == pytest.approx(sum(abs(a - b) for a, b in zip(p, q)) / 2)


def test_documents_go_on_from_their_opening(data, untrained):
    openings = decoding.openings(data, 3)
    texts = decoding.generate_stories(untrained, data, openings, 0, temperature=1.0)
    assert all(text.startswith(opening) for text, opening in zip(texts, openings))
    assert texts == decoding.generate_stories(untrained, data, openings, 0, temperature=1.0)


def test_quality_by_hand(data):
    stories = data.held_out[:5]
    assert decoding.quality(stories, data)["possible"] == 1.0
    same = decoding.quality([stories[0], stories[0]], data)
    assert same["alike"] == 1.0 and same["words"] == len(stories[0].split())
    assert decoding.quality(["a b c d e", "f g h i j"], data) == {"possible": 0.0, "alike": 0.0, "words": 5.0}
