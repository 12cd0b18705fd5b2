"""Task-specific input transforms of GPT-1: from a labelled example to token ids, and batches for fine-tuning.

Every task becomes one or more sequences that a language model can read, with three special tokens: start, delim
between the parts, extract at the end. The specials are put in as ids, never as text, so nothing a person writes
can imitate them.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from minigpt.corpus import whole
from minigpt.tokenizer import IGNORED, Tokenizer

Example = tuple[tuple[str, ...], int]  # the parts of the text, the number of the right label or answer


def classification(parts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Classification: start, text, extract.

    Shapes: one sequence.
    Source: GPT-1, section 3.3 and figure 1 (right). Differs: nothing.
    """
    (text,) = _parts(parts, 1, "classification")
    return [_sequence(tokenizer, text)]


def entailment(parts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Textual entailment: start, premise, delim, hypothesis, extract.

    Source: GPT-1, section 3.3, "Textual entailment". Differs: nothing.
    """
    premise, hypothesis = _parts(parts, 2, "entailment")
    return [_sequence(tokenizer, premise, hypothesis)]


def similarity(parts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Similarity: two texts have no natural order, so both are used; their final vectors are added before W_y.

    Source: GPT-1, section 3.3, "Similarity". Differs: nothing.
    """
    first, second = _parts(parts, 2, "similarity")
    return [_sequence(tokenizer, first, second), _sequence(tokenizer, second, first)]


def multiple_choice(parts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Multiple choice: start, context, delim, answer, extract for each answer; softmax across the answers.

    Source: GPT-1, section 3.3, "Question answering and commonsense reasoning". Differs: nothing.
    """
    if not isinstance(parts, str) and len(parts) < 3:
        raise ValueError(f"multiple choice needs a context and at least 2 answers; got {len(parts)} parts")
    context, *answers = _parts(parts, max(len(parts), 3), "multiple choice")
    return [_sequence(tokenizer, context, answer) for answer in answers]


TRANSFORMS = {
    "classification": classification,
    "entailment": entailment,
    "similarity": similarity,
    "multiple choice": multiple_choice,
}

COMBINE = {"classification": "single", "entailment": "single", "similarity": "add", "multiple choice": "choice"}


def _parts(parts, n, task):
    if isinstance(parts, str) or len(parts) != n or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(f"{task} needs {n} non-empty texts; got {parts!r}")
    return parts


def _sequence(tokenizer, *texts):
    ids = [tokenizer.start]
    for number, text in enumerate(texts):
        ids += [tokenizer.delim] * (number > 0) + tokenizer.encode(text)
    return ids + [tokenizer.extract]


def pad(examples: Sequence[tuple[list[list[int]], int]], padding: int) -> tuple[np.ndarray, ...]:
    """Padding: sequences of different lengths become rectangles, filled up on the right.

    Shapes: examples: B of (S sequences, label) -> ids (B, S, T), extract (B, S) the position of the last token,
    labels (B,), lm_targets (B, S, T): the next token, -100 from the extract token on.
    Errors: ValueError for examples with different numbers of sequences, empty ones, ids or labels that are none.
    """
    n_sequences = {len(sequences) for sequences, _ in examples}
    if len(n_sequences) != 1:
        raise ValueError(f"expected examples with the same number of sequences; got {sorted(n_sequences)}")
    whole(padding, "padding", 0)
    for sequences, label in examples:
        whole(label, "each label", 0)
        if not all(len(ids) for ids in sequences) or not sequences:
            raise ValueError("expected sequences with at least one id, got an empty one")
        for ids in sequences:
            for id in ids:
                whole(id, "each id", 0)
    T = max(len(ids) for sequences, _ in examples for ids in sequences)
    ids = np.full((len(examples), *n_sequences, T), padding, dtype=np.int64)
    lm_targets = np.full_like(ids, IGNORED)
    extract = np.empty(ids.shape[:2], dtype=np.int64)
    for b, (sequences, _) in enumerate(examples):
        for s, row in enumerate(sequences):
            ids[b, s, : len(row)] = row
            lm_targets[b, s, : len(row) - 1] = row[1:]
            extract[b, s] = len(row) - 1
    return ids, extract, np.array([label for _, label in examples], dtype=np.int64), lm_targets


class TaskBatches:
    """Data loader of labelled examples for fine-tuning; like DocumentBatches, `batches[step]` goes on for ever.

    Shapes: see `pad`.
    Errors: an example longer than n_ctx, no examples, or a batch size below 1 are a ValueError.
    Source: GPT-1, section 4.1 (batches of 32, 3 epochs). Differs: our label sets are far smaller, so more epochs.
    """

    def __init__(self, task: str, examples: Sequence[Example], tokenizer: Tokenizer, n_ctx: int, batch_size: int = 16,
                 seed: int = 0):  # fmt: skip
        if task not in TRANSFORMS:
            raise ValueError(f"expected a task among {sorted(TRANSFORMS)}; got {task!r}")
        batch_size, seed = whole(batch_size, "batch_size", 1), whole(seed, "seed", 0)
        if not examples:
            raise ValueError("expected at least one example, got none")
        self.examples = [(TRANSFORMS[task](parts, tokenizer), label) for parts, label in examples]
        longest = max(len(ids) for sequences, _ in self.examples for ids in sequences)
        if longest > n_ctx:
            raise ValueError(f"expected sequences of at most n_ctx = {n_ctx} tokens; the longest has {longest}")
        self.padding, self.batch_size, self.seed = tokenizer.endoftext, min(batch_size, len(examples)), seed

    def __len__(self) -> int:
        """Batches in an epoch; examples that do not fill a last batch are left out of it (others in each epoch)."""
        return len(self.examples) // self.batch_size

    def __getitem__(self, step: int) -> tuple[np.ndarray, ...]:
        epoch, place = divmod(whole(step, "step", 0), len(self))
        lots = np.random.PCG64(np.random.SeedSequence([self.seed, epoch])).random_raw(len(self.examples))
        chosen = np.argsort(lots, kind="stable")[place * self.batch_size : (place + 1) * self.batch_size]
        return pad([self.examples[i] for i in chosen], self.padding)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        """The batches of the first epoch."""
        return (self[step] for step in range(len(self)))

    def in_order(self, batch_size: int = 64) -> list[tuple[np.ndarray, ...]]:
        """Every example once, in the order given: for measuring."""
        cut = range(0, len(self.examples), batch_size)
        return [pad(self.examples[i : i + batch_size], self.padding) for i in cut]
