"""Few-shot models: GPT-3's form in every width, and the rows of each."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minigpt.experiments import canaries
from minigpt.experiments.gpt3 import few_shot, in_context
from minigpt.model import GPT


@pytest.mark.parametrize("d_model", few_shot.WIDTHS)
def test_every_width_is_pre_ln_with_embeddings_of_size_one(d_model):
    config = few_shot.model_config(d_model)
    gpt = GPT(config, torch.Generator().manual_seed(0))
    stream = gpt.embed(torch.arange(40)[None])
    assert config.norm == "pre" and config.n_layers == 3
    assert stream.std().item() == pytest.approx(np.sqrt(1 + 1 / 4), abs=0.15)
    with pytest.raises(ValueError, match="expected a width among"):
        few_shot.model_config(d_model + 1)


def test_only_the_middle_width_has_rows_about_limits(monkeypatch):
    with canaries.short_writing(120):
        lists = in_context.list_dataset()
    gpt = GPT(few_shot.model_config(16, lists.tokenizer.n_vocab), torch.Generator().manual_seed(0)).eval()
    trained = SimpleNamespace(model=gpt, steps=[9], snapshots=(), at=None)
    monkeypatch.setattr(few_shot, "pretrain", lambda *args: trained)
    monkeypatch.setattr(in_context, "copying_and_labels", lambda *args: {("post 64", "copying", 8, "training", 9): 0.5})
    narrow, middle = (few_shot.measure(lists, d, 0, 3) for d in (16, 64))
    assert middle[64, "copying", 8, "training", 9] == 0.5 and len(middle) == len(narrow) + 1
    assert {where[1:4] for where in narrow} == {
        (family, k, which) for family, which in in_context.KINDS for k in in_context.SHOTS
    }
