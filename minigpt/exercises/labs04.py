"""Checks for the exercises of the labs of chapter 04, InstructGPT.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
"""

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from minigpt.exercises.judging import (
    Problem,
    called,
    compare,
    compare_lists,
    exercise,
    is_near,
    line_through,
    parts,
    short,
)
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
    if not isinstance(got, Tensor) or (got <= 0).any() or (got > 1e-9).any():  # 0: cut off, with all digits lost
        value = got.flatten()[0].item() if isinstance(got, Tensor) and got.numel() else got
        raise Problem(f"for a log-ratio of a millionth it is 5e-13, and yours {value:.1e}: exp(d) - 1 loses all digits in "
                      "single precision, `torch.expm1` does not")  # fmt: skip


@exercise(
    "my_agreement",
    "The second is never smaller: a model of the average labeler may agree with labelers more than they do.",
    "For each pair `p = 1 / (1 + exp(-(u_i - u_j) / noise))`; average `p**2 + (1 - p)**2`, and `max(p, 1 - p)`.",
)
def agreement(answer: Callable[[list, float], tuple]) -> None:
    """How often two labelers agree on a pair, and how often the best model agrees with a labeler."""
    rng = random.Random(9)
    for n, noise in ((3, 0.65), (5, 1.5), (4, 0.4)):
        u = [round(3 * rng.random(), 2) for _ in range(n)]
        gaps = [u[i] - u[j] for i in range(n) for j in range(i)]
        got = parts(called(answer, list(u), noise), 2, "two numbers: two labelers, and the best model")
        where = f"for utilities {u} and noise {noise}"

        def means(scale, gaps=gaps):
            p = [1 / (1 + math.exp(-max(-500.0, min(500.0, gap * scale)))) for gap in gaps]
            return [sum(x) / len(p) for x in ([q * q + (1 - q) ** 2 for q in p], [max(q, 1 - q) for q in p], p)]

        two, best, first = means(1 / noise)
        if is_near(got[0], best) and is_near(got[1], two):
            raise Problem(f"the order: first two labelers, then the best model ({where})")
        common = (
            (means(1.0), "divide the difference by the noise"),
            (means(noise), "divide by the noise, do not multiply"),
        )
        compare(got[0], two, (
            *((wrong[0], said) for wrong, said in common),
            (best, "that is the best model: two labelers agree if both prefer the first, or both the second"),
            (sum(1 / (1 + math.exp(-gap / noise)) ** 2 for gap in gaps) / len(gaps),
             "they also agree if both prefer the second: add (1 - p) squared"),
            (1 - two, "that is how often they disagree"),
            (two * n * (n - 1) / 2, "divide by the number of pairs"),
        ), where + ", two labelers:")  # fmt: skip
        compare(got[1], best, (
            *((wrong[1], said) for wrong, said in common),
            (two, "that is two labelers again: the best model says what is likelier, and is right with max(p, 1 - p)"),
            (first, "the likelier of both orders: max(p, 1 - p)"),
            (1.0, "the labeler errs, so that nobody agrees with every pair"),
            (best * n * (n - 1) / 2, "divide by the number of pairs"),
        ), where + ", the best model:")  # fmt: skip


@exercise(
    "my_ranking_floor",
    "ln 2 where all answers are equal, and 0 only where no labeler can err.",
    "The entropy of a coin with `p = sigmoid(u_i - u_j)`, averaged over the pairs.",
)
def ranking_floor(answer: Callable[[list], float]) -> None:
    """The lowest ranking loss that any reward model can have."""
    rng = random.Random(10)
    for n in (2, 3, 5):
        u = [round(3 * rng.random(), 2) for _ in range(n)]
        gaps = [u[i] - u[j] for i in range(n) for j in range(i)]
        p = [1 / (1 + math.exp(-gap)) for gap in gaps]
        losses = [-q * math.log(q) - (1 - q) * math.log(1 - q) for q in p]
        right = sum(losses) / len(p)
        mistakes = (
            (sum(losses), "divide by the number of pairs"),
            (right / math.log(2), "in nats: the natural logarithm"),
            (-right, "an entropy is positive"),
            (sum(-math.log(max(q, 1 - q)) for q in p) / len(p), "that is the loss if the better answer always won: labelers err"),
            (sum(-q * math.log(q) for q in p) / len(p), "the other order counts, too: add -(1 - p) log(1 - p)"),
            (sum(-math.log(q) for q in p) / len(p), "weight each order with its probability"),
            (sum(1 - max(q, 1 - q) for q in p) / len(p), "that is how often the best model errs, not its loss"),
        )  # fmt: skip
        compare(called(answer, list(u)), right, mistakes, f"for utilities {u}")


