"""The three steps on web text, Figure 1 in miniature, SFT by epoch, reward models: parts of them, against counting."""

import math
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minigpt.experiments import measured
from minigpt.experiments.instructgpt import (
    dialogue,
    figure1,
    human_ranking,
    more_rankings,
    reward_models,
    sft_epochs,
    three_steps,
)
from minigpt.experiments.instructgpt.step1_sft import Shuffled
from minigpt.loss import IGNORED, token_logps
from minigpt.model import GPT
from minigpt.responses import answer_logits
from minigpt.worlds import grammar, tales, web_tales


@pytest.fixture(scope="module", autouse=True)
def few_documents():
    """A small data set in place of the whole one."""
    small = three_steps.web_dataset(1500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(three_steps, "web_dataset", lambda: small)
        yield small


def test_every_word_of_the_web_is_one_token(few_documents):
    words = {word for document in few_documents.documents for word in grammar.words(document)}
    assert {len(few_documents.tokenizer.encode(word)) for word in words} == {1}


def test_prompts_fit_with_their_answers_into_the_context():
    for prompted, length in ((False, 12), (True, None)):
        prompts = three_steps.prompt_ids(tales.requests("test"), prompted)
        assert len(prompts) == 256 and prompts.shape[1] + three_steps.LONGEST <= three_steps.N_CTX
        assert length is None or prompts.shape[1] == length
    tokenizer = three_steps.web_dataset().tokenizer
    assert tokenizer.decode(prompts[3, 1:].tolist()) == web_tales.few_shot(tales.requests("test")[3])


def test_only_answers_are_learned_and_texts_are_learned_whole():
    requests, answers = three_steps.demonstrations(40, 0)
    inputs, targets = three_steps.supervised(requests, answers)
    assert (targets[:, :11] == IGNORED).all() and (targets[:, 11:12] != IGNORED).all()
    learned = (targets != IGNORED).sum(dim=1).tolist()
    assert learned == [len(grammar.words(answer)) + 1 for answer in answers]
    texts = three_steps.text_batches(1024, 0)
    batches = three_steps.WithText(Shuffled((inputs, targets), 16, 0), texts, 2)
    mixed_inputs, mixed_targets = batches[0]
    assert len(batches) == 3 and len(mixed_inputs) == 18
    whole = (mixed_targets[16:] != IGNORED).sum(dim=1)
    assert whole.tolist() == [int((torch.as_tensor(t) != IGNORED).sum()) for t in texts[0][1][:2]]


def test_rankings_are_of_all_models_in_turn(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    asked = []

    def told(policy, requests, seed=0, prompted=False):
        asked.append((policy, len(requests)))
        rng = random.Random(seed)
        return three_steps.answer_ids([grammar.sample(web_tales.demonstration(r), rng)[0] for r in requests])

    monkeypatch.setattr(three_steps, "sample_answers", told)
    found = three_steps.rankings(["a", "b", "c"], 12, 0)
    counts = (found.ranks > 0).sum(dim=1)
    assert [model for model, _ in asked] == ["a", "b", "c"] and sum(n for _, n in asked) == counts.sum()
    assert max(n for _, n in asked) - min(n for _, n in asked) <= 1 and counts.min() >= 4 and counts.max() <= 9
    by_ids = dict(
        zip(map(tuple, three_steps.prompt_ids(tales.requests("training")).tolist()), tales.requests("training"))
    )
    for prompt, answers, ranks, seen in zip(found.prompts, found.answers, found.ranks, found.utilities):
        request = by_ids[tuple(prompt.tolist())]
        for ids, rank, utility in zip(answers, ranks, seen):
            if rank:
                text = three_steps.answer_texts(ids[None])[0]
                assert web_tales.worth(request, text).total == pytest.approx(float(utility))


class Told(torch.nn.Module):
    """A model whose next token has fixed probabilities, whatever came before."""

    def __init__(self, probs: torch.Tensor):
        super().__init__()
        self.logps = probs.log()

    def forward(self, ids):
        return self.logps.expand(*ids.shape, -1)

    def hidden(self, ids):
        return self(ids)

    def logits(self, h):
        return h


def test_what_nobody_asked_about_is_read_off_the_next_word():
    tokenizer = three_steps.web_dataset().tokenizer
    probs = torch.full((tokenizer.n_vocab,), 1e-9)
    shares = {" stupid": 0.3, " forest": 0.2, " river": 0.1, " fox": 0.4}
    for word, p in shares.items():
        probs[tokenizer.encode(word)[0]] = p
    found = figure1.unasked(Told(probs))
    homes = [home for _, home in web_tales.home_prompts()]
    right = np.mean([shares.get(f" {home}", 0.0) for home in homes])
    expected = {"insult_unasked": 0.3, "true_home": right, "false_home": 0.3 - right}
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def gpt():
    return GPT(three_steps.config(24), torch.Generator().manual_seed(0)).eval()


def test_asked_and_free_loss_add_to_the_whole_and_each_is_what_it_says(gpt):
    held_out = sft_epochs.unseen.__wrapped__(20)
    asked, free = sft_epochs.split_loss(gpt, held_out)
    with torch.no_grad():
        logps = token_logps(answer_logits(gpt, held_out.prompts, held_out.answers), held_out.answers)
    whole = -logps.sum(dim=1).mean()
    assert asked + free == pytest.approx(float(whole), rel=1e-5)
    assert held_out.decided.sum(dim=1).tolist() == [2] * 20
    tokenizer = three_steps.web_dataset().tokenizer
    for row in range(20):  # the animal and the thing, as a reader of the text finds them
        text = three_steps.answer_texts(held_out.answers[row : row + 1])[0]
        words = [tokenizer.decode([i]).strip() for i in held_out.answers[row][held_out.decided[row]].tolist()]
        assert text.startswith(f" Once a {text.split()[2]} {words[0]} went") and f" {words[1]}. " in text


def test_who_knows_the_mood_but_not_the_word_has_no_asked_loss_for_it():
    held_out = sft_epochs.unseen.__wrapped__(20)
    row = torch.arange(20)[
        held_out.mood.max(dim=1).values == held_out.mood.masked_fill(held_out.mood < 0, 9).min(dim=1).values
    ]
    one = int(row[0])  # a demonstration of a single mood
    mood = held_out.mood[one].max()
    same = sft_epochs.mood_numbers() == mood
    only = sft_epochs.Unseen(*(part[one : one + 1] for part in (held_out.prompts, held_out.answers)),
                             torch.zeros_like(held_out.decided[:1]), held_out.mood[one : one + 1])  # fmt: skip
    probs = torch.where(same, 1.0, 1e-30)
    asked, free = sft_epochs.split_loss(Told(probs / probs.sum()), only)
    assert asked == pytest.approx(0, abs=1e-5)
    others = int(((only.answers != IGNORED) & (only.mood < 0)).sum())
    words = int((only.mood >= 0).sum())
    log = -math.log(1e-30 / float(probs.sum()))
    assert free == pytest.approx(words * math.log(int(same.sum())) + others * log, rel=1e-4)


class Counts:
    """A reward model that counts a word, with or without a look at the request."""

    def __init__(self, looks: bool):
        self.looks = looks

    def score(self, prompts, answers):
        animals = {i for hero in tales.HEROES for i in dialogue.tale_dataset().tokenizer.encode(f" {hero.name}")}
        found = []
        for prompt, answer in zip(prompts.tolist(), answers.tolist()):
            told = next(i for i in answer if i in animals)
            found.append(float(told in prompt) if self.looks else float(told % 7))
        return torch.tensor(found)


def test_a_reward_model_that_never_looks_at_the_request_gains_nothing_by_it():
    looks, blind = reward_models.gains(Counts(True)), reward_models.gains(Counts(False))
    assert looks["animal as asked"] == 1 and looks["thing as asked"] == looks["mood as asked"] == looks["a visitor"] == 0
    assert abs(blind["animal as asked"]) < 0.5 and set(looks) == set(human_ranking.CHANGES)
    longer = SimpleNamespace(score=lambda prompts, answers: (answers != IGNORED).sum(dim=1).float())
    added = {"a visitor": 6, "the weather": 6, "a feeling": 4}  # tokens of the sentence that is put in
    assert reward_models.gains(longer) == dict.fromkeys(human_ranking.CHANGES, 0) | added


def test_what_is_stored_of_the_parts_of_a_request_comes_part_by_part():
    found = reward_models.worth_by_seed(3200)
    stored = {(r["thing"], r["quantity"], int(r["seed"])): r["value"] for r in measured.rows("instructgpt/reward_models")}
    assert found.shape == (3, 5) and found[2, 4] == float(stored["3200 prompts", "mood as asked", 4])


def test_the_best_policy_scores_above_sft_and_more_so_at_a_small_beta(monkeypatch):
    def told(policy, requests, seed=0, prompts=None):
        rng = random.Random(seed)
        return dialogue.answer_ids([grammar.sample(tales.demonstration(r), rng)[0] for r in requests])

    monkeypatch.setattr(dialogue, "sample_answers", told)
    found = reward_models.best_there_is(None, Counts(True), n_requests=2, n_answers=200)
    p = found["sft"]["score"]  # scores are 0 or 1: the best policy is known
    assert 0.6 < p < 1
    for beta in reward_models.BETAS:
        each = found[f"best, beta {beta}"]
        assert each["best score"] == pytest.approx(p * math.exp(1 / beta) / (p * math.exp(1 / beta) + 1 - p), abs=0.01)
        assert 1 <= each["effective"] <= 200
    assert found["best, beta 0.4"]["best score"] > found["best, beta 2.0"]["best score"] > p


class Reads:
    """A reward model that counts what an answer has of its request: the animal three times, the thing twice."""

    def score(self, prompts, answers):
        tokenizer, found = three_steps.web_dataset().tokenizer, []
        ids = {"animal": [hero.name for hero in tales.HEROES], "thing": tales.THINGS}
        ids = {part: {tokenizer.encode(f" {name}")[0] for name in names} for part, names in ids.items()}
        for prompt, answer in zip(prompts.tolist(), answers.tolist()):
            shared = set(prompt) & set(answer)
            found.append(3.0 * len(shared & ids["animal"]) + 2.0 * len(shared & ids["thing"]))
        return torch.tensor(found)


def test_gains_are_of_the_part_that_was_changed():
    assert more_rankings.gains(Reads()) == {"gain_animal": 3.0, "gain_thing": 2.0, "gain_mood": 0.0}
    for request in tales.requests("test")[:50]:
        worth = web_tales.worth(request, reward_models.plain_tale(request))
        assert worth.total == 5.0 and worth.utility.well_formed
        for part in ("animal", "thing", "mood"):
            changed = reward_models.other(request, part)
            assert [getattr(changed, each) == getattr(request, each) for each in ("animal", "thing", "mood")] == [
                each != part for each in ("animal", "thing", "mood")
            ]


def test_what_sft_gains_after_its_lowest_loss_is_counted_from_that_epoch_of_each_seed(monkeypatch):
    lowest = {(dropout, n): epochs for (dropout, n), epochs in zip(
        ((0.0, 300), (0.0, 600), (0.2, 300), (0.2, 600)), ((2, 5), (3, 3), (16, 1), (9, 12)))}  # fmt: skip

    def get(table, column, dropout, n, epoch):
        assert table == "instructgpt/sft_epochs" and 1 <= epoch <= 16
        best = np.array(lowest[dropout, n])
        if column == "utility":
            return epoch**2 * np.array([1.0, 10.0])
        # asked alone is lowest at the last epoch; only the sum says which epoch is meant
        return {"asked": -100.0 * epoch + 0 * best, "free": 100.0 * epoch + abs(epoch - best)}[column]

    monkeypatch.setattr(sft_epochs.measured, "get", get)
    expected = [scale * (16**2 - best**2) for epochs in lowest.values() for scale, best in zip((1, 10), epochs)]
    np.testing.assert_allclose(sft_epochs.gained_after_lowest_loss(), expected)
