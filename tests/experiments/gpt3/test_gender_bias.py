"""A planted association: its probabilities, what was drawn of it, and how much a model has of it."""

import math

import numpy as np
import pytest
import torch

from minigpt.experiments import canaries
from minigpt.experiments.gpt3 import gender_bias
from minigpt.worlds import grammar


@pytest.fixture(scope="module")
def data():
    return gender_bias.bias_dataset("little text", 0)


def test_planted_probabilities_are_those_of_the_grammar():
    for name, p in gender_bias.PLANTED.items():
        next_word = grammar.predict(gender_bias.occupations, f"The {name} said that").next_word
        assert next_word == pytest.approx({" she": p, " he": 1 - p})
    start = grammar.predict(gender_bias.occupations, "The").next_word
    assert start[" nurse"] == pytest.approx(10 * start[" dancer"])


def test_the_slope_of_the_log_odds():
    odds = {n: math.log(p / (1 - p)) for n, p in gender_bias.PLANTED.items()}
    for slope in (0.5, 1.0, 2.0):
        found = {n: 1 / (1 + math.exp(-slope * x - 0.1)) for n, x in odds.items()}
        assert gender_bias.log_odds_slope(found) == pytest.approx(slope)
        assert gender_bias.log_odds_slope(found, gender_bias.RARE) == pytest.approx(slope)


def test_what_was_drawn_is_counted(data):
    counted = gender_bias.corpus_p_she(data)
    text = "\n".join(data.documents)
    she = sum(text.count(f"The nurse {verb} that she") for verb in ("said", "thought", "knew"))
    he = sum(text.count(f"The nurse {verb} that he") for verb in ("said", "thought", "knew"))
    assert counted["nurse"] == pytest.approx(she / (she + he))


@torch.no_grad()
def test_the_model_is_asked_for_she_among_she_and_he(data):
    """Against a softmax over the two first tokens, written out, where both words are one token."""
    model = canaries.training_of(lambda: gender_bias.bias_model(data, 16, 0))[0].eval()
    she, he = (data.tokenizer.encode(word) for word in (" she", " he"))
    assert len(she) == len(he) == 1
    shares = []
    for verb in ("said", "thought", "knew"):
        ids = [data.tokenizer.endoftext, *data.tokenizer.encode(f"The pilot {verb} that")]
        shares.append(model(torch.tensor([ids]))[0, -1, [*she, *he]].softmax(0)[0].item())
    assert gender_bias.model_p_she(model, data)["pilot"] == pytest.approx(sum(shares) / 3, abs=1e-5)


def test_slopes_and_panels_read_the_table(monkeypatch):
    def get(table, column, occupation, **where):
        p = gender_bias.PLANTED[occupation]
        odds = (p / (1 - p)) ** np.array([1.0, 0.5, 2.0, 1.0, 1.0])  # as planted, washed out, amplified, as planted
        return odds / (1 + odds)

    monkeypatch.setattr(gender_bias.measured, "get", get)
    np.testing.assert_allclose(gender_bias.slopes("much text", "rare"), [1, 0.5, 2, 1, 1])
    means, seeds = gender_bias.panels()
    (planted, mean), each = means["little text"]["frequent"], seeds["little text"]["frequent"]
    assert planted == [0.1, 0.25, 0.4, 0.6, 0.75, 0.9] and all(np.diff(mean) > 0)
    assert each.shape == (5, 6) and all(each.min(axis=0) <= mean) and all(mean <= each.max(axis=0))
    np.testing.assert_allclose(each[0], planted)  # the seed that is as planted
    np.testing.assert_allclose(each[:, 5], [0.9, 3 / 4, 81 / 82, 0.9, 0.9])  # odds 9: the root is 3, the square 81
