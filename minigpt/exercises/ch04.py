"""Checks for the exercises of chapter 04, InstructGPT.

Each takes the reader's own function, tries it on examples it has not seen, and prints one line: correct, or the likely
mistake. What is right is worked out here by hand; never stored.
"""

import math
import random
from collections.abc import Callable

from minigpt.exercises.judging import Problem, called, compare, compare_lists, judge, short

RANKINGS = ([2, 1, 3], [1, 1, 2, 3], [3, 3, 2, 1], [1, 2, 2, 2, 1])


def _all_pairs(ranks):
    n = len(ranks)
    return [(w, loser) for w in range(n) for loser in range(n) if ranks[w] < ranks[loser]]


def pairs(answer: Callable[[list], list]) -> None:
    """Exercise 1: who was ranked above whom; ties are no pairs."""

    def examine():
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

    judge(1, examine, "K answers make K (K - 1) / 2 pairs, less the ties.")


def ranking_loss(answer: Callable[[list, list], float]) -> None:
    """Exercise 2: the mean surprise of the reward model over all pairs."""

    def examine():
        rng = random.Random(2)
        for ranks in RANKINGS:
            scores = [3 * rng.random() - 1 for _ in ranks]
            ahead = [scores[w] - scores[loser] for w, loser in _all_pairs(ranks)]
            losses = [math.log(1 + math.exp(-x)) for x in ahead]
            n = len(losses)
            mistakes = (
                (sum(losses), "divide by the number of pairs"),
                (
                    sum(losses) / (len(ranks) * (len(ranks) - 1) / 2),
                    "ties are no pairs: divide by the pairs that are left",
                ),
                (sum(math.log(1 + math.exp(x)) for x in ahead) / n, "the sign: the winner's score minus the loser's"),
                (-sum(losses) / n, "the sign of the loss: a logarithm of a probability is negative"),
                (sum(1 / (1 + math.exp(-x)) for x in ahead) / n, "take minus the logarithm of the sigmoid"),
                (sum(losses) / n / math.log(2), "in nats: the natural logarithm"),
            )
            where = f"for ranks {ranks} and scores {[round(s, 2) for s in scores]}"
            compare(called(answer, list(scores), list(ranks)), sum(losses) / n, mistakes, where)

    judge(2, examine, "With all scores equal it is ln 2, whatever the ranking.")


def best_policy(answer: Callable[[list, list, float], list]) -> None:
    """Exercise 3: the SFT model, tilted by the reward."""

    def examine():
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

    judge(3, examine, "Nothing had to be trained; only Z is out of reach when answers cannot be listed.")


def advantages(answer: Callable[[list, list, float], list]) -> None:
    """Exercise 4: generalised advantage estimation for one answer."""

    def examine():
        rng = random.Random(4)
        for n, lam in ((3, 0.95), (5, 0.5), (2, 1.0), (4, 0.0)):
            rewards = [round(2 * rng.random() - 1, 2) for _ in range(n)]
            values = [round(rng.random() + 0.2, 2) for _ in range(n)]

            def estimate(lam, after, rewards=rewards, values=values, sign=1, n=n):
                out, following = [0.0] * n, 0.0
                for t in reversed(range(n)):
                    value_after = values[t + 1] if t + 1 < n else after
                    following = rewards[t] + sign * (value_after - values[t]) + lam * following
                    out[t] = following
                return out

            right = estimate(lam, 0.0)
            mistakes = (
                (estimate(lam, values[-1]), "behind the last token nothing is to come: V is 0 there"),
                (estimate(lam, 0.0, sign=-1), "the sign: what comes after, minus what was expected"),
                ([a + v for a, v in zip(right, values)], "those are the returns: advantages come before V is added"),
                (estimate(1.0, 0.0), "each later surprise counts lam times less"),
                (estimate(0.0, 0.0), "those are the surprises of one step: add up the ones that follow"),
                ([sum(rewards[t:]) for t in range(n)], "take away what was expected"),
                (right[::-1], "from the last token to the first, and then in the order of the text"),
            )
            where = f"for rewards {rewards}, values {values} and lam = {lam}"
            compare_lists(called(answer, list(rewards), list(values), lam), right, mistakes, where)

    judge(4, examine, "With lam = 1 the return is exactly what came.")


