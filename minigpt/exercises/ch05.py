"""Checks for the exercises of chapter 05, GPT-4.

Each takes the reader's own function, tries it on examples it has not seen, and prints one line: correct, or the likely
mistake. What is right is worked out here by hand; never stored.
"""

import math
import random
from collections.abc import Callable

from minigpt.exercises.judging import Problem, called, compare, compare_lists, judge, short


def forecast(answer: Callable[[float, float, float, float, float, float], float]) -> None:
    """Exercise 1: two runs, a known floor, and what a third will reach."""

    def examine():
        for a, b, c, times in ((2.0, -0.3, 1.0, 4.0), (0.9, -0.11, 1.7, 10.0), (5.0, -0.5, 0.4, 2.0)):
            C1, C2, C3 = 100.0, 100.0 * times, 100.0 * times**4
            L1, L2 = a * C1**b + c, a * C2**b + c
            right = a * C3**b + c
            naive = L1 * (C3 / C1) ** (math.log(L2 / L1) / math.log(C2 / C1))
            mistakes = (
                (naive, "that is the straight line without a floor: take c away from both losses first"),
                (right - c, "add the floor again at the end"),
                (L1 + (L2 - L1) / (C2 - C1) * (C3 - C1), "a law in powers is a straight line between the logarithms"),
                (L1 + (L2 - L1) * math.log(C3 / C1) / math.log(C2 / C1), "take the logarithm of L - c too"),
                (a * C3**-b + c, "the sign of b: more compute, less loss"),
            )
            where = f"for losses {L1:.3f} and {L2:.3f} at {C1:g} and {C2:g}, floor {c:g}"
            compare(called(answer, C1, L1, C2, L2, c, C3), right, mistakes, where)

    judge(1, examine, "Two points and a floor fix the law; without the floor it takes a third point, and luck.")


def interval_score(answer: Callable[[float, float, float], float]) -> None:
    """Exercise 2: what a 90 % interval costs."""

    def examine():
        for low, high, came in ((1.0, 1.5, 1.2), (1.0, 1.5, 1.7), (1.0, 1.5, 0.95), (2.0, 2.0, 2.0), (2.0, 2.0, 2.5)):
            miss = max(0.0, low - came, came - high)
            right = high - low + 20 * miss
            mistakes = (
                (
                    high - low,
                    "one can miss on both sides" if came < low else "whoever misses pays twenty times the distance",
                ),
                (20 * miss, "the width is paid in any case"),
                (high - low + miss, "twenty times the distance, for 90 %"),
                (high - low + 20 * (miss > 0), "the distance to the interval counts, not only that it was missed"),
                (high - low + 20 * abs(came - (low + high) / 2), "inside the interval nothing is missed"),
                (high - low + 20 * max(0.0, came - high), "one can miss on both sides"),
                (high - low + 20 * max(0.0, low - came), "one can miss on both sides"),
            )
            compare(called(answer, low, high, came), right, mistakes, f"for {low:g} to {high:g}, and {came:g} came")

    judge(2, examine, "The cheapest interval is the one you believe in.")


def best_size(answer: Callable[[float, float, float, float, float], float]) -> None:
    """Exercise 3: the size with the lowest loss at a compute."""

    def examine():
        for A, B, alpha, beta, C in (
            (400.0, 400.0, 0.3, 0.3, 6e6),
            (300.0, 900.0, 0.4, 0.5, 6e8),
            (50.0, 9.0, 0.8, 0.4, 3e9),
        ):
            half = C / 6
            low, high = 1.0, half  # the slope of A / N^alpha + B / (half / N)^beta changes its sign once
            for _ in range(200):
                n = math.sqrt(low * high)
                slope = -alpha * A * n**-alpha + beta * B * (half / n) ** -beta
                low, high = (n, high) if slope < 0 else (low, n)
            n = math.sqrt(low * high)
            a = beta / (alpha + beta)
            G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
            mistakes = (
                (half / n, "that is the number of words D; the size is asked for"),
                (G * C**a, "C = 6 N D: divide the compute by 6"),
                (G * half ** (1 - a), "the exponent is beta / (alpha + beta)"),
                (half**a, "the factor G is missing"),
                (half**a / G, "G is alpha A over beta B, not the other way round"),
                (alpha * A / (beta * B) * half**a, "G is the root of order alpha + beta"),
            )
            where = f"for A = {A:g}, B = {B:g}, alpha = {alpha}, beta = {beta}, C = {C:g}"
            compare(called(answer, A, B, alpha, beta, C), n, mistakes, where)

    judge(3, examine, "E plays no part: it is paid whatever one does.")


