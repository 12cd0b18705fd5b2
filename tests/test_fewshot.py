"""Few-shot evaluation against slow obvious computations on tiny models, enumeration, and by hand."""

import itertools
import math
import random

import numpy as np
import pytest
import torch

from minigpt import fewshot, prompts, sample, tokenizer
from minigpt.fewshot import choose, complete, evaluate, score_choices
from minigpt.model import GPT, GPTConfig
from minigpt.prompts import Example
from minigpt.sample import beam_search
from minigpt.stats import share_interval

stats = pytest.importorskip("scipy.stats")

TEXT = "the fox lives in the forest and the crab lives in the sea\nthe owl lives in the forest\n"
TOKENIZER = tokenizer.train_bpe([TEXT * 3], 300)
N_CTX = 64
CHOICES = (" forest", " sea", " mill", " forest and the sea")
ANIMALS = {"fox": " forest", "crab": " sea", "owl": " forest", "hen": " mill", "eel": " sea", "bear": " forest"}
EXAMPLES = [Example(f"the {who} lives in the", home, CHOICES[:3]) for who, home in ANIMALS.items()]


def tiny(n_vocab=TOKENIZER.n_vocab, n_ctx=N_CTX, seed=0, **options):
    config = GPTConfig(n_vocab, n_ctx, 2, 2, 16, init_std=0.4, **options)
    return GPT(config, torch.Generator().manual_seed(seed)).eval()


@pytest.fixture(scope="module")
def gpt():
    return tiny()


@torch.no_grad()
def slow_logp(gpt, ids, new) -> float:
    """log P(new | ids), one token after another, the whole text read again each time."""
    total, ids = 0.0, list(ids)
    for token in new:
        total += gpt(torch.tensor([ids]))[0, -1].double().log_softmax(-1)[token].item()
        ids.append(token)
    return total


def begun(prompt):
    return [TOKENIZER.endoftext, *TOKENIZER.encode(prompt)]


# --- choosing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", fewshot.CHOOSING)
def test_scores_are_those_of_the_chain_rule(gpt, how):
    prompt = "the crab lives in the"
    expected = []
    for choice in CHOICES:
        ids = TOKENIZER.encode(choice)
        logp = slow_logp(gpt, begun(prompt), ids)
        after_answer = slow_logp(gpt, begun("Home:"), ids)
        expected.append({"plain": logp, "per token": logp / len(ids), "unconditional": logp - after_answer}[how])
    scores = score_choices(gpt, TOKENIZER, prompt, CHOICES, how, answer_context="Home:")
    assert scores == pytest.approx(expected, abs=1e-4)
    assert choose(gpt, TOKENIZER, prompt, CHOICES, how, answer_context="Home:") == CHOICES[int(np.argmax(expected))]


def test_the_three_ways_can_disagree():
    picks = [[choose(tiny(seed=s), TOKENIZER, "the fox", CHOICES, how) for how in fewshot.CHOOSING] for s in range(20)]
    for one, other in itertools.combinations(range(3), 2):
        assert any(pick[one] != pick[other] for pick in picks)


def test_shares_of_belief_are_bayes_rule_among_the_choices(gpt):
    prompt = "the owl lives in the"
    p = [math.exp(slow_logp(gpt, begun(prompt), TOKENIZER.encode(choice))) for choice in CHOICES]
    shares = fewshot.answer_probs(gpt, TOKENIZER, prompt, CHOICES)
    assert [choice for choice, _ in shares] == list(CHOICES)
    assert [share for _, share in shares] == pytest.approx([each / sum(p) for each in p], rel=1e-3)


def test_dropout_is_off_while_a_model_is_asked():
    noisy, prompt = tiny(dropout=0.5).train(), "the fox"
    assert np.array_equal(
        score_choices(noisy, TOKENIZER, prompt, CHOICES), score_choices(tiny(), TOKENIZER, prompt, CHOICES)
    )
    assert noisy.training and complete(noisy, TOKENIZER, prompt, 5) == complete(tiny(), TOKENIZER, prompt, 5)


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("stop", [(), (2,), (1, 3)])
def test_a_beam_of_one_is_greedy(seed, stop):
    model, prompt = tiny(5, 12, seed), [0, 3, 1]
    ids = list(prompt)
    while len(ids) < 3 + 6 and ids[-1] not in (stop if len(ids) > 3 else ()):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    found = beam_search(model, prompt, 6, width=1, stop_ids=stop)
    assert list(found.ids) == ids[3:] and found.logp == pytest.approx(slow_logp(model, prompt, ids[3:]), abs=1e-4)


