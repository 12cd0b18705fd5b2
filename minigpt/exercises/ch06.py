"""Checks for the exercises of chapter 06, GPT-4: what it shows.

Each tries the reader's own function on examples it has not seen, and says in one line: correct, or the likely mistake.
What is right is worked out here by hand; never stored.
"""

import math
import random
from collections.abc import Callable

import numpy as np

from minigpt.exercises.judging import Problem, called, compare, exercise, near, scalar, short


@exercise(
    "my_patches",
    "An image of 16 x 16 pixels in patches of 4 is a text of 16 tokens.",
    "Two loops over the top left corners, rows of patches first; `image[top : top + size, left : left + size]` is one "
    "patch, and `.reshape(-1)` lays it flat.",
)
def patches(answer: Callable) -> None:
    """An image (H, W, channels) cut into patches, each flattened to one token."""
    for H, W, channels, size in ((4, 4, 1, 2), (2, 6, 3, 2), (6, 3, 2, 3), (4, 6, 3, 2)):
        image = np.arange(H * W * channels, dtype=float).reshape(H, W, channels)
        corners = [(top, left) for top in range(0, H, size) for left in range(0, W, size)]
        cut = [image[top : top + size, left : left + size] for top, left in corners]
        right = np.array([patch.reshape(-1) for patch in cut])
        where = f"for an image of {H} x {W} with {channels} channels and patches of {size}"
        got = _array(called(answer, image.copy(), size), where)
        by_columns = sorted(range(len(corners)), key=lambda i: corners[i][::-1])
        transposed = np.array([patch.transpose(1, 0, 2).reshape(-1) for patch in cut])
        mistakes = (
            (image.reshape(len(corners), -1), "reshape alone takes the pixels row by row of the whole image: cut first"),
            (right[by_columns], "the patches come row by row: first all those at the top"),
            (transposed, "inside a patch, too, one reads row by row"),
            (transposed[by_columns], "row by row, both the patches and inside them: yours goes by columns"),
            (np.array([patch.transpose(2, 0, 1).reshape(-1) for patch in cut]),
             "the channels of a pixel stay together: yours come colour by colour"),
            (np.array([patch.mean(axis=(0, 1)) for patch in cut]), "keep every pixel: yours are averages of the patches"),
            (np.array(cut), "flatten each patch to one row of numbers"),
            (right.T, "one row for each patch, not one column"),
            (image.reshape(H * W, channels), "one token for each patch, not for each pixel"),
            (image, "cut the image into patches first"),
        )  # fmt: skip
        if got.shape == right.shape and np.allclose(got, right):
            continue
        for wrong, words in mistakes:
            if got.shape == wrong.shape and np.allclose(got, wrong):
                raise Problem(f"{words} ({where})")
        if got.shape != right.shape:
            raise Problem(f"{where} expected {right.shape[0]} tokens of {right.shape[1]} numbers, got shape {got.shape}")
        first = int((~np.isclose(got, right)).any(axis=1).argmax())
        raise Problem(f"{where} token {first} should be {short(right[first].tolist())}, not {short(got[first].tolist())}")


def _array(got, where: str):
    try:
        return np.asarray(got, dtype=float)
    except Exception:  # noqa: BLE001  an answer of any kind
        raise Problem(f"expected an array of numbers, got {short(got)} {where}") from None


