"""One place decides the device, and everything follows: training, sampling, evaluation, PPO, images, checkpoints.

No GPU is needed: `tests/helpers/elsewhere.py` has a second device that refuses what a GPU refuses, and computes what
the CPU computes. What a real GPU says is in benchmarks/gpu.py.
"""

import copy
import os
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from elsewhere import DEVICE, Elsewhere, elsewhere, no_fused_kernels

from minigpt import checkpoint, devices, fewshot, hub, ppo, responses, sample, scaling, train
from minigpt.batches import WindowBatches
from minigpt.exercises import ch01_model
from minigpt.experiments import __main__ as experiments
from minigpt.experiments import canaries, measured
from minigpt.experiments.gpt1 import lstm
from minigpt.experiments.gpt2 import summaries
from minigpt.experiments.gpt4 import side_by_side
from minigpt.experiments.instructgpt import enumerable_ppo, policy_gradients
from minigpt.loss import lm_loss, mask_tokens
from minigpt.model import GPT, GPTConfig, TaskModel
from minigpt.reward_model import RewardModel
from minigpt.tokenizer import Tokenizer
from minigpt.vision import VisionGPT

CONFIG = GPTConfig(n_vocab=260, n_ctx=24, n_layers=2, n_heads=2, d_model=16, norm="pre", dropout=0.1)
BYTES = Tokenizer({bytes([byte]): byte for byte in range(256)})


def gpt(**changes) -> GPT:
    return GPT(GPTConfig(**vars(CONFIG) | changes), torch.Generator().manual_seed(0))


def text(n: int = 400) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, n)


@no_fused_kernels()
def both(act):
    """What `act` finds on the CPU and on the other device."""
    here = act()
    with elsewhere():
        there = act()
    return here, there


# --- the device that the tests have -----------------------------------------------------------------------------------


def test_the_other_device_refuses_what_a_gpu_refuses():
    with elsewhere():
        there = torch.zeros(3, device=DEVICE)
        assert (there + torch.tensor(1.0)).sum().item() == 3.0  # a single number may come from anywhere
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="same device"):
            torch.cat([there, torch.ones(3)])
        assert there[torch.tensor([0, 2])].shape == (2,)  # indices may come from anywhere
        with pytest.raises(RuntimeError, match="same device"):
            torch.ones(3)[torch.zeros(2, dtype=torch.long, device=DEVICE)]  # but they do not go to the CPU
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, device=DEVICE, generator=torch.Generator())
        with pytest.raises((RuntimeError, TypeError)):
            there.numpy()
        assert (there.cpu() + torch.ones(3)).tolist() == [1.0, 1.0, 1.0]
        there[[0, 2]] = there[torch.tensor([1, 1])] + 1  # an index may be a list, or lie on the CPU
        assert there.tolist() == [1.0, 0.0, 1.0]
        model = gpt().double()
        assert model.W_e.weight.dtype == model.W_e.weight.inner.dtype == torch.float64


def test_a_forgotten_move_is_noticed():
    forgetful = mock.patch.object(GPT, "here", lambda self, x: x)
    with elsewhere(), forgetful, pytest.raises(RuntimeError, match="same device"):
        gpt()(torch.zeros(1, 4, dtype=torch.long))


# --- which device -----------------------------------------------------------------------------------------------------


def test_the_cpu_is_the_default(monkeypatch):
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    assert devices.device() == torch.device("cpu")
    monkeypatch.setenv(devices.VARIABLE, "cpu")
    with torch.device("meta"):  # this wins
        assert devices.device() == torch.device("meta")


@pytest.mark.parametrize("word", ["nonsense", "cuda:99", "gpu"])
def test_an_unknown_device_is_refused_with_what_there_is(monkeypatch, word):
    monkeypatch.setenv(devices.VARIABLE, word)
    with pytest.raises(ValueError, match=rf"MINIGPT_DEVICE to be one of auto, cpu.*; got '{word}'"):
        gpt()


