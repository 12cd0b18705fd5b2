"""Pre-training and fine-tuning, on a dataset so small and trainings so short that all is checked in seconds.

How well the models do is measured in the chapters; here it is whether they do what they say.
"""

import copy
import math
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from minigpt import loss, sample, stats, train, transforms
from minigpt.batches import DocumentBatches
from minigpt.exact import entropy
from minigpt.experiments import dataset, measured, pretraining, sizes
from minigpt.experiments.dataset import N_CTX, N_VOCAB
from minigpt.experiments.gpt1 import finetuning, settings, zero_shot
from minigpt.experiments.gpt1.finetuning import FineTuning
from minigpt.experiments.sizes import GPT1
from minigpt.model import GPT, TaskModel
from minigpt.notebook import display
from minigpt.worlds import grammar, stories, story_tasks
from minigpt.worlds.lexicon import LEXICON

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare.txt"
N_STEPS = 8
pytestmark = [pytest.mark.usefixtures("own_cache"), pytest.mark.slow]


@pytest.fixture(scope="module")
def data():
    return dataset.story_dataset(n_documents=200, n_held_out=20)


@pytest.fixture(scope="module")
def pretrained(data):
    return pretraining.pretrain(data, n_steps=N_STEPS, n_watched=3)


@pytest.fixture(scope="module")
def untrained():
    return GPT(GPT1, torch.Generator().manual_seed(5)).eval()


@pytest.fixture
def short(monkeypatch):
    """Fine-tunings of 2 updates."""
    monkeypatch.setattr(FineTuning, "n_steps", 2)


