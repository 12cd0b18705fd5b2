"""Heads: where they look and what their ablation costs, against loops and weights set by hand."""

import copy
from unittest import mock

import numpy as np
import pytest
import torch

from minigpt.batches import evaluation_batches
from minigpt.experiments import canaries, measured, pretraining
from minigpt.experiments.gpt1 import heads
from minigpt.model import GPT, GPTConfig
from minigpt.worlds import grammar

WIDTH = 96 // 6


@pytest.fixture(scope="module")
def data():
    return canaries.small_dataset()


@pytest.fixture(scope="module")
def gpt(data):
    """Wide initial weights, so that heads differ."""
    config = GPTConfig(data.tokenizer.n_vocab, 128, 2, 6, 96, init_std=0.2)
    return GPT(config, torch.Generator().manual_seed(1)).eval()


@pytest.fixture(scope="module")
def documents(data):
    return list(evaluation_batches(data.held_out_corpus, data.tokenizer, 128, 1024))


@torch.no_grad()
def head_outputs(gpt, ids, layer):
    """weights v of every head of a block, (T, H, d_head), from the weights themselves."""
    h = gpt.W_e(ids) + gpt.W_p(torch.arange(ids.shape[1]))
    for block in gpt.blocks[:layer]:
        h = block(h)
    v = gpt.blocks[layer].attn.W_qkv(h)[0, :, 2 * 96 :].view(-1, 6, WIDTH)  # (T, H, d_head)
    return torch.einsum("hts,shd->thd", gpt.attention_maps(ids)[layer][0], v)


@pytest.mark.parametrize("mention", [heads.AT_ONCE, heads.AT_THE_END])
def test_a_place_ends_just_before_the_object_and_marks_its_earlier_mentions(data, mention):
    at = heads.places(data, 4, mention)
    for ids, last, back, right in zip(at.ids, at.last, at.back, at.right):
        text = data.tokenizer.decode(ids[1 : last + 1].tolist())
        assert any(document.startswith(text + heads.WORDS[right]) for document in data.held_out)
        marked = data.tokenizer.decode(ids[back].tolist())
        assert marked == heads.WORDS[right] * mention and not back[last:].any()
        named = [word for word in grammar.words(text) if word in heads.WORDS]
        assert text.endswith((" The", " the")) and named == [heads.WORDS[right]] * mention


def test_no_story_is_an_error(data):
    with pytest.raises(ValueError, match="expected held-out stories"):
        heads.places(data, 0)


def test_shares_of_attention_are_those_of_each_story_alone(data, gpt):
    at = heads.places(data, 5, heads.AT_THE_END)
    looks, before, n = np.zeros((2, 6)), np.zeros((2, 6)), 0
    for ids, last, back in zip(at.ids, at.last, at.back):
        maps = [layer[0].numpy() for layer in gpt.attention_maps(ids[None, : last + 1])]
        n += int(last)
        for layer, head in np.ndindex(2, 6):
            looks[layer, head] += sum(maps[layer][head, last, t] for t in range(last) if back[t]) / 5
            before[layer, head] += sum(maps[layer][head, t, t - 1] for t in range(1, last + 1))
    np.testing.assert_allclose(heads.looking_back(gpt, at), looks, atol=1e-6)
    np.testing.assert_allclose(heads.looking_at_previous(gpt, at), before / n, atol=1e-6)


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (1, 4)])
def test_zero_ablation_is_the_model_without_its_columns_of_W_o(gpt, layer, head, documents):
    ids = torch.as_tensor(documents[0][0])
    silenced = copy.deepcopy(gpt)
    with torch.no_grad():
        silenced.blocks[layer].attn.W_o.weight[:, head * WIDTH : (head + 1) * WIDTH] = 0
        before = gpt(ids)
        with heads.ablated(gpt, layer, head) as without:
            found = without(ids)
        assert torch.allclose(found, silenced(ids), atol=1e-5) and not torch.allclose(found, before, atol=1e-2)
        assert torch.equal(gpt(ids), before)  # and afterwards all is as it was


def test_a_model_is_whole_again_after_an_error(gpt):
    with pytest.raises(RuntimeError), heads.ablated(gpt, 1, 1):
        raise RuntimeError
    assert not any(block.attn.W_o._forward_pre_hooks for block in gpt.blocks)