def test_the_variable_is_read_when_a_model_is_built(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for word, expected in [("cpu", "cpu"), ("cuda", "cuda"), (" CUDA:1 ", "cuda:1"), ("auto", "cuda")]:
        monkeypatch.setenv(devices.VARIABLE, word)
        assert devices.device() == torch.device(expected)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(devices.VARIABLE, "auto")
    assert devices.device() == torch.device("cpu")


# --- everything follows -----------------------------------------------------------------------------------------------


def test_models_are_built_there_with_the_same_weights():
    here, there = both(lambda: GPT(CONFIG, torch.Generator().manual_seed(3)))
    assert {p.device for p in there.parameters()} == {DEVICE}
    for a, b in zip(here.parameters(), there.parameters(), strict=True):
        assert isinstance(b, Elsewhere) and torch.equal(a, b.inner)


def test_training_and_evaluation():
    def act():
        model, state = gpt(), train.TrainState()
        batches = WindowBatches(text(), CONFIG.n_ctx, 4)
        config = train.TrainConfig(n_steps=4, lr=1e-3, accumulate=2)
        records = list(train.train(model, batches, config, generator=torch.Generator().manual_seed(1), state=state))
        seen = train.evaluate(model, [batches[9]])
        return [(r.loss, r.grad_norm, r.n_tokens) for r in records], seen.nats_total, seen.document_nats.tolist()

    here, there = both(act)
    assert here == there


def test_a_run_goes_on_on_another_device(tmp_path):
    def go(n_steps, model, state):
        config = train.TrainConfig(n_steps=6, lr=1e-3)
        batches, losses = WindowBatches(text(), CONFIG.n_ctx, 4), []
        for record in train.train(model, batches, config, generator=torch.Generator().manual_seed(1), state=state):
            losses.append(record.loss)
            if record.step == n_steps:
                return losses

    whole = go(6, gpt(), train.TrainState())
    with elsewhere():
        model, state = gpt(), train.TrainState()
        begun = go(3, model, state)
        checkpoint.save_state(tmp_path, model, state)
    model, state = gpt(), train.TrainState()
    checkpoint.load_state(tmp_path, model, state)
    assert begun + go(6, model, state) == whole
    with elsewhere():
        model, state = gpt(), train.TrainState()
        checkpoint.load_state(tmp_path, model, state)
        assert begun + go(6, model, state) == whole
        assert {p.device for p in model.parameters()} == {DEVICE}


HOW = [{}, {"temperature": 0}, {"top_k": 5}, {"top_p": 0.9, "use_cache": False}, {"stop_id": 7}]


@pytest.mark.parametrize("how", HOW)
def test_samples(how):
    def act():
        prompt = torch.tensor([[256, 5, 6], [256, 9, 9]])
        found = sample.generate(gpt(), prompt, 12, torch.Generator().manual_seed(2), **how)
        assert found.device == prompt.device  # the ids come back to where the prompt is
        return found.tolist()

    here, there = both(act)
    assert here == there


def test_everything_else_that_asks_a_model():
    def act():
        model, generator = gpt(dropout=0.0), torch.Generator().manual_seed(4)
        found = [sample.generate_text(model, BYTES, "ab", 5, generator)]
        found.append(sample.beam_search(model, [256, 3], 5, width=3).ids)
        found.append(sample.next_logps(model, BYTES, "abc").tolist())
        found.append(sample.continuation_logps(model, BYTES, "ab", ["c", "de"]).numpy().tolist())
        found.append(sample.response_logp(model, torch.tensor([1, 2]), torch.tensor([3, 4])).item())
        found.append(fewshot.score_choices(model, BYTES, "ab", ["cd", "e"]).tolist())
        found.append(model.attention_maps(torch.tensor([[1, 2, 3]]))[1].tolist())
        found.append(lm_loss(model(torch.tensor([[1, 2]])), torch.tensor([[2, -100]])).item())
        tasks = TaskModel(model, 3, "add", generator)
        found.append(tasks(torch.tensor([[[1, 2], [3, 4]]]), torch.tensor([[1, 0]])).tolist())
        bert = gpt(causal=False, dropout=0.0)
        masked, wanted = mask_tokens(torch.arange(8)[None], 250, 256, generator)
        found.append(lm_loss(bert(masked, visible=masked < 251), wanted).item())
        judge = RewardModel(model)
        torch.nn.init.constant_(judge.head.weight, 0.1)
        prompts, answers = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[5, 7], [7, -100]])
        found.append(judge.score(prompts, answers).tolist())
        found.append(responses.rollout(model, prompts, 6, 7, generator).tolist())
        return found

    here, there = both(act)
    for a, b in zip(here, there, strict=True):
        assert a == b


