"""Chapter 06, section 5. Log-probabilities of four choices by a base model and the same model after PPO.

400 questions of calibration_after_rlhf.py, for a slider that changes the temperature. The models are those of chapter
04's first seed.
"""

import copy
import inspect
import random
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
import torch

from minigpt import calibration, ppo, reward_model, train
from minigpt.batches import DocumentBatches
from minigpt.experiments import sizes
from minigpt.experiments.canaries import first_losses
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt4 import calibration_after_rlhf
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, step3_ppo
from minigpt.model import GPT
from minigpt.worlds import tales

SEEDS, KEY = (0,), ("seed", "model", "form", "question")
N, BETA = 400, 0.05  # questions; the price of leaving the SFT model


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: model, form, question; the log-probability of each choice, and which one is right."""
    base = step1_sft.base(seed)
    sft = step1_sft.sft(base, seed)
    scorer = step2_reward_model.reward_model(sft, step2_reward_model.rankings(sft, 3200, seed), seed)
    models = {"base": base.model, "ppo": step3_ppo.rlhf(sft, scorer, seed, kl_coef=BETA).model.policy}
    tokenizer = dialogue.tale_dataset().tokenizer
    for form in calibration_after_rlhf.FORMS:
        asked = calibration_after_rlhf.questions(form, N)
        for name, model in models.items():
            logps = calibration_after_rlhf.choice_logps(model, tokenizer, asked)
            for i, (row, question) in enumerate(zip(logps, asked)):
                found = {f"logp {j}": f"{x:.3f}" for j, x in enumerate(row)} | {"right": question.right}
                yield dict(zip(KEY, (seed, name, form, f"{i:03d}"))) | found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    Each step of chapter 04 in short, on a small dataset.
    """
    small = dialogue.tale_dataset.__wrapped__(1000)
    with mock.patch.object(dialogue, "tale_dataset", lambda: small):
        base, found = _in_short(small)
        for form in calibration_after_rlhf.FORMS:
            asked = calibration_after_rlhf.questions(form, 12)
            logps = calibration_after_rlhf.choice_logps(base, small.tokenizer, asked)
            found |= {f"logp {i}, {form}": x for i, x in enumerate(logps.mean(axis=0))}
            found[f"right, {form}"] = np.mean([row[question.right] for row, question in zip(logps, asked)])
            found |= {f"truth {i}, {form}": x for i, x in enumerate(np.mean([q.truth for q in asked], axis=0))}
            said = calibration_after_rlhf.report(_oracle(asked), asked)
            found |= {f"report, {form}: {name}": x for name, x in said.items()}
    return found | {"questions": N, "beta": BETA, "dropout": step1_sft.DROPOUT, "noise": step2_reward_model.NOISE}


def _oracle(asked: list[calibration_after_rlhf.Question]) -> np.ndarray:
    """What the grammar knows, but twice as sure. Shapes: (n, 4)."""
    return calibration.choice_probabilities(np.log([question.truth for question in asked]), 0.5)


def _in_short(data: Dataset) -> tuple[GPT, dict[str, float]]:
    """A base model after a few steps, and the first numbers of every step that follows; no dropout, no long answers."""
    base, found = GPT(sizes.INSTRUCTGPT, torch.Generator().manual_seed(0)), {"floor": data.floor.mean}
    batches = DocumentBatches(data.corpus, data.tokenizer, sizes.INSTRUCTGPT.n_ctx, 1024, 0)
    config = replace(step1_sft.PRETRAINING, n_steps=10, warmup_steps=1)
    found |= {f"base: {key}": x for key, x in first_losses(base, batches, config, n=10).items()}

    policy, shown = copy.deepcopy(base), step1_sft.supervised(*step1_sft.demonstrations(64, 0))
    usual = _defaults(step1_sft.sft)
    mixed = step1_sft.mixed(step1_sft.Shuffled(shown, step1_sft.BATCH, 0), usual["mix"], 0)
    config = train.TrainConfig(6, lr=usual["lr"], final_lr_fraction=0.1, betas=(0.9, 0.95), weight_decay=0)
    found |= {f"sft: {key}": x for key, x in first_losses(policy, mixed, config).items()}

    scorer, ranked = reward_model.RewardModel(copy.deepcopy(policy)), step1_sft.Shuffled(_rankings(8), 4, 0)
    lr = _defaults(step2_reward_model.reward_model)["lr"]
    config = train.TrainConfig(6, lr=lr, warmup_steps=1, schedule="linear", betas=(0.9, 0.95), weight_decay=0)
    losses = first_losses(scorer, ranked, config, step2_reward_model.comparison_loss, n=4)
    found |= {f"reward model: {k}": x for k, x in losses.items()}
    torch.nn.init.zeros_(scorer.head.bias)  # no pair depends on it: Adam moves it by what rounding left of a gradient
    requests, answers = step1_sft.demonstrations(32, 0)
    found["centre"] = reward_model.centre(scorer, dialogue.prompt_ids(requests), dialogue.answer_ids(answers))

    short = {"n_iterations": 1, "batch_size": 16, "longest": 12, "end_id": data.tokenizer.endoftext}
    config = replace(step3_ppo.PPO, kl_coef=BETA, **short)
    agent = ppo.ActorCritic(copy.deepcopy(policy), copy.deepcopy(scorer))
    prompts = dialogue.prompt_ids(tales.requests("training")[:16])
    records = ppo.ppo(agent, policy, scorer.score, prompts, config, torch.Generator().manual_seed(0))
    for record in records:
        names = ("reward", "kl", "policy_loss", "value_loss", "entropy", "p_end", "explained_variance")
        found |= {f"ppo: {name}": getattr(record, name) for name in names}
    found["ppo: weights"] = sum(p.detach().double().norm().item() for p in agent.parameters())
    for step in (step1_sft.sft, step2_reward_model.reward_model):
        found |= {f"{step.__name__}: {name}": value for name, value in _defaults(step).items()}
    found["ppo: iterations"], found["ppo: answers"] = step3_ppo.PPO.n_iterations, step3_ppo.PPO.batch_size
    return base, found


def _defaults(step) -> dict[str, float]:
    """The numbers that a step of chapter 04 takes by default."""
    usual = {name: each.default for name, each in inspect.signature(step).parameters.items()}
    return {name: value for name, value in usual.items() if isinstance(value, (int, float))}


def _rankings(n_prompts: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Demonstrations for the same prompts, ranked as step2_reward_model.rankings has answers ranked."""
    requests, answers = step1_sft.demonstrations(4 * n_prompts, 1)
    asked, rng = requests[:n_prompts], random.Random("rankings")
    worth = [tales.utility(asked[i // 4], answer).total for i, answer in enumerate(answers)]
    noise, tie = step2_reward_model.NOISE, step2_reward_model.TIE
    ranks = [tales.ranking(worth[i : i + 4], noise, rng, tie) for i in range(0, 4 * n_prompts, 4)]
    ids = dialogue.answer_ids(answers)
    return dialogue.prompt_ids(asked), ids.reshape(n_prompts, 4, -1), torch.tensor(ranks)
