"""What tests of experiments share."""

import pytest
import torch
from tiny import N_STEPS

from minigpt.experiments import canaries, dataset, pretraining
from minigpt.experiments.sizes import GPT1
from minigpt.model import GPT


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """A cache of trained models that is a test file's own, empty in the beginning."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def remembering():
    """What the grammars are asked again and again is computed once: for files that ask them much (canaries.py)."""
    with canaries.remembering():
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def shared_cache(shared_folder):
    """A cache of trained models that several test files share, empty in the beginning."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGPT_CACHE", str(shared_folder))
        yield


@pytest.fixture(scope="session")
def data():
    """A dataset so small that all is checked in seconds."""
    return dataset.story_dataset(n_documents=200, n_held_out=20)


@pytest.fixture(scope="session")
def pretrained(data, shared_folder):
    """GPT-1 after a few updates on `data`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGPT_CACHE", str(shared_folder))
        return pretraining.pretrain(data, n_steps=N_STEPS, n_watched=3)


@pytest.fixture(scope="session")
def untrained():
    return GPT(GPT1, torch.Generator().manual_seed(5)).eval()
