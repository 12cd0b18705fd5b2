"""Checks for the numbered exercises of chapter 03, GPT-3, in its first edition.

Each takes the reader's own function, tries it on examples it has not seen, and prints one line: correct, or the likely
mistake. What is right is worked out here by hand; never stored.
"""

import math
import random
from collections.abc import Callable

from minigpt.exercises.judging import Problem, called, compare, judge, scalar, short


def shots_that_fit(answer: Callable[[list, int, int], int]) -> None:
    """Exercise 1: how many examples fit into the window."""

    def examine():
        cases = (([5, 7, 6, 9, 8], 30, 8), ([4, 4, 4], 100, 10), ([10, 2, 2], 20, 15), ([6, 6, 6, 6], 32, 8))
        for lengths, n_ctx, rest in cases:
            right, used = 0, rest
            while right < len(lengths) and used + lengths[right] <= n_ctx:
                used += lengths[right]
                right += 1
            total, without = 0, 0
            for length in lengths:
                total += length
                without += total <= n_ctx
            strict = sum(rest + sum(lengths[: k + 1]) < n_ctx for k in range(len(lengths)))
            skipping, room = 0, n_ctx - rest
            for length in lengths:
                if length <= room:
                    skipping, room = skipping + 1, room - length
            mistakes = (
                (without, "the question and the answer need room in the window, too: rest tokens"),
                (strict, "a prompt that fills the window to the last token still fits"),
                (skipping, "stop at the first example that does not fit: leaving one out changes which are shown"),
                (len(lengths), "not all of them fit"),
                (used, "that is the number of tokens; how many examples is it?"),
                (sum(length <= n_ctx - rest for length in lengths), "they stand in the window together: add them up"),
                ((n_ctx - rest) // max(lengths), "the examples differ in length: add them up one by one"),
            )
            where = f"for examples of {lengths} tokens, {rest} for the rest, and a window of {n_ctx}"
            compare(called(answer, list(lengths), n_ctx, rest), right, mistakes, where)

    judge(1, examine, 'That is K, "as many as fit".')


def choose(answer: Callable[[dict, dict, dict, str], str]) -> None:
    """Exercise 2: the three ways to compare completions of different length and frequency."""

    def examine():
        rng = random.Random(2)
        for _ in range(12):
            n_tokens = {" yes": 1, " not at all": 3, " never": 2}
            logp = {c: -n * (0.5 + 2 * rng.random()) for c, n in n_tokens.items()}
            alone = {c: -n * (0.5 + 3 * rng.random()) for c, n in n_tokens.items()}
            value = {
                "plain": lambda c, logp=logp: logp[c],
                "per token": lambda c, logp=logp, n=n_tokens: logp[c] / n[c],
                "unconditional": lambda c, logp=logp, alone=alone: logp[c] - alone[c],
            }
            for how, score in value.items():
                right = max(n_tokens, key=score)
                got = scalar(called(answer, dict(logp), dict(n_tokens), dict(alone), how))
                if got == right:
                    continue
                if got not in list(n_tokens):
                    raise Problem(f"expected one of {list(n_tokens)}, got {short(got)}")
                least = min(n_tokens, key=score)
                reasons = (*_misread(how, logp, n_tokens, alone), (least, "the best is the largest, not the smallest"))
                for wrong, sentence in reasons:
                    if got == wrong:
                        raise Problem(f'{sentence} (how = "{how}")')
                raise Problem(f'for how = "{how}" expected {right!r}, got {got!r}')

    judge(2, examine, "Which of them is fair depends on the task; the paper chose on its development sets.")


def _misread(how: str, logp: dict, n_tokens: dict, alone: dict) -> tuple:
    """(what a likely mistake would choose, how to put it right) for one way of comparing."""
    plain = max(logp, key=logp.get)
    if how == "per token":
        return (
            (plain, "divide each log-probability by its number of tokens"),
            (max(logp, key=lambda c: logp[c] * n_tokens[c]), "divide by the number of tokens, do not multiply"),
        )
    if how == "unconditional":
        return (
            (plain, "take log P(completion | answer context) away from each"),
            (max(logp, key=lambda c: logp[c] + alone[c]), "a quotient of probabilities is a difference of logarithms"),
            (max(logp, key=lambda c: logp[c] / alone[c]), "divide probabilities, not their logarithms"),
        )
    return (
        (max(logp, key=lambda c: logp[c] / n_tokens[c]), "plain means: nothing is divided by"),
        (max(logp, key=lambda c: logp[c] - alone[c]), "plain means: nothing is taken away"),
    )


def bayes_learner(answer: Callable[[dict, list, str, Callable], dict]) -> None:
    """Exercise 3: the best possible in-context learner, for rules that can be listed."""

    def examine():
        words = ("a", "b", "c")
        rules = {
            "next": {"a": "b", "b": "c", "c": "a"}, "keep": {"a": "a", "b": "b", "c": "c"},
            "swap": {"a": "b", "b": "a", "c": "c"},
        }  # fmt: skip
        r, n = 0.7, len(rules)

        def share(rule, word, said):
            return sum(r if other == rule else (1 - r) / (n - 1) for other in rules if rules[other][word] == said)

        for pairs in ([], [("a", "b")], [("a", "b"), ("c", "c")], [("b", "a"), ("b", "a"), ("c", "a")]):
            for asked in words:
                weight = {rule: math.prod(share(rule, *pair) for pair in pairs) for rule in rules}

                def spread(weight, asked=asked):
                    total, out = sum(weight.values()), {}
                    for rule, w in weight.items():
                        out[rules[rule][asked]] = out.get(rules[rule][asked], 0.0) + w / total
                    return out

                right = spread(weight)
                best = max(weight, key=weight.get)
                once = {rule: share(rule, *pairs[-1]) if pairs else 1.0 for rule in rules}
                added = {rule: sum(share(rule, *pair) for pair in pairs) if pairs else 1.0 for rule in rules}
                unscaled = {said: p * sum(weight.values()) for said, p in right.items()}
                mistakes = (
                    (spread(dict.fromkeys(rules, 1.0)), "the examples are not used"),
                    ({rules[best][asked]: 1.0}, "do not bet on one rule: add up over all rules, each with its posterior"),
                    (spread(once), "every example counts, not only the last one"),
                    (spread(added), "independent examples multiply; you added"),
                    (unscaled, "divide by the sum, so that the probabilities add to 1"),
                    (weight, "that is the weight of each rule: say what it makes of the word asked"),
                    ({rule: w / sum(weight.values()) for rule, w in weight.items()},
                     "that is the posterior of the rules: say what each makes of the word asked, and add up"),
                )  # fmt: skip
                got = called(answer, {k: dict(v) for k, v in rules.items()}, list(pairs), asked, share)
                _compare_tables(got, right, mistakes, f"after {pairs}, asked {asked!r}")

    judge(3, examine, "No learner can beat it, whatever its size.")


def epochs(answer: Callable[[dict, dict, float], dict]) -> None:
    """Exercise 4: how often each source of a mixture is read."""

    def examine():
        cases = (
            ({"crawl": 410.0, "web": 19.0, "books": 67.0, "wiki": 3.0}, {"crawl": 60, "web": 22, "books": 16, "wiki": 3}, 300.0),
            ({"a": 10.0, "b": 40.0}, {"a": 1, "b": 1}, 100.0),
        )  # fmt: skip
        for size, weight, total in cases:
            all_weights, all_sizes = sum(weight.values()), sum(size.values())
            right = {s: weight[s] / all_weights * total / size[s] for s in size}
            mistakes = (
                ({s: weight[s] / 100 * total / size[s] for s in size},
                 "the weights need not add to 100 (the paper's add to 101): divide by their sum"),
                ({s: weight[s] * total / size[s] for s in size}, "divide the weights by their sum"),
                ({s: weight[s] / all_weights * total for s in size}, "those are tokens: divide by the size of the source"),
                ({s: total / all_sizes for s in size}, "that is without weights, when every token is read equally often"),
                ({s: size[s] / (weight[s] / all_weights * total) for s in size}, "upside down: epochs are tokens read / size"),
                ({s: weight[s] / all_weights for s in size}, "those are the shares of the batch, not epochs"),
            )  # fmt: skip
            where = f"for {total:g} tokens from sources of {list(size.values())}"
            _compare_tables(called(answer, dict(size), dict(weight), total), right, mistakes, where)

    judge(4, examine, "The crawl is never finished once; a small clean source is read several times.")


def attended_pairs(answer: Callable[[int, int], int]) -> None:
    """Exercise 5: how many pairs a banded causal mask lets through."""

    def examine():
        for T, band in ((7, 3), (10, 4), (5, 1), (4, 9)):
            right = sum(min(t + 1, band) for t in range(T))
            mistakes = (
                (T * (T + 1) // 2, "that is the full causal mask: each position sees only `band` positions"),
                (T * band, "the first positions have fewer than `band` to look at"),
                (sum(min(t, band) for t in range(T)), "a position sees itself, too"),
                (sum(min(t + 1, band + 1) for t in range(T)), "one too many a row: the band includes the position itself"),
                (T * T, "that is without any mask"),
                (sum(min(T, t + band) - max(0, t - band + 1) for t in range(T)), "nobody looks ahead: the mask is causal"),
            )  # fmt: skip
            compare(called(answer, T, band), right, mistakes, f"for {T} positions and a band of {band}")

    judge(5, examine, "It grows like T for a fixed band, and like the square of T without one.")


def power_law(answer: Callable[[list, list], tuple]) -> None:
    """Exercise 6: the two numbers of L = a C^b from points."""

    def examine():
        rng = random.Random(6)
        for a, b in ((2.57, -0.048), (7.0, -0.3), (0.5, 0.25)):
            C = [10 ** (x / 2) for x in range(-6, 7, 2)]
            L = [a * c**b * math.exp(0.02 * (rng.random() - 0.5)) for c in C]
            got = called(answer, list(C), list(L))
            if not isinstance(got, (tuple, list)) or len(got) != 2:
                raise Problem(f"expected two numbers, a and b; got {short(got)}")
            x, y = [math.log(c) for c in C], [math.log(v) for v in L]
            slope, level = _line(x, y)
            where = f"for points near L = {a:g} C^{b:g}"
            plain_slope, _ = _line(C, L)
            back_slope, _ = _line(y, x)
            semi, _ = _line(x, L)
            mistakes = (
                (plain_slope, "fit a line through the logarithms of both, C and L"),
                (semi, "take the logarithm of L, too"),
                (-slope, "the sign: L falls when b is negative, L = a C^b"),
                (back_slope, "you fitted C against L: L is what is explained"),
                (math.exp(level), "the order: first a, then b"),
            )
            compare(got[1], slope, mistakes, where + ", b:", tolerance=1e-6)
            mistakes = (
                (level, "that is log a: take e to the power of it"),
                (10**level, "the logarithm was natural: take e to the power of it, not 10"),
                (L[0], "a is the loss at C = 1, not at the smallest C"),
            )
            compare(got[0], math.exp(level), mistakes, where + ", a:", tolerance=1e-6)

    judge(6, examine, "A straight line on log-log axes: the slope is the exponent.")


def accumulated_mean(answer: Callable[[list, list], float]) -> None:
    """Exercise 7: the loss of a large batch from the losses of its parts."""

    def examine():
        rng = random.Random(7)
        for n in (2, 4, 3):
            losses = [1 + 3 * rng.random() for _ in range(n)]
            n_tokens = [50 + int(400 * rng.random()) for _ in range(n)]
            total = sum(n_tokens)
            right = sum(x * k for x, k in zip(losses, n_tokens)) / total
            mistakes = (
                (sum(losses) / n, "a part with more tokens counts more: weigh each mean with its number of tokens"),
                (sum(losses), "that is the sum of the means"),
                (sum(x * k for x, k in zip(losses, n_tokens)), "divide by the number of tokens of all parts"),
                (sum(x * k for x, k in zip(losses, n_tokens)) / n, "divide by the number of tokens, not of parts"),
                (sum(x / k for x, k in zip(losses, n_tokens)) * total / n, "each mean times its tokens, not divided by them"),
                (losses[-1], "that is the last part only"),
            )  # fmt: skip
            where = f"for parts of {n_tokens} tokens"
            compare(called(answer, list(losses), list(n_tokens)), right, mistakes, where)

    judge(7, examine, "The same weights make the sum of the gradients right, too.")


def _line(x, y):
    mx, my = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)
    return slope, my - slope * mx


def _compare_tables(got, right: dict, mistakes: tuple, where: str) -> None:
    """Pass if two dictionaries of numbers agree; else name the mistake that would give exactly this one."""
    if not isinstance(got, dict):
        raise Problem(f"expected a dict, got {type(got).__name__} {where}")
    got = {key: scalar(value) for key, value in got.items()}
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in got.values()):
        raise Problem(f"expected a dict of numbers, got {short(got)} {where}")
    if _agree(got, right):
        return
    for wrong, sentence in mistakes:
        if _agree(got, wrong):
            raise Problem(f"{sentence} ({where})")
    rounded = [{key: round(float(value), 4) for key, value in each.items()} for each in (right, got)]
    raise Problem(f"{where} it should be {rounded[0]}, and you have {rounded[1]}")


def _agree(a: dict, b: dict) -> bool:
    return all(
        abs(a.get(key, 0.0) - b.get(key, 0.0)) <= 1e-6 * max(1.0, abs(b.get(key, 0.0))) for key in a.keys() | b.keys()
    )
