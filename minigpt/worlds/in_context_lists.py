"""In-context-learning tasks: families of rules to be inferred from examples, each with its exact Bayes learner.

A document is a list "Examples: fox forest owl forest crab sea ..." of pairs: one hidden rule, drawn anew for each
list, leads from the first word of a pair to the second. A few pairs are enough to infer the rule, so a model that uses
the context answers the next pair better. The best possible answer follows from Bayes' rule, and is computed.

    relation    animals; the rule is one of six relations (home, food, ...); two answers in five go astray
    language    words of two languages; into French, into English, swap, keep; one answer in five goes astray
    number      digits; count on by n, modulo 10; one answer in five goes astray
    symbols     four adjectives, each with a colour that this list alone gave it: nothing to know beforehand
    category    animals of three homes, each home with a colour that this list alone gave it: homes must be known

In the last two, one pair of group and colour in eight never occurs in training. A question about such a pair cannot be
answered from memory, only from the context.
"""

import random
from dataclasses import dataclass

from minigpt.worlds import grammar, stories
from minigpt.worlds.lexicon import LEXICON, Lexicon

N_EXAMPLES = 17  # pairs in a list: room for 16 shots and one question
RELIABILITY = {"relation": 0.6, "language": 0.8, "number": 0.8}  # how often an answer follows the rule
N_SYMBOLS, N_WORDS, N_HOMES = 4, 16, 3  # adjectives a list uses, of so many; homes a list uses
HEADER = "Examples:"


# --- rules that can be listed: a silent choice, and answers that sometimes go astray ----------------------------------


def _relations(lexicon):
    return dict(stories.RELATIONS), {x.name: x for x in lexicon.animals}


def _languages(lexicon):
    pairs = [(x.name, x.french) for x in (*lexicon.animals, *lexicon.objects) if x.name != x.french]
    there, back = dict(pairs), {french: english for english, french in pairs}
    rules = {
        "into French": lambda w: there.get(w, w),
        "into English": lambda w: back.get(w, w),
        "swap": lambda w: there.get(w) or back[w],
        "keep": lambda w: w,
    }
    return rules, {w: w for w in (*there, *back)}


def _numbers(lexicon):
    rules = {f"count on by {n}": (lambda w, n=n: str((int(w) + n) % 10)) for n in range(1, 10)}
    return rules, {str(digit): str(digit) for digit in range(10)}


LISTED = {"relation": _relations, "language": _languages, "number": _numbers}


def _listed(d, family, n_examples, lexicon, named):
    """Pairs that follow one rule, each with probability RELIABILITY; else another rule of the family."""
    rules, inputs = LISTED[family](lexicon)
    rule = d.pick(tuple(rules), form=lambda rule: f"{rule}:") if named else d.hidden(tuple(rules))
    r = RELIABILITY[family]
    words = tuple(inputs)
    for _ in range(n_examples):
        word = d.pick(words, form=lambda w: f" {w}")
        answers = {}
        for name, answer in rules.items():
            share = r if name == rule else (1 - r) / (len(rules) - 1)
            answers[answer(inputs[word])] = answers.get(answer(inputs[word]), 0.0) + share
        d.pick(tuple(answers), tuple(answers.values()), form=lambda a: f" {a}")
    return rule


# --- rules that are made up for one list: there is nothing to recognise ----------------------------------------------


def _groups(family, lexicon):
    """The groups whose members share a label: {name of the group: its words}, and how many groups a list uses."""
    if family == "symbols":
        return {word: (word,) for word in lexicon.traits[:N_WORDS]}, N_SYMBOLS
    return {p.name: tuple(x.name for x in lexicon.animals_living(p.name)) for p in lexicon.places}, N_HOMES


def _is_held_out(i, j):
    return (i + j) % 8 == 0


WHICH = ("training", "held out", "any")  # pairs of group and label that a made-up rule may have


def _labels(family, lexicon, which):
    """The labels a group may get. which = "training": seven eighths of all pairs; "held out": the others; or "any"."""
    groups, _ = _groups(family, lexicon)
    fits = {"training": lambda i, j: not _is_held_out(i, j), "held out": _is_held_out, "any": lambda i, j: True}[which]
    return {group: tuple(c.name for j, c in enumerate(lexicon.colours) if fits(i, j)) for i, group in enumerate(groups)}


