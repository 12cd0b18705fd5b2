"""Chapter 04. The three steps at several sizes, on web text that is more careless than the labelers.

As in the paper: one reward model, of the middle size, for policies of all sizes; it also starts every value function.
"""

import copy
import functools
import random
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from minigpt import ppo, responses, train
from minigpt.batches import DocumentBatches
from minigpt.experiments import dataset, pretraining
from minigpt.experiments.cache import cached
from minigpt.experiments.instructgpt.step1_sft import Shuffled, Trained, with_dropout
from minigpt.experiments.instructgpt.step2_reward_model import ANSWERS, NOISE, TIE, Rankings, comparison_loss
from minigpt.experiments.training import train_or_load
from minigpt.loss import IGNORED
from minigpt.model import GPT, GPTConfig
from minigpt.ppo import ActorCritic, PPOConfig, PPOState
from minigpt.responses import readable
from minigpt.reward_model import RewardModel, centre
from minigpt.train import TrainConfig
from minigpt.worlds import grammar, tales, web_tales

SIZES, MIDDLE = (24, 48, 96), 48  # d_model of the policies; of the reward model (the paper's is 6B, for 1.3B to 175B)
N_DOCUMENTS, N_VOCAB, N_CTX, LONGEST = 36_000, 768, 192, 56
PRETRAINING = TrainConfig(n_steps=1, lr=4e-3, final_lr_fraction=0.03, betas=(0.9, 0.98))
REFERENCE_WIDTH = 64  # learning rates below are for this width; they fall as 1 / d_model
SFT_LR, RM_LR, PPO_LR = 2e-3, 2e-3, 1e-3
BATCH, N_DEMONSTRATIONS, N_EPOCHS, DROPOUT = 16, 600, 6, 0.2
TEXT_ROWS = 2  # documents beside the 16 demonstrations of a batch: a tenth, InstructGPT, appendix C.3
N_RANKED = 2000  # prompts
PPO = PPOConfig(n_iterations=80, end_id=0, longest=LONGEST, batch_size=64, n_minibatches=2, kl_coef=0.05)
PTX_COEF, PTX_TOKENS = 0.5, 1024


def config(d_model: int) -> GPTConfig:
    """The model of one size: two blocks, four heads."""
    return GPTConfig(
        n_vocab=web_dataset().tokenizer.n_vocab, n_ctx=N_CTX, n_layers=2, n_heads=4, d_model=d_model, norm="pre",
        init="width", init_std=round(d_model**-0.5, 4), position_init="sinusoid",
    )  # fmt: skip


@functools.cache
def web_dataset(n_documents: int = N_DOCUMENTS) -> dataset.Dataset:
    """Pre-training data: tales, titled tales, requests without and with answers, facts, sums."""
    return dataset.build_dataset(web_tales.text, n_documents, 300, 1, N_VOCAB)


def rate(lr: float, d_model: int) -> float:
    """A learning rate for one width."""
    return lr * REFERENCE_WIDTH / d_model


# --- requests and answers as ids -------------------------------------------------------------------------------------


def prompt_ids(requests, prompted: bool = False) -> Tensor:
    """Prompts as token ids; prompted: with two answered requests before each. Shapes: result (P, T)."""
    tokenizer = web_dataset().tokenizer
    texts = [web_tales.few_shot(r) if prompted else r.text for r in requests]
    return torch.tensor([[tokenizer.endoftext, *tokenizer.encode(text)] for text in texts])


def answer_ids(answers: list[str]) -> Tensor:
    """Answers as token ids, each with the end token after it. Shapes: result (B, N), -100 on the right."""
    tokenizer = web_dataset().tokenizer
    rows = [[*tokenizer.encode(answer), tokenizer.endoftext] for answer in answers]
    longest = max(map(len, rows))
    return torch.tensor([row + [IGNORED] * (longest - len(row)) for row in rows])


def answer_texts(answers: Tensor) -> list[str]:
    """Answers as text, without the end token."""
    tokenizer = web_dataset().tokenizer
    return [tokenizer.decode([i for i in row if i not in (IGNORED, tokenizer.endoftext)]) for row in answers.tolist()]


