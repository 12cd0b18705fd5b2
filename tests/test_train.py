"""Training against hand calculations, a numpy AdamW, and runs that were cut in two."""

import itertools
import math
import os
import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn

from minigpt.attention import use_fused
from minigpt.checkpoint import load_state, save_state
from minigpt.model import GPT, GPTConfig
from minigpt.train import (
    Evaluation,
    TrainConfig,
    TrainState,
    evaluate,
    learning_rate,
    next_token_loss,
    parameter_groups,
    train,
)


def tiny(seed=0, dropout=0.0):
    """A next-token model of 135 parameters: it sees one token at a time."""
    model = nn.Sequential(nn.Embedding(7, 8), nn.Dropout(dropout), nn.LayerNorm(8), nn.Linear(8, 7))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in [*model[0].parameters(), *model[3].parameters()]:
            p.normal_(0.0, 0.1, generator=generator)
    return model


class Batches:
    """Batch number `step` is a function of `step`: each token is followed by the next, mostly."""

    def __getitem__(self, step):
        rng = np.random.default_rng([5, step])
        inputs = rng.integers(0, 7, size=(4, 6))
        targets = (inputs + (rng.random((4, 6)) < 0.9)) % 7
        targets[0, 4:] = -100
        return inputs, targets


def line(model, x, y):
    """A loss whose gradient is easy by hand."""
    return ((model(x) - y) ** 2).mean()


def generator(seed=3):
    return torch.Generator().manual_seed(seed)