def test_mean_ablation_of_a_constant_head_changes_nothing(gpt, documents):
    constant, layer, head = copy.deepcopy(gpt), 1, 2
    rows = slice(2 * 96 + head * WIDTH, 2 * 96 + (head + 1) * WIDTH)  # of W_v, of this head
    values = torch.linspace(-2, 2, WIDTH)
    ids = torch.as_tensor(documents[0][0])
    with torch.no_grad():
        constant.blocks[layer].attn.W_qkv.weight[rows] = 0
        constant.blocks[layer].attn.W_qkv.bias[rows] = values
        mean = heads.mean_outputs(constant, documents)[layer, head]
        assert torch.allclose(mean, values, atol=1e-5)
        with heads.ablated(constant, layer, head, mean):
            found = constant(ids)
        assert torch.allclose(found, constant(ids), atol=1e-4)
        with heads.ablated(constant, layer, head):
            assert not torch.allclose(constant(ids), found, atol=1e-2)


def test_the_mean_is_over_the_positions_of_all_documents_and_not_over_padding(gpt, data, documents):
    for layer in (0, 1):
        outputs = []
        for text in data.held_out:
            ids = torch.tensor([[data.tokenizer.endoftext, *data.tokenizer.encode(text)]])
            outputs.append(head_outputs(gpt, ids, layer))
        expected = torch.cat(outputs).mean(dim=0)  # (H, d_head)
        assert torch.allclose(heads.mean_outputs(gpt, documents)[layer], expected, atol=1e-4)


@pytest.mark.parametrize(("layer", "head"), [(2, 0), (0, 6), (-1, 0), (0, -1)])
def test_a_head_that_does_not_exist_is_an_error(gpt, layer, head):
    with pytest.raises(ValueError, match=f"expected a layer below 2 and a head below 6; got {layer} and {head}"):
        with heads.ablated(gpt, layer, head):
            pass


def test_surprisal_at_the_object_is_two_terms(gpt, data):
    at = heads.places(data, 4)
    surprisal, some = 0.0, 0.0
    with torch.no_grad():
        for ids, last, right in zip(at.ids, at.last, at.right):
            p = gpt(ids[None, : last + 1])[0, -1].softmax(-1)
            surprisal -= p[data.tokenizer.encode(heads.WORDS[right])[0]].log().item() / 4
            some += sum(p[data.tokenizer.encode(word)[0]].item() for word in heads.WORDS) / 4
    found = heads.at_the_object(gpt, at)
    assert found["surprisal"] == pytest.approx(surprisal, abs=1e-4)
    assert found["probability of objects"] == pytest.approx(some, abs=1e-5)
    assert found["surprisal"] == pytest.approx(found["not an object"] + found["which object"])
    assert 0 < found["entropy"] <= np.log(24)


def test_a_model_that_guesses_among_all_objects_pays_log_24(gpt, data):
    blind = copy.deepcopy(gpt)
    at = heads.places(data, 4)
    with torch.no_grad():
        blind.W_e.weight[at.objects] = blind.W_e.weight[at.objects[0]].clone()  # no object can be told from another
        found = heads.at_the_object(blind, at)
    assert found["which object"] == pytest.approx(np.log(24), abs=1e-6) == found["entropy"]


def test_loss_is_that_of_the_evaluation(gpt, data, documents):
    from minigpt import train

    assert heads.loss(gpt, documents) == pytest.approx(train.evaluate(gpt, documents).nats_per_token, abs=1e-5)


@pytest.fixture(scope="module")
def seed(gpt, data):
    """One seed of the table, without training: (what was measured, the model after step 1, the dataset)."""
    part = canaries.part(data, 10)
    earlier = GPT(gpt.config, torch.Generator().manual_seed(2)).eval()
    nothing, snapshots = np.zeros(2), {1: earlier.state_dict(), 2: gpt.state_dict()}
    trained = pretraining.Pretrained(gpt, np.array([1, 2]), nothing, nothing, nothing, nothing, snapshots)
    with mock.patch.object(pretraining, "pretrain", lambda data, seed: trained):
        return heads.measure(part, 0, n_stories=3, n_batches=1), earlier, part


def replaced(gpt, layer, head, output):
    """A copy in which W_o does not read a head and adds, in its bias, what it would make of `output` there."""
    without, columns = copy.deepcopy(gpt), slice(head * WIDTH, (head + 1) * WIDTH)
    with torch.no_grad():
        W_o = without.blocks[layer].attn.W_o
        W_o.bias += W_o.weight[:, columns] @ output
        W_o.weight[:, columns] = 0
    return without


