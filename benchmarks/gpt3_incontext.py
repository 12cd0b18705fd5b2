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

import functools
import os
import sys
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from minigpt import sample
from minigpt.experiments import canaries, measured
from minigpt.experiments.gpt3 import in_context as in_context_module
from minigpt.experiments.gpt3.in_context import LEARNED, SHOTS, SIZES, list_dataset, pretrain, questions
from minigpt.worlds import in_context_lists

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "model", "family", "n_shots", "which", "step")
KINDS = [(family, "training") for family in LEARNED] + [(family, "held out") for family in in_context_lists.MADE_UP]
LABELLED = (1, 2, 4, 8, 16, 32, 64, 128)
N_TABLES = 8  # of sixteen facts, for each seed other ones


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    lists, numbers = libraries()
    for seed in seeds:
        found = {}
        for d_model in SIZES:
            found |= measure(f"post {d_model}", pretrain(lists, d_model, seed), lists, KINDS)
        found |= limits(pretrain(lists, 64, seed), lists, seed)
        if seed < 3:
            found |= measure("pre 64", pretrain(lists, 64, seed, "pre"), lists, KINDS)
            kinds = [("number", "training")]
            found |= measure("number 64", pretrain(numbers, 64, seed), numbers, kinds)
        rows = [dict(zip(KEY, (seed, *where)), value=f"{value:.4f}") for where, value in found.items()]
        measured.keep("gpt3_incontext", rows, KEY)
        print(seed, *(f"{where} {v:.2f}" for where, v in found.items() if where[2] == 16), sep="; ", flush=True)


def libraries() -> tuple:
    """The lists of four families, and those of numbers alone."""
    return list_dataset(), list_dataset(("number",), 30_000)


def measure(name, trained, lists, kinds, n_asked: int = 300) -> dict:
    """One model: all K at the end, K = 8 at every snapshot."""
    found, last = {}, int(trained.steps[-1])
    for family, which in kinds:
        for n_shots in SHOTS:
            asked = questions(family, n_shots, n_asked, which)
            right = in_context_module.right(trained.model, lists.tokenizer, asked).mean()
            found[name, family, n_shots, which, last] = right
            for step in trained.snapshots if n_shots == 8 else ():
                right = in_context_module.right(trained.at(step).eval(), lists.tokenizer, asked).mean()
                found[name, family, n_shots, which, step] = right
    return found


def limits(trained, lists, seed) -> dict:
    """The head that copies, at every snapshot; and more labelled examples than the window holds."""
    found, last = {}, int(trained.steps[-1])
    asked = in_context_module.questions("symbols", 8, 100)
    for step in trained.snapshots:
        copying = in_context_module.copying(trained.at(step).eval(), lists.tokenizer, asked).max()
        found["post 64", "copying", 8, "training", step] = copying
    for n in LABELLED:
        known = [with_labels(trained.model, lists, n, N_TABLES * seed + i) for i in range(N_TABLES)]
        for name, share in zip(("table, in context", "table, tuned"), np.mean(known, axis=0)):
            found["post 64", name, n, "training", last] = float(share)
    return found


def with_labels(model, lists, n, number) -> tuple[float, float]:
    """The share of a table's facts that are known from n labelled examples: in the context, and after fine-tuning."""
    facts = in_context_module.table(number)
    examples = in_context_module.labelled(facts, n, number)
    tuned = in_context_module.fine_tune(model, lists.tokenizer, examples, number)
    in_context = in_context_module.knows(model, lists.tokenizer, facts, examples)
    return in_context, in_context_module.knows(tuned, lists.tokenizer, facts)


class Copier(torch.nn.Module):
    """Says the token that stood behind the newest token's last showing; never in doubt on any machine."""

    def forward(self, ids):
        logits = torch.zeros(*ids.shape, ids.max() + 1)
        for row, said in zip(ids, logits):
            before = (row[:-1] == row[-1]).nonzero()
            said[-1, row[before[-1] + 1] if len(before) else row[-1]] = 9.0
        return logits


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    with canaries.short_writing(120) as asked:
        lists, numbers = libraries()
    found = {f"written {i}": canaries.checksum(sizes) for i, sizes in enumerate(asked)}
    found |= {"floor": lists.floor.mean, "floor of numbers": numbers.floor.mean}
    found |= reading(lists, in_context_module.LEARNED[0], asked[0][0]) | reading(numbers, "number", asked[1][0], (64,), ("post",))
    model = Copier()
    copier = SimpleNamespace(model=model, steps=[1], snapshots=(0,), at=lambda step: model)
    for kinds, library in ((KINDS, lists), ([("number", "training")], numbers)):
        for where, share in measure("copier", copier, library, kinds, 4).items():
            found[str(where)] = share
            found[f"{where}, ceiling"] = in_context_module.ceiling(in_context_module.questions(where[1], where[2], 4, where[3]))
    return found | tuning(lists)


def reading(library, family, n_documents, sizes=tuple(in_context_module.SIZES), norms=("post", "pre")) -> dict[str, float]:
    """A few steps of every model; and what the head that copies does after them."""
    found, whole = {}, canaries.part(library, n_documents)
    asked = in_context_module.questions(family, 8, 10)
    for d_model, norm in [(size, "post") for size in sizes] + [(64, norm) for norm in norms[1:]]:
        read = functools.partial(in_context_module.pretrain, d_model=d_model, norm=norm)
        run, numbers = canaries.trained(lambda read=read: read(canaries.part(library, 57)))
        where = f"{norm} {d_model} {family}"
        found |= canaries.under(where, numbers)
        found[f"{where}, sum of rates"] = canaries.rates(lambda read=read: read(whole))
        found[f"{where}, copying"] = in_context_module.copying(run.model, library.tokenizer, asked).max()
    return found


def tuning(lists) -> dict[str, float]:
    """How a narrow model, hardly trained, is tuned on labelled examples; and what a copier makes of them."""
    found, start = {}, canaries.trained(lambda: in_context_module.pretrain(canaries.part(lists, 57), 16, 0))[0].model
    for n in LABELLED:
        facts = in_context_module.table(N_TABLES * n)
        examples = in_context_module.labelled(facts, n, N_TABLES * n)
        found[f"copier, {n}"] = in_context_module.knows(Copier(), lists.tokenizer, facts, examples)
        if n in LABELLED[4::4]:
            tuned = in_context_module.fine_tune(start, lists.tokenizer, examples, n)
            logps = [sample.next_logps(tuned, lists.tokenizer, in_context_module.prompt([], word)) for word in facts]
            answers = [lists.tokenizer.encode(f" {colour}")[0] for colour in facts.values()]
            found[f"tuned, {n}"] = sum(each[answer].item() for each, answer in zip(logps, answers))
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
