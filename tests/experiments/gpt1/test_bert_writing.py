"""BERT as a writer: what is drawn where, and how far the grammar follows."""

import pytest
import torch

from minigpt.experiments import dataset
from minigpt.experiments.gpt1 import bert_writing
from minigpt.experiments.sizes import BERT, GPT1
from minigpt.model import GPT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("remembering")]


@pytest.fixture(scope="module")
def data():
    return dataset.story_dataset(n_documents=200, n_held_out=20)


class Counting(torch.nn.Module):
    """Stands in for BERT: it expects the token 10 + (how many tokens are neither [MASK] nor end-of-text)."""

    config = BERT

    def __init__(self, tokenizer):
        super().__init__()
        self.specials, self.seen = torch.tensor([tokenizer.delim, tokenizer.endoftext]), []

    def hidden(self, ids, visible=None):
        self.seen.append(ids.clone())
        known = ~torch.isin(ids, self.specials)
        known = known if visible is None else known & visible
        return known.sum(dim=1, keepdim=True).expand(*ids.shape)[..., None]

    def logits(self, h):
        return 100.0 * torch.nn.functional.one_hot(10 + h[..., 0], BERT.n_vocab).float()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_at_the_end_each_token_is_drawn_after_the_others(data):
    spy = Counting(data.tokenizer)
    texts = bert_writing.write_at_the_end(spy, data, [3, 5], generator())
    assert texts == [data.tokenizer.decode([10, 11, 12]), data.tokenizer.decode([10, 11, 12, 13, 14])]
    assert all((ids[:, -1] == data.tokenizer.delim).all() for ids in spy.seen) and len(spy.seen) == 5


def test_gibbs_sampling_hides_one_place_at_a_time_and_keeps_to_the_length(data):
    spy = Counting(data.tokenizer)
    texts = bert_writing.write_by_gibbs(spy, data, [4, 2], generator(), n_sweeps=3)
    assert texts == [data.tokenizer.decode([13] * 4), data.tokenizer.decode([11] * 2)]  # all the others are known
    assert len(spy.seen) == 3 * 4
    for ids in spy.seen[4:]:  # after the first sweep: one [MASK] in a text
        assert ((ids[:, 1:] == data.tokenizer.delim) & (torch.arange(4) < 4)).sum(dim=1)[0] == 1


def test_specials_are_never_drawn(data):
    flat = GPT(BERT, generator()).eval()
    with torch.no_grad():
        for p in flat.parameters():
            p.zero_()
    ids = torch.full((4000, 2), data.tokenizer.delim)
    drawn = bert_writing.draw(flat, ids, 1, data, generator())
    tokenizer = data.tokenizer
    assert not set(drawn.tolist()) & {tokenizer.endoftext, tokenizer.start, tokenizer.delim, tokenizer.extract}
    assert len(set(drawn.tolist())) > 900


def test_every_way_writes_as_asked_and_again_the_same(data):
    gpt, bert = (GPT(config, generator(1)).eval() for config in (GPT1, BERT))
    first, again, other = (bert_writing.write(gpt, bert, data, seed, n=2, n_sweeps=1) for seed in (0, 0, 1))
    assert list(first) == list(bert_writing.WAYS) and first == again
    for way in bert_writing.WAYS:
        assert len(first[way]) == 2 and first[way] != other[way]


def test_the_grammar_follows_to_the_first_impossible_word(data):
    document = data.held_out[0]
    n = bert_writing.possible_words(data.program, document)
    assert n == len(bert_writing.grammar.words(document)) > 10
    assert bert_writing.possible_words(data.program, document[: len(document) // 2]) > 0  # stopped, but no mistake
    words = list(bert_writing.grammar.words(document))
    for place in (0, 5, n - 1):
        spoilt = [*words[:place], " zebra", *words[place + 1 :]]
        assert bert_writing.possible_words(data.program, "".join(spoilt)) == place
    assert bert_writing.possible_words(data.program, document + " Zebra") == n


def test_the_rows_are_the_texts(monkeypatch, data):
    monkeypatch.setattr(dataset, "story_dataset", lambda: data)
    gpt, both_sided = (Trained(GPT(config, generator()).eval()) for config in (GPT1, BERT))
    monkeypatch.setattr(bert_writing.pretraining, "pretrain", lambda data, seed: gpt)
    monkeypatch.setattr(bert_writing.masked, "pretrain_masked", lambda data, seed: both_sided)
    monkeypatch.setattr(bert_writing, "write", lambda gpt, bert, data, seed: {"way": [f"{gpt.config.causal}", "two"]})
    assert list(bert_writing.rows(3)) == [
        {"seed": 3, "way": "way", "number": 0, "value": "True"}, {"seed": 3, "way": "way", "number": 1, "value": "two"},
    ]  # fmt: skip


class Trained:
    def __init__(self, model):
        self.model = model
