"""Does learning from preferences cost calibration? Chapter 04's models, three seeds, 1,500 questions of two forms.

    python benchmarks/gpt4_calibration.py              all seeds (two minutes each once chapter 04's models are there)
    python benchmarks/gpt4_calibration.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt4_calibration.csv, a row for each seed, model, form and quantity: accuracy, mean confidence,
expected calibration error and its bins. "truth" is the grammar itself, and its error what chance alone makes. Chapter 05
reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from minigpt import calibration
from minigpt.experiments import measured
from minigpt.experiments.gpt4 import calibration_after_rlhf
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, step3_ppo

SEEDS = [0, 1, 2]
KEY = ("seed", "model", "form", "quantity")
N = 1500


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    tokenizer = dialogue.tale_dataset().tokenizer
    for seed in seeds:
        base = step1_sft.base(seed)
        sft = step1_sft.sft(base, seed)
        judge = step2_reward_model.reward_model(sft, step2_reward_model.rankings(sft, 3200, seed), seed)
        models = {"base": base.model, "sft": sft.model}
        for name, how in (("ppo", {"kl_coef": 0.05}), ("ppo, beta 0.4", {"kl_coef": 0.4}), ("ppo, beta 0", {"kl_coef": 0.0}),
                          ("ppo-ptx", {"ptx_coef": 0.5})):  # fmt: skip
            models[name] = step3_ppo.rlhf(sft, judge, seed, **how).model.policy
        for form in calibration_after_rlhf.FORMS:
            asked = calibration_after_rlhf.questions(form, N)
            keep(seed, "truth", form, np.array([question.truth for question in asked]), asked)
            for name, model in models.items():
                logps = calibration_after_rlhf.choice_logps(model, tokenizer, asked)
                keep(seed, name, form, calibration.choice_probabilities(logps), asked)


def keep(seed: int, name: str, form: str, p: np.ndarray, asked: list) -> None:
    """Put what was found into the table, and say so."""
    found = calibration_after_rlhf.report(p, asked)
    rows = [dict(zip(KEY, (seed, name, form, each)), value=f"{value:.4f}") for each, value in found.items()]
    measured.keep("gpt4_calibration", rows, KEY)
    print(seed, name, form, {each: round(value, 3) for each, value in list(found.items())[:4]}, flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py). The stages are those of instructgpt.shortened."""
    from minigpt.experiments.instructgpt.shortened import few_stages, few_tales, shortened

    tokenizer = few_tales().tokenizer
    stages, base, sft, judge = few_stages()
    with shortened() as found:
        policy = step3_ppo.rlhf(sft, judge, 0, kl_coef=0.4, ptx_coef=0.5).model.policy
        models = {"base": base.model, "sft": sft.model, "ppo": policy}
        found |= {f"first {name}": value for name, value in stages.items()}
    for form in calibration_after_rlhf.FORMS:
        asked = calibration_after_rlhf.questions(form, 100)
        exact = np.array([question.truth for question in asked])
        for power in (1, 3):  # the grammar itself, and somebody who is too sure
            p = calibration.choice_probabilities(power * np.log(exact))
            found |= {f"{form} {power}: {name}": value for name, value in calibration_after_rlhf.report(p, asked).items()}
        for name, model in models.items():
            logps = calibration_after_rlhf.choice_logps(model, tokenizer, asked[:12])
            sure, _ = calibration_after_rlhf.confidence(calibration.choice_probabilities(logps), asked[:12])
            found |= {f"{form} {name}: nats": -logps.mean(), f"{form} {name}: confidence": sure.mean()}
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
