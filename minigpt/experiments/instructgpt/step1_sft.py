"""Chapter 04, step 1. Supervised fine-tuning on demonstrations, with the loss on the answers alone."""

import random
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from minigpt import train
from minigpt.batches import DocumentBatches
from minigpt.experiments import pretraining
from minigpt.experiments.instructgpt import dialogue
from minigpt.experiments.sizes import INSTRUCTGPT
from minigpt.experiments.training import train_or_load
from minigpt.loss import IGNORED
from minigpt.model import GPT, GPTConfig
from minigpt.responses import readable
from minigpt.train import TrainConfig
from minigpt.worlds import grammar, tales
from minigpt.worlds.tales import Request

PRETRAINING = TrainConfig(n_steps=1, lr=4e-3, final_lr_fraction=0.03, betas=(0.9, 0.98))
BATCH = 16  # demonstrations in a batch; InstructGPT: 32, and 8 for the largest model
DROPOUT, N_DEMONSTRATIONS = 0.2, 600  # InstructGPT: 0.2 and about 13,000


@dataclass(frozen=True)
class Trained:
    """A model, what it was made from, and numbers that were written down on the way."""

    model: torch.nn.Module
    curves: dict[str, np.ndarray]


def base(seed: int = 0, config: GPTConfig = INSTRUCTGPT) -> Trained:
    """Base language model; it was trained on text with many requests, and not one answer to any of them."""
    training = replace(PRETRAINING, lr=PRETRAINING.lr * INSTRUCTGPT.d_model / config.d_model)
    found = pretraining.pretrain(
        dialogue.tale_dataset(), config, seed, training=training, tokens_per_batch=1024, n_watched=8
    )
    return Trained(found.model, {"steps": found.watched, "held_out": found.held_out})


def demonstrations(n: int, seed: int = 0, which: str = "training") -> tuple[list[Request], list[str]]:
    """Requests, and what labelers wrote to show what they want."""
    rng = random.Random(f"demonstrations {which} {seed}")
    requests = [rng.choice(tales.requests(which)) for _ in range(n)]
    return requests, [grammar.sample(tales.demonstration(request), rng)[0] for request in requests]


def supervised(requests, answers: list[str]) -> tuple[Tensor, Tensor]:
    """Prompts and answers as inputs and targets: only the answers are to be predicted. Shapes: (B, T + N - 1) each."""
    prompts, answers = dialogue.prompt_ids(requests), dialogue.answer_ids(answers)
    inputs = readable(prompts, answers[:, :-1])
    return inputs, torch.cat([torch.full((len(prompts), prompts.shape[1] - 1), IGNORED), answers], dim=1)


@dataclass(frozen=True)
class Shuffled:
    """Batches of some rows, in a fresh order in every epoch; `batches[step]` goes on for ever."""

    rows: tuple[Tensor, ...]
    size: int
    seed: int

    def __len__(self) -> int:
        return -(-len(self.rows[0]) // self.size)

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        epoch, place = divmod(step, len(self))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows[0]))
        chosen = torch.from_numpy(order[place * self.size : (place + 1) * self.size])
        return tuple(each[chosen] for each in self.rows)


def mixed(demonstrated: "Shuffled", share: float, seed: int):
    """Batches in which this share of the rows is pre-training text, so that it is not forgotten.

    Errors: a share outside [0, 1) is a ValueError.
    Source: InstructGPT, appendix C.3 (10 % in the model that RL starts from).
    """
    if not 0 <= share < 1:
        raise ValueError(f"expected a share from 0 to below 1; got {share}")
    n_rows = round(demonstrated.size * share / (1 - share))
    if not n_rows:
        return demonstrated
    data = dialogue.tale_dataset()
    texts = DocumentBatches(data.corpus, data.tokenizer, INSTRUCTGPT.n_ctx, 1024, 2000 + seed)
    return _Mixed(demonstrated, texts, n_rows)


@dataclass(frozen=True)
class _Mixed:
    demonstrated: "Shuffled"
    texts: DocumentBatches
    n_rows: int

    def __len__(self) -> int:
        return len(self.demonstrated)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        rows = self.demonstrated[step]
        texts = [torch.as_tensor(each[: self.n_rows]) for each in self.texts[step]]
        longest = max(rows[0].shape[1], texts[0].shape[1])
        return tuple(
            torch.cat([torch.nn.functional.pad(part, (0, longest - part.shape[1]), value=fill) for part in parts])
            for fill, *parts in zip((0, IGNORED), rows, texts)
        )


def sft(
    start: Trained, seed: int = 0, n_epochs: int = 16, n: int = N_DEMONSTRATIONS, lr: float = 2e-3, mix: float = 0.1,
    dropout: float = DROPOUT, watch: bool = False,
) -> Trained:  # fmt: skip
    """Step 1: fine-tune on demonstrations, with the loss on the answers alone.

    curves: "held_out" nats per token of unseen demonstrations after each epoch; with watch=True also "utility", the
    true utility of its answers to 256 test requests. Source: InstructGPT, appendix C.1.
    """
    policy = with_dropout(start.model, dropout)
    batches = mixed(Shuffled(supervised(*demonstrations(n, seed)), BATCH, seed), mix, seed)
    held_out = [supervised(*demonstrations(400, 0, "test"))]
    config = TrainConfig(n_epochs * len(batches), lr=lr, final_lr_fraction=0.1, betas=(0.9, 0.95), weight_decay=0)

    def begin(state):
        return train.train(policy, batches, config, generator=torch.Generator().manual_seed(seed), state=state)

    def before(kept):
        kept.add(held_out=train.evaluate(policy, held_out).nats_per_token, utility=mean_utility(policy))

    def after_step(record, kept):
        if record.step % len(batches) == 0:
            utility = mean_utility(policy) if watch else float("nan")
            kept.add(held_out=train.evaluate(policy, held_out).nats_per_token, utility=utility)

    key = {
        "start": start.model, "seed": seed, "epochs": n_epochs, "n": n, "config": config, "mix": mix,
        "dropout": dropout, "watch": watch,
    }  # fmt: skip
    label = "learning from demonstrations"
    kept = train_or_load("sft", key, policy, begin, config.n_steps, before=before, watch=after_step, label=label)
    return Trained(policy, kept.arrays())


def mean_utility(policy: GPT, seed: int = 0) -> float:
    """The mean true utility of one answer to each of the 256 test requests."""
    requests = tales.requests("test")
    answers = dialogue.sample_answers(policy, requests, seed)
    return float(np.mean([u.total for u in dialogue.utilities(requests, answers)]))


def with_dropout(gpt: GPT, dropout: float = 0.0) -> GPT:
    """A copy of a model, with another dropout."""
    other = GPT(replace(gpt.config, dropout=dropout), torch.Generator())
    other.load_state_dict(gpt.state_dict())
    return other