def weights(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


CONFIG = TrainConfig(n_steps=20, lr=0.03, warmup_steps=4)


# --- learning rate -----------------------------------------------------------------------------------------------


def test_learning_rate_by_hand():
    config = TrainConfig(n_steps=12, lr=0.8, warmup_steps=4, final_lr_fraction=0.25)
    # rises 1/4, 2/4, 3/4, 4/4; then cos(0), cos(pi/4), cos(pi/2), ... between 0.8 and 0.2: middle 0.5, amplitude 0.3
    assert [learning_rate(s, config) for s in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert learning_rate(4, config) == pytest.approx(0.8)
    assert learning_rate(6, config) == pytest.approx(0.5 + 0.3 * math.sqrt(0.5))
    assert learning_rate(8, config) == pytest.approx(0.5)
    assert learning_rate(12, config) == pytest.approx(0.2)
    assert learning_rate(99, config) == pytest.approx(0.2)  # it stays at the end


def test_gpt1s_two_schedules():
    pretraining = TrainConfig(n_steps=10_000, lr=2.5e-4, warmup_steps=2000)
    assert learning_rate(999, pretraining) == pytest.approx(1.25e-4)
    assert learning_rate(1999, pretraining) == pytest.approx(2.5e-4)
    assert learning_rate(6000, pretraining) == pytest.approx(1.25e-4)
    assert learning_rate(10_000, pretraining) == pytest.approx(0.0, abs=1e-12)
    finetuning = TrainConfig(n_steps=1000, lr=6.25e-5, warmup_steps=2, schedule="linear")
    assert [learning_rate(s, finetuning) for s in (0, 1, 2, 501)] == pytest.approx(
        [3.125e-5, 6.25e-5, 6.25e-5, 3.125e-5]
    )


def test_a_run_that_is_all_warm_up():
    config = TrainConfig(n_steps=5, lr=1.0, warmup_steps=5)
    assert [learning_rate(s, config) for s in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize(
    "field, value",
    [
        ("n_steps", 0),
        ("n_steps", 2.5),
        ("n_steps", True),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", "fast"),
        ("warmup_steps", -1),
        ("warmup_steps", 101),
        ("schedule", "Cosine"),
        ("final_lr_fraction", 1.5),
        ("betas", (0.9, 1.0)),
        ("betas", 0.9),
        ("eps", 0.0),
        ("weight_decay", -0.01),
        ("clip_norm", 0.0),
        ("clip_norm", float("inf")),
        ("precision", "float16"),
        ("accumulate", 0),
        ("compile", "yes"),
    ],
)
def test_wrong_config_values_are_named(field, value):
    with pytest.raises(ValueError, match=f"TrainConfig.{field} must be .*but it is"):
        TrainConfig(**{"n_steps": 100, field: value})


def test_numpy_numbers_are_fine_in_a_config():
    config = TrainConfig(n_steps=np.int64(3), lr=np.float32(0.5))
    assert (config.n_steps, type(config.n_steps), config.lr, type(config.lr)) == (3, int, 0.5, float)


@pytest.mark.parametrize("step", [-1, 1.5, True, None])
def test_a_learning_rate_is_asked_for_by_the_number_of_a_step(step):
    with pytest.raises(ValueError, match="expected step to be a whole number of at least 0, got"):
        learning_rate(step, CONFIG)
    assert learning_rate(np.int64(2), CONFIG) == learning_rate(2, CONFIG)


# --- AdamW -------------------------------------------------------------------------------------------------------


def test_parameter_groups():
    decayed, free = parameter_groups(tiny(), 0.01)
    assert [tuple(p.shape) for p in decayed["params"]] == [(7, 8), (7, 8)]  # embedding, linear
    assert [tuple(p.shape) for p in free["params"]] == [(8,), (8,), (7,)]  # gain and bias of the norm, bias
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.01, 0.0)


def test_frozen_parameters_are_left_alone():
    model = tiny()
    model[0].weight.requires_grad_(False)
    before = weights(model)
    list(train(model, Batches(), TrainConfig(n_steps=3, lr=0.1)))
    changed = {name for name, p in weights(model).items() if not torch.equal(p, before[name])}
    assert changed == {"2.weight", "2.bias", "3.weight", "3.bias"}


def test_three_updates_equal_a_numpy_adamw():
    model = nn.Linear(3, 2).double()
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(5, 3)), rng.normal(size=(5, 2))) for _ in range(3)]
    config = TrainConfig(n_steps=3, lr=0.05, warmup_steps=1, weight_decay=0.2, betas=(0.9, 0.95), clip_norm=None)
    W, b = model.weight.detach().numpy().copy(), model.bias.detach().numpy().copy()
    mW, vW, mb, vb = 0.0, 0.0, 0.0, 0.0
    records = list(train(model, batches, config, loss_fn=line))
    for t, (x, y) in enumerate(batches, start=1):
        error = x @ W.T + b - y
        assert records[t - 1].loss == pytest.approx((error**2).mean())
        gW, gb = 2 * error.T @ x / error.size, 2 * error.sum(0) / error.size
        assert records[t - 1].grad_norm == pytest.approx(math.sqrt((gW**2).sum() + (gb**2).sum()))
        lr = [0.05, 0.05, 0.05 * (1 + math.cos(math.pi / 2)) / 2][t - 1]
        assert records[t - 1].lr == pytest.approx(lr)
        mW, vW = 0.9 * mW + 0.1 * gW, 0.95 * vW + 0.05 * gW**2
        mb, vb = 0.9 * mb + 0.1 * gb, 0.95 * vb + 0.05 * gb**2
        W = W - lr * 0.2 * W - lr * (mW / (1 - 0.9**t)) / (np.sqrt(vW / (1 - 0.95**t)) + 1e-8)
        b = b - lr * (mb / (1 - 0.9**t)) / (np.sqrt(vb / (1 - 0.95**t)) + 1e-8)  # biases do not decay
    np.testing.assert_allclose(model.weight.detach().numpy(), W, rtol=1e-12)
    np.testing.assert_allclose(model.bias.detach().numpy(), b, rtol=1e-12)


@pytest.mark.parametrize("clip_norm, expected", [(1.0, [0.6, 0.8]), (10.0, [3.0, 4.0]), (None, [3.0, 4.0])])
def test_clipping_by_hand(clip_norm, expected):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            return (x * self.w).sum()

    model = Two()  # gradient of x . w is x = (3, 4), of length 5
    (record,) = train(model, [(torch.tensor([3.0, 4.0]),)], TrainConfig(1, clip_norm=clip_norm), lambda m, x: m(x))
    assert record.grad_norm == pytest.approx(5.0)
    assert model.w.grad.tolist() == pytest.approx(expected, rel=1e-5)


