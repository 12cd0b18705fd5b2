"""BERT beside GPT-1: the masked batches, hidden words for readers of one side and of both, on a tiny dataset."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats

from minigpt import loss, model, train
from minigpt.batches import DocumentBatches
from minigpt.exact.ngram import NGram
from minigpt.experiments import canaries, dataset, pretraining
from minigpt.experiments.gpt1 import bert, finetuning
from minigpt.experiments.gpt1.bert import READERS, HiddenWord, MaskedBatches, belief, by_bayes, hidden_examples
from minigpt.experiments.sizes import BERT, BERT_PRETRAINING, BERT_TOKENS_PER_BATCH, GPT1
from minigpt.model import GPT
from minigpt.worlds import grammar
from minigpt.worlds.lexicon import LEXICON

pytestmark = [pytest.mark.usefixtures("own_cache", "remembering"), pytest.mark.slow]


@pytest.fixture(scope="module")
def data():
    return dataset.story_dataset(n_documents=300, n_held_out=20)


@pytest.fixture(scope="module")
def gpt():
    return GPT(GPT1, torch.Generator().manual_seed(5)).eval()


@pytest.fixture(scope="module")
def both_sided():
    return GPT(BERT, torch.Generator().manual_seed(1)).eval()


def masking(data, seed=0, tokens=512):
    batches = DocumentBatches(data.corpus, data.tokenizer, BERT.n_ctx, tokens, 0)
    return batches, MaskedBatches(batches, data.tokenizer.delim, BERT.n_vocab, data.tokenizer.endoftext, seed)


# --- masked batches -------------------------------------------------------------------------------------------------


def test_bert_differs_from_gpt1_in_the_mask_alone():
    assert replace(BERT, causal=True) == GPT1 and BERT != GPT1


def test_bert_reads_28_times_as_much_and_is_asked_four_times_as_much_as_gpt1():
    """The lab says so; an epoch is 4,500 steps of GPT-1."""
    read = BERT_PRETRAINING.n_steps * BERT_TOKENS_PER_BATCH / (4500 * dataset.TOKENS_PER_BATCH)
    assert read == 28 and 0.15 * read == pytest.approx(4, abs=0.25)
    assert BERT_PRETRAINING.warmup_steps > 0


def test_masked_batches_hide_words_and_never_padding(data):
    batches, masked = masking(data)
    padding, mask = data.tokenizer.endoftext, data.tokenizer.delim
    n_hidden = n_masked = n_kept = 0
    for step in range(40):
        inputs, targets = map(torch.as_tensor, batches[step])
        ids, visible, hidden = masked[step]
        asked = hidden != loss.IGNORED
        assert torch.equal(hidden[asked], inputs[asked]) and torch.equal(ids[~asked], inputs[~asked])
        assert torch.equal(visible, targets != loss.IGNORED) and not asked[inputs == padding].any()
        words = (inputs != padding).sum(dim=1)
        assert asked.sum(dim=1).tolist() == [max(1, round(0.15 * n)) for n in words.tolist()]
        n_hidden += asked.sum().item()
        n_masked += (ids[asked] == mask).sum().item()
        n_kept += (ids[asked] == inputs[asked]).sum().item()
    assert scipy_stats.binomtest(n_masked, n_hidden, 0.8 + 0.1 / BERT.n_vocab).pvalue > 1e-3
    assert scipy_stats.binomtest(n_kept, n_hidden, 0.1 + 0.1 / BERT.n_vocab).pvalue > 1e-3


def test_what_is_hidden_depends_on_seed_and_step_alone(data):
    def hidden(seed, step):
        return masking(data, seed)[1][step][2]

    n = len(masking(data)[1])
    torch.manual_seed(1)
    first, state = hidden(0, 3), torch.get_rng_state()
    masking(data)[1][2]
    assert torch.equal(first, hidden(0, 3)) and torch.equal(state, torch.get_rng_state())
    assert not torch.equal(first, hidden(1, 3))
    alike = masking(data)[0]
    alike.documents = lambda step: np.array([0, 1])  # the same documents at every step, hidden anew
    again = MaskedBatches(alike, data.tokenizer.delim, BERT.n_vocab, data.tokenizer.endoftext, 0)
    assert not torch.equal(again[0][2], again[n][2])


def test_the_masked_loss_is_the_surprisal_of_what_was_hidden(data, both_sided):
    ids, visible, hidden = masking(data)[1][0]
    with torch.no_grad():
        value = bert.masked_loss(both_sided, ids, visible, hidden).item()
        nats = []
        for row, seen, wanted in zip(ids, visible, hidden):  # one document after another, without its padding
            logps = both_sided(row[seen][None])[0].double().log_softmax(-1)
            nats += [-logps[i, id].item() for i, id in enumerate(wanted[seen].tolist()) if id != loss.IGNORED]
    assert value == pytest.approx(np.mean(nats), rel=1e-5)


def test_a_masked_model_sees_both_sides_and_is_cached(data, monkeypatch):
    masked = bert.pretrain_masked(data, n_steps=3, tokens_per_batch=256)
    assert not masked.model.config.causal and np.isfinite(masked.losses).all() and np.isnan(masked.held_out).all()
    asked = sum((masking(data, tokens=256)[1][step][2] != loss.IGNORED).sum().item() for step in range(3))
    assert masked.tokens[-1] == asked
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        change = masked.model(ids)[0, 0] - masked.model(torch.tensor([[1, 2, 3, 9]]))[0, 0]
    assert change.abs().max() > 1e-6
    monkeypatch.setattr(train, "train", None)
    again = bert.pretrain_masked(data, n_steps=3, tokens_per_batch=256).model
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), masked.model.parameters()))


# --- hidden words ---------------------------------------------------------------------------------------------------


def test_every_answer_is_asked_as_often_and_weighs_what_it_should():
    articles, places = hidden_examples("article", 40), hidden_examples("place", 80)
    for examples, candidates in ((articles, 2), (places, 8)):
        answers = [example.answer for example in examples]
        assert np.bincount(answers).tolist() == [len(examples) // candidates] * candidates
        assert sum(example.weight for example in examples) == pytest.approx(len(examples))
    p_an = np.mean([trait[0] in "aeiou" for trait in LEXICON.traits])
    assert {example.word: example.weight for example in articles} == pytest.approx(
        {" an": 2 * p_an, " a": 2 - 2 * p_an}
    )
    assert {example.weight for example in places} == {1.0}
    for example in articles:
        assert (example.word == " an") == (example.after[1] in "aeiou")
        assert example.texts[example.answer] == example.before + example.word + example.after
        assert grammar.score(dataset.stories.program(), example.texts[example.answer]).logp > -math.inf


def test_another_hidden_word_is_refused():
    with pytest.raises(ValueError, match="expected one of .*'article', 'place'.*; got 'verb'"):
        hidden_examples("verb", 1)
    with pytest.raises(ValueError, match="expected a multiple of 8 examples, the number of answers; got 100"):
        hidden_examples("place", 100)
    with pytest.raises(ValueError, match="expected one of .*'BERT'.*; got 'bert'"):
        belief("bert", None, None, [])


def test_the_hidden_place_is_surprising_as_the_walks_say(data, gpt, both_sided):
    """From the left, half of the walks lead home and half to 7 other places; the sentence after it tells which."""
    examples = hidden_examples("place", 64)
    nats = bert.hidden_word(gpt, both_sided, data, examples)
    homes = {animal.name: animal.home for animal in LEXICON.animals}
    home = np.mean([homes[example.before.split()[2]] == example.word.strip() for example in examples])
    assert nats["truth from the left"] == pytest.approx(home * math.log(2) + (1 - home) * math.log(14))
    assert nats["truth from both sides"] == pytest.approx((1 - home) * math.log(7), abs=1e-9)
    assert nats["GPT, left to right"] == pytest.approx(math.log(8), rel=0.3) == nats["BERT"]  # they know nothing


def test_the_hidden_article_is_certain_for_all_who_see_the_next_word(data, gpt, both_sided):
    examples = hidden_examples("article", 20)
    bigram = NGram(data.corpus, 2, BERT.n_vocab, data.tokenizer.endoftext)
    nats = bert.hidden_word(gpt, both_sided, data, examples, bigram)
    p_an = np.mean([trait[0] in "aeiou" for trait in LEXICON.traits])
    entropy = -p_an * math.log(p_an) - (1 - p_an) * math.log(1 - p_an)  # each answer counts as often as it comes
    assert nats["truth from the left"] == pytest.approx(entropy)
    assert nats["truth from both sides"] == pytest.approx(0, abs=1e-9)
    assert nats["bigram, by Bayes' rule"] < entropy / 2 < nats["GPT, by Bayes' rule"]  # 300 documents; untrained
    told = belief("truth from the left", None, data, examples)
    assert bert.surprisal(told, examples, " an") == pytest.approx(-math.log(p_an))
    assert bert.surprisal(told, examples, " a") == pytest.approx(-math.log(1 - p_an))


def test_bayes_rule_by_hand(data, gpt):
    """Each candidate's whole text is scored token after token, by the model of this test."""
    example = hidden_examples("place", 8)[0]
    end = data.tokenizer.endoftext
    joint = []
    for word in example.candidates:
        ids = torch.tensor([[end, *data.tokenizer.encode(example.before + word + example.after), end]])
        with torch.no_grad():
            logps = gpt(ids[:, :-1]).double().log_softmax(-1)
        joint.append(math.exp(logps.gather(-1, ids[:, 1:, None]).sum().item() + 300))
    told = belief("GPT, by Bayes' rule", gpt, data, [example])
    np.testing.assert_allclose(told[0], np.array(joint) / sum(joint), rtol=1e-3)


