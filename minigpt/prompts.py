"""Zero-, one- and few-shot prompts; exact match, F1 and BLEU.

A prompt with K examples is one text: a description of the task, K examples with their answers, and the question, whose
answer is missing. K = 0, 1 and more are called zero-, one- and few-shot. Free answers are scored as text.
"""

import math
import random
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

# --- examples and prompts --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """Example of a task: a context, the completion that is right, and the choices if there are any.

    A completion begins with the space that separates it from the context ("sea otter =>" and " loutre de mer"): in a
    byte-pair vocabulary the space belongs to the word after it.

    Errors: ValueError for an empty completion, one that is not among the choices, or choices given as one string.
    Source: GPT-3, appendix G, where every example is a "context" and a "target completion".
    """

    context: str
    completion: str
    choices: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.completion:
            raise ValueError(f"an example needs a completion, but after {self.context!r} there is none")
        if isinstance(self.choices, str):
            raise ValueError(f"expected choices as several texts; got one string, {self.choices!r}")
        if self.choices and self.completion not in self.choices:
            raise ValueError(f"the completion {self.completion!r} is not among the choices {self.choices}")

    @property
    def text(self) -> str:
        """The example as a demonstration: the context with its completion."""
        return self.context + self.completion


def build(task_description: str, demonstrations: Sequence[Example], query: Example | str, separator: str = "\n") -> str:
    """K-shot prompt: a task description, K examples with their answers, and the question without its answer.

    query: an Example, whose context alone is used, or the text itself. An empty description is left out.

    Source: GPT-3, section 2.4 and figure 2.1; one or two line ends separate the examples there.
    Differs: any separator. Our lists (minigpt.worlds.in_context_lists) are separated by spaces.

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
    """The largest K: how many demonstrations, from the first, fit into the context window together with the question.

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
    """Verbalised labels: an example whose 0 and 1 become meaningful words, such as False and True, or no and yes.

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


_PUNCTUATION = {*string.punctuation, "\u02bc", "\u00b4", "\u2212"}  # ASCII; letter and acute as apostrophe; minus


def normalise(text: str) -> str:
    """Normalised answer: lower case, no punctuation, no articles, single spaces, Unicode normal form C.

    Punctuation is every character that Unicode calls so (categories P...), in any script: curly quotes, dashes, the
    Chinese full stop; further the ASCII symbols, and the minus sign and apostrophe in their other forms. It leaves no
    space: "1914-1918" becomes one word.

    Source: Rajpurkar et al. 2016 (SQuAD), section 6.1, for punctuation and articles. Differs: their script knows ASCII
    punctuation only and no normal form; articles are English only, as theirs.

    >>> normalise(" The  fox, a friend!"), normalise("北京。"), normalise("The owl’s") == normalise("the owl's")
    ('fox friend', '北京', True)
    """
    lower = unicodedata.normalize("NFC", text.lower())
    bare = "".join(c for c in lower if c not in _PUNCTUATION and unicodedata.category(c)[0] != "P")
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def exact_match(prediction: str, answers: str | Sequence[str]) -> float:
    """Exact match: 1 if the prediction is one of the right answers, both normalised (see `normalise`), else 0.

    >>> exact_match(" The forest.", ["forest", "wood"]), exact_match("deep forest", ["forest"])
    (1.0, 0.0)
    """
    return float(normalise(prediction) in {normalise(answer) for answer in _answers(answers)})


def f1(prediction: str, answers: str | Sequence[str]) -> float:
    """F1 of words: how much prediction and answer overlap, the harmonic mean of precision and recall.

        F1 = 2 |common words| / (|words of the prediction| + |words of the answer|)

    Both are normalised (see `normalise`); words are what spaces separate, so a Chinese sentence is one word. A word
    counts as often as both have it; of several answers the one that fits best. Two empty texts are equal.
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
    """BLEU: how many of the n-grams of some translations are in the right ones, from 0 to 100, for a whole test set.

        BLEU = 100 min(1, exp(1 - r / c)) (p_1 p_2 ... p_N)^(1/N)

    p_n: of the n-grams predicted, the share that the answers have too, each at most as often; c and r: words in the
    predictions and in the answers. Words are separated by spaces, nothing is normalised. max_n is N.

    Errors: ValueError if there are not as many answers as predictions, or none, or one string instead of several.
    Source: Papineni et al. 2002, section 2.3, with N = 4; GPT-3, section 2.4. Differs: one answer for each prediction.

    >>> round(bleu(["the cat sat on the mat"], ["the cat sat on a mat"], max_n=2), 2)
    70.71
    """
    if isinstance(predictions, str) or isinstance(answers, str):
        raise ValueError(f"expected several predictions and answers; got one string, {predictions!r}, {answers!r}")
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
