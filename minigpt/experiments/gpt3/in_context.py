"""Learning from the context: the small models of chapter 03, and what they make of a few examples.

The models read lists of examples (`minigpt.families`), a new rule in every list, and are then asked with K examples
before the question. Nothing is trained while they are asked. Both wings meet here: a room of the classroom floor.
"""

import copy
import random
from dataclasses import replace

import numpy as np
import torch

from minigpt import loss, sample, train
from minigpt.experiments import dataset, pretraining, sizes
from minigpt.model import GPT, GPTConfig
from minigpt.tokenizer import Tokenizer
from minigpt.train import TrainConfig
from minigpt.worlds import in_context_lists
from minigpt.worlds.in_context_lists import Question
from minigpt.worlds.lexicon import LEXICON

SHOTS = (0, 1, 2, 4, 8, 16)  # K
SIZES = {16: (4, 6e-3), 32: (4, 4e-3), 64: (4, 3e-3), 96: (6, 2e-3)}  # width -> (heads, learning rate)
LEARNED = ("relation", "language", "symbols", "category")  # the families in the corpus; "number" has one of its own
# Every word is one token, and the window holds 17 pairs. A separator between the pairs makes learning several times
# slower: the word before an answer must then be looked for two tokens further back.
N_VOCAB, N_CTX, TOKENS_PER_BATCH = 704, 40, 1024


def list_dataset(names: tuple[str, ...] = LEARNED, n_documents: int = 90_000) -> dataset.Dataset:
    """Write a corpus of lists, all families equally often: 3.3 million tokens, ten seconds of writing."""
    mixture = in_context_lists.mixture(dict.fromkeys(names, 1.0))
    return dataset.build_dataset(mixture, n_documents, 300, 1, N_VOCAB)


def model_config(d_model: int, n_vocab: int = N_VOCAB, norm: str = "post") -> GPTConfig:
    """A model of one width: three blocks, LayerNorm after each step.

    Differs from GPT-3: LayerNorm stands after the step, as in GPT-1, because in our time that order learns to copy
    from the context and the other does not (chapter 03 measures both). Errors: an unknown width is a ValueError.
    """
    if d_model not in SIZES:
        raise ValueError(f"expected a width among {sorted(SIZES)}; got {d_model!r}")
    return GPTConfig(
        n_vocab=n_vocab, n_ctx=N_CTX, n_layers=3, n_heads=SIZES[d_model][0], d_model=d_model, norm=norm,
        init="width", init_std=round(d_model**-0.5, 4), position_init="sinusoid",
    )  # fmt: skip


def pretrain(lists: dataset.Dataset, d_model: int = 64, seed: int = 0, norm: str = "post") -> pretraining.Pretrained:
    """Train the model of one width on the lists, or load it if it was trained before."""
    return pretraining.pretrain(
        lists, model_config(d_model, lists.tokenizer.n_vocab, norm), seed,
        training=replace(sizes.PRETRAINING, lr=SIZES[d_model][1]), n_watched=12,
        tokens_per_batch=TOKENS_PER_BATCH,
    )  # fmt: skip


def questions(family: str, n_shots: int, n: int = 300, which: str = "training") -> list[Question]:
    """n questions of a family with K examples each, always the same ones."""
    return in_context_lists.questions(family, n_shots, n, random.Random(f"{family} {n_shots} {which}"), which)


@torch.no_grad()
def right(model: GPT, tokenizer: Tokenizer, asked: list[Question]) -> np.ndarray:
    """For each question, whether the model's likeliest next token is the answer. Shapes: result (n,), bool.

    Of all tokens of the vocabulary, not of a few choices. The questions must have equally many tokens.
    """
    ids = torch.tensor([[tokenizer.endoftext, *tokenizer.encode(question.text)] for question in asked])
    said = model(ids)[:, -1].argmax(dim=-1)
    wanted = torch.tensor([tokenizer.encode(f" {question.answer}")[0] for question in asked])
    return (said == wanted).numpy()


def ceiling(asked: list[Question]) -> float:
    """The share of right answers that the best possible reader of these questions expects."""
    return float(np.mean([question.ceiling for question in asked]))


