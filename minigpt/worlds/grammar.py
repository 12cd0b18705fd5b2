"""Probabilistic grammar as a small program, and three ways to run it: draw a document, score one, list them all.

A program is a function of one argument `d`. It writes a document by calling

    d.write(text)                     text that is always there
    d.pick(options, weights, form)    a visible choice: one option is drawn and `form(option)` is written at once
    d.hidden(options, weights)        a silent choice: nothing is written (the mood of a story, say)

and may return a value, such as the label of an exercise. The same program, run by `sample`, writes a random document;
run by `score`, it follows a given text and adds up the logarithms of the probabilities of the choices that the text
reveals. Silent choices are summed out by running the program once for each of their values.

The probability is exact because a text can come from one sequence of visible choices only: the options of a choice
are prefix-free, that is, no option's text begins another's. `score` checks this at every choice it meets.

The unit is the word in the sense of `words`: letters with the blank before them, a number, or punctuation.
"""

import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s")

END = ""  #: the "word" that stands for the end of a document in a `Prediction`

Program = Callable


@lru_cache(maxsize=100_000)
def words(text: str) -> tuple[str, ...]:
    """Pre-tokenisation into words: every character belongs to exactly one, so joining them gives the text back.

    >>> words("Lucy the fox, glad.")
    ('Lucy', ' the', ' fox', ',', ' glad', '.')

    Source: the pre-tokeniser of GPT-2 (section 2.2), which never merges letters with punctuation.
    Differs: runs of blanks are single words here; the grammars of this book never write two blanks in a row.
    """
    return tuple(_WORD.findall(text))


@dataclass(frozen=True)
class Reading:
    """Likelihood of a text under a grammar: log P(text) in nats and log P(text, value) for each returned value."""

    logp: float
    by_value: dict

    def posterior(self) -> dict:
        """Posterior P(value | text) by Bayes' rule: exp(log P(text, value) - log P(text))."""
        return {value: math.exp(logp - self.logp) for value, logp in self.by_value.items()}


@dataclass(frozen=True)
class Prediction:
    """Next-word distribution: log P(prefix) in nats and the exact P(next word | prefix); `END` ends the document."""

    logp: float
    next_word: dict


# --- running a program forwards ------------------------------------------------------------------------------------


