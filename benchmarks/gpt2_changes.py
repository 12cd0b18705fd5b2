"""From GPT-1 to GPT-2, one change at a time: LayerNorm, first weights, vocabulary, context.

    python benchmarks/gpt2_changes.py              all seeds (half an hour on one core)
    python benchmarks/gpt2_changes.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt2_changes.csv, a row for each seed, experiment and setting: "deep" (held-out loss after a short
training of twelve blocks without warm-up, for each form and learning rate), "vocabulary" (nats a document), "window"
(held-out loss for each context). Chapter 02 reads the file.
"""

import os
import sys
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt.experiments import dataset, measured
from minigpt.experiments.gpt2 import architecture

SEEDS = [0, 1, 2]
KEY = ("seed", "experiment", "setting", "x")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    library = dataset.story_dataset()
    for seed in seeds:
        for form in architecture.FORMS:
            for lr in architecture.RATES:
                keep(seed, "deep", form, lr, architecture.short_run(library, form, lr, seed))
        for n_ctx in architecture.WINDOWS:
            keep(seed, "window", "loss", n_ctx, architecture.train_with_window(library, n_ctx, seed))
        for n_vocab in architecture.VOCABULARIES:
            model, exact, n_tokens = architecture.train_on_cut_text(architecture.cut_by(n_vocab), seed)
            keep(seed, "vocabulary", "nats a document", n_vocab, model)
            keep(seed, "vocabulary", "exact", n_vocab, exact)
            keep(seed, "vocabulary", "tokens read", n_vocab, n_tokens)


def keep(seed: int, experiment: str, setting: str, x: float, value: float) -> None:
    """Put one number into the table."""
    rows = [dict(zip(KEY, (seed, experiment, setting, f"{x:g}")), value=f"{value:.4f}")]
    measured.keep("gpt2_changes", rows, KEY)
    print(seed, experiment, setting, x, round(value, 4), flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    library = stories(3, times=1)
    asked = mock.Mock(return_value=library)
    with few_updates(2) as found, mock.patch.object(dataset, "story_dataset", asked):
        for form, lr in zip(architecture.FORMS, architecture.RATES):
            found[f"{form}, {lr:g}"] = architecture.short_run(library, form, lr, 0)
        for n_ctx in architecture.WINDOWS[::3]:
            found[f"window {n_ctx}"] = architecture.train_with_window(library, n_ctx, 0)
        for n_vocab in architecture.VOCABULARIES[::2]:
            cut = architecture.cut_by(n_vocab)
            found[f"vocabulary {n_vocab}, longest"] = cut.corpus.lengths.max()
            for name, value in zip(("model", "exact", "tokens"), architecture.train_on_cut_text(cut, 0)):
                found[f"vocabulary {n_vocab}, {name}"] = value
    found |= {f"documents asked for {i}": n for i, n in enumerate(asked.call_args.args)}
    for name in ("RATES", "WINDOWS", "VOCABULARIES"):
        found[name] = sum(i * x for i, x in enumerate(getattr(architecture, name), start=1))
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