@exercise(
    "my_gao_fit",
    "The utility is highest at d = alpha / (2 beta).",
    "`np.linalg.lstsq(np.stack([d, d**2], axis=1), R, rcond=None)[0]` gives alpha, and minus beta.",
)
def gao_fit(answer: Callable[[list, list], tuple]) -> None:
    """The two numbers of R = d (alpha - beta d), by least squares without a constant."""
    rng = random.Random(12)
    for alpha, beta in ((1.6, 0.9), (0.7, 0.2)):
        d = [0.3 * k for k in range(1, 9)]
        R = [x * (alpha - beta * x) + 0.1 * (rng.random() - 0.5) for x in d]
        got = parts(called(answer, list(d), list(R)), 2, "two numbers, alpha and beta")
        first, second = _regression(d, [x * x for x in d], R)
        where = f"for points near d ({alpha:g} - {beta:g} d)"
        if is_near(got[0], -second) and is_near(got[1], first):
            raise Problem(f"the order: first alpha, then beta ({where})")
        mean_d, mean_square, mean_R = (sum(x) / len(x) for x in (d, [x * x for x in d], R))
        constant = _regression([x - mean_d for x in d], [x * x - mean_square for x in d], [x - mean_R for x in R])
        ratio = line_through(d, [y / x for x, y in zip(d, R)])
        log = _regression(d, [x * math.log(x) for x in d], R)
        compare(got[0], first, (
            (constant[0], "no constant: at d = 0 nothing is gained"),
            (ratio[1], "that fits R / d, which gives the small d too much weight: fit R itself"),
            (log[0], "that is the other form, with log d"),
        ), where + ", alpha:")  # fmt: skip
        compare(got[1], -second, (
            (second, "the sign: R = d (alpha - beta d), so the coefficient of d squared is minus beta"),
            (-constant[1], "no constant: at d = 0 nothing is gained"),
            (-log[1], "that is the other form, with log d"),
        ), where + ", beta:")  # fmt: skip


def _regression(x: list, z: list, y: list) -> tuple[float, float]:
    """(a, b) of y = a x + b z by least squares."""
    xx, xz, zz = (sum(u * v for u, v in zip(*each)) for each in ((x, x), (x, z), (z, z)))
    xy, zy = (sum(u * v for u, v in zip(each, y)) for each in (x, z))
    det = xx * zz - xz * xz
    return (xy * zz - zy * xz) / det, (zy * xx - xy * xz) / det


@exercise(
    "my_best_of_n",
    "No training, and just under the best that its KL allows.",
    "F, the probability of a reward of at most r, includes the answer itself; it is kept with `F**n - (F - p)**n`.",
)
def best_of_n(answer: Callable[[list, list, int], list]) -> None:
    """How likely each answer is the best of n."""
    rng = random.Random(13)
    for k, n in ((3, 2), (5, 4), (4, 1)):
        weights = [0.2 + rng.random() for _ in range(k)]
        p = [w / sum(weights) for w in weights]
        rewards = rng.sample([x / 2 for x in range(12)], k)
        at_most = [sum(q for q, s in zip(p, rewards) if s <= r) for r in rewards]
        below = [F - q for F, q in zip(at_most, p)]
        right = [F**n - G**n for F, G in zip(at_most, below)]
        above = [1 - G for G in below]
        mistakes = (
            ([F**n for F in at_most], "that is the probability that the best is at most this good: take away that it is worse"),
            ([(q**n) for q in p], "that is the probability that all n are this answer"),
            ([1 - (1 - q) ** n for q in p], "that is the probability that the answer is drawn at all, not that it is the best"),
            ([n * q * F ** (n - 1) for q, F in zip(p, at_most)], "that is right for many answers, each of them rare; here use F**n - (F - p)**n"),
            ([x**n - (x - q) ** n for x, q in zip(above, p)], "that keeps the worst of n: count the answers that are at most as good"),
            ([q * F ** (n - 1) for q, F in zip(p, at_most)], "each of the n may be the best: and they may tie with each other"),
            ([float(r == max(rewards)) for r in rewards], "the best of all answers may not be among the n that are drawn"),
        )  # fmt: skip
        where = f"for p {short(p)}, rewards {rewards} and n = {n}"
        compare_lists(called(answer, list(p), list(rewards), n), right, mistakes, where)


