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

from minigpt import changes, classroom, zeroshot

SEEDS = [0, 1, 2]
KEY = ("seed", "experiment", "setting", "x")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    library = classroom.storybook()
    for seed in seeds:
        for form in changes.FORMS:
            for lr in changes.RATES:
                keep(seed, "deep", form, lr, changes.short_run(library, form, lr, seed))
        for n_ctx in changes.WINDOWS:
            keep(seed, "window", "loss", n_ctx, changes.read_through_window(library, n_ctx, seed))
        for n_vocab in changes.VOCABULARIES:
            model, exact, n_tokens = changes.read_cut(changes.cut_by(n_vocab), seed)
            keep(seed, "vocabulary", "nats a document", n_vocab, model)
            keep(seed, "vocabulary", "exact", n_vocab, exact)
            keep(seed, "vocabulary", "tokens read", n_vocab, n_tokens)


def keep(seed: int, experiment: str, setting: str, x: float, value: float) -> None:
    """Put one number into the table."""
    rows = [dict(zip(KEY, (seed, experiment, setting, f"{x:g}")), value=f"{value:.4f}")]
    classroom.keep_measured("gpt2_changes", rows, KEY)
    print(seed, experiment, setting, x, round(value, 4), flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canary.py)."""
    from canary_tools import few_updates, stories

    library = stories(3, times=1)
    asked = mock.Mock(return_value=library)
    with few_updates(2) as found, mock.patch.object(classroom, "storybook", asked):
        for form, lr in zip(changes.FORMS, changes.RATES):
            found[f"{form}, {lr:g}"] = changes.short_run(library, form, lr, 0)
        for n_ctx in changes.WINDOWS[::3]:
            found[f"window {n_ctx}"] = changes.read_through_window(library, n_ctx, 0)
        for n_vocab in changes.VOCABULARIES[::2]:
            cut = changes.cut_by(n_vocab)
            found[f"vocabulary {n_vocab}, longest"] = cut.corpus.lengths.max()
            for name, value in zip(("model", "exact", "tokens"), changes.read_cut(cut, 0)):
                found[f"vocabulary {n_vocab}, {name}"] = value
    found |= {f"documents asked for {i}": n for i, n in enumerate(asked.call_args.args)}
    for name in ("RATES", "WINDOWS", "VOCABULARIES"):
        found[name] = sum(i * x for i, x in enumerate(getattr(changes, name), start=1))
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
