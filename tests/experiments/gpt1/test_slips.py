"""Slips: the first impossible word, found and named, against a search word by word and mistakes made by hand."""

import copy
import itertools
import math
import random

import numpy as np
import pytest
import torch

from minigpt.exact.ngram import NGram
from minigpt.experiments import canaries, dataset, measured, pretraining
from minigpt.experiments.gpt1 import slips
from minigpt.worlds import grammar, stories

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("remembering")]

PROGRAM = stories.program()
STORY = (
    "Once upon a time there was a quick goat named Victor. One Sunday he went to the mountain. It was good to be home. "
    "There he found a grey box. The box was cold. He was frightened and afraid. Then Mia the owl came. Mia was happy. "
    "They did not feel the same. In the end Victor shook and left the box.\nTL;DR: Victor the goat found a grey box."
)
TOLD = (
    "This is a story about Olga the frog. One Friday she went to the jungle. She had never been there before. "
    "There she made a white watch. The watch was broken. She felt tearful. Then Nora the whale came. Nora was sad. "
    "They felt the same. In the end Olga mourned and took the watch."
)
QUESTION = STORY.split("\n")[0] + "\nQuestion: What was grey?\nAnswer: the box."
FACTS = (
    "About the fox: It lives in the forest. What does it eat? Berries. Does it live by the river? No. "
    "Does it eat berries? Yes. It has fur."
)
WALKS = (
    "Max the wolf went to the mountain. He knew every corner of it.\nKate the tiger went to the farm. It was far from "
    "home.\nSam the owl went to the jungle. He had never been there before."
)
FEELINGS = (
    "Lucy was glad. Tom was merry. They felt the same, so they played together.\n"
    "Anna was gloomy. Ida was happy. They did not feel the same."
)
SIZES = (
    "The fox is bigger than the crab.\nThe bee is smaller than the whale.\nThe pig is as big as the otter.\n"
    "The bear is bigger than the hen."
)
FRENCH = (
    "a grey snake found a hat = un serpent gris a trouvé un chapeau\na white seal = un phoque blanc\n"
    "a black hen = une poule noire"
)
ENGLISH = (
    "un serpent gris a trouvé un chapeau = a grey snake found a hat\nun phoque blanc = a white seal\n"
    "une poule noire = a black hen"
)
PAGES = {
    "story": STORY, "told": TOLD, "question": QUESTION, "facts": FACTS, "walks": WALKS, "feelings": FEELINGS,
    "sizes": SIZES, "French": FRENCH, "English": ENGLISH,
}  # fmt: skip
MISTAKES = [  # page, what stands there, what stands there instead, the kind of slip
    ("story", "a quick", "an quick", "English grammar"),
    ("story", " went", " go", "English grammar"),
    ("story", "One Sunday he", "One Sunday she", "who"),
    ("story", ". He was", ". She was", "who"),
    ("story", ". He was", ". It was", "English grammar"),  # nobody is "it"
    ("story", "end Victor", "end Mia", "who"),
    ("story", "Mia was", "Victor was", "who"),
    ("story", "the goat", "the owl", "who"),
    ("story", "good to be", "far from", "home in a story"),
    ("story", "The box", "The hat", "object"),
    ("story", "left the box", "left the hat", "object"),
    ("story", "goat found", "goat lost", "deed or colour"),
    ("story", "a grey box.\nTL", "a grey box.\nTL", None),
    ("story", "found a grey box.", "found a grey box. The box found", "English grammar"),
    ("story", "found a grey box", "found an grey box", "English grammar"),
    ("story", "and afraid", "and merry", "mood"),
    ("story", "and afraid", "and frightened", "form of the page"),
    ("story", "shook", "sang", "mood"),
    ("story", "They did not feel", "They felt", "mood"),
    ("story", "feel the same.", "feel the same, so they played together.", "mood"),
    ("story", "\nTL;DR: Victor the goat found a grey box.", " He", "form of the page"),
    ("story", STORY[STORY.index(" In the end") :], "", "form of the page"),
    ("story", "and left", "and found", "English grammar"),
    ("told", "Friday she", "Friday he", "who"),
    ("told", "The watch", "The hat", "object"),
    ("told", "was sad", "was happy", "mood"),
    ("question", "was grey", "was red", "deed or colour"),
    ("question", "Answer: the box", "Answer: the hat", "object"),
    ("question", "Answer: the box", "Answer: grey", "English grammar"),
    ("facts", "in the forest", "in the jungle", "home"),
    ("facts", "lives in", "lives by", "home"),
    ("facts", "Berries", "Honey", "food or cover"),
    ("facts", "has fur", "has scales", "food or cover"),
    ("facts", "No", "Yes", "home"),
    ("facts", "Yes", "No", "food or cover"),
    ("facts", "by the river", "by the farm", "English grammar"),
    ("facts", "It has fur", "It lives", "form of the page"),
    ("facts", FACTS[FACTS.index(" What does") :], "", "form of the page"),
    ("facts", "eats", "eat", None),
    ("walks", "He knew", "She knew", "who"),
    ("walks", "He knew", "All knew", "English grammar"),
    ("walks", "He knew every corner of it", "He did not know the way back", "home in a story"),
    ("walks", "never been there", "lived there", "home in a story"),
    ("walks", "\nSam the owl went to the jungle. He had never been there before.", "", "form of the page"),
    ("feelings", "They felt", "They did", "mood"),
    ("feelings", "Tom was", "Lucy was", "who"),
    ("feelings", "was merry", "was glad", "form of the page"),
    ("feelings", "they played together", "they parted", "mood"),
    ("sizes", "than the crab", "than the whale", "size"),
    ("sizes", "crab.\nThe bee is smaller", "crab.\nThe bee is bigger", "size"),
    ("sizes", "is as big", "is so big", "English grammar"),
    ("French", "un serpent", "une serpent", "French grammar"),
    ("French", "serpent gris", "serpent grise", "French grammar"),
    ("French", "serpent gris", "serpent noir", "translation"),
    ("French", "serpent gris", "aigle gris", "translation"),
    ("French", "gris a trouvé", "gris trouvé", "French grammar"),
    ("French", "trouvé", "vu", "translation"),
    ("French", "un chapeau", "un livre", "translation"),
    ("French", "phoque blanc", "phoque blanc a", "translation"),
    ("French", " a trouvé un chapeau", "", "translation"),
    ("French", "grey snake", "green eagle", "new pair"),
    ("French", "\na black hen = une poule noire", "", "form of the page"),
    ("English", "un serpent gris", "un serpent grise", "French grammar"),
    ("English", "un serpent gris", "un aigle vert", "new pair"),
    ("English", "grey snake found", "red snake found", "translation"),
    ("English", "snake found a hat", "snake found a book", "translation"),
    ("English", "snake found a hat", "snake", "translation"),
    ("English", "white seal", "white seal found", "translation"),
    ("English", "= a white", "= an white", "English grammar"),
]  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_grammar_is_clean(name):
    assert slips.slip_kind(PROGRAM, PAGES[name]) == "clean" and slips.first_slip(PROGRAM, PAGES[name]) is None


