"""What several test files ask for: 300 short documents, and their ids."""

import pytest
from letters import BYTES, draw_documents

from minigpt import corpus


@pytest.fixture(scope="module")
def documents():
    return draw_documents()


@pytest.fixture(scope="module")
def encoded(documents):
    return corpus.encode(documents, BYTES)