def test_a_left_to_right_model_knows_what_both_sides_tell():
    """With the true joint distribution of two words, Bayes' rule gives the true conditional."""
    rng = np.random.default_rng(0)
    joint = rng.random((3, 4))
    joint /= joint.sum()
    first = joint.sum(axis=1)
    nats = -np.log(first) - np.log(joint[:, 2] / first)  # P(w) P(third word | w), from left to right
    np.testing.assert_allclose(by_bayes(nats), joint[:, 2] / joint[:, 2].sum())
    assert by_bayes(np.array([1e4, 1e4 + math.log(3)])).tolist() == pytest.approx([0.75, 0.25])


class Shouting(torch.nn.Module):
    """Stands in for BERT: at the masked position it expects the first candidate, elsewhere nothing."""

    config = BERT

    def __init__(self, mask, wanted):
        super().__init__()
        self.mask, self.wanted = mask, wanted

    def hidden(self, ids):
        return (ids == self.mask).float()[..., None]

    def logits(self, h):
        return h * torch.nn.functional.one_hot(torch.tensor(self.wanted), BERT.n_vocab).float() * math.log(7)


def test_bert_is_read_at_the_masked_position(data):
    examples = hidden_examples("place", 8)
    (wanted,) = data.tokenizer.encode(examples[0].candidates[2])
    told = belief("BERT", Shouting(data.tokenizer.delim, wanted), data, examples)
    np.testing.assert_allclose(told, np.tile([1 / 14, 1 / 14, 7 / 14, *[1 / 14] * 5], (8, 1)), rtol=1e-6)


