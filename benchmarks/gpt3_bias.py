"""How much of a planted association does a model pick up? Small GPT-2s on sentences about twelve occupations.

    python benchmarks/gpt3_bias.py              all seeds (two minutes on one core)
    python benchmarks/gpt3_bias.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_bias.csv, a row for each seed, amount of text, width and occupation: the planted P(she), the
share in the corpus as it was drawn, and the model's. Chapter 03 reads the file.
"""

import os
import sys
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import few_steps
from canary import first_losses
from minigpt import classroom, studies, train, zeroshot

SEEDS = [0, 1, 2, 3, 4]
WIDTHS = (16, 32)
KEY = ("seed", "amount", "d_model", "occupation")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for amount in studies.BIAS_DOCUMENTS:
            library = studies.bias_library(amount, seed)
            counted = studies.counted(library)
            for d_model in WIDTHS:
                found = studies.p_she(studies.bias_model(library, d_model, seed).model, library)
                rows = [
                    dict(zip(KEY, (seed, amount, d_model, name)), planted=p, counted=f"{counted[name]:.4f}",
                         model=f"{found[name]:.4f}")
                    for name, p in studies.PLANTED.items()
                ]  # fmt: skip
                classroom.keep_measured("gpt3_bias", rows, KEY)
                print(seed, amount, d_model, f"slope {studies.recovered(found):.2f}", flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canary.py)."""
    found = {"planted": few_steps.checksum(studies.PLANTED.values())}
    for amount in studies.BIAS_DOCUMENTS:
        with few_steps.short_writing(300) as asked:
            library = studies.bias_library(amount, 0)
        found |= {f"{amount}, written": few_steps.checksum(asked[0]), f"{amount}, floor": library.floor.mean}
        found[f"{amount}, counted"] = few_steps.checksum(studies.counted(library).values())
        for d_model in WIDTHS:
            where = f"{amount}, {d_model}"
            model, batches, config, loss_fn, _ = few_steps.training_of(
                lambda d=d_model: studies.bias_model(library, d, 0)
            )
            found[f"{where}, whole schedule"] = sum(train.learning_rate(step, config) for step in range(config.n_steps))
            early = first_losses(model, batches, replace(config, n_steps=20, warmup_steps=2), loss_fn, 20)
            found |= few_steps.under(where, early)
            said = studies.p_she(model, library)
            found |= few_steps.under(where, said) | {f"{where}, slope": studies.recovered(said)}
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
