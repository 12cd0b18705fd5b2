"""Which numbers count as numbers."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch

from minigpt.io.checks import is_number, is_whole, use_python_numbers, whole

WHOLE = [0, 7, -3, 10**30, np.int64(7), np.uint16(7), np.int8(-3)]
NUMBERS = [0.5, np.float64(0.5), np.float32(0.5), np.float16(0.5), Fraction(1, 2)]
NEITHER = [True, False, np.bool_(True), "7", b"7", None, [7], (7,), np.array(7), np.array([7]), torch.tensor(7), 1j]
NEITHER += [math.nan, math.inf, -math.inf, np.float32(math.nan), np.float64(math.inf)]


def test_what_counts_as_a_number():
    assert [x for x in WHOLE if not is_whole(x) or not is_number(x)] == []
    assert [x for x in NUMBERS if is_whole(x) or not is_number(x)] == []
    assert [x for x in NEITHER if is_whole(x) or is_number(x)] == []
    assert [is_whole(x, 0) for x in WHOLE] == [x >= 0 for x in WHOLE]


def test_whole_gives_an_int_or_names_what_came():
    assert [type(whole(x, "n", -3)) for x in WHOLE] == [int] * len(WHOLE)
    for wrong in (*NUMBERS, *NEITHER, 2, np.int64(2)):
        with pytest.raises(ValueError, match="expected n_rows to be a whole number of at least 3, got "):
            whole(wrong, "n_rows", 3)


@dataclass(frozen=True)
class Settings:
    n: int = np.int64(3)
    share: float = np.float32(0.5)
    on: bool = np.bool_(True)
    name: str = "x"


def test_numbers_of_numpy_become_pythons():
    settings = Settings()
    use_python_numbers(settings)
    assert [(x, type(x)) for x in vars(settings).values()] == [(3, int), (0.5, float), (True, bool), ("x", str)]