def test_a_candidate_of_several_tokens_is_refused(data, gpt):
    odd = HiddenWord("Tom went to the", " zzyzx", ".", (" zzyzx", " sea"), 1.0)
    with pytest.raises(ValueError, match="expected candidates of one token each; got .* zzyzx"):
        belief("GPT, left to right", gpt, data, [odd])


# --- two conditionals -----------------------------------------------------------------------------------------------


class OneJoint(torch.nn.Module):
    """Stands in for BERT: conditionals of one joint distribution, u(name) v(animal) exp(c name animal)."""

    config = BERT

    def __init__(self, mask, c):
        super().__init__()
        self.mask, self.c = mask, c

    def hidden(self, ids):
        others = ids.masked_fill(ids == self.mask, 0).double()
        return others.sum(dim=1, keepdim=True).expand(*ids.shape)[..., None]

    def logits(self, h):
        word = torch.arange(BERT.n_vocab, dtype=torch.float64)
        return self.c * h * word / 1e4 + word.cos()


def test_conditionals_of_one_joint_distribution_have_one_odds_ratio(data):
    """In exp(c a b) the odds ratio is the same from both sides; what stands beside the pair cancels."""
    ratios = bert.odds_ratios(OneJoint(data.tokenizer.delim, 1.0), data, 6)
    assert ratios.shape == (6, 2) and np.abs(ratios).max() > 0.01
    np.testing.assert_allclose(ratios[:, 0], ratios[:, 1], rtol=1e-6)
    np.testing.assert_allclose(bert.odds_ratios(OneJoint(data.tokenizer.delim, 0.0), data, 3), 0, atol=1e-9)


