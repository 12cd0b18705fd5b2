"""Losses against sums written out by hand, and the 80/10/10 rule against its probabilities."""

import math

import pytest
import torch
from scipy import stats

from minigpt.loss import joint_loss, lm_loss, mask_tokens, task_loss, token_logps

P = torch.tensor(  # probabilities (B, T, V) = (2, 3, 3), in sixteenths
    [[[8, 4, 4], [2, 6, 8], [1, 1, 14]], [[4, 8, 4], [14, 1, 1], [5, 5, 6]]], dtype=torch.float64
).div(16)
LOGITS = P.log() + torch.tensor([[[3.0], [-1.0], [0.5]], [[0.0], [2.0], [9.0]]])  # a shift that softmax must not see
TARGETS = torch.tensor([[1, 2, -100], [0, -100, -100]])  # P: 4/16, 8/16, -; 4/16, -, -


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_lm_loss_is_the_mean_surprise_of_the_targets_that_count():
    expected = (math.log(4) + math.log(2) + math.log(4)) / 3
    assert lm_loss(LOGITS, TARGETS).item() == pytest.approx(expected, abs=1e-12)
    assert lm_loss(LOGITS[:1], TARGETS[:1]).item() == pytest.approx((math.log(4) + math.log(2)) / 2, abs=1e-12)
    assert lm_loss(LOGITS[0, 0], torch.tensor(2)).item() == pytest.approx(math.log(4), abs=1e-12)  # any shape


def test_padding_counts_neither_in_the_loss_nor_in_its_gradient():
    logits = LOGITS.clone().requires_grad_()
    lm_loss(logits, TARGETS).backward()
    counts = TARGETS != -100
    assert (logits.grad[~counts] == 0).all()
    expected = P[counts].clone()
    expected[torch.arange(3), TARGETS[counts]] -= 1  # softmax minus one-hot, over the three targets
    torch.testing.assert_close(logits.grad[counts], expected / 3)
    changed = LOGITS.clone()
    changed[~counts] = 77.0 * torch.arange(3).double()
    assert lm_loss(changed, TARGETS).item() == lm_loss(LOGITS, TARGETS).item()


def test_token_logps_by_hand():
    expected = [[-math.log(4), -math.log(2), 0.0], [-math.log(4), 0.0, 0.0]]
    torch.testing.assert_close(token_logps(LOGITS, TARGETS), torch.tensor(expected, dtype=torch.float64))


def test_the_probabilities_of_all_targets_add_to_one():
    for u in range(2):
        logps = torch.stack([token_logps(LOGITS, torch.full((2, 3), u)) for u in range(3)])  # (V, B, T)
        torch.testing.assert_close(logps.exp().sum(dim=0), torch.ones(2, 3, dtype=torch.float64))


def test_nothing_to_predict_is_refused():
    with pytest.raises(ValueError, match="at least one target to predict, but all 6 are -100"):
        lm_loss(LOGITS, torch.full((2, 3), -100))
    assert token_logps(LOGITS, torch.full((2, 3), -100)).eq(0).all()


@pytest.mark.parametrize("function", [lm_loss, token_logps])
def test_wrong_targets_are_named(function):
    with pytest.raises(ValueError, match="from 0 to 2, or -100, but there is a 3"):
        function(LOGITS, torch.tensor([[0, 1, 2], [3, 0, 0]]))
    with pytest.raises(ValueError, match="but there is a -1"):
        function(LOGITS, torch.tensor([[0, 1, 2], [-1, 0, 0]]))
    with pytest.raises(ValueError, match=r"\(2, 3, 3\) and targets \(2, 2\)"):
        function(LOGITS, torch.zeros(2, 2, dtype=torch.long))


def test_task_loss_is_the_mean_surprise_of_the_labels():
    logits = torch.tensor([[1, 3], [6, 2]], dtype=torch.float64).log()  # P: 1/4 3/4; 3/4 1/4
    assert task_loss(logits, torch.tensor([1, 1])).item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_ids_of_any_whole_kind_are_ids(dtype):
    targets = TARGETS.clamp(min=0)
    for function in (lm_loss, token_logps):
        assert torch.equal(function(LOGITS, targets.to(dtype)), function(LOGITS, targets))
    assert torch.equal(task_loss(LOGITS[0], targets[0].to(dtype)), task_loss(LOGITS[0], targets[0]))


@pytest.mark.parametrize("function", [lm_loss, token_logps, task_loss])
def test_what_are_no_logits_or_no_ids_is_refused(function):
    for logits, targets in (
        (LOGITS, TARGETS.tolist()),
        (LOGITS.tolist(), TARGETS),
        (LOGITS, TARGETS.double()),
        (LOGITS, TARGETS > 0),
        (LOGITS.long(), TARGETS),
        (LOGITS.numpy(), TARGETS.numpy()),
    ):
        with pytest.raises(ValueError, match="logits must be a tensor of floats and targets one of ids, but they are"):
            function(logits, targets)


def test_a_loss_of_no_examples_is_refused():
    with pytest.raises(ValueError, match=r"shape \(B, C\), but they have shape \(0, 2\)"):
        task_loss(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))