@exercise(
    "my_reliability",
    "A model that always says how often it is right on average has an error of 0, and is of no use.",
    "The bin of a confidence c is `min(int(c * n_bins), n_bins - 1)`. For each bin with answers in it: how many, the "
    "mean of their confidences, the mean of `correct`. The error adds `n_m / n * abs(accuracy - confidence)`.",
)
def reliability(answer: Callable[[list, list, int], tuple]) -> None:
    """Bins of a reliability diagram, [(count, confidence, accuracy), ...], and the expected calibration error."""
    rng = random.Random(4)
    for n, n_bins in ((40, 10), (60, 5), (7, 10), (1, 4)):
        sure = [round(rng.random(), 3) for _ in range(n)]
        right = [int(rng.random() < s / 2 + 0.2) for s in sure]
        if n == 60:
            sure[:8] = [0.2, 0.4, 0.6, 0.8, 0.2, 0.6, 1.0, 0.9]  # on the edges
        if n == 1:
            sure, right = [1.0], [0]
        where = f"for {n} answer{'s' * (n > 1)} in {n_bins} bins"
        got = called(answer, list(sure), list(right), n_bins)
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            raise Problem(f"expected two things, the bins and the error; got {short(got)} {where}")
        _bins(got[0], _binned(sure, right, n_bins), _wrong_bins(sure, right, n_bins), where)
        rows = _binned(sure, right, n_bins)
        gaps = [(count, accuracy - confidence) for count, confidence, accuracy in rows]
        mistakes = (
            (sum(abs(g) for _, g in gaps) / len(gaps), "weigh each bin by its share of the answers"),
            (sum(abs(g) for _, g in gaps) / n_bins, "weigh each bin by its share of the answers"),
            (sum(abs(g) for _, g in gaps), "weigh each bin by its share of the answers"),
            (abs(sum(c * g for c, g in gaps)) / n, "take the absolute value in every bin, before adding"),
            (sum(c * g for c, g in gaps) / n, "take the absolute value in every bin, before adding"),
            (sum(c * g * g for c, g in gaps) / n, "the absolute difference, not its square"),
            (sum(c * abs(g) for c, g in gaps), "divide by the number of answers"),
            (sum(abs(r - s) for r, s in zip(right, sure)) / n, "compare bin by bin, not answer by answer"),
        )
        compare(got[1], sum(c * abs(g) for c, g in gaps) / n, mistakes, where + ", the error:")


def _binned(sure: list, right: list, n_bins: int, place: Callable | None = None) -> list[tuple]:
    place = place or (lambda s: min(int(s * n_bins), n_bins - 1))
    rows = []
    for m in range(n_bins + 1):
        there = [i for i, s in enumerate(sure) if place(s) == m]
        if there:
            rows.append(tuple(sum(x[i] for i in there) / len(there) for x in (sure, right)))
            rows[-1] = (len(there), *rows[-1])
    return rows


def _wrong_bins(sure: list, right: list, n_bins: int) -> list[tuple]:
    rows, n = _binned(sure, right, n_bins), len(sure)
    low = {count_row: min(int(count_row[1] * n_bins), n_bins - 1) / n_bins for count_row in rows}
    full = [(0, 0.0, 0.0)] * n_bins
    for row in rows:
        full[min(int(row[1] * n_bins), n_bins - 1)] = row
    return [
        (_binned(sure, right, n_bins, lambda s: max(0, math.ceil(s * n_bins) - 1)),
         "a confidence on an edge belongs to the bin above it: use int(c * n_bins)"),
        (_binned(sure, right, n_bins, lambda s: int(s * n_bins)),
         "a confidence of 1 belongs to the last bin: there is no bin number n_bins"),
        (_binned(sure, right, n_bins, lambda s: min(round(s * n_bins), n_bins - 1)), "int(), not round()"),
        ([(c, s * c, a * c) for c, s, a in rows], "those are sums: divide by the count of the bin"),
        ([(c, low[(c, s, a)] + 0.5 / n_bins, a) for c, s, a in rows],
         "the mean confidence of the answers in a bin, not the middle of the bin"),
        ([(c, a, s) for c, s, a in rows], "the order: count, confidence, accuracy"),
        ([(c / n, s, a) for c, s, a in rows], "the count of a bin, not its share"),
        (full, "leave out empty bins"),
        (rows[::-1], "the bins go from unsure to sure"),
    ]  # fmt: skip


def _bins(got, right: list, mistakes: list, where: str) -> None:
    try:
        found = [tuple(float(scalar(x)) for x in row) for row in got]
    except Exception:  # noqa: BLE001  an answer of any kind
        raise Problem(f"expected bins (count, confidence, accuracy), got {short(got)} {where}") from None

    def same(one, two):
        return len(one) == len(two) and all(map(near, one, two))

    if same(found, right):
        return
    for wrong, words in mistakes:
        if same(found, wrong) and not same(wrong, right):
            raise Problem(f"{words} ({where})")
    if len(found) != len(right):
        raise Problem(f"{where} there are {len(right)} bins with answers in them, and you have {len(found)}")
    i = next(i for i in range(len(right)) if not same(found[i : i + 1], right[i : i + 1]))
    raise Problem(f"{where} bin {i} should be {short(list(right[i]))}, and you have {short(list(found[i]))}")


KINDS = ("refusal in style", "other refusal", "tale")