def _made_up(d, family, n_examples, lexicon, which):
    """A few groups, each with one label drawn for this list.

    What is silent here (which groups, which labels) need not be summed out: after s of the n groups have shown
    themselves, the next word is of each of these with probability 1/n, and of one of the rest else, all alike; and a
    group that has shown itself keeps its label. So every choice can be made visibly, in the order of reading.
    """
    groups, n_groups = _groups(family, lexicon)
    labels, given = _labels(family, lexicon, which), {}
    for _ in range(n_examples):
        options, weights = [], []
        for group, words in groups.items():
            new = (n_groups - len(given)) / (len(groups) - len(given))
            options += [(group, word) for word in words]
            weights += [(1.0 if group in given else new) / len(words)] * len(words)
        group, _ = d.pick(tuple(options), tuple(weights), form=lambda pair: f" {pair[1]}")
        if group in given:
            d.write(f" {given[group]}")
        else:
            given[group] = d.pick(labels[group], form=lambda a: f" {a}")
    return tuple(sorted(given.items()))


MADE_UP = ("symbols", "category")
FAMILIES = (*LISTED, *MADE_UP)


def program(
    family: str, n_examples: int = N_EXAMPLES, which: str = "training", lexicon: Lexicon = LEXICON, named: bool = False
):
    """Grammar of one family's lists. It returns the rule: its name, or the labels that this list gave.

    `which` says which pairs of group and label may occur in a made-up rule: "training", "held out" (never met in
    training) or "any". named: the list begins with the name of its rule ("count on by 3:"), which is silent otherwise.
    Errors: an unknown family or `which`, or a made-up rule that should be named, is a ValueError.
    """
    if named and family not in LISTED:
        raise ValueError(f"expected a family whose rules have names, one of {tuple(LISTED)}; got {family!r}")
    if family not in FAMILIES or which not in WHICH:
        raise ValueError(f"expected a family of {FAMILIES} and one of {WHICH}; got {family!r}, {which!r}")

    def document(d):
        if not named:
            d.write(HEADER)
        if family in LISTED:
            return _listed(d, family, n_examples, lexicon, named)
        return _made_up(d, family, n_examples, lexicon, which)

    return document


def mixture(weights: dict[str, float] | None = None, lexicon: Lexicon = LEXICON):
    """Grammar of a mixture of families: each document is of one, all equally often unless weights are given."""
    weights = weights or dict.fromkeys(FAMILIES, 1.0)
    programs = {family: program(family, lexicon=lexicon) for family in weights}

    def document(d):
        family = d.hidden(tuple(programs), tuple(weights.values()))
        programs[family](d)
        return family

    return document


# --- questions with their exact answers ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """K-shot question: K examples, the word that is asked about, the answer and the Bayes learner's posterior."""

    family: str
    text: str  # "Examples: fox forest crab"
    answer: str  # what the rule says, never astray: "sea"
    bayes: dict  # P(the rule's answer is this word | text) for the Bayes learner
    n_shots: int
    shown: bool  # whether an earlier example has this very word and answer: they could be copied

    @property
    def ceiling(self) -> float:
        """Best possible accuracy: the probability of the likeliest answer. No model does better on average."""
        return max(self.bayes.values())


def questions(
    family: str, n_shots: int, n: int, rng: random.Random, which: str = "training", lexicon: Lexicon = LEXICON
) -> list[Question]:
    """Draw n K-shot questions, K = n_shots; which="held out": about pairs that never occur in training.

        P(answer | text) = sum over rules of P(rule | text) [the rule leads from the word asked to this answer]

    For held-out pairs the Bayes learner takes any label for possible (one that knows the training lists alone would
    rule these out). Errors: an unknown family, or held-out pairs in a family that has none, is a ValueError.
    """
    if which == "held out" and family not in MADE_UP:
        raise ValueError(f"expected a family with held-out pairs, one of {MADE_UP}; got {family!r}")
    return [_question(family, n_shots, rng, which, lexicon) for _ in range(n)]


def _question(family, n_shots, rng, which, lexicon):
    written, rule = grammar.sample(program(family, n_shots + 1, which, lexicon), rng)
    text, last = written.rsplit(" ", 1)
    before, asked = text.rsplit(" ", 1)
    shown = before.split()[1:]
    if family in MADE_UP:
        reader = program(family, n_shots + 1, "any" if which == "held out" else which, lexicon)
        answer, bayes = last, {w.strip(): p for w, p in grammar.predict(reader, text).next_word.items()}
    else:
        rules, inputs = LISTED[family](lexicon)
        answer, bayes = rules[rule](inputs[asked]), {}
        for name, p in grammar.score(program(family, n_shots, which, lexicon), before).posterior().items():
            word = rules[name](inputs[asked])
            bayes[word] = bayes.get(word, 0.0) + p
    return Question(family, text, answer, bayes, n_shots, (asked, answer) in zip(shown[::2], shown[1::2]))
