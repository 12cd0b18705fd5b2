"""Checks for the exercises of the labs of chapter 04, InstructGPT.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
"""

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from minigpt.exercises.judging import Problem, called, compare, compare_lists, exercise
from minigpt.exercises.tensors import compare_tensors


@exercise(
    "my_g_statistic",
    "Near the number of outcomes minus 1 if the sampler is right; in proportion to n if it is not.",
    "n is `sum(counts)`; add up `c * log(c / (n * q))` over the outcomes with c above 0, and take it twice.",
)
def g_statistic(answer: Callable[[list, list], float]) -> None:
    """How far counts are from the probabilities that they should come from."""
    rng = random.Random(4)
    for k, n, never in ((5, 400, False), (3, 60, False), (6, 90, True)):
        weights = [0.2 + rng.random() for _ in range(k)]
        p = [w / sum(weights) for w in weights]
        drawn = rng.choices(range(k - never), k=n)  # with `never` the last outcome is not drawn
        counts = [drawn.count(i) for i in range(k)]
        seen = [(c, q) for c, q in zip(counts, p) if c > 0]
        half = sum(c * math.log(c / (n * q)) for c, q in seen)
        mistakes = (
            (half, "take it twice: G is 2 times the sum"),
            (2 * half / n, "the counts themselves are the weights, not the shares: n times as much"),
            (half / n, "that is the KL divergence of the shares: G is 2 n times as much"),
            (2 * sum(c * math.log(c / q) for c, q in seen), "divide by n * p: that is how often it should have come"),
            (2 * sum(n * q * math.log(n * q / c) for c, q in seen), "the counts are the weights, and stand above"),
            (-2 * half, "the sign: counts above, what was expected below"),
            (sum((c - n * q) ** 2 / (n * q) for c, q in zip(counts, p)), "that is Pearson's chi-squared, a neighbour of G"),
            (2 * sum(c * math.log2(c / (n * q)) for c, q in seen), "the natural logarithm is meant"),
        )  # fmt: skip
        hint = "an outcome with count 0 adds nothing, and its logarithm must not be taken" if never else ""
        got = called(answer, list(counts), list(p), advice=hint)
        compare(got, 2 * half, mistakes, f"for counts {counts} and p {[round(q, 2) for q in p]}", hint)


@exercise(
    "my_leave_one_out",
    "No value function, and still right on average.",
    "The mean of the others is `(sum(rewards) - reward) / (K - 1)`.",
)
def leave_one_out(answer: Callable[[list], list]) -> None:
    """RLOO: how much each answer of a group is above the mean of the others."""
    rng = random.Random(8)
    for K in (2, 4, 7):
        rewards = [round(3 * rng.random() - 1, 2) for _ in range(K)]
        total, mean = sum(rewards), sum(rewards) / K
        spread = math.sqrt(sum((r - mean) ** 2 for r in rewards) / K)
        right = [r - (total - r) / (K - 1) for r in rewards]
        mistakes = (
            ([r - mean for r in rewards], "the mean of the *others*: the answer's own reward is not part of its baseline"),
            ([r - (total - r) / K for r in rewards], "the others are K - 1, so divide by K - 1"),
            ([r - total / (K - 1) for r in rewards], "take the answer's own reward out of the sum first"),
            ([-x for x in right], "the sign: its own reward minus the mean of the others"),
            ([(total - r) / (K - 1) for r in rewards], "that is the baseline: take it from the reward"),
            ([(r - mean) / spread for r in rewards], "that is GRPO: nothing is divided by the spread here"),
        )  # fmt: skip
        compare_lists(called(answer, list(rewards)), right, mistakes, f"for rewards {rewards}")


@exercise(
    "my_k3",
    "Never below 0, also where the two policies are nearly the same.",
    "With `d = logp_ref - logp` it is `torch.expm1(d) - d`.",
)
def k3(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The estimate exp(d) - 1 - d of the KL, token by token, right in single precision too."""
    generator = torch.Generator().manual_seed(3)
    logp = -3 * torch.rand(2, 5, generator=generator)
    logp_ref = logp + torch.randn(2, 5, generator=generator)
    d = logp_ref - logp
    mistakes = (
        (torch.expm1(-d) + d, "the sign of d: log pi_ref minus log pi"),
        (-d, "that is k1, the log-ratio itself"),
        (d, "that is minus k1: see the formula"),
        (d**2 / 2, "that is k2"),
        (d.exp() - d, "1 is missing: exp(d) - 1 - d"),
        (torch.expm1(d) + d, "minus d, not plus"),
        (torch.expm1(d), "minus d is missing"),
        (d - torch.expm1(d), "the sign: k3 is never below 0"),
    )  # fmt: skip
    got = called(answer, logp.clone(), logp_ref.clone())
    for summed in ((1,), (0, 1)):
        if isinstance(got, Tensor) and got.shape == d.sum(dim=summed).shape:
            raise Problem("a number for each token, in the shape of logp: nothing is added up here")
    compare_tensors(got, torch.expm1(d) - d, mistakes, "for random log-probabilities")
    near = torch.full((1, 4), -1e-6)
    got = called(answer, torch.zeros(1, 4), near)
    if not isinstance(got, Tensor) or (got < 0).any() or (got > 1e-9).any():
        value = got.flatten()[0].item() if isinstance(got, Tensor) and got.numel() else got
        raise Problem(f"for a log-ratio of a millionth it is 5e-13, and yours {value:.1e}: exp(d) - 1 loses all digits in "
                      "single precision, `torch.expm1` does not")  # fmt: skip
