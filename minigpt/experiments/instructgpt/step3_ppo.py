"""Chapter 04, step 3. PPO against the reward model, and the evaluation of the policy."""

import copy
import dataclasses
from dataclasses import dataclass, replace

import numpy as np
import torch

from minigpt import ppo, responses, stats, train
from minigpt.batches import DocumentBatches, evaluation_batches
from minigpt.experiments.instructgpt import dialogue, step1_sft
from minigpt.experiments.instructgpt.dialogue import LONGEST
from minigpt.experiments.instructgpt.step1_sft import Trained
from minigpt.experiments.instructgpt.step2_reward_model import NOISE
from minigpt.experiments.sizes import INSTRUCTGPT
from minigpt.experiments.training import train_or_load
from minigpt.model import GPT
from minigpt.ppo import ActorCritic, PPOConfig, PPOState
from minigpt.reward_model import RewardModel
from minigpt.worlds import tales

PPO = PPOConfig(n_iterations=150, end_id=0, longest=LONGEST, batch_size=64, n_minibatches=2, kl_coef=0.05)


def rlhf(
    start: Trained, scorer: Trained, seed: int = 0, label: str = "PPO", reward_fn=None, **changes
) -> Trained:
    """PPO (step 3): from the SFT model, against the reward model `scorer`; `changes` are fields of PPOConfig.

    curves: every field of ppo.Record, and "text": nats per token on pre-training text, now and then. `reward_fn`
    replaces the reward model's score (its code and all that it captures are then part of the key).
    Source: InstructGPT, section 3.5.
    """
    config = replace(PPO, end_id=dialogue.tale_dataset().tokenizer.endoftext, **changes)
    agent, texts = ActorCritic(step1_sft.with_dropout(start.model), copy.deepcopy(scorer.model)), None
    score = scorer.model.score if reward_fn is None else reward_fn
    if config.ptx_coef > 0:
        data = dialogue.tale_dataset()
        texts = DocumentBatches(data.corpus, data.tokenizer, INSTRUCTGPT.n_ctx, 2048, 1000 + seed)

    def begin(state):
        return ppo.ppo(
            agent, step1_sft.with_dropout(start.model), score, dialogue.prompt_ids(tales.requests("training")), config,
            torch.Generator().manual_seed(seed), state, texts, dialogue.utility_fn,
        )  # fmt: skip

    kept = train_or_load(
        "ppo", {"start": start.model, "value": scorer.model, "reward": score, "config": config, "seed": seed},
        agent, begin, config.n_iterations, state=PPOState(), label=label,
        watch=lambda record, kept: kept.add(**dataclasses.asdict(record)),
    )  # fmt: skip
    return Trained(agent, kept.arrays())


def text_loss(policy: GPT) -> float:
    """Held-out loss on pre-training text, in nats per token: the alignment tax is how much it rises."""
    data = dialogue.tale_dataset()
    batches = evaluation_batches(data.held_out_corpus, data.tokenizer, INSTRUCTGPT.n_ctx, 4096)
    return train.evaluate(policy, batches).nats_per_token


@dataclass(frozen=True)
class Report:
    """Evaluation of a policy on the 256 test requests."""

    utility: float  # mean true utility
    utilities: np.ndarray  # of each answer
    animal: float  # share of answers about the animal that was asked for
    thing: float
    mood: float  # mean share of mood words that fit
    well_formed: float
    length: float  # tokens
    score: float  # mean score of the reward model, nan without one
    kl: float  # mean log pi - log pi_SFT, nats per answer, nan without a reference
    text: float  # nats per token on held-out pre-training text
    answers: list[str]


@torch.no_grad()
def report(
    policy: GPT, scorer: RewardModel | None = None, reference: GPT | None = None, seed: int = 0, titled: bool = False
) -> Report:
    """Evaluate a policy: every test request once; utility of the answers, score, KL, and loss on other text.

    titled: put the request as a title, "The fox and the bell: sad.", which a base model knows how to continue: the
    "prompted" GPT-3 of the paper's figure 1.
    """
    policy.eval()
    requests = tales.requests("test")
    prompts = dialogue.prompt_ids(requests)
    asked = dialogue.title_ids(requests) if titled else prompts
    answers = dialogue.sample_answers(policy, requests, seed, prompts=asked)
    seen = dialogue.utilities(requests, answers)
    kl = float("nan")
    if reference is not None:
        reference.eval()
        logps, logps_sft = (responses.answer_logps(each, prompts, answers) for each in (policy, reference))
        kl = float((logps - logps_sft).sum(dim=1).mean())
    totals = np.array([u.total for u in seen])
    return Report(
        float(totals.mean()), totals, *(float(np.mean([getattr(u, name) for u in seen])) for name in
        ("animal", "thing", "mood", "well_formed")), float(responses.answer_lengths(answers).double().mean()),
        float("nan") if scorer is None else float(scorer.score(prompts, answers).mean()), kl, text_loss(policy),
        dialogue.answer_texts(answers),
    )  # fmt: skip


def win_rate(ours: np.ndarray, theirs: np.ndarray) -> stats.Estimate:
    """Win rate: how often a labeler prefers our answer to theirs, with a 95 % interval over the requests.

        mean of sigma((u - u') / noise)

    Errors: lists of different lengths are a ValueError.
    """
    if len(ours) != len(theirs) or len(ours) < 2:
        raise ValueError(f"expected two answers to each of the same requests; got {len(ours)} and {len(theirs)}")
    wins = (1 + np.tanh((np.asarray(ours) - np.asarray(theirs)) / (2 * NOISE))) / 2
    return stats.Estimate(float(wins.mean()), float(stats.Z95 * wins.std(ddof=1) / np.sqrt(len(wins))))