def test_each_head_has_its_own_row_in_the_table(seed, gpt):
    found, earlier, data = seed
    at, end = heads.places(data, 3), heads.places(data, 3, heads.AT_THE_END)
    for layer, head in np.ndindex(2, 6):
        for step, quantity, shares in (
            (1, "looks back, on the way", heads.looking_back(earlier, at)),
            (2, "looks back, on the way", heads.looking_back(gpt, at)),
            (2, "looks back", heads.looking_back(gpt, at)),
            (2, "looks back at the end", heads.looking_back(gpt, end)),
            (2, "looks at the token before", heads.looking_at_previous(gpt, at)),
        ):
            assert found[step, quantity, layer + 1, head + 1] == pytest.approx(shares[layer, head], abs=1e-6)


@pytest.mark.parametrize(("layer", "head"), [(0, 3), (1, 4)])
def test_the_table_names_the_ablation_by_what_stands_in_place_of_the_head(seed, gpt, layer, head):
    found, _, data = seed
    at, end = heads.places(data, 3), heads.places(data, 3, heads.AT_THE_END)
    documents = list(evaluation_batches(data.held_out_corpus, data.tokenizer, 128, 4096))[:1]
    mean = heads.mean_outputs(gpt, documents)[layer, head]
    for how, output in (("mean", mean), ("zero", torch.zeros(WIDTH))):
        without = replaced(gpt, layer, head, output)
        expected = heads.at_the_object(without, at) | {"loss": heads.loss(without, documents)}
        expected["surprisal at the end"] = heads.at_the_object(without, end)["surprisal"]
        for name, value in expected.items():
            assert found[2, f"{name}, {how}", layer + 1, head + 1] == pytest.approx(value, abs=1e-4), (name, how)


def test_on_the_way_the_head_that_will_look_back_most_is_replaced_by_its_mean_of_then(seed, gpt):
    found, earlier, data = seed
    at = heads.places(data, 3)
    documents = list(evaluation_batches(data.held_out_corpus, data.tokenizer, 128, 4096))[:1]
    most = max(np.ndindex(2, 6), key=lambda cell: found[2, "looks back", cell[0] + 1, cell[1] + 1])
    for step, then in ((1, earlier), (2, gpt)):
        without = replaced(then, *most, heads.mean_outputs(then, documents)[most])
        expected = heads.at_the_object(without, at)["which object"]
        assert found[step, "which object without it, on the way", 0, 0] == pytest.approx(expected, abs=1e-4)


def test_the_same_head_looks_and_matters_or_not():
    share = np.array([[0.1, 0.2], [0.9, 0.3]])
    assert heads.same_cell(np.array([[0.0, 0.1], [5.0, 0.2]]), share)
    assert not heads.same_cell(np.array([[6.0, 0.1], [5.0, 0.2]]), share)


def test_the_stored_table_is_read_by_seed_layer_and_head(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path)
    cells = [(seed, step, layer, head) for seed in (1, 0) for step in (5, 10) for layer in (1, 2) for head in (1, 2, 3)]
    rows = [dict(zip(heads.KEY, (*at[:2], "looks back", *at[2:])), value=f"{sum(at)}") for at in cells]
    rows += [dict(zip(heads.KEY, (seed, 5, "surprisal, on the way", 0, 0)), value=f"{seed}") for seed in (0, 1)]
    measured.keep("gpt1/heads", rows, heads.KEY)
    expected = [[[10 + seed + layer + head for head in (1, 2, 3)] for layer in (1, 2)] for seed in (0, 1)]
    assert heads.stored("looks back").tolist() == expected
    assert heads.stored("looks back", 5)[1, 0, 2] == 1 + 5 + 1 + 3
    assert heads.stored("surprisal, on the way").tolist() == [0, 1] and heads.stored_steps() == [5]
    with pytest.raises(ValueError, match="expected a quantity among .'looks back'.*'nothing' and 0"):
        heads.stored("nothing")


@pytest.mark.skipif("gpt1/heads" not in measured.tables(), reason="not measured yet")
def test_the_table_has_every_head_of_every_seed():
    for quantity in ("looks back", "surprisal, mean", "surprisal, zero", "loss, mean", "looks at the token before"):
        for layer, head in np.ndindex(2, 6):
            found = measured.get("gpt1/heads", quantity=quantity, layer=layer + 1, head=head + 1)
            assert len(found) == 5
