"""A dataset with known entropy: documents, tokenizer, held-out documents and their exact surprisal."""

import functools
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from minigpt import stats
from minigpt.corpus import Corpus, encode
from minigpt.exact import entropy
from minigpt.experiments.cache import cached
from minigpt.tokenizer import Tokenizer, train_bpe
from minigpt.worlds import grammar, stories

# 1,024 tokens: common words are one token, rare ones two or three. With 1,408 every word would be one, and the loss as
# near to the floor, but the model then does not find out in time which words are of one mood (tried with two seeds).
N_VOCAB, N_CTX, TOKENS_PER_BATCH = 1024, 128, 512
LARGE = 30_000  # documents of a dataset that is worth keeping


@dataclass(frozen=True)
class Dataset:
    """A dataset: training documents, and held-out documents with their exact surprisal."""

    tokenizer: Tokenizer
    documents: list[str]
    corpus: Corpus
    held_out: list[str]
    held_out_corpus: Corpus
    held_out_nats: np.ndarray  # exact -log P of each held-out document, in nats
    program: Callable  # the grammar they were drawn from

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a model trained on this dataset can see, and of the held-out documents."""
        corpora = (self.corpus, self.held_out_corpus)
        data = [array for each in corpora for array in (each.ids, each.offsets)] + [self.held_out_nats]
        digest = hashlib.sha256(self.tokenizer.fingerprint.encode())
        for array in data:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def held_out_tokens(self) -> np.ndarray:
        """Predictions a model makes for each held-out document: its tokens and the end."""
        return self.held_out_corpus.lengths + 1

    @property
    def floor(self) -> stats.Estimate:
        """The entropy floor: nats per token that no model can beat on average."""
        return entropy.floor(self.held_out_nats, self.held_out_tokens)


def story_dataset(n_documents: int = 36_000, n_held_out: int = 500, mix=stories.STORYBOOK, seed: int = 1) -> Dataset:
    """The book's story dataset: training documents, held-out documents, and a vocabulary of 1,024 tokens.

    Takes a few seconds the first time; the same on every machine.
    """
    return build_dataset(stories.program(mix), n_documents, n_held_out, seed)


def build_dataset(program, n_documents: int, n_held_out: int, seed: int, n_vocab: int = N_VOCAB) -> Dataset:
    """Dataset of any program of `grammar`: training and held-out documents, and a vocabulary of n_vocab tokens.

    From LARGE documents on it is drawn once on this computer, and read back from the cache ever after.
    """

    def draw() -> Dataset:
        rng, rng_held_out = random.Random(seed), random.Random(f"held out {seed}")
        documents = [grammar.sample(program, rng)[0] for _ in range(n_documents)]
        held_out = [grammar.sample(program, rng_held_out)[0] for _ in range(n_held_out)]
        tokenizer = train_bpe(documents[:8000], n_vocab)
        return Dataset(
            tokenizer,
            documents,
            encode(documents, tokenizer),
            held_out,
            encode(held_out, tokenizer),
            entropy.document_nats(held_out, program),
            program,
        )

    if n_documents < LARGE:
        return draw()
    key = {"program": program, "documents": n_documents, "held out": n_held_out, "seed": seed, "vocabulary": n_vocab}
    return _read(cached("dataset", key, lambda: (_arrays(draw()), {})).tensors, program)


def _arrays(data: Dataset) -> dict[str, Tensor]:
    """A dataset as tensors; texts and tokens as their bytes, one after another, and how many bytes each has."""
    tokens = sorted(data.tokenizer.ranks, key=data.tokenizer.ranks.get)
    found = {"nats": torch.from_numpy(data.held_out_nats)}
    for name, corpus in (("training", data.corpus), ("held_out", data.held_out_corpus)):
        found |= {f"{name}/ids": torch.from_numpy(corpus.ids), f"{name}/offsets": torch.from_numpy(corpus.offsets)}
    for name, texts in (("training", data.documents), ("held_out", data.held_out)):
        found |= _in_bytes(name, [text.encode() for text in texts])
    return found | _in_bytes("token", tokens)


def _in_bytes(name: str, pieces: list[bytes]) -> dict[str, Tensor]:
    return {
        f"{name}/bytes": torch.frombuffer(bytearray(b"".join(pieces)), dtype=torch.uint8),
        f"{name}/lengths": torch.tensor([len(piece) for piece in pieces]),
    }


def _pieces(name: str, stored: dict[str, Tensor]) -> list[bytes]:
    whole = stored[f"{name}/bytes"].numpy().tobytes()
    ends = stored[f"{name}/lengths"].cumsum(0).tolist()
    return [whole[begin:end] for begin, end in zip([0, *ends], ends)]


def _read(stored: dict[str, Tensor], program) -> Dataset:
    """The dataset that _arrays was given."""
    tokenizer = Tokenizer({token: rank for rank, token in enumerate(_pieces("token", stored))})
    documents, held_out = ([each.decode() for each in _pieces(name, stored)] for name in ("training", "held_out"))
    corpus, held_out_corpus = (
        Corpus(stored[f"{name}/ids"].numpy(), stored[f"{name}/offsets"].numpy(), tokenizer.fingerprint)
        for name in ("training", "held_out")
    )
    return Dataset(tokenizer, documents, corpus, held_out, held_out_corpus, stored["nats"].numpy(), program)
