"""Enumerated answers: every sequence over a small vocabulary up to a length, as a tree of prefixes."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from minigpt.io.checks import is_whole


@dataclass(frozen=True)
class Answers:
    """Tree of all answers: those of at most `longest` tokens over `n_words` words; the end token has the id n_words.

    >>> Answers(2, 2).rows
    ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2,))
    """

    n_words: int
    longest: int

    def __post_init__(self):
        for name in ("n_words", "longest"):
            if not is_whole(getattr(self, name), 1):
                raise ValueError(f"expected {name} of at least 1; got {getattr(self, name)!r}")

    @property
    def end(self) -> int:
        """The id of the end token."""
        return self.n_words

    @cached_property
    def prefixes(self) -> tuple[tuple[int, ...], ...]:
        """Every prefix after which another token follows; the empty one first."""
        return tuple(p for n in range(self.longest) for p in product(range(self.n_words), repeat=n))

    @cached_property
    def rows(self) -> tuple[tuple[int, ...], ...]:
        """Every answer."""
        ended = [(*prefix, self.end) for prefix in self.prefixes]
        return tuple(sorted([*ended, *product(range(self.n_words), repeat=self.longest)]))

    @cached_property
    def path(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(which prefix, which token, whether it is written) for each answer and step. Shapes: (N, longest) each."""
        where = {prefix: i for i, prefix in enumerate(self.prefixes)}
        states = np.zeros((len(self.rows), self.longest), dtype=int)
        tokens, written = np.full_like(states, self.end), np.zeros(states.shape, dtype=bool)
        for i, row in enumerate(self.rows):
            for t, token in enumerate(row):
                states[i, t], tokens[i, t], written[i, t] = where[row[:t]], token, True
        return states, tokens, written

    def logps(self, token_logps: np.ndarray) -> np.ndarray:
        """log P(answer) from log P(token | prefix).

        Shapes: (prefixes, n_words + 1) -> (N,). Errors: another shape is a ValueError.
        """
        token_logps = np.asarray(token_logps, dtype=np.float64)
        expected = (len(self.prefixes), self.n_words + 1)
        if token_logps.shape != expected:
            raise ValueError(f"expected log-probabilities of shape {expected}; got {token_logps.shape}")
        states, tokens, written = self.path
        return np.where(written, token_logps[states, tokens], 0.0).sum(axis=1)
