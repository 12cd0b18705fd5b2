"""Pre-training, on a dataset so small and so short that all is checked in seconds.

How well models do is measured in the chapters; here it is whether they do what they say.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import N_STEPS, same

from minigpt import train
from minigpt.batches import DocumentBatches
from minigpt.exact import entropy
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.dataset import N_CTX, N_VOCAB
from minigpt.experiments.sizes import GPT1
from minigpt.model import GPT
from minigpt.worlds import grammar

# slow, and what is trained here is trained once for all files of the group
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_cache"), pytest.mark.xdist_group("tiny training")]


def test_pre_training_learns_and_is_recorded(data, pretrained):
    assert pretrained.steps.tolist() == list(range(1, N_STEPS + 1))
    assert len(pretrained.losses) == len(pretrained.tokens) == N_STEPS
    assert pretrained.losses[-1] < pretrained.losses[0] < 1.3 * math.log(N_VOCAB)
    assert (np.diff(pretrained.tokens) > 0).all()
    assert list(pretrained.snapshots) == pretrained.watched.tolist() and pretrained.watched[-1] == N_STEPS
    assert not pretrained.model.training


def test_snapshots_are_the_model_on_the_way(data, pretrained):
    for step, expected in zip(pretrained.watched, pretrained.held_out, strict=True):
        model = pretrained.at(int(step))
        nats = pretraining.held_out_nats(model, data)
        assert nats.sum() / data.held_out_tokens.sum() == pytest.approx(expected, rel=1e-5)
    assert same(pretrained.at(N_STEPS), pretrained.model)
    first = pretrained.at(int(pretrained.watched[0]))
    assert not same(first, pretrained.model) and first is not pretrained.model


def test_a_model_is_trained_only_once(data, pretrained, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr(train, "train", refuse)
    again = pretraining.pretrain(data, n_steps=N_STEPS, n_watched=3)
    assert same(again.model, pretrained.model) and list(again.snapshots) == list(pretrained.snapshots)
    for name in ("steps", "tokens", "losses", "watched", "held_out"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pretrained, name))
    for other in ({"seed": 1}, {"n_steps": N_STEPS + 1}, {"config": replace(GPT1, n_layers=1)}, {"n_watched": 4}):
        with pytest.raises(AssertionError, match="trained again"):
            pretraining.pretrain(data, **({"n_steps": N_STEPS, "n_watched": 3} | other))


def test_batches_of_another_size_make_another_model(data, pretrained):
    size = dataset.TOKENS_PER_BATCH // 2
    other = pretraining.pretrain(data, n_steps=N_STEPS, n_watched=3, tokens_per_batch=size)
    assert not same(other.model, pretrained.model)


def test_pre_training_by_hand(data, pretrained):
    """The same steps with train.train itself: nothing is added and nothing left out."""
    gpt = GPT(GPT1, torch.Generator().manual_seed(0))
    batches = DocumentBatches(data.corpus, data.tokenizer, N_CTX, dataset.TOKENS_PER_BATCH, 0)
    config = replace(sizes.PRETRAINING, n_steps=N_STEPS, warmup_steps=min(60, N_STEPS // 10))
    losses = [record.loss for record in train.train(gpt, batches, config)]
    assert pretrained.losses.tolist() == pytest.approx(losses, rel=1e-5)
    for name, weight in gpt.state_dict().items():
        torch.testing.assert_close(weight, pretrained.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_no_model_is_below_the_floor(data, pretrained, untrained):
    for model in (pretrained.model, untrained):
        nats = pretraining.held_out_nats(model, data)
        assert nats.shape == (20,) and entropy.gap(nats, data.held_out_nats, data.held_out_tokens).low > 0


def test_held_out_nats_are_sums_of_token_surprises(data, pretrained):
    nats = pretraining.held_out_nats(pretrained.model, data)
    end = data.tokenizer.endoftext
    for i in (0, 7, 19):
        row = torch.tensor([[end, *data.held_out_corpus.document(i).tolist(), end]])
        with torch.no_grad():
            logps = pretrained.model(row[:, :-1]).double().log_softmax(-1)
        assert nats[i] == pytest.approx(-logps.gather(-1, row[:, 1:, None]).sum().item(), rel=1e-5)


def test_the_words_surprisals_add_up_to_the_document_s(data, pretrained):
    for text, nats in list(zip(data.held_out, pretraining.held_out_nats(pretrained.model, data)))[:5]:
        words = pretraining.word_nats(pretrained.model, data, text)
        assert [word for word, _ in words] == [*grammar.words(text), ""]
        assert sum(each for _, each in words) == pytest.approx(nats, abs=1e-3)
    first = pretrained.model(torch.tensor([[data.tokenizer.endoftext]]))[0, -1].log_softmax(-1)
    start = data.tokenizer.encode(grammar.words(data.held_out[0])[0])
    assert pretraining.word_nats(pretrained.model, data, data.held_out[0])[0][1] >= -first[start[0]].item() - 1e-5