def everything(n_vocab, n_new, stops):
    """All answers there are: up to n_new tokens, ending at the first stop."""
    for n in range(1, n_new + 1):
        for ids in itertools.product(range(n_vocab), repeat=n):
            if not any(i in stops for i in ids[:-1]) and (ids[-1] in stops or n == n_new):
                yield ids


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 0.6, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_wide_enough_finds_the_best_of_all(seed, alpha):
    model, prompt, stops = tiny(4, 10, seed), [1, 2], {3}
    scores = {ids: slow_logp(model, prompt, ids) / ((5 + len(ids)) / 6) ** alpha for ids in everything(4, 4, stops)}
    best = max(scores, key=scores.get)
    found = beam_search(model, prompt, 4, width=4**4, length_penalty=alpha, stop_ids=stops)
    assert found.ids == best and found.score == pytest.approx(scores[best], abs=1e-4)


def test_a_larger_penalty_prefers_longer_answers():
    lengths = [
        np.mean([len(beam_search(tiny(4, 10, s), [1, 2], 4, 256, alpha, {3}).ids) for s in range(8)])
        for alpha in (0.0, 5.0)
    ]
    assert lengths[0] < lengths[1]


def test_a_beam_of_four_beats_greedy_somewhere_and_is_never_beaten_at_width_of_all():
    gains = []
    for seed in range(12):
        model = tiny(6, 12, seed)
        one, four, all_ = (beam_search(model, [0, 1], 4, width, 0.0).logp for width in (1, 4, 6**4))
        assert all_ >= max(one, four) - 1e-5
        gains.append(four - one)
    assert max(gains) > 1e-3


def test_greedy_completion_is_what_sampling_at_temperature_zero_writes(gpt):
    for prompt in ("the fox", "the crab lives", "sea"):
        row = sample.generate(gpt, torch.tensor(begun(prompt)), 20, temperature=0, stop_id=TOKENIZER.endoftext)
        ids = row.tolist()[len(begun(prompt)) :]
        ids = ids[: ids.index(TOKENIZER.endoftext)] if TOKENIZER.endoftext in ids else ids
        text = b"".join(map(TOKENIZER.decode_bytes, ids)).decode("utf-8", errors="replace")
        assert complete(gpt, TOKENIZER, prompt, 20) == text.split("\n")[0]


class Reciter:
    """A model that knows one text by heart: after its n-th token comes the next, whatever was read."""

    def __init__(self, text, n_start):
        self.ids, self.n_start, self.read, self.training = TOKENIZER.encode(text), n_start, 0, False
        self.config = GPTConfig(TOKENIZER.n_vocab, 200, 1, 1, 4)

    def new_cache(self):
        self.read = 0
        return []

    def eval(self):
        return self

    def train(self, mode):
        return self

    def hidden(self, ids, cache):
        self.read += ids.shape[1]
        return torch.zeros(len(ids), 1, 4)

    def logits(self, h):
        place = self.read - self.n_start
        rows = torch.zeros(len(h), TOKENIZER.n_vocab)
        rows[:, self.ids[place] if place < len(self.ids) else TOKENIZER.endoftext] = 9.0
        return rows


@pytest.mark.parametrize("how", fewshot.WRITING)
@pytest.mark.parametrize(
    ("stop", "said"), [("\n", " in the forest"), (" forest", " in the"), ("?", " in the forest\nthe sea")]
)
def test_an_answer_ends_at_the_stop_or_with_the_document(how, stop, said):
    prompt = "the fox lives"
    reciter = Reciter(" in the forest\nthe sea", len(begun(prompt)))
    assert complete(reciter, TOKENIZER, prompt, 30, how, stop) == said