def sample_answers(policy: GPT, requests, seed: int = 0, prompted: bool = False) -> Tensor:
    """Sampled answers to requests, at temperature 1. Shapes: result (P, N)."""
    end, generator, parts = web_dataset().tokenizer.endoftext, torch.Generator().manual_seed(seed), []
    for prompts in prompt_ids(requests, prompted).split(512):
        answers = responses.rollout(policy, prompts, LONGEST, end, generator)
        parts.append(torch.nn.functional.pad(answers, (0, LONGEST - answers.shape[1]), value=IGNORED))
    answers = torch.cat(parts)
    return answers[:, : int(responses.answer_lengths(answers).max())]


def worths(requests, texts: list[str]) -> list[web_tales.Worth]:
    """What each answer is worth."""
    return [web_tales.worth(request, text) for request, text in zip(requests, texts, strict=True)]


# --- the steps -------------------------------------------------------------------------------------------------------


def base(d_model: int, seed: int = 0) -> Trained:
    """GPT: a language model of the web text."""
    training = replace(PRETRAINING, lr=rate(PRETRAINING.lr, d_model))
    found = pretraining.pretrain(
        web_dataset(), config(d_model), seed, training=training, tokens_per_batch=1024, n_watched=4
    )
    return Trained(found.model, {"steps": found.watched, "held_out": found.held_out})


def demonstrations(n: int, seed: int = 0, which: str = "training") -> tuple[list[tales.Request], list[str]]:
    """Requests, and what hired labelers wrote."""
    rng = random.Random(f"careful demonstrations {which} {seed}")
    requests = [rng.choice(tales.requests(which)) for _ in range(n)]
    return requests, [grammar.sample(web_tales.demonstration(request), rng)[0] for request in requests]


def supervised(requests, answers: list[str]) -> tuple[Tensor, Tensor]:
    """Prompts and answers as inputs and targets: only the answers are to be predicted. Shapes: (B, T + N - 1) each."""
    prompts, answers = prompt_ids(requests), answer_ids(answers)
    inputs = readable(prompts, answers[:, :-1])
    return inputs, torch.cat([torch.full((len(prompts), prompts.shape[1] - 1), IGNORED), answers], dim=1)


@dataclass(frozen=True)
class WithText:
    """Batches of demonstrations, each with a few documents of pre-training text, so that it is not forgotten."""

    demonstrated: Shuffled
    texts: DocumentBatches
    n_rows: int

    def __len__(self) -> int:
        return len(self.demonstrated)

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        both = zip(self.demonstrated[step], (torch.as_tensor(each[: self.n_rows]) for each in self.texts[step]))
        found = []
        for fill, parts in zip((0, IGNORED), both):
            longest = max(part.shape[1] for part in parts)
            padded = [torch.nn.functional.pad(part, (0, longest - part.shape[1]), value=fill) for part in parts]
            found.append(torch.cat(padded))
        return tuple(found)


def text_batches(n_tokens: int, seed: int) -> DocumentBatches:
    """Batches of pre-training text."""
    data = web_dataset()
    return DocumentBatches(data.corpus, data.tokenizer, N_CTX, n_tokens, seed)


def sft(
    start: Trained, seed: int = 0, n: int = N_DEMONSTRATIONS, n_epochs: int = N_EPOCHS, dropout: float = DROPOUT,
    text_rows: int = TEXT_ROWS, watch=None,
) -> Trained:  # fmt: skip
    """Step 1: fine-tune on demonstrations, with the loss on the answers alone.

    watch(policy), if given, returns named numbers, which are written down before the first and after each epoch.
    """
    policy = with_dropout(start.model, dropout)
    batches = Shuffled(supervised(*demonstrations(n, seed)), BATCH, seed)
    if text_rows:
        batches = WithText(batches, text_batches(1024, 2000 + seed), text_rows)
    lr = rate(SFT_LR, start.model.config.d_model)
    training = TrainConfig(n_epochs * len(batches), lr=lr, final_lr_fraction=0.1, betas=(0.9, 0.95), weight_decay=0)

    def begin(state):
        return train.train(policy, batches, training, generator=torch.Generator().manual_seed(seed), state=state)

    def after_step(record, kept):
        if watch is not None and record.step % len(batches) == 0:
            kept.add(**watch(policy))

    key = {
        "start": start.model, "seed": seed, "n": n, "config": training, "text": text_rows, "dropout": dropout,
        "watch": watch,
    }  # fmt: skip
    kept = train_or_load(
        "three-steps-sft", key, policy, begin, training.n_steps, watch=after_step, label="demonstrations",
        before=None if watch is None else lambda kept: kept.add(**watch(policy)),
    )  # fmt: skip
    return Trained(policy, kept.arrays())


