"""Sampling against probabilities worked out by hand, and against enumeration of every possible text."""

import itertools
import math

import pytest
import torch
from scipy import stats

from minigpt.model import GPT, GPTConfig
from minigpt.sample import generate, next_probs, response_logp

V, N_CTX = 5, 10
CONFIG = GPTConfig(n_vocab=V, n_ctx=N_CTX, n_layers=2, n_heads=2, d_model=8, init_std=0.5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def model():
    return GPT(CONFIG, generator(1))


def ids(*shape, seed=0):
    return torch.randint(0, V, shape, generator=generator(seed))


def probs_of(p, **settings):
    return next_probs(torch.tensor(p, dtype=torch.float64).log(), **settings).tolist()


# The next token


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.2, 0.4, 0.1, 0.3]),
        ({"temperature": 0.5}, [4 / 30, 16 / 30, 1 / 30, 9 / 30]),  # squares, over their sum
        ({"temperature": 1e9}, [0.25] * 4),
        ({"temperature": 0}, [0, 1, 0, 0]),
        ({"temperature": 0, "top_k": 3, "top_p": 0.9}, [0, 1, 0, 0]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_k": 99}, [0.2, 0.4, 0.1, 0.3]),
        ({"top_p": 0.3}, [0, 1, 0, 0]),  # the likeliest alone is already more
        ({"top_p": 1e-9}, [0, 1, 0, 0]),
        ({"top_p": 0.4}, [0, 1, 0, 0]),  # exactly reached
        ({"top_p": 0.41}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.7}, [0, 4 / 7, 0, 3 / 7]),  # 0.4 + 0.3 counts as 0.7
        ({"top_p": 0.8}, [2 / 9, 4 / 9, 0, 3 / 9]),
        ({"top_p": 1.0}, [0.2, 0.4, 0.1, 0.3]),
        ({"top_k": 3, "top_p": 0.5}, [0, 4 / 7, 0, 3 / 7]),  # of 2/9, 4/9, 3/9
        ({"top_k": 2, "top_p": 0.55}, [0, 1, 0, 0]),  # 4/7 = 0.571 is enough once the others are gone
        ({"temperature": 0.5, "top_p": 0.8}, [0, 16 / 25, 0, 9 / 25]),  # 16/30 + 9/30 = 0.83
    ],
)
def test_next_probs_by_hand(settings, expected):
    probs = probs_of([0.2, 0.4, 0.1, 0.3], **settings)
    assert probs == pytest.approx(expected, abs=1e-8)
    assert sum(probs) == pytest.approx(1, abs=1e-12)


def test_of_equally_likely_tokens_the_smaller_id_comes_first():
    assert probs_of([0.25] * 4, top_k=2) == [0.5, 0.5, 0, 0]
    assert probs_of([0.25] * 4, temperature=0) == [1, 0, 0, 0]
    assert probs_of([0.25] * 4, top_p=0.5) == [0.5, 0.5, 0, 0]
    assert probs_of([0.2, 0.3, 0.2, 0.3], top_k=3) == pytest.approx([0.25, 0.375, 0, 0.375])


def test_rows_do_not_mix_and_logits_are_left_alone():
    logits = torch.randn(3, 2, 7, generator=generator())
    kept = logits.clone()
    for settings in ({}, {"top_k": 3}, {"top_p": 0.6, "temperature": 0.7}, {"temperature": 0}):
        probs = next_probs(logits, **settings)
        assert probs.dtype == torch.float64
        torch.testing.assert_close(probs.sum(dim=-1), torch.ones(3, 2, dtype=torch.float64))
        for i, j in itertools.product(range(3), range(2)):
            torch.testing.assert_close(probs[i, j], next_probs(logits[i, j], **settings))
    assert torch.equal(logits, kept)


