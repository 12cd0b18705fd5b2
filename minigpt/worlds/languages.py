"""Multilingual facts: the same facts in several languages, some of which share words with the first; a test of them.

A fact is a subject, a relation and a value; every language has words for all of them, and a related language shares a
part of its words with the first one. A model may have to learn each fact in each language anew, or transfer it.
Questions are multiple choice with four values, so chance is one in four.
"""

from dataclasses import dataclass

import numpy as np

N_SUBJECTS, N_RELATIONS, N_VALUES = 40, 4, 8  # values of each relation; so 160 facts
N_FACTS = 8  # in a text
N_CHOICES = 4


@dataclass(frozen=True)
class Language:
    """A language: its share of the training text, and the share of its words that are those of the first language."""

    name: str
    share: float  # of all texts
    kin: float  # share of its words that are those of the first language


LANGUAGES = (
    Language("first", 0.70, 1.0),
    Language("cousin, 10 %", 0.10, 0.8), Language("stranger, 10 %", 0.10, 0.0),
    Language("cousin, 4 %", 0.04, 0.8), Language("stranger, 4 %", 0.04, 0.0),
    Language("cousin, 1 %", 0.01, 0.8), Language("stranger, 1 %", 0.01, 0.0),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class World:
    """Multilingual facts: what is true, and the words of each language.

    Tokens: 0 is unused, 1 ... L begin a text in language 0 ... L - 1, then come the words.
    """

    languages: tuple[Language, ...]
    facts: np.ndarray  # (N_SUBJECTS, N_RELATIONS) the value of each
    words: np.ndarray  # (languages, N_SUBJECTS + N_RELATIONS + N_RELATIONS * N_VALUES) token ids
    n_vocab: int

    def subject(self, language, subject) -> np.ndarray:
        """The token of a subject."""
        return self.words[language, subject]

    def relation(self, language, relation) -> np.ndarray:
        """The token of a relation."""
        return self.words[language, N_SUBJECTS + np.asarray(relation)]

    def value(self, language, relation, value) -> np.ndarray:
        """The token of a value of a relation."""
        return self.words[language, N_SUBJECTS + N_RELATIONS + np.asarray(relation) * N_VALUES + value]

    def draw(self, n_texts: int, rng: np.random.Generator) -> np.ndarray:
        """Draw texts: the token of a language, then N_FACTS random facts. Shapes: (n_texts, 1 + 3 N_FACTS)."""
        shares = np.array([language.share for language in self.languages])
        which = rng.choice(len(shares), size=(n_texts, 1), p=shares / shares.sum())
        subjects = rng.integers(N_SUBJECTS, size=(n_texts, N_FACTS))
        relations = rng.integers(N_RELATIONS, size=(n_texts, N_FACTS))
        values = self.facts[subjects, relations]
        parts = [self.subject(which, subjects), self.relation(which, relations), self.value(which, relations, values)]
        return np.concatenate([1 + which, np.stack(parts, axis=2).reshape(n_texts, -1)], axis=1)

    def exam(self, language: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Multiple-choice questions: every fact in one language, with four choices, the right one first.

        Shapes: questions (160, 3) token ids, choices (160, 4) token ids.
        """
        subjects, relations = (each.ravel() for each in np.indices((N_SUBJECTS, N_RELATIONS)))
        values = self.facts[subjects, relations]
        others = rng.permuted(np.tile(np.arange(1, N_VALUES), (len(values), 1)), axis=1)[:, : N_CHOICES - 1]
        offered = np.concatenate([values[:, None], (values[:, None] + others) % N_VALUES], axis=1)
        questions = [
            np.full(len(values), 1 + language),
            self.subject(language, subjects),
            self.relation(language, relations),
        ]
        return np.stack(questions, axis=1), self.value(language, relations[:, None], offered)

    def seen(self, n_texts: int) -> dict[str, float]:
        """Expected number of times each fact occurs in each language in n_texts texts."""
        per_fact = n_texts * N_FACTS / (N_SUBJECTS * N_RELATIONS)
        total = sum(language.share for language in self.languages)
        return {language.name: per_fact * language.share / total for language in self.languages}


def draw_world(seed: int = 0, languages: tuple[Language, ...] = LANGUAGES) -> World:
    """Draw multilingual facts: what is true, and a vocabulary for each language.

    Errors: ValueError for no language, a share that is not above 0, or a kinship outside 0 ... 1.
    """
    if not languages or not all(language.share > 0 and 0 <= language.kin <= 1 for language in languages):
        raise ValueError(f"expected languages with a share above 0 and a kinship from 0 to 1; got {languages}")
    rng = np.random.default_rng(seed)
    facts = rng.integers(N_VALUES, size=(N_SUBJECTS, N_RELATIONS))
    n_words, n_languages = N_SUBJECTS + N_RELATIONS + N_RELATIONS * N_VALUES, len(languages)
    first = 1 + n_languages + np.arange(n_words)
    words = [first]
    for i, language in enumerate(languages[1:], start=1):
        common = rng.random(n_words) < language.kin
        words.append(np.where(common, first, first + i * n_words))
    return World(tuple(languages), facts, np.stack(words), 1 + n_languages + n_languages * n_words)