# --- the loop ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_loss_falls_to_the_entropy_of_the_problem(seed):
    model = tiny(seed)
    records = list(train(model, Batches(), TrainConfig(n_steps=300, lr=0.03, warmup_steps=30)))
    entropy = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)  # 0.325 nats
    assert records[0].loss == pytest.approx(math.log(7), abs=0.6)
    assert sum(r.loss for r in records[-50:]) / 50 == pytest.approx(entropy, abs=0.06)


def test_records_count_steps_targets_and_seconds():
    records = list(train(tiny(), Batches(), CONFIG))
    assert [r.step for r in records] == list(range(1, 21))
    assert [r.n_tokens for r in records] == [22 * step for step in range(1, 21)]  # 4 x 6 less the two of -100
    assert [r.lr for r in records] == [learning_rate(step, CONFIG) for step in range(20)]
    assert all(0 < a.seconds <= b.seconds for a, b in itertools.pairwise(records))


def test_any_tuple_and_any_loss():
    def loss_fn(model, ids, extract, labels, lm_targets):
        assert ids.dtype == torch.int64 and extract.dtype == torch.int64
        hidden = model(ids)
        return nn.functional.cross_entropy(hidden[torch.arange(2), extract], labels)

    ids, extract, labels = np.array([[1, 2, 3], [4, 5, 6]]), np.array([2, 1]), np.array([0, 3])
    lm_targets = np.array([[2, 3, -100], [5, 6, -100]])
    config = TrainConfig(n_steps=40, lr=0.05)
    records = list(train(tiny(), [(ids, extract, labels, lm_targets)] * 40, config, loss_fn))
    assert records[-1].loss < 0.2 < records[0].loss
    assert records[0].n_tokens == 4


def test_nothing_happens_until_the_records_are_asked_for():
    model = tiny()
    before = weights(model)
    records = train(model, Batches(), CONFIG)
    assert same(weights(model), before)
    next(records)
    assert not same(weights(model), before)


def test_dropout_needs_a_generator_and_leaves_the_global_one_alone():
    models = [tiny(dropout=0.5) for _ in range(4)]
    before = torch.get_rng_state()
    untouched = weights(models[3])
    with pytest.raises(ValueError, match="dropout.*needs a torch.Generator"):
        next(train(models[3], Batches(), CONFIG))
    assert same(weights(models[3]), untouched)
    for model, seed in zip(models[:3], (3, 3, 4), strict=True):
        list(train(model, Batches(), CONFIG, generator=generator(seed)))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(weights(models[0]), weights(models[1])) and not same(weights(models[0]), weights(models[2]))


def test_a_loss_that_draws_depends_on_the_step_alone():
    """A loss that hides tokens at random, from torch's own generator, is repeated exactly by a run cut in two."""

    def hiding_loss(model, inputs, targets):
        hidden = torch.rand(targets.shape, generator=torch.default_generator) < 0.5
        return next_token_loss(model, inputs, targets.masked_fill(hidden, -100))

    with pytest.raises(ValueError, match="needs a torch.Generator"):
        next(train(tiny(), Batches(), CONFIG, hiding_loss))
    straight, cut, state = tiny(), tiny(), TrainState()
    list(train(straight, Batches(), CONFIG, hiding_loss, generator()))
    list(itertools.islice(train(cut, Batches(), CONFIG, hiding_loss, generator(), state), 10))
    list(train(cut, Batches(), CONFIG, hiding_loss, generator(), state))
    assert same(weights(cut), weights(straight))


def test_each_step_has_its_own_dropout():
    seen = []

    def loss_fn(model, inputs, targets):
        seen.append(model[1](torch.ones(100)))
        return next_token_loss(model, inputs, targets)

    list(train(tiny(dropout=0.5), Batches(), TrainConfig(n_steps=3), loss_fn, generator()))
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])


