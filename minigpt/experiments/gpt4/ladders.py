"""Chapter 05. Ladders of ten languages: small runs from which to predict one run of about twenty times the compute.

Each language is an encyclopedia of its own: Zipf's exponent s, the number of words and the share of right values
differ, and with them the exponent of the scaling law, its floor, and the loss of the large run. None of them is the
language of scaling_runs.book(), whose ladder the chapter trains. The runs are made as there: about 500 updates, 15
tokens for each parameter. The table also tells how the models answer questions (GPT-4 report, section 3.2): -log of
the pass rate, over 4,000 problems drawn as the text is, over those that no fitted model nearly always fails, and in
five classes of difficulty.
"""

import functools
import sys
from collections.abc import Iterator
from unittest import mock

import numpy as np

from minigpt.experiments.gpt4 import scaling_runs
from minigpt.experiments.gpt4.scaling_runs import FreshTexts
from minigpt.experiments.gpt4.side_by_side import train_side_by_side
from minigpt.model import GPT
from minigpt.worlds import facts
from minigpt.worlds.facts import Encyclopedia

LANGUAGES = (  # Zipf's s, number of words, share of right values
    (1.5, 256, 0.9), (1.8, 128, 0.7), (2.0, 256, 0.9), (1.4, 256, 0.8), (1.7, 64, 0.8), (1.6, 128, 0.9),
    (1.3, 256, 0.95), (2.0, 128, 1.0), (1.7, 256, 1.0), (1.5, 256, 0.7),
)  # fmt: skip
SEEDS, KEY = tuple(range(len(LANGUAGES))), ("seed", "d_model", "repeat")
FITTED, LARGE = (12, 14, 18, 24), 56  # widths
REPEATS = {8: 2, 12: 3, 14: 3, 18: 3, 24: 2, LARGE: 1}  # width 8 to look at only: it is off the line
N_PROBLEMS, LEAST, N_CLASSES = 4000, 1 / 200, 5  # problems; the pass rate that every fitted model must reach


@functools.cache
def book(seed: int) -> Encyclopedia:
    """The encyclopedia of one ladder."""
    zipf, n_words, right = LANGUAGES[seed]
    return facts.draw_encyclopedia(n_words, zipf, right, seed=seed + 1)


def models(seed: int, d_model: int) -> tuple[list[GPT], int]:
    """The trained models of one width of a ladder, one for each repeat, and the number of tokens each has read."""
    chances = [100 * (seed + 1) + repeat for repeat in range(REPEATS[d_model])]
    found = [scaling_runs.fresh_model(book(seed), d_model, chance) for chance in chances]
    n_rows, n_steps = scaling_runs.plan(d_model, book(seed).n_words)
    batches = [FreshTexts(book(seed), n_rows, n_steps, 1000 * chance + d_model) for chance in chances]
    train_side_by_side(found, batches, scaling_runs.training_config(d_model, n_steps))
    return [model.eval() for model in found], 3 * scaling_runs.N_ENTRIES * n_rows * n_steps


def rows(seed: int) -> Iterator[dict]:
    """The rows of one ladder, one for each run: the language, its floor, the size, the loss, and the questions.

    Unit: loss, entropy and floor (the entropy on the very text of the loss) in nats per token. "surprise" is the mean
    of -log(pass rate), in nats.
    """
    texts, floor = scaling_runs.held_out(book(seed)), scaling_runs.floor(book(seed))
    language = dict(zip(("zipf", "n_words", "right"), LANGUAGES[seed]))
    language |= {"entropy": f"{book(seed).entropy:.5f}", "floor": f"{floor:.5f}"}
    found, passed = [], {}
    for d_model in REPEATS:
        trained, n_tokens = models(seed, d_model)
        for repeat, model in enumerate(trained):
            loss = -float(scaling_runs.logps(model, book(seed), texts).mean())
            passed[d_model, repeat] = scaling_runs.pass_rates(model, book(seed), problems(book(seed)))
            sizes = {"n_params": model.n_params(), "n_tokens": n_tokens, "loss": f"{loss:.5f}"}
            found.append(dict(zip(KEY, (seed, d_model, repeat))) | language | sizes)
    answers = surprises(problems(book(seed)), passed)
    for row in found:
        yield row | answers[row["d_model"], row["repeat"]]


def problems(book: Encyclopedia) -> np.ndarray:
    """The keys that are asked for, drawn as the text draws them: famous ones come many times. Shapes: (N_PROBLEMS,)."""
    return np.random.default_rng(7).choice(len(book.fame), size=N_PROBLEMS, p=book.fame)


def surprises(keys: np.ndarray, passed: dict[tuple[int, int], np.ndarray]) -> dict[tuple[int, int], dict[str, str]]:
    """Mean of -log(pass rate) of every run: over all problems, over those kept, and in each class of difficulty.

    passed: (width, repeat) -> the pass rate of each problem, (n,). Kept are problems that every fitted run solves at
    least with probability LEAST; the kept ones, each key once, are put into N_CLASSES classes of equal size by the mean
    of -log(pass rate) over the fitted runs, the easiest first.
    """
    fitted = np.stack([p for (d_model, _), p in passed.items() if d_model in FITTED])
    kept = fitted.min(axis=0) >= LEAST
    once = np.unique(keys, return_index=True)[1]
    once = once[kept[once]]
    easiest_first = once[np.argsort(-np.log(fitted[:, once]).mean(axis=0), kind="stable")]
    classes = np.array_split(easiest_first, N_CLASSES)
    found = {}
    for run_, p in passed.items():
        numbers = {"all problems": p, "kept": p[kept]} | {f"class {i}": p[c] for i, c in enumerate(classes, 1)}
        found[run_] = {"n_kept": int(kept.sum()), "n_kept keys": len(once)}
        found[run_] |= {f"surprise, {name}": f"{-np.log(each).mean():.4f}" for name, each in numbers.items()}
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py).

    Every language; a ladder of very short runs; the questions, asked of made-up pass rates.
    """
    found = {"ladders": len(SEEDS), "runs": sum(REPEATS.values())}
    for seed in SEEDS:
        found |= {f"entropy {seed}": book(seed).entropy, f"values {seed}": float(book(seed).values[:9].sum())}
        steps = [scaling_runs.plan(d_model, book(seed).n_words) for d_model in REPEATS]
        found[f"plan {seed}"] = float(sum(d * (rows + n) for d, (rows, n) in zip(REPEATS, steps)))
    few = {"REPEATS": {12: 2, 8: 1}, "FITTED": (12,), "book": functools.cache(book.__wrapped__)}  # its texts are few
    short = {"N_STEPS": 3, "TOKENS_PER_PARAM": 0.1, "N_HELD_OUT": 64}
    with mock.patch.multiple(sys.modules[__name__], **few):
        with mock.patch.multiple(scaling_runs, **short):
            for row in rows(SEEDS[4]):
                names = ("loss", "floor", "n_tokens", "n_params", "surprise, all problems")
                found |= {f"{name}, {row['d_model']}, {row['repeat']}": float(row[name]) for name in names}
    keys, rng = problems(book(1)), np.random.default_rng(0)
    easy = book(1).fame[keys] / book(1).fame.max()
    passed = {(d, r): easy ** (6 / d) * rng.uniform(0.8, 1, len(keys)) for d, n in REPEATS.items() for r in range(n)}
    asked = surprises(keys, passed)
    return found | {f"{name}, {d}": float(x) for d in (12, LARGE) for name, x in asked[d, 0].items()}
