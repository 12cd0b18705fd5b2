"""The stored tables of data/measured are still true: each one's canary gives the same numbers as when it was stored."""

import importlib.util
from pathlib import Path

import pytest

from minigpt.experiments import measured

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("canary", ROOT / "benchmarks" / "canary.py")
canary = importlib.util.module_from_spec(spec)
spec.loader.exec_module(canary)


@pytest.mark.parametrize("name", canary.names())
def test_the_canary_of_a_table_gives_the_stored_numbers(name):
    assert canary.changed(measured.about(name)["canary"]["values"], canary.compute(name)) == []


def test_a_changed_number_is_seen():
    assert canary.changed({"loss": 2.0}, {"loss": 2.0001}) == []
    assert canary.changed({"loss": 2.0}, {"loss": 2.001}) == ["loss: 2 became 2.001"]
    assert canary.changed({"loss": 2.0}, {"rate": 2.0}) == ["loss: only before", "rate: only now"]
