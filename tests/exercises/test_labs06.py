"""The checks of the labs of chapter 06 know right from wrong, and say what is wrong."""

import re

from exercising import grouped, named_checks

from minigpt.exercises import labs06


def more(old, fewer):
    comply = 100 - old
    return 100 * (old * fewer / 100) / comply


def ends(text):
    found = [int(x) for x in re.findall(r"\d+", text)]
    return (0, found[0]) if text.startswith("below") else (found[0], found[-1])


RIGHT = {
    "old_rate": [lambda points, relative: points / (relative / 100)],
    "compliance": [more],
    "ends": [ends, lambda text: list(ends(text))],
}

WRONG = [
    ("old_rate", lambda p, r: 100 * p / r + p, "new rate"),
    ("old_rate", lambda p, r: p / r, "times 100"),
    ("old_rate", lambda p, r: p * r / 100, "divide instead"),
    ("old_rate", lambda p, r: r / p, "upside down"),
    ("compliance", lambda old, fewer: fewer, "per cent of what"),
    ("compliance", lambda old, fewer: old * fewer / 100, "in points"),
    ("compliance", lambda old, fewer: more(old, fewer) / 100, "times 100"),
    ("compliance", lambda old, fewer: 100 - old * (1 - fewer / 100), "new share"),
    ("ends", lambda text: ends(text)[::-1], "first the lower"),
    ("ends", lambda text: (ends(text)[0], ends(text)[0]), "two ends"),
    ("ends", lambda text: (ends(text)[1], ends(text)[1]) if "below" in text else ends(text), "lower end is 0"),
    ("ends", lambda text: ends(text)[0], "two numbers"),
]

globals().update(named_checks(labs06, RIGHT, grouped(WRONG)))