def test_images():
    def act():
        generator = torch.Generator().manual_seed(0)
        model = VisionGPT(gpt(dropout=0.0), 2, generator)
        images, ids = np.random.default_rng(0).random((3, 4, 4, 3)), torch.arange(6).view(3, 2)
        batches = [(images, ids, np.array([1, 2, 3]))] * 2

        def answer_loss(model, images, ids, answers):
            return lm_loss(model(images, ids)[:, -1:], answers[:, None])

        losses = [r.loss for r in train.train(model, batches, train.TrainConfig(n_steps=2), answer_loss)]
        images = torch.as_tensor(images)
        return losses, model(images, ids).tolist(), model.attention_to_image(images, ids)[1].tolist()

    here, there = both(act)
    assert here == there


@pytest.mark.slow
@no_fused_kernels()
def test_ppo_goes_on_there_after_a_save(tmp_path):
    config = ppo.PPOConfig(
        n_iterations=2, end_id=4, longest=4, batch_size=6, n_minibatches=1, ptx_coef=0.5, average=0.9
    )  # fmt: skip

    def go(agent, reference, world, state, n):
        texts = [(torch.tensor([[4, 1]]), torch.tensor([[1, 2]]))] * 6
        found = []
        for record in ppo.ppo(
            agent, reference, world.reward_fn, world.prompts, config, torch.Generator().manual_seed(0), state, texts
        ):
            found.append((record.reward, record.kl, record.policy_loss, record.value_loss))
            if record.step == n:
                break
        return found

    def whole():
        world, reference = enumerable_ppo.small_world(0)
        return go(enumerable_ppo.agent_of(reference), reference, world, ppo.PPOState(), 2)

    here, there = both(whole)
    assert here == there
    with elsewhere():
        world, reference = enumerable_ppo.small_world(0)
        agent, state = enumerable_ppo.agent_of(reference), ppo.PPOState()
        begun = go(agent, reference, world, state, 1)
        checkpoint.save_state(tmp_path, agent, state)
        agent, state = copy.deepcopy(agent), ppo.PPOState()
        checkpoint.load_state(tmp_path, agent, state)
        assert begun + go(agent, reference, world, state, 2) == here


def test_probabilities_stay_where_the_logits_are():
    with elsewhere():
        assert sample.next_probs(torch.zeros(2, 5, device=DEVICE), top_k=3).device == DEVICE


IDS, MORE = torch.tensor([[3, 1, 4], [1, 5, 9]]), torch.tensor([[2, 6], [5, -100]])
IMAGES = torch.rand(2, 4, 4, 3, generator=torch.Generator().manual_seed(5))


def asked_of_a_gpt(ids, more, images):
    model, bert = gpt(dropout=0.0), gpt(dropout=0.0, causal=False)
    cache = model.new_cache()
    h = model.hidden(ids, cache)
    yield from (model(ids), h, model.logits(h), model.logits(h, whole_tiles=True), model(ids[:, :1], cache))
    yield bert(ids, visible=ids != 9)
    yield lm_loss(model(ids), ids)
    yield from (responses.answer_logits(model, ids, more), responses.answer_logps(model, ids, more))
    yield sample.response_logp(model, ids, more)
    yield sample.generate(model, ids, 3, torch.Generator().manual_seed(0))


def asked_of_a_task_model(ids, more, images):
    model = TaskModel(gpt(dropout=0.0), 3, "add", torch.Generator().manual_seed(0))
    ids = ids[None]  # (1, 2, 3)
    extract = torch.ones_like(ids[..., 0])
    yield model(ids, extract)
    yield from model.task_and_lm(ids, extract)


def asked_of_a_reward_model(ids, more, images):
    model = RewardModel(gpt(dropout=0.0))
    torch.nn.init.ones_(model.head.weight)
    h = model.gpt.hidden(responses.readable(ids, more))
    yield from (model(ids, more), model.score(ids, more), model.read(h, ids, more))
    yield ppo.ActorCritic(gpt(dropout=0.0), model).value.values(ids, more)


def asked_of_a_model_with_eyes(ids, more, images):
    model = VisionGPT(gpt(dropout=0.0), 2, torch.Generator().manual_seed(0))
    yield from (model(images, ids), model(images), model(ids=ids), *model.attention_to_image(images, ids))


