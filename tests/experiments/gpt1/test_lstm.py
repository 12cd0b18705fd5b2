"""The LSTM of the lab "Why a Transformer?": the cell by hand, its size, its memory, and the words that can be copied."""

import math
import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minigpt import sample, train
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.experiments.gpt1 import finetuning, lstm
from minigpt.experiments.gpt1.finetuning import FineTuning
from minigpt.experiments.gpt1.lstm import LSTM, LSTMConfig, Place
from minigpt.model import GPT, count_params
from minigpt.worlds import grammar

SMALL = LSTMConfig(n_vocab=30, n_ctx=12, n_layers=2, d_model=8, init_std=0.3)
pytestmark = [pytest.mark.usefixtures("own_cache", "remembering"), pytest.mark.slow]


@pytest.fixture(scope="module")
def data():
    return dataset.story_dataset(n_documents=120, n_held_out=10)


def small(seed: int = 0) -> LSTM:
    return LSTM(SMALL, torch.Generator().manual_seed(seed)).eval()


def by_hand(model: LSTM, ids: list[int]) -> np.ndarray:
    """Logits of one sequence, with loops over positions and layers, in numpy."""
    weights = {name: p.detach().double().numpy() for name, p in model.named_parameters()}
    d, n_layers = model.config.d_model, model.config.n_layers
    h, c, rows = np.zeros((n_layers, d)), np.zeros((n_layers, d)), []
    for token in ids:
        x = weights["W_e.weight"][token] * math.sqrt(d)
        for i in range(n_layers):
            W, U = weights[f"blocks.{i}.weight_ih_l0"], weights[f"blocks.{i}.weight_hh_l0"]
            b = weights[f"blocks.{i}.bias_ih_l0"] + weights[f"blocks.{i}.bias_hh_l0"]
            z = W @ x + U @ h[i] + b
            gate = {name: 1 / (1 + np.exp(-z[k * d : (k + 1) * d])) for k, name in enumerate("ifgo") if name != "g"}
            c[i] = gate["f"] * c[i] + gate["i"] * np.tanh(z[2 * d : 3 * d])
            h[i] = x = gate["o"] * np.tanh(c[i])
        rows.append(weights["W_e.weight"] @ x)
    return np.array(rows)


def test_the_logits_are_those_of_the_cell_by_hand():
    model, rng = small(), random.Random(0)
    ids = [[rng.randrange(30) for _ in range(9)] for _ in range(3)]
    with torch.no_grad():
        logits = model(torch.tensor(ids)).numpy()
    for row, found in zip(ids, logits):
        np.testing.assert_allclose(found, by_hand(model, row), atol=1e-5)


def test_it_has_as_many_parameters_as_the_transformer():
    model = LSTM(lstm.LSTM1, torch.Generator().manual_seed(0))
    V, d = 1024, 150
    assert model.n_params() == V * d + 8 * d * d + 8 * d == 334_800
    assert abs(model.n_params() / count_params(sizes.GPT1) - 1) < 0.05
    assert (lstm.LSTM1.n_vocab, lstm.LSTM1.n_ctx) == (sizes.GPT1.n_vocab, sizes.GPT1.n_ctx)


def test_the_initial_weights_come_from_the_generator():
    first, again, other = small(), small(), small(1)
    for (name, p), q, r in zip(first.named_parameters(), again.parameters(), other.parameters()):
        assert torch.equal(p, q)
        if p.ndim == 2:
            assert not torch.equal(p, r) and p.std().item() == pytest.approx(0.3, rel=0.25)
        else:
            forget = 1.0 if "bias_ih" in name else 0.0
            assert p.tolist() == [0.0] * 8 + [forget] * 8 + [0.0] * 16


def test_no_position_sees_a_later_token():
    model, ids = small(), torch.arange(10)[None]
    with torch.no_grad():
        before, after = model(ids), model(ids.where(ids != 6, torch.tensor(25)))
    assert torch.equal(before[:, :6], after[:, :6])
    assert (before[:, 6:] - after[:, 6:]).abs().amax(dim=-1).min() > 1e-4  # and each later one sees an earlier one