# --- resuming ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_cut_in_two_and_saved_equals_one_run_bit_for_bit(tmp_path, dropout):
    straight = tiny(dropout=dropout)
    records = list(train(straight, Batches(), CONFIG, generator=generator()))

    first, state = tiny(dropout=dropout), TrainState()
    run = train(first, Batches(), CONFIG, generator=generator(), state=state)
    early = list(itertools.islice(run, 10))
    run.close()
    save_state(tmp_path, first, state)

    second = tiny(seed=99, dropout=dropout)  # other weights: those of the file must win
    resumed = TrainState()
    load_state(tmp_path, second, resumed)
    assert resumed.step == 10
    late = list(train(second, Batches(), CONFIG, generator=generator(77), state=resumed))
    assert same(weights(second), weights(straight))
    key = [(r.step, r.loss, r.lr, r.grad_norm, r.n_tokens) for r in records]
    assert [(r.step, r.loss, r.lr, r.grad_norm, r.n_tokens) for r in early + late] == key
    assert late[0].seconds > early[-1].seconds  # the clock goes on too
    assert resumed.history == early + late


def test_without_the_moments_the_runs_would_differ():
    """The test above can fail: forgetting AdamW's memory changes the weights."""
    straight, cut = tiny(), tiny()
    list(train(straight, Batches(), CONFIG))
    state = TrainState()
    list(itertools.islice(train(cut, Batches(), CONFIG, state=state), 10))
    state.moments = {}
    list(train(cut, Batches(), CONFIG, state=state))
    assert not same(weights(cut), weights(straight))


def test_frozen_parameters_are_in_neither_group():
    model = tiny()
    frozen = [p for name, p in model.named_parameters() if name.startswith("0.")]
    for p in frozen:
        p.requires_grad_(False)
    inside = [id(p) for group in parameter_groups(model, 0.1) for p in group["params"]]
    assert frozen and len(inside) == len({*inside}) and not {*inside} & {id(p) for p in frozen}
    assert len(inside) + len(frozen) == len([*model.parameters()])


@pytest.mark.parametrize("moment", ["in the loss", "in the update"])
def test_a_keyboard_interrupt_makes_a_step_wholly_or_not_at_all(moment, monkeypatch):
    straight = tiny(dropout=0.3)
    list(train(straight, Batches(), CONFIG, generator=generator()))
    calls = []

    def interrupt_once():
        calls.append(1)
        if len(calls) == 8:
            signal.raise_signal(signal.SIGINT)

    def loss_fn(model, inputs, targets):
        loss = next_token_loss(model, inputs, targets)
        if moment == "in the loss":
            interrupt_once()
        return loss

    if moment == "in the update":
        update = torch._fused_adamw_  # called in the middle of torch's AdamW: for the matrices, then for the rest

        def interrupted_update(*args, **kwargs):
            interrupt_once()
            return update(*args, **kwargs)

        monkeypatch.setattr(torch, "_fused_adamw_", interrupted_update)
    model, state = tiny(dropout=0.3), TrainState()
    with pytest.raises(KeyboardInterrupt):
        list(train(model, Batches(), CONFIG, loss_fn, generator(), state))
    assert state.step == (7 if moment == "in the loss" else 4)  # the 8th loss; the 8th call is in the 4th update
    list(train(model, Batches(), CONFIG, loss_fn, generator(), state))
    assert same(weights(model), weights(straight))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_trains_in_another_thread_too():
    model, straight = tiny(), tiny()
    thread = threading.Thread(target=lambda: list(train(model, Batches(), CONFIG)))
    thread.start()
    thread.join()
    list(train(straight, Batches(), CONFIG))
    assert same(weights(model), weights(straight))