def test_an_untrained_bert_has_no_joint_distribution(data, both_sided):
    ratios = bert.odds_ratios(both_sided, data, 6)
    assert np.abs(ratios[:, 0] - ratios[:, 1]).max() > 1e-3


# --- the table ------------------------------------------------------------------------------------------------------


def test_bert_is_fine_tuned_and_reads_no_padding(data, both_sided):
    tests = finetuning.test_batches(data, "similarity", 6)
    tuned = finetuning.fine_tune(both_sided, data, finetuning.FineTuning("similarity", 16), 0)
    assert not tuned.gpt.config.causal
    ids, extract, _, _ = tests[0]
    longer = np.concatenate([ids, np.full((*ids.shape[:2], 3), 7)], axis=2)  # more padding, and of another kind
    with torch.no_grad():
        answers = [tuned(torch.from_numpy(x), torch.from_numpy(extract)) for x in (ids, longer)]
    torch.testing.assert_close(*answers, atol=1e-5, rtol=1e-5)
    assert isinstance(tuned, model.TaskModel) and 0 <= finetuning.accuracy(tuned, tests) <= 1


def test_the_table_has_every_reader_and_every_snapshot(data, gpt, both_sided, monkeypatch):
    def stored(trained, steps):
        kept = {step: trained.state_dict() for step in steps}
        each = np.arange(1, steps[-1] + 1)
        return pretraining.Pretrained(trained, each, 10 * each, each / 2, np.array(steps), each, kept)

    monkeypatch.setattr(pretraining, "pretrain", lambda data, seed: stored(gpt, [4]))
    monkeypatch.setattr(bert, "pretrain_masked", lambda data, seed: stored(both_sided, [2, 5]))
    with canaries.few_updates():  # of the fine-tunings
        found = dict(bert.measure(data, 0, n_articles=2, n_places=8, n_ratios=2, labels=(16,), n_test=4))
    for what in ("article", "article, a", "article, an", "place"):
        steps = [(reader, step) for quantity, reader, _, step in found if quantity == what]
        others = [(reader, 4 if reader.startswith("GPT") else 0) for reader in READERS if reader != "BERT"]
        assert sorted(steps) == sorted([*others, ("BERT", 2), ("BERT", 5)])
    assert found["masked loss", "BERT", 0, 5] == np.mean([0.5, 1, 1.5, 2, 2.5])
    assert {key for key in found if key[2]} == {(task, "BERT", 16, 5) for task in finetuning.CLASSES}
    assert found["hidden tokens in all", "BERT", 0, 5] == 50
    assert len(found) == 4 * 7 + 2 + 1 + 3 + 4


def test_what_is_stored_is_read_as_it_was_measured(monkeypatch):
    last, tasks = BERT_PRETRAINING.n_steps, finetuning.CLASSES
    where = [("place", "BERT", 0, 55), ("place", "BERT", 0, last), ("place", "GPT, left to right", 0, 4500)]
    where += [(task, "BERT", n, last) for task in tasks for n in bert.LABELS]
    stored = [
        dict(zip(bert.KEY, (seed, *each)), value=100 * seed + i) for seed in (1, 0) for i, each in enumerate(where)
    ]
    gpt1 = {"start": "pretrained", "aux_weight": 0.0, "n_layers": "all", "lr": 0.001}
    tuned = [{"task": task, "n_labels": n, "seed": seed, "accuracy": seed + n / 2000} | gpt1
             for task in tasks for n in bert.LABELS for seed in (0, 1)]  # fmt: skip
    tuned += [row | {"start": "scratch", "accuracy": 9} for row in tuned]
    tables = {"gpt1/bert": stored, "gpt1/finetuning": tuned}
    text = {name: [{key: str(x) for key, x in row.items()} for row in rows] for name, rows in tables.items()}
    monkeypatch.setattr(bert.measured, "rows", text.__getitem__)
    assert bert.final("place", "BERT").tolist() == [1, 101]
    assert bert.final("place", "GPT, left to right").tolist() == [2, 102]
    steps, values = bert.curve("place")
    assert steps == [55, last] and values.tolist() == [[0, 1], [100, 101]]
    found = bert.on_tasks()
    assert list(found) == list(tasks)
    assert found["entailment"]["BERT"][64].tolist() == [3 + 4 + 1, 103 + 4 + 1]
    assert found["similarity"]["GPT-1"][256].tolist() == [256 / 2000, 1 + 256 / 2000]
