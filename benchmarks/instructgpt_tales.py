"""InstructGPT's three steps on tales, over several seeds: what each step gains, and what it costs.

    python benchmarks/instructgpt_tales.py              all seeds (eight minutes each on one core)
    python benchmarks/instructgpt_tales.py 0 2          only these seeds: several can run side by side

Writes data/measured/instructgpt_tales.csv, a row for each seed, thing and quantity. A seed goes through every step: the
base model, the demonstrations, the rankings, the reward model, PPO. Chapter 04 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import dataclasses
import functools
import itertools
import math
import random
import tempfile
from unittest import mock

import numpy as np
import torch

from minigpt import corpus, ppo, reward_model, train
from minigpt.exact import optimal_policy
from minigpt.experiments import dataset, measured, sizes
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, step3_ppo
from minigpt.worlds import grammar, tales

SEEDS = [0, 1, 2]
KEY = ("seed", "thing", "quantity")
REPORTED = ("utility", "animal", "thing", "mood", "well_formed", "length", "score", "kl", "text")
BETAS = (0.0, 0.05, 0.2, 0.4, 2.0)
PTX = (0.5, 2.0)


def keep(seed: int, thing: str, found: dict) -> None:
    """Put what was found into the table, and say so."""
    rows = [dict(zip(KEY, (seed, thing, name)), value=f"{value:.4f}") for name, value in found.items()]
    measured.keep("instructgpt_tales", rows, KEY)
    print(seed, thing, {name: round(float(value), 3) for name, value in list(found.items())[:9]}, flush=True)


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
    sft: step1_sft.Trained, judge: step1_sft.Trained, policy: step1_sft.Trained, beta: float,
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
        scores = judge.model.score(dialogue.prompt_ids(asked), answers).double().numpy().reshape(n_requests, n_answers)
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


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        base = step1_sft.base(seed)
        sft = step1_sft.sft(base, seed)
        beside = step3_ppo.report(sft.model)
        keep(seed, "sft", numbers(beside, beside))
        keep(seed, "base", numbers(step3_ppo.report(base.model), beside))
        keep(seed, "base, prompted", numbers(step3_ppo.report(base.model, titled=True), beside))
        for name, how in (("dropout 0", {"dropout": 0.0, "n": 300}), ("dropout 0.2", {"dropout": 0.2})):
            keep(seed, f"epochs, {name}", epochs(step1_sft.sft(base, seed, mix=0.0, watch=True, **how)))
        data, test = step2_reward_model.rankings(sft, 3200, seed), step2_reward_model.rankings(sft, 200, seed, "test")
        keep(seed, "labelers", labelers(test))
        judges = {}
        for n in (400, 800, 3200):
            judges[n] = step2_reward_model.reward_model(sft, data.rows(slice(n)), seed)
            keep(seed, f"reward model, {n} prompts", step2_reward_model.judged(judges[n].model, test))
        for beta in BETAS:
            policy = step3_ppo.rlhf(sft, judges[3200], seed, kl_coef=beta)
            report = step3_ppo.report(policy.model.policy, judges[3200].model, sft.model)
            keep(seed, f"ppo, beta {beta}", numbers(report, beside))
            if beta >= 0.4:
                keep(seed, f"best, beta {beta}", best_there_is(sft, judges[3200], policy, beta))
            if beta == 0.05:
                keep(seed, "curves, beta 0.05", curves(policy))
        for ptx in PTX:
            policy = step3_ppo.rlhf(sft, judges[3200], seed, ptx_coef=ptx)
            report = step3_ppo.report(policy.model.policy, judges[3200].model, sft.model)
            keep(seed, f"ppo-ptx {ptx}, beta 0.05", numbers(report, beside))
        policy = step3_ppo.rlhf(sft, judges[800], seed, kl_coef=0.0, n_iterations=80)
        keep(
            seed,
            "ppo, beta 0, weak reward model",
            numbers(step3_ppo.report(policy.model.policy, judges[800].model, sft.model), beside),
        )
        keep(seed, "curves, weak reward model", curves(policy))
        large = step1_sft.base(seed, sizes.INSTRUCTGPT_LARGE)
        keep(seed, "large base", numbers(step3_ppo.report(large.model), beside))
        keep(seed, "large base, prompted", numbers(step3_ppo.report(large.model, titled=True), beside))


def curves(policy: step1_sft.Trained) -> dict[str, float]:
    """Reward, true utility and distance on the way, means over ten iterations each."""
    return {
        f"{name} {10 * i}": part.mean()
        for name in ("reward", "utility", "kl", "length", "entropy")
        for i, part in enumerate(np.split(policy.curves[name], len(policy.curves[name]) // 10))
    }


# --- the canary, and what those of gpt4_calibration and gpt4_safety share with it ------------------------------------


@functools.cache
def few_tales() -> dataset.Dataset:
    """The library of chapter 04 with few documents; as many as its vocabulary needs."""
    library = dialogue.tale_dataset(600)
    return dataclasses.replace(
        library,
        corpus=corpus.encode(library.documents[:64], library.tokenizer),
        held_out=library.held_out[:40],
        held_out_corpus=corpus.encode(library.held_out[:40], library.tokenizer),
        held_out_nats=library.held_out_nats[:40],
    )


def told(policy, requests, seed: int = 0, prompts=None):
    """What `alignment.ask` is for a model, from labelers who write about another request one time in two."""
    rng = random.Random(f"told {seed}")
    about = [rng.choice((request, rng.choice(requests))) for request in requests]
    return dialogue.answer_ids([grammar.sample(tales.demonstration(each), rng)[0] for each in about])


@contextlib.contextmanager
def shortened(n_steps: int = 3, n_iterations: int = 2):
    """Inside, every stage of chapter 04 takes a moment: few tales and requests, the first steps of each training, an
    empty cache of its own. Yields a dictionary that fills with what each training does: first losses, sum of rates.

    In double precision: Adam's first steps make much of the rounding of small gradients, and answers are drawn.
    """
    found, names = {}, itertools.count(1)
    library, all_requests, train_all, ppo_all = few_tales(), tales.requests, train.train, ppo.ppo
    demonstrations = step1_sft.demonstrations

    def few_demonstrations(n, *args):  # as many as are learned from, but few of those that are only looked at
        return demonstrations(n if n == step1_sft.N_DEMONSTRATIONS else 40, *args)


    def few_steps(model, batches, config, *args, **more):
        name = f"training {next(names)}"
        rates = [train.learning_rate(step, config) for step in range(config.n_steps)]
        found[f"{name}: sum of rates"] = sum(rates)
        n = config.n_steps if config.n_steps <= 2 * n_steps else n_steps
        for record in itertools.islice(train_all(model, batches, config, *args, **more), n):
            found[f"{name}: loss {record.step}"] = record.loss
            yield record

    def few_iterations(agent, reference, reward_fn, prompts, config, *args, **more):
        name = f"training {next(names)}"
        rates = [config.lr * ppo.learning_rate_factor(i, config) for i in range(config.n_iterations)]
        found[f"{name}: sum of rates"] = sum(rates)
        few = dataclasses.replace(config, batch_size=16, n_epochs=4)  # far enough for values to be clipped
        records = ppo_all(agent, reference, reward_fn, prompts, few, *args, **more)
        for record in itertools.islice(records, n_iterations):
            for key in ("reward", "utility", "kl", "policy_loss", "value_loss"):
                if not math.isnan(getattr(record, key)):
                    found[f"{name}: {key} {record.step}"] = getattr(record, key)
            yield record

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float64)
        stack.enter_context(mock.patch.dict(os.environ, MINIGPT_CACHE=folder))
        for module, name, by in (
            (dialogue, "tale_dataset", lambda: library),
            (step1_sft, "demonstrations", few_demonstrations),
            (dialogue, "by_ids", functools.cache(dialogue.by_ids.__wrapped__)),
            (tales, "requests", lambda which: all_requests(which)[:32]),
            (train, "train", few_steps),
            (ppo, "ppo", few_iterations),
        ):
            stack.enter_context(mock.patch.object(module, name, by))
        yield found


def few_rankings(start: step1_sft.Trained, n: int = 8, seed: int = 0, which: str = "training") -> step2_reward_model.Rankings:
    """Rankings of answers that are worth ranking: a model that has hardly learned gives none."""
    with mock.patch.object(dialogue, "sample_answers", told):
        return step2_reward_model.rankings(start, n, seed, which)


@functools.cache
def few_stages() -> tuple[dict[str, float], step1_sft.Trained, step1_sft.Trained, step1_sft.Trained]:
    """What the first trainings do, and the base model, the SFT model and the reward model that come out of them."""
    with shortened() as found:
        base = step1_sft.base(0)
        sft = step1_sft.sft(base, 0)
        found |= {f"sft: {name}": values[0] for name, values in sft.curves.items()}
        data = few_rankings(sft)
        found |= {"utilities": float(data.utilities.sum()), "ranks": float(data.ranks.sum())}
        judge = step2_reward_model.reward_model(sft, data, 0)
        found["judge: shift"] = float(judge.model.shift)
        return dict(found), base, sft, judge


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    stages, base, sft, judge = few_stages()
    with shortened() as found:
        test = few_rankings(sft, 12, 0, "test")
        truth = step2_reward_model.true_ranking(test)
        found |= labelers(test) | {"ranks and truth": reward_model.agreement(-test.ranks.double(), truth)}
        judged = step2_reward_model.judged(judge.model, test)
        found |= {f"judge: {name}": judged[name] for name in ("loss", "best on labels")}
        policy = step3_ppo.rlhf(sft, judge, 0, kl_coef=BETAS[3], ptx_coef=PTX[0])
        tenfold = {name: np.repeat(values, 10) for name, values in policy.curves.items()}
        found |= curves(dataclasses.replace(policy, curves=tenfold))
        beside = step3_ppo.report(base.model, titled=True)
        with mock.patch.object(dialogue, "sample_answers", told):
            report = numbers(step3_ppo.report(policy.model.policy, judge.model, sft.model), beside)
        found |= {f"report: {name}": value for name, value in report.items()}
        best = best_there_is(sft, judge, policy, 0.05, 2, 8)
        found |= {f"best: {name}": value for name, value in best.items()}
        step1_sft.base(0, sizes.INSTRUCTGPT_LARGE)
        return {f"first {name}": value for name, value in stages.items()} | found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
