"""Chapter 04, lab on labelers. A reward model of features that can be read: what labelers like, weight by weight.

The utility of a tale is a weighted sum of these features, so nothing is misspecified, and as rankings become many the
ranking loss comes down to its floor. A network has to find such features first; these are given.
"""

import random
from collections.abc import Sequence

import numpy as np

from minigpt.exact import bradley_terry
from minigpt.experiments.instructgpt.human_ranking import Task
from minigpt.worlds import tales
from minigpt.worlds.tales import Request, utility

FEATURES = ("animal as asked", "thing as asked", "mood", "visitors", "weather", "feelings", "repeats", "beyond two")
UTILITY = dict(zip(FEATURES, (1.5, 1.5, 2.0, 0.5, 0.5, 0.5, -0.5, -1.0)))  # tales.Utility.total as weights
RIDGE = 0.5


def features(request: Request, answer: str) -> np.ndarray:
    """What can be read off an answer, in the order of FEATURES: two yes-or-no, the share of mood words, four counts.

    "beyond two" counts the optional sentences after the second. Shapes: result (8,).

    >>> tale = " Once a lonely fox went to the river. It lost a red bell. It was a rainy day. At last it wept."
    >>> features(Request(0, "sad", "fox", "drum"), tale).tolist()
    [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    """
    u = utility(request, answer)
    counts = [answer.count(sign) for sign in (" came by.", " day.", " It felt ")]
    return np.array([u.animal, u.thing, u.mood, *counts, u.repeats, max(u.extras - 2, 0)], dtype=np.float64)


def comparisons(todo: Sequence[Task], rankings: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Pairs of each ranking: features of the winner minus those of the loser. Ties are no pairs.

    Shapes: result one (pairs, 8) for each ranking. Errors: ValueError if a ranking does not fit its task.
    """
    found = []
    for task, ranks in zip(todo, rankings):
        if len(ranks) != len(task.answers):
            raise ValueError(f"expected a rank for each of {len(task.answers)} answers; got {ranks}")
        x = np.array([features(task.request, answer) for answer in task.answers])
        pairs = [(w, k) for w in range(len(ranks)) for k in range(len(ranks)) if ranks[w] < ranks[k]]
        found.append(np.array([x[w] - x[k] for w, k in pairs]).reshape(len(pairs), len(FEATURES)))
    return found


def fit(pairs: Sequence[np.ndarray], n_bootstrap: int = 100, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the features, by the ranking loss, and their standard errors by the bootstrap over rankings.

    Whole rankings are drawn again, because the pairs of one are correlated. One ranking alone tells nothing of its
    error: NaN, as for fewer than two bootstraps. Unit: the labelers' noise.
    Errors: ValueError if there is no pair. Shapes: results (8,) each.
    """
    rng, pairs = np.random.default_rng(seed), list(pairs)
    weights = _fitted(np.concatenate(pairs) if pairs else np.zeros((0, len(FEATURES))))
    again = []
    for _ in range(n_bootstrap if len(pairs) > 1 else 0):
        drawn = np.concatenate([pairs[i] for i in rng.integers(len(pairs), size=len(pairs))])
        if len(drawn):
            again.append(_fitted(drawn))
    return weights, np.std(again, axis=0, ddof=1) if len(again) > 1 else np.full(len(FEATURES), np.nan)


def _fitted(ahead: np.ndarray) -> np.ndarray:
    everything = np.concatenate([ahead, np.zeros((1, ahead.shape[1]))])  # the losers are the last row
    return bradley_terry.fit_bradley_terry(
        everything, np.arange(len(ahead)), np.full(len(ahead), len(ahead)), ridge=RIDGE
    )


def loss(weights: np.ndarray, pairs: Sequence[np.ndarray]) -> float:
    """Ranking loss of such a reward model: mean over all pairs of -log sigma(score of w minus score of l); nats."""
    return float(np.logaddexp(0, -np.concatenate(list(pairs)) @ weights).mean())


def rankings(todo: Sequence[Task], seed: int, noise: float) -> list[tuple[int, ...]]:
    """Rankings by labelers who see the utility through noise, without ties."""
    rng = random.Random(f"readable {seed}")
    return [tales.ranking([utility(t.request, a).total for a in t.answers], noise, rng) for t in todo]


def floor(todo: Sequence[Task], noise: float) -> float:
    """Entropy floor of the ranking loss on these answers: nobody who knows all utilities does better; nats a pair."""
    return float(np.mean([
        bradley_terry.bradley_terry_floor(np.array([utility(t.request, a).total for a in t.answers]) / noise)
        for t in todo
    ]))  # fmt: skip
