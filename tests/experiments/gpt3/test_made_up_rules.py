"""Made-up rules: the variants differ in one thing each, and the residual stream is what a loop over the blocks finds."""

import numpy as np
import pytest
import torch

from minigpt.batches import DocumentBatches
from minigpt.experiments import canaries
from minigpt.experiments.gpt3 import in_context
from minigpt.experiments.gpt3 import made_up_rules as rules
from minigpt.loss import IGNORED
from minigpt.worlds import grammar, in_context_lists
from minigpt.worlds.lexicon import LEXICON


@pytest.fixture(scope="module")
def lists():
    with canaries.short_writing(120):
        return rules.list_dataset()


def test_all_variants_start_from_the_same_weights_but_for_one_thing():
    plain = rules.build("pre-LN", 3).state_dict()
    for variant in rules.EVERY:
        other = rules.build(variant, 3).state_dict()
        smaller = (
            {name for name in plain if not torch.equal(plain[name], other[name])} if variant != "post-LN" else set()
        )
        steps = variant == "pre-LN, small first steps"
        expected = (
            {f"blocks.{i}.{name}.weight" for i in range(3) for name in ("attn.W_o", "mlp.W_2")} if steps else set()
        )
        assert smaller == expected
        for name in smaller:
            torch.testing.assert_close(other[name], 0.1 * plain[name])
    assert rules.model_config("pre-LN").norm == "pre" and rules.model_config("post-LN").norm == "post"
    assert rules.model_config(rules.SCALED).embedding_scale == 8


def test_an_unknown_variant_is_an_error():
    with pytest.raises(ValueError, match="expected a variant among .*; got 'pre'"):
        rules.build("pre", 0)


def test_the_embeddings_are_normed_where_the_variant_says_so():
    h = rules.build("pre-LN, LayerNorm on embeddings", 0).embed(torch.arange(6).reshape(2, 3))
    np.testing.assert_allclose(h.mean(dim=-1).detach(), 0, atol=1e-5)
    np.testing.assert_allclose(h.std(dim=-1, unbiased=False).detach(), 1, atol=1e-3)


@pytest.mark.parametrize("variant", ["post-LN", rules.SCALED])
@torch.no_grad()
def test_the_residual_stream_is_that_of_each_list_alone(lists, variant):
    gpt, cosines, values = rules.build(variant, 1), [[], [], [], []], [[], [], [], []]
    for text in lists.held_out[:4]:
        ids = torch.tensor([[lists.tokenizer.endoftext, *lists.tokenizer.encode(text)]])
        h = (gpt.W_e(ids) + gpt.W_p(torch.arange(ids.shape[1]))) * (8 if variant == rules.SCALED else 1)
        for i in range(4):
            h = gpt.blocks[i - 1](h) if i else h
            values[i].append(h[0])
            for t in range(ids.shape[1]):
                a, b = h[0, t], gpt.W_e.weight[ids[0, t]]
                cosines[i].append(float(a @ b / (a.norm() * b.norm())))
    found = rules.residual_stream(gpt, lists, 4)
    np.testing.assert_allclose(found["cosine"], np.mean(cosines, axis=1), atol=1e-5)
    np.testing.assert_allclose(found["std"], [torch.cat(each).std().item() for each in values], rtol=1e-4)


def test_before_training_the_first_block_of_the_pre_ln_model_writes_over_the_token(lists):
    """The review's measurement: 0.70, 0.16 and 0.74 after the first block."""
    after = {name: rules.residual_stream(rules.build(name, 0), lists)["cosine"][1] for name in rules.VARIANTS}
    assert after["pre-LN"] < 0.25 and min(share for name, share in after.items() if name != "pre-LN") > 0.6


