"""Checks for the exercises of chapter 05 on laws: tokens, a forecast, an interval's score, the best size."""

import math
from collections.abc import Callable

from minigpt import chinchilla, scaling_laws
from minigpt.exercises.judging import called, compare, exercise


@exercise("my_tokens", "Twice the parameters, half the tokens: all on one hyperbola.",
          hint="C = 6 N D: solve for D.")  # fmt: skip
def tokens(answer: Callable[[float, float], float]) -> None:
    """How many tokens a compute pays for, if the model has N parameters."""
    for C, N in ((6e9, 1e4), (3.14e23, 174.6e9), (1e12, 5550.0)):
        mistakes = (
            (C / N, "every token costs six operations for each parameter: divide by 6, too"),
            (C / (2 * N), "that pays for the forward pass only: a training step costs 6 N for each token"),
            (C / (4 * N), "that pays for the backward pass only: forward and backward cost 6 N for each token"),
            (6 * C / N, "the six operations are a cost: divide by them"),
            (6 * N * C, "divide the compute by what one token costs, 6 N"),
            (C / 6, "that is N D: divide by the parameters, too"),
            (math.sqrt(C / 6), "that is D for N = D; here N is given"),
        )
        compare(called(answer, C, N), C / (6 * N), mistakes, f"for C = {C:g} and N = {N:g}")


@exercise("my_forecast", "Two runs and a floor fix the law; without the floor it takes a third run, and luck.",
          hint="Take E away from both losses. Between the logarithms what is left is a straight line of slope -κ.")  # fmt: skip
def forecast(answer: Callable[[float, float, float, float, float, float], float]) -> None:
    """Two runs, a known floor, and the loss that the law predicts for a third."""
    for C_0, kappa, E, times in ((10.0, 0.3, 1.0, 4.0), (0.4, 0.11, 1.7, 10.0), (25.0, 0.5, 0.4, 2.0)):
        C1, C2, C3 = 100.0, 100.0 * times, 100.0 * times**4
        L1, L2, right = (E + (C_0 / C) ** kappa for C in (C1, C2, C3))
        bare = L1 * (C3 / C1) ** (math.log(L2 / L1) / math.log(C2 / C1))
        mistakes = (
            (bare, "that is the straight line without a floor: take E away from both losses first"),
            (right - E, "add the floor again at the end"),
            (L1 + (L2 - L1) / (C2 - C1) * (C3 - C1), "a power law is a straight line between the logarithms"),
            (L1 + (L2 - L1) * math.log(C3 / C1) / math.log(C2 / C1), "take the logarithm of L - E, too"),
            (E + (L1 - E) * (C3 / C1) ** kappa, "the sign of the exponent: more compute, less loss"),
            (E + (L2 - E) * (C3 / C1) ** -kappa, "start from the run that the ratio of computes starts from"),
        )
        where = f"for losses {L1:.3f} and {L2:.3f} at {C1:g} and {C2:g}, floor {E:g}, asked at {C3:g}"
        compare(called(answer, C1, L1, C2, L2, E, C3), right, mistakes, where)


@exercise("my_interval_score", "The cheapest interval is the one you believe in: it is a proper scoring rule.",
          hint="Of the two distances, low - came and came - high, at most one is above 0.")  # fmt: skip
def interval_score(answer: Callable[[float, float, float], float]) -> None:
    """The interval score of a 90 % interval."""
    for low, high, came in ((1.0, 1.5, 1.2), (1.0, 1.5, 1.7), (1.0, 1.5, 0.95), (2.0, 2.0, 2.0), (2.0, 2.0, 2.5)):
        miss = max(0.0, low - came, came - high)
        one_side = "one can miss on both sides" if came < low else "a miss costs twenty times its distance"
        mistakes = (
            (high - low, one_side),
            (20 * miss, "the width is paid in any case"),
            (high - low + miss, "twenty times the distance, for 90 %"),
            (high - low + 10 * miss, "2 / (1 - 0.9) is 20"),
            (high - low + 20 * (miss > 0), "the distance to the interval counts, not only that it was missed"),
            (high - low + 20 * abs(came - (low + high) / 2), "inside the interval nothing is missed"),
            (high - low + 20 * max(0.0, came - high), "one can miss on both sides"),
            (high - low + 20 * max(0.0, low - came), "one can miss on both sides"),
        )
        right = scaling_laws.interval_score(low, high, came)
        compare(called(answer, low, high, came), right, mistakes, f"for {low:g} to {high:g}, if the loss is {came:g}")


@exercise("my_best_size", "E plays no part: it is paid whatever one does.",
          hint="Put D = C / (6 N) into the law. At the lowest loss, α_N times the term with N equals α_D times the term "
               "with D; solve for N.")  # fmt: skip
def best_size(answer: Callable[[float, float, float, float, float], float]) -> None:
    """The size with the lowest loss at a compute, for a law L(N, D)."""
    for A_N, A_D, alpha_N, alpha_D, C in (
        (400.0, 400.0, 0.3, 0.3, 6e6),
        (300.0, 900.0, 0.4, 0.5, 6e8),
        (50.0, 9.0, 0.8, 0.4, 3e9),
    ):
        right, D = chinchilla.JointLaw(0.0, A_N, A_D, alpha_N, alpha_D).optimum(C)
        half, a = C / 6, alpha_D / (alpha_N + alpha_D)
        G = (alpha_N * A_N / (alpha_D * A_D)) ** (1 / (alpha_N + alpha_D))
        mistakes = (
            (D, "that is the number of tokens D; the size is asked for"),
            (G * C**a, "C = 6 N D: divide the compute by 6"),
            (G * half ** (1 - a), "the exponent is α_D / (α_N + α_D)"),
            (half**a, "the factor G is missing"),
            (half**a / G, "G is α_N A_N over α_D A_D, not the other way round"),
            (G ** (alpha_N + alpha_D) * half**a, "G is the root of order α_N + α_D"),
            (math.sqrt(half), "equal shares are best only if the two terms are alike"),
        )
        where = f"for A_N = {A_N:g}, A_D = {A_D:g}, α_N = {alpha_N}, α_D = {alpha_D}, C = {C:g}"
        compare(called(answer, A_N, A_D, alpha_N, alpha_D, C), right, mistakes, where)
