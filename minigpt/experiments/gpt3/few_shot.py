"""Chapter 03. In-context learning of models of GPT-3's form: pre-LN, four widths, K from 0 to 16 examples.

As `in_context`, and with its questions, but LayerNorm stands before each step, as in GPT-2 and GPT-3, and the
embeddings are multiplied by sqrt(d), without which such a model does not learn made-up rules in our time
(`made_up_rules`).

The table has a row for each seed, width, family, number of examples, kind of question and training step: the accuracy
on 300 questions (always the same ones). At the end of training all K are asked, before it K = 8. Width 64 has further
rows, with the quantity in the column `family`: "copying", the attention of the head that copies best; "table, in
context" and "table, tuned", the mean share of a table of sixteen facts known after n_shots labelled examples. A seed
takes seven minutes on one core. Measured so far: three seeds.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from minigpt.experiments import canaries, measured, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt3 import in_context
from minigpt.experiments.pretraining import Pretrained
from minigpt.model import GPTConfig
from minigpt.worlds import grammar, in_context_lists
from minigpt.worlds.in_context_lists import Question

SEEDS = (0, 1, 2)
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


def by_shots(family: str, d_model: int = WITH_LIMITS, which: str = "training") -> dict[int, np.ndarray]:
    """Accuracy of the trained models, from the table: K -> one number for each seed."""
    return {k: accuracy(d_model, family, k, which) for k in in_context.SHOTS}


def family_blind(asked: list[Question]) -> np.ndarray:
    """Family-blind learner: whether the likeliest next word for a reader who knows the corpus, and no more, is right.

    `in_context.best_possible` is told which family a list is of. This learner must infer it, as a model must: with no
    example, "fox" may be asked for its home, its food, its French name or a colour. Of m words that are equally likely
    each counts 1 / m. Shapes: result (n,), from 0 to 1.
    """
    mixture = in_context_lists.mixture(dict.fromkeys(in_context.LEARNED, 1.0))
    found = []
    for question in asked:
        following = grammar.predict(mixture, question.text).next_word
        likeliest = [word.strip() for word, p in following.items() if p > max(following.values()) - 1e-9]
        found.append((question.answer in likeliest) / len(likeliest))
    return np.array(found)


def best_by_shots(asked: dict[int, list[Question]]) -> dict[int, float]:
    """The best a learner can do on these questions: K -> accuracy. Without examples it does not know the family.

    With one example or more the words say which family it is.
    """
    learners = {k: in_context.best_possible if k else family_blind for k in asked}
    return {k: float(learners[k](questions).mean()) for k, questions in asked.items()}


def k_shot_panels(asked: dict[str, dict[int, list[Question]]]) -> tuple[dict, dict]:
    """Accuracy against K for `plots.task_panels`, by family: the models and the shortcut; and the best learner's curve."""
    panels = {
        family: {
            "model": by_shots(family),
            "shortcut: the commonest answer": {k: in_context.shortcut(q).mean() for k, q in by_k.items()},
        }
        for family, by_k in asked.items()
    }
    return panels, {family: {"best possible": best_by_shots(by_k)} for family, by_k in asked.items()}


def unseen_pairs_panels() -> tuple[dict, dict]:
    """Accuracy against K for `plots.task_panels`, on pairs that occur in training and on pairs that never do.

    And the curve of the best learner for the latter, who takes any label for possible (`in_context_lists.questions`).
    """
    panels, best = {}, {}
    for family in in_context_lists.MADE_UP:
        asked = {k: in_context.questions(family, k, which="held out") for k in in_context.SHOTS}
        panels[family] = {
            "pairs met in training": by_shots(family), "pairs never met": by_shots(family, which="held out"),
        }  # fmt: skip
        best[family] = {"best possible": {k: in_context.best_possible(q).mean() for k, q in asked.items()}}
    return panels, best


def facts_known(d_model: int = WITH_LIMITS) -> dict[str, dict[int, np.ndarray]]:
    """The mean share of a table of sixteen facts known after N examples: in the prompt, fine-tuned, and best possible.

    The best possible knows the facts that it has met, 1 - (15/16)^N of them on average, and guesses the others.
    """
    ways = {"in the prompt": "table, in context", "fine-tuned": "table, tuned"}
    found = {name: {n: accuracy(d_model, way, n) for n in in_context.LABELLED} for name, way in ways.items()}
    met = {n: 1 - (15 / 16) ** n for n in in_context.LABELLED}
    return found | {"best possible: met, or guessed": {n: m + (1 - m) / 8 for n, m in met.items()}}


def emergence(trained: Pretrained) -> dict[str, dict[int, np.ndarray]]:
    """Over training, by tokens read: the accuracy of each family with K = 8, and the attention to the answer shown.

    trained: a model of the table's form, whose steps say how many tokens were read at each.
    """
    tokens = dict(zip(trained.steps.tolist(), trained.tokens.tolist()))
    names = {"copying": "attention to the answer shown"}
    return {
        names.get(quantity, quantity): {tokens[step]: values for step, values in each.items()}
        for quantity, each in over_training().items()
    }


def jump(quantity: str, seed: int) -> int:
    """When a quantity rose most in one seed: the number of the snapshot before the rise."""
    each = over_training(quantities=(quantity,))[quantity].values()
    return int(np.argmax(np.diff([values[seed] for values in each])))


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