def test_the_curriculum_shows_symbols_first_and_then_what_the_others_read(lists):
    many = canaries.part(lists, 4000)
    batches = DocumentBatches(many.corpus, many.tokenizer, in_context.N_CTX, in_context.TOKENS_PER_BATCH, 3)
    curriculum = rules.SymbolsFirst(batches, many)
    of_lists = {tuple(many.corpus.document(i)) for i in range(120)}
    traits, colours = LEXICON.traits[: in_context_lists.N_WORDS], {colour.name for colour in LEXICON.colours}
    for step in (0, 7, rules.N_SYMBOLS_FIRST - 1):
        inputs, targets = curriculum[step]
        assert 20 <= len(inputs) <= 36
        for row in targets:
            ids = row[(row != IGNORED) & (row != many.tokenizer.endoftext)]
            _, *words = many.tokenizer.decode(ids.tolist()).split()
            assert tuple(ids) in of_lists and set(words[::2]) <= set(traits) and set(words[1::2]) <= colours
    for step in (rules.N_SYMBOLS_FIRST, rules.N_SYMBOLS_FIRST + 5):
        for ours, theirs in zip(curriculum[step], batches[step]):
            np.testing.assert_array_equal(ours, theirs)
    assert len(curriculum) == len(batches) and rules.N_SYMBOLS_FIRST == 0.2 * rules.N_STEPS


def test_the_curriculum_reads_every_list_of_symbols(lists):
    """Found by the grammar's own answer: a list is of symbols if its rule is a colour for each of four adjectives."""
    of_symbols = [grammar.score(in_context_lists.program("symbols"), text).logp > -np.inf for text in lists.documents]
    batches = DocumentBatches(lists.corpus, lists.tokenizer, in_context.N_CTX, in_context.TOKENS_PER_BATCH, 0)
    read = rules.SymbolsFirst(batches, lists).first.corpus
    expected = [ids for i, ids in enumerate(map(lists.corpus.document, range(len(lists.corpus)))) if of_symbols[i]]
    assert 15 < len(expected) == len(read)
    for i, ids in enumerate(expected):
        np.testing.assert_array_equal(read.document(i), ids)


def test_accuracy_is_split_by_whether_the_answer_was_shown(lists):
    """A model that always says the last colour of the list: right where this is the answer."""

    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W_e = torch.nn.Embedding(2, 2)

        def forward(self, ids):
            logits = torch.zeros(*ids.shape, lists.tokenizer.n_vocab)
            logits[torch.arange(len(ids)), -1, ids[:, -2]] = 1
            return logits

    asked = in_context.questions("category", 8, 40)
    right = [question.text.split()[-2] == question.answer for question in asked]
    found = rules.split_by_shown(Last(), lists, "category", 40)
    shown = [r for r, question in zip(right, asked) if question.shown]
    new = [r for r, question in zip(right, asked) if not question.shown]
    assert found == {
        "category, shown": pytest.approx(np.mean(shown)),
        "category, not shown": pytest.approx(np.mean(new)),
    }
    assert 0 < len(new) < 40


def test_the_way_of_a_quantity_is_that_of_the_table():
    (way,) = rules.over_training("symbols", (rules.SCALED,)).values()
    assert list(way)[-1] == rules.N_STEPS and all(len(values) == 5 for values in way.values())
    where = {"variant": rules.SCALED, "quantity": "symbols", "step": 444}
    np.testing.assert_array_equal(way[444], rules.measured.get("gpt3/made_up_rules", **where))


def test_what_the_chapter_says_of_the_measured_variants():
    for family, best in (("symbols", 0.90), ("category", 0.97)):
        scaled, plain = (rules.over_training(family)[name][rules.N_STEPS] for name in (rules.SCALED, "pre-LN"))
        assert len(scaled) == len(plain) == 5 and (scaled > best - 0.01).all() and (scaled - plain > 0.4).all()
    for family, shortcut in (("symbols", 0.31), ("category", 0.42)):  # with and without the curriculum
        for variant in ("pre-LN", "pre-LN, symbols first"):
            last = rules.over_training(family, rules.EVERY)[variant][rules.N_STEPS]
            assert len(last) == 5 and (last < shortcut + 0.15).all()
        where = {"model": "pre 64", "family": family, "n_shots": 8, "which": "training", "step": 3215}
        assert (rules.measured.get("gpt3/in_context", **where) < shortcut + 0.2).all()
