"""Sampling against probabilities worked out by hand, and against enumeration of every possible text."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from minigpt import sample
from minigpt.model import GPT, GPTConfig
from minigpt.sample import beam_search, document_text, generate, generate_text, next_probs, response_logp
from minigpt.tokenizer import train_bpe

V, N_CTX = 5, 10
CONFIG = GPTConfig(n_vocab=V, n_ctx=N_CTX, n_layers=2, n_heads=2, d_model=8, init_std=0.5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Stub:
    """What sampling asks of any model, beside its config, `hidden` and `logits`: no cache, and one mode only."""

    training = False

    def new_cache(self):
        return []

    def eval(self):
        return self

    def train(self, mode):
        return self


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
        ({"top_p": 1e-12}, [0, 1, 0, 0]),
        ({"top_p": 5e-324}, [0, 1, 0, 0]),
        ({"temperature": 1e-310}, [0, 1, 0, 0]),
        ({"temperature": 5e-324}, [0, 1, 0, 0]),
        ({"temperature": 5e-324, "top_k": 2, "top_p": 5e-324}, [0, 1, 0, 0]),
        ({"temperature": 0, "top_p": 5e-324}, [0, 1, 0, 0]),
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


def test_a_share_that_is_reached_up_to_rounding_is_reached():
    """Eight times 0.1, added one after another, is 0.7999999999999999 in float64."""
    assert np.cumsum([0.1] * 8)[-1] < 0.8
    assert probs_of([0.1] * 10, top_p=0.8) == pytest.approx([0.125] * 8 + [0, 0], abs=1e-12)


def test_many_equally_likely_tokens_keep_their_order():
    probs = next_probs(torch.zeros(3, 5000), top_k=1000)
    assert torch.equal(probs > 0, (torch.arange(5000) < 1000).expand(3, 5000))


def test_the_largest_uniform_number_still_draws_a_token(monkeypatch):
    """Ten times 0.1 adds to 0.9999999999999999, which is the largest number below 1 that can be drawn."""

    class Level(Stub):
        config = CONFIG.__class__(n_vocab=10, n_ctx=4, n_layers=1, n_heads=1, d_model=1)

        def hidden(self, ids, cache):
            return torch.zeros(*ids.shape, 1)

        def logits(self, h):
            return torch.zeros(len(h), 10)

    largest = math.nextafter(1.0, 0.0)
    assert torch.full((10,), 0.1, dtype=torch.float64).cumsum(0)[-1].item() <= largest
    monkeypatch.setattr(torch, "rand", lambda *shape, **how: torch.full(shape, largest, dtype=torch.float64))
    assert generate(Level(), torch.tensor([0]), 1, generator()).tolist() == [0, 9]


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
        ({"top_k": True}, "top_k must be a whole number of at least 1, or None, but it is True"),
        ({"temperature": True}, "temperature must be 0 .* but it is True"),
        ({"temperature": "hot"}, "temperature must be"),
        ({"top_p": math.nan}, "top_p must be"),
        ({"top_p": "0.9"}, "top_p must be"),
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


@pytest.mark.parametrize("use_cache", [True, False])
def test_rows_that_have_stopped_are_no_longer_computed(model, use_cache, monkeypatch):
    free, seen, hidden = generate(model, ids(40, 1), 9, generator(3)), [], model.hidden
    stop = max(range(V), key=lambda token: (free[:, 1:] == token).any(dim=1).sum())  # what most rows draw
    going = [40, *(40 - (free[:, 1:t] == stop).any(dim=1).sum().item() for t in range(2, 10))]
    going = [n for n in going if n]  # it ends when all have stopped
    assert going[-1] < 20, "most rows should have stopped"
    monkeypatch.setattr(model, "hidden", lambda unread, cache=None: seen.append(len(unread)) or hidden(unread, cache))
    stopped = generate(model, ids(40, 1), 9, generator(3), stop_id=stop, use_cache=use_cache)
    assert all(n <= computed < max(2 * n, 40) + 1 for n, computed in zip(going, seen, strict=True)) and min(seen) < 40
    for a, b in zip(free[:, 1:].tolist(), stopped[:, 1:].tolist(), strict=True):
        end = a.index(stop) if stop in a else 9
        assert b == (a[:end] + [stop] * 9)[: len(b)]  # the same tokens as if all had been computed


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


@pytest.mark.parametrize("training", [True, False])
def test_whatever_samples_or_scores_leaves_the_mode_as_it_was_and_draws_no_dropout(training):
    config = GPTConfig(**{**CONFIG.__dict__, "dropout": 0.5, "n_vocab": WORDS.n_vocab})
    noisy = GPT(config, generator(1)).train(training)
    quiet = GPT(GPTConfig(**{**config.__dict__, "dropout": 0.0}), generator(1))
    for function in (
        lambda gpt: generate(gpt, ids(3), 4, generator(2)).tolist(),
        lambda gpt: generate_text(gpt, WORDS, "the", 4, generator(2)),
        lambda gpt: beam_search(gpt, [1, 2], 3).logp,
        lambda gpt: sample.next_logps(gpt, WORDS, "the").tolist(),
        lambda gpt: sample.continuation_logps(gpt, WORDS, "the", [" cat", " mat sat"]).tolist(),
        lambda gpt: sample.continuation_nats(gpt, WORDS, "the", " mat sat"),
    ):
        state = torch.random.get_rng_state()
        assert function(noisy) == function(quiet)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert noisy.training is noisy.drop.training is training


@pytest.mark.parametrize("kind", [np.uint16, np.int8, list])
def test_ids_of_any_whole_kind_begin_a_text(model, kind):
    prompt = [1, 4, 2] if kind is list else np.array([1, 4, 2], dtype=kind)
    if kind is not list:
        prompt.flags.writeable = False  # as those of a corpus that lies in a file
    expected = torch.tensor([1, 4, 2])
    assert torch.equal(generate(model, prompt, 4, generator(1)), generate(model, expected, 4, generator(1)))
    assert torch.equal(generate(model, expected.int(), 4, generator(1)), generate(model, expected, 4, generator(1)))
    assert torch.equal(response_logp(model, prompt, prompt), response_logp(model, expected, expected))
    assert beam_search(model, prompt, 3) == beam_search(model, [1, 4, 2], 3)
    assert torch.equal(generate(model, expected, np.int64(2), generator(1), top_k=np.int64(2), stop_id=np.uint8(1)),
                       generate(model, expected, 2, generator(1), top_k=2, stop_id=1))  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_in_half_precision_writes(dtype):
    half = GPT(CONFIG, generator(1)).to(dtype)
    assert generate(half, ids(2, 4), 6, generator(1)).shape == (2, 10)
    text = ids(4)
    for _ in range(3):
        text = torch.cat([text, half(text[None])[0, -1].argmax()[None]])
    assert torch.equal(generate(half, ids(4), 3, temperature=0), text)


# Texts as strings

WORDS = train_bpe(["the cat sat on the mat. der Bär saß."] * 2, 270)


def test_a_continuation_is_scored_token_by_token_and_per_token():
    gpt = GPT(GPTConfig(**{**CONFIG.__dict__, "n_vocab": WORDS.n_vocab}), generator(1))
    before, after = [WORDS.endoftext, *WORDS.encode("the cat")], WORDS.encode(" sat on")
    logps = []
    for t, token in enumerate(after):
        exact = gpt(torch.tensor([before + after[:t]]))[0, -1].double().log_softmax(-1)
        logps.append(exact[token].item())
        if t == 0:
            assert torch.allclose(sample.next_logps(gpt, WORDS, "the cat").double(), exact, atol=1e-5)
    assert len(after) > 1
    (logp,) = sample.continuation_logps(gpt, WORDS, "the cat", [" sat on"]).tolist()
    assert logp == pytest.approx(sum(logps), rel=1e-5)
    nats = sample.continuation_nats(gpt, WORDS, "the cat", " sat on")
    assert nats == pytest.approx(-sum(logps) / len(after), rel=1e-5)


class Table(Stub):
    """A model whose next token depends on the last one alone: rows of probabilities."""

    config = SimpleNamespace(n_ctx=16, n_vocab=3)

    def __init__(self, *rows):
        self.logps = torch.tensor(rows).log()

    def hidden(self, ids, cache):
        return self.logps[ids]

    def logits(self, h):
        return h


def test_beam_search_goes_on_while_a_longer_text_can_still_score_more():
    """Stop now: log 0.55. Six tokens: log 0.45 by a penalty of 11/6, which is more, but only at the end of the text."""
    found = beam_search(Table([1.0, 0.0, 0.0], [0.45, 0.0, 0.55], [0.0, 0.0, 1.0]), [1], 6, 2, 1.0, stop_ids={2})
    assert found.ids == (0,) * 6 and found.score == pytest.approx(math.log(0.45) * 6 / 11)


def test_ids_become_text_up_to_the_first_end_of_text():
    text = "the Bär sat"
    row = WORDS.encode(text)
    assert document_text(WORDS, row) == text
    assert document_text(WORDS, [*row, WORDS.endoftext, *row, WORDS.endoftext]) == text
    assert document_text(WORDS, np.array([WORDS.endoftext, *row])) == document_text(WORDS, []) == ""
    assert document_text(WORDS, [0xC3, ord("b")]) == "\N{REPLACEMENT CHARACTER}b"  # the first half of a letter


def test_a_text_is_what_generate_draws_after_the_end_of_text_token_and_the_prompt():
    gpt = GPT(GPTConfig(WORDS.n_vocab, 16, 2, 2, 8, init_std=0.5), generator(4))
    begun = torch.tensor([WORDS.endoftext, *WORDS.encode("the cat")])
    lengths = set()
    for seed in range(30):
        n_new = None if seed % 2 else 3
        row = generate(gpt, begun, n_new or 17 - len(begun), generator(seed), 1.2, stop_id=WORDS.endoftext)
        written = row[len(begun) :].tolist()
        written = written[: written.index(WORDS.endoftext)] if WORDS.endoftext in written else written
        expected = b"".join(map(WORDS.decode_bytes, written)).decode("utf-8", errors="replace")
        assert generate_text(gpt, WORDS, "the cat", n_new, generator(seed), temperature=1.2) == expected
        lengths.add(len(written))
    assert {3, 17 - len(begun)} <= lengths
    with pytest.raises(ValueError, match="needs a torch.Generator"):
        generate_text(gpt, WORDS, "the cat")


def test_continuations_that_are_none_are_refused(model):
    for wrong in (" cat", [], [" cat", ""]):
        with pytest.raises(ValueError, match="expected several continuations, none of them empty; got"):
            sample.continuation_logps(model, WORDS, "the", wrong)


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
    for wrong in (-1, 1.5, True):
        with pytest.raises(ValueError, match="expected n_new to be a whole number of at least 0, got"):
            generate(model, ids(2), wrong, generator())
    for prompt in (ids(2).double(), ids(2) > 0, [0.5, 1.0]):
        with pytest.raises(ValueError, match="prompt_ids must be whole numbers, but they are torch"):
            generate(model, prompt, 1, generator())
    for stop_id in (-1, V, 99, 1.5, True):
        with pytest.raises(ValueError, match=f"stop_id must be from 0 to 4, or None, but it is {stop_id}"):
            generate(model, ids(2), 1, generator(), stop_id=stop_id)
    with pytest.raises(ValueError, match=r"prompt_ids must be one row of ids, but their shape is \(2, 3\)"):
        beam_search(model, ids(2, 3), 2)
    with pytest.raises(ValueError, match=r"logits must be a tensor of shape \(\.\.\., V\)"):
        next_probs([0.0, 1.0])
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


def test_a_prompt_longer_than_the_window_is_what_the_error_names():
    tokenizer = train_bpe(["a cat"], 261)
    gpt = GPT(GPTConfig(n_vocab=tokenizer.n_vocab, n_ctx=8, n_layers=1, n_heads=1, d_model=4), torch.Generator())
    with pytest.raises(ValueError, match="n_ctx = 8"):
        generate_text(gpt, tokenizer, "x" * 30, generator=torch.Generator())
