"""Which page did the machine write? Readers whose answer is known."""

import numpy as np
import pytest
import torch

from minigpt.experiments import canaries
from minigpt.experiments.gpt3 import generated_pages as pages
from minigpt.loss import token_logps


@pytest.fixture(scope="module")
def data():
    return canaries.small_dataset()


def test_a_reader_is_right_where_the_written_page_is_less_likely():
    surprise = {"a": 1.0, "b": 2.0, "c": 3.0}

    def read(texts):
        return np.array([surprise[text] for text in texts])

    assert pages.accuracy(read, ["a", "b", "c", "a"], ["b", "a", "c", "c"]) == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    with pytest.raises(ValueError, match="as many written pages as real ones; got 1 and 2"):
        pages.accuracy(read, ["a", "b"], ["c"])


def test_the_grammar_recognises_what_is_impossible_and_guesses_otherwise(data):
    real = [text for text in data.held_out if text.startswith("Once")][:3]
    broken = [text.replace("Once", "Twice") for text in real]
    assert pages.accuracy(pages.grammar_reader(data), real, broken) == 1
    assert pages.accuracy(pages.grammar_reader(data), real, real) == 0.5


def test_pages_go_on_from_their_openings_and_fit_the_window(data):
    openings, real, other = pages.pairs_of_pages(data, 4)
    assert len(openings) == len(real) == len(other) and not set(real) & set(other)
    assert all(text.startswith(opening) for text, opening in zip(real, openings))
    written = pages.write_pages(canaries.gpt1(), data, openings, 3)
    for page, opening in zip(written, openings):
        assert page.startswith(opening) and len(data.tokenizer.encode(page)) <= 128
    assert written == pages.write_pages(canaries.gpt1(), data, openings, 3)
    assert written != pages.write_pages(canaries.gpt1(), data, openings, 4)


@torch.no_grad()
def test_a_gpt_reads_each_page_as_it_would_alone(data):
    gpt, texts = canaries.gpt1(), data.held_out[:3]
    by_hand = []
    for text in texts:
        ids = torch.tensor([data.tokenizer.endoftext, *data.tokenizer.encode(text), data.tokenizer.endoftext])
        by_hand.append(-token_logps(gpt(ids[None, :-1])[0], ids[1:]).mean().item())
    np.testing.assert_allclose(pages.gpt_reader(gpt, data)(texts), by_hand, rtol=1e-5)


def test_an_ngram_reader_is_less_surprised_by_the_text_than_by_the_same_words_shuffled(data):
    real = data.held_out[:6]
    rng = np.random.default_rng(0)
    shuffled = [" ".join(rng.permutation(text.split())) for text in real]
    for n in pages.NGRAMS.values():
        assert pages.accuracy(pages.ngram_reader(data, n), real, shuffled) == 1


def test_a_page_longer_than_the_window_is_read_as_far_as_it_reaches(data):
    gpt, text = canaries.gpt1(), " ".join(data.held_out[:4])
    cut = data.tokenizer.decode(data.tokenizer.encode(text)[:127])
    np.testing.assert_allclose(*(pages.gpt_reader(gpt, data)([each]) for each in (text, cut)), rtol=1e-5)
