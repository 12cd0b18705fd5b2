"""Models trained side by side end as if each had been trained alone."""

import numpy as np
import pytest
import torch

from minigpt import train
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.experiments.gpt4.scaling_runs import FreshTexts
from minigpt.experiments.gpt4.side_by_side import train_side_by_side
from minigpt.train import TrainConfig
from minigpt.worlds import facts

pytestmark = pytest.mark.slow

N_STEPS = 12


def run(n_models: int, d_model: int = 8, **more):
    book = facts.draw_encyclopedia(16, 1.2)
    models = [scaling_runs.fresh_model(book, d_model, seed) for seed in range(n_models)]
    batches = [FreshTexts(book, 3, N_STEPS, seed) for seed in range(n_models)]
    settings = {"warmup_steps": 2, "weight_decay": 0.3, "clip_norm": 0.2, "betas": (0.9, 0.98), "lr": 0.03} | more
    return book, models, batches, TrainConfig(N_STEPS, **settings)


@pytest.mark.parametrize("more", [{}, {"clip_norm": None, "weight_decay": 0.0}, {"schedule": "linear"}])
def test_each_model_ends_as_if_trained_alone(more):
    book, alone, batches, config = run(3, **more)
    losses = [[record.loss for record in train.train(m, b, config)] for m, b in zip(alone, batches)]
    _, together, batches, _ = run(3)
    found = train_side_by_side(together, batches, config)
    np.testing.assert_allclose(found.numpy().T, losses, atol=2e-5)
    ids = scaling_runs.asked(book, book.draw(4, 10, np.random.default_rng(5)))
    for one, other in zip(alone, together):  # the logits: a key's bias has no gradient but rounding errors
        torch.testing.assert_close(one.eval()(ids), other.eval()(ids), atol=2e-4, rtol=0)


def test_one_model_alone_is_the_same_as_among_others():
    _, several, batches, config = run(3)
    train_side_by_side(several, batches, config)
    _, one, batches, _ = run(2)
    train_side_by_side(one[1:], batches[1:], config)
    torch.testing.assert_close(several[1].W_e.weight, one[1].W_e.weight, atol=1e-5, rtol=0)


def test_what_cannot_be_stacked_is_refused():
    _, models, batches, config = run(2)
    _, [wider], _, _ = run(1, 12)
    with pytest.raises(ValueError, match="of one shape, a batch source each; got 2, 2"):
        train_side_by_side([models[0], wider], batches, config)
    with pytest.raises(ValueError, match="got 2, 1"):
        train_side_by_side(models, batches[:1], config)
