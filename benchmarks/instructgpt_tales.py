"""InstructGPT's three steps on tales, over several seeds: what each step gains, and what it costs.

    python benchmarks/instructgpt_tales.py              all seeds (eight minutes each on one core)
    python benchmarks/instructgpt_tales.py 0 2          only these seeds: several can run side by side

Writes data/measured/instructgpt_tales.csv, a row for each seed, thing and quantity. A seed goes through every step: the
base model, the demonstrations, the rankings, the reward model, PPO. Chapter 04 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from minigpt import alignment, assistant, classroom, optimum, ppo, reward

SEEDS = [0, 1, 2]
KEY = ("seed", "thing", "quantity")
ALSO = (alignment, assistant, ppo, reward)
REPORTED = ("utility", "animal", "thing", "mood", "well_formed", "length", "score", "kl", "text")
BETAS = (0.0, 0.05, 0.2, 0.4, 2.0)
PTX = (0.5, 2.0)


def keep(seed: int, thing: str, found: dict) -> None:
    """Put what was found into the table, and say so."""
    rows = [dict(zip(KEY, (seed, thing, name)), value=f"{value:.4f}") for name, value in found.items()]
    classroom.keep_measured("instructgpt_tales", rows, KEY, also=ALSO)
    print(seed, thing, {name: round(float(value), 3) for name, value in list(found.items())[:9]}, flush=True)


def numbers(seen: alignment.Report, beside: alignment.Report) -> dict[str, float]:
    """A report as numbers, and its win rate beside another."""
    win = alignment.win_rate(seen.utilities, beside.utilities)
    return {name: getattr(seen, name) for name in REPORTED} | {"win": win.mean, "win ±": win.half_width}


def epochs(trained: alignment.Trained) -> dict[str, float]:
    """Held-out loss and true utility after each epoch."""
    return {
        f"{name} {epoch}": value
        for name in ("held_out", "utility")
        for epoch, value in enumerate(trained.curves[name].tolist())
    }


def best_there_is(sft: alignment.Trained, judge: alignment.Trained, policy: alignment.Trained, beta: float) -> dict:
    """The best policy's mean score, from answers of the SFT model weighted by e^(r / beta), beside what PPO reached.

    64 requests, 128 answers to each; "effective" is how many of the 128 the weights are worth.
    """
    requests = assistant.requests("test")[:64]
    found = {"best score": [], "effective": [], "sft score": [], "score": []}
    for whose, model in (("sft", sft.model), ("ppo", policy.model.policy)):
        asked = [request for request in requests for _ in range(128)]
        answers = alignment.ask(model, asked, seed=99)
        scores = judge.model.score(alignment.prompt_ids(asked), answers).double().numpy().reshape(64, 128)
        if whose == "ppo":
            found["score"] = [scores.mean()]
            continue
        found["sft score"] = [scores.mean()]
        for row in scores:
            mean, effective = optimum.tilted_mean(row, row, beta)
            found["best score"].append(mean)
            found["effective"].append(effective)
    return {name: np.mean(values) for name, values in found.items()}


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        base = alignment.base(seed)
        sft = alignment.sft(base, seed)
        beside = alignment.report(sft.model)
        keep(seed, "sft", numbers(beside, beside))
        keep(seed, "base", numbers(alignment.report(base.model), beside))
        keep(seed, "base, prompted", numbers(alignment.report(base.model, titled=True), beside))
        for name, how in (("dropout 0", {"dropout": 0.0, "n": 300}), ("dropout 0.2", {"dropout": 0.2})):
            keep(seed, f"epochs, {name}", epochs(alignment.sft(base, seed, mix=0.0, watch=True, **how)))
        data, test = alignment.rankings(sft, 3200, seed), alignment.rankings(sft, 200, seed, "test")
        agree = [
            assistant.labeler_agreement(u[r != reward.ABSENT].tolist(), alignment.NOISE)
            for u, r in zip(test.utilities, test.ranks)
        ]
        keep(seed, "labelers", {"agreement": np.mean(agree)})
        judges = {}
        for n in (400, 800, 3200):
            judges[n] = alignment.reward_model(sft, data.rows(slice(n)), seed)
            keep(seed, f"reward model, {n} prompts", alignment.judged(judges[n].model, test))
        for beta in BETAS:
            policy = alignment.rlhf(sft, judges[3200], seed, kl_coef=beta)
            report = alignment.report(policy.model.policy, judges[3200].model, sft.model)
            keep(seed, f"ppo, beta {beta}", numbers(report, beside))
            if beta >= 0.4:
                keep(seed, f"best, beta {beta}", best_there_is(sft, judges[3200], policy, beta))
            if beta == 0.05:
                keep(seed, "curves, beta 0.05", curves(policy))
        for ptx in PTX:
            policy = alignment.rlhf(sft, judges[3200], seed, ptx_coef=ptx)
            report = alignment.report(policy.model.policy, judges[3200].model, sft.model)
            keep(seed, f"ppo-ptx {ptx}, beta 0.05", numbers(report, beside))
        policy = alignment.rlhf(sft, judges[800], seed, kl_coef=0.0, n_iterations=80)
        keep(
            seed,
            "ppo, beta 0, weak reward model",
            numbers(alignment.report(policy.model.policy, judges[800].model, sft.model), beside),
        )
        keep(seed, "curves, weak reward model", curves(policy))
        large = alignment.base(seed, alignment.LARGE)
        keep(seed, "large base", numbers(alignment.report(large.model), beside))
        keep(seed, "large base, prompted", numbers(alignment.report(large.model, titled=True), beside))


def curves(policy: alignment.Trained) -> dict[str, float]:
    """Reward, true utility and distance on the way, means over ten iterations each."""
    return {
        f"{name} {10 * i}": part.mean()
        for name in ("reward", "utility", "kl", "length", "entropy")
        for i, part in enumerate(np.split(policy.curves[name], len(policy.curves[name]) // 10))
    }


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
