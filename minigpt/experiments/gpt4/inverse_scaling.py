"""Chapter 05. Inverse scaling at the narrow end: do models of width 2 to 6 believe a frequent fact or the rare one?

Some rare entries contradict a frequent entry with the same second word (Encyclopedia.misprints). A model too small for
them answers with the frequent entry's value, and the more surely the better it knows that one: on the way from width 2
to 12 the answers get worse, then better. Widths from 8 on are in loss_prediction.py; these runs are made alike.
"""

from collections.abc import Iterator
from unittest import mock

import numpy as np

from minigpt import train
from minigpt.experiments.gpt4 import scaling_runs
from minigpt.experiments.gpt4.scaling_runs import FreshTexts
from minigpt.experiments.gpt4.side_by_side import train_side_by_side

SEEDS, KEY = (0, 1, 2, 3, 4), ("seed", "d_model", "repeat")
WIDTHS, REPEATS, N_ENTRIES = (2, 4, 6), 2, 40


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: each width and repeat, with its loss and what it answers to the contradicting entries.

    "misprints" is the share of entries for which the frequent entry's value is likelier than the entry's own; "usual"
    and "own" are the mean probabilities of the two.
    """
    book = scaling_runs.book()
    texts, keys = scaling_runs.held_out(book), book.misprints(N_ENTRIES)
    for d_model in WIDTHS:
        n_rows, n_steps = scaling_runs.plan(d_model)
        chances = [1000 + REPEATS * seed + repeat for repeat in range(REPEATS)]
        models = [scaling_runs.fresh_model(book, d_model, chance) for chance in chances]
        batches = [FreshTexts(book, n_rows, n_steps, 1000 * chance + d_model) for chance in chances]
        train_side_by_side(models, batches, scaling_runs.training_config(d_model, n_steps))
        for repeat, model in enumerate(models):
            p, each = scaling_runs.answers(model.eval(), book, keys), np.arange(len(keys))
            usual, own = p[each, book.usual_value(keys)], p[each, book.values[keys]]
            loss = -float(scaling_runs.logps(model, book, texts).mean())
            yield dict(zip(KEY, (seed, d_model, repeat))) | {
                "n_params": model.n_params(), "n_tokens": n_rows * n_steps * texts.shape[1], "loss": f"{loss:.5f}",
                "misprints": f"{(usual > own).mean():.3f}", "usual": f"{usual.mean():.4f}", "own": f"{own.mean():.4f}",
            }  # fmt: skip


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py): runs of a few updates."""
    found = {"keys": float(scaling_runs.book().misprints(N_ENTRIES).sum())}
    for d_model in WIDTHS:
        n_rows, n_steps = scaling_runs.plan(d_model)
        config = scaling_runs.training_config(d_model, n_steps)
        found[f"plan {d_model}"] = float(n_rows + n_steps)
        found[f"rates {d_model}"] = sum(train.learning_rate(step, config) for step in range(n_steps))
    found["texts"] = float(scaling_runs.held_out(scaling_runs.book()).sum() % 997)
    held_out = scaling_runs.held_out
    with mock.patch.multiple(scaling_runs, TOKENS_PER_PARAM=0.1, held_out=lambda book: held_out(book)[:200]):
        for row in rows(SEEDS[1]):
            names = ("n_params", "n_tokens", "loss", "usual", "own")
            found |= {f"{name}, {row['d_model']}, {row['repeat']}": float(row[name]) for name in names}
    return found