# --- a whole test set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", fewshot.CHOOSING)
@pytest.mark.parametrize("k", [0, 2])
def test_an_evaluation_is_its_questions_one_by_one(gpt, k, how):
    result = evaluate(gpt, TOKENIZER, EXAMPLES, k, how, random.Random(3), task_description="where:")
    rng, right = random.Random(3), []
    for example in EXAMPLES:
        shots = prompts.draw(EXAMPLES, k, rng, example)
        prompt = "\n".join(["where:", *(s.context + s.completion for s in shots), example.context])
        right.append(float(choose(gpt, TOKENIZER, prompt, example.choices, how) == example.completion))
    assert result.scores == tuple(right) and result.score == pytest.approx(np.mean(right))
    assert (result.n, result.k, result.k_least, result.n_clipped, result.how) == (6, k, k, 0, how)
    assert all(answer in CHOICES for answer in result.answers)


def test_written_answers_are_scored_as_text():
    prompt = begun(EXAMPLES[0].context)
    reciter = Reciter(" forest\nsea", len(prompt))
    reciter.named_parameters = list
    free = [Example(EXAMPLES[0].context, answer) for answer in (" forest", " The forest!", " deep forest", " sea")]
    exact = evaluate(reciter, TOKENIZER, free, 0, "greedy", random.Random(0), n_new=5)
    assert exact.scores == (1.0, 1.0, 0.0, 0.0) and set(exact.answers) == {" forest"}
    f1 = evaluate(reciter, TOKENIZER, free, 0, "beam", random.Random(0), n_new=5, score=prompts.f1, width=2)
    assert f1.scores == pytest.approx((1, 1, 2 / 3, 0))


def test_as_many_examples_as_fit():
    n_ctx = 36
    gpt = tiny(n_ctx=n_ctx)
    result = evaluate(gpt, TOKENIZER, EXAMPLES, "fit", "plain", random.Random(0))
    longest = max(len(TOKENIZER.encode(choice)) for choice in CHOICES[:3])
    rng, expected = random.Random(0), []
    for example in EXAMPLES:
        order = prompts.draw(EXAMPLES, 5, rng, example)
        fits = [k for k in range(6)
                if len(TOKENIZER.encode(prompts.build("", order[:k], example))) + longest <= n_ctx]  # fmt: skip
        expected.append(max(fits))
    assert 0 < min(expected) < max(expected) < 5, "the window is meant to be too small for all"
    assert result.k == np.mean(expected) and result.k_least == min(expected)
    assert result.n_clipped == sum(k < 5 for k in expected)
    capped = evaluate(gpt, TOKENIZER, EXAMPLES, "fit", "plain", random.Random(0), most=1)
    assert (capped.k, capped.n_clipped) == (1, 0)


def test_a_full_window_is_named_in_numbers(gpt):
    prompt = "\n".join(e.text for e in EXAMPLES * 3)
    n = len(begun(prompt))
    with pytest.raises(ValueError, match=f"n_ctx = {N_CTX} tokens, but the prompt has {n}"):
        score_choices(gpt, TOKENIZER, prompt, CHOICES)
    with pytest.raises(ValueError, match="ask with fewer examples"):
        evaluate(gpt, TOKENIZER, EXAMPLES * 3, 12, "plain", random.Random(0))


def test_the_last_token_that_fits_is_allowed_and_the_next_is_not():
    prompt = "the fox lives in the"
    n = len(begun(prompt)) + 3 - 1
    assert isinstance(complete(tiny(n_ctx=n), TOKENIZER, prompt, 3), str)
    with pytest.raises(ValueError, match="needs 3 more"):
        complete(tiny(n_ctx=n - 1), TOKENIZER, prompt, 3)
    shots = [Example("a", " b")] * 40
    for n_ctx in range(20, 26):  # 'fit' never asks for more than there is
        evaluate(tiny(n_ctx=n_ctx), TOKENIZER, EXAMPLES[:1], "fit", "plain", random.Random(0), pool=shots)


# --- nothing is learned ----------------------------------------------------------------------------------------------


def test_the_model_is_the_same_to_the_bit_and_keeps_no_gradient(gpt):
    before = {name: p.detach().clone() for name, p in gpt.named_parameters()}
    mark = fewshot.fingerprint(gpt)
    evaluate(gpt, TOKENIZER, EXAMPLES, 2, "per token", random.Random(0))
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in gpt.named_parameters())
    assert fewshot.fingerprint(gpt) == mark


