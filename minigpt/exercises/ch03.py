"""Checks for the exercises of chapter 03, GPT-3.

Each takes the reader's own function, tries it on examples it has not seen, and shows one line: correct, or the likely
mistake. What is right is worked out by the modules of the package, or by hand; never stored. Those on prompts and on
the best possible learner are in ch03_context, those on the model in ch03_model, those of the labs in labs03.
"""

import math
import random
from collections.abc import Callable

import numpy as np

from minigpt import scaling
from minigpt.exercises.ch03_context import posterior as posterior
from minigpt.exercises.ch03_context import prompt as prompt
from minigpt.exercises.ch03_model import accumulate as accumulate
from minigpt.exercises.ch03_model import induction_score as induction_score
from minigpt.exercises.ch03_model import silenced as silenced
from minigpt.exercises.judging import Problem, called, compare, exercise, is_near, parts, scalar, short
from minigpt.exercises.open_answers import critique as critique
from minigpt.exercises.open_answers import experiment as experiment


@exercise("my_pf_days", "3,640 petaflop/s-days for the largest model, as Table D.1 says.",
          hint="C = 6 N D operations. A petaflop/s is 10^15 of them a second; a day has 86,400 seconds.")  # fmt: skip
def pf_days(answer: Callable[[float, float], float]) -> None:
    """Compute of a training run, in petaflop/s-days, from parameters and tokens."""
    for N, D in ((174.6e9, 300e9), (125e6, 300e9), (1.3e9, 26e9)):
        right = scaling.pf_days(scaling.flops_6nd(N, D))
        mistakes = (
            (right / 3, "2 N D is the forward pass: the backward pass costs twice that again, 6 N D in all"),
            (right * 2 / 3, "4 N D is the backward pass: add the forward pass, 2 N D"),
            (right / 6, "six operations for each parameter and token: C = 6 N D"),
            (right * 86_400, "that is in petaflop/s-seconds: a day has 86,400 seconds"),
            (right * 24, "that is in petaflop/s-hours: a day has 24 hours"),
            (right * 8.64e19, "that is in operations: divide by those of a petaflop/s-day"),
            (right * 1e15, "divide by 10^15: a petaflop/s is so many operations in a second"),
            (right * 1e3, "a petaflop/s is 10^15 operations in a second, not 10^12"),
            (right / 1e3, "a petaflop/s is 10^15 operations in a second, not 10^18"),
            (right * 24 * 60, "that is in petaflop/s-minutes: a day has 1,440 minutes"),
            (right * 60, "a day has 24 hours of 3,600 seconds: you left out a 60"),
            (right * 24 * 3600**2, "divide by the 86,400 seconds of a day; you multiplied"),
        )
        where = f"for {N / 1e9:g} billion parameters and {D / 1e9:g} billion tokens"
        compare(called(answer, N, D), right, mistakes, where)


@exercise("my_micro_batches", "The step is that of the whole batch, whatever the memory of one card holds.",
          hint="How many windows are in the batch? How many do all workers read at once? Round up.")  # fmt: skip
def micro_batches(answer: Callable[[float, int, int, int], int]) -> None:
    """How many micro-batches each worker reads before one step."""
    for case in ((3.2e6, 2048, 4, 64), (0.5e6, 2048, 2, 8), (1e6, 1000, 5, 10), (3.2e6, 2048, 1, 1)):
        tokens, n_ctx, each, n_workers = case
        windows, right = tokens / n_ctx, scaling.micro_batches(*case)
        mistakes = (
            (windows / (each * n_workers), "a part of a micro-batch is one, too: round up to a whole number"),
            (math.floor(windows / (each * n_workers)), "round up: what is left over must be read as well"),
            (math.ceil(windows / each), "the workers share the batch: divide by their number, too"),
            (math.ceil(windows / n_workers), "each worker holds several windows at once: divide by them, too"),
            (math.ceil(windows), "that is the number of windows: how many rounds do the workers need?"),
            (math.ceil(tokens / (each * n_workers)), "a batch is counted in tokens: divide by n_ctx to get windows"),
            (math.ceil(windows / each * n_workers), "more workers, fewer rounds: divide by their number"),
            (math.ceil(windows / (each * n_workers)) * n_workers, "that is the number of all workers together"),
        )
        where = f"for a batch of {tokens:,.0f} tokens, windows of {n_ctx}, {each} at once and {n_workers} workers"
        compare(called(answer, *case), right, mistakes, where, tolerance=1e-12)


@exercise("my_choose", "Which of them is fair depends on the task; the paper chose on its development sets.",
          hint='One score for each choice: `logp[c]`, or divided by `n_tokens[c]`, or minus `alone[c]`. Then '
               "`max(scores, key=scores.get)`.")  # fmt: skip
