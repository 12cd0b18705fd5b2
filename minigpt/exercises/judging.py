"""What the checks of all chapters share: calling the reader's function, comparing, and saying what is wrong."""

import functools
import numbers
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from types import ModuleType
from unittest import mock

from minigpt.notebook import display


class Problem(Exception):
    """What is wrong with an answer, in a sentence for the reader."""


class NotAttempted(Exception):
    """The answer is still `...`."""


SIGNS = {"correct": "✓", "written": "✓", "not yet": "✗", "not attempted yet": "○"}
DONE = ("correct", "written")  # "written": an answer in words, which nobody has judged


def verdict(examine: Callable[[], None], praise: str, done: str = "correct") -> tuple[str, str]:
    """Verdict on an answer: (`done`, "not yet" or "not attempted yet", and a sentence in one line).

    examine raises Problem for a wrong answer and NotAttempted for none. done: "correct" or "written". The small models
    that a check makes are made on the CPU, where its numbers are, as in `devices.on_cpu` (which would import torch).
    """
    try:
        with mock.patch.dict(os.environ, MINIGPT_DEVICE="cpu"):
            examine()
        found, words = done, praise
    except NotAttempted:
        found, words = "not attempted yet", ""
    except Problem as problem:
        found, words = "not yet", problem.args[0][0].upper() + problem.args[0][1:]
    except Exception as error:  # noqa: BLE001  an answer of a form that nobody thought of gets its line too
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        words = f"Your answer has a form that cannot be judged; is it what was asked for? ({short(what)})"
        found = "not yet"
    words = " ".join(words.split())
    return found, words + "." * (words != "" and words[-1] not in ".?!")


def judge(exercise: str | int, examine: Callable[[], None], praise: str, hint: str = "", done: str = "correct") -> None:
    """Show the verdict of a check, whatever the answer was.

    exercise: the name that the reader's answer has in the notebook, such as "my_head", or a number. For a name the
    verdict has a sign and a colour in a notebook, and `hint` folds out of a "not yet"; for a number it is a printed
    line. Where the environment says MINIGPT_GRADE=1, for graders, an answer that is not correct (or, where words are
    asked for, not written) raises as well.

    Errors: AssertionError with the same line, if grading.
    """
    found, words = verdict(examine, praise, done)
    if isinstance(exercise, str):
        line = display.verdict(SIGNS[found], exercise, found, words, hint if found == "not yet" else "")
    else:
        line = f"exercise {exercise}: {f'{found}. {words}' if words else found}"
        sys.stdout.write(line + "\n")
    if os.environ.get("MINIGPT_GRADE") == "1" and found not in DONE:
        raise AssertionError(line)


def exercise(name: str, praise: str, hint: str = "", done: str = "correct") -> Callable:
    """Decorator: a function that examines an answer becomes the check of the exercise of this name.

    The check shows its verdict, as `judge` does, when it is called with an answer; check.verdict(answer) only gives it
    back, and check.exercise is the name.
    """

    def decorate(examine: Callable) -> Callable[..., None]:
        @functools.wraps(examine)
        def check(answer) -> None:
            judge(name, functools.partial(examine, answer), praise, hint, done)

        check.exercise = name
        check.verdict = lambda answer: verdict(functools.partial(examine, answer), praise, done)
        return check

    return decorate


def score(answers: dict, *chapters: ModuleType) -> None:
    """Show how many exercises of a notebook are solved: all answers are judged again, so that none is out of date.

    answers: the notebook's names and what they stand for, globals(). chapters: the modules that hold the checks. An
    exercise whose name the notebook does not have is another notebook's, and does not count.
    Errors: ValueError if the notebook has none of the exercises of these modules.
    """
    checks = {c.exercise: c for chapter in chapters for c in vars(chapter).values() if hasattr(c, "exercise")}
    found = {name: checks[name].verdict(answer)[0] for name, answer in answers.items() if name in checks}
    if not found:
        names = ", ".join(checks) or "no exercises"
        raise ValueError(f"expected the names of a notebook, globals(), with one of {names}")
    n = sum(how in DONE for how in found.values())
    display.scores([(SIGNS[how], name) for name, how in found.items()], f"{n} of {len(found)} exercises solved")


def called(answer: Callable, *arguments, advice: str = ""):
    """What the reader's function answers; a function that stops with an error is told where."""
    if answer is ...:
        raise NotAttempted
    if not callable(answer):
        raise Problem(f"expected your function itself, without brackets after its name; got {short(answer)}")
    try:
        got = answer(*arguments)
    except Exception as error:  # noqa: BLE001  whatever the reader's code does, it gets an answer in words
        shown = ", ".join(short(a) for a in arguments if not callable(a))
        hint = f": {advice}" if advice else ""
        message = " ".join(str(error).split())
        what = f"your function stopped with {type(error).__name__} ({message}) when it was given {shown}"
        raise Problem(what + hint) from None
    if got is ...:
        raise NotAttempted
    if got is None:
        raise Problem("your function returned nothing (None): does every way through it end with `return`?")
    return got