# --- the head that copies ---------------------------------------------------------------------------------------------


@torch.no_grad()
def copying(model: GPT, tokenizer: Tokenizer, asked: list[Question]) -> np.ndarray:
    """How much of its attention each head gives to the answer behind an earlier showing of the word asked.

    The mean over questions whose word was shown before; a head that finds it each time has 1. Shapes: (layers, heads).
    Source: induction heads, Olsson et al. 2022. Differs: pairs of a list, not repeated random tokens.
    """
    found = []
    for question in asked:
        ids = tokenizer.encode(question.text)
        behind = [i + 2 for i, token in enumerate(ids[:-1]) if token == ids[-1]]  # + end-of-text, + the word after
        if behind:
            maps = model.attention_maps(torch.tensor([[tokenizer.endoftext, *ids]]))
            found.append(torch.stack([layer[0, :, -1, behind].sum(dim=-1) for layer in maps]))
    if not found:
        raise ValueError("expected questions whose word was shown before; got none")
    return torch.stack(found).mean(dim=0).numpy()


# --- more examples than the window holds ------------------------------------------------------------------------------


def table(seed: int) -> dict[str, str]:
    """A task of sixteen facts: each of sixteen adjectives gets a colour, drawn once."""
    rng = random.Random(f"table {seed}")
    words, colours = LEXICON.traits[: in_context_lists.N_WORDS], [colour.name for colour in LEXICON.colours]
    return {word: colours[int(rng.random() * len(colours))] for word in words}


def labelled(facts: dict[str, str], n: int, seed: int) -> list[tuple[str, str]]:
    """n labelled examples of a table, drawn with replacement."""
    rng, words = random.Random(f"labelled {seed}"), list(facts)
    return [(word, facts[word]) for word in (words[int(rng.random() * len(words))] for _ in range(n))]


def prompt(examples: list[tuple[str, str]], word: str) -> str:
    """As many examples as the window holds, the last ones, and the word that is asked about."""
    shown = [part for pair in examples[-(in_context_lists.N_EXAMPLES - 1) :] for part in pair] if examples else []
    return " ".join([in_context_lists.HEADER, *shown, word])


@torch.no_grad()
def knows(model: GPT, tokenizer: Tokenizer, facts: dict[str, str], examples: list[tuple[str, str]] = ()) -> float:
    """The share of a table's facts that a model gives right, with examples before the question."""
    said = []
    for word, colour in facts.items():
        logps = sample.next_logps(model, tokenizer, prompt(list(examples), word))
        said.append(int(logps.argmax()) == tokenizer.encode(f" {colour}")[0])
    return float(np.mean(said))


def fine_tune(model: GPT, tokenizer: Tokenizer, examples: list[tuple[str, str]], seed: int, n_steps: int = 60) -> GPT:
    """A copy of a model, trained on labelled examples as they are asked: without examples in the context.

    Source: what GPT-3, section 2, calls fine-tuning. The loss is that of the answers alone.
    """
    tuned, batch = copy.deepcopy(model), []
    for word, colour in examples:
        ids = [tokenizer.endoftext, *tokenizer.encode(prompt([], word)), *tokenizer.encode(f" {colour}")]
        batch.append((ids[:-1], [loss.IGNORED] * (len(ids) - 2) + ids[-1:]))
    inputs, targets = (np.array(part) for part in zip(*batch))
    config = TrainConfig(n_steps=n_steps, lr=1e-3, warmup_steps=0, schedule="linear", betas=(0.9, 0.98))
    for _ in train.train(tuned, _Draws(inputs, targets, seed), config):
        pass
    return tuned.eval()


class _Draws:
    """Batches of 16 labelled examples, drawn anew at each step from (seed, step)."""

    def __init__(self, inputs, targets, seed):
        self.inputs, self.targets, self.seed = inputs, targets, seed

    def __getitem__(self, step):
        rows = np.random.default_rng((self.seed, step)).integers(len(self.inputs), size=16)
        return self.inputs[rows], self.targets[rows]
