"""What tests of experiments share."""

import pytest

from minigpt.experiments import canaries


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
