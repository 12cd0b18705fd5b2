"""Corpora with fewer demonstrations: what is cut, what stays, and how other wordings are scored."""

import random

import pytest
import torch

from minigpt.experiments import measured
from minigpt.experiments.gpt2 import demonstrations, zero_shot_questions
from minigpt.worlds import grammar, stories

pytestmark = pytest.mark.xdist_group("library")  # a dataset that is made once for all files of the group

STORY = "Once upon a time there was a shy fox named Mia. At last Mia sang and kept the lamp."


def test_each_kind_of_demonstration_is_cut_and_nothing_else():
    rng = random.Random(0)
    for tail in ("\nTL;DR: Mia the fox found a red lamp.", "\nQuestion: Who found the lamp?\nAnswer: Mia."):
        assert demonstrations.cut(STORY + tail, 0.0, rng) == STORY
        assert demonstrations.cut(STORY + tail, 1.0, rng) == STORY + tail
    facts = "About the fox: It eats meat. Where does it live? In the forest. Does it live in the sea? No. It has fur."
    assert (
        demonstrations.cut(facts, 0.0, rng) == "About the fox: It eats meat. Does it live in the sea? No. It has fur."
    )
    assert demonstrations.cut("a red fox = un renard rouge\na big owl = ...", 0.0, rng) == ""
    assert (
        demonstrations.cut("Mia was glad. Sam was sad.\nLeo was mad.", 0.0, rng)
        == "Mia was glad. Sam was sad.\nLeo was mad."
    )


def test_without_demonstrations_every_document_is_still_one_of_the_language(library):
    less = demonstrations.with_share(library, 0.0)
    assert set(demonstrations.count(less.documents).values()) == {0}
    assert not any(
        mark in text for text in less.documents for mark in ("TL;DR", "Question:", " = ", "Where does", "What does")
    )
    program = stories.program()
    for text in less.documents[:40]:
        if not text.startswith("About"):  # facts of three sentences are shorter than those of the language
            assert grammar.score(program, text).logp > -1e9


def test_shares_are_kept_nested_and_with_as_many_tokens(library):
    counts, corpora = {}, {}
    for share in (0.0, 0.25, 0.5, 1.0):
        data = demonstrations.with_share(library, share)
        corpora[share], counts[share] = data, demonstrations.count(data.documents)
        n_tokens = sum(len(library.tokenizer.encode(text)) + 1 for text in data.documents)
        assert n_tokens == data.corpus.n_tokens + len(data.corpus)
        assert n_tokens == pytest.approx(library.corpus.n_tokens + len(library.documents), abs=150)
        assert data.held_out == library.held_out and data.tokenizer is library.tokenizer
    assert corpora[1.0] is library
    for task in ("reading", "summary", "closed book, home", "phrase to French"):
        n = [counts[share][task] for share in counts]
        assert n[0] == 0 and n == sorted(n) and 0.25 < n[2] / n[3] < 0.8

    def pages(share):
        return {text for text in corpora[share].documents[:580] if " = " in text}

    assert pages(0.25) <= pages(0.5) <= {text for text in library.documents if " = " in text}
    with pytest.raises(ValueError, match="share from 0 to 1; got 2"):
        demonstrations.with_share(library, 2)


def test_demonstrations_are_counted_like_a_person_would():
    found = demonstrations.count(
        ["a red fox = un renard rouge\nan owl = un hibou", STORY + "\nTL;DR: Mia the fox found a red lamp."]
    )
    assert found["phrase to French"] == found["sentence to French"] == 2
    assert found["summary"] == 1 and found["reading"] == found["phrase from French"] == 0


def test_closed_book_by_kind_asks_the_same_questions():
    kinds = {kind: demonstrations.questions(f"closed book, {kind}") for kind in ("home", "food", "cover")}
    assert sum(len(asked) for asked in kinds.values()) == 100
    assert all(q.prompt.endswith("Where does it live?") for q in kinds["home"])
    assert {q.kind for q in kinds["cover"]} == {"cover"}


def test_other_wordings_ask_for_the_same_answers():
    for task, wordings in demonstrations.OTHER_WORDINGS.items():
        own = zero_shot_questions.questions(task, 5)
        first, *others = wordings
        assert [q.prompt for q in demonstrations.worded(task, first, 5)] == [q.prompt for q in own]
        for wording in others:
            asked = demonstrations.worded(task, wording, 5)
            assert [q.answer for q in asked] == [q.answer for q in own]
            assert all(a.prompt != b.prompt for a, b in zip(asked, own))
    [asked] = demonstrations.worded("phrase to French, no pairs", "translate to French: {English}", 1)
    assert asked.prompt.startswith("translate to French: a") and "=" not in asked.prompt


def test_an_answer_is_found_exactly_or_somewhere(library, untrained, monkeypatch):
    asked = demonstrations.worded("reading", "{text}\n{question}", 4)
    answers = [q.answer.strip() for q in asked]
    written = [f" {answers[0]}. So", f"\nAnswer: {answers[1]}.", " nobody.", f" x{answers[3]}y."]
    monkeypatch.setattr(demonstrations.summaries, "write", lambda *_, **__: written)
    found = demonstrations.ask_in_words(untrained, library.tokenizer, "reading", "{text}\n{question}", 4)
    assert found == {"exactly": 0.25, "somewhere": 0.5}


def test_loss_without_demonstrations_by_hand(library, untrained):
    chosen = [i for i, text in enumerate(library.held_out)
              if not any(mark in text for mark in (" = ", "TL;DR", "Question", "Where does", "What does"))]  # fmt: skip
    assert 0 < len(chosen) < len(library.held_out)
    nats = n = 0
    for i in chosen:
        ids = torch.tensor(
            [library.tokenizer.endoftext, *library.tokenizer.encode(library.held_out[i]), library.tokenizer.endoftext]
        )
        with torch.no_grad():
            logps = untrained(ids[None, :-1])[0].log_softmax(-1)
        nats, n = nats - logps[torch.arange(len(ids) - 1), ids[1:]].sum().item(), n + len(ids) - 1
    assert demonstrations.loss_without_demonstrations(untrained, library) == pytest.approx(nats / n, rel=1e-4)


def test_chance_and_shortcut_by_kind():
    n = {"home": 8, "food": 8, "cover": 6}
    for kind, options in n.items():
        found = demonstrations.references(f"closed book, {kind}")
        answers = [q.answer for q in demonstrations.questions(f"closed book, {kind}")]
        assert found["chance"] == pytest.approx(1 / options)
        assert found["shortcut"] in {answers.count(answer) / len(answers) for answer in set(answers)}
    assert demonstrations.references("reading")["chance"] == pytest.approx((1 / 32 + 1 / 24 + 1 / 8) / 3)


def test_curves_are_read_from_the_table():
    found = demonstrations.by_count("reading")
    assert len(found) == len(demonstrations.SHARES) and min(found) == 0
    rows = {(row["share"], row["quantity"]): float(row["value"]) for row in measured.rows("gpt2/demonstrations")
            if row["task"] == "reading" and row["seed"] == "0"}  # fmt: skip
    for share in ("0", "0.0625", "1"):
        assert found[rows[share, "demonstrations"]][0] == rows[share, "accuracy"]
    table = demonstrations.wordings("reading")
    assert [row["prompt"] for row in table][:2] == [
        "{text}\\nQuestion: {question}\\nAnswer:",
        "{text}\\nQ: {question}\\nA:",
    ]
    assert all(row["exactly"] <= row["somewhere"] for row in table)