def asked_of_an_lstm(ids, more, images):
    config = lstm.LSTMConfig(n_vocab=260, n_ctx=24, n_layers=2, d_model=16)
    model = lstm.LSTM(config, torch.Generator().manual_seed(0))
    cache = model.new_cache()
    h = model.hidden(ids, cache)
    yield from (model(ids), h, model.logits(h), model(ids[:, :1], cache))


KINDS = [asked_of_a_gpt, asked_of_a_task_model, asked_of_a_reward_model, asked_of_a_model_with_eyes, asked_of_an_lstm]


@pytest.mark.parametrize("ask", KINDS)
@no_fused_kernels()
def test_what_a_model_answers_lies_where_it_was_asked(ask):
    expected = list(ask(IDS, MORE, IMAGES))
    with elsewhere():
        on_the_cpu = list(ask(IDS, MORE, IMAGES))
        there = list(ask(*(each.to(DEVICE) for each in (IDS, MORE, IMAGES))))
    for a, b, c in zip(expected, on_the_cpu, there, strict=True):
        assert (b.device, c.device) == (torch.device("cpu"), DEVICE)
        if ask is asked_of_an_lstm:  # the CPU has a kernel of its own for the whole layer
            torch.testing.assert_close(b, a)
        else:
            assert torch.equal(a, b)
        assert torch.equal(b, c.inner)


def test_a_gradient_finds_its_way_back_to_the_model():
    def act():
        model = gpt(dropout=0.0)
        lm_loss(model(IDS), IDS).backward()
        return [p.grad.cpu().tolist() for p in model.parameters()]

    here, there = both(act)
    assert here == there


def test_a_stand_in_without_weights_is_on_the_cpu():
    assert devices.of(SimpleNamespace(hidden=None)) == devices.of(torch.nn.Module()) == torch.device("cpu")
    with elsewhere():
        assert devices.of(gpt()) == DEVICE


def test_models_that_are_trained_side_by_side():
    shape = replace(CONFIG, dropout=0.0, init_std=0.1)

    def act():
        models = [GPT(shape, torch.Generator().manual_seed(chance)) for chance in (0, 1)]
        ids = torch.arange(48).view(2, 24)
        batches = [[(ids + step, ids + step + 1) for step in (i, i + 1)] for i in (0, 1)]
        losses = side_by_side.train_side_by_side(models, batches, train.TrainConfig(n_steps=2))
        return losses.tolist(), models[1](ids).tolist()

    here, there = both(act)
    assert here == there


@pytest.mark.parametrize("how", [{"top_k": 2}, {"temperature": 0}])
def test_summaries_are_drawn_with_the_same_numbers(how):
    def act():
        prompts, generator = ["ab", "a", "cd"], torch.Generator().manual_seed(0)
        return summaries.write(gpt(dropout=0.0), BYTES, prompts, generator, 6, 2, **how)

    here, there = both(act)
    assert here == there


def test_the_small_world_and_what_ppo_draws_in_it():
    def act():
        world, reference = enumerable_ppo.small_world(0)
        agent = enumerable_ppo.agent_of(reference)
        config = replace(enumerable_ppo.PPO, batch_size=12, n_minibatches=2)
        asked, answers, parts = policy_gradients.first_draw(agent.policy, world.prompts, config, seed=0)
        scores = world.reward_fn(asked, answers)
        tokens = policy_gradients.token_by_token(agent, reference, scores, asked, answers, kl_coef=0.1)
        return {name: each.numpy().tolist() for name, each in tokens.items()}, [part.tolist() for part in parts]

    here, there = both(act)
    assert here == there


def test_a_model_is_written_in_its_published_form_and_read_back(tmp_path):
    with elsewhere():
        model = gpt(n_vocab=64, dropout=0.0)
        hub.save(model, tmp_path / "mine")
        assert torch.equal(hub.load(tmp_path / "mine")(IDS), model(IDS))


def test_exercises_are_checked_on_the_cpu():
    def block(h, p):
        h = p.ln_1(h + p.attn(h))
        return p.ln_2(h + p.mlp(h))

    with elsewhere():
        assert ch01_model.block.verdict(block)[0] == "correct"


