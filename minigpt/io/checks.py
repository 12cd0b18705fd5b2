"""Checks of arguments: whole numbers and finite numbers, by one rule everywhere.

Numbers of numpy count as numbers; True and False never do.
"""

import math
import numbers
from dataclasses import fields

import numpy as np


def is_whole(value, smallest: float = -math.inf) -> bool:
    """Whether this is a whole number of at least `smallest`.

    >>> is_whole(3), is_whole(np.uint16(3), 1), is_whole(0, 1), is_whole(True), is_whole(3.0)
    (True, True, False, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and bool(value >= smallest)


def is_number(value) -> bool:
    """Whether this is a finite number.

    >>> is_number(0.5), is_number(np.float32(1)), is_number(math.nan), is_number(True), is_number("1")
    (True, True, False, False, False)
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def whole(value, name: str, smallest: int) -> int:
    """The same whole number as an int. Errors: ValueError, with the name, if it is none or below `smallest`."""
    if not is_whole(value, smallest):
        raise ValueError(f"expected {name} to be a whole number of at least {smallest}, got {value!r}")
    return int(value)


def kind(value) -> str:
    """What a value is, for messages: type and shape of an array or tensor, of anything else the name of its class.

    >>> kind(np.zeros((2, 3))), kind("words")
    ('float64 of shape (2, 3)', 'str')
    """
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return type(value).__name__


def use_python_numbers(config) -> None:
    """Replace numpy's numbers in the fields of a frozen dataclass by Python's, which JSON and cache keys understand."""
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, np.generic):
            object.__setattr__(config, field.name, value.item())