def test_extreme_logits_are_no_trouble():
    assert next_probs(torch.tensor([0.0, -math.inf, 0.0])).tolist() == [0.5, 0.0, 0.5]
    assert next_probs(torch.tensor([1e30, 0.0]), top_p=0.5).tolist() == [1.0, 0.0]
    assert next_probs(torch.tensor([3.0, 1.0]), temperature=1e-300).tolist() == [1.0, 0.0]
    for row in ([math.nan, 0.0], [-math.inf, -math.inf], [math.inf, 0.0]):
        for settings in ({}, {"temperature": 0}, {"top_k": 1}):
            with pytest.raises(ValueError, match="finite largest value and no nan"):
                next_probs(torch.tensor([[0.0, 1.0], row]), **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1}, "temperature must be 0 .* but it is -1"),
        ({"temperature": math.nan}, "temperature must be"),
        ({"temperature": math.inf}, "temperature must be"),
        ({"top_k": 0}, "top_k must be a whole number of at least 1, or None, but it is 0"),
        ({"top_k": 1.5}, "top_k must be"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, or None, but it is 0"),
        ({"top_p": 1.1}, "top_p must be"),
    ],
)
def test_wrong_settings_are_named(settings, message, model):
    with pytest.raises(ValueError, match=message):
        next_probs(torch.zeros(3), **settings)
    with pytest.raises(ValueError, match=message):
        generate(model, ids(2), 3, generator(), **settings)


# Texts


def enumerate_texts(model, prompt, n, **settings):
    """Every text of n tokens with its probability, from next_probs alone."""
    texts = {(): 1.0}
    for _ in range(n):
        longer = {}
        for text, p in texts.items():
            read = torch.cat([prompt, torch.tensor(text, dtype=torch.long)])
            probs = next_probs(model(read[None])[0, -1], **settings)
            longer |= {(*text, u): p * probs[u].item() for u in range(V) if probs[u] > 0}
        texts = longer
    return texts


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7}, {"top_k": 2}, {"top_p": 0.7}])
def test_texts_are_drawn_as_often_as_their_probability_says(model, settings):
    prompt, n = ids(3), 6000
    expected = enumerate_texts(model, prompt, 2, **settings)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-12)
    drawn = generate(model, prompt.expand(n, 3), 2, generator(5), **settings)[:, 3:]
    counts = dict.fromkeys(expected, 0)
    for text in map(tuple, drawn.tolist()):
        counts[text] += 1  # a KeyError here would be a text of probability 0
    often = [text for text, p in expected.items() if n * p >= 5]
    rare = [text for text in expected if text not in often]
    observed = [counts[t] for t in often] + ([sum(counts[t] for t in rare)] if rare else [])
    wanted = [n * expected[t] for t in often] + ([n * sum(expected[t] for t in rare)] if rare else [])
    assert stats.chisquare(observed, wanted, sum_check=False).pvalue > 1e-3


def test_greedy_takes_the_likeliest_token_each_time(model):
    text = ids(2)
    for _ in range(5):
        text = torch.cat([text, model(text[None])[0, -1].argmax()[None]])
    assert torch.equal(generate(model, ids(2), 5, temperature=0), text)
    assert torch.equal(generate(model, ids(2), 5, generator(), top_k=1), text)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0}, {"top_k": 3, "temperature": 1.3}, {"top_p": 0.8}])
@pytest.mark.parametrize("shape", [(2,), (1, 1), (6, 4)])
def test_the_cache_changes_no_token(model, shape, settings):
    with_cache, without = (
        generate(model, ids(*shape), 6, generator(2), use_cache=use_cache, **settings) for use_cache in (True, False)
    )
    assert torch.equal(with_cache, without)
    assert with_cache.shape == (*shape[:-1], shape[-1] + 6)
    assert torch.equal(with_cache[..., : shape[-1]], ids(*shape))