def test_a_state_of_another_model_is_refused():
    state = TrainState()
    next(train(tiny(), Batches(), CONFIG, state=state))
    with pytest.raises(ValueError, match="another model"):
        next(train(nn.Linear(7, 7), Batches(), CONFIG, state=state))


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["loss", "gradient"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_is_refused(bad, value):
    def loss_fn(model, inputs, targets):
        loss = next_token_loss(model, inputs, targets)
        if len(seen) == 5 and bad == "loss":
            return loss * value
        if len(seen) == 5:
            loss.register_hook(lambda gradient: gradient * value)  # a finite loss with a bad gradient
        return loss

    model, state, seen = tiny(), TrainState(), []
    with pytest.raises(
        FloatingPointError, match="at step 5 .*learning rate 0.0297.*smaller lr.*batches\\[5\\]"
    ) as error:
        for _ in train(model, Batches(), CONFIG, loss_fn, state=state):
            seen.append(weights(model))
    assert bad in str(error.value)
    assert state.step == 5 and same(weights(model), seen[-1])
    assert all(torch.isfinite(m).all() for m in state.tensors().values())
    list(train(model, Batches(), CONFIG, state=state))  # and it can go on with a better loss
    straight = tiny()
    list(train(straight, Batches(), CONFIG))
    assert same(weights(model), weights(straight))


@pytest.mark.parametrize(
    "batches, loss_fn, message",
    [
        ([(np.zeros((1, 2), int), np.zeros((1, 2), int))], next_token_loss, "batch number 1 .* only 1"),
        ([np.zeros((1, 2))], next_token_loss, "batch number 0 must be a tuple .*ndarray"),
        (Batches(), lambda model, i, t: model(i), r"one number .* shape \(4, 6, 7\)"),
        (Batches(), lambda model, i, t: 3.0, "one number .* returned 3.0"),
        (Batches(), lambda model, i, t: torch.tensor(3.0), "one number .* requires_grad=False"),
    ],
)
def test_batches_and_losses_that_do_not_fit(batches, loss_fn, message):
    with pytest.raises(ValueError, match=message):
        list(train(tiny(), batches, CONFIG, loss_fn))


# --- evaluation --------------------------------------------------------------------------------------------------


def test_evaluation_of_a_table_by_hand():
    """A model that is a table of probabilities: after token 0 comes 0 (1/2), 1 (1/4) or 2 (1/4); after 1 always 2."""
    tiny_p = 1e-30
    table = torch.tensor([[0.5, 0.25, 0.25], [tiny_p, tiny_p, 1.0], [1 / 3, 1 / 3, 1 / 3]])

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(table.log())
            self.dropout = nn.Dropout(0.5)

        def forward(self, ids):
            return self.dropout(self.logits[ids])

    model = Table()
    batches = [
        (np.array([[0, 0], [0, 1]]), np.array([[0, 1], [1, 2]])),
        (np.array([[2, 0, 0]]), np.array([[2, -100, -100]])),
    ]
    result = evaluate(model, batches)
    expected = [math.log(2) + math.log(4), math.log(4), math.log(3)]
    assert isinstance(result, Evaluation)
    assert result.document_nats == pytest.approx(expected, rel=1e-6) and result.document_nats.dtype == np.float64
    assert result.document_tokens.tolist() == [2, 2, 1] and result.n_tokens == 5
    assert result.nats_total == pytest.approx(sum(expected))
    assert result.nats_per_token == pytest.approx(sum(expected) / 5)
    assert result.nats_per_document == pytest.approx(sum(expected) / 3)
    assert model.training and model.logits.grad is None


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_the_mode_as_it_was(training):
    model = tiny(dropout=0.5).train(training)
    one, two = (evaluate(model, [Batches()[0]]).nats_total for _ in range(2))
    assert one == two  # without dropout in either mode
    assert model.training is model[1].training is training


def test_evaluation_needs_inputs_and_targets():
    with pytest.raises(ValueError, match=r"batch number 0 must be \(inputs, targets\), but it has 3 arrays"):
        evaluate(tiny(), [(np.array([[1]]),) * 3])
    with pytest.raises(ValueError, match=r"batches must give batches\[0\], but they are a generator"):
        next(train(tiny(), (batch for batch in [Batches()[0]]), CONFIG))


@pytest.mark.parametrize(("dtype", "eps"), [(torch.bfloat16, 1e-8), (torch.float16, 1e-4)])
def test_a_model_in_half_precision_learns(dtype, eps):
    config = GPTConfig(n_vocab=7, n_ctx=8, n_layers=2, n_heads=2, d_model=16, norm="pre", init_std=0.25)
    model = GPT(config, generator()).to(dtype)
    before = evaluate(model, [Batches()[0]]).nats_per_token
    records = list(train(model, Batches(), TrainConfig(n_steps=40, lr=0.02, warmup_steps=4, eps=eps)))
    assert len(records) == 40
    assert evaluate(model, [Batches()[0]]).nats_per_token < 0.6 * before
    assert all(p.dtype == dtype and p.isfinite().all() for p in model.parameters())


def test_evaluation_puts_the_mode_back_even_after_an_error():
    model = tiny(dropout=0.5)
    for mode in (True, False):
        model.train(mode)
        evaluate(model, [Batches()[0]])
        assert model.training is mode and model[1].training is mode
    model.train()
    with pytest.raises(IndexError):
        evaluate(model, [(np.array([[99]]), np.array([[0]]))])
    assert model.training


@pytest.mark.parametrize("batches", [[], [(np.array([[1]]), np.array([[-100]]))]])
def test_evaluation_of_nothing_is_refused(batches):
    with pytest.raises(ValueError, match="at least one token"):
        evaluate(tiny(), batches)


def test_training_can_be_evaluated_from_its_own_loop():
    """Looking at the model between steps changes nothing, dropout included."""
    looked, straight = tiny(dropout=0.3), tiny(dropout=0.3)
    for record in train(looked, Batches(), CONFIG, generator=generator()):
        if record.step % 5 == 0:
            evaluate(looked, [Batches()[1000]])
            looked.eval()
            torch.rand(1, generator=generator(os.getpid()))
    list(train(straight, Batches(), CONFIG, generator=generator()))
    assert same(weights(looked), weights(straight))


# --- large batches, compile -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_parts", [2, 3, 4, 9])
def test_a_batch_in_parts_is_the_whole_batch(n_parts):
    """Also with unequal numbers of targets in the parts, and with a part that has none."""

    class Uneven(Batches):
        def __getitem__(self, step):
            inputs, targets = super().__getitem__(step)
            targets[1, 1:], targets[-1] = -100, -100
            return inputs, targets

    runs = []
    for parts in (1, n_parts):
        model = tiny()
        records = list(train(model, Uneven(), TrainConfig(n_steps=5, lr=1e-2, accumulate=parts)))
        runs.append(([r.loss for r in records], [r.grad_norm for r in records], records[-1].n_tokens, weights(model)))
    (losses, norms, n_tokens, whole), (losses_2, norms_2, n_tokens_2, in_parts) = runs
    np.testing.assert_allclose(losses_2, losses, rtol=1e-6)
    np.testing.assert_allclose(norms_2, norms, rtol=1e-5)
    assert n_tokens_2 == n_tokens
    for name in whole:
        torch.testing.assert_close(in_parts[name], whole[name], rtol=1e-5, atol=1e-6)


def test_parts_without_weights_would_differ():
    """The plain mean of the parts' losses, a common mistake, is not the loss of the batch."""
    inputs, targets = Batches()[0]
    targets[0, 1:] = -100
    model, batch = tiny(), (torch.tensor(inputs), torch.tensor(targets))
    parts = [next_token_loss(model, *(each[i : i + 2] for each in batch)).item() for i in (0, 2)]
    (record,) = train(model, [batch], TrainConfig(n_steps=1, accumulate=2))
    assert abs(record.loss - np.mean(parts)) > 1e-3


def test_a_batch_of_nothing_to_predict_is_refused_in_parts_too():
    inputs, targets = Batches()[0]
    with pytest.raises(ValueError, match="at least one target"):
        next(train(tiny(), [(inputs, np.full_like(targets, -100))], TrainConfig(n_steps=1, accumulate=2)))


@pytest.mark.slow
def test_a_compiled_loss_is_the_same(monkeypatch):
    """torch.compile traces the loss of a GPT as one graph; the backend runs that graph without machine code."""
    compiled, graphs = torch.compile, []

    def backend(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda f: compiled(f, backend=backend, fullgraph=True))
    config, losses = GPTConfig(n_vocab=9, n_ctx=6, n_layers=2, n_heads=2, d_model=8, norm="pre"), {}
    for on in (False, True):
        model = GPT(config, generator())
        use_fused(model)
        losses[on] = [r.loss for r in train(model, Batches(), TrainConfig(n_steps=3, lr=1e-2, compile=on))]
    assert len(graphs) == 1
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-6)
