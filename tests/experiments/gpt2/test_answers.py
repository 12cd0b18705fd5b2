"""Log-probabilities of answers, summaries decoded alike, repetition within a text."""

import numpy as np
import pytest
import torch

from minigpt import sample
from minigpt.experiments import dataset, sizes
from minigpt.experiments.gpt2 import answer_logps, decoding, repetition, summaries, zero_shot_questions
from minigpt.model import GPT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("remembering")]


@pytest.fixture(scope="module")
def library():
    return dataset.story_dataset(600, 40)


@pytest.fixture(scope="module")
def untrained():
    return GPT(sizes.gpt2(16), torch.Generator().manual_seed(0)).eval()


def test_log_probabilities_of_answers_one_question_at_a_time(library, untrained):
    for task in ("reading", "sentence to French", "closed book"):
        asked = zero_shot_questions.questions(task, 4)
        found = answer_logps.answer_logps(untrained, library.tokenizer, asked)
        slowly = [sample.continuation_logps(untrained, library.tokenizer, q.prompt, [q.answer]).item() for q in asked]
        assert found == pytest.approx(slowly, abs=1e-3)
    with pytest.raises(ValueError, match="answers are written; got one with choices"):
        answer_logps.answer_logps(untrained, library.tokenizer, zero_shot_questions.questions("cloze noun", 2))


def test_written_tasks_are_those_without_choices():
    written = [t for t in zero_shot_questions.TASKS if not zero_shot_questions.questions(t, 1)[0].choices]
    assert set(answer_logps.TASKS) == set(written) - {"summary, no hint"}


class Fixed:
    """A model whose next token depends on the last one alone, after a table."""

    def __init__(self, logits, n_ctx=128):
        self.table, self.config = logits, sizes.gpt2(16)

    def new_cache(self):
        return None

    def hidden(self, ids, cache=None):
        return ids

    def logits(self, ids):
        return self.table[ids].clone()


def test_the_end_is_forbidden_for_the_first_tokens_and_allowed_afterwards(library):
    tokenizer = library.tokenizer
    a, b = tokenizer.encode("a")[0], tokenizer.encode("b")[0]
    table = torch.full((tokenizer.n_vocab, tokenizer.n_vocab), -50.0)
    table[:, tokenizer.endoftext], table[:, b] = 3.0, 1.0  # the end is likeliest always, b second
    table[b, a] = 2.0

    def write(n_without_end, **how):
        return summaries.write(Fixed(table), tokenizer, ["a", "b", "ab"], None, 6, n_without_end, **how)

    assert write(0, temperature=0) == ["", "", ""]
    assert write(3, temperature=0) == ["bab", "aba", "aba"]
    assert write(6, temperature=0) == ["bababa", "ababab", "ababab"]


def test_writing_greedily_is_that_of_the_sampler(library, untrained):
    prompts = ["Once upon a time", "This is", "About the fox:", "This was"]
    found = summaries.write(untrained, library.tokenizer, prompts, None, 9, 0, temperature=0)
    slowly = [sample.generate_text(untrained, library.tokenizer, p, 9, temperature=0) for p in prompts]
    assert found == slowly
    with pytest.raises(ValueError, match="a torch.Generator to draw with, or temperature=0; got None"):
        summaries.write(untrained, library.tokenizer, prompts, None, 9, 0, top_k=2)
    drawn = summaries.write(untrained, library.tokenizer, prompts, torch.Generator().manual_seed(1), 9, 0, top_k=2)
    assert drawn != found


def test_slots_and_the_lead_sentence_by_hand():
    asked = zero_shot_questions.questions("summary", 50)
    shares = summaries.slot_shares(asked[:2], [asked[0].answer, "nothing at all"])
    assert shares == {slot: 0.5 for slot in (*summaries.SLOTS, "all")}
    lead = summaries.lead_sentence(50)
    assert lead["hero"] == lead["animal"] == 1.0 and lead["verb"] == lead["thing"] == 0.0
    assert lead["all"] == pytest.approx(np.mean([lead[slot] for slot in summaries.SLOTS]))


def test_both_hints_and_both_decodings_are_measured(library, untrained):
    found = summaries.measure(untrained, library.tokenizer, 0, n=2)
    assert {where[:2] for where in found} == {(h, d) for h in summaries.HINTS for d in summaries.DECODINGS}
    assert {where[2] for where in found} == {*summaries.SLOTS, "all", "asks itself"}
    assert all(0 <= share <= 1 for share in found.values())


def test_repetition_by_hand():
    assert repetition.repeated("a b c d e f g h") == 0.0
    assert repetition.repeated("one two") == 0.0
    assert repetition.repeated("x " * 40) == pytest.approx(36 / 37)
    assert repetition.repeated("a b c d x a b c d") == pytest.approx(1 / 6)  # 6 4-grams, one of them twice
    assert repetition.mean_repeated(["x " * 40, "a b c d e"]) == pytest.approx(18 / 37)


def test_texts_without_an_end_fill_the_window(library, untrained):
    openings = decoding.openings(library, 3)
    long = repetition.texts(untrained, library, openings, 0, "temperature 1", "no end")
    assert all(text.startswith(opening) for text, opening in zip(long, openings))
    assert long == repetition.texts(untrained, library, openings, 0, "temperature 1", "no end")
    with pytest.raises(ValueError, match="got 'loud', 'free'"):
        repetition.texts(untrained, library, openings, 0, "loud")
    found = repetition.measure(untrained, library, openings, 0)
    assert len(found) == 1 + 2 * len(repetition.SETTINGS)
    assert found["greedy", "no end"] >= found["greedy", "free"] or found["greedy", "no end"] > 0.3


def test_curves_are_read_from_the_table():
    found = answer_logps.over_size("closed book")
    assert list(found) == ["gap", "log P", "accuracy"] and list(found["gap"]) == list(sizes.GPT2_SIZES)
    training = answer_logps.over_training("closed book")
    last = max(training["gap"])
    for name in found:  # the end of the training is the model of the largest size
        assert training[name][last] == found[name][96] and len(training[name]) == 5
    assert all(value <= 0 for values in training["log P"].values() for value in values)
    assert set(summaries.by_slot("none")) == {*summaries.SLOTS, "all"}
    assert 0 <= repetition.of("greedy", "no end").min() <= 1
