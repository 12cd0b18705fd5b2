"""The Bayes classifier: the best possible accuracy on a labelled task."""

import math
from collections.abc import Sequence

from minigpt.exact import entropy
from minigpt.stats import Estimate
from minigpt.worlds import grammar

Example = tuple[tuple[str, ...], int]  # the parts of the text, the right label


def bayes_accuracy(task_program: grammar.Program, examples: Sequence[Example]) -> Estimate:
    """Bayes accuracy: the share of right answers that the best possible classifier of a task would give.

        mean over x of max_y P(y | x)        P(y | x): the exact posterior of the grammar

    No classifier can do better on average over all examples; on these few, one may be luckier.
    Unit: a share from 0 to 1. Errors: fewer than 2 examples, or one that the task cannot write, are a ValueError.
    """
    return entropy.floor([max(_posterior(task_program, example).values()) for example in examples], [1] * len(examples))


def bayes_label(task_program: grammar.Program, example: Example) -> int:
    """Bayes-optimal label of an example: the most probable one given its text (of several the smallest)."""
    posterior = _posterior(task_program, example)
    most = max(posterior.values())
    return min(label for label, probability in posterior.items() if probability > most - 1e-12)


def _posterior(task_program, example) -> dict:
    text = "\n".join(example[0])
    reading = grammar.score(task_program, text)
    if reading.logp == -math.inf:
        raise ValueError(f"expected an example that the task can write; got {text!r}")
    return reading.posterior()