def test_wrong_labels_are_named():
    with pytest.raises(ValueError, match="needs a label from 0 to 1"):
        task_loss(torch.zeros(2, 2), torch.tensor([0, -100]))
    with pytest.raises(ValueError, match="there is a 2"):
        task_loss(torch.zeros(2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match=r"shape \(B, C\), but they have shape \(2, 2, 2\)"):
        task_loss(torch.zeros(2, 2, 2), torch.zeros(2, 2, dtype=torch.long))


def test_lambda_weighs_the_language_model_and_not_the_task():
    task, lm = torch.tensor(10.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    loss = joint_loss(task, lm)
    loss.backward()
    assert loss.item() == 10.5  # the two swapped would be 6
    assert (task.grad.item(), lm.grad.item()) == (1.0, 0.5)
    assert joint_loss(task, lm, aux_weight=0.25).item() == 10.25
    assert joint_loss(task, lm, aux_weight=0).item() == 10.0
    for wrong in (-1, math.nan, math.inf, True, "1"):
        with pytest.raises(ValueError, match=f"a number of at least 0, but it is {wrong!r}"):
            joint_loss(task, lm, aux_weight=wrong)


def test_fifteen_percent_of_each_row_are_chosen():
    inputs = torch.randint(5, 50, (40, 60), generator=generator())
    inputs[:, 40:] = 0  # padding
    masked, targets = mask_tokens(inputs, mask_id=1, n_vocab=50, generator=generator(1), protect=(0,))
    chosen = targets != -100
    assert (chosen.sum(dim=1) == 6).all()  # 0.15 of 40
    assert not chosen[:, 40:].any()
    assert torch.equal(targets[chosen], inputs[chosen])
    assert torch.equal(masked[~chosen], inputs[~chosen])


@pytest.mark.parametrize("fraction", [0.15, 0.5])
def test_the_number_chosen_is_rounded_to_the_nearest(fraction):
    for n_free in range(1, 61):  # a row of 60 tokens, the rest of it padding
        inputs = torch.where(torch.arange(60) < n_free, 7, 0)[None]
        _, targets = mask_tokens(inputs, 1, 50, generator(n_free), fraction, protect=(0,))
        exact = fraction * n_free
        assert abs((targets != -100).sum().item() - max(1.0, exact)) <= 0.5 + 1e-9


def test_every_position_is_as_likely_to_be_chosen():
    _, targets = mask_tokens(torch.full((20_000, 10), 2), 1, 5, generator(4), fraction=0.3)
    counts = (targets != -100).sum(dim=0)
    assert counts.sum() == 60_000
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_of_the_chosen_eight_in_ten_are_hidden_one_is_swapped_one_stays():
    V = 20
    inputs = torch.full((2000, 100), 7)
    masked, targets = mask_tokens(inputs, mask_id=1, n_vocab=V, generator=generator(2))
    counts = torch.bincount(masked[targets != -100], minlength=V)
    assert counts.sum() == 30_000
    expected = torch.full((V,), 0.1 / V, dtype=torch.float64)  # a swap draws from all tokens, 1 and 7 among them
    expected[1] += 0.8
    expected[7] += 0.1
    assert stats.chisquare(counts.numpy(), (30_000 * expected).numpy()).pvalue > 1e-3


def test_each_row_hides_at_least_one_token_if_it_has_any():
    inputs = torch.tensor([[5, 0, 0], [0, 0, 0], [0, 0, 6]])
    _, targets = mask_tokens(inputs, 1, 10, generator(), protect=(0,))
    assert targets.tolist() == [[5, -100, -100], [-100, -100, -100], [-100, -100, 6]]


def test_masking_depends_on_its_generator_alone():
    inputs = torch.randint(5, 50, (4, 30), generator=generator())
    kept, state = inputs.clone(), torch.random.get_rng_state()
    first, again, other = (mask_tokens(inputs, 1, 50, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])
    assert torch.equal(inputs, kept)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_impossible_masking_is_refused():
    inputs = torch.tensor([[0, 2]])
    with pytest.raises(ValueError, match="all are protected"):
        mask_tokens(inputs, 1, 3, generator(), protect=(0, 2))
    for fraction in (0, 1.5):
        with pytest.raises(ValueError, match=f"fraction must be .* but it is {fraction}"):
            mask_tokens(inputs, 1, 3, generator(), fraction=fraction)
    for mask_id, n_vocab in ((3, 3), (-1, 3), (1.0, 3), (True, 3), (1, 3.0)):
        with pytest.raises(ValueError, match=f"mask_id must be a token id from 0 to 2.*, but it is {mask_id}"):
            mask_tokens(inputs, mask_id, n_vocab, generator())
    for wrong in (inputs.double(), inputs[0], inputs.tolist()):
        with pytest.raises(ValueError, match=r"inputs must be a tensor of ids of shape \(B, T\), but they are"):
            mask_tokens(wrong, 1, 3, generator())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_of_half_precision_logits_are_summed_in_float32(dtype):
    logits = (3 * torch.randn(6, 500, generator=torch.Generator().manual_seed(0))).to(dtype)
    targets = torch.arange(6)
    expected = -logits.double().log_softmax(dim=-1)[targets, targets]
    for loss in (lm_loss(logits, targets), task_loss(logits, targets)):
        assert loss.dtype == torch.float32 and loss.item() == pytest.approx(expected.mean().item(), rel=1e-6)
    torch.testing.assert_close(-token_logps(logits, targets).double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("inputs, came", [([[999, 1]], "from 1 to 999"), ([[-1, 1]], "from -1 to 1"), ([[]], "none")])
def test_only_token_ids_are_masked(inputs, came):
    with pytest.raises(ValueError, match=f"from 0 to 9, but they are {came}"):
        mask_tokens(torch.tensor(inputs, dtype=torch.int64), 3, 10, torch.Generator())