def test_reading_piece_by_piece_is_reading_at_once():
    model, ids = small(), torch.randint(30, (2, 9), generator=torch.Generator().manual_seed(1))
    cache = model.new_cache()
    with torch.no_grad():
        pieces = [model(ids[:, a:b], cache) for a, b in ((0, 4), (4, 5), (5, 9))]
        torch.testing.assert_close(torch.cat(pieces, dim=1), model(ids))


def test_on_a_card_it_reads_in_float32_and_trains_as_cudnn_does():
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark, cudnn.deterministic
    on_a_card, on_the_cpu = SimpleNamespace(is_cuda=True), SimpleNamespace(is_cuda=False)
    with pytest.raises(RuntimeError, match="stopped"), torch.no_grad(), lstm.in_float32(on_a_card):
        assert (cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (False, *before[1:])
        raise RuntimeError("stopped")
    with lstm.in_float32(on_a_card):  # gradients are recorded
        assert cudnn.allow_tf32 == before[0]
    with torch.no_grad(), lstm.in_float32(on_the_cpu):
        assert cudnn.allow_tf32 == before[0]
    assert (cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == before


def test_it_writes_and_scores_by_the_functions_of_a_gpt(data):
    model = LSTM(replace(lstm.LSTM1, n_vocab=data.tokenizer.n_vocab), torch.Generator().manual_seed(0))
    texts = [sample.generate(model, torch.tensor([3, 4]), 6, torch.Generator().manual_seed(2), use_cache=use).tolist()
             for use in (True, False)]  # fmt: skip
    assert texts[0] == texts[1] and len(texts[0]) == 8
    words = [" fox", " cunning fox", " zebra"]
    logps = sample.continuation_logps(model, data.tokenizer, "Tom the", words)
    for word, logp in zip(words, logps.tolist()):
        _, _, *nats, _ = (each for _, each in pretraining.word_nats(model, data, f"Tom the{word}"))
        assert logp == pytest.approx(-sum(nats), rel=1e-4)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"n_layers": 0}, "n_layers"), ({"d_model": 1.5}, "d_model"), ({"init_std": 0.0}, "init_std"), ({"n_vocab": True}, "n_vocab")],
)
def test_wrong_sizes_are_refused(wrong, named):
    with pytest.raises(ValueError, match=f"LSTMConfig.{named} must be"):
        LSTMConfig(**wrong)


# --- training ---------------------------------------------------------------------------------------------------------


def test_it_is_trained_as_the_transformer_is(data, monkeypatch):
    """The same batches in the same order, the same schedule but for the rate."""
    seen, really = {}, train.train

    def spy(model, batches, config, *args, **kwargs):
        seen[type(model)] = (config, [batches[i][0].tolist() for i in range(3)])
        return really(model, batches, config, *args, **kwargs)

    monkeypatch.setattr(train, "train", spy)
    trained = lstm.pretrain_lstm(data, 3, 0.002, n_steps=4)
    pretraining.pretrain(data, seed=3, n_steps=4)
    assert seen[LSTM][1] == seen[GPT][1] and seen[LSTM][0] == replace(seen[GPT][0], lr=0.002)
    assert isinstance(trained.model, LSTM) and isinstance(trained.at(int(trained.watched[0])), LSTM)
    assert trained.losses[-1] < trained.losses[0]
    other = lstm.pretrain_lstm(data, 3, 0.01, n_steps=4)  # another rate is another model in the cache
    assert other.losses[-1] != trained.losses[-1]


