"""What can a model do that was never trained for it? Asks the book's GPT-2 in four sizes, and on the way there.

    python benchmarks/gpt2_zeroshot.py              all seeds (about half an hour on one core)
    python benchmarks/gpt2_zeroshot.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt2_zeroshot.csv, a row for each seed, width, training step and quantity: "gap" (the loss above
the floor, as a share of it), "tokens" (read so far) and the accuracy at every task of `minigpt.zeroshot`. The largest
model is asked at every second snapshot, the others at the end. Chapter 02 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import classroom, truth, zeroshot

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "d_model", "step", "quantity")


def main(seeds: list[int]) -> None:
    """Measure one seed after another, the small models first."""
    library = classroom.storybook()
    for seed in seeds:
        for d_model in zeroshot.SIZES:
            trained = zeroshot.pretrain(library, d_model, seed)
            last, found = int(trained.steps[-1]), {}
            steps = sorted(trained.snapshots)[1::2] if d_model == max(zeroshot.SIZES) else [last]
            for step in steps:
                gpt = trained.at(step).eval()
                for task in zeroshot.TASKS:
                    for name, share in zeroshot.ask(gpt, library.tokenizer, task).items():
                        found[step, name] = share
                nats = classroom.held_out_nats(gpt, library)
                gap = truth.gap(nats, library.held_out_nats, library.held_out_tokens)
                found[step, "gap"] = gap.mean / library.floor.mean
                found[step, "gap, low end"] = gap.low / library.floor.mean
                found[step, "tokens"] = trained.tokens[step - 1]
            rows = [dict(zip(KEY, (seed, d_model, *where)), value=f"{value:.4f}") for where, value in found.items()]
            classroom.keep_measured("gpt2_zeroshot", rows, KEY, also=(zeroshot,))
            print(seed, d_model, *(f"{name} {v:.2f}" for (step, name), v in found.items() if step == last), sep="; ")
            sys.stdout.flush()


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