def test_the_smallest_change_is_noticed():
    model = tiny()
    mark = fewshot.fingerprint(model)
    with pytest.raises(RuntimeError, match="changed while it was asked"), fewshot.no_learning(model):
        weight = model.blocks[1].mlp.W_1.weight
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    assert fewshot.fingerprint(model) != mark


def test_a_gradient_is_noticed():
    model = tiny()
    with pytest.raises(RuntimeError, match="a gradient"), fewshot.no_learning(model), torch.enable_grad():
        model(torch.tensor([[1, 2]])).sum().backward()


@pytest.mark.parametrize(("right", "n"), [(0, 5), (3, 10), (50, 50), (1, 400)])
def test_the_interval_is_wilsons(right, n):
    found = share_interval([1.0] * right + [0.0] * (n - right))
    other = stats.binomtest(right, n).proportion_ci(0.95, "wilson")
    assert found == pytest.approx((other.low, other.high), abs=1e-12)


def test_the_interval_of_other_scores_is_the_usual_one():
    scores = [0.2, 0.5, 0.9, 0.4]
    half = stats.norm.ppf(0.975) * stats.sem(scores)
    assert share_interval(scores) == pytest.approx((0.5 - half, 0.5 + half))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: score_choices(g, TOKENIZER, "x", CHOICES, "best"), "expected `how`"),
        (lambda g: score_choices(g, TOKENIZER, "x", [" sea"]), "at least two choices"),
        (lambda g: score_choices(g, TOKENIZER, "x", "ab"), "as texts; got one string, .ab."),
        (lambda g: score_choices(g, TOKENIZER, "lives in the ", ["forest", "sea"]), "space before the completion"),
        (lambda g: score_choices(g, TOKENIZER, "x", [" sea", ""]), "a token of its own"),
        (lambda g: beam_search(g, [], 3), "got 0 ids"),
        (lambda g: beam_search(g, [1], 3, width=0), "got 1 ids, 0"),
        (lambda g: beam_search(g, [1] * N_CTX, 2), "room for 1 more, but 2 were asked for"),
        (lambda g: complete(g, TOKENIZER, "x", how="best"), "got 'best'"),
        (lambda g: complete(g, TOKENIZER, "x", stop=""), "a text to stop at"),
        (lambda g: evaluate(g, TOKENIZER, [], 0, "plain", random.Random(0)), "at least one example"),
        (lambda g: evaluate(g, TOKENIZER, EXAMPLES, -1, "plain", random.Random(0)), "got -1"),
        (lambda g: evaluate(g, TOKENIZER, EXAMPLES, "all", "plain", random.Random(0)), "got 'all'"),
        (lambda g: evaluate(g, TOKENIZER, EXAMPLES, 0, "best", random.Random(0)), "got 'best'"),
        (lambda g: evaluate(g, TOKENIZER, [Example("x", " y")], 0, "plain", random.Random(0)), "fewer than two"),
        (lambda g: share_interval([]), "at least one score"),
    ],
)
def test_bad_input_is_named(gpt, call, message):
    with pytest.raises(ValueError, match=message):
        call(gpt)


def test_the_fingerprint_of_a_model_in_bfloat16():
    gpt = GPT(GPTConfig(n_vocab=9, n_ctx=8, n_layers=1, n_heads=1, d_model=4), torch.Generator().manual_seed(0))
    gpt.bfloat16()
    before = fewshot.fingerprint(gpt)
    assert fewshot.fingerprint(gpt) == before
    with torch.no_grad():
        gpt.W_e.weight[0, 0] += 1
    assert fewshot.fingerprint(gpt) != before


@pytest.mark.parametrize("how", ["greedy", "plain"])
def test_settings_of_a_search_are_refused_where_nothing_is_searched(how):
    gpt, tokenizer = GPT(GPTConfig(n_vocab=261, n_ctx=16, n_layers=1, n_heads=1, d_model=4), torch.Generator()), None
    with pytest.raises(ValueError, match="how='beam' only; got widht"):
        fewshot.evaluate(gpt, tokenizer, [Example("a", " b", (" b", " c"))] * 2, 0, how, random.Random(0), widht=9)
