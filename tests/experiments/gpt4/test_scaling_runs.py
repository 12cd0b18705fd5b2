"""Scaling runs: their plan, what is asked of a model, and a table that is what it says."""

import numpy as np
import pytest
import torch

from minigpt.experiments.gpt4 import scaling_runs
from minigpt.model import GPT
from minigpt.worlds import facts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def book():
    return facts.draw_encyclopedia(8, zipf=1.2, seed=0)


@pytest.mark.parametrize("d_model", [*scaling_runs.SMALL, *scaling_runs.MIDDLE, scaling_runs.LARGE])
def test_every_width_gets_its_tokens_in_about_as_many_updates(d_model):
    rows, n_steps = scaling_runs.plan(d_model)
    model = GPT(scaling_runs.model_config(d_model), torch.Generator().manual_seed(0))
    n_tokens = rows * n_steps * 3 * scaling_runs.N_ENTRIES
    assert n_tokens == pytest.approx(scaling_runs.TOKENS_PER_PARAM * model.n_params(), rel=0.01)
    assert n_steps == pytest.approx(scaling_runs.N_STEPS, rel=0.2)


def test_what_is_predicted_costs_thirty_times_what_is_fitted_and_a_thousand_times_the_smallest():
    def compute(d_model):
        rows, n_steps = scaling_runs.plan(d_model)
        model = GPT(scaling_runs.model_config(d_model), torch.Generator().manual_seed(0))
        return 6 * model.n_params() * rows * n_steps * 3 * scaling_runs.N_ENTRIES

    assert compute(scaling_runs.LARGE) / compute(max(scaling_runs.SMALL)) >= 30
    assert compute(scaling_runs.LARGE) / compute(min(scaling_runs.SMALL)) >= 1000


def test_fresh_texts_depend_on_seed_and_number_alone(book):
    batches = scaling_runs.FreshTexts(book, 3, 5, seed=1)
    inputs, targets = batches[2]
    assert len(batches) == 5
    assert torch.equal(batches[2][1], targets)
    assert not torch.equal(scaling_runs.FreshTexts(book, 3, 5, seed=2)[2][1], targets)
    assert (inputs[:, 0] == book.begin).all()
    assert torch.equal(inputs[:, 1:], targets[:, :-1])


class Oracle(torch.nn.Module):
    """A "model" that knows the encyclopedia: its scores are the true log-probabilities."""

    def __init__(self, book):
        super().__init__()
        self.book = book

    def forward(self, ids):
        n, (B, T) = self.book.n_words, ids.shape
        logits = torch.full((B, T, n + 1), -1e9, dtype=torch.float64)
        fame = torch.tensor(self.book.fame).view(n, n)
        hit, miss = self.book._value_p()
        for t in range(T):
            if t % 3 == 0:
                logits[:, t, :n] = fame.sum(dim=1).log()
            elif t % 3 == 1:
                logits[:, t, :n] = (fame / fame.sum(dim=1, keepdim=True))[ids[:, t]].log()
            else:
                right = torch.tensor(self.book.values)[ids[:, t - 1] * n + ids[:, t]]
                logits[:, t, :n] = np.log(miss)
                logits[torch.arange(B), t, right] = np.log(hit)
        return logits


def test_a_model_that_knows_everything_is_at_the_floor(book):
    texts = scaling_runs.held_out(book)
    assert scaling_runs.logps(Oracle(book), book, texts) == pytest.approx(book.logps(texts), abs=1e-6)
    assert scaling_runs.floor(book) == pytest.approx(book.entropy, abs=0.02)
    rates = scaling_runs.pass_rates(Oracle(book), book, np.arange(64))
    assert rates == pytest.approx(np.full(64, 0.95 + 0.05 / 8))
    assert scaling_runs.answers(Oracle(book), book, np.arange(64)).sum(axis=1) == pytest.approx(np.ones(64))


def test_an_oracle_believes_no_correction_and_a_guesser_by_the_second_word_all():
    book = scaling_runs.book()

    class Guesser(torch.nn.Module):
        def forward(self, ids):
            logits = torch.zeros(*ids.shape, book.n_words + 1)
            usual = torch.tensor(book.usual_value(ids[:, -1].numpy()))
            logits[torch.arange(len(ids)), -1, usual] = 1.0
            return logits

    assert scaling_runs.believes_correction(Guesser(), book) == 1
    assert scaling_runs.believes_correction(Oracle(book), book) == 0
    assert np.isnan(scaling_runs.believes_correction(Guesser(), scaling_runs.book(0.0, 32)))


def test_small_runs_are_kept_and_read_back_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    monkeypatch.setattr(scaling_runs, "TOKENS_PER_PARAM", 3)
    runs = scaling_runs.small_runs(0, widths=(4,), repeats=2)
    assert [(run.d_model, run.seed) for run in runs] == [(4, 0), (4, 1)] and runs[0].loss != runs[1].loss
    assert all(run.compute == 6 * run.n_params * run.n_tokens for run in runs)
    monkeypatch.setattr(scaling_runs, "train_runs", None)  # the second time nothing is trained
    assert scaling_runs.small_runs(0, widths=(4,), repeats=2) == runs


def test_the_large_run_is_kept_and_read_back_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    monkeypatch.setattr(scaling_runs, "TOKENS_PER_PARAM", 2)
    run, model = scaling_runs.large_run(1, 4)
    monkeypatch.setattr(scaling_runs, "train_run", None)
    again, same = scaling_runs.large_run(1, 4)
    assert again == run and run.n_tokens == pytest.approx(2 * model.n_params(), rel=0.01)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), same.state_dict().values()))
    assert scaling_runs.floor(scaling_runs.book()) < run.loss < np.log(257)


@pytest.mark.parametrize("repeats", [1, 4, 6])
def test_no_two_seeds_share_a_small_run(tmp_path, monkeypatch, repeats):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    asked = []
    monkeypatch.setattr(scaling_runs, "train_runs", lambda runs, book, label, draw: (asked.append(runs), [])[1])
    for seed in range(3):
        scaling_runs.small_runs(seed, (8, 10), repeats)
    each = [(d, chance) for runs in asked for d, chance, _ in runs]
    assert len(each) == len(set(each)) == 3 * 2 * repeats