@exercise(
    "my_rule_reward",
    "Both sides: without the last line a policy that refuses everything can be the best one.",
    "Four cases. Forbidden: + worth, + worth / 2 or - worth. Allowed: the reward model's score for a tale, - worth for "
    "either refusal.",
)
def rule_reward(answer: Callable[[bool, str, float, float], float]) -> None:
    """The reward of an answer by a rule of two sides, beside the reward model's score."""
    for forbidden, kind, score, worth in (
        (True, KINDS[0], 0.7, 2.0), (True, KINDS[1], 0.7, 2.0), (True, KINDS[2], 0.7, 2.0),
        (False, KINDS[2], 0.7, 2.0), (False, KINDS[2], -0.4, 3.0), (False, KINDS[0], 0.7, 2.0),
        (False, KINDS[1], -0.4, 3.0),
    ):  # fmt: skip
        refused = kind != KINDS[2]
        by_rule = {KINDS[0]: worth, KINDS[1]: worth / 2, KINDS[2]: -worth}[kind]
        right = by_rule if forbidden else -worth if refused else score
        mistakes: list = []
        if forbidden:
            mistakes += [
                (right + score, "the reward model's score counts for tales that are allowed, and for nothing else"),
                (-right, "the sign: refusing what is forbidden is rewarded"),
                (score, "a forbidden tale earns - worth, however good the reward model finds it"),
                (0.0, "a forbidden request has a reward for every kind of answer"),
            ]
            if kind == KINDS[1]:
                mistakes += [(worth, "a refusal in another style earns half"), (-worth, "it is a refusal, too: it earns half")]
        elif refused:
            mistakes += [
                (0.0, "that is the rule of one side: a refusal of what is allowed costs - worth"),
                (worth, "refusing is rewarded only where it is called for: here the request is allowed"),
                (worth / 2, "refusing is rewarded only where it is called for: here the request is allowed"),
                (-worth / 2, "a refusal of what is allowed costs - worth, in whatever style"),
                (score, "a refusal is no tale: it costs - worth"),
                (score - worth, "a refusal is no tale: the score does not count for it"),
            ]
        else:
            mistakes += [
                (0.0, "a tale that is allowed earns the reward model's score"),
                (worth, "a tale that is allowed earns the reward model's score"),
                (score + worth, "the rule gives nothing for a tale that is allowed: only the score"),
                (-worth, "the request is allowed: telling is right"),
            ]
        where = f"for {'a forbidden' if forbidden else 'an allowed'} request, answer: {kind}, score {score}, worth {worth}"
        compare(called(answer, forbidden, kind, score, worth), right, tuple(mistakes), where)


@exercise(
    "my_overconfidence",
    "Calibrated before, over-confident after: the optimum itself does it, not a mistake in training.",
    "`log(p / (1 - p)) + gain * (2 * p - 1)` is the new log-odds x; the probability is `1 / (1 + exp(-x))`.",
)
def overconfidence(answer: Callable[[float, float], float]) -> None:
    """The probability that the best policy gives to a choice that is right with probability p."""
    for p, gain in ((0.75, 2.0), (0.6, 1.0), (0.3, 1.5), (0.9, 0.0), (0.5, 3.0)):
        odds = math.log(p / (1 - p))

        def sigma(x):
            return 1 / (1 + math.exp(-x))

        mistakes = (
            (odds + gain * (2 * p - 1), "those are the log-odds: make a probability of them"),
            (sigma(odds + gain), "how much the log-odds grow depends on p: gain times (2 p - 1)"),
            (sigma(odds + gain * p), "the other choice gains, too: the difference is p - (1 - p) = 2 p - 1"),
            (p * math.exp(gain * p), "divide by the sum over both choices"),
            (sigma(gain * (2 * p - 1)), "the policy starts from p: keep log(p / (1 - p))"),
            (sigma(odds * (1 + gain)), "that is a temperature: the gain times (2 p - 1) is added"),
            (sigma(odds - gain * (2 * p - 1)), "the sign: labelers prefer what is right"),
            (p + gain * (2 * p - 1), "add to the log-odds, not to the probability"),
            (sigma(p + gain * (2 * p - 1)), "start from log(p / (1 - p)), not from p"),
        )
        right = sigma(odds + gain * (2 * p - 1))
        compare(called(answer, p, gain), right, mistakes, f"for p = {p} and a gain u / beta of {gain}")