@pytest.mark.parametrize(("name", "old", "new", "kind"), [case for case in MISTAKES if case[3]])
def test_a_mistake_is_given_its_kind(name, old, new, kind):
    assert old in PAGES[name]
    text = PAGES[name].replace(old, new, 1)
    assert slips.slip_kind(PROGRAM, text) == kind, slips.first_slip(PROGRAM, text)


@pytest.mark.parametrize("text", ["", "xyz", "a fox", "Once upon a tim", " Once", "The fo is", "Kate went"])
def test_nonsense_is_a_slip_of_grammar_or_of_form(text):
    assert slips.slip_kind(PROGRAM, text) in slips.GROUPS["grammar"]


def test_the_first_slip_is_that_of_a_search_word_by_word():
    rng = random.Random(0)
    for text in stories.documents(25, rng):
        pieces = list(grammar.words(text))
        i, j = rng.randrange(len(pieces)), rng.randrange(len(pieces))
        pieces[i], pieces[j] = pieces[j], pieces[i]
        altered, before = "".join(pieces[: rng.randrange(3, len(pieces) + 1)]), ""
        found = slips.first_slip(PROGRAM, altered)
        for word in (*grammar.words(altered), grammar.END):
            possible = set(grammar.predict(PROGRAM, before).next_word)
            if word not in possible:
                assert found == (before, word, possible)
                break
            before += word
        else:
            assert found is None


