"""Summaries, decoded alike: when a text may end, and what is asked for."""

import numpy as np
import pytest
import torch

from minigpt import sample
from minigpt.experiments import sizes
from minigpt.experiments.gpt2 import summaries, zero_shot_questions

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("remembering"), pytest.mark.xdist_group("library")]


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
