"""What the checks of all chapters share: calling the reader's function, comparing, and saying it in one line."""

import numbers
import os
from collections.abc import Callable


class Problem(Exception):
    """What is wrong with an answer, in a sentence for the reader."""


class NotAttempted(Exception):
    """The answer is still `...`."""


def judge(number: int, examine: Callable[[], None], praise: str) -> None:
    """Verdict of a check: print it in one line, whatever the answer was.

    Where the environment says MINIGPT_GRADE=1, for graders, an answer that is not correct raises as well.

    Errors: AssertionError with the same line, if grading.
    """
    try:
        examine()
        verdict = f"correct. {praise}"
    except NotAttempted:
        verdict = "not attempted yet"
    except Problem as problem:
        verdict = f"not yet. {problem.args[0][0].upper()}{problem.args[0][1:]}."
    except Exception as error:  # noqa: BLE001  an answer of a form that nobody thought of gets its line too
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        verdict = f"not yet. Your answer has a form that cannot be judged; is it what was asked for? ({short(what)})."
    verdict = " ".join(verdict.split())
    print(f"exercise {number}: {verdict}")
    if os.environ.get("MINIGPT_GRADE") == "1" and not verdict.startswith("correct"):
        raise AssertionError(f"exercise {number}: {verdict}")


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
