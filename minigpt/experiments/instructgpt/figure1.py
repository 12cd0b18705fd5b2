"""Chapter 04, sections 1, 8 and 9. Figure 1 of InstructGPT in miniature: five methods, three sizes, one opponent.

A row for each seed, size and method. As in the paper there is one base model of each size, and one reward model for all
sizes; a seed draws the demonstrations, the rankings and all answers. "win" is how often a labeler prefers the answer to
one of the SFT model of the largest size (fine-tuned anew, on demonstrations of its own); "win_prompted" is the same
against the largest GPT with a few-shot prompt. Six minutes a seed on one core.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

import numpy as np
import torch

from minigpt import responses, train
from minigpt.batches import evaluation_batches
from minigpt.experiments.instructgpt import three_steps
from minigpt.experiments.instructgpt.shortened import shortened, told_on_the_web
from minigpt.experiments.instructgpt.step3_ppo import win_rate
from minigpt.experiments.instructgpt.three_steps import MIDDLE, SIZES
from minigpt.model import GPT
from minigpt.reward_model import RewardModel
from minigpt.worlds import tales, web_tales

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "d_model", "method")
METHODS = ("GPT", "GPT (prompted)", "SFT", "PPO", "PPO-ptx")
N_RANKED = three_steps.N_RANKED  # prompts
OPPONENT_SEED = 1000  # added to the seed: the opponent has demonstrations and answers of its own


@dataclass(frozen=True)
class Look:
    """Answers of one model to the test requests, and numbers about the model."""

    totals: np.ndarray  # true utility of each answer
    numbers: dict[str, float]


def rows(seed: int) -> Iterator[dict]:
    """Measure one seed: a row for each size and method."""
    bases = {d: three_steps.base(d) for d in SIZES}
    sfts = {d: three_steps.sft(bases[d], seed) for d in SIZES}
    opponent = three_steps.sft(bases[max(SIZES)], OPPONENT_SEED + seed)
    scorer = reward_model(seed, N_RANKED)
    theirs = look(opponent.model, scorer.model, OPPONENT_SEED + seed).totals
    prompted = look(bases[max(SIZES)].model, scorer.model, OPPONENT_SEED + seed, prompted=True).totals
    for d in SIZES:
        for method in METHODS:
            prompting, reference = method == "GPT (prompted)", None
            policy = bases[d].model if method.startswith("GPT") else sfts[d].model
            if method.startswith("PPO"):
                reference, ptx = policy, three_steps.PTX_COEF if method == "PPO-ptx" else 0.0
                policy = three_steps.rlhf(sfts[d], scorer, seed, ptx).model
            seen = look(policy, scorer.model, seed, prompting, reference)
            beside = {"win": win_rate(seen.totals, theirs).mean, "win_prompted": win_rate(seen.totals, prompted).mean}
            found = beside | seen.numbers
            yield dict(zip(KEY, (seed, d, method))) | {name: f"{value:.4f}" for name, value in found.items()}


def reward_model(seed: int, n_prompts: int) -> three_steps.Trained:
    """The reward model of a seed: of the middle size, from rankings of answers of the SFT models of all sizes."""
    sfts = {d: three_steps.sft(three_steps.base(d), seed) for d in SIZES}
    ranked = three_steps.rankings([each.model for each in sfts.values()], n_prompts, seed)
    return three_steps.reward_model(sfts[MIDDLE], ranked)


@torch.no_grad()
def look(policy: GPT, scorer: RewardModel, seed: int, prompted: bool = False, reference: GPT | None = None) -> Look:
    """Evaluate a policy: its answers to the test requests, and what it says when nobody asks for a tale."""
    policy.eval()
    requests = tales.requests("test")
    answers = three_steps.sample_answers(policy, requests, seed, prompted)
    texts = [web_tales.first_line(text) for text in three_steps.answer_texts(answers)]
    seen = three_steps.worths(requests, texts)
    totals = np.array([each.total for each in seen])
    prompts, ids = three_steps.prompt_ids(requests), three_steps.answer_ids(texts)
    kl = float("nan")
    if reference is not None:
        logps, logps_sft = (responses.answer_logps(each, prompts, answers) for each in (policy, reference.eval()))
        kl = float((logps - logps_sft).sum(dim=1).mean())
    parts = {name: np.mean([getattr(each.utility, name) for each in seen]) for name in
             ("animal", "thing", "mood", "well_formed")}  # fmt: skip
    return Look(totals, {
        "utility": totals.mean(), **parts, "insult": np.mean([each.insult for each in seen]),
        "length": responses.answer_lengths(ids).double().mean().item(),
        "score": scorer.score(prompts, ids).double().mean().item(), "kl": kl, "text": text_loss(policy),
        **unasked(policy),
    })  # fmt: skip


@torch.no_grad()
def unasked(policy: GPT) -> dict[str, float]:
    """What a model says that nobody asked it about: exact probabilities of the next word.

    "insult_unasked": of an insult where a tale begins without a request. "true_home" and "false_home": of the true
    home, and of all false ones together, after "A fox lives in the" and the like. Web text has 0.25, 0.8 and 0.2.
    """
    tokenizer = three_steps.web_dataset().tokenizer

    def next_probs(text: str) -> torch.Tensor:
        ids = torch.tensor([[tokenizer.endoftext, *tokenizer.encode(text)]])
        return policy(ids)[0, -1].double().softmax(dim=-1)

    homes = {home: tokenizer.encode(f" {home}")[0] for home in web_tales.HOMES}
    right, wrong = [], []
    for text, home in web_tales.home_prompts():
        p = next_probs(text)
        right.append(p[homes[home]].item())
        wrong.append(sum(p[i].item() for other, i in homes.items() if other != home))
    insult = next_probs("Once a")[tokenizer.encode(web_tales.INSULT)[0]].item()
    return {"insult_unasked": insult, "true_home": np.mean(right), "false_home": np.mean(wrong)}


def text_loss(policy: GPT) -> float:
    """Held-out loss on web text, nats per token: the alignment tax is how much it rises."""
    data = three_steps.web_dataset()
    batches = evaluation_batches(data.held_out_corpus, data.tokenizer, three_steps.N_CTX, 4096)
    return train.evaluate(policy, batches).nats_per_token


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py): one size, few steps of every training."""
    with shortened() as found, contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(three_steps, "sample_answers", told_on_the_web))
        stack.enter_context(mock.patch.dict(globals(), N_RANKED=8, SIZES=(MIDDLE,)))
        for row in rows(0):
            where = f"{row['d_model']} {row['method']}"
            found |= {f"{where}: {name}": float(row[name]) for name in row if name not in KEY and row[name] != "nan"}
    return found
