"""Checks for the exercises of chapter 04, InstructGPT.

Each takes the reader's own function, tries it on examples it has not seen, and shows one line: correct, or the likely
mistake. What is right is worked out here by hand; never stored. Those on the reward model and on dashboards are in
ch04_models, those on the policy in ch04_policy.
"""

import math
import random
from collections.abc import Callable

from minigpt.exercises.judging import Problem, called, compare, compare_lists, exercise, short
from minigpt.exercises.open_answers import critique as critique
from minigpt.exercises.open_answers import experiment as experiment

RANKINGS = ([2, 1, 3], [1, 1, 2, 3], [3, 3, 2, 1], [1, 2, 2, 2, 1])


def _all_pairs(ranks):
    n = len(ranks)
    return [(w, loser) for w in range(n) for loser in range(n) if ranks[w] < ranks[loser]]


@exercise("my_pairs", "K answers make K (K - 1) / 2 pairs, less the ties.",
          hint="Two loops over the numbers of the answers; keep `(i, j)` where `ranks[i] < ranks[j]`.")  # fmt: skip
def pairs(answer: Callable[[list], list]) -> None:
    """Who was ranked above whom; ties are no pairs."""
    for ranks in RANKINGS:
        got = called(answer, list(ranks))
        try:
            found = sorted((int(w), int(loser)) for w, loser in got)
        except (TypeError, ValueError):
            raise Problem(f"expected a list of pairs (winner, loser), got {short(got)}") from None
        right, n = _all_pairs(ranks), len(ranks)
        for wrong, sentence in (
            (sorted((loser, w) for w, loser in right), "the winner comes first, and rank 1 is the best"),
            (sorted({*right, *((i, j) for i in range(n) for j in range(i) if ranks[i] == ranks[j])}),
             "a tie gives no pair"),
            (sorted({*right, *((j, i) for i in range(n) for j in range(i) if ranks[i] == ranks[j])}),
             "a tie gives no pair"),
            ([(w, loser) for w, loser in right if ranks[loser] == ranks[w] + 1],
             "all pairs count, not only neighbours in the ranking"),
        ):  # fmt: skip
            if found == wrong and wrong != right:
                raise Problem(f"{sentence} (for ranks {ranks})")
        if found != right:
            raise Problem(f"for ranks {ranks} expected {right}, got {short(found)}")


@exercise("my_best_policy", "Nothing had to be trained; only Z is out of reach when answers cannot be listed.",
          hint="`math.exp(r / beta)` times the probability of each answer; then divide by the sum.")  # fmt: skip
def best_policy(answer: Callable[[list, list, float], list]) -> None:
    """The SFT model, tilted by the reward."""
    rng = random.Random(3)
    for beta in (0.3, 1.0, 2.5):
        raw = [rng.random() for _ in range(4)]
        p, r = [x / sum(raw) for x in raw], [2 * rng.random() - 1 for _ in range(4)]
        weights = [a * math.exp(b / beta) for a, b in zip(p, r)]

        def scaled(numbers):
            return [x / sum(numbers) for x in numbers]

        mistakes = (
            (weights, "divide by the sum Z, so that the probabilities add to 1"),
            (scaled([math.exp(b / beta) for b in r]), "begin with the SFT model's probabilities: multiply by them"),
            (scaled([a * math.exp(b * beta) for a, b in zip(p, r)]), "divide the reward by beta, do not multiply"),
            (scaled([a * math.exp(b) for a, b in zip(p, r)]), "the reward counts 1 / beta times"),
            (
                scaled([a * math.exp(-b / beta) for a, b in zip(p, r)]),
                "the sign: a high reward makes an answer likelier",
            ),
            ([float(b == max(r)) for b in r], "that is the best answer alone: the limit for beta towards 0"),
        )
        where = f"for beta = {beta}"
        compare_lists(called(answer, list(p), list(r), beta), scaled(weights), mistakes, where)


@exercise("my_clipped", "It never pays to go further than eps in the good direction.",
          hint="`ratio = math.exp(logp - old_logp)`; the clipped ratio is `min(max(ratio, 1 - eps), 1 + eps)`."
          )  # fmt: skip
def clipped(answer: Callable[[float, float, float, float], float]) -> None:
    """The clipped surrogate objective of one token."""
    for ratio, advantage in ((1.1, 1.0), (1.4, 2.0), (0.6, 2.0), (1.4, -1.5), (0.6, -1.5)):
        for eps in (0.2, 0.1):
            old = -1.3
            logp = old + math.log(ratio)
            cut = min(max(ratio, 1 - eps), 1 + eps)
            right = min(ratio * advantage, cut * advantage)
            mistakes = (
                (-right, "the objective, to be made large: no minus"),
                (cut * advantage, "the smaller of the two: the clipped one alone forgives steps in the wrong way"),
                (ratio * advantage, "clip the ratio, and take the smaller of the two"),
                (max(ratio * advantage, cut * advantage), "the smaller of the two, not the larger"),
                (min((logp - old) * advantage, cut * advantage), "the ratio is e to the difference of the logarithms"),
                (min(advantage / ratio, min(max(1 / ratio, 1 - eps), 1 + eps) * advantage),
                 "the ratio is new over old, not old over new"),
            )  # fmt: skip
            where = f"for a ratio of {ratio}, an advantage of {advantage} and eps = {eps}"
            compare(called(answer, logp, old, advantage, eps), right, mistakes, where)


@exercise("my_adaptive_beta", "It rests where the KL is at its target.",
          hint="`e = min(0.2, max(-0.2, kl / target - 1))`.")  # fmt: skip
def adaptive_beta(answer: Callable[[float, float, float, int, int], float]) -> None:
    """The KL coefficient, adapted to a target."""
    for kl in (6.0, 6.6, 5.1, 40.0, 0.0):
        beta, target, n, horizon = 0.1, 6.0, 64, 2000
        e = kl / target - 1
        cut = min(0.2, max(-0.2, e))
        mistakes = (
            (beta * (1 + e * n / horizon), "cut the error to -0.2 ... 0.2"),
            (beta * (1 - cut * n / horizon), "the sign: too far away, and the price rises"),
            (beta * (1 + cut), "n / horizon says how much of the error counts at once"),
            (beta + cut * n / horizon, "the change is relative: multiply beta"),
            (beta * (1 + min(0.2, max(-0.2, kl - target)) * n / horizon), "the error is relative: KL / target - 1"),
        )
        where = f"for a KL of {kl} and a target of {target}"
        compare(called(answer, beta, kl, target, n, horizon), beta * (1 + cut * n / horizon), mistakes, where)