def choose(answer: Callable[[dict, dict, dict, str], str]) -> None:
    """The three ways to compare completions of different length and frequency."""
    rng = random.Random(2)
    for _ in range(12):
        n_tokens = {" yes": 1, " not at all": 3, " never": 2}
        logp = {c: -n * (0.5 + 2 * rng.random()) for c, n in n_tokens.items()}
        alone = {c: -n * (0.5 + 3 * rng.random()) for c, n in n_tokens.items()}
        each = {
            "plain": logp,
            "per token": {c: logp[c] / n for c, n in n_tokens.items()},
            "unconditional": {c: logp[c] - alone[c] for c in logp},
        }
        for how, scores in each.items():
            right = max(scores, key=scores.get)
            got = scalar(called(answer, dict(logp), dict(n_tokens), dict(alone), how))
            if got == right:
                continue
            if not isinstance(got, str) or got not in n_tokens:
                raise Problem(f"expected one of {list(n_tokens)}, got {short(got)}")
            for wrong, sentence in _misread(how, logp, n_tokens, alone, scores):
                if got == wrong:
                    raise Problem(f'{sentence} (how = "{how}")')
            raise Problem(f'for how = "{how}" expected {right!r}, got {got!r}')


def _misread(how: str, logp: dict, n_tokens: dict, alone: dict, scores: dict) -> tuple:
    """(what a likely mistake would choose, how to put it right) for one way of comparing."""
    plain, least = max(logp, key=logp.get), (min(scores, key=scores.get), "the best is the largest, not the smallest")
    if how == "per token":
        times = max(logp, key=lambda c: logp[c] * n_tokens[c])
        return (
            (plain, "divide each log-probability by its number of tokens"),
            (times, "divide by the number of tokens, do not multiply"),
            least,
        )
    if how == "unconditional":
        return (
            (plain, "take log P(choice | answer context) away from each"),
            (max(logp, key=lambda c: logp[c] + alone[c]), "a quotient of probabilities is a difference of logarithms"),
            (max(logp, key=lambda c: logp[c] / alone[c]), "divide probabilities, not their logarithms"),
            least,
        )
    return (
        (max(logp, key=lambda c: logp[c] / n_tokens[c]), "plain means: divide by nothing"),
        (max(logp, key=lambda c: logp[c] - alone[c]), "plain means: nothing is taken away"),
        least,
    )


@exercise("my_fit", "Above the floor it is a straight line on log-log axes: the slope is the exponent.",
          hint="`np.polyfit(np.log(C), np.log(L - floor), 1)` gives b first, and then log a. A list has no minus: "
               "`np.array(L) - floor`.")  # fmt: skip
def fit(answer: Callable[[np.ndarray, np.ndarray, float], tuple]) -> None:
    """The two numbers of L - floor = a C^b, by least squares through the logarithms."""
    rng = random.Random(6)
    for a, b, floor in ((2.57, -0.48, 0.7), (7.0, -0.3, 1.9), (0.5, -0.05, 0.0)):
        C = np.array([10 ** (x / 2) for x in range(-3, 8, 2)])
        L = floor + np.array([a * c**b * math.exp(0.02 * (rng.random() - 0.5)) for c in C])
        got = parts(called(answer, C.copy(), L.copy(), floor), 2, "two numbers, a and b")
        x, y = np.log(C), np.log(L - floor)
        slope, level = np.polyfit(x, y, 1).tolist()
        where = f"for points near L = {floor:g} + {a:g} C^{b:g}"
        if is_near(got[0], slope) and (is_near(got[1], level) or is_near(got[1], math.exp(level))):
            words = ", and then log a: take e to the power of it" if is_near(got[1], level) else ""
            raise Problem(f"the order: first a, then b; you have b first{words} ({where})")
        mistakes = (
            (np.polyfit(x, np.log(L), 1)[0], "take the floor off first: L - floor is what falls along a line"),
            (np.polyfit(C, L - floor, 1)[0], "fit a line through the logarithms of both, C and L - floor"),
            (np.polyfit(x, L - floor, 1)[0], "take the logarithm of L - floor, too"),
            (-slope, "the sign: L falls, so b is negative in L - floor = a C^b"),
            (np.polyfit(y, x, 1)[0], "you fitted C against L: L is what is explained"),
        )
        compare(got[1], slope, mistakes, where + ", b:")
        mistakes = (
            (level, "that is log a: take e to the power of it"),
            (10**level, "the logarithm was natural: take e to the power of it, not 10"),
            (L[0] - floor, "a is the gap at C = 1, not at the smallest C"),
            (floor + math.exp(level), "a is the gap at C = 1, without the floor"),
        )
        compare(got[0], math.exp(level), mistakes, where + ", a:")
