"""Training on your own text: a small GPT-1, and what its held-out loss says.

    python -m minigpt.experiments.own_text my.txt       a UTF-8 text file, or a folder with .txt and .md files
"""

import argparse
import math
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from minigpt import corpus, sample, train
from minigpt.batches import WindowBatches, windows
from minigpt.experiments.dataset import N_VOCAB, TOKENS_PER_BATCH
from minigpt.experiments.sizes import GPT1, PRETRAINING
from minigpt.experiments.training import train_or_load
from minigpt.io import files
from minigpt.model import GPT
from minigpt.notebook.progress import progress
from minigpt.tokenizer import Tokenizer, train_bpe

CONTEXTS = (64, 32, 16, 8)  # the longest that fits into the held-out tenth is taken
N_STEPS, N_PASSES = 1000, 16  # so many steps, but not more than so many passes over the text
LONGEST_WORD = 200  # characters: a text without blanks is cut into tokens piece by piece


@dataclass(frozen=True)
class TextModel:
    """A model of the reader's text, and its loss on the last tenth, which neither it nor its tokenizer has seen."""

    model: GPT
    tokenizer: Tokenizer
    n_train: int  # tokens it was trained on
    n_steps: int
    held_out: np.ndarray  # the ids of the last tenth
    nats: float  # -log P of the held-out text by the model, in nats
    uniform: float  # by a model for which all tokens of the vocabulary are equally likely
    unigram: float  # by a model that knows how frequent each token is in the training text, and nothing else

    @property
    def nats_per_token(self) -> float:
        """Held-out loss, nats per token."""
        return self.nats / (len(self.held_out) - 1)

    def report(self) -> str:
        """The held-out loss per token, per character and in bits per byte, beside two baselines, in a few lines."""
        data = b"".join(self.tokenizer.decode_bytes(int(i)) for i in self.held_out[1:])
        characters, config = sum(byte & 0xC0 != 0x80 for byte in data), self.model.config
        n_tokens = len(self.held_out) - 1
        lines = [
            f"vocabulary: {config.n_vocab:,} tokens, {characters / n_tokens:.1f} characters each on average",
            f"trained on {self.n_train:,} tokens in {self.n_steps:,} steps, context {config.n_ctx}; "
            f"held out: the last tenth, {n_tokens:,} tokens",
            f"{'held-out loss':36s}{'nats per token':>16s}{'nats per character':>20s}{'bits per byte':>16s}",
        ]
        baselines = {"uniform (knows nothing)": self.uniform, "unigram (knows frequencies)": self.unigram}
        for name, nats in (baselines | {"the model": self.nats}).items():
            per_byte = nats / math.log(2) / len(data)
            lines.append(f"{name:36s}{nats / n_tokens:16.3f}{nats / max(characters, 1):20.3f}{per_byte:16.3f}")
        if self.nats >= self.unigram:
            lines.append("The model knows no more than frequencies: give it more text, a few hundred kilobytes.")
        return "\n".join(lines)

    def sample(self, n_new: int = 60, seed: int = 0, temperature: float = 0.8) -> str:
        """Text that the model writes after the first few held-out tokens, which stand at its beginning."""
        prompt = torch.from_numpy(self.held_out[:4].astype(np.int64))
        n_new = min(n_new, self.model.config.n_ctx + 1 - len(prompt))
        generator = torch.Generator().manual_seed(seed)
        return self.tokenizer.decode(sample.generate(self.model, prompt, n_new, generator, temperature).tolist())