class Card(torch.Tensor):
    """A tensor of the CPU that says it is on a card."""

    is_cuda = True


@pytest.mark.parametrize("n_vocab", [64, 65, 127, 260])
def test_a_card_multiplies_whole_tiles_and_gives_the_same_logits(n_vocab):
    model, h = gpt(n_vocab=n_vocab), torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0))
    found = model.logits(h.as_subclass(Card)).as_subclass(torch.Tensor)
    assert found.shape == (2, 3, n_vocab) and (found.stride(1) % 64 == 0)
    torch.testing.assert_close(found, model.logits(h))
    (gradient,) = torch.autograd.grad((found**2).sum(), [model.W_e.weight])
    (expected,) = torch.autograd.grad((model.logits(h) ** 2).sum(), [model.W_e.weight])
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("n_vocab", [64, 65, 127, 260])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_vocabulary_filled_up_to_whole_tiles_has_the_same_loss_and_gradient(n_vocab, precision):
    ids = torch.arange(40).view(2, 20) % n_vocab
    targets = ids.roll(-1, dims=1).masked_fill(ids == 7, -100)
    found = []
    for loss_fn in (train.next_token_loss, train.next_token_loss_in_tiles):
        model = gpt(n_vocab=n_vocab, dropout=0.0, init_std=0.3)
        with devices.autocast(precision, torch.device("cpu")):
            loss = loss_fn(model, ids, targets)
        loss.backward()
        found.append((loss.detach(), *(p.grad for p in model.parameters())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one)
    logits = model(ids, whole_tiles=True)
    assert logits.shape[-1] % 64 == 0 and logits.shape[-1] - n_vocab < 64
    torch.testing.assert_close(logits.softmax(dim=-1)[..., :n_vocab], model(ids).softmax(dim=-1))
    assert (logits[..., n_vocab:] == -torch.inf).all()


def test_a_target_behind_the_vocabulary_is_refused_although_it_has_a_column():
    with pytest.raises(ValueError, match="targets must be from 0 to 259, or -100, but there is a 260"):
        train.next_token_loss_in_tiles(gpt(), IDS, torch.full_like(IDS, 260))


def test_a_card_counts_updates_in_32_bits_whatever_torch_uses_by_default(monkeypatch):
    """The fused AdamW of a GPU reads its count of updates as 32 bits. Of a count in 64 bits that is half: 0, then nan."""
    fused, default = torch._fused_adamw_, torch.get_default_dtype()

    def as_a_card_reads(weights, gradients, means, squares, largest, counts, **how):
        read = [count.reshape(1).view(torch.float32)[0] for count in counts]
        return fused(weights, gradients, means, squares, largest, read, **how)

    def losses(state: train.TrainState, n_steps: int) -> list[float]:
        batches, config = WindowBatches(text(), CONFIG.n_ctx, 4), train.TrainConfig(n_steps=n_steps, lr=1e-3)
        return [record.loss for record in train.train(gpt(dropout=0.0), batches, config, state=state)]

    try:
        torch.set_default_dtype(torch.float64)
        expected = losses(train.TrainState(), 4)
        elsewhere_begun = train.TrainState()
        begun = losses(elsewhere_begun, 2)
        for moments in elsewhere_begun.moments.values():
            moments["step"] = moments["step"].double()  # as a checkpoint of before would have it
        monkeypatch.setattr(torch, "_fused_adamw_", as_a_card_reads)
        monkeypatch.setattr(torch.nn.Parameter, "is_cuda", True, raising=False)
        state = train.TrainState()
        np.testing.assert_allclose(losses(state, 4), expected, rtol=1e-12)
        assert {moments["step"].item() for moments in state.moments.values()} == {4.0}
        losses(elsewhere_begun, 4)
        assert {m["step"].item() for m in elsewhere_begun.moments.values()} == {4.0} and begun == expected[:2]
    finally:
        torch.set_default_dtype(default)


EXPERIMENTS = ["gpt1/finetuning", "gpt2/decoding", "gpt4/held_out_pictures", "gpt4/inverse_scaling", "gpt4/refusals",
               "instructgpt/sft_epochs", "instructgpt/tales_over_seeds"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("table", EXPERIMENTS)
def test_experiments_run_there_with_the_same_numbers(table):
    """Their canaries: training, fine-tuning, writing, images, and all three steps of RLHF."""
    with elsewhere():
        found = experiments.canary(table)
    assert measured.changed(measured.about(table)["canary"]["values"], found) == []


@no_fused_kernels()
def test_the_model_that_canaries_share_is_the_same_whoever_asks_first():
    canaries._gpt1.cache_clear()
    with elsewhere(), canaries.few_updates(1) as found:
        there = canaries.gpt1(2)
    assert not found, "few_updates must not shorten the training of a model that others get, too"
    here = canaries.gpt1(2)
    assert here is canaries.gpt1(2) and {p.device for p in there.parameters()} == {DEVICE}
    for a, b in zip(here.parameters(), there.parameters(), strict=True):
        assert a.device == torch.device("cpu") and torch.equal(a, b.inner)
    canaries._gpt1.cache_clear()  # others train it as usual


# --- precision, speed -------------------------------------------------------------------------------------------------


def test_mixed_precision_is_only_as_wrong_as_bfloat16():
    losses = {}
    for precision in ("float32", "bf16"):
        config = train.TrainConfig(n_steps=8, lr=3e-3, precision=precision)
        model = gpt(dropout=0.0)
        losses[precision] = [r.loss for r in train.train(model, WindowBatches(text(), CONFIG.n_ctx, 4), config)]
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    difference = np.abs(np.subtract(losses["bf16"], losses["float32"]))
    assert 0 < difference.max() < 2e-2


def test_a_card_is_known_by_its_name(monkeypatch):
    card = torch.device("cuda", 0)
    for name, peak in [("NVIDIA H100 80GB HBM3", 989.4e12), ("NVIDIA H100 PCIe", 756e12), ("Something else", None)]:
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda where, name=name: name)
        assert devices.peak_flops(card) == peak
    assert devices.peak_flops(torch.device("cpu")) is None


def test_the_meter_counts_tokens_and_the_share_of_the_peak(monkeypatch):
    model = gpt()
    meter = devices.Meter(model, n_records=2)
    assert meter.line() == "" and meter.tokens_per_second() is None
    for step, seconds in enumerate([0.0, 10.0, 11.0, 11.25, 12.0]):
        meter.add(SimpleNamespace(n_tokens=96 * step, seconds=seconds))
    assert meter.tokens_per_second() == 192.0
    flops = 3 * scaling.forward_flops(2, 16, 260, 24)
    monkeypatch.setattr(devices, "peak_flops", lambda where: 1000 * flops)
    monkeypatch.setattr(devices, "peak_memory", lambda where: 2_500_000_000)
    assert meter.utilisation() == pytest.approx(0.192)
    assert meter.line() == "192 tokens/s, 19 % of peak, 2.5 GB"
    assert devices.note_for(model) is None  # on the CPU nothing is added to the bar


def test_only_a_model_with_blocks_can_be_sharded():
    with pytest.raises(ValueError, match="expected a model with blocks.* got a Linear"):
        devices.sharded(torch.nn.Linear(2, 2))


def test_a_process_that_is_alone_has_everything_and_decides_alone():
    model = torch.nn.Module()
    model.blocks = torch.nn.ModuleList()
    assert devices.sharded(model) is model and not devices.is_sharded(model) and devices.n_processes(model) == 1
    tensor = torch.ones(3)
    assert devices.whole(tensor) is tensor and devices.shared_like(tensor, torch.zeros(3)) is tensor
    assert devices.agreed(True) and not devices.agreed(False)


def test_models_are_built_on_the_cpu_where_that_is_asked(monkeypatch):
    monkeypatch.setenv("MINIGPT_DEVICE", "no such device")
    with devices.on_cpu():
        assert devices.device() == torch.device("cpu")
    assert os.environ["MINIGPT_DEVICE"] == "no such device"
    monkeypatch.delenv("MINIGPT_DEVICE")
    with devices.on_cpu():
        assert os.environ["MINIGPT_DEVICE"] == "cpu"
    assert "MINIGPT_DEVICE" not in os.environ


@pytest.mark.parametrize("name", ["NVIDIA L40", "NVIDIA RTX A1000 Laptop GPU"])
def test_a_card_whose_name_goes_on_with_a_digit_is_another_card(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda where: name)
    assert devices.peak_flops(torch.device("cuda")) is None