def test_every_kind_belongs_to_one_group_and_the_shares_add_to_one():
    assert len(set(slips.KINDS)) == len(slips.KINDS) == 1 + sum(map(len, slips.GROUPS.values()))
    found = slips.by_group(slips.shares(["clean", "mood", "mood", "size"]))
    assert found == {"clean": 0.25, "grammar": 0, "facts": 0.25, "unfaithful": 0.5, "new pair": 0}
    with pytest.raises(KeyError):
        slips.by_group({"clean": 1.0})


def test_a_group_is_gone_from_where_it_stays_rare():
    steps = [10, 20, 30, 40]
    assert slips.gone(steps, [0.5, 0.05, 0.2, 0.05]) == 40
    assert slips.gone(steps, [0.5, 0.05, 0.04, 0.05]) == 20
    assert slips.gone(steps, [0.0, 0.05, 0.04, 0.05]) == 10
    assert slips.gone(steps, [0.0, 0.05, 0.04, 0.1]) == math.inf


def test_the_order_of_the_claim():
    steps, early, late, never = [1, 2, 3], [0.5, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.5, 0.5]
    ordered = {"grammar": early, "facts": late, "unfaithful": never}
    assert slips.in_order(steps, ordered)
    assert not slips.in_order(steps, ordered | {"facts": early})  # a tie
    assert not slips.in_order(steps, ordered | {"facts": never})  # both never
    assert not slips.in_order(steps, {"grammar": late, "facts": early, "unfaithful": never})


def test_places_are_known_by_what_they_need():
    data = canaries.part(canaries.small_dataset(), 10)
    for text, kinds, nats in slips.known_places(data, 3):
        words = [*grammar.words(text), grammar.END]
        assert len(words) == len(kinds) == len(nats) and nats.sum() == pytest.approx(-grammar.score(PROGRAM, text).logp)


@pytest.mark.parametrize(
    ("name", "up_to", "needs"),
    [("facts", " in the", "home"), ("facts", " by the river", "English grammar"), ("facts", " No", "home"),
     ("facts", " berries? Yes", "English grammar"), ("facts", " Yes", "food or cover"),
     ("story", " goat", "English grammar"),
     ("story", " box was", "object"), ("story", " grey", "English grammar"), ("story", " good", "home in a story"),
     ("story", " he went", "who"), ("story", " frightened", "English grammar"), ("story", " afraid", "mood"),
     ("story", " did not", "mood"), ("story", " shook", "mood"), ("story", " and left", "English grammar"),
     ("walks", " the wolf", "English grammar"), ("walks", " knew", "home in a story"), ("sizes", " crab", "size"),
     ("French", " grey", "English grammar"), ("French", " snake", "new pair"), ("French", " serpent", "translation"),
     ("English", " grey", "translation")],
)  # fmt: skip
def test_a_place_needs_knowledge_only_if_a_word_of_the_right_type_would_be_wrong(name, up_to, needs):
    before = PAGES[name][: PAGES[name].index(up_to)]
    assert slips.needed(before, grammar.predict(PROGRAM, before).next_word) == needs


def test_excess_over_all_places_is_the_gap_of_the_documents():
    data, gpt = canaries.small_dataset(), canaries.gpt1(2)
    known = slips.known_places(data, 3)
    group_of = {kind: group for group, kinds in slips.GROUPS.items() for kind in kinds}
    found = slips.excess(gpt, data, known)
    n = {group: sum(group_of[kind] == group for _, kinds, _ in known for kind in kinds) for group in found}
    model = sum(nats for text, _, _ in known for _, nats in pretraining.word_nats(gpt, data, text))
    floor = sum(nats.sum() for _, _, nats in known)
    assert sum(found[g] * n[g] for g in found) == pytest.approx(model - floor, rel=1e-6)
    assert found["grammar"] > 1  # this model has hardly been trained