def train_on_text(path, n_steps: int | None = None, seed: int = 0) -> TextModel:
    """Train a small GPT-1 on a text file or folder of the reader's, or load it if that was done before.

    Vocabulary, context and number of steps follow from the text. The last tenth of the text is held out. The floor of
    real text is unknown: that is why this book has a world.
    Errors: as `corpus.read_text`; ValueError for a text that is too short, before any training.
    """
    text = "\n".join(corpus.read_text(expand(path)))
    cut = len(text) * 9 // 10
    tokenizer = _train_tokenizer(text[:cut])
    ids, held_out = (encode(part, tokenizer) for part in (text[:cut], text[cut:]))
    n_ctx = next((n for n in CONTEXTS if len(held_out) > n), None)
    if n_ctx is None:
        needed = math.ceil(10 * (CONTEXTS[-1] + 1) * len(text) / (len(ids) + len(held_out)))
        raise ValueError(
            f"expected a text of at least {needed:,} characters (better: a few hundred thousand), so that a tenth of "
            f"it can be held out; got {len(text):,} in {path}"
        )
    n_steps = n_steps or min(N_STEPS, max(20, N_PASSES * len(ids) // TOKENS_PER_BATCH))
    gpt = GPT(replace(GPT1, n_vocab=tokenizer.n_vocab, n_ctx=n_ctx), torch.Generator().manual_seed(seed))
    batches = WindowBatches(ids, n_ctx, TOKENS_PER_BATCH // n_ctx, seed)
    config = replace(PRETRAINING, n_steps=n_steps, warmup_steps=n_steps // 10)

    def start(state):
        return train.train(gpt, batches, config, state=state)

    key = {"ids": ids, "tokenizer": tokenizer.fingerprint, "model": gpt.config, "training": config, "seed": seed}
    train_or_load("own-text", key, gpt, start, n_steps, label="your text")
    nats = train.evaluate(gpt, windows(held_out, n_ctx)).nats_total
    wanted = held_out[1:]
    counts = 1 + np.bincount(ids, minlength=tokenizer.n_vocab)  # one more of each: nothing is impossible
    unigram = -np.log(counts / counts.sum())[wanted].sum()
    uniform = len(wanted) * math.log(tokenizer.n_vocab)
    return TextModel(gpt, tokenizer, len(ids), n_steps, held_out, nats, float(uniform), float(unigram))


def expand(path) -> Path:
    """The path that was meant: without quotes and blanks around it, `~` expanded.

    Errors: ValueError for an empty path, for a ~ that has no home folder, or for a path with characters such as a tab,
    which no path has: a backslash of Windows between plain quotes makes them.
    """
    text = str(path).strip().strip("\"'")
    if not text:
        raise ValueError("expected the path of a text file or folder; got an empty one")
    if min(text) < " ":
        raise ValueError(f'expected a path; got {text!r}. Write a path with backslashes as r"C:\\...", with an r')
    return files.reader_path(text)


def vocabulary_size(text: str) -> int:
    """Vocabulary size for a training text.

    1,024, as everywhere in this book, and two more for each frequent letter that is no ASCII, up to 4,096: Chinese has
    thousands of three bytes each. Fewer in a short text, so that each token is met often enough (one for each 50
    bytes), and in one of few letters, such as a genome (16 for each letter).
    """
    letters = Counter(text)
    wide = sum(n >= 10 and not letter.isascii() for letter, n in letters.items())
    return min(N_VOCAB + 2 * wide, 260 + len(text.encode("utf-8")) // 50, 260 + 16 * len(letters), 4096)


def encode(text: str, tokenizer: Tokenizer) -> np.ndarray:
    """The token ids of a text, cut into tokens a piece at a time. Shapes: result (n_tokens,)."""
    return np.array([i for piece in _pieces(text) for i in tokenizer.encode(piece)], dtype=np.int64)


def _train_tokenizer(text: str) -> Tokenizer:
    def shown(steps, n_steps):
        return progress(steps, max(1, n_steps), label="vocabulary")

    return train_bpe(_pieces(text), vocabulary_size(text), progress=shown)


def _pieces(text: str) -> list[str]:
    """The text itself, or pieces of LONGEST_WORD letters if it has words longer than that: they would take too long."""
    if max(map(len, text.split()), default=0) <= LONGEST_WORD:
        return [text]
    return [text[i : i + LONGEST_WORD] for i in range(0, len(text), LONGEST_WORD)]


def main(argv: list[str]) -> int:
    """Train on a text and print what was found; 0 if all went well."""
    parser = argparse.ArgumentParser(
        prog="python -m minigpt.experiments.own_text", description="Train a small GPT on your own text."
    )
    parser.add_argument("path", help="a UTF-8 text file, or a folder with .txt and .md files")
    parser.add_argument("--steps", type=int, help="training steps (by default chosen by the text, at most 1,000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes another model")
    options = parser.parse_args(argv)
    try:
        trained = train_on_text(options.path, options.steps, options.seed)
    except (ValueError, OSError) as error:
        parser.exit(1, f"{error}\n")
    print(trained.report())
    print(f"\nIt writes:\n{trained.sample()}")
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)  # a model this small runs faster on one thread
    sys.exit(main(sys.argv[1:]))
