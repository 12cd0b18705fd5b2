"""The short experiments of chapter 02 change one thing each, and measure what they say."""

import random

import numpy as np
import pytest
import torch

from minigpt.experiments import dataset, sizes
from minigpt.experiments.gpt2 import architecture
from minigpt.model import GPT


def test_forms_differ_in_one_thing_each():
    forms = [architecture.deep(form) for form in architecture.FORMS]
    for a, b in zip(forms, forms[1:]):
        assert len([name for name in a.__dataclass_fields__ if getattr(a, name) != getattr(b, name)]) == 1


def test_the_residual_path_grows_with_depth_unless_the_first_weights_are_scaled():
    plain, scaled = (architecture.spread_by_depth(form, 0) for form in ("LayerNorm before", "before, first weights scaled"))
    after = architecture.spread_by_depth("LayerNorm after", 0)
    assert len(plain) == len(scaled) == len(after) == architecture.DEPTH + 1
    assert plain[-1] > 3 * scaled[-1]
    assert after[1:] == pytest.approx([1.0] * architecture.DEPTH, abs=0.02)  # LayerNorm puts it back each time
    # each block adds about the same variance, so the square grows like the depth
    growth = np.diff(np.square(plain))
    assert growth.min() > 0 and plain[0] == pytest.approx(scaled[0])


def test_loss_through_a_window_against_one_token_at_a_time():
    gpt = GPT(sizes.gpt2(16), torch.Generator().manual_seed(0)).eval()
    stream = np.random.default_rng(1).integers(0, 500, size=max(architecture.WINDOWS) + 7)
    for n_ctx in (8, 32):
        nats = []
        for t in range(max(architecture.WINDOWS), len(stream)):
            before = torch.from_numpy(stream[t - n_ctx : t])[None]
            nats.append(-gpt(before)[0, -1].log_softmax(-1)[stream[t]].item())
        assert architecture._loss_through_window(gpt, stream, n_ctx) == pytest.approx(np.mean(nats), rel=1e-4)


@pytest.mark.slow
def test_cut_by_other_vocabularies_the_documents_are_the_same(monkeypatch):
    monkeypatch.setattr(architecture, "N_DOCUMENTS", 600)
    for n_vocab in (260, 512):
        data = architecture.cut_by(n_vocab)
        assert data.tokenizer.n_vocab == n_vocab
        assert data.tokenizer.decode(data.corpus.document(7).tolist()) == data.documents[7]
        if n_vocab == 260:
            assert data.corpus.n_tokens == sum(len(text.encode()) for text in data.documents)


def test_any_text_of_unicode_survives_the_vocabulary():
    rng = random.Random(2)
    tokenizer = dataset.story_dataset(500, 5).tokenizer
    for _ in range(50):
        text = architecture.some_text(rng, 40)
        assert len(text) == 40 and tokenizer.decode(tokenizer.encode(text)) == text