def same(a, b):
    """Whether two models (or dictionaries of tensors) are the same, bit for bit."""
    a, b = (x if isinstance(x, dict) else x.state_dict() for x in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- the dataset ----------------------------------------------------------------------------------------------------


def test_the_dataset_is_what_it_says(data):
    assert len(data.documents) == len(data.corpus) == 200 and len(data.held_out) == 20
    assert data.documents == list(stories.documents(200, random.Random(1)))
    assert [data.tokenizer.decode(data.corpus.document(i)) for i in range(200)] == data.documents
    assert [data.tokenizer.decode(data.held_out_corpus.document(i)) for i in range(20)] == data.held_out
    assert data.tokenizer.n_vocab <= N_VOCAB
    exact = [-grammar.score(data.program, text).logp for text in data.held_out]
    assert data.held_out_nats == pytest.approx(exact)
    n_tokens = [len(data.tokenizer.encode(text)) + 1 for text in data.held_out]
    assert data.held_out_tokens.tolist() == n_tokens
    assert data.floor.mean == pytest.approx(sum(exact) / sum(n_tokens))


def test_the_dataset_is_a_function_of_its_arguments(data):
    again, other = dataset.story_dataset(200, 20), dataset.story_dataset(200, 20, seed=2)
    assert again.fingerprint == data.fingerprint != other.fingerprint
    assert again.documents == data.documents != other.documents and again.held_out == data.held_out
    assert again.tokenizer.fingerprint == data.tokenizer.fingerprint != other.tokenizer.fingerprint
    assert not set(data.held_out) & {text for text in data.documents if len(text) > 200}


# --- pre-training ---------------------------------------------------------------------------------------------------


def test_pre_training_learns_and_is_recorded(data, pretrained):
    assert pretrained.steps.tolist() == list(range(1, N_STEPS + 1))
    assert len(pretrained.losses) == len(pretrained.tokens) == N_STEPS
    assert pretrained.losses[-1] < pretrained.losses[0] < 1.3 * math.log(N_VOCAB)
    assert (np.diff(pretrained.tokens) > 0).all()
    assert list(pretrained.snapshots) == pretrained.watched.tolist() and pretrained.watched[-1] == N_STEPS
    assert not pretrained.model.training


def test_snapshots_are_the_model_on_the_way(data, pretrained):
    for step, expected in zip(pretrained.watched, pretrained.held_out, strict=True):
        model = pretrained.at(int(step))
        nats = pretraining.held_out_nats(model, data)
        assert nats.sum() / data.held_out_tokens.sum() == pytest.approx(expected, rel=1e-5)
    assert same(pretrained.at(N_STEPS), pretrained.model)
    first = pretrained.at(int(pretrained.watched[0]))
    assert not same(first, pretrained.model) and first is not pretrained.model


def test_a_model_is_trained_only_once(data, pretrained, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr(train, "train", refuse)
    again = pretraining.pretrain(data, n_steps=N_STEPS, n_watched=3)
    assert same(again.model, pretrained.model) and list(again.snapshots) == list(pretrained.snapshots)
    for name in ("steps", "tokens", "losses", "watched", "held_out"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pretrained, name))
    for other in ({"seed": 1}, {"n_steps": N_STEPS + 1}, {"config": replace(GPT1, n_layers=1)}, {"n_watched": 4}):
        with pytest.raises(AssertionError, match="trained again"):
            pretraining.pretrain(data, **({"n_steps": N_STEPS, "n_watched": 3} | other))


def test_batches_of_another_size_make_another_model(data, pretrained):
    size = dataset.TOKENS_PER_BATCH // 2
    other = pretraining.pretrain(data, n_steps=N_STEPS, n_watched=3, tokens_per_batch=size)
    assert not same(other.model, pretrained.model)


def test_pre_training_by_hand(data, pretrained):
    """The same steps with train.train itself: nothing is added and nothing left out."""
    gpt = GPT(GPT1, torch.Generator().manual_seed(0))
    batches = DocumentBatches(data.corpus, data.tokenizer, N_CTX, dataset.TOKENS_PER_BATCH, 0)
    config = replace(sizes.PRETRAINING, n_steps=N_STEPS, warmup_steps=min(60, N_STEPS // 10))
    losses = [record.loss for record in train.train(gpt, batches, config)]
    assert pretrained.losses.tolist() == pytest.approx(losses, rel=1e-5)
    for name, weight in gpt.state_dict().items():
        torch.testing.assert_close(weight, pretrained.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_no_model_is_below_the_floor(data, pretrained, untrained):
    for model in (pretrained.model, untrained):
        nats = pretraining.held_out_nats(model, data)
        assert nats.shape == (20,) and entropy.gap(nats, data.held_out_nats, data.held_out_tokens).low > 0


def test_held_out_nats_are_sums_of_token_surprises(data, pretrained):
    nats = pretraining.held_out_nats(pretrained.model, data)
    end = data.tokenizer.endoftext
    for i in (0, 7, 19):
        row = torch.tensor([[end, *data.held_out_corpus.document(i).tolist(), end]])
        with torch.no_grad():
            logps = pretrained.model(row[:, :-1]).double().log_softmax(-1)
        assert nats[i] == pytest.approx(-logps.gather(-1, row[:, 1:, None]).sum().item(), rel=1e-5)


# --- asking without training ----------------------------------------------------------------------------------------


def test_continuations_by_hand(data, untrained):
    """Token after token, each with everything before it."""
    tokenizer = data.tokenizer
    prefix, continuation = "Lucy was glad.", " Tom was sad. They felt"
    before, after = [tokenizer.endoftext, *tokenizer.encode(prefix)], tokenizer.encode(continuation)
    assert len(after) > 3
    nats = []
    with torch.no_grad():
        for t, id in enumerate(after):
            logits = untrained(torch.tensor([before + after[:t]]))[0, -1].double()
            nats.append(-logits.log_softmax(-1)[id].item())
    value = sample.continuation_nats(untrained, tokenizer, prefix, continuation)
    assert value == pytest.approx(np.mean(nats), rel=1e-5)
    logps = sample.next_logps(untrained, tokenizer, prefix)
    assert logps.shape == (N_VOCAB,) and logps.exp().sum().item() == pytest.approx(1, rel=1e-5)
    assert -logps[after[0]].item() == pytest.approx(nats[0], rel=1e-5)


def test_many_continuations_at_once_are_as_likely_as_one_by_one(data, untrained):
    prefix, verbs = data.held_out[0][:60], [f" {verb}" for mood in LEXICON.moods for verb in mood.reactions]
    lengths = {len(data.tokenizer.encode(verb)) for verb in verbs}
    assert len(lengths) > 1  # or the padding is not tried
    together = sample.continuation_logps(untrained, data.tokenizer, prefix, verbs)
    alone = [
        sample.response_logp(
            untrained,
            torch.tensor([data.tokenizer.endoftext, *data.tokenizer.encode(prefix)]),
            torch.tensor(data.tokenizer.encode(verb)),
        ).item()
        for verb in verbs
    ]
    assert together.tolist() == pytest.approx(alone, abs=1e-4)


class OneWord(torch.nn.Module):
    """A model that always expects the first token of one word."""

    def __init__(self, tokenizer, word):
        super().__init__()
        self.logits = torch.zeros(N_VOCAB)
        self.logits[tokenizer.encode(word)[0]] = 5.0

    def forward(self, ids):
        return self.logits.expand(*ids.shape, N_VOCAB)


def share(task, label, n=40):
    """The share of a label among the questions that zero_shot asks."""
    return np.mean([y == label for _, y in story_tasks.labelled(task, n, random.Random(f"zero-shot {task}"))])


def test_heuristics_with_a_model_of_one_answer(data, monkeypatch):
    """Whoever always says the same is right as often as that is the answer."""
    tokenizer = data.tokenizer
    for word, label in ((" felt", 1), (" did", 0)):
        right = zero_shot.zero_shot(OneWord(tokenizer, word), data, "similarity", 40)
        assert right == pytest.approx(share("similarity", label))
    for label, mood in enumerate(LEXICON.moods):  # a whole verb, not only its first letters

        def knows(gpt, tokenizer, prefix, continuations, verb=f" {mood.reactions[-1]}"):
            return torch.tensor([-0.1 if text == verb else -9.0 for text in continuations])

        monkeypatch.setattr(sample, "continuation_logps", knows)
        right = zero_shot.zero_shot(None, data, "classification", 40)
        assert right == pytest.approx(share("classification", label))


def test_endings_are_compared_by_their_mean_surprise(data, monkeypatch):
    examples = story_tasks.labelled("multiple choice", 40, random.Random("zero-shot multiple choice"))
    answers = {(parts[0], parts[1 + label]) for parts, label in examples}

    def knows(gpt, tokenizer, prefix, continuation):
        return 1.0 if (prefix, continuation) in answers else 2.0

    monkeypatch.setattr(sample, "continuation_nats", knows)
    assert zero_shot.zero_shot(None, data, "multiple choice", 40) == 1.0
    monkeypatch.setattr(sample, "continuation_nats", lambda *question: -knows(*question))
    assert zero_shot.zero_shot(None, data, "multiple choice", 40) == 0.0


def test_real_models_can_be_asked(data, pretrained):
    for task in finetuning.CLASSES:
        assert 0 <= zero_shot.zero_shot(pretrained.model, data, task, 10) <= 1


def test_tasks_without_a_heuristic(data, untrained):
    with pytest.raises(ValueError, match="'classification'.*'entailment'.*got 'translation'"):
        zero_shot.accuracy(untrained, data, "translation", [(("a",), 0)])
    with pytest.raises(ValueError, match="at least one example, got none"):
        zero_shot.accuracy(untrained, data, "similarity", [])
    with pytest.raises(ValueError, match="task among .*got 'poetry'"):
        zero_shot.zero_shot(untrained, data, "poetry")


# --- fine-tuning ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_layers", [-1, 0, 1, 2, None])
def test_transfer_copies_the_first_blocks(untrained, n_layers):
    old, new = untrained.state_dict(), finetuning.transfer(untrained, n_layers, seed=3).state_dict()
    fresh = GPT(GPT1, torch.Generator().manual_seed(10_003)).state_dict()
    kept = GPT1.n_layers if n_layers is None else n_layers
    for name, weight in new.items():
        if name.startswith("blocks."):
            from_old = int(name.split(".")[1]) < kept
        else:
            from_old = kept >= 0
        assert torch.equal(weight, (old if from_old else fresh)[name]), name
    changed = [name for name in old if not torch.equal(old[name], fresh[name])]
    assert any(name.startswith("blocks.0.") for name in changed) and "W_e.weight" in changed


def test_the_majority_class_is_the_best_constant_answer(data):
    for task, n_classes in finetuning.CLASSES.items():

        def always(ids, extract, label):
            return torch.eye(max(2, n_classes))[label].expand(len(ids), -1)

        constant = [
            finetuning.accuracy(lambda *batch, label=label: always(*batch, label), finetuning.test_batches(data, task))
            for label in range(max(2, n_classes))
        ]
        assert finetuning.majority(task) == pytest.approx(max(constant))
        assert max(constant) < finetuning.best_possible(task)
    assert finetuning.majority("classification") == 0.424  # happy: commoner than the other three moods


def test_reference_lines_are_those_of_their_task():
    lines = finetuning.references("chance", "majority", "best possible")
    assert list(lines) == list(finetuning.CLASSES)
    for task, each in lines.items():
        assert each["chance"] == finetuning.CHANCE[task] and each["majority"] == finetuning.majority(task)
        assert list(each) == ["chance", "majority", "best possible"] and each["best possible"] > each["majority"]
    with pytest.raises(ValueError, match=r"among .*'majority'.*; got \['bayes'\]"):
        finetuning.references("bayes")


def test_stored_accuracies_are_one_number_a_seed():
    stored = measured.rows("gpt1/finetuning")
    for how in finetuning.plan():
        found = finetuning.seeds(how.task, how.n_labels, how.start, how.aux_weight, how.n_layers)
        assert found.tolist() == finetuning.scores(stored, how) and len(found) == len(finetuning.SEEDS)
    with pytest.raises(ValueError, match="'n_labels': 17"):
        finetuning.seeds("similarity", 17)
    with pytest.raises(ValueError, match="no row"):
        finetuning.seeds("similarity", 16, "probe", aux_weight=0.5)


def test_both_starts_get_the_same_labels(untrained, data):
    ways = [FineTuning("entailment", 16, start) for start in ("pretrained", "scratch", "probe")]
    first, *others = [finetuning.starting_point(untrained, data, how, seed=2)[1] for how in ways]
    assert first.batch_size == 16 and all(first.examples == other.examples for other in others)
    assert first.examples != finetuning.starting_point(untrained, data, ways[0], seed=3)[1].examples


def test_a_transferred_model_shares_nothing(untrained):
    before = copy.deepcopy(untrained.state_dict())
    new = finetuning.transfer(untrained, None, 0)
    with torch.no_grad():
        for weight in new.parameters():
            weight.add_(1.0)
    assert same(before, untrained)


def special_rows(data):
    t = data.tokenizer
    return [t.start, t.delim, t.extract]


def test_a_probe_leaves_the_language_model_as_it_was(data, untrained, short):
    before = copy.deepcopy(untrained.state_dict())
    model = finetuning.fine_tune(untrained, data, FineTuning("classification", 16, "probe"))
    assert same(before, untrained)
    for name, weight in model.gpt.state_dict().items():
        old = before[name].clone()
        if name == "W_e.weight":
            rows = special_rows(data)
            assert not torch.isclose(weight[rows], old[rows]).all(dim=1).any()
            old[rows] = weight[rows]
        assert torch.equal(weight, old), name
    assert not model.training and not any(p.requires_grad for p in model.gpt.parameters())


def test_what_fine_tuning_starts_from(data, untrained, monkeypatch):
    """Without any update: the old weights, three fresh embeddings of the right size, and W_y."""
    monkeypatch.setattr(train, "train", lambda *arguments: [])
    model = finetuning.fine_tune(untrained, data, FineTuning("similarity", 16))
    scratch = finetuning.fine_tune(untrained, data, FineTuning("similarity", 16, "scratch"))
    rows = special_rows(data)
    for started, origin in ((model, untrained), (scratch, finetuning.transfer(untrained, -1, 0))):
        state, old = started.gpt.state_dict(), copy.deepcopy(origin.state_dict())
        assert not torch.isclose(state["W_e.weight"][rows], old["W_e.weight"][rows]).all(dim=1).any()
        assert state["W_e.weight"][rows].std().item() == pytest.approx(GPT1.init_std, rel=0.2)
        old["W_e.weight"][rows] = state["W_e.weight"][rows]
        assert same(state, old)
    assert model.W_y.weight.shape == (finetuning.CLASSES["similarity"], GPT1.d_model) and model.combine == "add"


@pytest.mark.parametrize("task", finetuning.CLASSES)
def test_every_task_can_be_fine_tuned(data, pretrained, task, short):
    before = copy.deepcopy(pretrained.model.state_dict())
    how = FineTuning(task, 16, aux_weight=0.5)
    model, again = (finetuning.fine_tune(pretrained.model, data, how, seed=1) for _ in range(2))
    assert same(model, again) and same(before, pretrained.model)
    assert not torch.equal(model.gpt.blocks[0].mlp.W_1.weight, pretrained.model.blocks[0].mlp.W_1.weight)
    assert not same(model, finetuning.fine_tune(pretrained.model, data, how, seed=2))
    batches = finetuning.test_batches(data, task, n_test=20)
    assert sum(len(labels) for _, _, labels, _ in batches) == 20
    with torch.no_grad():
        ids, extract, labels, _ = (torch.from_numpy(array) for array in batches[0])
        logits = model(ids, extract)
    assert logits.shape == (20, {"classification": 4, "entailment": 3}.get(task, 2))
    right = [bool(row.argmax() == label) for row, label in zip(logits, labels, strict=True)]
    assert finetuning.accuracy(model, batches) == pytest.approx(np.mean(right))


def test_fine_tuning_learns_its_examples(data, pretrained):
    """After 80 updates on 16 examples: the examples themselves are known by heart."""
    how = FineTuning("similarity", 16)
    model = finetuning.fine_tune(pretrained.model, data, how)
    examples = story_tasks.labelled("similarity", 16, random.Random("train similarity 16 0"))
    batches = transforms.TaskBatches("similarity", examples, data.tokenizer, N_CTX)
    assert how.n_steps == 80 and finetuning.accuracy(model, batches.in_order()) >= 15 / 16


def test_test_examples_are_always_the_same(data):
    first, again = finetuning.test_batches(data, "entailment", 20), finetuning.test_batches(data, "entailment", 20)
    for arrays, others in zip(first, again, strict=True):
        for array, other in zip(arrays, others, strict=True):
            np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("task", ["classification", "similarity", "multiple choice"])
def test_the_objective_is_L2_plus_lambda_L1(data, untrained, task):
    """L3 = L2 + lambda L1, each by hand from the scores."""
    model = TaskModel(untrained, finetuning.CLASSES[task], transforms.COMBINE[task], torch.Generator().manual_seed(0)).eval()
    [batch] = finetuning.test_batches(data, task, n_test=6)
    ids, extract, labels, lm_targets = (torch.from_numpy(array) for array in batch)
    with torch.no_grad():
        scores = model(ids, extract).double()  # (B, C)
        L2 = -np.mean([scores[b].log_softmax(-1)[label].item() for b, label in enumerate(labels)])
        rows, targets = ids.flatten(0, 1), lm_targets.flatten(0, 1)
        logps, counted = untrained(rows).double().log_softmax(-1), targets != -100
        L1 = -logps.gather(-1, targets.clamp(min=0)[..., None])[..., 0][counted].mean().item()
        for aux_weight in (0, 0.5, 2.0):
            value = finetuning.task_objective(aux_weight)(model, ids, extract, labels, lm_targets).item()
            assert value == pytest.approx(L2 + aux_weight * L1, rel=1e-5)
    assert L1 > 1 and loss.IGNORED == -100


# --- measured results -----------------------------------------------------------------------------------------------


def test_claims_are_judged_by_their_cases():
    row = display.claim("it helps", "Table 1", [0.25, 0.75], "points", [True, False], "seeds")
    assert row == ("it helps", "Table 1", "0.50 ± 3.18 points; 1 of 2 seeds", "partly: 1 of 2")
    assert display.claim("a", "b", [1.0, 2.0, 3.0], "nats", [True] * 3)[2:] == ("2.00 ± 2.48 nats; 3 of 3", True)
    assert display.claim("a", "b", [-1.0, -1.0], "nats", np.array([False, False]))[3] is False
    with pytest.raises(ValueError, match="at least one case"):
        display.claim("a", "b", [1.0, 2.0], "nats", [])


def test_intervals_of_several_quantities_are_cut_where_shares_end():
    means, lows, highs = stats.intervals([[0.9, 1.0], [0.2, 0.4, 0.6]], 0, 1)
    assert means == pytest.approx([0.95, 0.4])
    assert highs[0] == 1 and lows[0] == stats.over_seeds([0.9, 1.0]).low
    assert (lows[1], highs[1]) == (0, stats.over_seeds([0.2, 0.4, 0.6]).high)
    assert stats.intervals([[5.0, 7.0]])[2][0] > 7


HEAD = "task,n_labels,start,aux_weight,n_layers,lr,seed,accuracy\n"


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Writes data/measured/trial.csv in a folder of its own."""
    monkeypatch.setattr(measured, "FOLDER", tmp_path)

    def write(rows):
        (tmp_path / "trial.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")

    return write


def test_rows_of_a_measured_table(table):
    table(["classification,32,pretrained,0.0,all,0.001,0,0.622"])
    [row] = measured.rows("trial")
    assert row["accuracy"] == "0.622" and list(row) == HEAD.strip().split(",")
    for name in ("trial", "nowhere"):
        table([])
        with pytest.raises(ValueError, match=f"data/measured/{name}.csv; got none: measure them with  python -m minigpt.experiments {name}"):
            measured.rows(name)


def test_scores_of_one_way_in_the_order_of_the_seeds(table):
    way = "classification,32,scratch,0.0,all"
    table([f"{way},0.001,10,0.5", f"{way},0.001,9,0.4", f"{way},0.003,9,0.3", f"{way},0.003,10,0.7",
           "classification,32,scratch,0.5,all,0.001,9,0.9", "entailment,32,scratch,0.0,all,0.001,9,0.9",
           "classification,32,pretrained,0.0,1,0.001,9,0.8"])  # fmt: skip
    rows = measured.rows("trial")
    assert finetuning.scores(rows, FineTuning("classification", 32, "scratch")) == [0.3, 0.7]  # mean 0.5, not 0.45
    assert finetuning.scores(rows, FineTuning("classification", 32, "scratch", aux_weight=0.5)) == [0.9]
    assert finetuning.scores(rows, FineTuning("classification", 32, n_layers=1)) == [0.8]
    with pytest.raises(ValueError, match="that was measured; got FineTuning"):
        finetuning.scores(rows, FineTuning("classification", 32))


def test_more_labels_mean_more_updates():
    steps = [FineTuning("entailment", 2**k).n_steps for k in range(4, 11)]
    assert steps == sorted(steps) and len(set(steps)) == 7


def test_measured_rows_are_kept_once_and_say_where_they_are_from(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")
    key = ("seed", "quantity")
    measured.keep("some", [{"seed": 1, "quantity": "gap", "value": "0.1"}], key)
    measured.keep("some", [{"seed": 0, "quantity": "gap", "value": "0.2"}], key)
    measured.keep("some", [{"seed": 1, "quantity": "gap", "value": "0.3"}], key)
    assert [(row["seed"], row["value"]) for row in measured.rows("some")] == [("0", "0.2"), ("1", "0.3")]
    measured.keep_canary("some", {"loss": 2.5})
    said = measured.about("some")
    assert said["canary"]["values"] == {"loss": 2.5} and said["measured"]["versions"]["torch"] == torch.__version__
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?|unknown", said["measured"]["commit"])


@pytest.mark.parametrize("task", ["classification", "similarity"])
def test_the_best_possible_answer_is_that_of_a_reader_who_knows_the_words_of_each_mood(task):
    """Where each adjective belongs to one mood the answer is certain; elsewhere it is better than a guess."""
    best, examples = finetuning.best_possible(task, 40), story_tasks.labelled(task, 40, random.Random(f"test {task}"))
    moods = Counter(adjective for mood in LEXICON.moods for adjective in mood.adjectives)
    said = [[word.strip(".") for part in parts for word in part.split()] for parts, _ in examples]
    sure = [all(moods[word] == 1 for word in words if word in moods) for words in said]
    assert np.mean(sure) <= best < 1 and finetuning.CHANCE[task] < best


def test_the_words_surprisals_add_up_to_the_document_s(data, pretrained):
    for text, nats in list(zip(data.held_out, pretraining.held_out_nats(pretrained.model, data)))[:5]:
        words = pretraining.word_nats(pretrained.model, data, text)
        assert [word for word, _ in words] == [*grammar.words(text), ""]
        assert sum(each for _, each in words) == pytest.approx(nats, abs=1e-3)
    first = pretrained.model(torch.tensor([[data.tokenizer.endoftext]]))[0, -1].log_softmax(-1)
    start = data.tokenizer.encode(grammar.words(data.held_out[0])[0])
    assert pretraining.word_nats(pretrained.model, data, data.held_out[0])[0][1] >= -first[start[0]].item() - 1e-5


def test_every_difference_from_the_paper_is_named_with_its_reason():
    rows = settings.differences()
    assert all(len(row) == 4 and all(row) and row[1] != row[2] for row in rows)
    here = {what: (paper, ours) for what, paper, ours, _ in rows}
    assert here["blocks"] == ("12", "2") and here["tokens a batch"] == ("32,768", "512")
    assert here["fine-tuning: passes"] == ("3", "80 to 7")  # 80 updates of 16 of 16 labels, 420 of 16 of 1,024
    assert here["fine-tuning: weight λ of L1"] == ("0.5", "0.0")
