"""Chapter 01. Geometry of the token embeddings: do words of one kind lie close together after pre-training?

The table data/measured/gpt1/geometry.csv has a row for each grouping of words (moods; or animals, names, things and
mood words), step of pre-training (0: the initial weights), quantity and seed. Only words that are a single token are
looked at: a mean of pieces would put words together because they share a piece. A second a seed, and pre-training.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from minigpt.experiments import dataset, pretraining
from minigpt.experiments.dataset import Dataset
from minigpt.model import GPT
from minigpt.worlds import lexicon

SEEDS = [0, 1, 2, 3, 4]
KEY = ("groups", "step", "quantity", "seed")
GROUPS = ("moods", "kinds")


def words(groups: str = "kinds") -> dict[str, str]:
    """Words of the stories and the group that each belongs to: word -> group.

    "moods": the adjectives of the four moods, without those that belong to two; "kinds": animals, names, things, and
    the same adjectives as "mood words". Errors: another grouping is a ValueError.
    """
    if groups not in GROUPS:
        raise ValueError(f"expected one of {GROUPS}; got {groups!r}")
    adjectives = [adjective for mood in lexicon.MOODS for adjective in mood.adjectives]
    moods = {word: mood.name for mood in lexicon.MOODS for word in mood.adjectives if adjectives.count(word) == 1}
    if groups == "moods":
        return moods
    kinds = {"animals": lexicon.ANIMALS, "names": lexicon.CHARACTERS, "things": lexicon.OBJECTS}
    return {each.name: kind for kind, members in kinds.items() for each in members} | dict.fromkeys(moods, "mood words")


def embeddings(model: GPT, data: Dataset, groups: str = "kinds") -> tuple[list[str], list[str], np.ndarray]:
    """Token embeddings W_e of the words that are a single token (a blank and the word): names, groups, vectors.

    Shapes: n names, n groups, vectors (n, d_model) float64.
    """
    chosen = {word: ids for word in words(groups) if len(ids := data.tokenizer.encode(f" {word}")) == 1}
    vectors = model.W_e.weight.detach().double().cpu().numpy()[[id for (id,) in chosen.values()]]
    return list(chosen), [words(groups)[word] for word in chosen], vectors


def plane(vectors: np.ndarray) -> np.ndarray:
    """Principal component analysis: the two directions in which the vectors differ most, and where each one lies.

        X = vectors - mean = U S V^T;   result = the first two columns of U S

    The sign of a direction is free; here its largest coordinate counts as positive.
    Shapes: vectors (n, d), result (n, 2). Errors: fewer than 3 vectors are a ValueError.
    """
    if np.ndim(vectors) != 2 or len(vectors) < 3:
        raise ValueError(f"expected at least 3 vectors, (n, d); got shape {np.shape(vectors)}")
    centred = vectors - np.mean(vectors, axis=0)
    U, S, Vt = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(Vt[:2][np.arange(2), np.abs(Vt[:2]).argmax(axis=1)])
    return U[:, :2] * S[:2] * signs


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Cosine similarity of every pair: x y / (|x| |y|). Shapes: vectors (n, d), result (n, n)."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def within_minus_between(groups: Sequence[str], vectors: np.ndarray) -> float:
    """Mean cosine similarity of two words of one group, minus that of two words of different groups."""
    same, other = _pairs(groups)
    similarity = cosines(vectors)
    return float(similarity[same].mean() - similarity[other].mean())


def neighbours_alike(groups: Sequence[str], vectors: np.ndarray) -> float:
    """The share of words whose nearest neighbour, by cosine similarity, is of the same group."""
    similarity = cosines(vectors)
    np.fill_diagonal(similarity, -np.inf)
    groups = np.asarray(groups)
    return float((groups[similarity.argmax(axis=1)] == groups).mean())


def chance(groups: Sequence[str]) -> float:
    """What `neighbours_alike` would be if each word's neighbour were any of the others."""
    same, other = _pairs(groups)
    return float(same.sum() / (same.sum() + other.sum()))


def _pairs(groups):
    groups = np.asarray(groups)
    same = groups[:, None] == groups[None, :]
    return same & ~np.eye(len(groups), dtype=bool), ~same


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    for where, value in measure(data, pretraining.pretrain(data, seed=seed), seed).items():
        yield dict(zip(KEY, (*where, seed)), value=f"{value:.4f}")


def initial(trained: pretraining.Pretrained, seed: int) -> GPT:
    """The model as it was before pre-training: the same draw of the initial weights."""
    return GPT(trained.model.config, torch.Generator().manual_seed(seed)).eval()


def measure(data: Dataset, trained: pretraining.Pretrained, seed: int) -> dict[tuple[str, int, str], float]:
    """Both quantities for both groupings, before pre-training and at every snapshot."""
    found = {}
    for step in (0, *sorted(trained.snapshots)):
        model = initial(trained, seed) if step == 0 else trained.at(step)
        for grouping in GROUPS:
            _, groups, vectors = embeddings(model, data, grouping)
            found[grouping, step, "within minus between"] = within_minus_between(groups, vectors)
            found[grouping, step, "neighbours alike"] = neighbours_alike(groups, vectors)
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, gpt1, small_dataset, stories

    with few_updates() as found:
        measured = measure(stories(), pretraining.pretrain(stories(), n_watched=2), 0)
    found |= {f"{groups}, step {step}, {quantity}": value for (groups, step, quantity), value in measured.items()}
    for groups in GROUPS:
        names, members, vectors = embeddings(gpt1(), small_dataset(), groups)
        found[f"{groups}, words"], found[f"{groups}, chance"] = len(names), chance(members)
        found[f"{groups}, within minus between"] = within_minus_between(members, vectors)
        found[f"{groups}, first axis"], found[f"{groups}, second axis"] = plane(vectors).std(axis=0)
    return found