def calibration_error(answer: Callable[[list, list, int], float]) -> None:
    """Exercise 4: the expected calibration error."""

    def examine():
        rng = random.Random(4)
        for n, n_bins in ((40, 10), (60, 5), (7, 10), (1, 4)):
            sure = [round(rng.random(), 3) for _ in range(n)]
            right = [int(rng.random() < s / 2 + 0.2) for s in sure]
            if n == 1:
                sure, right = [1.0], [0]
            place = [min(int(s * n_bins), n_bins - 1) for s in sure]
            bins = [[i for i in range(n) if place[i] == m] for m in range(n_bins)]
            gaps = [(len(b), sum(right[i] for i in b) / len(b) - sum(sure[i] for i in b) / len(b)) for b in bins if b]
            mistakes = (
                (sum(abs(g) for _, g in gaps) / len(gaps), "weigh each bin by its share of the answers"),
                (sum(abs(g) for _, g in gaps) / n_bins, "weigh each bin by its share of the answers"),
                (sum(abs(g) for _, g in gaps), "weigh each bin by its share of the answers"),
                (abs(sum(c * g for c, g in gaps)) / n, "take the absolute value in every bin, before adding"),
                (sum(c * g * g for c, g in gaps) / n, "the absolute difference, not its square"),
                (sum(c * abs(g) for c, g in gaps), "divide by the number of answers"),
                (sum(abs(r - s) for r, s in zip(right, sure)) / n, "compare bin by bin, not answer by answer"),
            )
            compare(called(answer, list(sure), list(right), n_bins), sum(c * abs(g) for c, g in gaps) / n, mistakes,
                    f"for {n} answers in {n_bins} bins")  # fmt: skip

    judge(4, examine, "A model that always says how often it is right on average has an error of 0, and is of no use.")


def with_temperature(answer: Callable[[list, float], list]) -> None:
    """Exercise 5: probabilities of choices at a temperature."""

    def examine():
        rng = random.Random(5)

        def softmax(x):
            e = [math.exp(each - max(x)) for each in x]
            return [each / sum(e) for each in e]

        for t in (0.5, 2.0, 1.0, 4.0):
            s = [-round(5 * rng.random(), 2) - 0.1 for _ in range(4)]
            right = softmax([x / t for x in s])
            mistakes = (
                (softmax([x * t for x in s]), "divide by the temperature, do not multiply"),
                ([math.exp(x / t) for x in s], "divide by the sum, so that they add to 1"),
                ([p / t for p in softmax(s)], "divide the log-probabilities, before the softmax"),
                (softmax(s), "the temperature is not used"),
                ([x / t / sum(y / t for y in s) for x in s], "take e to the power first"),
            )
            compare_lists(called(answer, list(s), t), right, mistakes, f"for log-probabilities {s} and T = {t:g}")
        big = called(answer, [-2000.0, -2001.0], 1.0)
        compare_lists(
            big, softmax([0.0, -1.0]), (), "for log-probabilities [-2000, -2001] (take the largest away first)"
        )

    judge(5, examine, "The order of the choices never changes; only how sure it looks.")


