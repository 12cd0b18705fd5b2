"""Fine-tuning, so short that all is checked in seconds: what it starts from, what it changes, and what it is told."""

import copy
import random
from collections import Counter

import numpy as np
import pytest
import torch
from tiny import same

from minigpt import loss, train, transforms
from minigpt.experiments import measured
from minigpt.experiments.dataset import N_CTX
from minigpt.experiments.gpt1 import finetuning
from minigpt.experiments.gpt1.finetuning import FineTuning
from minigpt.experiments.sizes import GPT1
from minigpt.model import GPT, TaskModel
from minigpt.worlds import story_tasks
from minigpt.worlds.lexicon import LEXICON

# slow, and what is trained here is trained once for all files of the group
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_cache"), pytest.mark.xdist_group("tiny training")]


@pytest.fixture
def short(monkeypatch):
    """Fine-tunings of 2 updates."""
    monkeypatch.setattr(FineTuning, "n_steps", 2)


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


@pytest.mark.parametrize("task", ["classification", "similarity"])
def test_the_best_possible_answer_is_that_of_a_reader_who_knows_the_words_of_each_mood(task):
    """Where each adjective belongs to one mood the answer is certain; elsewhere it is better than a guess."""
    best, examples = finetuning.best_possible(task, 40), story_tasks.labelled(task, 40, random.Random(f"test {task}"))
    moods = Counter(adjective for mood in LEXICON.moods for adjective in mood.adjectives)
    said = [[word.strip(".") for part in parts for word in part.split()] for parts, _ in examples]
    sure = [all(moods[word] == 1 for word in words if word in moods) for words in said]
    assert np.mean(sure) <= best < 1 and finetuning.CHANCE[task] < best