@exercise(
    "my_batch_of_rankings",
    "64 prompts with 9 answers are 2,304 comparisons, and 576 forward passes instead of 4,608.",
    "K answers make K (K - 1) / 2 pairs; and each of the K is read once.",
)
def batch_of_rankings(answer: Callable[[list], tuple]) -> None:
    """How many comparisons a batch of rankings holds, and how many answers are read."""
    for Ks in ([4, 9], [5], [4, 4, 6, 7]):
        got = parts(called(answer, list(Ks)), 2, "two numbers, comparisons and forward passes")
        pairs, total = sum(K * (K - 1) // 2 for K in Ks), sum(Ks)
        where = f"for rankings of {Ks} answers"
        if is_near(got[0], total) and is_near(got[1], pairs):
            raise Problem(f"the order: first the comparisons, then the forward passes ({where})")
        compare(got[0], pairs, (
            (2 * pairs, "each pair counts once: divide by 2"),
            (sum(K * K for K in Ks), "an answer is not compared with itself, and each pair counts once"),
            (sum(K * (K + 1) // 2 for K in Ks), "an answer is not compared with itself: K (K - 1) / 2"),
            (sum(K - 1 for K in Ks), "all pairs count, not only neighbours in the ranking"),
            (total * (total - 1) // 2, "answers to different prompts are never compared"),
        ), where + ", comparisons:")  # fmt: skip
        compare(got[1], total, (
            (2 * pairs, "that reads an answer anew for each of its pairs: once is enough"),
            (pairs, "one pass for each answer, not for each pair"),
            (len(Ks), "one pass for each answer, not for each prompt"),
        ), where + ", forward passes:")  # fmt: skip


@exercise(
    "my_updates",
    "InstructGPT: 500 iterations and 4,000 updates.",
    "An iteration draws one batch; it makes `epochs * (batch / minibatch)` updates.",
)
def updates(answer: Callable[[int, int, int, int], tuple]) -> None:
    """How many iterations and updates a run of PPO has."""
    for episodes, batch, minibatch, epochs in ((5120, 512, 64, 1), (600, 60, 20, 2), (4096, 256, 32, 4)):
        got = parts(called(answer, episodes, batch, minibatch, epochs), 2, "two numbers, iterations and updates")
        iterations, each = episodes // batch, batch // minibatch
        where = f"for {episodes} episodes, batches of {batch}, minibatches of {minibatch} and {epochs} epochs"
        if is_near(got[0], iterations * each * epochs) and is_near(got[1], iterations):
            raise Problem(f"the order: first the iterations, then the updates ({where})")
        compare(got[0], iterations, (
            (episodes // minibatch, "an iteration draws a whole batch"),
            (episodes * epochs // batch, "the epochs pass over the same answers: nothing is drawn again"),
        ), where + ", iterations:")  # fmt: skip
        compare(got[1], iterations * each * epochs, (
            (iterations * each, "each epoch passes over the batch once more"),
            (iterations * epochs, "one update for each minibatch, not for each batch"),
            (iterations, "one update for each minibatch of each epoch"),
            (each * epochs, "that is one iteration's"),
            (iterations * minibatch * epochs, "the number of minibatches is batch / minibatch"),
        ), where + ", updates:")  # fmt: skip