def compare(got, right: float, mistakes: tuple, where: str, advice: str = "", tolerance: float = 1e-6) -> None:
    """Pass if the number is right; else name the mistake that would give exactly this number."""
    got = scalar(got)
    if isinstance(got, bool) or not isinstance(got, numbers.Real):
        raise Problem(f"expected a number, got {short(got)} {where}".rstrip())
    if close(got, right, tolerance):
        return
    place = f"{where} " if where else ""
    for value, sentence in mistakes:
        if close(got, value, tolerance) and not close(value, right, tolerance):
            raise Problem(sentence + f" ({place}you have {_number(got)})")
    hint = f": {advice}" if advice else ""
    # The right number is told for an example, where it helps, and not where it is the whole answer.
    should = f"{place}it should be {_number(right)}, and you have {_number(got)}" if where else f"{got:.4f} is not it"
    raise Problem(should + hint)


def compare_lists(got, right: list, mistakes: tuple, where: str) -> None:
    """Pass if two lists of numbers agree; else name the mistake that would give exactly this one."""
    got = got.tolist() if hasattr(got, "tolist") else got
    if not isinstance(got, (list, tuple)):
        raise Problem(f"expected a list, got {type(got).__name__} {where}")
    got = [scalar(x) for x in got]
    if any(isinstance(x, bool) or not isinstance(x, (int, float)) for x in got):
        raise Problem(f"expected a list of numbers, got {short(got)} {where}")
    if len(got) != len(right):
        raise Problem(f"expected {len(right)} numbers, and got {len(got)} {where}")
    if near(got, right):
        return
    for wrong, sentence in mistakes:
        if wrong is not None and near(got, wrong) and not near(wrong, right):
            raise Problem(f"{sentence} ({where})")
    raise Problem(f"{where} it should be {short(right)}, and you have {short([float(x) for x in got])}")


def parts(got, n: int, what: str) -> list:
    """An answer of n parts, whether it came as a tuple, a list, an array or a tensor."""
    got = got.tolist() if hasattr(got, "tolist") else got
    if not isinstance(got, (tuple, list)) or len(got) != n:
        raise Problem(f"expected {what}; got {short(got)}")
    return list(got)


def is_near(got, right: float) -> bool:
    """Whether a part of an answer is this number, to six digits; whatever is no number is not."""
    got = scalar(got)
    return isinstance(got, (int, float)) and not isinstance(got, bool) and close(got, right, 1e-6)


def line_through(x: Sequence, y: Sequence) -> tuple[float, float]:
    """(slope, level at 0) of the least-squares line."""
    mx, my = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)
    return slope, my - slope * mx


def slips(made: Callable, ways_to_slip: dict[str, tuple]) -> Iterator[tuple]:
    """What one slip makes of the answer, and then what two slips at once make of it, each with its sentence.

    made(**how) is the answer with the slips `how`; ways_to_slip: what may go wrong -> (how, sentence) of each way.
    """
    for n in (1, 2):
        for names in combinations(ways_to_slip, n):
            for ways in product(*(ways_to_slip[name] for name in names)):
                how = {name: way for name, (way, _) in zip(names, ways)}
                yield made(**how), "; and ".join(sentence for _, sentence in ways)


def near(a, b) -> bool:
    """Whether two lists hold the same numbers, to six decimals."""
    return len(a) == len(b) and all(abs(x - y) <= 1e-6 for x, y in zip(a, b))


def scalar(got):
    """The one number (or truth value) in an array or tensor of one; anything else as it is."""
    one = hasattr(got, "item") and all(n == 1 for n in getattr(got, "shape", ()))
    return got.item() if one else got


def close(a: float, b: float, tolerance: float) -> bool:
    """Whether two numbers agree: relative to their size, or as so many digits if the tolerance is that of a guess."""
    return abs(a - b) <= tolerance * max(1.0, abs(b)) if tolerance < 1e-3 else abs(a - b) <= tolerance


def short(x) -> str:
    """A value in few letters: lists with three decimals, anything else cut after 60 letters."""
    if isinstance(x, list) and all(isinstance(each, numbers.Real) for each in x):
        return "[" + ", ".join(_number(each, 3) for each in x) + "]"
    try:
        text = " ".join(repr(x).split())
    except Exception:  # noqa: BLE001  an answer may have no words for itself
        text = f"something of type {type(x).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _number(x: float, digits: int = 4) -> str:
    return f"{x:.{digits}f}" if isinstance(x, float) else str(x)