def rankings(models: list[GPT], n_prompts: int = N_RANKED, seed: int = 0, which: str = "training") -> Rankings:
    """Comparison data: each prompt is answered K times, K from 4 to 9, by the models in turn, and ranked."""
    key = {"models": list(models), "n": n_prompts, "seed": seed, "which": which}

    def build():
        rng = random.Random(f"rankings of three steps {which} {seed}")
        requests = [rng.choice(tales.requests(which)) for _ in range(n_prompts)]
        counts = [rng.choice(ANSWERS) for _ in requests]
        asked = [request for request, count in zip(requests, counts) for _ in range(count)]
        drawn = torch.full((len(asked), LONGEST), IGNORED)
        for i, model in enumerate(models):
            part = sample_answers(model, asked[i :: len(models)], seed)
            drawn[i :: len(models), : part.shape[1]] = part
        seen = [each.total for each in worths(asked, answer_texts(drawn))]
        answers = torch.full((n_prompts, max(ANSWERS), LONGEST), IGNORED)
        ranks, known = torch.zeros(n_prompts, max(ANSWERS), dtype=torch.int64), torch.zeros(n_prompts, max(ANSWERS))
        first = 0
        for i, count in enumerate(counts):
            here = slice(first, first + count)
            answers[i, :count], known[i, :count] = drawn[here], torch.tensor(seen[here])
            ranks[i, :count] = torch.tensor(tales.ranking(seen[here], NOISE, rng, TIE))
            first += count
        return {"prompts": prompt_ids(requests), "answers": answers, "ranks": ranks, "utilities": known}, {}

    return Rankings(**cached("three-steps-rankings", key, build).tensors)


def reward_model(start: Trained, data: Rankings, seed: int = 0, n_epochs: int = 2) -> Trained:
    """Step 2: the reward model, trained on rankings; then demonstrations get the mean score 0."""
    model = RewardModel(with_dropout(start.model))
    batches = Shuffled((data.prompts, data.answers, data.ranks), 4, seed)
    n_steps, lr = n_epochs * len(batches), rate(RM_LR, start.model.config.d_model)
    training = TrainConfig(
        n_steps, lr=lr, warmup_steps=min(100, n_steps // 10), schedule="linear", betas=(0.9, 0.95), weight_decay=0
    )

    def begin(state):
        return train.train(model, batches, training, comparison_loss, state=state)

    def finish(kept):
        requests, answers = demonstrations(400, seed)
        centre(model, prompt_ids(requests), answer_ids(answers))

    kept = train_or_load(
        "three-steps-reward", {"start": start.model, "data": data, "seed": seed, "config": training}, model, begin,
        n_steps, watch=lambda record, kept: kept.add(losses=record.loss), finish=finish, label="reward model",
    )  # fmt: skip
    return Trained(model, kept.arrays())


def rlhf(start: Trained, scorer: Trained, seed: int = 0, ptx_coef: float = 0.0) -> Trained:
    """Step 3: PPO from the SFT model against the reward model; PPO-ptx if ptx_coef is above 0. The policy."""
    lr = rate(PPO_LR, start.model.config.d_model)
    value_lr = rate(PPO_LR, scorer.model.gpt.config.d_model)
    end = web_dataset().tokenizer.endoftext
    chosen = replace(PPO, end_id=end, lr=lr, value_lr=value_lr, ptx_coef=ptx_coef)
    agent = ActorCritic(with_dropout(start.model), copy.deepcopy(scorer.model))
    texts = text_batches(PTX_TOKENS, 1000 + seed) if ptx_coef else None

    def begin(state):
        return ppo.ppo(
            agent, with_dropout(start.model), scorer.model.score, prompt_ids(tales.requests("training")), chosen,
            torch.Generator().manual_seed(seed), state, texts,
        )  # fmt: skip

    kept = train_or_load(
        "three-steps-ppo", {"start": start.model, "scorer": scorer.model, "config": chosen, "seed": seed}, agent,
        begin, chosen.n_iterations, state=PPOState(), label="PPO-ptx" if ptx_coef else "PPO",
        watch=lambda record, kept: kept.add(reward=record.reward, kl=record.kl, length=record.length),
    )  # fmt: skip
    return Trained(agent.policy, {name: np.asarray(values) for name, values in kept.arrays().items()})
