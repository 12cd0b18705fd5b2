"""What tests of the three steps share."""

import pytest
import torch

from minigpt.experiments import sizes
from minigpt.model import GPT


@pytest.fixture(scope="module")
def gpt():
    """A network of chapter 04's size before any training."""
    return GPT(sizes.INSTRUCTGPT, torch.Generator().manual_seed(0)).eval()
