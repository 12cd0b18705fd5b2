"""Where words lie: against loops, eigenvectors and counting."""

import itertools

import numpy as np
import pytest
import torch

from minigpt.experiments import dataset, pretraining
from minigpt.experiments.canaries import training_of
from minigpt.experiments.gpt1 import geometry
from minigpt.experiments.sizes import GPT1
from minigpt.model import GPT
from minigpt.worlds.lexicon import LEXICON

GROUPS = ["a", "b", "a", "c", "b", "a"]


@pytest.fixture(scope="module")
def data():
    return dataset.story_dataset(n_documents=200, n_held_out=20)


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(6, 4))


def cosine(x, y):
    return sum(a * b for a, b in zip(x, y)) / (sum(a * a for a in x) * sum(b * b for b in y)) ** 0.5


def test_words_and_their_groups():
    moods, kinds = geometry.words("moods"), geometry.words("kinds")
    assert moods["gloomy"] == "sad" and moods["scared"] == "afraid" and "quiet" not in moods  # sad or afraid
    for mood in LEXICON.moods:
        assert [word for word, group in moods.items() if group == mood.name] == list(mood.adjectives[:-2])
    counts = {group: list(kinds.values()).count(group) for group in kinds.values()}
    assert counts == {"animals": 24, "names": 32, "things": 24, "mood words": 32}
    assert kinds["fox"] == "animals" and kinds["Lucy"] == "names" and kinds["hat"] == "things"
    with pytest.raises(ValueError, match="expected one of .*'moods', 'kinds'.*got 'colours'"):
        geometry.words("colours")


def test_only_words_of_one_token_and_their_own_rows(data):
    gpt = GPT(GPT1, torch.Generator().manual_seed(0))
    names, groups, vectors = geometry.embeddings(gpt, data, "kinds")
    n_tokens = {word: len(data.tokenizer.encode(" " + word)) for word in geometry.words("kinds")}
    assert names == [word for word, n in n_tokens.items() if n == 1] and len(names) < len(n_tokens)
    assert groups == [geometry.words("kinds")[name] for name in names]
    for name, vector in zip(names, vectors, strict=True):
        (id,) = data.tokenizer.encode(" " + name)
        assert vector.tolist() == gpt.W_e.weight[id].tolist()


def test_within_minus_between_by_loops(vectors):
    pairs = list(itertools.combinations(range(6), 2))
    same = [cosine(vectors[i], vectors[j]) for i, j in pairs if GROUPS[i] == GROUPS[j]]
    other = [cosine(vectors[i], vectors[j]) for i, j in pairs if GROUPS[i] != GROUPS[j]]
    assert geometry.within_minus_between(GROUPS, vectors) == pytest.approx(np.mean(same) - np.mean(other))
    apart = np.eye(3)[[0, 1, 0, 2, 1, 0]] * np.arange(1, 7)[:, None]  # each group a direction, whatever the lengths
    assert geometry.within_minus_between(GROUPS, apart) == pytest.approx(1)


def test_nearest_neighbours_by_loops(vectors):
    alike = 0
    for i in range(6):
        nearest = max((j for j in range(6) if j != i), key=lambda j: cosine(vectors[i], vectors[j]))
        alike += GROUPS[nearest] == GROUPS[i]
    assert geometry.neighbours_alike(GROUPS, vectors) == pytest.approx(alike / 6)
    apart = np.eye(3)[[0, 1, 0, 2, 1, 0]] + 0.01 * vectors[:, :3]
    assert geometry.neighbours_alike(GROUPS, apart) == pytest.approx(5 / 6)  # "c" is alone


def test_chance_by_listing_every_neighbour():
    pairs = [(i, j) for i, j in itertools.permutations(range(6), 2)]
    assert geometry.chance(GROUPS) == pytest.approx(np.mean([GROUPS[i] == GROUPS[j] for i, j in pairs]))


def test_the_plane_is_that_of_the_two_largest_eigenvectors(vectors):
    found = geometry.plane(vectors)
    values, directions = np.linalg.eigh(np.cov(vectors.T))
    for axis in (0, 1):
        direction = directions[:, -1 - axis]
        direction = direction * np.sign(direction[np.abs(direction).argmax()])
        np.testing.assert_allclose(found[:, axis], (vectors - vectors.mean(axis=0)) @ direction, atol=1e-12)
        assert found[:, axis].var(ddof=1) == pytest.approx(values[-1 - axis])
    np.testing.assert_allclose(geometry.plane(-vectors), -found, atol=1e-12)
    with pytest.raises(ValueError, match=r"at least 3 vectors, .*got shape \(2, 4\)"):
        geometry.plane(vectors[:2])


def test_before_pre_training_means_the_weights_it_starts_from(data):
    started = training_of(lambda: pretraining.pretrain(data, seed=3, n_steps=4))[0]
    trained = pretraining.Pretrained(started, *[np.zeros(1)] * 5, snapshots={4: started.state_dict()})
    again = geometry.initial(trained, 3)
    assert all(map(torch.equal, again.parameters(), started.parameters()))
    found = geometry.measure(data, trained, 3)
    assert {step for _, step, _ in found} == {0, 4} and {groups for groups, *_ in found} == {"moods", "kinds"}
    for (groups, step, quantity), value in found.items():
        assert value == found[groups, 4 - step, quantity], "nothing was trained here"


def test_each_snapshot_is_measured_with_its_own_weights(data):
    early, late = (GPT(GPT1, torch.Generator().manual_seed(seed)) for seed in (4, 5))
    snapshots = {1: early.state_dict(), 2: late.state_dict()}
    found = geometry.measure(data, pretraining.Pretrained(late, *[np.zeros(1)] * 5, snapshots=snapshots), 3)
    for step, gpt in ((1, early), (2, late)):
        _, groups, vectors = geometry.embeddings(gpt, data, "kinds")
        expected = geometry.within_minus_between(groups, vectors)
        assert found["kinds", step, "within minus between"] == pytest.approx(expected, abs=1e-9)
