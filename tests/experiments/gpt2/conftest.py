"""What tests of the experiments with GPT-2 share."""

import pytest
import torch

from minigpt.experiments import dataset, sizes
from minigpt.model import GPT


@pytest.fixture(scope="session")
def library():
    """A dataset so small that it is there in a second; the files that ask for it are one group for xdist."""
    return dataset.story_dataset(600, 40)


@pytest.fixture(scope="session")
def untrained():
    """The smallest model before any training."""
    return GPT(sizes.gpt2(16), torch.Generator().manual_seed(0)).eval()
