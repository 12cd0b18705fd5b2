"""Prompts: examples as text, put in front of a question, and free answers scored as text.

A model that is asked with K examples reads one text: a description of the task, K examples with their answers, and the
question, whose answer is missing. K = 0, 1 and more are called zero-, one- and few-shot.

Floor 0 of the west wing: strings only.
"""

import math
import random
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

# --- examples and prompts --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """One example of a task: a context, the completion that is right, and, if one must choose, the choices.

    A completion begins with the space that parts it from the context ("sea otter =>" and " loutre de mer"): in a
    byte-pair vocabulary the space belongs to the word after it.

    Errors: ValueError for an empty completion, or one that is not among the choices.
    Source: GPT-3, appendix G, where every example is a "context" and a "target completion".
    """

    context: str
    completion: str
    choices: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.completion:
            raise ValueError(f"an example needs a completion, but after {self.context!r} there is none")
        if self.choices and self.completion not in self.choices:
            raise ValueError(f"the completion {self.completion!r} is not among the choices {self.choices}")

    @property
    def text(self) -> str:
        """The example as a demonstration: the context with its completion."""
        return self.context + self.completion


def build(task_description: str, demonstrations: Sequence[Example], query: Example | str, separator: str = "\n") -> str:
    """Put a prompt together: what to do, K examples with their answers, and the question without its answer.

    query: an Example, whose context alone is used, or the text itself. An empty description is left out.

    Source: GPT-3, section 2.4 and figure 2.1; one or two line ends part the examples there.
    Differs: any separator. Our lists (minigpt.families) are parted by spaces.

    >>> shots = [Example("sea otter =>", " loutre de mer"), Example("peppermint =>", " menthe poivrée")]
    >>> print(build("Translate English to French:", shots, "cheese =>"))
    Translate English to French:
    sea otter => loutre de mer
    peppermint => menthe poivrée
    cheese =>
    >>> build("", [], "cheese =>")
    'cheese =>'
    """
    question = query.context if isinstance(query, Example) else query
    parts = [task_description, *(example.text for example in demonstrations), question]
    return separator.join(parts if task_description else parts[1:])


def draw(pool: Sequence[Example], k: int, rng: random.Random, query: Example | None = None) -> list[Example]:
    """Draw K demonstrations without replacement, never the query itself.

    From the same state of rng, a larger K draws the same examples and more.

    Errors: ValueError if the pool, without the query, holds fewer than K.
    Source: GPT-3, section 2.4: drawn at random from the task's training set, for every question anew.
    """
    others = [example for example in pool if example != query]
    if not 0 <= k <= len(others):
        raise ValueError(f"expected K from 0 to {len(others)}, the examples in the pool besides the query; got {k}")
    order = sorted((rng.random(), i) for i in range(len(others)))  # the same on every version of Python
    return [others[i] for _, i in order[:k]]


def fit(
    task_description: str,
    demonstrations: Sequence[Example],
    query: Example | str,
    count_tokens: Callable[[str], int],
    n_ctx: int,
    room: int,
    separator: str = "\n",
) -> int:
    """How many of the demonstrations, from the first, fit into the window together with the question: the largest K.

    count_tokens: text -> number of tokens. room: tokens to be kept free, for the answer and for what begins a document.

    Errors: ValueError if the question does not even fit without demonstrations.
    Source: GPT-3, section 2.4: from 0 to as many as fit in n_ctx = 2,048 tokens, typically 10 to 100.

    >>> pairs = [Example("two", " deux"), Example("six", " six"), Example("ten", " dix")]
    >>> fit("", pairs, "one", lambda text: len(text.split()), n_ctx=8, room=2)
    2
    """
    needed = count_tokens(build(task_description, [], query, separator))
    if needed + room > n_ctx:
        raise ValueError(
            f"the question alone needs {needed} tokens, and {room} must be kept free, but the window holds {n_ctx}"
        )
    k = 0
    while k < len(demonstrations):
        text = build(task_description, demonstrations[: k + 1], query, separator)
        if count_tokens(text) + room > n_ctx:
            break
        k += 1
    return k


def in_words(example: Example, words: dict[str, str]) -> Example:
    """An example whose labels are called by meaningful words: 0 and 1 become False and True, or no and yes.

    words: label -> word, for every choice. Errors: ValueError for a label without a word, or two with the same.
    Source: GPT-3, section 2.4, binary classification: such names, then scored as multiple choice.

    >>> in_words(Example("Is a crab a fish?", "0", ("0", "1")), {"0": " no", "1": " yes"}).choices
    (' no', ' yes')
    """
    labels = example.choices or (example.completion,)
    nameless = [label for label in labels if label not in words]
    if nameless or len({words[label] for label in labels}) < len(labels):
        raise ValueError(f"expected a word of its own for each of {labels}; got {words}")
    choices = tuple(words[label] for label in example.choices)
    return replace(example, completion=words[example.completion], choices=choices)


# --- free answers ----------------------------------------------------------------------------------------------------


def normalise(text: str) -> str:
    """A text as answers are compared: lower case, no punctuation, no articles, single spaces.

    Source: Rajpurkar et al. 2016 (SQuAD), section 6.1, for punctuation and articles. Differs: English articles only.

    >>> normalise(" The  fox, a friend!")
    'fox friend'
    """
    bare = text.lower().translate(str.maketrans("", "", string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def exact_match(prediction: str, answers: str | Sequence[str]) -> float:
    """1 if the prediction is one of the right answers, both normalised, else 0.

    >>> exact_match(" The forest.", ["forest", "wood"]), exact_match("deep forest", ["forest"])
    (1.0, 0.0)
    """
    return float(normalise(prediction) in {normalise(answer) for answer in _answers(answers)})


def f1(prediction: str, answers: str | Sequence[str]) -> float:
    """How much the words of prediction and answer overlap: the harmonic mean of precision and recall.

        F1 = 2 |common words| / (|words of the prediction| + |words of the answer|)

    A word counts as often as both have it; of several answers the one that fits best. Two empty texts are equal.
    Source: Rajpurkar et al. 2016 (SQuAD), section 6.1; one of GPT-3's scores of free answers, section 2.4.

    >>> f1("the deep forest", "forest"), f1("sea", ["forest", "sea side"])
    (0.6666666666666666, 0.6666666666666666)
    """
    return max(_f1(normalise(prediction).split(), normalise(answer).split()) for answer in _answers(answers))


def _f1(said: list[str], wanted: list[str]) -> float:
    if not said and not wanted:
        return 1.0
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def bleu(predictions: Sequence[str], answers: Sequence[str], max_n: int = 4) -> float:
    """How many of the n-grams of some translations are in the right ones, from 0 to 100, for a whole test set.

        BLEU = 100 min(1, exp(1 - r / c)) (p_1 p_2 ... p_N)^(1/N)

    p_n: of the n-grams predicted, the share that the answers have too, each at most as often; c and r: words in the
    predictions and in the answers. Words are parted by spaces, nothing is normalised. max_n is N.

    Errors: ValueError if there are not as many answers as predictions, or none.
    Source: Papineni et al. 2002, section 2.3, with N = 4; GPT-3, section 2.4. Differs: one answer for each prediction.

    >>> round(bleu(["the cat sat on the mat"], ["the cat sat on a mat"], max_n=2), 2)
    70.71
    """
    if len(predictions) != len(answers) or not predictions:
        raise ValueError(f"expected as many answers as predictions; got {len(answers)} and {len(predictions)}")
    pairs = [(said.split(), wanted.split()) for said, wanted in zip(predictions, answers)]
    c, r = (sum(map(len, side)) for side in zip(*pairs))
    log_p = 0.0
    for n in range(1, max_n + 1):
        grams = [tuple(Counter(zip(*(words[i:] for i in range(n)))) for words in pair) for pair in pairs]
        found = sum(sum((said & wanted).values()) for said, wanted in grams)
        if not found:
            return 0.0
        log_p += math.log(found / sum(sum(said.values()) for said, _ in grams)) / max_n
    return 100 * min(1.0, math.exp(1 - r / c)) * math.exp(log_p)


def _answers(answers: str | Sequence[str]) -> Sequence[str]:
    if not answers:
        raise ValueError("expected at least one right answer; got none")
    return [answers] if isinstance(answers, str) else answers
