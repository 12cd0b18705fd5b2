"""Chapter 04, sections 3, 4, 7 and 8. InstructGPT's three steps (SFT, reward model, PPO) over several seeds.

A row for each seed, thing and quantity; each seed goes through every step, the base model included.
Eight minutes a seed on one core.
"""

import dataclasses
from collections.abc import Iterator
from unittest import mock

import numpy as np

from minigpt import reward_model
from minigpt.exact import optimal_policy
from minigpt.experiments import measured, sizes
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, step3_ppo
from minigpt.experiments.instructgpt.shortened import few_rankings, few_stages, shortened, told
from minigpt.worlds import tales

SEEDS = [0, 1, 2]
KEY = ("seed", "thing", "quantity")
REPORTED = ("utility", "animal", "thing", "mood", "well_formed", "length", "score", "kl", "text")
BETAS = (0.0, 0.05, 0.2, 0.4, 2.0)
PTX = (0.5, 2.0)


def rows(seed: int) -> Iterator[dict]:
    """Measure one seed, step by step: rows of the table."""
    for thing, found in stages(seed):
        for name, value in found.items():
            yield dict(zip(KEY, (seed, thing, name)), value=f"{value:.4f}")


def stages(seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Every step of one seed: what was measured, and its quantities."""
    base = step1_sft.base(seed)
    sft = step1_sft.sft(base, seed)
    beside = step3_ppo.report(sft.model)
    yield "sft", numbers(beside, beside)
    yield "base", numbers(step3_ppo.report(base.model), beside)
    yield "base, prompted", numbers(step3_ppo.report(base.model, titled=True), beside)
    for name, how in (("dropout 0, n 300", {"dropout": 0.0, "n": 300}), ("dropout 0.2", {"dropout": 0.2})):
        yield f"epochs, {name}", epochs(step1_sft.sft(base, seed, mix=0.0, watch=True, **how))
    data, test = step2_reward_model.rankings(sft, 3200, seed), step2_reward_model.rankings(sft, 200, seed, "test")
    yield "labelers", labelers(test)
    scorers = {}
    for n in (400, 800, 3200):
        scorers[n] = step2_reward_model.reward_model(sft, data.rows(slice(n)), seed)
        yield f"reward model, {n} prompts", step2_reward_model.evaluate(scorers[n].model, test)
    for beta in BETAS:
        policy = step3_ppo.rlhf(sft, scorers[3200], seed, kl_coef=beta)
        report = step3_ppo.report(policy.model.policy, scorers[3200].model, sft.model)
        yield f"ppo, beta {beta}", numbers(report, beside)
        if beta >= 0.4:
            yield f"best, beta {beta}", best_there_is(sft, scorers[3200], policy, beta)
        if beta == 0.05:
            yield "curves, beta 0.05", curves(policy)
    for ptx in PTX:
        policy = step3_ppo.rlhf(sft, scorers[3200], seed, ptx_coef=ptx)
        report = step3_ppo.report(policy.model.policy, scorers[3200].model, sft.model)
        yield f"ppo-ptx {ptx}, beta 0.05", numbers(report, beside)
    policy = step3_ppo.rlhf(sft, scorers[800], seed, kl_coef=0.0, n_iterations=80)
    report = step3_ppo.report(policy.model.policy, scorers[800].model, sft.model)
    yield "ppo, beta 0, weak reward model", numbers(report, beside)
    yield "curves, weak reward model", curves(policy)
    large = step1_sft.base(seed, sizes.INSTRUCTGPT_LARGE)
    yield "large base", numbers(step3_ppo.report(large.model), beside)
    yield "large base, prompted", numbers(step3_ppo.report(large.model, titled=True), beside)


def numbers(seen: step3_ppo.Report, beside: step3_ppo.Report) -> dict[str, float]:
    """A report as numbers, and its win rate beside another."""
    win = step3_ppo.win_rate(seen.utilities, beside.utilities)
    return {name: getattr(seen, name) for name in REPORTED} | {"win": win.mean, "win ±": win.half_width}


def epochs(trained: step1_sft.Trained) -> dict[str, float]:
    """Held-out loss and true utility after each epoch."""
    return {
        f"{name} {epoch}": value
        for name in ("held_out", "utility")
        for epoch, value in enumerate(trained.curves[name].tolist())
    }


def best_there_is(
    sft: step1_sft.Trained, scorer: step1_sft.Trained, policy: step1_sft.Trained, beta: float,
    n_requests: int = 64, n_answers: int = 128,
) -> dict:  # fmt: skip
    """The best policy's mean score, from answers of the SFT model weighted by e^(r / beta), beside what PPO reached.

    "effective" is how many of the n_answers to each request the weights are worth.
    """
    requests = tales.requests("test")[:n_requests]
    found = {"best score": [], "effective": [], "sft score": [], "score": []}
    for whose, model in (("sft", sft.model), ("ppo", policy.model.policy)):
        asked = [request for request in requests for _ in range(n_answers)]
        answers = dialogue.sample_answers(model, asked, seed=99)
        scores = scorer.model.score(dialogue.prompt_ids(asked), answers).double().cpu().numpy()
        scores = scores.reshape(n_requests, n_answers)
        if whose == "ppo":
            found["score"] = [scores.mean()]
            continue
        found["sft score"] = [scores.mean()]
        for row in scores:
            mean, effective = optimal_policy.tilted_mean(row, row, beta)
            found["best score"].append(mean)
            found["effective"].append(effective)
    return {name: np.mean(values) for name, values in found.items()}


def labelers(test: step2_reward_model.Rankings) -> dict[str, float]:
    """How often two labelers would order a pair of these answers alike."""
    agree = [
        tales.labeler_agreement(u[r != reward_model.ABSENT].tolist(), step2_reward_model.NOISE)
        for u, r in zip(test.utilities, test.ranks)
    ]
    return {"agreement": np.mean(agree)}


def curves(policy: step1_sft.Trained) -> dict[str, float]:
    """Reward, true utility and distance on the way, means over ten iterations each."""
    return {
        f"{name} {10 * i}": part.mean()
        for name in ("reward", "utility", "kl", "length", "entropy")
        for i, part in enumerate(np.split(policy.curves[name], len(policy.curves[name]) // 10))
    }


def stored(thing: str, quantity: str) -> np.ndarray:
    """What was measured of a thing, one number for each seed. Errors: ValueError if it was not measured."""
    return measured.get("instructgpt/tales_over_seeds", thing=thing, quantity=quantity)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    first, base, sft, scorer = few_stages()
    with shortened() as found:
        test = few_rankings(sft, 12, 0, "test")
        truth = step2_reward_model.true_ranking(test)
        found |= labelers(test) | {"ranks and truth": reward_model.agreement(-test.ranks.double(), truth)}
        evaluated = step2_reward_model.evaluate(scorer.model, test)
        found |= {f"reward model: {name}": evaluated[name] for name in ("loss", "best on labels")}
        policy = step3_ppo.rlhf(sft, scorer, 0, kl_coef=BETAS[3], ptx_coef=PTX[0])
        tenfold = {name: np.repeat(values, 10) for name, values in policy.curves.items()}
        found |= curves(dataclasses.replace(policy, curves=tenfold))
        beside = step3_ppo.report(base.model, titled=True)
        with mock.patch.object(dialogue, "sample_answers", told):
            report = numbers(step3_ppo.report(policy.model.policy, scorer.model, sft.model), beside)
        found |= {f"report: {name}": value for name, value in report.items()}
        best = best_there_is(sft, scorer, policy, 0.05, 2, 8)
        found |= {f"best: {name}": value for name, value in best.items()}
        step1_sft.base(0, sizes.INSTRUCTGPT_LARGE)
        return {f"first {name}": value for name, value in first.items()} | found