def patches(answer: Callable[[list, int], list]) -> None:
    """Exercise 6: an image in squares, each laid in a row."""

    def examine():
        for rows, columns, size in ((4, 4, 2), (2, 6, 2), (6, 3, 3), (2, 2, 1)):
            image = [[10 * i + j for j in range(columns)] for i in range(rows)]
            corners = [(i, j) for i in range(0, rows, size) for j in range(0, columns, size)]
            right = [[image[i + k][j + m] for k in range(size) for m in range(size)] for i, j in corners]
            got = called(answer, [list(row) for row in image], size)
            got = got.tolist() if hasattr(got, "tolist") else got
            where = f"for an image of {rows} x {columns} and squares of {size}"
            try:
                found = [[int(x) for x in square] for square in got]
            except (TypeError, ValueError):
                raise Problem(f"expected a list of lists of numbers, got {short(got)} {where}") from None
            turned = [list(column) for column in zip(*image)]
            turned_corners = [(j, i) for j in range(0, columns, size) for i in range(0, rows, size)]
            other = [[turned[j + k][i + m] for k in range(size) for m in range(size)] for j, i in turned_corners]
            for wrong, words in (
                (other, "row by row, both the squares and inside them: yours goes by columns"),
                ([[image[i + k][j + m] for m in range(size) for k in range(size)] for i, j in corners],
                 "inside a square too, one reads row by row"),
                ([right[k] for k in sorted(range(len(right)), key=lambda k: corners[k][::-1])],
                 "the squares come row by row: first those at the top"),
                ([[x] for row in image for x in row], "one list for each square, not for each pixel"),
                (image, "cut the rows too"),
            ):  # fmt: skip
                if found == wrong and wrong != right:
                    raise Problem(f"{words} ({where})")
            if found != right:
                raise Problem(f"{where} expected {short(right)}, got {short(found)}")

    judge(6, examine, "A picture of 16 x 16 with squares of 4 is a text of 16 tokens.")


def attention_share(answer: Callable[[int, int], float]) -> None:
    """Exercise 7: what part of a block's work is comparing."""

    def examine():
        for d, n in ((64, 127), (1024, 2047), (12288, 32767), (64, 1)):
            m = (n + 1) / 2
            weights, pairs = 24 * d * d, 4 * d * m
            mistakes = (
                (4 * d * n / (weights + 4 * d * n), "a position looks at (n + 1) / 2 others on average, not at all n"),
                (pairs / weights, "the share of the whole: divide by both together"),
                (
                    2 * d * m / (weights + 2 * d * m),
                    "a multiplication and an addition, for the scores and for the mean: 4 d m",
                ),
                (pairs / (12 * d * d + pairs), "each weight costs a multiplication and an addition: 24 d^2"),
                (weights / (weights + pairs), "that is the part of the weights"),
                (100 * pairs / (weights + pairs), "a share from 0 to 1, not per cent"),
            )
            compare(called(answer, d, n), pairs / (weights + pairs), mistakes, f"for d = {d} and {n} tokens")

    judge(7, examine, "Half of the work is comparing when m = 6 d; a wide model reaches that late.")


def in_points(answer: Callable[[float, float], float]) -> None:
    """Exercise 8: from "82 % less" to points of a hundred."""

    def examine():
        for old, relative in ((4.3, -82.0), (50.0, 29.0), (10.0, -100.0), (41.5, 0.0)):
            right = old * relative / 100
            mistakes = (
                (relative, "that is the relative change: relative to what?"),
                (old + right, "that is the new rate; the change in points is asked for"),
                (-right, "the sign: less is negative"),
                (old * relative, "per cent: divide by 100"),
                (old + relative, "relative: a part of the old rate"),
            )
            compare(called(answer, old, relative), right, mistakes, f"for {old:g} % and a change of {relative:+g} %")

    judge(8, examine, "The same 82 % less is 3.5 points from 4.3 %, and 0.01 points from 0.012 %.")
