"""Chapter 03. In-context learning of models of GPT-3's form: pre-LN, four widths, K from 0 to 16 examples.

As `in_context`, and with its questions, but LayerNorm stands before each step, as in GPT-2 and GPT-3, and the
embeddings are multiplied by sqrt(d), without which such a model does not learn made-up rules in our time
(`made_up_rules`).

The table has a row for each seed, width, family, number of examples, kind of question and training step: the accuracy
on 300 questions (always the same ones). At the end of training all K are asked, before it K = 8. Width 64 has further
rows, with the quantity in the column `family`: "copying", the attention of the head that copies best; "table, in
context" and "table, tuned", the mean share of a table of sixteen facts known after n_shots labelled examples. A seed
takes seven minutes on one core.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from minigpt.experiments import canaries, measured, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt3 import in_context
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPTConfig

SEEDS = (0, 1, 2, 3, 4)
KEY = ("seed", "d_model", "family", "n_shots", "which", "step")
WIDTHS = tuple(in_context.SIZES)
N_STEPS = 3215
WITH_LIMITS = 64  # the width that is also asked about tables of facts


def model_config(d_model: int, n_vocab: int = in_context.N_VOCAB) -> GPTConfig:
    """Configuration of a model of one width: three pre-LN blocks, embeddings times sqrt(d).

    Errors: an unknown width is a ValueError. Source: GPT-3, section 2.1; the factor: Vaswani et al. 2017, section 3.4.
    """
    return replace(in_context.model_config(d_model, n_vocab, "pre"), embedding_scale=d_model**0.5)


def pretrain(lists: Dataset, d_model: int = 64, seed: int = 0) -> Pretrained:
    """Train the model of one width on the lists, or load it if it was trained before."""
    return pretraining.pretrain(
        lists, model_config(d_model, lists.tokenizer.n_vocab), seed,
        training=replace(sizes.PRETRAINING, lr=in_context.SIZES[d_model][1]), n_watched=12,
        tokens_per_batch=in_context.TOKENS_PER_BATCH,
    )  # fmt: skip


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed."""
    lists = in_context.list_dataset()
    for d_model in WIDTHS:
        for where, value in measure(lists, d_model, seed).items():
            yield dict(zip(KEY, (seed, *where)), value=f"{value:.4f}")


def measure(lists: Dataset, d_model: int, seed: int, n_asked: int = 300) -> dict[tuple, float]:
    """Everything that is measured of one model: (d_model, family, K, which, step) -> value."""
    trained = pretrain(lists, d_model, seed)
    found = in_context.accuracies(d_model, trained, lists, in_context.KINDS, n_asked)
    if d_model == WITH_LIMITS:
        more = in_context.copying_and_labels(trained, lists, seed)
        found |= {(d_model, *where[1:]): value for where, value in more.items()}
    return found


def accuracy(d_model: int, family: str, n_shots: int = 8, which: str = "training", step: int = N_STEPS) -> np.ndarray:
    """Accuracy of the models of one width, from the table. Shapes: result (n_seeds,)."""
    where = {"d_model": d_model, "family": family, "n_shots": n_shots, "which": which, "step": step}
    return measured.get("gpt3/few_shot", **where)


def gains(d_model: int, family: str, least: int = 0, most: int = 8) -> np.ndarray:
    """What examples add: accuracy with `most` of them less that with `least`. Shapes: result (n_seeds,)."""
    return accuracy(d_model, family, most) - accuracy(d_model, family, least)


def shortfall(d_model: int, family: str, n_shots: int = 8, which: str = "training") -> np.ndarray:
    """What the best possible learner scores on the same questions, less what the models score. Shapes: (n_seeds,)."""
    best = in_context.references(family, n_shots, which)["best possible"]
    return best - accuracy(d_model, family, n_shots, which)


def over_training(d_model: int = WITH_LIMITS, quantities=(*in_context.LEARNED, "copying")) -> dict:
    """Quantities with K = 8 on the way, from the table: quantity -> {step: one number for each seed}."""
    where = {"d_model": str(d_model), "n_shots": "8", "which": "training"}
    found: dict[str, dict[int, list]] = {name: {} for name in quantities}
    for row in sorted(measured.rows("gpt3/few_shot"), key=lambda row: (int(row["step"]), int(row["seed"]))):
        if row["family"] in found and where.items() <= row.items():
            found[row["family"]].setdefault(int(row["step"]), []).append(float(row["value"]))
    return {name: {step: np.array(values) for step, values in each.items()} for name, each in found.items()}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    with canaries.short_writing(120) as asked:
        lists = in_context.list_dataset()
    found, whole = (
        {"written": canaries.checksum(asked[0]), "floor": lists.floor.mean},
        canaries.part(lists, asked[0][0]),
    )
    for d_model in WIDTHS:
        run, numbers = canaries.trained(lambda d=d_model: pretrain(canaries.part(lists, 57), d))
        found |= canaries.under(str(d_model), numbers)
        found[f"{d_model}, sum of rates"] = canaries.rates(lambda d=d_model: pretrain(whole, d))
        asked_for = in_context.questions("symbols", 8, 10)
        found[f"{d_model}, copying"] = in_context.copying_attention(run.model, lists.tokenizer, asked_for).max()
    with canaries.anew():
        several = measure(canaries.part(lists, 57), WIDTHS[0], 0, 3)
    return found | {" ".join(map(str, where)): value for where, value in several.items()}