def test_a_model_writes_the_same_documents_again():
    data, gpt = canaries.small_dataset(), canaries.gpt1(2)
    texts = [slips.write(gpt, data, 3, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    assert texts[0] == texts[1] != texts[2] and len(texts[0]) == 3
    assert all(isinstance(text, str) for text in texts[0])


def knowing_nothing(gpt):
    """The model with all its weights 0: whatever it has read, each of the 1,024 tokens is equally likely."""
    return {name: torch.zeros_like(weight) for name, weight in gpt.state_dict().items()}


def drawn(data, n, generator):
    """What such a model writes: a uniform number u draws token floor(1024 u), and end-of-text ends the document."""
    u = [torch.rand(n, 1, dtype=torch.float64, generator=generator) for _ in range(dataset.N_CTX - 1)]
    rows = (1024 * torch.cat(u, dim=1)).long().tolist()
    return [list(itertools.takewhile(lambda token: token != data.tokenizer.endoftext, row)) for row in rows]


def test_a_document_goes_up_to_its_end():
    data, gpt = canaries.small_dataset(), copy.deepcopy(canaries.gpt1(2))
    gpt.load_state_dict(knowing_nothing(gpt))
    rows = drawn(data, 8, torch.Generator().manual_seed(0))
    assert {len(row) < dataset.N_CTX - 1 for row in rows} == {True, False}  # some end, others fill the context
    found = slips.write(gpt, data, 8, torch.Generator().manual_seed(0))
    assert found == [data.tokenizer.decode(row) for row in rows]


def test_each_snapshot_writes_as_the_model_was_at_that_step(monkeypatch):
    data, gpt = canaries.small_dataset(), canaries.gpt1(2)
    nothing, snapshots = np.zeros(2), {7: knowing_nothing(gpt)}
    trained = pretraining.Pretrained(gpt, np.array([7, 8]), nothing, nothing, nothing, nothing, snapshots)
    monkeypatch.setattr(pretraining, "pretrain", lambda data, seed: trained)
    with canaries.reading_along((slips, "write")) as written:
        slips.measure(data, 3, n_documents=2, n_known=1)
    rows = drawn(data, 2, torch.Generator().manual_seed(3007))  # of seed 3 and step 7
    assert written == [data.tokenizer.decode(row) for row in rows]


def test_an_ngram_model_writes_too():
    data = canaries.small_dataset()
    bigram = NGram(data.corpus, 2, data.tokenizer.n_vocab, data.tokenizer.endoftext)
    texts = slips.write_ngram(bigram, data, 2, np.random.default_rng(0))
    assert texts == slips.write_ngram(bigram, data, 2, np.random.default_rng(0)) and all(texts)
    assert max(len(data.tokenizer.encode(text)) for text in texts) <= dataset.N_CTX
    assert np.mean([slips.slip_kind(PROGRAM, text) == "English grammar" for text in texts]) > 0


def test_the_stored_table_is_read_by_kind_seed_and_step(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path)
    rows = [
        dict(zip(slips.KEY, (seed, step, "share", kind)), value=f"{seed + step + len(kind)}")
        for seed in (1, 0) for step in (10, 5) for kind in slips.KINDS
    ]  # fmt: skip
    measured.keep("gpt1/slips", rows, slips.KEY)
    steps, found = slips.stored("share")
    assert steps == [5, 10] and set(found) == set(slips.KINDS) and found["mood"].tolist() == [[9, 14], [10, 15]]
    assert slips.by_group(found)["facts"].shape == (2, 2)
    with pytest.raises(ValueError, match="expected 'share' or 'excess'; got 'gap'"):
        slips.stored("gap")
