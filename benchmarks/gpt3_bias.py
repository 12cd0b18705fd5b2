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

from minigpt import train
from minigpt.experiments import canaries, measured
from minigpt.experiments.canaries import first_losses
from minigpt.experiments.gpt3 import gender_bias

SEEDS = [0, 1, 2, 3, 4]
WIDTHS = (16, 32)
KEY = ("seed", "amount", "d_model", "occupation")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for amount in gender_bias.BIAS_DOCUMENTS:
            library = gender_bias.bias_dataset(amount, seed)
            counted = gender_bias.counted(library)
            for d_model in WIDTHS:
                found = gender_bias.p_she(gender_bias.bias_model(library, d_model, seed).model, library)
                rows = [
                    dict(zip(KEY, (seed, amount, d_model, name)), planted=p, counted=f"{counted[name]:.4f}",
                         model=f"{found[name]:.4f}")
                    for name, p in gender_bias.PLANTED.items()
                ]  # fmt: skip
                measured.keep("gpt3_bias", rows, KEY)
                print(seed, amount, d_model, f"slope {gender_bias.recovered(found):.2f}", flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    found = {"planted": canaries.checksum(gender_bias.PLANTED.values())}
    for amount in gender_bias.BIAS_DOCUMENTS:
        with canaries.short_writing(300) as asked:
            library = gender_bias.bias_dataset(amount, 0)
        found |= {f"{amount}, written": canaries.checksum(asked[0]), f"{amount}, floor": library.floor.mean}
        found[f"{amount}, counted"] = canaries.checksum(gender_bias.counted(library).values())
        for d_model in WIDTHS:
            where = f"{amount}, {d_model}"
            model, batches, config, loss_fn, _ = canaries.training_of(
                lambda d=d_model: gender_bias.bias_model(library, d, 0)
            )
            found[f"{where}, whole schedule"] = sum(train.learning_rate(step, config) for step in range(config.n_steps))
            early = first_losses(model, batches, replace(config, n_steps=20, warmup_steps=2), loss_fn, 20)
            found |= canaries.under(where, early)
            said = gender_bias.p_she(model, library)
            found |= canaries.under(where, said) | {f"{where}, slope": gender_bias.recovered(said)}
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