def test_a_fine_tuned_lstm_starts_from_what_was_trained(data, monkeypatch):
    pretrained = lstm.pretrain_lstm(data, 0, 0.003, n_steps=2).model
    kept = finetuning.transfer(pretrained, None, seed=0)
    assert isinstance(kept, LSTM)
    assert all(torch.equal(p, q) for p, q in zip(kept.parameters(), pretrained.parameters()))
    assert not torch.equal(finetuning.transfer(pretrained, -1, seed=0).W_e.weight, pretrained.W_e.weight)
    monkeypatch.setattr(FineTuning, "n_steps", 2)
    for task in ("similarity", "multiple choice"):
        model = finetuning.fine_tune(pretrained, data, FineTuning(task, 16, aux_weight=0.5))
        assert 0 <= finetuning.accuracy(model, finetuning.test_batches(data, task, 6)) <= 1
        assert not torch.equal(model.gpt.blocks[0].weight_hh_l0, pretrained.blocks[0].weight_hh_l0)


# --- words that can be copied -----------------------------------------------------------------------------------------

STORY = (
    "Once upon a time there was a curious lizard named Henry. One evening he went to the forest. There he took a brown scarf. "
    "The scarf was lovely. He was cross and mad. Then Tom the fox came. Tom was glad. They did not feel the same. At last "
    "Henry yelled and took the scarf.\nQuestion: Who took the scarf?\nAnswer: Henry."
)


def test_places_of_a_story():
    words = list(grammar.words(STORY))
    scarves = [i for i, word in enumerate(words) if word == " scarf"]
    henries = [i for i, word in enumerate(words) if word == " Henry"]
    assert lstm.places(words) == [
        Place("object, again at once", scarves[1], 3),
        Place("name in the ending", henries[1], henries[1] - henries[0]),
        Place("verb in the ending", words.index(" yelled"), words.index(" yelled") - words.index(" cross")),
        Place("object in the ending, a friend between", scarves[2], scarves[2] - scarves[1]),
    ]


def test_all_kinds_occur_and_the_grammar_is_sure_of_all_but_the_verb(data):
    found = lstm.copy_places(25)
    assert {place.kind for _, each in found for place in each} == set(lstm.KINDS)
    assert found == lstm.copy_places(25)
    for (text, each), exact in zip(found, lstm.exact_nats(data, found), strict=True):
        for place, nats in zip(each, exact, strict=True):
            assert nats > 1 if place.kind == "verb in the ending" else nats == pytest.approx(0, abs=1e-9)
            if place.kind != "verb in the ending":
                words = grammar.words(text)
                assert words[place.index] == words[place.index - place.back]
                assert words[place.index] not in words[place.index - place.back + 1 : place.index]


def test_extra_nats_are_the_models_minus_the_exact_ones(data, monkeypatch):
    found = [("a b", [Place("name in the ending", 0, 1)]), ("c d", [Place("name in the ending", 1, 1), Place("verb in the ending", 0, 1)])]
    nats = {"a b": [("a", 3.0), ("b", 9.0)], "c d": [("c", 2.5), ("d", 5.0)]}
    monkeypatch.setattr(pretraining, "word_nats", lambda model, data, text: nats[text])
    extra = lstm.extra_nats(None, data, found, [[1.0], [0.0, 2.0]])
    assert extra == {"name in the ending": pytest.approx((2.0 + 5.0) / 2), "verb in the ending": pytest.approx(0.5)}


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_quantity(data, monkeypatch):
    monkeypatch.setattr(FineTuning, "n_steps", 1)
    found = list(lstm.measure(data, 0, n_short=2, n_stories=3, n_test=4))
    keys = [where for where, _ in found]
    assert len(set(keys)) == len(keys) and all(math.isfinite(value) for _, value in found)
    assert {key[0] for key in keys} == {"LSTM, short run", "LSTM", "Transformer"}
    assert [key[2] for key in keys if key[0] == "LSTM, short run"] == list(lstm.RATES)
    tuned = [key for key in keys if key[1].startswith("fine-tuned")]
    assert len(tuned) == len(lstm.plan()) == 4 * 6
    gaps = {key: value for key, value in found if key[1] == "gap"}
    assert all(value > 0 for value in gaps.values())
    tried = {key[2]: value for key, value in gaps.items() if key[0] == "LSTM, short run"}
    assert {key[2] for key in gaps if key[0] == "LSTM"} == {min(tried, key=tried.get)}  # it goes on with the best rate