def clipped(answer: Callable[[float, float, float, float], float]) -> None:
    """Exercise 5: the clipped objective of one token."""

    def examine():
        for ratio, advantage in ((1.1, 1.0), (1.4, 2.0), (0.6, 2.0), (1.4, -1.5), (0.6, -1.5)):
            for eps in (0.2, 0.1):
                old = -1.3
                logp = old + math.log(ratio)
                cut = min(max(ratio, 1 - eps), 1 + eps)
                right = min(ratio * advantage, cut * advantage)
                mistakes = (
                    (-right, "the objective, to be made large: no minus"),
                    (cut * advantage, "the smaller of the two: the clipped one alone forgives steps in the wrong direction"),
                    (ratio * advantage, "clip the ratio, and take the smaller of the two"),
                    (max(ratio * advantage, cut * advantage), "the smaller of the two, not the larger"),
                    (min((logp - old) * advantage, cut * advantage), "the ratio is e to the difference of the logarithms"),
                    (min(advantage / ratio, min(max(1 / ratio, 1 - eps), 1 + eps) * advantage),
                     "the ratio is new over old, not old over new"),
                )  # fmt: skip
                where = f"for a ratio of {ratio}, an advantage of {advantage} and eps = {eps}"
                compare(called(answer, logp, old, advantage, eps), right, mistakes, where)

    judge(5, examine, "It never pays to go further than eps in the good direction.")


def leave_one_out(answer: Callable[[list], list]) -> None:
    """Exercise 6: each answer against the mean of the others."""

    def examine():
        rng = random.Random(6)
        for n in (2, 4, 3):
            rewards = [round(4 * rng.random(), 2) for _ in range(n)]
            total = sum(rewards)
            right = [r - (total - r) / (n - 1) for r in rewards]
            spread = math.sqrt(sum((r - total / n) ** 2 for r in rewards) / n)
            mistakes = (
                ([r - total / n for r in rewards], "leave the answer itself out of the mean: it gives only (K - 1) / K of the gradient"),
                ([(total - r) / (n - 1) for r in rewards], "that is the mean of the others: how much is the answer above it?"),
                ([-x for x in right], "the sign: above the others is positive"),
                ([(r - total / n) / spread for r in rewards], "that is GRPO's: no division by the spread"),
                ([r - (total - r) / n for r in rewards], "there are K - 1 others"),
            )  # fmt: skip
            compare_lists(called(answer, list(rewards)), right, mistakes, f"for rewards {rewards}")

    judge(6, examine, "No value function, and still right on average.")


def dpo_loss(answer: Callable[[float, float, float, float, float], float]) -> None:
    """Exercise 7: the ranking loss with the policy as its own reward model."""

    def examine():
        rng = random.Random(7)
        for beta in (0.1, 0.5, 2.0):
            w, loser, sft_w, sft_l = (-5 * rng.random() - 1 for _ in range(4))
            ahead = beta * ((w - sft_w) - (loser - sft_l))

            def surprise(x):
                return math.log(1 + math.exp(-x))

            mistakes = (
                (surprise(-ahead), "the winner's log-ratio minus the loser's, not the other way round"),
                (surprise(beta * (w - loser)), "take the SFT model's log-probabilities away: only the change counts"),
                (surprise(ahead / beta), "beta stands before both log-ratios"),
                (surprise(ahead / beta / beta), "multiply by beta, do not divide"),
                (-surprise(ahead), "a loss is positive: minus the logarithm of the sigmoid"),
                (1 / (1 + math.exp(-ahead)), "take minus the logarithm of the sigmoid"),
            )
            compare(called(answer, w, loser, sft_w, sft_l, beta), surprise(ahead), mistakes, f"for beta = {beta}")

    judge(7, examine, "Where the policy is still the SFT model it is ln 2 for every pair.")


def adaptive_beta(answer: Callable[[float, float, float, int, int], float]) -> None:
    """Exercise 8: the price of the distance, adapted."""

    def examine():
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

    judge(8, examine, "It rests where the KL is at its target.")