class _Sampler:
    """Runs a program forwards, with one call of `rng.random()` a choice."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.pieces = []

    def write(self, text):
        self.pieces.append(text)

    def pick(self, options, weights=None, form=str):
        option = self.hidden(options, weights)
        self.pieces.append(form(option))
        return option

    def hidden(self, options, weights=None):
        u = self.rng.random()  # the one method whose sequence Python promises to keep
        if weights is None:
            return options[int(u * len(options))]
        u *= sum(weights)
        for option, weight in zip(options, weights):
            u -= weight
            if u < 0:
                return option
        return next(o for o, w in zip(reversed(options), reversed(weights)) if w > 0)  # u was rounded up to the sum


def sample(program: Program, rng: random.Random) -> tuple[str, object]:
    """Sample one document: (its text, the value the program returned).

    >>> sample(lambda d: d.pick(["yes", "no"]), random.Random(1))
    ('yes', 'yes')
    """
    sampler = _Sampler(rng)
    value = program(sampler)
    return "".join(sampler.pieces), value


# --- following a given text -----------------------------------------------------------------------------------------


class _Impossible(Exception):
    """The text cannot come from this run of the program."""


class _OutOfText(Exception):
    """The prefix ended here; `following` maps the next word to its share of the probability."""

    def __init__(self, following):
        self.following = following


class _Follower:
    """Runs a program along given words; `script` fixes the silent choices by number, in the order they are met."""

    def __init__(self, text_words, script):
        self.words = text_words
        self.script = script
        self.n_options = []  # of each silent choice met: how many options it had
        self.position = 0
        self.logp = 0.0

    def write(self, text):
        for word in words(text):
            if self.position == len(self.words):
                raise _OutOfText({word: 1.0})
            if self.words[self.position] != word:
                raise _Impossible
            self.position += 1

    def pick(self, options, weights=None, form=str):
        total = float(len(options)) if weights is None else float(sum(weights))
        texts = tuple(form(option) for option in options)
        table = _options_by_first_word(texts)
        if self.position == len(self.words):
            self._stop([(i, 0) for i in range(len(options))], texts, weights, total)
        partly = []
        for i in table.get(self.words[self.position], ()):
            if weights is not None and weights[i] <= 0:
                continue
            option_words = words(texts[i])
            here = self.words[self.position : self.position + len(option_words)]
            if here == option_words:
                self.position += len(option_words)
                self.logp += math.log((1.0 if weights is None else weights[i]) / total)
                return options[i]
            if here == option_words[: len(here)]:
                partly.append((i, len(here)))
        if not partly:
            raise _Impossible
        self._stop(partly, texts, weights, total)

    def _stop(self, candidates, texts, weights, total):
        """The text ends inside this choice: what is left of each candidate says what the next word may be."""
        following = {}
        for i, n_read in candidates:
            share = (1.0 if weights is None else weights[i]) / total
            if share > 0:
                word = words(texts[i])[n_read]
                following[word] = following.get(word, 0.0) + share
        reached = sum(following.values())
        self.logp += math.log(reached)
        raise _OutOfText({word: share / reached for word, share in following.items()})

    def hidden(self, options, weights=None):
        number = len(self.n_options)
        self.n_options.append(len(options))
        if number == len(self.script):
            self.script.append(0)
        i = self.script[number]
        share = 1.0 / len(options) if weights is None else weights[i] / sum(weights)
        if share <= 0:
            raise _Impossible
        self.logp += math.log(share)
        return options[i]


@lru_cache(maxsize=10_000)
def _options_by_first_word(texts):
    """Option numbers by first word, after checking that no option's words begin another's."""
    split = [words(text) for text in texts]
    if not all(split):
        raise ValueError(f"every option of a visible choice must write something; got {texts!r}")
    ordered = sorted(split)
    for a, b in zip(ordered, ordered[1:]):
        if b[: len(a)] == a:
            raise ValueError(f"options must be prefix-free, but {''.join(a)!r} begins {''.join(b)!r}")
    table = {}
    for i, option_words in enumerate(split):
        table.setdefault(option_words[0], []).append(i)
    return table


def _next_script(script, n_options):
    """Count up to the next setting of the silent choices; False when all have been seen."""
    del script[len(n_options) :]
    while script and script[-1] + 1 == n_options[len(script) - 1]:
        script.pop()
    if script:
        script[-1] += 1
    return bool(script)


def _runs(program, text_words) -> Iterator[tuple]:
    """Run the program once for each setting of its silent choices that the words allow."""
    script = []
    while True:
        follower = _Follower(text_words, script)
        try:
            value = program(follower)
            if follower.position == len(text_words):
                yield follower.logp, value, None
        except _OutOfText as stop:
            yield follower.logp, None, stop.following
        except _Impossible:
            pass
        if not _next_script(script, follower.n_options):
            return


def score(program: Program, text: str) -> Reading:
    """Exact log-likelihood of a whole document, in nats, and of the document with each returned value.

        log P(x) = log sum_z P(z) prod_i P(choice_i | z, choices before i)        z: the silent choices

    >>> round(math.exp(score(lambda d: d.pick(["yes", "no"]), "no").logp), 6)
    0.5

    A text the grammar cannot write has log-probability -inf.
    """
    by_value = {}
    for logp, value, following in _runs(program, words(text)):
        if following is None:
            by_value.setdefault(value, []).append(logp)
    by_value = {value: _logsumexp(parts) for value, parts in by_value.items()}
    return Reading(_logsumexp(by_value.values()), by_value)


def predict(program: Program, prefix: str) -> Prediction:
    """Exact next-word distribution, the best possible prediction: P(next word | the words of `prefix`).

        P(w | prefix) = P(prefix w) / P(prefix)

    >>> predict(lambda d: (d.write("a"), d.pick([" red", " blue"]), d.write(" fox")), "a").next_word
    {' red': 0.5, ' blue': 0.5}

    Errors: a prefix that no document begins with is a ValueError.
    """
    parts = [(logp, following or {END: 1.0}) for logp, _, following in _runs(program, words(prefix))]
    total = _logsumexp([logp for logp, _ in parts])
    if total == -math.inf:
        raise ValueError(f"expected the beginning of a document of this grammar; none begins with {prefix!r}")
    next_word = {}
    for logp, following in parts:
        for word, share in following.items():
            next_word[word] = next_word.get(word, 0.0) + share * math.exp(logp - total)
    return Prediction(total, next_word)


def first_impossible(program: Program, text: str) -> int:
    """How many words of a text a document can begin with, before the first word that is impossible there.

    The end counts as a word: a document of the grammar has len(words(text)) + 1.

    >>> first_impossible(lambda d: (d.write("a"), d.pick([" red", " blue"]), d.write(" fox")), "a blue hat")
    2
    """
    text_words = words(text)
    for n, word in enumerate((*text_words, END)):
        if word not in predict(program, "".join(text_words[:n])).next_word:
            return n
    return len(text_words) + 1


def _logsumexp(values) -> float:
    values = list(values)
    top = max(values, default=-math.inf)
    return top if top == -math.inf else top + math.log(sum(math.exp(v - top) for v in values))


# --- listing every document -----------------------------------------------------------------------------------------


class _Walker:
    """Runs a program with every choice, visible or silent, fixed by number; meets new choices with option 0."""

    def __init__(self, script):
        self.script, self.n_options = script, []
        self.probability, self.pieces = 1.0, []

    def write(self, text):
        self.pieces.append(text)

    def pick(self, options, weights=None, form=str):
        option = self.hidden(options, weights)
        self.pieces.append(form(option))
        return option

    def hidden(self, options, weights=None):
        number = len(self.n_options)
        self.n_options.append(len(options))
        if number == len(self.script):
            self.script.append(0)
        i = self.script[number]
        if weights is not None and weights[i] == 0:
            raise _Impossible  # what follows an option that is never taken need not make sense
        self.probability *= 1.0 / len(options) if weights is None else weights[i] / sum(weights)
        return options[i]


def documents(program: Program) -> Iterator[tuple[str, float, object]]:
    """Enumerate every run of a small grammar: (text, probability of the run, returned value). They sum to 1.

    A text appears once for each setting of the silent choices that can write it.

    >>> sorted(documents(lambda d: d.pick(["yes", "no"], [3, 1])))
    [('no', 0.25, 'no'), ('yes', 0.75, 'yes')]
    """
    script = []
    while True:
        walker = _Walker(script)
        try:
            value = program(walker)
        except _Impossible:
            pass
        else:
            yield "".join(walker.pieces), walker.probability, value
        if not _next_script(script, walker.n_options):
            return
