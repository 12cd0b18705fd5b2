"""Do models learn from examples in their context, and how near to the best possible? Sizes, seeds, and the way there.

    python benchmarks/gpt3_incontext.py              all seeds (about half an hour on one core)
    python benchmarks/gpt3_incontext.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_incontext.csv, a row for each seed, model, family, number of examples, kind of question and
training step: the share of right answers to 300 questions (always the same ones). The model is "post 64" (LayerNorm
after each step, width 64), "pre 64", or "number 64", which read a corpus of the family "number" alone. At the end of
training all K are asked, on the way there K = 8. Further rows, for "post 64" and with the quantity in the column
`family`: "copying", the attention of the head that copies best; "table, in context" and "table, tuned", the mean
share of a table of sixteen facts known after n_shots labelled examples, over eight tables. Chapter 03 reads the file.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from minigpt import classroom, families, incontext

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "model", "family", "n_shots", "which", "step")
KINDS = [(family, "training") for family in incontext.LEARNED] + [(family, "held out") for family in families.MADE_UP]
LABELLED = (1, 2, 4, 8, 16, 32, 64, 128)
N_TABLES = 8  # of sixteen facts, for each seed other ones


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    lists = incontext.library()
    numbers = incontext.library(("number",), 30_000)
    for seed in seeds:
        found = {}
        for d_model in incontext.SIZES:
            found |= measure(f"post {d_model}", incontext.pretrain(lists, d_model, seed), lists, KINDS)
        found |= limits(incontext.pretrain(lists, 64, seed), lists, seed)
        if seed < 3:
            found |= measure("pre 64", incontext.pretrain(lists, 64, seed, "pre"), lists, KINDS)
            kinds = [("number", "training")]
            found |= measure("number 64", incontext.pretrain(numbers, 64, seed), numbers, kinds)
        rows = [dict(zip(KEY, (seed, *where)), value=f"{value:.4f}") for where, value in found.items()]
        classroom.keep_measured("gpt3_incontext", rows, KEY, also=(families, incontext))
        print(seed, *(f"{where} {v:.2f}" for where, v in found.items() if where[2] == 16), sep="; ", flush=True)


def measure(name, trained, lists, kinds) -> dict:
    """One model: all K at the end, K = 8 at every snapshot."""
    found, last = {}, int(trained.steps[-1])
    for family, which in kinds:
        for n_shots in incontext.SHOTS:
            asked = incontext.questions(family, n_shots, which=which)
            right = incontext.right(trained.model, lists.tokenizer, asked).mean()
            found[name, family, n_shots, which, last] = right
            for step in trained.snapshots if n_shots == 8 else ():
                right = incontext.right(trained.at(step).eval(), lists.tokenizer, asked).mean()
                found[name, family, n_shots, which, step] = right
    return found


def limits(trained, lists, seed) -> dict:
    """The head that copies, at every snapshot; and more labelled examples than the window holds."""
    found, last = {}, int(trained.steps[-1])
    asked = incontext.questions("symbols", 8, 100)
    for step in trained.snapshots:
        copying = incontext.copying(trained.at(step).eval(), lists.tokenizer, asked).max()
        found["post 64", "copying", 8, "training", step] = copying
    for n in LABELLED:
        known = [with_labels(trained.model, lists, n, N_TABLES * seed + i) for i in range(N_TABLES)]
        for name, share in zip(("table, in context", "table, tuned"), np.mean(known, axis=0)):
            found["post 64", name, n, "training", last] = float(share)
    return found


def with_labels(model, lists, n, number) -> tuple[float, float]:
    """The share of a table's facts that are known from n labelled examples: in the context, and after fine-tuning."""
    facts = incontext.table(number)
    examples = incontext.labelled(facts, n, number)
    tuned = incontext.fine_tune(model, lists.tokenizer, examples, number)
    in_context = incontext.knows(model, lists.tokenizer, facts, examples)
    return in_context, incontext.knows(tuned, lists.tokenizer, facts)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