def test_chance_comes_from_the_generator_alone(model):
    state = torch.random.get_rng_state()
    first, again, other = (generate(model, ids(8, 2), 8, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_row_ends_where_it_draws_the_stop_token(model):
    free = generate(model, ids(40, 1), 9, generator(3))
    stopped = generate(model, ids(40, 1), 9, generator(3), stop_id=2)
    for a, b in zip(free[:, 1:].tolist(), stopped[:, 1:].tolist(), strict=True):
        end = a.index(2) if 2 in a else 9
        assert b == a[:end] + [2] * (9 - end)
    assert {row.count(2) > 0 for row in free[:, 1:].tolist()} == {True, False}  # both kinds were there
    one = generate(model, ids(3), 1, generator(3)).tolist()
    assert generate(model, ids(3), 7, generator(3), stop_id=one[-1]).tolist() == one  # cut, not filled up


def test_a_stop_token_in_the_prompt_stops_nothing(model):
    assert generate(model, torch.tensor([2, 2]), 4, generator(), stop_id=2).shape[0] > 2


def test_the_model_stays_in_its_mode_and_draws_no_dropout():
    config = GPTConfig(**{**CONFIG.__dict__, "dropout": 0.5})
    model = GPT(config, generator(1)).train()
    greedy = generate(model, ids(3), 5, temperature=0)
    assert model.training
    assert torch.equal(greedy, generate(GPT(CONFIG, generator(1)), ids(3), 5, temperature=0))
    with pytest.raises(ValueError, match="vocab"):
        generate(model, torch.tensor([99]), 2, temperature=0)
    assert model.training


def test_a_text_that_does_not_fit_is_refused_with_the_limit(model):
    assert generate(model, ids(4), 7, generator()).shape == (11,)  # the last token is drawn but never read
    for use_cache in (True, False):
        with pytest.raises(ValueError, match="n_ctx = 10 tokens: after a prompt of 4 there is room for 7 more, but 8"):
            generate(model, ids(4), 8, generator(), use_cache=use_cache)
    with pytest.raises(ValueError, match="room for 0 more, but 1 were asked for. Shorten the prompt or n_new"):
        generate(model, ids(11), 1, generator())


def test_wrong_prompts_are_named(model):
    with pytest.raises(ValueError, match="all rows of the same length"):
        generate(model, [[1, 2], [3]], 1, generator())
    with pytest.raises(ValueError, match=r"not empty, but its shape is \(0,\)"):
        generate(model, torch.zeros(0, dtype=torch.long), 1, generator())
    with pytest.raises(ValueError, match=r"its shape is \(1, 1, 1\)"):
        generate(model, ids(1, 1, 1), 1, generator())
    with pytest.raises(ValueError, match="needs a torch.Generator to draw with, or temperature=0"):
        generate(model, ids(2), 1)
    with pytest.raises(ValueError, match="n_new must be at least 0, but it is -1"):
        generate(model, ids(2), -1, generator())
    assert torch.equal(generate(model, ids(2), 0, generator()), ids(2))


# The probability of a response


def test_response_logp_is_the_sum_over_its_tokens(model):
    prompt, response = ids(3), ids(4, seed=1)
    logps = model(torch.cat([prompt, response])[None])[0].double().log_softmax(dim=-1)
    expected = sum(logps[2 + i, response[i]].item() for i in range(4))
    assert response_logp(model, prompt, response).item() == pytest.approx(expected, abs=1e-6)


def test_the_probabilities_of_all_responses_add_to_one(model):
    prompt = ids(2)
    texts = torch.tensor(list(itertools.product(range(V), repeat=3)))
    logps = response_logp(model, prompt.expand(len(texts), 2), texts)
    assert logps.exp().sum().item() == pytest.approx(1, abs=1e-6)
    expected = enumerate_texts(model, prompt, 3)  # what generate draws is what is scored
    for text, logp in zip(texts.tolist(), logps.tolist(), strict=True):
        assert math.log(expected[tuple(text)]) == pytest.approx(logp, abs=1e-5)


def test_shorter_responses_may_be_filled_up(model):
    prompts, responses = ids(2, 3), ids(2, 4, seed=1)
    responses[1, 2:] = -100
    expected = [response_logp(model, prompts[0], responses[0]), response_logp(model, prompts[1], responses[1, :2])]
    torch.testing.assert_close(response_logp(model, prompts, responses), torch.stack(expected))


def test_response_logp_has_a_gradient_and_its_limits(model):
    response_logp(model, ids(3), ids(8, seed=1)).backward()
    assert model.W_e.weight.grad.abs().sum() > 0
    model.zero_grad()
    with pytest.raises(ValueError, match="room for 8 more, but 9 were asked for. Shorten the prompt or the response"):
        response_logp(model, ids(3), ids(9))
    with pytest.raises(ValueError, match="each prompt needs one response, but 2 and 3 rows came"):
        response_logp(model, ids(2, 3), ids(3, 3))
    with pytest.raises(ValueError, match="vocab|from 0 to 4"):
        response_logp(model, ids(3), torch.tensor([1, 9]))
