"""The examples in the docstrings of every module are right."""

import doctest
import importlib
import pkgutil

import pytest

import minigpt

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(minigpt.__path__, "minigpt.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    tests = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    assert sum(len(test.examples) for test in tests) >= 100
